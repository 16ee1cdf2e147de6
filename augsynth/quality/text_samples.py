"""Labelled texts, and the batches that a network is trained on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.quality.text_models import LONGEST, PADDING, Words, tokens
from augsynth.rng import Rng
from augsynth.token_run import augment_tokens

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class TextSource:
    """Labelled texts. labels: `(N,)` int64 in [0, len(classes)). classes: the name of each label."""

    texts: Sequence[str]
    labels: torch.Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of_dataset(cls, dataset: Any) -> TextSource:
        """Read a map-style dataset of (text, label) samples; `classes` names its labels. Raises TypeError else."""
        if not len(dataset):
            raise ValueError(f"{type(dataset).__name__} is empty: there is no sample to compare on")
        samples = [dataset[i] for i in range(len(dataset))]
        for i, sample in enumerate(samples):
            if not (isinstance(sample, (tuple, list)) and len(sample) == 2 and isinstance(sample[0], str)):
                raise TypeError(f"sample {i} of {type(dataset).__name__} is not (text, label)")
        labels = torch.as_tensor([int(label) for _, label in samples])
        names = getattr(dataset, "classes", None) or range(int(labels.max()) + 1)
        return cls([text for text, _ in samples], labels, tuple(map(str, names)))


@dataclass(frozen=True, eq=False)
class Texts:
    """Samples: text `(N,)` array of strings, label `(N,)` int64, position `(N,)` in their source."""

    text: np.ndarray
    label: torch.Tensor
    position: np.ndarray

    @classmethod
    def of(cls, source: TextSource, positions: np.ndarray) -> Texts:
        """Take samples of a source."""
        chosen = np.array([source.texts[i] for i in positions], dtype=object)
        return cls(chosen, source.labels[torch.as_tensor(positions)], positions)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: np.ndarray) -> Texts:
        return Texts(self.text[rows], self.label[torch.as_tensor(rows)], self.position[rows])


@dataclass(frozen=True, eq=False)
class TextBatches:
    """The batches of one run: texts in keyed random order through the pipeline, as ids.

    The edits of a text are keyed by (seed, epoch, its place), whichever arm sees it.
    """

    samples: Texts
    words: Words
    pipeline: Pipeline | None
    batch_size: int
    steps: int
    seed: int

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        size, needed = len(self.samples), self.steps * self.batch_size
        epochs = np.arange(-(-needed // size))
        place = Rng.of(self.seed, epochs).permutation("order", size).reshape(-1)[:needed]
        epoch = np.repeat(epochs, size)[:needed]
        for start in range(0, needed, self.batch_size):
            rows = place[start : start + self.batch_size]
            texts = self.samples.text[rows].tolist()
            labels = self.samples.label[torch.as_tensor(rows)]
            rng = Rng.of(self.seed, rows, epoch[start : start + self.batch_size])
            if self.pipeline is not None and self.pipeline.token_plan is None:
                texts, labels = written(self.pipeline, texts, labels, rng)
            ids = self.words.encode(texts)
            if self.pipeline is not None and self.pipeline.token_plan is not None:
                batch = {"input_ids": ids, "attention_mask": (ids != PADDING).long()}
                ids = augment_tokens(self.pipeline.token_plan, batch, rng)["input_ids"]
            yield ids, labels


def written(pipeline: Pipeline, texts: list[str], labels: torch.Tensor, rng: Rng) -> tuple[list[str], torch.Tensor]:
    """Return texts through the pipeline, and their labels: soft ones `(B, K)` where it mixes them."""
    if pipeline.text_mix is None:
        return list(pipeline.write(texts, rng)), labels
    samples = pipeline.write(list(zip(texts, labels.tolist(), strict=True)), rng)
    return [text for text, _ in samples], torch.stack([label for _, label in samples])


def warn_of_long(samples: Sequence[Texts]) -> None:
    """Warn of texts of which the end is not read. samples: such as the texts of each seed, and those of the test."""
    texts = {text for some in samples for text in some.text.tolist()}
    # A token has a character or more.
    long = sum(len(tokens(text)) > LONGEST for text in texts if len(text) > LONGEST)
    if long:
        warnings.warn(
            f"{long} of {len(texts)} texts have more than {LONGEST} words and signs; the networks do not read the rest",
            UserWarning,
            stacklevel=4,
        )
