"""Boxes: their formats, and how they follow the pixels: as outlines, clipped to what a run keeps.

M boxes of a whole batch are moved at once; `owner (M,)` says which sample each belongs to. Coordinates are continuous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from augsynth.points import HORIZON, Route, distorted, forward
from augsynth.runs import Alone
from augsynth.transforms.base import Array, Distortion, Geometric, Transform
from augsynth.transforms.boxcrop import BoxCrop

# Format -> numbers per box. r is an angle in degrees, counter-clockwise, about the first corner or the centre.
FORMATS = {"xyxy": 4, "xywh": 4, "cxcywh": 4, "xyxyxyxy": 8, "xywhr": 5, "cxcywhr": 5}
ROTATED = ("xyxyxyxy", "xywhr", "cxcywhr")
# Points per edge that follow a distortion.
_SAMPLES = 16
# A box that is thinner than this, in pixels, is rounding and nothing else; so is missing a limit by this share.
_THIN, _SLACK = 1e-6, 1 - 1e-9


def corners_of(boxes: Array, kind: str) -> Array:
    """Return the corners `(N, 4, 2)` of boxes `(N, k)`: top left, top right, bottom right, bottom left, then turned."""
    if kind == "xyxyxyxy":
        return boxes.reshape(-1, 4, 2)
    first, extent = boxes[:, :2], boxes[:, 2:4]
    if kind in ROTATED:
        across, down = _axes(np.deg2rad(boxes[:, 4]))
        right, below = across * extent[:, :1], down * extent[:, 1:]
        first = first - (right + below) / 2 if kind == "cxcywhr" else first
        return np.stack([first, first + right, first + right + below, first + below], 1)
    low = first - extent / 2 if kind == "cxcywh" else first
    high = extent if kind == "xyxy" else low + extent
    return np.stack([low, np.stack([high[:, 0], low[:, 1]], 1), high, np.stack([low[:, 0], high[:, 1]], 1)], 1)


def from_edges(low: Array, high: Array, kind: str) -> Array:
    """Return upright boxes `(N, 4)` from their top left and bottom right corners `(N, 2)`."""
    if kind == "xyxy":
        return np.concatenate([low, high], 1)
    return np.concatenate([low if kind == "xywh" else (low + high) / 2, high - low], 1)


def from_corners(corners: Array, kind: str, mirrored: Array) -> Array:
    """Return rotated boxes `(N, k)` from where their corners went.

    xyxyxyxy holds these corners, whatever they form. The others are the smallest rectangle around them along the box's
    own upper edge: exact under flips, rotations and scaling, wider than the shape under shear and perspective.
    A mirror image changes left and right corners, so that they still go round clockwise.
    """
    corners = np.where(mirrored[:, None, None], corners[:, [1, 0, 3, 2]], corners)
    if kind == "xyxyxyxy":
        return np.asarray(corners.reshape(-1, 8))
    edge = corners[:, 1] - corners[:, 0]
    angle = np.arctan2(-edge[:, 1], edge[:, 0])
    across, down = _axes(angle)
    x, y = (corners * across[:, None]).sum(2), (corners * down[:, None]).sum(2)
    extent = np.stack([x.max(1) - x.min(1), y.max(1) - y.min(1)], 1)
    first = x.min(1)[:, None] * across + y.min(1)[:, None] * down
    if kind == "cxcywhr":
        first = first + (extent[:, :1] * across + extent[:, 1:] * down) / 2
    return np.concatenate([first, extent, np.rad2deg(angle)[:, None]], 1)


def _axes(angle: Array) -> tuple[Array, Array]:
    """Return the directions of a turned box's upper edge and of its left edge, `(N, 2)` each."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos, -sin], 1), np.stack([sin, cos], 1)


@dataclass(frozen=True)
class Boxes:
    """M boxes of a batch by their corners `(M, 4, 2)`, and which sample each belongs to, owner `(M,)`.

    outline `(M, K, 2)`: what is left of a box that was clipped. behind `(M,)`: a corner is behind a perspective's eye.
    """

    corners: Array
    owner: Array
    outline: Array
    behind: Array

    @classmethod
    def of(cls, corners: Array, owner: Array) -> Boxes:
        """Take boxes as they are before anything moves."""
        return cls(corners, owner, corners, np.zeros(len(owner), bool))

    def moved(self, route: Route) -> Boxes:
        """Follow the pixels to the end: once by each run, clipped to the image between two runs, not after the last."""
        boxes = self
        for step in range(len(route.steps)):
            boxes = boxes._moved(route, step)
        return boxes

    def _moved(self, route: Route, step: int) -> Boxes:
        bends = isinstance(route.steps[step], Alone)
        outline = inside(self.outline, route.before(step)[self.owner]) if step else self.outline
        moved = route.carry(step, self.corners, self.owner)
        behind = self.behind | (moved[..., 2] <= HORIZON).any(1)
        corners = _flat(moved)
        if bends or outline is not self.corners or behind.any():
            moved = route.carry(step, _dense(outline) if bends else outline, self.owner)
            return Boxes(corners, self.owner, _flat(_clip(moved, moved[..., 2] - HORIZON)), behind)
        return Boxes(corners, self.owner, corners, behind)

    def shown(self, sizes: Array, upright: Array, whole: Array) -> Shown:
        """Clip to canvases `(M, 2)`. upright, whole `(M,)`: not rotated; rounded to whole pixels.

        The clipped edges of an upright box are those of the box around its outline; a rotated box is measured by its
        area on the canvas and is dropped where a corner is behind the eye.
        """
        low, high = self.outline.min(1), self.outline.max(1)
        full = (high - low).prod(1)
        around = (self.corners.max(1) - self.corners.min(1)).prod(1)
        full = np.where(self.behind, full, np.maximum(full, around))
        limit = sizes[:, ::-1]
        kept_low, kept_high = np.clip(low, 0, limit), np.clip(high, 0, limit)
        kept_low = np.where(whole[:, None], np.rint(kept_low), kept_low)
        kept_high = np.where(whole[:, None], np.rint(kept_high), kept_high)
        extent = kept_high - kept_low
        area = np.where((extent > _THIN).all(1), extent.prod(1), 0.0)
        if not upright.all():
            turned = np.where(self.behind, 0.0, area_of(inside(self.outline, sizes)))
            area = np.where(upright, area, np.where(area > 0, turned, 0.0))
            full = np.where(upright, full, area_of(self.corners))
        return Shown(low, high, kept_low, kept_high, area, area / np.maximum(full, _THIN**2))


@dataclass(frozen=True)
class Shown:
    """Boxes on their canvas: edges `(M, 2)` before and after clipping, visible area in pixels, its share of the box."""

    low: Array
    high: Array
    kept_low: Array
    kept_high: Array
    area: Array
    share: Array

    def keeps(self, min_size: Array, min_area: Array, min_share: float) -> Array:
        """Tell which boxes have an area, and are not below the limits: sides in pixels, area, visible share."""
        large = ((self.kept_high - self.kept_low) >= min_size[:, None] * _SLACK).all(1)
        large &= self.area >= min_area * _SLACK
        return np.asarray((self.area > 0) & large & (self.share >= min_share * _SLACK))


def inside(outline: Array, sizes: Array) -> Array:
    """Clip outlines `(M, K, 2)` to canvases `(M, 2)`; the same array where nothing is outside."""
    for axis in (0, 1):
        limit = sizes[:, 1 - axis, None]
        if (outline[..., axis] < 0).any():
            outline = _clip(outline, outline[..., axis])
        if (outline[..., axis] > limit).any():
            outline = _clip(outline, limit - outline[..., axis])
    return outline


def _clip(outline: Array, side: Array) -> Array:
    """Cut off what lies where `side (M, K)`, linear in the points `(M, K, D)`, is negative: Sutherland and Hodgman.

    An outline with fewer points than others repeats its last; one that is cut off altogether shrinks to a point.
    """
    if (side > 0).all():
        return outline
    beside = np.roll(side, -1, 1)
    crosses = (side > 0) != (beside > 0)
    share = np.divide(side, side - beside, out=np.zeros_like(side), where=crosses)
    cuts = outline + share[..., None] * (np.roll(outline, -1, 1) - outline)
    count, points = outline.shape[:2]
    candidates = np.stack([outline, cuts], 2).reshape(count, 2 * points, outline.shape[2])
    used = np.stack([side > 0, crosses], 2).reshape(count, 2 * points)
    total = used.sum(1)
    order = np.argsort(~used, axis=1, kind="stable")
    place = np.minimum(np.arange(max(int(total.max(initial=0)), 1)), np.maximum(total - 1, 0)[:, None])
    chosen = np.take_along_axis(order, place, 1)
    return np.take_along_axis(candidates, chosen[..., None], 1)


def _flat(points: Array) -> Array:
    """Divide by the third coordinate; a point behind the eye is put where it was cut."""
    if (points[..., 2] == 1).all():
        return points[..., :2]
    return np.asarray(points[..., :2] / np.maximum(points[..., 2:], HORIZON))


def _dense(outline: Array) -> Array:
    """Put points along every edge, for a map that bends them."""
    share = np.arange(_SAMPLES)[:, None] / _SAMPLES
    ahead = np.roll(outline, -1, 1)
    points = outline[:, :, None] + share * (ahead - outline)[:, :, None]
    return np.asarray(points.reshape(len(outline), _SAMPLES * outline.shape[1], 2))


def area_of(outline: Array) -> Array:
    x, y = outline[..., 0], outline[..., 1]
    return np.asarray(np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)) / 2)


class Tracker:
    """The boxes of a batch while its program is drawn, for crops that look at them. See `program.Follower`.

    kept `(M,)`: which boxes such a crop has left. has: which samples have boxes, if only an empty set.
    """

    def __init__(self, boxes: Boxes, sizes: Array, has: Array) -> None:
        self.corners, self.owner = boxes.corners.copy(), boxes.owner
        self.sizes, self.has = np.array(sizes, np.float64), has
        self.kept = np.ones(len(self.owner), bool)

    def _edges(self) -> tuple[Array, Array]:
        """Return the boxes' clipped edges `(M, 4)`, and which are still there."""
        limit = self.sizes[self.owner][:, ::-1]
        low, high = np.clip(self.corners.min(1), 0, limit), np.clip(self.corners.max(1), 0, limit)
        return np.concatenate([low, high], 1), self.kept & (high - low > _THIN).all(1)

    def sampler(self, transform: Transform, rows: Any) -> Callable[[Array, Array, float], Array]:
        """Return the transform's way of drawing, given the boxes if it asks for them."""
        if not isinstance(transform, BoxCrop):
            return transform.sample_params
        edges, there = self._edges()
        samples = np.arange(len(self.sizes))[rows].tolist()
        boxes: Sequence[Array | None] = [
            edges[there & (self.owner == row)] if self.has[row] else None for row in samples
        ]
        return partial(transform.sample_beside, boxes)

    def follow(self, transform: Transform, rows: Any, params: Array, sizes: Array) -> None:
        """Move the boxes of these rows as the transform moves pixels."""
        if not isinstance(transform, (Geometric, Distortion)):
            return
        at = np.full(len(self.sizes), -1)
        at[rows] = np.arange(len(params))
        part = (at[self.owner] >= 0).nonzero()[0]
        row = at[self.owner[part]]
        if isinstance(transform, Distortion):
            for i in np.unique(row).tolist():
                mine, size = part[row == i], (int(sizes[i, 0]), int(sizes[i, 1]))
                self.corners[mine] = distorted(transform, params[i], size, self.corners[mine])
            return
        if isinstance(transform, BoxCrop):
            edges, _ = self._edges()
            self.kept[part] &= transform.keeps(params[row], edges[part])
        maps = np.linalg.inv(transform.matrix(params, sizes))
        self.corners[part] = _flat(forward(maps[row], self.corners[part]))
        self.sizes[rows] = transform.output_size(params, sizes)
