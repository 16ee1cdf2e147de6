"""Geometry on the CPU: for each image, the cheapest call that renders its path."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from augsynth.engines.output import fill_values
from augsynth.runs import BICUBIC, BILINEAR, COPY, NEAREST, RESIZE, Geometry
from augsynth.transforms.base import Array, Border

_CV_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}
_CV_INTERPOLATIONS = {NEAREST: cv2.INTER_NEAREST, BILINEAR: cv2.INTER_LINEAR, BICUBIC: cv2.INTER_CUBIC}
_MANY = 1 << 14  # numbers: from here on torch converts bytes faster than numpy
_HALF, _BACK = np.eye(3), np.eye(3)
_HALF[:2, 2], _BACK[:2, 2] = 0.5, -0.5

# What F.interpolate calls, but into memory that is given: the allocation alone costs half of the work. Its name is
# torch's own affair, so it may be gone one day.
_INTO: Any = getattr(getattr(torch.ops.aten, "_upsample_bilinear2d_aa", None), "out", None)
_memory = threading.local()


class Warps:
    """A geometry run, its arrays as Python lists: indexing them per sample is ten times cheaper."""

    def __init__(self, run: Geometry, white: float) -> None:
        self.white = white
        self.path, self.kind, self.antialias = run.path.tolist(), run.interpolation.tolist(), run.antialias.tolist()
        self.box, self.full, self.offset = run.box.tolist(), run.full.tolist(), run.offset.tolist()
        self.size, self.transpose = run.size.tolist(), run.transpose.tolist()
        self.flips = [_flip_code(y, x) for y, x in zip(run.flip_y.tolist(), run.flip_x.tolist(), strict=True)]
        self.matrix, self.borders = run.matrix, run.borders
        self.projective = (run.matrix[:, 2, :2] != 0).any(1).tolist()
        slanted = np.abs(run.matrix[:, [0, 1, 2, 2], [1, 0, 0, 1]]).sum(1) >= 1e-12
        self.grid = ((run.interpolation == NEAREST) & ~slanted).tolist()
        # cv2 counts from pixel centres, we from pixel edges.
        self.centered = run.matrix[:, :2].copy()
        self.centered[:, :, 2] += run.matrix[:, :2, :2].sum(2) * 0.5 - 0.5

    def render(self, pixels: Array, i: int) -> Array:
        """Render the run's i-th sample, `(H, W, 3)` or `(H, W)`; may return a view."""
        if self.transpose[i]:
            pixels = cv2.transpose(pixels)
        code, path = self.flips[i], self.path[i]
        if path == RESIZE:
            return self._resize(pixels, i, code)
        pixels = window(pixels, self.box[i], self.borders[i]) if path == COPY else self._warp(pixels, i)
        return pixels if code is None else cv2.flip(pixels, code)

    def _resize(self, pixels: Array, i: int, code: int | None) -> Array:
        top, left, bottom, right = self.box[i]
        (full_h, full_w), kind = self.full[i], self.kind[i]
        source = pixels[top:bottom, left:right]
        entire = self.full[i] == self.size[i]
        if self.antialias[i] and (bottom - top > full_h or right - left > full_w or kind == BICUBIC):
            result = antialiased(source, full_h, full_w, kind == BICUBIC)
        else:
            if code is not None and entire and source.dtype == np.uint8:
                # Flipping comes to the same before a resize, where there is less to flip: bytes, and fewer of them.
                source, code = cv2.flip(source, code), None
            # float32 is both faster than uint8 (no fixed point) and exact; no conversion is left for later.
            result = cv2.resize(to_float(source), (full_w, full_h), interpolation=_CV_INTERPOLATIONS[kind])
        if kind == BICUBIC:
            result = self._bounded(result)
        if not entire:
            (oy, ox), (h, w) = self.offset[i], self.size[i]
            result = result[oy : oy + h, ox : ox + w]
        return result if code is None else cv2.flip(result, code)

    def _warp(self, pixels: Array, i: int) -> Array:
        top, left, bottom, right = self.box[i]
        (full_h, full_w), (h, w) = self.full[i], self.size[i]
        m, border, kind = self.matrix[i], self.borders[i], self.kind[i]
        source = pixels[top:bottom, left:right]
        if self.grid[i]:
            return _nearest_grid(source, m, (h, w), border)
        channels = 3 if pixels.ndim == 3 else 1
        widened = channels == 3 and kind != NEAREST
        if widened:
            # cv2 warps 1 and 4 channels with SIMD, 3 without: 2.4 times slower where it interpolates.
            source = cv2.cvtColor(source, cv2.COLOR_RGB2RGBA)
        if (full_h, full_w) != (bottom - top, right - left):
            source = antialiased(source, full_h, full_w, False)
        flags, mode = _CV_INTERPOLATIONS[kind] | cv2.WARP_INVERSE_MAP, _CV_BORDERS[border.mode]
        fill = border.fill * channels if len(border.fill) == 1 else border.fill
        if self.projective[i]:
            result = cv2.warpPerspective(source, _BACK @ m @ _HALF, (w, h), None, flags, mode, fill)
        else:
            result = cv2.warpAffine(source, self.centered[i], (w, h), None, flags, mode, fill)
        if widened:
            result = cv2.cvtColor(result, cv2.COLOR_RGBA2RGB)
        return self._bounded(result) if kind == BICUBIC else result

    def warp_rgba(self, source: Array, i: int, into: Array) -> None:
        """Warp `(H, W, 4)` into `(h, w, 4)`, bilinear and without a filter."""
        top, left, bottom, right = self.box[i]
        border, (h, w) = self.borders[i], self.size[i]
        fill = border.fill * 3 if len(border.fill) == 1 else border.fill
        call, matrix = cv2.warpAffine, self.centered[i]
        if self.projective[i]:
            call, matrix = cv2.warpPerspective, _BACK @ self.matrix[i] @ _HALF
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        call(source[top:bottom, left:right], matrix, (w, h), into, flags, _CV_BORDERS[border.mode], fill)

    def _bounded(self, result: Array) -> Array:
        """Cut off what bicubic interpolation overshoots on floats; uint8 saturates by itself."""
        return np.asarray(np.clip(result, 0.0, self.white)) if result.dtype == np.float32 else result


def to_float(pixels: Array) -> Array:
    """Return float32 with the same values."""
    if pixels.dtype == np.float32:
        return pixels
    if pixels.size < _MANY:
        return pixels.astype(np.float32)
    result = np.empty(pixels.shape, np.float32)
    # 11 us against 20 us for numpy's strided copy.
    torch.from_numpy(result).copy_(torch.from_numpy(pixels))
    return result


def _flip_code(y: bool, x: bool) -> int | None:
    return (-1 if x else 0) if y else (1 if x else None)


def antialiased(pixels: Array, height: int, width: int, bicubic: bool) -> Array:
    """Resize with a filter that widens with the reduction, bit-identical to torchvision's `antialias=True`."""
    if not bicubic and pixels.ndim == 3 and pixels.dtype == np.uint8 and _INTO is not None:
        return _antialiased_bytes(pixels, height, width)
    if bicubic:
        # On uint8 it would be cut off at 0 and 255 between its two passes.
        pixels = to_float(pixels)
    # Shaped (1, H, W, C) first: a batch axis added by indexing has a stride that hides the channels_last layout.
    dense = np.ascontiguousarray(pixels).reshape(1, *pixels.shape[:2], -1)
    source = torch.from_numpy(dense).permute(0, 3, 1, 2)
    mode = "bicubic" if bicubic else "bilinear"
    result = F.interpolate(source, (height, width), mode=mode, align_corners=False, antialias=True)
    array = np.ascontiguousarray(result.permute(0, 2, 3, 1).numpy())
    return array.reshape(height, width, *pixels.shape[2:])


def _antialiased_bytes(pixels: Array, height: int, width: int) -> Array:
    """Filter uint8 `(H, W, 3)` or `(H, W, 4)`, through memory that the thread uses again and again.

    The kernel is vectorised for 4 channels; for 3 the copies cost less than that saves.
    """
    four = pixels.shape[2] == 4
    if four:
        source, result = np.ascontiguousarray(pixels), np.empty((height, width, 4), np.uint8)
    else:
        source = _scratch("source", (*pixels.shape[:2], 4))
        cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA, dst=source)
        result = _scratch("result", (height, width, 4))
    planes = [torch.from_numpy(array[None]).permute(0, 3, 1, 2) for array in (source, result)]
    _INTO(planes[0], [height, width], False, None, None, out=planes[1])
    return result if four else cv2.cvtColor(result, cv2.COLOR_RGBA2RGB)


def _scratch(name: str, shape: tuple[int, ...]) -> Array:
    """Return uint8 memory of this thread, of any content."""
    size = math.prod(shape)
    block = getattr(_memory, name, None)
    if block is None or block.size < size:
        block = np.empty(size, np.uint8)
        setattr(_memory, name, block)
    return np.asarray(block[:size].reshape(shape))


def window(pixels: Array, box: Sequence[int], border: Border) -> Array:
    """Cut a whole-pixel window that may reach outside: a view where it does not."""
    top, left, bottom, right = box
    height, width = pixels.shape[:2]
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return pixels[top:bottom, left:right]
    if border.mode != "constant":
        ys, xs = border_index(top, bottom, height, border.mode), border_index(left, right, width, border.mode)
        return np.asarray(pixels[ys[:, None], xs])
    y0, y1, x0, x1 = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    fill = _border_value(border.fill, pixels.dtype == np.uint8)
    if y0 >= y1 or x0 >= x1:
        result = np.empty((bottom - top, right - left, *pixels.shape[2:]), pixels.dtype)
        result[...] = cast_fill(border.fill, pixels)
        return result
    # Thirty times faster than to broadcast three numbers over all pixels.
    sides = (y0 - top, bottom - y1, x0 - left, right - x1)
    return np.asarray(cv2.copyMakeBorder(pixels[y0:y1, x0:x1], *sides, cv2.BORDER_CONSTANT, value=fill))


@lru_cache(maxsize=256)
def _border_value(fill: tuple[float, ...], whole: bool) -> tuple[float, ...]:
    """Return a fill as OpenCV takes it, for each channel."""
    values = np.clip(np.rint(fill), 0, 255) if whole else np.asarray(fill)
    return tuple(np.resize(values, max(len(fill), 4)).tolist())


def cast_fill(fill: tuple[float, ...], pixels: Array) -> Any:
    """Bring a fill to the pixels' dtype and channels."""
    values = fill_values(fill, 3 if pixels.ndim == 3 else 1)
    rounded = np.clip(np.rint(values), 0, 255) if pixels.dtype == np.uint8 else values
    values = np.asarray(rounded, pixels.dtype)
    return values if pixels.ndim == 3 else values[0]


def border_index(start: int, stop: int, size: int, mode: str) -> Array:
    """Map the coordinates start to stop - 1 into 0 to size - 1 by the border mode (edge, reflect, symmetric)."""
    return bordered(np.arange(start, stop), size, mode)


def bordered(index: Array, size: int, mode: str) -> Array:
    """Bring pixel numbers into 0 to size - 1 by the border mode (edge, reflect, symmetric)."""
    if mode == "edge" or size == 1:
        return np.asarray(np.clip(index, 0, size - 1))
    period = 2 * size - 2 if mode == "reflect" else 2 * size
    index = np.mod(index, period)
    return np.asarray(np.where(index < size, index, (period if mode == "reflect" else period - 1) - index))


def _nearest_grid(pixels: Array, m: Array, size: tuple[int, int], border: Border) -> Array:
    """Pick pixels by an axis-aligned map: `floor` of the mapped centre, which cv2 rounds differently on ties."""
    ys = np.floor(m[1, 1] * (np.arange(size[0]) + 0.5) + m[1, 2]).astype(np.int64)
    xs = np.floor(m[0, 0] * (np.arange(size[1]) + 0.5) + m[0, 2]).astype(np.int64)
    height, width = pixels.shape[:2]
    mode = "edge" if border.mode == "constant" else border.mode
    result: Array = pixels[bordered(ys, height, mode)[:, None], bordered(xs, width, mode)]
    if border.mode == "constant":
        outside = ((ys < 0) | (ys >= height))[:, None] | (xs < 0) | (xs >= width)
        if outside.any():
            result[outside] = cast_fill(border.fill, pixels)
    return result
