"""Arguments for every transform: good ones, bad ones, and what its drawn parameters must satisfy.

A new class in the registry needs an entry in `EXAMPLES` and `BAD`, and in `RANGES` if it draws parameters.
"""

from __future__ import annotations

import math

import examples_blur
import examples_boxcrop
import examples_channels
import examples_distort
import examples_erase
import examples_geometry
import examples_mix
import examples_noise
import examples_policy
import examples_resize
import examples_tone
import examples_weather
import numpy as np
import torch
from checks import (
    ANGLE,
    CENTER,
    FACTOR,
    FILL,
    INTERPOLATION,
    NAN,
    PADDING,
    PROBABILITY,
    RATIO,
    SCALE,
    SIZE,
    inside,
    whole,
)

from augsynth import transforms as T
from augsynth.transforms.mix import Mix, Overlay

FLIP, ROTATE = T.RandomHorizontalFlip(), T.RandomRotation(20, "bilinear", fill=0.0)
JITTER, GRAY = T.ColorJitter(0.3, 0.3, 0.3, 0.1), T.RandomGrayscale(0.5)

# fill and value are shares of the value range here; `build` scales them for uint8.
EXAMPLES = {
    "RandomHorizontalFlip": [{}, {"p": 0.9}],
    "RandomVerticalFlip": [{}, {"p": 0.9}],
    "RandomRotation": [
        {"degrees": 30},
        {"degrees": (-90, 180), "interpolation": "bilinear", "fill": 0.4},
        {"degrees": 60, "interpolation": "bicubic", "expand": True},
        {"degrees": 45, "interpolation": "bilinear", "center": (3.0, 20.0)},
    ],
    "RandomAffine": [
        {"degrees": 20, "translate": (0.1, 0.2), "scale": (0.8, 1.3), "shear": 10},
        {"degrees": 40, "scale": (1.0, 1.4), "interpolation": "bilinear", "fill": 0.4},
        {"degrees": 40, "scale": (0.3, 0.7), "shear": (-10, 10, -20, 20), "interpolation": "bilinear"},
        {"degrees": 10, "interpolation": "bicubic", "center": (2.0, 3.0)},
    ],
    "RandomCrop": [
        {"size": (17, 20)},
        {"size": 24, "padding": (3, 2), "fill": 0.6},
        {"size": (40, 37), "padding": 2, "pad_if_needed": True, "padding_mode": "edge"},
        {"size": 20, "padding": (1, 2, 3, 4), "padding_mode": "reflect"},
    ],
    "CenterCrop": [{"size": 21}, {"size": (20, 33)}],
    "Pad": [
        {"padding": (1, 2, 3, 4), "fill": 0.2},
        {"padding": 5, "padding_mode": "reflect"},
        {"padding": (2, 3), "padding_mode": "symmetric"},
    ],
    "Resize": [
        {"size": (14, 17)},
        {"size": 41, "max_size": 50},
        {"size": (15, 50), "interpolation": "bicubic"},
        {"size": (16, 24), "interpolation": "nearest"},
        {"size": (13, 40), "antialias": False},
    ],
    "RandomResizedCrop": [
        {"size": 16},
        {"size": (40, 33), "scale": (0.2, 0.5), "ratio": (0.5, 1.5)},
        {"size": 16, "interpolation": "nearest"},
    ],
    "ColorJitter": [
        {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
        {"brightness": (0.0, 1.8)},
        {"contrast": (0.2, 1.9)},
        {"saturation": (0.0, 2.5)},
        {"hue": 0.5},
    ],
    "RandomGrayscale": [{"p": 0.5}],
    "Normalize": [{"mean": (0.4,), "std": (0.2,)}],
    "RandomErasing": [
        {"value": 0.4},
        {"p": 0.9, "scale": (0.1, 0.6), "ratio": (0.2, 5.0)},
        {"p": 0.9, "value": "random"},
    ],
    "OneOf": [{"transforms": [FLIP, JITTER, ROTATE], "weights": (1.0, 2.0, 3.0)}],
    "SomeOf": [{"transforms": {"flip": FLIP, "gray": GRAY, "turn": ROTATE}, "n": 2, "p": 0.8}],
    "RandomOrder": [{"transforms": [GRAY, JITTER, ROTATE]}],
    "RandomApply": [{"transforms": [ROTATE, T.OneOf([FLIP, JITTER])], "p": 0.5}],
}

# One good set of arguments, and for every field values that must be refused.
BAD = {
    "RandomHorizontalFlip": ({}, {"p": PROBABILITY}),
    "RandomVerticalFlip": ({}, {"p": PROBABILITY}),
    "RandomRotation": (
        {"degrees": 10},
        {"degrees": ANGLE, "interpolation": INTERPOLATION, "center": CENTER, "fill": FILL},
    ),
    "RandomAffine": (
        {"degrees": 10},
        {
            "degrees": ANGLE,
            "translate": [(0.1,), (-0.1, 0.1), (0.1, 1.1), 0.1, (0.1, "x")],
            "scale": [(0.0, 1.0), (1.2, 0.8), 1.0],
            "shear": [-5, (10, -10), (0, 95), (1, 2, 3), (0, 1, 3, 2), "x"],
            "interpolation": INTERPOLATION,
            "fill": FILL,
            "center": CENTER,
        },
    ),
    "RandomCrop": (
        {"size": 10},
        {"size": SIZE, "padding": PADDING, "fill": FILL, "padding_mode": ["wrap", None]},
    ),
    "CenterCrop": ({"size": 10}, {"size": SIZE}),
    "Pad": ({"padding": 1}, {"padding": [*PADDING, None], "fill": FILL, "padding_mode": ["wrap", None]}),
    "Resize": (
        {"size": 10},
        {"size": [*SIZE, None], "interpolation": INTERPOLATION, "max_size": [9, 20.5, "x"]},
    ),
    "RandomResizedCrop": (
        {"size": 10},
        {"size": SIZE, "scale": SCALE, "ratio": RATIO, "interpolation": INTERPOLATION},
    ),
    "ColorJitter": (
        {},
        {
            "brightness": FACTOR,
            "contrast": FACTOR,
            "saturation": FACTOR,
            "hue": [0.6, -0.1, (-0.6, 0.0), (0.2, 0.1), "x", None],
        },
    ),
    "RandomGrayscale": ({}, {"p": PROBABILITY}),
    "Normalize": (
        {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)},
        {"mean": ["x", (), (0.5, None), NAN], "std": [(0.0,), (0.2, -0.1, 0.2), (0.2, 0.2), "x"], "inplace": [True]},
    ),
    "RandomErasing": (
        {},
        {
            "p": PROBABILITY,
            "scale": [(0.9, 0.1), (0.5, 1.1), (-0.1, 0.5), 0.5],
            "ratio": RATIO,
            "value": [*FILL, "noise"],
            "inplace": [True],
        },
    ),
    "OneOf": ({"transforms": [FLIP, GRAY]}, {"p": PROBABILITY, "weights": [(1.0,), (0.0, 0.0), (-1.0, 2.0), 3, "x"]}),
    "SomeOf": ({"transforms": [FLIP, GRAY]}, {"p": PROBABILITY, "n": [0, 3, 1.5, True, None]}),
    "RandomOrder": ({"transforms": [FLIP]}, {}),
    "RandomApply": ({"transforms": [FLIP]}, {"p": PROBABILITY}),
}
# Fields that take any truth value, and `transforms`, whose errors are tests of their own.
UNCHECKED = {"expand", "pad_if_needed", "antialias", "transforms"}


def _scaled(value, unit):
    if value is None or isinstance(value, str):
        return value
    return tuple(v * unit for v in value) if isinstance(value, tuple) else value * unit


def build(name, arguments, dtype="float32"):
    """Make a transform from `EXAMPLES`, its fill in the units of `dtype`."""
    unit = 255 if dtype == "uint8" else 1
    kinds = ("fill", "value", "drop_value", *(("threshold", "addition") if "Solarize" in name else ()))
    scaled = {k: _scaled(v, unit) if k in kinds else v for k, v in arguments.items()}
    return T.REGISTRY[name](**scaled)


def _check_rotation(t, params, sizes):
    low, high = t.degrees if isinstance(t.degrees, tuple) else (-t.degrees, t.degrees)
    inside(low, params[:, 0], high)


def _check_affine(t, params, sizes):
    inside(-t.degrees, params[:, 0], t.degrees)
    reach = np.array(t.translate or (0, 0)) * sizes[:, ::-1]
    inside(-reach - 0.5, params[:, 1:3], reach + 0.5)
    whole(params[:, 1:3])
    inside(*(t.scale or (1, 1))[:1], params[:, 3], (t.scale or (1, 1))[1])
    shear = t.shear if isinstance(t.shear, tuple) else (-(t.shear or 0), t.shear or 0)
    shear = shear if len(shear) == 4 else (*shear, 0, 0)
    inside(shear[0], params[:, 4], shear[1])
    inside(shear[2], params[:, 5], shear[3])


def _check_crop(t, params, sizes):
    size = np.array(t.size if isinstance(t.size, tuple) else (t.size, t.size))
    sides = t.padding if isinstance(t.padding, tuple) else (t.padding or 0,)
    left, top, right, bottom = sides * (4 // len(sides))
    missing = np.maximum(size - sizes - [top + bottom, left + right], 0) if t.pad_if_needed else 0
    whole(params)
    inside(-np.array([top, left]) - missing, params, sizes + np.array([bottom, right]) + missing - size)


def _check_resized_crop(t, params, sizes):
    place, window = params[:, :2], params[:, 2:]
    whole(params)
    assert (window >= 1).all()
    inside(0, place, sizes - window)
    height, width = window.T
    # Sides are rounded to whole pixels: half a pixel either way.
    inner = (sizes == window).any(1)  # the fallback window touches an edge
    area = sizes.prod(1)
    inside(t.scale[0] * area[~inner], ((height + 0.5) * (width + 0.5))[~inner], np.inf)
    inside(0, ((height - 0.5) * (width - 0.5))[~inner], t.scale[1] * area[~inner])
    inside(t.ratio[0], (width + 0.5) / (height - 0.5), np.inf)
    inside(0, (width - 0.5) / (height + 0.5), t.ratio[1])


def _check_erasing(t, params, sizes):
    place, window = params[:, :2], params[:, 2:4]
    whole(params)
    inside(0, place, sizes - window)
    height, width = window[(window > 0).all(1)].T
    area = sizes[(window > 0).all(1)].prod(1)
    inside(t.scale[0] * area, (height + 0.5) * (width + 0.5), np.inf)
    inside(0, (height - 0.5) * (width - 0.5), t.scale[1] * area)
    inside(0, (height - 0.5) / (width + 0.5), t.ratio[1])
    inside(t.ratio[0], (height + 0.5) / (width - 0.5), np.inf)


def _check_factor(t, params, sizes):
    inside(t.low, params[:, 0], t.high)


RANGES = {
    "RandomRotation": _check_rotation,
    "RandomAffine": _check_affine,
    "RandomCrop": _check_crop,
    "RandomResizedCrop": _check_resized_crop,
    "RandomErasing": _check_erasing,
    **dict.fromkeys(("Brightness", "Contrast", "Saturation", "Hue"), _check_factor),
}

_FAMILIES = (
    examples_blur,
    examples_boxcrop,
    examples_channels,
    examples_distort,
    examples_erase,
    examples_geometry,
    examples_mix,
    examples_noise,
    examples_policy,
    examples_resize,
    examples_tone,
    examples_weather,
)
for _family in _FAMILIES:
    EXAMPLES |= _family.EXAMPLES
    BAD |= _family.BAD
    RANGES |= _family.RANGES
    UNCHECKED |= _family.UNCHECKED

SIZES = [(23, 34), (40, 31), (30, 30), (23, 34)]
MIXES = {name for name, kind in T.REGISTRY.items() if issubclass(kind, Mix)}
OVERLAYS = {name for name in MIXES if issubclass(T.REGISTRY[name], Overlay)}


def sizes_of(name):
    """Return the sizes of `pictures_of`: what is averaged pixel by pixel has one size."""
    return [SIZES[0]] * len(SIZES) if name in OVERLAYS else SIZES


def noise(size, channels=3, dtype="float32", seed=0):
    """Return a `(C, H, W)` tensor of independent pixels: the hardest image to resample."""
    values = np.random.default_rng(seed).random((channels, *size))
    return torch.from_numpy((values * 255).round().astype(np.uint8) if dtype == "uint8" else values.astype(dtype))


def smooth(size, channels=3, dtype="float32"):
    """Return a `(C, H, W)` tensor without detail: slopes below 1.6 % of the range per pixel."""
    y, x = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    planes = [0.5 + 0.2 * np.sin(0.07 * x + k) * np.cos(0.05 * y - k) for k in range(channels)]
    values = np.stack(planes)
    return torch.from_numpy((values * 255).round().astype(np.uint8) if dtype == "uint8" else values.astype(dtype))


def pictures(channels=3, dtype="float32", make=noise, sizes=SIZES):
    """Return one picture for each of `SIZES`: odd and even, tall, wide and square, two alike in size."""
    if make is smooth:
        return [smooth(size, channels, dtype) for size in sizes]
    return [make(size, channels, dtype, seed) for seed, size in enumerate(sizes)]


def pictures_of(name, channels=3, dtype="float32", make=noise):
    """Return pictures that the transform of this name can take in one batch."""
    return pictures(channels, dtype, make, sizes_of(name))


def angle_of(matrix):
    """Return the turn of a 2 x 2 rotation in degrees."""
    return math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
