"""Where the parts of a training batch stand: its images, its samples' indices, how many samples it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

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
    """Return how many samples a batch has: the length of its first tensor, else of its first list; 0 for neither."""
    for leaf in tree_leaves(batch):
        if isinstance(leaf, torch.Tensor) and leaf.ndim:
            return len(leaf)
    lists = [value for value in entries(batch).values() if isinstance(value, (list, tuple))]
    return len(lists[0]) if lists else len(batch) if isinstance(batch, (list, tuple)) else 0


def _is_images(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 4
