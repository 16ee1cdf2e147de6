"""Is a generator good enough to mix its samples in? Fidelity, labels, usefulness and copying, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.data.reading import floats
from augsynth.quality.copying import PAIRS, Copying, copying, pixel_points
from augsynth.quality.evaluated import Evaluation, Pictures
from augsynth.quality.features import Extractor, extractors, inception
from augsynth.quality.fidelity import NEIGHBORS, frechet_distance, kernel_distance, overlap
from augsynth.quality.gate import Gate, Metric
from augsynth.quality.samples import Labelled
from augsynth.quality.task import CHUNK, Task
from augsynth.quality.training import predict
from augsynth.quality.usefulness import usefulness
from augsynth.quality.utility import choose_device
from augsynth.threads import threads_for
from augsynth.verdict import Verdict, checkpoint_of, record

if TYPE_CHECKING:
    from augsynth.generators.protocol import Generator

_SHOWN = 8


def evaluate(
    generator: Generator,
    train_set: Any,
    holdout: Any,
    *,
    per_class: int = 500,
    gate: Gate | None = None,
    seed: int = 0,
    device: str = "auto",
    steps: int = 400,
    repeats: int = 3,
    inception_weights: str | Path | None = None,
) -> Evaluation:
    """Compare generated samples with real ones, and leave the verdict on the generator for `blend` and `balance`.

    train_set: what the generator was trained on. holdout: real samples that nothing was trained on, better 200 or more;
    both map-style datasets or pairs (images, labels). One half of it is what generated samples are compared with, the
    other takes their place to show what is reached by real ones. per_class: most samples of a class in each half.
    steps, repeats: of the trainings. inception_weights: a file, for a true FID. Passing is no guarantee of privacy.
    Raises: ValueError or TypeError for data that does not fit.
    """
    for name, value, least in (
        ("per_class", per_class, 2),
        ("steps", steps, 1),
        ("repeats", repeats, 0),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"evaluate: {name}={value!r} must be an integer, {least} or more")
    chosen = torch.device(choose_device(device))
    # Before the work, because it may be wanting.
    extra = [] if inception_weights is None else [inception(inception_weights, chosen)]
    with threads_for(generator.image_shape):
        task = Task.of(generator, train_set, holdout, per_class, seed, chosen, steps)
        report = _measured(task, gate or Gate(), extra, steps, repeats)
    record(generator, Verdict(report.passed, report.reasons, report.checkpoint))
    return report


def _measured(task: Task, gate: Gate, extra: list[Extractor], steps: int, repeats: int) -> Evaluation:
    made = task.generate(task.held.label, epoch=0)
    found = [*extractors(task.network, task.train.image, task.prepare, task.seed, task.device), *extra]
    metrics, classes = _fidelity(task, made, found)
    metrics += [*_usefulness(task, made, steps, repeats), *_critic_gap(task)]
    copies = _copies(task, made, found)
    named = {metric.name: metric for metric in metrics}
    return Evaluation(
        generator=type(task.generator).__name__,
        checkpoint=checkpoint_of(task.generator),
        counts={"generated": len(made), "real": len(task.unseen), "training": len(task.train)},
        metrics=named,
        classes=classes,
        copies=copies,
        gate=gate,
        reasons=gate.reasons(named, classes, copies),
        pictures=_pictures(task, made, copies),
    )


def _fidelity(task: Task, made: Labelled, found: list[Extractor]) -> tuple[list[Metric], dict[int, dict[str, Metric]]]:
    right, right_real = (_agrees(task, samples) for samples in (made, task.held))
    metrics = [Metric("label agreement", float(right.mean()), float(right_real.mean()))]
    classes: dict[int, dict[str, Metric]] = {}
    for label in np.unique(made.label.numpy()).tolist():
        rows = (made.label == label).numpy()
        classes[label] = {
            "label agreement": Metric("label agreement", float(right[rows].mean()), float(right_real[rows].mean()))
        }
    labels = (task.unseen.label, made.label, task.held.label)
    for extractor in found:
        points = [extractor(part.image) for part in (task.unseen, made, task.held)]
        metrics += _distances(points, extractor.name)
        # Inception has more features than a class has samples.
        for label, own in classes.items() if extractor.kind != "inception" else ():
            rows_of = [part[other == label] for part, other in zip(points, labels, strict=True)]
            if min(map(len, rows_of)) >= 2:
                own.update({metric.name: metric for metric in _distances(rows_of, extractor.name)})
    return metrics, classes


def _agrees(task: Task, samples: Labelled) -> np.ndarray:
    found = predict(task.network, samples.image, task.prepare, task.device).argmax(1)
    return np.asarray(found == samples.label.numpy())


def _distances(points: list[torch.Tensor], features: str) -> Iterator[Metric]:
    unseen, made, held = points
    yield Metric("FD", frechet_distance(unseen, made), frechet_distance(unseen, held), features)
    yield Metric("KID", kernel_distance(unseen, made), kernel_distance(unseen, held), features)
    if min(len(unseen), len(made)) > NEIGHBORS:
        found, real = overlap(unseen, made), overlap(unseen, held)
        for name in ("precision", "recall", "density", "coverage"):
            yield Metric(name, getattr(found, name), getattr(real, name), features)


def _usefulness(task: Task, made: Labelled, steps: int, repeats: int) -> list[Metric]:
    if not repeats:
        return []
    # Neither half of the holdout played a part in these trainings.
    test = Labelled(
        torch.cat([task.held.image, task.unseen.image]),
        torch.cat([task.held.label, task.unseen.label]),
        np.arange(len(task.held) + len(task.unseen)),
    )
    found = usefulness(
        task.few,
        lambda repeat: task.generate(task.few.label, epoch=1 + repeat),
        test,
        made,
        task.generator.num_classes,
        task.prepare,
        steps=steps,
        repeats=repeats,
        seed=task.seed,
        device=task.device,
    )
    real = float(np.mean(found.real_on_real))
    return [
        Metric("train synthetic, test real", float(np.mean(found.synthetic_on_real)), real),
        Metric("train real, test synthetic", float(np.mean(found.real_on_synthetic)), real),
    ]


def _critic_gap(task: Task) -> list[Metric]:
    """Return how much higher a discriminator scores what it was trained on than held-out samples, in deviations."""
    critic = getattr(task.generator, "critic", None)
    if critic is None:
        return []
    gaps, deviations = [], []
    scores = [(_scores(critic, samples), samples.label) for samples in (task.few, task.held)]
    # Class by class, because the classes may be scored differently and their shares on both sides differ.
    for label in np.unique(task.held.label.numpy()).tolist():
        seen, held = (values[labels == label] for values, labels in scores)
        gaps.append(float(seen.mean() - held.mean()))
        deviations += [seen - seen.mean(), held - held.mean()]
    spread = float(torch.cat(deviations).square().mean().sqrt())
    return [Metric("critic gap", float(np.mean(gaps)) / max(spread, 1e-12))]


@torch.no_grad()
def _scores(critic: Any, samples: Labelled) -> torch.Tensor:
    owner = getattr(critic, "__self__", None)
    device = next(owner.parameters()).device if isinstance(owner, torch.nn.Module) else torch.device("cpu")
    parts = zip(torch.split(samples.image, CHUNK), torch.split(samples.label, CHUNK), strict=True)
    return torch.cat([critic(floats(i).to(device), y.to(device)).double().cpu().reshape(-1) for i, y in parts])


def _copies(task: Task, made: Labelled, found: list[Extractor]) -> dict[str, Copying]:
    images = [part.image for part in (made, task.train, task.held, task.unseen)]
    near, train, held, unseen = (pixel_points(part).to(task.device) for part in images)
    flipped, flipped_held = (pixel_points(part.image.flip(3)).to(task.device) for part in (made, task.held))
    copies = {"pixels": copying(near, train, held, unseen, (flipped, flipped_held))}
    for extractor in found:
        near, train, held, unseen = (extractor(part).to(task.device) for part in images)
        copies[extractor.name] = copying(near, train, held, unseen)
    return copies


def _pictures(task: Task, made: Labelled, copies: dict[str, Copying]) -> Pictures:
    pairs = {}
    for space, found in copies.items():
        rows = torch.tensor([(pair.made, pair.train) for pair in found.pairs[:PAIRS]])
        pairs[space] = (made.image[rows[:, 0]], task.train.image[rows[:, 1]])
    samples = {}
    for label in np.unique(made.label.numpy()).tolist():
        samples[label] = made.image[made.label == label][:_SHOWN]
    return Pictures(samples, pairs)
