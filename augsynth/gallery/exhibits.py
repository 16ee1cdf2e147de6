"""Each transform at work: one draw, at several strengths, through the pipeline that users call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from augsynth.gallery.catalogue import FOLLOW, NEED_PARTNERS, REFUSE, file_of, follow
from augsynth.gallery.entries import FADED, MASKLESS, transform
from augsynth.gallery.subject import Sample, Subject
from augsynth.pipeline import Pipeline
from augsynth.transforms import Transform
from augsynth.transforms.base import snake

# Draws among which one is chosen to be shown, and those among which these are found by their gates alone.
CANDIDATES, POOL = 10, 100
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
    fate = follow(pipeline)
    marked = fate == FOLLOW or (mixes and fate != REFUSE)
    ground = "faded" if name in FADED else "marked" if marked else "plain"
    sample = {key: value for key, value in subject.on(ground).items() if key != "mask" or name not in MASKLESS}
    stand = _Stand(pipeline, sample, subject.partners if mixes else [])
    index = stand.choose(strengths)
    return Exhibit(name, shown, index, ground, stand.sample, {s: stand.draw([index], s)[0] for s in strengths})


class _Stand:
    """A pipeline before the picture, beside the partners that it needs."""

    def __init__(self, pipeline: Pipeline, sample: Sample, partners: Sequence[Sample]) -> None:
        self.pipeline, self.sample = pipeline, sample
        self.partners = [{key: partner[key] for key in sample} for partner in partners]

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

        Best is a change that is there at the weakest strength and grows, else one that sets in on the way.
        """
        early, late = self._applied(strengths[0]), self._applied(strengths[len(strengths) // 2])
        weak = self._changes(early[:CANDIDATES], strengths[0])
        full = self._changes(list(weak), strengths[-1])
        usable = [i for i in weak if VISIBLE / 2 < weak[i] < 0.9 * full[i]]
        if not usable:
            # What cannot grow, such as a flip, is applied from some strength on; better a draw that lets this be seen.
            later = [i for i in late if i not in early] or late or list(range(POOL))
            full = self._changes(later[:CANDIDATES], strengths[-1])
            usable = [i for i in full if full[i] > VISIBLE] or list(full)
        ranked = sorted(usable, key=lambda i: full[i])
        # Easily seen, and where there is a choice not the most extreme.
        return ranked[math.ceil(0.75 * (len(ranked) - 1))]

    def _applied(self, strength: float) -> list[int]:
        """Return the indices, among the first `POOL`, of samples to which something is done at all."""
        sizes = [self.sample["image"].shape[:2]] * POOL
        program = self.pipeline.draw(sizes, index=range(POOL), strength=strength)
        return [int(i) for i in np.flatnonzero((program.ops > 0).any(1))]

    def _changes(self, indices: Sequence[int], strength: float) -> dict[int, float]:
        shown = self.draw(indices, strength) if indices else []
        return {i: change(self.sample, out) for i, out in zip(indices, shown, strict=True)}


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
