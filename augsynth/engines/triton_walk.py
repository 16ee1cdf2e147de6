"""How the device resizes along the axes: row by row of a tile, so that neighbours share the rows of the source.

A thread holds a column of the tile. Each row of the source that it needs is weighed along x once, kept while it is
needed, and weighed along y for each row of the output; both filters have two or three taps.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_layout import address, real, reciprocal, unit

NOWHERE = tl.constexpr(-(2**28))
RAW = tl.constexpr(not layout.INTERPRETED)
POWER, REST = tl.constexpr(2.0**75), tl.constexpr(2.0**74)


@triton.jit
def _taps(centre, n, ratio, whole, TAPS: tl.constexpr):
    """Return the first of TAPS pixels of n around `centre`, and what each weighs of `whole`: (1, X), or one number."""
    inverse = 1.0 / tl.maximum(ratio, 1.0)
    lowest = tl.floor(centre - tl.maximum(ratio, 1.0) + 0.5).to(tl.int32)
    first = tl.minimum(tl.maximum(lowest, 0), n - TAPS)
    distance = (first.to(tl.float32) + 0.5) - centre
    w0 = tl.maximum(1.0 - tl.abs(distance) * inverse, 0.0)
    w1 = tl.maximum(1.0 - tl.abs(distance + 1.0) * inverse, 0.0)
    w2 = tl.maximum(1.0 - tl.abs(distance + 2.0) * inverse, 0.0) if TAPS == 3 else w1 * 0.0
    # Behind the edge of the output there may be no weight at all, and nobody looks.
    one = whole * reciprocal(tl.maximum(w0 + w1 + w2, 1e-9))
    return first, w0 * one, w1 * one, w2 * one


@triton.jit
def _two_taps(centre, n, whole):
    """Return the same for two taps of a filter that is not widened, whose weights add up to `whole`."""
    before = centre - 0.5
    first = tl.minimum(tl.maximum(tl.floor(before).to(tl.int32), 0), n - 2)
    w1 = whole * unit(before - first.to(tl.float32))
    return first, whole - w1, w1, w1 * 0.0


@triton.jit
def _value(pixel, TYPE: tl.constexpr):
    """Read pixels (1, X) as float32, bytes times 2**-149: their bits are that number, and no conversion is needed.

    The compiler's search for a layout that serves all loads takes its time; what it does not see as loads it skips.
    """
    if not RAW:
        return tl.load(pixel).to(tl.float32)
    at = pixel.to(tl.int64)
    if TYPE == tl.uint8:  # noqa: SIM300 - the type is not a constant of Python
        return _asm("ld.global.nc.u8 $0, [$1];", at).to(tl.float32, bitcast=True)
    if TYPE == tl.float32:  # noqa: SIM300
        return _asm("ld.global.nc.b32 $0, [$1];", at).to(tl.float32, bitcast=True)
    bits = _asm("ld.global.nc.u16 $0, [$1];", at)
    if TYPE == tl.bfloat16:  # noqa: SIM300
        return (bits << 16).to(tl.float32, bitcast=True)
    return bits.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def _asm(READ: tl.constexpr, at):
    return tl.inline_asm_elementwise(READ, "=r,l", [at], dtype=tl.int32, is_pure=True, pack=1)


@triton.jit
def _weighed(pixel, step, w0, w1, w2, TYPE: tl.constexpr, TAPS: tl.constexpr):
    total = w0 * _value(pixel, TYPE) + w1 * _value(pixel + step, TYPE)
    if TAPS == 3:
        total += w2 * _value(pixel + 2 * step, TYPE)
    return total


@triton.jit
def _line(pixel, stride, step, w0, w1, w2, C: tl.constexpr, TYPE: tl.constexpr, TAPS: tl.constexpr):
    """Weigh one row of the source along x: three channels (1, X), alike where C is 1."""
    c0 = _weighed(pixel, step, w0, w1, w2, TYPE, TAPS)
    c1, c2 = c0, c0
    if C == 3:
        c1 = _weighed(pixel + stride, step, w0, w1, w2, TYPE, TAPS)
        c2 = _weighed(pixel + 2 * stride, step, w0, w1, w2, TYPE, TAPS)
    return c0, c1, c2


@triton.jit
def _blend(old, middle, new, a, b, c, TAPS: tl.constexpr):
    """Weigh two or three rows (1, X) along y, in the order in which they came."""
    if TAPS == 2:
        return old * a + new * b
    return old * a + middle * b + new * c


@triton.jit
def walk(
    row,
    left,
    top,
    factor,
    C: tl.constexpr,
    TYPE: tl.constexpr,
    TAPS: tl.constexpr,  # of both axes
    CLOSE: tl.constexpr,  # neighbours along x are neighbours in memory
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    """Resize into the tile at `left`, `top`: three channels (Y, X), multiplied by `factor`.

    The window has at least three pixels along each axis, and the map flips and scales only.
    """
    m, ratio_y, ratio_x = row + layout.MATRIX, real(row, layout.RATIO), real(row, layout.RATIO + 1)
    rows, columns = tl.load(row + layout.WINDOW), tl.load(row + layout.WINDOW + 1)
    stride, stride_y = tl.load(row + layout.STRIDES), tl.load(row + layout.STRIDES + 1)
    step = 1 if CLOSE else tl.load(row + layout.STRIDES + 2)
    # A byte is read as a multiple of 2**-149: half of what brings it back is in the weights of each axis.
    power, whole = 1.0, factor
    if RAW and TYPE == tl.uint8:  # noqa: SIM300 - the type is not a constant of Python
        power, whole = POWER, factor * REST
    u = (left + tl.arange(0, TILE_X)[None, :]).to(tl.float32) + 0.5
    column, x0, x1, x2 = _taps((real(m, 0) * u + real(m, 2)) * ratio_x, columns, ratio_x, power, TAPS)
    source = address(row, layout.SOURCE, TYPE) + column * step
    slope, shift = real(m, 4) * ratio_y, real(m, 5) * ratio_y
    # A mirrored image is walked through upwards, so that rows leave in the order in which they came.
    sign = tl.where(slope < 0.0, -1, 1)
    head = slope.to(tl.int32) * 0 + NOWHERE
    a0, a1, a2 = u * 0.0, u * 0.0, u * 0.0
    b0, b1, b2 = u * 0.0, u * 0.0, u * 0.0
    c0, c1, c2 = u * 0.0, u * 0.0, u * 0.0
    place = tl.arange(0, TILE_Y)[:, None]
    empty = tl.zeros((TILE_Y, TILE_X), tl.float32)
    out0, out1, out2 = empty, empty, empty
    for r in tl.static_range(TILE_Y):
        centre = slope * ((top + r).to(tl.float32) + 0.5) + shift
        if TAPS == 2:
            first, y0, y1, y2 = _two_taps(centre, rows, whole)
        else:
            first, y0, y1, y2 = _taps(centre, rows, ratio_y, whole, TAPS)
        lead = tl.where(sign > 0, first, first + (TAPS - 1))
        moved = (lead - head) * sign
        if moved != 0:
            at = source + lead * stride_y
            on = sign * stride_y
            if moved == 1:
                a0, a1, a2 = b0, b1, b2
                if TAPS == 3:
                    b0, b1, b2 = c0, c1, c2
            else:
                a0, a1, a2 = _line(at, stride, step, x0, x1, x2, C, TYPE, TAPS)
                if TAPS == 3:
                    b0, b1, b2 = _line(at + on, stride, step, x0, x1, x2, C, TYPE, TAPS)
            if TAPS == 3:
                c0, c1, c2 = _line(at + 2 * on, stride, step, x0, x1, x2, C, TYPE, TAPS)
            else:
                b0, b1, b2 = _line(at + on, stride, step, x0, x1, x2, C, TYPE, TAPS)
            head = lead
        end = y1 if TAPS == 2 else y2
        old, new = tl.where(sign > 0, y0, end), tl.where(sign > 0, end, y0)
        r0 = _blend(old, y1, new, a0, b0, c0, TAPS)
        r1 = _blend(old, y1, new, a1, b1, c1, TAPS)
        r2 = _blend(old, y1, new, a2, b2, c2, TAPS)
        # Where a thread holds a column, the comparison is known beforehand and nothing is moved.
        out0 = tl.where(place == r, r0, out0)
        out1 = tl.where(place == r, r1, out1)
        out2 = tl.where(place == r, r2, out2)
    return out0, out1, out2
