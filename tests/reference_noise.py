"""Float64 formulas of one family; merged by `tests/reference.py`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from reference_steps import ColorStep, Step
from scipy import stats

from augsynth.rng import philox

LUMA = np.array([0.2989, 0.587, 0.114]) / 0.9999


@functools.lru_cache(maxsize=16)
def _halves(key, count, lane):
    """Draw 16-bit numbers: word 0 of all blocks, low half first, then word 1 of all blocks, and so on."""
    blocks = -(-count // 8)
    words = np.array([philox((block, 0, 0, lane), key) for block in range(blocks)], np.int64).T
    return np.stack([words % 65536, words // 65536], -1).reshape(-1)[:count]


def uniforms(params, shape, lane=0):
    """Draw a field of `shape` from the two key words in `params`."""
    key = (int(params[0]), int(params[1]))
    return (_halves(key, int(np.prod(shape)), lane).reshape(shape) + 0.5) / 65536


@functools.cache
def _spread():
    return stats.norm.ppf((np.arange(65536) + 0.5) / 65536).std()


def normals(params, shape, lane=0):
    """Draw standard normals: 65,536 quantiles, scaled to variance 1."""
    return stats.norm.ppf(uniforms(params, shape, lane)) / _spread()


def _gaussian(t, params, pixels, white):
    noisy = pixels + white * (params[2] + params[3] * normals(params, pixels.shape))
    return np.clip(noisy, 0, white) if t.clip or white == 255 else noisy


def _gauss(t, params, pixels, white):
    channels = pixels.shape[2] if t.per_channel else 1
    noise = normals(params, (*pixels.shape[:2], channels))
    return np.clip(pixels + white * (params[2] + params[3] * noise), 0, white)


def _iso(t, params, pixels, white):
    shift, gain = params[2:]
    values, size = pixels / white, pixels.shape[:2]
    luma = values @ (LUMA if pixels.shape[2] == 3 else np.ones(1))
    grain = np.sqrt(gain * (luma + 1 / 255) / 255) * normals(params, (*size, 1))[:, :, 0]
    if pixels.shape[2] == 3:
        to_yiq = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
        y, i, q = np.moveaxis(values @ to_yiq.T, 2, 0)
        # From red over yellow to green the angle of (I, Q) falls.
        turned = (i + 1j * q) * np.exp(-2j * np.pi * shift * gain * normals(params, (*size, 1), 1)[:, :, 0])
        values = np.stack([y, turned.real, turned.imag], 2) @ np.linalg.inv(to_yiq).T
    return np.clip(values + grain[:, :, None], 0, 1) * white


def _shot(t, params, pixels, white):
    scale, u = params[2], uniforms(params, pixels.shape)
    rate = np.clip(pixels / white, 0, 1) ** 2.2 / scale
    few = stats.poisson.ppf(u, np.minimum(rate, 40))
    z = normals(params, pixels.shape)
    many = np.maximum(np.rint(rate + np.sqrt(rate) * z + (z**2 - 1) / 6), 0)
    return np.minimum(np.where(rate > 32, many, few) * scale, 1) ** (1 / 2.2) * white


def _salt_and_pepper(t, params, pixels, white):
    u = uniforms(params, (*pixels.shape[:2], 1))
    amount, salt = params[2:]
    return np.where(u < amount * salt, white, np.where(u < amount, 0.0, pixels))


def _multiplicative(t, params, pixels, white):
    factors = params[4:][: pixels.shape[2]]
    if t.elementwise:
        channels = pixels.shape[2] if t.per_channel else 1
        low, high = params[2:4]
        factors = low + (high - low) * uniforms(params, (*pixels.shape[:2], channels))
    return np.clip(pixels * factors, 0, white)


# --- erasing ----------------------------------------------------------------------------------------------------------


def _erased_by_noise(t, params, pixels, white):
    top, left, height, width = params[:4].astype(int)
    noise = np.clip(0.5 + normals(params[4:], pixels.shape) / 4, 0, 1) * white
    result, window = pixels.copy(), (slice(top, top + height), slice(left, left + width))
    result[window] = noise[window]
    return result


def _paint(value, params, pixels, white):
    """Return what the pixels of a mask become: `(H, W, C)`."""
    if value in (None, "random"):
        u = uniforms(params, pixels.shape, 1)
        return np.floor(u * 256) if white == 255 else u
    return np.broadcast_to(np.asarray(value, float), pixels.shape)


def _coarse_dropout(t, params, pixels, white):
    result, paint = pixels.copy(), _paint(t.fill, params, pixels, white)
    for top, left, height, width in params[2:].astype(int).reshape(-1, 4):
        window = (slice(top, top + height), slice(left, left + width))
        result[window] = paint[window]
    return result


def _grid_dropout(t, params, pixels, white):
    result, paint = pixels.copy(), _paint(t.fill, params, pixels, white)
    start, unit, hole = params[2:].astype(int).reshape(3, 2)
    for top in range(start[0] - unit[0], pixels.shape[0], unit[0]):
        for left in range(start[1] - unit[1], pixels.shape[1], unit[1]):
            window = (slice(max(top, 0), max(top + hole[0], 0)), slice(max(left, 0), max(left + hole[1], 0)))
            result[window] = paint[window]
    return result


def _pixel_dropout(t, params, pixels, white):
    channels = pixels.shape[2] if t.per_channel else 1
    dropped = uniforms(params, (*pixels.shape[:2], channels)) < params[2]
    return np.where(dropped, _paint(t.drop_value, params, pixels, white), pixels)


FLOATS = {"opencv uint8": 0.01, "opencv float": 0.01, "torch": 0.01}
COPIES = {"opencv uint8": 0.0, "opencv float": 1e-3, "torch": 1e-3}

STEPS: dict[str, Step] = {
    "GaussianNoise": Step(_gaussian, FLOATS),
    "GaussNoise": Step(_gauss, FLOATS),
    "ISONoise": Step(_iso, FLOATS, lambda t, params: 2.0),
    "ShotNoise": Step(_shot, FLOATS),
    "SaltAndPepper": Step(_salt_and_pepper, COPIES),
    "MultiplicativeNoise": Step(_multiplicative, FLOATS, lambda t, params: max(1.0, params[3])),
    "RandomErasing": Step(_erased_by_noise, FLOATS),
    "CoarseDropout": Step(_coarse_dropout, COPIES),
    "GridDropout": Step(_grid_dropout, COPIES),
    "PixelDropout": Step(_pixel_dropout, COPIES),
}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {}
