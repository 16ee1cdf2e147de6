"""What flows between the parts: `Batch`, and finding the image inside a user's sample."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from augsynth.provenance import Provenance

IMAGE_KEYS = ("image", "img", "pixel_values")
_TARGETS = {"Mask": "mask", "BoundingBoxes": "boxes", "KeyPoints": "keypoints"}
Path = int | str | None


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples: image `(B, C, H, W)` float32 in [0, 1], label `(B,)` int64, synthetic `(B,)` bool, index `(B,)` int64.

    provenance: one entry per sample; None for a real one.
    """

    image: torch.Tensor
    label: torch.Tensor
    synthetic: torch.Tensor
    provenance: tuple[Provenance | None, ...]
    index: torch.Tensor | None = None

    def __len__(self) -> int:
        return int(self.label.shape[0])


def is_image(value: Any) -> bool:
    """Tell whether `value` can be an image: PIL, an array or tensor of at least two dimensions."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.ndim >= 2
    return is_pil(value)


def is_pil(value: Any) -> bool:
    """Tell a PIL image without importing PIL, which a tensor-only user may not have loaded."""
    return any(cls.__module__ == "PIL.Image" and cls.__name__ == "Image" for cls in type(value).__mro__)


def target_class(value: Any) -> str | None:
    """Tell what a tv_tensor is, without importing torchvision: "mask", "boxes", "keypoints", or None for an image."""
    if type(value) is torch.Tensor or not isinstance(value, torch.Tensor):
        return None
    return next((_TARGETS[cls.__name__] for cls in type(value).__mro__ if cls.__name__ in _TARGETS), None)


def is_dataclass(sample: Any) -> bool:
    """Tell an object of a dataclass."""
    return hasattr(sample, "__dataclass_fields__") and not isinstance(sample, type)


def fields_of(sample: Any) -> tuple[str, ...] | None:
    """Return the names of a named tuple's or dataclass object's fields, None for anything else."""
    names: tuple[str, ...] | None = getattr(sample, "_fields", None)
    return tuple(field.name for field in fields(sample)) if names is None and is_dataclass(sample) else names


def entries_of(sample: Any) -> list[tuple[Any, Any]]:
    """Return a container's names (dict keys, field names or positions) with its values."""
    if isinstance(sample, Mapping):
        return list(sample.items())
    names = fields_of(sample)
    if names is not None:
        return [(name, getattr(sample, name)) for name in names]
    return list(enumerate(sample))


def with_fields(sample: Any, values: Mapping[str, Any]) -> Any:
    """Return a named tuple or dataclass object with other values; the given one is not changed."""
    if hasattr(sample, "_replace"):
        return sample._replace(**values)
    changed = copy(sample)  # and not dataclasses.replace, which would run the user's __post_init__ again
    for name, value in values.items():
        object.__setattr__(changed, name, value)
    return changed


def find_image(sample: Any, key: Path = None) -> Path:
    """Return where the image stands in a sample: None (the sample itself), a position, a dict key or a field name.

    key: the user's explicit answer, checked and returned. A tuple is `(image,)` or `(image, label)`; any other tuple
    with several images, and a dict without one of the usual keys, needs it. Raises TypeError naming what was seen.
    """
    if key is not None:
        get_image(sample, key)
        return key
    if is_image(sample):
        return None
    if isinstance(sample, Mapping):
        found: list[Any] = [name for name in IMAGE_KEYS if name in sample and is_image(sample[name])]
        if not found and "__key__" in sample:
            # WebDataset's samples have file extensions for keys.
            found = [name for name, value in sample.items() if is_image(value) and not target_class(value)]
    elif is_dataclass(sample) or isinstance(sample, (tuple, list)):
        found = [name for name, value in entries_of(sample) if is_image(value) and not target_class(value)]
        found = [name for name in IMAGE_KEYS if name in found] or found if is_dataclass(sample) else found
    else:
        raise TypeError(
            f"no image in a sample of type {type(sample).__name__}; give a tensor, array, PIL image, tuple, dict or "
            "dataclass"
        )
    if len(found) > 1:
        # Beside a batch of images, soft labels (B, K) are none.
        batches = [name for name in found if getattr(get_image(sample, name), "ndim", 3) == 4]
        flat = [name for name in found if getattr(get_image(sample, name), "ndim", 3) == 2]
        found = batches if len(batches) == 1 and len(flat) == len(found) - 1 else found
    if len(found) != 1:
        what = f"{len(found)} images" if found else "no image"
        raise TypeError(
            f"{what} found in {describe(sample)}; say which entry is the image with key=, "
            "or name all of them with keys="
        )
    path: Path = found[0]
    return path


def get_image(sample: Any, path: Path) -> Any:
    """Return the image at `path` (from `find_image`). Raises TypeError when nothing stands there."""
    if path is None:
        return sample
    try:
        names = fields_of(sample)
        if names is None:
            return sample[path]
        return getattr(sample, path if isinstance(path, str) else names[path])
    except (KeyError, IndexError, TypeError, AttributeError):
        raise TypeError(f"key={path!r} is not in {describe(sample)}") from None


def set_image(sample: Any, path: Path, image: Any) -> Any:
    """Return a sample of the same type with `image` at `path`; the given one is not changed."""
    if path is None:
        return image
    if isinstance(sample, Mapping):
        return type(sample)({**sample, path: image})  # type: ignore[call-arg]
    if (names := fields_of(sample)) is not None:
        return with_fields(sample, {path if isinstance(path, str) else names[path]: image})
    assert isinstance(path, int)
    items = list(sample)
    items[path] = image
    return type(sample)(items)


def describe(sample: Any) -> str:
    """Name a sample's entries and types, for error messages."""
    if isinstance(sample, Mapping):
        return "a dict with " + ", ".join(f"{key!r}: {_kind(value)}" for key, value in sample.items())
    if is_dataclass(sample):
        names = ", ".join(f"{name}: {_kind(value)}" for name, value in entries_of(sample))
        return f"a {type(sample).__name__} with {names}"
    if isinstance(sample, (tuple, list)):
        return f"a {type(sample).__name__} of (" + ", ".join(map(_kind, sample)) + ")"
    return _kind(sample)


def _kind(value: Any) -> str:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return f"{type(value).__name__}{tuple(value.shape)} {value.dtype}"
    if is_pil(value):
        return f"PIL image {value.mode} {value.size[0]}x{value.size[1]}"
    return type(value).__name__
