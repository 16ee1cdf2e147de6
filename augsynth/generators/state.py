"""What `augsynth.generators.fit` asks of a training that is under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch


class Training(Protocol):
    """A generator's weights, optimisers and whatever else changes while it is trained.

    All that is random is keyed by how many images were seen: state and that number are enough to go on.
    """

    def step(self, seen: int, count: int, share: float) -> Mapping[str, torch.Tensor]:
        """Show `count` images from place `seen` on; share: of the whole training that is done, in [0, 1].

        Returns figures, scalars by name; "loss" among them. They are left on the device: reading one waits for it.
        """

    def sick(self, figures: Mapping[str, float], seen: int, share: float) -> str | None:
        """Say what has gone wrong with the training, by the figures averaged since the last call; None if nothing."""

    def finish(self) -> None:
        """Leave the generator ready to make samples."""

    def state(self) -> dict[str, Any]:
        """Return all but the generator's own state dict: optimisers above all."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `state` gave."""
