"""Does it help downstream? Train one network with and without, at equal optimiser steps, and compare on a test set.

One seed is one repetition of everything a user with this little data would do: draw the labels, hold a share of them
out, choose the learning rate on it, train again on all of them. The choice is made anew for each arm and seed, so that
its luck is part of the spread between seeds; a rate shared by all seeds would be one draw that no interval can see.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from augsynth.configured import described
from augsynth.quality.models import ModelFactory, SmallCNN, make_model
from augsynth.quality.protocol import ARMS, Arm, Protocol
from augsynth.quality.results import Comparison, Example, Run, TextExample
from augsynth.quality.runs import GeneratorFactory, Listener, Setup, network_shape, run_task, tasks
from augsynth.quality.samples import Source, check_classes, choose_test, derive, draw_labels, read
from augsynth.quality.training import augmented, stacked
from augsynth.quality.workers import count, run_tasks
from augsynth.rng import Rng

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline


def compare(
    train_source: Source,
    test_source: Source,
    *,
    augment: Pipeline,
    evaluation: Pipeline,
    generator: GeneratorFactory | None = None,
    model: ModelFactory = SmallCNN,
    protocol: Protocol | None = None,
    arms: Mapping[str, Arm] = ARMS,
    device: str = "auto",
    workers: int | None = 1,
    listen: Listener = lambda event: None,
) -> Comparison:
    """Train every arm with every seed and return what came out; Ctrl-C returns what has finished.

    augment, evaluation: pipelines that give the network's input; `evaluation` must not be random.
    generator: trains a generator, needed where an arm mixes synthetic samples in. model: a network class or function.
    device: "auto", "cpu" or "cuda". workers: processes, None for one per core; above 1 everything must pickle, and a
    script needs `if __name__ == "__main__":`. On CPU the numbers do not depend on workers.
    Raises: ValueError or TypeError before any training, where data, network or protocol do not fit.
    """
    protocol = protocol or Protocol()
    protocol.check_arms(list(arms))
    if generator is None and any(arms[name].synthetic for name in protocol.arms):
        wanting = [name for name in protocol.arms if arms[name].synthetic]
        raise ValueError(f"arms {', '.join(wanting)} need a generator; give one, or leave these arms out")
    started = time.perf_counter()
    setup = prepare(train_source, test_source, augment, evaluation, generator, model, protocol, arms, device)
    outcome = carry_out(run_task, setup, tasks(protocol, arms), workers, listen, started)
    pipelines = {arm: described(augment if arms[arm].augment else evaluation) for arm in protocol.arms}
    return replace(outcome, pipelines=pipelines)


def carry_out(
    run: Any,
    setup: Any,
    planned: Sequence[Any],
    workers: int | None,
    listen: Listener,
    started: float,
    subject: str = "images",
) -> Comparison:
    """Do the tasks that were planned and return what came out; Ctrl-C returns what has finished.

    setup: a `Setup` or what texts have in its place. started: of time.perf_counter.
    """
    runs: list[Run] = []
    examples: list[Any] = []

    def keep(event: Any) -> None:
        if isinstance(event, Run):
            runs.append(event)
        elif isinstance(event, (Example, TextExample)):
            examples.append(event)
        listen(event)

    # One process on a GPU: several would share it without being faster, and each would hold its own copy of CUDA.
    processes = 1 if setup.device.startswith("cuda") else count(len(planned), workers)
    interrupted = False
    try:
        run_tasks(run, setup, planned, processes, keep)
    except KeyboardInterrupt:
        interrupted = True
    arms = setup.protocol.arms
    return Comparison(
        protocol=setup.protocol,
        classes=setup.classes,
        labels=setup.test.label.numpy(),
        positions=setup.test.position,
        few={seed: few.position for seed, few in setup.few.items()},
        runs=tuple(sorted(runs, key=lambda run: (run.seed, arms.index(run.arm)))),
        examples=tuple(sorted(examples, key=lambda example: arms.index(example.arm))),
        interrupted=interrupted,
        seconds=time.perf_counter() - started,
        device=setup.device,
        subject=subject,
    )


def prepare(
    train_source: Source,
    test_source: Source,
    augment: Pipeline,
    evaluation: Pipeline,
    generator: GeneratorFactory | None,
    model: ModelFactory,
    protocol: Protocol,
    arms: Mapping[str, Arm],
    device: str,
) -> Setup:
    """Decode all samples that will be used and try the network and the pipelines on them, so that errors come first."""
    check_classes(train_source, test_source, protocol.labels_per_class)
    seeds = range(protocol.seed, protocol.seed + protocol.seeds)
    few = {seed: draw_labels(train_source, protocol.labels_per_class, derive(seed, "few labels")) for seed in seeds}
    test = read(test_source, choose_test(test_source, protocol.test_limit, derive(protocol.seed, "test")))
    setup = Setup(
        protocol, arms, few, test, train_source.classes, augment, evaluation, model, generator, choose_device(device)
    )
    _check_pipelines(setup)
    make_model(model, len(setup.classes), network_shape(setup), seed=0)
    return setup


def choose_device(device: str) -> str:
    """Return "cuda" or "cpu" for "auto". Raises: ValueError for a device that is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not device.startswith("cuda"):
        raise ValueError(f"device={device!r} must be 'auto', 'cpu' or 'cuda'")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}, but torch sees no CUDA device; use device=cpu or device=auto")
    return device


def _check_pipelines(setup: Setup) -> None:
    if setup.evaluation.mixes:
        raise ValueError(f"the evaluation {setup.evaluation.mixes}, and each test image is judged by itself")
    sample, labels = setup.few[setup.protocol.seed].image[:2], setup.few[setup.protocol.seed].label[:2]
    plain = stacked(setup.evaluation.images(sample, Rng.of(0, [0, 1])))
    varied, soft = augmented(setup.augment, sample, labels, Rng.of(0, [0, 1]))
    if soft.ndim == 2 and soft.shape[1] != len(setup.classes):
        raise ValueError(
            f"the augmentation mixes labels of {soft.shape[1]} classes, and the data has {len(setup.classes)}; give "
            f"MixUp, CutMix or Mosaic num_classes={len(setup.classes)}"
        )
    if plain.shape != varied.shape or plain.dtype != varied.dtype:
        raise ValueError(
            f"the augmentation gives images {tuple(varied.shape[1:])} {varied.dtype}, the evaluation "
            f"{tuple(plain.shape[1:])} {plain.dtype}; end both with the same size and the same Normalize"
        )
