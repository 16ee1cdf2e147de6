"""Float64 formulas of one family; merged by `tests/reference.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from reference_steps import EXACT, ColorStep, Step


def _whole(pixels, white):
    return np.rint(pixels) if white == 255 else pixels


def _invert(transform, params, pixels, white):
    return white - _whole(pixels, white)


def _posterize(transform, params, pixels, white):
    kept = 2 ** params[0]
    if white == 255:
        return np.rint(pixels) // (256 / kept) * (256 / kept)
    return np.minimum(np.floor(pixels * kept), kept - 1) / kept


def _solarize(transform, params, pixels, white):
    values = _whole(pixels, white)
    limit = transform.threshold if type(transform).__name__ == "RandomSolarize" else params[0] * white
    return np.where(values >= limit, white - values, values)


def _autocontrast(transform, params, pixels, white):
    values = _whole(pixels, white)
    low, high = values.min((0, 1)), values.max((0, 1))
    stretched = np.where(high > low, (values - low) * white / np.where(high > low, high - low, 1), values)
    return np.floor(stretched) if white == 255 else stretched


def _equalize(transform, params, pixels, white):
    binned = (np.rint(pixels) if white == 255 else np.floor(np.float32(255.999) * pixels)).astype(int)
    planes = [_even_out(binned[:, :, channel]) for channel in range(pixels.shape[2])]
    return np.stack(planes, 2) * white / 255


def _even_out(plane):
    """Spread the levels as PIL does: by how many pixels are darker, in steps that leave the brightest out."""
    step = (plane.size - (plane == plane.max()).sum()) // 255
    if step == 0:
        return plane
    darker = np.array([(plane < level).sum() for level in range(256)])
    return np.minimum((darker + step // 2) // step, 255)[plane]


def _solarize_add(transform, params, pixels, white):
    values = _whole(pixels, white)
    return _ended(np.where(values < transform.threshold, values + params[0], values), white)


def _gamma(transform, params, pixels, white):
    return _ended(np.power(_whole(pixels, white) / white, params[0]) * white, white)


def _tone_curve(transform, params, pixels, white):
    low, high = params.reshape(2, -1)[:, : pixels.shape[2]]
    x = _whole(pixels, white) / white
    return _ended((3 * (1 - x) ** 2 * x * low + 3 * (1 - x) * x**2 * high + x**3) * white, white)


def _ended(values, white):
    return _whole(np.clip(values, 0, white), white)


def _clahe(transform, params, pixels, white):
    levels = np.rint(pixels * 255 / white).astype(int)
    luma = levels[:, :, 0]
    if pixels.shape[2] == 3:
        luma = (levels @ np.array([9798, 19235, 3735]) + 16384) // 32768
    change = (_tile_by_tile(luma, params[0], transform.tile_grid_size) - luma) * params[1] * white / 255
    return np.clip(pixels + change[:, :, None], 0, white)


def _tile_by_tile(luma, limit, grid):
    across, down = grid
    height, width = luma.shape
    padded = luma
    if height % down or width % across:
        missing = ((0, down - height % down), (0, across - width % across))
        padded = np.pad(luma, missing, mode="reflect")
    tall, wide = padded.shape[0] // down, padded.shape[1] // across
    tables = [
        [_clipped_table(padded[i * tall : (i + 1) * tall, j * wide : (j + 1) * wide], limit) for j in range(across)]
        for i in range(down)
    ]
    result = np.zeros(luma.shape)
    for y in range(height):
        up, weight_y = divmod((y + 0.0) / tall - 0.5, 1)
        for x in range(width):
            left, weight_x = divmod((x + 0.0) / wide - 0.5, 1)
            for i, share_y in ((int(up), 1 - weight_y), (int(up) + 1, weight_y)):
                for j, share_x in ((int(left), 1 - weight_x), (int(left) + 1, weight_x)):
                    table = tables[min(max(i, 0), down - 1)][min(max(j, 0), across - 1)]
                    result[y, x] += share_y * share_x * table[luma[y, x]]
    return np.rint(result)


def _clipped_table(tile, limit):
    histogram = np.bincount(tile.ravel(), minlength=256)
    most = max(math.floor(limit * tile.size / 256), 1)
    excess = np.maximum(histogram - most, 0).sum()
    histogram = np.minimum(histogram, most) + excess // 256
    rest = excess % 256
    if rest:
        histogram[:: max(256 // rest, 1)][:rest] += 1
    return np.minimum(np.rint(histogram.cumsum() * 255 / tile.size), 255)


def _any_error_may_decide(transform, params):
    """A threshold lies between: what was exact before stays exact, of anything else nothing can be said."""
    return 1e9


def _slope_of_gamma(transform, params):
    return 1e9 if params[0] < 1 else params[0]  # at black a root is as steep as can be


# torchvision divides in float32 and then cuts off fractions: one level either way.
_CUT = {"opencv uint8": 1.0, "opencv float": 0.01, "torch": 1.0}
# OpenCV interpolates between tables in float32, and where that is a tie it may round the other way.
_TIES = {"opencv uint8": 1.01, "opencv float": 1.01, "torch": 1.01}
_posterized = Step(_posterize, EXACT, _any_error_may_decide)
_solarized = Step(_solarize, EXACT, _any_error_may_decide)
_stretched = Step(_autocontrast, _CUT, _any_error_may_decide)
_evened = Step(_equalize, EXACT, _any_error_may_decide)
STEPS: dict[str, Step] = {
    **dict.fromkeys(("Invert", "RandomInvert"), Step(_invert, EXACT)),
    **dict.fromkeys(("Posterize", "RandomPosterize"), _posterized),
    **dict.fromkeys(("Solarize", "RandomSolarize"), _solarized),
    **dict.fromkeys(("Autocontrast", "RandomAutocontrast"), _stretched),
    **dict.fromkeys(("Equalize", "RandomEqualize"), _evened),
    "SolarizeAdd": Step(_solarize_add, EXACT, _any_error_may_decide),
    "RandomGamma": Step(_gamma, EXACT, _slope_of_gamma),
    "RandomToneCurve": Step(_tone_curve, EXACT, lambda transform, params: 3.0),
    "CLAHE": Step(_clahe, _TIES, _any_error_may_decide),
}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {}
