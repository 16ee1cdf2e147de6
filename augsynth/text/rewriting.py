"""Edits from texts that were written anew as a whole: what differs, and whether what is held is still there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher

from augsynth.text.document import Document
from augsynth.text.edits import Edit

_TOKEN = re.compile(r"\w+|[^\w\s]")
_WINDOW = 400  # tokens that are compared at once
_REACH = 3  # words that stay between places among which words have moved
Span = tuple[int, int]
Change = tuple[int, int, int, int]  # tokens [low, high) became [first, last)


def difference(old: str, new: str) -> list[list[Edit]]:
    """Return edits that make the words and signs of `new` out of `old`, in order; white space is left as it was.

    Edits of one list belong together, such as words that have changed places: without the others, one would lose or
    double a word. A word that is gone takes a space with it, a new one brings one along where `new` has one there.
    """
    before = [match.span() for match in _TOKEN.finditer(old)]
    after = [match.span() for match in _TOKEN.finditer(new)]
    theirs, ours = [old[slice(*span)] for span in before], [new[slice(*span)] for span in after]
    found: list[list[Edit]] = []
    for unit in _units(_changed(theirs, ours)):
        (low, _, first, _), (_, high, _, last) = unit[0], unit[-1]
        pairs = list(zip(range(low, high), range(first, last), strict=False))
        moved = sorted(map(str.lower, theirs[low:high])) == sorted(map(str.lower, ours[first:last]))
        alike = high - low == last - first and all(_is_word(theirs[k]) == _is_word(ours[n]) for k, n in pairs)
        if moved and not alike:  # a word in the place of a sign: the spaces around them are the new ones
            unit = [(low, high, first, last)]
        elif moved or (alike and len(unit) == 1):
            edits = [Edit(*before[k], ours[n]) for k, n in pairs if theirs[k] != ours[n]]
            found += [edits] if moved else [[edit] for edit in edits]
            continue
        found.append([_edit(old, new, before, after, change) for change in unit])
    return found


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _edit(old: str, new: str, before: list[Span], after: list[Span], change: Change) -> Edit:
    low, high, first, last = change
    if first == last:
        return _deletion(old, before[low][0], before[high - 1][1])
    source = after[first][0], after[last - 1][1]
    if low < high:
        start, end = before[low][0], before[high - 1][1]
        return Edit(start, end, _between(old, start, end, new, *source))
    at = before[low][0] if low < len(before) else before[-1][1] if before else 0
    text = _between(old, at, at, new, *source)
    if low < len(before):
        return Edit(at, at, text + " " * (new[source[1] : source[1] + 1].isspace() and text[-1] != " "))
    return Edit(at, at, " " * (new[source[0] - 1 : source[0]].isspace() and text[0] != " ") + text)


def _between(old: str, start: int, end: int, new: str, first: int, last: int) -> str:
    """Return new[first:last] for the place of old[start:end], with a space where a word would grow together."""
    text = new[first:last]
    if start and first and new[first - 1].isspace() and _is_word(old[start - 1]) and _is_word(text):
        text = " " + text
    if end < len(old) and last < len(new) and new[last].isspace() and _is_word(old[end]) and _is_word(text[-1]):
        text += " "
    return text


def _units(changes: list[Change]) -> Iterator[list[Change]]:
    """Yield changes, those in one list that follow each other closely and together leave the number of words."""
    at = 0
    while at < len(changes):
        end = _end_of_unit(changes, at)
        yield changes[at:end]
        at = end


def _end_of_unit(changes: list[Change], at: int) -> int:
    surplus = 0
    for end in range(at, len(changes)):
        low, high, first, last = changes[end]
        if end > at and low - changes[end - 1][1] > _REACH:
            break
        surplus += (high - low) - (last - first)
        if not surplus:
            return end + 1
    return at + 1


def _changed(old: list[str], new: list[str]) -> list[Change]:
    """Return which tokens became which: what follows each other is one change."""
    start, most = 0, min(len(old), len(new))
    while start < most and old[start] == new[start]:
        start += 1
    end = 0
    while end < most - start and old[-1 - end] == new[-1 - end]:
        end += 1
    found: list[Change] = []
    for low, high, first, last in _pieces(old, new, start, len(old) - end, len(new) - end):
        if found and found[-1][1] == low and found[-1][3] == first:
            found[-1] = found[-1][0], high, found[-1][2], last
        else:
            found.append((low, high, first, last))
    return found


def _pieces(old: list[str], new: list[str], start: int, old_end: int, new_end: int) -> Iterator[Change]:
    """Yield changes from `start` on; a long text is compared window by window, in linear time."""
    low = first = start
    while low < old_end or first < new_end:
        # The whole of a matrix that is not too large, else a part of it from where the texts differ next.
        small = (old_end - low) * (new_end - first) <= _WINDOW**2
        high, last = (old_end, new_end) if small else (min(low + _WINDOW, old_end), min(first + _WINDOW, new_end))
        matcher = SequenceMatcher(None, old[low:high], new[first:last], autojunk=False)
        whole = high == old_end and last == new_end
        blocks = matcher.get_matching_blocks()
        at, source = 0, 0
        for block in blocks if whole else blocks[:-1]:
            if block.a > at or block.b > source:
                yield low + at, low + block.a, first + source, first + block.b
            at, source = block.a + block.size, block.b + block.size
        if whole:
            return
        if not at:
            yield low, high, first, last
            at, source = high - low, last - first
        low, first = low + at, first + source
        while low < old_end and first < new_end and old[low] == new[first]:
            low, first = low + 1, first + 1


def _deletion(old: str, start: int, end: int) -> Edit:
    if end < len(old) and old[end].isspace() and (start == 0 or old[start - 1].isspace()):
        return Edit(start, end + 1, "")
    if start and old[start - 1].isspace():
        return Edit(start - 1, end, "")
    return Edit(start, end, "")


def keeps_held(document: Document, text: str) -> bool:
    """Tell whether all words of the document that are held stand in `text` too, as often."""
    held = Counter(document.lower(*word) for word in document.words if not document.unheld(*word))
    if not held:
        return True
    other = Document(text)
    return held <= Counter(other.lower(*word) for word in other.words)
