"""Which transform of this library one of albumentations is: by rules where their arguments differ, else by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from augsynth.adapters import leaves
from augsynth.transforms.base import Distortion, Geometric, Transform
from augsynth.transforms.blur import GaussianBlur
from augsynth.transforms.color import ColorJitter
from augsynth.transforms.combine import OneOf, RandomApply
from augsynth.transforms.crop import Pad, RandomCrop, RandomResizedCrop, Resize
from augsynth.transforms.distort import ElasticTransform
from augsynth.transforms.geometry import RandomHorizontalFlip, RandomVerticalFlip
from augsynth.transforms.resize import PadIfNeeded
from augsynth.transforms.tone import Posterize, RandomAutocontrast, RandomEqualize, RandomInvert
from augsynth.transforms.turns import D4

# Codes of cv2; what has None here has no equal.
_INTERPOLATIONS = {0: "nearest", 1: "bilinear", 2: "bicubic", 3: "bilinear", 5: "bilinear", 6: "nearest"}
_BORDERS = {0: "constant", 1: "edge", 2: "symmetric", 4: "reflect"}
_AREA = 3
# What says nothing of the image.
_ASIDE = ("p", "strict", "fill_mask", "mask_interpolation", "keypoint_remapping_method", "rotate_method")
_LEAST_SIGMA = 2.0
# Of the same name, but what they do to a picture can be told apart: measured on many draws with the same arguments.
_DIFFERENT = {
    "CLAHE": "augsynth's equalizes the luma, theirs CIELAB's lightness: 6 levels apart in the mean",
    "ISONoise": "augsynth's changes a picture three to six times as much",
    "Illumination": "augsynth's changes a picture about a third as much",
    "Mosaic": "augsynth's takes the other images from the batch, theirs from the sample's metadata",
    "PiecewiseAffine": "augsynth's changes a picture about a sixth as much",
    "PlasmaBrightnessContrast": "augsynth's keeps the mean and has coarser clouds",
    "RandomFog": "augsynth's changes a picture about four times as much",
    "RandomRain": "augsynth's draws other streaks, and has other arguments",
    "ThinPlateSpline": "augsynth's changes a picture about a third as much",
}
# Of the same name, and alike but for this.
NOTES = {
    "ElasticTransform": "the noise of another generator, equally strong but at the edges",
    "Equalize": "levels differ by up to 7 of 255: here they are PIL's",
    "GridDistortion": "cells end where the next begin, there up to a pixel before",
    "ImageCompression": "there the codec takes red for blue",
    "MotionBlur": "the line is drawn with soft edges",
    "OpticalDistortion": "about the middle of the image, there half a pixel beside it",
    "SafeRotate": "about the middle of the image, there half a pixel beside it",
}


class Unlike(ValueError):
    """A transform has no equal here; the message says why."""


def equivalent(one: Any) -> Transform:
    """Return the equal of a transform, applied always unless it has a `p` of its own. Raises ValueError where none is.

    What the registry holds when this is called is used.
    """
    from augsynth.transforms import REGISTRY

    name = type(one).__name__
    if name in RULES:
        return RULES[name](one)
    if name in _DIFFERENT:
        raise Unlike(_DIFFERENT[name])
    if name not in REGISTRY:
        raise Unlike(f"augsynth has no {name}")
    return _same(one, REGISTRY[name])


def _same(one: Any, kind: type[Transform]) -> Transform:
    """Build the class of the same name from arguments of the same names."""
    ours = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    values = {name: _value(one, name) for name in ours if name not in ("antialias", "padding_mode")}
    if "antialias" in ours:
        values["antialias"] = filters(one)
    if "padding_mode" in ours:
        values["padding_mode"] = border(one)
    elif getattr(one, "border_mode", 0):
        raise Unlike(f"border_mode={border(one)} is not among the arguments of augsynth's {kind.__name__}")
    if not issubclass(kind, (Geometric, Distortion)) and getattr(one, "fill_mask", None) is not None:
        raise Unlike(f"fill_mask={one.fill_mask} writes into masks, which augsynth's {kind.__name__} leaves alone")
    for name, default in _arguments(one).items():
        known = name in ours or name in _ASIDE or name in ("border_mode", "area_for_downscale")
        if not known and not _alike(getattr(one, name, default), default):
            raise Unlike(f"{name}={getattr(one, name)!r} is not among the arguments of augsynth's {kind.__name__}")
    return kind(**values)


def _value(one: Any, name: str) -> Any:
    if not hasattr(one, name):
        raise Unlike(f"it has no argument {name} in this version of albumentations")
    return interpolation(one) if name == "interpolation" else getattr(one, name)


def _arguments(one: Any) -> Mapping[str, Any]:
    """Return the arguments of a transform's class and what they are by default, as instances hold them."""
    parameters = inspect.signature(type(one)).parameters
    defaults = {name: p.default for name, p in parameters.items()}
    if any(default is inspect.Parameter.empty for default in defaults.values()):
        return defaults
    try:
        plain = type(one)()
    except ValueError:  # one of several arguments is needed
        return defaults
    return {name: getattr(plain, name, default) for name, default in defaults.items()}


def _alike(value: Any, default: Any) -> bool:
    return value is default or (value == default) is True


def interpolation(one: Any) -> str:
    """Read an interpolation code."""
    if one.interpolation not in _INTERPOLATIONS:
        raise Unlike(f"interpolation={one.interpolation} (of cv2) is none of nearest, linear, cubic and area")
    return _INTERPOLATIONS[one.interpolation]


def filters(one: Any) -> bool:
    """Tell whether a resize averages what it shrinks, which only the code INTER_AREA does there."""
    return one.interpolation == _AREA or getattr(one, "area_for_downscale", None) is not None


def border(one: Any) -> str:
    """Read a border code."""
    if one.border_mode not in _BORDERS:
        raise Unlike(f"border_mode={one.border_mode} (of cv2) wraps the image around, which augsynth does not")
    return _BORDERS[one.border_mode]


def note_of(one: Any) -> str:
    """Return what is alike but not the same about a transform that has an equal, or nothing."""
    name, code = type(one).__name__, getattr(one, "interpolation", None)
    resizes = hasattr(one, "area_for_downscale")
    if resizes and filters(one):
        return "shrinks by a triangle filter, not by areas"
    if resizes and code == 0:
        return "takes the pixel nearest to the centre, not the one before it"
    return NOTES.get(name, "")


def _resized(kind: Callable[..., Transform], one: Any, *arguments: Any) -> Transform:
    return kind(*arguments, interpolation=interpolation(one), antialias=filters(one))


def _padded(one: Any, crop: Transform) -> Transform:
    """Pad an image that is too small first, where the crop is to do so."""
    if not one.pad_if_needed:
        return crop
    pad = PadIfNeeded(one.height, one.width, position=one.pad_position, padding_mode=border(one), fill=one.fill)
    return RandomApply({"pad": pad, "crop": crop}, p=1.0)


def _center_crop(one: Any) -> Transform:
    return _padded(one, leaves.FixedCrop(one.height, one.width))


def _crop(one: Any) -> Transform:
    if one.pad_if_needed:
        raise Unlike("pad_if_needed=True; put a PadIfNeeded before it")
    return leaves.FixedCrop(one.y_max - one.y_min, one.x_max - one.x_min, one.y_min, one.x_min)


def _random_resized_crop(one: Any) -> Transform:
    return _resized(RandomResizedCrop, one, tuple(one.size), tuple(one.scale), tuple(one.ratio))


def _sized_crop(one: Any) -> Transform:
    return _resized(leaves.SizedCrop, one, tuple(one.min_max_height), tuple(one.size), float(one.w2h_ratio))


def _border_crop(one: Any) -> Transform:
    return leaves.BorderCrop(one.crop_left, one.crop_right, one.crop_top, one.crop_bottom)


def _affine(one: Any) -> Transform:
    if one.fit_output:
        raise Unlike("fit_output=True changes the size in a way that augsynth does not know")
    shifts = one.translate_px or one.translate_percent or {"x": (0, 0), "y": (0, 0)}
    pairs = {"scale": one.scale, "shift": shifts, "shear": one.shear}
    ranges: dict[str, Any] = {f"{name}_{axis}": tuple(pairs[name][axis]) for name in pairs for axis in "xy"}
    return leaves.Affine(
        **ranges,
        pixels=one.translate_percent is None,
        rotate=tuple(one.rotate),
        keep_ratio=one.keep_ratio,
        balanced=one.balanced_scale,
        p=one.p,
        **_warp(one),
    )


def _warp(one: Any) -> dict[str, Any]:
    return {"interpolation": interpolation(one), "padding_mode": border(one), "fill": one.fill}


def _rotate(one: Any) -> Transform:
    if one.crop_border:
        raise Unlike("crop_border=True changes the size in a way that augsynth does not know")
    return leaves.Affine(rotate=tuple(one.limit), p=one.p, **_warp(one))


def _perspective(one: Any) -> Transform:
    if one.fit_output or not one.keep_size:
        raise Unlike("keep_size=False and fit_output=True change the size in a way that augsynth does not know")
    return leaves.Perspective(tuple(one.scale), p=one.p, **_warp(one))


def _elastic(one: Any) -> Transform:
    if one.same_dxdy or one.approximate or border(one) != "constant" or one.sigma < _LEAST_SIGMA:
        raise Unlike(
            "augsynth has it with independent moves along x and y, an exact filter, a constant border and a sigma of "
            f"{_LEAST_SIGMA:g} or more"
        )
    warp = {"interpolation": interpolation(one), "fill": one.fill}
    if one.noise_distribution == "gaussian":
        return leaves.GaussianElastic(one.alpha, one.sigma, **warp)
    # Theirs moves by alpha times noise in (-1, 1), ours by half of that.
    return ElasticTransform(2 * one.alpha, one.sigma, **warp)


def _gaussian_blur(one: Any) -> Transform:
    low, high = one.sigma_limit
    sizes = [size or int(high * 3.5) * 2 + 1 for size in range(one.blur_limit[0], one.blur_limit[1] + 1)]
    odd = [size + 1 - size % 2 for size in sizes]
    counts = {size: float(odd.count(size)) for size in dict.fromkeys(odd)}
    options = {f"size_{size}": GaussianBlur(size, (max(low, 1e-3), max(high, 1e-3))) for size in counts}
    return next(iter(options.values())) if len(options) == 1 else OneOf(options, 1.0, tuple(counts.values()))


def _posterize(one: Any) -> Transform:
    if isinstance(one.num_bits, list):
        raise Unlike("num_bits of each channel; augsynth has one for all")
    bits = range(one.num_bits[0], one.num_bits[1] + 1)
    options = {f"bits_{n}": Posterize(n) for n in bits}
    return next(iter(options.values())) if len(options) == 1 else OneOf(options)


def _solarize(one: Any) -> Transform:
    low, high = one.threshold_range
    return leaves.SolarizeBetween(low, high=high, p=one.p)


def _equalize(one: Any) -> Transform:
    if not one.by_channels or one.mask is not None:
        raise Unlike("augsynth equalizes by channels and without a mask")
    return RandomEqualize(one.p)


def _autocontrast(one: Any) -> Transform:
    if one.method != "pil" or one.cutoff or one.ignore is not None:
        raise Unlike("augsynth stretches from the darkest to the brightest level: method='pil', no cutoff, no ignore")
    return RandomAutocontrast(one.p)


RULES: dict[str, Callable[[Any], Transform]] = {
    "Affine": _affine,
    "AutoContrast": _autocontrast,
    "CenterCrop": _center_crop,
    "ColorJitter": lambda one: ColorJitter(one.brightness, one.contrast, one.saturation, one.hue),
    "Crop": _crop,
    "ElasticTransform": _elastic,
    "Equalize": _equalize,
    "GaussianBlur": _gaussian_blur,
    "HorizontalFlip": lambda one: RandomHorizontalFlip(one.p),
    "InvertImg": lambda one: RandomInvert(one.p),
    "Pad": lambda one: Pad(one.padding, one.fill, border(one)),
    "Perspective": _perspective,
    "Posterize": _posterize,
    "RandomCrop": lambda one: _padded(one, RandomCrop((one.height, one.width))),
    "RandomCropFromBorders": _border_crop,
    "RandomResizedCrop": _random_resized_crop,
    "RandomSizedCrop": _sized_crop,
    "Resize": lambda one: _resized(Resize, one, (one.height, one.width)),
    "Rotate": _rotate,
    "ShiftScaleRotate": _affine,
    "Solarize": _solarize,
    "SquareSymmetry": lambda one: D4(one.p),
    "VerticalFlip": lambda one: RandomVerticalFlip(one.p),
}


# Barriers of these names change the size; of others, those with one of these arguments do.
_RESIZING = (
    *("CropNonEmptyMaskIfExists", "Mosaic", "RandomCropNearBBox"),
    *("CenterCrop", "Crop", "D4", "Pad", "RandomCrop", "RandomCropFromBorders", "RandomResizedCrop", "RandomRotate90"),
    *("RandomSizedCrop", "Resize", "SquareSymmetry", "Transpose"),
)


def keeps_size(one: Any) -> bool:
    """Tell whether a transform of albumentations leaves the image's size, so that it can be a barrier."""
    from augsynth.transforms import REGISTRY

    name, kind = type(one).__name__, REGISTRY.get(type(one).__name__)
    if name == "CropAndPad":
        return bool(one.keep_size)
    if name == "SafeRotate":
        return True
    grows = getattr(one, "fit_output", False) or getattr(one, "crop_border", False)
    sized = kind is not None and issubclass(kind, Geometric)
    return not (name in _RESIZING or grows or sized or not getattr(one, "keep_size", True))
