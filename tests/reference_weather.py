"""Float64 formulas of one family; merged by `tests/reference.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from reference_noise import FLOATS, uniforms
from reference_steps import ColorStep, Step


def _easing(size, n):
    """Return the weight of each node for each pixel centre: `(size, n)`."""
    weights = np.zeros((size, n))
    for i in range(size):
        at = (i + 0.5) / size * (n - 1)
        before = min(math.floor(at), n - 2)
        t = at - before
        weights[i, before + 1] = 3 * t**2 - 2 * t**3
        weights[i, before] = 1 - weights[i, before + 1]
    return weights


def clouds(params, size, roughness):
    """Sum six octaves of 3 x 3, 5 x 5, ... 65 x 65 uniform nodes: `(H, W, 1)`."""
    counts = [2**k + 1 for k in range(1, 7)]
    nodes = np.split(uniforms(params, (sum(n * n for n in counts),)), np.cumsum([n * n for n in counts])[:-1])
    octaves = [_easing(size[0], n) @ grid.reshape(n, n) @ _easing(size[1], n).T for n, grid in zip(counts, nodes)]  # noqa: B905
    shares = [roughness**-k for k in range(6)]
    return (np.tensordot(shares, octaves, 1) / sum(shares))[:, :, None]


def _fog(t, params, pixels, white):
    clear = (1 - t.alpha_coef) ** (24 * params[2] * clouds(params, pixels.shape, 2))
    return clear * pixels + (1 - clear) * white


def _plasma(t, params, pixels, white):
    cloud = 2 * clouds(params, pixels.shape, t.roughness) - 1
    bright = pixels + params[2] * cloud * white
    return np.clip(bright + params[3] * cloud * (bright - pixels.mean((0, 1))), 0, white)


def _illumination(t, params, pixels, white):
    amount, angle, corner, center_x, center_y, sigma = params
    height, width = pixels.shape[:2]
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    if t.mode == "linear":
        along = (x - 0.5) * math.cos(math.radians(angle)) + (y - 0.5) * math.sin(math.radians(angle))
        corners = [
            dx * math.cos(math.radians(angle)) + dy * math.sin(math.radians(angle))
            for dx in (-0.5, 0.5)
            for dy in (-0.5, 0.5)
        ]
        light = along / max(corners)
    elif t.mode == "corner":
        light = 1 - np.hypot(x - [0, 1, 0, 1][int(corner)], y - [0, 0, 1, 1][int(corner)]) / math.sqrt(2)
    else:
        longer = max(height, width)
        away = np.hypot((x - center_x) * width / longer, (y - center_y) * height / longer)
        light = np.exp(-0.5 * (away / sigma) ** 2)
    return np.clip(pixels * (1 + amount * light[:, :, None]), 0, white)


def _inside(corners, x, y):
    """Count the lines that a ray down from each point crosses: an odd number inside."""
    odd = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
        meets = (ax > x) != (bx > x)
        with np.errstate(divide="ignore", invalid="ignore"):
            odd ^= meets & (ay + (x - ax) / (bx - ax) * (by - ay) > y)
    return odd


def _shadow(t, params, pixels, white):
    height, width = pixels.shape[:2]
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    for shadow in params.reshape(t.num_shadows_limit[1], -1):
        inside = _inside(shadow[1:].reshape(-1, 2), x, y)[:, :, None]
        pixels = np.where(inside, pixels * (1 - shadow[0]), pixels)
    return pixels


def _snow(t, params, pixels, white):
    values = pixels / white
    most, least = values.max(2, keepdims=True), values.min(2, keepdims=True)
    lightness = (most + least) / 2
    lighter = np.minimum(lightness * params[1], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        saturation = np.nan_to_num((most - least) / (1 - np.abs(2 * lightness - 1)))
        place = np.nan_to_num((values - least) / (most - least), nan=0.5)
    chroma = saturation * (1 - np.abs(2 * lighter - 1))
    snow = lighter - chroma / 2 + place * chroma
    return np.where(lightness < params[0], snow, values) * white


def _rain(t, params, pixels, white):
    count, share = {"drizzle": (65, 0.045), "default": (84, 0.09), "heavy": (84, 0.135), "torrential": (100, 0.27)}[
        t.rain_type
    ]
    height, width = pixels.shape[:2]
    length, thick, slant = share * height, t.drop_width / 224 * height, math.radians(params[2])
    points, lines = math.ceil(length / 0.5), math.ceil(thick)
    cover = np.zeros((height, width))
    for u, v in uniforms(params, (count, 2)):
        for i in range(points):
            for j in range(lines):
                along, across = (i + 0.5) * length / points, (j + 0.5) * thick / lines
                x = u * width + along * math.sin(slant) + across * math.cos(slant) - 0.5
                y = v * (height + length) - length + along * math.cos(slant) - across * math.sin(slant) - 0.5
                for row in (math.floor(y), math.floor(y) + 1):
                    for column in (math.floor(x), math.floor(x) + 1):
                        if 0 <= row < height and 0 <= column < width:
                            area = length / points * thick / lines
                            cover[row, column] += area * (1 - abs(y - row)) * (1 - abs(x - column))
    cover = params[3] * np.minimum(cover, 1)[:, :, None]
    return (pixels * (1 - cover) + t.drop_color * white * cover) * params[4]


STEPS: dict[str, Step] = {
    "RandomFog": Step(_fog, FLOATS),
    "PlasmaBrightnessContrast": Step(_plasma, FLOATS, lambda t, params: 1 + abs(params[3])),
    "Illumination": Step(_illumination, FLOATS, lambda t, params: 1 + abs(params[0])),
    "RandomShadow": Step(_shadow, FLOATS),
    "RandomSnow": Step(_snow, FLOATS),
    "RandomRain": Step(_rain, FLOATS),
}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {}
