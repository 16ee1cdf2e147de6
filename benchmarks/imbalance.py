"""Do synthetic samples help where classes are rare? Fashion-MNIST with the class counts of DeepSMOTE, arXiv:2105.02340.

Each seed draws its own 9,000 training images; the test set is all 10,000 images, as many of each class. Every arm
trains one network of 249,082 parameters for the same number of optimiser steps; the learning rate is chosen for each
arm and seed by balanced accuracy on a fifth of each class, in runs of half the steps, and the network trained anew on
everything. What makes samples (SMOTE, LatentSMOTE) is trained on the same images as the network and nothing else. The
headline compares the best arm with synthetic samples to the best without, both by validation, never by test accuracy.
Finished runs are kept in FILE: after Ctrl-C the same command goes on from there. Pixel SMOTE is imbalanced-learn's.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_data import add_data, fashion, find
from cells import Cell, Log, by_class, check, load, write
from imbalance_results import Rare, summary, table
from imbalance_training import FILLS, Arm, Settings, Setup, network, right, trained
from protocol import head, one_core

from augsynth.config import pipeline
from augsynth.quality.samples import Labelled, derive, split_validation
from augsynth.quality.workers import run_tasks
from augsynth.rng import Rng

NORMALIZE = "+transforms.normalize={_target_: augsynth.transforms.Normalize, mean: [0.286], std: [0.353]}"
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


QUICK = Settings((400, 200, 100, 75, 50, 35, 20, 10, 10, 10), steps=50, rates=(0.003,), generator_images=1000)
QUICK_ARMS = ("none", "latent_smote")


@dataclass(frozen=True)
class Task:
    """Arms of one seed that share what fills the classes."""

    seed: int
    arms: tuple[str, ...]


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
    images, labels = fashion(folder, "train")
    drawn = {seed: draw(images, labels, settings.counts, derive(seed, "subset")) for seed in range(seeds)}
    tested, truth = fashion(folder, "test")
    test = Labelled(tested, truth, np.arange(len(truth)))
    standard = pipeline("standard", ["transforms.flip.p=0", NORMALIZE])
    return Setup(settings, drawn, test, {False: pipeline("none", [NORMALIZE]), True: standard})


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
            f"{rate:g}": float(by_class(right(setup, model, held), held.label.numpy()).mean())
            for rate, model in zip(settings.rates, models, strict=True)
        }
        rate = max(scores, key=lambda tried: scores[tried])
        (model,), speed = trained(setup, arm, task.seed, whole, final, (float(rate),), settings.steps)
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


def keep(path: Path | None, about: dict[str, Any], results: Rare) -> None:
    """Write everything."""
    write(path, {**about, "summary": summary(results), "cells": results.rows()})


def describe(setup: Setup, quick: bool) -> dict[str, Any]:
    """Return what must be the same where an earlier run is continued."""
    parameters = sum(p.numel() for p in network(len(setup.settings.counts), 1).parameters())
    data = zlib.crc32(setup.test.image.numpy().tobytes() + setup.train[0].image.numpy().tobytes())
    model = f"three convolutions and two linear layers, {parameters:,} parameters"
    return {"quick": quick, "settings": asdict(setup.settings), "model": model, "data_crc32": data}


def run(args: argparse.Namespace) -> None:
    """Carry out what the command line asks for, from where an earlier run stopped."""
    settings, arms, seeds = (QUICK, QUICK_ARMS, 1) if args.quick else (Settings(), tuple(ARMS), args.seeds)
    if "pixel_smote" in arms and not importlib.util.find_spec("imblearn"):
        sys.exit("the arm pixel_smote needs imbalanced-learn: pip install imbalanced-learn")
    setup = prepare(args.folder or find(args, "fashion-mnist"), settings, seeds)
    about = describe(setup, args.quick)
    content = load(args.json)
    check(args.json, content, about)
    cells = [Cell.of_json(row, len(setup.test)) for row in content.get("cells", ())]
    synthetic = frozenset(arm for arm in arms if ARMS[arm].synthetic)
    results = Rare(arms, setup.test.label.numpy(), cells, synthetic=synthetic)
    tasks = plan(arms, seeds, {(cell.arm, cell.seed) for cell in cells})
    print(about["model"], flush=True)
    kept = partial(keep, args.json, {**head(seeds), **about}, results)
    log = Log(results, kept, sum(len(task.arms) for task in tasks))
    try:
        run_tasks(run_task, setup, tasks, args.workers, log)
    except KeyboardInterrupt:
        print(table(summary(results)))
        sys.exit("stopped: the same command goes on from here" if args.json else "stopped")
    print(table(summary(results)))


def add_command(commands: Any) -> None:
    """Add the subcommand `imbalance` to a parser's subparsers."""
    parser = commands.add_parser(
        "imbalance", help="rare classes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="holds the four idx .gz files of Fashion-MNIST")
    add_data(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--json", type=Path, help="result file; finished runs in it are not repeated")
    parser.add_argument("--quick", action="store_true", help="a trial: one seed, two arms, few steps and images")
    parser.set_defaults(run=run)
