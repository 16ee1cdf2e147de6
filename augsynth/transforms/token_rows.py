"""Padded rows of token ids as tensors, and what all their transforms do to them: choose words, and move tokens.

Everything here runs on any device without waiting for it, and gives the numbers that `augsynth/native/tokens.h` gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from augsynth.rng import Rng
from augsynth.text.token_vocabulary import KNOWN, SPECIAL, START, TokenVocabulary
from augsynth.transforms.base import Array

Tensor = torch.Tensor
FIXED, GOES_ON, FIRST = 0, 1, 2
CONTROL, PLACES, VALUES, OTHERS = range(4)  # purposes of drawn words
_TAG = 0x746F6B6E  # tells these words from all others that have the same key
NO_LABEL = -100
_GOLDEN = 0x9E3779B9


@dataclass(frozen=True)
class Words:
    """The words of each row: number `(B, L)` of the word a position is in or behind, from -1; count `(B, 1)`.

    start, extent `(B, L)`: where the word of that number starts, and its tokens; L and 0 beyond the last word.
    """

    number: Tensor
    count: Tensor
    start: Tensor
    extent: Tensor


@dataclass(frozen=True)
class Rows:
    """Rows of ids while they are edited, all `(B, L)` int64; the content of a row stands in [low, high), `(B, 1)`.

    kinds: what may be edited, FIRST of a word or what GOES_ON, FIXED else. source: where each token was at first, -1
    for a new one; place: likewise, of what belongs to the place and not to the token. labels: what was masked.
    """

    vocabulary: TokenVocabulary
    ids: Tensor
    mask: Tensor
    kinds: Tensor
    source: Tensor
    place: Tensor
    labels: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(
        cls, vocabulary: TokenVocabulary, ids: Tensor, mask: Tensor, words: Tensor | None, fixed: Tensor | None
    ) -> Rows:
        """Read a batch; words: `word_ids`, -1 for none; fixed: the special tokens' mask."""
        flags = vocabulary.tables(ids.device)[0][ids]
        shown = mask != 0
        open_ = shown & ((flags & SPECIAL) == 0)
        open_ = open_ if words is None else open_ & (words >= 0)
        open_ = open_ if fixed is None else open_ & (fixed == 0)
        starts = (flags & START) > 0 if words is None else words != _before(words, -1)
        starts = starts | ~_before(open_, False)
        kinds = torch.where(open_, torch.where(starts, FIRST, GOES_ON), FIXED)
        at = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        length = ids.shape[1]
        high = torch.where(shown, at + 1, 0).amax(1, keepdim=True)
        low = torch.where(shown, at, length).amin(1, keepdim=True).minimum(high)
        return cls(vocabulary, ids, mask, kinds, at, at, torch.full_like(ids, NO_LABEL), low, high)

    @property
    def at(self) -> Tensor:
        """The positions `(L,)`."""
        return torch.arange(self.ids.shape[1], device=self.ids.device)

    @cached_property
    def words(self) -> Words:
        """The words."""
        first = self.kinds == FIRST
        number = first.cumsum(1) - 1
        inside = torch.where(self.kinds > FIXED, number, self.ids.shape[1])
        extent = _sums(inside, torch.ones_like(inside))
        return Words(number, first.sum(1, keepdim=True), positions(first), extent)

    @cached_property
    def sites(self) -> tuple[Tensor, Tensor]:
        """Where words of one token stand that have synonyms `(B, L)`, L beyond the last one, and how many `(B, 1)`."""
        words = self.words
        known = (self.vocabulary.tables(self.ids.device)[0][self.ids] & KNOWN) > 0
        alone = words.extent.gather(1, words.number.clamp(0)) == 1
        found = known & alone & (self.kinds == FIRST)
        return positions(found), found.sum(1, keepdim=True)

    def moved(self, take: Tensor, seat: Tensor, made: Tensor) -> Rows:
        """Return rows whose position i has what stood at take[i], nothing where that is -1; content of `made` tokens.

        seat: likewise, for what belongs to the place.
        """
        left = self.vocabulary.left
        low, high = (self.high - made, self.high) if left else (self.low, self.low + made)
        none, index = take < 0, take.clamp(0)
        fills = {"ids": self.vocabulary.pad, "mask": 0, "kinds": FIXED, "source": -1, "labels": NO_LABEL}
        arrays: dict[str, Any] = {
            name: torch.where(none, fill, getattr(self, name).gather(1, index)) for name, fill in fills.items()
        }
        place = torch.where(seat < 0, -1, self.place.gather(1, seat.clamp(0)))
        outside = ((self.at < self.low) | (self.at >= self.high)) & ((self.at < low) | (self.at >= high))
        arrays["place"] = place
        kept: dict[str, Any] = {
            name: torch.where(outside, getattr(self, name), array) for name, array in arrays.items()
        }
        return replace(self, **kept, low=low, high=high)


def _before(values: Tensor, first: float) -> Tensor:
    """Return the value before each."""
    return torch.nn.functional.pad(values, (1, -1), value=first)


def positions(found: Tensor) -> Tensor:
    """Return where the true entries stand `(B, L)`, in order; L beyond the last one."""
    length = found.shape[1]
    rank = torch.where(found, found.cumsum(1) - 1, length)
    return put(rank, torch.arange(length, device=found.device).expand_as(rank), length, length)


def put(index: Tensor, values: Tensor, width: int, fill: int) -> Tensor:
    """Return `(B, width)` with values `(B, K)` at index `(B, K)`, where `width` is nowhere, and `fill` elsewhere."""
    made = torch.full((len(index), width + 1), fill, dtype=values.dtype, device=index.device)
    return made.scatter_(1, index, values)[:, :width]


def _sums(index: Tensor, values: Tensor) -> Tensor:
    """Return `(B, L)`: the sum of the values at each index; L is nowhere."""
    length = index.shape[1]
    made = torch.zeros((len(index), length + 1), dtype=torch.int64, device=index.device)
    return made.scatter_add_(1, index, values)[:, :length]


def drawn(key: Array, purposes: list[tuple[int, int]], device: torch.device) -> list[Tensor]:
    """Return `(B, n)` words below 2**32 for each (purpose, n), as int64 on the device: a function of key `(B, 2)`."""
    blocks = [(purpose, number) for purpose, n in purposes for number in range(-(-n // 4))]
    zeros = np.zeros(len(key), np.int64)
    rng = Rng(_TAG, key[:, 0].astype(np.int64), zeros, key[:, 1].astype(np.int64))
    words = rng.words([purpose for purpose, _ in blocks], [number for _, number in blocks]).astype(np.int64)
    on = torch.from_numpy(words)
    if device.type == "cuda":  # pinned, so that the copy makes nobody wait
        on = on.pin_memory().to(device, non_blocking=True)
    ends = np.cumsum([-(-n // 4) * 4 for _, n in purposes]).tolist()
    return [on[:, end - -(-n // 4) * 4 :][:, :n] for end, (_, n) in zip(ends, purposes, strict=True)]


def choose(n: Tensor, k: Tensor, words: Tensor, width: int) -> Tensor:
    """Return `(B, K)` different numbers in [0, n), n `(B, 1)`, by words `(B, K)`; `width` from column k on.

    Floyd's algorithm, doi:10.1145/30401.315746, all columns at once. Column c draws from [0, n - k + c] and takes the
    last of these where its draw is taken: by a column before with the same draw, or by the one whose last it is, if
    that took its last. The second is a chain, followed by doubling.
    """
    column = torch.arange(words.shape[1], device=words.device)
    last = n - k + column
    draw = torch.where(column < k, (words * (last + 1)) >> 32, width)
    first = torch.full((len(draw), width + 1), words.shape[1], device=words.device)
    first = first.scatter_reduce_(1, draw, column.expand_as(draw), "amin")
    taken = first.gather(1, draw) < column
    chain = draw - (n - k)
    chain = torch.where((chain >= 0) & (chain < column), chain, column)
    for _ in range(max(words.shape[1] - 1, 0).bit_length()):
        taken, chain = taken | taken.gather(1, chain), chain.gather(1, chain)
    return torch.where(column < k, torch.where(taken, last, draw), width)


def numbered(words: Tensor) -> Tensor:
    """Return the numbers of the columns `(K,)`."""
    return torch.arange(words.shape[1], device=words.device)


def columns(rows: Rows, chosen: Tensor) -> Tensor:
    """Return for each position the column of `chosen (B, K)` that has its word's number; K for none."""
    width, length = chosen.shape[1], rows.ids.shape[1]
    column = put(chosen, numbered(chosen).expand_as(chosen), length, width)
    return torch.where(rows.kinds > FIXED, column.gather(1, rows.words.number.clamp(0)), width)


def pieces(words: Tensor, offset: Tensor) -> Tensor:
    """Return a word for the piece at each offset, from the three words `(..., 3)` of its column."""
    return (words.gather(-1, (offset % 3)[..., None])[..., 0] + offset // 3 * _GOLDEN) & 0xFFFFFFFF
