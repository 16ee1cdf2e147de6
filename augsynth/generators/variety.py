"""Signs of an adversarial training that has gone wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from augsynth.data.reading import floats
from augsynth.rng import Rng

if TYPE_CHECKING:
    from augsynth.generators.gan import ConditionalGAN
    from augsynth.generators.samples import Samples

_CLASSES, _EACH = 8, 16
# Early figures say nothing yet, and one bad reading may be chance.
_GRACE, _STRIKES = 0.1, 3
_LEAST_VARIETY, _MOST_APART = 0.1, 100.0


@torch.no_grad()
def variety(gan: ConditionalGAN, samples: Samples) -> float:
    """Return how much generated images of one class differ, over how much real ones do: about 1 where all is well.

    The mean standard deviation of a pixel within a class, over up to 8 classes of at least 2 samples.
    """
    counts = torch.bincount(samples.labels, minlength=gan.num_classes)
    made, real = [], []
    for label in torch.where(counts >= 2)[0].tolist()[:_CLASSES]:
        rows = torch.where(samples.labels == label)[0][:_EACH]
        rng = Rng.of(0, np.arange(len(rows)))
        values = samples.attributes[rows].to(gan.device)
        made.append(gan.make(samples.labels[rows].to(gan.device), rng, values).std(0).mean())
        real.append(floats(samples.images[rows]).float().std(0).mean())
    if not made:
        return 1.0
    return float(torch.stack(made).mean().cpu() / torch.stack(real).mean().cpu().clamp(min=1e-6))


class Health:
    """Counts the readings in a row that look ill."""

    def __init__(self) -> None:
        self.strikes = 0

    def verdict(self, figures: Mapping[str, float], found: float, share: float) -> str | None:
        """Say what has gone wrong, None if nothing. found: `variety`; share: of the training that is done."""
        broken = [name for name, value in figures.items() if not math.isfinite(value)]
        if broken or not math.isfinite(found):
            return f"{' and '.join(broken) or 'the images'} became not a number"
        ill = None
        if found < _LEAST_VARIETY:
            ill = f"samples of a class have collapsed to {found:.0%} of the variety of the real ones"
        r1, r2 = figures.get("r1", 0.0), figures.get("r2", 0.0)
        if max(r1, r2) > _MOST_APART * min(r1, r2) and max(r1, r2) > 1:
            ill = f"the critic's slopes at real and at generated images are far apart (R1 {r1:.3g}, R2 {r2:.3g})"
        self.strikes = self.strikes + 1 if ill and share >= _GRACE else 0
        return ill if self.strikes >= _STRIKES else None
