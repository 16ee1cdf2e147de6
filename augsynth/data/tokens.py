"""A data collator for tokenized text: pads as another one does, then augments the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.token_run import augment_tokens, vocabulary_of
from augsynth.transforms.base import named
from augsynth.transforms.token_base import with_vocabulary

Features = list[dict[str, Any]]


class TokenCollator:
    """Turn tokenized samples into an augmented batch: a `data_collator` of Hugging Face's Trainer, or any `collate_fn`.

    transforms: of tokens, a list or a mapping of names; those without a vocabulary get the tokenizer's, with the
    synonyms of `lexicon`. collator: pads, by default as DataCollatorWithPadding does. follow, strength: see
    `augment_tokens`.
    A sample's "word_ids" and "index" are used here and go no further; the Trainer drops them, unless it has
    remove_unused_columns=False. An index keys a sample by (seed, epoch, index), where the epoch is that of a
    `KeyedIndex`, else the last one given to `set_epoch` in the process that collates. Without an index, a fresh key is
    drawn from torch's global generator.
    """

    def __init__(
        self,
        tokenizer: Any,
        transforms: Any,
        *,
        collator: Callable[[Features], Mapping[str, Any]] | None = None,
        seed: int = 0,
        lexicon: Any = None,
        max_senses: int = 1,
        follow: Mapping[str, int] | None = None,
        strength: float = 1.0,
    ) -> None:
        collator = partial(_padded, tokenizer) if collator is None else collator
        vocabulary = TokenVocabulary.of(tokenizer, lexicon, max_senses)
        given = named(transforms, "TokenCollator")
        self.transforms = {name: with_vocabulary(transform, vocabulary) for name, transform in given.items()}
        self.collator, self.seed, self.follow, self.strength = collator, seed, follow, strength
        self.epoch = 0
        self._plan = Plan.of(self.transforms)
        self._left = vocabulary_of(self._plan).left
        Rng.of(seed, 0)

    def set_epoch(self, epoch: int) -> None:
        """Key the samples that follow by this epoch, where their index brings none."""
        self.epoch = epoch

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate and augment samples, mappings with "input_ids"; the samples are not changed."""
        if not len(features):
            raise ValueError("TokenCollator: the batch is empty")
        own = ("index", "word_ids")
        taken = {name: _column(features, name) for name in own}
        rest = [{name: value for name, value in sample.items() if name not in own} for sample in features]
        batch = dict(self.collator(rest))
        rng = self._rng(taken["index"], len(features))
        if taken["word_ids"] is not None:
            batch["word_ids"] = self._words(taken["word_ids"], batch["input_ids"].shape[1])
        result = augment_tokens(self._plan, batch, rng, self.strength, follow=self.follow)
        result.pop("word_ids", None)
        return result

    def _rng(self, index: list[Any] | None, size: int) -> Rng:
        if index is None:
            return Rng.fresh(size)
        return Rng.of(self.seed, [i if isinstance(i, int) else int(i) for i in index], self.epoch)

    def _words(self, rows: list[Any], length: int) -> torch.Tensor:
        result = torch.full((len(rows), length), -1)
        for i, row in enumerate(rows):
            numbers = torch.tensor([-1 if word is None else int(word) for word in row])
            if len(numbers) > length:
                raise ValueError(f"sample {i}: {len(numbers)} word_ids for rows of {length} tokens")
            result[i, length - len(numbers) if self._left else 0 :][: len(numbers)] = numbers
        return result


def _padded(tokenizer: Any, features: Features) -> Mapping[str, Any]:
    """Pad by the tokenizer; a "label" becomes one of the batch's "labels", as models take them."""
    names = {"label": "labels", "label_ids": "labels"}
    renamed = [{names.get(name, name): value for name, value in sample.items()} for sample in features]
    # It would advise to pad where it tokenizes, which is before the batches are known.
    getattr(tokenizer, "deprecation_warnings", {})["Asking-to-pad-a-fast-tokenizer"] = True
    batch: Mapping[str, Any] = tokenizer.pad(renamed, return_tensors="pt")
    return batch


def _column(features: Sequence[Mapping[str, Any]], name: str) -> list[Any] | None:
    """Return the samples' values of an entry, None where no sample has it."""
    have = [name in sample for sample in features]
    if not any(have):
        return None
    if not all(have):
        raise ValueError(f"TokenCollator: sample {have.index(False)} of the batch has no {name!r}, others have")
    return [sample[name] for sample in features]
