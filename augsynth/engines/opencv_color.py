"""Colour on the CPU: steps stay one pending matrix until a clamp or the hue forces a pass over the pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from augsynth.engines.opencv_geometry import to_float
from augsynth.fuse import Colors
from augsynth.transforms.base import Array
from augsynth.transforms.color import LUMA

_LUMA_ONE = LUMA / LUMA.sum()


class State:
    """One image on its way: pixels, and an affine colour map `a x + b` (then a clamp) that is not applied yet."""

    __slots__ = ("a", "b", "channels", "clamp", "pixels")

    def __init__(self, pixels: Array, channels: int) -> None:
        self.pixels, self.channels = pixels, channels
        self.a: Array | None = None
        self.b: Any = None
        self.clamp = False

    def settle(self, white: float) -> None:
        """Apply what is pending."""
        if self.a is None:
            return
        self.pixels = transform(to_float(self.pixels), affine(self.a, self.b))
        if self.clamp:
            torch.from_numpy(self.pixels).clamp_(0.0, white)
        self.a, self.b, self.clamp = None, None, False


def affine(a: Array, b: Any) -> Array:
    """Put a `(C, C)` and b `(C,)` or None into `(C, C + 1)`."""
    result = np.zeros((len(a), len(a) + 1))
    result[:, :-1] = a
    if b is not None:
        result[:, -1] = b
    return result


def transform(pixels: Array, matrix: Array) -> Array:
    """Apply an affine colour map to float32 pixels; in place of a copy where that is as fast."""
    return np.asarray(cv2.transform(pixels, matrix))


class ColorSteps:
    """A colour run, its arrays as Python lists: indexing them per sample is ten times cheaper."""

    def __init__(self, run: Colors, white: float, exact: bool) -> None:
        self.run, self.white, self.exact = run, white, exact
        self.used, self.expands, self.chroma = run.used.tolist(), run.expands.tolist(), run.chroma.tolist()
        self.hue = run.hue.tolist()
        self.contrast = (run.luma != 0).any(2).tolist()
        self.composed: dict[int, tuple[Array, Array]] = {}

    def apply(self, state: State, i: int) -> None:
        """Add the run's i-th sample's steps to what is pending."""
        state.settle(self.white)
        if self.exact:
            self._apply_exact(state, i)
            return
        if state.channels not in self.composed:
            self.composed[state.channels] = self.run.composed(state.channels)
        a, v = (array[i] for array in self.composed[state.channels])
        state.a, state.b, state.clamp = a, None, True
        if any(self.contrast[i]):
            mean = means(state.pixels, state.channels)
            state.b = (float(mean @ _LUMA_ONE) if state.channels == 3 else float(mean[0])) * v

    def _apply_exact(self, state: State, i: int) -> None:
        size = state.channels
        for step, used in enumerate(self.used[i]):
            if not used or (size == 1 and self.chroma[i][step]):
                continue
            if state.clamp:
                state.settle(self.white)
            shift = self.hue[i][step]
            if shift == shift:  # not NaN: an HSV shift
                state.settle(self.white)
                state.pixels = shift_hue(to_float(state.pixels), shift)
                continue
            a = self.run.matrix[i, step, :size, :size]
            after_b = None if state.b is None else a @ state.b
            if self.contrast[i][step]:
                mean = means(state.pixels, size)
                # Nothing is clamped between, so the mean of the pending image is the image of the mean.
                if state.a is not None:
                    mean = state.a @ mean
                if state.b is not None:
                    mean = mean + state.b
                pivot = float((LUMA if size == 3 else np.ones(1)) @ mean) * self.run.luma[i, step, :size]
                after_b = pivot if after_b is None else after_b + pivot
            state.a = a if state.a is None else a @ state.a
            state.b, state.clamp = after_b, self.expands[i][step]


def means(pixels: Array, channels: int) -> Array:
    """Return the mean of each channel `(C,)`, summed in double and in one order: the same bits on any machine load."""
    if pixels.dtype == np.uint8:
        return np.asarray(cv2.mean(pixels)[:channels])
    # Two thirds of the time of cv2.mean.
    return np.asarray(np.array(cv2.sumElems(pixels)[:channels]) / (pixels.shape[0] * pixels.shape[1]))


def shift_hue(pixels: Array, shift: float) -> Array:
    """Shift the HSV hue of float32 `(H, W, 3)` by a fraction of the circle."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    # 360 and more wraps inside cv2; a negative hue does not.
    cv2.add(hsv, (shift % 1.0 * 360.0, 0.0, 0.0, 0.0), dst=hsv)  # type: ignore[call-overload]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=hsv))
