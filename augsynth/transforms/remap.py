"""Distortions by a field of source points: what every one of them does with its field, on both engines."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from augsynth.transforms.base import (
    BORDER_MODES,
    INTERPOLATIONS,
    Array,
    Border,
    Distortion,
    check_fill,
    check_interpolation,
    is_number,
)
from augsynth.transforms.sampling import BICUBIC, BILINEAR, CPU_CHUNK, invert, sample

Source = tuple[torch.Tensor, torch.Tensor]
Size = tuple[int, int]


class Remap(Distortion):
    """A distortion that reads each output pixel at its source point; both engines take the points from `source`."""

    interpolation: str
    fill: Any

    def source(self, params: Array, size: Size, device: torch.device) -> Source:
        """Return x and y of every output pixel's source point, float32 tensors that broadcast to `(R, H, W)`."""
        raise TypeError(f"{type(self).__name__} has no source")

    @cached_property
    def border(self) -> Border:
        """What lies outside the image."""
        return Border(getattr(self, "padding_mode", "constant"), check_fill(self))

    @property
    def constant(self) -> tuple[float, ...]:
        return self.border.fill

    @cached_property
    def _kind(self) -> int:
        return INTERPOLATIONS.index(self.interpolation)

    def field(self, params: Array, size: Size) -> Array:
        x, y = self.source(params, size, torch.device("cpu"))
        shape = (len(params), *size)
        return np.stack([np.broadcast_to(x.numpy(), shape), np.broadcast_to(y.numpy(), shape)], -1)

    def points(self, params: Array, size: Size, xy: Array) -> Array:
        return invert(self.field(params.reshape(1, -1), size)[0], xy)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        step = CPU_CHUNK if pixels.device.type == "cpu" else len(pixels)
        parts = [self._sample(pixels[i : i + step], params[i : i + step]) for i in range(0, len(pixels), step)]
        result = parts[0] if len(parts) == 1 else torch.cat(parts)
        return result.clamp(0.0, white) if self._kind == BICUBIC else result

    def _sample(self, pixels: torch.Tensor, params: Array) -> torch.Tensor:
        size = (pixels.shape[2], pixels.shape[3])
        x, y = (part.to(pixels.dtype) for part in self.source(params, size, pixels.device))
        limits = torch.tensor([[0, 0, *size]], device=pixels.device)
        return sample(pixels, x, y, limits, self.border.mode, np.array(self.border.fill), self._kind)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        size = (pixels.shape[0], pixels.shape[1])
        # cv2 counts from pixel centres, we from pixel edges.
        maps = [part[0].numpy() - np.float32(0.5) for part in self.source(params[None], size, torch.device("cpu"))]
        x, y = (np.ascontiguousarray(np.broadcast_to(part, size)) for part in maps)
        wide = pixels.ndim == 3 and self._kind == BILINEAR
        # cv2 reads 4 channels with SIMD, 3 without: twice as slow.
        source = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA) if wide else pixels
        flags = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[self._kind]
        outside = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, cv2.BORDER_REFLECT)
        mode = outside[BORDER_MODES.index(self.border.mode)]
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        fill = np.broadcast_to(np.array(self.border.fill), (channels,)).tolist()
        result = cv2.remap(source, x, y, flags, borderMode=mode, borderValue=fill)
        result = cv2.cvtColor(result, cv2.COLOR_RGBA2RGB) if wide else result
        bounded = result.dtype == np.uint8 or self._kind != BICUBIC
        return np.asarray(result if bounded else np.clip(result, 0.0, np.float32(white)))


def check_reading(transform: Remap) -> None:
    """Check interpolation, border and fill; raise ValueError."""
    if getattr(transform, "padding_mode", "constant") not in BORDER_MODES:
        transform.fail("padding_mode", "one of " + ", ".join(BORDER_MODES))
    check_interpolation(transform)
    check_fill(transform)


@lru_cache(maxsize=16)
def centres(length: int, device: torch.device) -> torch.Tensor:
    """Return the continuous coordinates of the pixel centres of one axis; kept, so never write into it."""
    return torch.arange(length, device=device, dtype=torch.float32) + 0.5


def on_device(array: Array, device: torch.device) -> torch.Tensor:
    """Bring small host numbers to a device, as float32."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)


def as_limits(value: Any) -> Any:
    """Read a range: a number v means (-v, v). What is neither is returned as it is."""
    return (-value, value) if is_number(value) else value
