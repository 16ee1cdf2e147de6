"""Masks over padded rows of token ids, and words cut out of sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.transforms.base import Array, is_number
from augsynth.transforms.token_base import Tokens, is_whole
from augsynth.transforms.token_rows import (
    FIXED,
    NO_LABEL,
    OTHERS,
    PLACES,
    VALUES,
    Rows,
    choose,
    columns,
    numbered,
    pieces,
)

__all__ = ["TokenCutoff", "TokenMask"]

Tensor = torch.Tensor
# What the compiled engine calls them, see native/tokens.h.
MASK, SPANS, CUT, CUT_SPAN = range(4, 8)


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
        if not (is_whole(self.max_length) and self.max_length >= 1):
            self.fail("max_length", "a whole number, 1 or more")

    def check_vocabulary(self, vocabulary: TokenVocabulary) -> None:
        if vocabulary.mask is None and self.mask_share > 0:
            self.fail("vocabulary", "one with a mask token")

    @property
    def code(self) -> int:  # type: ignore[override]
        """What the compiled engine calls it."""
        return SPANS if self.style == "span" else MASK

    @cached_property
    def lengths(self) -> Array:
        survival = (1 - 1 / self.mean_length) ** np.arange(1, self.max_length)
        return np.round((1 - survival) * 2.0**32).astype(np.int64)

    @property
    def _limits(self) -> tuple[int, int]:
        upto = round(self.mask_share * 2**32)
        return upto, min(upto + round(self.random_share * 2**32), 2**32)

    def instruction(self) -> tuple[int, ...]:
        return (int(self.return_labels), *self._limits)

    @cached_property
    def widths(self) -> Mapping[int, int]:
        return {PLACES: 1, VALUES: 4, OTHERS: 1} if self.style == "span" else {PLACES: 1, VALUES: 4}

    def edit(self, rows: Rows, k: Tensor, words: list[Tensor]) -> Rows:
        if self.style == "span":
            column, origin = self._spans(rows, k.minimum(rows.words.count), words)
        else:
            column = columns(rows, choose(rows.words.count, k.minimum(rows.words.count), words[1], len(rows.at)))
            origin = rows.words.start.gather(1, rows.words.number.clamp(0))
        width = words[1].shape[1]
        hit = column < width
        values = words[2].reshape(-1, width, 4)
        values = values.gather(1, column.clamp(max=width - 1)[..., None].expand(-1, -1, 4))
        ordinary = rows.vocabulary.tables(rows.ids.device)[1]
        other = ordinary[(pieces(values[..., 1:], (rows.at - origin).clamp(0)) * len(ordinary)) >> 32]
        upto, beyond = self._limits
        new = torch.where(values[..., 0] < beyond, other, rows.ids)
        new = torch.where(values[..., 0] < upto, rows.vocabulary.mask or 0, new)
        labels = (
            torch.where(hit & (rows.labels == NO_LABEL), rows.ids, rows.labels) if self.return_labels else rows.labels
        )
        return replace(rows, ids=torch.where(hit, new, rows.ids), labels=labels)

    def _spans(self, rows: Rows, k: Tensor, words: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Lay spans of k words in all, uniform among the ways in which they do not overlap.

        Returns for each position the column of its span, K for none, and where that span starts.
        """
        control, places, _, others = words
        width, length, column = places.shape[1], len(rows.at), numbered(places)
        over = torch.from_numpy(self.lengths).to(places.device, non_blocking=True)
        extent = 1 + (others[..., None] >= over).sum(-1)
        before = extent.cumsum(1) - extent
        extent = extent.minimum(k - before).clamp(0)
        count = (extent > 0).sum(1, keepdim=True)
        # The last length drawn is cut short: it may stand anywhere.
        turn = (control[:, 2:3] * count) >> 32
        extent = torch.where(column < count, extent.gather(1, (column + turn) % count.clamp(1)), 0)
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
    """Take words out of sight without moving the others: padding in their place, 0 in the mask. arXiv:2009.13818.

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
            hit = columns(rows, choose(n, k, words[1], len(rows.at))) < words[1].shape[1]
        fills = {"ids": rows.vocabulary.pad, "mask": 0, "kinds": FIXED, "source": -1, "labels": NO_LABEL}
        cut: dict[str, Any] = {name: torch.where(hit, fill, getattr(rows, name)) for name, fill in fills.items()}
        return replace(rows, **cut)
