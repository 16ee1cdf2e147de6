"""What a transform must leave alone: negations, numbers, addresses, placeholders, and what the user names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from augsynth.text.characters import DIGIT, IDEOGRAPH, KIND, LETTER, SPACE, SPECIAL, UNSPACED

# Lower-case words that turn a sentence's meaning round; and any that ends in n't.
_NEGATIONS = """
no not never none nobody nothing nowhere neither nor cannot without hardly barely scarcely seldom
dont cant wont isnt arent wasnt werent doesnt didnt hasnt havent hadnt couldnt wouldnt shouldnt aint
"""
NEGATIONS = frozenset(_NEGATIONS.split())
OPENERS = {"<": ">", "{": "}", "[": "]"}
GROUP = 64  # the longest placeholder in brackets, in characters
LABELS = "labels"
_PARTS = (LETTER, DIGIT, IDEOGRAPH, UNSPACED)


def shield(text: str, classes: bytes) -> bytearray:
    """Tell for each character whether the default protection holds it, but for negations, which are whole words.

    A stretch without spaces is held where it has a digit or one of the SPECIAL signs, or a full stop or colon between
    letters: numbers, e-mail and web addresses, paths, {placeholders}, <tags>, [TOKENS], U.S.A. What stands in brackets
    on one line is held as a whole.
    """
    held = bytearray(len(text))
    start = 0
    for at in range(len(text) + 1):
        kind = classes[at] & KIND if at < len(text) else SPACE
        if kind in (SPACE, IDEOGRAPH):
            if start < at and _is_special(text, classes, start, at):
                held[start:at] = b"\1" * (at - start)
            start = at + 1
    for at, sign in enumerate(text):
        if sign in OPENERS and (size := _group(text, at)):
            held[at : at + size] = b"\1" * size
    return held


def _is_special(text: str, classes: bytes, start: int, end: int) -> bool:
    for at in range(start, end):
        if classes[at] & SPECIAL or classes[at] & KIND == DIGIT:
            return True
        between = text[at] in ".:" and start < at < end - 1
        if between and classes[at - 1] & KIND in _PARTS and classes[at + 1] & KIND in _PARTS:
            return True
    return False


def _group(text: str, at: int) -> int:
    """Return how many characters a group in brackets has that starts here, 0 for none."""
    closer = OPENERS[text[at]]
    for size, sign in enumerate(text[at + 1 : at + GROUP], 2):
        if sign == closer:
            return size
        if sign == "\n" or sign in OPENERS:
            return 0
    return 0


def is_negation(word: str) -> bool:
    """Tell whether a lower-case word turns the meaning round."""
    return word in NEGATIONS or word.endswith(("n't", "n\u2019t"))


@dataclass(frozen=True)
class Protection:
    """What `protect=` of a transform stands for.

    default: negations, numbers, addresses, placeholders and special tokens are held. words: lower-case words held
    besides. pattern: holds what it matches. function: called with the text, returns spans (start, end) that it holds.
    """

    default: bool = True
    words: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    function: Callable[[str], Iterable[tuple[int, int]]] | None = None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return what pattern and function hold. Raises ValueError for a span that is none of this text."""
        found = [match.span() for match in self.pattern.finditer(text)] if self.pattern else []
        for span in self.function(text) if self.function else ():
            start, end = span
            if not 0 <= start <= end <= len(text):
                raise ValueError(f"protect: the function gave the span ({start}, {end}) for a text of {len(text)}")
            found.append((int(start), int(end)))
        return found


def _phrases(phrases: Sequence[str]) -> str:
    return "|".join(rf"(?<!\w){re.escape(phrase)}(?!\w)" for phrase in sorted(phrases, key=len, reverse=True))


@lru_cache(256)
def protection(value: Any) -> Protection:
    """Read a `protect=` argument, which has been frozen: True, False, words and phrases, a pattern or a function.

    Raises TypeError for anything else. An entry "re:..." is a regular expression.
    """
    if isinstance(value, bool):
        return Protection(value)
    entries = value if isinstance(value, tuple) else (value,)
    words, phrases, patterns, function = [], [], [], None
    for entry in entries:
        if isinstance(entry, re.Pattern):
            patterns.append(entry)
        elif callable(entry) and function is None:
            function = entry
        elif isinstance(entry, str) and entry.startswith("re:"):
            patterns.append(re.compile(entry[3:]))
        elif isinstance(entry, str) and entry.replace("\u2019", "'").strip("'").replace("'", "").isalnum():
            words.append(entry.lower().replace("\u2019", "'"))
        elif isinstance(entry, str) and entry.strip():
            phrases.append(entry)
        elif not isinstance(entry, bool):
            raise TypeError(f"{entry!r} is neither a word, a phrase, a regular expression nor a function")
    return Protection(False not in entries, frozenset(words), _joined(patterns, phrases), function)


def _joined(patterns: list[re.Pattern[str]], phrases: list[str]) -> re.Pattern[str] | None:
    if phrases:
        patterns = [*patterns, re.compile(_phrases(phrases), re.IGNORECASE)]
    if len(patterns) < 2:
        return patterns[0] if patterns else None
    return re.compile("|".join(_inline(pattern) for pattern in patterns))


def _inline(pattern: re.Pattern[str]) -> str:
    flags = "".join(
        letter for letter, flag in (("i", re.I), ("m", re.M), ("s", re.S), ("x", re.X)) if pattern.flags & flag
    )
    return f"(?{flags}:{pattern.pattern})" if flags else f"(?:{pattern.pattern})"
