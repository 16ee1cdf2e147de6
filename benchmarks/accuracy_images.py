"""Does augmentation help a network on images, and do synthetic samples? Fashion-MNIST and CIFAR-10, few labels and all.

Each seed draws its own training images; the test set is all 10,000 images, and each network sees it once. Every arm
trains the same network for the same number of optimiser steps. Learning rate and weight decay are chosen for each arm
and seed, from the same grid, by accuracy on held-out training images, in runs of half the steps; then the network is
trained anew on everything. Weights, batches and draws are keyed by the seed and not by the arm, so that arms are
paired. Generators are trained on the same images as the network; each epoch shows as many new samples as real ones.
Intervals are over seeds and test images; `both` against `standard` is judged by itself, all others after Holm.

RUN is a data set and the images of each class, such as "fashion 20"; `core` is what two CPU cores do within an hour.
`equivalence` asks what it costs to be fast: colour steps folded into one matrix (linear) against exact ones, and fused
geometry against one step after the other, two one-sided tests with a margin of 0.5 points; these arms share the setting
that the first one chose. Finished cells are kept in FILE: after Ctrl-C the same command goes on from there. A CUDA
device, where there is one, trains a larger network (`cifar.Fast`).

    python benchmarks/accuracy.py images [RUN ...] [--data DIR] [--arms NAME ...] [--seeds N] [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_data import add_data, find, read
from cells import Cell, Log, Results, check, interval, judged, load, percent, spoken, write
from cifar import Fast
from protocol import head, one_core
from torch import nn

from augsynth import Pipeline, config
from augsynth import transforms as T
from augsynth.generators import fit
from augsynth.quality.models import SmallCNN, make_model, seeded
from augsynth.quality.runs import generated
from augsynth.quality.samples import Labelled, Source, derive, few_positions, split_validation
from augsynth.quality.statistics import contrasts, estimate
from augsynth.quality.training import Batches, predict, score, train
from augsynth.quality.workers import run_tasks

CLASSES, MARGIN, PROBE_STEPS = 10, 0.005, 20
FOLDERS = {"fashion": "fashion-mnist", "cifar": "cifar10"}
MOMENTS = {"fashion": ((0.286,), (0.353,)), "cifar": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))}
GENERATORS = {"vae": "vae", "latent_smote": "latent_smote", "gan": "cgan_tiny", "both": "latent_smote"}
ARMS = ("none", "crop_flip", "standard", "randaugment", "trivialaugment", "augmix", "mixup", "cutmix")
ARMS += ("vae", "latent_smote", "gan", "both")
CORE_ARMS = ("none", "standard", "randaugment", "cutmix", "latent_smote", "both")
PRIMARY = ("both", "standard")


@dataclass(frozen=True)
class Run:
    """One question, the same budget for all arms.

    per_class: training images of each class, None for all. rates, decays: the grid. shared: arms that differ in one
    thing only, and take the setting that the first of them chose.
    """

    data: str
    per_class: int | None
    steps: int
    batch_size: int = 64
    rates: tuple[float, ...] = (0.002, 0.006, 0.018)
    decays: tuple[float, ...] = (0.005, 0.05)
    validation_share: float = 0.25
    generator_images: int = 20_000
    seeds: int = 5
    shared: tuple[str, ...] = ()


RUNS = {
    "fashion 5": Run("fashion", 5, 400),
    "fashion 20": Run("fashion", 20, 600),
    "fashion 100": Run("fashion", 100, 1000),
    "fashion 500": Run("fashion", 500, 2000),
    "fashion all": Run("fashion", None, 6000),
    "cifar 50": Run("cifar", 50, 1500),
    "cifar 500": Run("cifar", 500, 4000),
    "cifar all": Run("cifar", None, 12000),
    "equivalence": Run("cifar", 100, 1000, seeds=20, shared=("exact", "linear", "sequential")),
}
CORE = ("fashion 20", "fashion 100")
QUICK = Run("fashion", 5, 12, rates=(0.006,), generator_images=200)
QUICK_ARMS = ("none", "cutmix", "both")


@dataclass(frozen=True, eq=False)
class Setup:
    """What every worker gets. train: the samples of each seed."""

    run: Run
    train: dict[int, Labelled]
    test: Labelled

    @property
    def device(self) -> torch.device:
        """Where networks are trained."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def pipeline(self, arm: str) -> Pipeline:
        """Return what an arm trains with."""
        steps = steps_of(arm, self.test.image.shape[-1])
        return Pipeline([*steps, *_normalize(self.run.data)], **how(arm))

    def network(self, seed: int) -> nn.Module:
        """Return the network with its first weights."""
        if self.device.type == "cuda" and self.run.data == "cifar":
            with seeded(seed):
                return Fast(64)
        return make_model(SmallCNN, CLASSES, tuple(self.test.image.shape[1:]), seed)


@dataclass(frozen=True)
class Task:
    """Arms of one seed that share a generator, or a setting."""

    seed: int
    arms: tuple[str, ...]


def how(arm: str) -> dict[str, Any]:
    """Return how an arm's pipeline is computed."""
    return {"linear": {"color": "linear"}, "sequential": {"fuse": False}}.get(arm, {})


def steps_of(arm: str, side: int) -> list[Any]:
    """Return the transforms of an arm, for images of `side` pixels."""
    basic = [T.RandomCrop(side, padding=side // 8), T.RandomHorizontalFlip()]
    if arm in ("standard", "both"):
        return list(config.pipeline("standard").transforms.values())
    if arm in RUNS["equivalence"].shared:
        turned = [T.RandomRotation(15, "bilinear"), T.RandomResizedCrop(side, (0.5, 1.0)), T.RandomHorizontalFlip()]
        return [*turned, T.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    return {
        "crop_flip": basic,
        "randaugment": [*basic, T.RandAugment()],
        "trivialaugment": [*basic, T.TrivialAugmentWide()],
        "augmix": [*basic, T.AugMix()],
        "mixup": [*basic, T.MixUp(num_classes=CLASSES)],
        "cutmix": [*basic, T.CutMix(num_classes=CLASSES)],
    }.get(arm, [])


def _normalize(data: str) -> list[Any]:
    return [T.Normalize(*MOMENTS[data])]


def prepare(args: argparse.Namespace, run: Run, seeds: int) -> Setup:
    """Read the data and draw the training samples of every seed."""
    folder = find(args, FOLDERS[run.data])
    (images, labels), (tested, truth) = (read(folder, FOLDERS[run.data], split) for split in ("train", "test"))
    source = Source.of(images, labels)
    drawn = {}
    for seed in range(seeds):
        rows = few_positions(source, run.per_class, derive(seed, "subset"))
        drawn[seed] = Labelled(images[torch.as_tensor(rows)], labels[torch.as_tensor(rows)], rows)
    return Setup(run, drawn, Labelled(tested, truth, np.arange(len(truth))))


def maker(setup: Setup, arm: str, samples: Labelled, seed: int) -> Any:
    """Train the generator of an arm on these samples; None for an arm without one."""
    if arm not in GENERATORS:
        return None
    made = config.generator(GENERATORS[arm]).make(tuple(samples.image.shape[1:]), CLASSES).to(setup.device)
    data = (samples.image, samples.label)
    return fit(made, data, max_images=setup.run.generator_images, seed=derive(seed, "generator", len(samples)))


def trained(
    setup: Setup, arm: str, seed: int, samples: Labelled, generator: Any, settings: Sequence[str], steps: int
) -> tuple[list[nn.Module], float]:
    """Train a network per setting on the same batches and return images/s; no seed knows the arm."""
    key, extra = derive(seed, "batches"), len(samples) if generator is not None else 0
    synthesize = partial(generated, generator, extra, CLASSES, key) if extra else None
    batches = Batches(samples, setup.pipeline(arm), setup.run.batch_size, steps, key, synthesize, extra)
    models = [setup.network(derive(seed, "weights")) for _ in settings]
    rates, decays = zip(*(map(float, setting.split()) for setting in settings), strict=True)
    return models, train(models, rates, batches, decays, setup.device)


def probabilities(setup: Setup, model: nn.Module, samples: Labelled) -> np.ndarray:
    """Return what a network says of images that are not augmented, `(N, K)`."""
    return predict(model, samples.image, Pipeline(_normalize(setup.run.data)), setup.device)


def run_task(setup: Setup, task: Task, emit: Any) -> None:
    """Train the arms of one task and emit each that has finished."""
    one_core()
    run, whole = setup.run, setup.train[task.seed]
    grid = [f"{rate:g} {decay:g}" for rate in run.rates for decay in run.decays]
    # Nothing that chooses the setting has seen the validation samples, the generator neither.
    part, held = split_validation(whole, run.validation_share, derive(task.seed, "validation"))
    started = time.perf_counter()
    trial, final = (maker(setup, task.arms[0], samples, task.seed) for samples in (part, whole))
    filling, scores = time.perf_counter() - started, {}
    for name in task.arms:
        started = time.perf_counter()
        if not (run.shared and scores):
            models, _ = trained(setup, name, task.seed, part, trial, grid, run.steps // 2)
            found = (score(probabilities(setup, model, held), held.label) for model in models)
            scores = dict(zip(grid, found, strict=True))
        best = max(scores, key=lambda tried: scores[tried].rank)
        (model,), speed = trained(setup, name, task.seed, whole, final, (best,), run.steps)
        right = probabilities(setup, model, setup.test).argmax(1) == setup.test.label.numpy()
        accuracies = {setting: found.accuracy for setting, found in scores.items()}
        emit(Cell(name, task.seed, best, accuracies, right, time.perf_counter() - started, filling, speed))


def plan(arms: Sequence[str], run: Run, seeds: int, done: Collection[tuple[str, int]]) -> Iterator[Task]:
    """Yield the tasks that are left, seed by seed; arms that share a generator are one task, and come first."""
    for seed in range(seeds):
        left = [name for name in arms if (name, seed) not in done]
        kinds = {name: run.data if run.shared else GENERATORS.get(name, name) for name in left}
        for kind in sorted(dict.fromkeys(kinds.values()), key=lambda kind: kind not in GENERATORS.values()):
            yield Task(seed, tuple(name for name in left if kinds[name] == kind))


def summary(results: Results, run: Run) -> dict[str, Any] | None:
    """Return a row per arm and what was asked of them, over the seeds that are whole; None without any."""
    if not results.seeds:
        return None
    rows = {}
    for arm in results.arms:
        cells = results.of(arm).values()
        validation = round(100 * results.validation(arm), 2)
        chosen = [cell.chosen for cell in cells]
        rows[arm] = {"accuracy": percent(results.accuracy(arm)), "validation": validation, "settings": chosen}
    found: dict[str, Any] = {"seeds": results.seeds, "arms": rows}
    base, *others = results.arms
    if run.shared:
        return {**found, "margin": 100 * MARGIN, "equivalence": [equivalence(results, arm, base) for arm in others]}
    pairs = [(arm, base) for arm in others]
    primary = PRIMARY if set(PRIMARY) <= set(results.arms) else pairs[0]
    return {**found, "contrasts": list(map(judged, contrasts(results.right(), primary, pairs)))}


def equivalence(results: Results, arm: str, base: str) -> dict[str, Any]:
    """Test twice, one-sided at 5 % each, that two arms differ by less than the margin: by an interval of 90 %.

    An interval that lies wholly beyond the margin shows that they differ by more.
    """
    right, other = (results.right()[name] for name in (arm, base))
    differences = np.stack([right[seed].astype(np.float64) - other[seed] for seed in results.seeds])
    found = estimate(differences, 0.9)
    inside = found.low > -MARGIN and found.high < MARGIN
    outside = found.high < -MARGIN or found.low > MARGIN
    said = "equivalent" if inside else "differs by more" if outside else "not shown to be equivalent"
    return {"arm": arm, "base": base, "difference": percent(found), "confidence": 0.9, "verdict": said}


def table(name: str, found: Mapping[str, Any] | None) -> str:
    """Return a summary as Markdown."""
    if found is None:
        return f"{name}: no seed is whole yet"
    base = next(iter(found["arms"]))
    judged = found.get("contrasts", found.get("equivalence"))
    said = {(row["arm"], row["base"]): spoken(row) for row in judged}
    lines = [
        f"| {name}, {len(found['seeds'])} seeds | test accuracy | validation | against {base} |",
        "|---|--:|--:|---|",
    ]
    for arm, row in found["arms"].items():
        lines.append(f"| {arm} | {interval(row['accuracy'])} | {row['validation']:.1f} | {said.get((arm, base), '')} |")
    lines += ["", *(f"{arm} against {other}: {text}" for (arm, other), text in said.items() if other != base)]
    return "\n".join(lines)


def describe(setup: Setup) -> dict[str, Any]:
    """Return what must be the same where an earlier run is continued."""
    network = setup.network(0)
    parameters = sum(p.numel() for p in network.parameters())
    data = zlib.crc32(setup.test.image.numpy().tobytes() + setup.train[0].image.numpy().tobytes())
    model = f"{type(network).__name__}, {parameters:,} parameters"
    return {"settings": asdict(setup.run), "model": model, "device": setup.device.type, "data_crc32": data}


def announce(setup: Setup, tasks: Sequence[Task], workers: int) -> None:
    """Say what is going to be done, and about how long that takes here."""
    run, cells = setup.run, sum(len(task.arms) for task in tasks)
    trainings = len(run.rates) * len(run.decays) / 2 + 1
    images = run.steps * run.batch_size
    _, speed = trained(setup, "none", 0, setup.train[0], None, [f"{run.rates[0]} 0"], PROBE_STEPS)
    minutes = cells * trainings * images / speed / workers / 60
    print(
        f"{cells} cells, each {trainings:g} times {images:,} images at {speed:,.0f} a second and process: some "
        f"{minutes:.0f} minutes by {workers} processes, augmentation and generators not counted",
        flush=True,
    )


def carry_out(name: str, run: Run, args: argparse.Namespace, content: dict[str, Any]) -> None:
    """Do what is left of a run, and keep each cell in `content`."""
    arms = run.shared or tuple(args.arms)
    seeds = args.seeds or run.seeds
    setup = prepare(args, run, seeds)
    about, before = describe(setup), content["runs"].get(name, {})
    check(args.json, before, {**about, "arms": arms})
    cells = [Cell.of_json(row, len(setup.test)) for row in before.get("cells", ())]
    results = Results(arms, setup.test.label.numpy(), cells)
    tasks = list(plan(arms, run, seeds, {(cell.arm, cell.seed) for cell in results.cells}))

    def keep() -> None:
        made = {key: content[key] for key in ("command", "commit")}  # each run may come from another call
        content["runs"][name] = {
            **about,
            **made,
            "arms": arms,
            "summary": summary(results, run),
            "cells": results.rows(),
        }
        write(args.json, content)

    if tasks:
        print(f"{name}: {about['model']}", flush=True)
        announce(setup, tasks, args.workers)
    try:
        run_tasks(run_task, setup, tasks, args.workers, Log(results, keep, sum(len(task.arms) for task in tasks)))
    except KeyboardInterrupt:
        print(table(name, summary(results, run)))
        sys.exit("stopped: the same command goes on from here" if args.json else "stopped")
    print(table(name, summary(results, run)), flush=True)


def command(args: argparse.Namespace) -> None:
    """Carry out what the command line asks for, from where an earlier call stopped."""
    one_core()
    if args.quick:
        args.names, args.arms, args.seeds, args.workers = ["quick"], QUICK_ARMS, 1, 1
    known = {**RUNS, "quick": QUICK}
    names = [run for name in args.names or ["core"] for run in (CORE if name == "core" else (name,))]
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"there is no {', '.join(unknown)}; there are core, {', '.join(RUNS)}")
    if unknown := sorted(set(args.arms) - set(ARMS)):
        sys.exit(f"there is no arm {', '.join(unknown)}; there are {', '.join(ARMS)}")
    if "none" not in args.arms or len(args.arms) < 2:
        sys.exit("--arms needs none, which others are compared with, and one more")
    args.arms = sorted(args.arms, key=ARMS.index)
    runs = load(args.json).get("runs", {})
    seeds = args.seeds or max(known[name].seeds for name in names)
    content = {**head(seeds), "quick": args.quick, "runs": runs}
    for name in names:
        carry_out(name, known[name], args, content)


def add_command(commands: Any) -> None:
    """Add the subcommand `images` to a parser's subparsers."""
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("images", help="Fashion-MNIST, CIFAR-10", description=__doc__, formatter_class=form)
    parser.add_argument("names", nargs="*", metavar="RUN", help=f"of core (the default), {', '.join(RUNS)}")
    add_data(parser)
    parser.add_argument("--arms", nargs="+", default=CORE_ARMS, help=f"of {', '.join(ARMS)}; by default the core")
    parser.add_argument("--seeds", type=int, help="by default 5, and 20 for equivalence")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--json", type=Path, help="result file; finished cells in it are not repeated")
    parser.add_argument("--quick", action="store_true", help="a trial: one seed, three arms, few steps and images")
    parser.set_defaults(run=command)
