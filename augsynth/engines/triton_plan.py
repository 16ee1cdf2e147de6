"""A pipeline's plan as a list of instructions that the draw kernel runs for every sample.

An instruction is its op code, where its uniforms stand, and the constants of its formula for images of one size. What a
plan has beside the known transforms, or does not always do in one resample followed by colours and rectangles, is
named by `Unsupported`: its parameters are then drawn on the host. Nothing here needs triton.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augsynth.finding import Rules
from augsynth.program import Node, Plan
from augsynth.transforms.base import INTERPOLATIONS, Array, Border, Geometric, RowError
from augsynth.transforms.color import ColorJitter, RandomGrayscale
from augsynth.transforms.combine import OneOf, RandomApply
from augsynth.transforms.crop import RandomCrop, RandomResizedCrop, as_size
from augsynth.transforms.erase import RandomErasing
from augsynth.transforms.geometry import RandomAffine, RandomRotation
from augsynth.transforms.turns import D4, RandomRotate90

GATE, CHOICE, MOVE, CROP, RESIZED_CROP, ROTATE, AFFINE, ERASE, JITTER, GRAY = range(10)
BRIGHTNESS, CONTRAST, SATURATION, HUE, LUMA = range(5)
NUMBERS = 18
PARTS = 4  # of a ColorJitter, at most
_JITTER_KINDS = {"brightness": BRIGHTNESS, "contrast": CONTRAST, "saturation": SATURATION, "hue": HUE}
_BITS = 62
INSTRUCTION = np.dtype(
    [
        ("op", "i4"),
        ("column", "i4"),  # of its first uniform
        ("bit", "i4"),  # the condition under which it runs; bit 0 always holds
        ("out", "i4"),  # the first condition that it sets; of JITTER, which of the parts in the drawn order
        ("count", "i4"),  # of alternatives, of parts
        ("kind", "i4"),  # position of the interpolation
        ("antialias", "i4"),
        ("bordered", "i4"),  # looks outside, at the plan's border
        ("cuts", "i4"),  # see `cut_first` in `augsynth.fuse`
        ("parts", "i4", PARTS),  # of JITTER: what they are
        ("columns", "i4", PARTS),  # of JITTER: their uniforms
        ("resizes", "i4"),  # changes the number of pixels that show the same thing; of `native_plan.py` alone
        ("numbers", "f8", NUMBERS),
    ]
)


class Unsupported(ValueError):
    """The device cannot draw this plan; the message names the first transform at fault and says why."""


@dataclass(frozen=True)
class Lowered:
    """Instructions `(I,)` for images of one size, and what is known of every draw.

    blocks `(N, 2)`: slot and lane of the Philox block of each four columns. size: height and width that come out.
    capacity, stages: most steps, and most means, of a sample. turns: the map may be more than a crop, a flip and a
    change of size; walks: it is no more than these, and changes the size linearly. border: what lies outside, for a
    sample that looks there.
    """

    instructions: Array
    blocks: Array
    size: tuple[int, int]
    capacity: int
    stages: int
    border: Border
    filters: bool
    cubics: bool
    turns: bool
    walks: bool
    mask_fill: float = 0
    flip_pairs: tuple[tuple[int, int], ...] = ()


def lower(
    plan: Plan, size: tuple[int, int], strength: float = 1.0, fused: bool = True, rules: Rules | None = None
) -> Lowered:
    """Lower a plan for images of `size`. Raises Unsupported, or ValueError for images that are too small.

    fused: neighbouring geometry is one resample, as the device takes it. rules: how targets are treated.
    """
    rules = rules or Rules()
    if not fused:
        raise Unsupported("fuse=False")
    lowering = Lowering(strength, np.array([size], np.float64))
    steps = [lowering.node(node, 0) for node in plan.nodes]
    rows = np.array(lowering.found, INSTRUCTION) if lowering.found else np.zeros(0, INSTRUCTION)
    blocks = np.stack([np.array(words, np.uint32) for words in (plan.slots, plan.lanes)], 1)
    moves = rows[(rows["op"] >= MOVE) & (rows["op"] <= AFFINE)]
    shrinks = lowering.resizes and bool((moves["kind"] > 0).any())
    cubics = bool((moves["kind"] == INTERPOLATIONS.index("bicubic")).any())
    out = lowering.size[0].astype(int).tolist()
    capacity, stages = (sum(step[i] for step in steps) for i in (0, 1))
    border = lowering.border or Border("edge")
    whole = (out[0], out[1])
    turns = _turns(moves)
    linear = not cubics and bool((moves["kind"] == INTERPOLATIONS.index("bilinear")).any())
    ways = (border, shrinks or cubics, cubics, turns, lowering.scales and linear and not turns)
    return Lowered(rows, blocks, whole, capacity, stages, *ways, rules.mask_fill, rules.flip_pairs)


def _turns(moves: Array) -> bool:
    """Whether the map of some sample may be more than a crop, a flip and a change of size."""
    fixed = moves[moves["op"] == MOVE]["numbers"]
    drawn = (moves["op"] == ROTATE) | (moves["op"] == AFFINE)
    return bool(drawn.any() or (fixed[:, [1, 3]] != 0).any())


def draws_on(plan: Plan, fused: bool, size: tuple[int, int] = (2**12, 2**12)) -> str:
    """Say where the draw of graphed batches takes place: "device", or "host: " and what the device cannot draw."""
    try:
        lower(plan, size, 1.0, fused)
    except ValueError as reason:
        return f"host: {reason}"
    return "device"


class Lowering:
    """Writes instructions while it walks a plan; `size (1, 2)` is that of the images at this point."""

    def __init__(self, strength: float, size: Array) -> None:
        self.strength, self.size, self._start = strength, size, size
        self.found: list[Any] = []
        self.border: Border | None = None
        self.moved = self.painted = self.resizes = self.scales = False
        self._bits = 1

    def node(self, node: Node, bit: int) -> tuple[int, int]:
        """Lower a transform that runs under condition `bit`; returns its most steps, and its most means."""
        transform, column = node.transform, node.column
        if transform.gated:
            bit = self._gate(column, transform.p * self.strength, bit)
            column += 1
        if type(transform) is ColorJitter:
            return self._jitter(node, column, bit)
        if type(transform) is RandomApply:
            counts = [self.node(child, bit) for child in node.children]
            return sum(count[0] for count in counts), sum(count[1] for count in counts)
        if type(transform) is OneOf:
            return self._one_of(node, transform, column, bit)
        if isinstance(transform, Geometric):
            self._geometric(node, transform, column, bit)
            return 0, 0
        self.painted = True
        if type(transform) is RandomGrayscale:
            self._add(GRAY, column, bit)
        elif type(transform) is RandomErasing and not transform.textured:
            self._erase(transform, column, bit)
        else:
            raise Unsupported(f"{node.name} ({type(transform).__name__} is drawn on the host only)")
        return 1, 0

    def _add(self, op: int, column: int, bit: int, numbers: Sequence[float] = (), **entries: Any) -> None:
        row = np.zeros((), INSTRUCTION)
        for name, value in {"op": op, "column": column, "bit": bit, **entries}.items():
            row[name] = value
        row["numbers"][: len(numbers)] = numbers
        self.found.append(row)

    def _new_bits(self, count: int) -> int:
        first, self._bits = self._bits, self._bits + count
        if self._bits > _BITS:
            raise Unsupported(f"the plan, which has more than {_BITS} choices")
        return first

    def _gate(self, column: int, p: float, bit: int) -> int:
        if p >= 1:
            return bit
        out = self._new_bits(1)
        self._add(GATE, column, bit, [p], out=out)
        return out

    def _choice(self, name: str, column: int, bit: int, weights: Array) -> int:
        """Choose in proportion to `weights`; returns the first of the conditions that say which."""
        if len(weights) > NUMBERS:
            raise Unsupported(f"{name}, which has more than {NUMBERS} alternatives")
        # The same edges and the same last choice as `augsynth.rng.choose`.
        edges, last = np.cumsum(weights / weights.sum()), int(np.flatnonzero(weights)[-1])
        out = self._new_bits(len(weights))
        self._add(CHOICE, column, bit, edges.tolist(), out=out, count=last)
        return out

    def _one_of(self, node: Node, transform: OneOf, column: int, bit: int) -> tuple[int, int]:
        weights = np.array(transform.weights or [1.0] * len(node.children))
        out = self._choice(node.name, column, bit, weights)
        counts = [self.node(child, out + i) for i, child in enumerate(node.children)]
        return max(count[0] for count in counts), max(count[1] for count in counts)

    def _jitter(self, node: Node, column: int, bit: int) -> tuple[int, int]:
        assert column % 4 == 0, "the words of an order stand in one block"
        self.painted = True
        leaves = [child.transform for child in node.children]
        kinds = [_JITTER_KINDS[child.name.rpartition("/")[2]] for child in node.children]
        ranges = [(leaf.low, leaf.high) for leaf in leaves]  # type: ignore[attr-defined]
        numbers = np.zeros(2 * PARTS + 1)
        numbers[: len(leaves)] = [low for low, _ in ranges]
        numbers[PARTS : PARTS + len(leaves)] = [high - low for low, high in ranges]
        numbers[-1] = self.strength
        parts = np.pad(kinds, (0, PARTS - len(kinds)))
        columns = np.pad([child.column for child in node.children], (0, PARTS - len(kinds)))
        for rank in range(len(leaves)):
            entries = {"out": rank, "count": len(leaves), "parts": parts, "columns": columns}
            self._add(JITTER, column, bit, numbers.tolist(), **entries)
        return len(leaves), int(CONTRAST in kinds)

    def _erase(self, t: RandomErasing, column: int, bit: int) -> None:
        paint = t.constant if len(t.constant) == 3 else t.constant[:1] * 3
        low, high = math.log(t.ratio[0]), math.log(t.ratio[1])
        area = (t.scale[0], t.scale[1] - t.scale[0])
        self._add(ERASE, column, bit, [*area, self.strength, *self.size[0], low, high - low, *paint])

    def _geometric(self, node: Node, transform: Geometric, column: int, bit: int) -> None:
        if self.painted:
            raise Unsupported(f"{node.name}, which moves pixels after colours or rectangles")
        if type(transform) in (RandomRotate90, D4):
            self._turn(node.name, transform, column, bit)
            return
        try:
            after, op, numbers = _formula(node.name, transform, self.size, self.strength)
        except RowError as error:
            raise ValueError(f"{node.name}: {error}") from None
        self._move(node.name, transform, column, bit, after, op, numbers)

    def _move(
        self, name: str, transform: Geometric, column: int, bit: int, after: Array, op: int, numbers: Sequence[float]
    ) -> None:
        kind, antialias = transform.sampling
        border = transform.border
        if transform.may_stay_inside and not transform.looks_outside(np.zeros((1, 0)), self.size)[0]:
            border = None
        if border and ((transform.opens_run and self.moved) or self.border not in (None, border)):
            raise Unsupported(f"{name}, which looks outside at another border than what comes before it")
        if bit and (after != self.size).any():
            raise Unsupported(f"{name}, which changes the size of some images only")
        self.border = self.border or border
        # What a second change of size sees is no window of the image any more.
        cuts = transform.resizes and (transform.cuts or (self._start != self.size).any())
        flags = {"kind": kind, "antialias": antialias, "bordered": border is not None, "cuts": cuts}
        self._add(op, column, bit, numbers, **flags)
        self.scales |= transform.resizes
        self.resizes |= transform.resizes or op in (AFFINE, MOVE)
        self.size, self.moved = after, True

    def _turn(self, name: str, transform: Geometric, column: int, bit: int) -> None:
        if self.size[0, 0] != self.size[0, 1]:
            raise Unsupported(f"{name}, which turns images that are not square")
        count = 8 if type(transform) is D4 else 4
        out = self._choice(name, column, bit, np.ones(count))
        for i in range(count):
            matrix = transform.matrix(np.full((1, 1), float(i)), self.size)[0]
            self._move(name, transform, column, out + i, self.size, MOVE, matrix[:2].ravel().tolist())


def _formula(name: str, transform: Geometric, size: Array, strength: float) -> tuple[Array, int, list[float]]:
    """Return the size after a transform `(1, 2)`, its op code and its numbers. Raises RowError for images too small."""
    kind = type(transform)
    if kind not in _FORMULAS and transform.draws:
        raise Unsupported(f"{name} ({kind.__name__} is drawn on the host only)")
    if getattr(transform, "expand", False):
        raise Unsupported(f"{name}, which gives each image a size of its own (expand=True)")
    # For its checks: of a formula that draws, no parameter decides about a size.
    params = transform.sample_params(np.zeros((1, transform.draws)), size, strength)
    after = np.array(transform.output_size(params, size), np.float64)
    if kind in _FORMULAS:
        op, write = _FORMULAS[kind]
        return after, op, write(transform, size[0], strength)
    matrix = transform.matrix(params, size)[0]
    if (matrix[2] != (0.0, 0.0, 1.0)).any():
        raise Unsupported(f"{name}, which is a perspective")
    return after, MOVE, matrix[:2].ravel().tolist()


def _crop(t: RandomCrop, size: Array, strength: float) -> list[float]:
    """Strength, then what is free, then what is padded before the image."""
    # At u = 0 and full strength the window lies in the first corner.
    first = t.sample_params(np.zeros((1, 2)), size[None], 1.0)[0]
    last = t.sample_params(np.full((1, 2), 1 - 2.0**-24), size[None], 1.0)[0]
    return [strength, *(last - first), *-first]


def _resized_crop(t: RandomResizedCrop, size: Array, strength: float) -> list[float]:
    """Low and span of the area, low and span of the log ratio, the image's own; strength, sizes, the last resort."""
    area = [1 - strength * (1 - scale) for scale in t.scale]
    low, high = math.log(t.ratio[0]), math.log(t.ratio[1])
    own = float(np.log(size[1:] / size[:1])[0])
    window = t._fallback(size[None])[0]
    place = np.floor((size - window) / 2)
    spans = [area[0], area[1] - area[0], low, high - low, own]
    return [*spans, strength, *size, *(as_size(t.size) or ()), *place, *window]


def _rotate(t: RandomRotation, size: Array, strength: float) -> list[float]:
    low, high = t._angles
    return [low, high - low, strength, *(t.center or size[::-1] / 2.0)]


def _affine(t: RandomAffine, size: Array, strength: float) -> list[float]:
    low, high = t._ranges
    return [*low, *(high - low), strength, *size[::-1], *(t.center or size[::-1] / 2.0)]


_FORMULAS: dict[type, tuple[int, Callable[..., list[float]]]] = {
    RandomCrop: (CROP, _crop),
    RandomResizedCrop: (RESIZED_CROP, _resized_crop),
    RandomRotation: (ROTATE, _rotate),
    RandomAffine: (AFFINE, _affine),
}
