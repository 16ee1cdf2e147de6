"""Masks and keypoints that ride: they move in the launch that writes their images, and the host reads none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import triton.language as tl

from augsynth.engines import triton_kernel as kernel
from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_memory import allocate, on, padded, upload
from augsynth.engines.triton_table import record
from augsynth.masks import move_masks
from augsynth.points import Route
from augsynth.runs import Geometry
from augsynth.transforms.base import BORDER_MODES, Array

# A mask's values are moved, never computed with: only their size counts.
_MASK_TYPES = {1: tl.int8, 2: tl.int16, 4: tl.int32, 8: tl.int64}
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_POINT_TYPES = {torch.float16: tl.float16, torch.float32: tl.float32, torch.float64: tl.float64}
_EDGE, _LARGEST = BORDER_MODES.index("edge"), 2**31
RIDER = record(
    {
        "mask": ("i8", layout.MASK_SOURCE),
        "mask_target": ("i8", layout.MASK_TARGET),
        "strides": ("3i4", layout.MASK_STRIDES),
        "planes": ("i4", layout.MASK_PLANES),
        "canvas": ("2i4", layout.CANVAS),
        "fill": ("i8", layout.MASK_FILL),
        "border": ("i4", layout.MASK_BORDER),
        "back": ("(3,3)f8", layout.BACK),
        "points": ("i8", layout.POINT_SOURCE),
        "points_target": ("i8", layout.POINT_TARGET),
        "count": ("i4", layout.POINT_COUNT),
        "parts": ("i4", layout.POINT_PARTS),
        "group": ("i4", layout.POINT_GROUP),
        "swaps": ("i4", layout.SWAPS),
        "forth": ("(3,3)f8", layout.FORTH),
        "half": ("f4", layout.HALF),
    },
    layout.RIDER_WORDS,
)


@dataclass(frozen=True)
class Ride:
    """What a launch of R samples takes along: rows `(R,)` of RIDER, and which keypoint takes the place of each."""

    rows: Array
    swaps: Array
    mask_bytes: int = 0
    point_dtype: torch.dtype | None = None

    @property
    def types(self) -> tuple[Any, Any]:
        """Return the kernel's types of masks and of points, None where there are none."""
        return _MASK_TYPES.get(self.mask_bytes), _POINT_TYPES.get(self.point_dtype)  # type: ignore[arg-type]

    def among(self, places: Array) -> Ride:
        """Restrict to the samples `places`."""
        return replace(self, rows=self.rows[places])

    def words(self) -> list[Array]:
        """Return everything as flat int32 arrays, in the order in which the device holds them."""
        return [self.rows.view(np.int32).reshape(-1), padded(self.swaps.astype(np.int32))]


class Riders:
    """The masks and keypoints of one call on `device` that move in the launch of their images.

    A sample takes along one mask `(H, W)` or stack `(N, H, W)` and one set of keypoints, where at most one resample
    moves it; masks of one item size and keypoints of one dtype. Others take the ways of `augsynth.masks` and
    `augsynth.points`. Results are there when `augsynth.engines.triton.render` was called with `ride`.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.ride: Ride | None = None
        self._held: list[torch.Tensor] = []  # what the launch reads lives until then

    def stays(self, value: Any) -> bool:
        """Tell whether a target is a tensor beside its images, so that its values need not be read."""
        return isinstance(value, torch.Tensor) and value.device == self.device

    def takes_points(self, value: Any) -> bool:
        """Tell whether keypoints are of a kind that can ride."""
        return self.stays(value) and value.dtype in _POINT_TYPES and value.numel() > 0

    def move_masks(
        self, masks: Sequence[Any], owners: Sequence[int], fills: Sequence[float], route: Route
    ) -> list[Any]:
        """Let masks follow their samples as `augsynth.masks.move_masks` does; those that ride are written later."""
        ride = self._begin(route)
        moved: list[Any] = [None] * len(masks)
        chosen = self._masks_that_ride(masks, owners, ride)
        rest = [i for i in range(len(masks)) if i not in chosen]
        others = move_masks([masks[i] for i in rest], [owners[i] for i in rest], [fills[i] for i in rest], route)
        for i, mask in zip(rest, others, strict=True):
            moved[i] = mask
        if chosen:
            mine = np.array([owners[i] for i in chosen])
            taken = [masks[i] for i in chosen]
            sizes = _canvas(route)[mine].astype(int).tolist()
            targets = write_mask_rows(ride.rows, mine, taken, [fills[i] for i in chosen], sizes)
            self.ride = replace(ride, mask_bytes=taken[0].element_size())
            self._held += taken
            for i, target in zip(chosen, targets, strict=True):
                moved[i] = target
        return moved

    def _masks_that_ride(self, masks: Sequence[Any], owners: Sequence[int], ride: Ride) -> list[int]:
        free, item, chosen = ride.rows["border"] >= 0, 0, []
        for i, (mask, owner) in enumerate(zip(masks, owners, strict=True)):
            if not (self.stays(mask) and mask.ndim in (2, 3) and mask.numel() and _span(mask) < _LARGEST):
                continue
            if free[owner] and mask.element_size() in _BITS and item in (0, mask.element_size()):
                item, free[owner] = mask.element_size(), False
                chosen.append(i)
        return chosen

    def move_points(
        self,
        points: Sequence[torch.Tensor],
        owners: Sequence[int],
        halves: Sequence[float],
        pairs: Sequence[tuple[int, int]],
        route: Route,
    ) -> list[torch.Tensor | None]:
        """Let keypoints `(..., 2 or 3)` follow their samples; None for those that cannot ride.

        halves: what is added to each before it moves. pairs: keypoints that change places in a mirror image.
        """
        ride, swaps = self._begin(route), swaps_of(pairs)
        free, dtype, chosen = ride.rows["border"] >= 0, None, []
        for i, (part, owner) in enumerate(zip(points, owners, strict=True)):
            if free[owner] and part.dtype == (dtype or part.dtype):
                dtype, free[owner] = part.dtype, False
                chosen.append(i)
        moved: list[torch.Tensor | None] = [None] * len(points)
        if dtype is not None:
            taken = [points[i].contiguous() for i in chosen]
            mine = np.array([owners[i] for i in chosen])
            targets = write_point_rows(ride.rows, mine, taken, [halves[i] for i in chosen])
            ride.rows["swaps"][mine] = len(swaps) * route.mirrored[mine]
            self.ride = replace(ride, swaps=swaps, point_dtype=dtype)
            self._held += taken
            for i, target in zip(chosen, targets, strict=True):
                moved[i] = target
        return moved

    def _begin(self, route: Route) -> Ride:
        """Return the ride so far, with the maps of all samples in it; a border of -1 where none serves."""
        return self.ride or Ride(_rows(route), np.zeros(0, np.int32))


def _canvas(route: Route) -> Array:
    return route.canvases[-1] if route.steps else route.sizes


def _rows(route: Route) -> Array:
    """Return rows `(B,)` with each sample's map, none of which has anything to move yet."""
    rows = np.zeros(len(route.sizes), RIDER)
    rows["canvas"], rows["border"] = route.sizes, _EDGE
    rows["back"] = rows["forth"] = np.eye(3)
    moves = np.zeros(len(rows), np.int64)
    for run in route.steps:
        moves[run.rows] += 1
        if isinstance(run, Geometry):
            _write_maps(rows, run.rows, run)
        else:
            moves[run.rows] += 1
    rows["border"][moves > 1] = -1
    return rows


def _write_maps(rows: Array, at: Array, run: Geometry) -> None:
    rows["back"][at], rows["forth"][at] = run.whole, np.linalg.inv(run.whole)
    rows["border"][at] = [BORDER_MODES.index(border.mode) for border in run.borders]


def _span(tensor: torch.Tensor) -> int:
    """Return how many elements of memory lie between a tensor's first and last."""
    return sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride(), strict=True))


def write_mask_rows(
    rows: Array, at: Array, masks: Sequence[torch.Tensor], fills: Sequence[float], sizes: Sequence[Sequence[int]]
) -> list[torch.Tensor]:
    """Enter masks `(H, W)` or `(N, H, W)` of one item size at `rows[at]`; returns memory for results of `sizes`.

    sizes: height and width of each. Results are rows of one batch where they are alike.
    """
    shapes = [(*mask.shape[:-2], *size) for mask, size in zip(masks, sizes, strict=True)]
    results: list[Any] = [None] * len(masks)
    for dtype in dict.fromkeys(mask.dtype for mask in masks):
        mine = [i for i, mask in enumerate(masks) if mask.dtype == dtype]
        targets, addresses = allocate([shapes[i] for i in mine], dtype, masks[0].device)
        rows["mask_target"][at[mine]] = addresses
        for i, target in zip(mine, targets, strict=True):
            results[i] = target
    planes = [mask if mask.ndim == 3 else mask[None] for mask in masks]
    rows["mask"][at] = [plane.data_ptr() for plane in planes]
    rows["strides"][at] = [plane.stride() for plane in planes]
    rows["planes"][at] = [len(plane) for plane in planes]
    bits = {key: _bits(*key) for key in {(mask.dtype, fill) for mask, fill in zip(masks, fills, strict=True)}}
    rows["fill"][at] = [bits[mask.dtype, fill] for mask, fill in zip(masks, fills, strict=True)]
    return results


def write_point_rows(
    rows: Array, at: Array, points: Sequence[torch.Tensor], halves: Sequence[float]
) -> list[torch.Tensor]:
    """Enter contiguous keypoints `(..., 2 or 3)` of one dtype at `rows[at]`; returns memory for results."""
    targets, addresses = allocate([tuple(part.shape) for part in points], points[0].dtype, points[0].device)
    rows["points"][at], rows["points_target"][at] = [part.data_ptr() for part in points], addresses
    rows["parts"][at] = [part.shape[-1] for part in points]
    rows["count"][at] = [part.numel() // part.shape[-1] for part in points]
    rows["group"][at], rows["half"][at] = [part.shape[-2] for part in points], halves
    return targets


def swaps_of(pairs: Sequence[tuple[int, int]]) -> Array:
    """Return which keypoint takes the place of each in a mirror image `(n,)`, where `pairs` change places."""
    swaps = np.arange(max((max(pair) + 1 for pair in pairs), default=0))
    for a, b in pairs:
        swaps[[a, b]] = swaps[[b, a]]
    return swaps


def _bits(dtype: torch.dtype, fill: float) -> int:
    value = torch.full((), fill, dtype=dtype)
    return int(value.view(_BITS[value.element_size()]))


def warp_masks(masks: Sequence[torch.Tensor], run: Geometry, fill: float = 0) -> list[torch.Tensor]:
    """Move R masks `(H, W)` or `(N, H, W)` of one dtype, one for each sample of a run, in a launch of their own.

    The nearest pixel, `fill` outside; borders that continue the image continue the mask too. Returns rows of one batch
    where all are alike. Raises TypeError for several dtypes.
    """
    if any(mask.dtype != masks[0].dtype for mask in masks):
        seen = ", ".join(sorted({str(mask.dtype) for mask in masks}))
        raise TypeError(f"masks are {seen}; give one dtype per call")
    rows, at = np.zeros(len(masks), RIDER), np.arange(len(masks))
    rows["canvas"] = [mask.shape[-2:] for mask in masks]
    _write_maps(rows, at, run)
    results = write_mask_rows(rows, at, masks, [fill] * len(masks), run.size.tolist())
    sizes = run.size.astype(np.int32)
    tiles = int((-(-sizes[:, 0] // layout.TILE_Y) * -(-sizes[:, 1] // layout.TILE_X)).max())
    with on(masks[0].device):
        words = upload([rows.view(np.int32).reshape(-1), sizes.reshape(-1)], masks[0].device)
        end = len(rows) * layout.RIDER_WORDS.value
        item = _MASK_TYPES[masks[0].element_size()]
        kernel.warp_masks[(len(rows) * tiles,)](
            words[:end], words[end:], tiles, TYPE=item, TILE_Y=layout.TILE_Y, TILE_X=layout.TILE_X
        )
    return results
