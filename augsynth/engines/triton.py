"""The engine for CUDA: one launch resamples, colours, erases, normalizes and writes a batch.

The launch works on (sample, tile) pairs. A row of parameters per sample holds the image's own address and strides, so
images of any size, layout (NCHW or NHWC) or place in memory go together, and nothing is packed. Where a map shrinks,
the antialiasing filter of `augsynth.fuse` is evaluated inside the launch at each tap, without a shrunk copy.
A launch before it adds up luma where a sample's contrast asks for the mean; sums of tiles are added in a fixed order,
so that the same bits come out each time. Parameters cross in one copy from pinned memory, and the host never waits.
Masks and keypoints on the device ride in the launch that writes their images (`triton_riders.py`).
What the kernel does not know is rendered by the torch engine on the device, between launches; that one does wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from augsynth.engines import torch as torch_engine
from augsynth.engines import triton_layout as layout
from augsynth.engines.output import Output
from augsynth.engines.passes import Pass, moves_or_colors, passes_of
from augsynth.engines.triton_launch import Launch, launches
from augsynth.engines.triton_memory import allocate, on, record, upload
from augsynth.engines.triton_riders import Ride
from augsynth.runs import Alone, Run

INTERPRETED = layout.INTERPRETED


def render(
    images: Sequence[torch.Tensor], runs: Sequence[Run], output: Output, exact: bool, ride: Ride | None = None
) -> list[torch.Tensor]:
    """Render B images `(C, H, W)` of uint8, float16, bfloat16 or float32, C 1 or 3, to `(C, h, w)` of `output.dtype`.

    Samples of equal size are rows of one contiguous batch. ride: what the last launch takes along.
    Raises ValueError where images lie on several devices, and for an image of 2**31 elements.
    """
    stray = next((i for i, image in enumerate(images) if image.device != images[0].device), None)
    if stray is not None:
        raise ValueError(
            f"engine=triton: sample {stray} is on {images[stray].device} and sample 0 on {images[0].device}; "
            "give one device per batch"
        )
    current = list(images)
    with on(images[0].device):
        for step in passes_of(runs, len(images), moves_or_colors):
            if isinstance(step, Alone):
                _render_alone(current, step, output.white, exact)
            else:
                last = (output, ride) if step.last else (Output.between(output.white), None)
                _render_pass(current, step, *last, exact)
    return current


def _render_alone(current: list[torch.Tensor], run: Alone, white: float, exact: bool) -> None:
    rows = run.rows.tolist()
    among_themselves = replace(run, rows=np.arange(len(rows)))
    images = [current[row] for row in rows]
    rendered = torch_engine.render(images, [among_themselves], Output.between(white), exact)
    for row, image in zip(rows, rendered, strict=True):
        current[row] = image


def _render_pass(current: list[torch.Tensor], step: Pass, output: Output, ride: Ride | None, exact: bool) -> None:
    images = [current[row] for row in step.rows.tolist()]
    parts = launches(images, step.parts, output, ride, exact)
    shapes: list[tuple[int, ...]] = [()] * len(images)
    for part in parts:
        for place, size in zip(part.places.tolist(), part.table.rows["size"].tolist(), strict=True):
            shapes[place] = (part.shape.channels, *size)
    results, addresses = allocate(shapes, output.dtype, images[0].device)
    for part in parts:
        part.table.rows["target"] = addresses[part.places]
    words = upload([array for part in parts for array in part.words], images[0].device)
    start = 0
    for part in parts:
        end = start + len(part)
        part.shape.start(words[start:end], part.shape.sums(words.device))
        start = end
    for row, result in zip(step.rows.tolist(), results, strict=True):
        current[row] = result


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
        with on(images[0].device):
            passes = passes_of(runs, len(images), moves_or_colors)
            parts: list[Launch] = []
            if isinstance(passes[0], Pass) and passes[0].last:
                parts = launches(images, passes[0].parts, self.output, None, self.exact)
            if len(parts) != 1 or (parts[0].table.rows["size"] != parts[0].table.rows["size"][0]).any():
                return _together(render(images, runs, self.output, self.exact))
            return self._replay(parts[0], images[0].device)

    def _replay(self, launch: Launch, device: torch.device) -> torch.Tensor:
        size = tuple(launch.table.rows["size"][0].tolist())
        shape = launch.shape
        key = (launch.table.shape, size, shape.channels, shape.source, shape.filters, shape.cubics, shape.close, device)
        recording = self._recordings.get(key)
        if recording is None:
            recording = self._recordings[key] = _Recording(launch, size, device)
        recording.start(launch)
        return recording.target


def _together(results: list[torch.Tensor]) -> torch.Tensor | list[torch.Tensor]:
    base = results[0]._base
    same = len({tuple(result.shape) for result in results}) == 1
    return base if same and base is not None else results


class _Recording:
    """One graph, and the memory that it reads and writes."""

    def __init__(self, launch: Launch, size: tuple[int, ...], device: torch.device) -> None:
        shape = launch.shape
        self.target = torch.empty((shape.samples, shape.channels, *size), dtype=shape.output.dtype, device=device)
        self.words = torch.empty(len(launch), dtype=torch.int32, device=device)
        # A graph keeps no memory: what its kernels write must live as long as it does.
        self.sums = shape.sums(device)
        self._fill(launch)
        self._replay = record(partial(shape.start, self.words, self.sums), device)

    def start(self, launch: Launch) -> None:
        """Render what the table of a launch says."""
        self._fill(launch)
        self._replay()

    def _fill(self, launch: Launch) -> None:
        step = self.target[0].numel() * self.target.element_size()
        launch.table.rows["target"] = self.target.data_ptr() + step * np.arange(len(launch.table.rows))
        upload(launch.words, self.words.device, self.words)
