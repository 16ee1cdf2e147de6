"""Sharpness and relief: what enlarges the differences between a pixel and its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, Neighbourhood, is_number, is_range, lerp
from augsynth.transforms.blur import Linear, as_range, check_limit, correlate, draw_odd, filtered, gaussian

__all__ = ["Emboss", "RandomAdjustSharpness", "UnsharpMask"]


class _Sharpening(Neighbourhood):
    """Blend with a 3 x 3 blur by a factor, params `(R, 1)`: `x + (1 - f) (blur(x) - x)`; the outermost pixels stay.

    Images that came as uint8 are whole levels before and after, and so is the blur, to the bit as in torchvision.
    """

    params: ClassVar[int] = 1
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    kernel_step: ClassVar[str] = "sharpen"

    def kernel_numbers(self, params: Array) -> Array:
        high, low = _split(1 - params[:, 0])
        return np.stack([high, low, np.zeros_like(high)], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        if min(pixels.shape[2:]) < 3:
            return pixels
        whole = white == 255.0
        pixels = pixels.round() if whole else pixels
        middle = pixels[:, :, 1:-1, 1:-1]
        columns = pixels[:, :, :-2] + pixels[:, :, 1:-1] + pixels[:, :, 2:]
        blurred = (columns[..., :-2] + columns[..., 1:-1] + columns[..., 2:] + 4 * middle) / 13
        change = (blurred.round() if whole else blurred) - middle
        high, low = (torch.from_numpy(part).to(pixels)[:, :, None, None] for part in _split(1 - params))
        sharp = ((middle + high * change) + low * change).clamp(0.0, white)
        result = pixels.clone()
        result[:, :, 1:-1, 1:-1] = sharp.floor() if whole else sharp
        return result

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        if min(pixels.shape[:2]) < 3:
            return pixels
        whole = white == 255.0
        source = cv2.convertScaleAbs(pixels) if whole and pixels.dtype != np.uint8 else pixels
        floats = source.astype(np.float32)
        sums = cv2.boxFilter(source, cv2.CV_32F, (3, 3), normalize=False)
        blurred = cv2.scaleAdd(floats, 4.0, sums)
        np.multiply(blurred, np.float32(1 / 13), out=blurred)
        if whole:
            np.rint(blurred, out=blurred)
        change = np.subtract(blurred, floats, out=blurred)
        high, low = _split(1 - params)
        sharp = cv2.scaleAdd(change, float(low[0]), cv2.scaleAdd(change, float(high[0]), floats))
        # 15 us, numpy's maximum takes 70.
        torch.from_numpy(sharp).clamp_(0.0, white)
        return _framed(cv2.convertScaleAbs(np.floor(sharp, out=sharp)) if whole else sharp, source)

    def apply_levels(self, pixels: Array, params: Array) -> Array | None:
        if min(pixels.shape[1:3]) < 3:
            return None
        import cv2

        # One image below the other: what the blur sees of a neighbour are outermost pixels, which stay.
        tall = pixels.reshape(-1, *pixels.shape[2:])
        floats = tall.astype(np.float32)
        change: Array = cv2.scaleAdd(floats, 4.0, cv2.boxFilter(tall, cv2.CV_32F, (3, 3), normalize=False))
        change *= np.float32(1 / 13)
        np.rint(change, out=change)
        change -= floats
        each, sharp = change.reshape(len(pixels), -1), floats.reshape(len(pixels), -1)
        high, low = (part.astype(np.float32) for part in _split(1 - params))
        sharp += high * each
        sharp += np.multiply(low, each, out=each)
        torch.from_numpy(sharp).clamp_(0.0, 255.0)
        result = sharp.astype(np.uint8).reshape(pixels.shape)
        for edge in (0, -1):
            result[:, edge], result[:, :, edge] = pixels[:, edge], pixels[:, :, edge]
        return result


def _split(factor: Array) -> tuple[Array, Array]:
    """Split float32 factors into a part of few bits and the rest, so that `(x + high d) + low d` is rounded once only.

    For whole x and d below 256 that is what a fused multiply-add makes of `x + factor d`, on devices without one too.
    """
    rounded = factor.astype(np.float32).astype(np.float64)
    step = np.ldexp(1.0, np.maximum(np.frexp(rounded)[1], 0) - 15)
    high = np.rint(rounded / step) * step
    return high, rounded - high


def _framed(result: Array, source: Array) -> Array:
    """Put the outermost pixels of `source` into `result`."""
    for edge in (0, -1):
        result[edge], result[:, edge] = source[edge], source[:, edge]
    return result


@dataclass(frozen=True)
class Sharpness(_Sharpening):
    """Blur (factor 0 to 1) or sharpen (above 1) each image by one factor."""

    factor: float

    def validate(self) -> None:
        if not (is_number(self.factor) and self.factor >= 0):
            self.fail("factor", "a number >= 0")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return np.full((len(u), 1), self.factor * strength + (1 - strength))


@dataclass(frozen=True)
class RandomAdjustSharpness(_Sharpening):
    """Blur (factor 0 to 1) or sharpen (above 1) with probability p: `f x + (1 - f) blur(x)`, blur 3 x 3.

    sharpness_factor: >= 0; 1 changes nothing. The outermost pixels stay. Images have 1 or 3 channels.
    """

    sharpness_factor: float
    p: float = 0.5

    def validate(self) -> None:
        if not (is_number(self.sharpness_factor) and self.sharpness_factor >= 0):
            self.fail("sharpness_factor", "a number >= 0")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return np.full((len(u), 1), self.sharpness_factor * strength + (1 - strength))


@dataclass(frozen=True)
class Emboss(Linear):
    """Blend with a relief lit from a corner, with probability p.

    alpha: share of the relief, (low, high) from 0 to 1. strength: height of the relief, (low, high) from 0.
    """

    alpha: tuple[float, float] = (0.2, 0.5)
    strength: tuple[float, float] = (0.2, 0.7)
    p: float = 0.5

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2
    overshoots: ClassVar[bool] = True

    def validate(self) -> None:
        if not is_range(self.alpha, 0, 1):
            self.fail("alpha", "(low, high) from 0 to 1")
        if not is_range(self.strength, 0):
            self.fail("strength", "(low, high) with 0 <= low <= high")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        alpha, height = lerp(u[:, :1], *self.alpha) * strength, lerp(u[:, 1:], *self.strength)
        return np.concatenate([alpha, height], 1)

    def kernels(self, params: Array) -> tuple[Array, ...]:
        alpha, height = params
        slope = np.array([[-1 - height, -height, 0], [-height, 1, height], [0, height, 1 + height]])
        return (alpha * slope + (1 - alpha) * _CENTER,)


_CENTER = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


@dataclass(frozen=True)
class UnsharpMask(Neighbourhood):
    """Add the difference from a Gaussian blur where it is large, with probability p.

    blur_limit: the Gaussian's size in pixels, an odd number from (low, high), at least 3; an int is `high`.
    sigma_limit: (low, high) in pixels; a number is `high`; where it is 0, the sigma follows from the size.
    alpha: weight of the difference, (low, high) in [0, 1]; a number is `high`. threshold: how large the difference must
    be, in 1/255 of the value range. The mask of where is softened by the same Gaussian.
    """

    blur_limit: int | tuple[int, int] = (3, 7)
    sigma_limit: float | tuple[float, float] = 0.0
    alpha: float | tuple[float, float] = (0.2, 0.5)
    threshold: int = 10
    p: float = 0.5

    draws: ClassVar[int] = 3
    params: ClassVar[int] = 3

    def validate(self) -> None:
        check_limit(self)
        if not is_range(as_range(self.sigma_limit, 0), 0):
            self.fail("sigma_limit", "a number >= 0 or (low, high) with 0 <= low <= high")
        if not is_range(as_range(self.alpha, 0), 0, 1):
            self.fail("alpha", "a number from 0 to 1 or (low, high)")
        if not (is_number(self.threshold) and 0 <= self.threshold <= 255):
            self.fail("threshold", "a number from 0 to 255")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return size, sigma and alpha."""
        size = draw_odd(self.blur_limit, u[:, :1], 1.0)
        sigma = lerp(u[:, 1:2], *as_range(self.sigma_limit, 0))
        sigma = np.where(sigma > 0, sigma, 0.3 * ((size - 1) / 2 - 1) + 0.8)
        return np.concatenate([size, sigma, lerp(u[:, 2:], *as_range(self.alpha, 0)) * strength], 1)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        rims = [gaussian(int(size), sigma) for size, sigma in params[:, :2]]
        columns, rows = [rim[:, None] for rim in rims], [rim[None] for rim in rims]
        change = pixels - correlate(correlate(pixels, columns), rows)
        alpha = torch.from_numpy(params[:, 2]).to(pixels)[:, None, None, None]
        where = (change.abs() * (255.0 / white) > self.threshold).to(pixels.dtype)
        sharp = (pixels + alpha * change).clamp(0.0, white)
        return pixels + correlate(correlate(where, columns), rows) * (sharp - pixels)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        rim = gaussian(int(params[0]), params[1])
        floats = pixels.astype(np.float32)
        change = floats - filtered(pixels, (rim[:, None], rim[None]))
        where = (np.abs(change) * np.float32(255.0 / white) > self.threshold).astype(np.float32)
        # What the clamp of `x + alpha d` leaves of the step from x.
        step = torch.from_numpy(floats + np.float32(params[2]) * change).clamp_(0.0, white).numpy() - floats
        return np.asarray(floats + filtered(where, (rim[:, None], rim[None])) * step)
