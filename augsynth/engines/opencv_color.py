"""Colour on the CPU: steps stay one pending matrix until a clamp or the hue forces a pass over the pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from augsynth.engines.opencv_geometry import to_float
from augsynth.runs import Colors
from augsynth.transforms.base import Array
from augsynth.transforms.color import LUMA

_LUMA_EXACT, _LUMA_TOTAL = tuple(LUMA.tolist()), float(LUMA.sum())
_LUMA_ONE = tuple((LUMA / LUMA.sum()).tolist())
_LUMA = {1: np.ones(1), 3: LUMA}
_UNIT = {channels: np.eye(channels, channels + 1) for channels in (1, 3)}


class State:
    """One image on its way: pixels, and what colour has still to do to them.

    Pending is `matrix (C, C + 1)`, or where that is None `scale x + shift`, the same for all channels; then a clamp to
    the value range if `clamp`. owned: the pixels are float32 and nobody else's, so they may be changed in place.
    """

    __slots__ = ("channels", "clamp", "matrix", "owned", "pixels", "scale", "shift")

    def __init__(self, pixels: Array, channels: int) -> None:
        self.pixels, self.channels = pixels, channels
        self.owned, self.clamp = False, False
        self.matrix: Array | None = None
        self.scale, self.shift = 1.0, 0.0

    @property
    def pending(self) -> Array | None:
        """The pending map as a matrix `(C, C + 1)`, None if it is the identity."""
        if self.matrix is not None:
            return self.matrix
        if self.scale == 1.0 and self.shift == 0.0:
            return None
        matrix: Array = self.scale * _UNIT[self.channels]
        matrix[:, -1] = self.shift
        return matrix

    def floats(self) -> Array:
        """Return the pixels as float32 that may be changed."""
        if not self.owned:
            same = self.pixels.dtype == np.float32
            self.pixels = self.pixels.copy() if same else to_float(self.pixels)
            self.owned = True
        return self.pixels

    def settle(self, white: float) -> None:
        """Apply what is pending."""
        if self.matrix is None and not self.clamp and self.scale == 1.0 and self.shift == 0.0:
            return
        matrix = self.pending
        if matrix is not None:
            self.pixels, self.owned = cv2.transform(to_float(self.pixels), matrix), True
        if self.clamp:
            torch.from_numpy(self.floats()).clamp_(0.0, white)
        self.matrix, self.scale, self.shift, self.clamp = None, 1.0, 0.0, False

    def bound(self, white: float) -> None:
        """Apply a pending clamp; where the map is the same for all channels, it stays pending.

        clamp(a x + b, 0, w) is a clamp(x, -b / a, (w - b) / a) + b: one pass over the pixels instead of two.
        """
        if not self.clamp:
            return
        if self.matrix is not None or self.scale < 1e-3:
            self.settle(white)
            return
        low, high = -self.shift / self.scale, (white - self.shift) / self.scale
        torch.from_numpy(self.floats()).clamp_(low, high)
        self.clamp = False


class ColorSteps:
    """A colour run, its arrays as Python lists: indexing them per sample is ten times cheaper."""

    def __init__(self, run: Colors, white: float, exact: bool) -> None:
        self.run, self.white, self.exact = run, white, exact
        self.used, self.expands, self.chroma = run.used.tolist(), run.expands.tolist(), run.chroma.tolist()
        self.hue = run.hue.tolist()
        self.contrast = (run.luma != 0).any(2).tolist()
        self.pivots = [any(steps) for steps in self.contrast]
        self.composed: dict[int, tuple[Array, Array]] = {}
        if exact:
            a, v = run.matrix, run.luma
            self.factor, self.pivot = a[:, :, 0, 0].tolist(), v[:, :, 0].tolist()
            same = (a == a[:, :, :1, :1] * np.eye(3)).all((2, 3)) & (v == v[:, :, :1]).all(2)
            self.uniform = (same & (a[:, :, 0, 0] >= 0)).tolist()

    def apply(self, state: State, i: int) -> None:
        """Add the run's i-th sample's steps to what is pending."""
        state.settle(self.white)
        if self.exact:
            self._apply_exact(state, i)
            return
        if state.channels not in self.composed:
            self.composed[state.channels] = self._compose(state.channels)
        matrix, luma = self.composed[state.channels]
        state.matrix, state.clamp = matrix[i], True
        if self.pivots[i]:
            state.matrix[:, -1] = mean_luma(state.pixels, _LUMA_ONE) * luma[i]

    def _compose(self, channels: int) -> tuple[Array, Array]:
        a, v = self.run.composed(channels)
        return np.concatenate([a, np.zeros((len(a), channels, 1))], 2), v

    def _apply_exact(self, state: State, i: int) -> None:
        for step, used in enumerate(self.used[i]):
            if used:
                self.apply_step(state, i, step)

    def apply_step(self, state: State, i: int, step: int) -> None:
        """Apply, or add to what is pending, one step of exact colour."""
        size = state.channels
        if size == 1 and self.chroma[i][step]:
            return
        state.bound(self.white)
        shift = self.hue[i][step]
        if shift == shift:  # not NaN: an HSV shift
            if state.matrix is not None:
                state.settle(self.white)
            # A map that is the same for all channels keeps the hue: it stays pending.
            state.pixels, state.owned = shift_hue(to_float(state.pixels), shift), True
            return
        if state.matrix is None and (size == 1 or self.uniform[i][step]):
            factor, pivot = self.factor[i][step], self.pivot[i][step]
            if pivot:
                mean = mean_luma(state.pixels, _LUMA_EXACT)
                pivot *= state.scale * mean + state.shift * (1.0 if size == 1 else _LUMA_TOTAL)
            state.scale, state.shift = factor * state.scale, factor * state.shift + pivot
        else:
            self._compose_step(state, i, step)
        state.clamp = self.expands[i][step]

    def _compose_step(self, state: State, i: int, step: int) -> None:
        size, before = state.channels, state.pending
        before = _UNIT[size] if before is None else before
        state.matrix = self.run.matrix[i, step, :size, :size] @ before
        if self.contrast[i][step]:
            # Nothing is clamped between, so the mean of the pending image is the image of the mean.
            mean = before[:, :size] @ means(state.pixels) + before[:, size]
            state.matrix[:, size] += float(_LUMA[size] @ mean) * self.run.luma[i, step, :size]


def means(pixels: Array) -> Array:
    """Return the mean of each channel `(C,)`, summed in double and in one order: the same bits on any machine load."""
    channels = 3 if pixels.ndim == 3 else 1
    sums: Array = np.array(_sums(pixels)[:channels])
    return np.asarray(sums / (pixels.shape[0] * pixels.shape[1]))


def mean_luma(pixels: Array, weights: tuple[float, ...]) -> float:
    """Return the mean luma; in plain Python, which is faster than numpy on three numbers."""
    sums, count = _sums(pixels), pixels.shape[0] * pixels.shape[1]
    if pixels.ndim == 2:
        return float(sums[0] / count)
    return float((weights[0] * sums[0] + weights[1] * sums[1] + weights[2] * sums[2]) / count)


def _sums(pixels: Array) -> Any:
    return cv2.sumElems(pixels)  # two thirds of the time of cv2.mean


def shift_hue(pixels: Array, shift: float | Array) -> Array:
    """Shift the HSV hue of float32 `(H, W, 3)` by a fraction of the circle, or each row by its own `(H,)`."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    # 360 and more wraps inside cv2; a negative hue does not.
    degrees = shift % 1.0 * 360.0
    if isinstance(degrees, float):
        cv2.add(hsv, (degrees, 0.0, 0.0, 0.0), dst=hsv)  # type: ignore[call-overload]
    else:
        hsv[:, :, 0] += degrees[:, None].astype(np.float32)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=hsv))


def luma_weights(exact: bool) -> tuple[float, ...]:
    """Return the weights of red, green and blue."""
    return _LUMA_EXACT if exact else _LUMA_ONE
