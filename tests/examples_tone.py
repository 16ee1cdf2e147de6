"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import NAN, PROBABILITY, inside, whole

# threshold and addition are shares of the value range here; `build` scales them for uint8.
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "RandomInvert": [{}, {"p": 0.7}],
    "RandomPosterize": [{"bits": 3}, {"bits": 1, "p": 0.9}, {"bits": 7}],
    "RandomSolarize": [{"threshold": 0.5}, {"threshold": 0.123, "p": 0.7}],
    "RandomAutocontrast": [{}, {"p": 0.7}],
    "RandomEqualize": [{}, {"p": 0.7}],
    "SolarizeAdd": [{"threshold": 0.5, "addition": 0.3}, {"threshold": 0.7, "addition": (0.1, 0.9), "p": 0.9}],
    "RandomGamma": [{}, {"gamma_limit": (30, 300), "p": 0.9}],
    "RandomToneCurve": [{}, {"scale": 0.4, "p": 0.9}, {"scale": 0.3, "per_channel": True}],
    "CLAHE": [{}, {"clip_limit": (2.0, 40.0), "tile_grid_size": (4, 3), "p": 0.9}, {"tile_grid_size": (1, 1)}],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "RandomInvert": ({}, {"p": PROBABILITY}),
    "RandomPosterize": ({"bits": 3}, {"bits": [-1, 9, 2.5, None, "x", True, (1, 3)], "p": PROBABILITY}),
    "RandomSolarize": ({"threshold": 0.5}, {"threshold": [-0.1, NAN, None, "x", (0.1, 0.5)], "p": PROBABILITY}),
    "RandomAutocontrast": ({}, {"p": PROBABILITY}),
    "RandomEqualize": ({}, {"p": PROBABILITY}),
    "SolarizeAdd": (
        {"threshold": 0.5, "addition": 0.1},
        {
            "threshold": [-0.1, NAN, None, "x", (0.1, 0.5)],
            "addition": [-0.1, (0.5, 0.1), (-0.1, 0.1), NAN, None, "x", (0.1,)],
            "p": PROBABILITY,
        },
    ),
    "RandomGamma": ({}, {"gamma_limit": [0, 80, (0, 100), (120, 80), (1, NAN), None, "x"], "p": PROBABILITY}),
    "RandomToneCurve": ({}, {"scale": [-0.1, 1.1, NAN, None, "x"], "p": PROBABILITY}),
    "CLAHE": (
        {},
        {
            "clip_limit": [0.5, (0.5, 2.0), (3.0, 2.0), NAN, None, "x"],
            "tile_grid_size": [8, (8,), (0, 8), (8, 65), (2.0, 2), None, "x"],
            "p": PROBABILITY,
        },
    ),
}
UNCHECKED: set[str] = {"per_channel"}  # fields of which any value is taken


def _check_bits(t, params, sizes):
    assert np.array_equal(params, np.full_like(params, t.bits))
    whole(params)


def _check_addition(t, params, sizes):
    low, high = t.addition if isinstance(t.addition, tuple) else (t.addition, t.addition)
    inside(low, params, high)


def _check_gamma(t, params, sizes):
    low, high = t.gamma_limit
    inside(low / 100, params, high / 100)
    assert np.ptp(params) > 0.8 * (high - low) / 100


def _check_tone_curve(t, params, sizes):
    inside(0, params, 1)
    assert params.shape[1] == (6 if t.per_channel else 2)
    low, high = np.split(params, 2, axis=1)
    assert abs(low.mean() - 0.25) < 0.3 * t.scale + 0.01
    assert abs(high.mean() - 0.75) < 0.3 * t.scale + 0.01


def _check_clahe(t, params, sizes):
    low, high = t.clip_limit if isinstance(t.clip_limit, tuple) else (1, t.clip_limit)
    inside(low, params[:, 0], high)
    inside(1, params[:, 1], 1)


RANGES: dict[str, Callable[..., None]] = {
    "RandomPosterize": _check_bits,
    "SolarizeAdd": _check_addition,
    "RandomGamma": _check_gamma,
    "RandomToneCurve": _check_tone_curve,
    "CLAHE": _check_clahe,
}
