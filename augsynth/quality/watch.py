"""A short look at a generator that is being trained: a few numbers, where `evaluate` takes minutes and judges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from augsynth.quality.features import Extractor, extractors
from augsynth.quality.fidelity import frechet_distance, overlap
from augsynth.quality.samples import Labelled
from augsynth.quality.task import Task
from augsynth.quality.training import predict
from augsynth.quality.utility import choose_device
from augsynth.threads import threads_for

if TYPE_CHECKING:
    from augsynth.generators.protocol import Generator


@dataclass(frozen=True, eq=False)
class Watch:
    """The samples and the classifier that looks are the same at every look, so that numbers compare.

    Names: "label agreement" with that classifier, "FD", "precision", "recall" and "coverage" in its features.
    """

    task: Task
    extractor: Extractor

    @classmethod
    def of(
        cls, generator: Generator, train: Any, holdout: Any, per_class: int, steps: int, seed: int, device: str = "auto"
    ) -> Watch:
        """Train the classifier; arguments as in `evaluate`."""
        with threads_for(generator.image_shape):
            place = torch.device(choose_device(device))
            task = Task.of(generator, train, holdout, per_class, seed, place, steps)
            found = extractors(task.network, task.train.image, task.prepare, seed, place)[0]
        return cls(task, found)

    def look(self) -> dict[str, float]:
        """Measure the generator as it is now."""
        with threads_for(self.task.generator.image_shape):
            return self._measure(self.task.generate(self.task.held.label, epoch=0))

    @cached_property
    def reached(self) -> dict[str, float]:
        """Return what real samples reach, in place of as many generated ones."""
        with threads_for(self.task.generator.image_shape):
            return self._measure(self.task.held)

    @cached_property
    def _real(self) -> torch.Tensor:
        return self.extractor(self.task.unseen.image)

    def _measure(self, samples: Labelled) -> dict[str, float]:
        task, points = self.task, self.extractor(samples.image)
        right = predict(task.network, samples.image, task.prepare, task.device).argmax(1) == samples.label.numpy()
        found = overlap(self._real, points)
        return {
            "label agreement": float(right.mean()),
            f"FD({self.extractor.name})": frechet_distance(self._real, points),
            "precision": found.precision,
            "recall": found.recall,
            "coverage": found.coverage,
        }
