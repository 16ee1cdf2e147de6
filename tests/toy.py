"""A small data set of three classes, and generators trained on it in a fraction of a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from augsynth.generators import ConditionalVAE, LatentSMOTE, fit
from augsynth.rng import Rng

SHAPE, CLASSES = (1, 12, 10), 3


def toy(count: int = 24, shape: tuple[int, int, int] = SHAPE) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy images whose left, middle or right third is bright: the class."""
    labels = torch.arange(count) % CLASSES
    images = torch.from_numpy(Rng.of(7, np.arange(count)).integers("toy", 60, int(np.prod(shape)))).reshape(
        count, *shape
    )
    third = shape[2] // 3
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, :, label * third : (label + 1) * third] += 150
    return images.to(torch.uint8), labels


def trained(
    kind: type[ConditionalVAE] = LatentSMOTE, images: int = 2000, seed: int = 0, **options: Any
) -> ConditionalVAE:
    return fit(kind(SHAPE, CLASSES, latent_dim=8, width=8, **options), toy(), max_images=images, seed=seed)


class Items(Dataset[Any]):
    """The toy data in another form, counting what is read."""

    def __init__(self, make: Any) -> None:
        (self.images, self.labels), self.make, self.read = toy(), make, set[int]()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Any:
        self.read.add(row)
        return self.make(self.images[row], int(self.labels[row]))
