"""Transforms that overwrite a part of the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from augsynth.transforms.base import Array, Pixelwise, check_fill, check_inplace, is_range, lerp

__all__ = ["RandomErasing"]

_TRIES = 10


@dataclass(frozen=True)
class RandomErasing(Pixelwise):
    """Fill a random rectangle of each image. Source: arXiv:1708.04896.

    scale: area of the rectangle as a fraction of the image, (low, high) in (0, 1].
    ratio: height over width, (low, high), log-uniform. An image where none of ten tries fits stays as it is.
    value: in image space, a number or one per channel.
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float | tuple[float, ...] = 0.0
    inplace: bool = False

    draws: ClassVar[int] = 2 * _TRIES + 2
    params: ClassVar[int] = 4

    def validate(self) -> None:
        if not is_range(self.scale, 0, 1):
            self.fail("scale", "(low, high) with 0 <= low <= high <= 1")
        if not (is_range(self.ratio) and self.ratio[0] > 0):
            self.fail("ratio", "(low, high) with 0 < low <= high")
        check_fill(self, "value")
        check_inplace(self)

    @property
    def constant(self) -> tuple[float, ...]:
        return check_fill(self, "value")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top, left, height, width in pixels; height and width 0 where nothing fits."""
        height, width = sizes[:, :1], sizes[:, 1:]
        area = lerp(u[:, :_TRIES], *self.scale) * strength * height * width
        aspect = np.exp(lerp(u[:, _TRIES : 2 * _TRIES], math.log(self.ratio[0]), math.log(self.ratio[1])))
        h, w = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
        fits = (h < height) & (w < width)
        rows, first = np.arange(len(u)), fits.argmax(1)
        window = np.stack([h[rows, first], w[rows, first]], 1) * fits.any(1)[:, None]
        return np.concatenate([np.floor(u[:, -2:] * (sizes - window + 1)), window], 1)

    def rectangle(self, params: Array) -> Array:
        return params.astype(np.int64)
