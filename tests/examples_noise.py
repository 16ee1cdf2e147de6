"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import NAN, PROBABILITY, inside, whole

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "GaussianNoise": [{}, {"mean": 0.1, "sigma": 0.3}, {"mean": -0.02, "sigma": 0.01, "clip": False}],
    "GaussNoise": [
        {"p": 0.9},
        {"std_range": (0.0, 0.1), "mean_range": (-0.2, 0.3), "per_channel": False, "p": 0.9},
    ],
    "ISONoise": [{"p": 0.9}, {"color_shift": (0.1, 0.3), "intensity": (0.5, 2.0), "p": 0.9}],
    "ShotNoise": [
        {"p": 0.9},
        {"scale_range": (0.02, 0.05), "p": 0.9},
        {"scale_range": (0.001, 1.0), "p": 0.9},
    ],
    "SaltAndPepper": [{"p": 0.9}, {"amount": (0.2, 0.5), "salt_vs_pepper": (0.0, 0.3), "p": 0.9}],
    "MultiplicativeNoise": [
        {"p": 0.9},
        {"multiplier": (0.5, 1.8), "per_channel": True, "p": 0.9},
        {"multiplier": (0.5, 1.8), "elementwise": True, "p": 0.9},
        {"multiplier": (0.0, 1.0), "per_channel": True, "elementwise": True, "p": 0.9},
    ],
}

_SHARE = [(-0.1, 0.5), (0.5, 0.1), (0.5, 1.1), 0.5, "x", None]

BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "GaussianNoise": ({}, {"mean": ["x", None, NAN], "sigma": [-0.1, "x", None, NAN]}),
    "GaussNoise": ({}, {"std_range": _SHARE, "mean_range": [(-1.1, 0.0), (0.2, 0.1), 0.5], "p": PROBABILITY}),
    "ISONoise": (
        {},
        {"color_shift": _SHARE, "intensity": [(-0.1, 0.5), (0.5, 0.1), 0.5, None], "p": PROBABILITY},
    ),
    "ShotNoise": ({}, {"scale_range": [(0.0, 0.5), *_SHARE], "p": PROBABILITY}),
    "SaltAndPepper": ({}, {"amount": _SHARE, "salt_vs_pepper": _SHARE, "p": PROBABILITY}),
    "MultiplicativeNoise": (
        {},
        {"multiplier": [-0.1, (-0.1, 1.0), (1.1, 0.9), "x", None, NAN], "p": PROBABILITY},
    ),
}


def check_key(params):
    whole(params[:, :2])
    inside(0, params[:, :2], 2**24 - 1)
    assert len(np.unique(params[:, :2])) > 0.99 * params[:, :2].size


def _check_gaussian(t, params, sizes):
    check_key(params)
    assert (params[:, 2:] == [t.mean, t.sigma]).all()


def _check_gauss(t, params, sizes):
    check_key(params)
    inside(t.mean_range[0], params[:, 2], t.mean_range[1])
    inside(t.std_range[0], params[:, 3], t.std_range[1])


def _check_iso(t, params, sizes):
    check_key(params)
    inside(t.color_shift[0], params[:, 2], t.color_shift[1])
    inside(t.intensity[0], params[:, 3], t.intensity[1])


def _check_shot(t, params, sizes):
    check_key(params)
    inside(t.scale_range[0], params[:, 2], t.scale_range[1])


def _check_salt(t, params, sizes):
    check_key(params)
    inside(t.amount[0], params[:, 2], t.amount[1])
    inside(t.salt_vs_pepper[0], params[:, 3], t.salt_vs_pepper[1])


def _check_factors(t, params, sizes):
    check_key(params)
    assert (params[:, 2:4] == t.multiplier).all()
    inside(t.multiplier[0], params[:, 4:], t.multiplier[1])
    assert (params[:, 4] == params[:, 5]).all() != t.per_channel


RANGES: dict[str, Callable[..., None]] = {
    "GaussianNoise": _check_gaussian,
    "GaussNoise": _check_gauss,
    "ISONoise": _check_iso,
    "ShotNoise": _check_shot,
    "SaltAndPepper": _check_salt,
    "MultiplicativeNoise": _check_factors,
}
UNCHECKED: set[str] = {"clip", "per_channel", "elementwise"}  # fields of which any value is taken
