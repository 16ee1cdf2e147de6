"""Colour that is no matrix of the pixel alone: HSV shifts, and a jitter along the image's principal colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, Standalone, is_number, is_range, lerp
from augsynth.transforms.levels import column, normal


def symmetric(value: Any) -> Any:
    """Read v >= 0 as (-v, v); return anything else as it is."""
    return (-value, value) if is_number(value) and value >= 0 else value


@dataclass(frozen=True)
class HueSaturationValue(Standalone):
    """Shift hue, saturation and value in HSV, with probability p; gray pixels stay gray.

    hue_shift_limit: (low, high), or v for (-v, v), in units of 2 degrees, so that 180 is the whole circle.
    sat_shift_limit, val_shift_limit: the same in 1/255, for uint8 and floats alike. One channel has only its value.
    """

    hue_shift_limit: float | tuple[float, float] = (-20, 20)
    sat_shift_limit: float | tuple[float, float] = (-30, 30)
    val_shift_limit: float | tuple[float, float] = (-20, 20)
    p: float = 0.5

    word: ClassVar[str] = "hsv"
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    draws: ClassVar[int] = 3
    params: ClassVar[int] = 3

    def validate(self) -> None:
        for field, most in (("hue_shift_limit", 180), ("sat_shift_limit", 255), ("val_shift_limit", 255)):
            if not is_range(symmetric(getattr(self, field)), -most, most):
                self.fail(field, f"(low, high) or a number v >= 0 for (-v, v), within {most} of 0")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the shifts as shares of the circle, of full saturation and of white."""
        limits = [symmetric(v) for v in (self.hue_shift_limit, self.sat_shift_limit, self.val_shift_limit)]
        low, high = np.array(limits).T / np.array([180, 255, 255])
        return lerp(u, low, high) * strength

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        hue, saturation, brightness = (column(shift, pixels)[:, 0] for shift in params.T)
        value, low = pixels.amax(1), pixels.amin(1)
        shifted = (value + brightness * white).clamp(0.0, white)
        if pixels.shape[1] == 1:
            return shifted[:, None]
        red, green, blue = pixels.unbind(1)
        spread = value - low
        safe = torch.where(spread > 0, spread, torch.ones_like(spread))
        sector = torch.where(value == green, (blue - red) / safe + 2.0, (red - green) / safe + 4.0)
        sector = torch.where(value == red, (green - blue) / safe, sector) + 6.0 * hue
        share = spread / torch.where(value > 0, value, torch.ones_like(value))
        depth = shifted * torch.where(spread > 0, (share + saturation).clamp(0.0, 1.0), share)
        turns = [torch.remainder(sector + offset, 6.0) for offset in (5.0, 3.0, 1.0)]
        return torch.stack([shifted - depth * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0) for k in turns], 1)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        hue, saturation, brightness = params.tolist()
        pixels = np.asarray(pixels, np.float32)
        if pixels.ndim == 2:
            return np.clip(pixels + np.float32(brightness * white), 0.0, white)
        h, s, v = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV))
        # 360 and more wraps inside cv2; a negative hue does not.
        h += np.float32(hue % 1.0 * 360.0)
        s = np.clip(s + (s > 0) * np.float32(saturation), 0.0, 1.0)
        v = np.clip(v + np.float32(brightness * white), 0.0, white)
        return np.asarray(cv2.cvtColor(cv2.merge([h, s, v]), cv2.COLOR_HSV2RGB))


@dataclass(frozen=True)
class FancyPCA(Standalone):
    """Stretch each image's colours along their own principal components, with probability p.

    Along the i-th component, of variance v_i on the [0, 1] scale, a colour's distance from the mean colour is
    multiplied by 1 + a_i v_i, a_i normal with standard deviation alpha (>= 0). With one channel, by 1 + a_1 sqrt(v).
    """

    alpha: float = 0.1
    p: float = 0.5

    word: ClassVar[str] = "pca"
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    draws: ClassVar[int] = 3
    params: ClassVar[int] = 3

    def validate(self) -> None:
        if not (is_number(self.alpha) and self.alpha >= 0):
            self.fail("alpha", "a number >= 0")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the factors of the components, that of the largest variance first."""
        return self.alpha * strength * normal(u)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        values = pixels.flatten(2).to(torch.float64)
        mean = values.mean(2, keepdim=True)
        away = (values - mean) / white
        factors = torch.from_numpy(params).to(pixels.device)
        if pixels.shape[1] == 1:
            gain = factors[:, :1, None] * away.square().mean(2, keepdim=True).sqrt()
        else:
            variances, axes = _components(away @ away.transpose(1, 2) / max(away.shape[2] - 1, 1))
            order = variances.argsort(dim=1, descending=True)
            stretch = torch.zeros_like(variances).scatter(1, order, factors) * variances
            gain = (axes * stretch[:, None]) @ axes.transpose(1, 2)
        return (values + gain @ away * white).to(pixels.dtype).clamp(0.0, white).view_as(pixels)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        floats = np.asarray(pixels, np.float32)
        if pixels.ndim == 2:
            middle, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(floats))
            factor = params[0] * deviation / white
            return np.asarray(np.clip(floats * np.float32(1 + factor) - np.float32(factor * middle), 0.0, white))
        mean = np.array(cv2.mean(pixels)[:3])
        away = floats.reshape(-1, 3) - mean.astype(np.float32)
        covariance = (away.T @ away).astype(np.float64) / (max(len(away) - 1, 1) * white**2)
        variances, axes = np.linalg.eigh(covariance)
        gain = (axes * (variances * params[::-1])) @ axes.T
        matrix = np.column_stack([np.eye(3) + gain, -gain @ mean])
        return np.asarray(np.clip(cv2.transform(floats, matrix), 0.0, white))


def _components(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvalues `(R, 3)` and eigenvectors `(R, 3, 3)`, as columns, of symmetric matrices `(R, 3, 3)`.

    By Jacobi's rotations, five rounds: unlike the library's solver they never wait for a device.
    """
    eye = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    axes = eye.expand_as(matrix)
    for i, j in ((0, 1), (0, 2), (1, 2)) * 5:
        angle = 0.5 * torch.atan2(2.0 * matrix[:, i, j], matrix[:, j, j] - matrix[:, i, i])
        cosine, sine = angle.cos(), angle.sin()
        turn = eye.repeat(len(matrix), 1, 1)
        turn[:, i, i], turn[:, j, j], turn[:, i, j], turn[:, j, i] = cosine, cosine, sine, -sine
        matrix = turn.transpose(1, 2) @ matrix @ turn
        axes = axes @ turn
    return matrix.diagonal(dim1=1, dim2=2), axes
