"""Edits from texts that were written anew as a whole: what differs, and whether what is held is still there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher

from augsynth.text.document import Document
from augsynth.text.edits import Edit

_TOKEN = re.compile(r"\w+|[^\w\s]")
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
    found = []
    for unit in _units(_changed(theirs, ours)):
        (low, _, first, _), (_, high, _, last) = unit[0], unit[-1]
        if sorted(map(str.lower, theirs[low:high])) == sorted(map(str.lower, ours[first:last])):
            pairs = zip(before[low:high], ours[first:last], strict=True)
            found.append([Edit(*span, text) for span, text in pairs if old[slice(*span)] != text])
        else:
            found.append([_edit(old, new, before, after, change) for change in unit])
    return found


def _edit(old: str, new: str, before: list[Span], after: list[Span], change: Change) -> Edit:
    low, high, first, last = change
    if low < high:
        text = new[after[first][0] : after[last - 1][1]] if first < last else ""
        return _replacement(old, before[low][0], before[high - 1][1], text)
    ahead = low < len(before)
    at = before[low][0] if ahead else before[-1][1] if before else 0
    return Edit(at, at, _joined(new, after[first][0], after[last - 1][1], ahead))


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
    """Return which tokens [low, high) became which [first, last); the common ends are cut off first, which is fast."""
    start, most = 0, min(len(old), len(new))
    while start < most and old[start] == new[start]:
        start += 1
    end = 0
    while end < most - start and old[-1 - end] == new[-1 - end]:
        end += 1
    matcher = SequenceMatcher(None, old[start : len(old) - end], new[start : len(new) - end], autojunk=False)
    found = [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]
    return [(low + start, high + start, first + start, last + start) for low, high, first, last in found]


def _replacement(old: str, start: int, end: int, text: str) -> Edit:
    if text:
        return Edit(start, end, text)
    if end < len(old) and old[end].isspace() and (start == 0 or old[start - 1].isspace()):
        return Edit(start, end + 1, "")
    if start and old[start - 1].isspace():
        return Edit(start - 1, end, "")
    return Edit(start, end, "")


def _joined(new: str, start: int, end: int, ahead: bool) -> str:
    """Return new tokens with the space that parts them from the old ones: behind them if they stand ahead of one."""
    text = new[start:end]
    if ahead:
        return text + " " if end < len(new) and new[end].isspace() else text
    return " " + text if start and new[start - 1].isspace() else text


def keeps_held(document: Document, text: str) -> bool:
    """Tell whether all words of the document that are held stand in `text` too, as often."""
    held = Counter(document.lower(*word) for word in document.words if not document.unheld(*word))
    if not held:
        return True
    other = Document(text)
    return held <= Counter(other.lower(*word) for word in other.words)
