"""The device side of the triton engine: one program renders one tile of one sample, from its pixels to its output.

A program reads its sample's row of parameters, so all its branches are uniform: it resamples, runs the sample's steps
(matrix, hue, erase) in registers in the drawn order, and writes scaled values once. Bounds of loops are loaded as well:
nothing is compiled anew, and no graph recorded anew, for what was drawn. (P,) is one value for each pixel of the tile.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_layout import address, clamp, real
from augsynth.engines.triton_resample import resample
from augsynth.engines.triton_ride import move_masks, move_points

CHUNK = tl.constexpr(128)  # sums that are added at a time


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
def _turn(value, spread, sector):
    """Return a channel (P,) of the colour with this value, spread and hue, in sixths of the circle."""
    k = sector - 6.0 * tl.floor(sector / 6.0)
    return value - spread * clamp(tl.minimum(k, 4.0 - k), 1.0)


@triton.jit
def _shift_hue(red, green, blue, shift):
    """Shift the HSV hue of the tile by a fraction of the circle."""
    value = tl.maximum(tl.maximum(red, green), blue)
    spread = value - tl.minimum(tl.minimum(red, green), blue)
    safe = tl.where(spread > 0.0, spread, 1.0)
    from_green, from_blue = (blue - red) / safe + 2.0, (red - green) / safe + 4.0
    hue = tl.where(value == red, (green - blue) / safe, tl.where(value == green, from_green, from_blue))
    sector = hue + 6.0 * shift
    return _turn(value, spread, sector + 5.0), _turn(value, spread, sector + 3.0), _turn(value, spread, sector + 1.0)


@triton.jit
def _mean(sums, tiles, pixels):
    """Add up a sample's sums per tile, always in the same order, and divide."""
    total = 0.0
    for start in range(0, tiles, CHUNK):
        at = start + tl.arange(0, CHUNK)
        total += tl.sum(tl.load(sums + at, mask=at < tiles, other=0.0))
    return total / pixels


@triton.jit
def _color(step, mean, white, c0, c1, c2, C: tl.constexpr):
    """Apply `A x + m v` and the clamp."""
    a, v = step + layout.COLOR, step + layout.VECTOR
    if C == 1:
        return clamp(real(a, 0) * c0 + mean * real(v, 0), white), c1, c2
    n0 = real(a, 0) * c0 + real(a, 1) * c1 + real(a, 2) * c2 + mean * real(v, 0)
    n1 = real(a, 3) * c0 + real(a, 4) * c1 + real(a, 5) * c2 + mean * real(v, 1)
    n2 = real(a, 6) * c0 + real(a, 7) * c1 + real(a, 8) * c2 + mean * real(v, 2)
    return clamp(n0, white), clamp(n1, white), clamp(n2, white)


@triton.jit
def _run_steps(steps, count, sums, stride, tiles, pixels, x, y, white, c0, c1, c2, C: tl.constexpr):
    """Run a sample's first `count` steps on the tile. sums: its sums per tile, `stride` apart from mean to mean."""
    for k in range(count):
        step = steps + k * layout.STEP_WORDS
        code = tl.load(step + layout.CODE)
        if code == layout.COLOR_MATRIX:
            number = tl.load(step + layout.MEAN)
            mean = 0.0
            if number >= 0:
                mean = _mean(sums + number * stride, tiles, pixels)
            c0, c1, c2 = _color(step, mean, white, c0, c1, c2, C)
        elif code == layout.HUE:
            if C == 3:
                c0, c1, c2 = _shift_hue(c0, c1, c2, real(step, layout.COLOR))
        else:
            top, left = tl.load(step + layout.RECTANGLE), tl.load(step + layout.RECTANGLE + 1)
            bottom, right = top + tl.load(step + layout.RECTANGLE + 2), left + tl.load(step + layout.RECTANGLE + 3)
            hit = (y >= top) & (y < bottom) & (x >= left) & (x < right)
            c0 = tl.where(hit, real(step, layout.VECTOR), c0)
            c1 = tl.where(hit, real(step, layout.VECTOR + 1), c1)
            c2 = tl.where(hit, real(step, layout.VECTOR + 2), c2)
    return c0, c1, c2


# --- kernels ----------------------------------------------------------------------------------------------------------


@triton.jit
def _tile(tile, height, width, TILE_Y: tl.constexpr, TILE_X: tl.constexpr):
    """Return how many tiles cover the output, this one's pixels x, y int32 (P,), and which are inside."""
    across = tl.cdiv(width, TILE_X)
    lane = tl.arange(0, TILE_Y * TILE_X)
    y, x = tile // across * TILE_Y + lane // TILE_X, tile % across * TILE_X + lane % TILE_X
    return across * tl.cdiv(height, TILE_Y), x, y, (y < height) & (x < width)


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
    sums,  # (stages, samples, tiles) float32: luma added up per tile
    riders,  # (samples, RIDER_WORDS) int32, where MASK or POINT
    swaps,  # int32: which keypoint of an object takes the place of each, where POINT
    samples,
    tiles,
    capacity,
    stage,
    white,  # the value for 1.0, 255 or 1
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
    MASK: tl.constexpr,  # the type of the masks that ride, or None
    POINT: tl.constexpr,  # the type of the keypoints that ride, or None
    TILE_Y: tl.constexpr,
    TILE_X: tl.constexpr,
):
    """Render every sample of `table`; the grid is (samples * tiles,), and tiles that a sample lacks return at once."""
    sample, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    row = table + sample * layout.ROW_WORDS
    height, width = tl.load(row + layout.SIZE), tl.load(row + layout.SIZE + 1)
    needed, x, y, live = _tile(tile, height, width, TILE_Y, TILE_X)
    count = tl.load(stops + stage * samples + sample) if STATISTICS else tl.load(row + layout.STEPS)
    if (tile >= needed) | (count < 0):
        return
    c0, c1, c2 = resample(row, x, y, live, white, C, FROM, FILTERS, CUBICS)
    c0, c1, c2 = _run_steps(
        steps + sample * capacity * layout.STEP_WORDS,
        count,
        sums + sample * tiles,
        samples * tiles,
        needed,
        (height * width).to(tl.float32),
        x,
        y,
        white,
        c0,
        c1,
        c2,
        C,
    )
    if STATISTICS:
        luma = luma0 * c0 + luma1 * c1 + luma2 * c2 if C == 3 else c0
        tl.store(sums + (stage * samples + sample) * tiles + tile, tl.sum(tl.where(live, luma, 0.0)))
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
    needed, x, y, live = _tile(tile, height, width, TILE_Y, TILE_X)
    if tile < needed:
        move_masks(riders + sample * layout.RIDER_WORDS, x, y, live, height, width, TYPE)
