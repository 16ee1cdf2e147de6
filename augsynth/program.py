"""The plan of a pipeline, and the program drawn from it: an op code and its parameters per sample and slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from augsynth.rng import Rng, slot_id, uniform_from_words
from augsynth.transforms.base import (
    Array,
    Border,
    Color,
    Composite,
    Geometric,
    Leaf,
    Pixelwise,
    RowError,
    Standalone,
    Transform,
)
from augsynth.transforms.color import Normalize
from augsynth.transforms.combine import RandomApply

GEOMETRY, COLOR, ERASE, STANDALONE = 1, 2, 3, 4


@dataclass(frozen=True)
class Node:
    """One transform in its place: its name, the columns of uniforms it reads, its op code if it is a leaf."""

    name: str
    transform: Transform
    column: int
    code: int
    children: tuple[Node, ...]
    width: int

    def row(self, u: Array, strength: float) -> Array:
        """Return the op codes `(B, width)` of this transform and everything in it."""
        if isinstance(self.transform, Composite):
            rows = [child.row(u, strength) for child in self.children]
            ops = self.transform.arrange(rows, self.uniforms(u))
        else:
            ops = np.full((len(u), 1), self.code, np.int64)
        if self.transform.gated:
            ops = np.where(u[:, self.column, None] < self.transform.p * strength, ops, 0)
        return ops

    def uniforms(self, u: Array) -> Array:
        """Return this transform's own draws `(B, draws)`, without its gate."""
        start = self.column + self.transform.gated
        return u[:, start : start + self.transform.draws]

    def candidates(self) -> list[tuple[int, ...]]:
        """Return which op codes can stand in each of the `width` slots."""
        if isinstance(self.transform, Leaf):
            return [(self.code,)]
        parts = [child.candidates() for child in self.children]
        if isinstance(self.transform, RandomApply):
            return [slot for part in parts for slot in part]
        union = tuple(sorted({code for part in parts for slot in part for code in slot}))
        return [union] * self.width


@dataclass(frozen=True)
class Plan:
    """What is known of a pipeline before anything is drawn.

    leaves[i] has op code i + 1. slots and lanes are the Philox counters of one batch's single draw.
    """

    nodes: tuple[Node, ...]
    leaves: tuple[Node, ...]
    slots: tuple[int, ...]
    lanes: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...]
    normalize: Normalize | None
    borders: tuple[Border, ...] = field(default=())

    @classmethod
    def of(cls, transforms: Mapping[str, Transform]) -> Plan:
        """Compile named transforms. Raises ValueError where Normalize stands in a place it cannot have."""
        normalize: Normalize | None = None
        builder = _Builder()
        nodes = []
        for name, transform in transforms.items():
            if isinstance(transform, Normalize):
                if normalize is not None:
                    raise ValueError(f"{name}: a pipeline has one Normalize, this is the second")
                normalize = transform
                continue
            if normalize is not None:
                _check_after_normalize(name, transform)
            nodes.append(builder.node(name, transform))
        candidates = tuple(slot for node in nodes for slot in node.candidates())
        leaves = tuple(builder.leaves)
        borders = {leaf.transform.border for leaf in leaves if isinstance(leaf.transform, Geometric)} - {None}
        ordered = tuple(sorted(borders, key=repr))
        return cls(tuple(nodes), leaves, tuple(builder.slots), tuple(builder.lanes), candidates, normalize, ordered)  # type: ignore[arg-type]

    @cached_property
    def kinds(self) -> Array:
        """Return the fuse class of each op code, 0 for op code 0."""
        return np.array([0, *(kind_of(leaf.transform) for leaf in self.leaves)])

    @cached_property
    def moves(self) -> bool:
        """Tell whether anything in it moves pixels, so that targets have to follow."""
        return any(
            isinstance(t, Geometric) or (isinstance(t, Standalone) and t.moves)
            for t in (n.transform for n in self.leaves)
        )

    @cached_property
    def border_ids(self) -> Array:
        """Return the 1-based position in `borders` of each op code's border, 0 for one that looks nowhere."""
        found = [leaf.transform.border if isinstance(leaf.transform, Geometric) else None for leaf in self.leaves]
        return np.array([0, *(self.borders.index(border) + 1 if border else 0 for border in found)])

    @cached_property
    def opens(self) -> Array:
        """Tell for each op code whether it starts a run of its own."""
        return np.array([False, *(isinstance(n.transform, Geometric) and n.transform.opens_run for n in self.leaves)])


class _Builder:
    """Number leaves and hand out columns of uniforms while the tree of nodes is built."""

    def __init__(self) -> None:
        self.leaves: list[Node] = []
        self.slots: list[int] = []
        self.lanes: list[int] = []

    def node(self, name: str, transform: Transform) -> Node:
        column = 4 * len(self.slots)
        blocks = -(-(transform.gated + transform.draws) // 4)
        self.slots += [slot_id(name)] * blocks
        self.lanes += range(blocks)
        if isinstance(transform, Composite):
            children = tuple(self.node(f"{name}/{part}", child) for part, child in transform.parts().items())
            width = transform.width([child.width for child in children])
            return Node(name, transform, column, 0, children, width)
        if isinstance(transform, Normalize):
            raise ValueError(f"{name}: Normalize is the pipeline's output stage and cannot stand inside a combinator")
        leaf = Node(name, transform, column, len(self.leaves) + 1, (), 1)
        self.leaves.append(leaf)
        return leaf


def walk(name: str, transform: Transform) -> Iterator[tuple[str, Transform]]:
    """Yield a transform and everything in it, with names."""
    yield name, transform
    for part, child in transform.parts().items():
        yield from walk(f"{name}/{part}", child)


def _check_after_normalize(name: str, transform: Transform) -> None:
    for inner, part in walk(name, transform):
        border = part.border if isinstance(part, Geometric) and hasattr(part, "fill") else None
        fills = border is not None and border.mode == "constant"
        if isinstance(part, (Color, Pixelwise, Standalone)) or fills:
            raise ValueError(
                f"{inner}: {type(part).__name__} stands after Normalize, which is always rendered last; put it before. "
                "Its fill or value is then in image space: the mean colour takes the place of 0"
            )


def kind_of(transform: Transform) -> int:
    """Return the fuse class of a leaf. Raises TypeError for a transform of none."""
    for base, kind in (
        (Geometric, GEOMETRY),
        (Color, COLOR),
        (Pixelwise, ERASE),
        (Standalone, STANDALONE),
    ):
        if isinstance(transform, base):
            return kind
    raise TypeError(f"{type(transform).__name__} belongs to no fuse class: Geometric, Color, Pixelwise or Standalone")


@dataclass(frozen=True)
class Program:
    """One batch's draw: ops `(B, S)` op codes, params `(B, S, K)` float64, sizes `(B, S + 1, 2)` before each slot."""

    plan: Plan
    ops: Array
    params: Array
    sizes: Array

    def __len__(self) -> int:
        return len(self.ops)

    def parameters(self, sample: int) -> dict[str, tuple[float, ...]]:
        """Return what was drawn for one sample, by transform name, in the order of application."""
        result = {}
        for slot, code in enumerate(self.ops[sample]):
            if code:
                leaf = self.plan.leaves[code - 1]
                result[leaf.name] = tuple(self.params[sample, slot, : leaf.transform.params].tolist())
        return result


def draw(plan: Plan, rng: Rng, sizes: Array, strength: float = 1.0) -> Program:
    """Draw the program of a batch whose images have `sizes (B, 2)`; looks at no pixel.

    strength: 0 to 1, a factor on every range and every `p`. Raises ValueError naming a sample that is too small.
    """
    u = np.asarray(uniform_from_words(rng.words(plan.slots, plan.lanes)))
    parts = [node.row(u, strength) for node in plan.nodes]
    count, width = len(rng), len(plan.candidates)
    ops = np.concatenate(parts, axis=1) if parts else np.zeros((count, 0), np.int64)
    params = np.zeros((count, width, max((leaf.transform.params for leaf in plan.leaves), default=0)))
    at = np.empty((count, width + 1, 2))
    at[:, 0] = sizes
    for slot in range(width):
        at[:, slot + 1] = at[:, slot]
        for code, rows in rows_by_code(ops[:, slot]):
            leaf = plan.leaves[code - 1]
            before = at[rows, slot]
            try:
                drawn = leaf.transform.sample_params(leaf.uniforms(u[rows]), before, strength)
            except RowError as error:
                sample = int(np.arange(count)[rows][error.row])
                raise ValueError(f"{leaf.name}: sample {sample} (index {rng.index[sample]}): {error}") from None
            params[rows, slot, : drawn.shape[1]] = drawn
            if isinstance(leaf.transform, Geometric):
                at[rows, slot + 1] = leaf.transform.output_size(drawn, before)
    return Program(plan, ops, params, at)


def rows_by_code(codes: Array) -> Iterator[tuple[int, Any]]:
    """Yield each op code that occurs in a slot `(B,)`, with its rows: a slice where it is alone, else positions."""
    present = set(codes.tolist())
    for code in sorted(present - {0}):
        yield code, slice(None) if len(present) == 1 else (codes == code).nonzero()[0]


def describe_runs(plan: Plan, fuse: bool) -> str:
    """Name the runs of a pipeline when everything in it is applied: `warp[a, b] -> color[c] -> normalize`."""
    runs: list[tuple[str, list[str], Border | None]] = []
    for node in plan.nodes:
        words = {leaf.transform.word for leaf in _leaves(node) if isinstance(leaf.transform, Leaf)}
        word = words.pop() if len(words) == 1 else "per sample" if words else ""
        leaf = node.transform if isinstance(node.transform, Geometric) else None
        border = leaf.border if leaf else None
        last = runs[-1] if runs else None
        joins = fuse and last is not None and word in (Geometric.word, Color.word) and last[0] == word
        joins = joins and not (leaf is not None and leaf.opens_run)
        if joins and last is not None and not (border and last[2] and border != last[2]):
            last[1].append(node.name)
            runs[-1] = (word, last[1], last[2] or border)
        elif word:
            runs.append((word, [node.name], border))
    texts = [f"{word}[{', '.join(names)}]" for word, names, _ in runs]
    return " -> ".join([*texts, *(["normalize"] if plan.normalize else [])]) or "nothing"


def _leaves(node: Node) -> Sequence[Node]:
    if not node.children:
        return [node] if isinstance(node.transform, Leaf) else []
    return [leaf for child in node.children for leaf in _leaves(child)]
