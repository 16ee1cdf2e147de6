"""Float64 formulas of one family; merged by `tests/reference.py`. JPEG is Pillow's: its levels are whole numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from reference_steps import SMALL, ColorStep, Step
from scipy import ndimage

# scipy's "mirror" reflects about the middle of the outermost pixels, "nearest" repeats them.
INSIDE = "mirror"


def _planes(pixels, function):
    return np.stack([function(plane) for plane in np.moveaxis(pixels, 2, 0)], 2)


def _correlated(pixels, kernel):
    return _planes(pixels, lambda plane: ndimage.correlate(plane, kernel, mode=INSIDE))


def _normal(size, sigma):
    at = np.arange(size) - size // 2
    weights = np.exp(-(at**2) / (2 * sigma**2))
    return weights / weights.sum()


def _separably(pixels, column, row):
    return _correlated(_correlated(pixels, column[:, None]), row[None])


def _gaussian_blur(t, params, pixels, white):
    width, height = t.kernel_size if isinstance(t.kernel_size, tuple) else (t.kernel_size, t.kernel_size)
    return _separably(pixels, _normal(height, params[0]), _normal(width, params[0]))


def _blur(t, params, pixels, white):
    return _planes(pixels, lambda plane: ndimage.uniform_filter(plane, int(params[0]), mode=INSIDE))


def _median_blur(t, params, pixels, white):
    return _planes(pixels, lambda plane: ndimage.median_filter(plane, int(params[0]), mode="nearest"))


def _motion_blur(t, params, pixels, white):
    length, angle, direction, shift_x, shift_y = params
    reach, radians = (length - 1) / 2, math.radians(angle)
    start, stop = -reach, reach
    if direction > 0:
        start *= 1 - direction
    else:
        stop *= 1 + direction
    result = np.zeros_like(pixels)
    for i in range(int(length)):
        along = start + (stop - start) * i / max(length - 1, 1)
        x, y = along * math.cos(radians) + shift_x, along * math.sin(radians) + shift_y
        # The mean of copies of the image, each moved by a fraction of a pixel.
        result += _planes(pixels, lambda plane, by=(-y, -x): _moved(plane, by))
    return result / length


def _moved(plane, by):
    return ndimage.shift(plane, by, order=1, mode=INSIDE)


def _defocus(t, params, pixels, white):
    radius, sigma = params
    size = 2 * math.ceil(radius) + 7
    y, x = np.mgrid[:size, :size] - size // 2
    disk = np.hypot(x, y) <= radius + 1e-9
    rim = _normal(3 if radius <= 8 else 5, max(sigma, 1e-9))
    kernel = ndimage.correlate(disk / disk.sum(), rim[:, None] * rim[None], mode="constant")
    return _correlated(pixels, kernel)


def _unsharp_mask(t, params, pixels, white):
    size, sigma, alpha = params
    rim = _normal(int(size), sigma)
    change = pixels - _separably(pixels, rim, rim)
    where = np.abs(change) * 255 / white > t.threshold
    soft = _separably(where.astype(float), rim, rim)
    return soft * np.clip(pixels + alpha * change, 0, white) + (1 - soft) * pixels


def _emboss(t, params, pixels, white):
    alpha, height = params
    relief = np.array([[-1 - height, -height, 0], [-height, 1, height], [0, height, 1 + height]])
    return np.clip(alpha * _correlated(pixels, relief) + (1 - alpha) * pixels, 0, white)


def _sharpness(t, params, pixels, white):
    whole = white == 255
    pixels = np.rint(pixels) if whole else pixels
    blurred = _correlated(pixels, np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13)
    blurred = np.rint(blurred) if whole else blurred
    result = np.clip(pixels + float(np.float32(1 - params[0])) * (blurred - pixels), 0, white)
    # A single rounding to float32, as of a fused multiply-add, decides which level is the next below.
    result = np.floor(result.astype(np.float32)) if whole else result
    result[[0, -1]], result[:, [0, -1]] = pixels[[0, -1]], pixels[:, [0, -1]]
    return result


def _jpeg(t, params, pixels, white):
    levels = np.rint(pixels * (255 / white)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.squeeze(2) if levels.shape[2] == 1 else levels).save(file, "JPEG", quality=int(params[0]))
    return np.asarray(Image.open(file)).reshape(pixels.shape) * (white / 255)


FLOATS = {"opencv uint8": 0.01, "opencv float": 0.01, "torch": 0.01}
EXACT = {"opencv uint8": 0.0, "opencv float": 1e-3, "torch": 1e-3}


def _sharper(t, params):
    return max(1.0, params[0] + abs(1 - params[0]))


STEPS: dict[str, Step] = {
    "GaussianBlur": Step(_gaussian_blur, FLOATS),
    "Blur": Step(_blur, FLOATS),
    "MedianBlur": Step(_median_blur, EXACT),
    "MotionBlur": Step(_motion_blur, SMALL),
    "Defocus": Step(_defocus, SMALL),
    "UnsharpMask": Step(_unsharp_mask, FLOATS),
    "Emboss": Step(_emboss, SMALL),
    "RandomAdjustSharpness": Step(_sharpness, EXACT, _sharper),
    "Sharpness": Step(_sharpness, EXACT, _sharper),
    "JPEG": Step(_jpeg, EXACT),
    "ImageCompression": Step(_jpeg, EXACT),
}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {}
