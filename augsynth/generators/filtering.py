"""Only those samples of a generator that a judge finds to be of their label."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsynth.batch import Batch
from augsynth.errors import AugsynthError
from augsynth.generators.keyed import attributes_of, evaluating
from augsynth.generators.protocol import Generator
from augsynth.rng import Rng
from augsynth.verdict import checkpoint_of

Judge = Callable[[torch.Tensor], torch.Tensor]


class Filtered:
    """A generator in front of a judge: a sample that the judge does not find to be of its label is drawn anew.

    judge: images `(B, C, H, W)`, floats in [0, 1], to logits `(B, num_classes)`: a classifier trained on real samples,
    such as `augsynth.quality.judge` gives. keep: least probability of the label, above 0 and below 1. tries: draws of
    a sample at most. What passes is truer to its label and less varied. A generator like any other: evaluate it anew.
    """

    def __init__(self, generator: Generator, judge: Judge, keep: float = 0.5, tries: int = 64) -> None:
        if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not 0 < keep < 1:
            raise ValueError(f"Filtered: keep={keep!r} must be a probability above 0 and below 1")
        if isinstance(tries, bool) or not isinstance(tries, int) or tries < 1:
            raise ValueError(f"Filtered: tries={tries!r} must be an integer of at least 1")
        self.generator, self.judge, self.keep, self.tries = generator, judge, float(keep), tries
        self.num_classes, self.image_shape = generator.num_classes, generator.image_shape
        self.classes = getattr(generator, "classes", None)

    def generate(
        self,
        labels: torch.Tensor | Sequence[int],
        seed: int = 0,
        *,
        index: torch.Tensor | Sequence[int] | None = None,
        epoch: int = 0,
        **options: Any,
    ) -> Batch:
        """Make one image per label `(B,)`, as the generator does; the seed of a second try is derived from `seed`.

        options: of the generator's own `generate`. Raises: AugsynthError for a class that hardly any sample passes for.
        """
        return self.drawn(labels, seed, index=index, epoch=epoch, **options)[0]

    def drawn(
        self,
        labels: torch.Tensor | Sequence[int],
        seed: int = 0,
        *,
        index: torch.Tensor | Sequence[int] | None = None,
        epoch: int = 0,
        **options: Any,
    ) -> tuple[Batch, np.ndarray]:
        """Return what `generate` does, and how many draws each sample took `(B,)`."""
        target = torch.as_tensor(labels)
        rows = np.arange(len(target)) if index is None else np.asarray([int(row) for row in index])
        # No samples are asked for too: what is wrong with the arguments shows there.
        found = self.generator.generate(target, seed, index=rows.tolist(), epoch=epoch, **options)
        draws, open_rows = np.ones(len(target), np.int64), np.flatnonzero(~self._passes(found))
        for number in range(1, self.tries):
            if not len(open_rows):
                break
            wanted = {**options, "index": rows[open_rows].tolist(), "epoch": epoch}
            if wanted.get("attributes"):
                wanted["attributes"] = attributes_of(options["attributes"], open_rows, len(target))
            again = self.generator.generate(target[open_rows], _seed(seed, number), **wanted)
            found = _replaced(found, again, open_rows)
            draws[open_rows] += 1
            open_rows = open_rows[~self._passes(again)]
        if len(open_rows):
            self._refuse(found.label.cpu().numpy(), draws, open_rows)
        return found, draws

    def checkpoint_hash(self) -> str:
        """Return the hash of generator, judge and threshold; "" where one of the two has none."""
        parts = (checkpoint_of(self.generator), self.judge_hash(), repr(self.keep))
        if not all(parts):
            return ""
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]

    def judge_hash(self) -> str:
        """Return the hash of the judge's weights; "" for a function."""
        return checkpoint_of(getattr(self.judge, "network", self.judge))

    def save(self, path: str | Path) -> None:
        """Write the generator behind the judge, without the judge."""
        self.generator.save(path)

    def _passes(self, batch: Batch) -> np.ndarray:
        if not len(batch):
            return np.ones(0, bool)
        with torch.no_grad(), evaluating(self.judge):
            logits = self.judge(batch.image)
        expected = (len(batch), self.num_classes)
        if tuple(logits.shape) != expected:
            raise ValueError(f"Filtered: the judge gave {tuple(logits.shape)}; logits {expected} were expected")
        chance = logits.float().softmax(1).cpu()[torch.arange(len(batch)), batch.label.cpu()]
        return (chance >= self.keep).numpy()

    def _refuse(self, labels: np.ndarray, draws: np.ndarray, left: np.ndarray) -> None:
        worst = int(np.bincount(labels[left]).argmax())
        mine = labels == worst
        failed, asked = int((labels[left] == worst).sum()), int(mine.sum())
        name = worst if self.classes is None else f"{worst} ({self.classes[worst]})"
        raise AugsynthError(
            f"Filtered: after {self.tries} draws each, {failed} of {asked} samples of class {name} do not pass; "
            f"{asked - failed} of {int(draws[mine].sum())} draws did. Lower keep={self.keep}, or train more"
        )


def _seed(seed: int, number: int) -> int:
    return int(Rng.of(seed, 0).integers(f"try {number}", 2**31)[0, 0])


def _replaced(batch: Batch, other: Batch, rows: np.ndarray) -> Batch:
    """Return the batch with these rows taken from another."""
    image, provenance = batch.image.clone(), list(batch.provenance)
    image[torch.from_numpy(rows).to(image.device)] = other.image
    for place, row in enumerate(rows.tolist()):
        provenance[row] = other.provenance[place]
    return Batch(image, batch.label, batch.synthetic, tuple(provenance), batch.index)
