"""The CPU engine: per image, the cheapest OpenCV or aten call that renders each run, straight into the batch.

Images are `(H, W, C)` arrays of uint8 or float32 with 3 channels, or `(H, W)` with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from augsynth.engines.buffers import allocate
from augsynth.engines.buffers import batch_memory as batch_memory
from augsynth.engines.opencv_color import ColorSteps, State, affine
from augsynth.engines.opencv_geometry import Warps, cast_fill, to_float
from augsynth.engines.output import Output
from augsynth.fuse import Alone, Colors, Erasing, Geometry, Run
from augsynth.transforms.base import Array


def render(
    images: Sequence[Array], runs: Sequence[Run], sizes: Array, output: Output, exact: bool
) -> list[torch.Tensor]:
    """Render B images `(H, W, C)` or `(H, W)` to `sizes (B, 2)`; returns B tensors `(C, h, w)`.

    Samples of equal size are rows of one contiguous `(B, C, h, w)` batch.
    """
    steps: list[list[Any]] = [[] for _ in images]
    for run in runs:
        table = _table(run, output.white, exact)
        for i, row in enumerate(run.rows.tolist()):
            steps[row].append((table, i))
    channels = [1 if image.ndim == 2 else image.shape[2] for image in images]
    rows = allocate([(c, int(h), int(w)) for c, (h, w) in zip(channels, sizes.tolist(), strict=True)], output.dtype)
    stages: dict[int, _Finish] = {c: _Finish(c, output) for c in set(channels)}
    for image, mine, row, c in zip(images, steps, rows, channels, strict=True):
        state = State(image, c)
        for table, i in mine:
            table.apply(state, i)
        stages[c].write(state, row)
    return rows


def _table(run: Run, white: float, exact: bool) -> _Moves | ColorSteps | _Erase | _Alone:
    if isinstance(run, Geometry):
        return _Moves(run, white)
    if isinstance(run, Alone):
        return _Alone(run, white)
    return ColorSteps(run, white, exact) if isinstance(run, Colors) else _Erase(run, white)


class _Moves:
    """A geometry run."""

    def __init__(self, run: Geometry, white: float) -> None:
        self.warps, self.white = Warps(run, white), white

    def apply(self, state: State, i: int) -> None:
        state.settle(self.white)
        state.pixels = self.warps.render(state.pixels, i)


class _Alone:
    """A transform that renders itself."""

    def __init__(self, run: Alone, white: float) -> None:
        self.transform, self.params, self.white = run.transform, run.params, white

    def apply(self, state: State, i: int) -> None:
        state.settle(self.white)
        state.pixels = self.transform.apply_array(state.pixels, self.params[i], self.white)


class _Erase:
    """Rectangles to paint."""

    def __init__(self, run: Erasing, white: float) -> None:
        self.white, self.rectangle, self.paints = white, run.rectangle.tolist(), run.paints

    def apply(self, state: State, i: int) -> None:
        state.settle(self.white)
        top, left, height, width = self.rectangle[i]
        if height and width:
            state.pixels = state.pixels.copy()
            state.pixels[top : top + height, left : left + width] = cast_fill(self.paints[i], state.pixels)


class _Finish:
    """Write one image into its row `(C, h, w)`: pending colour, range, Normalize and dtype in one transform."""

    def __init__(self, channels: int, output: Output) -> None:
        self.output, self.channels = output, channels
        self.scale, self.offset = output.affine(channels)
        self.low, self.high = self.offset.tolist(), (self.scale * output.white + self.offset).tolist()
        self.unit = bool((self.scale == 1.0).all() and (self.offset == 0.0).all())
        self.alone = affine(np.diag(self.scale), self.offset)

    def write(self, state: State, row: torch.Tensor) -> None:
        if state.a is None and self.unit and (state.pixels.dtype == np.uint8) == self.output.is_integer:
            self._planes(state.pixels, row)
        elif self.output.is_integer:
            self._bytes(state, row)
        else:
            self._floats(state, row)

    def _bytes(self, state: State, row: torch.Tensor) -> None:
        if state.a is not None or not self.unit:
            a = np.eye(self.channels) if state.a is None else state.a
            state.a, state.b = self.scale[:, None] * a, None if state.b is None else self.scale * state.b
            state.clamp = False  # the conversion saturates
            state.settle(1.0)
        self._planes(np.asarray(cv2.convertScaleAbs(np.maximum(state.pixels, 0.0))), row)

    def _planes(self, pixels: Array, row: torch.Tensor) -> None:
        if row.dtype == torch.from_numpy(pixels[:0]).dtype:
            planes = list(row.numpy())
            if pixels.ndim == 2:
                planes[0][...] = pixels
            else:
                cv2.split(pixels, planes)
            return
        row.copy_(torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1))

    def _floats(self, state: State, row: torch.Tensor) -> None:
        if state.a is None:
            matrix = self.alone
        else:
            b = self.offset if state.b is None else self.scale * state.b + self.offset
            matrix = affine(self.scale[:, None] * state.a, b)
        source = to_float(state.pixels)
        target = row if row.dtype == torch.float32 else torch.empty(row.shape, dtype=torch.float32)
        for channel, (plane, memory) in enumerate(zip(target.unbind(0), target.numpy(), strict=True)):
            # One plane at a time costs the same as all three and leaves them in C H W order.
            cv2.transform(source, matrix[channel : channel + 1], dst=memory)
            if state.clamp:
                plane.clamp_(self.low[channel], self.high[channel])
        if target is not row:
            row.copy_(target)
