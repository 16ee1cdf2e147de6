"""Edits of more than a word: contractions, numbers, spaces, sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from augsynth.text.characters import UPPER
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


def _any_of(words: Iterable[str]) -> str:
    return rf"(?:{'|'.join(sorted(words, key=len, reverse=True))})\b"


# "Yes, I am", "I am too", "I am and I": a verb that ends its clause stays whole. "I will not" is better "I won't".
_LONG = re.compile(
    rf"\b(?:{_any_of(_NOT)}|(?!\w+ will\s+not\b){_any_of({**_BE, **_WILL})}"
    r"(?=\s+\w)(?!\s+(?:and|or|but|nor|because|if|unless|than|too|either)\b))",
    re.IGNORECASE,
)
# "Don't you", "isn't it" turn round when they are expanded; "wouldn't've" has more than one part.
_SHORT = re.compile(
    rf"\b{_any_of(EXPAND)}(?!')(?!\s+(?:i|you|he|she|it|we|they|there)\b)".replace("'", "['\u2019]"), re.IGNORECASE
)
# "How old you are now", "taller than he is today": what was asked for or compared stood behind the verb.
_MOVED = re.compile(
    r"\b(?:what|who|whom|whose|which|where|when|why|how|than|as)(?:ever)?\b[^.,;:!?()]*\Z", re.IGNORECASE
)
_ASKING = re.compile(r"\b(?:why|how|when|where)\s*\Z", re.IGNORECASE)
_OPENING = re.compile(r"(?:\A|[.,;:!?(\"\u201c])\s*\Z")
_SUBJECT = re.compile(
    r"\s+(?:[A-Z][a-z]|(?:the|this|that|these|those|an?|my|your|his|her|its|our|their|every|some|any|all|people)\b)"
)
NEARBY = 60  # how far back a clause is read, in characters
_NUMBER = re.compile(r"(?<!\S)[(\"'$\u20ac\u00a3\u00a5+-]*(\d+(?:[.,:]\d+)*)[%)\"'.,;:!?]*(?!\S)")
# What is no end of a sentence comes first and is passed over. Repeats never step back, or rows of signs take hours.
_ENDINGS = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|Fig|cf|[A-Z])|\.[A-Za-z])\.(?=\s)|\bNo\.(?=\s+\d)|\betc\.(?=\s+[^\sA-Z])"
    r"|(?P<end>(?<![.!?\u2026])[.!?\u2026]++[\"')\]\u201d\u2019]*+(?=\s)|[\u3002\uff01\uff1f]++)"
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
        curly = "\u2019" in document.text and "'" not in document.text
        sites = sorted([*self._long(document.text), *self._short(document.text)])
        sites = [site for site in sites if document.free(*site[:2])]
        for start, end, words in self.chosen(len(sites), sites, stream, strength):
            written = self._written(document, start, end, words)
            document.replace(start, end, written.replace("'", "\u2019") if curly else written)

    @staticmethod
    def _long(text: str) -> Iterator[tuple[int, int, str]]:
        for match in _LONG.finditer(text):
            key, start = match.group().lower(), match.start()
            if key in _NOT or (key in CONTRACT and not _MOVED.search(text[max(start - NEARBY, 0) : start])):
                yield *match.span(), CONTRACT[key]

    @staticmethod
    def _short(text: str) -> Iterator[tuple[int, int, str]]:
        for match in _SHORT.finditer(text):
            key, (start, end) = match.group().lower().replace("\u2019", "'"), match.span()
            before = text[max(start - NEARBY, 0) : start]
            # Questions, unlike "it isn't the king": "why isn't there", "Didn't the king".
            asked = _ASKING.search(before) or (_OPENING.search(before) and _SUBJECT.match(text, end))
            if key in EXPAND and not (asked and EXPAND[key] in _NOT):
                yield start, end, EXPAND[key]

    @staticmethod
    def _written(document: Document, start: int, end: int, words: str) -> str:
        case = case_of(document.classes[start:end])
        if case == MIXED:  # "Do Not", "do NOT"
            case = TITLE if document.classes[start] & UPPER else LOWERED
        return in_case(words, case)


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
                first = at == span[0] and at + 1 < span[1] and document.text[at + 1] not in ".:"
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
            document.replace(at, at + 1, self.to[stream.integer(len(self.to))])


@dataclass(frozen=True, kw_only=True)
class SentenceShuffle(Text):
    """Let sentences change places, in pairs. rate: share of the sentences that move; bounds count pairs.

    A sentence ends with . ! ? or the like before a space, or with a full stop of Chinese or Japanese; not behind an
    abbreviation or the number of a list, nor inside of what is held, which moves with its sentence. Text of one
    sentence stays.
    """

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        spans = sentences(document.text, document.unheld)
        sites = [span for span in spans if document.untouched(*span)]
        pairs = min(self.count(len(spans) * 0.5, stream, strength), len(sites) // 2)
        moved = stream.shuffle(stream.choose(len(sites), 2 * pairs))
        for first, second in zip(moved[::2], moved[1::2], strict=True):
            document.exchange(sites[first], sites[second])


def sentences(text: str, unheld: Callable[[int, int], bool] = lambda start, end: True) -> list[tuple[int, int]]:
    """Return where the sentences of a text stand, without the spaces between them; each has a letter.

    unheld: tells whether a stretch may be cut through.
    """
    found, start, before, lettered = [], 0, 0, False
    for end in [*(match.end("end") for match in _ENDINGS.finditer(text) if match["end"]), len(text)]:
        lettered, before = lettered or any(map(str.isalpha, text[before:end])), end
        inside = end < len(text) and not (unheld(end - 1, end) or unheld(end, end + 1))
        if lettered and not inside:
            part = text[start:end]
            found.append((start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())))
            start, lettered = end, False
    return found
