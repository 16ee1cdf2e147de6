"""The plan of a pipeline, and the program drawn from it: an op code and its parameters per sample and slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Protocol

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
from augsynth.transforms.combine import Dealer
from augsynth.transforms.mix import Mix, Overlay, check_order, mixes_in

GEOMETRY, COLOR, ERASE, STANDALONE, MIX = 1, 2, 3, 4, 5


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
        if isinstance(self.transform, Dealer):
            dealt = self.transform.deal(self.uniforms(u), strength)
            ops = np.where(dealt > 0, dealt + (self.children[0].code - 1), 0)
        elif isinstance(self.transform, Composite):
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

    def codes(self) -> list[int]:
        """Return the op codes whose parameters this node draws."""
        return [child.code for child in self.children] if isinstance(self.transform, Dealer) else [self.code]

    def deal_params(self, codes: Array, u: Array, sizes: Array, strength: float) -> Array:
        """Return the parameters `(R, k)` of the parts of this dealer that stand at `codes (R,)`."""
        assert isinstance(self.transform, Dealer)
        return self.transform.deal_params(codes - self.children[0].code, self.uniforms(u), sizes, strength)


@dataclass(frozen=True)
class Plan:
    """What is known of a pipeline before anything is drawn.

    leaves[i] has op code i + 1. draws: what draws parameters, a leaf or the dealer of several. width: slots of a row of
    op codes. slots and lanes are the Philox counters of one batch's single draw.
    """

    nodes: tuple[Node, ...]
    leaves: tuple[Node, ...]
    slots: tuple[int, ...]
    lanes: tuple[int, ...]
    width: int
    draws: tuple[Node, ...]
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
        check_order(transforms)
        leaves, width = tuple(builder.leaves), sum(node.width for node in nodes)
        borders = {leaf.transform.border for leaf in leaves if isinstance(leaf.transform, Geometric)} - {None}
        ordered = tuple(sorted(borders, key=repr))
        counters = tuple(builder.slots), tuple(builder.lanes)
        return cls(tuple(nodes), leaves, *counters, width, tuple(builder.draws), normalize, ordered)  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, Any]:
        # What engines keep is theirs, in their process.
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """Return a place for what an engine makes of this plan once."""
        return {}

    @cached_property
    def kinds(self) -> Array:
        """Return the fuse class of each op code, 0 for op code 0."""
        return np.array([0, *(kind_of(leaf.transform) for leaf in self.leaves)])

    @cached_property
    def colors(self) -> tuple[int, ...]:
        """Return which of `draws`, from 1, are colour steps with parameters of their own."""
        return tuple(i for i, node in enumerate(self.draws, 1) if isinstance(node.transform, Color))

    @cached_property
    def moves(self) -> bool:
        """Tell whether anything in it moves pixels, so that targets have to follow."""
        return any(
            isinstance(t, Geometric) or (isinstance(t, Standalone) and t.moves)
            for t in (n.transform for n in self.leaves)
        )

    @cached_property
    def mixes(self) -> tuple[tuple[int, str, bool], ...]:
        """Return the slots where samples mix: the slot, the name of the partners' order, and whether it overlays."""
        found, slot = [], 0
        for node in self.nodes:
            kinds = mixes_in(node.transform)
            for i in range(node.width if kinds else 0):
                found.append((slot + i, f"{node.name}/{i}/partners", isinstance(kinds[0], Overlay)))
            slot += node.width
        return tuple(found)

    @cached_property
    def num_classes(self) -> int | None:
        """How many classes its mixes know of."""
        mixes = [leaf.transform for leaf in self.leaves if isinstance(leaf.transform, Mix)]
        return next((mix.num_classes for mix in mixes if mix.num_classes is not None), None)

    @cached_property
    def border_ids(self) -> Array:
        """Return the 1-based position in `borders` of each op code's border, 0 for one that looks nowhere."""
        found = [leaf.transform.border if isinstance(leaf.transform, Geometric) else None for leaf in self.leaves]
        return np.array([0, *(self.borders.index(border) + 1 if border else 0 for border in found)])

    @cached_property
    def sources(self) -> Array:
        """Return for each op code the position in `draws`, from 1, of what draws its parameters; 0 for op code 0."""
        by_code = {code: i for i, node in enumerate(self.draws, 1) for code in node.codes()}
        return np.array([0, *(by_code[code] for code in range(1, len(self.leaves) + 1))])

    @cached_property
    def same(self) -> Array:
        """Return for each op code the lowest one whose transform is equal: both are rendered together."""
        transforms = [leaf.transform for leaf in self.leaves]
        return np.array([0, *(transforms.index(transform) + 1 for transform in transforms)])

    @cached_property
    def unsure(self) -> tuple[int, ...]:
        """Return the op codes, lowest of equal ones, whose border matters for some samples only."""
        geometric = ((i, n.transform) for i, n in enumerate(self.leaves, 1) if isinstance(n.transform, Geometric))
        return tuple(sorted({int(self.same[i]) for i, transform in geometric if transform.may_stay_inside}))

    @cached_property
    def params(self) -> int:
        """How many parameters the leaf that has most of them has."""
        return max((leaf.transform.params for leaf in self.leaves), default=0)

    @cached_property
    def opens(self) -> Array:
        """Tell for each op code whether it starts a run of its own."""
        return np.array([False, *(isinstance(n.transform, Geometric) and n.transform.opens_run for n in self.leaves)])


class _Builder:
    """Number leaves and hand out columns of uniforms while the tree of nodes is built."""

    def __init__(self) -> None:
        self.leaves: list[Node] = []
        self.draws: list[Node] = []
        self.slots: list[int] = []
        self.lanes: list[int] = []

    def node(self, name: str, transform: Transform) -> Node:
        column = 4 * len(self.slots)
        blocks = -(-(transform.gated + transform.draws) // 4)
        self.slots += [slot_id(name)] * blocks
        self.lanes += range(blocks)
        if isinstance(transform, Dealer):
            parts = [self._leaf(f"{name}/{part}", child, column) for part, child in transform.parts().items()]
            node = Node(name, transform, column, 0, tuple(parts), transform.width([1] * len(parts)))
            self.draws.append(node)
            return node
        if isinstance(transform, Composite):
            children = tuple(self.node(f"{name}/{part}", child) for part, child in transform.parts().items())
            width = transform.width([child.width for child in children])
            return Node(name, transform, column, 0, children, width)
        if isinstance(transform, Normalize):
            raise ValueError(f"{name}: Normalize is the pipeline's output stage and cannot stand inside a combinator")
        leaf = self._leaf(name, transform, column)
        self.draws.append(leaf)
        return leaf

    def _leaf(self, name: str, transform: Transform, column: int) -> Node:
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
        fills = fills or (isinstance(part, Mix) and hasattr(part, "fill"))
        if isinstance(part, (Color, Pixelwise, Standalone)) or fills:
            raise ValueError(
                f"{inner}: {type(part).__name__} stands after Normalize, which is always rendered last; put it before. "
                "Its fill or value is then in image space: the mean colour takes the place of 0"
            )


def kind_of(transform: Transform) -> int:
    """Return the fuse class of a leaf. Raises TypeError for a transform of none."""
    if isinstance(transform, Pixelwise) and transform.textured:
        return STANDALONE
    for base, kind in (
        (Geometric, GEOMETRY),
        (Color, COLOR),
        (Pixelwise, ERASE),
        (Standalone, STANDALONE),
        (Mix, MIX),
    ):
        if isinstance(transform, base):
            return kind
    raise TypeError(
        f"{type(transform).__name__} belongs to no fuse class: Geometric, Color, Pixelwise, Standalone or Mix"
    )


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

    def to_dict(self) -> dict[str, Any]:
        """Return what was drawn as plain data: each sample's sizes and the steps that it goes through, in order.

        `Pipeline.replay` reads it again, also after steps were changed, moved or taken out; output_size is only told.
        """
        return {"version": 1, "samples": [self._sample(i) for i in range(len(self))]}

    def _sample(self, i: int) -> dict[str, Any]:
        steps = []
        for slot in self.ops[i].nonzero()[0].tolist():
            leaf = self.plan.leaves[self.ops[i, slot] - 1]
            numbers = self.params[i, slot, : leaf.transform.params].tolist()
            steps.append({"name": leaf.name, "transform": type(leaf.transform).__name__, "params": numbers})
        first, last = (self.sizes[i, end].astype(int).tolist() for end in (0, -1))
        return {"size": first, "output_size": last, "steps": steps}


class Follower(Protocol):
    """The boxes of a batch while it is drawn, for transforms that draw with an eye to them."""

    def sampler(self, transform: Transform, rows: Any) -> Callable[[Array, Array, float], Array]:
        """Return what takes the place of the transform's `sample_params` for these rows."""

    def follow(self, transform: Transform, rows: Any, params: Array, sizes: Array) -> None:
        """Move the rows' boxes as the transform does, given its parameters and the sizes before it."""


def draw(plan: Plan, rng: Rng, sizes: Array, strength: float = 1.0, boxes: Follower | None = None) -> Program:
    """Draw the program of a batch whose images have `sizes (B, 2)`; looks at no pixel.

    strength: 0 to 1, a factor on every range and every `p`. boxes: the samples' boxes, where a transform asks for them.
    Raises ValueError naming a sample that is too small.
    """
    u = np.asarray(uniform_from_words(rng.words(plan.slots, plan.lanes)))
    parts = [node.row(u, strength) for node in plan.nodes]
    count, width = len(rng), plan.width
    ops = np.concatenate(parts, axis=1) if parts else np.zeros((count, 0), np.int64)
    params = np.zeros((count, width, plan.params))
    at = np.empty((count, width + 1, 2))
    at[:, 0] = sizes
    sources = plan.sources[ops]
    for source in plan.colors:
        # What colour draws does not depend on sizes: all slots where it may stand at once.
        found, slots = (sources == source).nonzero()
        if len(found):
            node = plan.draws[source - 1]
            drawn = node.transform.sample_params(node.uniforms(u[found]), sizes[found], strength)
            params[found, slots, : drawn.shape[1]] = drawn
            sources[found, slots] = 0
    for slot in range(width):
        at[:, slot + 1] = at[:, slot]
        codes = ops[:, slot]
        for source, rows in rows_by_code(sources[:, slot]):
            node = plan.draws[source - 1]
            before = at[rows, slot]
            try:
                if isinstance(node.transform, Dealer):
                    drawn = node.deal_params(codes[rows], u[rows], before, strength)
                else:
                    sample_params = boxes.sampler(node.transform, rows) if boxes else node.transform.sample_params
                    drawn = sample_params(node.uniforms(u[rows]), before, strength)
            except RowError as error:
                sample = int(np.arange(count)[rows][error.row])
                raise ValueError(f"{node.name}: sample {sample} (index {rng.index[sample]}): {error}") from None
            params[rows, slot, : drawn.shape[1]] = drawn
            if isinstance(node.transform, (Geometric, Mix)):
                at[rows, slot + 1] = node.transform.output_size(drawn, before)
        if boxes:
            for code, rows in rows_by_code(codes):
                leaf = plan.leaves[code - 1].transform
                boxes.follow(leaf, rows, params[rows, slot, : leaf.params], at[rows, slot])
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
        joins = fuse and last is not None and word in (Geometric.word, Color.word, "text", "tokens") and last[0] == word
        joins = joins and not (leaf is not None and leaf.opens_run)
        if joins and last is not None and not (border and last[2] and border != last[2]):
            last[1].append(node.name)
            runs[-1] = (word, last[1], last[2] or border)
        elif word:
            runs.append((word, [node.name], border))
    texts = [f"{word}[{', '.join(names)}]" for word, names, _ in runs]
    # Finished images are mixed, so that overlays come last.
    end = len(texts) - sum(isinstance(mix, Overlay) for node in plan.nodes for mix in mixes_in(node.transform)[:1])
    return " -> ".join([*texts[:end], *(["normalize"] if plan.normalize else []), *texts[end:]]) or "nothing"


def _leaves(node: Node) -> Sequence[Node]:
    if not node.children:
        return [node] if isinstance(node.transform, Leaf) else []
    return [leaf for child in node.children for leaf in _leaves(child)]
