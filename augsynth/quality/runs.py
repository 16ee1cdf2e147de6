"""One task of a comparison: the runs of one seed, from its few labels to the predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from typing import Protocol as TypingProtocol

import numpy as np
import torch
from torch import nn

from augsynth.batch import Batch
from augsynth.quality.models import ModelFactory, make_model, seeded
from augsynth.quality.protocol import Arm, Protocol
from augsynth.quality.results import Example, Run
from augsynth.quality.samples import Labelled, derive, split_validation
from augsynth.quality.training import Batches, Score, augmented, predict, score, stacked, train
from augsynth.rng import Rng

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

# About how many samples of the first seed the report shows, as many of each class.
EXAMPLES = 10
# Progress is sent in lots, because a message costs as much as a few steps.
STEPS_PER_MESSAGE = 20


class Sampler(TypingProtocol):
    """What a comparison needs of a generator."""

    def generate(self, labels: torch.Tensor, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        """Return one sample per label, keyed by (seed, epoch, index)."""
        ...


# (samples, number of classes, seed) -> a generator trained on these samples alone.
GeneratorFactory = Callable[[Labelled, int, int], Sampler]


@dataclass(frozen=True)
class Phase:
    """A worker starts something: `text` says what, `task` who."""

    task: int
    text: str


@dataclass(frozen=True)
class Progress:
    """`units` of work of one kind took `seconds`."""

    task: int
    kind: str
    units: int
    seconds: float


@dataclass(frozen=True)
class Done:
    """A task has finished all its runs."""

    task: int


Listener = Callable[[Any], None]


@dataclass(frozen=True)
class Task:
    """The runs of one seed that need a generator, or those that need none: the generator is trained in its task."""

    number: int
    seed: int
    arms: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Setup:
    """What every worker gets."""

    protocol: Protocol
    arms: Mapping[str, Arm]
    few: dict[int, Labelled]
    test: Labelled
    classes: tuple[str, ...]
    augment: Pipeline
    evaluation: Pipeline
    model: ModelFactory
    generator: GeneratorFactory | None
    device: str


def network_shape(setup: Setup) -> tuple[int, int, int]:
    """Return (C, H, W) of what the evaluation pipeline hands to the network."""
    image = stacked(setup.evaluation.images(setup.test.image[:1], Rng.of(0, [0])))
    channels, height, width = image.shape[1:]
    return channels, height, width


def tasks(protocol: Protocol, arms: Mapping[str, Arm]) -> list[Task]:
    """Return the tasks, seed by seed; those that train a generator come first, because they take longest."""
    found: list[Task] = []
    for seed in range(protocol.seed, protocol.seed + protocol.seeds):
        for synthetic in (True, False):
            group = tuple(name for name in protocol.arms if arms[name].synthetic is synthetic)
            if group:
                found.append(Task(len(found), seed, group))
    return found


def work(protocol: Protocol, arms: Mapping[str, Arm]) -> dict[str, int]:
    """Return how many units of each kind a comparison takes: "generator" trainings, and steps by arm."""
    steps = protocol.seeds * protocol.steps * (len(protocol.learning_rates) + 1)
    amount = dict.fromkeys(protocol.arms, steps)
    synthetic = any(arms[name].synthetic for name in protocol.arms)
    return {**amount, "generator": 2 * protocol.seeds if synthetic else 0}


def run_task(setup: Setup, task: Task, listen: Listener) -> None:
    """Train the arms of one task and hand each finished run to `listen`."""
    few, protocol = setup.few[task.seed], setup.protocol
    fit, validation = split_validation(few, protocol.validation_share, derive(task.seed, "validation"))
    trial = whole = None
    if any(setup.arms[name].synthetic for name in task.arms):
        # For the choice of the learning rate the generator must not have seen the validation samples either.
        trial, whole = (_train_generator(setup, task, samples, listen) for samples in (fit, few))
    for name in task.arms:
        started = time.perf_counter()
        listen(Phase(task.number, f"seed {task.seed} {name}: learning rate"))
        scores = _try_rates(setup, task, name, fit, validation, trial, listen)
        rate = max(scores, key=lambda candidate: scores[candidate].rank)
        listen(Phase(task.number, f"seed {task.seed} {name}: training"))
        models, speed = _train(setup, task, name, few, whole, [rate], listen)
        probabilities = predict(models[0], setup.test.image, setup.evaluation, torch.device(setup.device))
        listen(Run(name, task.seed, rate, scores, probabilities, speed, time.perf_counter() - started))
    if task.seed == protocol.seed:
        for example in _examples(setup, task, few, whole):
            listen(example)
    listen(Done(task.number))


def _train_generator(setup: Setup, task: Task, samples: Labelled, listen: Listener) -> Sampler:
    assert setup.generator is not None
    listen(Phase(task.number, f"seed {task.seed}: generator"))
    started = time.perf_counter()
    seed = derive(task.seed, "generator", len(samples))
    generator = setup.generator(samples, len(setup.classes), seed)
    listen(Progress(task.number, "generator", 1, time.perf_counter() - started))
    return generator


def _try_rates(
    setup: Setup,
    task: Task,
    name: str,
    fit: Labelled,
    validation: Labelled,
    generator: Sampler | None,
    listen: Listener,
) -> dict[float, Score]:
    rates = setup.protocol.learning_rates
    models, _ = _train(setup, task, name, fit, generator, rates, listen)
    device = torch.device(setup.device)
    return {
        rate: score(predict(model, validation.image, setup.evaluation, device), validation.label)
        for rate, model in zip(rates, models, strict=True)
    }


def _train(
    setup: Setup,
    task: Task,
    name: str,
    samples: Labelled,
    generator: Sampler | None,
    rates: Sequence[float],
    listen: Listener,
) -> tuple[list[nn.Module], float]:
    """Train one model per rate on the same batches, from the same weights; the salt of the arm is in both."""
    arm, device = setup.arms[name], torch.device(setup.device)
    # The arm's name is not in these seeds: paired runs start from the same weights and see the same order.
    salt = (task.seed, "salt", arm.salt)
    shape = network_shape(setup)
    models = [make_model(setup.model, len(setup.classes), shape, derive(*salt, "weights")) for _ in rates]
    batches = make_batches(setup, arm, samples, generator, derive(*salt, "batches"))
    counter = Counter(task.number, name, listen)
    with seeded(derive(*salt, "dropout"), device):
        speed = train(models, rates, batches, setup.protocol.weight_decay, device, counter.advance)
    counter.flush()
    return models, speed


def make_batches(setup: Setup, arm: Arm, samples: Labelled, generator: Sampler | None, seed: int) -> Batches:
    """Return the batches of one run of an arm."""
    protocol = setup.protocol
    extra = round(len(samples) / (1 - protocol.synthetic_share)) - len(samples) if arm.synthetic else 0
    pipeline = setup.augment if arm.augment else setup.evaluation
    synthesize = None
    if extra:
        assert generator is not None
        synthesize = partial(generated, generator, extra, len(setup.classes), seed)
    return Batches(samples, pipeline, protocol.batch_size, protocol.steps, seed, synthesize, extra)


def generated(
    generator: Sampler, amount: int, num_classes: int, seed: int, epoch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return generated samples of one epoch, uint8 `(amount, C, H, W)`, and their labels, classes as even as can be."""
    # A remainder goes to other classes in each epoch.
    order = Rng.of(seed, epoch).permutation("synthetic classes", num_classes)[0]
    labels = torch.as_tensor(order[np.arange(amount) % num_classes])
    batch = generator.generate(labels, seed, index=np.arange(amount), epoch=epoch)
    return to_uint8(batch.image), batch.label.cpu()


def to_uint8(image: torch.Tensor) -> torch.Tensor:
    """Round images in [0, 1] to 0 to 255, as a real image file holds them."""
    return (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)


class Counter:
    """Counts steps and reports them in lots."""

    def __init__(self, task: int, kind: str, listen: Listener) -> None:
        self.task, self.kind, self.listen = task, kind, listen
        self.units, self.since = 0, time.perf_counter()

    def advance(self) -> None:
        self.units += 1
        if self.units >= STEPS_PER_MESSAGE:
            self.flush()

    def flush(self) -> None:
        now = time.perf_counter()
        if self.units:
            self.listen(Progress(self.task, self.kind, self.units, now - self.since))
        self.units, self.since = 0, now


def _examples(setup: Setup, task: Task, few: Labelled, generator: Sampler | None) -> list[Example]:
    """Return what the arms of this task saw in their first epoch, the same samples in each."""
    labels = few.label.numpy()
    each = max(EXAMPLES // len(setup.classes), 1)
    first = np.concatenate([np.flatnonzero(labels == c)[:each] for c in np.unique(labels)])[:EXAMPLES]
    shown = few[first]
    words = tuple(setup.classes[label] for label in shown.label.tolist())
    found: list[Example] = []
    for name in task.arms:
        arm = setup.arms[name]
        if generator is None and not arm.augment:
            found.append(Example(name, "real", shown.image.numpy(), words))
            continue
        image = shown.image
        place = first
        seed = derive(task.seed, "salt", arm.salt, "batches")
        if arm.synthetic:
            assert generator is not None
            place = len(few) + np.arange(len(shown))
            batch = generator.generate(shown.label, seed, index=np.arange(len(shown)), epoch=0)
            image = to_uint8(batch.image)
        if arm.augment:
            image = visible(setup, image, shown.label, Rng.of(seed, place))
        kind = {(False, True): "augmented", (True, False): "synthetic", (True, True): "synthetic, augmented"}
        found.append(Example(name, kind[arm.synthetic, arm.augment], image.numpy(), words))
    return found


def visible(setup: Setup, image: torch.Tensor, label: torch.Tensor, rng: Rng) -> torch.Tensor:
    """Augment images and undo the normalization that the network wants, so that they can be looked at."""
    varied = augmented(setup.augment, image, label, rng)[0].float()
    # The evaluation pipeline maps 0 and 255 to what Normalize makes of black and white.
    black, white = (
        stacked(setup.evaluation.images(torch.full_like(image[:1], value), Rng.of(0, [0]))).float().mean((0, 2, 3))
        for value in (0, 255)
    )
    scale = (white - black).reshape(1, -1, 1, 1)
    return to_uint8((varied - black.reshape(1, -1, 1, 1)) / scale)
