"""A classifier of real images that says which label a generated one looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.data.reading import floats, read
from augsynth.pipeline import Pipeline
from augsynth.quality.features import FeatureNet, classifier, normalization
from augsynth.quality.samples import Labelled, derive
from augsynth.quality.training import forward
from augsynth.quality.utility import choose_device
from augsynth.threads import threads_for

if TYPE_CHECKING:
    from augsynth.generators.protocol import Generator


@dataclass(frozen=True, eq=False)
class Judge:
    """A network with the normalization that it was trained on: floats `(B, C, H, W)` in [0, 1] to logits `(B, K)`."""

    network: FeatureNet
    prepare: Pipeline

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        levels = (images.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        return forward(self.network, levels, self.prepare, next(self.network.parameters()).device)


def judge(generator: Generator, train: Any, *, steps: int = 400, seed: int = 0, device: str = "auto") -> Judge:
    """Train a small classifier on the real samples `train`, with the generator's labels and image shape.

    train: a map-style dataset of labelled images, or (images `(N, C, H, W)`, labels `(N,)`). steps: of 64 images.
    Give it to `augsynth.generators.Filtered`. It is another network than the one that `evaluate` judges by.
    Raises: ValueError or TypeError for a sample that does not fit, and for classes of other names.
    """
    ours, theirs = getattr(generator, "classes", None), getattr(train, "classes", None)
    if ours is not None and theirs is not None and list(ours) != list(theirs):
        raise ValueError(f"judge: the generator's classes are {', '.join(ours)}, those of the data {', '.join(theirs)}")
    images, labels = read(train, generator, who="judge")
    if images.dtype != torch.uint8:
        images = (floats(images) * 255).round().to(torch.uint8)
    prepare, real = normalization(images), Labelled(images, labels, np.arange(len(labels)))
    place, own = torch.device(choose_device(device)), derive(seed, "judge")
    with threads_for(generator.image_shape):
        network = classifier(real, generator.num_classes, prepare, steps=steps, seed=own, device=place)
    return Judge(network, prepare)
