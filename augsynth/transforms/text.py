"""Edits of words: synonyms, insertion, exchange, deletion (EDA), punctuation (AEDA); what all text has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augsynth.text import memory
from augsynth.text.document import MIXED, Document, case_of, in_case
from augsynth.text.protection import LABELS, Protection, protection
from augsynth.text.stream import Stream
from augsynth.transforms.base import Array, Leaf, Transform, is_range
from augsynth.transforms.fields import key_words

__all__ = ["PunctuationInsertion", "RandomDeletion", "RandomInsertion", "RandomSwap", "SynonymReplacement"]

# What the compiled engine calls them, see native/text.h.
DELETE, SWAP, PUNCTUATE, REPLACE, INSERT, TABLE, SWAP_LETTERS, DELETE_LETTER, INSERT_LETTER = range(9)


@dataclass(frozen=True, kw_only=True)
class Text(Leaf):
    """A transform of strings, with probability p for each; its edits are on the original characters.

    rate: share of the words (or letters) that are edited, 0 to 1, rounded at random so that the mean is right; or
    (low, high), a share drawn for each string. min_edits, max_edits: bounds of the number of edits, where there are as
    many places. protect: True holds negations, numbers, addresses, placeholders and special tokens; False nothing;
    words, phrases, a regular expression ("re:..." or compiled) or a function from a text to spans are held besides,
    with False among them alone; "labels" are the words by which a training set's classes differ: `Pipeline.learn`.
    """

    p: float = 1.0
    rate: float | tuple[float, float] = 0.1
    min_edits: int = 0
    max_edits: int | None = None
    protect: Any = True

    word: ClassVar[str] = "text"
    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2
    negations: ClassVar[bool] = True  # holds them by default
    rewrites: ClassVar[bool] = False  # writes the whole string anew, so that no span can be followed

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.shares
        if not (is_range((low, high), 0.0, 1.0)):
            self.fail("rate", "a share from 0 to 1, or (low, high)")
        if not _whole(self.min_edits):
            self.fail("min_edits", "a whole number, 0 or more")
        if self.max_edits is not None and not (_whole(self.max_edits) and self.max_edits >= self.min_edits):
            self.fail("max_edits", "a whole number, not below min_edits, or None")
        try:
            protection(self.protect)
        except Exception as error:
            self.fail("protect", f"True, False, words, phrases, a regular expression or a function ({error})")

    def __getstate__(self) -> dict[str, Any]:
        # What was looked up or compiled is found again where it is needed.
        return {item.name: getattr(self, item.name) for item in self._fields()}

    @property
    def shares(self) -> tuple[float, float]:
        """Return the bounds of the rate."""
        return self.rate if isinstance(self.rate, tuple) and len(self.rate) == 2 else (self.rate, self.rate)

    @property
    def unlearned(self) -> bool:
        """Tell whether it is to hold words that have to be found in a training set first."""
        return LABELS in (self.protect if isinstance(self.protect, tuple) else (self.protect,))

    @cached_property
    def protection(self) -> Protection:
        """What is held."""
        return protection(self.protect)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, from which the numbers of a string come."""
        return key_words(u)

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        """Add edits to the document, for which `protect` holds already."""
        raise TypeError(f"{type(self).__name__} does not edit")

    def count(self, n: float, stream: Stream, strength: float) -> int:
        """Return how many of n places are to be edited."""
        low, high = self.shares
        share = low + (high - low) * stream.uniform() if high > low else low
        k = int(n * share * strength + stream.uniform())
        if strength > 0:
            k = max(k, self.min_edits)
        return k if self.max_edits is None else min(k, self.max_edits)

    def chosen(self, n: float, sites: Sequence[Any], stream: Stream, strength: float) -> list[Any]:
        """Return the sites to edit, in order: a share of n, from those there are."""
        return [sites[i] for i in stream.choose(len(sites), min(self.count(n, stream, strength), len(sites)))]

    def instruction(self) -> tuple[Any, ...] | None:
        """Return what the compiled engine needs, its code first; None where only `edit` can do it."""
        return None


def is_written(name: str, transform: Transform) -> bool:
    """Tell whether a transform is for text. Raises ValueError for a combination of both texts and images."""
    parts = transform.parts()
    found = {is_written(f"{name}/{part}", child) for part, child in parts.items()} or {isinstance(transform, Text)}
    if len(found) > 1:
        raise ValueError(f"{name}: {type(transform).__name__} combines transforms of text with others; keep them apart")
    return found.pop()


def learned(transform: Transform, words: tuple[str, ...]) -> Transform:
    """Return the transform, and those in it, with these words in the place of "labels"."""
    if isinstance(transform, Text) and transform.unlearned:
        entries = transform.protect if isinstance(transform.protect, tuple) else (transform.protect,)
        # The word "labels" would stand for all of them once more.
        found = (rf"re:\b[Ll]{LABELS[1:]}\b" if word == LABELS else word for word in words)
        return replace(transform, protect=(*(e for e in entries if e != LABELS), *found) or True)
    parts = transform.parts()
    if not any(is_unlearned(part) for part in parts.values()):
        return transform
    return replace(transform, transforms={name: learned(part, words) for name, part in parts.items()})  # type: ignore[type-var]


def is_unlearned(transform: Transform) -> bool:
    """Tell whether something in it is to hold the words of labels, and does not know them yet."""
    if isinstance(transform, Text) and transform.unlearned:
        return True
    return any(is_unlearned(part) for part in transform.parts().values())


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 0)


@dataclass(frozen=True, kw_only=True)
class Lookup(Text):
    """A transform that knows other words for a word, and edits words that there are some for."""

    def lookup(self, word: str) -> tuple[str, ...]:
        """Return lower-case words for a lower-case word, none where there are none."""
        raise TypeError(f"{type(self).__name__} does not look up")

    @cached_property
    def memory(self) -> memory.Memory:
        """What was looked up before."""
        return memory.Memory(self.lookup)

    def sites(self, document: Document) -> Iterator[tuple[int, int, tuple[str, ...], int]]:
        """Yield the free words that there are others for: start, end, the others, the case."""
        for start, end in document.free_words():
            case = case_of(document.classes[start:end])
            if case != MIXED and (found := self.memory[document.lower(start, end)]):
                yield start, end, found, case

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        sites = list(self.sites(document))
        for start, end, found, case in self.chosen(len(document.words), sites, stream, strength):
            document.replace(start, end, in_case(found[stream.integer(len(found))], case))

    def instruction(self) -> tuple[Any, ...]:
        return REPLACE, self.memory, in_case


@dataclass(frozen=True, kw_only=True)
class Synonyms(Lookup):
    """A transform with a lexicon.

    lexicon: by default the one that ships with augsynth. max_senses: how many of a word's senses count, the most
    frequent first.
    """

    lexicon: Any = None
    max_senses: int = 2

    def validate(self) -> None:
        if not (_whole(self.max_senses) and self.max_senses >= 1):
            self.fail("max_senses", "a whole number, 1 or more")
        if self.lexicon is not None and not hasattr(self.lexicon, "synonyms"):
            self.fail("lexicon", "an augsynth.text.lexicon.Lexicon, or None for the one that is shipped")

    def lookup(self, word: str) -> tuple[str, ...]:
        lexicon = self.lexicon
        if lexicon is None:
            from augsynth.text.lexicon import Lexicon

            lexicon = Lexicon.default()
        return tuple(lexicon.synonyms(word, max_senses=self.max_senses))


@dataclass(frozen=True, kw_only=True)
class SynonymReplacement(Synonyms):
    """Replace words by synonyms, in the same case and inflection. Source: EDA, arXiv:1901.11196."""


@dataclass(frozen=True, kw_only=True)
class RandomInsertion(Synonyms):
    """Insert a synonym of a random word before another random word. Source: EDA, arXiv:1901.11196."""

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        words = document.words
        for _, _, found, _ in self.chosen(len(words), list(self.sites(document)), stream, strength):
            text, first = found[stream.integer(len(found))], stream.integer(len(words))
            for i in range(len(words)):
                start, end = words[(first + i) % len(words)]
                if document.free(start, end) and document.open(start):
                    document.insert(start, text + " ")
                    break

    def instruction(self) -> tuple[Any, ...]:
        return INSERT, self.memory, in_case


@dataclass(frozen=True, kw_only=True)
class RandomSwap(Text):
    """Let pairs of words change places; each word moves once at most. Source: EDA, arXiv:1901.11196.

    rate: share of the words that move; min_edits and max_edits count pairs.
    """

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        sites = document.free_words()
        pairs = min(self.count(len(document.words) * 0.5, stream, strength), len(sites) // 2)
        moved = stream.shuffle(stream.choose(len(sites), 2 * pairs))
        for first, second in zip(moved[::2], moved[1::2], strict=True):
            document.exchange(sites[first], sites[second])

    def instruction(self) -> tuple[Any, ...]:
        return (SWAP,)


@dataclass(frozen=True, kw_only=True)
class RandomDeletion(Text):
    """Delete words, each with one of the spaces around it, but never the last one. Source: EDA, arXiv:1901.11196."""

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        sites, words = document.free_words(), len(document.words)
        k = min(self.count(words, stream, strength), len(sites), max(words - 1, 0))
        for i in stream.choose(len(sites), k):
            start, end = sites[i]
            before, after = document.is_space(start - 1), document.is_space(end)
            # "a good day." becomes "a good.", but "a well-known day" has no space for "well" to take along.
            if start and before and (after or document.is_space(end + 1)) and document.free(start - 1, end):
                start -= 1
            elif end < len(document.text) and before and after and document.free(start, end + 1):
                end += 1
            document.replace(start, end, "")

    def instruction(self) -> tuple[Any, ...]:
        return (DELETE,)


@dataclass(frozen=True, kw_only=True)
class PunctuationInsertion(Text):
    """Insert punctuation marks before words. Source: AEDA, arXiv:2108.13230, where rate=(0, 1/3) and min_edits=1.

    marks: one of them each time.
    """

    marks: tuple[str, ...] = (".", ";", "?", ":", "!", ",")

    def validate(self) -> None:
        if isinstance(self.marks, str) or not self.marks or not all(isinstance(m, str) and m for m in self.marks):
            self.fail("marks", "a list of strings, none of them empty")

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        free = document.free_words()
        sites = [start for start, _ in free if document.is_space(start - 1) and document.open(start)]
        for at in self.chosen(len(document.words), sites, stream, strength):
            document.insert(at, self.marks[stream.integer(len(self.marks))] + " ")

    def instruction(self) -> tuple[Any, ...]:
        return PUNCTUATE, self.marks


@dataclass(frozen=True, kw_only=True)
class Letters(Text):
    """A transform of the letters in words. min_length: words of fewer characters are left alone."""

    min_length: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (_whole(self.min_length) and self.min_length >= 1):
            self.fail("min_length", "a whole number, 1 or more")

    def places(self, document: Document) -> Iterator[tuple[int, int]]:
        """Yield each letter or digit that may be edited, and where its word ends."""
        for start, end in document.words:
            if end - start >= self.min_length and document.unheld(start, end):
                yield from ((at, end) for at in range(start, end) if document.simple(at))


@dataclass(frozen=True, kw_only=True)
class CharTable(Letters):
    """A transform with a table of what may take the place of a character, or of two."""

    @property
    def table(self) -> Mapping[str, tuple[str, ...]]:
        """Return what may take the place of each key, one or two characters."""
        raise TypeError(f"{type(self).__name__} has no table")

    @cached_property
    def _table(self) -> Mapping[str, tuple[str, ...]]:
        return self.table

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        table, text, sites = self._table, document.text, []
        for at, end in self.places(document):
            if at + 1 < end and document.simple(at + 1) and (found := table.get(text[at : at + 2])):
                sites.append((at, at + 2, found))
            elif found := table.get(text[at]):
                sites.append((at, at + 1, found))
        for start, end, found in self.chosen(document.letters, sites, stream, strength):
            text = found[stream.integer(len(found))]
            if document.free(start, end):  # two letters may share one with the site before
                document.replace(start, end, text)

    def instruction(self) -> tuple[Any, ...] | None:
        table = self._compiled
        return None if table is None else (TABLE, *table)

    @cached_property
    def _compiled(self) -> tuple[bytes, bytes, tuple[tuple[str, ...], ...]] | None:
        """Return the rows of single characters below 0x500, those of pairs, and the rows."""
        rows: list[tuple[str, ...]] = []
        singles, pairs = np.full(0x500, -1, np.int32), []
        for key, found in self._table.items():
            codes = [ord(sign) for sign in key]
            if len(codes) == 1 and codes[0] < len(singles):
                singles[codes[0]] = len(rows)
            elif len(codes) == 2:
                pairs.append((*codes, len(rows)))
            else:
                return None
            rows.append(tuple(found))
        return singles.tobytes(), np.array(sorted(pairs), np.int32).tobytes(), tuple(rows)
