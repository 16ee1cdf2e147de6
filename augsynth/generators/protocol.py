"""What augsynth asks of a generator; a class of your own that has these members is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from augsynth.batch import Batch


@runtime_checkable
class Generator(Protocol):
    """A source of labelled images.

    num_classes: labels are 0 to num_classes - 1. image_shape: (C, H, W) of what it makes.
    """

    num_classes: int
    image_shape: tuple[int, int, int]

    def generate(
        self,
        labels: torch.Tensor | Sequence[int],
        seed: int = 0,
        *,
        index: torch.Tensor | Sequence[int] | None = None,
        epoch: int = 0,
    ) -> Batch:
        """Make one image per label `(B,)`; sample j is a function of (seed, epoch, index[j], labels[j]) alone.

        index: default 0 to B - 1. Every sample of the batch is marked synthetic and has its provenance.
        """

    def save(self, path: str | Path) -> None:
        """Write the generator to one file."""
