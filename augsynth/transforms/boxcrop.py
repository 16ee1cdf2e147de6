"""Crops that look at the boxes of a sample before they draw, and the limits below which boxes are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augsynth.transforms.base import Array, Geometric, RowError, affine_matrix, check_interpolation, is_number, lerp

__all__ = [
    "AtLeastOneBBoxRandomCrop",
    "BBoxSafeRandomCrop",
    "RandomIoUCrop",
    "RandomSizedBBoxSafeCrop",
    "SanitizeBoundingBoxes",
]

_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


class BoxCrop(Geometric):
    """A crop that draws with an eye on the boxes. Its parameters are top, left, height, width in pixels."""

    params: ClassVar[int] = 4

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return self.sample_beside([None] * len(u), u, sizes, strength)

    def sample_beside(self, boxes: Sequence[Array | None], u: Array, sizes: Array, strength: float) -> Array:
        """Draw windows, given each sample's boxes `(N, 4)` as edges inside the image, None where it has none at all."""
        rows = zip(boxes, u, sizes, strict=True)
        drawn = [self.window(beside, draw, size, strength) for beside, draw, size in rows]
        return np.array(drawn, np.float64).reshape(-1, 4)

    def window(self, boxes: Array | None, u: Array, size: Array, strength: float) -> tuple[float, ...]:
        """Draw one sample's window from its uniforms `(draws,)` and its size `(2,)`."""
        raise TypeError(f"{type(self).__name__} draws no window")

    def keeps(self, params: Array, boxes: Array) -> Array:
        """Tell for M boxes `(M, 4)` and the windows they meet `(M, 4)` which of them stay, `(M,)`."""
        return np.ones(len(boxes), bool)

    def matrix(self, params: Array, sizes: Array) -> Array:
        return affine_matrix(1.0, 0.0, 0.0, 1.0, params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return params[:, 2:]


@dataclass(frozen=True)
class RandomIoUCrop(BoxCrop):
    """Cut a window that overlaps some box enough; boxes whose centre is outside are dropped. Source: arXiv:1512.02325.

    min_scale, max_scale: of its height and of its width, as fractions of the image's. min_aspect_ratio,
    max_aspect_ratio: width over height. sampler_options: the least IoU with one box is one of these, 1 or more for the
    whole image; one that no window of `trials` satisfies gives way to another, the last to the whole image.
    A sample without boxes gets a window by scale and aspect ratio alone.
    """

    min_scale: float = 0.3
    max_scale: float = 1.0
    min_aspect_ratio: float = 0.5
    max_aspect_ratio: float = 2.0
    sampler_options: tuple[float, ...] | None = None
    trials: int = 40

    def validate(self) -> None:
        for low, high, limit in (("min_scale", "max_scale", 1.0), ("min_aspect_ratio", "max_aspect_ratio", np.inf)):
            for name in (low, high):
                value = getattr(self, name)
                if not (is_number(value) and 0 < value <= limit):
                    self.fail(name, f"a number above 0{', at most 1' if limit == 1 else ''}")
            if getattr(self, low) > getattr(self, high):
                self.fail(low, f"at most {high}={getattr(self, high)}")
        options = self.sampler_options
        if options is not None and not (isinstance(options, tuple) and options and all(map(_is_overlap, options))):
            self.fail("sampler_options", "None or numbers >= 0, the least IoU; 1 or more for the whole image")
        if not _is_count(self.trials):
            self.fail("trials", "an int > 0")

    @cached_property
    def _options(self) -> tuple[float, ...]:
        return _OVERLAPS if self.sampler_options is None else self.sampler_options

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return len(self._options) + 4 * self.trials

    def window(self, boxes: Array | None, u: Array, size: Array, strength: float) -> tuple[float, ...]:
        windows, fits = self._windows(u[len(self._options) :].reshape(-1, 4), size, strength)
        best = np.where(fits, np.inf, -np.inf)
        if boxes is not None and len(boxes):
            best = np.where(fits, _best_overlap(windows, boxes), -np.inf)
        # The options in random order: the first that a window satisfies is as likely as any other that one does.
        for option in np.argsort(u[: len(self._options)], kind="stable").tolist():
            if self._options[option] >= 1:
                break
            if (best >= self._options[option]).any():
                return tuple(windows[int((best >= self._options[option]).argmax())].tolist())
        return 0.0, 0.0, float(size[0]), float(size[1])

    def _windows(self, u: Array, size: Array, strength: float) -> tuple[Array, Array]:
        """Return the windows of all trials `(T, 4)`, and which have an allowed shape."""
        low, high = 1 - strength * (1 - self.min_scale), 1 - strength * (1 - self.max_scale)
        extent = np.floor(size * lerp(u[:, :2], low, high))
        place = np.floor((size - extent) * u[:, 2:])
        aspect = extent[:, 1] / np.maximum(extent[:, 0], 1)
        fits = (extent >= 1).all(1) & (aspect >= self.min_aspect_ratio) & (aspect <= self.max_aspect_ratio)
        return np.concatenate([place, extent], 1), fits

    def keeps(self, params: Array, boxes: Array) -> Array:
        return _hold(params, boxes)


class _SafeCrop(BoxCrop):
    erosion_rate: float
    draws: ClassVar[int] = 4

    def window(self, boxes: Array | None, u: Array, size: Array, strength: float) -> tuple[float, ...]:
        union = None if boxes is None else _union(boxes, self.erosion_rate)
        if union is None:
            least = max(np.floor(size[0] * (1.0 - self.erosion_rate * strength)), 1.0)
            height = least + np.floor(u[0] * (size[0] - least + 1))
            extent = np.array([height, max(np.floor(height * size[1] / size[0]), 1.0)])
            return (*np.floor(u[1:3] * (size - extent + 1)).tolist(), *extent.tolist())
        low, high = union[[1, 0]], union[[3, 2]]
        first = np.minimum(np.floor(low * u[:2] * strength), size - 1)
        last = np.ceil(high + (size - high) * (1 - strength * (1 - u[2:])))
        last = np.minimum(np.maximum(last, first + 1), size)
        return (*first.tolist(), *(last - first).tolist())


@dataclass(frozen=True)
class BBoxSafeRandomCrop(_SafeCrop):
    """Cut a window that holds all boxes.

    erosion_rate: 0 to 1, by how much of its width and height the area that several boxes cover may be cut into.
    Without boxes the window keeps the image's shape and at least 1 - erosion_rate of its height.
    """

    erosion_rate: float = 0.0
    p: float = 1.0

    def validate(self) -> None:
        _check_fraction(self, "erosion_rate")


@dataclass(frozen=True)
class RandomSizedBBoxSafeCrop(_SafeCrop):
    """Cut a window as `BBoxSafeRandomCrop` does, and resize it to height x width pixels."""

    height: int
    width: int
    erosion_rate: float = 0.0
    interpolation: str = "bilinear"
    p: float = 1.0

    resizes: ClassVar[bool] = True
    cuts: ClassVar[bool] = True

    def validate(self) -> None:
        _check_extent(self)
        _check_fraction(self, "erosion_rate")
        check_interpolation(self)

    def matrix(self, params: Array, sizes: Array) -> Array:
        ratio = params[:, 2:] / np.array([self.height, self.width])
        return affine_matrix(ratio[:, 1], 0.0, 0.0, ratio[:, 0], params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(np.array([self.height, self.width], np.float64), sizes.shape)


@dataclass(frozen=True)
class AtLeastOneBBoxRandomCrop(BoxCrop):
    """Cut a window of height x width pixels that holds one of the boxes, chosen at random, or what it can of it.

    erosion_factor: 0 to 1, how much of that box's width and height may stay outside; at 1 they overlap somewhere.
    Without boxes the window is anywhere. Raises ValueError for an image that is smaller than the window.
    """

    height: int
    width: int
    erosion_factor: float = 0.0
    p: float = 1.0

    draws: ClassVar[int] = 3

    def validate(self) -> None:
        _check_extent(self)
        _check_fraction(self, "erosion_factor")

    def sample_beside(self, boxes: Sequence[Array | None], u: Array, sizes: Array, strength: float) -> Array:
        small = (sizes < [self.height, self.width]).any(1)
        if small.any():
            row = int(small.argmax())
            have = " x ".join(str(int(v)) for v in sizes[row])
            raise RowError(row, f"{self.height} x {self.width} is larger than the image ({have} pixels)")
        return super().sample_beside(boxes, u, sizes, strength)

    def window(self, boxes: Array | None, u: Array, size: Array, strength: float) -> tuple[float, ...]:
        extent = np.array([self.height, self.width], np.float64)
        low, high = np.zeros(2), size - extent
        if boxes is not None and len(boxes):
            box = boxes[int(u[0] * len(boxes))]
            first, last = box[[1, 0]], box[[3, 2]]
            needed = (last - first) * (1 - self.erosion_factor)
            # Whole pixels; where any overlap will do, touching is not enough.
            touch = float(self.erosion_factor == 1)
            ends = np.ceil(first + needed - extent + touch * 1e-3), np.floor(last - needed - touch * 1e-3)
            low, high = (np.clip(end, low, high) for end in (np.minimum(*ends), np.maximum(*ends)))
        place = low + np.floor((0.5 + (u[1:] - 0.5) * strength) * (high - low + 1))
        return (*np.minimum(place, high).tolist(), *extent.tolist())


@dataclass(frozen=True)
class SanitizeBoundingBoxes(Geometric):
    """Drop boxes below a size, with all that belongs to them, at the end of the pipeline wherever this stands in it.

    Boxes are always clipped to the image, and dropped without an area, with their labels; this sets limits for samples
    to which it is applied. min_size: of both sides, in pixels. min_area: in square pixels. labels_getter: "default",
    None, or the names of further fields that go with the boxes, beside `Pipeline(label_keys=...)`.
    """

    min_size: float = 1.0
    min_area: float = 1.0
    labels_getter: str | tuple[str, ...] | None = "default"

    def validate(self) -> None:
        for name in ("min_size", "min_area"):
            if not (is_number(getattr(self, name)) and getattr(self, name) >= 1):
                self.fail(name, "a number >= 1, in pixels")
        names = self.labels_getter
        names = names if isinstance(names, tuple) else () if names is None else (names,)
        if not all(isinstance(name, str) for name in names):
            self.fail(
                "labels_getter",
                '"default", None, or names of fields; name what a function would return',
            )

    @property
    def label_fields(self) -> tuple[str, ...]:
        """The names of further fields that go with the boxes."""
        names = self.labels_getter
        return names if isinstance(names, tuple) else () if names in (None, "default") else (str(names),)

    def matrix(self, params: Array, sizes: Array) -> Array:
        zero = np.zeros(len(sizes))
        return affine_matrix(1.0, 0.0, 0.0, 1.0, zero, zero)


def _hold(windows: Array, boxes: Array) -> Array:
    """Tell which windows `(..., 4)` (top, left, height, width) hold the centres of boxes `(..., 4)` (edges)."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    low = windows[..., [1, 0]]
    return np.asarray(((low < centre) & (centre < low + windows[..., [3, 2]])).all(-1))


def _best_overlap(windows: Array, boxes: Array) -> Array:
    """Return the largest IoU of each window `(T, 4)` with a box whose centre it holds, `(T,)`; -inf without one."""
    windows, boxes = windows[:, None], boxes[None]
    low = windows[..., [1, 0]]
    high = low + windows[..., [3, 2]]
    shared = np.maximum(np.minimum(high, boxes[..., 2:]) - np.maximum(low, boxes[..., :2]), 0).prod(-1)
    areas = windows[..., 2:].prod(-1) + (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    return np.asarray(np.where(_hold(windows, boxes), shared / np.maximum(areas - shared, 1e-9), -np.inf).max(1))


def _union(boxes: Array, erosion: float) -> Array | None:
    """Return the edges around all boxes `(N, 4)`, several cut into by `erosion`; None for nothing."""
    if not len(boxes) or erosion == 1:
        return None
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    inset = (high - low) * erosion / 2 * (len(boxes) > 1)
    return np.concatenate([low + inset, high - inset])


def _check_fraction(transform: Geometric, field: str) -> None:
    value = getattr(transform, field)
    if not (is_number(value) and 0 <= value <= 1):
        transform.fail(field, "a number from 0 to 1")


def _check_extent(transform: RandomSizedBBoxSafeCrop | AtLeastOneBBoxRandomCrop) -> None:
    for field in ("height", "width"):
        if not _is_count(getattr(transform, field)):
            transform.fail(field, "an int > 0")


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value > 0)


def _is_overlap(value: Any) -> bool:
    return is_number(value) and value >= 0
