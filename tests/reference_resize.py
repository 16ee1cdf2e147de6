"""Float64 maps of the resizes, canvases and pads; merged by `tests/reference.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from reference_steps import ColorStep, Step

STEPS: dict[str, Step] = {}
COLORS: dict[str, ColorStep] = {}


def _place_resized(t, params, size):
    """Parameters are the new height and width."""
    return np.diag([size[1] / params[1], size[0] / params[0], 1.0]), (params[0], params[1])


def _place_canvas(t, params, size):
    """Parameters are top and left of the image on the canvas, and the canvas' height and width."""
    top, left, height, width = params
    return np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]]), (height, width)


def _canvas_border(t, params, size):
    fill = tuple(map(float, t.fill)) if isinstance(t.fill, tuple) else (float(t.fill),)
    return (getattr(t, "padding_mode", "constant"), fill), True


def _pad_border(t, params, size):
    # What pads nothing does nothing: it parts no run.
    if (params[2], params[3]) == tuple(size):
        return None, False
    return _canvas_border(t, params, size)


RESIZES = {
    "LongestMaxSize",
    "SmallestMaxSize",
    "RandomShortestSize",
    "RandomResize",
    "ScaleJitter",
    "RandomScale",
}
PLACES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(RESIZES, _place_resized),
    **dict.fromkeys(("RandomZoomOut", "PadIfNeeded"), _place_canvas),
}
BORDERS = {"RandomZoomOut": _canvas_border, "PadIfNeeded": _pad_border}
