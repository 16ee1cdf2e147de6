"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import ANGLE, FILL, INTERPOLATION, NAN, PROBABILITY, inside, whole

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "RandomRotate90": [{}, {"p": 0.8}],
    "Transpose": [{}, {"p": 0.9}],
    "D4": [{}, {"p": 0.8}],
    "SafeRotate": [
        {"limit": 50, "p": 0.9},
        {"limit": (-90, 180), "fill": 0.4},
        {"limit": (20, 70), "interpolation": "nearest", "p": 0.9},
        {"interpolation": "bicubic", "p": 0.9},
    ],
    "RandomPerspective": [
        {"p": 0.9},
        {"distortion_scale": 0.3, "fill": 0.6, "p": 0.9},
        {"distortion_scale": 1.0, "p": 1.0},
        {"distortion_scale": 0.8, "interpolation": "nearest", "p": 0.9},
        {"distortion_scale": 0.4, "interpolation": "bicubic", "p": 0.9},
    ],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "RandomRotate90": ({}, {"p": PROBABILITY}),
    "Transpose": ({}, {"p": PROBABILITY}),
    "D4": ({}, {"p": PROBABILITY}),
    "SafeRotate": ({}, {"limit": ANGLE, "interpolation": INTERPOLATION, "fill": FILL, "p": PROBABILITY}),
    "RandomPerspective": (
        {},
        {
            "distortion_scale": [-0.1, 1.1, NAN, "x", None, (0.1, 0.2)],
            "p": PROBABILITY,
            "interpolation": INTERPOLATION,
            "fill": FILL,
        },
    ),
}


def _check_element(count):
    def check(t, params, sizes):
        whole(params)
        inside(0, params, count - 1)
        assert len(np.unique(params)) == count

    return check


def _check_limit(t, params, sizes):
    low, high = t.limit if isinstance(t.limit, tuple) else (-t.limit, t.limit)
    inside(low, params, high)


def _check_corners(t, params, sizes):
    corners, last = params.reshape(-1, 4, 2), sizes[:, None, ::-1] - 1
    far = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    moves = np.where(far == 1, last - corners, corners)
    inside(0, moves, np.floor(t.distortion_scale * np.floor(sizes[:, None, ::-1] / 2)))
    whole(moves * 2)
    assert t.distortion_scale > 0.5 or np.array_equal(moves, np.rint(moves))
    # The corners go round the same way, without a dent.
    sides = np.roll(corners, -1, 1) - corners
    after = np.roll(sides, -1, 1)
    assert (sides[..., 0] * after[..., 1] > sides[..., 1] * after[..., 0]).all()


RANGES: dict[str, Callable[..., None]] = {
    "RandomRotate90": _check_element(4),
    "D4": _check_element(8),
    "SafeRotate": _check_limit,
    "RandomPerspective": _check_corners,
}
UNCHECKED: set[str] = set()
