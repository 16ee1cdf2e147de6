"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import FILL, INTERPOLATION, NAN, PROBABILITY, inside, whole

COUNT = [0, -1, 1, 2.5, True, "x", None]
READING = {"interpolation": INTERPOLATION, "padding_mode": ["wrap", None], "fill": FILL}

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "ElasticTransform": [
        {},
        {"alpha": (12.0, 20.0), "sigma": (3.0, 4.0), "fill": 0.4},
        {"alpha": 0.4, "sigma": 0.0, "interpolation": "bicubic"},
        {"alpha": 30.0, "sigma": 4, "interpolation": "nearest"},
    ],
    "GridDistortion": [
        {"p": 0.9},
        {"num_steps": 3, "distort_limit": (-0.5, 0.9), "normalized": False, "fill": 0.4},
        {"num_steps": 7, "interpolation": "nearest", "padding_mode": "reflect", "p": 0.9},
        {"distort_limit": 0.8, "interpolation": "bicubic", "normalized": False, "padding_mode": "edge"},
    ],
    "OpticalDistortion": [
        {"p": 0.9},
        {"distort_limit": (0.2, 0.6), "fill": 0.4},
        {"distort_limit": 0.4, "mode": "fisheye", "interpolation": "bicubic", "padding_mode": "symmetric"},
        {"distort_limit": 0.5, "interpolation": "nearest", "padding_mode": "edge", "p": 0.9},
    ],
    "ThinPlateSpline": [
        {"p": 0.9},
        {"scale_range": (0.5, 1.0), "num_control_points": 2, "fill": 0.4},
        {"num_control_points": 3, "interpolation": "nearest", "padding_mode": "reflect", "p": 0.9},
    ],
    "PiecewiseAffine": [
        {"p": 0.9},
        {"scale": (0.1, 0.2), "nb_rows": 2, "nb_cols": 5, "fill": 0.4},
        {"scale": (0.0, 0.1), "nb_rows": 6, "interpolation": "bicubic", "padding_mode": "symmetric"},
    ],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "ElasticTransform": (
        {},
        {
            "alpha": [None, "x", NAN, (1.0,), (1.0, "x")],
            "sigma": [-1.0, None, "x", NAN, (1.0, 0.0), (0.0, 2.0), (1.0, -1.0), (2.0,)],
            "interpolation": INTERPOLATION,
            "fill": FILL,
        },
    ),
    "GridDistortion": (
        {},
        {
            "num_steps": [0, -1, 2.5, True, "x", None],
            "distort_limit": [-0.1, 1.0, (-1.0, 0.5), (0.3, 0.1), (0.0, 1.1), "x", None, NAN],
            "p": PROBABILITY,
            **READING,
        },
    ),
    "OpticalDistortion": (
        {},
        {
            "distort_limit": [-0.1, (0.3, 0.1), (0.1,), "x", None, NAN],
            "mode": ["lens", None],
            "p": PROBABILITY,
            **READING,
        },
    ),
    "ThinPlateSpline": (
        {},
        {
            "scale_range": [(-0.1, 0.2), (0.4, 0.2), (0.5, 1.1), 0.3, None],
            "num_control_points": COUNT,
            "p": PROBABILITY,
            **READING,
        },
    ),
    "PiecewiseAffine": (
        {},
        {
            "scale": [(-0.1, 0.2), (0.4, 0.2), 0.3, None],
            "nb_rows": COUNT,
            "nb_cols": COUNT,
            "p": PROBABILITY,
            **READING,
        },
    ),
}


def _check_elastic(t, params, sizes):
    whole(params[:, :2])
    inside(0, params[:, :2], 2**24 - 1)
    assert len(np.unique(params[:, :2])) > params.shape[0]  # keys do not repeat
    assert (params[:, 2:] == (t.alpha if isinstance(t.alpha, tuple) else (t.alpha, t.alpha))).all()


def _check_grid(t, params, sizes):
    low, high = t.distort_limit if isinstance(t.distort_limit, tuple) else (-t.distort_limit, t.distort_limit)
    inside(1 + low, params, 1 + high)


def _check_optical(t, params, sizes):
    low, high = t.distort_limit if isinstance(t.distort_limit, tuple) else (-t.distort_limit, t.distort_limit)
    inside(low, params, high)


def _check_spline(t, params, sizes):
    low, high = np.array(t.scale_range) / 10
    spread = params.std()
    inside(low * 0.9, spread, high * 1.1)
    inside(-6 * high, params, 6 * high)


def _check_nodes(t, params, sizes):
    nodes = params.reshape(len(params), 2, t.nb_rows, t.nb_cols)
    inside(0, nodes, sizes[:, ::-1, None, None])
    home = np.stack(np.meshgrid(np.linspace(0, 1, t.nb_cols), np.linspace(0, 1, t.nb_rows)))
    moves = (nodes - home * sizes[:, ::-1, None, None]) * 3 / sizes.min(1)[:, None, None, None]
    inside(-6 * t.scale[1], moves, 6 * t.scale[1])
    inner = moves[:, :, 1:-1, 1:-1]
    assert not inner.size or t.scale[0] * 0.9 <= inner.std() <= t.scale[1] * 1.1


RANGES: dict[str, Callable[..., None]] = {
    "ElasticTransform": _check_elastic,
    "GridDistortion": _check_grid,
    "OpticalDistortion": _check_optical,
    "ThinPlateSpline": _check_spline,
    "PiecewiseAffine": _check_nodes,
}
UNCHECKED = {"normalized"}
