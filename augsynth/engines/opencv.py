"""The CPU engine: per image, the cheapest OpenCV or aten call that renders each run, straight into the batch.

Images are `(H, W, C)` arrays of uint8 or float32 with 3 channels, or `(H, W)` with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from augsynth.engines.output import Output, fill_values
from augsynth.fuse import BICUBIC, BILINEAR, COPY, NEAREST, RESIZE, Colors, Erasing, Geometry, Run
from augsynth.transforms.base import Array, Border
from augsynth.transforms.color import LUMA

_CV_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}
_CV_INTERPOLATIONS = {NEAREST: cv2.INTER_NEAREST, BILINEAR: cv2.INTER_LINEAR, BICUBIC: cv2.INTER_CUBIC}


def render(
    images: Sequence[Array], runs: Sequence[Run], sizes: Array, output: Output, exact: bool
) -> list[torch.Tensor]:
    """Render B images `(H, W, C)` or `(H, W)` to `sizes (B, 2)`; returns B tensors `(C, h, w)`.

    Samples of equal size are rows of one contiguous `(B, C, h, w)` batch.
    """
    steps: list[list[Any]] = [[] for _ in images]
    for run in runs:
        table = _table(run, output.white, exact)
        for i, row in enumerate(run.rows.tolist()):
            steps[row].append((table, i))
    channels = [1 if image.ndim == 2 else image.shape[2] for image in images]
    rows = allocate([(c, int(h), int(w)) for c, (h, w) in zip(channels, sizes.tolist(), strict=True)], output.dtype)
    stages: dict[int, _Finish] = {c: _Finish(c, output) for c in set(channels)}
    for image, mine, row, c in zip(images, steps, rows, channels, strict=True):
        state = _State(image, c)
        for table, i in mine:
            table.apply(state, i)
        stages[c].write(state, row)
    return rows


def _table(run: Run, white: float, exact: bool) -> _Warps | _Colors | _Erase:
    if isinstance(run, Geometry):
        return _Warps(run, white)
    return _Colors(run, white, exact) if isinstance(run, Colors) else _Erase(run, white)


def allocate(shapes: Sequence[tuple[int, int, int]], dtype: torch.dtype) -> list[torch.Tensor]:
    """Return one tensor per shape; rows of a single batch when all shapes are equal."""
    if not shapes:
        return []
    if len(set(shapes)) == 1:
        return list(_empty((len(shapes), *shapes[0]), dtype))
    return [_empty(shape, dtype) for shape in shapes]


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    # numpy asks the kernel for huge pages, torch does not: 722 page faults against 9,409 for 38 MB.
    if dtype in (torch.uint8, torch.float32):
        return torch.from_numpy(np.empty(shape, np.uint8 if dtype == torch.uint8 else np.float32))
    return torch.from_numpy(np.empty(shape, np.int16 if dtype.itemsize == 2 else np.int64)).view(dtype)


class _State:
    """One image on its way: pixels, and an affine colour map `a x + b` (then a clamp) that is not applied yet."""

    __slots__ = ("a", "b", "channels", "clamp", "pixels")

    def __init__(self, pixels: Array, channels: int) -> None:
        self.pixels, self.channels = pixels, channels
        self.a: Array | None = None
        self.b: Array | None = None
        self.clamp = False

    def settle(self, white: float) -> None:
        """Apply what is pending."""
        if self.a is not None:
            self.pixels = _transform(_to_float(self.pixels), self.a, self.b)
            if self.clamp:
                tensor = torch.from_numpy(self.pixels)
                tensor.clamp_(0.0, white)
        self.a, self.b, self.clamp = None, None, False


def _to_float(pixels: Array) -> Array:
    if pixels.dtype == np.float32:
        return pixels
    result = np.empty(pixels.shape, np.float32)
    # 11 us against 20 us for numpy's strided copy.
    torch.from_numpy(result).copy_(torch.from_numpy(pixels))
    return result


def _transform(pixels: Array, a: Array, b: Array | None) -> Array:
    if pixels.ndim == 2:
        return np.asarray(cv2.transform(pixels, np.array([[a[0, 0], 0.0 if b is None else b[0]]])))
    return np.asarray(cv2.transform(pixels, np.column_stack([a, np.zeros(3) if b is None else b])))


class _Warps:
    """A geometry run, its arrays as Python lists: indexing them per sample is ten times cheaper."""

    def __init__(self, run: Geometry, white: float) -> None:
        self.white = white
        self.path, self.kind, self.antialias = run.path.tolist(), run.interpolation.tolist(), run.antialias.tolist()
        self.box, self.full, self.offset = run.box.tolist(), run.full.tolist(), run.offset.tolist()
        self.size, self.transpose = run.size.tolist(), run.transpose.tolist()
        self.flips = [_flip_code(y, x) for y, x in zip(run.flip_y.tolist(), run.flip_x.tolist(), strict=True)]
        self.matrix, self.borders = run.matrix, run.borders

    def apply(self, state: _State, i: int) -> None:
        state.settle(self.white)
        pixels = cv2.transpose(state.pixels) if self.transpose[i] else state.pixels
        if self.path[i] == COPY:
            pixels = window(pixels, self.box[i], self.borders[i], state.channels)
        elif self.path[i] == RESIZE:
            pixels = self._resize(pixels, i)
        else:
            pixels = self._warp(pixels, i, state.channels)
        code = self.flips[i]
        state.pixels = pixels if code is None else cv2.flip(pixels, code)

    def _resize(self, pixels: Array, i: int) -> Array:
        top, left, bottom, right = self.box[i]
        full_h, full_w = self.full[i]
        source = pixels[top:bottom, left:right]
        minified = bottom - top > full_h or right - left > full_w
        if self.antialias[i] and (minified or self.kind[i] == BICUBIC):
            result = self._bounded(antialiased(source, full_h, full_w, self.kind[i] == BICUBIC), self.kind[i])
        else:
            # float32 is both faster than uint8 (no fixed point) and exact; no conversion is left for later.
            flags = _CV_INTERPOLATIONS[self.kind[i]]
            result = cv2.resize(_to_float(source), (full_w, full_h), interpolation=flags)
            result = self._bounded(result, self.kind[i])
        (oy, ox), (h, w) = self.offset[i], self.size[i]
        return result if (full_h, full_w) == (h, w) else result[oy : oy + h, ox : ox + w]

    def _warp(self, pixels: Array, i: int, channels: int) -> Array:
        top, left, bottom, right = self.box[i]
        (full_h, full_w), (h, w) = self.full[i], self.size[i]
        m, border, kind = self.matrix[i], self.borders[i], self.kind[i]
        if kind == NEAREST and abs(m[0, 1]) + abs(m[1, 0]) + abs(m[2, 0]) + abs(m[2, 1]) < 1e-12:
            return _nearest_grid(pixels[top:bottom, left:right], m, (h, w), border, channels)
        source = pixels[top:bottom, left:right]
        if channels == 3:
            # cv2 warps 1 and 4 channels with SIMD, 3 without: 2.4 times slower.
            source = cv2.cvtColor(source, cv2.COLOR_RGB2RGBA)
        if (full_h, full_w) != (bottom - top, right - left):
            source = antialiased(source, full_h, full_w, False)
        flags = _CV_INTERPOLATIONS[kind] | cv2.WARP_INVERSE_MAP
        fill = tuple(fill_values(border.fill, channels).tolist())
        if m[2, 0] == 0 and m[2, 1] == 0:
            # cv2 counts from pixel centres, we from pixel edges.
            shift = m[:2, :2].sum(1) * 0.5 - 0.5
            centered = np.array([[m[0, 0], m[0, 1], m[0, 2] + shift[0]], [m[1, 0], m[1, 1], m[1, 2] + shift[1]]])
            result = cv2.warpAffine(source, centered, (w, h), None, flags, _CV_BORDERS[border.mode], fill)
        else:
            half, back = np.eye(3), np.eye(3)
            half[:2, 2], back[:2, 2] = 0.5, -0.5
            result = cv2.warpPerspective(source, back @ m @ half, (w, h), None, flags, _CV_BORDERS[border.mode], fill)
        if channels == 3:
            result = cv2.cvtColor(result, cv2.COLOR_RGBA2RGB)
        return self._bounded(result, kind)

    def _bounded(self, result: Array, kind: int) -> Array:
        """Cut off what bicubic interpolation overshoots on floats; uint8 saturates by itself."""
        if kind == BICUBIC and result.dtype == np.float32:
            return np.asarray(np.clip(result, 0.0, self.white))
        return np.asarray(result)


def _flip_code(y: bool, x: bool) -> int | None:
    return (-1 if x else 0) if y else (1 if x else None)


def antialiased(pixels: Array, height: int, width: int, bicubic: bool) -> Array:
    """Resize with a filter that widens with the reduction, bit-identical to torchvision's `antialias=True`."""
    if bicubic:
        # On uint8 it would be cut off at 0 and 255 between its two passes.
        pixels = _to_float(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        # The uint8 kernel is vectorised for 4 channels; the copies cost less than they save.
        wide = antialiased(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA), height, width, bicubic)
        return np.asarray(cv2.cvtColor(wide, cv2.COLOR_RGBA2RGB))
    # Shaped (1, H, W, C) first: a batch axis added by indexing has a stride that hides the channels_last layout.
    dense = np.ascontiguousarray(pixels).reshape(1, *pixels.shape[:2], -1)
    source = torch.from_numpy(dense).permute(0, 3, 1, 2)
    mode = "bicubic" if bicubic else "bilinear"
    result = F.interpolate(source, (height, width), mode=mode, align_corners=False, antialias=True)
    array = np.ascontiguousarray(result.permute(0, 2, 3, 1).numpy())
    return array.reshape(height, width, *pixels.shape[2:])


def window(pixels: Array, box: Sequence[int], border: Border, channels: int) -> Array:
    """Cut a whole-pixel window that may reach outside: a view where it does not."""
    top, left, bottom, right = box
    height, width = pixels.shape[:2]
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return pixels[top:bottom, left:right]
    if border.mode != "constant":
        ys, xs = border_index(top, bottom, height, border.mode), border_index(left, right, width, border.mode)
        return np.asarray(pixels[ys[:, None], xs])
    result = np.empty((bottom - top, right - left, *pixels.shape[2:]), pixels.dtype)
    result[...] = _cast(fill_values(border.fill, channels), pixels)
    y0, y1, x0, x1 = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    if y0 < y1 and x0 < x1:
        result[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    return result


def _cast(values: Array, pixels: Array) -> Any:
    """Bring a fill `(C,)` to the pixels' dtype and shape."""
    rounded = np.clip(np.rint(values), 0, 255) if pixels.dtype == np.uint8 else values
    return rounded.astype(pixels.dtype) if pixels.ndim == 3 else rounded.astype(pixels.dtype)[0]


def border_index(start: int, stop: int, size: int, mode: str) -> Array:
    """Map the coordinates start to stop - 1 into 0 to size - 1 by the border mode (edge, reflect, symmetric)."""
    index = np.arange(start, stop)
    if mode == "edge" or size == 1:
        return np.clip(index, 0, size - 1)
    period = 2 * size - 2 if mode == "reflect" else 2 * size
    index = np.mod(index, period)
    return np.where(index < size, index, (period if mode == "reflect" else period - 1) - index)


def _nearest_grid(pixels: Array, m: Array, size: tuple[int, int], border: Border, channels: int) -> Array:
    """Pick pixels by an axis-aligned map: `floor` of the mapped centre, which cv2 rounds differently on ties."""
    ys = np.floor(m[1, 1] * (np.arange(size[0]) + 0.5) + m[1, 2]).astype(np.int64)
    xs = np.floor(m[0, 0] * (np.arange(size[1]) + 0.5) + m[0, 2]).astype(np.int64)
    height, width = pixels.shape[:2]
    mode = "edge" if border.mode == "constant" else border.mode
    inside_y, inside_x = (ys >= 0) & (ys < height), (xs >= 0) & (xs < width)
    picked_y = np.array([border_index(y, y + 1, height, mode)[0] for y in ys.tolist()], np.int64)
    picked_x = np.array([border_index(x, x + 1, width, mode)[0] for x in xs.tolist()], np.int64)
    result = pixels[picked_y[:, None], picked_x]
    if border.mode == "constant" and not (inside_y.all() and inside_x.all()):
        result[~(inside_y[:, None] & inside_x)] = _cast(fill_values(border.fill, channels), pixels)
    return result


class _Colors:
    """A colour run. Steps stay one pending matrix until a clamp or the hue forces a pass over the pixels."""

    def __init__(self, run: Colors, white: float, exact: bool) -> None:
        self.run, self.white, self.exact = run, white, exact
        self.used, self.expands, self.chroma = run.used.tolist(), run.expands.tolist(), run.chroma.tolist()
        self.hue = run.hue.tolist()
        self.contrast = (run.luma != 0).any(2).tolist()
        self.composed: dict[int, tuple[Array, Array]] = {}

    def apply(self, state: _State, i: int) -> None:
        state.settle(self.white)
        if self.exact:
            self._apply_exact(state, i)
            return
        if state.channels not in self.composed:
            self.composed[state.channels] = self.run.composed(state.channels)
        a, v = (array[i] for array in self.composed[state.channels])
        mean = _mean_luma(state.pixels, state.channels) if any(self.contrast[i]) else 0.0
        state.a, state.b, state.clamp = a, mean * v, True

    def _apply_exact(self, state: _State, i: int) -> None:
        size = 3 if state.channels == 3 else 1
        for step, used in enumerate(self.used[i]):
            if not used or (size == 1 and self.chroma[i][step]):
                continue
            if state.clamp:
                state.settle(self.white)
            shift = self.hue[i][step]
            if shift == shift:  # not NaN: an HSV shift
                state.settle(self.white)
                state.pixels = _shift_hue(_to_float(state.pixels), shift)
                continue
            a, v = self.run.matrix[i, step, :size, :size], self.run.luma[i, step, :size]
            before_a = np.eye(size) if state.a is None else state.a
            before_b = np.zeros(size) if state.b is None else state.b
            after_b = a @ before_b
            if self.contrast[i][step]:
                # Nothing is clamped between, so the mean of the pending image is the image of the mean.
                mean = before_a @ _means(state.pixels, state.channels) + before_b
                after_b = after_b + float((LUMA if size == 3 else np.ones(1)) @ mean) * v
            state.a, state.b, state.clamp = a @ before_a, after_b, self.expands[i][step]


def _means(pixels: Array, channels: int) -> Array:
    # cv2 accumulates in double and in one order: the same bits whatever the number of threads.
    return np.array(cv2.mean(pixels)[:channels])


def _mean_luma(pixels: Array, channels: int) -> float:
    means = _means(pixels, channels)
    return float(means @ (LUMA / LUMA.sum())) if channels == 3 else float(means[0])


def _shift_hue(pixels: Array, shift: float) -> Array:
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    # 360 and more wraps inside cv2; a negative hue does not.
    cv2.add(hsv, (shift % 1.0 * 360.0, 0.0, 0.0, 0.0), dst=hsv)  # type: ignore[call-overload]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=hsv))


class _Erase:
    def __init__(self, run: Erasing, white: float) -> None:
        self.white, self.rectangle, self.paints = white, run.rectangle.tolist(), run.paints

    def apply(self, state: _State, i: int) -> None:
        state.settle(self.white)
        top, left, height, width = self.rectangle[i]
        if height and width:
            state.pixels = state.pixels.copy()
            value = _cast(fill_values(self.paints[i], state.channels), state.pixels)
            state.pixels[top : top + height, left : left + width] = value


class _Finish:
    """Write one image into its row `(C, h, w)`: pending colour, range, Normalize and dtype in one transform."""

    def __init__(self, channels: int, output: Output) -> None:
        self.output, self.channels = output, channels
        self.scale, self.offset = output.affine(channels)
        self.low, self.high = self.offset.tolist(), (self.scale * output.white + self.offset).tolist()
        self.unit = bool((self.scale == 1.0).all() and (self.offset == 0.0).all())

    def write(self, state: _State, row: torch.Tensor) -> None:
        if state.a is None and self.unit and (state.pixels.dtype == np.uint8) == self.output.is_integer:
            self._planes(state.pixels, row)
        elif self.output.is_integer:
            state.a = np.eye(self.channels) if state.a is None else state.a
            state.a, state.b = self.scale[:, None] * state.a, None if state.b is None else self.scale * state.b
            state.clamp = False  # the conversion saturates
            if state.pixels.dtype == np.float32 and np.array_equal(state.a, np.eye(self.channels)) and state.b is None:
                state.a = None
            state.settle(1.0)
            self._planes(np.asarray(cv2.convertScaleAbs(np.maximum(state.pixels, 0.0))), row)
        else:
            self._floats(state, row)

    def _planes(self, pixels: Array, row: torch.Tensor) -> None:
        if pixels.ndim == 2:
            row[0].copy_(torch.from_numpy(np.ascontiguousarray(pixels)))
            return
        for plane, target in zip(cv2.split(pixels), row, strict=True):
            target.copy_(torch.from_numpy(plane))

    def _floats(self, state: _State, row: torch.Tensor) -> None:
        a = np.diag(self.scale) if state.a is None else self.scale[:, None] * state.a
        b = self.offset if state.b is None else self.scale * state.b + self.offset
        matrix = np.column_stack([a, b])
        source = _to_float(state.pixels)
        target = row if row.dtype == torch.float32 else torch.empty(row.shape, dtype=torch.float32)
        for channel, plane in enumerate(target):
            # One plane at a time costs the same as all three and leaves them in C H W order.
            result = cv2.transform(source, matrix[channel : channel + 1], dst=plane.numpy())
            if not np.shares_memory(result, plane.numpy()):
                plane.copy_(torch.from_numpy(result))
            if state.clamp:
                plane.clamp_(self.low[channel], self.high[channel])
        if target is not row:
            row.copy_(target)
