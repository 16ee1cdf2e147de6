"""What all transforms of token ids have in common: how many words they edit, and the words they draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.transforms.base import Array, Leaf, Transform, is_range
from augsynth.transforms.fields import key_words
from augsynth.transforms.token_rows import CONTROL, PLACES, Rows, drawn

Tensor = torch.Tensor
Chosen = TypeVar("Chosen", bound=Transform)
_ONE = 1 << 24  # shares are whole numbers of this part


@dataclass(frozen=True, kw_only=True)
class Tokens(Leaf):
    """A transform of rows of token ids, with probability p for each row; special tokens and padding are left alone.

    rate: share of the words that are edited, 0 to 1, rounded at random so that the mean is right; or (low, high), a
    share drawn for each row. min_edits, max_edits: bounds of the number of edits, where there are as many places.
    vocabulary: of the tokenizer; None where what runs the transform brings one, such as `TokenCollator`.
    """

    p: float = 1.0
    rate: float | tuple[float, float] = 0.1
    min_edits: int = 0
    max_edits: int | None = None
    vocabulary: TokenVocabulary | None = None

    word: ClassVar[str] = "tokens"
    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2
    code: ClassVar[int]
    pairs: ClassVar[int] = 0  # 1 where min_edits and max_edits count pairs

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_range(self.shares, 0.0, 1.0):
            self.fail("rate", "a share from 0 to 1, or (low, high)")
        if not is_whole(self.min_edits):
            self.fail("min_edits", "a whole number, 0 or more")
        if self.max_edits is not None and not (is_whole(self.max_edits) and self.max_edits >= self.min_edits):
            self.fail("max_edits", "a whole number, not below min_edits, or None")
        if self.vocabulary is not None:
            if not isinstance(self.vocabulary, TokenVocabulary):
                self.fail("vocabulary", "an augsynth.text.token_vocabulary.TokenVocabulary, or None")
            self.check_vocabulary(self.vocabulary)

    def check_vocabulary(self, vocabulary: TokenVocabulary) -> None:
        """Raise ValueError where the vocabulary lacks what this transform needs."""

    @property
    def shares(self) -> Any:
        """The bounds of the rate."""
        return self.rate if isinstance(self.rate, tuple) else (self.rate, self.rate)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, from which the numbers of a row come."""
        return key_words(u)

    def scaled(self, strength: float) -> tuple[int, int, int, int]:
        """Return the shares as whole numbers of 2**-24, and the bounds, -1 for no upper one."""
        low, high = (round(share * strength * _ONE) for share in self.shares)
        least, most = self.min_edits if strength > 0 else 0, self.max_edits
        return low, high, least, -1 if most is None else most

    def most(self, length: int, strength: float) -> int:
        """Return how many edits a row of that length can get."""
        _, high, least, most = self.scaled(strength)
        k = max((length * high >> (24 + self.pairs)) + 1, least)
        return min(k if most < 0 else min(k, most), length >> self.pairs)

    def count(self, n: Tensor, control: Tensor, strength: float) -> Tensor:
        """Return how many of n words, or of pairs of them, are to be edited, `(B, 1)`; the places may be fewer."""
        low, high, least, most = self.scaled(strength)
        first, second = control[:, :1] >> 8, control[:, 1:2] >> 8
        share = low + ((high - low) * second >> 24)
        return (n * share + (first << self.pairs) >> (24 + self.pairs)).clamp(least, None if most < 0 else most)

    def instruction(self) -> tuple[int, ...]:
        """Return what the compiled engine needs besides code and counts: three whole numbers, see native/tokens.h."""
        return 0, 0, 0

    @property
    def lengths(self) -> Array:
        """Where words drawn for the length of a span pass to the next length, int64; nothing where there are none."""
        return np.zeros(0, np.int64)

    @cached_property
    def widths(self) -> Mapping[int, int]:
        """How many words of each purpose an edit takes."""
        return {PLACES: 1}

    def render(self, rows: Rows, key: Array, active: Tensor, strength: float) -> Rows:
        """Edit rows of ids on any device. key: `(B, 2)`; active: `(B, 1)` bool, the rows that are edited at all."""
        k = self.most(rows.ids.shape[1], strength)
        if not k:
            return rows
        purposes = [(CONTROL, 4), *((purpose, width * k) for purpose, width in self.widths.items())]
        words = drawn(key, purposes, rows.ids.device)
        wanted = torch.where(active, self.count(rows.words.count, words[0], strength), 0)
        return self.edit(rows, wanted, words)

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        """Make k `(B, 1)` edits, or as many as there are places; words are of CONTROL and of what `widths` has."""
        raise TypeError(f"{type(self).__name__} does not edit")


def is_whole(value: Any) -> bool:
    """Tell a whole number, 0 or more."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


def is_tokens(name: str, transform: Transform) -> bool:
    """Tell whether a transform is for token ids. Raises ValueError for a combination of these and others."""
    found = {is_tokens(f"{name}/{part}", child) for part, child in transform.parts().items()}
    found = found or {isinstance(transform, Tokens)}
    if len(found) > 1:
        raise ValueError(
            f"{name}: {type(transform).__name__} combines transforms of tokens with others; keep them apart"
        )
    return found.pop()


def with_vocabulary(transform: Chosen, vocabulary: TokenVocabulary) -> Chosen:
    """Return the transform, and those in it, with this vocabulary where they have none."""
    if isinstance(transform, Tokens):
        return transform if transform.vocabulary is not None else replace(transform, vocabulary=vocabulary)
    parts = {name: with_vocabulary(part, vocabulary) for name, part in transform.parts().items()}
    return replace(transform, transforms=parts) if parts else transform  # type: ignore[type-var]
