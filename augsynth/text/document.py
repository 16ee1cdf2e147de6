"""One string while it is edited: its words, what is held, and the edits so far."""

from __future__ import annotations

import re
from functools import cached_property

from augsynth.text.characters import (
    APOSTROPHE,
    DIGIT,
    IDEOGRAPH,
    KIND,
    LETTER,
    LOWER,
    MARK,
    SPACE,
    UNSPACED,
    UPPER,
    classes_of,
)
from augsynth.text.edits import Edit, in_order, splice
from augsynth.text.protection import Protection, is_negation, shield

LOWERED, TITLE, CAPITALS, MIXED = range(4)


class Document:
    """A text, its words and its edits, which are all on the original characters.

    A word is a run of letters, digits and marks, with apostrophes between letters; each ideograph or kana is a word;
    scripts that put no spaces between words have none. Raises ValueError for a lone surrogate.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.classes = classes_of(text)
        self.edits: list[Edit] = []
        self._edited = bytearray(len(text))
        self._opened = bytearray(len(text) + 1)
        self._held: bytes = bytes(len(text))
        if not text.isascii() and (lone := re.search("[\ud800-\udfff]", text)):
            raise ValueError(f"character {lone.start()} is a lone surrogate, {lone.group()!a}, which is no text")

    @cached_property
    def words(self) -> list[tuple[int, int]]:
        """Return where each word starts and ends, in order."""
        found, at, kinds = [], 0, [entry & KIND for entry in self.classes]
        while at < len(kinds):
            start, kind, at = at, kinds[at], at + 1
            if kind in (LETTER, DIGIT):
                at = _end_of_word(kinds, at)
            elif kind in (IDEOGRAPH, UNSPACED):
                while at < len(kinds) and (kinds[at] == MARK or kind == kinds[at] == UNSPACED):
                    at += 1
            if kind in (LETTER, DIGIT, IDEOGRAPH):
                found.append((start, at))
        return found

    @cached_property
    def letters(self) -> int:
        """Return how many letters and digits stand in words."""
        return sum(entry & KIND in (LETTER, DIGIT) for entry in self.classes)

    @cached_property
    def _shielded_signs(self) -> bytes:
        return bytes(shield(self.text, self.classes))

    @cached_property
    def _shield(self) -> bytes:
        held = bytearray(self._shielded_signs)
        for start, end in self.words:
            if is_negation(self.lower(start, end)):
                held[start:end] = b"\1" * (end - start)
        return bytes(held)

    def protect(self, protection: Protection, negations: bool = True) -> None:
        """Let `protection` hold for what comes next, in place of the one before. negations: hold them by default."""
        shielded = self._shield if negations else self._shielded_signs
        held = bytearray(shielded if protection.default else len(self.text))
        if protection.words:
            for start, end in self.words:
                if self.lower(start, end) in protection.words:
                    held[start:end] = b"\1" * (end - start)
        for start, end in protection.spans(self.text):
            held[start:end] = b"\1" * (end - start)
        self._held = bytes(held)

    def lower(self, start: int, end: int) -> str:
        """Return a word in lower case, with straight apostrophes."""
        return self.text[start:end].lower().replace("\u2019", "'")

    def free(self, start: int, end: int) -> bool:
        """Tell whether nothing in [start, end) is held or edited, and nothing was inserted between."""
        touched = any(self._edited[start:end]) or any(self._opened[start + 1 : end])
        return not touched and not any(self._held[start:end])

    def unheld(self, start: int, end: int) -> bool:
        """Tell whether nothing in [start, end) is held; it may be edited."""
        return not any(self._held[start:end])

    def untouched(self, start: int, end: int) -> bool:
        """Tell whether nothing in [start, end) is edited, and nothing was inserted there; it may be held."""
        return not any(self._edited[start:end]) and not any(self._opened[start:end])

    def free_words(self) -> list[tuple[int, int]]:
        """Return the words of which nothing is held or edited."""
        return [(start, end) for start, end in self.words if self.free(start, end)]

    def simple(self, at: int) -> bool:
        """Tell whether the character is a letter or digit by itself: no mark follows, nothing is edited."""
        if self.classes[at] & KIND not in (LETTER, DIGIT) or self._edited[at]:
            return False
        return at + 1 == len(self.text) or self.classes[at + 1] & KIND != MARK

    def is_space(self, at: int) -> bool:
        """Tell whether a space stands there; also before and behind the text."""
        return not 0 <= at < len(self.text) or self.classes[at] & KIND == SPACE

    def open(self, at: int) -> bool:
        """Tell whether something may be inserted before the character at `at`, which starts a word that is free."""
        return not self._opened[at]

    def replace(self, start: int, end: int, text: str, origin: tuple[int, int] | None = None) -> None:
        """Put `text` in the place of [start, end)."""
        self.edits.append(Edit(start, end, text, origin))
        self._edited[start:end] = b"\1" * (end - start)

    def insert(self, at: int, text: str) -> None:
        """Put `text` before the character at `at`."""
        self.edits.append(Edit(at, at, text))
        self._opened[at] = 1

    def exchange(self, first: tuple[int, int], second: tuple[int, int]) -> None:
        """Let two stretches change places."""
        for there, here in ((first, second), (second, first)):
            self.replace(*there, self.text[slice(*here)], here)

    def finish(self) -> str:
        """Return the edited text; the same object where nothing was edited."""
        self.edits = in_order(self.edits)
        return splice(self.text, self.edits)


def _end_of_word(kinds: list[int], at: int) -> int:
    while at < len(kinds):
        inside = kinds[at] in (LETTER, DIGIT, MARK)
        # Between letters only: quotes at the edge of a word are not part of it.
        joined = kinds[at] == APOSTROPHE and kinds[at - 1] == LETTER and at + 1 < len(kinds) and kinds[at + 1] == LETTER
        if not (inside or joined):
            return at
        at += 1
    return at


def case_of(classes: bytes) -> int:
    """Return the case pattern of a word's characters: LOWER, TITLE, CAPITALS or MIXED."""
    upper = [at for at, entry in enumerate(classes) if entry & UPPER]
    if not upper:
        return LOWERED
    if upper == [0]:
        return TITLE
    return CAPITALS if not any(entry & LOWER for entry in classes) else MIXED


def in_case(word: str, case: int) -> str:
    """Return a lower-case word in the case LOWERED, TITLE or CAPITALS."""
    if case == TITLE:
        return word[:1].upper() + word[1:]
    return word.upper() if case == CAPITALS else word
