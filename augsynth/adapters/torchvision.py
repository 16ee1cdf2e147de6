"""From torchvision's transforms, v1 and v2, to a pipeline: fields keep their names, conversions become its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import nn

from augsynth.adapters.adapted import Adapted, Origin, Pair, Part, Sealed, Step, adapt, by_name
from augsynth.adapters.conventions import Conventions
from augsynth.adapters.foreign import Foreign
from augsynth.adapters.leaves import Rgb
from augsynth.adapters.parts import check_callable, choice, joined, label_of, mask_fill
from augsynth.adapters.range import ValueRange
from augsynth.transforms.base import Color, Distortion, Geometric, Pixelwise, Standalone, Transform, snake
from augsynth.transforms.color import Normalize
from augsynth.transforms.combine import RandomApply, RandomOrder
from augsynth.transforms.crop import CenterCrop, as_size
from augsynth.transforms.resize import PadIfNeeded

_FROM_PIL = ("ToTensor", "PILToTensor", "ToImage", "ImageClassification", "ObjectDetection")
_NOTHING = {
    "Identity": "",
    "ToPureTensor": "",
    "ClampBoundingBoxes": "boxes are always clipped to the image",
    "ClampKeyPoints": "keypoints outside the image keep their place; with a visibility, it becomes 0",
}
_REFUSED = {
    "FiveCrop": "makes five images of one; apply it in the dataset",
    "TenCrop": "makes ten images of one; apply it in the dataset",
    "LinearTransformation": "makes values that are no image; apply it to the pipeline's output",
    "MixUp": "mixes the samples of a batch; apply it to the batches of the loader, or put T.MixUp into a Pipeline",
    "CutMix": "mixes the samples of a batch; apply it to the batches of the loader, or put T.CutMix into a Pipeline",
    "UniformTemporalSubsample": "works on videos, and a pipeline on images",
    "ConvertBoundingBoxFormat": "changes the boxes' format, which a pipeline keeps; convert them in the dataset",
    "SetClampingMode": "changes the boxes' clamping mode, which a pipeline keeps; set it in the dataset",
    "SanitizeKeyPoints": "drops keypoints, which a pipeline keeps; apply it to the pipeline's output",
}
_RESIZING = (
    *("CenterCrop", "Grayscale", "Pad", "RandomCrop", "RandomIoUCrop", "RandomResize", "RandomResizedCrop"),
    *("RandomShortestSize", "RandomZoomOut", "Resize", "ScaleJitter"),
)
# What moves no pixel, though its class of ours does not say so or does not exist.
_STILL = ("ColorJitter", "RandomPhotometricDistort", "GaussianNoise")
_ATTRIBUTES = {("RandomIoUCrop", "sampler_options"): "options"}
_SPATIAL = ("fill", "value", "threshold")  # arguments in image space


def from_torchvision(transform: Any, seed: int = 0, *, images: str | None = None, **arguments: Any) -> Adapted:
    """Make a pipeline of torchvision transforms: one, a Compose, nn.Sequential or list of them, v1 or v2.

    images: "pil" or "tensor", what modules and functions of your own are given before any conversion; by default PIL
    where a conversion from PIL follows. arguments: of `Pipeline`. After a conversion to floats, fills and thresholds
    are taken for those of images that come as PIL or uint8.
    Raises TypeError or ValueError, naming the transform, for what can neither be converted nor be a barrier.
    """
    if images not in (None, "pil", "tensor"):
        raise ValueError(f'from_torchvision: images={images!r} is not valid; expected "pil", "tensor" or None')
    walk = _Walk(images or ("pil" if any(type(t).__name__ in _FROM_PIL for t in _flat(transform)) else "tensor"))
    parts = [part for one in _flat(transform) for part in walk.top(one)]
    parts, dtype = walk.values.finish(parts)
    if dtype is not None:
        arguments.setdefault("dtype", dtype)
    found, notes = mask_fill(walk.mask_fills)
    conventions = Conventions(tensor=walk.values.tensor, mask_dtype=walk.mask_dtype)
    origin = Origin("torchvision", (*walk.steps, *notes), Sealed(transform), Sealed(tuple(walk.pairs)))
    return adapt(parts, origin, conventions, {"seed": seed, **found, **arguments})


def is_torchvision(value: Any) -> bool:
    """Tell an instance of torchvision's own classes; a user's subclass is none, for it may do anything."""
    return type(value).__module__.startswith("torchvision.transforms")


def part_of(transform: Any) -> tuple[Part, str]:
    """Return what takes the place of one transform of torchvision, and what is to be said of it."""
    walk = _Walk("tensor")
    part = walk._leaf(transform, type(transform).__name__)
    return part, walk.steps[-1].note


def _flat(transform: Any) -> Iterator[Any]:
    """Yield the transforms of nested sequences, in order."""
    if isinstance(transform, (list, tuple, nn.Sequential)) and type(transform).__module__ != "torchvision":
        children: Sequence[Any] = list(transform)
    elif is_torchvision(transform) and type(transform).__name__ == "Compose":
        children = transform.transforms
    elif is_torchvision(transform) and type(transform).__name__ == "ImageClassification":
        children = _preset(transform)
    else:
        yield transform
        return
    for child in children:
        yield from _flat(child)


def _preset(preset: Any) -> list[Any]:
    """Return what the transforms that come with pretrained weights consist of."""
    from torchvision.transforms import v2

    return [
        v2.Resize(preset.resize_size, interpolation=preset.interpolation, antialias=preset.antialias),
        v2.CenterCrop(preset.crop_size),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(preset.mean, preset.std),
    ]


class _Walk:
    """The conversion of one pipeline, from its first transform to its last."""

    def __init__(self, takes: str) -> None:
        self.values = ValueRange(takes)
        self.steps: list[Step] = []
        self.pairs: list[Pair] = []
        self.mask_fills: set[int] = set()
        self.mask_dtype: torch.dtype | None = None

    def top(self, one: Any) -> list[Part]:
        """Convert one transform that stands outside all others, where conversions may stand."""
        name = type(one).__name__
        if is_torchvision(one) and name in _CONVERSIONS:
            _CONVERSIONS[name](self, one)
            self.steps.append(Step(snake(name), name, "output"))
            return []
        if isinstance(one, Normalize):
            self.values.normalized(one.mean, one.std, "Normalize")
            return []
        return self.inner(one)

    def inner(self, one: Any) -> list[Part]:
        """Convert a transform to the parts that take its place: none, one, or several in a row."""
        flat = list(_flat(one))
        if len(flat) != 1 or flat[0] is not one:
            return [part for child in flat for part in self.inner(child)]
        name = type(one).__name__
        if isinstance(one, Transform):
            return [self._fused(one, one)]
        if not is_torchvision(one):
            check_callable(one, "from_torchvision")
            return [self._barrier(one, "it is your own")]
        if name in _CONVERSIONS:
            raise ValueError(f"from_torchvision: {name} stands inside another transform; convert all images or none")
        if name in _COMBINATORS:
            return _COMBINATORS[name](self, one)
        if name in _NOTHING:
            self.steps.append(Step(snake(name), name, "nothing", _NOTHING[name]))
            return []
        if name in _REFUSED:
            raise TypeError(f"from_torchvision: {name} {_REFUSED[name]}")
        return [self._leaf(one, name)]

    def _leaf(self, one: Any, name: str) -> Part:
        from augsynth.transforms import REGISTRY

        if name == "RGB":
            return self._fused(one, Rgb())
        kind = REGISTRY.get(name)
        if kind is None:
            return self._barrier(one, "it is your own" if name == "Lambda" else f"augsynth has no {name}")
        try:
            ours = kind(**{item.name: self._argument(one, name, item.name) for item in fields(kind)})  # type: ignore[arg-type]
        except (ValueError, AttributeError) as error:
            if name in _RESIZING or getattr(one, "expand", False):
                raise ValueError(
                    f"from_torchvision: {error}. {name} cannot be a barrier, because it changes the size or the "
                    "channels of an image: change this argument, or apply it in the dataset"
                ) from None
            return self._barrier(one, str(error), name in _STILL or _is_still(kind))
        if not isinstance(ours, (Geometric, Distortion, Pixelwise)):
            self._check_place(name)
        if isinstance(ours, CenterCrop) and self.values.normalize is not None:
            height, width = as_size(ours.size) or (1, 1)
            pad = PadIfNeeded(height, width, fill=self.values.image_space(0.0, name))
            ours = RandomApply({"pad": pad, "crop": ours}, p=1.0)
        return self._fused(one, ours)

    def _argument(self, one: Any, name: str, field: str) -> Any:
        """Read what a field of ours has to be."""
        value = getattr(one, _ATTRIBUTES.get((name, field), field))
        if field == "padding" and name == "RandomCrop" and isinstance(value, list) and len(value) == 4:
            # Since it has read its argument, it holds left, right, top, bottom.
            value = [value[i] for i in (0, 2, 1, 3)] if ".v2." in type(one).__module__ else value
        if field in _SPATIAL:
            return self._spatial(self._fill(value) if field == "fill" else value, name, field)
        if field == "interpolation" and getattr(value, "value", value) == "nearest-exact":
            return "nearest"
        if field == "antialias":
            # PIL averages whatever it shrinks.
            return self.values.takes == "pil" or bool(value)
        return 0.0 if value is None and name == "ColorJitter" else value

    def _spatial(self, value: Any, name: str, field: str) -> Any:
        """Take a fill, value or threshold to the input's image space."""
        if field == "value" and (value is None or isinstance(value, str)):
            if self.values.normalize is None:
                raise ValueError("value='random' writes unit normals, which augsynth does to normalized images only")
            return "random"
        if value is None and self.values.normalize is None:
            return value
        single = value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value or 0.0
        return self.values.image_space(single, name)

    def _fill(self, value: Any) -> Any:
        """Return the fill of images, and remember that of masks."""
        others = value
        if isinstance(value, dict):
            named = {getattr(key, "__name__", key): fill for key, fill in value.items()}
            others = named.get("others", 0)
            value = next((named[key] for key in ("Image", "Tensor") if key in named), others)
            others = named.get("Mask", others)
        number = others[0] if isinstance(others, (list, tuple)) and len(others) == 1 else others
        if isinstance(number, (int, float)) and number == int(number) and number >= 0:
            self.mask_fills.add(int(number))
        return value

    def _check_place(self, source: str) -> None:
        if self.values.normalize is not None:
            raise ValueError(
                f"from_torchvision: {source} stands after Normalize, which a pipeline renders last; put it before"
            )
        if not self.values.scaled:
            raise ValueError(
                f"from_torchvision: {source} works on floats in [0, 1], and a conversion without scale=True has left "
                "values from 0 to 255; use scale=True"
            )

    def _fused(self, one: Any, ours: Transform) -> Part:
        name = snake(type(ours).__name__).lstrip("_")
        return self._pair(name, one, ours, Step(name, type(one).__name__, "fused"))

    def _barrier(self, one: Any, reason: str, still: bool = False) -> Part:
        label = label_of(one)
        self._check_place(label)
        name = snake(label.strip("<>").replace("/", "_"))
        ours = Foreign(one, label, self.values.takes, self.values.name, not still)
        return self._pair(name, one, ours, Step(name, label, "barrier", reason))

    def _pair(self, name: str, one: Any, ours: Transform, step: Step) -> Part:
        self.steps.append(step)
        self.pairs.append(Pair(name, one, ours, self.values.takes, self.values.name, self.values.normalize is None))
        return name, ours

    def random_apply(self, one: Any) -> list[Part]:
        parts = [part for child in one.transforms for part in self.inner(child)]
        return [("random_apply", RandomApply(by_name(parts), float(one.p)))] if parts else []

    def random_choice(self, one: Any) -> list[Part]:
        options = [self.inner(child) for child in one.transforms]
        return choice("random_choice", options, one.p or [1.0] * len(options))

    def random_order(self, one: Any) -> list[Part]:
        parts = [joined(parts) for parts in map(self.inner, one.transforms) if parts]
        return [("random_order", RandomOrder(by_name(parts)))] if parts else []

    def to_dtype(self, one: Any) -> None:
        dtype, masks = one.dtype, None
        if isinstance(dtype, dict):
            named = {getattr(key, "__name__", key): target for key, target in dtype.items()}
            others = named.get("others")
            dtype = next((named[key] for key in ("Image", "Tensor") if key in named), others)
            masks = named.get("Mask", others)
        self.mask_dtype = masks or self.mask_dtype
        if dtype is not None:
            self.values.convert(dtype, getattr(one, "scale", True), f"{type(one).__name__}({dtype})")

    def to_float(self, one: Any) -> None:
        self.values.to_tensor()
        self.values.convert(torch.float32, True, type(one).__name__)


_CONVERSIONS: dict[str, Callable[[_Walk, Any], None]] = {
    "ToTensor": _Walk.to_float,
    "ObjectDetection": _Walk.to_float,
    "PILToTensor": lambda walk, one: walk.values.to_tensor(),
    "ToImage": lambda walk, one: walk.values.to_tensor("image"),
    "ToPILImage": lambda walk, one: walk.values.to_pil(),
    "ToDtype": _Walk.to_dtype,
    "ConvertImageDtype": _Walk.to_dtype,
    "Normalize": lambda walk, one: walk.values.normalized(one.mean, one.std, "Normalize"),
}
_COMBINATORS: dict[str, Callable[[_Walk, Any], list[Part]]] = {
    "RandomApply": _Walk.random_apply,
    "RandomChoice": _Walk.random_choice,
    "RandomOrder": _Walk.random_order,
}


def _is_still(kind: type[Transform]) -> bool:
    return issubclass(kind, (Color, Pixelwise)) or (issubclass(kind, Standalone) and not kind.moves)
