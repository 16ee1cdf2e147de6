"""Where pixels come from: the maps, windows and filters of `tests/reference.py`, in float64.

Coordinates are continuous: pixel i covers [i, i + 1) and its centre is i + 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

STEP = 1.6  # pixels of the shrunk image that one output pixel may move by
TIE = 1e-4  # pixels: a nearest-neighbour choice this close to a pixel's edge may fall either way

# --- maps: output to input, continuous coordinates --------------------------------------------------------------------


def place(transform, params, size):
    """Return the 3 x 3 map from the output into the input, and the output's (height, width)."""
    matrix, size = PLACES[type(transform).__name__](transform, params, size)
    return np.array(matrix, np.float64), (int(size[0]), int(size[1]))


def as_pair(size):
    entries = size if isinstance(size, tuple) else (size,)
    return entries[0], entries[-1]


def as_tuple(value):
    return tuple(map(float, value)) if isinstance(value, tuple) else (float(value),)


def _shift(x, y):
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _place_rotation(t, params, size):
    h, w = size
    angle = math.radians(params[0])
    forward = np.eye(3)
    forward[:2, :2] = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    cx, cy = t.center if t.center is not None and not t.expand else (w / 2, h / 2)
    out, tx, ty = size, cx, cy
    if t.expand:
        corners = np.array([[x, y] for x in (-w / 2, w / 2) for y in (-h / 2, h / 2)]) @ forward[:2, :2].T
        ends = np.stack([corners.min(0), corners.max(0)]) + np.array([w, h]) / 2
        ends = np.trunc(np.round(ends * 1e4, 6)) / 1e4
        width, height = np.ceil(ends[1]) - np.floor(ends[0])
        if params[0] % 90 == 0:  # a quarter turn keeps every pixel
            height, width = (h, w) if params[0] % 180 == 0 else (w, h)
        out = (height, width)
        cx, cy, tx, ty = w / 2, h / 2, width / 2, height / 2
    return np.linalg.inv(_shift(tx, ty) @ forward @ _shift(-cx, -cy)), out


def _place_affine(t, params, size):
    angle, shift_x, shift_y, scale, shear_x, shear_y = params
    rot, sx, sy = math.radians(angle), math.radians(shear_x), math.radians(shear_y)
    forward = np.eye(3)
    forward[0, 0] = math.cos(rot - sy) / math.cos(sy)
    forward[0, 1] = -math.cos(rot - sy) * math.tan(sx) / math.cos(sy) - math.sin(rot)
    forward[1, 0] = math.sin(rot - sy) / math.cos(sy)
    forward[1, 1] = -math.sin(rot - sy) * math.tan(sx) / math.cos(sy) + math.cos(rot)
    forward[:2, :2] *= scale
    cx, cy = t.center if t.center is not None else (size[1] / 2, size[0] / 2)
    return np.linalg.inv(_shift(cx + shift_x, cy + shift_y) @ forward @ _shift(-cx, -cy)), size


def _place_center_crop(t, params, size):
    out = as_pair(t.size)
    corner = [round((s - o) / 2) if s >= o else -((o - s) // 2) for s, o in zip(size, out, strict=True)]
    return _shift(corner[1], corner[0]), out


def _place_pad(t, params, size):
    sides = t.padding if isinstance(t.padding, tuple) else (t.padding,)
    left, top, right, bottom = sides * (4 // len(sides))
    return _shift(-left, -top), (size[0] + top + bottom, size[1] + left + right)


def _place_resize(t, params, size):
    h, w = size
    if isinstance(t.size, tuple) and len(t.size) == 2:
        out = t.size
    else:
        short, long = min(size), max(size)
        new_short = as_pair(t.size)[0]
        new_long = int(new_short * long / short)
        if t.max_size is not None and new_long > t.max_size:
            new_short, new_long = int(t.max_size * new_short / new_long), t.max_size
        out = (new_short, new_long) if w >= h else (new_long, new_short)
        out = (max(out[0], 1), max(out[1], 1))
    return np.diag([w / out[1], h / out[0], 1.0]), out


def _place_resized_crop(t, params, size):
    top, left, height, width = params
    out = as_pair(t.size)
    return _shift(left, top) @ np.diag([width / out[1], height / out[0], 1.0]), out


PLACES = {
    "RandomHorizontalFlip": lambda t, params, size: ([[-1, 0, size[1]], [0, 1, 0], [0, 0, 1]], size),
    "RandomVerticalFlip": lambda t, params, size: ([[1, 0, 0], [0, -1, size[0]], [0, 0, 1]], size),
    "RandomRotation": _place_rotation,
    "RandomAffine": _place_affine,
    "RandomCrop": lambda t, params, size: (_shift(params[1], params[0]), as_pair(t.size)),
    "CenterCrop": _place_center_crop,
    "Pad": _place_pad,
    "Resize": _place_resize,
    "RandomResizedCrop": _place_resized_crop,
}


def resample(pixels, matrix, size, rank, antialias, border, cut_first):
    """Resample `(H, W, C)` to `size` by a map from output to input; returns pixels and the nearest-neighbour ties.

    border: (mode, fill), or None where nobody looks outside: then a whole-pixel window that is cut out first and then
    resized ends at its own edges, and a window of the resized image is a slice of it.
    """
    mode, fill = border or ("edge", (0.0,))
    fill = np.broadcast_to(np.array(fill), pixels.shape[2:])
    nothing = np.zeros(size, bool)
    matrix = np.where(np.abs(matrix - np.rint(matrix)) < 1e-9, np.rint(matrix), matrix)
    swapped = matrix[0, 0] == 0 and matrix[1, 1] == 0
    if swapped:
        pixels, matrix = pixels.transpose(1, 0, 2), matrix[[1, 0, 2]]
    if matrix[0, 1] == 0 and matrix[1, 0] == 0:
        axes = [_Axis(matrix[i, i], matrix[i, 2], pixels.shape[1 - i], size[1 - i]) for i in (1, 0)]
        whole = all(_whole(end) for axis in axes for end in axis.ends)
        if whole and all(abs(abs(axis.scale) - 1) < 1e-9 for axis in axes):
            return _taps(pixels, matrix, size, 0, mode, fill), nothing
        calm = border is None and all(axis.inside for axis in axes)
        sliced = all(axis.sliced for axis in axes)
        if rank and calm and (whole or sliced):
            window = whole and (cut_first or not sliced)
            rows, columns = (_axis_weights(axis, rank, antialias, window) for axis in axes)
            return np.einsum("yh,hwc,xw->yxc", rows, pixels, columns, optimize=True), nothing
    if rank == 0:
        x, y = _mapped(matrix, size)
        ties = np.minimum(np.abs(x - np.rint(x)), np.abs(y - np.rint(y))) < TIE
        return _taps(pixels, matrix, size, 0, mode, fill), ties
    if antialias:
        pixels, matrix = _shrink(pixels, matrix, size, mode)
    return _taps(pixels, matrix, size, rank, mode, fill), nothing


def _whole(value):
    return abs(value - round(value)) < 1e-6


@dataclass(frozen=True)
class _Axis:
    """One axis of an axis-aligned map: `out` pixels read `length` pixels at `scale x + shift`."""

    scale: float
    shift: float
    length: int
    out: int

    @property
    def ends(self):
        return sorted((self.shift, self.shift + self.scale * self.out))

    @property
    def inside(self):
        return self.ends[0] > -1e-6 and self.ends[1] < self.length + 1e-6

    @property
    def sliced(self):
        """Tell whether the whole axis resizes to whole pixels, of which the output is a slice."""
        return _whole(self.length / abs(self.scale)) and _whole(self.ends[0] / abs(self.scale))


def _axis_weights(axis, rank, antialias, window):
    """Return `(out, length)`: the window resized to `out` pixels, or the whole axis resized and then sliced."""
    low, high = axis.ends
    if window:
        weights = np.zeros((axis.out, axis.length))
        low, high = round(low), round(high)
        weights[:, low:high] = filter_weights(high - low, axis.out, rank, antialias)
    else:
        total, start = round(axis.length / abs(axis.scale)), round(low / abs(axis.scale))
        weights = filter_weights(axis.length, total, rank, antialias)[start : start + axis.out]
    return weights[::-1] if axis.scale < 0 else weights


def filter_weights(n, out, rank, antialias):
    """Return `(out, n)` weights of a resize of n pixels to `out`; the kernel widens with the reduction if asked."""
    ratio = n / out
    stretch = max(ratio, 1.0) if antialias else 1.0
    weights = np.zeros((out, n))
    for i in range(out):
        centre = (i + 0.5) * ratio
        if antialias:
            reach = stretch * (2 if rank == 2 else 1)
            taps = np.arange(max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n))
            at = (taps + 0.5 - centre) / stretch
            kernel = _cubic(at, -0.5) if rank == 2 else _triangle(at)
            weights[i, taps] = kernel / kernel.sum()
        else:
            taps = math.floor(centre - 0.5) + (np.arange(-1, 3) if rank == 2 else np.arange(2))
            kernel = _cubic(taps + 0.5 - centre, -0.75) if rank == 2 else _triangle(taps + 0.5 - centre)
            np.add.at(weights[i], np.clip(taps, 0, n - 1), kernel)
    return weights


def _triangle(x):
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x, a):
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _mapped(matrix, size):
    x, y = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    at = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))
    return at[0] / at[2], at[1] / at[2]


def _taps(pixels, matrix, size, rank, mode, fill):
    """Interpolate at the mapped centres."""
    return read(pixels, *_mapped(matrix, size), rank, mode, fill)


def read(pixels, x, y, rank, mode, fill):
    """Interpolate `(H, W, C)` at continuous coordinates x, y `(h, w)`; every tap outside the image is the border's."""
    result = np.zeros((*x.shape, pixels.shape[2]))
    for ty, wy in _footprint(y, rank):
        for tx, wx in _footprint(x, rank):
            result += (wy * wx)[:, :, None] * _pixel(pixels, ty, tx, mode, fill)
    return result


def _footprint(at, rank):
    if rank == 0:
        return [(np.floor(at).astype(int), np.ones_like(at))]
    base = np.floor(at - 0.5).astype(int)
    offsets = range(2) if rank == 1 else range(-1, 3)
    kernel = _triangle if rank == 1 else lambda d: _cubic(d, -0.75)
    return [(base + o, kernel(base + o + 0.5 - at)) for o in offsets]


def _pixel(pixels, y, x, mode, fill):
    h, w = pixels.shape[:2]
    value = pixels[fold(y, h, mode), fold(x, w, mode)]
    if mode == "constant":
        outside = (y < 0) | (y >= h) | (x < 0) | (x >= w)
        value = np.where(outside[:, :, None], fill, value)
    return value


def fold(index, n, mode):
    """Bring pixel numbers into 0 to n - 1: 4 3 2 | 1 2 3 4 | 3 2 1 for reflect, 2 1 | 1 2 | 2 1 for symmetric."""
    if mode in ("constant", "edge"):
        return np.clip(index, 0, n - 1)
    lookup = np.pad(np.arange(n), 3 * n + 64, mode=mode)
    return lookup[np.clip(index + 3 * n + 64, 0, len(lookup) - 1)]


def _shrink(pixels, matrix, size, mode):
    """Shrink the part of the image that the output looks at, so that one output pixel moves by at most `STEP` there."""
    h, w = pixels.shape[:2]
    bounds, shrinks = [], []
    middle = _jacobian(matrix, size[1] / 2, size[0] / 2)
    corners = np.array([_point(matrix, x, y) for x in (0, size[1]) for y in (0, size[0])])
    # Beyond the horizon of a perspective nothing bounds what the output sees, and no slope says by how much to shrink.
    seen, blind = _depths(matrix, size)
    for axis, n in ((1, h), (0, w)):
        shrink = 1.0 if blind else max(math.hypot(*middle[axis]) / STEP, 1.0)
        margin = 2 + math.ceil(shrink)
        low, high = math.floor(corners[:, axis].min()) - margin, math.ceil(corners[:, axis].max()) + margin
        if mode in ("reflect", "symmetric") or not seen:
            low, high = 0, n
        low = min(max(low, 0), n - 1)
        bounds.append((low, min(max(high, low + 1), n)))
        shrinks.append(shrink)
    (top, bottom), (left, right) = bounds
    full = [max(math.ceil((b - a) / s - 1e-6), 1) for (a, b), s in zip(bounds, shrinks, strict=True)]
    if full == [bottom - top, right - left]:
        return pixels, matrix
    rows, columns = filter_weights(bottom - top, full[0], 1, True), filter_weights(right - left, full[1], 1, True)
    small = np.einsum("yh,hwc,xw->yxc", rows, pixels[top:bottom, left:right], columns, optimize=True)
    return small, np.diag([full[1] / (right - left), full[0] / (bottom - top), 1.0]) @ _shift(-left, -top) @ matrix


def _point(matrix, x, y):
    px, py, pw = matrix @ [x, y, 1.0]
    return px / pw, py / pw


def _depths(matrix, size):
    """Tell whether all corners lie before a perspective's horizon, and whether the middle lies behind it."""
    corners = [matrix[2] @ [x, y, 1.0] for x in (0, size[1]) for y in (0, size[0])]
    return min(corners) >= 1e-6, matrix[2] @ [size[1] / 2, size[0] / 2, 1.0] < 1e-6


def _jacobian(matrix, x, y):
    step = 1e-5
    east, west = np.array(_point(matrix, x + step, y)), np.array(_point(matrix, x - step, y))
    south, north = np.array(_point(matrix, x, y + step)), np.array(_point(matrix, x, y - step))
    return np.stack([east - west, south - north], 1) / (2 * step)
