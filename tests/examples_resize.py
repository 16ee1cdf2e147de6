"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import FILL, INTERPOLATION, NAN, PROBABILITY, SIZE, inside, whole

LENGTHS = [0, -3, 2.5, "x", True, (), (20, 0), (20, 1.5)]
BOUNDS = [(None, None), (20,), (0, 20), (20, 2.5), 20, "x"]
POSITION = ["left", None, "center_left", 3]
LENGTH = [0, -3, 2.5, "x", True]

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "LongestMaxSize": [
        {"max_size": (20, 31, 45)},
        {"max_size_hw": (25, 21)},
        {"max_size_hw": (None, 41), "interpolation": "nearest"},
        {"max_size": 52, "interpolation": "bicubic", "antialias": False},
    ],
    "SmallestMaxSize": [{"max_size": (15, 24)}, {"max_size_hw": (25, 40)}, {"max_size_hw": (18, None)}],
    "RandomShortestSize": [
        {"min_size": (16, 22, 30)},
        {"min_size": 20, "max_size": 24, "interpolation": "bicubic"},
        {"min_size": (15, 40), "max_size": 41, "antialias": False},
    ],
    "RandomResize": [{"min_size": 12, "max_size": 40}, {"min_size": 18, "max_size": 18, "interpolation": "nearest"}],
    "ScaleJitter": [{"target_size": (30, 24)}, {"target_size": (40, 40), "scale_range": (0.4, 0.9)}],
    "RandomScale": [
        {"scale_limit": 0.4, "p": 0.9},
        {"scale_limit": (-0.6, -0.2), "interpolation": "bicubic", "p": 0.8},
    ],
    "RandomZoomOut": [{"p": 0.9}, {"fill": 0.4, "side_range": (1.0, 1.5), "p": 0.8}],
    "PadIfNeeded": [
        {"min_height": 31, "min_width": 40, "fill": 0.6},
        {"min_height": 35, "min_width": 32, "position": "random", "padding_mode": "reflect"},
        {"min_height": None, "min_width": None, "pad_height_divisor": 8, "pad_width_divisor": 10},
        {"min_height": 42, "min_width": None, "pad_width_divisor": 7, "position": "bottom_left"},
        {"min_height": 30, "min_width": 36, "position": "top_right", "padding_mode": "edge"},
    ],
    "LetterBox": [
        {"size": (28, 33), "fill": 0.4},
        {"size": 40, "interpolation": "nearest", "position": "random"},
        {"size": (20, 45), "interpolation": "bicubic", "antialias": False, "position": "top_left"},
    ],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "LongestMaxSize": (
        {"max_size": 20},
        {"max_size": [*LENGTHS, None], "max_size_hw": [*BOUNDS, (20, 20)], "interpolation": INTERPOLATION},
    ),
    "SmallestMaxSize": (
        {"max_size": 20},
        {"max_size": [*LENGTHS, None], "max_size_hw": [*BOUNDS, (20, 20)], "interpolation": INTERPOLATION},
    ),
    "RandomShortestSize": (
        {"min_size": 20},
        {"min_size": [*LENGTHS, None], "max_size": LENGTH, "interpolation": INTERPOLATION},
    ),
    "RandomResize": (
        {"min_size": 20, "max_size": 30},
        {"min_size": [*LENGTH, None], "max_size": [*LENGTH, None, 19], "interpolation": INTERPOLATION},
    ),
    "ScaleJitter": (
        {"target_size": (20, 30)},
        {
            "target_size": [20, (20,), (20, 0), (20, 1.5), "x", None],
            "scale_range": [(0.0, 1.0), (1.2, 0.8), 1.0, None],
            "interpolation": INTERPOLATION,
        },
    ),
    "RandomScale": (
        {},
        {
            "scale_limit": [-0.1, 1.0, (-1.0, 0.5), (0.3, 0.1), "x", None, NAN],
            "interpolation": INTERPOLATION,
            "p": PROBABILITY,
        },
    ),
    "RandomZoomOut": ({}, {"fill": FILL, "side_range": [(0.9, 2.0), (3.0, 2.0), 2.0, None], "p": PROBABILITY}),
    "PadIfNeeded": (
        {},
        {
            "min_height": [*LENGTH, None],
            "min_width": [*LENGTH, None],
            "pad_height_divisor": LENGTH,
            "pad_width_divisor": LENGTH,
            "position": POSITION,
            "padding_mode": ["wrap", None],
            "fill": FILL,
        },
    ),
    "LetterBox": (
        {"size": 20},
        {"size": [*SIZE, None], "fill": FILL, "interpolation": INTERPOLATION, "position": POSITION},
    ),
}


def _near_ratio(params, sizes):
    """One factor leads from the old sides to the new ones, but for a pixel."""
    params = params[:, :2]  # a part of a larger transform has columns that belong to others
    whole(params)
    inside(1, params, np.inf)
    inside(((params - 1) / sizes).max(1), ((params + 1) / sizes).min(1), np.inf)
    return params


def _check_longest(t, params, sizes):
    params = _near_ratio(params, sizes)
    if t.max_size is not None:
        assert np.isin(params.max(1), t.max_size).all()
    else:
        bounds = np.array([side or np.inf for side in t.max_size_hw])
        assert (params <= bounds).all()
        assert (params == bounds).any(1).all()


def _check_smallest(t, params, sizes):
    params = _near_ratio(params, sizes)
    if t.max_size is not None:
        assert np.isin(params.min(1), t.max_size).all()
    else:
        bounds = np.array([side or 0 for side in t.max_size_hw])
        assert (params >= bounds).all()
        assert (params == bounds).any(1).all()


def _check_shortest(t, params, sizes):
    params = _near_ratio(params, sizes)
    inside(0, params.max(1), t.max_size or np.inf)
    # torchvision cuts the product off: 1 pixel less where it falls short of a whole number by rounding.
    choices = np.array(t.min_size).reshape(-1)
    near = np.isin(params.min(1), choices) | np.isin(params.min(1) + 1, choices)
    assert (near | (t.max_size is not None and params.max(1) >= t.max_size - 1)).all()


def _check_resize(t, params, sizes):
    params = _near_ratio(params, sizes)
    inside(t.min_size, params.min(1), max(t.max_size - 1, t.min_size))


def _check_jitter(t, params, sizes):
    params = _near_ratio(params, sizes)
    fit = (np.array(t.target_size[::-1]) / sizes).min(1, keepdims=True) * sizes
    inside(np.maximum(fit * t.scale_range[0] - 1, 1), params, np.maximum(fit * t.scale_range[1], 1))


def _check_scale(t, params, sizes):
    params = _near_ratio(params, sizes)
    low, high = t.scale_limit if isinstance(t.scale_limit, tuple) else (-t.scale_limit, t.scale_limit)
    inside(np.floor(sizes * (1 + low)), params, sizes * (1 + high))


def _check_zoom(t, params, sizes):
    whole(params)
    inside(np.floor(sizes * t.side_range[0]), params[:, 2:], sizes * t.side_range[1])
    inside(0, params[:, :2], params[:, 2:] - sizes)


def _check_pad(t, params, sizes):
    whole(params)
    place, canvas = params[:, :2], params[:, 2:]
    free = canvas - sizes
    inside(0, place, free)
    for axis, side in enumerate(("height", "width")):
        least, divisor = getattr(t, f"min_{side}"), getattr(t, f"pad_{side}_divisor")
        if divisor:
            assert (canvas[:, axis] % divisor == 0).all()
            inside(0, free[:, axis], divisor - 1)
        else:
            assert np.array_equal(canvas[:, axis], np.maximum(sizes[:, axis], least))
        if t.position == "center":
            assert np.array_equal(place[:, axis], free[:, axis] // 2)
    if t.position not in ("center", "random"):
        assert np.array_equal(place[:, 0], free[:, 0] * t.position.startswith("bottom"))
        assert np.array_equal(place[:, 1], free[:, 1] * t.position.endswith("right"))


RANGES: dict[str, Callable[..., None]] = {
    "LongestMaxSize": _check_longest,
    "SmallestMaxSize": _check_smallest,
    "RandomShortestSize": _check_shortest,
    "RandomResize": _check_resize,
    "ScaleJitter": _check_jitter,
    "RandomScale": _check_scale,
    "RandomZoomOut": _check_zoom,
    "PadIfNeeded": _check_pad,
}
UNCHECKED: set[str] = set()
