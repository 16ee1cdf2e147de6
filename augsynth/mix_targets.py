"""Masks, boxes, keypoints and class labels of samples that are mixed: what lies on one image goes to others with it.

A mixed sample is a list of pieces, each a part of one sample. Pieces are moved like a batch of their own, by the same
code as samples, and then put together: boxes, their labels and keypoints united, masks pasted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from augsynth.batch import Path, describe
from augsynth.boxes import ROTATED, Tracker, area_of, corners_of, from_edges, inside
from augsynth.finding import Entry, Rules
from augsynth.program import Plan, Program
from augsynth.runs import Run
from augsynth.soft_labels import SoftLabels, find_label
from augsynth.target_values import is_whole, select
from augsynth.targets import Targets
from augsynth.transforms.base import Array
from augsynth.transforms.mix import Mix, MixUp


@dataclass(frozen=True)
class Pieces:
    """V parts of samples, in the order in which they are laid down.

    owner, source `(V,)`: the sample that gets it and the one that it is of. place `(V, 4)`: top, left, bottom, right
    in the owner. hidden `(V, 4)`: the window of a piece that a later one covers. program, runs: how pieces move.
    """

    owner: Array
    source: Array
    place: Array
    hidden: Array
    program: Program
    runs: Sequence[Run]


class Moving(Targets):
    """Entries of samples or of pieces, as they are now, on their way through one program.

    opened: what `open` would read, one per entry, None for labels. left: flags of all boxes together, or None.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        opened: Sequence[Any],
        sizes: Array,
        left: Array | None,
        rules: Rules,
        plan: Plan,
    ) -> None:
        super().__init__(entries, rules, plan)
        self._opened, self._sizes, self._left = list(opened), np.asarray(sizes, np.float64), left
        for i in self._at["boxes"]:
            self._list_boxes(i)

    @property
    def values(self) -> list[Any]:
        """What the entries have become."""
        return self._moved

    @property
    def sizes(self) -> Array:
        """Of the images now."""
        return self._ends

    def per_box(self, k: int) -> bool:
        """Tell whether an entry has one mask or set of points for each box."""
        return self._per_box(k)

    def hide(self, members: Sequence[int], window: Array) -> None:
        """Take out of a piece what a window, top, left, bottom, right, covers. members: the piece's entries."""
        for k in members:
            if self.entries[k].role == "boxes":
                self._hide_boxes(k, members, window)
        for k in members:
            if self.entries[k].role == "mask" and self._per_box(k):
                top, left, bottom, right = window.tolist()
                self._moved[k][..., top:bottom, left:right] = 0
            elif self.entries[k].role == "keypoints":
                self._hide_points(k, window)

    def _hide_boxes(self, k: int, members: Sequence[int], window: Array) -> None:
        entry, kind = self.entries[k], self._formats[self._at["boxes"].index(k)]
        boxes, left = uncovered(self._moved[k], kind, window, self.rules)
        self._moved[k] = (np.rint(boxes) if is_whole(entry.value) else boxes)[left]
        for j in members:
            same = self.entries[j].group == entry.group
            if same and (self.entries[j].role == "labels" or (j != k and self._per_box(j))):
                self._moved[j] = select(self._moved[j], np.flatnonzero(left))

    def _hide_points(self, k: int, window: Array) -> None:
        points = self._moved[k]
        xy = points[..., :2] + self._half(k)
        covered = ((xy >= window[1::-1]) & (xy < window[:1:-1])).all(-1)
        if points.shape[-1] == 3:
            points[..., 2] = np.where(covered, 0, points[..., 2])
        if points.ndim == 2:
            self._moved[k] = points[~covered]

    def _half(self, k: int) -> float:
        return 0.5 if hasattr(self.entries[k].value, "canvas_size") else 0.0

    def points(self, k: int) -> Array:
        """Return the keypoints of an entry; those of no box without the ones that are not on the piece."""
        points = self._moved[k]
        if points.ndim > 2:
            return np.asarray(points)
        xy, limit = points[:, :2] + self._half(k), self._ends[self.entries[k].owner][::-1]
        return np.asarray(points[((xy >= 0) & (xy <= limit)).all(1)])


class MixTargets(Targets):
    """Targets of a batch whose samples are mixed, and its class labels, if there are any."""

    def __init__(self, entries: Sequence[Entry], rules: Rules, plan: Plan, labels: SoftLabels | None) -> None:
        super().__init__(entries, rules, plan)
        self.labels = labels
        # A batch may have a list with a dict for each image: its entries stand at paths that differ by the row.
        listed = any(entry.holder != entry.owner and not entry.batched for entry in self.entries)
        self._keys = [(entry.role, _place(entry) if listed else entry.path) for entry in self.entries]
        self._of: dict[int, list[int]] = defaultdict(list)
        for i, entry in enumerate(self.entries):
            self._of[entry.owner].append(i)
        self._now: list[Any] = []
        self._united: dict[int, Array] = {}  # flags of boxes that no crop has seen

    def open(self, sizes: Array) -> Tracker | None:
        """Read the targets; also raises TypeError where samples differ in what they have, or it cannot follow a mix."""
        tracker = super().open(sizes)
        self._check_alike()
        for i in range(len(self.entries)):
            self._check_mixable(i)
        self._now = [e.value if e.role == "labels" else self._opened[i] for i, e in enumerate(self.entries)]
        self._ends = self._sizes
        return tracker

    def _check_alike(self) -> None:
        if not self.entries:
            return
        first = self.entries[0].owner
        kinds = {owner: {self._keys[i] for i in self._of[owner]} for owner in range(len(self._sizes))}
        other = next((owner for owner, kind in kinds.items() if kind != kinds[first]), None)
        if other is not None:
            names = ", ".join(sorted(repr(path[-1]) for _, path in kinds[other] ^ kinds[first]))
            raise TypeError(
                f"sample {first} and sample {other} do not both have {names}: samples that are mixed need the same "
                "entries; give an empty one where there is nothing"
            )

    def _check_mixable(self, i: int) -> None:
        entry, found = self.entries[i], self._opened[i]
        kinds = {type(leaf.transform) for leaf in self.plan.leaves if isinstance(leaf.transform, Mix)}
        if entry.role == "mask" and MixUp in kinds and not self._per_box(i):
            raise TypeError(f"{entry.where} cannot follow MixUp: classes have no mean; take MixUp or the mask out")
        if entry.role != "keypoints":
            return
        if found.ndim > 2 and found.shape[-1] == 2 and kinds - {MixUp}:
            raise TypeError(
                f"{entry.where} has no visibility to tell which points a mix has hidden; give keypoints (N, K, 3)"
            )
        if self.rules.flip_pairs and found.ndim == 2:
            raise TypeError(
                f"{entry.where} is a skeleton ({' x '.join(map(str, found.shape))}), and a mix unites those of several "
                "images; give (N, K, 3), one for each of N objects"
            )

    def advance(self, program: Program, runs: Sequence[Run]) -> None:
        """Let everything follow a program from where it is now."""
        every = range(len(self.entries))
        moving = self._moving(every, [entry.owner for entry in self.entries], self._now, self._ends, self._flags(every))
        moving.move(program, runs)
        self._now, self._ends = moving.values, moving.sizes
        self._moved = list(self._now)

    def peek(self, rows: Array, program: Program, runs: Sequence[Run]) -> dict[int, Any]:
        """Return by entry what a program of the samples `rows` alone would make of their targets."""
        chosen = [i for row in rows.tolist() for i in self._of[row]]
        owners = np.searchsorted(rows, [self.entries[i].owner for i in chosen]).tolist()
        moving = self._moving(chosen, owners, [self._now[i] for i in chosen], self._ends[rows], self._flags(chosen))
        moving.move(program, runs)
        return dict(zip(chosen, moving.values, strict=True))

    def now(self) -> dict[int, Any]:
        """Return by entry what the targets are."""
        return dict(enumerate(self._now))

    def compose(self, pieces: Pieces, found: Mapping[int, Any], sizes: Array) -> None:
        """Give the owners, whose images have `sizes (B, 2)`, what lies on their pieces. found: the sources' targets."""
        chosen = [(piece, i) for piece, source in enumerate(pieces.source.tolist()) for i in self._of[source]]
        owners, entries = [piece for piece, _ in chosen], [i for _, i in chosen]
        moving = self._moving(entries, owners, [found[i] for i in entries], pieces.program.sizes[:, 0], None)
        moving.move(pieces.program, pieces.runs)
        at = {(piece, self._keys[i]): k for k, (piece, i) in enumerate(chosen)}
        members: dict[int, list[int]] = defaultdict(list)
        for k, piece in enumerate(owners):
            members[piece].append(k)
        for piece in np.flatnonzero((pieces.hidden[:, 2:] > pieces.hidden[:, :2]).all(1)).tolist():
            moving.hide(members[piece], pieces.hidden[piece])
        for owner in np.unique(pieces.owner).tolist():
            mine = np.flatnonzero(pieces.owner == owner)
            for i in self._of[owner]:
                parts = [at[piece, self._keys[i]] for piece in mine.tolist()]
                self._now[i] = self._joined(i, moving, parts, pieces.place[mine], sizes[owner])
        self._ends = np.asarray(sizes, np.float64)
        self._moved = list(self._now)

    def _moving(
        self, chosen: Sequence[int], owners: Sequence[int], values: Sequence[Any], sizes: Array, left: Array | None
    ) -> Moving:
        """Take the entries `chosen`, given to other owners, as targets of their own."""
        entries, opened = [], []
        for i, owner, value in zip(chosen, owners, values, strict=True):
            entry, labels = replace(self.entries[i], holder=owner, owner=owner), self.entries[i].role == "labels"
            entries.append(replace(entry, value=value) if labels else entry)
            opened.append(None if labels else value)
        return Moving(entries, opened, sizes, left, self.rules, self.plan)

    def _flags(self, chosen: Sequence[int]) -> Array | None:
        """Return which boxes of the entries `chosen` a crop that looks at boxes has left; None without such a crop."""
        if self._tracker is None:
            return None
        ends = np.cumsum([len(self._opened[i]) for i in self._at["boxes"]])[:-1]
        kept = dict(zip(self._at["boxes"], np.split(self._tracker.kept, ends), strict=True)) | self._united
        return np.concatenate([np.zeros(0, bool), *(kept[i] for i in chosen if self.entries[i].role == "boxes")])

    def _joined(self, i: int, moving: Moving, parts: list[int], place: Array, size: Array) -> Any:
        """Put one entry together from its parts, positions in `moving`, which lie at `place (n, 4)`."""
        entry, values = self.entries[i], [moving.values[k] for k in parts]
        if entry.role == "labels":
            return _concatenate(values)
        if entry.role == "mask":
            shape = (int(size[0]), int(size[1]))
            if all(moving.per_box(k) for k in parts):
                return _concatenate([_pasted([v], p[None], shape, 0) for v, p in zip(values, place, strict=True)])
            return _pasted(values, place, shape, self._fill(i))
        if entry.role == "keypoints":
            shown = [moving.points(k) for k in parts]
            return np.concatenate([_shifted(v, p[1::-1], 1) for v, p in zip(shown, place, strict=True)])
        formats = {getattr(moving.entries[k].value, "format", None) for k in parts}
        if len(formats) > 1:
            raise TypeError(f"{entry.where} and those of a partner have several formats: {formats}; give one")
        corners = _CORNERS.get(self._formats[self._at["boxes"].index(i)], 1)
        joined = np.concatenate([_shifted(v, p[1::-1], corners) for v, p in zip(values, place, strict=True)])
        self._united[i] = np.ones(len(joined), bool)
        return joined

    def put(self, holder: int, sample: Any, tensors: bool) -> Any:
        result = super().put(holder, sample, tensors)
        return result if self.labels is None else self.labels.put(holder, result)


_CORNERS = {"xyxy": 2, "xyxyxyxy": 4}  # how many points stand in a box of the format, 1 in the others


def _place(entry: Entry) -> tuple[Any, ...]:
    """Return an entry's path without the row of the image that it belongs to."""
    at = entry.path.index(entry.owner)
    return (*entry.path[:at], *entry.path[at + 1 :])


def _concatenate(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        joined = torch.cat([value.as_subclass(torch.Tensor) for value in values])
        return joined if type(first) is torch.Tensor else joined.as_subclass(type(first))
    if isinstance(first, np.ndarray):
        return np.concatenate(values)
    return type(first)([part for value in values for part in value])


def _empty(like: Any, shape: tuple[int, ...], fill: float) -> Any:
    if isinstance(like, torch.Tensor):
        return torch.full(shape, fill, dtype=like.dtype, device=like.device)
    return np.full(shape, fill, like.dtype)


def _pasted(values: Sequence[Any], place: Array, size: tuple[int, int], fill: float) -> Any:
    """Lay masks `(..., h, w)` down one after the other."""
    result = _empty(values[0], (*values[0].shape[:-2], *size), fill)
    for value, (top, left, bottom, right) in zip(values, place.tolist(), strict=True):
        result[..., top:bottom, left:right] = value
    return result


def _shifted(values: Array, by: Array, points: int) -> Array:
    """Move the first `points` points of each row `(..., k)` by x and y."""
    result = values.copy()
    result[..., : 2 * points] += np.tile(by, points)
    return result


def uncovered(boxes: Array, kind: str, window: Array, rules: Rules) -> tuple[Array, Array]:
    """Return boxes `(N, k)` around what a window leaves of them, and which are left `(N,)`, by the rules' limits.

    A box that sticks out on one side shrinks to that side; otherwise it keeps its edges, and a rotated one always.
    """
    corners, low_edge, high_edge = corners_of(boxes, kind), window[1::-1], window[:1:-1]
    full = np.maximum(area_of(corners), 1e-12)
    extent = np.broadcast_to((high_edge - low_edge)[::-1], (len(boxes), 2))
    share = 1 - area_of(inside(corners - low_edge, extent)) / full if len(boxes) else np.zeros(0)
    left = (share > 1e-9) & (share >= rules.min_visibility * (1 - 1e-9)) & (share * full >= rules.min_area * (1 - 1e-9))
    if kind in ROTATED or not len(boxes):
        return boxes, left
    low, high = corners.min(1), corners.max(1)
    new_low, new_high = low.copy(), high.copy()
    for axis in (0, 1):
        across = (low_edge[1 - axis] <= low[:, 1 - axis]) & (high_edge[1 - axis] >= high[:, 1 - axis])
        start, end = low_edge[axis], high_edge[axis]
        first = across & (start <= low[:, axis]) & (end > low[:, axis])
        last = across & (end >= high[:, axis]) & (start < high[:, axis])
        new_low[first, axis] = np.minimum(end, high[first, axis])
        new_high[last & ~first, axis] = np.maximum(start, low[last & ~first, axis])
    return from_edges(new_low, new_high, kind), left


def find_mixed(
    entries: Sequence[Entry],
    samples: Sequence[Any],
    paths: Sequence[Path],
    rules: Rules,
    index: Sequence[int],
    count: int | None,
    plan: Plan,
) -> MixTargets:
    """Find the class labels of samples that will be mixed, beside the other targets, their `entries`.

    Images alone may be mixed. Raises TypeError where a sample has more than its image, and nothing that can be mixed.
    """
    mix = next(leaf.transform for leaf in plan.leaves if isinstance(leaf.transform, Mix))
    places = [find_label(sample, path, rules) for sample, path in zip(samples, paths, strict=True)]
    labels = None
    if places and all(place is not None for place in places):
        name = type(mix).__name__
        labels = SoftLabels.of(samples, places, index, count, plan.num_classes, name)  # type: ignore[arg-type]
    elif any(place is not None for place in places):
        row = next(i for i, place in enumerate(places) if place is None)
        raise TypeError(f"sample {row} (index {int(index[row])}) has no label, others have: {describe(samples[row])}")
    elif not entries and any(path is not None for path in paths):
        row = next(i for i, path in enumerate(paths) if path is not None)
        raise TypeError(
            f"{type(mix).__name__} mixes labels too, and there is none in {describe(samples[row])}; name it with keys, "
            'such as ("image", "label", None), or give the images alone'
        )
    return MixTargets(entries, rules, plan, labels)
