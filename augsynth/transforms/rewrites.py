"""Edits of more than a word: contractions, numbers, spaces, sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from augsynth.text.document import LOWERED, MIXED, TITLE, Document, case_of, in_case
from augsynth.text.stream import Stream
from augsynth.transforms.text import Text

__all__ = ["ContractionToggle", "NumberNoise", "SentenceShuffle", "WhitespaceNoise"]

_NOT = {"cannot": "can't", "will not": "won't", "shall not": "shan't"} | {
    f"{verb} not": f"{verb}n't"
    for verb in (
        *("do", "does", "did", "is", "are", "was", "were", "has", "have", "had"),
        *("could", "would", "should", "must", "need", "might"),
    )
}
_PERSONS = {"i": "am", "you": "are", "we": "are", "they": "are", "he": "is", "she": "is", "it": "is", "that": "is"}
_BE = {f"{person} {verb}": f"{person}'{verb[-1] if verb == 'is' else verb[1:]}" for person, verb in _PERSONS.items()}
_WILL = {f"{person} will": f"{person}'ll" for person in _PERSONS}
_HAVE = {f"{person} have": f"{person}'ve" for person in ("i", "you", "we", "they")}
# "I have a car" is no "I've a car", and "it's" is "it is" or "it has": these go one way only.
CONTRACT = {**_NOT, **_BE, **_WILL}
EXPAND = {short: long for long, short in {**_NOT, **_BE, **_WILL, **_HAVE}.items() if not short.endswith("'s")}
_LONG = re.compile(rf"\b({'|'.join(sorted(CONTRACT, key=len, reverse=True))})\b(?=\s+\w)", re.IGNORECASE)
_SHORT = re.compile(
    rf"\b({'|'.join(sorted(EXPAND, key=len, reverse=True))})\b".replace("'", "['\u2019]"), re.IGNORECASE
)
_NUMBER = re.compile(r"(?<!\S)[(\"'$\u20ac\u00a3\u00a5+-]*(\d+(?:[.,:]\d+)*)[%)\"'.,;:!?]*(?!\S)")
_ENDINGS = re.compile(r"(?:[.!?\u2026]+[\"')\]\u201d\u2019]*(?=\s))|[\u3002\uff01\uff1f]+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|No|Fig|cf|e\.g|i\.e|a\.m|p\.m|[A-Z])|\.[A-Za-z])\.$"
)


@dataclass(frozen=True, kw_only=True)
class ContractionToggle(Text):
    """Contract what can be (do not, it is) and expand what is contracted (don't, they're); the meaning stays.

    rate: share of the places. What is ambiguous stays: "it's" may be "it has", "he'd" may be "he had". Case and the
    kind of apostrophe are those of the text. Negations are not held here, for they keep their meaning.
    """

    rate: float | tuple[float, float] = 0.5

    negations: ClassVar[bool] = False

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        text = document.text
        curly = "\u2019" in text and "'" not in text
        sites = []
        for pattern, table in ((_LONG, CONTRACT), (_SHORT, EXPAND)):
            for match in pattern.finditer(text):
                key = " ".join(match.group().lower().replace("\u2019", "'").split())
                if key in table and document.free(*match.span()):
                    sites.append((*match.span(), table[key]))
        for start, end, words in self.chosen(len(sites), sorted(sites), stream, strength):
            written = self._written(document, start, end, words)
            document.replace(start, end, written.replace("'", "\u2019") if curly else written)

    @staticmethod
    def _written(document: Document, start: int, end: int, words: str) -> str:
        case = case_of(document.classes[start:end])
        if document.text[start:end].startswith("I") and words.startswith("i"):
            return "I" + words[1:] if case in (TITLE, LOWERED) else words.upper()
        return in_case(words, TITLE if case == MIXED else case)


@dataclass(frozen=True, kw_only=True)
class NumberNoise(Text):
    """Change numbers, which all other transforms hold: this changes what a text says, and its label may be wrong then.

    mode: digit (one digit becomes another, the first is never 0) or swap (two neighbouring digits change places). rate:
    share of the numbers. Numbers in addresses, names and placeholders stay; words that `protect` names do too.
    """

    mode: str = "digit"

    def validate(self) -> None:
        if self.mode not in ("digit", "swap"):
            self.fail("mode", "digit or swap")

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        document.protect(replace(self.protection, default=False))
        spans = [match.span(1) for match in _NUMBER.finditer(document.text)]
        sites = [span for span in spans if document.free(*span) and self._places(document.text, span)]
        for span in self.chosen(len(spans), sites, stream, strength):
            places = self._places(document.text, span)
            at = places[stream.integer(len(places))]
            if self.mode == "swap":
                document.exchange((at, at + 1), (at + 1, at + 2))
            else:
                first = at == span[0] and span[1] - at > 1 and document.text[at + 1].isdigit()
                others = [d for d in "0123456789"[first:] if d != document.text[at]]
                document.replace(at, at + 1, others[stream.integer(len(others))])

    def _places(self, text: str, span: tuple[int, int]) -> list[int]:
        digits = [at for at in range(*span) if text[at].isascii() and text[at].isdigit()]
        if self.mode == "digit":
            return digits
        pairs = [at for at in digits if at + 1 in digits and text[at] != text[at + 1]]
        return [at for at in pairs if at > span[0] or text[at + 1] != "0"]


@dataclass(frozen=True, kw_only=True)
class WhitespaceNoise(Text):
    """Put other spaces, or none, in the place of single spaces between words. rate: share of the spaces.

    to: what takes their place; "" joins two words.
    """

    to: tuple[str, ...] = ("  ", "", "\t")

    def validate(self) -> None:
        if isinstance(self.to, str) or not self.to or any(not isinstance(s, str) or s.strip() for s in self.to):
            self.fail("to", "a list of strings of spaces, or of nothing")

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        text = document.text
        spaces = [at for at in range(1, len(text) - 1) if text[at] == " "]
        # What is held stays apart from its neighbours too.
        single = [at for at in spaces if not document.is_space(at - 1) and not document.is_space(at + 1)]
        sites = [at for at in single if document.free(at - 1, at + 2)]
        for at in self.chosen(len(spaces), sites, stream, strength):
            if document.free(at - 1, at + 2):
                document.replace(at, at + 1, self.to[stream.integer(len(self.to))])


@dataclass(frozen=True, kw_only=True)
class SentenceShuffle(Text):
    """Let sentences change places, in pairs. rate: share of the sentences that move; bounds count pairs.

    A sentence ends with . ! ? or the like before a space, or with a full stop of Chinese or Japanese; not behind an
    abbreviation. What is held moves with its sentence. Text of one sentence stays.
    """

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        spans = sentences(document.text)
        sites = [span for span in spans if document.untouched(*span)]
        pairs = min(self.count(len(spans) * 0.5, stream, strength), len(sites) // 2)
        moved = stream.shuffle(stream.choose(len(sites), 2 * pairs))
        for first, second in zip(moved[::2], moved[1::2], strict=True):
            document.exchange(sites[first], sites[second])


def sentences(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of a text stand, without the spaces between them."""
    found, start = [], 0
    ends = [m.end() for m in _ENDINGS.finditer(text) if not _ABBREVIATION.search(text[max(m.end() - 8, 0) : m.end()])]
    for end in [*ends, len(text)]:
        part = text[start:end]
        low, high = start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))
        if low < high:
            found.append((low, high))
        start = end
    return found
