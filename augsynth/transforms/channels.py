"""More of colour: channel order and dropout, shifts, sepia, gray, colour temperature, and albumentations' jitters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.transforms.base import (
    Array,
    Color,
    Composite,
    Standalone,
    Transform,
    check_fill,
    is_number,
    is_range,
    lerp,
)
from augsynth.transforms.color import Brightness, Contrast, Hue, Saturation, gray_matrix
from augsynth.transforms.combine import RandomApply
from augsynth.transforms.levels import Curve, column, normal
from augsynth.transforms.shades import FancyPCA, HueSaturationValue, symmetric

__all__ = [
    "ChannelDropout",
    "ChannelShuffle",
    "FancyPCA",
    "Grayscale",
    "HueSaturationValue",
    "PlanckianJitter",
    "RGBShift",
    "RandomBrightnessContrast",
    "RandomChannelPermutation",
    "RandomPhotometricDistort",
    "ToGray",
    "ToSepia",
]

_SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
_WHITE_KELVIN = 6000.0
_COLD_SHARE = 0.6
# Gains of red and blue over green: polynomials in 6000 / kelvin through the table of arXiv:2202.07993, within 0.001.
_GAINS = {
    "blackbody": (
        (0.47671, 0.77606, -0.24403, 0.07763),
        (1.68357, 0.25971, -3.23364, 4.65402, -3.60865, 1.464, -0.24387),
    ),
    "cied": ((0.32109, 1.12638, -0.68391, 0.32318, -0.04827), (1.75997, -0.60356, -0.51268, 0.37764, -0.0905)),
}
_KELVIN = {"blackbody": (3000.0, 15000.0), "cied": (4000.0, 15000.0)}


@dataclass(frozen=True)
class RandomChannelPermutation(Color):
    """Put the channels into random order: channel i of the output is channel `order[i]` of the input."""

    chroma: ClassVar[bool] = True
    draws: ClassVar[int] = 4
    params: ClassVar[int] = 3

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        order = np.argsort(u[:, :3], axis=1, kind="stable")
        # An order cannot fade, so a weaker strength leaves more samples as they are.
        return np.where(u[:, 3:] < strength, order, np.arange(3)).astype(np.float64)

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        return np.eye(3)[params.astype(np.int64)], np.zeros((len(params), 3))


@dataclass(frozen=True)
class ChannelShuffle(RandomChannelPermutation):
    """Put the channels into random order, with probability p."""

    p: float = 0.5


@dataclass(frozen=True)
class ChannelDropout(Standalone):
    """Overwrite whole channels, with probability p; an image of one channel stays as it is.

    channel_drop_range: how many, (low, high) from 1 to 2, both included. fill: what they become, in image space.
    """

    channel_drop_range: tuple[int, int] = (1, 1)
    fill: float = 0.0
    p: float = 0.5

    word: ClassVar[str] = "channels"
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    draws: ClassVar[int] = 4
    params: ClassVar[int] = 3

    def validate(self) -> None:
        value = self.channel_drop_range
        if not is_range(value, 1, 2) or not all(type(n) is int for n in value):
            self.fail("channel_drop_range", "(low, high), two ints with 1 <= low <= high <= 2")
        if isinstance(self.fill, tuple):
            self.fail("fill", "a number, 0 to 255 for uint8 images, 0 to 1 for floats")
        check_fill(self)

    @property
    def constant(self) -> tuple[float, ...]:
        return (float(self.fill),)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return 1 for each channel that is dropped, else 0."""
        low, high = self.channel_drop_range
        count = low + np.floor(u[:, :1] * (high - low + 1))
        return np.asarray(u[:, 1:].argsort(1, kind="stable").argsort(1, kind="stable") < count, np.float64)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        if pixels.shape[1] == 1:
            return pixels
        dropped = torch.from_numpy(params > 0).to(pixels.device)[:, :, None, None]
        return torch.where(dropped, pixels.new_tensor(self.fill), pixels)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        if pixels.ndim == 2:
            return pixels
        if pixels.dtype == np.uint8:
            # Bits of whole rows: 8 us at 224 px, against 30 for writing every third byte.
            keep = np.tile(np.where(params > 0, 0, 255).astype(np.uint8), pixels.shape[1])
            fill = ~keep & np.uint8(np.rint(self.fill))
            return np.asarray(pixels.reshape(len(pixels), -1) & keep | fill).reshape(pixels.shape)
        return np.where(params > 0, np.float32(self.fill), pixels).astype(np.float32)


@dataclass(frozen=True)
class RGBShift(Curve):
    """Add a random constant to each channel, with probability p; one channel alone gets the red one.

    r_shift_limit, g_shift_limit, b_shift_limit: (low, high), or v for (-v, v). In 1/255 of the value range where a
    number beyond 1 stands in it, else in shares of the range; the same for uint8 and floats.
    """

    r_shift_limit: float | tuple[float, float] = (-20, 20)
    g_shift_limit: float | tuple[float, float] = (-20, 20)
    b_shift_limit: float | tuple[float, float] = (-20, 20)
    p: float = 0.5

    channels: ClassVar[tuple[int, ...]] = (1, 3)
    curves = 3
    draws: ClassVar[int] = 3
    params: ClassVar[int] = 3

    def validate(self) -> None:
        for field in ("r_shift_limit", "g_shift_limit", "b_shift_limit"):
            if not is_range(symmetric(getattr(self, field)), -255, 255):
                self.fail(field, "(low, high) or a number v for (-v, v), in 1/255 of the range or shares of it")

    @cached_property
    def _ranges(self) -> Array:
        limits = [symmetric(v) for v in (self.r_shift_limit, self.g_shift_limit, self.b_shift_limit)]
        return np.array([np.array(pair) / (255 if max(map(abs, pair)) > 1 else 1) for pair in limits]).T

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return what is added to red, green and blue, as shares of the value range."""
        return lerp(u, *self._ranges) * strength

    def curve(self, values: Any, numbers: Sequence[Any], white: float) -> Any:
        return values + numbers[0] * white


@dataclass(frozen=True)
class RandomBrightnessContrast(Curve):
    """Multiply and add, `a x + b`, with probability p: a = 1 + contrast, b = brightness times white.

    brightness_limit, contrast_limit: (low, high), or v for (-v, v); contrast from -1. brightness_by_max: False takes
    the mean of the image instead of white. ensure_safe_range: bring b into the range, and a down until nothing is cut
    off.
    """

    brightness_limit: float | tuple[float, float] = (-0.2, 0.2)
    contrast_limit: float | tuple[float, float] = (-0.2, 0.2)
    brightness_by_max: bool = True
    ensure_safe_range: bool = False
    p: float = 0.5

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        if not is_range(symmetric(self.brightness_limit)):
            self.fail("brightness_limit", "(low, high) or a number v >= 0 for (-v, v)")
        if not is_range(symmetric(self.contrast_limit), -1):
            self.fail("contrast_limit", "(low, high) with -1 <= low, or a number v in [0, 1] for (-v, v)")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return a, and b as a share of white or of the mean."""
        factor = 1 + strength * lerp(u[:, 0], *symmetric(self.contrast_limit))
        return np.stack([factor, strength * lerp(u[:, 1], *symmetric(self.brightness_limit))], 1)

    def curve(self, values: Any, numbers: Sequence[Any], white: float) -> Any:
        factor, shift = numbers[:2]
        if len(numbers) == 3:
            shift = shift * numbers[2]
        if self.ensure_safe_range:
            shift = shift.clip(0.0, 1.0)
            factor = factor - (factor - (1.0 - shift)).clip(0.0)
        return values * factor + shift * white

    def table_of(self, params: Array) -> Array | None:
        return super().table_of(params) if self.brightness_by_max else None

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        if self.brightness_by_max:
            return super().apply(pixels, params, white)
        values = pixels.round() if white == 255.0 else pixels
        mean = values.to(torch.float64).mean((1, 2, 3), keepdim=True).to(pixels.dtype) / white
        numbers = [column(params[:, 0], pixels), column(params[:, 1], pixels), mean]
        result: torch.Tensor = self.curve(values, numbers, white).clamp(0.0, white)
        return result.round() if white == 255.0 else result

    def on_levels(self, pixels: Array, params: Array) -> Array:
        return super().on_levels(pixels, params if self.brightness_by_max else np.append(params, pixels.mean() / 255.0))


@dataclass(frozen=True)
class ToSepia(Color):
    """Give a picture the brown tint of an old photograph, with probability p."""

    p: float = 0.5
    chroma: ClassVar[bool] = True

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        return np.broadcast_to(_SEPIA, (len(params), 3, 3)), np.zeros((len(params), 3))

    def expands(self, params: Array) -> Array:
        return np.ones(len(params), bool)


@dataclass(frozen=True)
class Grayscale(Color):
    """Replace the colour by its luma. num_output_channels: 3 only, because no transform changes how many there are."""

    num_output_channels: int = 1
    chroma: ClassVar[bool] = True

    def validate(self) -> None:
        if self.num_output_channels != 3:
            self.fail("num_output_channels", "3: the luma stands in all channels, their number never changes")

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        return gray_matrix(len(params), exact), np.zeros((len(params), 3))


@dataclass(frozen=True)
class ToGray(Color):
    """Replace the colour by gray in all channels, with probability p.

    num_output_channels: 3 only. method: weighted_average (the luma) or average (of the three channels).
    """

    num_output_channels: int = 3
    method: str = "weighted_average"
    p: float = 0.5
    chroma: ClassVar[bool] = True

    def validate(self) -> None:
        if self.num_output_channels != 3:
            self.fail("num_output_channels", "3: gray stands in all channels, their number never changes")
        if self.method not in ("weighted_average", "average"):
            self.fail("method", "weighted_average or average")

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        mean = np.full((len(params), 3, 3), 1 / 3)
        return mean if self.method == "average" else gray_matrix(len(params), exact), np.zeros((len(params), 3))


@dataclass(frozen=True)
class PlanckianJitter(Color):
    """Change the colour temperature of the light, with probability p. Source: arXiv:2202.07993.

    mode: blackbody or cied (daylight). temperature_limit: kelvin, (low, high) from 3000 (cied: 4000) to 15000, None
    for all of it. sampling_method: uniform or gaussian, on either side of 6000 K; 0.6 of the draws are colder light.
    """

    mode: str = "blackbody"
    temperature_limit: tuple[float, float] | None = None
    sampling_method: str = "uniform"
    p: float = 0.5

    chroma: ClassVar[bool] = True
    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        if self.mode not in _GAINS:
            self.fail("mode", "blackbody or cied")
        low, high = _KELVIN[self.mode]
        if not is_range(self._limits(), low, high):
            self.fail("temperature_limit", f"None or (low, high) in kelvin, from {low:g} to {high:g}")
        if self.sampling_method not in ("uniform", "gaussian"):
            self.fail("sampling_method", "uniform or gaussian")

    def _limits(self) -> tuple[float, float]:
        return _KELVIN[self.mode] if self.temperature_limit is None else self.temperature_limit

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the gains of red and blue; that of green is 1."""
        low, high = self._limits()
        far = np.where(u[:, 0] < _COLD_SHARE, high, low) - _WHITE_KELVIN
        # A half-normal whose limit lies three deviations away.
        part = u[:, 1] if self.sampling_method == "uniform" else normal(0.5 + u[:, 1] / 2) / 3
        kelvin = np.clip(_WHITE_KELVIN + far * part, low, high)
        gains = [np.polynomial.polynomial.polyval(_WHITE_KELVIN / kelvin, c) for c in _GAINS[self.mode]]
        return 1 + strength * (np.stack(gains, 1) - 1)

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        gains = np.stack([params[:, 0], np.ones(len(params)), params[:, 1]], 1)
        return gains[:, :, None] * np.eye(3), np.zeros((len(params), 3))

    def expands(self, params: Array) -> Array:
        return np.asarray((params > 1).any(1))


@dataclass(frozen=True)
class RandomPhotometricDistort(Composite):
    """Change brightness, contrast, saturation, hue and the order of channels, each with probability p.

    brightness, contrast, saturation: factors, (low, high) from 0. hue: a shift, (low, high) in [-0.5, 0.5] of the
    colour circle. Contrast comes after brightness or after hue, one time out of two. Source: arXiv:1512.02325.
    """

    brightness: tuple[float, float] = (0.875, 1.125)
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: tuple[float, float] = (-0.05, 0.05)
    p: float = 0.5

    gated = False  # p is the probability of each part
    draws: ClassVar[int] = 1

    def validate(self) -> None:
        for field in ("brightness", "contrast", "saturation"):
            if not is_range(getattr(self, field), 0):
                self.fail(field, "(low, high) with 0 <= low <= high")
        if not is_range(self.hue, -0.5, 0.5):
            self.fail("hue", "(low, high) in [-0.5, 0.5]")
        if not (is_number(self.p) and 0 <= self.p <= 1):
            self.fail("p", "a probability from 0 to 1")

    def parts(self) -> Mapping[str, Transform]:
        return self._parts

    @cached_property
    def _parts(self) -> dict[str, Transform]:
        kinds = {"brightness": Brightness, "contrast": Contrast, "saturation": Saturation, "hue": Hue}
        parts: dict[str, Transform] = {name: kind(*getattr(self, name)) for name, kind in kinds.items()}
        parts["channels"] = RandomChannelPermutation()
        return {name: RandomApply({"it": part}, self.p) for name, part in parts.items()}

    def width(self, widths: Sequence[int]) -> int:
        return 6

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        brightness, contrast, saturation, hue, channels = rows
        early, late = (np.where(u < 0.5, contrast, 0), np.where(u < 0.5, 0, contrast))
        return np.concatenate([brightness, early, saturation, hue, late, channels], 1)
