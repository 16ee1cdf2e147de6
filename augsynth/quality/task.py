"""What an evaluation works on: the samples, the two halves of the holdout, and the network that judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.data.reading import floats, read
from augsynth.quality.features import FeatureNet, classifier, normalization
from augsynth.quality.fidelity import NEIGHBORS
from augsynth.quality.samples import Labelled, Source, derive, draw_labels, split_validation

if TYPE_CHECKING:
    from augsynth.generators.protocol import Generator
    from augsynth.pipeline import Pipeline

CHUNK = 512
# Share of the holdout that may stand in the training set too, as duplicates do in real data.
_MOST_SHARED = 0.1


@dataclass(frozen=True, eq=False)
class Task:
    """Samples and judge of an evaluation.

    train: all training samples; few: at most per_class of each class of them. unseen: the half of the holdout that
    generated samples are compared with; held: the other half, which takes their place. network: trained on `train`.
    """

    generator: Generator
    train: Labelled
    few: Labelled
    held: Labelled
    unseen: Labelled
    prepare: Pipeline
    network: FeatureNet
    seed: int
    device: torch.device

    @classmethod
    def of(
        cls,
        generator: Generator,
        train_set: Any,
        holdout: Any,
        per_class: int,
        seed: int,
        device: torch.device,
        steps: int,
    ) -> Task:
        train, test = (_labelled(data, generator) for data in (train_set, holdout))
        _check(train, test)
        few = _limited(train, per_class, generator.num_classes, derive(seed, "training"))
        chosen = _limited(test, 2 * per_class, generator.num_classes, derive(seed, "holdout"))
        unseen, held = split_validation(chosen, 0.5, derive(seed, "halves"))
        prepare = normalization(train.image)
        network = classifier(train, generator.num_classes, prepare, steps=steps, seed=seed, device=device)
        return cls(generator, train, few, held, unseen, prepare, network, seed, device)

    def generate(self, labels: torch.Tensor, epoch: int) -> Labelled:
        """Make a sample of each label and check what came."""
        parts, seed = [], derive(self.seed, "generated")
        for start in range(0, len(labels), CHUNK):
            rows = range(start, min(start + CHUNK, len(labels)))
            batch = self.generator.generate(labels[rows.start : rows.stop], seed, index=rows, epoch=epoch)
            parts.append(_levels(batch.image, (len(rows), *self.generator.image_shape)))
        return Labelled(torch.cat(parts), labels, np.arange(len(labels)))


def _labelled(data: Any, generator: Generator) -> Labelled:
    images, labels = read(data, generator, who="evaluate")
    if images.dtype != torch.uint8:
        images = (images * 255).round().to(torch.uint8)
    return Labelled(images, labels, np.arange(len(labels)))


def _limited(samples: Labelled, per_class: int, num_classes: int, seed: int) -> Labelled:
    return draw_labels(Source.of(samples.image, samples.label, list(map(str, range(num_classes)))), per_class, seed)


def _levels(images: torch.Tensor | None, shape: tuple[int, ...]) -> torch.Tensor:
    if images is None or tuple(images.shape) != shape:
        seen = None if images is None else tuple(images.shape)
        raise ValueError(f"evaluate: the generator gave images {seen}; {shape} was expected")
    values = floats(images.detach().cpu()).float()
    if not (values.isfinite().all() and values.min() > -0.01 and values.max() < 1.01):
        raise ValueError("evaluate: the generator gave values that are not in [0, 1]")
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def _check(train: Labelled, test: Labelled) -> None:
    counts = np.bincount(test.label.numpy(), minlength=int(train.label.max()) + 1)
    for label in np.unique(train.label.numpy()).tolist():
        if counts[label] < 2:
            raise ValueError(
                f"evaluate: the holdout has {counts[label]} samples of class {label}; 2 or more are needed"
            )
    if len(test) < 4 * (NEIGHBORS + 1):
        raise ValueError(f"evaluate: a holdout of {len(test)} samples is too small; {4 * (NEIGHBORS + 1)} are needed")
    known = {image.tobytes() for image in train.image.numpy()}
    shared = sum(image.tobytes() in known for image in test.image.numpy())
    if shared > _MOST_SHARED * len(test):
        raise ValueError(
            f"evaluate: {shared} of the {len(test)} images of the holdout are in the training set too, so that "
            "nothing can be said about copying: give real samples that the generator was not trained on"
        )
