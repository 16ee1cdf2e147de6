"""The comparison on texts: arms are pipelines of text; training, pairing and statistics are those of images."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from augsynth.configured import described
from augsynth.quality.models import ModelFactory, accepted, seeded
from augsynth.quality.protocol import Protocol
from augsynth.quality.results import Comparison, Run, TextExample
from augsynth.quality.runs import Counter, Done, Listener, Phase
from augsynth.quality.samples import check_labels, choose_test, derive, few_positions, split_validation
from augsynth.quality.text_models import WordCNN, Words
from augsynth.quality.text_samples import TextBatches, Texts, TextSource, warn_of_long, written
from augsynth.quality.training import EVALUATION_BATCH, Score, score, train
from augsynth.quality.utility import carry_out, choose_device
from augsynth.rng import Rng
from augsynth.text_run import edit_and_list

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

EXAMPLES = 6  # texts of the first seed that the report shows
# Name -> the pipeline that the training texts pass through, None for none; or what makes one of token ids from the
# words that the network knows.
Arm = Any
Arms = Mapping[str, Arm]


@dataclass(frozen=True, eq=False)
class TextSetup:
    """What every worker gets."""

    protocol: Protocol
    arms: Arms
    few: dict[int, Texts]
    test: Texts
    classes: tuple[str, ...]
    model: ModelFactory
    device: str


@dataclass(frozen=True)
class TextTask:
    """The run of one arm with one seed."""

    number: int
    seed: int
    arm: str


def text_tasks(protocol: Protocol) -> list[TextTask]:
    """Return the tasks, seed by seed."""
    seeds = range(protocol.seed, protocol.seed + protocol.seeds)
    pairs = [(seed, arm) for seed in seeds for arm in protocol.arms]
    return [TextTask(number, seed, arm) for number, (seed, arm) in enumerate(pairs)]


def compare_texts(
    train_source: TextSource,
    test_source: TextSource,
    *,
    arms: Arms,
    model: ModelFactory = WordCNN,
    protocol: Protocol | None = None,
    device: str = "auto",
    workers: int | None = 1,
    listen: Listener = lambda event: None,
) -> Comparison:
    """Train every arm with every seed and return what came out; Ctrl-C returns what has finished.

    arms: pipelines of text by name, None for plain training. model: called with those of num_classes and vocab_size
    that it takes. The words it knows are those of the training texts of its seed. device, workers: as `compare`.
    Raises: ValueError or TypeError before any training, where data, network or protocol do not fit.
    """
    protocol = protocol or Protocol(arms=tuple(arms), primary=_pair(arms), secondary=())
    protocol.check_arms(list(arms))
    started = time.perf_counter()
    setup = prepare_texts(train_source, test_source, arms, model, protocol, device)
    outcome = carry_out(run_text_task, setup, text_tasks(protocol), workers, listen, started, "texts")
    pipelines = {arm: None if arms[arm] is None else described(arms[arm]) for arm in protocol.arms}
    return replace(outcome, pipelines=pipelines)


def _pair(arms: Arms) -> tuple[str, str]:
    names = list(arms)
    return names[-1], names[0]


def prepare_texts(
    train_source: TextSource,
    test_source: TextSource,
    arms: Arms,
    model: ModelFactory,
    protocol: Protocol,
    device: str,
) -> TextSetup:
    """Draw the samples of each seed, and try network and pipelines on some, so that errors come first."""
    check_labels(train_source, test_source, protocol.labels_per_class)
    few = {}
    for seed in range(protocol.seed, protocol.seed + protocol.seeds):
        drawn = few_positions(train_source, protocol.labels_per_class, derive(seed, "few labels"))
        few[seed] = Texts.of(train_source, drawn)
    chosen = choose_test(test_source, protocol.test_limit, derive(protocol.seed, "test"))
    test = Texts.of(test_source, chosen)
    warn_of_long([*few.values(), test])
    setup = TextSetup(protocol, arms, few, test, train_source.classes, model, choose_device(device))
    first = few[protocol.seed]
    for name in protocol.arms:
        pipeline = learned(arms[name], first, Words.of(first.text))
        if pipeline is not None and pipeline.text_plan is None and pipeline.token_plan is None:
            raise ValueError(f"arm {name!r} has no transforms of text; on texts choose aeda, eda, text_light or typos")
        if pipeline is not None and pipeline.text_plan is not None:
            written(pipeline, first.text[:2].tolist(), first.label[:2], Rng.of(0, [0, 1]))
    make_text_model(model, len(setup.classes), Words.of(first.text), seed=0)
    return setup


def learned(arm: Arm, samples: Texts, words: Words) -> Pipeline | None:
    """Return an arm's pipeline, with the words of labels that these samples show, where it is to leave them alone."""
    if arm is None or not hasattr(arm, "text_plan"):
        made: Pipeline | None = arm if arm is None else arm(words)
        return made
    found: Pipeline = arm if arm.text_plan is None else arm.learn(samples.text, samples.label.tolist())
    return found


def make_text_model(factory: ModelFactory, num_classes: int, words: Words, seed: int) -> nn.Module:
    """Build a network with seeded weights and check that it maps ids to `(B, num_classes)`.

    Raises: TypeError or ValueError that name the network and the shape it gave.
    """
    name = str(getattr(getattr(factory, "func", factory), "__qualname__", type(factory).__name__))
    with seeded(seed):
        model = factory(**accepted(factory, {"num_classes": num_classes, "vocab_size": words.vocab_size}))
        if not isinstance(model, nn.Module):
            raise TypeError(f"model {name} must be a torch.nn.Module, got {type(model).__name__}")
        try:
            with torch.no_grad():
                output = model.eval()(torch.ones(2, 8, dtype=torch.int64))
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ValueError(f"model {name} fails on ids of shape (2, 8) int64: {reason}") from error
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (2, num_classes):
        raise ValueError(
            f"model {name} gives {shape} for 2 texts; with {num_classes} classes it must give (2, {num_classes})"
        )
    return model.train()


def run_text_task(setup: TextSetup, task: TextTask, listen: Listener) -> None:
    """Train one arm with one seed and hand the finished run to `listen`."""
    few, protocol, started = setup.few[task.seed], setup.protocol, time.perf_counter()
    fit, validation = split_validation(few, protocol.validation_share, derive(task.seed, "validation"))
    who = f"seed {task.seed} {task.arm}"
    listen(Phase(task.number, f"{who}: learning rate"))
    models, words, _ = _train(setup, task, fit, protocol.learning_rates, listen)
    scores = {
        rate: _score(model, words, validation, setup.device)
        for rate, model in zip(protocol.learning_rates, models, strict=True)
    }
    rate = max(scores, key=lambda candidate: scores[candidate].rank)
    listen(Phase(task.number, f"{who}: training"))
    models, words, speed = _train(setup, task, few, [rate], listen)
    probabilities = predict_texts(models[0], words, setup.test.text, torch.device(setup.device))
    listen(Run(task.arm, task.seed, rate, scores, probabilities, speed, time.perf_counter() - started))
    if task.seed == protocol.seed:
        listen(_example(setup, task, few))
    listen(Done(task.number))


def _train(
    setup: TextSetup, task: TextTask, samples: Texts, rates: Sequence[float], listen: Listener
) -> tuple[list[nn.Module], Words, float]:
    """Train one model per rate on the same batches, from the same weights in every arm."""
    device, words = torch.device(setup.device), Words.of(samples.text)
    seed: Callable[[str], int] = lambda name: derive(task.seed, "text", name)  # noqa: E731
    models = [make_text_model(setup.model, len(setup.classes), words, seed("weights")) for _ in rates]
    pipeline = learned(setup.arms[task.arm], samples, words)
    protocol = setup.protocol
    batches = TextBatches(samples, words, pipeline, protocol.batch_size, protocol.steps, seed("batches"))
    counter = Counter(task.number, task.arm, listen)
    with seeded(seed("dropout"), device):
        speed = train(models, rates, batches, protocol.weight_decay, device, counter.advance)
    counter.flush()
    return models, words, speed


def _score(model: nn.Module, words: Words, samples: Texts, device: str) -> Score:
    return score(predict_texts(model, words, samples.text, torch.device(device)), samples.label)


@torch.no_grad()
def predict_texts(model: nn.Module, words: Words, texts: np.ndarray, device: torch.device) -> np.ndarray:
    """Return class probabilities `(N, K)` float32 of texts as they are."""
    model.to(device).eval()
    parts = []
    for start in range(0, len(texts), EVALUATION_BATCH):
        ids = words.encode(texts[start : start + EVALUATION_BATCH].tolist())
        parts.append(model(ids.to(device)).double().softmax(1).float().cpu().numpy())
    return np.concatenate(parts)


def _example(setup: TextSetup, task: TextTask, few: Texts) -> TextExample:
    rows = np.arange(0, len(few), max(len(few) // EXAMPLES, 1))[:EXAMPLES]
    texts = few.text[rows].tolist()
    edits: list[list[Any]] = [[] for _ in texts]
    pipeline = learned(setup.arms[task.arm], few, Words.of(few.text))
    if pipeline is not None and pipeline.text_plan is not None:
        edits = edit_and_list(pipeline.text_plan, texts, Rng.of(derive(task.seed, "text", "batches"), rows))[1]
    names = tuple(setup.classes[label] for label in few.label[torch.as_tensor(rows)].tolist())
    return TextExample(task.arm, tuple(texts), tuple(map(tuple, edits)), names)
