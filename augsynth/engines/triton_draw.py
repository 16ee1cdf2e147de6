"""The draw on the device: from keys to the tables that the render kernel reads, without the host.

A program runs the plan's instructions (`triton_plan.py`) for (N,) samples at once: uniforms from Philox, parameters by
each transform's formula in float64, as numpy computes them, maps composed, steps of colour written one after the other.
Ten tries of a crop stand side by side, (N, TRIES). Conditions are bits: bit b of a sample tells whether what runs under
condition b is applied; bit 0 always holds.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_kernel import philox
from augsynth.engines.triton_layout import double
from augsynth.engines.triton_place import after, place, take_along
from augsynth.engines.triton_steps import blend, erase, paint, write_linear

TRIES = tl.constexpr(16)  # a power of two; ten of them are used
TEN = tl.constexpr(10)
NONE = tl.constexpr(99)
START = tl.constexpr(4)  # inputs before the keys: addresses of images (0), masks (2), keypoints (3); the seed (1)
DEGREES = tl.constexpr(0.017453292519943295)
ROUND = tl.constexpr(6755399441055744.0)  # 1.5 * 2**52: adding and taking it away rounds a double, ties to even


@triton.jit
def number(step, i):
    """Read constant i of an instruction."""
    return double(step + layout.NUMBERS, 2 * i)


@triton.jit
def _words(key, blocks, block):
    """Return the four words of Philox blocks, uint32; key: index, occurrence, epoch and seed, all broadcast."""
    slot, lane = tl.load(blocks + 2 * block), tl.load(blocks + 2 * block + 1)
    zero = (slot * 0).to(tl.uint32)
    index, occurrence, epoch, seed = key[0] + zero, key[1] + zero, key[2] + zero, key[3] + zero
    return philox(index, occurrence, slot.to(tl.uint32), lane.to(tl.uint32), seed, epoch)


@triton.jit
def uniform(key, blocks, column):
    """Return the numbers in [0, 1) of each column, multiples of 2**-24."""
    c0, c1, c2, c3 = _words(key, blocks, column // 4)
    place = column % 4
    chosen = tl.where(place == 0, c0, tl.where(place == 1, c1, tl.where(place == 2, c2, c3)))
    return (chosen >> 8).to(tl.float64) * 5.9604644775390625e-08


@triton.jit
def _rint(value):
    return (value + ROUND) - ROUND


# --- conditions -------------------------------------------------------------------------------------------------------


@triton.jit
def _choose(step, u):
    """Return the position of the alternative that uniforms (N,) fall on."""
    last = tl.load(step + layout.COUNT)
    chosen = (u * 0.0).to(tl.int64)
    for i in range(last):
        chosen += (u >= number(step, i)).to(tl.int64)
    return chosen


# --- geometry: maps (a, b, c, d, e, f) from output to input, x' = a x + b y + c, y' = d x + e y + f -------------------


@triton.jit
def _about(a, b, c, d, source_x, source_y, target_x, target_y):
    """Map the point `target` of the output to `source` of the input."""
    return (a, b, source_x - a * target_x - b * target_y, c, d, source_y - c * target_x - d * target_y)


@triton.jit
def _cos_sin(degrees):
    """Cosine and sine, exact at quarter turns."""
    radians = degrees * DEGREES
    cos, sin = tl.cos(radians), tl.sin(radians)
    quarter = degrees - 90.0 * tl.floor(degrees / 90.0) == 0.0
    return tl.where(quarter, _rint(cos), cos), tl.where(quarter, _rint(sin), sin)


@triton.jit
def _crop(step, u_y, u_x):
    strength, free_y, free_x = number(step, 0), number(step, 1), number(step, 2)
    top = tl.floor((0.5 + (u_y - 0.5) * strength) * (free_y + 1.0))
    left = tl.floor((0.5 + (u_x - 0.5) * strength) * (free_x + 1.0))
    top, left = tl.minimum(top, free_y) - number(step, 3), tl.minimum(left, free_x) - number(step, 4)
    return (u_y * 0.0 + 1.0, u_y * 0.0, left, u_y * 0.0, u_y * 0.0 + 1.0, top)


@triton.jit
def _first(fits, high, wide):
    """Pick the first of (N, TRIES) windows that fits: whether one does, its height and width (N,)."""
    lane = tl.arange(0, TRIES)[None, :]
    first = tl.min(tl.where(fits & (lane < TEN), lane, NONE), axis=1)
    chosen = lane == first[:, None]
    return first < NONE, tl.sum(tl.where(chosen, high, 0.0), axis=1), tl.sum(tl.where(chosen, wide, 0.0), axis=1)


@triton.jit
def _resized_crop(step, areas, aspects, u_y, u_x):
    """areas, aspects: uniforms (N, TRIES)."""
    height, width, own = number(step, 6), number(step, 7), number(step, 4)
    area = number(step, 0) + areas * number(step, 1)
    aspect = tl.exp(own + number(step, 5) * (number(step, 2) + aspects * number(step, 3) - own))
    wide = _rint(tl.sqrt(area * height * width * aspect))
    high = _rint(tl.sqrt(area * height * width / aspect))
    fits = (wide > 0.0) & (wide <= width) & (high > 0.0) & (high <= height)
    found, h, w = _first(fits, high, wide)
    top, left = tl.floor(u_y * (height - h + 1.0)), tl.floor(u_x * (width - w + 1.0))
    top, left = tl.where(found, top, number(step, 10)), tl.where(found, left, number(step, 11))
    h, w = tl.where(found, h, number(step, 12)), tl.where(found, w, number(step, 13))
    return (w / number(step, 9), u_y * 0.0, left, u_y * 0.0, h / number(step, 8), top)


@triton.jit
def _rotate(step, u):
    cos, sin = _cos_sin((number(step, 0) + u * number(step, 1)) * number(step, 2))
    x, y = number(step, 3), number(step, 4)
    return _about(cos, -sin, sin, cos, x, y, x, y)


@triton.jit
def _lerp(step, i, u):
    return number(step, i) + u * number(step, 6 + i)


@triton.jit
def _affine(step, u0, u1, u2, u3, u4, u5):
    """u: uniforms (N,) for angle, shift x, shift y, scale, shear x, shear y."""
    strength = number(step, 12)
    cos, sin = _cos_sin(_lerp(step, 0, u0) * strength)
    shift_x = _rint(_lerp(step, 1, u1) * number(step, 13) * strength)
    shift_y = _rint(_lerp(step, 2, u2) * number(step, 14) * strength)
    scale = _lerp(step, 3, u3)
    scale = tl.where(strength == 1.0, scale, tl.exp(strength * tl.log(scale)))
    angle_x, angle_y = _lerp(step, 4, u4) * strength * DEGREES, _lerp(step, 5, u5) * strength * DEGREES
    tan_x, tan_y = tl.sin(angle_x) / tl.cos(angle_x), tl.sin(angle_y) / tl.cos(angle_y)
    a, b = cos + sin * tan_y, -cos * tan_x - sin * (1.0 + tan_x * tan_y)
    c, d = sin - cos * tan_y, -sin * tan_x + cos * (1.0 + tan_x * tan_y)
    x, y = number(step, 15), number(step, 16)
    return _about(d / scale, -b / scale, -c / scale, a / scale, x, y, x + shift_x, y + shift_y)


@triton.jit
def _map(step, op, key, tried, blocks, column, lanes):
    """Return the map of a geometric instruction. key, column: (N,); tried, lanes: the same with tries, (N, TRIES)."""
    one = column.to(tl.float64) * 0.0 + 1.0
    found = (one * number(step, 0), one * number(step, 1), one * number(step, 2))
    found += (one * number(step, 3), one * number(step, 4), one * number(step, 5))
    if op == layout.CROP:
        found = _crop(step, uniform(key, blocks, column), uniform(key, blocks, column + 1))
    elif op == layout.RESIZED_CROP:
        areas, aspects = uniform(tried, blocks, lanes), uniform(tried, blocks, lanes + TEN)
        end = column + 2 * TEN
        found = _resized_crop(step, areas, aspects, uniform(key, blocks, end), uniform(key, blocks, end + 1))
    elif op == layout.ROTATE:
        found = _rotate(step, uniform(key, blocks, column))
    elif op == layout.AFFINE:
        u0, u1 = uniform(key, blocks, column), uniform(key, blocks, column + 1)
        u2, u3 = uniform(key, blocks, column + 2), uniform(key, blocks, column + 3)
        u4, u5 = uniform(key, blocks, column + 4), uniform(key, blocks, column + 5)
        found = _affine(step, u0, u1, u2, u3, u4, u5)
    return found


# --- rectangles and colours -------------------------------------------------------------------------------------------


@triton.jit
def _rectangle(step, areas, aspects, u_y, u_x):
    """Return top, left, height, width (N,) of a rectangle; all but the place 0 where none fits."""
    height, width = number(step, 3), number(step, 4)
    area = (number(step, 0) + areas * number(step, 1)) * number(step, 2) * height * width
    aspect = tl.exp(number(step, 5) + aspects * number(step, 6))
    high, wide = _rint(tl.sqrt(area * aspect)), _rint(tl.sqrt(area / aspect))
    _, h, w = _first((high < height) & (wide < width), high, wide)
    return tl.floor(u_y * (height - h + 1.0)), tl.floor(u_x * (width - w + 1.0)), h, w


@triton.jit
def _part_at(place, words, count):
    """Return which of `count` parts takes a place in the random order: as many words come before its own."""
    part = (words[0] * 0).to(tl.int32)
    for k in tl.static_range(layout.PARTS):
        rank = (words[0] * 0).to(tl.int32)
        for other in tl.static_range(layout.PARTS):
            first = words[other] < words[k]
            if other < k:
                first = words[other] <= words[k]
            rank += (first & (other < count)).to(tl.int32)
        part = tl.where((rank == place) & (k < count), k, part)
    return part


@triton.jit
def _jitter(step, key, blocks, column):
    """Return what stands at this instruction's place of the random order, and its factor or shift (N,)."""
    c0, c1, c2, c3 = _words(key, blocks, column // 4)
    count, place = tl.load(step + layout.COUNT), tl.load(step + layout.OUT)
    part = _part_at(place, (c0 >> 8, c1 >> 8, c2 >> 8, c3 >> 8), count)
    kind = tl.load(step + layout.JITTER_PARTS + part)
    numbers = (step + layout.NUMBERS).to(tl.pointer_type(tl.float64))
    u = uniform(key, blocks, tl.load(step + layout.JITTER_COLUMNS + part))
    drawn = tl.load(numbers + part) + u * tl.load(numbers + layout.PARTS + part)
    strength = number(step, 2 * layout.PARTS)
    return kind, tl.where(kind == layout.SHIFT_HUE, drawn * strength, 1.0 + (drawn - 1.0) * strength)


# --- the kernel -------------------------------------------------------------------------------------------------------


@triton.jit(do_not_specialize=["samples", "instructions", "capacity", "stages"])
def draw(
    inputs,  # int64: addresses and the seed, see `START`; then (samples,) of index, epoch, occurrence
    program,  # (instructions, INSTRUCTION_WORDS) int32
    blocks,  # (.., 2) int32: slot and lane of each Philox block
    palette,  # float64: luma's three weights, then the 3 x 3 quarter turn of the hue
    place_of,  # int64: what `triton_place.place` knows of the batch
    fill,  # (3,) float32: the border's
    table,  # (samples, ROW_WORDS) int32, written
    steps,  # (samples, capacity, STEP_WORDS) int32, written
    stops,  # (stages, samples) int32, written
    riders,  # (samples, RIDER_WORDS) int32, of which the drawn part is written, where RIDERS
    samples,
    instructions,
    capacity,
    stages,
    C: tl.constexpr,
    EXACT: tl.constexpr,  # a step for each colour; else one matrix for neighbours
    RIDERS: tl.constexpr,
    N: tl.constexpr,
):
    """Draw every sample; the grid is (cdiv(samples, N),)."""
    sample = tl.program_id(0) * N + tl.arange(0, N)
    live = sample < samples
    at = inputs + START + sample
    index = tl.load(at, mask=live, other=0).to(tl.uint32)
    epoch = tl.load(at + samples, mask=live, other=0).to(tl.uint32)
    occurrence = tl.load(at + 2 * samples, mask=live, other=0).to(tl.uint32)
    seed = tl.load(inputs + 1).to(tl.uint32)
    key = (index, occurrence, epoch, seed)
    tried = (index[:, None], occurrence[:, None], epoch[:, None], seed)
    lane = tl.minimum(tl.arange(0, TRIES), TEN - 1)[None, :]
    none = sample.to(tl.float64) * 0.0
    bits = live.to(tl.int64)
    no = sample < 0
    maps = (none + 1.0, none, none, none, none + 1.0, none)
    kind, antialias, edge, cut, moved = sample * 0, live, no, no, no
    written = (sample * 0, sample * 0, bits * 0)  # steps, means, and one byte for where each mean stands
    color = (none + 1.0, none, none, none, none + 1.0, none, none, none, none + 1.0, none, none, none)
    touched = no
    mine = steps + sample.to(tl.int64) * (capacity * layout.STEP_WORDS)
    for i in range(instructions):
        step = program + i * layout.INSTRUCTION_WORDS
        op, column = tl.load(step + layout.OP), tl.load(step + layout.COLUMN) + sample * 0
        on = ((bits >> tl.load(step + layout.BIT)) & 1) != 0
        if op == layout.GATE:
            passed = on & (uniform(key, blocks, column) < number(step, 0))
            bits |= passed.to(tl.int64) << tl.load(step + layout.OUT)
        elif op == layout.CHOICE:
            chosen = _choose(step, uniform(key, blocks, column))
            bits |= on.to(tl.int64) << (chosen + tl.load(step + layout.OUT))
        elif op <= layout.AFFINE:
            maps = after(maps, _map(step, op, key, tried, blocks, column, column[:, None] + lane), on)
            kind = tl.where(on, tl.maximum(kind, tl.load(step + layout.KIND)), kind)
            antialias = antialias & ((on == 0) | (tl.load(step + layout.ANTIALIAS) != 0))
            edge = edge | (on & (tl.load(step + layout.BORDERED) != 0))
            cut, moved = cut | (on & (tl.load(step + layout.CUTS) != 0)), moved | on
        elif op == layout.ERASING:
            if not EXACT:
                written = write_linear(mine, written, color, touched & on, C)
                color, touched = blend(color, color, no, on), touched & (on == 0)
            lanes, end = column[:, None] + lane, column + 2 * TEN
            areas, aspects = uniform(tried, blocks, lanes), uniform(tried, blocks, lanes + TEN)
            box = _rectangle(step, areas, aspects, uniform(key, blocks, end), uniform(key, blocks, end + 1))
            written = erase(mine, written, box, number(step, 7), number(step, 8), number(step, 9), on)
        else:
            what, factor = sample * 0 + layout.LUMA, none
            if op == layout.JITTER:
                what, factor = _jitter(step, key, blocks, column)
            written, color = paint(mine, written, color, what, factor, palette, on, C, EXACT)
            touched = touched | on
    if not EXACT:
        written = write_linear(mine, written, color, touched, C)
    for stage in range(stages):
        stop = ((written[2] >> (8 * stage)) & 255).to(tl.int32) - 1
        tl.store(stops + stage * samples + sample, stop, mask=live)
    if RIDERS:
        rider = riders + sample.to(tl.int64) * layout.RIDER_WORDS
        take_along(inputs, place_of, rider, sample, live, maps, edge)
    row = table + sample.to(tl.int64) * layout.ROW_WORDS
    place(inputs, place_of, fill, row, sample, live, maps, kind, antialias & (kind > 0), edge, cut, moved, written[0])
