"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from checks import NAN, PROBABILITY, inside, whole

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "GaussianBlur": [
        {"kernel_size": 9},
        {"kernel_size": (5, 3), "sigma": (0.5, 4.0)},
        {"kernel_size": 23, "sigma": (2, 3)},
    ],
    "Blur": [{"p": 0.9}, {"blur_limit": (5, 9), "p": 0.9}, {"blur_limit": 5, "p": 0.9}],
    "MedianBlur": [{"p": 0.9}, {"blur_limit": (3, 5), "p": 0.9}, {"blur_limit": (7, 7), "p": 0.9}],
    "MotionBlur": [
        {"p": 0.9},
        {"blur_limit": (9, 12), "angle_range": (30, 60), "direction_range": (0.2, 1.0), "p": 0.9},
        {"allow_shifted": False, "angle_range": (90, 90), "direction_range": (0, 0), "p": 0.9},
    ],
    "Defocus": [{"p": 0.9}, {"radius": (1, 4), "alias_blur": (0.0, 2.0), "p": 0.9}],
    "UnsharpMask": [
        {"p": 0.9},
        {"blur_limit": 5, "sigma_limit": (0.5, 2.0), "alpha": 1.0, "threshold": 0, "p": 0.9},
        {"blur_limit": (7, 9), "alpha": (0.5, 1.0), "threshold": 60, "p": 0.9},
    ],
    "Emboss": [{"p": 0.9}, {"alpha": (0.8, 1.0), "strength": (0.0, 2.0), "p": 0.9}],
    "RandomAdjustSharpness": [
        {"sharpness_factor": 2.0},
        {"sharpness_factor": 0.3, "p": 0.9},
        {"sharpness_factor": 7, "p": 0.9},
    ],
    "JPEG": [{"quality": (40, 60)}, {"quality": (1, 100)}, {"quality": (90, 100)}],
    "ImageCompression": [{"p": 0.9}, {"compression_type": "jpeg", "quality_range": (20, 80), "p": 0.9}],
}

_LIMIT = [2, 0, (5, 3), (4, 4), (3, 5.5), (1, 3), "x", None, True, (3,)]
_SHARE = [(-0.1, 0.5), (0.5, 0.1), (0.0, 1.1), "x", (0.5,), None]
_QUALITY = [(0, 50), (50, 101), (80, 20), (1.5, 20), "best", (50,)]

BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "GaussianBlur": (
        {"kernel_size": 3},
        {
            "kernel_size": [4, 0, -3, (3, 4), (3, 3, 3), 3.0, "x", None, True],
            "sigma": [0.0, -1, (0.0, 1.0), (2.0, 1.0), "x", None, NAN],
        },
    ),
    "Blur": ({}, {"blur_limit": _LIMIT, "p": PROBABILITY}),
    "MedianBlur": ({}, {"blur_limit": _LIMIT, "p": PROBABILITY}),
    "MotionBlur": (
        {},
        {
            "blur_limit": _LIMIT,
            "angle_range": [(90, 0), 30, "x", None],
            "direction_range": [(-1.1, 0), (0, 1.1), (0.5, 0.2), 0.5],
            "p": PROBABILITY,
        },
    ),
    "Defocus": (
        {},
        {
            "radius": [(0, 3), (5, 3), (1.5, 3), 3, None],
            "alias_blur": [(-0.1, 0.5), (0.5, 0.1), 0.5, None],
            "p": PROBABILITY,
        },
    ),
    "UnsharpMask": (
        {},
        {
            "blur_limit": _LIMIT,
            "sigma_limit": [-1.0, (-0.1, 1.0), (2.0, 1.0), "x", None],
            "alpha": [-0.5, 1.5, *_SHARE],
            "threshold": [-1, 256, "x", None, NAN],
            "p": PROBABILITY,
        },
    ),
    "Emboss": ({}, {"alpha": _SHARE, "strength": [(-0.1, 0.5), (0.5, 0.1), 0.5, None], "p": PROBABILITY}),
    "RandomAdjustSharpness": (
        {"sharpness_factor": 1.0},
        {"sharpness_factor": [-0.1, "x", None, NAN], "p": PROBABILITY},
    ),
    "JPEG": ({"quality": 50}, {"quality": [0, 101, 50.5, True, None, *_QUALITY]}),
    "ImageCompression": (
        {},
        {"compression_type": ["webp", None], "quality_range": [50, None, *_QUALITY], "p": PROBABILITY},
    ),
}


def _range(value, low):
    return value if isinstance(value, tuple) else (low, value)


def _check_sides(t, sides):
    whole(sides)
    assert (sides % 2 == 1).all()
    inside(_range(t.blur_limit, 3)[0], sides, _range(t.blur_limit, 3)[1])


def _check_window(t, params, sizes):
    _check_sides(t, params[:, 0])


def _check_sigma(t, params, sizes):
    inside(*_range(t.sigma, t.sigma)[:1], params[:, 0], _range(t.sigma, t.sigma)[1])


def _check_motion(t, params, sizes):
    _check_sides(t, params[:, 0])
    inside(t.angle_range[0], params[:, 1], t.angle_range[1])
    inside(t.direction_range[0], params[:, 2], t.direction_range[1])
    reach = (params[:, :1] - 1) / 4 * t.allow_shifted
    inside(-reach, params[:, 3:], reach)


def _check_defocus(t, params, sizes):
    whole(params[:, 0])
    inside(t.radius[0], params[:, 0], t.radius[1])
    inside(t.alias_blur[0], params[:, 1], t.alias_blur[1])


def _check_unsharp(t, params, sizes):
    _check_sides(t, params[:, 0])
    low, high = _range(t.sigma_limit, 0)
    if high:
        inside(low, params[:, 1], high)
    else:
        assert (abs(params[:, 1] - (0.15 * params[:, 0] + 0.35)) < 1e-9).all()
    inside(_range(t.alpha, 0)[0], params[:, 2], _range(t.alpha, 0)[1])


def _check_emboss(t, params, sizes):
    inside(t.alpha[0], params[:, 0], t.alpha[1])
    inside(t.strength[0], params[:, 1], t.strength[1])


def _check_sharpness(t, params, sizes):
    assert (params == t.sharpness_factor).all()


def _check_quality(t, params, sizes):
    value = getattr(t, "quality_range", None) or t.quality
    whole(params)
    inside(_range(value, value)[0], params, _range(value, value)[1])


RANGES: dict[str, Callable[..., None]] = {
    "GaussianBlur": _check_sigma,
    "Blur": _check_window,
    "MedianBlur": _check_window,
    "MotionBlur": _check_motion,
    "Defocus": _check_defocus,
    "UnsharpMask": _check_unsharp,
    "Emboss": _check_emboss,
    "RandomAdjustSharpness": _check_sharpness,
    "JPEG": _check_quality,
    "ImageCompression": _check_quality,
}
UNCHECKED: set[str] = {"allow_shifted"}  # fields of which any value is taken
