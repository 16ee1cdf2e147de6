"""Each transform at work: one draw, at several strengths, through the pipeline that users call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from augsynth.gallery.catalogue import FOLLOW, NEED_PARTNERS, file_of, follow
from augsynth.gallery.entries import FADED, transform
from augsynth.gallery.subject import Sample, Subject
from augsynth.pipeline import Pipeline
from augsynth.transforms import Transform
from augsynth.transforms.base import snake

# Draws among which one is chosen to be shown.
CANDIDATES = 12
# Mean difference in steps of 1/255 below which nobody sees a change.
VISIBLE = 0.5


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One transform on the gallery's picture.

    index: the sample's number whose draw is shown; the same at every strength. ground: which original it stands on,
    "plain", "marked" with targets, or "faded". original, and shown[strength]: samples with `image` `(H, W, 3)` uint8
    and, where they follow, the targets.
    """

    name: str
    transform: Transform
    index: int
    ground: str
    original: Sample
    shown: dict[float, Sample]

    @property
    def steady(self) -> bool:
        """Tell whether all strengths give the same picture."""
        first, *rest = self.shown.values()
        return all(same(first, other) for other in rest)


def same(one: Sample, other: Sample) -> bool:
    """Tell whether two samples have the same pixels and as many boxes."""
    return np.array_equal(one["image"], other["image"]) and len(one.get("boxes", ())) == len(other.get("boxes", ()))


def exhibit(name: str, subject: Subject, strengths: Sequence[float], seed: int) -> Exhibit:
    """Draw one transform of the registry at ascending `strengths`, each in (0, 1]."""
    shown = transform(name, subject.side)
    pipeline = Pipeline({snake(name): shown}, seed=seed)
    mixes = file_of(name) in NEED_PARTNERS
    ground = "faded" if name in FADED else "marked" if mixes or follow(pipeline) == FOLLOW else "plain"
    stand = _Stand(pipeline, subject.on(ground), subject.partners if mixes else [])
    index = stand.choose(strengths)
    return Exhibit(name, shown, index, ground, stand.sample, {s: stand.draw([index], s)[0] for s in strengths})


class _Stand:
    """A pipeline before the picture, beside the partners that it needs."""

    def __init__(self, pipeline: Pipeline, sample: Sample, partners: Sequence[Sample]) -> None:
        self.pipeline, self.sample, self.partners = pipeline, sample, partners

    def draw(self, indices: Sequence[int], strength: float) -> list[Sample]:
        """Return the sample under each index; beside partners one by one, because a batch is mixed as a whole."""
        if not self.partners:
            batch = [self.sample] * len(indices)
            return [viewable(out) for out in self.pipeline(batch, index=list(indices), strength=strength)]
        others = [10_000 + number for number in range(len(self.partners))]
        batch = [self.sample, *self.partners]
        return [viewable(self.pipeline(batch, index=[i, *others], strength=strength)[0]) for i in indices]

    def choose(self, strengths: Sequence[float]) -> int:
        """Return the index whose draw shows the transform best.

        Best is a plain change that is there at the weakest strength and grows, else one that sets in on the way.
        """
        full, weak = (self._changes(strength) for strength in (strengths[-1], strengths[0]))
        seen = full > VISIBLE
        grows = seen & (weak > VISIBLE / 2) & (weak < 0.9 * full)
        # What cannot grow, such as a flip, is applied from some strength on; better one that lets this be seen.
        sets_in = seen & (weak < VISIBLE / 2)
        usable = next((found for found in (grows, sets_in, seen) if found.any()), np.ones(CANDIDATES, bool))
        ranked = sorted(np.flatnonzero(usable), key=lambda i: full[i])
        # Not the most extreme draw, but one that is easily seen.
        return int(ranked[(3 * (len(ranked) - 1)) // 4])

    def _changes(self, strength: float) -> np.ndarray:
        return np.array([change(self.sample, out) for out in self.draw(range(CANDIDATES), strength)])


def change(before: Sample, after: Sample) -> float:
    """Return the mean difference of two samples' pixels, `after` brought to the size of `before`."""
    from PIL import Image

    one, other = before["image"], after["image"]
    if one.shape != other.shape:
        other = np.asarray(Image.fromarray(other).resize(one.shape[1::-1], Image.Resampling.BILINEAR))
        resized = 2 * VISIBLE
    else:
        resized = 0.0
    return float(np.abs(one.astype(np.float32) - other).mean()) + resized


def viewable(sample: Sample) -> Sample:
    """Return a sample whose image is `(H, W, 3)` uint8; values that no picture can hold are stretched into it."""
    image: Any = sample["image"]
    if isinstance(image, torch.Tensor):
        image = image.movedim(-3, -1).numpy()
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        image = np.rint((image - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    return {**sample, "image": image}
