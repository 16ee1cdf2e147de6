"""What the automatic policies draw from: operations, their magnitudes by level, and AutoAugment's sub-policies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from augsynth.transforms.base import Array

MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
FACTORS = ("brightness", "color", "contrast", "sharpness")
PLAIN = ("autocontrast", "equalize", "invert")
_COMMON = (*MOVES, *FACTORS, "posterize", "solarize", "autocontrast", "equalize")
# No level is at or above this share of white: what solarizing leaves alone.
_ABOVE = 256 / 255


@dataclass(frozen=True)
class Space:
    """The operations of a policy and how strong they are at the last level; the first is the weakest.

    shear: a slope. shift: a share of the side, or pixels where `pixels` holds. turn: degrees. factor: added to or taken
    from 1. bits: how many posterizing keeps at the first and at the last level. identity: doing nothing is a choice.
    """

    ops: tuple[str, ...] = _COMMON
    identity: bool = True
    shear: float = 0.3
    shift: float = 150 / 331
    pixels: bool = False
    turn: float = 30.0
    factor: float = 0.9
    bits: tuple[int, int] = (8, 4)

    def values(self, op: str, levels: int) -> Array:
        """Return the parameter at each of `levels`, `(levels,)`, with a positive sign; a share where it is one."""
        level = np.arange(levels)
        if op in FACTORS:
            return 1 + _graded(self.factor, level, levels)
        if op == "posterize":
            first, last = self.bits
            return np.rint(first - level / np.float32((levels - 1) / (first - last)))
        if op == "solarize":
            # A level that float32 takes for the threshold is at the threshold for every engine.
            limit = (255 * _graded(1.0, level[::-1], levels)).astype(np.float32).astype(np.float64)
            share = limit / 255
            return np.where(share * 255 > limit, np.nextafter(share, 0), share)
        most = {"shear": self.shear, "translate": self.shift, "rotate": self.turn}.get(op.split("_")[0], 0.0)
        return _graded(most, level, levels)

    def scale(self, levels: int) -> Scale:
        """Return the values of all operations as arrays."""
        return _scale(self, levels)


def _graded(most: Array | float, level: Array, levels: int) -> Array:
    """Go from 0 to `most` in equal steps, in float32 and from both ends as torch.linspace does: the same numbers.

    A number one rounding below a whole one loses a pixel when its fraction is cut off. The upper half is rounded once,
    as by a fused multiply-add, on any CPU.
    """
    end = np.asarray(most, np.float32)
    step = (end / np.float32(levels - 1)).astype(np.float64)
    value = np.where(level < levels // 2, step * level, end - step * (levels - 1 - level))
    return np.asarray(value.astype(np.float32), np.float64)


@dataclass(frozen=True, eq=False)
class Scale:
    """A space's values as arrays over its n operations.

    span `(n, levels)`: how far from `neutral (n,)` the value of a level is. signed `(n,)`: to either side. column
    `(n,)`: which parameter of its leaf it is. side `(n,)`: 1 where the largest value is the `share` of the width, 2 of
    the height. whole `(n,)`: 1 where fractions are cut off, 2 where they are rounded. plain `(n,)`: no magnitude.
    """

    neutral: Array
    span: Array
    signed: Array
    column: Array
    side: Array
    share: float
    whole: Array
    plain: Array

    def params(self, op: Array, level: Array, negative: Array, sizes: Array, strength: float) -> Array:
        """Return the leaves' parameters `(R, 5)` of operations `op (R,)` at `level (R,)`, for images of `sizes`."""
        reach, side = self.span[op, level], self.side[op]
        if side.any():
            length = np.where(side == 1, sizes[:, 1], sizes[:, 0])
            reach = np.where(side > 0, _graded(self.share * length, level, self.span.shape[1]), reach)
        reach = np.where(self.signed[op] & negative, -strength, strength) * reach
        value, whole = self.neutral[op] + reach, self.whole[op]
        value = np.where(whole == 1, np.trunc(value), np.where(whole == 2, np.rint(value), value))
        result = np.zeros((len(op), len(MOVES)))
        result[np.arange(len(op)), self.column[op]] = value
        return result


@lru_cache(maxsize=64)
def _scale(space: Space, levels: int) -> Scale:
    neutral = {**dict.fromkeys(FACTORS, 1.0), "posterize": 8.0, "solarize": _ABOVE}
    values = np.array([space.values(op, levels) for op in space.ops])
    start = np.array([neutral.get(op, 0.0) for op in space.ops])
    share = {} if space.pixels else {"translate_x": 1, "translate_y": 2}
    return Scale(
        start,
        values - start[:, None],
        np.array([op in MOVES or op in FACTORS for op in space.ops]),
        np.array([MOVES.index(op) if op in MOVES else 0 for op in space.ops]),
        np.array([share.get(op, 0) for op in space.ops]),
        space.shift,
        np.array([1 if op.startswith("translate") else 2 if op == "posterize" else 0 for op in space.ops]),
        np.array([op in PLAIN for op in space.ops]),
    )


RAND_AUGMENT = Space()
TRIVIAL_AUGMENT = Space(shear=0.99, shift=32.0, pixels=True, turn=135.0, factor=0.99, bits=(8, 2))
AUTO_AUGMENT = Space(ops=(*_COMMON, "invert"), identity=False)
AUG_MIX = Space(identity=False, shift=1 / 3, bits=(4, 0))
AUG_MIX_PARTIAL = Space((*MOVES, *_COMMON[-4:]), identity=False, shift=1 / 3, bits=(4, 0))
AUTO_AUGMENT_LEVELS = 10

# Two operations per line: name, probability, level. Source: arXiv:1805.09501, tables 7 to 9.
_IMAGENET = """
posterize 0.4 8, rotate 0.6 9
solarize 0.6 5, autocontrast 0.6 -
equalize 0.8 -, equalize 0.6 -
posterize 0.6 7, posterize 0.6 6
equalize 0.4 -, solarize 0.2 4
equalize 0.4 -, rotate 0.8 8
solarize 0.6 3, equalize 0.6 -
posterize 0.8 5, equalize 1.0 -
rotate 0.2 3, solarize 0.6 8
equalize 0.6 -, posterize 0.4 6
rotate 0.8 8, color 0.4 0
rotate 0.4 9, equalize 0.6 -
equalize 0.0 -, equalize 0.8 -
invert 0.6 -, equalize 1.0 -
color 0.6 4, contrast 1.0 8
rotate 0.8 8, color 1.0 2
color 0.8 8, solarize 0.8 7
sharpness 0.4 7, invert 0.6 -
shear_x 0.6 5, equalize 1.0 -
color 0.4 0, equalize 0.6 -
equalize 0.4 -, solarize 0.2 4
solarize 0.6 5, autocontrast 0.6 -
invert 0.6 -, equalize 1.0 -
color 0.6 4, contrast 1.0 8
equalize 0.8 -, equalize 0.6 -
"""
_CIFAR10 = """
invert 0.1 -, contrast 0.2 6
rotate 0.7 2, translate_x 0.3 9
sharpness 0.8 1, sharpness 0.9 3
shear_y 0.5 8, translate_y 0.7 9
autocontrast 0.5 -, equalize 0.9 -
shear_y 0.2 7, posterize 0.3 7
color 0.4 3, brightness 0.6 7
sharpness 0.3 9, brightness 0.7 9
equalize 0.6 -, equalize 0.5 -
contrast 0.6 7, sharpness 0.6 5
color 0.7 7, translate_x 0.5 8
equalize 0.3 -, autocontrast 0.4 -
translate_y 0.4 3, sharpness 0.2 6
brightness 0.9 6, color 0.2 8
solarize 0.5 2, invert 0.0 -
equalize 0.2 -, autocontrast 0.6 -
equalize 0.2 -, equalize 0.6 -
color 0.9 9, equalize 0.6 -
autocontrast 0.8 -, solarize 0.2 8
brightness 0.1 3, color 0.7 0
solarize 0.4 5, autocontrast 0.9 -
translate_y 0.9 9, translate_y 0.7 9
autocontrast 0.9 -, solarize 0.8 3
equalize 0.8 -, invert 0.1 -
translate_y 0.7 9, autocontrast 0.9 -
"""
_SVHN = """
shear_x 0.9 4, invert 0.2 -
shear_y 0.9 8, invert 0.7 -
equalize 0.6 -, solarize 0.6 6
invert 0.9 -, equalize 0.6 -
equalize 0.6 -, rotate 0.9 3
shear_x 0.9 4, autocontrast 0.8 -
shear_y 0.9 8, invert 0.4 -
shear_y 0.9 5, solarize 0.2 6
invert 0.9 -, autocontrast 0.8 -
equalize 0.6 -, rotate 0.9 3
shear_x 0.9 4, solarize 0.3 3
shear_y 0.8 8, invert 0.7 -
equalize 0.9 -, translate_y 0.6 6
invert 0.9 -, equalize 0.6 -
contrast 0.3 3, rotate 0.8 4
invert 0.8 -, translate_y 0.0 2
shear_y 0.7 6, solarize 0.4 8
invert 0.6 -, rotate 0.8 4
shear_y 0.3 7, translate_x 0.9 3
shear_x 0.1 6, invert 0.6 -
solarize 0.7 2, translate_y 0.6 7
shear_y 0.8 4, invert 0.8 -
shear_x 0.7 9, translate_y 0.8 3
shear_y 0.8 5, autocontrast 0.7 -
shear_x 0.7 2, invert 0.1 -
"""
_POLICIES = {"imagenet": _IMAGENET, "cifar10": _CIFAR10, "svhn": _SVHN}
POLICIES = tuple(_POLICIES)
Step = tuple[str, float, int]


def sub_policies(policy: str) -> list[tuple[Step, Step]]:
    """Return the 25 pairs of (operation, probability, level) of one of `POLICIES`; level 0 where there is none."""
    pairs = []
    for line in _POLICIES[policy].strip().splitlines():
        first, second = (entry.split() for entry in line.split(","))
        pairs.append((_step(*first), _step(*second)))
    return pairs


def _step(op: str, p: str, level: str) -> Step:
    return op, float(p), 0 if level == "-" else int(level)
