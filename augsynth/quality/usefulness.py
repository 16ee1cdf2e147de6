"""Can a network learn from synthetic samples alone what it needs on real ones, and the reverse?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from augsynth.pipeline import Pipeline
from augsynth.quality.models import SmallCNN, make_model
from augsynth.quality.samples import Labelled, derive
from augsynth.quality.training import Batches, predict, train

_RATE, _DECAY, _BATCH = 0.006, 0.05, 32


@dataclass(frozen=True)
class Usefulness:
    """Accuracies, one per repetition, of a network trained on the first and tested on the second of its name.

    All are trained on as many samples of the same labels, with the same weights, order and number of steps.
    """

    real_on_real: tuple[float, ...]
    synthetic_on_real: tuple[float, ...]
    real_on_synthetic: tuple[float, ...]


def usefulness(
    real: Labelled,
    synthetic: Callable[[int], Labelled],
    test: Labelled,
    made: Labelled,
    num_classes: int,
    prepare: Pipeline,
    *,
    steps: int,
    repeats: int,
    seed: int,
    device: torch.device,
) -> Usefulness:
    """Train on real and on synthetic samples, test on held-out real and on other synthetic ones.

    synthetic: repetition -> new samples with the labels of `real`. test: held-out real samples. made: synthetic ones.
    """
    found: dict[str, list[float]] = {"real": [], "synthetic": [], "reverse": []}
    shape = (real.image.shape[1], real.image.shape[2], real.image.shape[3])
    for repeat in range(repeats):
        own = derive(seed, "usefulness", repeat)
        models = [make_model(SmallCNN, num_classes, shape, own) for _ in range(2)]
        for model, samples in zip(models, (real, synthetic(repeat)), strict=True):
            train([model], [_RATE], Batches(samples, prepare, _BATCH, steps, own), _DECAY, device)
        found["real"].append(accuracy(models[0], test, prepare, device))
        found["synthetic"].append(accuracy(models[1], test, prepare, device))
        found["reverse"].append(accuracy(models[0], made, prepare, device))
    return Usefulness(tuple(found["real"]), tuple(found["synthetic"]), tuple(found["reverse"]))


def accuracy(model: torch.nn.Module, samples: Labelled, prepare: Pipeline, device: torch.device) -> float:
    """Return the share of samples that a network classifies as they are labelled."""
    found = predict(model, samples.image, prepare, device).argmax(1)
    return float((found == samples.label.numpy()).mean())
