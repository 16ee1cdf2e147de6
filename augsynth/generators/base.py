"""What augsynth's own generators share: the checks, samples by key, and the file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from augsynth.batch import Batch
from augsynth.data.reading import floats
from augsynth.errors import AugsynthError
from augsynth.generators.keyed import (
    check_counts,
    check_truncation,
    checked_labels,
    checked_shape,
    keys_of,
    marked,
    versions,
)
from augsynth.generators.samples import Samples
from augsynth.generators.state import Training
from augsynth.provenance import weights_hash
from augsynth.rng import Rng


class ImageGenerator(pl.LightningModule):
    """A generator of labelled images that `augsynth.generators.fit` can train.

    image_shape: (C, H, W), any C, H and W from 8. num_classes: labels are 0 to num_classes - 1.
    class_counts: `(num_classes,)`, of the training data; all 0 before training. classes: the name of each label,
    where the training data has them.
    """

    class_counts: torch.Tensor
    classes: tuple[str, ...] | None

    def __init__(self, image_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.image_shape = checked_shape(type(self).__name__, image_shape)
        self.check_counts(num_classes=num_classes)
        self.num_classes = num_classes
        self.classes = None
        self.register_buffer("class_counts", torch.zeros(num_classes, dtype=torch.int64))
        self._hashed: tuple[Any, str] | None = None

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Start over with the initial weights of `seed`; torch's global generator is left as it was."""

    @abstractmethod
    def begin(self, samples: Samples, max_images: int, seed: int) -> Training:
        """Return what trains this generator on `samples`, from the weights that it has."""

    @abstractmethod
    def make(
        self, labels: torch.Tensor, rng: Rng, attributes: torch.Tensor | None, truncation: float = 1.0
    ) -> torch.Tensor:
        """Make an image `(B, C, H, W)` in [0, 1] for each label `(B,)`, by the key of each sample."""

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(self.hparams)

    def chosen(
        self, labels: torch.Tensor, attributes: Mapping[str, Any] | None, rng: Rng
    ) -> tuple[torch.Tensor | None, tuple[dict[str, float] | None, ...]]:
        """Return the attributes of each sample as `make` wants them, and as its provenance says them."""
        if attributes:
            raise ValueError(f"generate: this {type(self).__name__} knows no attributes, got {', '.join(attributes)}")
        return None, (None,) * len(labels)

    @torch.no_grad()
    def generate(
        self,
        labels: torch.Tensor | Sequence[int],
        seed: int = 0,
        *,
        index: torch.Tensor | Sequence[int] | None = None,
        epoch: int = 0,
        attributes: Mapping[str, Any] | None = None,
        truncation: float = 1.0,
    ) -> Batch:
        """Make one image per label `(B,)`; sample j is a function of (seed, epoch, index[j], labels[j]) alone.

        index: default 0 to B - 1, each 0 to 2**32 - 1, as are seed and epoch. attributes: name -> a value, or one per
        sample; what is not given is as in a training sample of that class. truncation: 0 to 1, how far samples go from
        what is typical of their class: less is less varied, and truer to the label.
        Raises: ValueError for a label out of range or not in the training data; AugsynthError if untrained.
        """
        target = self._checked_labels(labels)
        rng = keys_of(len(target), seed, index, epoch)
        check_truncation(truncation)
        values, said = self.chosen(target, attributes, rng)
        image = self.make(target, rng, values, truncation)
        return marked(image, target, rng, (type(self).__name__, self.checkpoint_hash()), said, truncation)

    def refresh(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Take from training data what sampling needs beside the weights, before it is tried in a training; nothing."""

    def checkpoint_hash(self) -> str:
        """Return the hash of the weights that stands in each sample's provenance."""
        # torch counts a tensor's changes: hashing a large bank of latents anew for each batch would cost 10 ms.
        state = versions([*self.parameters(), *self.buffers()])
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = (state, weights_hash(self.sampling_state()))
        return self._hashed[1]

    def sampling_state(self) -> dict[str, Any]:
        """Return what its samples depend on."""
        return self.state_dict()

    def save(self, path: str | Path) -> None:
        """Write the generator to one file; read it with `augsynth.generators.load`.

        Raises: CheckpointError where the file cannot be written; an older file then stays as it was.
        """
        from augsynth.generators.checkpoint import save

        save(self, path)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_hashed": None}

    def check_counts(self, **counts: Any) -> None:
        """Raise ValueError for one that is not an integer of at least 1."""
        check_counts(type(self).__name__, **counts)

    def _checked_labels(self, labels: torch.Tensor | Sequence[int]) -> torch.Tensor:
        target = checked_labels(labels, self.num_classes, self.device)
        if not self.class_counts.any():
            raise AugsynthError(f"this {type(self).__name__} is not trained: call augsynth.generators.fit first")
        absent = target[self.class_counts[target] == 0]
        if len(absent):
            raise ValueError(f"generate: the training data of this generator had no sample of class {int(absent[0])}")
        return target

    def unpack(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images as floats in [0, 1], and labels, of a Lightning batch."""
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
        return floats(images).float(), labels
