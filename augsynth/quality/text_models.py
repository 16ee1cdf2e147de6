"""The network that judges text: a small default that reads word order, and the words that it knows."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from augsynth.text.characters import APOSTROPHE, DIGIT, IDEOGRAPH, KIND, LETTER, MARK, SPACE, UNSPACED, classes_of

PADDING = 0
BUCKETS = 512  # of words that training texts have once or never
LONGEST = 256  # tokens of a text that are read
SHORTEST = 4  # no batch is shorter, so that the widest convolution fits
_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*|[^a-z0-9\s]")
# The same on the kinds of characters, where each ideograph, and each sign of a script without spaces, is a word.
_KINDS = bytes(entry & KIND for entry in range(256))
_LETTERS = b"[%c%c%c]+" % (LETTER, DIGIT, MARK)
_ALONE = b"[%c%c]%c*" % (IDEOGRAPH, UNSPACED, MARK)
_TOKEN_OF_KINDS = re.compile(b"%b(?:%c%b)*|%b|[^%c]" % (_LETTERS, APOSTROPHE, _LETTERS, _ALONE, SPACE))


class WordCNN(nn.Module):
    """Embeddings of words, convolutions over two, three and four of them, the largest response of each, one layer.

    num_classes, vocab_size: of the data. width: of the embedding; channels: of each convolution; dropout: before the
    last layer. Maps ids `(B, L)` int64, 0 for padding, to logits `(B, num_classes)`. Source: arXiv:1408.5882.
    """

    def __init__(
        self, num_classes: int, vocab_size: int, width: int = 64, channels: int = 64, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PADDING)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, size, padding=size // 2) for size in (2, 3, 4))
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(3 * channels, num_classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        words = self.dropout(self.embedding(ids)).transpose(1, 2)
        features = [convolution(words).relu().amax(2) for convolution in self.convolutions]
        logits: torch.Tensor = self.classify(self.dropout(torch.cat(features, 1)))
        return logits


def tokens(text: str) -> list[str]:
    """Return a text's words in lower case, and its punctuation marks, in order."""
    text = text.lower()
    if text.isascii():
        return _TOKEN.findall(text)
    return [text[slice(*found.span())] for found in _TOKEN_OF_KINDS.finditer(classes_of(text).translate(_KINDS))]


@dataclass(frozen=True)
class Words:
    """The words that a network knows by themselves: those that occur twice or more in its training texts.

    All others share `BUCKETS` ids by a hash, which words that occur once train as well. max_length: tokens of a text
    that are read.
    """

    known: tuple[str, ...]
    max_length: int = LONGEST

    @classmethod
    def of(cls, texts: Iterable[str], max_length: int = LONGEST) -> Words:
        """Count the words of training texts, the most frequent first, ties in alphabetical order."""
        counts = Counter(token for text in texts for token in tokens(text))
        known = sorted((word for word, count in counts.items() if count > 1), key=lambda word: (-counts[word], word))
        return cls(tuple(known), max_length)

    @property
    def vocab_size(self) -> int:
        """How many ids there are, padding included."""
        return 1 + BUCKETS + len(self.known)

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Return ids `(B, L)` int64, L the length of the longest text."""
        number = self._numbers()
        rows = [[number.get(token) or _bucket(token) for token in tokens(text)[: self.max_length]] for text in texts]
        length = max(SHORTEST, max(map(len, rows), default=0))
        return torch.tensor([row + [PADDING] * (length - len(row)) for row in rows], dtype=torch.int64)

    def _numbers(self) -> dict[str, int]:
        found: dict[str, int] | None = self.__dict__.get("_number")
        if found is None:
            found = {word: 1 + BUCKETS + i for i, word in enumerate(self.known)}
            object.__setattr__(self, "_number", found)
        return found


def _bucket(token: str) -> int:
    return 1 + zlib.crc32(token.encode("utf-8", "surrogatepass")) % BUCKETS
