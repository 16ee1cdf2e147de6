"""A batch as a dict of columns, as Hugging Face datasets hand it to a transform: lists of images, labels and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from augsynth.batch import IMAGE_KEYS, Path, describe, is_image

_COLUMNS = (list, tuple, torch.Tensor, np.ndarray)


def rows_of_columns(data: Any, key: Path) -> list[dict[Any, Any]] | None:
    """Return the samples of a dict of columns, where its images are a list; None for anything else.

    What is no column, such as a string, is in no sample. Raises ValueError for columns of different lengths.
    """
    if not isinstance(data, Mapping):
        return None
    names = IMAGE_KEYS if key is None else (key,)
    images = next((data[name] for name in names if name in data and _are_images(data[name])), None)
    if images is None:
        return None
    columns = {name: data[name] for name in data if isinstance(data[name], _COLUMNS)}
    for name, column in columns.items():
        if len(column) != len(images):
            raise ValueError(
                f"column {name!r} has {len(column)} entries for {len(images)} images in {describe(data)}; a dict of "
                "lists holds one entry per sample in each"
            )
    return [{name: column[row] for name, column in columns.items()} for row in range(len(images))]


def as_columns(data: Mapping[Any, Any], rows: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    """Return augmented samples as columns again: lists, and tensors and arrays where they were and still stack."""
    return {name: _column(data[name], [row[name] for row in rows]) if name in rows[0] else data[name] for name in data}


def _are_images(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(is_image, value))


def _column(before: Any, values: list[Any]) -> Any:
    if isinstance(before, (list, tuple)) or len({getattr(value, "shape", None) for value in values}) > 1:
        return values
    return torch.stack(values) if isinstance(before, torch.Tensor) else np.stack(values)
