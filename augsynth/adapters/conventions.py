"""What another library does with targets, and in which form it gives images back, kept by a converted pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from augsynth.batch import Path, get_image, is_pil, set_image
from augsynth.boxes import Tracker
from augsynth.finding import Entry, Rules, get_entry, put_entries
from augsynth.program import Plan, Program
from augsynth.runs import Run
from augsynth.target_values import read_numbers, select
from augsynth.targets import Targets
from augsynth.transforms.base import Array


@dataclass(frozen=True)
class Conventions:
    """What differs from a plain pipeline.

    tensor: images and masks come out as tensors. transpose_mask: masks `(H, W, C)` as `(C, H, W)` then. mask_dtype: of
    masks that are tensors. unit_boxes: boxes are shares of width and height. pixel_points: keypoints are pixel indices,
    so that the point 0 is the centre of pixel 0. drop_points: keypoints outside the image are dropped, with their
    entries in point_labels.
    """

    tensor: bool = False
    transpose_mask: bool = False
    mask_dtype: torch.dtype | None = None
    unit_boxes: bool = False
    pixel_points: bool = False
    drop_points: bool = False
    point_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # As a stored configuration has them.
        if isinstance(self.mask_dtype, str):
            object.__setattr__(self, "mask_dtype", getattr(torch, self.mask_dtype))
        object.__setattr__(self, "point_labels", tuple(self.point_labels))

    @property
    def changes_masks(self) -> bool:
        """Tell whether masks change although no pixel moves."""
        return self.tensor or self.mask_dtype is not None


class AdaptedTargets(Targets):
    """Targets that are read and written by the conventions of another library."""

    def __init__(self, entries: Sequence[Entry], rules: Rules, plan: Plan, conventions: Conventions) -> None:
        super().__init__([_prepared(entry, conventions) for entry in entries], rules, plan)
        self.conventions = conventions
        self._canvas = np.zeros((0, 2))

    def board(self, riders: Any) -> None:
        """Let nothing ride: what is converted is converted on the host."""

    def open(self, sizes: Array) -> Tracker | None:
        tracker = super().open(sizes)
        for i in self._at["keypoints"]:
            if _is_indexed(self.entries[i], self.conventions):
                self._opened[i] = _moved(self._opened[i], 0.5)
        return tracker

    def _open_boxes(self, i: int) -> None:
        if self._scales(i) and self._opened[i].size:
            height, width = self._sizes[self.entries[i].owner].tolist()
            boxes = self._opened[i]
            if boxes.ndim == 2 and boxes.shape[1] == 4:
                if np.abs(boxes).max() > 2:
                    raise ValueError(
                        f"{self.entries[i].where} has a coordinate of {np.abs(boxes).max():g}: "
                        "boxes of this format are shares of the image's width and height, from 0 to 1"
                    )
                self._opened[i] = boxes * [width, height, width, height]
        super()._open_boxes(i)

    def _scales(self, i: int) -> bool:
        return self.conventions.unit_boxes and not hasattr(self.entries[i].value, "format")

    def move(self, program: Program, runs: Sequence[Run]) -> None:
        self._canvas = program.sizes[:, -1]
        super().move(program, runs)

    def _write(self, members: list[int], arrays: list[Array], canvas: Array) -> None:
        converted = []
        for i, array in zip(members, arrays, strict=True):
            entry = self.entries[i]
            if entry.role == "boxes" and self._scales(i):
                height, width = canvas[entry.owner].tolist()
                array = array / [width, height, width, height]
            elif entry.role == "keypoints" and _is_indexed(entry, self.conventions):
                array = _moved(array, -0.5)
            converted.append(array)
        super()._write(members, converted, canvas)

    def put(self, holder: int, sample: Any, tensors: bool) -> Any:
        conventions = self.conventions
        result = super().put(holder, sample, tensors or conventions.tensor)
        values: dict[tuple[Any, ...], Any] = {}
        for i in self._held[holder]:
            entry = self.entries[i]
            value = get_entry(result, entry.path)
            if entry.role == "mask" and conventions.changes_masks:
                values[entry.path] = _as_mask(value, conventions)
            elif entry.role == "keypoints" and conventions.drop_points and not entry.batched:
                values |= self._seen(entry, value, result)
        return put_entries(result, values) if values else result

    def _seen(self, entry: Entry, points: Any, sample: Any) -> dict[tuple[Any, ...], Any]:
        """Return the keypoints that lie on the image, and what goes with them. Raises ValueError for other lengths."""
        places = read_numbers([points])[0]
        if places.ndim != 2:
            return {}
        height, width = self._canvas[entry.owner].tolist()
        inside = (places[:, :2] >= 0) & (places[:, :2] < [width, height])
        keep = np.flatnonzero(inside.all(1))
        found = {entry.path: points}
        beside = get_entry(sample, entry.path[:-1])
        for name in self.conventions.point_labels:
            if isinstance(beside, Mapping) and name in beside:
                found[(*entry.path[:-1], name)] = beside[name]
        for path, value in found.items():
            if len(value) != len(places):
                raise ValueError(f"{entry.where}: {path[-1]!r} has {len(value)} entries for {len(places)} keypoints")
        return {path: _chosen(value, keep) for path, value in found.items()}


def _prepared(entry: Entry, conventions: Conventions) -> Entry:
    """Return an entry whose numbers can hold fractions where it is converted."""
    boxes = entry.role == "boxes" and conventions.unit_boxes and not hasattr(entry.value, "format")
    if boxes or (entry.role == "keypoints" and _is_indexed(entry, conventions)):
        return replace(entry, value=_as_floats(entry.value))
    return entry


def _is_indexed(entry: Entry, conventions: Conventions) -> bool:
    # Those of torchvision are indices in any pipeline.
    return conventions.pixel_points and not hasattr(entry.value, "canvas_size")


def _moved(points: Array, step: float) -> Array:
    """Return points `(..., k)` whose x and y are `step` pixels further."""
    moved = points.copy()
    moved[..., :2] += step
    return moved


def _as_floats(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_as_floats(part) if isinstance(part, (list, tuple)) else float(part) for part in value])
    if isinstance(value, torch.Tensor):
        return value if value.is_floating_point() else value.to(torch.float32)
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind in "iub" else value


def _chosen(value: Any, keep: Array) -> Any:
    return value if len(value) == len(keep) else select(value, keep)


def _as_mask(mask: Any, conventions: Conventions) -> Any:
    if conventions.tensor and isinstance(mask, np.ndarray):
        turned = conventions.transpose_mask and mask.ndim == 3
        mask = torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 0, 1) if turned else mask))
    if isinstance(mask, torch.Tensor) and conventions.mask_dtype is not None:
        # A conversion keeps what kind of tensor it is.
        return mask.to(conventions.mask_dtype)
    return mask


def as_tensors(sample: Any, path: Path) -> Any:
    """Return a sample whose image is a tensor `(..., C, H, W)`: it was that, PIL, or an array `(..., H, W, C)`."""
    image = get_image(sample, path)
    if is_pil(image):
        image = np.array(image)
    if not isinstance(image, np.ndarray):
        return sample
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, -3)
    return set_image(sample, path, torch.from_numpy(np.ascontiguousarray(planes)))
