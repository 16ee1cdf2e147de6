"""The device side of the triton engine: one program renders one tile of one sample, from its pixels to its output.

A program reads its sample's row of parameters, so all its branches are uniform: it resamples, runs the sample's steps
(colours, hue, erase) in registers in the drawn order, and writes scaled values once. Bounds of loops are loaded too:
nothing is compiled anew, and no graph recorded anew, for what was drawn. (P,) is one value for each pixel of the tile.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_layout import address, clamp, real, reciprocal, unit
from augsynth.engines.triton_resample import resample
from augsynth.engines.triton_ride import move_masks, move_points

CHUNK = tl.constexpr(128)  # sums that are added at a time
TINY = tl.constexpr(1e-30)  # a spread that no two different values have


@triton.jit
def philox(c0, c1, c2, c3, k0, k1):
    """Run ten Philox4x32 rounds on four counter words and two key words, uint32; the bits of `augsynth.rng.philox`."""
    for _ in tl.static_range(10):
        high0, low0 = tl.umulhi(c0, 0xD2511F53), c0 * 0xD2511F53
        high2, low2 = tl.umulhi(c2, 0xCD9E8D57), c2 * 0xCD9E8D57
        c0, c1, c2, c3 = high2 ^ c1 ^ k0, low2, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + 0x9E3779B9, k1 + 0xBB67AE85
    return c0, c1, c2, c3


# --- steps ------------------------------------------------------------------------------------------------------------


@triton.jit
def _limit(value, white, UNIT: tl.constexpr):
    """Bring values into [0, white]; UNIT: white is 1."""
    return unit(value) if UNIT else clamp(value, white)


@triton.jit
def _shift_hue(red, green, blue, shift):
    """Shift the HSV hue of the tile by a fraction of the circle."""
    value = tl.maximum(tl.maximum(red, green), blue)
    low = tl.minimum(tl.minimum(red, green), blue)
    spread = value - low
    # The hue in sixths of the circle, from the largest channel: the difference of the others over the spread.
    apart = tl.where(value == red, green - blue, tl.where(value == green, blue - red, red - green))
    start = tl.where(value == red, 0.0, tl.where(value == green, 2.0, 4.0))
    sixth = apart * reciprocal(tl.maximum(spread, TINY)) + (start + 6.0 * shift)
    sixth = sixth - 6.0 * tl.floor(sixth * (1.0 / 6.0))
    red = low + spread * unit(tl.abs(sixth - 3.0) - 1.0)
    green = low + spread * unit(2.0 - tl.abs(sixth - 2.0))
    return red, green, low + spread * unit(2.0 - tl.abs(sixth - 4.0))


@triton.jit
def _matrix(step, mean, white, c0, c1, c2, C: tl.constexpr, UNIT: tl.constexpr):
    """Apply `A x + m v` and the clamp."""
    a, v = step + layout.COLOR, step + layout.VECTOR
    n0, n1, n2 = real(a, 0) * c0 + mean * real(v, 0), c1, c2
    if C == 3:
        n0 += real(a, 1) * c1 + real(a, 2) * c2
        n1 = real(a, 3) * c0 + real(a, 4) * c1 + real(a, 5) * c2 + mean * real(v, 1)
        n2 = real(a, 6) * c0 + real(a, 7) * c1 + real(a, 8) * c2 + mean * real(v, 2)
    return _limit(n0, white, UNIT), _limit(n1, white, UNIT), _limit(n2, white, UNIT)


@triton.jit
def _scale(step, mean, white, c0, c1, c2, UNIT: tl.constexpr):
    """Apply `f x + m v` to all channels alike, and the clamp."""
    f, v = real(step, layout.COLOR), mean * real(step, layout.VECTOR)
    return _limit(f * c0 + v, white, UNIT), _limit(f * c1 + v, white, UNIT), _limit(f * c2 + v, white, UNIT)


@triton.jit
def _chroma(step, white, luma, c0, c1, c2, UNIT: tl.constexpr):
    """Mix the channels with their luma, and clamp."""
    f = real(step, layout.COLOR)
    gray = (1.0 - f) * (luma[0] * c0 + luma[1] * c1 + luma[2] * c2)
    return _limit(f * c0 + gray, white, UNIT), _limit(f * c1 + gray, white, UNIT), _limit(f * c2 + gray, white, UNIT)


# --- means ------------------------------------------------------------------------------------------------------------


@triton.jit
def _mean(sums, count, pixels):
    """Add up a sample's sums of luma per tile, always in the same order, and divide."""
    total = 0.0
    for start in range(0, count, CHUNK):
        at = start + tl.arange(0, CHUNK)
        # Other programs wrote them while this one ran: not from a cache that does not know.
        total += tl.sum(tl.load(sums + at, mask=at < count, other=0.0, cache_modifier=".cg"))
    return total / pixels


@triton.jit
def _awaited(arrived, wanted):
    """Wait until as many tiles have arrived as are wanted."""
    while tl.load(arrived, volatile=True) < wanted:
        tl.inline_asm_elementwise("nanosleep.u32 100; mov.u32 $0, 0;", "=r", [], dtype=tl.int32, is_pure=False, pack=1)
    # What they wrote before they arrived is seen after this.
    tl.atomic_add(arrived, 0)


@triton.jit
def _add_up(arrived, sums, tile, count, room, pixels, luma):
    """Enter a tile's luma among `count`; the last one to come computes the mean and puts it behind all `room`."""
    tl.store(sums + tile, luma)
    if tl.atomic_add(arrived, 1) == count - 1:
        tl.store(sums + room, _mean(sums, count, pixels))
        tl.store(arrived, 0)


@triton.jit
def _agreed(arrived, sums, number, tile, count, pixels, luma):
    """Enter a tile's luma for mean `number`, wait for the other tiles of the sample, and return the mean."""
    tl.store(sums + tile, luma)
    tl.atomic_add(arrived, 1)
    _awaited(arrived, (number + 1) * count)
    return _mean(sums, count, pixels)


# --- a tile -----------------------------------------------------------------------------------------------------------


@triton.jit
def _added(live, luma, c0, c1, c2, C: tl.constexpr):
    """Add up the tile's luma; luma: its weights."""
    value = luma[0] * c0 + luma[1] * c1 + luma[2] * c2 if C == 3 else c0
    return tl.sum(tl.where(live, value, 0.0))


@triton.jit
def _run_steps(
    steps,
    end,  # of how many steps
    arrived,
    sums,  # of the sample and its first mean
    apart,  # from one mean to the next
    tile,
    tiles,  # that the sample has, and that it could have
    pixels,
    x,
    y,
    live,
    white,
    factor,
    luma,  # its weights
    colors,  # of the tile
    C: tl.constexpr,
    UNIT: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Run a sample's steps on the tile. Where all tiles run together they wait for each other before a mean."""
    c0, c1, c2 = colors
    for k in range(end):
        step = steps + k * layout.STEP_WORDS
        code = tl.load(step + layout.CODE)
        if (code == layout.SCALE) | (code == layout.MATRIX_STEP):
            number = tl.load(step + layout.MEAN)
            mean = 0.0
            if number >= 0:
                if TOGETHER:
                    mine = _added(live, luma, c0, c1, c2, C)
                    mean = _agreed(arrived, sums + number * apart, number, tile, tiles[0], pixels, mine)
                else:
                    mean = tl.load(sums + number * apart + tiles[1])
            if code == layout.SCALE:
                c0, c1, c2 = _scale(step, mean, white, c0, c1, c2, UNIT)
            else:
                c0, c1, c2 = _matrix(step, mean, white, c0, c1, c2, C, UNIT)
        elif code == layout.ERASE:
            top, left = tl.load(step + layout.RECTANGLE), tl.load(step + layout.RECTANGLE + 1)
            bottom, right = top + tl.load(step + layout.RECTANGLE + 2), left + tl.load(step + layout.RECTANGLE + 3)
            hit = (y >= top) & (y < bottom) & (x >= left) & (x < right)
            c0 = tl.where(hit, factor * real(step, layout.VECTOR), c0)
            c1 = tl.where(hit, factor * real(step, layout.VECTOR + 1), c1)
            c2 = tl.where(hit, factor * real(step, layout.VECTOR + 2), c2)
        elif C == 3:
            if code == layout.HUE:
                c0, c1, c2 = _shift_hue(c0, c1, c2, real(step, layout.COLOR))
            else:
                c0, c1, c2 = _chroma(step, white, luma, c0, c1, c2, UNIT)
    return c0, c1, c2


# --- kernels ----------------------------------------------------------------------------------------------------------


@triton.jit
def _tile(tile, height, width, TILE_Y: tl.constexpr, TILE_X: tl.constexpr):
    """Return how many tiles cover the output, and where this one begins: left, top."""
    across = tl.cdiv(width, TILE_X)
    return across * tl.cdiv(height, TILE_Y), tile % across * TILE_X, tile // across * TILE_Y


@triton.jit
def _write(target, value, scale, offset, live, TYPE: tl.constexpr):
    value = value * scale + offset
    if TYPE == tl.uint8:  # noqa: SIM300 - the type is not a constant of Python
        # Adding and taking away 1.5 * 2**23 rounds to the nearest whole number, ties to even, as torch.round does.
        value = clamp((value + 12582912.0) - 12582912.0, 255.0)
    tl.store(target, value.to(TYPE), mask=live)


@triton.jit(do_not_specialize=["samples", "tiles", "capacity", "stage"])
def render(
    table,  # (samples, ROW_WORDS) int32
    steps,  # (samples, capacity, STEP_WORDS) int32
    stops,  # (stages, samples) int32: how many steps stand before mean number `stage`, -1 for a sample without it
    sums,  # (stages, samples, tiles + 1) float32: luma added up per tile, then the mean
    riders,  # (samples, RIDER_WORDS) int32, where MASK or POINT
    swaps,  # int32: which keypoint of an object takes the place of each, where POINT
    samples,
    tiles,
    capacity,
    stage,
    white,  # the value for 1.0 in the source, 255 or 1
    factor,  # what a pixel is multiplied by before it is coloured: 1 / white where UNIT, else 1
    luma0,
    luma1,
    luma2,
    scale0,
    scale1,
    scale2,
    offset0,
    offset1,
    offset2,
    C: tl.constexpr,  # 1 or 3 channels
    FROM: tl.constexpr,
    TO: tl.constexpr,
    FILTERS: tl.constexpr,  # some sample is shrunk by a filter
    CUBICS: tl.constexpr,  # some sample is interpolated by cubics
    STATISTICS: tl.constexpr,  # add up the luma before mean number `stage`, and write no pixels
    TOGETHER: tl.constexpr,  # all tiles of a sample find a place to run at once: no statistics beforehand
    CLOSE: tl.constexpr,  # neighbours along x are neighbours in memory, in every sample
    MASK: tl.constexpr,  # the type of the masks that ride, or None
    POINT: tl.constexpr,  # the type of the keypoints that ride, or None
    UNIT: tl.constexpr,  # colours are computed in units of white, where a clamp costs nothing
    BY_ROW: tl.constexpr,  # a thread holds a column, and what only flips and scales walks along rows
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    """Render every sample of `table`; the grid is (samples * tiles,), and tiles that a sample lacks return at once."""
    number = tl.program_id(0)
    if TOGETHER:
        # Tiles are given out in the order in which programs begin: nobody waits for one that finds no place to run.
        number = tl.atomic_add(table + layout.TICKET, 1)
    sample, tile = number // tiles, number % tiles
    row = table + sample * layout.ROW_WORDS
    height, width = tl.load(row + layout.SIZE), tl.load(row + layout.SIZE + 1)
    needed, left, top = _tile(tile, height, width, TILE_Y, TILE_X)
    end = tl.load(stops + stage * samples + sample) if STATISTICS else tl.load(row + layout.STEPS)
    if (tile >= needed) | (end < 0):
        return
    c0, c1, c2 = resample(
        row, left, top, height, width, white, factor, C, FROM, FILTERS, CUBICS, CLOSE, BY_ROW, TILE_Y, TILE_X
    )
    x, y = left + tl.arange(0, TILE_X)[None, :], top + tl.arange(0, TILE_Y)[:, None]
    live = (x < width) & (y < height)
    pixels, room, luma = (height * width).to(tl.float32), tiles + 1, (luma0, luma1, luma2)
    c0, c1, c2 = _run_steps(
        steps + sample * capacity * layout.STEP_WORDS,
        end,
        row + layout.ARRIVED,
        sums + sample * room,
        samples * room,
        tile,
        (needed, tiles),
        pixels,
        x,
        y,
        live,
        white,
        factor,
        luma,
        (c0, c1, c2),
        C,
        UNIT,
        TOGETHER,
    )
    if STATISTICS:
        sums += (stage * samples + sample) * room
        mine = _added(live, luma, c0, c1, c2, C)
        _add_up(row + layout.ARRIVED, sums, tile, needed, tiles, pixels, mine)
    else:
        target = address(row, layout.TARGET, TO) + (y * width + x)
        _write(target, c0, scale0, offset0, live, TO)
        if C == 3:
            _write(target + height * width, c1, scale1, offset1, live, TO)
            _write(target + 2 * height * width, c2, scale2, offset2, live, TO)
        rider = riders + sample * layout.RIDER_WORDS
        if MASK is not None:
            move_masks(rider, x, y, live, height, width, MASK)
        if POINT is not None:  # noqa: SIM102 - the compiler answers the first question
            if tile == 0:
                move_points(rider, swaps, height, width, POINT)


@triton.jit(do_not_specialize=["tiles"])
def warp_masks(
    riders,  # (samples, RIDER_WORDS) int32
    sizes,  # (samples, 2) int32: height and width of the output
    tiles,
    TYPE: tl.constexpr,
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    """Move masks alone; the grid is (samples * tiles,)."""
    sample, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    height, width = tl.load(sizes + 2 * sample), tl.load(sizes + 2 * sample + 1)
    needed, left, top = _tile(tile, height, width, TILE_Y, TILE_X)
    if tile < needed:
        x, y = left + tl.arange(0, TILE_X)[None, :], top + tl.arange(0, TILE_Y)[:, None]
        live = (x < width) & (y < height)
        move_masks(riders + sample * layout.RIDER_WORDS, x, y, live, height, width, TYPE)
