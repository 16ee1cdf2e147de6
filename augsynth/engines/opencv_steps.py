"""What the CPU engine does to one image: the runs of a program as tables of steps, and the write into the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from augsynth.engines.opencv_color import ColorSteps, State
from augsynth.engines.opencv_geometry import Warps, cast_fill, to_float
from augsynth.engines.output import Output
from augsynth.runs import Alone, Colors, Erasing, Geometry, Mixed, Run
from augsynth.transforms.base import Array


def schedule(runs: Sequence[Run], count: int, white: float, exact: bool) -> list[list[tuple[Any, int]]]:
    """List for each of `count` samples which runs' tables to apply, and at which of their positions."""
    steps: list[list[tuple[Any, int]]] = [[] for _ in range(count)]
    for run in runs:
        table = table_of(run, white, exact)
        for i, row in enumerate(run.rows.tolist()):
            steps[row].append((table, i))
    return steps


def table_of(run: Run, white: float, exact: bool) -> _Moves | ColorSteps | _Erase | _Alone | _Mixed:
    if isinstance(run, Geometry):
        return _Moves(run, white)
    if isinstance(run, Mixed):
        return _Mixed(run, white, exact)
    if isinstance(run, Alone):
        return _Alone(run, white)
    return ColorSteps(run, white, exact) if isinstance(run, Colors) else _Erase(run, white)


class _Moves:
    """A geometry run."""

    def __init__(self, run: Geometry, white: float) -> None:
        self.warps, self.white = Warps(run, white), white

    def apply(self, state: State, i: int) -> None:
        state.settle(self.white)
        state.pixels, state.owned = self.warps.render(state.pixels, i), False


class _Alone:
    """A transform that renders itself."""

    def __init__(self, run: Alone, white: float) -> None:
        self.transform, self.params, self.white = run.transform, run.params, white

    def apply(self, state: State, i: int) -> None:
        state.settle(self.white)
        state.pixels, state.owned = self.transform.apply_array(state.pixels, self.params[i], self.white), False


class _Mixed:
    """Weighted sums of an image and of chains over it."""

    def __init__(self, run: Mixed, white: float, exact: bool) -> None:
        self.weights, self.white = run.weights.tolist(), white
        self.steps = schedule(run.runs, run.weights[:, 1:].size, white, exact)

    def apply(self, state: State, i: int) -> None:
        state.settle(self.white)
        source, (own, *weights) = state.pixels, self.weights[i]
        total: Array = to_float(source) * np.float32(own)
        for weight, steps in zip(weights, self.steps[i * len(weights) :], strict=False):
            chain = State(source, state.channels)
            for table, j in steps:
                table.apply(chain, j)
            chain.settle(self.white)
            total = np.asarray(cv2.scaleAdd(to_float(chain.pixels), weight, total))
        # The weights sum to 1 but for rounding.
        torch.from_numpy(total).clamp_(0.0, self.white)
        state.pixels, state.owned = total, True


class _Erase:
    """Rectangles to paint."""

    def __init__(self, run: Erasing, white: float) -> None:
        self.white, self.rectangle, self.paints = white, run.rectangle.tolist(), run.paints

    def apply(self, state: State, i: int) -> None:
        state.settle(self.white)
        top, left, height, width = self.rectangle[i]
        if height and width:
            state.pixels, state.owned = state.pixels.copy(), False
            state.pixels[top : top + height, left : left + width] = cast_fill(self.paints[i], state.pixels)


class Finish:
    """Write one image into its row `(C, h, w)`: pending colour, range, Normalize and dtype in one transform."""

    def __init__(self, channels: int, output: Output) -> None:
        self.output, self.channels = output, channels
        scale, offset = output.affine(channels)
        self.low, self.high = offset.tolist(), (scale * output.white + offset).tolist()
        self.unit = bool((scale == 1.0).all() and (offset == 0.0).all())
        self.scale, self.offset = scale[:, None], offset
        self.gain: list[float] = scale.tolist()
        self.alone = np.column_stack([np.diag(scale), offset])
        self.matrix = self.alone.copy()
        # Without Normalize the range is a promise: no rounding error of a pending map may leave it.
        self.plain = output.mean is None
        self.scratch: torch.Tensor | None = None
        self.bytes: list[Array] = []

    def write(self, state: State, row: torch.Tensor) -> None:
        """Write a state into `row (C, h, w)`."""
        same = self.unit and (state.pixels.dtype == np.uint8) == self.output.is_integer
        if same and state.pending is None and not state.clamp:
            self._planes(state.pixels, row)
        elif self.output.is_integer:
            self._bytes(state, row)
        else:
            self._floats(state, row)

    def _bytes(self, state: State, row: torch.Tensor) -> None:
        matrix = state.pending
        if matrix is not None or not self.unit:
            state.matrix = self.alone if matrix is None else self.scale * matrix
            state.clamp = False  # the conversion saturates
            state.settle(1.0)
        self._planes(np.asarray(cv2.convertScaleAbs(np.maximum(state.pixels, 0.0))), row)

    def _planes(self, pixels: Array, row: torch.Tensor) -> None:
        if pixels.ndim == 3 and row.dtype == (torch.uint8 if pixels.dtype == np.uint8 else torch.float32):
            cv2.split(pixels, list(row.numpy()))
        else:
            row.copy_(torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1))

    def _floats(self, state: State, row: torch.Tensor) -> None:
        target = row if row.dtype == torch.float32 else self._working(row)
        if state.matrix is None and state.channels == 3 and state.pixels.dtype == np.uint8:
            self._plane_by_plane(state, target)
        else:
            self._transformed(state, target)
        if target is not row:
            row.copy_(target)

    def _plane_by_plane(self, state: State, target: torch.Tensor) -> None:
        """Write what is the same map for each channel: from bytes to floats in one pass, 61 us at 224 px, not 105."""
        clamp = state.clamp or (self.plain and state.pending is not None)
        if not self.bytes or self.bytes[0].shape != state.pixels.shape[:2]:
            self.bytes = [np.empty(state.pixels.shape[:2], np.uint8) for _ in range(3)]
        # Given planes to write into, split takes 5 us at 224 px instead of 25.
        cv2.split(state.pixels, self.bytes)
        for channel, (plane, into) in enumerate(zip(self.bytes, target.numpy(), strict=True)):
            gain, bias = self.gain[channel], self.low[channel]
            cv2.addWeighted(plane, gain * state.scale, plane, 0.0, gain * state.shift + bias, into, cv2.CV_32F)
            if clamp:
                torch.from_numpy(into).clamp_(bias, self.high[channel])

    def _transformed(self, state: State, target: torch.Tensor) -> None:
        matrix, pending = self.alone, state.pending
        if pending is not None:
            matrix = np.multiply(self.scale, pending, out=self.matrix)
            matrix[:, -1] += self.offset
        source, planes = to_float(state.pixels), target.numpy()
        # One plane at a time costs the same as all three and leaves them in C H W order.
        if not (state.clamp or (self.plain and pending is not None)):
            for channel in range(self.channels):
                cv2.transform(source, matrix[channel : channel + 1], planes[channel])
            return
        for channel, tensor in enumerate(target.unbind(0)):
            cv2.transform(source, matrix[channel : channel + 1], planes[channel])
            tensor.clamp_(self.low[channel], self.high[channel])

    def _working(self, row: torch.Tensor) -> torch.Tensor:
        """Return float32 memory of the row's shape, which the next image of that shape will use again."""
        if self.scratch is None or self.scratch.shape != row.shape:
            self.scratch = torch.empty(row.shape, dtype=torch.float32)
        return self.scratch
