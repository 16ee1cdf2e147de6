"""MixUp, CutMix and Mosaic of each training batch on the device, with soft labels for the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from augsynth.batch import Path
from augsynth.lightning.on_device import AugmentOnDevice
from augsynth.lightning.schedule import AugmentationSchedule
from augsynth.pipeline import Pipeline
from augsynth.transforms.base import Transform, named
from augsynth.transforms.mix import Mix, leaves_in


class MixOnDevice(AugmentOnDevice):
    """Mix the samples of each training batch on the device; the batch's labels become soft, `(B, num_classes)`.

    An `AugmentOnDevice` whose pipeline only mixes, to stand after one that augments, or alone: images may be bytes, or
    floats of any range, normalized ones too. Losses such as `cross_entropy` take soft labels as they are.

    mix: MixUp, CutMix, Mosaic, a choice between them (`OneOf`), or a list or mapping of such. num_classes: needed where
    labels are class numbers. seed: of the partners and weights. keys: what the entries of a batch are, as in
    `Pipeline(keys=...)`. key, index, strength, and what a sample is keyed by: as in `AugmentOnDevice`.
    Raises: ValueError for what does not mix, and for another number of classes than that of the mix itself.
    """

    def __init__(
        self,
        mix: Transform | Sequence[Transform] | Mapping[str, Transform],
        num_classes: int | None = None,
        *,
        seed: int = 0,
        keys: Any = None,
        key: Path = None,
        index: Path = None,
        strength: float | AugmentationSchedule | None = None,
    ) -> None:
        given = named([mix] if isinstance(mix, Transform) else mix, "MixOnDevice")
        steps = {name: _with_classes(step, num_classes) for name, step in given.items()}
        if not steps:
            raise ValueError("MixOnDevice: there is nothing that mixes; give MixUp, CutMix, Mosaic, or OneOf of them")
        super().__init__(Pipeline(steps, seed, keys=keys), key=key, index=index, strength=strength)
        # A mean of values needs no range, and clamping would ruin normalized images.
        self._floats = replace(self.pipeline, engine="torch", clamp=False)

    def suited(self, images: torch.Tensor) -> Pipeline:
        """Return the pipeline for images of this dtype."""
        return self._floats if images.is_floating_point() else self.pipeline


def _with_classes(step: Transform, num_classes: int | None) -> Transform:
    """Return the step with the number of classes in all that mixes in it."""
    if not all(isinstance(leaf, Mix) for leaf in leaves_in(step)):
        raise ValueError(
            f"MixOnDevice: {type(step).__name__} works on single images; give MixUp, CutMix, Mosaic, or OneOf of them, "
            "and the rest to AugmentOnDevice before"
        )
    if not isinstance(step, Mix):
        inner = {name: _with_classes(part, num_classes) for name, part in step.parts().items()}
        return replace(step, transforms=inner)  # type: ignore[type-var]
    if num_classes is None or step.num_classes == num_classes:
        return step
    if step.num_classes is not None:
        raise ValueError(
            f"MixOnDevice: num_classes={num_classes}, but {type(step).__name__} has num_classes={step.num_classes}; "
            "give it once"
        )
    return replace(step, num_classes=num_classes)  # type: ignore[type-var]
