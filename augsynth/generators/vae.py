"""A conditional variational autoencoder that trains on a CPU in seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from augsynth.batch import Batch
from augsynth.errors import AugsynthError
from augsynth.generators.networks import Decoder, Encoder
from augsynth.provenance import Provenance, weights_hash
from augsynth.rng import Rng

_CHUNK = 512
# Keeps the logarithm of a perfect reconstruction finite; a mean squared error of 1e-5 is below what uint8 resolves.
_MSE_FLOOR = 1e-5


class ConditionalVAE(pl.LightningModule):
    """A VAE conditional on the class label, with a calibrated Gaussian decoder (arXiv:2006.13202).

    image_shape: (C, H, W), any C, H and W from 8. num_classes: labels are 0 to num_classes - 1. latent_dim: size of
    the latent; more for larger images. width: channels of the finest level, a multiple of 4. beta: weight of the KL
    term. lr: peak learning rate of Adam. batch_size: of `augsynth.generators.fit`. seed: of the initial weights.
    Samples come from a Gaussian per class, fitted to the encoded training images after training (arXiv:1903.12436).
    Train with `augsynth.generators.fit`, or with a Lightning Trainer on batches (images, labels).
    """

    class_counts: torch.Tensor
    latent_mean: torch.Tensor
    latent_factor: torch.Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        latent_dim: int = 32,
        width: int = 16,
        beta: float = 1.0,
        lr: float = 1e-2,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.image_shape = _checked_shape(type(self).__name__, image_shape)
        counts = {"num_classes": num_classes, "latent_dim": latent_dim, "width": width, "batch_size": batch_size}
        for name, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"{type(self).__name__}: {name}={count!r} must be an integer of at least 1")
        if width % 4:
            raise ValueError(f"{type(self).__name__}: width={width} must be a multiple of 4")
        if not (beta >= 0 and lr > 0):
            raise ValueError(f"{type(self).__name__}: beta={beta} must be at least 0 and lr={lr} above 0")
        self.num_classes = num_classes
        config = {**counts, "image_shape": self.image_shape, "beta": float(beta), "lr": float(lr), "seed": seed}
        self.save_hyperparameters(config)
        self.register_buffer("class_counts", torch.zeros(num_classes, dtype=torch.int64))
        self.register_buffer("latent_mean", torch.zeros(num_classes, latent_dim))
        self.register_buffer("latent_factor", torch.zeros(num_classes, latent_dim, latent_dim))
        self._hashed: tuple[Any, str] | None = None
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Start over with the initial weights of `seed`; torch's global generator is left as it was."""
        shape = (self.image_shape, self.num_classes, self.hparams["latent_dim"], self.hparams["width"])
        device = self.class_counts.device
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            # channels_last: these few channels convolve 1.3 to 2 times as fast on a CPU.
            self.encoder = Encoder(*shape).to(memory_format=torch.channels_last).to(device)
            self.decoder = Decoder(*shape).to(memory_format=torch.channels_last).to(device)
        self.class_counts.zero_()

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(self.hparams)

    def loss(self, images: torch.Tensor, labels: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return the negative evidence bound per pixel, with the decoder's variance at its optimum.

        images: `(B, C, H, W)` floats in [0, 1]; labels: `(B,)`; noise: `(B, latent_dim)` standard normals.
        """
        mean, log_variance = self.encoder(images, labels)
        decoded = self.decoder(mean + noise * torch.exp(log_variance / 2), labels)
        pixels = images[0].numel()
        reconstruction = pixels / 2 * torch.log(torch.mean((decoded - images) ** 2) + _MSE_FLOOR)
        divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        bound: torch.Tensor = (reconstruction + self.hparams["beta"] * divergence) / pixels
        return bound

    def training_step(self, batch: Any, batch_idx: int = 0) -> torch.Tensor:
        """Lightning's step; the batch is (images, labels) or a dict with "image" and "label"."""
        images, labels = self._unpack(batch)
        loss = self.loss(images, labels, torch.randn(len(labels), self.hparams["latent_dim"], device=images.device))
        self.log("loss", loss, batch_size=len(labels))
        return loss

    def configure_optimizers(self) -> Any:
        """Adam; in a Trainer that knows its number of steps, with the schedule of `fit`."""
        optimizer = self.optimizer()
        steps = self.trainer.estimated_stepping_batches if self._trainer is not None else math.inf
        if math.isinf(steps):
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step / steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimiser of a new training."""
        return torch.optim.Adam(self.parameters(), self.hparams["lr"], betas=(0.9, 0.99))

    def on_train_end(self) -> None:
        """Encode the Trainer's whole training data, on every rank, so that `generate` works."""
        source = self.trainer.train_dataloader
        if not isinstance(source, torch.utils.data.DataLoader):
            raise TypeError(f"{type(self).__name__}: train with one DataLoader, got {type(source).__name__}")
        everything = torch.utils.data.DataLoader(source.dataset, _CHUNK, collate_fn=source.collate_fn)
        self.remember(self._unpack(batch) for batch in everything)

    def remember(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Encode the training data, float images and labels, and keep what sampling needs."""
        means, variances, labels = [], [], []
        with torch.no_grad():
            for images, target in batches:
                mean, log_variance = self.encoder(images.to(self.device), target.to(self.device))
                means.append(mean.cpu())
                variances.append(log_variance.exp().cpu())
                labels.append(target.cpu())
        self._keep(torch.cat(means), torch.cat(variances), torch.cat(labels))

    def _keep(self, means: torch.Tensor, variances: torch.Tensor, labels: torch.Tensor) -> None:
        self.class_counts.copy_(torch.bincount(labels, minlength=self.num_classes))
        for label in np.unique(labels.numpy()).tolist():
            mean, rows = means[labels == label].double().mean(0), labels == label
            centred = means[rows].double() - mean
            # The moments of the mixture of the posteriors; their variance keeps it positive for a class of one sample.
            covariance = centred.T @ centred / int(rows.sum()) + torch.diag(variances[rows].double().mean(0))
            self.latent_mean[label] = mean
            self.latent_factor[label] = torch.linalg.cholesky(covariance)

    def sample_latents(self, labels: torch.Tensor, rng: Rng) -> torch.Tensor:
        """Draw one latent per label `(B,)`, `(B, latent_dim)`, by the key of each sample."""
        normal = torch.from_numpy(rng.normal("latent", self.hparams["latent_dim"])).to(self.device, torch.float32)
        return self.latent_mean[labels] + torch.einsum("bij,bj->bi", self.latent_factor[labels], normal)

    @torch.no_grad()
    def generate(
        self,
        labels: torch.Tensor | Sequence[int],
        seed: int = 0,
        *,
        index: torch.Tensor | Sequence[int] | None = None,
        epoch: int = 0,
    ) -> Batch:
        """Make one image per label `(B,)`; sample j is a function of (seed, epoch, index[j], labels[j]) alone.

        index: default 0 to B - 1, each 0 to 2**32 - 1, as are seed and epoch.
        Raises: ValueError for a label out of range or not in the training data; AugsynthError if untrained.
        """
        target = self._checked_labels(labels)
        rows = np.arange(len(target)) if index is None else index
        rng = Rng.of(seed, [int(row) for row in rows], epoch)
        if len(rng) != len(target):
            raise ValueError(f"generate: {len(rng)} indices for {len(target)} labels")
        latents = self.sample_latents(target, rng)
        images = [
            self.decoder(*part) for part in zip(torch.split(latents, _CHUNK), torch.split(target, _CHUNK), strict=True)
        ]
        image = torch.cat(images).contiguous() if len(target) else latents.new_zeros(0, *self.image_shape)
        checkpoint, name = self.checkpoint_hash(), type(self).__name__
        provenance = tuple(
            Provenance(name, checkpoint, seed, int(row), int(epoch), label)
            for row, label in zip(rng.index, target.tolist(), strict=True)
        )
        return Batch(image, target, torch.ones_like(target, dtype=torch.bool), provenance, torch.from_numpy(rng.index))

    def checkpoint_hash(self) -> str:
        """Return the hash of the weights that stands in each sample's provenance."""
        tensors = [*self.parameters(), *self.buffers()]
        # torch counts a tensor's changes: hashing a large bank of latents anew for each batch would cost 10 ms.
        state = tuple((id(tensor), tensor._version) for tensor in tensors)
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = (state, weights_hash(self.state_dict()))
        return self._hashed[1]

    def save(self, path: str | Path) -> None:
        """Write the generator to one file; read it with `augsynth.generators.load`.

        Raises: CheckpointError where the file cannot be written; an older file then stays as it was.
        """
        from augsynth.generators.checkpoint import save

        save(self, path)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_hashed": None}

    def _checked_labels(self, labels: torch.Tensor | Sequence[int]) -> torch.Tensor:
        target = torch.as_tensor(labels)
        if target.ndim != 1 or (len(target) and (target.is_floating_point() or target.dtype == torch.bool)):
            raise TypeError(f"generate: labels must be integers (B,), got {tuple(target.shape)} {target.dtype}")
        target = target.to(self.device, torch.int64)
        if len(target) and not 0 <= int(target.min()) <= int(target.max()) < self.num_classes:
            bad = int(target[(target < 0) | (target >= self.num_classes)][0])
            raise ValueError(f"generate: label {bad} is outside the generator's classes, 0 to {self.num_classes - 1}")
        if not self.class_counts.any():
            raise AugsynthError(f"this {type(self).__name__} is not trained: call augsynth.generators.fit first")
        absent = target[self.class_counts[target] == 0]
        if len(absent):
            raise ValueError(f"generate: the training data of this generator had no sample of class {int(absent[0])}")
        return target

    def _unpack(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        try:
            images, labels = (batch["image"], batch["label"]) if isinstance(batch, dict) else batch
        except (KeyError, TypeError, ValueError):
            raise TypeError(
                f"{type(self).__name__}: a batch is (images, labels) or a dict with image and label"
            ) from None
        if tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"{type(self).__name__}: images are {tuple(images.shape[1:])}, the generator makes {self.image_shape}"
            )
        return images.float() / 255 if images.dtype == torch.uint8 else images.float(), labels


def learning_rate_factor(progress: float) -> float:
    """Return the factor on the learning rate at a share of the training in [0, 1]: a short warm-up, then a cosine."""
    return min(1.0, progress / 0.04 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0)))


def _checked_shape(name: str, image_shape: Sequence[int]) -> tuple[int, int, int]:
    shape = tuple(int(size) for size in image_shape)
    if len(shape) != 3 or shape[0] < 1 or min(shape[1:]) < 8:
        raise ValueError(
            f"{name}: image_shape={shape} must be (channels, height, width) with sides of at least 8 pixels"
        )
    return shape
