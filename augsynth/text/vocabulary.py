"""Which entries of a tokenizer's vocabulary are whole words that may stand in a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from augsynth.text.characters import IDEOGRAPH, KIND, LETTER, classes_of

# What marks the start of a word in byte-level BPE and SentencePiece. WordPiece marks the pieces that continue one by
# signs that are no letters.
BYTES, PIECES = "\u0120", "\u2581"
_MARKED = 0.05  # share of the entries that have a mark where it means something


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """words: of each id, as it stands in a text, "" for what is none. allowed `(V,)` bool: ids of whole words.

    A whole word has at least two letters and nothing else, or is one ideograph: no special token, no continuation of a
    word, no digit, no punctuation.
    """

    words: tuple[str, ...]
    allowed: np.ndarray
    _tensors: dict[Any, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, tokenizer: Any) -> Vocabulary:
        """Read a tokenizer of transformers."""
        entries: Mapping[str, int] = tokenizer.get_vocab()
        special, mark = set(tokenizer.all_special_ids), _mark(entries)
        special |= {i for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special}
        words = [""] * (max(entries.values(), default=-1) + 1)
        for token, i in entries.items():
            if i not in special:
                words[i] = _word(token, mark, tokenizer)
        return cls(tuple(words), np.array([bool(word) for word in words]))

    def tensor(self, size: int, device: torch.device) -> torch.Tensor:
        """Return `allowed` on a device, for a model that knows `size` ids: often more than its tokenizer has."""
        key = size, device
        if key not in self._tensors:
            wide = np.zeros(size, bool)
            wide[: min(size, len(self.allowed))] = self.allowed[:size]
            self._tensors[key] = torch.from_numpy(wide).to(device)
        return self._tensors[key]


def _mark(entries: Mapping[str, int]) -> str:
    """Return what each start of a word begins with, "" for WordPiece."""
    for mark in (BYTES, PIECES):
        if sum(token.startswith(mark) for token in entries) > _MARKED * len(entries):
            return mark
    return ""


def _word(token: str, mark: str, tokenizer: Any) -> str:
    if not token.startswith(mark):
        return ""
    word = token[len(mark) :]
    if mark == BYTES and not token[1:].isascii():
        word = tokenizer.convert_tokens_to_string([token]).strip()  # bytes stand for parts of characters
    kinds = {entry & KIND for entry in classes_of(word)}
    whole = (kinds == {LETTER} and len(word) > 1) or (kinds == {IDEOGRAPH} and len(word) == 1)
    return word if whole else ""
