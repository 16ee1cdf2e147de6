"""The training samples of a generator, and which of them are shown when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch

from augsynth.data.reading import floats
from augsynth.rng import Rng

ORDER = "fit order"


@dataclass(frozen=True, eq=False)
class Samples:
    """Images `(N, C, H, W)`, uint8 or floats in [0, 1], labels `(N,)`, attributes `(N, A)`; seed: of the order."""

    images: torch.Tensor
    labels: torch.Tensor
    attributes: torch.Tensor
    seed: int = 0
    _orders: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, first: int, count: int, stream: str = ORDER) -> torch.Tensor:
        """Return the rows shown at places first to first + count - 1 of an endless stream of passes.

        Each pass is an order of its own, keyed by (seed, pass): nothing has to be remembered to go on from any place.
        """
        place = np.arange(first, first + count)
        passes = place // len(self)
        found = [self._order(stream, int(p))[place[passes == p] % len(self)] for p in np.unique(passes)]
        return torch.from_numpy(np.concatenate(found))

    def batch(
        self, first: int, count: int, device: torch.device, stream: str = ORDER
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return images as floats in [0, 1], labels and attributes at these places, on `device`."""
        rows = self.rows(first, count, stream).to(self.labels.device)
        return (
            floats(self.images[rows].to(device)),
            self.labels[rows].to(device),
            self.attributes[rows].to(device),
        )

    def digest(self) -> str:
        """Return 16 hex digits of the SHA-256 of all samples."""
        digest = hashlib.sha256()
        for part in (self.images, self.labels, self.attributes):
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            digest.update(part.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def _order(self, stream: str, number: int) -> np.ndarray:
        if (stream, number) not in self._orders:
            for old in [key for key in self._orders if key[0] == stream and key[1] < number - 1]:
                del self._orders[old]
            self._orders[stream, number] = Rng.of(self.seed, number).permutation(stream, len(self))[0]
        return self._orders[stream, number]
