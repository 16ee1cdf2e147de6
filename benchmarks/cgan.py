"""Can a network learn from a GAN's samples alone? Accuracy on real test images, by time spent on the GAN.

cgan: the preset cgan_tiny on 5,000 Fashion-MNIST images. In slices of the given minutes, each of which goes on from the
checkpoint of the one before; after each slice 5,000 samples are made, and a network of two convolutions is trained on
them alone: accuracy on the 10,000 real test images, beside that of the same network after the 5,000 real ones. Label
agreement: how often a judge, trained on all 60,000 real images, finds samples to be of their label. Coverage: share of
2,000 real test images with one of 2,000 samples in reach, in the judge's features (arXiv:2002.09797), as the gate
measures it. Variety: standard deviation of a pixel within a class, over that of the real ones; noise counts as variety.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_data import add_data, fashion, find
from protocol import head, save
from torch import nn

from augsynth import config
from augsynth.generators import fit, load
from augsynth.generators.checkpoint import training_of
from augsynth.pipeline import Pipeline
from augsynth.quality.features import Extractor, FeatureNet, classifier, extractors, normalization
from augsynth.quality.fidelity import overlap
from augsynth.quality.models import seeded
from augsynth.quality.samples import Labelled
from augsynth.quality.training import Batches, predict, train
from augsynth.rng import Rng

COVERED = 2000
CPU = torch.device("cpu")
CLASSES, BATCH, RATE, DECAY = 10, 64, 2e-3, 0.01
# A twelfth, a sixth, a third, two thirds and the whole of the time.
SLICES = (1 / 12, 1 / 12, 1 / 6, 1 / 3, 1 / 3)


@dataclass(frozen=True)
class Reading:
    """What a generator is worth after so many images and seconds of training."""

    seed: int
    images: int
    seconds: float
    accuracy: float
    agreement: float
    coverage: float
    variety: float


@dataclass(frozen=True, eq=False)
class Task:
    """The data: `few` real training images, all test images, and a judge that was trained on all real ones."""

    few: Labelled
    test: Labelled
    judge: FeatureNet
    features: Extractor
    prepare: Pipeline
    steps: int

    @classmethod
    def of(cls, folder: Path, images: int, tests: int, steps: int) -> Task:
        """Read the idx files of Fashion-MNIST and train the judge, for four times as many steps as the others."""
        everything, test = (labelled(*fashion(folder, split)) for split in ("train", "test"))
        chosen = np.sort(Rng.of(0, 0).permutation("few", len(everything))[0, :images])
        prepare = normalization(everything.image)
        judge = classifier(everything, CLASSES, prepare, steps=4 * steps, seed=0, device=CPU)
        features = extractors(judge, everything.image[chosen], prepare, 0, CPU)[0]
        return cls(everything[chosen], test[np.arange(tests)], judge, features, prepare, steps)

    def coverage(self, samples: Labelled) -> float:
        """Return how much of the test images the samples cover."""
        real, found = (self.features(part.image[:COVERED]) for part in (self.test, samples))
        return overlap(real, found).coverage

    def accuracies(self, samples: Labelled) -> list[float]:
        """Return accuracies on the test images after training on these samples, with three seeds."""
        return [accuracy(taught(samples, self.prepare, self.steps, s), self.test, self.prepare) for s in range(3)]


def labelled(images: torch.Tensor, labels: torch.Tensor) -> Labelled:
    """Return samples with their row as position."""
    return Labelled(images, labels, np.arange(len(labels)))


def two_layers() -> nn.Module:
    """Return the fixed network: two convolutions, 50,186 parameters."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 7 * 7, CLASSES))


def taught(samples: Labelled, prepare: Pipeline, steps: int, seed: int) -> nn.Module:
    """Train the fixed network on samples, without augmentation."""
    with seeded(seed):
        model = two_layers()
    train([model], [RATE], Batches(samples, prepare, BATCH, steps, seed), DECAY, CPU)
    return model.eval()


def accuracy(model: nn.Module, samples: Labelled, prepare: Pipeline) -> float:
    """Return the share of samples that the network finds to be of their label."""
    found = predict(model, samples.image, prepare, CPU).argmax(1)
    return float((found == samples.label.numpy()).mean())


def made(generator: Any, count: int) -> Labelled:
    """Generate so many samples, as many of each class."""
    labels = torch.arange(count) % CLASSES
    images = generator.generate(labels, seed=1).image
    return labelled((images * 255).round().to(torch.uint8), labels)


def spread(samples: Labelled) -> float:
    """Return the standard deviation of a pixel within a class, averaged."""
    parts = [samples.image[samples.label == c].float().std(0).mean() for c in range(CLASSES)]
    return float(torch.stack(parts).mean())


def reading(generator: Any, task: Task, seed: int, seconds: float) -> Reading:
    """Judge a generator; the fixed network is trained with three seeds."""
    samples = made(generator, len(task.few))
    agreement = accuracy(task.judge, samples, task.prepare)
    variety = spread(samples) / spread(task.few)
    learned, seen = float(np.mean(task.accuracies(samples))), int(generator.images_seen)
    return Reading(seed, seen, seconds, learned, agreement, task.coverage(samples), variety)


def run(task: Task, seed: int, minutes: float, threads: int, images: int) -> list[Reading]:
    """Train one GAN in slices and judge it after each."""
    found, spent = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gan.ckpt"
        for share in SLICES:
            gan = config.generator("cgan_tiny").make((1, 28, 28), CLASSES)
            started = time.perf_counter()
            data = (task.few.image, task.few.label)
            limit = share * minutes * 60
            fit(gan, data, max_images=images, max_time=limit, seed=seed, checkpoint=path, threads=threads)
            spent += time.perf_counter() - started
            found.append(reading(load(path), task, seed, spent))
            print(show(found[-1]), flush=True)
            if training_of(path)["seen"] >= images:  # type: ignore[index]
                break
    return found


def show(one: Reading) -> str:
    """Return a reading as a line."""
    return (
        f"seed {one.seed}: {one.images:>8,} images {one.seconds:6.0f} s   accuracy {100 * one.accuracy:.1f} %   "
        f"agreement {100 * one.agreement:.1f} %   "
        f"coverage {one.coverage:.2f}   variety {one.variety:.2f}"
    )


def command(args: argparse.Namespace) -> None:
    """Measure and print; write the JSON."""
    torch.set_num_threads(args.threads)
    if args.quick:
        args.images, args.few, args.tests, args.seeds, args.steps = 400, 400, 400, 1, 10
    task = Task.of(args.folder or find(args, "fashion-mnist"), args.few, args.tests, args.steps)
    real = task.accuracies(task.few)
    judge = accuracy(task.judge, task.test, task.prepare)
    covered = task.coverage(task.few)
    print(f"real: accuracy {100 * np.mean(real):.1f} %   judge {100 * judge:.1f} %   coverage {covered:.2f}")
    runs = [run(task, seed, args.minutes, args.threads, args.images) for seed in range(args.seeds)]
    last = [readings[-1].accuracy for readings in runs]
    print(f"after synthetic samples alone: {100 * np.mean(last):.1f} %, of {100 * np.mean(real):.1f} % after real ones")
    if args.json:
        content = {
            "real": real,
            "judge": judge,
            "real_coverage": covered,
            "threads": args.threads,
            "minutes": args.minutes,
            "few": args.few,
        }
        save(args.json, {**head(1), **content, "runs": [[asdict(one) for one in readings] for readings in runs]})


def add_command(commands: Any) -> None:
    """Add the subcommand cgan."""
    parser = commands.add_parser("cgan", help="what cgan_tiny is worth, by time", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="holds the four idx files of Fashion-MNIST")
    add_data(parser)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--images", type=int, default=200_000, help="at which the schedules end")
    parser.add_argument("--few", type=int, default=5000, help="real training images")
    parser.add_argument("--tests", type=int, default=10_000, help="real test images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600, help="of each training of the fixed network")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="check the script, measure nothing")
    parser.set_defaults(run=command)
