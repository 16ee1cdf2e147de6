"""How the draw kernel writes steps of colour and rectangles: each sample's one after the other, (N,) samples at once.

`written` is how many steps and means a sample has so far, and, a byte for each mean, one more than the steps before it.
`color` is a matrix of nine and a vector of three, `A x + m v`, for colours that are composed and not yet written.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout


@triton.jit
def _put(at, word, value, on):
    tl.store(at + word, value.to(tl.float32).to(tl.int32, bitcast=True), mask=on)


@triton.jit
def _next(mine, written):
    """Return where each sample's next step stands."""
    return mine + written[0] * layout.STEP_WORDS


@triton.jit
def erase(mine, written, box, paint0, paint1, paint2, on):
    """Write a rectangle: box is top, left, height, width."""
    at, zero = _next(mine, written), box[0] * 0.0
    tl.store(at + layout.CODE, layout.ERASE, mask=on)
    tl.store(at + layout.MEAN, -1, mask=on)
    for i in tl.static_range(4):
        tl.store(at + layout.RECTANGLE + i, box[i].to(tl.int32), mask=on)
    _put(at, layout.VECTOR, zero + paint0, on)
    _put(at, layout.VECTOR + 1, zero + paint1, on)
    _put(at, layout.VECTOR + 2, zero + paint2, on)
    return (written[0] + on.to(tl.int32), written[1], written[2])


@triton.jit
def _counted(written, needs, on):
    """Count a step, and the mean that it may need."""
    stop = tl.where(needs, (written[0] + 1).to(tl.int64) << (8 * written[1]).to(tl.int64), written[2] * 0)
    return (written[0] + on.to(tl.int32), written[1] + needs.to(tl.int32), written[2] | stop)


@triton.jit
def _write(mine, written, color, on):
    """Write a matrix and a vector; a vector that is not 0 asks for a mean."""
    at = _next(mine, written)
    needs = on & ((color[9] != 0.0) | (color[10] != 0.0) | (color[11] != 0.0))
    tl.store(at + layout.CODE, layout.MATRIX_STEP, mask=on)
    tl.store(at + layout.MEAN, tl.where(needs, written[1], -1), mask=on)
    for i in tl.static_range(9):
        _put(at, layout.COLOR + i, color[i], on)
    for i in tl.static_range(3):
        _put(at, layout.VECTOR + i, color[9 + i], on)
    return _counted(written, needs, on)


@triton.jit
def write_linear(mine, written, color, on, C: tl.constexpr):
    """Write what neighbouring colours became together."""
    if C == 1:
        zero = color[0] * 0.0
        color = (color[0], zero, zero, zero, zero, zero, zero, zero, zero, color[9], zero, zero)
    return _write(mine, written, color, on)


@triton.jit
def blend(old, new, on, fresh):
    """Take new entries where `on`, those of a colour that does nothing where `fresh`, else the old ones."""
    result = ()
    for i in tl.static_range(12):
        result += (tl.where(fresh, 1.0 if i % 4 == 0 else 0.0, tl.where(on, new[i], old[i])),)
    return result


@triton.jit
def _color(what, factor, palette):
    """Return the matrix and the vector of colours `what` (N,) with their factors (N,); a hue turns about the gray."""
    result = ()
    cos, sin = tl.cos(6.283185307179586 * factor), tl.sin(6.283185307179586 * factor)
    for i in tl.static_range(9):
        eye, gray = 1.0 if i % 4 == 0 else 0.0, tl.load(palette + i % 3)
        value = tl.where(what == layout.SATURATION, factor * eye + (1.0 - factor) * gray, factor * eye)
        value = tl.where(what == layout.LUMA, gray, value)
        turned = gray + cos * (eye - gray) + sin * tl.load(palette + 3 + i)
        value = tl.where(what == layout.SHIFT_HUE, turned, value)
        result += (value,)
    vector = tl.where(what == layout.CONTRAST, 1.0 - factor, 0.0)
    return result + (vector, vector, vector)  # noqa: RUF005 - Triton joins tuples by +


@triton.jit
def _composed(first, then, palette):
    """Apply `first`, then `then`; its mean is that of the image of the gray (m, m, m)."""
    pivot = first[0] * 0.0
    for r in tl.static_range(3):
        pivot += tl.load(palette + r) * (first[3 * r] + first[3 * r + 1] + first[3 * r + 2] + first[9 + r])
    matrix, vector = (), ()
    for r in tl.static_range(3):
        for c in tl.static_range(3):
            matrix += (then[3 * r] * first[c] + then[3 * r + 1] * first[3 + c] + then[3 * r + 2] * first[6 + c],)
        moved = then[3 * r] * first[9] + then[3 * r + 1] * first[10] + then[3 * r + 2] * first[11]
        vector += (moved + pivot * then[9 + r],)
    return matrix + vector


@triton.jit
def _write_one(mine, written, what, factor, on):
    """Write colours `what` with their factors (N,) as steps of their own; a contrast asks for a mean."""
    at = _next(mine, written)
    pull = tl.where(what == layout.CONTRAST, 1.0 - factor, 0.0)
    needs = on & (pull != 0.0)
    code = tl.where(what >= layout.SATURATION, layout.CHROMA, layout.SCALE)
    tl.store(at + layout.CODE, tl.where(what == layout.SHIFT_HUE, layout.HUE, code), mask=on)
    tl.store(at + layout.MEAN, tl.where(needs, written[1], -1), mask=on)
    _put(at, layout.COLOR, tl.where(what == layout.LUMA, 0.0, factor), on)
    _put(at, layout.VECTOR, pull, on)
    return _counted(written, needs, on)


@triton.jit
def paint(mine, written, color, what, factor, palette, on, C: tl.constexpr, EXACT: tl.constexpr):
    """Apply colours `what` where `on`: written at once, or composed with those before. One channel has no chroma."""
    if C == 1:
        on = on & (what < layout.SATURATION)
    if EXACT:
        written = _write_one(mine, written, what, factor, on)
    else:
        color = blend(color, _composed(color, _color(what, factor, palette), palette), on, on & (on == 0))
    return written, color
