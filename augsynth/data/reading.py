"""Labelled images of a user's data set as two tensors, for what needs all of them in memory."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch

from augsynth.batch import find_image, get_image
from augsynth.data.labels import as_label, find_label, get_label
from augsynth.images import Form, check_values, to_tensor
from augsynth.rng import Rng


class Wanted(Protocol):
    """What the data must be like: labels below num_classes, images of image_shape (C, H, W)."""

    num_classes: int
    image_shape: tuple[int, int, int]


def read(
    data: Any, generator: Wanted, limit: int | None = None, seed: int = 0, who: str = "fit"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read `limit` samples or all: images `(N, C, H, W)`, uint8 or float32 in [0, 1], and labels `(N,)` int64.

    data: a map-style dataset of labelled images, or a pair of arrays or tensors. who: asks, for error messages.
    Raises: ValueError or TypeError naming the sample that does not fit.
    """
    data = _Pairs(data[0], data[1], who) if _is_pair(data) else data
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(f"{who} needs a map-style dataset or a pair (images, labels), got {type(data).__name__}")
    if len(data) == 0:
        raise ValueError(f"{who}: the dataset is empty")
    order, limit = np.arange(len(data)), len(data) if limit is None else limit
    rows = order if limit >= len(order) else np.sort(Rng.of(seed, 0).permutation("fit order", len(order))[0][:limit])
    if len(rows) < generator.num_classes:
        raise ValueError(f"{who}: {len(rows)} samples for {generator.num_classes} classes are too few")
    images, labels = zip(*(_read_sample(data[int(row)], int(row), generator) for row in rows), strict=True)
    if generator.num_classes > 1 and len(set(labels)) == 1:
        raise ValueError(
            f"{who}: all {len(labels)} samples are of class {labels[0]}; a conditional generator needs two"
        )
    if any(image.dtype != torch.uint8 for image in images):
        images = tuple(floats(image).float() for image in images)
    return torch.stack(images), torch.tensor(labels)


def floats(images: torch.Tensor) -> torch.Tensor:
    """Return uint8 images as floats in [0, 1], and floats as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _read_sample(sample: Any, row: int, generator: Wanted) -> tuple[torch.Tensor, int]:
    where = f"sample {row}"
    path = find_image(sample)
    label = get_label(sample, find_label(sample, path), where)
    if label >= generator.num_classes:
        raise ValueError(f"{where}: label {label} is outside the generator's classes, 0 to {generator.num_classes - 1}")
    image = get_image(sample, path)
    form = Form.of(image, where)
    tensor = to_tensor(image, form)
    check_values([tensor], [form])
    if tuple(tensor.shape) != tuple(generator.image_shape):
        raise ValueError(
            f"{where}: the image is {tuple(tensor.shape)}, the generator makes {tuple(generator.image_shape)}; "
            "bring all images to one size and channel count first"
        )
    return tensor, label


def _is_pair(data: Any) -> bool:
    arrays = (torch.Tensor, np.ndarray)
    return isinstance(data, (tuple, list)) and len(data) == 2 and all(isinstance(part, arrays) for part in data)


class _Pairs:
    """A pair of arrays or tensors, images and labels, as a map-style dataset."""

    def __init__(self, images: Any, labels: Any, who: str) -> None:
        if len(images) != len(labels):
            raise ValueError(f"{who}: {len(images)} images and {len(labels)} labels")
        if images.ndim != 4:
            raise ValueError(f"{who}: images must be (N, C, H, W), got {tuple(images.shape)}")
        self.images, self.labels = torch.as_tensor(images), labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, Any]:
        return self.images[row], as_label(self.labels[row])
