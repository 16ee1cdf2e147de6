"""Edits on a string, all on its original characters, and what they do to spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

POLICIES = ("keep", "shrink", "drop", "error")


class Edit(NamedTuple):
    """Put `text` in the place of the original characters [start, end); start == end inserts.

    origin: [start, end) of the original where the text was moved from, or None for text that is new.
    """

    start: int
    end: int
    text: str
    origin: tuple[int, int] | None = None


class SpanError(ValueError):
    """An edit touches a span that must not be touched."""


def in_order(edits: Sequence[Edit]) -> list[Edit]:
    """Return edits as they stand in the text: an insertion stands before what replaces the characters behind it."""
    return sorted(edits, key=lambda edit: (edit.start, edit.end))


def splice(text: str, edits: Sequence[Edit]) -> str:
    """Return the edited text; all else is left to the byte, and without edits it is the same object.

    Raises ValueError where edits overlap or leave the text.
    """
    if not edits:
        return text
    parts, at = [], 0
    for edit in in_order(edits):
        if not at <= edit.start <= edit.end <= len(text):
            raise ValueError(f"edit {tuple(edit)[:2]} overlaps the one before it or leaves the text of {len(text)}")
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def map_spans(spans: Sequence[Any], edits: Sequence[Edit], policy: str = "keep", text: str | None = None) -> list[Any]:
    """Return spans `(start, end, ...)` or dicts with start and end, in their order, where their text stands now.

    A span that edits do not touch covers the same text; one that lies in text that was moved goes with it. For one that
    is touched: keep (it covers what now stands in its place; gone where nothing does), shrink (the longest part that
    was not edited), drop, error (SpanError). An insertion at the edge of a span is outside of it.
    text: the original, where it is known: spans are checked, and one that has lost words has no space at its edge.
    Raises ValueError for a span that is none of the text.
    """
    if policy not in POLICIES:
        raise ValueError(f"span_policy={policy!r} is not one of {', '.join(POLICIES)}")
    ordered = in_order(edits)
    # Where the characters behind each edit have gone to.
    shifts, shift = [], 0
    for edit in ordered:
        shifts.append(shift)
        shift += len(edit.text) - (edit.end - edit.start)
    after = None if text is None else splice(text, ordered)
    result = []
    for position, span in enumerate(spans):
        start, end = _ends(span)
        if not 0 <= start <= end or (text is not None and end > len(text)):
            size = "" if text is None else f" of {len(text)} characters"
            raise ValueError(f"span {position} ({start}, {end}) lies outside the text{size}")
        moved = _moved(start, end, ordered, shifts, shift, policy, position)
        if moved is not None and after is not None and policy in ("keep", "shrink"):
            moved = _trimmed(after, *moved, text[start:end]) if text is not None else moved
        if moved is not None:
            result.append(_with_ends(span, *moved))
    return result


def _trimmed(after: str, start: int, end: int, before: str) -> tuple[int, int] | None:
    """Drop the spaces at the edges of a span that had none there."""
    now = after[start:end]
    start += (len(now) - len(now.lstrip())) * (before[:1] == before[:1].strip())
    end -= (len(now) - len(now.rstrip())) * (before[-1:] == before[-1:].strip())
    return (start, end) if start < end or not before else None


def _moved(
    start: int, end: int, edits: list[Edit], shifts: list[int], total: int, policy: str, position: int
) -> tuple[int, int] | None:
    for edit, shift in zip(edits, shifts, strict=True):
        if edit.origin is not None and edit.origin[0] <= start and end <= edit.origin[1]:
            offset = edit.start + shift - edit.origin[0]
            return start + offset, end + offset
    touching = [i for i, edit in enumerate(edits) if _touches(edit, start, end)]
    before = _shift_at(start, edits, shifts, total)
    if not touching:
        return start + before, end + before
    if policy == "error":
        edit = edits[touching[0]]
        raise SpanError(f"span {position} ({start}, {end}) is touched by an edit of ({edit.start}, {edit.end})")
    if policy == "drop":
        return None
    first, last = edits[touching[0]], edits[touching[-1]]
    if policy == "shrink":
        edges = [start, *(at for i in touching for at in edits[i][:2]), end]
        gaps = [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]
        if not gaps:
            return None
        low, high = max(gaps, key=lambda gap: (gap[1] - gap[0], -gap[0]))
        offset = _shift_at(low, edits, shifts, total)
        return low + offset, high + offset
    low = first.start + shifts[touching[0]] if first.start < start else start + before
    if last.end > end:
        high = last.start + shifts[touching[-1]] + len(last.text)
    else:
        # An insertion at the end of a span is outside of it.
        high = end + shifts[touching[-1]] + len(last.text) - (last.end - last.start)
    return (low, high) if low < high else None


def _touches(edit: Edit, start: int, end: int) -> bool:
    if edit.start == edit.end:
        return start < edit.start < end
    return edit.start < end and start < edit.end


def _shift_at(at: int, edits: list[Edit], shifts: list[int], total: int) -> int:
    """Return how far the original character at `at`, which no edit replaces, has moved."""
    for edit, shift in zip(edits, shifts, strict=True):
        if edit.start > at or (edit.start == at and edit.end > at):
            return shift
    return total


def _ends(span: Any) -> tuple[int, int]:
    start, end = (span["start"], span["end"]) if isinstance(span, dict) else span[:2]
    return int(start), int(end)


def _with_ends(span: Any, start: int, end: int) -> Any:
    if isinstance(span, dict):
        return {**span, "start": start, "end": end}
    return type(span)([start, end, *span[2:]])
