"""What goes wrong when people type and machines read: keys, scanners, spelling, look-alikes, case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from augsynth.text import tables
from augsynth.text.characters import LOWER, UPPER
from augsynth.text.document import CAPITALS, LOWERED, MIXED, TITLE, Document, case_of, in_case
from augsynth.text.stream import Stream
from augsynth.transforms.text import CharTable, Letters, Lookup

__all__ = ["CaseNoise", "KeyboardNoise", "OcrNoise", "SpellingNoise", "UnicodeConfusables"]


@dataclass(frozen=True, kw_only=True)
class KeyboardNoise(CharTable):
    """Replace letters by those of neighbouring keys, upper case by upper case. rate: share of the letters.

    layout: qwerty, qwertz, azerty, dvorak, qwerty-es or qwerty-it, or the path of a file, see
    `augsynth.text.tables.keyboard`. letters_only: False puts digits and signs in as well, where they lie near.
    """

    layout: str = "qwerty"
    letters_only: bool = True

    def validate(self) -> None:
        if not isinstance(self.letters_only, bool):
            self.fail("letters_only", "True or False")
        try:
            tables.keyboard(self.layout, self.letters_only)
        except (ValueError, TypeError) as error:
            self.fail("layout", f"a keyboard: {error}")

    @property
    def table(self) -> Mapping[str, tuple[str, ...]]:
        return tables.keyboard(self.layout, self.letters_only)


@dataclass(frozen=True, kw_only=True)
class OcrNoise(CharTable):
    """Replace letters, and pairs of them, by what a scanner takes them for: rn and m, 0 and O, cl and d."""

    @property
    def table(self) -> Mapping[str, tuple[str, ...]]:
        return tables.scanner()


@dataclass(frozen=True, kw_only=True)
class UnicodeConfusables(CharTable):
    """Replace Latin letters by letters of other scripts that look alike. Source: Unicode TS 39.

    Greek and Cyrillic letters become Latin ones.
    """

    @property
    def table(self) -> Mapping[str, tuple[str, ...]]:
        return tables.lookalikes()


@dataclass(frozen=True, kw_only=True)
class SpellingNoise(Lookup):
    """Replace words by common misspellings, in their case.

    table: by default that of English words that is shipped; a mapping of words to misspellings, or the path of a file
    with a word and its misspellings on each line, tabs between.
    """

    table: str | Mapping[str, tuple[str, ...]] | None = None

    def validate(self) -> None:
        table = self.table
        if isinstance(table, Mapping):
            if not all(_is_word(word) and _is_list(others) for word, others in table.items()):
                self.fail("table", "a mapping of words to lists of misspellings")
        elif table is not None and not isinstance(table, str):
            self.fail("table", "a mapping, the path of a file, or None")
        try:
            phrases = [word for word in self._known if len(word.split()) != 1]
        except (ValueError, OSError) as error:
            self.fail("table", f"a file of words and misspellings ({error})")
        if phrases:
            self.fail("table", f"misspellings of single words, not of {phrases[0]!r}")

    @cached_property
    def _known(self) -> Mapping[str, tuple[str, ...]]:
        if self.table is None:
            return tables.misspellings()
        if isinstance(self.table, str):
            return tables.words_of_file(self.table)
        return {str(word).lower(): others for word, others in self.table.items()}

    def lookup(self, word: str) -> tuple[str, ...]:
        return tuple(self._known.get(word, ()))


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_word, value))


@dataclass(frozen=True, kw_only=True)
class CaseNoise(Letters):
    """Change the case of letters (mode="char"), or write words in lower case, with a capital, or in capitals ("word").

    rate: share of the letters, or of the words. Letters of which another case is more than one character stay.
    """

    mode: str = "char"

    def validate(self) -> None:
        if self.mode not in ("char", "word"):
            self.fail("mode", "char or word")

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        (self._edit_letters if self.mode == "char" else self._edit_words)(document, stream, strength)

    def _edit_letters(self, document: Document, stream: Stream, strength: float) -> None:
        text, classes = document.text, document.classes
        cased = [at for at, _ in self.places(document) if classes[at] & (UPPER | LOWER)]
        sites = [at for at in cased if len(text[at].swapcase()) == 1 and text[at].swapcase() != text[at]]
        for at in self.chosen(document.letters, sites, stream, strength):
            document.replace(at, at + 1, text[at].swapcase())

    def _edit_words(self, document: Document, stream: Stream, strength: float) -> None:
        sites = []
        for start, end in document.free_words():
            others = self._others(document, start, end) if end - start >= self.min_length else []
            if others:
                sites.append((start, end, others))
        for start, end, others in self.chosen(len(document.words), sites, stream, strength):
            document.replace(start, end, others[stream.integer(len(others))])

    @staticmethod
    def _others(document: Document, start: int, end: int) -> list[str]:
        word, case = document.text[start:end], case_of(document.classes[start:end])
        if case == MIXED or len(word.lower()) != len(word) or len(word.upper()) != len(word):
            return []
        written = (in_case(word.lower(), other) for other in (LOWERED, TITLE, CAPITALS) if other != case)
        return [other for other in dict.fromkeys(written) if other != word]
