"""From a pipeline to albumentations, where both do exactly the same."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch

from augsynth.adapters import leaves
from augsynth.adapters.equivalents import RULES, equivalent, note_of
from augsynth.adapters.foreign import Foreign
from augsynth.adapters.leaving import Failure, Unequal, check_alike, refuse, titled
from augsynth.pipeline import Pipeline
from augsynth.transforms.base import Color, Composite, Geometric, Tone, Transform
from augsynth.transforms.color import ColorJitter, Normalize
from augsynth.transforms.combine import OneOf, RandomApply, SomeOf
from augsynth.transforms.crop import CenterCrop, RandomCrop, RandomResizedCrop, Resize
from augsynth.transforms.geometry import RandomHorizontalFlip, RandomVerticalFlip
from augsynth.transforms.mix import Mix

_CODES = {"nearest": 0, "bilinear": 1, "bicubic": 2}
_NEAREST_EXACT, _AREA = 6, 3
_BORDERS = {"constant": 0, "edge": 1, "symmetric": 2, "reflect": 4}
# What can be said there by another class of ours.
_INSTEAD = {
    "CenterCrop": "theirs rounds to the other side where an odd number of pixels is cut off, and does not pad; "
    "T.Resize to a height and width before it settles that",
    "RandomEqualize": "levels differ by up to 7 of 255",
    "RandomGrayscale": "T.ToGray(p=...) is the same and has an equal",
    "RandomOrder": "T.SomeOf(transforms, n=len(transforms)) is the same and has an equal",
}


def to_albumentations(pipeline: Pipeline, **arguments: Any) -> Any:
    """Return an albumentations.Compose: see `Pipeline.to_albumentations`."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    failures: list[Failure] = []
    moved = {name: t for name, t in pipeline.transforms.items() if not isinstance(t, Normalize)}
    steps, size = [], None
    for name, transform in moved.items():
        middle = isinstance(transform, CenterCrop) and _cuts_alike(transform, size)
        steps.append(A.CenterCrop(*_both(transform.size)) if middle else _tried(A, name, transform, failures))
        size = _size_after(transform, size)
    steps += _output(A, pipeline, failures)
    refuse("albumentations", pipeline, failures)
    return A.Compose(steps or [A.NoOp()], **arguments)


def _both(size: Any) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _size_after(transform: Transform, size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return height and width of every image after a transform, if they are known. size: those before it."""
    if isinstance(transform, (Color, ColorJitter, Tone, RandomHorizontalFlip, RandomVerticalFlip)):
        return size
    if isinstance(transform, Resize) and (transform.max_size is not None or not isinstance(transform.size, tuple)):
        return None
    if type(transform) in (Resize, RandomResizedCrop, RandomCrop, CenterCrop):
        return _both(transform.size)  # type: ignore[attr-defined]
    return None


def _cuts_alike(crop: CenterCrop, size: tuple[int, int] | None) -> bool:
    """Tell whether albumentations cuts the same middle out: it rounds half a pixel down, and we to an even number."""
    cut = [] if size is None else [side - wanted for side, wanted in zip(size, _both(crop.size), strict=True)]
    return bool(cut) and all(pixels >= 0 and (pixels % 2 == 0 or pixels // 2 % 2 == 0) for pixels in cut)


def _output(library: Any, pipeline: Pipeline, failures: list[Failure]) -> list[Any]:
    normalize, dtype = pipeline.plan.normalize, pipeline.dtype
    if dtype not in (None, torch.float32):
        failures.append(("dtype", f"{dtype}; albumentations makes float32 of images, or leaves them as they are"))
    # Of uint8 and of floats in [0, 1] alike, as a pipeline takes them.
    stage = [library.ToFloat(max_value=None, p=1.0)] if normalize is not None or dtype == torch.float32 else []
    if normalize is not None:
        stage.append(library.Normalize(normalize.mean, normalize.std, max_pixel_value=1.0, p=1.0))
    return stage


def _tried(library: Any, name: str, transform: Transform, failures: list[Failure], weight: float | None = None) -> Any:
    """Convert one transform, or note why it cannot be. weight: odds of it in a choice, in the place of its own p."""
    try:
        if weight is not None and transform.p < 1:
            raise Unequal(f"albumentations sets the p of what a OneOf chooses aside, and its own is {transform.p:g}")
        if isinstance(transform, (OneOf, RandomApply, SomeOf)):
            return _combined(library, name, transform, failures, weight)
        return _equal(library, transform, transform.p if weight is None else weight)
    except Unequal as error:
        failures.append((titled(name, transform), str(error)))
        return None


def _combined(library: Any, name: str, transform: Composite, failures: list[Failure], weight: float | None) -> Any:
    parts = {f"{name}/{part}": child for part, child in transform.parts().items()}
    before = len(failures)
    if isinstance(transform, OneOf):
        weights = transform.weights or (1.0,) * len(parts)
        inner = [
            _tried(library, part, child, failures, w / max(weights))
            for (part, child), w in zip(parts.items(), weights, strict=True)
        ]
    else:
        inner = [_tried(library, part, child, failures) for part, child in parts.items()]
    if len(failures) > before:
        return None
    p = transform.p if weight is None else weight
    if isinstance(transform, SomeOf):
        kind = library.SomeOf if isinstance(transform, leaves.SomeInOrder) else library.RandomOrder
        return kind(inner, n=transform.n, replace=False, p=p)
    return library.OneOf(inner, p=p) if isinstance(transform, OneOf) else library.Sequential(inner, p=p)


def _equal(library: Any, transform: Transform, p: float) -> Any:
    """Return the equal of a transform, if it comes back as the same. Raises Unequal."""
    name = type(transform).__name__
    if isinstance(transform, Foreign):
        raise Unequal("it is a function or a transform of another library, which runs as it is; put it in yourself")
    if isinstance(transform, Mix):
        raise Unequal("it mixes the samples of a batch, and albumentations has one sample at a time")
    if name in _INSTEAD and type(transform).__module__.startswith("augsynth.transforms."):
        raise Unequal(f"albumentations: {_INSTEAD[name]}")
    theirs = _built(library, name, transform, p)
    try:
        back = equivalent(theirs)
    except ValueError as error:
        raise Unequal(f"albumentations' is another: {error}") from None
    if note := note_of(theirs):
        raise Unequal(f"albumentations' is another: {note}")
    if transform.gated and p != transform.p:
        # In a choice, its p says how often it is chosen.
        theirs.p = transform.p
        back = equivalent(theirs)
        theirs.p = p
    check_alike(transform, back, "albumentations")
    return theirs


def _built(library: Any, name: str, transform: Transform, p: float) -> Any:
    """Build what may be the equal. Raises Unequal where nothing can be."""
    rule = _RULES.get(name)
    kind: Any = getattr(library, name, None) if rule is None else getattr(library, rule[0])
    known = isinstance(kind, type) and issubclass(kind, library.BasicTransform)
    if not known or (rule is None and name in RULES):
        raise Unequal(
            f"albumentations has no {name}" if not known else "albumentations' means something else by its name"
        )
    arguments = _same(transform) if rule is None else rule[1](transform)
    with warnings.catch_warnings():
        # It warns of arguments that it does not take, and goes on without them.
        warnings.simplefilter("error", UserWarning)
        try:
            return kind(**arguments, p=p)
        except (ValueError, TypeError, UserWarning) as error:
            raise Unequal(f"albumentations: {' '.join(str(error).split()):.160}") from None


def _same(transform: Transform) -> dict[str, Any]:
    """Return the arguments of a class that has them by the same names."""
    values = {item.name: getattr(transform, item.name) for item in fields(transform)}  # type: ignore[arg-type]
    for name in ("p", "antialias", "interpolation", "padding_mode"):
        values.pop(name, None)
    return values | _sampling(transform)


def _sampling(transform: Any) -> dict[str, Any]:
    """Return how pixels are sampled, in cv2's codes."""
    values = {}
    if hasattr(transform, "interpolation"):
        code = _CODES[transform.interpolation]
        if isinstance(transform, Geometric) and transform.resizes:
            code = _NEAREST_EXACT if code == 0 else _AREA if getattr(transform, "antialias", False) else code
        values["interpolation"] = code
    if hasattr(transform, "padding_mode"):
        values["border_mode"] = _BORDERS[transform.padding_mode]
    return values


def _sides(size: Any, what: str) -> dict[str, int]:
    if not isinstance(size, tuple) or len(size) != 2:
        raise Unequal(f"size={size!r} is one side; {what}")
    return {"height": size[0], "width": size[1]}


def _resize(t: Any) -> dict[str, Any]:
    if t.max_size is not None:
        raise Unequal(f"max_size={t.max_size} is not among the arguments of albumentations' Resize")
    return {**_sides(t.size, "T.SmallestMaxSize has an equal"), **_sampling(t)}


def _random_crop(t: Any) -> dict[str, Any]:
    if t.padding or t.pad_if_needed:
        raise Unequal("padding; albumentations pads in a transform of its own: put T.PadIfNeeded before it")
    size = t.size if isinstance(t.size, tuple) else (t.size,)
    return {"height": size[0], "width": size[-1]}


def _resized_crop(t: Any) -> dict[str, Any]:
    size = t.size if isinstance(t.size, tuple) else (t.size,)
    return {"size": (size[0], size[-1]), "scale": t.scale, "ratio": t.ratio, **_sampling(t)}


def _gaussian_blur(t: Any) -> dict[str, Any]:
    sides = t.kernel_size if isinstance(t.kernel_size, tuple) else (t.kernel_size,)
    if len(set(sides)) > 1:
        raise Unequal(f"kernel_size={sides}; albumentations has one for width and height")
    sigma = t.sigma if isinstance(t.sigma, tuple) else (t.sigma, t.sigma)
    return {"blur_limit": (sides[0], sides[0]), "sigma_limit": sigma}


def _jitter(t: ColorJitter) -> dict[str, Any]:
    return {name: getattr(t, name) or 0.0 for name in ("brightness", "contrast", "saturation", "hue")}


def _affine(t: Any) -> dict[str, Any]:
    shift = "translate_px" if t.pixels else "translate_percent"
    ranges = {
        name: {axis: getattr(t, f"{key}_{axis}") for axis in "xy"}
        for name, key in (("scale", "scale"), ("shear", "shear"), (shift, "shift"))
    }
    return {
        **ranges,
        "rotate": t.rotate,
        "keep_ratio": t.keep_ratio,
        "balanced_scale": t.balanced,
        "fill": t.fill,
        **_sampling(t),
    }


def _fixed_crop(t: Any) -> dict[str, Any]:
    if t.top is None:
        raise Unequal("a crop of the middle; put A.CenterCrop in yourself")
    return {"x_min": t.left, "y_min": t.top, "x_max": t.left + t.width, "y_max": t.top + t.height}


def _sized_crop(t: Any) -> dict[str, Any]:
    return {"min_max_height": t.min_max_height, "size": t.size, "w2h_ratio": t.w2h_ratio, **_sampling(t)}


_RULES: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "Affine": ("Affine", _affine),
    "BorderCrop": ("RandomCropFromBorders", _same),
    "ColorJitter": ("ColorJitter", _jitter),
    "FixedCrop": ("Crop", _fixed_crop),
    "GaussianBlur": ("GaussianBlur", _gaussian_blur),
    "Pad": ("Pad", _same),
    "Perspective": ("Perspective", lambda t: {"scale": t.scale, "fill": t.fill, **_sampling(t)}),
    "RandomAutocontrast": ("AutoContrast", lambda t: {"method": "pil"}),
    "RandomCrop": ("RandomCrop", _random_crop),
    "RandomHorizontalFlip": ("HorizontalFlip", lambda t: {}),
    "RandomInvert": ("InvertImg", lambda t: {}),
    "RandomResizedCrop": ("RandomResizedCrop", _resized_crop),
    "RandomVerticalFlip": ("VerticalFlip", lambda t: {}),
    "Resize": ("Resize", _resize),
    "SizedCrop": ("RandomSizedCrop", _sized_crop),
    "SolarizeBetween": ("Solarize", lambda t: {"threshold_range": (t.threshold, t.high)}),
}
