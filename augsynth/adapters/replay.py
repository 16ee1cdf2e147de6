"""Transforms of other libraries under parameters that this one has drawn, by their own functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from augsynth.adapters.adapted import Pair
from augsynth.adapters.foreign import wrapped
from augsynth.transforms.base import Array

Drawn = Mapping[str, tuple[float, ...]]
Again = Callable[[Drawn], Any]


def replayed(pair: Pair, given: Array) -> Again | None:
    """Return a function from drawn parameters to what the other library makes of `given`; None where there is none."""
    if not type(pair.theirs).__module__.startswith(("torchvision.transforms", "albumentations.")):
        return None
    name = type(pair.theirs).__name__
    if pair.takes == "albumentations":
        rule = _ALBUMENTATIONS.get(name)
        return (
            None if rule is None else lambda drawn: pair.theirs.apply(given.copy(), **rule(pair.theirs, drawn, given))
        )
    step = _TORCHVISION.get(name)
    return None if step is None else lambda drawn: step(pair.theirs, drawn, wrapped(given.copy(), pair.takes))


def _only(drawn: Drawn) -> tuple[float, ...]:
    """Return the parameters of a transform that is one leaf."""
    return next(iter(drawn.values()))


def _resized_crop(one: Any, drawn: Drawn, image: Any) -> Any:
    from torchvision.transforms.v2 import functional as F

    window = [int(v) for v in _only(drawn)]
    return F.resized_crop(image, *window, list(one.size), one.interpolation, bool(one.antialias))


def _rotation(one: Any, drawn: Drawn, image: Any) -> Any:
    from torchvision.transforms.v2 import functional as F

    return F.rotate(image, _only(drawn)[0], one.interpolation, one.expand, one.center, _fill(one))


def _affine(one: Any, drawn: Drawn, image: Any) -> Any:
    from torchvision.transforms.v2 import functional as F

    angle, x, y, scale, *shear = _only(drawn)
    return F.affine(image, angle, [x, y], scale, shear, one.interpolation, _fill(one), one.center)


def _perspective(one: Any, drawn: Drawn, image: Any) -> Any:
    from torchvision.transforms.v2 import functional as F

    height, width = F.get_size(image)
    values = [int(v) for v in _only(drawn)]
    home = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    places = [values[i : i + 2] for i in range(0, 8, 2)]
    return F.perspective(image, home, places, one.interpolation, _fill(one))


def _blur(one: Any, drawn: Drawn, image: Any) -> Any:
    from torchvision.transforms.v2 import functional as F

    return F.gaussian_blur(image, list(one.kernel_size), [_only(drawn)[0]] * 2)


def _jitter(one: Any, drawn: Drawn, image: Any) -> Any:
    from torchvision.transforms.v2 import functional as F

    for name, (value,) in drawn.items():
        image = getattr(F, f"adjust_{name.rpartition('/')[2]}")(image, value)
    return image


def _fill(one: Any) -> Any:
    return one.fill if isinstance(one.fill, (list, tuple)) else [float(one.fill or 0)]


_TORCHVISION: dict[str, Callable[[Any, Drawn, Any], Any]] = {
    "RandomResizedCrop": _resized_crop,
    "RandomRotation": _rotation,
    "RandomAffine": _affine,
    "RandomPerspective": _perspective,
    "GaussianBlur": _blur,
    "ColorJitter": _jitter,
}


def _window(one: Any, drawn: Drawn, given: Array) -> dict[str, Any]:
    top, left, *size = (int(v) for v in _only(drawn))
    height, width = size or (one.height, one.width)
    return {"crop_coords": (left, top, left + width, top + height), "pad_params": None}


def _warp(one: Any, drawn: Drawn, given: Array) -> dict[str, Any]:
    from albumentations.augmentations.geometric import functional as F

    scale_x, scale_y, x, y, angle, shear_x, shear_y = _only(drawn)
    shear, scale = {"x": -shear_x, "y": -shear_y}, {"x": scale_x, "y": scale_y}
    matrix = F.create_affine_transformation_matrix({"x": x, "y": y}, shear, scale, angle, F.center(given.shape))
    none = dict.fromkeys(("x_min", "x_max", "y_min", "y_max"), -1)
    return {"matrix": matrix, "output_shape": given.shape[:2], "shape": given.shape, **none}


def _corners(one: Any, drawn: Drawn, given: Array) -> dict[str, Any]:
    from albumentations.augmentations.geometric import functional as F

    height, width = given.shape[:2]
    points = np.array(_only(drawn), np.float32).reshape(4, 2) * np.array([width, height], np.float32)
    matrix, wide, tall = F.compute_perspective_params(points, (height, width))
    return {"matrix": matrix, "max_width": wide, "max_height": tall}


def _colors(one: Any, drawn: Drawn, given: Array) -> dict[str, Any]:
    names = ("brightness", "contrast", "saturation", "hue")
    values = {name.rpartition("/")[2]: value for name, (value,) in drawn.items()}
    plain = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}
    order = [names.index(name) for name in values] + [i for i, name in enumerate(names) if name not in values]
    return {**plain, **values, "order": order}


def _brightness_contrast(one: Any, drawn: Drawn, given: Array) -> dict[str, Any]:
    factor, share = _only(drawn)
    return {"alpha": factor, "beta": share * (255 if one.brightness_by_max else given.mean())}


def _hsv(one: Any, drawn: Drawn, given: Array) -> dict[str, Any]:
    hue, saturation, value = _only(drawn)
    return {"hue_shift": hue * 180, "sat_shift": saturation * 255, "val_shift": value * 255}


_ALBUMENTATIONS: dict[str, Callable[[Any, Drawn, Array], dict[str, Any]]] = {
    "Affine": _warp,
    "ShiftScaleRotate": _warp,
    "Rotate": _warp,
    "Perspective": _corners,
    "RandomCrop": _window,
    "RandomResizedCrop": _window,
    "RandomSizedCrop": _window,
    "RandomCropFromBorders": _window,
    "ColorJitter": _colors,
    "RandomBrightnessContrast": _brightness_contrast,
    "HueSaturationValue": _hsv,
    "RandomGamma": lambda one, drawn, given: {"gamma": _only(drawn)[0]},
}
