"""Mixed batches in float64 numpy: partners, whole grids of images, weights and windows, by formulas of their own."""

from __future__ import annotations

import numpy as np
from reference_geometry import as_tuple, resample

from augsynth.rng import Rng, slot_id

RANK = {"nearest": 0, "bilinear": 1, "bicubic": 2}


def partners(seed, index, epoch, occurrence, name, number):
    """Return for each sample the positions of itself and its next `number`, by a keyed 64-bit number each."""
    words = Rng.of(seed, index, epoch, occurrence).words([slot_id(name)], [0])
    keys = [int(high) * 2**32 + int(low) for high, low in words[:, :2]]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    place = {row: k for k, row in enumerate(order)}
    return [[order[(place[row] + k) % len(order)] for k in range(number + 1)] for row in range(len(order))]


def slots(pipeline):
    """Yield the first slot of each top-level transform, its width and its name."""
    start = 0
    for node in pipeline.plan.nodes:
        yield start, node.width, node.name
        start += node.width


def drawn(program, sample, slot):
    """Return the transform and the parameters of one sample in one slot, or None."""
    code = program.ops[sample, slot]
    if not code:
        return None
    transform = program.plan.leaves[code - 1].transform
    return transform, program.params[sample, slot, : transform.params]


def is_mix(step):
    return step is not None and type(step[0]).__name__ in ("MixUp", "CutMix", "Mosaic")


def render(pipeline, program, arrays, key, render_steps, finish):
    """Render a batch slot by slot. render_steps: `(steps, pixels, doubt) -> (pixels, doubt)`; finish: the output."""
    count, width = program.ops.shape
    state = [(pixels, np.zeros(pixels.shape[:2], bool)) for pixels in arrays]
    pending = [[] for _ in arrays]
    names = {start + i: f"{name}/{i}/partners" for start, wide, name in slots(pipeline) for i in range(wide)}
    overlays = []
    for slot in range(width):
        steps = [drawn(program, sample, slot) for sample in range(count)]
        mosaics = [step is not None and type(step[0]).__name__ == "Mosaic" for step in steps]
        if any(is_mix(step) and not mosaic for step, mosaic in zip(steps, mosaics, strict=True)):
            overlays.append((slot, steps))
            continue
        before = [render_steps(p, *s) for p, s in zip(pending, state, strict=True)] if any(mosaics) else None
        for sample, step in enumerate(steps):
            if mosaics[sample]:
                number = step[0].grid_yx[0] * step[0].grid_yx[1] - 1
                chosen = partners(pipeline.seed, *key, names[slot], number)[sample]
                state[sample], pending[sample] = mosaic(*step, [before[i] for i in chosen]), []
            elif step is not None:
                pending[sample].append(step)
    state = [render_steps(p, *s) for p, s in zip(pending, state, strict=True)]
    state = [(finish(pixels), doubt) for pixels, doubt in state]
    for slot, steps in overlays:
        pairs = partners(pipeline.seed, *key, names[slot], 1)
        state = [overlay(step, state[i], state[j]) for step, (i, j) in zip(steps, pairs, strict=True)]
    return state


def overlay(step, own, other):
    """Mix two pictures with their doubts."""
    if step is None:
        return own
    weight, top, left, height, width = step[1]
    pixels, doubt = weight * own[0] + (1 - weight) * other[0], own[1] | (other[1] & (weight < 1))
    if type(step[0]).__name__ == "CutMix":
        window = np.s_[int(top) : int(top + height), int(left) : int(left + width)]
        pixels[window], doubt[window] = other[0][window], other[1][window]
    return pixels, doubt


def cell_map(t, k, size):
    """Return the map from a cell's points to its image's, and which border the cell wants."""
    row, column = divmod(k, t.grid_yx[1])
    (height, width), (h, w) = t.cell_shape, size
    factor = max(height / h, width / w) if t.fit_mode == "cover" else min(height / h, width / w)
    gap_x, gap_y = width - factor * w, height - factor * h
    # Towards the middle: what lies left of it is aligned to the right, and so on.
    x = gap_x * (1 if 2 * column + 1 < t.grid_yx[1] else 0.5 if 2 * column + 1 == t.grid_yx[1] else 0)
    y = gap_y * (1 if 2 * row + 1 < t.grid_yx[0] else 0.5 if 2 * row + 1 == t.grid_yx[0] else 0)
    border = ("constant", as_tuple(t.fill)) if t.fit_mode == "contain" else None
    return np.array([[1 / factor, 0, -x / factor], [0, 1 / factor, -y / factor], [0, 0, 1]]), border


def mosaic(t, params, sources):
    """Fill the whole grid with resized images, and cut the view out."""
    (height, width), (rows, columns) = t.cell_shape, t.grid_yx
    grid = np.zeros((rows * height, columns * width, sources[0][0].shape[2]))
    doubt = np.zeros(grid.shape[:2], bool)
    for k, (pixels, unsure) in enumerate(sources):
        matrix, border = cell_map(t, k, pixels.shape[:2])
        row, column = divmod(k, columns)
        at = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
        rank = RANK[t.interpolation]
        grid[at], ties = resample(pixels, matrix, t.cell_shape, rank, rank > 0, border, False)
        spread, _ = resample(unsure[:, :, None] * 1.0, matrix, t.cell_shape, 1, True, None, False)
        doubt[at] = ties | (spread[:, :, 0] > 1e-9)
    top, left = params.astype(int)
    view = np.s_[top : top + t.target_size[0], left : left + t.target_size[1]]
    return grid[view], doubt[view]


def tolerance(program, sample, size, column, dtype, joined, table, error_of):
    """Return the allowed error: that of the pictures that come together, and of bytes being rounded in between.

    error_of: `(steps, size, column, joined, error before) -> error`, for steps of single images.
    """
    bytes_between = 0.5 * (dtype == "uint8")
    worst = 0.0
    for row in range(len(program.ops)):
        error, steps = 0.0, []
        for slot in range(program.ops.shape[1]):
            step = drawn(program, row, slot)
            if step is not None and type(step[0]).__name__ == "Mosaic":
                # Its tiles may come from any of the batch.
                error = worst_before(program, slot, column, joined, error_of) + bytes_between
                error, steps = error + table["resample that shrinks"][column] + bytes_between, []
                size = step[0].target_size
            elif step is not None and not is_mix(step):
                steps.append(step)
        worst = max(worst, error_of(steps, size, column, joined, error))
    return worst + bytes_between


def worst_before(program, slot, column, joined, error_of):
    """Return the largest error of all samples before the first mosaic."""
    found = []
    for row in range(len(program.ops)):
        steps = [step for k in range(slot) if (step := drawn(program, row, k)) is not None and not is_mix(step)]
        found.append(error_of(steps, tuple(program.sizes[row, 0].astype(int)), column, joined, 0.0))
    return max(found)
