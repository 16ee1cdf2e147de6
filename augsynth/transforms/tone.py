"""Tones: functions of a single channel value. On uint8 images they act on whole levels, by a table where that pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, Tone, check_fill, is_number, is_range, lerp
from augsynth.transforms.clahe import CLAHE
from augsynth.transforms.levels import (
    LEVELS,
    Curve,
    LevelTone,
    by_plane,
    column,
    even_tables,
    first_of_three,
    levels,
    look_up,
    look_up_each,
    normal,
    stretched_tables,
)

__all__ = [
    "CLAHE",
    "RandomAutocontrast",
    "RandomEqualize",
    "RandomGamma",
    "RandomInvert",
    "RandomPosterize",
    "RandomSolarize",
    "RandomToneCurve",
    "SolarizeAdd",
]

_UINT8 = LEVELS.astype(np.uint8)
_BINS = 256 - 1e-3  # from floats to 256 levels: torchvision's factor


@dataclass(frozen=True)
class Invert(LevelTone):
    """Replace each value by its distance from white."""

    kernel_step: ClassVar[str] = "invert"

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        return white - levels(pixels, white)

    def on_levels(self, pixels: Array, params: Array) -> Array:
        return np.asarray(np.invert(pixels))

    def apply_levels(self, pixels: Array, params: Array) -> Array:
        return np.asarray(np.invert(pixels))

    def table_of(self, params: Array) -> Array:
        return _UINT8[::-1]


@dataclass(frozen=True)
class RandomInvert(Invert):
    """Replace each value by its distance from white, with probability p."""

    p: float = 0.5


@dataclass(frozen=True)
class Posterize(LevelTone):
    """Keep the highest `bits` bits (0 to 8) of each level; floats fall to the lower end of one of 2**bits bins.

    A weaker `strength` keeps more bits.
    """

    bits: int

    params: ClassVar[int] = 1
    kernel_step: ClassVar[str] = "posterize"

    def validate(self) -> None:
        if not isinstance(self.bits, (int, np.integer)) or isinstance(self.bits, bool) or not 0 <= self.bits <= 8:
            self.fail("bits", "an int from 0 to 8")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return np.full((len(u), 1), np.rint(8 - strength * (8 - self.bits)))

    def kernel_numbers(self, params: Array) -> Array:
        return first_of_three(2.0 ** (8 - params[:, 0]))

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        if white == 255.0:
            step = column(2.0 ** (8 - params[:, 0]), pixels)
            return (pixels.round() / step).floor() * step
        bins = column(2.0 ** params[:, 0], pixels)
        return torch.minimum((pixels * bins).floor(), bins - 1) / bins

    def on_levels(self, pixels: Array, params: Array) -> Array:
        # 3 us at 224 px, a table 44.
        return np.asarray(pixels & _mask(params[0]))

    def apply_levels(self, pixels: Array, params: Array) -> Array:
        masks = (256 - 2.0 ** (8 - params[:, 0])).astype(np.uint8)
        return pixels & masks.reshape(-1, *[1] * (pixels.ndim - 1))

    def table_of(self, params: Array) -> Array:
        return np.asarray(_UINT8 & _mask(params[0]))


def _mask(bits: float) -> np.uint8:
    return np.uint8(256 - (1 << (8 - int(bits)))) if bits else np.uint8(0)


@dataclass(frozen=True)
class RandomPosterize(Posterize):
    """Keep the highest `bits` bits (0 to 8) of each level, with probability p; see `Posterize`."""

    p: float = 0.5


@dataclass(frozen=True)
class Solarize(LevelTone):
    """Invert what is at or above `threshold`, a share of the value range from 0 to 1.

    A weaker `strength` raises the threshold, to above white at 0.
    """

    threshold: float

    params: ClassVar[int] = 1
    kernel_step: ClassVar[str] = "solarize"

    def validate(self) -> None:
        if not (is_number(self.threshold) and 0 <= self.threshold <= 1):
            self.fail("threshold", "a share of the value range, from 0 to 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        above = 256 / 255
        return np.full((len(u), 1), above + strength * (self.threshold - above))

    def limits(self, params: Array, white: float) -> Array:
        """Return the threshold in image space `(R,)`."""
        return np.asarray(params[:, 0] * white)

    def kernel_numbers(self, params: Array) -> Array:
        return first_of_three(np.ceil(self.limits(params, 255.0)))

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        values = levels(pixels, white)  # by products, because torch.where takes twice as long on the CPU
        return values + (values >= column(self.limits(params, white), values)) * (white - 2.0 * values)

    def on_levels(self, pixels: Array, params: Array) -> Array:
        import cv2

        # 9 us at 224 px, a table 44. cv2 compares with "greater than".
        below = float(np.ceil(self.limits(params[None], 255.0)[0]) - 1)
        return np.asarray(cv2.bitwise_xor(pixels, cv2.threshold(pixels, below, 255.0, cv2.THRESH_BINARY)[1]))

    def apply_levels(self, pixels: Array, params: Array) -> Array:
        limits = np.ceil(self.limits(params, 255.0)).astype(np.int16)
        bright = pixels >= limits.reshape(-1, *[1] * (pixels.ndim - 1))
        return np.asarray(pixels ^ np.negative(bright.view(np.uint8)))  # 255 where it is bright

    def table_of(self, params: Array) -> Array:
        limit = self.limits(params[None], 255.0)[0]
        return np.where(limit <= LEVELS, 255 - LEVELS, LEVELS).astype(np.uint8)


@dataclass(frozen=True)
class RandomSolarize(Solarize):
    """Invert what is at or above `threshold`, with probability p.

    threshold: in image space, 0 to 255 for uint8 images and 0 to 1 for floats.
    """

    p: float = 0.5

    params: ClassVar[int] = 0

    def validate(self) -> None:
        if isinstance(self.threshold, tuple):
            self.fail("threshold", "a number")
        check_fill(self, "threshold")

    @property
    def constant(self) -> tuple[float, ...]:
        return (float(self.threshold),)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return np.empty((len(u), 0))

    def limits(self, params: Array, white: float) -> Array:
        return np.full(len(params), float(self.threshold))


@dataclass(frozen=True)
class Autocontrast(LevelTone):
    """Stretch each channel so that its darkest value becomes 0 and its brightest white; flat channels stay."""

    kernel_step: ClassVar[str] = "autocontrast"
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        values = levels(pixels, white)
        low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
        flat = low == high
        # The steps and their order decide which levels the truncation lowers by one: they are torchvision's.
        scale = torch.where(flat, torch.ones_like(low), (high - low) * (1.0 / white))
        result = ((values - torch.where(flat, torch.zeros_like(low), low)) / scale).clamp(0.0, white)
        return result.floor() if white == 255.0 else result

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        if white == 255.0:
            return super().apply_array(pixels, params, white)
        # Its extrema of interleaved channels cost torch five times the transposition.
        return Tone.apply_array(self, pixels, params, white)

    def on_levels(self, pixels: Array, params: Array) -> Array:
        return by_plane(pixels, _stretched)

    def apply_levels(self, pixels: Array, params: Array) -> Array:
        return look_up_each(pixels, stretched_tables(pixels))


def _stretched(plane: Array, channel: int) -> Array:
    import cv2

    low, high, _, _ = cv2.minMaxLoc(plane)
    table = _stretch(int(low), int(high))
    return plane if table is None else look_up(plane, table)


@lru_cache(maxsize=4096)
def _stretch(low: int, high: int) -> Array | None:
    """Return the table that spreads low to high over all levels; None where it changes nothing."""
    if low == high:
        return None
    scale = np.float32(high - low) * np.float32(1.0 / 255.0)
    table = np.clip((LEVELS.astype(np.float32) - np.float32(low)) / scale, 0, 255).astype(np.uint8)
    return None if np.array_equal(table[low : high + 1], _UINT8[low : high + 1]) else table


@dataclass(frozen=True)
class RandomAutocontrast(Autocontrast):
    """Stretch each channel to the whole value range, with probability p."""

    p: float = 0.5


@dataclass(frozen=True)
class Equalize(LevelTone):
    """Make the histogram of each channel as even as PIL does; floats are rounded down to 256 levels for it."""

    kernel_step: ClassVar[str] = "equalize"
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        index = (pixels.round() if white == 255.0 else pixels * _BINS).long().clamp(0, 255).flatten(2)
        histogram = torch.zeros(*index.shape[:2], 256, dtype=torch.int64, device=pixels.device)
        histogram.scatter_add_(2, index, torch.ones_like(index))
        total = histogram.cumsum(2)
        last = histogram.gather(2, total.argmax(2, keepdim=True))
        step = torch.div(index.shape[2] - last, 255, rounding_mode="floor")
        before = total - histogram + torch.div(step, 2, rounding_mode="floor")
        table = torch.div(before, step.clamp(min=1), rounding_mode="floor").clamp(0, 255)
        table = torch.where(step > 0, table, torch.arange(256, device=pixels.device))
        result = table.gather(2, index).to(pixels.dtype).view_as(pixels)
        return result if white == 255.0 else result / 255.0

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        if white == 255.0:
            return super().apply_array(pixels, params, white)
        binned = np.clip(pixels * np.float32(_BINS), 0, 255).astype(np.uint8)
        return self.on_levels(binned, params).astype(np.float32) / np.float32(255.0)

    def on_levels(self, pixels: Array, params: Array) -> Array:
        import cv2

        planes = range(1 if pixels.ndim == 2 else 3)
        histograms = [cv2.calcHist([pixels], [i], None, [256], [0, 256]) for i in planes]
        counts = np.array(histograms, np.int64).reshape(-1, 256)
        brightest = 255 - (counts[:, ::-1] > 0).argmax(1)
        step = (pixels.shape[0] * pixels.shape[1] - counts[planes, brightest][:, None]) // 255
        table = (counts.cumsum(1) - counts + step // 2) // np.maximum(step, 1)
        return look_up(pixels, np.where(step > 0, np.minimum(table, 255), LEVELS).astype(np.uint8))

    def apply_levels(self, pixels: Array, params: Array) -> Array:
        return look_up_each(pixels, even_tables(pixels))


@dataclass(frozen=True)
class RandomEqualize(Equalize):
    """Even out the histogram of each channel, with probability p; see `Equalize`."""

    p: float = 0.5


@dataclass(frozen=True)
class SolarizeAdd(Curve):
    """Add to what is below `threshold`, with probability p. Source: arXiv:1906.11172.

    threshold, addition: in image space, 0 to 255 for uint8 images and 0 to 1 for floats; addition is a number or a
    range (low, high).
    """

    threshold: float
    addition: float | tuple[float, float]
    p: float = 0.5

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def validate(self) -> None:
        if not (is_number(self.threshold) and self.threshold >= 0):
            self.fail("threshold", "a number, 0 to 255 for uint8 images, 0 to 1 for floats")
        if not is_range(self._range(), 0):
            self.fail("addition", "a number >= 0 or (low, high), 0 to 255 for uint8 images, 0 to 1 for floats")

    def _range(self) -> Any:
        return self.addition if isinstance(self.addition, tuple) else (self.addition, self.addition)

    @property
    def constant(self) -> tuple[float, ...]:
        return (float(max(self.threshold, self._range()[1])),)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return lerp(u, *self._range()) * strength

    def curve(self, values: Any, numbers: Sequence[Any], white: float) -> Any:
        return values + (values < self.threshold) * numbers[0]


@dataclass(frozen=True)
class RandomGamma(Curve):
    """Raise values on the [0, 1] scale to a power, `x ** gamma`, with probability p.

    gamma_limit: range of gamma in per cent, (low, high) above 0: (80, 120) means powers from 0.8 to 1.2.
    """

    gamma_limit: tuple[float, float] = (80, 120)
    p: float = 0.5

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def validate(self) -> None:
        if not (is_range(self.gamma_limit) and self.gamma_limit[0] > 0):
            self.fail("gamma_limit", "(low, high) in per cent with 0 < low <= high, such as (80, 120)")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return 1 + strength * (lerp(u, *self.gamma_limit) / 100 - 1)

    def curve(self, values: Any, numbers: Sequence[Any], white: float) -> Any:
        # A root has no value below black, where rounding may have put a pixel.
        return (values / white).clip(0.0) ** numbers[0] * white


@dataclass(frozen=True)
class RandomToneCurve(Curve):
    """Bend the tone curve: a cubic Bezier from 0 to 1 with heights a and b between, with probability p.

    `3 (1 - x)^2 x a + 3 (1 - x) x^2 b + x^3`; a and b are normal around 0.25 and 0.75, kept in [0, 1].
    scale: their standard deviation, 0 to 1. per_channel: a curve for each channel.
    """

    scale: float = 0.1
    per_channel: bool = False
    p: float = 0.5

    def validate(self) -> None:
        if not (is_number(self.scale) and 0 <= self.scale <= 1):
            self.fail("scale", "a number from 0 to 1")

    @cached_property
    def curves(self) -> int:  # type: ignore[override]
        return 3 if self.per_channel else 1

    @cached_property
    def channels(self) -> tuple[int, ...]:  # type: ignore[override]
        return (1, 3) if self.per_channel else ()

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 2 * self.curves

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        return 2 * self.curves

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        middle, straight = (np.repeat(pair, self.curves) for pair in ([0.25, 0.75], [1 / 3, 2 / 3]))
        heights = np.clip(middle + self.scale * normal(u), 0, 1)
        return np.asarray(straight + strength * (heights - straight))

    def curve(self, values: Any, numbers: Sequence[Any], white: float) -> Any:
        x, (low, high) = values / white, numbers
        return (3 * (1 - x) * x * ((1 - x) * low + x * high) + x**3) * white
