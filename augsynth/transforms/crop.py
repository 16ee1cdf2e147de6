"""Crops, padding and resizing: whole-pixel windows, and changes of size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar

import numpy as np

from augsynth.elementary import exp, log
from augsynth.transforms.base import (
    BORDER_MODES,
    Array,
    Border,
    Geometric,
    RowError,
    affine_matrix,
    check_fill,
    check_interpolation,
    is_range,
    lerp,
)

__all__ = ["CenterCrop", "Pad", "RandomCrop", "RandomResizedCrop", "Resize"]

_CROP_TRIES = 10


def as_size(value: object) -> tuple[int, int] | None:
    """Read a size: one int, or (height, width); None when it is neither."""
    entries = value if isinstance(value, tuple) else (value, value)
    if len(entries) == 1:
        entries = (entries[0], entries[0])
    if len(entries) != 2 or not all(
        isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v > 0 for v in entries
    ):
        return None
    return int(entries[0]), int(entries[1])


@cache
def _extent(size: int | tuple[int, int]) -> Array:
    """Return a checked size as an array (height, width)."""
    return np.asarray(as_size(size), np.float64)


@dataclass(frozen=True)
class RandomCrop(Geometric):
    """Cut a window of `size` at a random place, after optional padding.

    size: int or (height, width). padding: int, (x, y) or (left, top, right, bottom). pad_if_needed: pad an image that
    is too small instead of raising ValueError. padding_mode: constant, edge, reflect or symmetric.
    """

    size: int | tuple[int, int]
    padding: int | tuple[int, ...] | None = None
    pad_if_needed: bool = False
    fill: float | tuple[float, ...] = 0.0
    padding_mode: str = "constant"

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        _check_size(self)
        if self.padding is not None:
            _check_padding(self)
        if self.padding_mode not in BORDER_MODES:
            self.fail("padding_mode", "one of " + ", ".join(BORDER_MODES))
        check_fill(self)

    @cached_property
    def border(self) -> Border | None:
        return Border(self.padding_mode, check_fill(self)) if self.padding or self.pad_if_needed else None

    @cached_property
    def opens_run(self) -> bool:  # type: ignore[override]
        return self.border is not None

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top and left of the window in the unpadded image's pixels."""
        size = _extent(self.size)
        left, top, right, bottom = sides_of(self.padding or 0)
        before, padded = np.array([top, left]), sizes + np.array([top + bottom, left + right])
        missing = np.maximum(size - padded, 0)
        if self.pad_if_needed:
            before, padded = before + missing, padded + 2 * missing
        elif missing.any():
            row = int(np.flatnonzero(missing.any(1))[0])
            have = " x ".join(str(int(v)) for v in padded[row])
            raise RowError(
                row,
                f"size={self.size} is larger than the image ({have} pixels with padding); "
                "use pad_if_needed=True or a Resize before it",
            )
        check_reflection(self.padding_mode, before, sizes)
        free = padded - size
        # Weak augmentation keeps the window near the middle; full strength is uniform over all places.
        place = np.floor((0.5 + (u - 0.5) * strength) * (free + 1))
        return np.asarray(np.minimum(place, free) - before)

    def matrix(self, params: Array, sizes: Array) -> Array:
        return affine_matrix(1.0, 0.0, 0.0, 1.0, params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(_extent(self.size), sizes.shape)


@dataclass(frozen=True)
class CenterCrop(Geometric):
    """Cut the middle `size` (int or (height, width)) out; what an image is too small for is filled with 0."""

    size: int | tuple[int, int]

    may_stay_inside: ClassVar[bool] = True

    def validate(self) -> None:
        _check_size(self)

    @cached_property
    def border(self) -> Border:
        return Border()

    def _corner(self, sizes: Array) -> Array:
        free = sizes - _extent(self.size)
        return np.asarray(np.where(free >= 0, np.rint(free / 2.0), -np.floor(-free / 2.0)))

    def matrix(self, params: Array, sizes: Array) -> Array:
        corner = self._corner(sizes)
        return affine_matrix(1.0, 0.0, 0.0, 1.0, corner[:, 1], corner[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(_extent(self.size), sizes.shape)

    def looks_outside(self, params: Array, sizes: Array) -> Array:
        return np.asarray((sizes < _extent(self.size)).any(1))


@dataclass(frozen=True)
class Pad(Geometric):
    """Pad by whole pixels.

    padding: int, (x, y) or (left, top, right, bottom). padding_mode: constant (with `fill`, in image space), edge,
    reflect (without repeating the edge, needs padding < size) or symmetric.
    """

    padding: int | tuple[int, ...]
    fill: float | tuple[float, ...] = 0.0
    padding_mode: str = "constant"

    opens_run: ClassVar[bool] = True

    def validate(self) -> None:
        _check_padding(self)
        if self.padding_mode not in BORDER_MODES:
            self.fail("padding_mode", "one of " + ", ".join(BORDER_MODES))
        check_fill(self)

    @cached_property
    def border(self) -> Border:
        return Border(self.padding_mode, check_fill(self))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        left, top, right, bottom = sides_of(self.padding)
        reach = np.array([max(top, bottom), max(left, right)])
        check_reflection(self.padding_mode, np.broadcast_to(reach, sizes.shape), sizes)
        return np.empty((len(sizes), 0))

    def matrix(self, params: Array, sizes: Array) -> Array:
        left, top, _, _ = sides_of(self.padding)
        return affine_matrix(1.0, 0.0, 0.0, 1.0, np.full(len(sizes), -float(left)), np.full(len(sizes), -float(top)))

    def output_size(self, params: Array, sizes: Array) -> Array:
        left, top, right, bottom = sides_of(self.padding)
        return sizes + np.array([top + bottom, left + right], np.float64)


@dataclass(frozen=True)
class Resize(Geometric):
    """Resize to (height, width), or the shorter side to an int, keeping the aspect ratio.

    max_size: upper bound of the longer side, with an int size only. antialias: filter when shrinking.
    """

    size: int | tuple[int, ...]
    interpolation: str = "bilinear"
    max_size: int | None = None
    antialias: bool = True

    resizes: ClassVar[bool] = True

    def validate(self) -> None:
        _check_size(self)
        if self.max_size is not None and (
            self._exact() or not isinstance(self.max_size, int) or self.max_size < self._short()
        ):
            self.fail("max_size", "None, or an int that is at least size, with an int size only")
        check_interpolation(self)

    def _exact(self) -> bool:
        return isinstance(self.size, tuple) and len(self.size) == 2

    def _short(self) -> int:
        return (as_size(self.size) or (0, 0))[0]

    def matrix(self, params: Array, sizes: Array) -> Array:
        ratio = sizes / self.output_size(params, sizes)
        zero = np.zeros(len(sizes))
        return affine_matrix(ratio[:, 1], 0.0, 0.0, ratio[:, 0], zero, zero)

    def output_size(self, params: Array, sizes: Array) -> Array:
        if self._exact():
            return np.broadcast_to(np.asarray(self.size, np.float64), sizes.shape)
        short, long = sizes.min(1), sizes.max(1)
        new_short = np.full(len(sizes), float(self._short()))
        new_long = np.floor(self._short() * long / short)
        if self.max_size is not None:
            over = new_long > self.max_size
            new_short = np.where(over, np.floor(self.max_size * new_short / new_long), new_short)
            new_long = np.where(over, self.max_size, new_long)
        tall = sizes[:, 0] > sizes[:, 1]
        pair = [np.where(tall, new_long, new_short), np.where(tall, new_short, new_long)]
        return np.asarray(np.maximum(np.stack(pair, 1), 1.0))


@dataclass(frozen=True)
class RandomResizedCrop(Geometric):
    """Cut a window of random area and aspect ratio and resize it to `size`. Source: arXiv:1409.4842.

    size: int or (height, width). scale: area of the window as a fraction of the image, (low, high) in (0, 1].
    ratio: width over height, (low, high), log-uniform. antialias: filter when shrinking.
    """

    size: int | tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    antialias: bool = True

    resizes: ClassVar[bool] = True
    cuts: ClassVar[bool] = True
    draws: ClassVar[int] = 2 * _CROP_TRIES + 2
    params: ClassVar[int] = 4

    def validate(self) -> None:
        _check_size(self)
        if not (is_range(self.scale, 0, 1) and self.scale[0] > 0):
            self.fail("scale", "(low, high) with 0 < low <= high <= 1")
        if not (is_range(self.ratio) and self.ratio[0] > 0):
            self.fail("ratio", "(low, high) with 0 < low <= high")
        check_interpolation(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top, left, height, width of the window in pixels: the first of ten tries that fits."""
        height, width = sizes[:, :1], sizes[:, 1:]
        area = lerp(u[:, :_CROP_TRIES], 1 - strength * (1 - self.scale[0]), 1 - strength * (1 - self.scale[1]))
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        own = log(width / height)
        aspect = exp(own + strength * (lerp(u[:, _CROP_TRIES : 2 * _CROP_TRIES], low, high) - own))
        pixels = area * height * width
        w, h = np.rint(np.sqrt(pixels * aspect)), np.rint(np.sqrt(pixels / aspect))
        fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
        first, any_fits = fits.argmax(1), fits.any(1)
        rows = np.arange(len(u))
        window = np.stack([h[rows, first], w[rows, first]], 1)
        place = np.floor(u[:, -2:] * (sizes - window + 1))
        if not any_fits.all():
            fallback = self._fallback(sizes)
            window = np.where(any_fits[:, None], window, fallback)
            place = np.where(any_fits[:, None], place, np.floor((sizes - fallback) / 2))
        return np.concatenate([place, window], 1)

    def _fallback(self, sizes: Array) -> Array:
        """Return the largest central window whose aspect ratio is allowed."""
        height, width = sizes[:, 0], sizes[:, 1]
        h = np.where(width / height < self.ratio[0], np.rint(width / self.ratio[0]), height)
        w = np.where(width / height > self.ratio[1], np.rint(height * self.ratio[1]), width)
        return np.asarray(np.maximum(np.stack([h, w], 1), 1.0))

    def matrix(self, params: Array, sizes: Array) -> Array:
        h, w = _extent(self.size)
        return affine_matrix(params[:, 3] / w, 0.0, 0.0, params[:, 2] / h, params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(_extent(self.size), sizes.shape)


def _check_size(transform: RandomCrop | CenterCrop | Resize | RandomResizedCrop) -> None:
    if as_size(transform.size) is None:
        transform.fail("size", "an int > 0 or (height, width)")


def _check_padding(transform: RandomCrop | Pad) -> None:
    value = transform.padding
    entries = value if isinstance(value, tuple) else (value,)
    if len(entries) not in (1, 2, 4) or not all(
        isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in entries
    ):
        transform.fail("padding", "an int >= 0, (x, y) or (left, top, right, bottom)")


def check_reflection(mode: str, reach: Array, sizes: Array) -> None:
    """Refuse padding that asks a reflection for pixels the image does not have."""
    limit = {"reflect": sizes - 1, "symmetric": sizes}.get(mode)
    if limit is not None and (reach > limit).any():
        row = int(np.flatnonzero((reach > limit).any(1))[0])
        have = " x ".join(str(int(v)) for v in sizes[row])
        raise RowError(row, f"padding_mode={mode} needs padding smaller than the image ({have} pixels)")


def sides_of(padding: int | tuple[int, ...]) -> tuple[int, int, int, int]:
    """Read padding as left, top, right, bottom."""
    entries = padding if isinstance(padding, tuple) else (padding,)
    if len(entries) == 4:
        return entries[0], entries[1], entries[2], entries[3]
    return entries[0], entries[-1], entries[0], entries[-1]
