"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import INTERPOLATION, NAN, PROBABILITY, inside, whole

FRACTION = [-0.1, 1.1, NAN, None, "half"]
COUNT = [0, -3, 2.5, None, "x", True]

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "RandomIoUCrop": [{}, {"min_scale": 0.6, "max_aspect_ratio": 1.4, "sampler_options": (0.1, 0.5), "trials": 10}],
    "BBoxSafeRandomCrop": [{"erosion_rate": 0.5}, {"erosion_rate": 0.9, "p": 0.8}],
    "RandomSizedBBoxSafeCrop": [
        {"height": 20, "width": 16, "erosion_rate": 0.6},
        {"height": 41, "width": 37, "erosion_rate": 0.3, "interpolation": "bicubic", "p": 0.9},
    ],
    "AtLeastOneBBoxRandomCrop": [{"height": 17, "width": 20}, {"height": 21, "width": 9, "erosion_factor": 1.0}],
    "SanitizeBoundingBoxes": [{}, {"min_size": 3, "min_area": 20.0, "labels_getter": "species"}],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "RandomIoUCrop": (
        {},
        {
            "min_scale": [0.0, -0.1, 1.1, NAN, None, "x"],
            "max_scale": [0.0, 1.5, NAN, None],
            "min_aspect_ratio": [0.0, -1.0, 2.5, NAN, None],
            "max_aspect_ratio": [0.0, NAN, "wide"],
            "sampler_options": [(), (-0.1,), 0.5, ("x",), (NAN,)],
            "trials": COUNT,
        },
    ),
    "BBoxSafeRandomCrop": ({}, {"erosion_rate": FRACTION, "p": PROBABILITY}),
    "RandomSizedBBoxSafeCrop": (
        {"height": 10, "width": 10},
        {
            "height": COUNT,
            "width": COUNT,
            "erosion_rate": FRACTION,
            "interpolation": INTERPOLATION,
            "p": PROBABILITY,
        },
    ),
    "AtLeastOneBBoxRandomCrop": (
        {"height": 10, "width": 10},
        {"height": COUNT, "width": COUNT, "erosion_factor": FRACTION, "p": PROBABILITY},
    ),
    "SanitizeBoundingBoxes": (
        {},
        {"min_size": [0.5, -1, NAN, None, "x"], "min_area": [0, NAN, None], "labels_getter": [3, (1,), len]},
    ),
}


def _check_window(params, sizes):
    whole(params)
    assert (params[:, 2:] >= 1).all()
    inside(0, params[:, :2], sizes - params[:, 2:])


def _check_iou(t, params, sizes):
    _check_window(params, sizes)
    cut = (params[:, 2:] < sizes).any(1)
    height, width = params[cut, 2:].T
    inside(np.floor(t.min_scale * sizes[cut]), params[cut, 2:], t.max_scale * sizes[cut])
    inside(t.min_aspect_ratio, width / height, t.max_aspect_ratio)


def _check_safe(t, params, sizes):
    _check_window(params, sizes)
    inside(np.floor((1 - t.erosion_rate) * sizes[:, 0]), params[:, 2], sizes[:, 0])


def _check_one(t, params, sizes):
    _check_window(params, sizes)
    assert (params[:, 2:] == [t.height, t.width]).all()


RANGES: dict[str, Callable[..., None]] = {
    "RandomIoUCrop": _check_iou,
    "BBoxSafeRandomCrop": _check_safe,
    "RandomSizedBBoxSafeCrop": _check_safe,
    "AtLeastOneBBoxRandomCrop": _check_one,
}
UNCHECKED: set[str] = set()
