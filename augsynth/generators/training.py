"""Train a generator on the user's data, in memory and without a trace elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch

from augsynth.batch import find_image, get_image
from augsynth.data.labels import as_label, find_label, get_label
from augsynth.errors import AugsynthError
from augsynth.generators.vae import ConditionalVAE, learning_rate_factor
from augsynth.images import Form, check_values, to_tensor
from augsynth.rng import Rng

G = TypeVar("G", bound=ConditionalVAE)
# Values of an image up to which training uses one CPU thread.
_SMALL = 64 * 64 * 3


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
    with _threads(images):
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


@contextmanager
def _threads(images: torch.Tensor) -> Iterator[None]:
    """Use one CPU thread for small images: more gain little, and cost tenfold where others use the cores too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if images[0].numel() <= _SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def _floats(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def read(data: Any, generator: ConditionalVAE, limit: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Read `limit` samples or all: images `(N, C, H, W)`, uint8 or float32 in [0, 1], and labels `(N,)` int64."""
    data = _Pairs(*data) if _is_pair(data) else data
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(f"fit needs a map-style dataset or a pair (images, labels), got {type(data).__name__}")
    if len(data) == 0:
        raise ValueError("fit: the dataset is empty")
    order = np.arange(len(data))
    rows = order if limit >= len(order) else np.sort(Rng.of(seed, 0).permutation("fit order", len(order))[0][:limit])
    if len(rows) < generator.num_classes:
        raise ValueError(f"fit: {len(rows)} samples for {generator.num_classes} classes are too few")
    images, labels = zip(*(_read_sample(data[int(row)], int(row), generator) for row in rows), strict=True)
    if generator.num_classes > 1 and len(set(labels)) == 1:
        raise ValueError(f"fit: all {len(labels)} samples are of class {labels[0]}; a conditional generator needs two")
    if any(image.dtype != torch.uint8 for image in images):
        images = tuple(_floats(image).float() for image in images)
    return torch.stack(images), torch.tensor(labels)


def _read_sample(sample: Any, row: int, generator: ConditionalVAE) -> tuple[torch.Tensor, int]:
    where = f"sample {row}"
    path = find_image(sample)
    label = get_label(sample, find_label(sample, path), where)
    if label >= generator.num_classes:
        raise ValueError(f"{where}: label {label} is outside the generator's classes, 0 to {generator.num_classes - 1}")
    image = get_image(sample, path)
    form = Form.of(image, where)
    tensor = to_tensor(image, form)
    check_values([tensor], [form])
    if tuple(tensor.shape) != generator.image_shape:
        raise ValueError(
            f"{where}: the image is {tuple(tensor.shape)}, the generator makes {generator.image_shape}; "
            "bring all images to one size and channel count first"
        )
    return tensor, label


def _is_pair(data: Any) -> bool:
    arrays = (torch.Tensor, np.ndarray)
    return isinstance(data, (tuple, list)) and len(data) == 2 and all(isinstance(part, arrays) for part in data)


class _Pairs:
    """A pair of arrays or tensors, images and labels, as a map-style dataset."""

    def __init__(self, images: Any, labels: Any) -> None:
        if len(images) != len(labels):
            raise ValueError(f"fit: {len(images)} images and {len(labels)} labels")
        if images.ndim != 4:
            raise ValueError(f"fit: images must be (N, C, H, W), got {tuple(images.shape)}")
        self.images, self.labels = torch.as_tensor(images), labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, Any]:
        return self.images[row], as_label(self.labels[row])


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
