"""Runs as an engine takes them that does a sample's resample, colours and rectangles in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from augsynth.runs import Alone, Geometry, Run
from augsynth.transforms.base import Array


@dataclass(frozen=True)
class Part:
    """What a run does to some samples: `position` are their rows in the run's arrays, `at` their rows in the pass."""

    run: Run
    position: Array
    at: Array

    def among(self, places: Array, count: int) -> Part:
        """Restrict to the rows `places` of a table of `count` rows, which become a table of their own."""
        row = np.full(count, -1)
        row[places] = np.arange(len(places))
        stays = row[self.at] >= 0
        return Part(self.run, self.position[stays], row[self.at[stays]])


@dataclass(frozen=True)
class Pass:
    """What is done in one go: rows `(R,)` of the batch, and what each run does to some of them."""

    rows: Array
    parts: tuple[Part, ...]
    last: bool


def moves_or_colors(run: Run) -> bool:
    """Tell whether a run is something else than a transform that renders itself."""
    return not isinstance(run, Alone)


def passes_of(runs: Sequence[Run], count: int, known: Callable[[Run], bool]) -> list[Pass | Alone]:
    """Split the runs of `count` samples: in a pass, each has one resample at most, then whatever else is `known`.

    A sample's next resample opens its next pass; a transform that is not known renders itself, between two passes. The
    last pass has all samples, and each sample's last part.
    """
    if len(runs) < 2 and all(map(known, runs)):
        return [_pass([(run, np.arange(len(run.rows))) for run in runs], count, last=True)]
    depth, busy = np.zeros(count, np.int64), np.zeros(count, bool)
    levels = []
    apart = [not known(run) for run in runs]
    for run, alone in zip(runs, apart, strict=True):
        if alone:
            # Passes have even numbers, what stands between them odd ones.
            depth[run.rows] = depth[run.rows].max() | 1
        elif isinstance(run, Geometry):
            depth[run.rows] += 2 * busy[run.rows]
        levels.append(depth[run.rows])
        depth[run.rows] += alone
        busy[run.rows] = not alone
    last = int(depth.max())
    # Whatever is not followed by anything can wait for the last pass.
    levels = [np.where(level == depth[run.rows], last, level) for run, level in zip(runs, levels, strict=True)]
    found: list[Pass | Alone] = []
    for level in sorted({last}.union(*[set(numbers.tolist()) for numbers in levels])):
        here = [(run, (numbers == level).nonzero()[0]) for run, numbers in zip(runs, levels, strict=True)]
        if level % 2:
            found += [run for run, position in here if isinstance(run, Alone) and len(position)]
        else:
            found.append(_pass([pair for pair in here if len(pair[1])], count, level == last))
    return found


def _pass(pairs: Sequence[tuple[Run, Array]], count: int, last: bool) -> Pass:
    taking_part = np.full(count, last)
    for run, position in pairs:
        taking_part[run.rows[position]] = True
    place = taking_part.cumsum() - 1
    parts = tuple(Part(run, position, place[run.rows[position]]) for run, position in pairs)
    return Pass(taking_part.nonzero()[0], parts, last)
