"""Training at a fixed number of optimiser steps, on batches that are a pure function of their key."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from augsynth.quality.samples import Labelled
from augsynth.rng import Rng

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

Advance = Callable[[], None]
# Generated samples of one epoch: epoch -> (image (M, C, H, W) uint8, label (M,)).
Synthesize = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
EVALUATION_BATCH = 500


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of one run: real samples in keyed random order, generated ones mixed in, all through the pipeline.

    An epoch yields each real sample once and `synthetic_count` generated samples, fresh every epoch; batches run on
    across its end. The augmentation of a sample is keyed by (seed, epoch, its place), whichever arm sees it.
    """

    real: Labelled
    pipeline: Pipeline
    batch_size: int
    steps: int
    seed: int
    synthesize: Synthesize | None = None
    synthetic_count: int = 0

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        size = len(self.real) + self.synthetic_count
        needed = self.steps * self.batch_size
        epochs = np.arange(-(-needed // size))
        place = Rng.of(self.seed, epochs).permutation("order", size).reshape(-1)[:needed]
        epoch = np.repeat(epochs, size)[:needed]
        generated: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for start in range(0, needed, self.batch_size):
            rows = slice(start, start + self.batch_size)
            image, label = self._gather(place[rows], epoch[rows], generated)
            yield augmented(self.pipeline, image, label, Rng.of(self.seed, place[rows], epoch=epoch[rows]))

    def _gather(
        self, place: np.ndarray, epoch: np.ndarray, generated: dict[int, tuple[torch.Tensor, torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        is_real = place < len(self.real)
        image = torch.empty(len(place), *self.real.image.shape[1:], dtype=torch.uint8)
        label = torch.empty(len(place), dtype=torch.int64)
        chosen = torch.as_tensor(place[is_real])
        image[torch.as_tensor(is_real)] = self.real.image[chosen]
        label[torch.as_tensor(is_real)] = self.real.label[chosen]
        for current in np.unique(epoch[~is_real]).tolist():
            if current not in generated:
                assert self.synthesize is not None
                # A batch reaches into the epoch before at most where batches are no longer than epochs.
                for old in [key for key in generated if key < current - 1]:
                    del generated[old]
                generated[current] = self.synthesize(current)
            rows = np.flatnonzero(~is_real & (epoch == current))
            source = torch.as_tensor(place[rows] - len(self.real))
            image[torch.as_tensor(rows)] = generated[current][0][source]
            label[torch.as_tensor(rows)] = generated[current][1][source]
        return image, label


def augmented(
    pipeline: Pipeline, image: torch.Tensor, label: torch.Tensor, rng: Rng
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch `(B, C, h, w)` through the pipeline, and its labels: soft ones `(B, K)` where it mixes samples."""
    batch = (image, label)
    targets = pipeline.find_targets([batch], [0], rng.index.tolist(), count=len(image)) if pipeline.mixes else None
    varied = stacked(pipeline.images(image, rng, targets=targets))
    return varied, label if targets is None else targets.put(0, (varied, label), True)[1]


def stacked(images: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
    """Return the pipeline's images as one tensor. Raises: ValueError where their sizes differ."""
    if isinstance(images, torch.Tensor):
        return images
    sizes = sorted({tuple(image.shape[-2:]) for image in images})
    raise ValueError(
        f"the augmentation gives images of different sizes ({', '.join(f'{h}x{w}' for h, w in sizes[:3])}), but a "
        "network takes batches of one size; end it with a Resize, a crop or a RandomResizedCrop to data.image_size"
    )


class Stepped(Protocol):
    """Batches of input and label."""

    @property
    def steps(self) -> int:
        """How many batches there are."""

    @property
    def batch_size(self) -> int:
        """How many samples each has."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]: ...


def train(
    models: Sequence[nn.Module],
    rates: Sequence[float],
    batches: Stepped,
    weight_decay: float | Sequence[float],
    device: torch.device,
    advance: Advance = lambda: None,
) -> float:
    """Train each model at its learning rate on the same batches and return the samples per second of one of them.

    AdamW; the rate warms up over the first twentieth of the steps and falls to zero by a cosine. weight_decay: of all,
    or one for each. advance: called once per model and step.
    """
    decays = [weight_decay] * len(models) if isinstance(weight_decay, (int, float)) else weight_decay
    for model in models:
        # Convolutions on CPU run a third faster on this layout.
        model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizers = [
        torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay, fused=True)
        for model, rate, decay in zip(models, rates, decays, strict=True)
    ]
    started = time.perf_counter()
    for step, (image, label) in enumerate(batches):
        image = _placed(image, device)
        label = label.to(device)
        for model, rate, optimizer in zip(models, rates, optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule(step, batches.steps)
            loss = F.cross_entropy(model(image), label)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            advance()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return batches.steps * batches.batch_size / max(time.perf_counter() - started, 1e-9)


def _placed(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    return batch.to(device, memory_format=torch.channels_last) if batch.ndim == 4 else batch.to(device)


def schedule(step: int, steps: int) -> float:
    """Return the factor on the learning rate: a linear warm-up over a twentieth, then half a cosine to zero."""
    warmup = max(steps // 20, 1)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def predict(model: nn.Module, images: torch.Tensor, evaluation: Pipeline, device: torch.device) -> np.ndarray:
    """Return class probabilities `(N, K)` float32 for uint8 images `(N, C, H, W)`, through the evaluation pipeline."""
    logits = forward(model, images, evaluation, device)
    return logits.double().softmax(1).float().numpy()


@torch.no_grad()
def forward(model: nn.Module, images: torch.Tensor, evaluation: Pipeline, device: torch.device) -> torch.Tensor:
    """Return what a network in evaluation mode makes of uint8 images, `(N, ...)` on the CPU."""
    model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    parts = []
    for start in range(0, len(images), EVALUATION_BATCH):
        rows = np.arange(start, min(start + EVALUATION_BATCH, len(images)))
        # The key does not matter to a deterministic pipeline, but a keyed call leaves the global generator alone.
        batch = stacked(evaluation.images(images[rows[0] : rows[-1] + 1], Rng.of(0, rows)))
        parts.append(model(batch.to(device, memory_format=torch.channels_last)).cpu())
    return torch.cat(parts)


@dataclass(frozen=True)
class Score:
    """How a learning rate did on the validation samples: share classified rightly, mean cross-entropy."""

    accuracy: float
    loss: float

    @property
    def rank(self) -> tuple[float, float]:
        """Larger is better: accuracy first, then the lower loss; a diverged run comes last."""
        return (self.accuracy, -self.loss) if math.isfinite(self.loss) else (-1.0, 0.0)


def score(probabilities: np.ndarray, labels: torch.Tensor) -> Score:
    """Score probabilities `(N, K)` against labels `(N,)`."""
    truth = labels.numpy()
    right = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    accuracy = float((probabilities.argmax(1) == truth).mean())
    return Score(accuracy, float(-np.log(np.maximum(right, 1e-12)).mean()))
