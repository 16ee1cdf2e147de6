"""Edits of padded rows of token ids: synonyms, exchange, deletion, insertion, masks and cutoff, by whole words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from augsynth.text.vocabulary import Vocabulary
from augsynth.transforms.base import Array, Leaf, Transform, is_number, is_range
from augsynth.transforms.fields import key_words
from augsynth.transforms.token_rows import (
    CONTROL,
    FIRST,
    FIXED,
    NO_LABEL,
    OTHERS,
    PLACES,
    VALUES,
    Rows,
    choose,
    drawn,
    pieces,
    positions,
    put,
)

__all__ = ["TokenCutoff", "TokenDelete", "TokenInsert", "TokenMask", "TokenSwap", "TokenSynonym"]

Tensor = torch.Tensor
Chosen = TypeVar("Chosen", bound=Transform)
# What the compiled engine calls them, see native/tokens.h.
SYNONYM, SWAP, DELETE, INSERT, MASK, SPANS, CUT, CUT_SPAN = range(8)
SOURCES = ("synonym", "mask", "random")
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
    vocabulary: Vocabulary | None = None

    word: ClassVar[str] = "tokens"
    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2
    code: ClassVar[int]
    pairs: ClassVar[int] = 0  # 1 where min_edits and max_edits count pairs

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_range(self.shares, 0.0, 1.0):
            self.fail("rate", "a share from 0 to 1, or (low, high)")
        if not _whole(self.min_edits):
            self.fail("min_edits", "a whole number, 0 or more")
        if self.max_edits is not None and not (_whole(self.max_edits) and self.max_edits >= self.min_edits):
            self.fail("max_edits", "a whole number, not below min_edits, or None")
        if self.vocabulary is not None:
            if not isinstance(self.vocabulary, Vocabulary):
                self.fail("vocabulary", "an augsynth.text.vocabulary.Vocabulary, or None")
            self.check_vocabulary(self.vocabulary)

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
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
        """Return what the compiled engine needs besides code and counts: five whole numbers."""
        return (0,) * 5

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
        """Make k `(B, 1)` edits, or as many as there are places, by words of CONTROL and of each purpose in `widths`."""
        raise TypeError(f"{type(self).__name__} does not edit")


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


def _column(words: Tensor) -> Tensor:
    return torch.arange(words.shape[1], device=words.device)


@dataclass(frozen=True, kw_only=True)
class TokenSynonym(Tokens):
    """Replace words of one token by synonyms, which are one token too. Source: EDA, arXiv:1901.11196."""

    code: ClassVar[int] = SYNONYM

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
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
        n, length, column = rows.words.count, rows.ids.shape[1], _column(words[1])
        k = 2 * k.minimum(n >> 1)
        chosen = choose(n, k, words[1], length)
        # Each number draws a rank, and pairs are neighbours by rank; the rows' other columns come last.
        rank = torch.where(column < k, (words[2] >> 1 << 32) + column, torch.iinfo(torch.int64).max)
        ordered = chosen.gather(1, rank.argsort(1))
        other = ordered.unflatten(1, (-1, 2)).flip(-1).flatten(1)
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
    to = torch.where(
        rows.kinds > FIXED, start + shift.gather(1, slot) + offset, at + shift.gather(1, words.number + 1)
    )
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
        hit = _columns(rows, choose(n, k.minimum(n - 1).clamp(0), words[1], length)) < words[1].shape[1]
        kept = (at >= rows.low) & (at < rows.high) & ~hit
        made = kept.sum(1, keepdim=True)
        first = rows.high - made if rows.vocabulary.left else rows.low
        take = put(torch.where(kept, first + kept.cumsum(1) - 1, length), at.expand_as(kept), length, -1)
        return rows.moved(take, take, made)


def _columns(rows: Rows, chosen: Tensor) -> Tensor:
    """Return for each position the column of `chosen (B, K)` that has its word's number; K for none."""
    width, length = chosen.shape[1], rows.ids.shape[1]
    column = put(chosen, _column(chosen).expand_as(chosen), length, width)
    return torch.where(rows.kinds > FIXED, column.gather(1, rows.words.number.clamp(0)), width)


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

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        if self.source == "synonym" and not len(vocabulary.indices):
            self.fail("vocabulary", "one with synonyms: give its maker a lexicon")
        if self.source == "mask" and vocabulary.mask is None:
            self.fail("vocabulary", "one with a mask token")

    def instruction(self) -> tuple[int, ...]:
        return (SOURCES.index(self.source), 0, 0, 0, 0)

    @cached_property
    def widths(self) -> Mapping[int, int]:
        return {PLACES: 1, VALUES: 1, OTHERS: 1}

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        n, at, length, column = rows.words.count, rows.at, rows.ids.shape[1], _column(words[1])
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
    words, at, length, column = rows.words, rows.at, rows.ids.shape[1], _column(slot)
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
    filled = {"ids": new, "mask": torch.ones_like(new), "kinds": torch.full_like(new, FIRST)}
    return replace(made, **{name: _written(getattr(made, name), fresh, value) for name, value in filled.items()})


@dataclass(frozen=True, kw_only=True)
class TokenMask(Tokens):
    """Write the mask token over words, as BERT (arXiv:1810.04805) or, over spans of words, SpanBERT (arXiv:1907.10529).

    style: "word" or "span": lengths are geometric with `mean_length`, cut at `max_length` words; rate is the share of
    words in spans. mask_share, random_share: how often a word, or a span, is masked, and how often other tokens are
    written; else it stays. return_labels: the batch gets "labels", the ids that were there and -100 elsewhere.
    """

    rate: float | tuple[float, float] = 0.15
    style: str = "word"
    mask_share: float = 0.8
    random_share: float = 0.1
    mean_length: float = 5.0
    max_length: int = 10
    return_labels: bool = False

    def validate(self) -> None:
        if self.style not in ("word", "span"):
            self.fail("style", '"word" or "span"')
        for name in ("mask_share", "random_share"):
            if not (is_number(getattr(self, name)) and 0 <= getattr(self, name) <= 1):
                self.fail(name, "a share from 0 to 1")
        if self.mask_share + self.random_share > 1 + 1e-9:
            self.fail("random_share", f"at most 1 - mask_share = {1 - self.mask_share:g}")
        if not (is_number(self.mean_length) and self.mean_length >= 1):
            self.fail("mean_length", "a number, 1 or more")
        if not (_whole(self.max_length) and self.max_length >= 1):
            self.fail("max_length", "a whole number, 1 or more")

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        if vocabulary.mask is None and self.mask_share > 0:
            self.fail("vocabulary", "one with a mask token")

    @property
    def code(self) -> int:  # type: ignore[override]
        """What the compiled engine calls it."""
        return SPANS if self.style == "span" else MASK

    @cached_property
    def thresholds(self) -> Array:
        """Where words drawn for a length pass to the next one, `(max_length - 1,)` int64."""
        survival = (1 - 1 / self.mean_length) ** np.arange(1, self.max_length)
        return np.round((1 - survival) * 2.0**32).astype(np.int64)

    @property
    def _limits(self) -> tuple[int, int]:
        upto = round(self.mask_share * 2**32)
        return upto, min(upto + round(self.random_share * 2**32), 2**32)

    def instruction(self) -> tuple[int, ...]:
        return (int(self.return_labels), *self._limits, self.thresholds.ctypes.data, self.max_length)

    @cached_property
    def widths(self) -> Mapping[int, int]:
        return {PLACES: 1, VALUES: 4, OTHERS: 1} if self.style == "span" else {PLACES: 1, VALUES: 4}

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        if self.style == "span":
            column, origin = self._spans(rows, k.minimum(rows.words.count), words[1], words[3])
        else:
            column = _columns(rows, choose(rows.words.count, k.minimum(rows.words.count), words[1], len(rows.at)))
            origin = rows.words.start.gather(1, rows.words.number.clamp(0))
        width = words[1].shape[1]
        hit = column < width
        values = words[2].unflatten(1, (width, 4))
        values = values.gather(1, column.clamp(max=width - 1)[..., None].expand(-1, -1, 4))
        ordinary = rows.vocabulary.tables(rows.ids.device)[1]
        other = ordinary[(pieces(values[..., 1:], (rows.at - origin).clamp(0)) * len(ordinary)) >> 32]
        upto, beyond = self._limits
        new = torch.where(values[..., 0] < beyond, other, rows.ids)
        new = torch.where(values[..., 0] < upto, rows.vocabulary.mask or 0, new)
        labels = torch.where(hit & (rows.labels == NO_LABEL), rows.ids, rows.labels) if self.return_labels else rows.labels
        return replace(rows, ids=torch.where(hit, new, rows.ids), labels=labels)

    def _spans(self, rows: Rows, k: Tensor, places: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Lay spans of k words in all, uniform among the ways in which they do not overlap.

        Returns for each position the column of its span, K for none, and where that span starts.
        """
        width, length, column = places.shape[1], len(rows.at), _column(places)
        over = torch.from_numpy(self.thresholds).to(places.device, non_blocking=True)
        extent = 1 + (others[..., None] >= over).sum(-1)
        before = extent.cumsum(1) - extent
        extent = extent.minimum(k - before).clamp(0)
        count = (extent > 0).sum(1, keepdim=True)
        slot = choose(rows.words.count - k + count, count, places, length).sort(1).values
        first = torch.where(column < count, slot + (extent - 1).cumsum(1) - (extent - 1), length)
        span = torch.searchsorted(first, rows.words.number.contiguous(), right=True) - 1
        held = span.clamp(0, width - 1)
        start = first.gather(1, held)
        hit = (rows.kinds > FIXED) & (span >= 0) & (rows.words.number < start + extent.gather(1, held))
        origin = rows.words.start.gather(1, start.clamp(max=length - 1))
        return torch.where(hit, held, width), origin


@dataclass(frozen=True, kw_only=True)
class TokenCutoff(Tokens):
    """Take words out of sight without moving the others: padding in their place, 0 in the mask. Source: arXiv:2009.13818.

    style: "token", single words, or "span", as many that follow each other. One word at least remains.
    """

    style: str = "token"

    def validate(self) -> None:
        if self.style not in ("token", "span"):
            self.fail("style", '"token" or "span"')

    @property
    def code(self) -> int:  # type: ignore[override]
        """What the compiled engine calls it."""
        return CUT_SPAN if self.style == "span" else CUT

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        n, number = rows.words.count, rows.words.number
        k = k.minimum(n - 1).clamp(0)
        if self.style == "span":
            first = (words[0][:, 2:3] * (n - k + 1)) >> 32
            hit = (rows.kinds > FIXED) & (number >= first) & (number < first + k)
        else:
            hit = _columns(rows, choose(n, k, words[1], len(rows.at))) < words[1].shape[1]
        fills = {"ids": rows.vocabulary.pad, "mask": 0, "kinds": FIXED, "source": -1, "labels": NO_LABEL}
        return replace(rows, **{name: torch.where(hit, fill, getattr(rows, name)) for name, fill in fills.items()})


def is_tokens(name: str, transform: Transform) -> bool:
    """Tell whether a transform is for token ids. Raises ValueError for a combination of these and others."""
    found = {is_tokens(f"{name}/{part}", child) for part, child in transform.parts().items()}
    found = found or {isinstance(transform, Tokens)}
    if len(found) > 1:
        raise ValueError(f"{name}: {type(transform).__name__} combines transforms of tokens with others; keep them apart")
    return found.pop()


def with_vocabulary(transform: Chosen, vocabulary: Vocabulary) -> Chosen:
    """Return the transform, and those in it, with this vocabulary where they have none."""
    if isinstance(transform, Tokens):
        return transform if transform.vocabulary is not None else replace(transform, vocabulary=vocabulary)
    parts = {name: with_vocabulary(part, vocabulary) for name, part in transform.parts().items()}
    return replace(transform, transforms=parts) if parts else transform  # type: ignore[type-var,call-arg]
