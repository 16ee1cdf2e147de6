"""A pipeline's plan as instructions that the compiled engine draws by, for images of any size.

They are those of `triton_plan.py`, but for the formulas of geometry, which take the size from each image. What is more
than one resample, then colours and rectangles, is left to numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from augsynth.engines.triton_plan import (
    AFFINE,
    CROP,
    ERASE,
    INSTRUCTION,
    RESIZED_CROP,
    ROTATE,
    Lowering,
    Unsupported,
)
from augsynth.program import Node, Plan
from augsynth.transforms.base import BORDER_MODES, Array, Border, Geometric
from augsynth.transforms.color import HUE_TURN, LUMA_ONE, chroma_matrix, gray_matrix
from augsynth.transforms.crop import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize, as_size, sides_of
from augsynth.transforms.erase import RandomErasing
from augsynth.transforms.geometry import RandomAffine, RandomHorizontalFlip, RandomRotation, RandomVerticalFlip
from augsynth.transforms.turns import D4, ELEMENTS, RandomRotate90, Transpose

TURN, RESIZE, CENTER_CROP, PAD = range(10, 14)
_NEVER, _ALWAYS, _DEPENDS = range(3)
_MOST_BLOCKS = 256


@dataclass(frozen=True)
class Instructions:
    """program `(I,)` of INSTRUCTION; slots and lanes of the Philox blocks, int64; capacity: most steps of a sample."""

    program: Array
    slots: Array
    lanes: Array
    capacity: int
    constants: tuple[Array, Array]  # for linear and exact colour


def instructions(plan: Plan, strength: float) -> Instructions | None:
    """Lower a plan, once for each strength; None for one that is drawn in numpy."""
    last, found = plan.kept.get("instructions", (None, None))  # of the last strength: a schedule has thousands
    if last != strength:
        found = _lower(plan, strength)
        plan.kept["instructions"] = strength, found  # in one piece, so that threads may share a pipeline
    return found  # type: ignore[no-any-return]


def _lower(plan: Plan, strength: float) -> Instructions | None:
    walk = _Unsized(strength, np.ones((1, 2)))
    try:
        capacity = sum(walk.node(node, 0)[0] for node in plan.nodes)
    except Unsupported:
        return None
    if len(plan.slots) > _MOST_BLOCKS:
        return None
    program = np.array(walk.found, INSTRUCTION) if walk.found else np.zeros(0, INSTRUCTION)
    border = walk.border or Border("edge")
    fill = border.fill * 3 if len(border.fill) == 1 else border.fill
    if len(fill) != 3:
        return None
    constants = [
        np.concatenate(
            [
                LUMA_ONE,
                gray_matrix(1, exact).ravel(),
                chroma_matrix().ravel(),
                HUE_TURN.ravel(),
                [float(BORDER_MODES.index(border.mode)), *fill],
            ]
        )
        for exact in (False, True)
    ]
    blocks = np.array(plan.slots, np.int64), np.array(plan.lanes, np.int64)
    return Instructions(program, *blocks, capacity, (constants[0], constants[1]))


class _Unsized(Lowering):
    """Writes instructions that know no size."""

    def _erase(self, t: RandomErasing, column: int, bit: int) -> None:
        if len(t.constant) not in (1, 3):
            raise Unsupported("a paint of other channels")
        paint = t.constant * 3 if len(t.constant) == 1 else t.constant
        low, high = math.log(t.ratio[0]), math.log(t.ratio[1])
        numbers = [t.scale[0], t.scale[1] - t.scale[0], self.strength, low, high - low, *paint]
        self._add(ERASE, column, bit, numbers)

    def _geometric(self, node: Node, transform: Geometric, column: int, bit: int) -> None:
        if self.painted:
            raise Unsupported(f"{node.name}, which moves pixels after colours or rectangles")
        if type(transform) in (RandomRotate90, D4):
            count = 8 if type(transform) is D4 else 4
            out = self._choice(node.name, column, bit, np.ones(count))
            for i in range(count):
                self._put(node.name, transform, column, out + i, TURN, ELEMENTS[i].tolist())
            return
        if type(transform) not in _FORMULAS or getattr(transform, "expand", False):
            raise Unsupported(f"{node.name} ({type(transform).__name__} is drawn in numpy)")
        op, numbers = _FORMULAS[type(transform)]
        self._put(node.name, transform, column, bit, op, numbers(transform, self.strength))

    def _put(self, name: str, transform: Geometric, column: int, bit: int, op: int, numbers: Sequence[float]) -> None:
        kind, antialias = transform.sampling
        border = transform.border
        if border and ((transform.opens_run and self.moved) or self.border not in (None, border)):
            raise Unsupported(f"{name}, which looks outside at another border than what comes before it")
        self.border, self.moved = self.border or border, True
        bordered = _NEVER if border is None else _DEPENDS if transform.may_stay_inside else _ALWAYS
        flags = {"kind": kind, "antialias": antialias, "bordered": bordered}
        self._add(op, column, bit, numbers, cuts=transform.cuts, resizes=transform.resizes, **flags)


def _center(center: tuple[float, float] | None) -> list[float]:
    return [0.0, 0.0, 0.0] if center is None else [1.0, *map(float, center)]


def _crop(t: RandomCrop, strength: float) -> list[float]:
    left, top, right, bottom = sides_of(t.padding or 0)
    mode = float(BORDER_MODES.index(t.padding_mode))
    size = as_size(t.size) or (0, 0)
    return [strength, *size, top, left, top + bottom, left + right, float(t.pad_if_needed), mode]


def _resized_crop(t: RandomResizedCrop, strength: float) -> list[float]:
    area = [1 - strength * (1 - scale) for scale in t.scale]
    low, high = math.log(t.ratio[0]), math.log(t.ratio[1])
    return [area[0], area[1] - area[0], low, high - low, strength, *(as_size(t.size) or (0, 0)), *t.ratio]


def _rotate(t: RandomRotation, strength: float) -> list[float]:
    low, high = t._angles
    return [low, high - low, strength, *_center(t.center)]


def _affine(t: RandomAffine, strength: float) -> list[float]:
    low, high = t._ranges
    return [*low, *(high - low), strength, *_center(t.center)]


def _resize(t: Resize, strength: float) -> list[float]:
    if t._exact():
        return [*(as_size(t.size) or (0, 0)), 0.0]
    return [float(t._short()), 0.0, float(t.max_size or 0)]


def _pad(t: Pad, strength: float) -> list[float]:
    left, top, right, bottom = sides_of(t.padding)
    return [top, left, bottom, right, float(BORDER_MODES.index(t.padding_mode))]


def _center_crop(t: CenterCrop, strength: float) -> list[float]:
    return [*(as_size(t.size) or (0, 0))]


def _element(i: int) -> Callable[..., list[float]]:
    return lambda t, strength: list(map(float, ELEMENTS[i]))


_FORMULAS: dict[type, tuple[int, Callable[..., list[float]]]] = {
    RandomCrop: (CROP, _crop),
    RandomResizedCrop: (RESIZED_CROP, _resized_crop),
    RandomRotation: (ROTATE, _rotate),
    RandomAffine: (AFFINE, _affine),
    Resize: (RESIZE, _resize),
    CenterCrop: (CENTER_CROP, _center_crop),
    Pad: (PAD, _pad),
    RandomVerticalFlip: (TURN, _element(4)),
    RandomHorizontalFlip: (TURN, _element(6)),
    Transpose: (TURN, _element(7)),
}
