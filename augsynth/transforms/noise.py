"""Noise: random numbers of each pixel's own, drawn from two key words of the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, Noise, is_number, is_range, lerp
from augsynth.transforms.blur import as_range
from augsynth.transforms.color import HUE_TURN, LUMA_ONE
from augsynth.transforms.fields import key_words, normal_field, uniform_field
from augsynth.transforms.levels import column

__all__ = ["GaussNoise", "GaussianNoise", "ISONoise", "MultiplicativeNoise", "SaltAndPepper", "ShotNoise"]

_GAMMA = 2.2
_MANY_PHOTONS = 32.0
_CACHED = 16384


class PixelNoise(Noise):
    """A transform whose first two parameters are the key words of its fields."""

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        # Channels stay last in memory, here as in the fields: nothing is transposed.
        floats = torch.from_numpy(pixels.astype(np.float32)).reshape(1, *pixels.shape[:2], -1).permute(0, 3, 1, 2)
        done = self.apply(floats, params[None], white)
        return np.ascontiguousarray(done[0].permute(1, 2, 0).numpy()).reshape(pixels.shape)


def key_of(params: Array, pixels: torch.Tensor) -> torch.Tensor:
    """Return the key words `(R, 2)` on the pixels' device."""
    return torch.from_numpy(params[:, :2].astype(np.int64)).to(pixels.device)


def normals(params: Array, pixels: torch.Tensor, lane: int = 0, channels: int | None = None) -> torch.Tensor:
    """Return standard normals `(R, channels, H, W)` for pixels `(R, C, H, W)`; as many channels if nothing is said."""
    shape = (*pixels.shape[2:], channels or pixels.shape[1])
    return normal_field(key_of(params, pixels), shape, lane).permute(0, 3, 1, 2).to(pixels.dtype)


def uniforms(params: Array, pixels: torch.Tensor, lane: int = 0, channels: int | None = None) -> torch.Tensor:
    """Return uniforms in (0, 1), as `normals` does."""
    shape = (*pixels.shape[2:], channels or pixels.shape[1])
    return uniform_field(key_of(params, pixels), shape, lane).permute(0, 3, 1, 2).to(pixels.dtype)


@dataclass(frozen=True)
class GaussianNoise(PixelNoise):
    """Add normal noise to each channel of each pixel.

    mean, sigma: on the [0, 1] scale, for uint8 images too. clip: without it floats may leave [0, 1]; what came as uint8
    saturates in any case.
    """

    mean: float = 0.0
    sigma: float = 0.1
    clip: bool = True

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 4

    def validate(self) -> None:
        if not is_number(self.mean):
            self.fail("mean", "a number")
        if not (is_number(self.sigma) and self.sigma >= 0):
            self.fail("sigma", "a number >= 0")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, mean and sigma."""
        scaled = np.array([self.mean, self.sigma]) * strength
        return np.concatenate([key_words(u), np.broadcast_to(scaled, (len(u), 2))], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        mean, sigma = (column(params[:, i] * white, pixels) for i in (2, 3))
        noisy = pixels + (mean + sigma * normals(params, pixels))
        return noisy.clamp(0.0, white) if self.clip or white == 255.0 else noisy


@dataclass(frozen=True)
class GaussNoise(PixelNoise):
    """Add normal noise of random strength, with probability p.

    std_range, mean_range: (low, high) on the [0, 1] scale, for uint8 images too. per_channel: False adds the same noise
    to all channels of a pixel.
    """

    std_range: tuple[float, float] = (0.2, 0.44)
    mean_range: tuple[float, float] = (0.0, 0.0)
    per_channel: bool = True
    p: float = 0.5

    draws: ClassVar[int] = 4
    params: ClassVar[int] = 4

    def validate(self) -> None:
        if not is_range(self.std_range, 0, 1):
            self.fail("std_range", "(low, high) from 0 to 1")
        if not is_range(self.mean_range, -1, 1):
            self.fail("mean_range", "(low, high) from -1 to 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, mean and sigma."""
        mean, sigma = lerp(u[:, 2:3], *self.mean_range), lerp(u[:, 3:], *self.std_range)
        return np.concatenate([key_words(u[:, :2]), mean * strength, sigma * strength], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        mean, sigma = (column(params[:, i] * white, pixels) for i in (2, 3))
        noise = normals(params, pixels, channels=None if self.per_channel else 1)
        return (pixels + (mean + sigma * noise)).clamp(0.0, white)


@dataclass(frozen=True)
class ISONoise(PixelNoise):
    """Add the noise of a sensor at high gain, with probability p: grain in the luma, small turns of the hue.

    intensity: the gain, (low, high) from 0. The grain's variance is `intensity (luma + 1/255) / 255`, as of photons.
    color_shift: (low, high) from 0 to 1; the hue turns by a normal angle of `color_shift * intensity` full turns.
    Images have 1 or 3 channels.
    """

    color_shift: tuple[float, float] = (0.01, 0.05)
    intensity: tuple[float, float] = (0.1, 0.5)
    p: float = 0.5

    draws: ClassVar[int] = 4
    params: ClassVar[int] = 4
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    def validate(self) -> None:
        if not is_range(self.color_shift, 0, 1):
            self.fail("color_shift", "(low, high) from 0 to 1")
        if not is_range(self.intensity, 0):
            self.fail("intensity", "(low, high) with 0 <= low <= high")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, color_shift and intensity."""
        shift, intensity = lerp(u[:, 2:3], *self.color_shift), lerp(u[:, 3:], *self.intensity)
        return np.concatenate([key_words(u[:, :2]), shift, intensity * strength], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        gain = column(params[:, 3], pixels)
        luma = mixed(pixels, LUMA_ONE) if pixels.shape[1] == 3 else pixels
        spread = (gain * (luma + white / 255).clamp(min=0.0) * (white / 255)).sqrt()
        noisy = pixels + spread * normals(params, pixels, 0, 1)
        if pixels.shape[1] == 3:
            angle = column(2 * math.pi * params[:, 2], pixels) * gain * normals(params, pixels, 1, 1)
            across = torch.cat([mixed(pixels, row) for row in HUE_TURN], 1)
            noisy = noisy + (angle.cos() - 1) * (pixels - luma) + angle.sin() * across
        return noisy.clamp(0.0, white)


def mixed(pixels: torch.Tensor, weights: Array) -> torch.Tensor:
    """Return one weighted sum `(R, 1, H, W)` of three channels."""
    red, green, blue = map(float, weights)
    return pixels[:, :1] * red + pixels[:, 1:2] * green + pixels[:, 2:] * blue


@dataclass(frozen=True)
class ShotNoise(PixelNoise):
    """Count photons, with probability p: replace each value by a Poisson number of the same mean, in linear light.

    scale_range: the light of one photon, (low, high) in (0, 1], where white has the light 1: the larger, the noisier.
    Linear light is `x ** 2.2`. The gradient is the identity's.
    """

    scale_range: tuple[float, float] = (0.1, 0.3)
    p: float = 0.5

    draws: ClassVar[int] = 3
    params: ClassVar[int] = 3

    def validate(self) -> None:
        if not (is_range(self.scale_range, 0, 1) and self.scale_range[0] > 0):
            self.fail("scale_range", "(low, high) with 0 < low <= high <= 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words and the scale."""
        scale = np.maximum(lerp(u[:, 2:], *self.scale_range) * strength, 2.0**-20)
        return np.concatenate([key_words(u[:, :2]), scale], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        values = pixels.detach()
        scale = column(params[:, 2], pixels)
        rate = (values / white).clamp(0.0, 1.0) ** _GAMMA / scale
        most = 1 / float(params[:, 2].min())
        count = poisson(rate, uniforms(params, pixels), min(most, _MANY_PHOTONS))
        if most > _MANY_PHOTONS:
            z = normals(params, pixels)  # of the same words as the uniforms
            many = (rate + rate.sqrt() * z + (z * z - 1) / 6).round().clamp(min=0.0)
            count = torch.where(rate > _MANY_PHOTONS, many, count)
        noisy = (count * scale).clamp(max=1.0) ** (1 / _GAMMA) * white
        return torch.add(pixels, noisy - values)


def poisson(rate: torch.Tensor, u: torch.Tensor, most: float) -> torch.Tensor:
    """Return the Poisson quantiles of uniforms of 16 bits; they are right where the rate is at most `most`, 32 at most.

    rate, u: `(R, C, H, W)`, fastest where the channels lie last in memory.
    """
    shape = rate.permute(0, 2, 3, 1).shape
    rates, uniform = (values.permute(0, 2, 3, 1).reshape(-1) for values in (rate, u))
    # On the CPU in parts that stay in its cache.
    size = _CACHED if rate.device.type == "cpu" else len(rates)
    starts = range(0, len(rates), size)
    counts = torch.cat([_count(rates[i : i + size], uniform[i : i + size], most) for i in starts])
    return counts.reshape(shape).permute(0, 3, 1, 2)


def _count(rate: torch.Tensor, u: torch.Tensor, most: float) -> torch.Tensor:
    """Count how many sums of the first Poisson probabilities are below `u`."""
    term = torch.exp(-rate)
    total, count, below = term.clone(), torch.zeros_like(term), torch.empty_like(term)
    tiny = term.new_tensor(1e-36)  # keeps the terms from denormal numbers, which are ten times slower
    for k in range(1, math.ceil(most + 4.4 * math.sqrt(most)) + 6):
        # Written as floats the comparison is vectorised.
        count += torch.gt(u, total, out=below)
        torch.addcmul(tiny, term, rate, value=1 / k, out=term)
        total += term
    return count


@dataclass(frozen=True)
class SaltAndPepper(PixelNoise):
    """Turn single pixels white or black, in all channels, with probability p.

    amount: share of the pixels, (low, high) from 0 to 1. salt_vs_pepper: share of white among them, (low, high).
    """

    amount: tuple[float, float] = (0.01, 0.06)
    salt_vs_pepper: tuple[float, float] = (0.4, 0.6)
    p: float = 0.5

    draws: ClassVar[int] = 4
    params: ClassVar[int] = 4

    def validate(self) -> None:
        for field in ("amount", "salt_vs_pepper"):
            if not is_range(getattr(self, field), 0, 1):
                self.fail(field, "(low, high) from 0 to 1")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, the amount and the share of salt."""
        amount, salt = lerp(u[:, 2:3], *self.amount), lerp(u[:, 3:], *self.salt_vs_pepper)
        return np.concatenate([key_words(u[:, :2]), amount * strength, salt], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        u = uniforms(params, pixels, channels=1)
        amount, salt = column(params[:, 2], pixels), column(params[:, 2] * params[:, 3], pixels)
        return pixels.masked_fill(u < amount, 0.0).masked_fill(u < salt, white)


@dataclass(frozen=True)
class MultiplicativeNoise(PixelNoise):
    """Multiply by random factors, with probability p.

    multiplier: the factors, (low, high) from 0, or one number. per_channel: one for each channel. elementwise: one for
    each pixel. Images have 1 or 3 channels.
    """

    multiplier: float | tuple[float, float] = (0.9, 1.1)
    per_channel: bool = False
    elementwise: bool = False
    p: float = 0.5

    draws: ClassVar[int] = 5
    params: ClassVar[int] = 7
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    def validate(self) -> None:
        if not is_range(as_range(self.multiplier), 0):
            self.fail("multiplier", "a number >= 0 or (low, high) with 0 <= low <= high")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, the bounds of the factors, and the factors of three channels."""
        low, high = (1 + (bound - 1) * strength for bound in as_range(self.multiplier))
        factors = lerp(u[:, 2:] if self.per_channel else u[:, 2:3].repeat(3, 1), low, high)
        return np.concatenate([key_words(u[:, :2]), np.broadcast_to([low, high], (len(u), 2)), factors], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        if self.elementwise:
            low, width = column(params[:, 2], pixels), column(params[:, 3] - params[:, 2], pixels)
            factors = low + width * uniforms(params, pixels, channels=None if self.per_channel else 1)
        else:
            factors = torch.from_numpy(params[:, 4:, None, None]).to(pixels)[:, : pixels.shape[1]]
        return (pixels * factors).clamp(0.0, white)
