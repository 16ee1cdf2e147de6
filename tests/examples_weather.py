"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import NAN, PROBABILITY, inside
from examples_noise import check_key

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "RandomFog": [{"p": 0.9}, {"alpha_coef": 0.03, "fog_coef_range": (0.0, 0.5), "p": 0.9}],
    "PlasmaBrightnessContrast": [
        {"p": 0.9},
        {"brightness_range": (0.3, 0.9), "contrast_range": (-0.9, 0.9), "roughness": 1.2, "p": 0.9},
    ],
    "Illumination": [
        {"p": 0.9},
        {"mode": "corner", "intensity_range": (0.3, 0.8), "effect_type": "darken", "p": 0.9},
        {
            "mode": "gaussian",
            "intensity_range": (0.3, 0.8),
            "center_range": (0, 1),
            "sigma_range": (0.1, 0.3),
            "p": 0.9,
        },
        {"angle_range": (20, 40), "effect_type": "brighten", "p": 0.9},
    ],
    "RandomShadow": [
        {"p": 0.9},
        {"shadow_roi": (0.2, 0, 0.7, 0.9), "num_shadows_limit": (2, 4), "shadow_dimension": 3, "p": 0.9},
        {"shadow_intensity_range": (0.1, 0.9), "shadow_dimension": 8, "p": 0.9},
    ],
    "RandomSnow": [{"p": 0.9}, {"brightness_coeff": 1.5, "snow_point_range": (0.2, 0.9), "p": 0.9}],
    "RandomRain": [
        {"p": 0.9},
        {"slant_range": (30, 60), "rain_type": "torrential", "drop_width": 20.5, "p": 0.9},
        {"rain_type": "drizzle", "drop_color": 1.0, "brightness_coefficient": 0.4, "p": 0.9},
    ],
}

_SHARE = [(-0.1, 0.5), (0.5, 0.1), (0.5, 1.1), 0.5, None]
_SIGNED = [(-1.1, 0.0), (0.5, 0.1), 0.5, None]
_ANGLES = [(90, 0), 30, "x", None]

BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "RandomFog": ({}, {"alpha_coef": [-0.1, 1.0, "x", None, NAN], "fog_coef_range": _SHARE, "p": PROBABILITY}),
    "PlasmaBrightnessContrast": (
        {},
        {
            "brightness_range": _SIGNED,
            "contrast_range": _SIGNED,
            "roughness": [0.9, "x", None, NAN],
            "p": PROBABILITY,
        },
    ),
    "Illumination": (
        {},
        {
            "mode": ["round", None],
            "intensity_range": _SHARE,
            "effect_type": ["neither", None],
            "angle_range": _ANGLES,
            "center_range": _SHARE,
            "sigma_range": [(0.0, 1.0), (1.0, 0.5), 0.5, None],
            "p": PROBABILITY,
        },
    ),
    "RandomShadow": (
        {},
        {
            "shadow_roi": [(0, 0, 1), (0.5, 0, 0.4, 1), (0, 0, 1, 1.1), 0.5, None],
            "num_shadows_limit": [(0, 1), (2, 1), (1.5, 2), 1, None],
            "shadow_dimension": [2, 3.5, "x", None],
            "shadow_intensity_range": _SHARE,
            "p": PROBABILITY,
        },
    ),
    "RandomSnow": ({}, {"brightness_coeff": [0.9, "x", None, NAN], "snow_point_range": _SHARE, "p": PROBABILITY}),
    "RandomRain": (
        {},
        {
            "slant_range": [(-90, 0), *_ANGLES],
            "rain_type": ["hail", None],
            "drop_width": [0, -1, "x", None],
            "drop_color": [-0.1, 1.1, 200, "x", None],
            "brightness_coefficient": [-0.1, 1.1, "x", None],
            "p": PROBABILITY,
        },
    ),
}


def _check_fog(t, params, sizes):
    check_key(params)
    inside(t.fog_coef_range[0], params[:, 2], t.fog_coef_range[1])


def _check_plasma(t, params, sizes):
    check_key(params)
    inside(t.brightness_range[0], params[:, 2], t.brightness_range[1])
    inside(t.contrast_range[0], params[:, 3], t.contrast_range[1])


def _check_light(t, params, sizes):
    amount, angle, corner, x, y, sigma = params.T
    inside(t.intensity_range[0], abs(amount), t.intensity_range[1])
    assert set(np.sign(amount)) == {"brighten": {1}, "darken": {-1}, "both": {-1, 1}}[t.effect_type]
    inside(t.angle_range[0], angle, t.angle_range[1])
    assert set(corner) == {0, 1, 2, 3}
    for center in (x, y):
        inside(t.center_range[0], center, t.center_range[1])
    inside(t.sigma_range[0], sigma, t.sigma_range[1])


def _check_shadow(t, params, sizes):
    shadows = params.reshape(len(params), t.num_shadows_limit[1], -1)
    intensity, corners = shadows[:, :, 0], shadows[:, :, 1:].reshape(len(params), -1, t.shadow_dimension, 2)
    inside(t.num_shadows_limit[0], (intensity > 0).sum(1), t.num_shadows_limit[1])
    inside(t.shadow_intensity_range[0], intensity[intensity > 0], t.shadow_intensity_range[1])
    left, top, right, bottom = t.shadow_roi
    inside(left, corners[..., 0], right)
    inside(top, corners[..., 1], bottom)


def _check_snow(t, params, sizes):
    inside(1 / 3 + t.snow_point_range[0] / 2, params[:, 0], 1 / 3 + t.snow_point_range[1] / 2)
    inside(t.brightness_coeff, params[:, 1], t.brightness_coeff)


def _check_rain(t, params, sizes):
    check_key(params)
    inside(t.slant_range[0], params[:, 2], t.slant_range[1])
    assert (params[:, 3:] == [1, t.brightness_coefficient]).all()


RANGES: dict[str, Callable[..., None]] = {
    "RandomFog": _check_fog,
    "PlasmaBrightnessContrast": _check_plasma,
    "Illumination": _check_light,
    "RandomShadow": _check_shadow,
    "RandomSnow": _check_snow,
    "RandomRain": _check_rain,
}
UNCHECKED: set[str] = set()  # fields of which any value is taken
