"""Edits of padded rows of token ids: synonyms, exchange, deletion and insertion, by whole words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch

from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.transforms.token_base import Tokens
from augsynth.transforms.token_rows import (
    FIRST,
    FIXED,
    OTHERS,
    PLACES,
    VALUES,
    Rows,
    choose,
    columns,
    numbered,
    put,
)

__all__ = ["TokenDelete", "TokenInsert", "TokenSwap", "TokenSynonym"]

Tensor = torch.Tensor
# What the compiled engine calls them, see native/tokens.h; the others stand in token_masks.py.
SYNONYM, SWAP, DELETE, INSERT = range(4)
SOURCES = ("synonym", "mask", "random")


@dataclass(frozen=True, kw_only=True)
class TokenSynonym(Tokens):
    """Replace words of one token by synonyms, which are one token too. Source: EDA, arXiv:1901.11196."""

    code: ClassVar[int] = SYNONYM

    def check_vocabulary(self, vocabulary: TokenVocabulary) -> None:
        if not len(vocabulary.indices):
            self.fail("vocabulary", "one with synonyms: give its maker a lexicon")

    @cached_property
    def widths(self) -> Mapping[int, int]:
        return {PLACES: 1, VALUES: 1}

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        at, new = _synonyms(rows, k, words[1], words[2])
        return replace(rows, ids=_written(rows.ids, at, new))


def _synonyms(rows: Rows, k: Tensor, places: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Choose k words `(B, K)` that have synonyms: where they stand, L from the last on, and a synonym of each."""
    sites, count = rows.sites
    length = rows.ids.shape[1]
    chosen = choose(count, k.minimum(count), places, length)
    at = torch.where(chosen < length, sites.gather(1, chosen.clamp(max=length - 1)), length)
    ids = rows.ids.gather(1, at.clamp(max=length - 1))
    _, _, indptr, indices = rows.vocabulary.tables(ids.device)
    first = indptr[ids]
    new = indices[(first + ((values * (indptr[ids + 1] - first)) >> 32)).clamp(max=len(indices) - 1)]
    return at, new


def _written(ids: Tensor, at: Tensor, new: Tensor) -> Tensor:
    return torch.nn.functional.pad(ids, (0, 1)).scatter_(1, at, new)[:, :-1]


@dataclass(frozen=True, kw_only=True)
class TokenSwap(Tokens):
    """Let pairs of words change places; each word moves once at most. Source: EDA, arXiv:1901.11196.

    rate: share of the words that move; min_edits and max_edits count pairs. Token types stay in their places.
    """

    code: ClassVar[int] = SWAP
    pairs: ClassVar[int] = 1

    @cached_property
    def widths(self) -> Mapping[int, int]:
        return {PLACES: 2, OTHERS: 2}

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        n, length, column = rows.words.count, rows.ids.shape[1], numbered(words[1])
        k = 2 * k.minimum(n >> 1)
        chosen = choose(n, k, words[1], length)
        # Each number draws a rank, and pairs are neighbours by rank; the rows' other columns come last.
        rank = torch.where(column < k, (words[2] >> 1 << 32) + column, torch.iinfo(torch.int64).max)
        ordered = chosen.gather(1, rank.argsort(1))
        other = ordered.view(len(ordered), -1, 2).flip(-1).flatten(1)
        numbers = torch.arange(length, device=n.device).expand_as(rows.ids)
        return _exchanged(rows, torch.nn.functional.pad(numbers, (0, 1)).scatter(1, ordered, other)[:, :-1])


def _exchanged(rows: Rows, other: Tensor) -> Rows:
    """Let the words stand in places `other (B, L)`, where each word has the place of the one that has its own."""
    words, at, length = rows.words, rows.at, rows.ids.shape[1]
    # How much longer the words up to a number become, and so how far what follows moves.
    shift = (words.extent.gather(1, other) - words.extent).cumsum(1)
    shift = torch.nn.functional.pad(shift, (1, 0))
    inside = (at >= rows.low) & (at < rows.high)
    number = words.number.clamp(0)
    slot = other.gather(1, number)
    start = words.start.gather(1, slot).clamp(max=length - 1)
    offset = at - words.start.gather(1, number)
    to = torch.where(rows.kinds > FIXED, start + shift.gather(1, slot) + offset, at + shift.gather(1, words.number + 1))
    take = put(torch.where(inside, to, length), at.expand_as(to), length, -1)
    seat = torch.where(rows.kinds > FIXED, start + offset.minimum(words.extent.gather(1, slot) - 1), at)
    seat = put(torch.where(inside, to, length), seat, length, -1)
    return rows.moved(take, seat, rows.high - rows.low)


@dataclass(frozen=True, kw_only=True)
class TokenDelete(Tokens):
    """Delete words, but never the last one; what follows moves up. Source: EDA, arXiv:1901.11196."""

    code: ClassVar[int] = DELETE

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        n, at, length = rows.words.count, rows.at, rows.ids.shape[1]
        hit = columns(rows, choose(n, k.minimum(n - 1).clamp(0), words[1], length)) < words[1].shape[1]
        kept = (at >= rows.low) & (at < rows.high) & ~hit
        made = kept.sum(1, keepdim=True)
        first = rows.high - made if rows.vocabulary.left else rows.low
        take = put(torch.where(kept, first + kept.cumsum(1) - 1, length), at.expand_as(kept), length, -1)
        return rows.moved(take, take, made)


@dataclass(frozen=True, kw_only=True)
class TokenInsert(Tokens):
    """Insert one token before random words, while there is room in the row: what does not fit is not inserted.

    source: "synonym" of a random word of the row (EDA, arXiv:1901.11196), "mask", or "random", any ordinary token.
    """

    source: str = "synonym"

    code: ClassVar[int] = INSERT

    def validate(self) -> None:
        if self.source not in SOURCES:
            self.fail("source", "one of " + ", ".join(SOURCES))

    def check_vocabulary(self, vocabulary: TokenVocabulary) -> None:
        if self.source == "synonym" and not len(vocabulary.indices):
            self.fail("vocabulary", "one with synonyms: give its maker a lexicon")
        if self.source == "mask" and vocabulary.mask is None:
            self.fail("vocabulary", "one with a mask token")

    def instruction(self) -> tuple[int, ...]:
        return SOURCES.index(self.source), 0, 0

    @cached_property
    def widths(self) -> Mapping[int, int]:
        return {PLACES: 1, VALUES: 1, OTHERS: 1}

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        n, length, column = rows.words.count, rows.ids.shape[1], numbered(words[1])
        room = rows.low if rows.vocabulary.left else length - rows.high
        if self.source == "synonym":
            new = _synonyms(rows, k, words[1], words[2])[1]
            k = k.minimum(rows.sites[1])
        elif self.source == "mask":
            new = torch.full_like(words[2], rows.vocabulary.mask or 0)
        else:
            ordinary = rows.vocabulary.tables(n.device)[1]
            new = ordinary[(words[2] * len(ordinary)) >> 32]
        k = k.minimum(n).minimum(room)
        # In order of the words that they come before, which have room for them then.
        slot = torch.where(column < k, (words[3] * n) >> 32, length)
        order = (slot * len(column) + column).argsort(1)
        slot, new = slot.gather(1, order), new.gather(1, order)
        return _inserted(rows, k, slot, new)


def _inserted(rows: Rows, k: Tensor, slot: Tensor, new: Tensor) -> Rows:
    """Insert k tokens new `(B, K)` before the words numbered slot `(B, K)`, ascending."""
    words, at, length, column = rows.words, rows.at, rows.ids.shape[1], numbered(slot)
    fits = column < k
    start = words.start.gather(1, slot.clamp(max=length - 1))
    base = -k if rows.vocabulary.left else torch.zeros_like(k)
    counts = torch.zeros((len(slot), length + 1), dtype=torch.int64, device=slot.device)
    before = counts.scatter_add_(1, slot, torch.ones_like(slot)).cumsum(1)
    before = torch.where(words.number < 0, 0, before.gather(1, words.number.clamp(0)))
    inside = (at >= rows.low) & (at < rows.high)
    to = torch.where(inside, at + base + before, length)
    take = put(to, at.expand_as(to), length, -1)
    fresh = torch.where(fits, start + base + column, length)
    seat = torch.nn.functional.pad(take, (0, 1)).scatter_(1, fresh, start)[:, :-1]
    made = rows.moved(take, seat, rows.high - rows.low + k)
    filled: dict[str, Tensor] = {"ids": new, "mask": torch.ones_like(new), "kinds": torch.full_like(new, FIRST)}
    written: dict[str, Any] = {name: _written(getattr(made, name), fresh, value) for name, value in filled.items()}
    return replace(made, **written)
