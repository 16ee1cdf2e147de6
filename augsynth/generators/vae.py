"""A conditional variational autoencoder that trains on a CPU in seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from augsynth.data.reading import floats
from augsynth.generators.base import ImageGenerator
from augsynth.generators.keyed import CHUNK
from augsynth.generators.networks import Decoder, Encoder
from augsynth.generators.samples import Samples
from augsynth.rng import Rng

# Keeps the logarithm of a perfect reconstruction finite; a mean squared error of 1e-5 is below what uint8 resolves.
_MSE_FLOOR = 1e-5


class ConditionalVAE(ImageGenerator):
    """A VAE conditional on the class label, with a calibrated Gaussian decoder (arXiv:2006.13202).

    image_shape: (C, H, W), any C, H and W from 8. num_classes: labels are 0 to num_classes - 1. latent_dim: size of
    the latent; more for larger images. width: channels of the finest level, a multiple of 4. beta: weight of the KL
    term. lr: peak learning rate of Adam. batch_size: of `augsynth.generators.fit`. seed: of the initial weights.
    Samples come from a Gaussian per class, fitted to the encoded training images after training (arXiv:1903.12436).
    Train with `augsynth.generators.fit`, or with a Lightning Trainer on batches (images, labels).
    """

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
        super().__init__(image_shape, num_classes)
        counts = {"num_classes": num_classes, "latent_dim": latent_dim, "width": width, "batch_size": batch_size}
        self.check_counts(**counts)
        if width % 4:
            raise ValueError(f"{type(self).__name__}: width={width} must be a multiple of 4")
        if not (beta >= 0 and lr > 0):
            raise ValueError(f"{type(self).__name__}: beta={beta} must be at least 0 and lr={lr} above 0")
        config = {**counts, "image_shape": self.image_shape, "beta": float(beta), "lr": float(lr), "seed": seed}
        self.save_hyperparameters(config)
        self.register_buffer("latent_mean", torch.zeros(num_classes, latent_dim))
        self.register_buffer("latent_factor", torch.zeros(num_classes, latent_dim, latent_dim))
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

    def begin(self, samples: Samples, max_images: int, seed: int) -> VaeTraining:
        """Return what trains this generator on `samples`."""
        return VaeTraining(self, samples, seed)

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
        images, labels = self.unpack(batch)
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
        everything = torch.utils.data.DataLoader(source.dataset, CHUNK, collate_fn=source.collate_fn)
        self.remember(self.unpack(batch) for batch in everything)

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

    def refresh(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Encode training data `(N, C, H, W)` and labels, so that `generate` works in the midst of a training."""
        chunks = zip(torch.split(images, CHUNK), torch.split(labels, CHUNK), strict=True)
        self.remember((floats(part), target) for part, target in chunks)

    def _keep(self, means: torch.Tensor, variances: torch.Tensor, labels: torch.Tensor) -> None:
        self.class_counts.copy_(torch.bincount(labels, minlength=self.num_classes))
        for label in np.unique(labels.numpy()).tolist():
            mean, rows = means[labels == label].double().mean(0), labels == label
            centred = means[rows].double() - mean
            # The moments of the mixture of the posteriors; their variance keeps it positive for a class of one sample.
            covariance = centred.T @ centred / int(rows.sum()) + torch.diag(variances[rows].double().mean(0))
            self.latent_mean[label] = mean
            self.latent_factor[label] = torch.linalg.cholesky(covariance)

    def sample_latents(self, labels: torch.Tensor, rng: Rng, truncation: float = 1.0) -> torch.Tensor:
        """Draw one latent per label `(B,)`, `(B, latent_dim)`, by the key of each sample.

        truncation: 0 for the mean of the class, 1 for the whole distribution.
        """
        drawn = truncation * rng.normal("latent", self.hparams["latent_dim"])
        normal = torch.from_numpy(drawn).to(self.device, torch.float32)
        return self.latent_mean[labels] + torch.einsum("bij,bj->bi", self.latent_factor[labels], normal)

    def make(
        self, labels: torch.Tensor, rng: Rng, attributes: torch.Tensor | None = None, truncation: float = 1.0
    ) -> torch.Tensor:
        """Make an image `(B, C, H, W)` in [0, 1] for each label `(B,)`, by the key of each sample."""
        latents = self.sample_latents(labels, rng, truncation)
        if not len(labels):
            return latents.new_zeros(0, *self.image_shape)
        parts = zip(torch.split(latents, CHUNK), torch.split(labels, CHUNK), strict=True)
        return torch.cat([self.decoder(*part) for part in parts]).contiguous()


class VaeTraining:
    """What trains a `ConditionalVAE` inside `fit`."""

    def __init__(self, vae: ConditionalVAE, samples: Samples, seed: int) -> None:
        self.vae, self.samples, self.seed, self.optimizer = vae, samples, seed, vae.optimizer()

    def step(self, seen: int, count: int, share: float) -> Mapping[str, torch.Tensor]:
        """Show `count` images."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.vae.hparams["lr"] * learning_rate_factor(share)
        images, labels, _ = self.samples.batch(seen, count, self.vae.device)
        normal = Rng.of(self.seed, np.arange(count) + seen).normal("fit noise", self.vae.hparams["latent_dim"])
        loss = self.vae.loss(images, labels, torch.from_numpy(normal).float().to(self.vae.device))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"loss": loss.detach()}

    def sick(self, figures: Mapping[str, float], seen: int, share: float) -> str | None:
        """Say that the loss is not finite, where it is not."""
        return None if math.isfinite(figures["loss"]) else f"the loss is {figures['loss']}"

    def finish(self) -> None:
        """Encode the training data, from which samples are drawn."""
        self.vae.refresh(self.samples.images, self.samples.labels)

    def state(self) -> dict[str, Any]:
        """Return the optimiser's state."""
        return {"optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `state` gave."""
        self.optimizer.load_state_dict(state["optimizer"])


def learning_rate_factor(progress: float) -> float:
    """Return the factor on the learning rate at a share of the training in [0, 1]: a short warm-up, then a cosine."""
    return min(1.0, progress / 0.04 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0)))
