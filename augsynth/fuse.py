"""From a drawn program to runs: neighbouring geometry becomes one homography, neighbouring colour one pass.

Everything here is arithmetic on small arrays for the whole batch; engines only move pixels.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from augsynth.program import COLOR, GEOMETRY, MIX, STANDALONE, Plan, Program, rows_by_code
from augsynth.runs import (
    BICUBIC,
    BILINEAR,
    COPY,
    NEAREST,
    RESIZE,
    WARP,
    Alone,
    Colors,
    Erasing,
    Geometry,
    Mixed,
    Run,
)
from augsynth.transforms.base import INTERPOLATIONS, Array, Border, Color, Geometric, Pixelwise, Standalone
from augsynth.transforms.combine import Mixture

_EDGE = Border("edge")
_TOLERANCE = 1e-6
# The interpolation after the filter smooths too. With steps of up to 1.6 pixels left to it, the result is two to ten
# times closer to the exact average than with a filter that goes all the way: on photographs, zone plates and noise.
_STEP = 1.6
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
    values = [getattr(run, item.name) for item in fields(run)]
    ends = [0, *(np.flatnonzero(np.diff(stages)) + 1).tolist(), len(stages)]
    return [(int(stages[start]), type(run)(*[value[start:end] for value in values])) for start, end in pairwise(ends)]


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
            matrix[part] = matrix[part] @ leaf.matrix(drawn, sizes)
            if leaf.resizes:
                cut_first[part] |= leaf.cuts | (sizes != sizes_in[part]).any(1)
            kind, filtered = leaf.sampling
            interpolation[part] = np.maximum(interpolation[part], kind)
            antialias[part] &= filtered
    # All slots of a run agree on the border, or do not look outside.
    edge = (ids[rows] * active).max(1, initial=0)
    antialias &= interpolation > NEAREST
    return _place(rows, matrix, sizes_in, sizes_out, interpolation, antialias, edge, plan.borders, cut_first)


def _near_int(value: Array) -> Array:
    return np.asarray(np.abs(value - np.rint(value)) < _TOLERANCE)


def _place(
    rows: Array,
    matrix: Array,
    size_in: Array,
    size_out: Array,
    kind: Array,
    antialias: Array,
    edge: Array,
    borders: tuple[Border, ...],
    cut_first: Array,
) -> Geometry:
    """Choose each sample's path and its whole-pixel windows; edge: 1-based position in `borders`, 0 for none."""
    whole = matrix
    flat = (np.abs(matrix[:, 2, :2]) < 1e-12).all(1)
    tiny = np.abs(matrix[:, :2, :2]) < _TOLERANCE
    turned = flat & tiny[:, 0, 0] & tiny[:, 1, 1]
    if turned.any():
        # A quarter turn is a swap of the source's axes and an axis-aligned map.
        matrix = np.where(turned[:, None, None], matrix[:, [1, 0, 2]], matrix)
        size_in = np.where(turned[:, None], size_in[:, ::-1], size_in)
    count = len(rows)
    path, box, full = np.full(count, WARP), np.zeros((count, 4)), size_out.copy()
    offset, flips = np.zeros((count, 2)), np.zeros((count, 2), bool)
    aligned = turned | (flat & tiny[:, 0, 1] & tiny[:, 1, 0])
    if aligned.any():
        part = aligned.nonzero()[0]
        resizable = (edge[part] == 0) & (kind[part] > NEAREST)
        windows = _windows(matrix[part], size_in[part], size_out[part], resizable, cut_first[part])
        path[part], box[part], full[part], offset[part], flips[part] = windows
    warped = (path == WARP).nonzero()[0]
    if len(warped):
        folds = np.array([False, *(border.mode in ("reflect", "symmetric") for border in borders)])[edge[warped]]
        shrunk = _shrunk(matrix[warped], size_in[warped], size_out[warped], antialias[warped], folds)
        matrix = matrix.copy()
        box[warped], full[warped], matrix[warped] = shrunk
    box_i, full_i, offset_i, size_i = (array.astype(np.int64) for array in (box, full, offset, size_out))
    flip_y, flip_x = flips.T
    known = (_EDGE, *borders)
    mine = tuple([known[i] for i in edge.tolist()])
    return Geometry(
        rows, path, turned, box_i, full_i, offset_i, size_i, flip_y, flip_x, matrix, kind, antialias, mine, whole
    )


def _windows(
    matrix: Array, size_in: Array, size_out: Array, resizable: Array, cut_first: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Find the whole-pixel windows of axis-aligned maps: path, box, full, offset, flips as in `Geometry`.

    A window of the input that is resized ends at its own edges; a window of the resized image is a slice of it. Both
    can be the same map: cut_first tells which of the two the transforms asked for.
    """
    scale, shift = matrix[:, [1, 0], [1, 0]], matrix[:, [1, 0], [2, 2]]
    ends = shift + scale * size_out
    low, high = np.minimum(shift, ends), np.maximum(shift, ends)
    step = np.maximum(np.abs(scale), 1e-9)
    whole = (_near_int(low) & _near_int(high)).all(1)
    copy = whole & (np.abs(step - 1) < 1e-9).all(1)
    inside = ((low > -_TOLERANCE) & (high < size_in + _TOLERANCE)).all(1)
    total, before = size_in / step, low / step
    sliced = (_near_int(total) & _near_int(before)).all(1)
    resize = ~copy & inside & (whole | sliced) & resizable
    path = np.where(copy, COPY, np.where(resize, RESIZE, WARP))
    cut = (resize & ~(whole & (cut_first | ~sliced)))[:, None]
    window = np.concatenate([np.rint(low), np.rint(high)], 1)
    entire = np.concatenate([np.zeros_like(size_in), size_in], 1)
    box = np.where(cut, entire, window)
    full, offset = np.where(cut, np.rint(total), size_out), np.where(cut, np.rint(before), 0.0)
    return path, box, full, offset, (scale < 0) & (path != WARP)[:, None]


_CORNERS = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
_MIDDLE = np.array([0.5, 0.5, 1.0])
_HORIZON = 1e-6  # a homography's third coordinate: no picture lies behind it


def _shrunk(
    matrix: Array, size_in: Array, size_out: Array, antialias: Array, everything: Array
) -> tuple[Array, Array, Array]:
    """Bound the preimage of the output by a box, and choose the size to which a filter shrinks it first.

    Returns box, that size, and the matrix from the output into the shrunk box. A step of one output pixel moves at
    most about `_STEP` pixels there, so that plain interpolation hardly aliases.
    """
    extent = np.ones((len(matrix), 1, 3))
    extent[:, 0, :2] = size_out[:, ::-1]
    scaled = matrix * extent
    mapped = scaled @ _CORNERS
    points, slope = mapped[:, :2], matrix[:, :2, :2]
    if (matrix[:, 2, :2] != 0).any():
        points = points / np.maximum(mapped[:, 2:], _HORIZON)
        middle = scaled @ _MIDDLE
        depth = np.maximum(middle[:, 2], _HORIZON)[:, None]
        at = middle[:, :2] / depth
        slope = (slope - at[:, :, None] * matrix[:, 2:, :2]) / depth[:, :, None]
        # The output looks past the horizon: no corner bounds what it sees, and there the slope has no end.
        everything = everything | (mapped[:, 2] < _HORIZON).any(1)
        antialias = antialias & (middle[:, 2] >= _HORIZON)
    # Rows of the Jacobian are x and y of the input; sizes are height, width.
    shrink = np.sqrt((slope**2).sum(2))[:, ::-1]
    shrink = np.where(antialias[:, None], np.maximum(shrink / _STEP, 1.0), 1.0)
    margin = 2 + np.ceil(shrink)
    low = np.floor(points.min(2)[:, ::-1]) - margin
    high = np.ceil(points.max(2)[:, ::-1]) + margin
    if everything.any():
        low, high = np.where(everything[:, None], 0, low), np.where(everything[:, None], size_in, high)
    low = np.minimum(np.maximum(low, 0), size_in - 1)
    high = np.minimum(np.maximum(high, low + 1), size_in)
    length = high - low
    full = np.maximum(np.ceil(length / shrink - _TOLERANCE), 1.0)
    ratio = (full / length)[:, ::-1]
    into = np.zeros_like(matrix)
    into[:, [0, 1], [0, 1]], into[:, 2, 2] = ratio, 1.0
    into[:, :2, 2] = -low[:, ::-1] * ratio
    return np.concatenate([low, high], 1), full, into @ matrix


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


__all__ = [
    "BICUBIC",
    "BILINEAR",
    "COPY",
    "INTERPOLATIONS",
    "NEAREST",
    "RESIZE",
    "WARP",
    "Alone",
    "Colors",
    "Erasing",
    "Geometry",
    "Mixed",
    "Run",
    "fuse",
]
