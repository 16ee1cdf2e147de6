"""Train a generator on the user's data, in memory and without a trace elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
import torch

from augsynth.data.reading import floats as _floats
from augsynth.data.reading import read
from augsynth.errors import AugsynthError
from augsynth.generators.vae import ConditionalVAE, learning_rate_factor
from augsynth.rng import Rng
from augsynth.threads import threads_for

G = TypeVar("G", bound=ConditionalVAE)


def fit(
    generator: G,
    data: Any,
    *,
    max_images: int,
    max_time: float | None = None,
    seed: int = 0,
    progress: bool = False,
) -> G:
    """Train `generator` from scratch on `data` and return it; nothing is written, global random state is left alone.

    data: a map-style dataset of labelled images (PIL, array, or tensor), or a pair of arrays or tensors (images
    `(N, C, H, W)`, labels `(N,)`); uint8, or floats in [0, 1]. max_images: images shown, with repeats; 20,000 or more
    for a good result. max_time: seconds; a training that it ends early cannot be repeated exactly, any other can.
    seed: of weights, order and noise. progress: show a bar.
    Raises: ValueError or TypeError naming the sample for data that does not fit.
    """
    if not isinstance(generator, ConditionalVAE):
        raise TypeError(f"fit trains augsynth's generators; train a {type(generator).__name__} by its own means")
    if max_images < 1 or not (max_time is None or max_time > 0):
        raise ValueError(f"fit: max_images={max_images} and max_time={max_time} must be above 0")
    images, labels = read(data, generator, max_images, seed)
    generator.reset(seed)
    generator.train()
    with threads_for(images[0].shape):
        _train(generator, images, labels, max_images, max_time, seed, progress)
        chunks = zip(torch.split(images, 512), torch.split(labels, 512), strict=True)
        generator.remember((_floats(chunk), target) for chunk, target in chunks)
    return generator.eval()


def _train(
    generator: ConditionalVAE,
    images: torch.Tensor,
    labels: torch.Tensor,
    max_images: int,
    max_time: float | None,
    seed: int,
    progress: bool,
) -> None:
    optimizer, rate = generator.optimizer(), generator.hparams["lr"]
    started, seen, loss = time.monotonic(), 0, 0.0
    with _Bar(max_images) if progress else nullcontext() as bar:
        for rows in _batches(len(labels), generator.hparams["batch_size"], max_images, seed):
            share = seen / max_images
            if max_time is not None:
                share = max(share, (time.monotonic() - started) / max_time)
            if share >= 1 and seen:
                break
            for group in optimizer.param_groups:
                group["lr"] = rate * learning_rate_factor(share)
            loss = _step(generator, optimizer, images[rows], labels[rows], Rng.of(seed, np.arange(len(rows)) + seen))
            seen += len(rows)
            if bar is not None:
                bar.update(seen, loss)
    if not math.isfinite(loss):
        raise AugsynthError(f"fit: the training diverged (loss {loss}); lower lr={rate}")


def _step(
    generator: ConditionalVAE,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
    rng: Rng,
) -> float:
    noise = torch.from_numpy(rng.normal("fit noise", generator.hparams["latent_dim"])).float()
    device = generator.device
    loss = generator.loss(_floats(images.to(device)), labels.to(device), noise.to(device))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def _batches(count: int, size: int, max_images: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield rows, `max_images` in all: pass after pass in fresh orders, batches running on across their borders."""
    order, passes, left = np.zeros(0, np.int64), 0, max_images
    while left:
        take = min(size, left)
        while len(order) < take:
            order = np.concatenate([order, Rng.of(seed, passes).permutation("fit order", count)[0]])
            passes += 1
        yield torch.from_numpy(order[:take])
        order, left = order[take:], left - take


class _Bar:
    """A progress bar that says how many images were shown and what the loss is."""

    def __init__(self, total: int) -> None:
        from rich.progress import Progress

        self.progress = Progress()
        self.task = self.progress.add_task("training", total=total)

    def __enter__(self) -> _Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, seen: int, loss: float) -> None:
        self.progress.update(self.task, completed=seen, description=f"training, loss {loss:.3f}")
