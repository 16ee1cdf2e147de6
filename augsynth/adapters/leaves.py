"""Transforms that other libraries have and no public one of this library: they fuse, and targets follow them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from augsynth.transforms.base import Array, Border, Geometric, affine_matrix, lerp, normals
from augsynth.transforms.combine import SomeOf, reorder
from augsynth.transforms.distort import ElasticTransform
from augsynth.transforms.tone import Solarize

Range = tuple[float, float]
_NONE = (0.0, 0.0)
_ONE = (1.0, 1.0)
_SPREAD = 0.32  # albumentations folds jitter beyond this share of a side back


@dataclass(frozen=True)
class Rgb(Geometric):
    """Refuse images that do not have three channels, and change nothing."""

    channels: ClassVar[tuple[int, ...]] = (3,)

    def matrix(self, params: Array, sizes: Array) -> Array:
        zero = np.zeros(len(sizes))
        return affine_matrix(1.0, 0.0, 0.0, 1.0, zero, zero)


class _Bordered(Geometric):
    padding_mode: str
    fill: float | tuple[float, ...]

    @cached_property
    def border(self) -> Border:
        fill = self.fill if isinstance(self.fill, tuple) else (self.fill,)
        return Border(self.padding_mode, tuple(float(v) for v in fill))


@dataclass(frozen=True)
class Affine(_Bordered):
    """Scale, rotate counter-clockwise, shear and shift about the middle, in albumentations' order.

    Ranges (low, high): scales per axis, turns and shears in degrees, shifts as shares of width and height, or in whole
    pixels. keep_ratio: y is scaled as x. balanced: shrinking is as likely as growing.
    """

    scale_x: Range = _ONE
    scale_y: Range = _ONE
    shift_x: Range = _NONE
    shift_y: Range = _NONE
    pixels: bool = False
    rotate: Range = _NONE
    shear_x: Range = _NONE
    shear_y: Range = _NONE
    keep_ratio: bool = False
    balanced: bool = False
    interpolation: str = "bilinear"
    padding_mode: str = "constant"
    fill: float | tuple[float, ...] = 0.0
    p: float = 0.5

    antialias: ClassVar[bool] = False
    draws: ClassVar[int] = 9
    params: ClassVar[int] = 7

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return scale x, scale y, shift x, shift y (pixels), angle, shear x, shear y (degrees)."""
        x, y = self._scales(u[:, 0], u[:, 1], self.scale_x), self._scales(u[:, 2], u[:, 3], self.scale_y)
        scales = np.stack([x, x if self.keep_ratio else y], 1) ** strength
        if self.pixels:
            spans = np.array([high - low + 1 for low, high in (self.shift_x, self.shift_y)])
            shifts = np.floor(u[:, 4:6] * spans) + np.array([self.shift_x[0], self.shift_y[0]])
        else:
            low, high = np.array([self.shift_x, self.shift_y]).T
            shifts = lerp(u[:, 4:6], low, high) * sizes[:, ::-1]
        low, high = np.array([self.rotate, self.shear_x, self.shear_y]).T
        return np.concatenate([scales, np.trunc(shifts * strength), lerp(u[:, 6:], low, high) * strength], 1)

    def _scales(self, u: Array, side: Array, limits: Range) -> Array:
        low, high = limits
        if self.balanced:
            below, above = lerp(u, low, 1.0), lerp(u, 1.0, high)
            if low < 1 < high:
                return np.where(side < 0.5, below, above)
            return below if low < 1 else above if high > 1 else np.ones(len(u))
        return lerp(u, low, high)

    def matrix(self, params: Array, sizes: Array) -> Array:
        angle, shear_x, shear_y = np.deg2rad(params[:, 4:]).T
        cos, sin, tan_x, tan_y = np.cos(angle), np.sin(angle), -np.tan(shear_x), -np.tan(shear_y)
        # shear @ rotate @ scale, from the input to the output.
        a, b = (cos - tan_x * sin) * params[:, 0], (sin + tan_x * cos) * params[:, 1]
        c, d = (tan_y * cos - sin) * params[:, 0], (tan_y * sin + cos) * params[:, 1]
        forward = affine_matrix(a, b, c, d, params[:, 2], params[:, 3])
        middle = affine_matrix(1.0, 0.0, 0.0, 1.0, sizes[:, 1] / 2, sizes[:, 0] / 2)
        return np.asarray(middle @ np.linalg.inv(forward) @ np.linalg.inv(middle))


@dataclass(frozen=True)
class Perspective(_Bordered):
    """Look at the image from another side: four corners near its own become the output's, in albumentations' way.

    scale: (low, high), the standard deviation of the corners' moves as a share of the sides. The result is enlarged by
    what the corners have lost and keeps its upper left part, as it is there.
    """

    scale: Range = (0.05, 0.1)
    interpolation: str = "bilinear"
    padding_mode: str = "constant"
    fill: float | tuple[float, ...] = 0.0
    p: float = 0.5

    antialias: ClassVar[bool] = False
    draws: ClassVar[int] = 9
    params: ClassVar[int] = 8

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return x and y of the four corners, as shares of width and height, clockwise from the upper left."""
        jitter = np.mod(np.abs(normals(u[:, 1:]) * lerp(u[:, :1], *self.scale)), _SPREAD) * strength
        return np.asarray(np.where(_FAR, 1 - jitter, jitter))

    def matrix(self, params: Array, sizes: Array) -> Array:
        corners = params.reshape(-1, 4, 2) * sizes[:, None, ::-1]
        x, y = corners.transpose(2, 1, 0)
        upper, lower = np.hypot(x[1] - x[0], y[1] - y[0]), np.hypot(x[2] - x[3], y[2] - y[3])
        right, left = np.hypot(x[2] - x[1], y[2] - y[1]), np.hypot(x[3] - x[0], y[3] - y[0])
        # Whole pixels, as there; the corners' own map ends in the whole image, and is enlarged once more.
        span = np.stack([np.floor(np.maximum(upper, lower)), np.floor(np.maximum(right, left))], 1)
        unit = square_to(corners)
        shrink = np.zeros((len(params), 3, 3))
        shrink[:, [0, 1], [0, 1]] = span / (sizes[:, ::-1] ** 2)
        shrink[:, 2, 2] = 1.0
        # Corners and pixels are counted from pixel centres there.
        centre = affine_matrix(1.0, 0.0, 0.0, 1.0, np.full(len(params), 0.5), np.full(len(params), 0.5))
        return np.asarray(centre @ unit @ shrink @ np.linalg.inv(centre))


_FAR = np.array([0, 0, 1, 0, 1, 1, 0, 1], bool)


def square_to(corners: Array) -> Array:
    """Return the homographies `(B, 3, 3)` from the unit square to corners `(B, 4, 2)`, clockwise from the first."""
    x, y = corners.transpose(2, 1, 0)
    (east_x, east_y), (south_x, south_y) = (x[1] - x[2], y[1] - y[2]), (x[3] - x[2], y[3] - y[2])
    skew_x, skew_y = x[0] - x[1] + x[2] - x[3], y[0] - y[1] + y[2] - y[3]
    area = east_x * south_y - south_x * east_y
    g, h = (skew_x * south_y - south_x * skew_y) / area, (east_x * skew_y - skew_x * east_y) / area
    result = affine_matrix(
        x[1] - x[0] + g * x[1], x[3] - x[0] + h * x[3], y[1] - y[0] + g * y[1], y[3] - y[0] + h * y[3], x[0], y[0]
    )
    result[:, 2, 0], result[:, 2, 1] = g, h
    return result


class _Window(Geometric):
    """A crop whose parameters are top, left, height and width in pixels."""

    params: ClassVar[int] = 4

    def matrix(self, params: Array, sizes: Array) -> Array:
        return affine_matrix(1.0, 0.0, 0.0, 1.0, params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return params[:, 2:]


@dataclass(frozen=True)
class FixedCrop(_Window):
    """Cut the window from (top, left) on; None for the middle, rounded down. What lies outside the image is no part."""

    height: int
    width: int
    top: int | None = None
    left: int | None = None

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        size, corner = (
            np.array([self.height, self.width], np.float64),
            np.floor((sizes - [self.height, self.width]) / 2),
        )
        if self.top is not None:
            corner = np.broadcast_to(np.array([self.top, self.left], np.float64), sizes.shape)
        first = np.clip(corner, 0, sizes - 1)
        return np.concatenate([first, np.maximum(np.minimum(corner + size, sizes) - first, 1)], 1)


@dataclass(frozen=True)
class BorderCrop(_Window):
    """Cut up to these shares of width and height off, by whole pixels, at each side."""

    crop_left: float
    crop_right: float
    crop_top: float
    crop_bottom: float

    draws: ClassVar[int] = 4

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        cuts = np.array([[self.crop_top, self.crop_left], [self.crop_bottom, self.crop_right]]) * strength
        first = np.floor(u[:, :2] * (np.floor(cuts[0] * sizes) + 1))
        least = np.maximum(first + 1, np.floor((1 - cuts[1]) * sizes))
        last = least + np.floor(u[:, 2:] * (sizes - least + 1))
        return np.concatenate([first, last - first], 1)


@dataclass(frozen=True)
class SizedCrop(_Window):
    """Cut a window of random height, and of width `w2h_ratio` times that, and resize it to `size`."""

    min_max_height: tuple[int, int]
    size: tuple[int, int]
    w2h_ratio: float = 1.0
    interpolation: str = "bilinear"
    antialias: bool = False

    resizes: ClassVar[bool] = True
    cuts: ClassVar[bool] = True
    draws: ClassVar[int] = 3

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        low, high = self.min_max_height
        height = low + np.floor(u[:, :1] * (high - low + 1))
        window = np.minimum(np.concatenate([height, np.floor(height * self.w2h_ratio)], 1), sizes)
        return np.concatenate([np.floor((sizes - window + 1) * u[:, 1:]), window], 1)

    def matrix(self, params: Array, sizes: Array) -> Array:
        ratio = params[:, 2:] / np.array(self.size)
        return affine_matrix(ratio[:, 1], 0.0, 0.0, ratio[:, 0], params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(np.array(self.size, np.float64), sizes.shape)


@dataclass(frozen=True)
class GaussianElastic(ElasticTransform):
    """An elastic move by smoothed normal noise that is divided by its largest value first, as in albumentations.

    Smoothed, uniform noise is normal too: alpha becomes one that moves pixels as far, for the image's size.
    """

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        params = super().sample_params(u, sizes, strength)
        # The largest of n normal numbers, in the mean; uniform ones deviate by 1 / sqrt(3), and alpha counts half.
        root = np.sqrt(2 * np.log(2 * 2 * sizes.prod(1)))
        largest = root - (np.log(np.log(2 * 2 * sizes.prod(1))) + math.log(4 * math.pi)) / (2 * root) + 0.5772 / root
        params[:, 2:] *= (2 * math.sqrt(3) / largest)[:, None]
        return params


@dataclass(frozen=True)
class SolarizeBetween(Solarize):
    """Invert what is at or above a share of the value range from `threshold` to `high`, with probability p."""

    high: float = 1.0
    p: float = 0.5

    draws: ClassVar[int] = 1

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        params = super().sample_params(u, sizes, strength)
        return params + strength * u * (self.high - self.threshold)


@dataclass(frozen=True)
class SomeInOrder(SomeOf):
    """Apply n different ones of `transforms`, drawn at random, in the order of the list."""

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return reorder(rows, np.sort(np.argsort(u, axis=1, kind="stable")[:, : self.n], axis=1))
