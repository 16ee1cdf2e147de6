"""Float64 formulas of one family; merged by `tests/reference.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference_steps import ColorStep, Step


def _window(t, params, size):
    top, left, height, width = params
    return [[1, 0, left], [0, 1, top], [0, 0, 1]], (height, width)


def _resized(t, params, size):
    top, left, height, width = params
    return [[width / t.width, 0, left], [0, height / t.height, top], [0, 0, 1]], (t.height, t.width)


STEPS: dict[str, Step] = {}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {
    "RandomIoUCrop": _window,
    "BBoxSafeRandomCrop": _window,
    "AtLeastOneBBoxRandomCrop": _window,
    "RandomSizedBBoxSafeCrop": _resized,
    "SanitizeBoundingBoxes": lambda t, params, size: ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], size),
}
