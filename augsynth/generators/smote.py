"""Latent SMOTE: new samples between neighbours of one class, in the latent space of the conditional VAE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from augsynth.generators.vae import ConditionalVAE
from augsynth.rng import Rng

_JITTER = 0.5


class LatentSMOTE(ConditionalVAE):
    """A conditional VAE that samples between a training latent and one of its neighbours of the same class.

    neighbors: how many nearest neighbours to choose from. The other arguments are those of `ConditionalVAE`.
    The point between the two is uniform. A class of one sample has no neighbour: its latent gets normal jitter of
    standard deviation 0.5. The training latents are kept in the checkpoint. After DeepSMOTE, arXiv:2105.02340.
    """

    def __init__(self, image_shape: Sequence[int], num_classes: int, *, neighbors: int = 5, **options: Any) -> None:
        if isinstance(neighbors, bool) or not isinstance(neighbors, int) or neighbors < 1:
            raise ValueError(f"{type(self).__name__}: neighbors={neighbors!r} must be an integer of at least 1")
        super().__init__(image_shape, num_classes, **options)
        self.save_hyperparameters({"neighbors": neighbors})
        self._set_bank(torch.zeros(0, self.hparams["latent_dim"]), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 1))

    def _keep(self, means: torch.Tensor, variances: torch.Tensor, labels: torch.Tensor) -> None:
        super()._keep(means, variances, labels)
        order = torch.argsort(labels, stable=True)
        self._set_bank(means[order], labels[order], _neighbors(means[order], labels[order], self.hparams["neighbors"]))

    def _set_bank(self, latents: torch.Tensor, labels: torch.Tensor, neighbors: torch.Tensor) -> None:
        # Not buffers: a state dict's buffers have a fixed shape, and this one has a row per training sample.
        self._bank = {"latents": latents, "labels": labels, "neighbors": neighbors.to(torch.int64)}

    def get_extra_state(self) -> dict[str, torch.Tensor]:
        """Put the bank of latents into the state dict."""
        return self._bank

    def set_extra_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take the bank of latents from a state dict."""
        self._set_bank(**state)

    def sample_latents(self, labels: torch.Tensor, rng: Rng, truncation: float = 1.0) -> torch.Tensor:
        """Draw one latent per label `(B,)`, `(B, latent_dim)`, by the key of each sample.

        truncation: how much of the way to the neighbour is allowed: at 0 samples are reconstructions of training ones.
        """
        classes = labels.cpu().numpy()
        counts = self.class_counts.cpu().numpy()
        first = np.cumsum(counts) - counts
        uniform = rng.uniform("smote", 3)
        anchor = first[classes] + (uniform[:, 0] * counts[classes]).astype(np.int64)
        choices = np.minimum(self.hparams["neighbors"], counts[classes] - 1)
        column = (uniform[:, 1] * np.maximum(choices, 1)).astype(np.int64)
        bank = self._bank["latents"]
        start = bank[torch.from_numpy(anchor)]
        end = bank[self._bank["neighbors"][torch.from_numpy(anchor), torch.from_numpy(column)]]
        share = torch.from_numpy(truncation * uniform[:, 2:]).float()
        spread = (truncation * _JITTER * (choices == 0))[:, None]
        jitter = torch.from_numpy(rng.normal("jitter", bank.shape[1]) * spread).float()
        return (start + share * (end - start) + jitter).to(self.device)


def _neighbors(latents: torch.Tensor, labels: torch.Tensor, most: int) -> torch.Tensor:
    """Return `(N, most)` rows: each sample's nearest others of its class; where there are fewer, itself fills up."""
    from sklearn.neighbors import NearestNeighbors

    table = np.repeat(np.arange(len(labels))[:, None], most, axis=1)
    for label in np.unique(labels.numpy()).tolist():
        rows = np.flatnonzero((labels == label).numpy())
        count = min(most, len(rows) - 1)
        if count:
            points = latents[torch.from_numpy(rows)].numpy()
            # Without a query the search leaves each point itself out, also where points coincide.
            found = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(return_distance=False)
            table[rows, :count] = rows[found]
    return torch.from_numpy(table)
