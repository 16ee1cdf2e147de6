"""Where the device finds things: the words of a sample's row and of a step, and how they are read."""
# mypy: ignore-errors

import triton
import triton.language as tl

from augsynth.engines import triton_plan as plan

# Under TRITON_INTERPRET=1 numpy runs these functions on the CPU.
INTERPRETED = triton.knobs.runtime.interpret
INTERPRET = tl.constexpr(INTERPRETED)
# The interpreter pays for each operation, however many pixels it has.
TILE_Y, TILE_X = (64, 64) if INTERPRETED else (8, 32)
# Whether plans of crops, flips and resizes walk along rows where the device draws; the interpreter does so in tests.
WALKING = not INTERPRETED
# Warps and registers of a program. Rows: one warp renders a tile, a thread a column of it, so that its rows share what
# they read; measured: 72 registers with a few spilled beat 96 and 128 with none. Else a thread has two pixels: with
# four, ptxas counts 112 registers, and half as many threads fit.
ROWS, PIXELS = (1, 72), (4, 64)

# A sample's row: at which 32-bit word each entry starts. `engines/triton_table.py` builds its record from these.
SOURCE = tl.constexpr(0)  # address of the first pixel of the window, int64
TARGET = tl.constexpr(2)  # address of the output, int64
STRIDES = tl.constexpr(4)  # of the source, in elements: channel, y, x
SIZE = tl.constexpr(7)  # of the output: height, width; all pairs are y, x
WINDOW = tl.constexpr(9)  # pixels of the source that may be read
GRID = tl.constexpr(11)  # pixels that the interpolation sees: the window, or the window shrunk by the filter
RATIO = tl.constexpr(13)  # pixels of the window for one of the grid, float
REACH = tl.constexpr(15)  # pixels of the window that the filters of one pixel's taps cover together, at most
MATRIX = tl.constexpr(17)  # 3 x 3 float, from the output to the grid, continuous coordinates
PROJECTIVE = tl.constexpr(26)  # 1 where the last row of the matrix is not 0 0 1
TAPS = tl.constexpr(27)  # 1 nearest, 2 bilinear, 4 bicubic
FILTER = tl.constexpr(28)
BORDER = tl.constexpr(29)
FILL = tl.constexpr(30)  # one float per channel
CLAMP = tl.constexpr(33)  # 1 where the resampled values are clamped
STEPS = tl.constexpr(34)  # how many steps follow
WALK = tl.constexpr(35)  # taps per axis, 2 or 3, of a resize that may share rows; 0: by the general way
ARRIVED = tl.constexpr(36)  # how often the sample's tiles have added their luma; 0 before
TICKET = tl.constexpr(37)  # of the first row: how many tiles have begun; 0 before
ROW_WORDS = tl.constexpr(40)

UNFILTERED, TRIANGLE, CUBIC = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
CONSTANT, EDGE, REFLECT, SYMMETRIC = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)

# A step: its code, then what it needs.
CODE = tl.constexpr(0)
MEAN = tl.constexpr(1)  # which of the sample's mean lumas it uses, -1 for none
COLOR = tl.constexpr(2)  # 3 x 3 float of MATRIX; [0] is the factor of SCALE and CHROMA, or the shift of HUE, of 1 round
RECTANGLE = tl.constexpr(2)  # of ERASE: top, left, height, width
VECTOR = tl.constexpr(11)  # float per channel: what the mean is multiplied by, or the paint of ERASE; [0] of SCALE
STEP_WORDS = tl.constexpr(14)

# SCALE: `f x + v m` with the mean m, brightness or contrast. CHROMA: `f x + (1 - f) luma`, saturation or grayscale.
MATRIX_STEP, HUE, ERASE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
SCALE, CHROMA = tl.constexpr(3), tl.constexpr(4)
WALKS = tl.constexpr(1.5)  # how much a walk may shrink an axis: three taps hold the filter

# What rides with a sample: its masks and its keypoints. Addresses of 0 say that there are none.
MASK_SOURCE = tl.constexpr(0)  # int64
MASK_TARGET = tl.constexpr(2)  # int64
MASK_STRIDES = tl.constexpr(4)  # of the source, in elements: plane, y, x
MASK_PLANES = tl.constexpr(7)
CANVAS = tl.constexpr(8)  # height and width of the image before it moves
MASK_FILL = tl.constexpr(10)  # the bits of the fill, int64
MASK_BORDER = tl.constexpr(12)
BACK = tl.constexpr(14)  # 3 x 3 double, from the output to the image
POINT_SOURCE = tl.constexpr(32)  # int64
POINT_TARGET = tl.constexpr(34)  # int64
POINT_COUNT = tl.constexpr(36)
POINT_PARTS = tl.constexpr(37)  # numbers of a point: 2, or 3 with visibility
POINT_GROUP = tl.constexpr(38)  # points of one object
SWAPS = tl.constexpr(39)  # how many entries of the list of swaps count here, 0 where the image is not mirrored
FORTH = tl.constexpr(40)  # 3 x 3 double, from the image to the output
HALF = tl.constexpr(58)  # float: what is added to a point before it moves, and taken away after
RIDER_WORDS = tl.constexpr(60)

# An instruction of the draw kernel: `triton_plan.INSTRUCTION`.
GATE, CHOICE = tl.constexpr(plan.GATE), tl.constexpr(plan.CHOICE)
MOVE, CROP, RESIZED_CROP = tl.constexpr(plan.MOVE), tl.constexpr(plan.CROP), tl.constexpr(plan.RESIZED_CROP)
ROTATE, AFFINE, ERASING = tl.constexpr(plan.ROTATE), tl.constexpr(plan.AFFINE), tl.constexpr(plan.ERASE)
JITTER = tl.constexpr(plan.JITTER)
CONTRAST, SATURATION = tl.constexpr(plan.CONTRAST), tl.constexpr(plan.SATURATION)
SHIFT_HUE, LUMA = tl.constexpr(plan.HUE), tl.constexpr(plan.LUMA)
OP, COLUMN, BIT, OUT, COUNT = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3), tl.constexpr(4)
KIND, ANTIALIAS, BORDERED, CUTS = tl.constexpr(5), tl.constexpr(6), tl.constexpr(7), tl.constexpr(8)
JITTER_PARTS, JITTER_COLUMNS, NUMBERS = tl.constexpr(9), tl.constexpr(13), tl.constexpr(18)
PARTS = tl.constexpr(plan.PARTS)
INSTRUCTION_WORDS = tl.constexpr(plan.INSTRUCTION.itemsize // 4)

# How a sample's map is rendered: `augsynth.runs`.
COPY, RESIZE, WARP = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def real(row, word):
    """Read a word as a float32."""
    return tl.load(row + word).to(tl.float32, bitcast=True)


@triton.jit
def double(row, word):
    """Read two words as a float64."""
    return tl.load((row + word).to(tl.pointer_type(tl.float64)))


@triton.jit
def address(row, word, TYPE: tl.constexpr):
    """Read two words as the address of values of TYPE."""
    return tl.load((row + word).to(tl.pointer_type(tl.int64))).to(tl.pointer_type(TYPE))


@triton.jit
def clamp(value, high):
    """Bring values (P,) into [0, high]."""
    return tl.minimum(tl.maximum(value, 0.0), high)


@triton.jit
def unit(value):
    """Bring values into [0, 1]."""
    if INTERPRET:
        return tl.minimum(tl.maximum(value, 0.0), 1.0)
    return tl.inline_asm_elementwise("cvt.sat.f32.f32 $0, $1;", "=f,f", [value], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def reciprocal(value):
    """Divide 1 by values that are not 0 and not extreme."""
    if INTERPRET:
        return 1.0 / value
    return tl.inline_asm_elementwise(
        "rcp.approx.ftz.f32 $0, $1;", "=f,f", [value], dtype=tl.float32, is_pure=True, pack=1
    )
