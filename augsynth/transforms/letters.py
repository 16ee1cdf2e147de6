"""Edits of single letters: exchange, deletion, insertion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from augsynth.text.characters import UPPER
from augsynth.text.document import Document
from augsynth.text.stream import Stream
from augsynth.transforms.text import DELETE_LETTER, INSERT_LETTER, SWAP_LETTERS, Letters

__all__ = ["CharDelete", "CharInsert", "CharSwap"]


@dataclass(frozen=True, kw_only=True)
class CharSwap(Letters):
    """Let neighbouring letters of a word change places. rate: share of the letters that move; bounds count pairs."""

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        text, sites = document.text, []
        for at, end in self.places(document):
            if at + 1 < end and document.simple(at + 1) and text[at] != text[at + 1]:
                sites.append(at)
        for at in self.chosen(document.letters * 0.5, sites, stream, strength):
            if document.free(at, at + 2):  # two pairs may share a letter
                document.exchange((at, at + 1), (at + 1, at + 2))

    def instruction(self) -> tuple[Any, ...]:
        return (SWAP_LETTERS,)


@dataclass(frozen=True, kw_only=True)
class CharDelete(Letters):
    """Delete letters; a word keeps one of its characters."""

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        sites, ends = list(self.places(document)), dict[int, int]()
        starts = {end: start for start, end in document.words}
        for at, end in self.chosen(document.letters, sites, stream, strength):
            left = ends.get(end, end - starts[end])
            ends[end] = left - 1
            if left > 1:
                document.replace(at, at + 1, "")

    def instruction(self) -> tuple[Any, ...]:
        return (DELETE_LETTER,)


@dataclass(frozen=True, kw_only=True)
class CharInsert(Letters):
    """Insert random letters before letters of words, in their case. alphabet: a string, or several, to insert from."""

    alphabet: str | tuple[str, ...] = "abcdefghijklmnopqrstuvwxyz"

    def validate(self) -> None:
        if not self.alphabet or not all(isinstance(sign, str) and sign for sign in self.alphabet):
            self.fail("alphabet", "a string that is not empty, or a list of such")

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        sites = [at for at, _ in self.places(document) if document.open(at)]
        lower, upper = self._alphabets
        for at in self.chosen(document.letters, sites, stream, strength):
            letters = upper if document.classes[at] & UPPER else lower
            document.insert(at, letters[stream.integer(len(letters))])

    @property
    def _alphabets(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(self.alphabet), tuple(sign.upper() for sign in self.alphabet)

    def instruction(self) -> tuple[Any, ...]:
        return INSERT_LETTER, *self._alphabets
