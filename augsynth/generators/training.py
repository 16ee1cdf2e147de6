"""Train a generator on the user's data, in memory; nothing is written unless it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from augsynth.batch import describe
from augsynth.data.reading import read
from augsynth.generators.base import ImageGenerator
from augsynth.generators.progress import Bar
from augsynth.generators.run import Run
from augsynth.generators.samples import Samples
from augsynth.threads import threads_for

G = TypeVar("G", bound=ImageGenerator)


def fit(
    generator: G,
    data: Any,
    *,
    max_images: int,
    max_time: float | None = None,
    seed: int = 0,
    progress: bool = False,
    checkpoint: str | Path | None = None,
    every: int | None = None,
    preview: str | Path | None = None,
    threads: int | None = None,
) -> G:
    """Train `generator` from scratch on `data`, where its weights are, and return it; global random state is kept.

    data: a map-style dataset of labelled images (PIL, array, or tensor), or a pair of arrays or tensors (images
    `(N, C, H, W)`, labels `(N,)`); uint8, or floats in [0, 1]. max_images: images shown, with repeats.
    max_time: seconds; without a checkpoint the schedules are shortened to it, and the training cannot be repeated
    exactly. seed: of weights, order and noise. progress: show a bar. checkpoint: a file that is written every so many
    images (default a tenth) and at the end, also on Ctrl-C; where it is there already, training goes on from it, to the
    bit as if it had never stopped. preview: a folder for a picture of samples, as often. threads: of the CPU, default
    one for small images. Raises: ValueError or TypeError naming the sample for data that does not fit;
    DivergenceError; CheckpointError for a checkpoint of another training.
    """
    if not isinstance(generator, ImageGenerator):
        raise TypeError(f"fit trains augsynth's generators; train a {type(generator).__name__} by its own means")
    if max_images < 1 or not (max_time is None or max_time > 0) or not (every is None or every > 0):
        raise ValueError(f"fit: max_images={max_images}, max_time={max_time} and every={every} must be above 0")
    # A training that goes on may be given more images than at first, and must find the same data.
    samples = read_samples(data, generator, max_images if checkpoint is None else None, seed)
    generator.classes = _class_names(data, generator.num_classes)
    run = Run(generator, samples, max_images, max_time, seed, checkpoint, every or max(max_images // 10, 1), preview)
    with threads_for(samples.images.shape[1:], threads), Bar(max_images, progress, run.seen) as bar:
        run(bar.update)
    return generator.eval()


def _class_names(data: Any, num_classes: int) -> tuple[str, ...] | None:
    names = getattr(data, "classes", None)
    if isinstance(names, (list, tuple)) and len(names) == num_classes:
        return tuple(map(str, names))
    return None


def read_samples(data: Any, generator: ImageGenerator, limit: int | None, seed: int) -> Samples:
    """Read `limit` samples or all, with the attributes that the generator knows."""
    conditions = getattr(generator, "conditions", None)
    names: tuple[str, ...] = () if conditions is None else tuple(conditions.attributes)
    rows: list[list[float]] = []

    def also(sample: Any, row: int) -> None:
        where = f"sample {row}"
        if not isinstance(sample, Mapping) or not set(names) <= set(sample):
            raise TypeError(
                f"{where}: attributes {', '.join(names)} need a dict with these keys, got {describe(sample)}"
            )
        assert conditions is not None
        rows.append([conditions.value(name, sample[name], where) for name in names])

    images, labels = read(data, generator, limit, seed, also=also) if names else read(data, generator, limit, seed)
    attributes = torch.tensor(rows, dtype=torch.float32) if names else torch.zeros(len(labels), 0)
    return Samples(images, labels, attributes, seed)
