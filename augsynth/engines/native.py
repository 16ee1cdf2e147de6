"""The compiled CPU engine: one call resamples, colours, erases, normalizes and writes a whole batch.

The kernel (`augsynth/native/`) keeps a row of an image in the cache from its first byte to the last. For plans that
`native_plan.py` lowers, another call draws: from keys to the kernel's tables. What the kernel does not know is rendered
by the transform itself, image by image, between two calls. Where no C compiler was at hand at installation there is no
such engine, and `opencv` takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from augsynth.compiled import kernel
from augsynth.engines.alone import render_alone
from augsynth.engines.buffers import allocate_batch, recycled
from augsynth.engines.native_plan import Instructions
from augsynth.engines.output import Output
from augsynth.engines.passes import Part, Pass, moves_or_colors, passes_of
from augsynth.images import SMALL
from augsynth.rng import Rng
from augsynth.runs import NEAREST, Alone, Colors, Erasing, Geometry, Mixed, Run
from augsynth.transforms.base import BORDER_MODES, Array, Border
from augsynth.transforms.color import LUMA, LUMA_ONE

SETS: tuple[str, ...] = tuple(kernel.sets()) if kernel else ()
_TYPES = {torch.uint8: 0, torch.float32: 1, torch.bfloat16: 2}
_NOTHING, _MATRIX, _HUE, _ERASE = range(4)
# Transforms on whole levels that the kernel knows, by their `kernel_step`.
_NAMES = ("invert", "posterize", "solarize", "autocontrast", "equalize", "sharpen")
_LEVELS = {name: code for code, name in enumerate(_NAMES, _ERASE + 1)}
# The stride of the channels where there is no axis for them.
_GRAY = -(2**31)
# A thread is worth its start from this many pixels of output on.
_PIXELS = 1 << 18
# As in native/base.h.
SAMPLE = np.dtype(
    [
        ("source", "i8"),
        ("target", "i8"),
        ("matrix", "f8", (3, 3)),
        ("strides", "i4", 3),
        ("image", "i4", 2),
        ("size", "i4", 2),
        ("interpolation", "i4"),
        ("antialias", "i4"),
        ("cut_first", "i4"),
        ("bordered", "i4"),
        ("border", "i4"),
        ("fill", "f4", 3),
        ("steps", "i4"),
        ("type", "i4"),
    ],
    align=True,
)
STEP = np.dtype(
    {
        "names": ["code", "mean", "matrix", "shift", "rectangle", "vector"],
        "formats": ["i4", "i4", "(3,3)f4", "f4", "4i4", "3f4"],
        "offsets": [0, 4, 8, 8, 8, 44],
        "itemsize": 56,
    }
)
if kernel and (SAMPLE.itemsize, STEP.itemsize) != (kernel.SAMPLE_BYTES, kernel.STEP_BYTES):
    raise ImportError("augsynth._native was compiled from other sources than these: install augsynth again")


def render(
    images: Sequence[Array], runs: Sequence[Run], sizes: Array, output: Output, exact: bool
) -> torch.Tensor | list[torch.Tensor]:
    """Render B images `(H, W, C)` or `(H, W)`, uint8 or float32 of any strides, C 1 or 3, to `sizes (B, 2)`.

    Returns one contiguous `(B, C, h, w)` batch where all samples end in the same size, else B tensors `(C, h, w)`.
    """
    current = list(images)
    known = _known(output.white)
    if output.is_integer and images[0].size > 3 * SMALL and all(isinstance(run, Alone) for run in runs):
        known = moves_or_colors  # tones of bytes that stay bytes are a table or less: floats would take twice as long
    *steps, last = passes_of(runs, len(images), known)
    _advance(current, steps, output.white, exact)
    assert isinstance(last, Pass)
    return _render_last(current, last, sizes, output, exact)


def _known(white: float) -> Callable[[Run], bool]:
    """Return what tells the runs that the kernel renders: on whole levels a few more."""
    whole = white == 255.0

    def known(run: Run) -> bool:
        return not isinstance(run, Alone) or (whole and run.transform.kernel_step in _LEVELS)

    return known


def _advance(current: list[Array], steps: Sequence[Pass | Alone], white: float, exact: bool) -> None:
    for step in steps:
        if isinstance(step, Mixed):
            _mix(current, step, white, exact)
        elif isinstance(step, Alone):
            render_alone(current, step, white)
        elif step.parts:
            _render_between(current, step, white, exact)


def _mix(current: list[Array], run: Mixed, white: float, exact: bool) -> None:
    """Replace images by weighted sums of themselves and of chains over them."""
    rows, width = run.rows.tolist(), run.weights.shape[1] - 1
    chains = [current[row] for row in rows for _ in range(width)]
    _advance(chains, passes_of(run.runs, len(chains), _known(white)), white, exact)
    for i, (row, weights) in enumerate(zip(rows, run.weights.astype(np.float32), strict=True)):
        total = current[row] * weights[0]
        for weight, chain in zip(weights[1:], chains[i * width :], strict=False):
            total += chain * weight
        # The weights sum to 1 but for rounding.
        current[row] = np.clip(total, 0.0, white, out=total)


def _render_between(current: list[Array], step: Pass, white: float, exact: bool) -> None:
    """Render what another step follows, into arrays of floats; bytes that are only picked and not mixed stay bytes."""
    rows = step.rows.tolist()
    images = [current[row] for row in rows]
    table = samples_of(images)
    _move(table, step.parts)
    picked = (table["type"] == _TYPES[torch.uint8]) & (table["interpolation"] == NEAREST)
    for part in step.parts:
        if not isinstance(part.run, Geometry):
            picked[part.at] = False
    kinds = [np.uint8 if stays else np.float32 for stays in picked.tolist()]
    results = [
        np.empty((*size, *image.shape[2:]), kind)
        for image, size, kind in zip(images, table["size"].tolist(), kinds, strict=True)
    ]
    table["target"] = [_address(result) for result in results]
    for chosen, dtype in ((picked, torch.uint8), (~picked, torch.float32)):
        _call(table, step.parts, chosen, Output.between(white, dtype), exact, interleaved=True)
    for row, result in zip(rows, results, strict=True):
        current[row] = result


def _render_last(
    current: list[Array], step: Pass, sizes: Array, output: Output, exact: bool
) -> torch.Tensor | list[torch.Tensor]:
    table = samples_of(current)
    _move(table, step.parts)
    everyone = np.ones(len(current), bool)
    coloured = table["strides"][:, 0] != _GRAY
    return _into_tensors(
        table, sizes, coloured, output, lambda to: _call(table, step.parts, everyone, replace(output, dtype=to), exact)
    )


def _into_tensors(
    table: Array, sizes: Array, coloured: Array, output: Output, write: Callable[[torch.dtype], None]
) -> torch.Tensor | list[torch.Tensor]:
    """Give each sample of a table its target, in one batch where all are alike, and let `write` fill them."""
    kind = output.dtype if output.dtype in _TYPES else torch.float32
    if (sizes == sizes[0]).all() and (coloured == coloured[0]).all():
        shape = (len(table), 3 if coloured[0] else 1, int(sizes[0, 0]), int(sizes[0, 1]))
        batch = allocate_batch(shape, output.dtype)
        into = batch if kind == output.dtype else recycled(shape, kind)
        table["target"] = into.data_ptr() + into.stride(0) * into.element_size() * np.arange(len(table))
        write(kind)
        return batch if into is batch else batch.copy_(into)
    shapes = [(3 if c else 1, int(h), int(w)) for c, (h, w) in zip(coloured, sizes.tolist(), strict=True)]
    rows = [recycled(shape, kind) for shape in shapes]
    table["target"] = [row.data_ptr() for row in rows]
    write(kind)
    return rows if kind == output.dtype else [row.to(output.dtype) for row in rows]


def render_drawn(
    images: Sequence[Array], plan: Instructions, rng: Rng, output: Output, exact: bool
) -> torch.Tensor | list[torch.Tensor] | None:
    """Draw and render B images `(H, W, C)` or `(H, W)`; None where numpy has to draw, as for an image too small."""
    table = np.zeros(len(images), SAMPLE)
    kernel.describe(images, _address(table), SAMPLE.itemsize)
    gray = table["strides"][:, 0] == _GRAY
    if len(images) > 1 and (gray != gray[0]).any():
        return None
    channels = 1 if gray[0] else 3
    steps = np.zeros((len(images), max(plan.capacity, 1)), STEP)
    keys = [np.ascontiguousarray(words, np.int64) for words in (rng.index, rng.occurrence, rng.epoch)]
    constants = plan.constants[exact]
    # No address is kept: a pipeline travels to other processes.
    drawn = kernel.draw(
        _address(plan.program),
        len(plan.program),
        *map(_address, (plan.slots, plan.lanes)),
        len(plan.slots),
        _address(constants),
        channels,
        exact,
        *map(_address, keys),
        rng.seed,
        *map(_address, (table, steps)),
        len(images),
        steps.shape[1],
    )
    if not drawn:
        return None
    options = _options(channels, output, exact)
    return _into_tensors(
        table, table["size"], ~gray, output, lambda to: _run(table, steps, (channels, _TYPES[to], False, *options))
    )


def _address(array: Array) -> int:
    return int(array.ctypes.data)  # of an array of records the __array_interface__ takes 50 us


def samples_of(images: Sequence[Array]) -> Array:
    """Return a table `(B,)` of SAMPLE that copies images, which may have any strides of whole elements."""
    table = np.zeros(len(images), SAMPLE)
    kernel.describe(images, _address(table), SAMPLE.itemsize)
    table["size"] = table["image"]
    table["matrix"] = np.eye(3)
    return table


def _move(table: Array, parts: Sequence[Part]) -> None:
    for part in parts:
        if not isinstance(part.run, Geometry):
            continue
        run, at, p = part.run, part.at, part.position
        table["matrix"][at], table["size"][at] = run.whole[p], run.size[p]
        table["interpolation"][at], table["antialias"][at] = run.interpolation[p], run.antialias[p]
        table["cut_first"][at] = run.cut_first[p]
        edge = run.edge[p]
        table["bordered"][at] = edge > 0
        modes, fills = _borders(run.known)
        table["border"][at], table["fill"][at] = modes[edge], fills[edge]


def _borders(known: tuple[Border, ...]) -> tuple[Array, Array]:
    fills = [border.fill * 3 if len(border.fill) == 1 else border.fill for border in known]
    return np.array([BORDER_MODES.index(border.mode) for border in known]), np.array(fills, np.float32)


def _steps(parts: Sequence[Part], count: int, channels: int, exact: bool) -> Array:
    """Return the steps `(B, K)` of STEP of a pass: each part has columns of its own."""
    found = [part for part in parts if not isinstance(part.run, Geometry)]
    widths = [part.run.used.shape[1] if isinstance(part.run, Colors) and exact else 1 for part in found]
    steps = np.zeros((count, sum(widths)), STEP)
    start = 0
    for part, width in zip(found, widths, strict=True):
        mine = np.zeros((len(part.at), width), STEP)
        if isinstance(part.run, Alone):
            mine["code"] = _LEVELS[part.run.transform.kernel_step]
            mine["vector"][:, 0] = part.run.transform.kernel_numbers(part.run.params[part.position])
        elif isinstance(part.run, Erasing):
            _erase(mine[:, 0], part.run, part.position)
        elif isinstance(part.run, Colors):
            (_exact if exact else _linear)(mine, part.run, part.position, channels)
        steps[part.at, start : start + width] = mine
        start += width
    return steps


def _erase(steps: Array, run: Erasing, p: Array) -> None:
    steps["code"], steps["rectangle"] = _ERASE, run.rectangle[p]
    steps["vector"] = [run.paints[i] * 3 if len(run.paints[i]) == 1 else run.paints[i] for i in p.tolist()]


def _linear(steps: Array, run: Colors, p: Array, channels: int) -> None:
    matrix, vector = run.composed(channels)
    steps["code"] = _MATRIX
    steps["matrix"][:, 0, :channels, :channels], steps["vector"][:, 0, :channels] = matrix[p], vector[p]
    steps["mean"][:, 0] = (vector[p] != 0).any(1)


def _exact(steps: Array, run: Colors, p: Array, channels: int) -> None:
    used = run.used[p]
    if channels == 1:
        used = used & ~run.chroma[p]
    turned = ~np.isnan(run.hue[p]) if channels == 3 else np.zeros_like(used)
    steps["code"] = np.where(used, np.where(turned, _HUE, _MATRIX), _NOTHING)
    steps["matrix"], steps["vector"] = run.matrix[p], run.luma[p]
    steps["mean"] = (run.luma[p] != 0).any(2) & used & ~turned
    if turned.any():
        steps["shift"][turned] = run.hue[p][turned]


def _call(
    table: Array,
    parts: Sequence[Part],
    chosen: Array,
    output: Output,
    exact: bool,
    interleaved: bool = False,
) -> None:
    """Render the samples `chosen (B,)` bool of a table: one call for gray and one for coloured images."""
    gray = table["strides"][:, 0] == _GRAY
    for channels, mine in ((1, chosen & gray), (3, chosen & ~gray)):
        if not mine.any():
            continue
        steps = _steps(parts, len(table), channels, exact)
        table["steps"] = steps.shape[1]
        rows = table
        if not mine.all():
            rows, steps = table[mine], steps[mine]
        _run(rows, steps, (channels, _TYPES[output.dtype], interleaved, *_options(channels, output, exact)))


@lru_cache(64)
def _options(channels: int, output: Output, exact: bool) -> tuple[Any, ...]:
    """Return white, then weights of the luma, scales and offsets of three channels."""
    three = (LUMA if exact else LUMA_ONE, *output.affine(channels))
    return output.white, *[tuple(np.resize(values, 3).tolist()) for values in three]


def _run(rows: Array, steps: Array, options: tuple[Any, ...]) -> None:
    """Render a table `(R,)` with its steps `(R, K)`, in as many threads as torch may use where that pays."""
    parts = min(torch.get_num_threads(), len(rows))
    if parts > 1:
        parts = min(parts, int(rows["size"].prod(1).sum()) // _PIXELS)

    def render_part(start: int, end: int) -> None:
        chosen = rows[start:end], steps[start:end]
        kernel.render(SETS[0], *map(_address, chosen), end - start, steps.shape[1], *options)

    if parts < 2:
        render_part(0, len(rows))
        return
    ends = np.linspace(0, len(rows), parts + 1).astype(int).tolist()
    # Threads of this call alone: a pool that is kept does not survive a fork.
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(render_part, ends[:-1], ends[1:]))
