"""Do synthetic samples help where classes are rare? Fashion-MNIST with the class counts of DeepSMOTE, arXiv:2105.02340.

Each seed draws its own 9,000 training images; the test set is all 10,000 images, as many of each class. Every arm
trains one network of 277,474 parameters for the same number of optimiser steps; the learning rate is chosen for each
arm and seed by balanced accuracy on a fifth of each class, in runs of half the steps, and the network trained anew on
everything. What makes samples (SMOTE, LatentSMOTE) is trained on the same images as the network and nothing else. The
headline compares the best arm with synthetic samples to the best without, both by validation, never by test accuracy.
Finished runs are kept in FILE: after Ctrl-C the same command goes on from there. Pixel SMOTE is imbalanced-learn's.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imbalance_results import Cell, Results, by_class, keep, load, summary, table
from protocol import head, one_core
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from augsynth import Pipeline, balance
from augsynth.config import pipeline
from augsynth.generators import LatentSMOTE, fit
from augsynth.quality.models import make_model
from augsynth.quality.samples import Labelled, derive, split_validation
from augsynth.quality.training import Batches, Synthesize, predict, train
from augsynth.quality.workers import run_tasks
from augsynth.rng import KeyedIndex, Rng

CPU = torch.device("cpu")
SHAPE = (1, 28, 28)
CHUNK = 500
NORMALIZE = "+transforms.normalize={_target_: augsynth.transforms.Normalize, mean: [0.286], std: [0.353]}"


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


ARMS = {
    "none": Arm(),
    "class_weights": Arm(loss="weights"),
    "logit_adjustment": Arm(loss="logits"),
    "standard": Arm(augment=True),
    "logit_adjustment_standard": Arm(loss="logits", augment=True),
    "resampling_standard": Arm("repeat", augment=True),
    "pixel_smote": Arm("pixels"),
    "latent_smote": Arm("latents"),
    "latent_smote_standard": Arm("latents", augment=True),
}


@dataclass(frozen=True)
class Settings:
    """The budget, the same for all arms. generator_images: shown to LatentSMOTE in its training."""

    counts: tuple[int, ...] = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)
    steps: int = 1500
    batch_size: int = 64
    rates: tuple[float, ...] = (0.001, 0.003, 0.009)
    weight_decay: float = 0.05
    validation_share: float = 0.2
    generator_images: int = 100_000


QUICK = Settings((400, 200, 100, 75, 50, 35, 20, 10, 10, 10), steps=50, rates=(0.003,), generator_images=1000)
QUICK_ARMS = ("none", "latent_smote")


@dataclass(frozen=True)
class Task:
    """Arms of one seed that share what fills the classes."""

    seed: int
    arms: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Setup:
    """What every worker gets. train: the samples of each seed. pipelines: by whether they augment."""

    settings: Settings
    train: dict[int, Labelled]
    test: Labelled
    pipelines: dict[bool, Pipeline]


# Data


def read(folder: Path, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the idx files of "train" or "t10k": uint8 `(N, 1, 28, 28)` and int64 `(N,)`."""
    raw = [
        np.frombuffer(gzip.decompress((folder / f"{split}-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    ]
    return torch.tensor(raw[0]).reshape(-1, 1, 28, 28), torch.tensor(raw[1], dtype=torch.int64)


def draw(images: torch.Tensor, labels: torch.Tensor, counts: tuple[int, ...], seed: int) -> Labelled:
    """Draw so many samples of each class without replacement."""
    pools = [np.flatnonzero(labels.numpy() == c) for c in range(len(counts))]
    if short := [c for c, pool in enumerate(pools) if len(pool) < counts[c]]:
        raise ValueError(f"class {short[0]} has {len(pools[short[0]])} images, and {counts[short[0]]} are needed")
    orders = [Rng.of(seed, c).permutation("imbalance", len(pool))[0] for c, pool in enumerate(pools)]
    rows = np.concatenate([pool[order[:n]] for pool, order, n in zip(pools, orders, counts, strict=True)])
    return Labelled(images[torch.as_tensor(rows)], labels[torch.as_tensor(rows)], rows)


def prepare(folder: Path, settings: Settings, seeds: int) -> Setup:
    """Read the data and draw the training samples of every seed."""
    images, labels = read(folder, "train")
    drawn = {seed: draw(images, labels, settings.counts, derive(seed, "subset")) for seed in range(seeds)}
    tested, truth = read(folder, "t10k")
    test = Labelled(tested, truth, np.arange(len(truth)))
    standard = pipeline("standard", ["transforms.flip.p=0", NORMALIZE])
    return Setup(settings, drawn, test, {False: pipeline("none", [NORMALIZE]), True: standard})


# What fills the rare classes up


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
    from imblearn.over_sampling import SMOTE

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


# Training


def network(num_classes: int, in_channels: int) -> nn.Module:
    """Three convolutions and two linear layers, for 28 x 28."""
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in ((in_channels, 24, 5, 2), (24, 48, 3, 1), (48, 96, 3, 1)):
        layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if inputs != in_channels else []
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(9 * 96, 256), nn.ReLU(), nn.Linear(256, num_classes))


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


def run_task(setup: Setup, task: Task, emit: Callable[[Cell], None]) -> None:
    """Train the arms of one task and emit each that has finished."""
    one_core()
    settings, whole = setup.settings, setup.train[task.seed]
    # Nothing that chooses the rate has seen the validation samples, the generator neither.
    part, held = split_validation(whole, settings.validation_share, derive(task.seed, "validation"))
    make = FILLS.get(ARMS[task.arms[0]].fill, lambda *_: None)
    started = time.perf_counter()
    trial, final = (make(samples, settings, task.seed) for samples in (part, whole))
    filling = time.perf_counter() - started
    for name in task.arms:
        started, arm = time.perf_counter(), ARMS[name]
        models, _ = trained(setup, arm, task.seed, part, trial, settings.rates, settings.steps // 2)
        scores = {
            rate: float(by_class(right(setup, model, held), held.label.numpy()).mean())
            for rate, model in zip(settings.rates, models, strict=True)
        }
        rate = max(scores, key=lambda tried: scores[tried])
        (model,), speed = trained(setup, arm, task.seed, whole, final, (rate,), settings.steps)
        seconds = time.perf_counter() - started
        emit(Cell(name, task.seed, rate, scores, right(setup, model, setup.test), seconds, filling, speed))


def plan(arms: Sequence[str], seeds: int, done: Collection[tuple[str, int]]) -> list[Task]:
    """Return the tasks that are left, seed by seed; arms that share a generator are one task, and come first."""
    tasks = []
    for seed in range(seeds):
        left = [name for name in arms if (name, seed) not in done]
        shared = tuple(name for name in left if ARMS[name].fill == "latents")
        tasks += [Task(seed, group) for group in (shared, *((name,) for name in left if name not in shared)) if group]
    return tasks


class Log:
    """Takes each cell as it finishes: keeps it, and says how long the rest will take."""

    def __init__(self, results: Results, path: Path | None, about: dict[str, Any], left: int) -> None:
        self.results, self.path, self.about, self.left = results, path, about, left
        self.done, self.started = 0, time.perf_counter()

    def __call__(self, cell: Cell) -> None:
        self.results.cells.append(cell)
        keep(self.path, self.about, self.results)
        self.done, self.left = self.done + 1, self.left - 1
        minutes = (time.perf_counter() - self.started) / self.done * self.left / 60
        said = f"{100 * cell.right.mean():.2f} %, validation {100 * cell.score:.2f}, rate {cell.rate:g}"
        timed = f"{cell.seconds:.0f} s, {cell.images_per_second:.0f} images/s; {minutes:.0f} min left"
        print(f"seed {cell.seed} {cell.arm}: {said}, {timed}", flush=True)


def describe(setup: Setup, quick: bool) -> dict[str, Any]:
    """Return what must be the same where an earlier run is continued."""
    parameters = sum(p.numel() for p in network(len(setup.settings.counts), 1).parameters())
    data = zlib.crc32(setup.test.image.numpy().tobytes() + setup.train[0].image.numpy().tobytes())
    model = f"three convolutions and two linear layers, {parameters:,} parameters"
    return {"quick": quick, "settings": asdict(setup.settings), "model": model, "data_crc32": data}


def run(args: argparse.Namespace) -> None:
    """Carry out what the command line asks for, from where an earlier run stopped."""
    settings, arms, seeds = (QUICK, QUICK_ARMS, 1) if args.quick else (Settings(), tuple(ARMS), args.seeds)
    setup = prepare(args.folder, settings, seeds)
    about = describe(setup, args.quick)
    cells = load(args.json, about, len(setup.test))
    results = Results({arm: ARMS[arm].synthetic for arm in arms}, setup.test.label.numpy(), cells)
    tasks = plan(arms, seeds, {(cell.arm, cell.seed) for cell in cells})
    log = Log(results, args.json, {**head(seeds), **about}, sum(len(task.arms) for task in tasks))
    try:
        run_tasks(run_task, setup, tasks, args.workers, log)
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
    print(table(summary(results)))


def add_command(commands: Any) -> None:
    """Add the subcommand `imbalance` to a parser's subparsers."""
    parser = commands.add_parser(
        "imbalance", help="rare classes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="holds the four idx .gz files of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--json", type=Path, help="result file; finished runs in it are not repeated")
    parser.add_argument("--quick", action="store_true", help="a trial: one seed, two arms, few steps and images")
    parser.set_defaults(run=run)
