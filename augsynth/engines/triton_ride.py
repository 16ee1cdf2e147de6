"""How masks and keypoints move in the launch that writes the pixels: in float64, by the arithmetic of the CPU.

So a mask has the values that `augsynth.masks` gives it, and a keypoint those of `augsynth.points`. A tile's program
moves the part of the masks that it covers, (P,) is one value for each of its pixels; the first tile moves the points.
"""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_layout import address, double, real
from augsynth.engines.triton_resample import bounded

TIE = tl.constexpr(1e-7)  # pixels; `augsynth.masks._TIE`
HORIZON = tl.constexpr(1e-6)  # `augsynth.points.HORIZON`
FAR = tl.constexpr(1e9)  # pixels, what an integer holds
POINTS = tl.constexpr(128)  # keypoints that are moved at a time


@triton.jit
def _pixel(at):
    """Return the pixel that holds coordinates (P,); of two at a pixel's edge the right or lower one."""
    return tl.floor(tl.minimum(tl.maximum(at + TIE, -FAR), FAR)).to(tl.int32)


@triton.jit
def move_masks(rider, x, y, live, height, width, TYPE: tl.constexpr):
    """Write the tile's part of a sample's masks (planes, height, width): the nearest pixel, or the fill."""
    if tl.load((rider + layout.MASK_SOURCE).to(tl.pointer_type(tl.int64))) != 0:
        m = rider + layout.BACK
        u, v = x.to(tl.float64) + 0.5, y.to(tl.float64) + 0.5
        at_x = (double(m, 0) * u + double(m, 4)) + double(m, 2) * v
        at_y = (double(m, 6) * u + double(m, 10)) + double(m, 8) * v
        behind = (at_x < 0.0) & (at_x > 0.0)  # of the shape that the question below has, and false
        if (double(m, 12) != 0.0) | (double(m, 14) != 0.0):
            depth = (double(m, 12) * u + double(m, 16)) + double(m, 14) * v
            behind = depth <= HORIZON
            depth = tl.where(behind, 1.0, depth)
            at_x, at_y = at_x / depth, at_y / depth
        border = tl.load(rider + layout.MASK_BORDER)
        line, seen_y = bounded(_pixel(at_y), tl.load(rider + layout.CANVAS), border)
        column, seen_x = bounded(_pixel(at_x), tl.load(rider + layout.CANVAS + 1), border)
        seen = seen_y & seen_x & (behind == 0)
        strides = rider + layout.MASK_STRIDES
        source = address(rider, layout.MASK_SOURCE, TYPE) + (
            line * tl.load(strides + 1) + column * tl.load(strides + 2)
        )
        target = address(rider, layout.MASK_TARGET, TYPE) + (y * width + x)
        fill = tl.load((rider + layout.MASK_FILL).to(tl.pointer_type(tl.int64))).to(TYPE)
        for plane in range(tl.load(rider + layout.MASK_PLANES)):
            value = tl.load(source + plane * tl.load(strides), mask=live & seen, other=0)
            tl.store(target + plane * (height * width), tl.where(seen, value, fill), mask=live)


@triton.jit
def _on(x, y, height, width):
    """Tell which points (N,) lie on an image."""
    return (x >= 0.0) & (x <= width.to(tl.float64)) & (y >= 0.0) & (y <= height.to(tl.float64))


@triton.jit
def move_points(rider, swaps, height, width, TYPE: tl.constexpr):
    """Write where a sample's keypoints (count, parts) land; one that is not seen loses its visibility."""
    if tl.load((rider + layout.POINT_SOURCE).to(tl.pointer_type(tl.int64))) != 0:
        source, target = address(rider, layout.POINT_SOURCE, TYPE), address(rider, layout.POINT_TARGET, TYPE)
        count, parts = tl.load(rider + layout.POINT_COUNT), tl.load(rider + layout.POINT_PARTS)
        group, swapped = tl.load(rider + layout.POINT_GROUP), tl.load(rider + layout.SWAPS)
        half, m = real(rider, layout.HALF).to(tl.float64), rider + layout.FORTH
        for start in range(0, count, POINTS):
            at = start + tl.arange(0, POINTS)
            live, place = at < count, at % group
            # In a mirror image the left hand's place is taken by the right hand.
            partner = tl.load(swaps + place, mask=live & (place < swapped), other=0)
            origin = source + tl.where(place < swapped, at - place + partner, at) * parts
            x = tl.load(origin, mask=live, other=0).to(tl.float64) + half
            y = tl.load(origin + 1, mask=live, other=0).to(tl.float64) + half
            seen = _on(x, y, tl.load(rider + layout.CANVAS), tl.load(rider + layout.CANVAS + 1))
            depth = (x * double(m, 12) + y * double(m, 14)) + double(m, 16)
            ahead = depth > HORIZON
            divisor = tl.where(ahead, depth, 1.0)
            to_x = tl.where(ahead, ((x * double(m, 0) + y * double(m, 2)) + double(m, 4)) / divisor, x)
            to_y = tl.where(ahead, ((x * double(m, 6) + y * double(m, 8)) + double(m, 10)) / divisor, y)
            seen = seen & ahead & _on(to_x, to_y, height, width)
            place = target + at * parts
            tl.store(place, (to_x - half).to(TYPE), mask=live)
            tl.store(place + 1, (to_y - half).to(TYPE), mask=live)
            if parts == 3:
                shown = tl.load(origin + 2, mask=live, other=0)
                tl.store(place + 2, tl.where(seen, shown, 0.0), mask=live)
