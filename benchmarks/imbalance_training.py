"""How an arm of benchmarks/imbalance.py is trained: what fills the rare classes, the loss, the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from augsynth import Pipeline, balance
from augsynth.generators import LatentSMOTE, fit
from augsynth.quality.models import make_model
from augsynth.quality.samples import Labelled, derive
from augsynth.quality.training import Batches, Synthesize, predict, train
from augsynth.rng import KeyedIndex

CPU = torch.device("cpu")
SHAPE = (1, 28, 28)
CHUNK = 500


@dataclass(frozen=True)
class Arm:
    """One way to train.

    fill: what brings every class up to the size of the largest: "" (nothing), "repeat", "pixels" or "latents".
    loss: "plain", "weights" (inverse frequency) or "logits" (adjusted). augment: the standard preset without flips.
    """

    fill: str = ""
    loss: str = "plain"
    augment: bool = False

    @property
    def synthetic(self) -> bool:
        """Whether the network sees samples that are no real image."""
        return self.fill in ("pixels", "latents")


@dataclass(frozen=True)
class Settings:
    """The budget, the same for all arms. generator_images: shown to LatentSMOTE in its training."""

    counts: tuple[int, ...] = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)
    steps: int = 2000
    batch_size: int = 64
    rates: tuple[float, ...] = (0.002, 0.006, 0.018)
    weight_decay: float = 0.05
    validation_share: float = 0.2
    generator_images: int = 100_000


@dataclass(frozen=True, eq=False)
class Setup:
    """What every worker gets. train: the samples of each seed. pipelines: by whether they augment."""

    settings: Settings
    train: dict[int, Labelled]
    test: Labelled
    pipelines: dict[bool, Pipeline]


def missing(samples: Labelled) -> np.ndarray:
    """Return how many samples each class lacks of the largest."""
    counts = np.bincount(samples.label.numpy())
    return np.asarray(counts.max() - counts)


def repeated(samples: Labelled, settings: Settings, seed: int) -> Synthesize:
    """Repeat the samples of each class, all equally often."""
    pools = [np.flatnonzero(samples.label.numpy() == c) for c in range(len(settings.counts))]
    chosen = samples[np.concatenate([np.resize(p, n) for p, n in zip(pools, missing(samples), strict=True)])]
    return lambda epoch: (chosen.image, chosen.label)


def pixel_smote(samples: Labelled, settings: Settings, seed: int) -> Synthesize:
    """Interpolate between neighbours in pixel space, once for all epochs."""
    from imblearn.over_sampling import SMOTE  # type: ignore[import-untyped]

    neighbors = min(5, int(np.bincount(samples.label.numpy()).min()) - 1)
    flat = samples.image.flatten(1).float().numpy()
    smote = SMOTE(random_state=derive(seed, "smote"), k_neighbors=neighbors)
    image, label = smote.fit_resample(flat, samples.label.numpy())
    made = torch.as_tensor(image[len(flat) :]).round().to(torch.uint8).reshape(-1, *samples.image.shape[1:])
    return lambda epoch: (made, torch.as_tensor(label[len(flat) :]))


def latent_smote(samples: Labelled, settings: Settings, seed: int) -> Synthesize:
    """Train LatentSMOTE on these samples; it makes new ones in every epoch."""
    generator = LatentSMOTE(samples.image.shape[1:], len(settings.counts))
    data = (samples.image, samples.label)
    fit(generator, data, max_images=settings.generator_images, seed=derive(seed, "generator", len(samples)))
    made = balance(TensorDataset(*data), generator, seed=derive(seed, "synthetic"), gate=None).generated

    def synthesize(epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        keys = [KeyedIndex(i, epoch) for i in range(len(made))]
        items = [item for i in range(0, len(made), CHUNK) for item in made.__getitems__(keys[i : i + CHUNK])]
        return torch.stack([image for image, _ in items]), made.labels

    return synthesize


FILLS: dict[str, Callable[[Labelled, Settings, int], Synthesize]] = {
    "repeat": repeated,
    "pixels": pixel_smote,
    "latents": latent_smote,
}


def network(num_classes: int, in_channels: int) -> nn.Module:
    """Three convolutions and two linear layers, for 28 x 28."""
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in ((in_channels, 16, 5, 2), (16, 32, 3, 1), (32, 64, 3, 1)):
        layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if inputs != in_channels else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(9 * 64, 384), nn.ReLU(), nn.Linear(384, num_classes))


class Adjusted(nn.Module):
    """Add the logarithm of each class's share to the logits in training only. Source: arXiv:2007.07314, tau = 1."""

    def __init__(self, inner: nn.Module, shares: torch.Tensor) -> None:
        super().__init__()
        self.inner, self.offset = inner, shares.log()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        logits: torch.Tensor = self.inner(image)
        return logits + self.offset if self.training else logits


@dataclass(frozen=True)
class Weighted:
    """Batches with a weight on each class: cross-entropy to soft labels of that sum is the weighted loss."""

    batches: Batches
    weights: torch.Tensor

    @property
    def steps(self) -> int:
        """How many batches there are."""
        return self.batches.steps

    @property
    def batch_size(self) -> int:
        """How many samples each has."""
        return self.batches.batch_size

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for image, label in self.batches:
            yield image, F.one_hot(label, len(self.weights)) * self.weights


def trained(
    setup: Setup, arm: Arm, seed: int, samples: Labelled, fill: Synthesize | None, rates: tuple[float, ...], steps: int
) -> tuple[list[nn.Module], float]:
    """Train a network per rate on the same batches and return images/s; no seed knows the arm, so arms are paired."""
    settings, classes = setup.settings, len(setup.settings.counts)
    counts = torch.bincount(samples.label, minlength=classes)
    extra = int(missing(samples).sum()) if fill else 0
    augment, key = setup.pipelines[arm.augment], derive(seed, "batches")
    batches = Batches(samples, augment, settings.batch_size, steps, key, fill, extra)
    models = [make_model(network, classes, SHAPE, derive(seed, "weights")) for _ in rates]
    if arm.loss == "logits":
        models = [Adjusted(model, counts / counts.sum()) for model in models]
    weighted = Weighted(batches, counts.sum() / (classes * counts)) if arm.loss == "weights" else batches
    return models, train(models, rates, weighted, settings.weight_decay, CPU)


def right(setup: Setup, model: nn.Module, samples: Labelled) -> np.ndarray:
    """Return which samples the network classifies rightly, `(N,)` bool."""
    probabilities = predict(model, samples.image, setup.pipelines[False], CPU)
    return np.asarray(probabilities.argmax(1) == samples.label.numpy())
