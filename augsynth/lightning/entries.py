"""Where the parts of a training batch stand: its images, its samples' indices, how many samples it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from augsynth.batch import IMAGE_KEYS, Path, describe, get_image


def find_images(batch: Any, key: Path, who: str) -> Path:
    """Return where the `(B, C, H, W)` tensor stands. Raises TypeError, in the name of `who`, where it is not clear."""
    if key is not None:
        get_image(batch, key)
        return key
    if _is_images(batch):
        return None
    found = [name for name, value in entries(batch).items() if _is_images(value)]
    usual = [name for name in found if name in IMAGE_KEYS]
    if len(found) > 1 and len(usual) == 1:
        found = usual
    if len(found) != 1:
        what = f"{len(found)} (B, C, H, W) tensors" if found else "no (B, C, H, W) tensor"
        raise TypeError(f"{who}: {what} in {describe(batch)}; say which entry holds the images with key=")
    path: Path = found[0]
    return path


def has_images(batch: Any) -> bool:
    """Tell whether a batch is, or has an entry that is, a `(B, C, H, W)` tensor."""
    return _is_images(batch) or any(map(_is_images, entries(batch).values()))


def loaders_of(batch: Any, trainer: Any) -> list[Any]:
    """Return under which names or positions a batch holds one of each training loader; nothing for a single loader."""
    loaders = getattr(trainer, "train_dataloader", None)
    if isinstance(loaders, Mapping) and isinstance(batch, Mapping):
        return [name for name in loaders if name in batch]
    return list(range(len(loaders))) if isinstance(loaders, (list, tuple)) and isinstance(batch, (list, tuple)) else []


def find_indices(batch: Any, path: Path) -> Any:
    """Return the samples' indices `(B,)`; None where the batch has none."""
    if path is not None:
        return get_image(batch, path)
    return entries(batch).get("index")


def entries(batch: Any) -> dict[Any, Any]:
    """Return what a batch is made of: by key, field or position; nothing for a bare tensor."""
    if isinstance(batch, Mapping):
        return dict(batch)
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return dict(zip(getattr(batch, "_fields", range(len(batch))), batch, strict=True))
    return {}


def batch_size(batch: Any) -> int:
    """Return how many samples a batch has: the length of its first tensor, else of its first list; 0 for neither.

    Where that tensor is one of a list of images (C, H, W), as in detection, the length of the list.
    """
    for part in parts_of(batch):
        if isinstance(part, (list, tuple)) and part and all(_is_image(one) for one in part):
            return len(part)
        if isinstance(part, torch.Tensor) and part.ndim:
            return len(part)
    lists = [value for value in entries(batch).values() if isinstance(value, (list, tuple))]
    return len(lists[0]) if lists else len(batch) if isinstance(batch, (list, tuple)) else 0


def parts_of(batch: Any) -> Iterator[Any]:
    """Yield a batch and all that is in it, also in what pytree does not open: dataclasses and any mapping."""
    yield batch
    if is_dataclass(batch) and not isinstance(batch, type):
        inside: Any = [getattr(batch, field.name) for field in fields(batch)]
    else:
        inside = entries(batch).values()
    for part in inside:
        yield from parts_of(part)


def _is_image(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 3 and value.shape[0] in (1, 3, 4)


def _is_images(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 4
