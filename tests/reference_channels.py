"""Float64 formulas of one family; merged by `tests/reference.py`."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
from reference_steps import EXACT, ColorStep, Step


def _permuted(transform, params, pixels, white):
    return pixels[:, :, params.astype(int)] if pixels.shape[2] == 3 else pixels


def _brown(transform, params, pixels, white):
    if pixels.shape[2] == 1:
        return pixels
    red, green, blue = np.moveaxis(pixels, 2, 0)
    parts = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
    return np.stack([r * red + g * green + b * blue for r, g, b in parts], 2)


def _gray(weights):
    def render(transform, params, pixels, white):
        if pixels.shape[2] == 1:
            return pixels
        equal = getattr(transform, "method", "") == "average"
        return np.repeat((pixels * (1 / 3 if equal else np.array(weights))).sum(2, keepdims=True), 3, 2)

    return render


def _lit(transform, params, pixels, white):
    return pixels * [params[0], 1, params[1]] if pixels.shape[2] == 3 else pixels


def _ended(formula):
    return lambda transform, params, pixels, white: np.clip(formula(transform, params, pixels, white), 0, white)


def _dropped(transform, params, pixels, white):
    return np.where(params > 0, transform.fill, pixels) if pixels.shape[2] == 3 else pixels


def _levelled(values, white):
    values = np.clip(values, 0, white)
    return np.rint(values) if white == 255 else values


def _shifted(transform, params, pixels, white):
    values = np.rint(pixels) if white == 255 else pixels
    return _levelled(values + params[: pixels.shape[2]] * white, white)


def _stretched(transform, params, pixels, white):
    values = np.rint(pixels) if white == 255 else pixels
    factor, shift = params[0], params[1] * (white if transform.brightness_by_max else values.mean())
    if transform.ensure_safe_range:
        shift = min(max(shift, 0), white)
        factor = min(factor, (white - shift) / white)
    return _levelled(factor * values + shift, white)


def _hsv(transform, params, pixels, white):
    turn, saturation, brightness = params
    if pixels.shape[2] == 1:
        return np.clip(pixels + brightness * white, 0, white)
    result = np.empty_like(pixels)
    for place in np.ndindex(pixels.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*(pixels[place] / white))
        s = min(max(s + saturation, 0), 1) if s else 0
        result[place] = colorsys.hsv_to_rgb((h + turn) % 1, s, min(max(v + brightness, 0), 1))
    return result * white


def _principal(transform, params, pixels, white):
    colors = pixels.reshape(-1, pixels.shape[2]) / white
    away = colors - colors.mean(0)
    if pixels.shape[2] == 1:
        done = colors + params[0] * colors.std() * away
    else:
        axes, deviations, _ = np.linalg.svd(away.T, full_matrices=False)
        variances = deviations**2 / (len(colors) - 1)
        done = colors + sum(a * v * np.outer(away @ e, e) for a, v, e in zip(params, variances, axes.T, strict=True))
    return np.clip(done * white, 0, white).reshape(pixels.shape)


def _steepest(transform, params):
    """The largest singular value that a jitter of a in a component of variance 0.25 can have."""
    return 1 + 0.25 * np.abs(params).max()


CLOSE = {"opencv uint8": 0.01, "opencv float": 0.01, "torch": 0.01}
WEIGHTS = np.array([0.2989, 0.587, 0.114])
STEPS: dict[str, Step] = {
    "ChannelDropout": Step(_dropped, EXACT),
    "RGBShift": Step(_shifted, EXACT),
    "RandomBrightnessContrast": Step(_stretched, EXACT, lambda transform, params: max(params[0], 1.0)),
    # A saturation added to a colour that is nearly gray makes any hue of it.
    "HueSaturationValue": Step(_hsv, CLOSE, lambda transform, params: 1e9),
    "FancyPCA": Step(_principal, CLOSE, _steepest),
}
COLORS: dict[str, ColorStep] = {
    **dict.fromkeys(("RandomChannelPermutation", "ChannelShuffle"), ColorStep(_permuted, _permuted)),
    "ToSepia": ColorStep(_ended(_brown), _brown, lambda transform, params: 1.351),
    **dict.fromkeys(("Grayscale", "ToGray"), ColorStep(_gray(WEIGHTS), _gray(WEIGHTS / WEIGHTS.sum()))),
    "PlanckianJitter": ColorStep(_ended(_lit), _lit, lambda transform, params: max(1.0, *params)),
}
PLACES: dict[str, Callable[..., Any]] = {}
