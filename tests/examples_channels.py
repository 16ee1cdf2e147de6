"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import NAN, PROBABILITY, inside

SHIFT = [(5, -5), (0, 300), NAN, None, "x", (1,), -5]
FACTORS = [0.5, (1.5, 0.5), (-0.1, 1.0), None, (NAN, 1.0)]
# fill is a share of the value range here; `build` scales it for uint8.
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "RandomChannelPermutation": [{}],
    "ChannelShuffle": [{}, {"p": 0.9}],
    "ChannelDropout": [{}, {"channel_drop_range": (1, 2), "fill": 0.4, "p": 0.9}, {"channel_drop_range": (2, 2)}],
    "RGBShift": [{}, {"r_shift_limit": 0.5, "g_shift_limit": (0.1, 0.2), "b_shift_limit": (-90, 10), "p": 0.9}],
    "RandomBrightnessContrast": [
        {},
        {"brightness_limit": 0.7, "contrast_limit": (-1.0, 2.0), "p": 0.9},
        {"brightness_limit": (-0.5, 0.9), "brightness_by_max": False},
        {"brightness_limit": 0.7, "contrast_limit": 0.9, "ensure_safe_range": True},
        {"brightness_limit": 1.5, "contrast_limit": 0.9, "brightness_by_max": False, "ensure_safe_range": True},
    ],
    "ToSepia": [{}, {"p": 0.9}],
    "Grayscale": [{"num_output_channels": 3}],
    "ToGray": [{}, {"method": "average", "p": 0.7}],
    "PlanckianJitter": [
        {},
        {"mode": "cied", "temperature_limit": (5000, 9000), "p": 0.9},
        {"sampling_method": "gaussian", "p": 0.9},
    ],
    "RandomPhotometricDistort": [
        {},
        {"brightness": (0.3, 2.0), "contrast": (0.0, 2.0), "saturation": (0.0, 3.0), "hue": (-0.5, 0.5), "p": 0.9},
    ],
    "HueSaturationValue": [
        {},
        {"hue_shift_limit": 180, "sat_shift_limit": (-200, 200), "val_shift_limit": (-90, 150), "p": 0.9},
    ],
    "FancyPCA": [{}, {"alpha": 3.0, "p": 0.9}],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "RandomChannelPermutation": ({}, {}),
    "ChannelShuffle": ({}, {"p": PROBABILITY}),
    "ChannelDropout": (
        {},
        {
            "channel_drop_range": [(0, 1), (1, 3), (2, 1), 1, (1.0, 2.0), None, "x"],
            "fill": [-1.0, NAN, None, "x", (0.1, 0.2, 0.3)],
            "p": PROBABILITY,
        },
    ),
    "RGBShift": ({}, {"r_shift_limit": SHIFT, "g_shift_limit": SHIFT, "b_shift_limit": SHIFT, "p": PROBABILITY}),
    "RandomBrightnessContrast": (
        {},
        {
            "brightness_limit": [(0.5, -0.5), -0.2, NAN, None, "x", (0.1,)],
            "contrast_limit": [(-1.1, 0.0), (0.5, -0.5), 1.5, NAN, None, "x"],
            "p": PROBABILITY,
        },
    ),
    "ToSepia": ({}, {"p": PROBABILITY}),
    "Grayscale": ({"num_output_channels": 3}, {"num_output_channels": [1, 2, 4, None, "3"]}),
    "ToGray": (
        {},
        {"num_output_channels": [1, 2, None], "method": ["max", "from_lab", None, 3], "p": PROBABILITY},
    ),
    "PlanckianJitter": (
        {},
        {
            "mode": ["sun", None, 3],
            "temperature_limit": [5000, (2000, 5000), (9000, 16000), (9000, 4000), "x", (5000, NAN)],
            "sampling_method": ["normal", None],
            "p": PROBABILITY,
        },
    ),
    "RandomPhotometricDistort": (
        {},
        {
            "brightness": FACTORS,
            "contrast": FACTORS,
            "saturation": FACTORS,
            "hue": [0.1, (0.1, -0.1), (-0.6, 0.0), None],
            "p": PROBABILITY,
        },
    ),
    "HueSaturationValue": (
        {},
        {
            "hue_shift_limit": [(5, -5), 181, NAN, None, "x", (1,), -5],
            "sat_shift_limit": SHIFT,
            "val_shift_limit": SHIFT,
            "p": PROBABILITY,
        },
    ),
    "FancyPCA": ({}, {"alpha": [-0.1, NAN, None, "x", (0.1, 0.2)], "p": PROBABILITY}),
}
UNCHECKED: set[str] = {"brightness_by_max", "ensure_safe_range"}  # fields of which any value is taken


def _pair(value):
    return np.array(value if isinstance(value, tuple) else (-value, value), float)


def _check_order(t, params, sizes):
    assert np.array_equal(np.sort(params, 1), np.tile([0.0, 1.0, 2.0], (len(params), 1)))
    assert len({tuple(row) for row in params.tolist()}) == 6


def _check_dropout(t, params, sizes):
    assert set(np.unique(params)) <= {0.0, 1.0}
    low, high = t.channel_drop_range
    assert set(params.sum(1)) == set(range(low, high + 1))
    inside(0.2, params.mean(0) / params.mean() / 3, 0.5)


def _check_shift(t, params, sizes):
    for column, limit in zip(params.T, (t.r_shift_limit, t.g_shift_limit, t.b_shift_limit), strict=True):
        low, high = _pair(limit) / (255 if np.abs(_pair(limit)).max() > 1 else 1)
        inside(low, column, high)
        assert np.ptp(column) > 0.8 * (high - low)


def _check_line(t, params, sizes):
    inside(1 + _pair(t.contrast_limit)[0], params[:, 0], 1 + _pair(t.contrast_limit)[1])
    inside(_pair(t.brightness_limit)[0], params[:, 1], _pair(t.brightness_limit)[1])


def _check_gains(t, params, sizes):
    red, blue = params.T
    inside(0.65, red, 1.7)
    inside(0.0, blue, 1.5)
    assert np.all(np.diff(blue[np.argsort(red)]) <= 0)  # the warmer the light, the more red and the less blue


def _check_hsv(t, params, sizes):
    limits = np.array([_pair(v) for v in (t.hue_shift_limit, t.sat_shift_limit, t.val_shift_limit)])
    low, high = limits.T / [180, 255, 255]
    inside(low, params, high)
    assert np.all(np.ptp(params, 0) > 0.8 * (high - low))


def _check_normals(t, params, sizes):
    inside(0.8 * t.alpha, params.std(0), 1.2 * t.alpha)
    inside(-0.2 * t.alpha, params.mean(0), 0.2 * t.alpha)


RANGES: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("RandomChannelPermutation", "ChannelShuffle"), _check_order),
    "ChannelDropout": _check_dropout,
    "RGBShift": _check_shift,
    "RandomBrightnessContrast": _check_line,
    "PlanckianJitter": _check_gains,
    "HueSaturationValue": _check_hsv,
    "FancyPCA": _check_normals,
}
