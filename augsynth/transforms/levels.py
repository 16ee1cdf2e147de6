"""How tones render: planes and tables on whole levels, formulas on floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from augsynth.transforms.base import Array, Tone

LEVELS = np.arange(256)
# Three tables at once cost nearly twice as much per byte as three times one table, but save the split: 3 us or 8.
_INTERLEAVED = 20_000


def levels(pixels: torch.Tensor, white: float) -> torch.Tensor:
    """Round what came as uint8 to whole levels; leave floats alone."""
    return pixels.round() if white == 255.0 else pixels


def column(values: Array | float, pixels: torch.Tensor) -> torch.Tensor:
    """Bring one number per row `(R,)` to `(R, 1, 1, 1)` on the pixels' device."""
    return torch.as_tensor(np.asarray(values), dtype=pixels.dtype).to(pixels.device).reshape(-1, 1, 1, 1)


def first_of_three(numbers: Array) -> Array:
    """Return numbers `(R,)` as the first column of `(R, 3)`."""
    return np.stack([numbers, np.zeros_like(numbers), np.zeros_like(numbers)], 1)


class LevelTone(Tone):
    """A tone with a fast path of its own on uint8, `on_levels`; floats go through `apply` as they lie."""

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        if white == 255.0:
            return self.on_levels(whole_levels(pixels), params)
        planes = torch.from_numpy(np.atleast_3d(np.ascontiguousarray(pixels))).permute(2, 0, 1)
        done = self.apply(planes[None], params[None], white)[0]
        return done.permute(1, 2, 0).contiguous().numpy().reshape(pixels.shape)

    def on_levels(self, pixels: Array, params: Array) -> Array:
        """Render a uint8 array `(H, W, 3)` or `(H, W)`."""
        raise TypeError(f"{type(self).__name__} cannot be rendered")


def whole_levels(pixels: Array) -> Array:
    """Round float32 levels to uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    import cv2

    return np.asarray(cv2.convertScaleAbs(pixels))


def by_plane(pixels: Array, render: Callable[[Array, int], Array]) -> Array:
    """Render each channel of a uint8 array by `render(plane (H, W), channel)`, which may return what it got."""
    if pixels.ndim == 2:
        return render(pixels, 0)
    import cv2

    # Given planes to write into, split takes 5 us at 224 px instead of 20.
    planes = cv2.split(pixels, [np.empty(pixels.shape[:2], np.uint8) for _ in range(3)])
    done = [render(plane, channel) for channel, plane in enumerate(planes)]
    same = all(after is before for after, before in zip(done, planes, strict=True))
    return pixels if same else np.asarray(cv2.merge(done))


def look_up(pixels: Array, tables: Array) -> Array:
    """Map a uint8 array by one table `(256,)` or `(1, 256)`, or by one for each of its channels, `(3, 256)`; uint8."""
    import cv2

    if tables.ndim == 1 or len(tables) == 1 or pixels.ndim == 2:
        return np.asarray(cv2.LUT(pixels, tables.reshape(-1)[:256]))
    if pixels.size < _INTERLEAVED:
        return np.asarray(cv2.LUT(pixels, np.ascontiguousarray(tables.T)[None]))
    return by_plane(pixels, lambda plane, channel: np.asarray(cv2.LUT(plane, tables[channel])))


def look_up_each(pixels: Array, tables: Array) -> Array:
    """Map uint8 arrays `(R, H, W, 3)` or `(R, H, W)` by tables `(R, 256, C)` of their own."""
    import cv2

    result = np.empty_like(pixels)
    for image, table, into in zip(pixels, tables[:, None], result, strict=True):
        cv2.LUT(image, table, into)
    return result


def stretched_tables(pixels: Array) -> Array:
    """Return `(R, 256, C)` uint8 tables that spread the values of each channel of uint8 arrays over all levels."""
    count, height, width = pixels.shape[:3]
    lines = pixels.reshape(count, height, -1)
    # Along whole lines first: numpy finds extrema of interleaved channels one by one.
    low, high = (extremum(lines, axis=1).reshape(count, width, -1) for extremum in (np.min, np.max))
    low, high = (array.astype(np.float32).reshape(-1, 1) for array in (low.min(1), high.max(1)))
    scale = (high - low) * np.float32(1.0 / 255.0)
    flat = scale[:, 0] == 0
    scale[flat] = 1
    tables = LEVELS.astype(np.float32) - low
    tables /= scale
    torch.from_numpy(tables).clamp_(0.0, 255.0)
    tables[flat] = LEVELS
    return _interleaved(tables, count)


def _interleaved(tables: Array, count: int) -> Array:
    """Turn tables `(count C, 256)` into `(count, 256, C)` uint8, fractions cut off."""
    return np.ascontiguousarray(tables.astype(np.uint8).reshape(count, -1, 256).transpose(0, 2, 1))


def even_tables(pixels: Array) -> Array:
    """Return `(R, 256, C)` uint8 tables that even out the histogram of each channel of uint8 arrays, as PIL does."""
    count, channels = len(pixels), 1 if pixels.ndim == 3 else 3
    place = np.arange(0, 256 * count * channels, 256).reshape(count, 1, channels)
    index = (pixels.reshape(count, -1, channels) + place).reshape(-1)
    counts = np.bincount(index, minlength=256 * count * channels).reshape(-1, 256)
    brightest = 255 - (counts[:, ::-1] > 0).argmax(1)
    step = (pixels.shape[1] * pixels.shape[2] - counts[np.arange(len(counts)), brightest][:, None]) // 255
    # Whole numbers this small divide without error in float64, and faster than as integers.
    darker = (counts.cumsum(1) - counts + step // 2).astype(np.float64)
    tables = np.minimum(darker / np.maximum(step, 1), 255.0)
    tables[step[:, 0] == 0] = LEVELS
    return _interleaved(tables, count)


class Curve(LevelTone):
    """A tone that is a formula: arithmetic on floats, and on whole levels a table of it, rounded.

    curves: 1 where all channels share it, 3 where each has its own; a gray image takes the first. A curve of P numbers
    has `P * curves` parameters, those of the same meaning side by side.
    """

    curves: int = 1

    def curve(self, values: Any, numbers: Sequence[Any], white: float) -> Any:
        """Map values in [0, white], arrays or tensors alike, by operators only; the caller cuts the result off."""
        raise TypeError(f"{type(self).__name__} has no curve")

    def tables(self, params: Array) -> Array:
        """Return `(R, curves, 256)` uint8 for parameters `(R, P * curves)`."""
        numbers = params.reshape(len(params), -1, self.curves, 1).swapaxes(0, 1)
        values = np.rint(self.curve(LEVELS, list(numbers), 255.0))
        return np.asarray(np.minimum(np.maximum(values, 0.0), 255.0), np.uint8)

    def table_of(self, params: Array) -> Array | None:
        return self.tables(params[None])[0, 0] if self.curves == 1 else None

    def on_levels(self, pixels: Array, params: Array) -> Array:
        return look_up(pixels, self.tables(params[None])[0])

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        channels = pixels.shape[1]
        if white == 255.0:
            tables = torch.from_numpy(self.tables(params)[:, :channels]).to(pixels.device)
            index = pixels.round().long().clamp(0, 255).flatten(2)
            return tables.expand(-1, channels, -1).gather(2, index).to(pixels.dtype).view_as(pixels)
        columns = torch.from_numpy(params).to(pixels.device, pixels.dtype).reshape(len(params), -1, self.curves, 1, 1)
        bent: torch.Tensor = self.curve(pixels, columns[:, :, :channels].unbind(1), white)
        return bent.clamp(0.0, white)


def normal(u: Array) -> Array:
    """Map uniforms in [0, 1), multiples of 2**-24, to standard normals of the same shape."""
    return np.asarray(torch.special.ndtri(torch.from_numpy(u + 2.0**-25)).numpy())
