"""Real samples that can be drawn without end, and generators that are good or bad in a known way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsynth.batch import Batch
from augsynth.rng import Rng

SHAPE, CLASSES = (1, 12, 10), 3


def paint(labels: torch.Tensor, rng: Rng) -> torch.Tensor:
    """Return images `(B, 1, 12, 10)` uint8: a bright bar where the class is, of random height, level and shade."""
    height, level, slope = rng.uniform("bar", 3).T
    y, x = np.meshgrid(np.arange(12), np.arange(10), indexing="ij")
    inside = x[None] // 3 == labels.numpy()[:, None, None]
    bar = inside * (y[None] < 4 + 8 * height[:, None, None]) * (0.4 + 0.3 * level[:, None, None])
    shade = 0.2 * slope[:, None, None] * y[None] / 12
    noise = rng.uniform("noise", 120).reshape(-1, 12, 10) * 0.08
    return torch.from_numpy(np.rint((bar + shade + noise) * 255).astype(np.uint8))[:, None]


def real(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `count` real samples; another seed, other samples."""
    labels = torch.arange(count) % CLASSES
    return paint(labels, Rng.of(seed, np.arange(count))), labels


TRAIN, HOLDOUT = real(150, 1), real(240, 2)


class Ideal:
    """A generator that draws from the distribution of the real samples."""

    num_classes, image_shape = CLASSES, SHAPE

    def generate(self, labels: Any, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        labels = torch.as_tensor(labels)
        rows = np.arange(len(labels)) if index is None else np.array(list(index))
        image = self.images(labels, Rng.of(seed, rows, epoch)).float() / 255
        return Batch(image, labels, torch.ones(len(labels), dtype=torch.bool), (None,) * len(labels))

    def images(self, labels: torch.Tensor, rng: Rng) -> torch.Tensor:
        return paint(labels, rng)

    def save(self, path: str | Path) -> None:
        Path(path).write_text(type(self).__name__)


class Copier(Ideal):
    """Hands out training samples: of `share` of its samples, flipped where asked."""

    def __init__(self, share: float = 1.0, flip: bool = False) -> None:
        self.share, self.flip = share, flip

    def images(self, labels: torch.Tensor, rng: Rng) -> torch.Tensor:
        images, draw = paint(labels, rng), rng.uniform("copy", 2)
        for row, label in enumerate(labels.tolist()):
            pool = torch.nonzero(TRAIN[1] == label)[:, 0]
            if draw[row, 0] < self.share:
                images[row] = TRAIN[0][pool[int(draw[row, 1] * len(pool))]]
        return images.flip(3) if self.flip else images


class LabelBlind(Ideal):
    """Makes good images of a class that has nothing to do with the label."""

    def images(self, labels: torch.Tensor, rng: Rng) -> torch.Tensor:
        return paint(torch.from_numpy(rng.integers("class", CLASSES)[:, 0]), rng)


class OneClassWrong(Ideal):
    """Makes samples of class 0 where class 2 is wanted."""

    def images(self, labels: torch.Tensor, rng: Rng) -> torch.Tensor:
        return paint(labels * (labels != 2), rng)


class Collapsed(Ideal):
    """Makes one good image per class, over and over."""

    def images(self, labels: torch.Tensor, rng: Rng) -> torch.Tensor:
        return paint(labels, Rng.of(99, labels.numpy()))


class Own:
    """A user's generator."""

    num_classes, image_shape = 2, (1, 8, 8)

    def generate(self, labels: Any, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        labels = torch.as_tensor(labels)
        marked = torch.ones(len(labels), dtype=torch.bool)
        return Batch(torch.zeros(len(labels), 1, 8, 8), labels, marked, (None,) * len(labels))

    def save(self, path: Any) -> None:
        Path(path).write_text("own")
