"""Where each sample of a resample lies: copied, resized or warped, from which whole-pixel window, through what filter.

Arithmetic on small arrays for the whole batch. The compiled engine has the same in `native/place.h`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augsynth.transforms.base import Array

NEAREST, BILINEAR, BICUBIC = range(3)
COPY, RESIZE, WARP = range(3)

_TOLERANCE = 1e-6
# The interpolation after the filter smooths too. With steps of up to 1.6 pixels left to it, the result is two to ten
# times closer to the exact average than with a filter that goes all the way: on photographs, zone plates and noise.
_STEP = 1.6


@dataclass(frozen=True)
class Placed:
    """What `place` finds for R samples; boxes are top, left, bottom, right in whole pixels.

    path: COPY (flip, quarter turn, whole-pixel window), RESIZE (of `box` to `full`, then the window at `offset`) or
    WARP (`box` shrunk to `full` by an antialiasing filter, then `matrix`, from output to shrunk coordinates).
    transpose: the source's x and y are swapped first; flip_y and flip_x come last.
    """

    path: Array
    transpose: Array
    box: Array
    full: Array
    offset: Array
    flip_y: Array
    flip_x: Array
    matrix: Array


def _near_int(value: Array) -> Array:
    return np.asarray(np.abs(value - np.rint(value)) < _TOLERANCE)


def place(
    matrix: Array,
    size_in: Array,
    size_out: Array,
    kind: Array,
    antialias: Array,
    bordered: Array,
    folds: Array,
    cut_first: Array,
) -> Placed:
    """Choose the paths of R samples, and their whole-pixel windows.

    matrix `(R, 3, 3)`: from output to input; sizes `(R, 2)`; kind: of interpolation. Flags `(R,)`: antialias; bordered,
    where something may look outside the input; folds, where what it sees there is the input again; cut_first, where a
    window is cut out before it is resized.
    """
    size_in, size_out = size_in.astype(np.float64), size_out.astype(np.float64)
    flat = (np.abs(matrix[:, 2, :2]) < 1e-12).all(1)
    tiny = np.abs(matrix[:, :2, :2]) < _TOLERANCE
    turned = flat & tiny[:, 0, 0] & tiny[:, 1, 1]
    if turned.any():
        # A quarter turn is a swap of the source's axes and an axis-aligned map.
        matrix = np.where(turned[:, None, None], matrix[:, [1, 0, 2]], matrix)
        size_in = np.where(turned[:, None], size_in[:, ::-1], size_in)
    count = len(matrix)
    path, box, full = np.full(count, WARP), np.zeros((count, 4)), size_out.copy()
    offset, flips = np.zeros((count, 2)), np.zeros((count, 2), bool)
    aligned = turned | (flat & tiny[:, 0, 1] & tiny[:, 1, 0])
    if aligned.any():
        part = aligned.nonzero()[0]
        resizable = ~bordered[part] & (kind[part] > NEAREST)
        windows = _windows(matrix[part], size_in[part], size_out[part], resizable, cut_first[part])
        path[part], box[part], full[part], offset[part], flips[part] = windows
    warped = (path == WARP).nonzero()[0]
    if len(warped):
        shrunk = _shrunk(matrix[warped], size_in[warped], size_out[warped], antialias[warped], folds[warped])
        matrix = matrix.copy()
        box[warped], full[warped], matrix[warped] = shrunk
    box_i, full_i, offset_i = (array.astype(np.int64) for array in (box, full, offset))
    return Placed(path, turned, box_i, full_i, offset_i, flips[:, 0], flips[:, 1], matrix)


def _windows(
    matrix: Array, size_in: Array, size_out: Array, resizable: Array, cut_first: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Find the whole-pixel windows of axis-aligned maps: path, box, full, offset, flips as in `Geometry`.

    A window of the input that is resized ends at its own edges; a window of the resized image is a slice of it. Both
    can be the same map: cut_first tells which of the two the transforms asked for.
    """
    scale, shift = matrix[:, [1, 0], [1, 0]], matrix[:, [1, 0], [2, 2]]
    ends = shift + scale * size_out
    low, high = np.minimum(shift, ends), np.maximum(shift, ends)
    step = np.maximum(np.abs(scale), 1e-9)
    whole = (_near_int(low) & _near_int(high)).all(1)
    copy = whole & (np.abs(step - 1) < 1e-9).all(1)
    inside = ((low > -_TOLERANCE) & (high < size_in + _TOLERANCE)).all(1)
    total, before = size_in / step, low / step
    sliced = (_near_int(total) & _near_int(before)).all(1)
    resize = ~copy & inside & (whole | sliced) & resizable
    path = np.where(copy, COPY, np.where(resize, RESIZE, WARP))
    cut = (resize & ~(whole & (cut_first | ~sliced)))[:, None]
    window = np.concatenate([np.rint(low), np.rint(high)], 1)
    entire = np.concatenate([np.zeros_like(size_in), size_in], 1)
    box = np.where(cut, entire, window)
    full, offset = np.where(cut, np.rint(total), size_out), np.where(cut, np.rint(before), 0.0)
    return path, box, full, offset, (scale < 0) & (path != WARP)[:, None]


_CORNERS = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
_MIDDLE = np.array([0.5, 0.5, 1.0])
_HORIZON = 1e-6  # a homography's third coordinate: no picture lies behind it


def _shrunk(
    matrix: Array, size_in: Array, size_out: Array, antialias: Array, everything: Array
) -> tuple[Array, Array, Array]:
    """Bound the preimage of the output by a box, and choose the size to which a filter shrinks it first.

    Returns box, that size, and the matrix from the output into the shrunk box. A step of one output pixel moves at
    most about `_STEP` pixels there, so that plain interpolation hardly aliases.
    """
    extent = np.ones((len(matrix), 1, 3))
    extent[:, 0, :2] = size_out[:, ::-1]
    scaled = matrix * extent
    mapped = scaled @ _CORNERS
    points, slope = mapped[:, :2], matrix[:, :2, :2]
    if (matrix[:, 2, :2] != 0).any():
        points = points / np.maximum(mapped[:, 2:], _HORIZON)
        middle = scaled @ _MIDDLE
        depth = np.maximum(middle[:, 2], _HORIZON)[:, None]
        at = middle[:, :2] / depth
        slope = (slope - at[:, :, None] * matrix[:, 2:, :2]) / depth[:, :, None]
        # The output looks past the horizon: no corner bounds what it sees, and there the slope has no end.
        everything = everything | (mapped[:, 2] < _HORIZON).any(1)
        antialias = antialias & (middle[:, 2] >= _HORIZON)
    # Rows of the Jacobian are x and y of the input; sizes are height, width.
    shrink = np.sqrt((slope**2).sum(2))[:, ::-1]
    shrink = np.where(antialias[:, None], np.maximum(shrink / _STEP, 1.0), 1.0)
    margin = 2 + np.ceil(shrink)
    low = np.floor(points.min(2)[:, ::-1]) - margin
    high = np.ceil(points.max(2)[:, ::-1]) + margin
    if everything.any():
        low, high = np.where(everything[:, None], 0, low), np.where(everything[:, None], size_in, high)
    low = np.minimum(np.maximum(low, 0), size_in - 1)
    high = np.minimum(np.maximum(high, low + 1), size_in)
    length = high - low
    full = np.maximum(np.ceil(length / shrink - _TOLERANCE), 1.0)
    ratio = (full / length)[:, ::-1]
    into = np.zeros_like(matrix)
    into[:, [0, 1], [0, 1]], into[:, 2, 2] = ratio, 1.0
    into[:, :2, 2] = -low[:, ::-1] * ratio
    return np.concatenate([low, high], 1), full, into @ matrix
