"""How the draw kernel turns a sample's map into its row, by the arithmetic of `augsynth.fuse` and `triton_table`.

(N,) samples at once, in float64; maps are (a, b, c, d, e, f), x' = a x + b y + c, y' = d x + e y + f, from output to
input. Of every pair the first is y, or a height. What no draw decides is known beforehand: sizes, strides, the border.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout

CLOSE = tl.constexpr(1e-6)  # `augsynth.fuse._TOLERANCE`
STEP = tl.constexpr(1.6)  # `augsynth.fuse._STEP`
ROUND = tl.constexpr(6755399441055744.0)  # 1.5 * 2**52


@triton.jit
def after(first, then, on):
    """Compose maps where `on`: `then` works on what `first` gives."""
    a, b, c, d, e, f = first
    u, v, w, x, y, z = then
    result = (a * u + b * x, a * v + b * y, a * w + b * z + c, d * u + e * x, d * v + e * y, d * w + e * z + f)
    kept = ()
    for i in tl.static_range(6):
        kept += (tl.where(on, result[i], first[i]),)
    return kept


@triton.jit
def _rint(value):
    return (value + ROUND) - ROUND


@triton.jit
def _whole(value):
    return tl.abs(value - _rint(value)) < CLOSE


@triton.jit
def _window(scale, shift, size_in, size_out):
    """Find the window of one axis: its ends; whole, copied, inside? What it is a slice of, from where; is it one?"""
    far = shift + scale * size_out
    low, high = tl.minimum(shift, far), tl.maximum(shift, far)
    step = tl.maximum(tl.abs(scale), 1e-9)
    whole, inside = _whole(low) & _whole(high), (low > -CLOSE) & (high < size_in + CLOSE)
    total, before = size_in / step, low / step
    same = tl.abs(step - 1.0) < 1e-9
    return _rint(low), _rint(high), whole, same, inside, _rint(total), _rint(before), _whole(total) & _whole(before)


@triton.jit
def _shrunk(slope_x, slope_y, shift, size_in, wide, tall, antialias, everything):
    """Bound one axis of a warp's preimage by a box, and say to how many pixels a filter shrinks it."""
    along, down = slope_x * wide, slope_y * tall
    low = tl.minimum(tl.minimum(shift, along + shift), tl.minimum(down + shift, along + down + shift))
    high = tl.maximum(tl.maximum(shift, along + shift), tl.maximum(down + shift, along + down + shift))
    shrink = tl.sqrt(slope_x * slope_x + slope_y * slope_y)
    shrink = tl.where(antialias, tl.maximum(shrink / STEP, 1.0), 1.0)
    margin = 2.0 + tl.ceil(shrink)
    low = tl.where(everything, 0.0, tl.floor(low) - margin)
    high = tl.where(everything, size_in, tl.ceil(high) + margin)
    low = tl.minimum(tl.maximum(low, 0.0), size_in - 1.0)
    high = tl.minimum(tl.maximum(high, low + 1.0), size_in)
    length = high - low
    return low, high, tl.maximum(tl.ceil(length / shrink - CLOSE), 1.0)


@triton.jit
def _axis(path, filtered, moved, low, high, full, size_in, cubic, taps):
    """Return what a row says of one axis: first pixel, window, grid, ratio, reach."""
    cut = (path == layout.RESIZE) | filtered
    first = tl.where(cut, low, 0.0)
    window = tl.where(cut, high - low, size_in)
    grid = tl.where(filtered, full, window)
    ratio = window / grid
    support = tl.maximum(ratio, 1.0) * tl.where(cubic, 2.0, 1.0)
    reach = tl.ceil(2.0 * support + (taps - 1).to(tl.float64) * ratio - CLOSE)
    return first, window, grid, ratio, tl.where(moved, reach, 0.0)


@triton.jit
def _to_grid(path, filtered, slope_x, slope_y, shift, low, high, full, offset, flip, size_out, FIRST: tl.constexpr):
    """Return one row of the map from the output to what the interpolation sees. FIRST: it is that of x."""
    ratio = full / (high - low)
    warped = path == layout.WARP
    # A warp looks into its shrunk box; without a filter it counts from the image again.
    into = shift * ratio + -low * ratio + tl.where(filtered, 0.0, low)
    whole = tl.where(path == layout.RESIZE, shift - low, shift)
    sliced = (path == layout.RESIZE) & filtered
    along = tl.where(flip, -1.0, 1.0)
    to_x = tl.where(sliced, along if FIRST else 0.0, tl.where(warped, slope_x * ratio, slope_x))
    to_y = tl.where(sliced, 0.0 if FIRST else along, tl.where(warped, slope_y * ratio, slope_y))
    return to_x, to_y, tl.where(sliced, offset + tl.where(flip, size_out, 0.0), tl.where(warped, into, whole))


@triton.jit
def _int(row, word, value, live):
    tl.store(row + word, value.to(tl.int32), mask=live)


@triton.jit
def _float(row, word, value, live):
    tl.store(row + word, value.to(tl.float32).to(tl.int32, bitcast=True), mask=live)


@triton.jit
def _long(row, word, value, live):
    tl.store((row + word).to(tl.pointer_type(tl.int64)), value, mask=live)


@triton.jit
def place(
    inputs,  # int64: [0] is the address of the batch
    known,  # int64: sizes in and out, strides (c, y, x, sample), item bytes, address and bytes of results, border
    fill,  # (3,) float32: the border's
    row,  # (N,) where the rows stand
    sample,
    live,
    maps,
    kind,  # position of the interpolation
    antialias,
    edge,  # the sample looks outside
    cut_first,
    moved,  # some geometric transform was applied
    steps,  # how many
):
    """Choose each sample's path and windows as `augsynth.fuse` does, and write its row."""
    none = maps[0] * 0.0
    in_y, in_x = tl.load(known).to(tl.float64) + none, tl.load(known + 1).to(tl.float64) + none
    out_y, out_x = tl.load(known + 2).to(tl.float64) + none, tl.load(known + 3).to(tl.float64) + none
    stride, stride_y, stride_x = tl.load(known + 4), tl.load(known + 5), tl.load(known + 6)
    mode = tl.load(known + 11)
    a, b, c, d, e, f = maps
    turned = (tl.abs(a) < CLOSE) & (tl.abs(e) < CLOSE)
    aligned = turned | ((tl.abs(b) < CLOSE) & (tl.abs(d) < CLOSE))
    # A quarter turn is a swap of the source's axes and an axis-aligned map.
    a, d = tl.where(turned, d, a), tl.where(turned, a, d)
    b, e = tl.where(turned, e, b), tl.where(turned, b, e)
    c, f = tl.where(turned, f, c), tl.where(turned, c, f)
    in_y, in_x = tl.where(turned, in_x, in_y), tl.where(turned, in_y, in_x)
    stride_y, stride_x = tl.where(turned, stride_x, stride_y), tl.where(turned, stride_y, stride_x)

    low_y, high_y, whole_y, same_y, inside_y, total_y, before_y, slice_y = _window(e, f, in_y, out_y)
    low_x, high_x, whole_x, same_x, inside_x, total_x, before_x, slice_x = _window(a, c, in_x, out_x)
    whole, sliced = whole_y & whole_x, slice_y & slice_x
    copied = aligned & whole & same_y & same_x
    resized = aligned & (copied == 0) & inside_y & inside_x & (whole | sliced) & (edge == 0) & (kind > 0)
    path = tl.where(copied, layout.COPY, tl.where(resized, layout.RESIZE, layout.WARP))
    warped = path == layout.WARP
    cut = resized & ((whole & (cut_first | (sliced == 0))) == 0)

    everything = edge & (mode >= layout.REFLECT)
    bottom_y, top_y, shrunk_y = _shrunk(d, e, f, in_y, out_x, out_y, antialias, everything)
    bottom_x, top_x, shrunk_x = _shrunk(a, b, c, in_x, out_x, out_y, antialias, everything)
    low_y = tl.where(warped, bottom_y, tl.where(cut, 0.0, low_y))
    low_x = tl.where(warped, bottom_x, tl.where(cut, 0.0, low_x))
    high_y = tl.where(warped, top_y, tl.where(cut, in_y, high_y))
    high_x = tl.where(warped, top_x, tl.where(cut, in_x, high_x))
    full_y = tl.where(warped, shrunk_y, tl.where(cut, total_y, out_y))
    full_x = tl.where(warped, shrunk_x, tl.where(cut, total_x, out_x))
    offset_y, offset_x = tl.where(cut, before_y, 0.0), tl.where(cut, before_x, 0.0)
    flip_y, flip_x = (e < 0.0) & (warped == 0), (a < 0.0) & (warped == 0)

    bicubic, length_y, length_x = kind == 2, high_y - low_y, high_x - low_x
    shrinks = (length_y > full_y) | (length_x > full_x) | bicubic
    needs = tl.where(warped, (length_y != full_y) | (length_x != full_x), shrinks)
    filtered = needs & antialias & (path != layout.COPY) & moved
    cubic = resized & filtered & bicubic
    taps = tl.where((path == layout.COPY) | (resized & filtered), 1, 1 << kind)
    first_y, window_y, grid_y, ratio_y, reach_y = _axis(path, filtered, moved, low_y, high_y, full_y, in_y, cubic, taps)
    first_x, window_x, grid_x, ratio_x, reach_x = _axis(path, filtered, moved, low_x, high_x, full_x, in_x, cubic, taps)
    a, b, c = _to_grid(path, filtered, a, b, c, low_x, high_x, full_x, offset_x, flip_x, out_x, True)
    d, e, f = _to_grid(path, filtered, d, e, f, low_y, high_y, full_y, offset_y, flip_y, out_y, False)

    start = sample.to(tl.int64) * tl.load(known + 7)
    start += first_y.to(tl.int64) * stride_y + first_x.to(tl.int64) * stride_x
    _long(row, layout.SOURCE, tl.load(inputs) + tl.load(known + 8) * start, live)
    _long(row, layout.TARGET, tl.load(known + 9) + sample.to(tl.int64) * tl.load(known + 10), live)
    _int(row, layout.STRIDES, sample * 0 + stride, live)
    _int(row, layout.STRIDES + 1, stride_y, live)
    _int(row, layout.STRIDES + 2, stride_x, live)
    _int(row, layout.SIZE, out_y, live)
    _int(row, layout.SIZE + 1, out_x, live)
    _int(row, layout.WINDOW, window_y, live)
    _int(row, layout.WINDOW + 1, window_x, live)
    _int(row, layout.GRID, grid_y, live)
    _int(row, layout.GRID + 1, grid_x, live)
    _float(row, layout.RATIO, ratio_y, live)
    _float(row, layout.RATIO + 1, ratio_x, live)
    _int(row, layout.REACH, reach_y, live)
    _int(row, layout.REACH + 1, reach_x, live)
    numbers = (a, b, c, d, e, f, none, none, none + 1.0)
    for i in tl.static_range(9):
        _float(row, layout.MATRIX + i, numbers[i], live)
    _int(row, layout.PROJECTIVE, sample * 0, live)
    _int(row, layout.TAPS, taps, live)
    _int(
        row, layout.FILTER, tl.where(filtered, tl.where(cubic, layout.CUBIC, layout.TRIANGLE), layout.UNFILTERED), live
    )
    # What no transform asked for repeats the edge; a sample that nothing moves is copied.
    _int(row, layout.BORDER, tl.where(edge, mode, tl.where(moved, layout.EDGE, layout.CONSTANT)), live)
    for i in tl.static_range(3):
        _float(row, layout.FILL + i, tl.where(edge, tl.load(fill + i), 0.0), live)
    _int(row, layout.CLAMP, bicubic, live)
    _int(row, layout.STEPS, steps, live)
    _int(row, layout.ARRIVED, sample * 0, live)
    _int(row, layout.TICKET, sample * 0, live)
    walks = resized & (kind == 1) & (window_y >= 3.0) & (window_x >= 3.0)
    walks = walks & (ratio_y <= layout.WALKS) & (ratio_x <= layout.WALKS)
    _int(row, layout.WALK, tl.where(walks, tl.where((ratio_y <= 1.0) & (ratio_x <= 1.0), 2, 3), 0), live)


@triton.jit
def _double(row, word, value, live):
    tl.store((row + word).to(tl.pointer_type(tl.float64)), value, mask=live)


@triton.jit
def take_along(inputs, known, rider, sample, live, maps, edge):
    """Write what of a rider is drawn: where its masks and keypoints stand, its map there and back, border and swaps."""
    masks, points = tl.load(inputs + 2), tl.load(inputs + 3)
    if masks != 0:
        _long(rider, layout.MASK_SOURCE, masks + sample.to(tl.int64) * tl.load(known + 12), live)
    if points != 0:
        _long(rider, layout.POINT_SOURCE, points + sample.to(tl.int64) * tl.load(known + 13), live)
    _int(rider, layout.MASK_BORDER, tl.where(edge, tl.load(known + 11).to(tl.int32), layout.EDGE), live)
    a, b, c, d, e, f = maps
    area = a * e - b * d
    _int(rider, layout.SWAPS, tl.where(area < 0.0, tl.load(known + 14).to(tl.int32), 0), live)
    forth = (e / area, -b / area, (b * f - c * e) / area, -d / area, a / area, (c * d - a * f) / area)
    for i in tl.static_range(6):
        _double(rider, layout.BACK + 2 * i, maps[i], live)
        _double(rider, layout.FORTH + 2 * i, forth[i], live)
