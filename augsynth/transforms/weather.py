"""Weather and light: fog, rain, snow, shadows, uneven illumination. Lengths follow the size of the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, is_number, is_range, lerp
from augsynth.transforms.fields import key_words, uniform_field
from augsynth.transforms.levels import column
from augsynth.transforms.noise import PixelNoise, key_of

__all__ = ["Illumination", "PlasmaBrightnessContrast", "RandomFog", "RandomRain", "RandomShadow", "RandomSnow"]

_NODES = tuple(2**octave + 1 for octave in range(1, 7))
_FOG_LAYERS = 24


class _Weather(PixelNoise):
    word: ClassVar[str] = "weather"


def plasma(params: Array, pixels: torch.Tensor, roughness: float) -> torch.Tensor:
    """Return clouds `(R, 1, H, W)` in (0, 1) of mean 1/2: six octaves of uniform noise, 3 x 3 to 65 x 65 nodes.

    Each octave weighs 1 / roughness of the one before. Between nodes, which reach from edge to edge, it eases by
    `3 t^2 - 2 t^3`. The first two parameters are the key words.
    """
    height, width = pixels.shape[2:]
    nodes = uniform_field(key_of(params, pixels), (sum(n * n for n in _NODES),)).to(pixels.dtype)
    result, share = torch.zeros_like(pixels[:, 0]), 1.0
    for n, grid in zip(_NODES, nodes.split([n * n for n in _NODES], 1), strict=True):  # type: ignore[no-untyped-call]
        (top, down), (left, right) = (_between(size, n, pixels) for size in (height, width))
        square = grid.reshape(-1, n, n)
        rows = torch.lerp(square[:, top], square[:, top + 1], down[:, None])
        result += share * torch.lerp(rows[:, :, left], rows[:, :, left + 1], right)
        share /= roughness
    return result[:, None] / sum(roughness**-octave for octave in range(len(_NODES)))


def _between(size: int, n: int, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the node before each of `size` pixel centres, and how much of the next node it takes."""
    at = (np.arange(size) + 0.5) / size * (n - 1)
    before = np.minimum(np.floor(at), n - 2)
    t = at - before
    return torch.from_numpy(before.astype(np.int64)).to(pixels.device), torch.from_numpy(t * t * (3 - 2 * t)).to(pixels)


@dataclass(frozen=True)
class RandomFog(_Weather):
    """Veil the image by clouds of white fog, with probability p.

    fog_coef_range: how much of its 24 layers there is, (low, high) from 0 to 1; each layer hides the share alpha_coef,
    0 to 1: `x t + white (1 - t)`, `t = (1 - alpha_coef) ** (24 fog_coef plasma)`.
    """

    alpha_coef: float = 0.08
    fog_coef_range: tuple[float, float] = (0.3, 1.0)
    p: float = 0.5

    draws: ClassVar[int] = 3
    params: ClassVar[int] = 3

    def validate(self) -> None:
        if not (is_number(self.alpha_coef) and 0 <= self.alpha_coef < 1):
            self.fail("alpha_coef", "a number from 0 to below 1")
        if not is_range(self.fog_coef_range, 0, 1):
            self.fail("fog_coef_range", "(low, high) from 0 to 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words and fog_coef."""
        return np.concatenate([key_words(u[:, :2]), lerp(u[:, 2:], *self.fog_coef_range) * strength], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        layers = _FOG_LAYERS * column(params[:, 2], pixels) * plasma(params, pixels, 2.0)
        clear = torch.exp(layers * math.log(1 - self.alpha_coef))
        return white + (pixels - white) * clear


@dataclass(frozen=True)
class PlasmaBrightnessContrast(_Weather):
    """Change brightness and contrast by clouds, with probability p.

    With f from -1 to 1 a cloud: `y = x + b f white`, then `y + c f (y - m)`, m each channel's mean before.
    brightness_range, contrast_range: of b and c, (low, high) from -1 to 1. roughness: at least 1; the weight of each
    octave of the cloud over the next finer one's.
    """

    brightness_range: tuple[float, float] = (-0.3, 0.3)
    contrast_range: tuple[float, float] = (-0.3, 0.3)
    roughness: float = 3.0
    p: float = 0.5

    draws: ClassVar[int] = 4
    params: ClassVar[int] = 4

    def validate(self) -> None:
        for field in ("brightness_range", "contrast_range"):
            if not is_range(getattr(self, field), -1, 1):
                self.fail(field, "(low, high) from -1 to 1")
        if not (is_number(self.roughness) and self.roughness >= 1):
            self.fail("roughness", "a number >= 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, b and c."""
        b, c = lerp(u[:, 2:3], *self.brightness_range), lerp(u[:, 3:], *self.contrast_range)
        return np.concatenate([key_words(u[:, :2]), b * strength, c * strength], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        cloud = 2 * plasma(params, pixels, self.roughness) - 1
        bright = pixels + column(params[:, 2] * white, pixels) * cloud
        # In float64, so that the order of summation does not show.
        mean = pixels.to(torch.float64).mean((2, 3), keepdim=True).to(pixels.dtype)
        return (bright + column(params[:, 3], pixels) * cloud * (bright - mean)).clamp(0.0, white)


@dataclass(frozen=True)
class Illumination(_Weather):
    """Light the image unevenly, with probability p: `x (1 + a g)`.

    mode: g is "linear", from -1 to 1 along a direction from angle_range, in degrees from the x axis toward the y axis;
    "corner", from 1 in a corner to 0 in the opposite one; or "gaussian", 1 around a centre from center_range, in
    fractions of the sides, with a sigma from sigma_range, in fractions of the longer side.
    intensity_range: of |a|, (low, high) from 0 to 1. effect_type: a's sign, "brighten", "darken" or "both" (either).
    """

    mode: str = "linear"
    intensity_range: tuple[float, float] = (0.01, 0.2)
    effect_type: str = "both"
    angle_range: tuple[float, float] = (0.0, 360.0)
    center_range: tuple[float, float] = (0.1, 0.9)
    sigma_range: tuple[float, float] = (0.2, 1.0)
    p: float = 0.5

    draws: ClassVar[int] = 7
    params: ClassVar[int] = 6

    def validate(self) -> None:
        if self.mode not in ("linear", "corner", "gaussian"):
            self.fail("mode", "'linear', 'corner' or 'gaussian'")
        if self.effect_type not in ("both", "brighten", "darken"):
            self.fail("effect_type", "'both', 'brighten' or 'darken'")
        for field in ("intensity_range", "center_range"):
            if not is_range(getattr(self, field), 0, 1):
                self.fail(field, "(low, high) from 0 to 1")
        if not is_range(self.angle_range):
            self.fail("angle_range", "(low, high) in degrees")
        if not (is_range(self.sigma_range) and self.sigma_range[0] > 0):
            self.fail("sigma_range", "(low, high) with 0 < low <= high")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return a, the angle, the corner (0 to 3), the centre's x and y, and sigma."""
        sign = {"brighten": np.ones(len(u)), "darken": -np.ones(len(u))}.get(
            self.effect_type, np.where(u[:, 1] < 0.5, -1, 1)
        )
        amount = lerp(u[:, 0], *self.intensity_range) * sign * strength
        center = lerp(u[:, 4:6], *self.center_range)
        angle, sigma = lerp(u[:, 2], *self.angle_range), lerp(u[:, 6], *self.sigma_range)
        return np.column_stack([amount, angle, np.floor(4 * u[:, 3]), center, sigma])

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        height, width = pixels.shape[2:]
        y = (torch.arange(height, device=pixels.device, dtype=pixels.dtype)[:, None] + 0.5) / height
        x = (torch.arange(width, device=pixels.device, dtype=pixels.dtype) + 0.5) / width
        _, angle, corner, center_x, center_y, sigma = params.T
        if self.mode == "linear":
            cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
            reach = (np.abs(cos) + np.abs(sin)) / 2
            light = column(cos / reach, pixels) * (x - 0.5) + column(sin / reach, pixels) * (y - 0.5)
        elif self.mode == "corner":
            away_x, away_y = x - column(corner % 2, pixels), y - column(corner // 2, pixels)
            light = 1 - ((away_x * away_x + away_y * away_y) / 2).sqrt()
        else:
            longer = max(height, width)
            away_x = (x - column(center_x, pixels)) * (width / longer)
            away_y = (y - column(center_y, pixels)) * (height / longer)
            light = torch.exp(-(away_x * away_x + away_y * away_y) / column(2 * sigma**2, pixels))
        return (pixels * (1 + column(params[:, 0], pixels) * light)).clamp(0.0, white)


@dataclass(frozen=True)
class RandomShadow(_Weather):
    """Darken random polygons, with probability p. Where shadows overlap, each takes its share of the rest.

    shadow_roi: where their corners lie, (left, top, right, bottom) in fractions of the sides. num_shadows_limit: how
    many, (low, high), ints from 1. shadow_dimension: corners of each, from 3; lines may cross, and then inside is where
    an odd number of lines must be crossed to leave. shadow_intensity_range: share of light taken, (low, high), 0 to 1.
    """

    shadow_roi: tuple[float, float, float, float] = (0.0, 0.5, 1.0, 1.0)
    num_shadows_limit: tuple[int, int] = (1, 2)
    shadow_dimension: int = 5
    shadow_intensity_range: tuple[float, float] = (0.5, 0.5)
    p: float = 0.5

    def validate(self) -> None:
        roi = self.shadow_roi
        if not (isinstance(roi, tuple) and len(roi) == 4 and is_range(roi[::2], 0, 1) and is_range(roi[1::2], 0, 1)):
            self.fail("shadow_roi", "(left, top, right, bottom) in fractions from 0 to 1")
        if not (is_range(self.num_shadows_limit, 1) and all(isinstance(n, int) for n in self.num_shadows_limit)):
            self.fail("num_shadows_limit", "(low, high), ints with 1 <= low <= high")
        if not isinstance(self.shadow_dimension, int) or self.shadow_dimension < 3:
            self.fail("shadow_dimension", "an int from 3")
        if not is_range(self.shadow_intensity_range, 0, 1):
            self.fail("shadow_intensity_range", "(low, high) from 0 to 1")

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 1 + self.params

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        return self.num_shadows_limit[1] * (1 + 2 * self.shadow_dimension)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return for each shadow its intensity, 0 if it is none, and x and y of its corners in fractions."""
        low, high = self.num_shadows_limit
        count = low + np.floor(u[:, :1] * (high - low + 1))
        shadows = u[:, 1:].reshape(len(u), high, -1)
        intensity = lerp(shadows[:, :, :1], *self.shadow_intensity_range) * strength
        left, top, right, bottom = self.shadow_roi
        corners = lerp(shadows[:, :, 1:].reshape(len(u), high, -1, 2), np.array([left, top]), np.array([right, bottom]))
        used = (np.arange(high) < count)[:, :, None]
        return np.concatenate([intensity * used, corners.reshape(len(u), high, -1)], 2).reshape(len(u), -1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        size = (pixels.shape[2], pixels.shape[3])
        for shadow in params.reshape(len(params), self.num_shadows_limit[1], -1).transpose(1, 0, 2):
            inside = _polygons(shadow[:, 1:].reshape(len(params), -1, 2), size, pixels)
            pixels = pixels * (1 - column(shadow[:, 0], pixels) * inside)
        return pixels


def _polygons(corners: Array, size: tuple[int, int], pixels: torch.Tensor) -> torch.Tensor:
    """Return 1 where a pixel's centre lies in the polygon of `corners (R, n, 2)`, else 0: `(R, 1, H, W)`."""
    height, width = size
    start, stop = corners, np.roll(corners, -1, axis=1)
    y = (np.arange(height) + 0.5) / height
    (x0, y0), (x1, y1) = (np.moveaxis(ends[:, :, None], 3, 0) for ends in (start, stop))
    slope = (x1 - x0) / np.where(y1 == y0, 1.0, y1 - y0)
    # Where each side crosses each line of pixels: 0 where it does not, which is left of all centres.
    crossing = np.where((y0 > y) != (y1 > y), x0 + (y - y0) * slope, 0.0) * width
    at = torch.from_numpy(crossing).to(pixels)[:, None, :, :, None]
    x = torch.arange(width, device=pixels.device, dtype=pixels.dtype) + 0.5
    right = sum((at[:, :, side] > x for side in range(1, at.shape[2])), (at[:, :, 0] > x).to(torch.int32))
    return (right % 2).to(pixels.dtype)


@dataclass(frozen=True)
class RandomSnow(_Weather):
    """Cover dark places with snow, with probability p: their lightness is multiplied, hue and saturation stay.

    snow_point_range: (low, high) from 0 to 1; snow lies where the lightness, the mean of the largest and the smallest
    channel, is below `1/3 + snow_point / 2`. brightness_coeff: the factor, from 1. Images have 1 or 3 channels.
    """

    brightness_coeff: float = 2.5
    snow_point_range: tuple[float, float] = (0.1, 0.3)
    p: float = 0.5

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 2
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    def validate(self) -> None:
        if not (is_number(self.brightness_coeff) and self.brightness_coeff >= 1):
            self.fail("brightness_coeff", "a number >= 1")
        if not is_range(self.snow_point_range, 0, 1):
            self.fail("snow_point_range", "(low, high) from 0 to 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the lightness below which snow lies, and the factor."""
        below = 1 / 3 + lerp(u, *self.snow_point_range) / 2
        return np.concatenate([below, np.full((len(u), 1), 1 + (self.brightness_coeff - 1) * strength)], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        most, least = pixels.amax(1, keepdim=True), pixels.amin(1, keepdim=True)
        lightness = (most + least) / 2
        lighter = (lightness * column(params[:, 1], pixels)).clamp(max=white)
        # At one hue and saturation the channels' distance from the lightness goes with how far that is from both ends.
        room, before = (white - (2 * value - white).abs() for value in (lighter, lightness))
        snow = lighter + (pixels - lightness) * (room / torch.where(before > 0, before, torch.ones_like(before)))
        return torch.where(lightness < column(params[:, 0] * white, pixels), snow, pixels).clamp(0.0, white)


# How many drops there are, and their length as a share of the image's height.
_RAIN = {"drizzle": (65, 0.045), "default": (84, 0.09), "heavy": (84, 0.135), "torrential": (100, 0.27)}


@dataclass(frozen=True)
class RandomRain(_Weather):
    """Draw streaks of rain on an image that becomes darker, with probability p.

    slant_range: of the streaks in degrees from the vertical, (low, high) from -80 to 80. rain_type: "drizzle",
    "default", "heavy" or "torrential": few and short to many and long. drop_width: in 1/224 of the image's height.
    drop_color: on the [0, 1] scale, for uint8 images too. brightness_coefficient: of the image, 0 to 1.
    """

    slant_range: tuple[float, float] = (-10.0, 10.0)
    rain_type: str = "default"
    drop_width: float = 1.0
    drop_color: float = 0.78
    brightness_coefficient: float = 0.7
    p: float = 0.5

    draws: ClassVar[int] = 3
    params: ClassVar[int] = 5

    def validate(self) -> None:
        if not is_range(self.slant_range, -80, 80):
            self.fail("slant_range", "(low, high) from -80 to 80")
        if self.rain_type not in _RAIN:
            self.fail("rain_type", "one of " + ", ".join(_RAIN))
        if not (is_number(self.drop_width) and self.drop_width > 0):
            self.fail("drop_width", "a number above 0")
        for field in ("drop_color", "brightness_coefficient"):
            if not (is_number(getattr(self, field)) and 0 <= getattr(self, field) <= 1):
                self.fail(field, "a number from 0 to 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, the slant, the opacity of a drop and the brightness."""
        drawn = np.tile([strength, self.brightness_coefficient * strength + (1 - strength)], (len(u), 1))
        return np.concatenate([key_words(u[:, :2]), lerp(u[:, 2:], *self.slant_range), drawn], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        count, share = _RAIN[self.rain_type]
        length, width = share * pixels.shape[2], self.drop_width / 224 * pixels.shape[2]
        drops = _streaks(params, pixels, count, length, width)
        rainy = pixels + (self.drop_color * white - pixels) * column(params[:, 3], pixels) * drops
        return rainy * column(params[:, 4], pixels)


def _streaks(params: Array, pixels: torch.Tensor, count: int, length: float, width: float) -> torch.Tensor:
    """Return how much of each pixel is covered by `count` parallel lines of random places: `(R, 1, H, W)`, 0 to 1.

    A line is a row of points at most half a pixel apart, or more such rows side by side; each point is an area that the
    four pixels about it share.
    """
    rows, _, height, wide = pixels.shape
    start = uniform_field(key_of(params, pixels), (count, 2)).to(torch.float64)
    slant = column(np.radians(params[:, 2]), start)[:, 0]
    (along, step), (across, gap) = (_spaced(extent, at_most) for extent, at_most in ((length, 0.5), (width, 1.0)))
    t = torch.from_numpy(np.repeat(along, len(across))).to(start)
    s = torch.from_numpy(np.tile(across, len(along))).to(start)
    x = start[:, :, :1] * wide + t * slant.sin() + s * slant.cos() - 0.5
    # A streak may enter from above.
    y = start[:, :, 1:] * (height + length) - length + t * slant.cos() - s * slant.sin() - 0.5
    cover = pixels.new_zeros(rows * height * wide)
    first = torch.arange(rows, device=pixels.device)[:, None, None] * height
    for dy in (0, 1):
        for dx in (0, 1):
            to_y, to_x = y.floor() + dy, x.floor() + dx
            weight = step * gap * (1 - (y - to_y).abs()) * (1 - (x - to_x).abs())
            inside = (to_y >= 0) & (to_y < height) & (to_x >= 0) & (to_x < wide)
            index = (first + to_y.clamp(0, height - 1).long()) * wide + to_x.clamp(0, wide - 1).long()
            cover = cover.index_add(0, index.flatten(), (weight * inside).to(pixels.dtype).flatten())
    return cover.reshape(rows, 1, height, wide).clamp(max=1.0)


def _spaced(extent: float, at_most: float) -> tuple[Array, float]:
    """Return the middles of equal parts of 0 to `extent`, and their length, `at_most` at most."""
    count = max(math.ceil(extent / at_most), 1)
    return (np.arange(count) + 0.5) * extent / count, extent / count
