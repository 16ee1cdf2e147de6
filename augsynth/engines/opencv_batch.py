"""Small images of one size on the CPU: whole-batch calls, because at 32 pixels a call costs more than its work.

A batch is one `(B, H, W, 3)` or `(B, H, W)` array; a batch of such images is also one image of B H rows, for every
call that does not look at neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from augsynth.engines.buffers import allocate_batch
from augsynth.engines.opencv_color import ColorSteps, State, luma_weights, mean_luma, shift_hue
from augsynth.engines.opencv_geometry import Warps, cast_fill, to_float
from augsynth.engines.opencv_steps import Finish, table_of
from augsynth.engines.output import Output
from augsynth.images import SMALL
from augsynth.runs import BILINEAR, COPY, NEAREST, WARP, Alone, Colors, Geometry, Mixed, Run
from augsynth.transforms.base import Array, Border

_FEW = 4  # states that are written one by one: together they save nothing


def fits(shape: Sequence[int], runs: Sequence[Run], sizes: Array) -> bool:
    """Tell whether B images of one `shape (H, W, ...)` stay small and of one size through all runs."""
    size = (int(shape[0]), int(shape[1]))
    for run in runs:
        if size[0] * size[1] > SMALL:
            return False
        if isinstance(run, Geometry):
            new = (int(run.size[0, 0]), int(run.size[0, 1]))
            if (run.size != run.size[0]).any() or (new != size and len(run.rows) != len(sizes)):
                return False
            size = new
    return size[0] * size[1] <= SMALL and bool((sizes == size).all())


def render(pixels: Array, runs: Sequence[Run], output: Output, exact: bool) -> torch.Tensor:
    """Render a batch, which may be changed, to `(B, C, h, w)`."""
    batch = _Batch(pixels, output.white)
    for run in runs:
        batch.apply(run, exact)
    return batch.finish(output)


class _Batch:
    """Pixels on their way, in one array; the samples that have left it, floats among bytes, are states of their own."""

    def __init__(self, pixels: Array, white: float) -> None:
        self.pixels, self.white = pixels, white
        self.channels = 3 if pixels.ndim == 4 else 1
        self.states: dict[int, State] = {}
        # A linear colour map per sample (B, C, C + 1) and its clamp, not applied yet.
        self.pending: Array | None = None

    def apply(self, run: Run, exact: bool) -> None:
        """Render a run: with whole-batch calls where it is for everyone, else image by image."""
        everyone = len(run.rows) == len(self.pixels) and not self.states
        self._settle()
        if everyone and isinstance(run, Geometry):
            self._move(run)
        elif everyone and isinstance(run, Colors):
            self._color_exact(run) if exact else self._color_linear(run)
        else:
            self._some(run, exact)

    def _some(self, run: Run, exact: bool) -> None:
        """Render a run: those of its samples that are still bytes in the batch together, where there is a way."""
        rows = run.rows.tolist()
        within = [i for i, row in enumerate(rows) if row not in self.states]
        if self.pixels.dtype == np.uint8 and within:
            chosen = run.rows[within]
            if isinstance(run, Geometry) and len(within) == len(rows) and self._nearest(run):
                return
            if isinstance(run, Alone) and not isinstance(run, Mixed):
                done = run.transform.apply_levels(self.pixels[chosen], run.params[within])
                if done is not None:
                    self.pixels[chosen] = done
                    rows = [row if row in self.states else -1 for row in rows]
        self._one_by_one(run, rows, exact)

    def _nearest(self, run: Geometry) -> bool:
        """Copy pixels to where they go; False where some samples need more than that, or end in another size."""
        copied = (run.path == COPY) | ((run.path == WARP) & (run.interpolation == NEAREST))
        if not copied.all() or (run.size != self.pixels.shape[1:3]).any():
            return False
        warps = Warps(run, self.white)
        moved = [warps.render(image, i) for i, image in enumerate(self.pixels[run.rows])]
        self.pixels[run.rows] = np.concatenate(moved).reshape(len(moved), *moved[0].shape)
        return True

    def _one_by_one(self, run: Run, rows: Sequence[int], exact: bool) -> None:
        if max(rows) < 0:
            return
        table = table_of(run, self.white, exact)
        for i, row in enumerate(rows):
            if row < 0:
                continue
            state = self.states.pop(row, None) or State(self.pixels[row], self.channels)
            table.apply(state, i)
            pixels = state.pixels
            fits = pixels.dtype == self.pixels.dtype and pixels.shape == self.pixels.shape[1:]
            if fits and state.pending is None and not state.clamp:
                self.pixels[row] = pixels
            else:
                self.states[row] = state

    def _tall(self, pixels: Array) -> Array:
        return pixels.reshape(-1, *pixels.shape[2:])

    def _floats(self) -> Array:
        """Return the pixels as float32."""
        self.pixels = to_float(self.pixels)
        return self.pixels

    def _settle(self) -> None:
        """Apply the linear colour that is pending."""
        if self.pending is not None:
            self.pixels, self.pending = _transformed(self._floats(), self.pending), None
            torch.from_numpy(self.pixels).clamp_(0.0, self.white)

    def _move(self, run: Geometry) -> None:
        """Render a geometry run: windows of whole pixels by one gather, all else image by image."""
        whole = (run.path == COPY).all() and not run.transpose.any()
        moved = _windows(self.pixels, run) if whole else None
        self.pixels = self._warped(run) if moved is None else moved

    def _warped(self, run: Geometry) -> Array:
        source, warps = self.pixels, Warps(run, self.white)
        plain = (run.path == WARP) & ~run.transpose & (run.full == run.box[:, 2:] - run.box[:, :2]).all(1)
        if self.channels == 3 and (plain & (run.interpolation == BILINEAR)).all():
            # One conversion for the batch: cv2 warps 4 channels twice as fast as 3.
            wide = cv2.cvtColor(self._tall(source), cv2.COLOR_RGB2RGBA).reshape(*source.shape[:3], 4)
            size = tuple(run.size[0].tolist())
            out = np.empty((len(source), *size, 4), source.dtype)
            for i, (image, into) in enumerate(zip(wide, out, strict=True)):
                warps.warp_rgba(image, i, into)
            return cv2.cvtColor(self._tall(out), cv2.COLOR_RGBA2RGB).reshape(len(source), *size, 3)
        images = [warps.render(image, i) for i, image in enumerate(source)]
        if len({image.dtype for image in images}) > 1:
            images = [to_float(image) for image in images]
        return np.stack(images)

    def _color_linear(self, run: Colors) -> None:
        """Note each sample's composed map; it is applied together with the output's."""
        a, v = run.composed(self.channels)
        self.pending = np.concatenate([a, np.zeros((len(a), self.channels, 1))], 2)
        if v.any():
            weights = luma_weights(exact=False)
            mean = np.array([mean_luma(image, weights) for image in self._floats()])
            self.pending[:, :, -1] = mean[:, None] * v

    def _color_exact(self, run: Colors) -> None:
        """Apply the steps one after the other: hue shifts together, all else image by image."""
        steps, pixels = ColorSteps(run, self.white, True), self._floats()
        states = [State(image, self.channels) for image in pixels]
        for state in states:
            state.owned = True
        for step in range(run.used.shape[1]):
            turned = run.used[:, step] & ~np.isnan(run.hue[:, step]) & (self.channels == 3)
            for i in np.flatnonzero(run.used[:, step] & ~turned).tolist():
                steps.apply_step(states[i], i, step)
            self._turn([states[i] for i in np.flatnonzero(turned).tolist()], run.hue[turned, step])
        for state, into in zip(states, pixels, strict=True):
            state.settle(self.white)
            into[...] = state.pixels

    def _turn(self, states: list[State], shifts: Array) -> None:
        if not states:
            return
        for state in states:
            state.bound(self.white)
            if state.matrix is not None:
                state.settle(self.white)
        together = np.stack([state.pixels for state in states])
        turned = shift_hue(self._tall(together), np.repeat(shifts, together.shape[1])).reshape(together.shape)
        for state, image in zip(states, turned, strict=True):
            state.pixels, state.owned = image, True

    def finish(self, output: Output) -> torch.Tensor:
        """Write range, Normalize and dtype into a new batch."""
        scale, offset = output.affine(self.channels)
        unit = bool((scale == 1).all() and (offset == 0).all())
        clamp, pixels = self.pending is not None, self.pixels
        if self.pending is not None:
            matrix = scale[:, None] * self.pending
            matrix[:, :, -1] += offset
            pixels = _transformed(self._floats(), matrix)
        count, (height, width) = len(pixels), pixels.shape[1:3]
        batch = allocate_batch((count, self.channels, height, width), output.dtype)
        planes = cv2.split(self._tall(pixels)) if self.channels == 3 else (self._tall(pixels),)
        scratch = torch.empty((count, height, width), dtype=torch.float32)
        for channel, plane in enumerate(planes):
            values, into = torch.from_numpy(plane).view(count, height, width), batch[:, channel]
            low, high = float(offset[channel]), float(scale[channel] * output.white + offset[channel])
            if clamp:
                values = values.clamp_(low, high)
            elif not unit:
                base, gain = torch.tensor(low, dtype=torch.float32), float(scale[channel])
                if output.dtype == torch.float32:  # into the batch in one pass
                    torch.add(base, scratch.copy_(values), alpha=gain, out=into)
                    continue
                values = torch.add(base, scratch.copy_(values), alpha=gain, out=scratch)
            if output.is_integer and values.dtype != torch.uint8:
                values = values.round_().clamp_(0, 255)
            into.copy_(values)
        self._finish_states(batch, output, scale.tolist(), offset.tolist())
        return batch

    def _finish_states(self, batch: torch.Tensor, output: Output, gains: list[float], biases: list[float]) -> None:
        """Write the samples that left the batch over their rows; bytes under one map for all channels together."""
        alike = [row for row, state in self.states.items() if state.matrix is None and state.pixels.dtype == np.uint8]
        if output.is_integer or self.channels == 1 or len(alike) < _FEW:
            alike = []
        elif alike:
            states = [self.states.pop(row) for row in alike]
            rows, (height, width) = torch.tensor(alike), states[0].pixels.shape[:2]
            scale, shift = torch.tensor([(s.scale, s.shift) for s in states], dtype=torch.float64).T[:, :, None, None]
            tall = np.concatenate([state.pixels for state in states])
            for channel, plane in enumerate(cv2.split(tall)):
                gain, bias = gains[channel], biases[channel]
                values = torch.from_numpy(plane).view(-1, height, width).to(torch.float32)
                values.mul_((gain * scale).to(torch.float32)).add_((gain * shift + bias).to(torch.float32))
                values.clamp_(bias, gain * self.white + bias)
                batch[rows, channel] = values.to(batch.dtype)
        stage = Finish(self.channels, output)
        for row, state in self.states.items():
            stage.write(state, batch[row])


def _transformed(pixels: Array, matrices: Array) -> Array:
    """Apply a colour map per sample `(B, C, C + 1)` to float32 pixels."""
    result = np.empty_like(pixels)
    for image, matrix, into in zip(pixels, matrices, result, strict=True):
        cv2.transform(image, matrix, dst=into)
    return result


def _windows(source: Array, run: Geometry) -> Array | None:
    """Cut whole-pixel windows by one gather from the padded batch; None where the borders do not allow it."""
    box, (height, width) = run.box, source.shape[1:3]
    low, high = box.min(0).tolist(), box.max(0).tolist()
    sides = max(-low[0], 0), max(high[2] - height, 0), max(-low[1], 0), max(high[3] - width, 0)
    if any(sides):
        border = run.borders[0]
        alike = all(other is border for other in run.borders)
        if not alike or max(sides[:2]) >= height or max(sides[2:]) >= width:
            return None
        source = _padded(source, sides, border)
    h, w = run.size[0].tolist()
    n, rows, columns = source.shape[:3]
    # One pixel row of a window is one item, so that the gather copies memory instead of numbers.
    pixel = source.strides[2]
    item = np.dtype((np.void, w * pixel))
    shape, steps = (n, rows - h + 1, columns - w + 1, h), (*source.strides[:3], source.strides[1])
    views = np.ndarray(shape, item, source, strides=steps)
    cut = views[np.arange(n), box[:, 0] + sides[0], box[:, 1] + sides[2]]
    cut = cut.view(source.dtype).reshape(n, h, w, *source.shape[3:])
    across, down = np.flatnonzero(run.flip_x), np.flatnonzero(run.flip_y)
    if len(across):
        chosen = cut[across]
        cut[across] = cv2.flip(chosen.reshape(-1, *chosen.shape[2:]), 1).reshape(chosen.shape)
    if len(down):
        cut[down] = cut[down][:, ::-1]
    return np.asarray(cut)


def _padded(source: Array, sides: tuple[int, int, int, int], border: Border) -> Array:
    """Pad `(B, H, W, ...)` at the top, bottom, left and right."""
    top, bottom, left, right = sides
    height, width = source.shape[1:3]
    if border.mode != "constant":
        widths = ((0, 0), (top, bottom), (left, right), *((0, 0),) * (source.ndim - 3))
        return np.pad(source, widths, mode=border.mode)  # type: ignore[call-overload,no-any-return]
    shape = (len(source), height + top + bottom, width + left + right, *source.shape[3:])
    fill = cast_fill(border.fill, source[0])
    padded = np.zeros(shape, source.dtype)
    if np.any(fill):
        # Row by row: broadcasting three numbers over millions of pixels takes thirty times as long.
        padded[:, :, :] = np.broadcast_to(fill, shape[2:]).copy()
    padded[:, top : top + height, left : left + width] = source
    return padded
