"""Augment in front of a collate function: for loaders and streams of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.utils.data import default_collate

from augsynth.batch import Path
from augsynth.data import slots
from augsynth.data.augmenting import Augmenter
from augsynth.data.collate import collate
from augsynth.finding import Keys
from augsynth.rng import Rng


class AugmentingCollate:
    """A collate function that augments a batch's samples, then calls the user's; made by `wrap`.

    Draws fresh keys from torch's generator, which a DataLoader seeds for each worker and epoch: reproducible under
    torch.manual_seed, and never the same twice by accident.
    """

    def __init__(
        self, collate_fn: Callable[[Any], Any], pipeline: Any, key: Path = None, keys: Keys | None = None
    ) -> None:
        # Ours does the same, and takes the batch of images as it is.
        self.collate_fn = collate if collate_fn is default_collate else collate_fn
        self.pipeline, self.key, self.keys = pipeline, key, keys

    def __call__(self, samples: Sequence[Any]) -> Any:
        """Return the user's batch of the augmented samples."""
        augment = Augmenter(self.pipeline, self.key, self.keys)
        count = len(samples)
        return self.collate_fn(augment(list(samples), Rng.fresh(count), range(count), slots.lending))

    def __repr__(self) -> str:
        return f"wrap({self.collate_fn!r}, {self.pipeline!r})"
