"""The engine for CUDA: one launch resamples, colours, erases, normalizes and writes a batch.

The launch works on (sample, tile) pairs. A row of parameters per sample holds the image's own address and strides, so
images of any size, layout (NCHW or NHWC) or place in memory go together, and nothing is packed. Where a map shrinks,
the antialiasing filter of `augsynth.fuse` is evaluated inside the launch at each tap, without a shrunk copy.
A launch before it adds up luma where a sample's contrast asks for the mean; sums of tiles are added in a fixed order,
so that the same bits come out each time. Parameters cross in one copy from pinned memory, and the host never waits.
What the kernel does not know is rendered by the torch engine on the device, between launches; that one does wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
import triton.language as tl

from augsynth.engines import torch as torch_engine
from augsynth.engines import triton_kernel as kernel
from augsynth.engines import triton_layout as layout
from augsynth.engines.output import Output
from augsynth.engines.triton_table import Part, Table, build, mask_rows
from augsynth.runs import Alone, Geometry, Run
from augsynth.transforms.base import Array
from augsynth.transforms.color import LUMA

INTERPRETED = layout.INTERPRETED
_TYPES = {
    torch.uint8: tl.uint8,
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
}
_MASK_TYPES = {
    torch.bool: tl.int8,
    torch.uint8: tl.uint8,
    torch.int8: tl.int8,
    torch.int16: tl.int16,
    torch.int32: tl.int32,
    torch.int64: tl.int64,
}
# Two pixels a thread. With four, ptxas counts 112 registers a thread instead of 56, and half as many threads fit.
# The interpreter pays for each operation, however many pixels it has.
_TILE_Y, _TILE_X = (64, 64) if INTERPRETED else (8, 32)


def render(images: Sequence[torch.Tensor], runs: Sequence[Run], output: Output, exact: bool) -> list[torch.Tensor]:
    """Render B images `(C, H, W)` of uint8, float16, bfloat16 or float32, C 1 or 3, to `(C, h, w)` of `output.dtype`.

    Samples of equal size are rows of one contiguous batch. Raises ValueError where images lie on several devices, and
    for an image of 2**31 elements.
    """
    stray = next((i for i, image in enumerate(images) if image.device != images[0].device), None)
    if stray is not None:
        raise ValueError(
            f"engine=triton: sample {stray} is on {images[stray].device} and sample 0 on {images[0].device}; "
            "give one device per batch"
        )
    current = list(images)
    with _on(images[0].device):
        for step in _passes(runs, len(images)):
            if isinstance(step, Alone):
                _render_alone(current, step, output.white, exact)
            else:
                _render_pass(current, step, output if step.last else _working(output.white), exact)
    return current


def _on(device: torch.device) -> AbstractContextManager[object]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _working(white: float) -> Output:
    """Describe what passes between launches: float32 in the input's own units."""
    return Output(white, (0.0,), (1 / white,), torch.float32)


@dataclass(frozen=True)
class _Pass:
    """What one launch does: rows `(R,)` of the batch, and what each run does to some of them."""

    rows: Array
    parts: tuple[Part, ...]
    last: bool


def _passes(runs: Sequence[Run], count: int) -> list[_Pass | Alone]:
    """Split runs into what the kernel takes at once: per sample one resample, then colours and rectangles.

    A sample's next resample opens its next pass; a transform that renders itself stands between two passes. The last
    pass has all samples, and each sample's last part.
    """
    depth, busy = np.zeros(count, np.int64), np.zeros(count, bool)
    levels = []
    for run in runs:
        if isinstance(run, Alone):
            # Passes of the kernel have even numbers, what stands between them odd ones.
            depth[run.rows] = depth[run.rows].max() | 1
        elif isinstance(run, Geometry):
            depth[run.rows] += 2 * busy[run.rows]
        levels.append(depth[run.rows])
        depth[run.rows] += isinstance(run, Alone)
        busy[run.rows] = not isinstance(run, Alone)
    last = int(depth.max())
    # Whatever is not followed by anything can wait for the last pass.
    levels = [np.where(level == depth[run.rows], last, level) for run, level in zip(runs, levels, strict=True)]
    found: list[_Pass | Alone] = []
    for level in sorted({last, *(number for numbers in levels for number in numbers.tolist())}):
        here = [(run, (numbers == level).nonzero()[0]) for run, numbers in zip(runs, levels, strict=True)]
        if level % 2:
            found += [run for run, position in here if isinstance(run, Alone) and len(position)]
        else:
            found.append(_pass([pair for pair in here if len(pair[1])], count, level == last))
    return found


def _pass(pairs: Sequence[tuple[Run, Array]], count: int, last: bool) -> _Pass:
    taking_part = np.full(count, last)
    for run, position in pairs:
        taking_part[run.rows[position]] = True
    place = taking_part.cumsum() - 1
    parts = tuple(Part(run, position, place[run.rows[position]]) for run, position in pairs)
    return _Pass(taking_part.nonzero()[0], parts, last)


def _render_alone(current: list[torch.Tensor], run: Alone, white: float, exact: bool) -> None:
    rows = run.rows.tolist()
    among_themselves = replace(run, rows=np.arange(len(rows)))
    images = [current[row] for row in rows]
    rendered = torch_engine.render(images, [among_themselves], _working(white), exact)
    for row, image in zip(rows, rendered, strict=True):
        current[row] = image


def _render_pass(current: list[torch.Tensor], step: _Pass, output: Output, exact: bool) -> None:
    images = [current[row] for row in step.rows.tolist()]
    launches = _launches(images, step.parts, output, exact)
    shapes: list[tuple[int, int, int]] = [(0, 0, 0)] * len(images)
    for launch in launches:
        for place, size in zip(launch.places.tolist(), launch.table.rows["size"].tolist(), strict=True):
            shapes[place] = (launch.channels, size[0], size[1])
    results, addresses = _allocate(shapes, output.dtype, images[0].device)
    for launch in launches:
        launch.table.rows["target"] = addresses[launch.places]
    words = _upload([launch.table for launch in launches], images[0].device)
    start = 0
    for launch in launches:
        end = start + launch.words
        launch.run(words[start:end], launch.sums(words.device))
        start = end
    for row, result in zip(step.rows.tolist(), results, strict=True):
        current[row] = result


def _allocate(
    shapes: Sequence[tuple[int, int, int]], dtype: torch.dtype, device: torch.device
) -> tuple[list[torch.Tensor], Array]:
    """Return memory for results `(C, h, w)`, one batch where all are alike, and their addresses `(R,)` int64."""
    item = torch.empty(0, dtype=dtype).element_size()
    # Each result starts at a multiple of 16 bytes.
    elements = np.array([channels * height * width for channels, height, width in shapes])
    if len(set(shapes)) == 1:
        batch = torch.empty((len(shapes), *shapes[0]), dtype=dtype, device=device)
        return list(batch), batch.data_ptr() + item * elements[0] * np.arange(len(shapes))
    ends = np.cumsum(-(-elements // 16) * 16)
    flat = torch.empty(int(ends[-1]), dtype=dtype, device=device)
    starts = np.concatenate([[0], ends[:-1]])
    pieces = [
        flat[start : start + shape[0] * shape[1] * shape[2]].view(shape)
        for start, shape in zip(starts.tolist(), shapes, strict=True)
    ]
    return pieces, flat.data_ptr() + item * starts


def _upload(tables: Sequence[Table], device: torch.device, into: torch.Tensor | None = None) -> torch.Tensor:
    """Copy tables to the device in one piece, int32. Nothing waits: torch keeps the pinned memory until it was read."""
    arrays = [array for table in tables for array in table.words()]
    host = torch.empty(sum(map(len, arrays)), dtype=torch.int32, pin_memory=device.type == "cuda")
    np.concatenate(arrays, out=host.numpy())
    return host.to(device, non_blocking=True) if into is None else into.copy_(host, non_blocking=True)


@dataclass(frozen=True)
class _Launch:
    """Images of one dtype and channel count, which stand at `places` of a pass, and what becomes of them."""

    places: Array
    table: Table
    channels: int
    source: torch.dtype
    output: Output
    exact: bool

    @cached_property
    def tiles(self) -> int:
        """How many tiles the largest sample has."""
        height, width = self.table.rows["size"].T
        return int((-(-height // _TILE_Y) * -(-width // _TILE_X)).max())

    @property
    def words(self) -> int:
        """How many 32-bit words the table has."""
        return sum(map(len, self.table.words()))

    @cached_property
    def filters(self) -> bool:
        """Tell whether some sample is shrunk by a filter."""
        return bool(self.table.rows["filter"].any())

    @cached_property
    def cubics(self) -> bool:
        """Tell whether some sample is interpolated by cubics."""
        return bool(self.table.rows["clamp"].any())

    def sums(self, device: torch.device) -> torch.Tensor:
        """Return room for the sums of luma, `(S, R, tiles)` float32."""
        samples, _, stages = self.table.shape
        return torch.empty((stages, samples, self.tiles), dtype=torch.float32, device=device)

    def run(self, words: torch.Tensor, sums: torch.Tensor) -> None:
        """Start the kernels: once for each mean luma that some sample needs, and once for the pixels."""
        samples, capacity, stages = self.table.shape
        rows_end = samples * layout.ROW_WORDS.value
        steps_end = rows_end + samples * capacity * layout.STEP_WORDS.value
        scale, offset = self.output.affine(self.channels)
        luma = LUMA if self.exact else LUMA / LUMA.sum()
        numbers = [self.output.white, *luma, *np.resize(scale, 3), *np.resize(offset, 3)]
        for stage in range(stages + 1):
            kernel.render[(samples * self.tiles,)](
                words[:rows_end],
                words[rows_end:steps_end],
                words[steps_end:],
                sums,
                samples,
                self.tiles,
                capacity,
                stage,
                *map(float, numbers),
                C=self.channels,
                FROM=_TYPES[self.source],
                TO=_TYPES[self.output.dtype],
                FILTERS=self.filters,
                CUBICS=self.cubics,
                STATISTICS=stage < stages,
                TILE_Y=_TILE_Y,
                TILE_X=_TILE_X,
            )


def _launches(images: Sequence[torch.Tensor], parts: Sequence[Part], output: Output, exact: bool) -> list[_Launch]:
    kinds = [(image.dtype, len(image)) for image in images]
    found = []
    for kind in dict.fromkeys(kinds):
        places = np.array([i for i, other in enumerate(kinds) if other == kind])
        mine = [part.among(places, len(images)) for part in parts]
        table = build([images[i] for i in places.tolist()], [part for part in mine if len(part.at)], exact)
        found.append(_Launch(places, table, kind[1], kind[0], output, exact))
    return found


class Recorded:
    """Renders batches of one shape by replaying a CUDA graph: what starting kernels costs, once.

    The result `(B, C, h, w)` is overwritten by the next call: copy what has to stay. Each batch is read where it lies.
    Another graph is recorded where a batch needs another number of means, or filters or cubics for the first time.
    A batch that takes several passes, or whose samples end in several sizes, is rendered without a graph.
    """

    def __init__(self, output: Output, exact: bool) -> None:
        self.output, self.exact = output, exact
        self._recordings: dict[object, _Recording] = {}

    def render(self, images: Sequence[torch.Tensor], runs: Sequence[Run]) -> torch.Tensor | list[torch.Tensor]:
        """Render B images as `render` does; a list where samples end in several sizes."""
        with _on(images[0].device):
            passes = _passes(runs, len(images))
            launches = []
            if isinstance(passes[0], _Pass) and passes[0].last:
                launches = _launches(images, passes[0].parts, self.output, self.exact)
            if len(launches) != 1 or (launches[0].table.rows["size"] != launches[0].table.rows["size"][0]).any():
                return _together(render(images, runs, self.output, self.exact))
            return self._replay(launches[0], images[0].device)

    def _replay(self, launch: _Launch, device: torch.device) -> torch.Tensor:
        size = tuple(launch.table.rows["size"][0].tolist())
        key = (launch.table.shape, size, launch.channels, launch.source, launch.filters, launch.cubics, device)
        recording = self._recordings.get(key)
        if recording is None:
            recording = self._recordings[key] = _Recording(launch, size, device)
        recording.start(launch.table)
        return recording.target


def _together(results: list[torch.Tensor]) -> torch.Tensor | list[torch.Tensor]:
    base = results[0]._base
    same = len({tuple(result.shape) for result in results}) == 1
    return base if same and base is not None else results


class _Recording:
    """One graph, and the memory that it reads and writes."""

    def __init__(self, launch: _Launch, size: tuple[int, ...], device: torch.device) -> None:
        shape = (len(launch.places), launch.channels, *size)
        self.target = torch.empty(shape, dtype=launch.output.dtype, device=device)
        self.words = torch.empty(launch.words, dtype=torch.int32, device=device)
        self._sums = launch.sums(device)
        self._fill(launch.table)
        self._replay: Callable[[], object] = partial(launch.run, self.words, self._sums)
        if device.type == "cuda":
            # A first run compiles, which nothing may do while a graph is recorded.
            self._replay()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._replay()
            self._replay = graph.replay

    def start(self, table: Table) -> None:
        """Render what the table says."""
        self._fill(table)
        self._replay()

    def _fill(self, table: Table) -> None:
        step = self.target[0].numel() * self.target.element_size()
        table.rows["target"] = self.target.data_ptr() + step * np.arange(len(table.rows))
        _upload([table], self.words.device, self.words)


def warp_masks(masks: Sequence[torch.Tensor], run: Geometry, fill: int = 0) -> list[torch.Tensor]:
    """Move R masks `(H, W)` of an integer dtype, one for each sample of a run: the nearest pixel, `fill` outside.

    Borders that continue the image continue the mask too. Returns `(h, w)` each, rows of one batch where all are alike.
    Raises TypeError for another dtype.
    """
    if masks[0].dtype not in _MASK_TYPES or any(mask.dtype != masks[0].dtype for mask in masks):
        seen = ", ".join(sorted({str(mask.dtype) for mask in masks}))
        raise TypeError(f"masks are {seen}; give integers or bools, of one dtype per call")
    rows = mask_rows(masks, run)
    shapes = [(1, height, width) for height, width in rows["size"].tolist()]
    with _on(masks[0].device):
        results, rows["target"] = _allocate(shapes, masks[0].dtype, masks[0].device)
        words = _upload([Table(rows, rows[:0], rows[:0])], masks[0].device)
        tiles = int((-(-rows["size"][:, 0] // _TILE_Y) * -(-rows["size"][:, 1] // _TILE_X)).max())
        kernel.warp_masks[(len(rows) * tiles,)](
            words, tiles, fill, TYPE=_MASK_TYPES[masks[0].dtype], TILE_Y=_TILE_Y, TILE_X=_TILE_X
        )
    return [result[0] for result in results]
