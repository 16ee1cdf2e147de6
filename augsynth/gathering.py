"""The runs of a sweep in one table: what each was asked for, its primary contrast, and those that have none."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.config import begun, begun_as, key_of, of_compare, planned
from augsynth.errors import AugsynthError
from augsynth.quality.statistics import Contrast, Estimate, holm, verdict

RESULTS, FAILED = "results.json", "error.txt"
TABLE = ("gathered.json", "gathered.csv")
PAGE, PAGE_OF_ONE = "report.html", "gathered.html"
HOW = "augsynth compare --multirun augment=light,strong makes some, in a folder below multirun/compare"


class GatherError(AugsynthError, ValueError):
    """A folder from which nothing can be gathered; the message says what was found there."""


@dataclass(frozen=True)
class Found:
    """One run: its folder below the sweep's, the overrides it was asked for, how it ended, and a line about that.

    status: complete, stopped (Ctrl-C), failed, unfinished (killed, or still running), unreadable or never begun.
    results: what its results.json holds, None without a readable one.
    """

    name: str
    overrides: tuple[str, ...]
    status: str
    note: str = ""
    results: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Row:
    """A run in the table. differs: its overrides that not every run has. contrast: the primary one, by itself.

    p_holm, verdict_holm: after Holm's correction for all runs of the table that have a contrast; None without one.
    validation: mean accuracy of the primary arm on its validation samples, which a sweeper maximises.
    """

    found: Found
    differs: tuple[str, ...]
    contrast: Contrast | None = None
    p_holm: float | None = None
    verdict_holm: str | None = None
    validation: float | None = None

    @property
    def label(self) -> str:
        """What tells this run from the others."""
        return " ".join(self.differs) or self.found.name


@dataclass(frozen=True)
class Gathered:
    """A table of runs, in the order of the sweep, and the overrides that all of them share."""

    folder: Path
    rows: tuple[Row, ...]
    common: tuple[str, ...]

    @property
    def judged(self) -> tuple[Row, ...]:
        """The rows that have an interval."""
        return tuple(row for row in self.rows if row.contrast and row.contrast.difference.known)

    @property
    def without(self) -> tuple[Row, ...]:
        """The rows of runs that are not complete, or have too few seeds for an interval."""
        return tuple(row for row in self.rows if row.found.status != "complete" or row not in self.judged)


def gather(folder: Path) -> Gathered:
    """Read every run below `folder`, or the run that it is. Raises: GatherError where there is none."""
    if not folder.is_dir():
        raise GatherError(f"{folder} is not a folder; {HOW}")
    runs = find(folder)
    if all(run.results is None for run in runs):
        raise GatherError(f"{folder} holds no results of augsynth compare: {_seen(folder, runs)}; {HOW}")
    shared = set.intersection(*(set(run.overrides) for run in runs)) if len(runs) > 1 else set()
    rows = [_row(run, tuple(o for o in run.overrides if o not in shared)) for run in runs]
    return Gathered(folder, tuple(_corrected(rows)), tuple(o for o in runs[0].overrides if o in shared))


def find(folder: Path) -> list[Found]:
    """Return the runs below `folder` by their numbers or names, then those of its sweep that were never begun."""
    places = {path.parent for path in folder.rglob(RESULTS)} | {path.parent for path in folder.rglob(FAILED)}
    places |= {path.parent for path in folder.rglob(".hydra") if of_compare(path)}
    runs = [_read(place, folder) for place in sorted(places, key=lambda place: _natural(place.relative_to(folder)))]
    known = {tuple(sorted(run.overrides)) for run in runs}
    missing = [overrides for overrides in planned(folder) or () if tuple(sorted(overrides)) not in known]
    return runs + [Found("-", overrides, "never begun", "the sweep ended before it") for overrides in missing]


def _natural(path: Path) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in path.parts]


def _read(place: Path, folder: Path) -> Found:
    name, overrides = place.relative_to(folder).as_posix(), begun(place)
    kept = (place / RESULTS).is_file()
    if (place / FAILED).is_file():
        said = " ".join((place / FAILED).read_text(encoding="utf-8").split())
        return Found(name, overrides, "failed", f"{said}; {RESULTS} is of an earlier run" if kept else said)
    if not kept:
        return Found(name, overrides, "unfinished", f"no {RESULTS}: it was killed, or it is still running")
    try:
        results = json.loads((place / RESULTS).read_text(encoding="utf-8"))
        primary_contrast(results), validation_accuracy(results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        note = f"{RESULTS} is not one of augsynth compare: {type(error).__name__}: {error}"
        return Found(name, overrides, "unreadable", note)
    if not begun_as(place, results.get("config")):
        note = f"{RESULTS} is of an earlier run, with other settings; this one was killed, or it is still running"
        return Found(name, overrides, "unfinished", note)
    if results["complete"]:
        return Found(name, overrides, "complete", "", results)
    note = f"{results['runs_finished']} of {results['runs_planned']} trainings had finished"
    return Found(name, overrides, "stopped", note, results)


def _seen(folder: Path, runs: Sequence[Found]) -> str:
    if runs:
        return "; ".join(f"run {run.name} {run.status} ({run.note})" for run in runs[:5])
    names = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"it has {shown}" if names else "it is empty"


def primary_contrast(results: Mapping[str, Any]) -> Contrast | None:
    """Return the primary contrast of a run's results, None where it has no pair of trainings."""
    for found in results["contrasts"]:
        if found["primary"]:
            value = found["difference"]
            known = [value[key] for key in ("standard_error", "low", "high")]
            error, low, high = (math.inf, -math.inf, math.inf) if None in known else known
            difference = Estimate(value["mean"], error, low, high, found["p"], value["runs"])
            return Contrast(
                found["arm"], found["base"], True, difference, found["p"], found["verdict"], found["confidence"]
            )
    return None


def validation_accuracy(results: Mapping[str, Any]) -> float | None:
    """Return the mean accuracy of the primary arm on its validation samples, at the rates chosen by them."""
    arm = results["protocol"]["primary"][0]
    chosen = [r["validation"][str(r["chosen"])]["accuracy"] for r in results["learning_rates"] if r["arm"] == arm]
    return float(np.mean(chosen)) if chosen else None


def _row(run: Found, differs: tuple[str, ...]) -> Row:
    if run.results is None:
        return Row(run, differs)
    return Row(run, differs, primary_contrast(run.results), validation=validation_accuracy(run.results))


def _corrected(rows: Sequence[Row]) -> list[Row]:
    """Add Holm's correction for as many contrasts as there are."""
    known = [row.contrast for row in rows if row.contrast and row.contrast.difference.known]
    adjusted = iter(holm([contrast.difference.p for contrast in known]))
    found = []
    for row in rows:
        if row.contrast and row.contrast.difference.known:
            p = next(adjusted)
            said = verdict(row.contrast.difference.mean, p, row.contrast.confidence)
            row = replace(row, p_holm=p, verdict_holm=said)
        found.append(row)
    return found


def entries(gathered: Gathered) -> list[dict[str, Any]]:
    """Return the table with plain values, a mapping per run, for gathered.json; null where there is no value."""
    found = []
    for row in gathered.rows:
        contrast, results = row.contrast, row.found.results or {}
        difference = contrast.difference if contrast else None
        known = difference is not None and difference.known
        accuracy = results.get("arms", {}).get(contrast.arm, {}).get("mean") if contrast else None
        found.append(
            {
                "run": row.found.name,
                "status": row.found.status,
                "note": row.found.note,
                "overrides": list(row.differs),
                "arm": contrast.arm if contrast else None,
                "base": contrast.base if contrast else None,
                "difference": difference.mean if difference else None,
                "low": difference.low if difference and known else None,
                "high": difference.high if difference and known else None,
                "confidence": contrast.confidence if contrast else None,
                "p": difference.p if difference and known else None,
                "verdict": contrast.verdict if contrast else None,
                "p_holm": row.p_holm,
                "verdict_holm": row.verdict_holm,
                "test_accuracy": accuracy,
                "validation_accuracy": row.validation,
            }
        )
    return found


def write(gathered: Gathered, folder: Path) -> None:
    """Write gathered.json and gathered.csv, in which each override that differs has a column of its own."""
    table = entries(gathered)
    whole = {"folder": str(gathered.folder), "common": list(gathered.common), "runs": table}
    (folder / TABLE[0]).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    keys = list(dict.fromkeys(key_of(override) for row in gathered.rows for override in row.differs))
    with (folder / TABLE[1]).open("w", newline="", encoding="utf-8") as file:
        columns = [*table[0]]
        place = columns.index("overrides")
        writer = csv.DictWriter(file, [*columns[:place], *keys, *columns[place + 1 :]])
        writer.writeheader()
        for entry in table:
            overrides = entry.pop("overrides")
            writer.writerow(entry | {key_of(o): _value(o) for o in overrides})


def _value(override: str) -> str:
    return "(removed)" if override.startswith("~") else override.partition("=")[2]
