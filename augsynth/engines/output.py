"""The output stage that every engine renders last: value range, Normalize, dtype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from augsynth.transforms.base import Array


@dataclass(frozen=True)
class Output:
    """white: the input's value for 1.0 (255 or 1). mean, std: of Normalize, or None. dtype: what comes out.

    span: what 0 and 1 become where floats come out without Normalize. clamp: colour stays in the value range.
    """

    white: float
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    dtype: torch.dtype
    span: tuple[float, float] = (0.0, 1.0)
    clamp: bool = True

    @classmethod
    def between(cls, white: float, dtype: torch.dtype = torch.float32) -> Output:
        """Describe what passes from one step to the next: the input's own units, floats or bytes."""
        return cls(white, (0.0,), (1 / white,), dtype) if dtype == torch.float32 else cls(white, None, None, dtype)

    @property
    def is_integer(self) -> bool:
        """True when uint8 comes out, in 0 to 255."""
        return self.dtype == torch.uint8

    def affine(self, channels: int) -> tuple[Array, Array]:
        """Return scale and offset `(C,)` from input to output values. Raises ValueError on a wrong channel count."""
        if self.mean is None or self.std is None:
            low, high = (0.0, 255.0) if self.is_integer else self.span
            return np.full(channels, (high - low) / self.white), np.full(channels, low)
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        if {len(mean), len(std)} - {1, channels}:
            raise ValueError(
                f"Normalize: mean and std have {len(mean)} and {len(std)} entries for images of {channels} channels"
            )
        mean, std = np.broadcast_to(mean, (channels,)), np.broadcast_to(std, (channels,))
        return 1.0 / (self.white * std), -mean / std


def fill_values(fill: tuple[float, ...], channels: int) -> Array:
    """Spread a fill of one value, or one per channel, over C channels."""
    return np.broadcast_to(np.asarray(fill, np.float64), (channels,))
