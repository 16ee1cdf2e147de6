"""How the device resamples: where a tile's pixels lie in the source, and what they are worth there.

(P,) is one value for each pixel, of a tile or of one row of it; pairs of numbers are y, x. All branches are uniform in
a tile. What only flips and scales, and hardly shrinks, goes another way: `triton_walk.py`.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_layout import address, clamp, real
from augsynth.engines.triton_walk import walk


@triton.jit
def locate(row, x, y):
    """Map pixels of the output, int32 (1, X) and (Y, 1), to continuous coordinates in the grid, float32 (P,)."""
    m = row + layout.MATRIX
    u, v = x.to(tl.float32) + 0.5, y.to(tl.float32) + 0.5
    at_x = real(m, 0) * u + (real(m, 1) * v + real(m, 2))
    at_y = real(m, 3) * u + (real(m, 4) * v + real(m, 5))
    if tl.load(row + layout.PROJECTIVE) != 0:
        depth = real(m, 6) * u + (real(m, 7) * v + real(m, 8))
        at_x, at_y = at_x / depth, at_y / depth
    # Near a horizon coordinates leave what an integer holds.
    return tl.minimum(tl.maximum(at_x, -1e7), 1e7), tl.minimum(tl.maximum(at_y, -1e7), 1e7)


@triton.jit
def _first_tap(at, TAPS: tl.constexpr):
    """Return the first pixel of the footprint, int32 (P,), and how far `at` lies behind its middle pixel's centre."""
    if TAPS == 1:
        return tl.floor(at).to(tl.int32), at
    low = tl.floor(at - 0.5)
    return low.to(tl.int32) - (TAPS // 2 - 1), at - 0.5 - low


@triton.jit
def _cubic(distance, A: tl.constexpr):
    d = tl.abs(distance)
    near = ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0
    far = ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A
    return tl.where(d <= 1.0, near, tl.where(d < 2.0, far, 0.0))


@triton.jit
def _tap_weight(t, i: tl.constexpr, TAPS: tl.constexpr):
    """Weigh tap i of a footprint whose middle pixel lies t (P,) before the point."""
    if TAPS == 1:
        return t * 0.0 + 1.0
    if TAPS == 2:
        return 1.0 - tl.abs(t - i)
    return _cubic(t - (i - 1), -0.75)  # as OpenCV and torch without antialiasing


@triton.jit
def bounded(index, size, border):
    """Bring pixel numbers (P,) into [0, size) by the border; also tell which may be read, those outside for a fill."""
    seen = ((index >= 0) & (index < size)) | (border != layout.CONSTANT)
    if border >= layout.REFLECT:
        period = 2 * size
        if border == layout.REFLECT:
            period = tl.maximum(2 * size - 2, 1)
        folded = index % period
        folded = tl.where(folded < 0, folded + period, folded)
        back = (2 * size - 1 - folded) if border == layout.SYMMETRIC else (period - folded)
        index = tl.where(folded < size, folded, back)
    return tl.minimum(tl.maximum(index, 0), size - 1), seen


@triton.jit
def _interpolate(row, x, y, live, C: tl.constexpr, TYPE: tl.constexpr, TAPS: tl.constexpr):
    """Read the window itself with 1, 2 or 4 taps per axis: three channels (P,), alike where C is 1."""
    source, stride = address(row, layout.SOURCE, TYPE), tl.load(row + layout.STRIDES)
    stride_y, stride_x = tl.load(row + layout.STRIDES + 1), tl.load(row + layout.STRIDES + 2)
    height, width, border = tl.load(row + layout.GRID), tl.load(row + layout.GRID + 1), tl.load(row + layout.BORDER)
    fill0, fill1, fill2 = real(row, layout.FILL), real(row, layout.FILL + 1), real(row, layout.FILL + 2)
    at_x, at_y = locate(row, x, y)
    first_x, t_x = _first_tap(at_x, TAPS)
    first_y, t_y = _first_tap(at_y, TAPS)
    c0, c1, c2 = tl.zeros_like(at_x), tl.zeros_like(at_x), tl.zeros_like(at_x)
    for i in tl.static_range(TAPS):
        line, seen_y = bounded(first_y + i, height, border)
        for j in tl.static_range(TAPS):
            column, seen_x = bounded(first_x + j, width, border)
            weight = _tap_weight(t_y, i, TAPS) * _tap_weight(t_x, j, TAPS)
            seen = seen_y & seen_x
            pixel = source + (line * stride_y + column * stride_x)
            tap = tl.load(pixel, mask=live & seen, other=0)
            c0 += weight * tl.where(seen, tap.to(tl.float32), fill0)
            if C == 3:
                tap = tl.load(pixel + stride, mask=live & seen, other=0)
                c1 += weight * tl.where(seen, tap.to(tl.float32), fill1)
                tap = tl.load(pixel + 2 * stride, mask=live & seen, other=0)
                c2 += weight * tl.where(seen, tap.to(tl.float32), fill2)
    return c0, c1, c2


@triton.jit
def _kernel_weight(index, centre, narrow, n, CUBIC: tl.constexpr):
    """Weigh pixels `index` of n, int32 (P,), by the antialiasing kernel around `centre`, widened by 1 / `narrow`."""
    distance = (index.to(tl.float32) + 0.5 - centre) * narrow
    weight = _cubic(distance, -0.5) if CUBIC else tl.maximum(1.0 - tl.abs(distance), 0.0)
    return tl.where((index >= 0) & (index < n), weight, 0.0)


@triton.jit
def _axis(at, n, size, ratio, reach, border, TAPS: tl.constexpr, CUBIC: tl.constexpr):
    """Place one axis of the taps of each pixel into the window of n pixels, which the filter shrinks to `size`.

    Returns the first pixel they cover (P,), each tap's centre and its weight over the sum of its kernel (tuples of
    (P,)), and the weight that was not seen (P,), for the fill.
    """
    stretch = tl.maximum(ratio, 1.0)
    support = stretch * (2.0 if CUBIC else 1.0)
    first, t = _first_tap(at, TAPS)
    lowest = tl.zeros_like(at) + 1e9
    unseen = tl.zeros_like(at) + 1.0
    centres, weights = (), ()
    for i in tl.static_range(TAPS):
        index, seen = bounded(first + i, size, border)
        centre = (index.to(tl.float32) + 0.5) * ratio
        weight = tl.where(seen, _tap_weight(t, i, TAPS), 0.0)
        start = tl.floor(centre - support + 0.5).to(tl.int32)
        total = tl.zeros_like(at)
        for k in range(reach):
            total += _kernel_weight(start + k, centre, 1.0 / stretch, n, CUBIC)
        lowest = tl.minimum(lowest, tl.floor(centre - support + 0.5))
        unseen -= weight
        centres += (centre,)
        weights += (weight / total,)
    return lowest.to(tl.int32), centres, weights, unseen


@triton.jit
def _axis_weight(index, centres, weights, n, ratio, TAPS: tl.constexpr, CUBIC: tl.constexpr):
    """Weigh pixel `index` (P,) of the window by all taps whose kernel covers it."""
    narrow = 1.0 / tl.maximum(ratio, 1.0)
    weight = weights[0] * _kernel_weight(index, centres[0], narrow, n, CUBIC)
    for i in tl.static_range(1, TAPS):
        weight += weights[i] * _kernel_weight(index, centres[i], narrow, n, CUBIC)
    return weight


@triton.jit
def _shrink(row, x, y, live, C: tl.constexpr, TYPE: tl.constexpr, TAPS: tl.constexpr, CUBIC: tl.constexpr):
    """Interpolate in the window shrunk by a separable filter, without storing it: three channels (P,).

    Each tap of the shrunk window is itself a weighted sum of rows times columns, so one sum over the union of all
    taps' rows and columns gives the pixel.
    """
    source, stride = address(row, layout.SOURCE, TYPE), tl.load(row + layout.STRIDES)
    stride_y, stride_x = tl.load(row + layout.STRIDES + 1), tl.load(row + layout.STRIDES + 2)
    border = tl.load(row + layout.BORDER)
    rows, columns = tl.load(row + layout.WINDOW), tl.load(row + layout.WINDOW + 1)
    ratio_y, ratio_x = real(row, layout.RATIO), real(row, layout.RATIO + 1)
    reach_y, reach_x = tl.load(row + layout.REACH), tl.load(row + layout.REACH + 1)
    at_x, at_y = locate(row, x, y)
    first_y, centres_y, weights_y, unseen_y = _axis(
        at_y, rows, tl.load(row + layout.GRID), ratio_y, reach_y, border, TAPS, CUBIC
    )
    first_x, centres_x, weights_x, unseen_x = _axis(
        at_x, columns, tl.load(row + layout.GRID + 1), ratio_x, reach_x, border, TAPS, CUBIC
    )
    # All weights of an axis sum to 1, so what neither axis lost is seen.
    lost = 1.0 - (1.0 - unseen_y) * (1.0 - unseen_x)
    c0, c1, c2 = lost * real(row, layout.FILL), lost * real(row, layout.FILL + 1), lost * real(row, layout.FILL + 2)
    for i in range(reach_y):
        line = first_y + i
        weight_y = _axis_weight(line, centres_y, weights_y, rows, ratio_y, TAPS, CUBIC)
        for j in range(reach_x):
            column = first_x + j
            weight = weight_y * _axis_weight(column, centres_x, weights_x, columns, ratio_x, TAPS, CUBIC)
            pixel = source + (line * stride_y + column * stride_x)
            # A weight of 0 is a pixel outside the window, or one that no kernel covers.
            used = live & (weight != 0.0)
            c0 += weight * tl.load(pixel, mask=used, other=0).to(tl.float32)
            if C == 3:
                c1 += weight * tl.load(pixel + stride, mask=used, other=0).to(tl.float32)
                c2 += weight * tl.load(pixel + 2 * stride, mask=used, other=0).to(tl.float32)
    return c0, c1, c2


@triton.jit
def _generally(row, x, y, live, C: tl.constexpr, TYPE: tl.constexpr, FILTERS: tl.constexpr, CUBICS: tl.constexpr):
    """Give pixels their values by the way that serves every map; x (1, X), y (Y, 1)."""
    taps, kind = tl.load(row + layout.TAPS), tl.load(row + layout.FILTER)
    if FILTERS and kind != layout.UNFILTERED:
        if CUBICS and kind == layout.CUBIC:
            c0, c1, c2 = _shrink(row, x, y, live, C, TYPE, 1, True)
        elif CUBICS and taps == 4:
            c0, c1, c2 = _shrink(row, x, y, live, C, TYPE, 4, False)
        elif taps == 2:
            c0, c1, c2 = _shrink(row, x, y, live, C, TYPE, 2, False)
        else:
            c0, c1, c2 = _shrink(row, x, y, live, C, TYPE, 1, False)
    elif CUBICS and taps == 4:
        c0, c1, c2 = _interpolate(row, x, y, live, C, TYPE, 4)
    elif taps == 2:
        c0, c1, c2 = _interpolate(row, x, y, live, C, TYPE, 2)
    else:
        c0, c1, c2 = _interpolate(row, x, y, live, C, TYPE, 1)
    return c0, c1, c2


@triton.jit
def _row_by_row(
    row,
    left,
    top,
    height,
    width,
    C: tl.constexpr,
    TYPE: tl.constexpr,
    FILTERS: tl.constexpr,
    CUBICS: tl.constexpr,
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    """Do the same for one row of the tile after the other, for a thread has registers for a few pixels only."""
    x, place = left + tl.arange(0, TILE_X)[None, :], tl.arange(0, TILE_Y)[:, None]
    empty = tl.zeros((TILE_Y, TILE_X), tl.float32)
    out0, out1, out2 = empty, empty, empty
    for r in range(TILE_Y):
        live = (x < width) & (top + r < height)
        y = tl.zeros((1, 1), tl.int32) + (top + r)
        c0, c1, c2 = _generally(row, x, y, live, C, TYPE, FILTERS, CUBICS)
        out0, out1, out2 = (
            tl.where(place == r, c0, out0),
            tl.where(place == r, c1, out1),
            tl.where(place == r, c2, out2),
        )
    return out0, out1, out2


@triton.jit
def resample(
    row,
    left,
    top,
    height,
    width,
    white,
    factor,
    C: tl.constexpr,
    TYPE: tl.constexpr,
    FILTERS: tl.constexpr,
    CUBICS: tl.constexpr,
    CLOSE: tl.constexpr,
    BY_ROW: tl.constexpr,
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    """Give the pixels of the tile their values before any step, multiplied by `factor`: three channels (Y, X).

    FILTERS, CUBICS: some sample of this launch is shrunk by a filter, or cubic. Code that none of them needs would
    still take registers from the others.
    """
    taps = tl.load(row + layout.WALK)
    if BY_ROW and taps == 2:
        c0, c1, c2 = walk(row, left, top, factor, C, TYPE, 2, CLOSE, TILE_Y, TILE_X)
    elif BY_ROW and FILTERS and taps == 3:
        c0, c1, c2 = walk(row, left, top, factor, C, TYPE, 3, CLOSE, TILE_Y, TILE_X)
    else:
        if BY_ROW:
            c0, c1, c2 = _row_by_row(row, left, top, height, width, C, TYPE, FILTERS, CUBICS, TILE_Y, TILE_X)
        else:
            x, y = left + tl.arange(0, TILE_X)[None, :], top + tl.arange(0, TILE_Y)[:, None]
            c0, c1, c2 = _generally(row, x, y, (x < width) & (y < height), C, TYPE, FILTERS, CUBICS)
        if CUBICS and tl.load(row + layout.CLAMP) != 0:
            c0, c1, c2 = clamp(c0, white), clamp(c1, white), clamp(c2, white)
        c0, c1, c2 = factor * c0, factor * c1, factor * c2
    return c0, c1, c2
