"""From a drawn program to runs: neighbouring geometry becomes one homography, neighbouring colour one pass.

Everything here is arithmetic on small arrays for the whole batch; engines only move pixels.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from augsynth.elementary import product
from augsynth.program import COLOR, GEOMETRY, MIX, STANDALONE, Plan, Program, rows_by_code
from augsynth.runs import (
    NEAREST,
    Alone,
    Colors,
    Erasing,
    Geometry,
    Mixed,
    Run,
)
from augsynth.transforms.base import Array, Border, Color, Geometric, Pixelwise, Standalone
from augsynth.transforms.combine import Mixture

_EDGE = Border("edge")
_FEW = 8  # up to this many samples plain Python beats numpy's fixed cost


def fuse(program: Program, *, exact_color: bool, joined: bool = True) -> list[Run]:
    """Group each sample's slots into runs, in order; samples at the same stage share a run of the same kind.

    joined=False gives every slot a run of its own: the sequential chain.
    """
    ops = program.plan.same[program.ops]
    if program.plan.mixes:
        ops = np.where(program.plan.kinds[ops] == MIX, 0, ops)  # no run: see `augsynth.mixing`
    program = replace(program, ops=ops)
    ids = _border_ids(program)
    stages = _stages(program, ids, joined)
    kinds = program.plan.kinds[program.ops]
    found: list[tuple[int, int, Run]] = []
    for kind in sorted(set(kinds[stages > 0].tolist())):
        here = kinds == kind
        if kind == STANDALONE:
            found += [(stage, kind, run) for stage, run in _alone(program, here, stages, exact_color, joined)]
            continue
        at, rows, active = _pairs(stages, here)
        if kind == GEOMETRY:
            runs: Any = _geometry(program, ids, rows, active)
        else:
            runs = _colors(program, rows, active, exact_color) if kind == COLOR else _erasing(program, rows, active)
        found += [(stage, kind, run) for stage, run in _split(runs, at)]
    return [run for _, _, run in sorted(found, key=lambda entry: entry[:2])]


def _pairs(stages: Array, here: Array) -> tuple[Array, Array, Array]:
    """List the runs of one fuse class: stage `(R,)`, sample `(R,)`, and its slots `(R, S)`; by stage, then sample."""
    samples, slots = here.nonzero()
    taken = np.zeros((int(stages.max()) + 1, len(stages)), bool)
    taken[stages[samples, slots], samples] = True
    at, rows = taken.nonzero()
    return at, rows, stages[rows] == at[:, None]


def _split(run: Any, stages: Array) -> list[tuple[int, Any]]:
    """Split runs computed together, in order of their `stages (R,)`, into one for each stage."""
    if stages[0] == stages[-1]:
        return [(int(stages[0]), run)]
    values = [(getattr(run, item.name), item.name in run.shared) for item in fields(run)]
    ends = [0, *(np.flatnonzero(np.diff(stages)) + 1).tolist(), len(stages)]
    return [
        (int(stages[start]), type(run)(*[value if whole else value[start:end] for value, whole in values]))
        for start, end in pairwise(ends)
    ]


def _stages(program: Program, ids: Array, joined: bool) -> Array:
    """Number each sample's runs from 1 `(B, S)`, 0 where nothing happens."""
    plan, (count, width) = program.plan, program.ops.shape
    # Of an op code only its fuse class counts, and whether it opens a run: few rows differ.
    signs = np.concatenate([2 * plan.kinds[program.ops] + plan.opens[program.ops], ids], 1)
    inverse = np.arange(count)
    if count > _FEW and width:
        # One item per row, so that rows sort as bytes.
        rows = np.ascontiguousarray(signs.astype(np.int16)).view(np.dtype((np.void, 4 * width)))[:, 0]
        _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
        signs = signs[first]
    table = [_number_runs(row[:width], row[width:], joined) for row in signs.tolist()]
    return np.array(table, np.int64).reshape(len(signs), width)[inverse]


def _number_runs(signs: list[int], edges: list[int], joined: bool) -> list[int]:
    """Number one sample's runs: a new one starts where the fuse class or the border changes.

    signs: twice the fuse class, plus 1 for a step that opens a run; edges: the border's number, 0 for none.
    """
    stage = open_kind = open_edge = 0
    row = []
    for sign, edge in zip(signs, edges, strict=True):
        kind, opens = sign >> 1, sign & 1
        if not kind:
            row.append(0)
            continue
        clash = kind == GEOMETRY and ((edge and opens) or (edge and open_edge and edge != open_edge))
        if not joined or kind != open_kind or kind not in (GEOMETRY, COLOR) or clash:
            stage, open_edge = stage + 1, 0
        open_kind, open_edge = kind, edge or open_edge
        row.append(stage)
    return row


def _border_ids(program: Program) -> Array:
    """Give each slot the 1-based position of its border in `plan.borders`, 0 where it does not look outside."""
    plan, ops = program.plan, program.ops
    ids = plan.border_ids[ops]
    for code in plan.unsure:
        leaf = plan.leaves[code - 1].transform
        rows, slots = np.nonzero(ops == code)
        if isinstance(leaf, Geometric) and len(rows):
            inside = ~leaf.looks_outside(program.params[rows, slots, : leaf.params], program.sizes[rows, slots])
            ids[rows[inside], slots[inside]] = 0
    return np.asarray(ids)


def _geometry(program: Program, ids: Array, rows: Array, active: Array) -> Geometry:
    plan, count = program.plan, len(rows)
    everyone = count == len(program) and bool((rows == np.arange(count)).all())
    matrix = np.zeros((count, 3, 3))
    matrix[:, [0, 1, 2], [0, 1, 2]] = 1.0
    interpolation, antialias = np.zeros(count, np.int64), np.ones(count, bool)
    cut_first = np.zeros(count, bool)
    first = active.argmax(1)
    last = active.shape[1] - 1 - active[:, ::-1].argmax(1)
    sizes_in, sizes_out = program.sizes[rows, first], program.sizes[rows, last + 1]
    for slot in np.flatnonzero(active.any(0)).tolist():
        codes = program.ops[:, slot] if everyone else program.ops[rows, slot]
        for code, part in rows_by_code(codes * active[:, slot]):
            which: Any = part if everyone else rows[part]
            leaf = plan.leaves[code - 1].transform
            assert isinstance(leaf, Geometric)
            drawn = program.params[which, slot, : leaf.params]
            sizes = program.sizes[which, slot]
            matrix[part] = product(matrix[part], leaf.matrix(drawn, sizes))
            if leaf.resizes:
                cut_first[part] |= leaf.cuts | (sizes != sizes_in[part]).any(1)
            kind, filtered = leaf.sampling
            interpolation[part] = np.maximum(interpolation[part], kind)
            antialias[part] &= filtered
    # All slots of a run agree on the border, or do not look outside.
    edge = (ids[rows] * active).max(1, initial=0)
    antialias &= interpolation > NEAREST
    sizes_in, sizes_out = sizes_in.astype(np.int64), sizes_out.astype(np.int64)
    known = (_EDGE, *plan.borders)
    return Geometry(rows, matrix, sizes_in, sizes_out, interpolation, antialias, edge, cut_first, known)


def _colors(program: Program, rows: Array, active: Array, exact: bool) -> Colors:
    slots = np.flatnonzero(active.any(0))
    count, steps = len(rows), len(slots)
    matrix = np.broadcast_to(np.eye(3), (count, steps, 3, 3)).copy()
    luma, hue = np.zeros((count, steps, 3)), np.full((count, steps), np.nan)
    expands, chroma = np.zeros((count, steps), bool), np.zeros((count, steps), bool)
    chosen = rows[:, None], slots
    codes, params, leaves = program.ops[chosen] * active[:, slots], program.params[chosen], program.plan.leaves
    for code in sorted(set(codes.ravel().tolist()) - {0}):
        leaf = leaves[code - 1].transform
        assert isinstance(leaf, Color)
        here = np.nonzero(codes == code)
        drawn = params[here][:, : leaf.params]
        matrix[here], luma[here] = leaf.matrix(drawn, exact)
        expands[here], chroma[here] = leaf.expands(drawn), leaf.chroma
        if leaf.hue and exact:
            hue[here] = drawn[:, 0]
    return Colors(rows, matrix, luma, active[:, slots], expands, hue, chroma)


def _alone(program: Program, here: Array, stages: Array, exact: bool, joined: bool) -> list[tuple[int, Alone]]:
    """Make a run for each stage and transform that renders itself; returns (stage, run) pairs."""
    found: list[tuple[int, Alone]] = []
    where = here.nonzero()
    # By transform, then by stage, then by sample.
    keys = program.ops[where] * (int(stages.max()) + 1) + stages[where]
    order = np.argsort(keys, kind="stable")
    samples, columns = where[0][order], where[1][order]
    ends = [0, *(np.flatnonzero(np.diff(keys[order])) + 1).tolist(), len(order)]
    for start, end in pairwise(ends):
        rows, slots = samples[start:end], columns[start:end]
        leaf = program.plan.leaves[program.ops[rows[0], slots[0]] - 1].transform
        assert isinstance(leaf, Standalone)
        params = program.params[rows, slots, : leaf.params]
        run = Alone(rows, leaf, params)
        if isinstance(leaf, Mixture):
            run = _mixed(rows, leaf, params, program.sizes[rows, slots], exact, joined)
        found.append((int(stages[rows[0], slots[0]]), run))
    return found


def _mixed(rows: Array, leaf: Mixture, params: Array, sizes: Array, exact: bool, joined: bool) -> Mixed:
    """Fuse the chains of a mixture as if each were a sample of a batch of its own."""
    weights, ops, numbers = leaf.chains(params)
    count, width, depth = ops.shape
    at = np.broadcast_to(np.repeat(sizes, width, 0)[:, None], (count * width, depth + 1, 2))
    chains = Program(_chain_plan(leaf), ops.reshape(-1, depth), numbers.reshape(count * width, depth, -1), at)
    return Mixed(rows, leaf, params, weights, tuple(fuse(chains, exact_color=exact, joined=joined)))


@lru_cache(maxsize=64)
def _chain_plan(leaf: Mixture) -> Plan:
    return Plan.of(leaf.leaves())


def _erasing(program: Program, rows: Array, active: Array) -> Erasing:
    rectangle = np.zeros((len(rows), 4), np.int64)
    paints: list[tuple[float, ...]] = [(0.0,)] * len(rows)
    for row, slot in enumerate(active.argmax(1).tolist()):
        leaf = program.plan.leaves[program.ops[rows[row], slot] - 1].transform
        assert isinstance(leaf, Pixelwise)
        rectangle[row] = leaf.rectangle(program.params[rows[row], slot][None, : leaf.params])[0]
        paints[row] = leaf.constant
    return Erasing(rows, rectangle, tuple(paints))
