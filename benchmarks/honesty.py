"""Is `augsynth compare` honest? Three questions whose answers are known before it runs.

1. The same arm twice, with other weights, batches and augmentation: of 20 such comparisons at most 2 may claim a
   difference.
2. Synthetic samples with shuffled labels: must come out as "hurts".
3. Synthetic samples that are exact copies of training samples: must not come out as "helps".

    python benchmarks/honesty.py            about a quarter of an hour on two cores
    python benchmarks/honesty.py --quick    the machinery only, about a minute: fewer, shorter, no claim

Prints a table and exits with 1 where a criterion fails. Training samples come from the demo's training split, and so
does the test set: the demo's own test split is not spent on this.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from augsynth import config
from augsynth.batch import Batch
from augsynth.data import demo
from augsynth.pipeline import Pipeline
from augsynth.quality import ARMS, Arm, Comparison, Protocol, Source, compare
from augsynth.quality.samples import Labelled
from augsynth.rng import Rng
from augsynth.transforms import Normalize

NORMALIZE = Normalize((0.286,), (0.353,))
TEST_FROM = 4000  # the demo's training images from here on serve as test set
FIRST_SEED = 5000  # far from the seeds that anybody compares with
MOST_FALSE_CLAIMS = 2


@dataclass(frozen=True, eq=False)
class Copies:
    """A "generator" that hands its training samples out again."""

    samples: Labelled

    def generate(self, labels: torch.Tensor, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        """Return a training sample of each label."""
        keys = np.arange(len(labels)) if index is None else np.asarray(index)
        uniform = Rng.of(seed, keys, epoch=epoch).uniform("copy")[:, 0]
        pools = [np.flatnonzero(self.samples.label.numpy() == label) for label in labels.tolist()]
        rows = np.array([pool[int(u * len(pool))] for pool, u in zip(pools, uniform, strict=True)])
        image = self.samples.image[torch.as_tensor(rows)].float() / 255
        return Batch(image, labels, torch.ones(len(labels), dtype=torch.bool), (None,) * len(labels))


@dataclass(frozen=True, eq=False)
class Shuffled:
    """A good generator whose labels have been shuffled within each batch."""

    generator: Any

    def generate(self, labels: torch.Tensor, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        """Return samples of `labels` that claim to be of a shuffled copy of them."""
        batch: Batch = self.generator.generate(labels, seed, index=index, epoch=epoch)
        order = Rng.of(seed, epoch).permutation("shuffle", len(labels))[0]
        return replace(batch, label=batch.label[torch.as_tensor(order)])


@dataclass(frozen=True)
class TrainCopies:
    """Makes `Copies` of whatever samples a seed has."""

    def __call__(self, samples: Labelled, num_classes: int, seed: int) -> Copies:
        """Train nothing."""
        return Copies(samples)


@dataclass(frozen=True)
class TrainShuffled:
    """Trains latent SMOTE as `augsynth compare` does, and shuffles its labels."""

    max_images: int = 20_000

    def __call__(self, samples: Labelled, num_classes: int, seed: int) -> Shuffled:
        """Train on `samples` alone."""
        node = {"model": {"_target_": "augsynth.generators.LatentSMOTE"}, "fit": {"max_images": self.max_images}}
        return Shuffled(config.ConfiguredGenerator(node)(samples, num_classes, seed))


@dataclass(frozen=True)
class Budget:
    """How much work the three questions get."""

    repetitions: int = 20
    aa_steps: int = 120
    steps: int = 600
    seeds: int = 5
    test_samples: int = 2000
    generator_images: int = 20_000


QUICK = Budget(repetitions=3, aa_steps=20, steps=60, seeds=3, test_samples=500, generator_images=2000)


def sources(test_samples: int) -> tuple[Source, Source]:
    """Return training and test samples, both from the demo's training split."""
    data = demo.fashion("train")
    rows = slice(TEST_FROM, TEST_FROM + test_samples)
    train = Source.of(data.images[:TEST_FROM], data.labels[:TEST_FROM], data.classes)
    return train, Source.of(data.images[rows], data.labels[rows], data.classes)


def judge(protocol: Protocol, arms: dict[str, Arm], generator: Any, budget: Budget, workers: int | None) -> Comparison:
    """Run one comparison on these sources with the standard augmentation."""
    augment = config.pipeline("standard", image_size=28)
    return compare(
        *sources(budget.test_samples),
        augment=replace(augment, transforms={**augment.transforms, "normalize": NORMALIZE}),
        evaluation=Pipeline({"normalize": NORMALIZE}),
        generator=generator,
        protocol=protocol,
        arms=arms,
        workers=workers,
    )


def same_arm_twice(number: int, budget: Budget, workers: int | None) -> Comparison:
    """Compare the arm "augment" with itself under other weights, batches and augmentation."""
    arms = {"once": Arm(augment=True), "again": Arm(augment=True, salt=1)}
    protocol = Protocol(
        arms=("once", "again"),
        primary=("again", "once"),
        secondary=(),
        steps=budget.aa_steps,
        seeds=budget.seeds,
        seed=FIRST_SEED + 100 * number,
    )
    return judge(protocol, arms, None, budget, workers)


def synthetic_against_none(generator: Any, budget: Budget, workers: int | None) -> Comparison:
    """Compare training with this generator's samples with plain training."""
    protocol = Protocol(
        arms=("none", "synthetic"),
        primary=("synthetic", "none"),
        steps=budget.steps,
        seeds=budget.seeds,
        seed=FIRST_SEED + 50,
    )
    return judge(protocol, dict(ARMS), generator, budget, workers)


def line(name: str, comparison: Comparison) -> str:
    """Return one row of the table."""
    contrast = comparison.contrasts()[0]
    d = contrast.difference
    interval = f"{100 * d.low:+6.2f} to {100 * d.high:+6.2f}"
    accuracy = " ".join(f"{100 * a.mean:5.1f}" for a in comparison.accuracy().values())
    return f"{name:<24} {accuracy}   {100 * d.mean:+6.2f}  ({interval})   p={contrast.p:.3f}  {contrast.verdict}"


def main(arguments: list[str] | None = None) -> int:
    """Ask the three questions; return 0 where all criteria hold, else 1."""
    parser = argparse.ArgumentParser(description="Check the verdicts of augsynth compare against known answers.")
    parser.add_argument("--quick", action="store_true", help="run the machinery briefly; criteria are not judged")
    parser.add_argument("--workers", type=int, default=None, help="processes; one per core by default")
    options = parser.parse_args(arguments)
    budget = QUICK if options.quick else Budget()
    started = time.perf_counter()
    print(f"{'comparison':<24} accuracy, %   difference, points (95 % interval)   verdict")
    claims = 0
    for number in range(budget.repetitions):
        comparison = same_arm_twice(number, budget, options.workers)
        claims += comparison.contrasts()[0].verdict != "no evidence"
        print(line(f"same arm twice, {number + 1}", comparison), flush=True)
    verdicts: dict[str, str] = {}
    questions: dict[str, Any] = {
        "shuffled labels": TrainShuffled(budget.generator_images),
        "copies of training data": TrainCopies(),
    }
    for name, generator in questions.items():
        comparison = synthetic_against_none(generator, budget, options.workers)
        verdicts[name] = comparison.contrasts()[0].verdict
        print(line(name, comparison), flush=True)
    criteria = {
        f"same arm twice: {claims} of {budget.repetitions} claim a difference, at most {MOST_FALSE_CLAIMS} may": claims
        <= MOST_FALSE_CLAIMS,
        f"shuffled labels: {verdicts['shuffled labels']!r}, must be 'hurts'": verdicts["shuffled labels"] == "hurts",
        f"copies: {verdicts['copies of training data']!r}, must not be 'helps'": verdicts["copies of training data"]
        != "helps",
    }
    for text, held in criteria.items():
        print(f"{'not judged' if options.quick else 'holds' if held else 'FAILS'}: {text}")
    print(f"{time.perf_counter() - started:.0f} s")
    return 0 if options.quick or all(criteria.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
