"""Texts that come as lists of words with labels beside them, as for named entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augsynth.text.edits import Edit, map_spans, splice


def join(words: Sequence[str]) -> str:
    """Return words as one text. Raises TypeError where one is no string."""
    for position, word in enumerate(words):
        if not isinstance(word, str):
            raise TypeError(f"word {position} is of type {type(word).__name__}, not a string")
    return " ".join(words)


def edit_words(
    words: Sequence[str], labels: Mapping[str, Sequence[Any]], edits: Sequence[Edit]
) -> tuple[list[str], dict[str, list[Any]]]:
    """Return the words and labels after edits of `join(words)`.

    A word that was moved takes its labels along, one that is deleted loses them, and parts of one that became several
    have its labels, with B- turned to I- behind the first. New words are outside: "O", or 0 where labels are numbers.
    Raises ValueError where labels are not one per word.
    """
    for name, row in labels.items():
        if len(row) != len(words):
            raise ValueError(f"{name!r} has {len(row)} labels for {len(words)} words")
    spans, at = [], 0
    for position, word in enumerate(words):
        spans.append((at, at + len(word), position))
        at += len(word) + 1
    text = splice(join(words), edits)
    kept = sorted(map_spans(spans, edits))
    done: list[str] = []
    owners: list[tuple[int | None, bool]] = []
    end = 0
    for start, stop, owner in [*kept, (len(text), len(text), None)]:
        added, own = text[end:start].split(), text[start:stop].split()
        done += added + own
        owners += [(None, True)] * len(added) + [(owner, not i) for i in range(len(own))]
        end = max(end, stop)
    return done, {name: [_label(row, *owner) for owner in owners] for name, row in labels.items()}


def _label(row: Sequence[Any], owner: int | None, first: bool) -> Any:
    if owner is None:
        return "O" if row and isinstance(row[0], str) else type(row[0])(0) if row else 0
    label = row[owner]
    return f"I-{label[2:]}" if not first and isinstance(label, str) and label.startswith("B-") else label
