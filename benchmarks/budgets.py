"""What is each generator worth, by the images that its training was shown? Fashion-MNIST, on a CPU or a GPU.

Each generator that ships for small images (vae, latent_smote, cgan_tiny) is trained on `--few` real images with each
budget. As many samples, as many of each class, are then judged like those of `cgan` (see there): accuracy of a fixed
network that saw samples alone, on the 10,000 real test images; label agreement; coverage and variety. FD: Frechet
distance to 2,000 real test images in the judge's features (not Inception's: to be compared within this table only; its
first row is that of real images). Images a second: of training, and of sampling in batches of 500. Watt-hours per
thousand samples, training included and without: RAPL and NVML where they can be read, else "not measurable here".
Finished cells are kept in FILE: after Ctrl-C the same command goes on from there.

    python benchmarks/generator.py budgets [--data DIR] [--seeds N] [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_data import add_data, find
from cells import check, load, write
from cgan import CLASSES, COVERED, Task, accuracy, labelled, spread
from protocol import head, one_core

from augsynth import config
from augsynth.generators import fit
from augsynth.lightning import meters
from augsynth.quality.fidelity import frechet_distance
from augsynth.quality.runs import to_uint8
from augsynth.quality.samples import Labelled

GENERATORS = ("vae", "latent_smote", "cgan_tiny")
BUDGETS = (5_000, 20_000, 80_000)
CHUNK, JOULES = 500, 3600


@dataclass(frozen=True)
class Worth:
    """One generator, budget and seed. watt_hours: per 1,000 samples, of training and of sampling; None: no meter."""

    generator: str
    budget: int
    seed: int
    accuracy: float
    fd: float
    coverage: float
    agreement: float
    variety: float
    training_images_per_second: float
    samples_per_second: float
    watt_hours: tuple[float, float] | None


class Meter:
    """Joules since the last reading, of all meters that can be read."""

    def __init__(self, device: torch.device) -> None:
        makers: list[Any] = [("processor", meters.Rapl.of)]
        if device.type == "cuda":
            makers.append(("GPU", lambda: meters.Nvml.of([device])))
        self.meters, self.reasons = meters.find(makers)
        self.last = self._read()

    def since(self) -> float | None:
        """Return the joules since the last call; None where nothing can be read."""
        last, self.last = self.last, self._read()
        return self.last - last if self.meters else None

    def _read(self) -> float:
        return sum(meter.joules() for meter in self.meters)


def sampled(generator: Any, count: int) -> Labelled:
    """Generate so many samples, as many of each class, in batches."""
    labels, rows = torch.arange(count) % CLASSES, torch.arange(count)
    parts = [to_uint8(generator.generate(labels[part], 1, index=part).image) for part in rows.split(CHUNK)]
    return labelled(torch.cat(parts), labels)


def worth(task: Task, name: str, budget: int, seed: int, device: torch.device) -> Worth:
    """Train one generator and judge its samples."""
    meter = Meter(device)
    generator = config.generator(name).make(tuple(task.few.image.shape[1:]), CLASSES).to(device)
    started = time.perf_counter()
    fit(generator, (task.few.image, task.few.label), max_images=budget, seed=seed)
    trained, used = time.perf_counter() - started, meter.since()
    started = time.perf_counter()
    samples = sampled(generator, len(task.few))
    made, taken = time.perf_counter() - started, meter.since()
    hours = None
    if used is not None and taken is not None:
        hours = used / JOULES / len(samples) * 1000, taken / JOULES / len(samples) * 1000
    return Worth(
        name,
        budget,
        seed,
        float(np.mean(task.accuracies(samples))),
        distance(task, samples),
        task.coverage(samples),
        accuracy(task.judge, samples, task.prepare),
        spread(samples) / spread(task.few),
        budget / trained,
        len(samples) / made,
        hours,
    )


def distance(task: Task, samples: Labelled) -> float:
    """Return the Frechet distance to the test images, of as many samples as these are at most."""
    real, found = (task.features(part.image[:COVERED]) for part in (task.test, samples))
    return frechet_distance(real, found)


def show(one: Worth) -> str:
    """Return a row as a line."""
    hours = "not measurable here" if one.watt_hours is None else f"{sum(one.watt_hours):.3f} Wh per 1,000"
    speed = f"{one.training_images_per_second:,.0f} and {one.samples_per_second:,.0f} images/s"
    return (
        f"{one.generator:12s} {one.budget:>7,} images, seed {one.seed}: accuracy {100 * one.accuracy:.1f} %   "
        f"FD {one.fd:.2f}   coverage {one.coverage:.2f}   agreement {100 * one.agreement:.1f} %   "
        f"variety {one.variety:.2f}   {speed}   {hours}"
    )


def left(budgets: Sequence[int], seeds: int, done: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    """Return what is not done yet, seed by seed."""
    known = {(row["generator"], row["budget"], row["seed"]) for row in done}
    cells = [(name, budget, seed) for seed in range(seeds) for name in GENERATORS for budget in budgets]
    return [cell for cell in cells if cell not in known]


def command(args: argparse.Namespace) -> None:
    """Measure what is left and print it; write the JSON after each cell."""
    budgets = BUDGETS
    if args.quick:
        budgets, args.few, args.tests, args.seeds, args.steps = (200,), 400, 400, 1, 10
    one_core()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    about = {"few": args.few, "tests": args.tests, "steps": args.steps, "budgets": budgets, "device": device.type}
    content = load(args.json)
    check(args.json, content, about)
    cells = list(content.get("cells", ()))
    todo = left(budgets, args.seeds, cells)
    print(f"{len(todo)} cells are left, {sum(cell[1] for cell in todo):,} images of training in all", flush=True)
    if not todo:
        return
    task = Task.of(args.folder or find(args, "fashion-mnist"), args.few, args.tests, args.steps)
    real = {
        "accuracy": float(np.mean(task.accuracies(task.few))),
        "fd": distance(task, task.few),
        "coverage": task.coverage(task.few),
        "agreement": accuracy(task.judge, task.test, task.prepare),
    }
    reasons = Meter(device).reasons
    for name, budget, seed in todo:
        try:
            one = worth(task, name, budget, seed, device)
        except KeyboardInterrupt:
            sys.exit("stopped: the same command goes on from here" if args.json else "stopped")
        print(show(one), flush=True)
        cells.append(asdict(one))
        common = {**head(args.seeds), "quick": args.quick, **about, "real": real, "not_measurable": reasons}
        write(args.json, {**common, "cells": cells})


def add_command(commands: Any) -> None:
    """Add the subcommand `budgets`."""
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("budgets", help="generators by budget", description=__doc__, formatter_class=form)
    parser.add_argument("folder", type=Path, nargs="?", help="holds the four idx files of Fashion-MNIST")
    add_data(parser)
    parser.add_argument("--few", type=int, default=5000, help="real training images, and samples")
    parser.add_argument("--tests", type=int, default=10_000, help="real test images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600, help="of each training of the fixed network")
    parser.add_argument("--json", type=Path, help="result file; finished cells in it are not repeated")
    parser.add_argument("--quick", action="store_true", help="check the script, measure nothing")
    parser.set_defaults(run=command)
