"""The class label inside a user's sample, and the labels of a whole dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from augsynth.batch import Path, describe, get_image
from augsynth.soft_labels import CLASS_KEYS as LABEL_KEYS


def find_label(sample: Any, image: Path) -> Path:
    """Return where the label of a sample stands, given where its image does (`augsynth.batch.find_image`).

    A dict or named tuple has it under a usual name ("label", "target", ...), a tuple of two beside the image.
    Raises: TypeError naming what was seen.
    """
    if isinstance(sample, Mapping):
        names: list[Any] = [name for name in LABEL_KEYS if name in sample]
    elif hasattr(sample, "_fields"):
        names = [name for name in LABEL_KEYS if name in sample._fields]
    else:
        names = []
    if not names and isinstance(sample, (tuple, list)) and len(sample) == 2:
        fields = getattr(sample, "_fields", (0, 1))
        names = [name for name in fields if name != image]
    if len(names) != 1:
        raise TypeError(f"no single class label in {describe(sample)}: give (image, label), or a dict of both")
    path: Path = names[0]
    return path


def get_label(sample: Any, path: Path, where: str) -> int:
    """Return the label at `path` as an int. Raises: ValueError or TypeError, starting with `where`."""
    value = get_image(sample, path)
    if value is None:
        raise ValueError(f"{where} has no label (None): generators need labelled samples")
    label = as_label(value)
    if label is None:
        raise TypeError(f"{where}: a label is an integer, got {describe(value)}")
    if label < 0:
        raise ValueError(f"{where}: label {label} is negative; unlabelled samples cannot be mixed with synthetic ones")
    return label


def as_label(value: Any) -> int | None:
    """Return an int for an integer in any of its usual forms, else None."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        value = value.reshape(-1)[0].item() if value.size == 1 or getattr(value, "numel", int)() == 1 else None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        return None
    return int(value)


def label_like(label: int, like: Any) -> Any:
    """Return `label` in the form of another label: an int, a numpy integer, or a tensor or array of one element."""
    if isinstance(like, torch.Tensor):
        return torch.full_like(like, label)
    if isinstance(like, np.ndarray):
        return np.full_like(like, label)
    return type(like)(label) if isinstance(like, np.integer) else label


def labels_of(dataset: Any, image: Path, label: Path, first: int) -> np.ndarray:
    """Return all labels of a map-style dataset, `(N,)` int64.

    They come from its attribute `targets` or `labels` where one fits (as many as samples, integers, and `first`, the
    label of its first sample, in front), through `torch.utils.data.Subset`; otherwise every sample is read.
    """
    listed = _listed(dataset)
    if listed is not None and len(listed) == len(dataset) and int(listed[0]) == first and listed.min() >= 0:
        return listed
    with torch.random.fork_rng(devices=[]):
        found = [get_label(dataset[row], label, f"sample {row}") for row in range(len(dataset))]
    return np.array(found, np.int64)


def _listed(dataset: Any) -> np.ndarray | None:
    if isinstance(dataset, torch.utils.data.Subset):
        inner = _listed(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices, np.int64)]
    for name in ("targets", "labels"):
        values = getattr(dataset, name, None)
        if isinstance(values, (torch.Tensor, np.ndarray, list, tuple)) and len(values):
            array = np.asarray(values)
            if array.ndim == 1 and array.dtype.kind in "iu":
                return array.astype(np.int64)
    return None
