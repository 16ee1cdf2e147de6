"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import FILL, NAN, PROBABILITY, inside, whole
from examples_noise import check_key

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "CoarseDropout": [
        {"p": 0.9},
        {"num_holes_range": (2, 5), "hole_height_range": (3, 9), "hole_width_range": (1, 40), "fill": 0.4, "p": 0.9},
        {"num_holes_range": (3, 3), "hole_height_range": (0.2, 1.0), "fill": "random", "p": 0.9},
    ],
    "GridDropout": [
        {"p": 0.9},
        {"ratio": 0.7, "unit_size_range": (5, 12), "fill": 0.4, "p": 0.9},
        {"ratio": 0.3, "holes_number_xy": (3, 4), "shift_xy": (2, 5), "random_offset": False, "p": 0.9},
        {"fill": "random", "p": 0.9},
    ],
    "PixelDropout": [
        {"p": 0.9},
        {"dropout_prob": 0.3, "per_channel": True, "drop_value": 0.8, "p": 0.9},
        {"dropout_prob": 0.2, "drop_value": None, "p": 0.9},
    ],
}

_FILL = ["noise", *(value for value in FILL if value != "red")]

BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "CoarseDropout": (
        {},
        {
            "num_holes_range": [(0, 2), (3, 2), (1.5, 3), 2, None],
            "hole_height_range": [(0.0, 0.5), (0.5, 1.1), (5, 3), (0.5, 0.2), 0.5, None],
            "hole_width_range": [(0, 5), (0.0, 0.5), (2.5, 3.5), 5],
            "fill": _FILL,
            "p": PROBABILITY,
        },
    ),
    "GridDropout": (
        {},
        {
            "ratio": [0.0, 1.0, -0.5, NAN, "x", None],
            "unit_size_range": [(1, 5), (5, 3), (2.5, 5), 5],
            "holes_number_xy": [(0, 3), (2.5, 3), 5, (3,)],
            "shift_xy": [(-1, 0), (0.5, 0), 3, None],
            "fill": _FILL,
            "p": PROBABILITY,
        },
    ),
    "PixelDropout": (
        {},
        {"dropout_prob": [-0.1, 1.1, NAN, None, "x"], "drop_value": FILL, "p": PROBABILITY},
    ),
}


def _check_holes(t, params, sizes):
    check_key(params)
    holes = params[:, 2:].reshape(len(params), -1, 4)
    place, window = holes[:, :, :2], holes[:, :, 2:]
    whole(holes)
    inside(0, place, sizes[:, None] - window)
    used = (window > 0).any(2)
    inside(t.num_holes_range[0], used.sum(1), t.num_holes_range[1])
    for axis, limit in enumerate((t.hole_height_range, t.hole_width_range)):
        unit = 1 if isinstance(limit[0], int) else sizes[:, axis, None]
        low, high = np.floor(np.broadcast_to(unit * limit[0], used.shape)), np.broadcast_to(unit * limit[1], used.shape)
        inside(np.minimum(low, sizes[:, axis, None])[used], window[:, :, axis][used], high[used])


def _check_grid(t, params, sizes):
    check_key(params)
    whole(params)
    start, unit, hole = params[:, 2:4], params[:, 4:6], params[:, 6:]
    if t.random_offset:
        inside(0, start, unit - 1)
    else:
        assert (start == t.shift_xy[::-1]).all()
    if t.unit_size_range:
        inside(t.unit_size_range[0], unit, t.unit_size_range[1])
    else:
        count = np.array((t.holes_number_xy or (10, 10))[::-1])
        inside(sizes - count, unit * count, np.maximum(sizes, 2 * count))
    inside(1, hole, unit - 1)
    assert ((hole > unit * t.ratio - 1) & (hole <= np.maximum(unit * t.ratio, 1))).all()


def _check_share(t, params, sizes):
    check_key(params)
    assert (params[:, 2] == t.dropout_prob).all()


RANGES: dict[str, Callable[..., None]] = {
    "CoarseDropout": _check_holes,
    "GridDropout": _check_grid,
    "PixelDropout": _check_share,
}
UNCHECKED: set[str] = {"random_offset", "per_channel"}  # fields of which any value is taken
