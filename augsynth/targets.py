"""Masks, boxes and keypoints of one call: read when the images' sizes are known, moved with the program, put back.

Boxes are moved first, for what belongs to them is dropped with them; then masks, one resample per run; then keypoints.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.batch import describe
from augsynth.boxes import FORMATS, ROTATED, Boxes, Tracker, corners_of, from_corners, from_edges
from augsynth.finding import INSTANCES, Entry, Rules, get_entry, put_entries
from augsynth.masks import move_masks
from augsynth.points import Route
from augsynth.program import Plan, Program
from augsynth.runs import Run
from augsynth.target_values import (
    check_fill,
    is_whole,
    join_batch,
    plain,
    read_mask,
    read_numbers,
    rewrap,
    select,
    write_mask,
    write_numbers,
)
from augsynth.transforms.base import Array, Distortion, Leaf, Standalone
from augsynth.transforms.boxcrop import BoxCrop, SanitizeBoundingBoxes

if TYPE_CHECKING:
    from augsynth.engines.triton_riders import Riders


class Targets:
    """The targets of one call's samples.

    `open` reads them, `move` lets them follow the pixels, `put` gives a sample back with them. An instance serves once.
    """

    def __init__(self, entries: Sequence[Entry], rules: Rules, plan: Plan) -> None:
        """Raises TypeError naming a transform that no target can follow."""
        self._riders: Riders | None = None
        self._rode: set[int] = set()  # keypoints that the device has moved and written
        _check_followed(entries, plan)
        self.rules, self.plan = rules, plan
        self.entries = tuple(entries)
        self._at = {role: [i for i, e in enumerate(entries) if e.role == role] for role in _ROLES}
        self._held: dict[int, list[int]] = defaultdict(list)
        for i, entry in enumerate(entries):
            self._held[entry.holder].append(i)
        self._opened: list[Any] = [None] * len(entries)
        self._moved: list[Any] = [None] * len(entries)
        self._formats: list[str] = []
        self._boxes_of: dict[Any, int] = {}  # group -> its boxes' position among the entries
        self._kept: dict[Any, Array] = {}  # group -> positions of the boxes that are left
        self._sizes = np.zeros((0, 2))
        self._ends = self._sizes  # of the images now
        self._tracker: Tracker | None = None
        self._left: Array | None = None  # which boxes crops have left, where no tracker tells
        self._written = False

    def board(self, riders: Riders) -> None:
        """Let `riders` move masks and keypoints on the device; none of their numbers are then read."""
        self._riders = riders

    def open(self, sizes: Array) -> Tracker | None:
        """Read the targets of images of `sizes (B, 2)`; returns their boxes where a transform draws beside them.

        Raises ValueError or TypeError, naming sample and key, for what is no target of its image.
        """
        self._sizes, riders = np.asarray(sizes, np.float64), self._riders
        riding = [i for i in self._at["keypoints"] if riders and riders.takes_points(self.entries[i].value)]
        for i in riding:
            self._opened[i] = plain(self.entries[i].value)
        members = [i for i in self._at["boxes"] + self._at["keypoints"] if i not in riding]
        for i, array in zip(members, _numbers([self.entries[i] for i in members]), strict=True):
            self._opened[i] = array
        for i in self._at["boxes"]:
            self._open_boxes(i)
            self._list_boxes(i)
        for i in self._at["keypoints"]:
            self._opened[i] = _check_points(self._opened[i], self.entries[i], self.rules)
        for i in self._at["mask"]:
            self._open_mask(i)
        for i in self._at["labels"]:
            _check_labels(self.entries[i], self._boxes_beside(i))
        if any(isinstance(leaf.transform, BoxCrop) for leaf in self.plan.leaves):
            boxes = self._all_boxes()
            self._tracker = Tracker(boxes, self._sizes, np.isin(np.arange(len(sizes)), self._owners("boxes")))
        return self._tracker

    def _open_boxes(self, i: int) -> None:
        entry = self.entries[i]
        kind = _format(entry.value, self.rules.box_format)
        self._opened[i] = _check_boxes(self._opened[i], entry, kind, self._sizes[entry.owner])

    def _list_boxes(self, i: int) -> None:
        self._formats.append(_format(self.entries[i].value, self.rules.box_format))
        self._boxes_of.setdefault(self.entries[i].group, i)

    def _open_mask(self, i: int) -> None:
        entry = self.entries[i]
        height, width = self._sizes[entry.owner].tolist()
        stays = self._riders is not None and self._riders.stays(entry.value)
        self._opened[i] = read_mask(entry.value, entry.where, (int(height), int(width)), stays)
        check_fill(self._opened[i], self._fill(i), entry.where)

    def _owners(self, role: str) -> Array:
        return np.array([self.entries[i].owner for i in self._at[role]], np.int64)

    def _boxes_beside(self, i: int) -> int | None:
        """Return how many boxes stand in the container of an entry, None where there are none."""
        at = self._boxes_of.get(self.entries[i].group)
        return None if at is None else len(self._opened[at])

    def _per_box(self, i: int) -> bool:
        """Tell whether a mask or keypoints `(N, ...)` belong to the N boxes beside them, one each."""
        entry, found = self.entries[i], self._opened[i]
        named = entry.role == "keypoints" or entry.path[-1] in (INSTANCES, *self.rules.label_keys)
        return named and found.ndim == 3 and found.shape[0] == self._boxes_beside(i)

    def _fill(self, i: int) -> float:
        """Return what a mask gets outside the image: flags and masks of single objects are off there."""
        flags = str(self._opened[i].dtype) in ("bool", "torch.bool")
        return 0 if flags or self._per_box(i) else self.rules.mask_fill

    def _all_boxes(self) -> Boxes:
        arrays = [self._opened[i] for i in self._at["boxes"]]
        corners = [corners_of(array, kind) for array, kind in zip(arrays, self._formats, strict=True)]
        owner = np.repeat(self._owners("boxes"), [len(array) for array in arrays])
        return Boxes.of(np.concatenate([np.zeros((0, 4, 2)), *corners]), owner)

    def move(self, program: Program, runs: Sequence[Run]) -> None:
        """Let all targets follow the pixels of a drawn program and its runs."""
        route = Route.of(runs, self._sizes)
        canvas = route.canvases[-1] if route.steps else self._sizes
        self._move_boxes(program, route, canvas)
        for i in self._at["labels"]:
            kept = self._kept[self.entries[i].group]
            value = self.entries[i].value
            self._moved[i] = value if len(kept) == len(value) else select(value, kept)
        self._move_masks(route)
        self._move_points(route, canvas)
        self._ends = canvas

    def _move_boxes(self, program: Program, route: Route, canvas: Array) -> None:
        members, kinds = self._at["boxes"], self._formats
        if not members:
            return
        lengths = [len(self._opened[i]) for i in members]
        boxes = self._all_boxes().moved(route)
        upright = np.repeat([kind not in ROTATED for kind in kinds], lengths)
        whole = np.repeat([is_whole(self.entries[i].value) for i in members], lengths)
        shown = boxes.shown(canvas[boxes.owner], upright, whole)
        min_size, min_area = _limits(program, self.rules)
        keep = shown.keeps(min_size[boxes.owner], min_area[boxes.owner], self.rules.min_visibility)
        left = self._left if self._tracker is None else self._tracker.kept
        if left is not None:
            keep &= left
        start = 0
        for i, kind, length in zip(members, kinds, lengths, strict=True):
            kept = start + keep[start : start + length].nonzero()[0]
            self._kept[self.entries[i].group] = kept - start
            start += length
            value = self.entries[i].value
            if kind in ROTATED:
                array = from_corners(boxes.corners[kept], kind, route.mirrored[boxes.owner[kept]])
            elif getattr(value, "clamping_mode", "soft") is None:
                array = from_edges(shown.low[kept], shown.high[kept], kind)
            else:
                array = from_edges(shown.kept_low[kept], shown.kept_high[kept], kind)
            self._moved[i] = np.rint(array) if is_whole(value) else array

    def _write(self, members: list[int], arrays: list[Array], canvas: Array) -> None:
        sizes = [(int(canvas[self.entries[i].owner, 0]), int(canvas[self.entries[i].owner, 1])) for i in members]
        values = write_numbers(arrays, [self.entries[i].value for i in members], sizes)
        for i, value in zip(members, values, strict=True):
            self._moved[i] = value

    def _move_masks(self, route: Route) -> None:
        members = self._at["mask"]
        fills = [self._fill(i) for i in members]
        masks = []
        for i in members:
            kept = self._kept.get(self.entries[i].group) if self._per_box(i) else None
            opened = self._opened[i]
            masks.append(opened if kept is None or len(kept) == len(opened) else select(opened, kept))
        move = self._riders.move_masks if self._riders and members else move_masks
        moved = move(masks, [self.entries[i].owner for i in members], fills, route)
        for i, mask in zip(members, moved, strict=True):
            self._moved[i] = (
                mask if mask is not self._opened[i] else mask.copy() if hasattr(mask, "copy") else mask.clone()
            )

    def _move_points(self, route: Route, canvas: Array) -> None:
        members = self._at["keypoints"]
        for i in members:
            kept = self._kept.get(self.entries[i].group) if self._per_box(i) else None
            self._opened[i] = self._opened[i] if kept is None else select(self._opened[i], kept)
        members = self._not_riding(members, route, canvas)
        if not members:
            return
        arrays = [self._opened[i].copy() for i in members]
        lengths = [array[..., 0].size for array in arrays]
        halves = [self._half(i) for i in members]
        flat = [array[..., :2].reshape(-1, 2) + half for array, half in zip(arrays, halves, strict=True)]
        points, seen = route.follow(np.concatenate(flat), np.repeat([self.entries[i].owner for i in members], lengths))
        ends = np.cumsum(lengths)[:-1]
        for k, (i, xy, shown) in enumerate(zip(members, np.split(points, ends), np.split(seen, ends), strict=True)):
            mirrored = bool(route.mirrored[self.entries[i].owner])
            self._moved[i] = self._placed(i, arrays[k], xy - halves[k], shown, mirrored)

    def _half(self, i: int) -> float:
        """Return what is added to keypoints first: what tv_tensors call the point 0 is the centre of pixel 0."""
        return 0.5 if hasattr(self.entries[i].value, "canvas_size") else 0.0

    def _not_riding(self, members: list[int], route: Route, canvas: Array) -> list[int]:
        """Let the keypoints that can ride do so; returns the others, which are arrays from here on."""
        riding = [i for i in members if isinstance(self._opened[i], torch.Tensor)]
        if self._riders is None or not riding:
            return members
        owners, halves = [self.entries[i].owner for i in riding], [self._half(i) for i in riding]
        pairs = self.rules.flip_pairs
        results = self._riders.move_points([self._opened[i] for i in riding], owners, halves, pairs, route)
        left = [i for i, result in zip(riding, results, strict=True) if result is None]
        for i, result in zip(riding, results, strict=True):
            height, width = canvas[self.entries[i].owner].tolist()
            if result is not None:
                self._moved[i] = rewrap(result, self.entries[i].value, (int(height), int(width)))
                self._rode.add(i)
        for i, array in zip(left, read_numbers([self._opened[i] for i in left]), strict=True):
            self._opened[i] = array
        return [i for i in members if i not in riding or i in left]

    def _placed(self, i: int, array: Array, points: Array, shown: Array, mirrored: bool) -> Array:
        """Put points `(n, 2)` into the keypoints `(..., 2)` or `(..., 3)` that they came from."""
        array[..., :2] = points.reshape(*array.shape[:-1], 2)
        if array.shape[-1] == 3:
            array[..., 2] = np.where(shown.reshape(array.shape[:-1]), array[..., 2], 0)
        for a, b in self.rules.flip_pairs if mirrored and array.size else ():
            array[..., [a, b], :] = array[..., [b, a], :]
        return np.rint(array) if is_whole(self.entries[i].value) else array

    def put(self, holder: int, sample: Any, tensors: bool) -> Any:
        """Return the user's sample number `holder` with its moved targets.

        tensors: its image came out as a tensor; a PIL mask does so too, `(H, W)`.
        """
        if not self._written:
            for role in ("boxes", "keypoints"):
                members = [i for i in self._at[role] if i not in self._rode]
                self._write(members, [self._moved[i] for i in members], self._ends)
            self._written = True
        values: dict[tuple[Any, ...], Any] = {}
        batched: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for i in self._held[holder]:
            entry, value = self.entries[i], self._moved[i]
            if entry.role == "mask":
                height, width = self._sizes[entry.owner].tolist()
                value = write_mask(value, entry.value, (int(height), int(width)), tensors)
            if entry.batched:
                batched[entry.path].append(value)
            else:
                values[entry.path] = value
        values |= {path: join_batch(parts, get_entry(sample, path)) for path, parts in batched.items()}
        return put_entries(sample, values) if values else sample


_ROLES = ("boxes", "labels", "mask", "keypoints")


def _check_followed(entries: Sequence[Entry], plan: Plan) -> None:
    leaf = next((leaf for leaf in plan.leaves if not _is_followed(leaf.transform)), None)
    if leaf is not None and entries:
        raise TypeError(
            f"{entries[0].where} ({describe(entries[0].value)}) cannot follow {leaf.name}: where "
            f"{type(leaf.transform).__name__} moves pixels is not known for masks, boxes or keypoints; "
            "take that transform or the entry out"
        )
    groups = Counter(entry.group for entry in entries if entry.role == "boxes")
    for entry in entries:
        if entry.role == "labels" and groups[entry.group] > 1:
            raise TypeError(
                f"{entry.where} stands beside {groups[entry.group]} sets of boxes; keep it with its own in a dict"
            )


def _is_followed(transform: Any) -> bool:
    if isinstance(transform, Standalone) and transform.moves:
        return (
            transform.followed and isinstance(transform, Distortion) and type(transform).field is not Distortion.field
        )
    return not isinstance(transform, Leaf) or transform.followed


def _numbers(entries: Sequence[Entry]) -> list[Array]:
    """Read boxes and keypoints, naming the one that does not hold numbers."""
    try:
        return read_numbers([entry.value for entry in entries])
    except (ValueError, TypeError):
        for entry in entries:
            try:
                read_numbers([entry.value])
            except (ValueError, TypeError):
                raise TypeError(f"{entry.where} is {describe(entry.value)}; {_SHAPES[entry.role]}") from None
        raise


_SHAPES = {
    "boxes": "give all boxes of an image as one tensor, array or list (N, 4)",
    "keypoints": "give all keypoints of an image as one tensor, array or list (N, 2) or, with visibility, (N, 3)",
}


def _format(value: Any, default: str) -> str:
    return str(value.format.name).lower() if hasattr(value, "format") else default


def _check_boxes(array: Array, entry: Entry, kind: str, size: Array) -> Array:
    """Return boxes as `(N, k)`. Raises ValueError naming the sample, the key and what is wrong."""
    if array.shape == (0,):
        return array.reshape(0, FORMATS[kind])
    if array.ndim != 2 or array.shape[1] != FORMATS[kind]:
        shape = " x ".join(map(str, array.shape)) or "a number"
        raise ValueError(
            f"{entry.where} has shape {shape}; boxes of format {kind} are (N, {FORMATS[kind]}), all of one image"
        )
    if not np.isfinite(array).all():
        row = int((~np.isfinite(array)).any(1).argmax())
        raise ValueError(f"{entry.where}: box {row} is {array[row].tolist()}, which is not finite")
    fractions = len(array) and array.max() <= 1 and (array != np.rint(array)).any()
    if fractions and kind not in ROTATED and size.min() > 2:
        raise ValueError(
            f"{entry.where} has no coordinate above 1: boxes are in pixels; multiply x by the image's width "
            "and y by its height"
        )
    return array


def _check_points(array: Any, entry: Entry, rules: Rules) -> Any:
    if array.shape == (0,):
        return array.reshape(0, 2)
    if array.ndim < 2 or array.shape[-1] not in (2, 3):
        shape = " x ".join(map(str, array.shape)) or "a number"
        raise ValueError(f"{entry.where} has shape {shape}; keypoints are (N, 2) or, with visibility, (N, 3)")
    most = max((max(pair) for pair in rules.flip_pairs), default=-1)
    if 0 not in array.shape and most >= array.shape[-2]:
        raise ValueError(f"{entry.where} has {array.shape[-2]} keypoints; flip_pairs names number {most}")
    return array


def _check_labels(entry: Entry, boxes: int | None) -> None:
    if not hasattr(entry.value, "__len__") or isinstance(entry.value, str) or getattr(entry.value, "ndim", 1) == 0:
        raise TypeError(f"{entry.where} is {describe(entry.value)}; give one per box, or leave it out of label_keys=")
    if len(entry.value) != boxes:
        raise ValueError(f"{entry.where} has {len(entry.value)} entries for {boxes} boxes")


def _limits(program: Program, rules: Rules) -> tuple[Array, Array]:
    """Return the least side and the least area of each sample's boxes, `(B,)` each."""
    min_size, min_area = np.zeros(len(program)), np.full(len(program), rules.min_area)
    for code, leaf in enumerate(program.plan.leaves, 1):
        if isinstance(leaf.transform, SanitizeBoundingBoxes):
            rows = (program.ops == code).any(1)
            min_size[rows] = np.maximum(min_size[rows], leaf.transform.min_size)
            min_area[rows] = np.maximum(min_area[rows], leaf.transform.min_area)
    return min_size, min_area


def rules_of(arguments: Any, plan: Plan) -> Rules:
    """Read the rules among a pipeline's arguments, with the fields that its transforms name beside boxes."""
    values = {item.name: getattr(arguments, item.name) for item in fields(Rules)}
    named = [
        n
        for leaf in plan.leaves
        if isinstance(leaf.transform, SanitizeBoundingBoxes)
        for n in leaf.transform.label_fields
    ]
    rules = Rules(**values)
    return replace(rules, label_keys=tuple(dict.fromkeys((*rules.label_keys, *named)))) if named else rules
