"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import FILL, INTERPOLATION, NAN, PROBABILITY, inside, whole

ALPHA = [0.0, -1.0, NAN, None, "x", True]
CLASSES = [0, -3, 2.5, "x", True]
PAIR = [(2,), 3, (0, 2), (2, 2.5), (-1, 2), "x", (True, 2)]

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "MixUp": [{}, {"alpha": 0.3, "num_classes": 4, "p": 0.8}],
    "CutMix": [{}, {"alpha": 2.5, "num_classes": 4, "p": 0.8}],
    "Mosaic": [
        {"target_size": (30, 44), "cell_shape": (26, 30), "p": 0.8},
        {"target_size": (40, 40), "cell_shape": (30, 33), "fit_mode": "contain", "fill": 0.4, "p": 0.9},
        {"grid_yx": (1, 3), "target_size": (23, 61), "cell_shape": (23, 34), "center_range": (0.0, 1.0), "p": 0.9},
    ],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "MixUp": ({}, {"alpha": ALPHA, "num_classes": CLASSES, "p": PROBABILITY}),
    "CutMix": ({}, {"alpha": ALPHA, "num_classes": CLASSES, "p": PROBABILITY}),
    "Mosaic": (
        {},
        {
            "grid_yx": PAIR,
            "target_size": [*PAIR, (1025, 100), (100, 1025)],
            "cell_shape": PAIR,
            "center_range": [(0.6, 0.4), (-0.1, 0.5), (0.5, 1.1), 0.5, None],
            "fit_mode": ["fill", None, 3],
            "interpolation": INTERPOLATION,
            "fill": FILL,
            "num_classes": CLASSES,
            "p": PROBABILITY,
        },
    ),
}


def _check_weight(t, params, sizes):
    inside(0, params[:, 0], 1)
    assert not params[:, 1:].any()


def _check_window(t, params, sizes):
    assert (params[:, 0] == 1).all()
    whole(params)
    place, window = params[:, 1:3], params[:, 3:]
    inside(0, place, sizes - window)
    # Even sides about a pixel of the image, of which at least half is left where the edge cuts it.
    free = ((place > 0) & (place + window < sizes)).all(1)
    assert (window[free] % 2 == 0).all()


def _check_view(t, params, sizes):
    whole(params)
    inside(0, params, np.array(t.grid_yx) * t.cell_shape - t.target_size)


RANGES: dict[str, Callable[..., None]] = {"MixUp": _check_weight, "CutMix": _check_window, "Mosaic": _check_view}
UNCHECKED: set[str] = set()
