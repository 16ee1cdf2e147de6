"""Samples that are tuples, seen as columns: found out in one pass for all of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from augsynth.compiled import kernel

# What all entries of each column are, None where they differ; and the columns.
Columns = tuple[tuple[type | None, ...], list[tuple[Any, ...]]]


def columns_of(samples: Sequence[Any]) -> Columns | None:
    """Return the columns of a list of tuples of one length, with the type of each; None for anything else."""
    if kernel is not None:
        found: Columns | None = kernel.columns(samples)
        return found
    if not isinstance(samples, list) or not samples or set(map(type, samples)) != {tuple}:
        return None
    if len(set(map(len, samples))) > 1:
        return None
    columns = list(zip(*samples, strict=True))
    kinds = [set(map(type, column)) for column in columns]
    return tuple(kind.pop() if len(kind) == 1 else None for kind in kinds), columns
