"""Blurs. Outside, the image is mirrored at the middle of its outermost pixels; the median repeats them instead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from augsynth.transforms.base import Array, Neighbourhood, is_number, is_range, lerp

__all__ = [
    "Blur",
    "Defocus",
    "GaussianBlur",
    "MedianBlur",
    "MotionBlur",
]


def correlate(pixels: torch.Tensor, kernels: Sequence[Array]) -> torch.Tensor:
    """Correlate each row of `(R, C, H, W)` with a kernel of its own, whose two sides are odd."""
    count, channels, height, width = pixels.shape
    sides = np.array([kernel.shape for kernel in kernels]) // 2
    reach_y, reach_x = sides.max(0).tolist()
    missing = np.array([reach_y, reach_x]) - sides
    taps = np.stack([np.pad(k, ((y, y), (x, x))) for k, (y, x) in zip(kernels, missing.tolist(), strict=True)])
    for axis, reach, size in ((2, reach_y, height), (3, reach_x, width)):
        if reach:
            pixels = pixels.index_select(axis, torch.from_numpy(_mirrored(size, reach)).to(pixels.device))
    flat = pixels.reshape(1, count * channels, *pixels.shape[2:])
    weights = torch.from_numpy(taps).to(pixels).repeat_interleave(channels, 0)[:, None]
    # On a GPU a dense convolution may run in TF32, one of single channels does not: at least two make it one.
    twice = 1 + (len(weights) == 1)
    flat, weights = flat.repeat(1, twice, 1, 1), weights.repeat(twice, 1, 1, 1)
    return F.conv2d(flat, weights, groups=len(weights))[:, : count * channels].reshape(count, channels, height, width)


def _mirrored(size: int, reach: int) -> Array:
    """Return which pixels stand at -reach to size + reach - 1."""
    period = max(2 * size - 2, 1)
    index = np.arange(-reach, size + reach) % period
    return np.where(index < size, index, period - index)


class Linear(Neighbourhood):
    """A filter by one kernel, or by one for columns and one for rows."""

    overshoots: ClassVar[bool] = False  # the kernel has weights below zero

    def kernels(self, params: Array) -> tuple[Array, ...]:
        """Return `(h, w)` float64 kernels for parameters `(P,)`, to be applied one after the other."""
        raise TypeError(f"{type(self).__name__} has no kernel")

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        for kernels in zip(*map(self.kernels, params), strict=True):
            pixels = correlate(pixels, kernels)
        return pixels.clamp(0.0, white) if self.overshoots else pixels

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        result = filtered(pixels, self.kernels(params))
        if self.overshoots and result.dtype == np.float32:
            torch.from_numpy(result).clamp_(0.0, white)
        return result


def filtered(pixels: Array, kernels: tuple[Array, ...]) -> Array:
    """Correlate an array with kernels as `Linear` has them; float32 comes out of two, the same dtype out of one."""
    import cv2

    taps = [kernel.astype(np.float32) for kernel in kernels]
    if len(taps) == 1:
        return np.asarray(cv2.filter2D(pixels, -1, taps[0], borderType=cv2.BORDER_REFLECT_101))
    # To float32, because uint8 is filtered in fixed point; it is as fast.
    return np.asarray(cv2.sepFilter2D(pixels, cv2.CV_32F, taps[1], taps[0], borderType=cv2.BORDER_REFLECT_101))


def gaussian(size: int, sigma: float) -> Array:
    """Return the weights `(n,)` of a Gaussian cut to `size` (odd) pixels, and to where they count: 5 sigma."""
    reach = min(size // 2, math.ceil(5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class GaussianBlur(Linear):
    """Blur by a Gaussian of one sigma, in pixels, drawn from (low, high) above 0; a number is that sigma.

    kernel_size: odd, a number or (width, height), to which the Gaussian is cut.
    """

    kernel_size: int | tuple[int, int]
    sigma: float | tuple[float, float] = (0.1, 2.0)

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def validate(self) -> None:
        sizes = self.kernel_size if isinstance(self.kernel_size, tuple) else (self.kernel_size,) * 2
        if len(sizes) != 2 or not all(_is_odd(size) for size in sizes):
            self.fail("kernel_size", "an odd int above 0 or (width, height) of such")
        if not (is_range(as_range(self.sigma)) and as_range(self.sigma)[0] > 0):
            self.fail("sigma", "a number above 0 or (low, high) with 0 < low <= high")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return lerp(u, *as_range(self.sigma)) * strength

    def kernels(self, params: Array) -> tuple[Array, ...]:
        width, height = self.kernel_size if isinstance(self.kernel_size, tuple) else (self.kernel_size,) * 2
        return gaussian(height, params[0])[:, None], gaussian(width, params[0])[None]


def as_range(value: Any, low: float | None = None) -> Any:
    """Make a number a range, from itself or from `low`; leave everything else."""
    return (value if low is None else low, value) if is_number(value) else value


def _is_odd(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value > 0 and value % 2)


def check_limit(transform: Any) -> None:
    value = as_range(transform.blur_limit, 3)
    whole = is_range(value, 3) and all(isinstance(v, (int, np.integer)) for v in value)
    if not whole or (value[0] == value[1] and not _is_odd(value[0])):
        transform.fail("blur_limit", "an int >= 3 or (low, high), ints >= 3 with an odd number among them")


def draw_odd(limit: int | tuple[int, int], u: Array, strength: float) -> Array:
    """Draw an odd size; a weaker strength draws it toward 1."""
    low, high = as_range(limit, 3)
    first = low + 1 - low % 2
    reach = (first - 1) / 2 + np.floor(u * ((high - first) // 2 + 1))
    return np.asarray(1 + 2 * np.rint(strength * reach))


@dataclass(frozen=True)
class _Window(Neighbourhood):
    blur_limit: int | tuple[int, int] = (3, 7)
    p: float = 0.5

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def validate(self) -> None:
        check_limit(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return draw_odd(self.blur_limit, u, strength)


@dataclass(frozen=True)
class Blur(_Window, Linear):
    """Replace each pixel by the mean of a square around it, with probability p.

    blur_limit: the square's side in pixels, an odd number drawn from (low, high), at least 3; an int is `high`.
    """

    def kernels(self, params: Array) -> tuple[Array, ...]:
        weights = np.full(int(params[0]), 1 / params[0])
        return weights[:, None], weights[None]

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        side = (int(params[0]), int(params[0]))
        return np.asarray(cv2.boxFilter(pixels, cv2.CV_32F, side, borderType=cv2.BORDER_REFLECT_101))


@dataclass(frozen=True)
class MedianBlur(_Window):
    """Replace each channel of a pixel by the median of a square around it, with probability p.

    blur_limit: the square's side in pixels, an odd number drawn from (low, high), at least 3; an int is `high`.
    """

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        result = pixels
        for side in np.unique(params[:, 0]).tolist():
            rows = torch.from_numpy(np.flatnonzero(params[:, 0] == side)).to(pixels.device)
            result = result.index_copy(0, rows, _median(pixels[rows], int(side)))
        return result

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        side = int(params[0])
        if side > 5 and pixels.dtype != np.uint8:
            return super().apply_array(pixels, params, white)
        return np.asarray(cv2.medianBlur(pixels, side))


def _median(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Return the medians of squares: of just over half the values neither the least nor the greatest can be it.

    Both are dropped and the next value takes their place: five times as fast as sorting, in less memory.
    """
    height, width = pixels.shape[2:]
    wide = F.pad(pixels, (side // 2,) * 4, mode="replicate")
    values = [wide[:, :, y : y + height, x : x + width] for y in range(side) for x in range(side)]
    half = side * side // 2 + 2
    pool, rest = values[:half], values[half:]
    while len(pool) > 2:
        for i in range(1, len(pool)):
            pool[0], pool[i] = torch.minimum(pool[0], pool[i]), torch.maximum(pool[0], pool[i])
        for i in range(1, len(pool) - 1):
            pool[i], pool[-1] = torch.minimum(pool[i], pool[-1]), torch.maximum(pool[i], pool[-1])
        pool = pool[1:-1] + rest[:1]
        rest = rest[1:]
    return pool[0]


@dataclass(frozen=True)
class MotionBlur(Linear):
    """Blur along a line, with probability p: what a moving camera sees.

    blur_limit: the line's length in pixels, an odd number drawn from (low, high), at least 3; an int is `high`.
    angle_range: of the line in degrees, from the x axis toward the y axis. direction_range: how much of it lies ahead:
    -1 nothing, 0 half, 1 all. allow_shifted: the line's middle moves by up to a quarter of it along x and y.
    """

    blur_limit: int | tuple[int, int] = (3, 7)
    allow_shifted: bool = True
    angle_range: tuple[float, float] = (0, 360)
    direction_range: tuple[float, float] = (-1.0, 1.0)
    p: float = 0.5

    draws: ClassVar[int] = 5
    params: ClassVar[int] = 5

    def validate(self) -> None:
        check_limit(self)
        if not is_range(self.angle_range):
            self.fail("angle_range", "(low, high) in degrees")
        if not is_range(self.direction_range, -1, 1):
            self.fail("direction_range", "(low, high) from -1 to 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return length, angle, direction, and the middle's x and y in pixels."""
        length = draw_odd(self.blur_limit, u[:, :1], strength)
        angle, direction = lerp(u[:, 1:2], *self.angle_range), lerp(u[:, 2:3], *self.direction_range)
        shift = lerp(u[:, 3:], -1, 1) * (length - 1) / 4 * self.allow_shifted
        return np.concatenate([length, angle, direction, shift], 1)

    def kernels(self, params: Array) -> tuple[Array, ...]:
        length, angle, direction = int(params[0]), math.radians(params[1]), params[2]
        reach = length // 2
        along = np.linspace(-reach * (1 - max(direction, 0)), reach * (1 + min(direction, 0)), length)
        x, y = params[3] + math.cos(angle) * along, params[4] + math.sin(angle) * along
        return (_drawn(x, y),)


def _drawn(x: Array, y: Array) -> Array:
    """Draw points `(n,)` of weight 1/n into a kernel around the origin; each spreads over the four taps about it."""
    reach_x, reach_y = (math.ceil(np.abs(v).max()) for v in (x, y))
    kernel = np.zeros((2 * reach_y + 2, 2 * reach_x + 2))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (1 - np.abs(y - top - dy)) * (1 - np.abs(x - left - dx))
            np.add.at(kernel, (top + dy + reach_y, left + dx + reach_x), weight / len(x))
    return kernel[:-1, :-1]


@dataclass(frozen=True)
class Defocus(Linear):
    """Blur by a disk, as a lens out of focus does, with probability p.

    radius: of the disk in pixels, a whole number drawn from (low, high), at least 1. alias_blur: sigma in pixels of a
    Gaussian that softens the disk's rim, (low, high).
    """

    radius: tuple[int, int] = (3, 10)
    alias_blur: tuple[float, float] = (0.1, 0.5)
    p: float = 0.5

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        if not (is_range(self.radius, 1) and all(isinstance(v, (int, np.integer)) for v in self.radius)):
            self.fail("radius", "(low, high), ints with 1 <= low <= high")
        if not is_range(self.alias_blur, 0):
            self.fail("alias_blur", "(low, high) with 0 <= low <= high")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        low, high = self.radius
        radius = low + np.floor(u[:, :1] * (high - low + 1))
        return np.concatenate([radius, lerp(u[:, 1:], *self.alias_blur)], 1) * strength

    def kernels(self, params: Array) -> tuple[Array, ...]:
        radius, sigma = params
        rim = gaussian(3 if radius <= 8 else 5, sigma)
        reach = math.ceil(radius)
        at = np.arange(-reach, reach + 1)
        disk = (at**2 + at[:, None] ** 2 <= radius**2).astype(float)
        for _ in range(2):
            disk = np.stack([np.convolve(row, rim) for row in disk]).T
        return (disk / disk.sum(),)
