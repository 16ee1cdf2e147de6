"""Transforms that overwrite a part of the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.elementary import exp
from augsynth.transforms.base import (
    Array,
    Pixelwise,
    check_fill,
    check_inplace,
    is_number,
    is_pair,
    is_range,
    lerp,
)
from augsynth.transforms.fields import key_words
from augsynth.transforms.levels import column
from augsynth.transforms.noise import PixelNoise, normals, uniforms

__all__ = ["CoarseDropout", "GridDropout", "PixelDropout", "RandomErasing"]

_TRIES = 10


@dataclass(frozen=True)
class RandomErasing(Pixelwise, PixelNoise):
    """Fill a random rectangle of each image. Source: arXiv:1708.04896.

    scale: area of the rectangle as a fraction of the image, (low, high) in (0, 1].
    ratio: height over width, (low, high), log-uniform. An image where none of ten tries fits stays as it is.
    value: in image space, a number or one per channel; "random" for normal noise, `1/2 + n/4` of white each: the unit
    normals that torchvision writes, once `Normalize(0.5, 0.25)` has passed.
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float | tuple[float, ...] | str = 0.0
    inplace: bool = False

    def validate(self) -> None:
        if not is_range(self.scale, 0, 1):
            self.fail("scale", "(low, high) with 0 <= low <= high <= 1")
        if not (is_range(self.ratio) and self.ratio[0] > 0):
            self.fail("ratio", "(low, high) with 0 < low <= high")
        if not self.textured:
            check_fill(self, "value")
        check_inplace(self)

    @property
    def textured(self) -> bool:
        return self.value == "random"

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 2 * _TRIES + 2 + 2 * self.textured

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        return 4 + 2 * self.textured

    @property
    def constant(self) -> tuple[float, ...]:
        return (0.0,) if self.textured else check_fill(self, "value")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top, left, height, width in pixels, 0 where nothing fits; then two key words if noise is asked for."""
        height, width = sizes[:, :1], sizes[:, 1:]
        area = lerp(u[:, :_TRIES], *self.scale) * strength * height * width
        aspect = exp(lerp(u[:, _TRIES : 2 * _TRIES], math.log(self.ratio[0]), math.log(self.ratio[1])))
        h, w = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
        fits = (h < height) & (w < width)
        rows, first = np.arange(len(u)), fits.argmax(1)
        window = np.stack([h[rows, first], w[rows, first]], 1) * fits.any(1)[:, None]
        place = np.floor(u[:, 2 * _TRIES : 2 * _TRIES + 2] * (sizes - window + 1))
        return np.concatenate([place, window, key_words(u[:, 2 * _TRIES + 2 :])], 1)

    def rectangle(self, params: Array) -> Array:
        return params[:, :4].astype(np.int64)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        noise = (0.5 + normals(params[:, 4:], pixels) / 4).clamp(0.0, 1.0) * white
        return torch.where(_inside(params[:, :4], pixels), noise, pixels)


def _inside(windows: Array, pixels: torch.Tensor) -> torch.Tensor:
    """Tell which pixels lie in a rectangle `(R, 4)` of each image: `(R, 1, H, W)`."""
    box = torch.from_numpy(windows).to(pixels.device)[:, :, None, None, None]
    y = torch.arange(pixels.shape[2], device=pixels.device)[:, None]
    x = torch.arange(pixels.shape[3], device=pixels.device)
    return (y >= box[:, 0]) & (y < box[:, 0] + box[:, 2]) & (x >= box[:, 1]) & (x < box[:, 1] + box[:, 3])


class _Dropout(PixelNoise):
    """Overwrite the pixels of a mask. The first two parameters are the key words of all noise."""

    word: ClassVar[str] = "erase"

    @property
    def paint(self) -> float | tuple[float, ...] | None:
        """What the pixels become: in image space, or None for uniform noise."""
        raise TypeError(f"{type(self).__name__} has no paint")

    def mask(self, params: Array, pixels: torch.Tensor) -> torch.Tensor:
        """Tell `(R, 1 or C, H, W)` which pixels are overwritten."""
        raise TypeError(f"{type(self).__name__} has no mask")

    @property
    def constant(self) -> tuple[float, ...]:
        paint = self.paint
        return (0.0,) if paint is None else paint if isinstance(paint, tuple) else (float(paint),)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        if self.paint is None:
            noise = uniforms(params, pixels, lane=1)
            paint = (noise * 256).floor() if white == 255.0 else noise
        else:
            paint = torch.tensor(self.constant).to(pixels)[:, None, None]
        return torch.where(self.mask(params, pixels), paint, pixels)


class _Holes(_Dropout):
    """Overwrite rectangles, with one value by slices of the array."""

    fill: float | tuple[float, ...] | str

    @property
    def paint(self) -> float | tuple[float, ...] | None:
        return None if self.fill == "random" else self.fill  # type: ignore[return-value]

    def windows(self, params: Array, size: tuple[int, int]) -> Iterator[Any]:
        """Yield what indexes the pixels of each hole for parameters `(P,)` and a size (height, width)."""
        raise TypeError(f"{type(self).__name__} has no windows")

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        if self.paint is None:
            return super().apply_array(pixels, params, white)
        result = pixels.copy()
        paint = np.asarray(self.constant)
        value = (np.rint(paint) if pixels.dtype == np.uint8 else paint).astype(pixels.dtype)
        for window in self.windows(params, (pixels.shape[0], pixels.shape[1])):
            result[window] = value if pixels.ndim == 3 else value[0]
        return result


def _check_hole_fill(transform: _Holes) -> None:
    if transform.fill != "random":
        check_fill(transform)


@dataclass(frozen=True)
class CoarseDropout(_Holes):
    """Fill several random rectangles, with probability p. Source: arXiv:1708.04552.

    num_holes_range: how many, (low, high), ints from 1. hole_height_range, hole_width_range: (low, high), in pixels if
    they are ints, else as fractions of the image in (0, 1].
    fill: in image space, a number or one per channel; "random" for uniform noise.
    """

    num_holes_range: tuple[int, int] = (1, 2)
    hole_height_range: tuple[float, float] = (0.1, 0.2)
    hole_width_range: tuple[float, float] = (0.1, 0.2)
    fill: float | tuple[float, ...] | str = 0.0
    p: float = 0.5

    def validate(self) -> None:
        if not (is_range(self.num_holes_range, 1) and _are_ints(self.num_holes_range)):
            self.fail("num_holes_range", "(low, high), ints with 1 <= low <= high")
        for field in ("hole_height_range", "hole_width_range"):
            value = getattr(self, field)
            pixels = is_range(value, 1) and _are_ints(value)
            if not pixels and not (is_range(value, 0, 1) and value[0] > 0):
                self.fail(field, "(low, high), ints from 1 for pixels or fractions in (0, 1]")
        _check_hole_fill(self)

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 3 + 4 * self.num_holes_range[1]

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        return 2 + 4 * self.num_holes_range[1]

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, then top, left, height, width of each hole; height and width 0 of one that is none."""
        low, high = self.num_holes_range
        count = low + np.floor(u[:, 2:3] * (high - low + 1))
        draws = u[:, 3:].reshape(len(u), high, 4)
        length, width = (
            np.floor(np.minimum(_lengths(limit, draws[:, :, i], sizes[:, i : i + 1]), sizes[:, i : i + 1]) * strength)
            for i, limit in enumerate((self.hole_height_range, self.hole_width_range))
        )
        window = np.stack([length, width], 2) * (np.arange(high) < count)[:, :, None]
        place = np.floor(draws[:, :, 2:] * (sizes[:, None] - window + 1))
        return np.concatenate([key_words(u[:, :2]), np.concatenate([place, window], 2).reshape(len(u), -1)], 1)

    def mask(self, params: Array, pixels: torch.Tensor) -> torch.Tensor:
        holes = params[:, 2:].reshape(len(params), -1, 4)
        mask = _inside(holes[:, 0], pixels)
        for i in range(1, holes.shape[1]):
            mask |= _inside(holes[:, i], pixels)
        return mask

    def windows(self, params: Array, size: tuple[int, int]) -> Iterator[Any]:
        for top, left, height, width in params[2:].astype(np.int64).reshape(-1, 4).tolist():
            yield slice(top, top + height), slice(left, left + width)


def _are_ints(values: Any) -> bool:
    return all(isinstance(value, (int, np.integer)) for value in values)


def _lengths(limit: tuple[float, float], u: Array, size: Array) -> Array:
    """Draw lengths `(B, n)` in pixels from whole pixels or from fractions of `size (B, 1)`."""
    low, high = limit
    return low + np.floor(u * (high - low + 1)) if _are_ints(limit) else lerp(u, low, high) * size


@dataclass(frozen=True)
class GridDropout(_Holes):
    """Fill the holes of a regular grid, with probability p. Source: arXiv:2001.04086.

    ratio: side of a hole over side of its cell, in (0, 1). The cell's sides in pixels: both drawn from unit_size_range
    (low, high), ints from 2; or the image's divided by holes_number_xy, ints (x, y); or a tenth of the image's.
    random_offset: the grid starts anywhere, else at shift_xy (x, y) in pixels.
    fill: in image space, a number or one per channel; "random" for uniform noise.
    """

    ratio: float = 0.5
    random_offset: bool = True
    unit_size_range: tuple[int, int] | None = None
    holes_number_xy: tuple[int, int] | None = None
    shift_xy: tuple[int, int] = (0, 0)
    fill: float | tuple[float, ...] | str = 0.0
    p: float = 0.5

    draws: ClassVar[int] = 5
    params: ClassVar[int] = 8

    def validate(self) -> None:
        if not (is_number(self.ratio) and 0 < self.ratio < 1):
            self.fail("ratio", "a number between 0 and 1")
        units = self.unit_size_range
        if units is not None and not (is_range(units, 2) and _are_ints(units)):
            self.fail("unit_size_range", "None or (low, high), ints with 2 <= low <= high")
        for field, low in (("holes_number_xy", 1), ("shift_xy", 0)):
            value = getattr(self, field)
            optional = field == "holes_number_xy" and value is None
            if not optional and not (is_pair(value) and _are_ints(value) and min(value) >= low):
                self.fail(field, f"(x, y), ints from {low}")
        if units is not None and self.holes_number_xy is not None:
            self.fail("holes_number_xy", "None where unit_size_range is given")
        _check_hole_fill(self)

    def _units(self, u: Array, sizes: Array) -> Array:
        if self.unit_size_range is not None:
            low, high = self.unit_size_range
            return np.repeat(low + np.floor(u * (high - low + 1)), 2, axis=1)
        count = self.holes_number_xy or (10, 10)
        return np.asarray(np.maximum(np.floor(sizes / np.array(count[::-1])), 2))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, then y and x of the grid's start, of a cell's sides and of a hole's sides."""
        unit = self._units(u[:, 2:3], sizes)
        hole = np.rint(np.clip(np.floor(unit * self.ratio), 1, unit - 1) * strength)
        start = np.floor(u[:, 3:] * unit) if self.random_offset else np.broadcast_to(self.shift_xy[::-1], unit.shape)
        return np.concatenate([key_words(u[:, :2]), start, unit, hole], 1)

    def mask(self, params: Array, pixels: torch.Tensor) -> torch.Tensor:
        numbers = torch.from_numpy(params[:, 2:]).to(pixels.device)[:, :, None, None, None].unbind(1)
        y = torch.arange(pixels.shape[2], device=pixels.device)[:, None]
        x = torch.arange(pixels.shape[3], device=pixels.device)
        rows, columns = (
            torch.remainder(at - start, unit) < hole
            for at, start, unit, hole in zip((y, x), numbers[:2], numbers[2:4], numbers[4:], strict=True)
        )
        return rows & columns

    def windows(self, params: Array, size: tuple[int, int]) -> Iterator[Any]:
        rows, columns = (
            np.flatnonzero((np.arange(length) - params[2 + i]) % params[4 + i] < params[6 + i])
            for i, length in enumerate(size)
        )
        yield np.ix_(rows, columns)


@dataclass(frozen=True)
class PixelDropout(_Dropout):
    """Overwrite single pixels, with probability p.

    dropout_prob: share of the pixels, 0 to 1. per_channel: each channel loses pixels of its own.
    drop_value: in image space, a number or one per channel; None for uniform noise.
    """

    dropout_prob: float = 0.01
    per_channel: bool = False
    drop_value: float | tuple[float, ...] | None = 0.0
    p: float = 0.5

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 3

    def validate(self) -> None:
        if not (is_number(self.dropout_prob) and 0 <= self.dropout_prob <= 1):
            self.fail("dropout_prob", "a number from 0 to 1")
        if self.drop_value is not None:
            check_fill(self, "drop_value")

    @property
    def paint(self) -> float | tuple[float, ...] | None:
        return self.drop_value

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words and the share of pixels."""
        return np.concatenate([key_words(u), np.full((len(u), 1), self.dropout_prob * strength)], 1)

    def mask(self, params: Array, pixels: torch.Tensor) -> torch.Tensor:
        u = uniforms(params, pixels, channels=None if self.per_channel else 1)
        return u < column(params[:, 2], u)
