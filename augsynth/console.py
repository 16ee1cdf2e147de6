"""What a comparison shows in the terminal: progress while it runs, the table when it is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column, Table

from augsynth.quality.results import Comparison, Run, table_rows
from augsynth.quality.runs import Done, Phase
from augsynth.quality.runs import Progress as Step
from augsynth.quality.statistics import Contrast, Estimate

# Until the first one is done, a generator is taken to cost as much as this many training steps.
STEPS_PER_GENERATOR = 1500
# Seconds of work that must be measured before the bar says how long is left: the first steps are slower than the rest.
SETTLED = 5.0
# How many of the things that run side by side the bar names.
PHASES = 3


class Forecast:
    """Says how long is left, from the seconds that each kind of work has taken so far.

    amount: units of each kind. workers: how many processes share them. Until something was measured the answer is None.
    """

    def __init__(self, amount: Mapping[str, int], workers: int) -> None:
        self.left = dict(amount)
        self.workers = workers
        self.done: dict[str, tuple[int, float]] = {}

    def add(self, kind: str, units: int, seconds: float) -> None:
        """Count finished work."""
        before = self.done.get(kind, (0, 0.0))
        self.done[kind] = before[0] + units, before[1] + seconds
        self.left[kind] = max(self.left[kind] - units, 0)

    def rate(self, kind: str) -> float | None:
        """Return seconds per unit, as measured, or as guessed from the other kinds."""
        if kind in self.done:
            units, seconds = self.done[kind]
            return seconds / units
        steps = [(units, seconds) for name, (units, seconds) in self.done.items() if name != "generator"]
        if steps:
            per_step = sum(seconds for _, seconds in steps) / sum(units for units, _ in steps)
            return per_step * STEPS_PER_GENERATOR if kind == "generator" else per_step
        generator = self.done.get("generator")
        return generator[1] / generator[0] / STEPS_PER_GENERATOR if generator else None

    def measured(self) -> float:
        """Return how many seconds of work have been counted."""
        return sum(seconds for _, seconds in self.done.values())

    def seconds_left(self) -> float | None:
        """Return the seconds left, or None while nothing is known."""
        parts = [(units, self.rate(kind)) for kind, units in self.left.items() if units]
        if any(rate is None for _, rate in parts):
            return None
        return sum(units * rate for units, rate in parts if rate is not None) / self.workers

    def share_done(self) -> float:
        """Return the share of the work that is done, 0 to 1, weighed by time."""
        left = self.seconds_left()
        spent = self.measured() / self.workers
        return 0.0 if left is None else spent / max(spent + left, 1e-9)


class Monitor:
    """Listens to a comparison: a bar in a terminal, else one line per finished run. Use as a context manager."""

    def __init__(self, amount: Mapping[str, int], runs: int, workers: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.forecast = Forecast(amount, workers)
        self.runs, self.finished = runs, 0
        self.phases: dict[int, str] = {}
        self.started = time.monotonic()
        self.progress = Progress(
            BarColumn(bar_width=20, table_column=Column(min_width=20)),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True, min_width=27)),
            # What runs takes the room that is left: in a narrow terminal it is cut, the time is not.
            TextColumn("[dim]{task.description}", table_column=Column(no_wrap=True, ratio=1, overflow="ellipsis")),
            console=self.console,
            expand=True,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Monitor:
        self.progress.start()
        self.bar = self.progress.add_task("starting", total=1.0, left="")
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def __call__(self, event: Any) -> None:
        """Take one event of the comparison."""
        if isinstance(event, Step):
            self.forecast.add(event.kind, event.units, event.seconds)
        elif isinstance(event, Phase):
            self.phases[event.task] = event.text
        elif isinstance(event, Done):
            self.phases.pop(event.task, None)
        elif isinstance(event, Run):
            self.finished += 1
            self._say_finished(event)
        left = self.forecast.seconds_left()
        wait = f", {duration(left)} left" if left is not None and self.forecast.measured() >= SETTLED else ""
        shown = list(self.phases.values())
        more = f" and {len(shown) - PHASES} more" if len(shown) > PHASES else ""
        self.progress.update(
            self.bar,
            completed=self.forecast.share_done(),
            description=" · ".join(shown[:PHASES]) + more,
            left=f"{self.finished}/{self.runs} runs{wait}",
        )

    def _say_finished(self, run: Run) -> None:
        if self.console.is_terminal:
            return
        left = self.forecast.seconds_left()
        rest = f", about {duration(left)} left" if left is not None and self.finished < self.runs else ""
        elapsed = duration(time.monotonic() - self.started)
        self.console.print(f"run {self.finished}/{self.runs}: seed {run.seed}, {run.arm}; {elapsed} gone{rest}")


def duration(seconds: float) -> str:
    """Write seconds as "45 s" or "3 min 20 s"."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def percent(value: Estimate | None) -> str:
    """Write an accuracy with its interval, in percent."""
    if value is None:
        return "no run"
    if not value.known:
        return f"{100 * value.mean:.1f}"
    low, high = 100 * max(value.low, 0.0), 100 * min(value.high, 1.0)
    return f"{100 * value.mean:.1f} ({low:.1f} to {high:.1f})"


def points(value: Estimate | None) -> str:
    """Write a difference of accuracies with its interval, in points."""
    if value is None:
        return ""
    if not value.known:
        return _signed(value.mean)
    return f"{_signed(value.mean)} ({_signed(max(value.low, -1.0))} to {_signed(min(value.high, 1.0))})"


def _signed(share: float) -> str:
    # Adding zero turns the -0.0 that rounding may leave into +0.0.
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def table(comparison: Comparison) -> Table:
    """Return the printed table: accuracy, paired difference, verdict and speed of each arm."""
    confidence = f"{100 * comparison.protocol.confidence:g} %"
    base = comparison.protocol.base
    result = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    result.add_column("arm", no_wrap=True)
    result.add_column(f"accuracy, % ({confidence})", justify="right", no_wrap=True)
    result.add_column(f"vs {base}, points", justify="right", no_wrap=True)
    result.add_column("verdict", no_wrap=True)
    result.add_column("samples/s", justify="right", no_wrap=True)
    for row in table_rows(comparison):
        contrast: Contrast | None = row["contrast"]
        result.add_row(
            row["arm"],
            percent(row["accuracy"]),
            points(contrast.difference if contrast else None),
            verdict_text(contrast),
            f"{row['speed']:,.0f}" if row["speed"] else "",
        )
    return result


def verdict_text(contrast: Contrast | None) -> str:
    """Write a verdict; the primary contrast is marked by a star."""
    if contrast is None:
        return ""
    return contrast.verdict + (" *" if contrast.primary else "")


def show(comparison: Comparison, console: Console | None = None) -> None:
    """Print the answer, the table and what its signs mean."""
    if console is None:
        console = Console()
        if not console.is_terminal:
            # A file or a pipe has no width; rich would take 80 columns and cut what does not fit.
            console = Console(width=max(console.width, 100))
    if comparison.interrupted:
        finished = f"{len(comparison.runs)} of {comparison.planned} runs"
        console.print(f"Interrupted: what follows is from the {finished} that had finished.", style="bold")
    console.print(comparison.question(), markup=False, highlight=False)
    console.print(comparison.answer(), markup=False, highlight=False, style="bold")
    console.print(table(comparison))
    console.print(footnote(comparison), markup=False, highlight=False)


def footnote(comparison: Comparison) -> str:
    """Return what the table's signs and numbers mean."""
    protocol = comparison.protocol
    first = f"* the primary contrast, {protocol.primary[0]} against {protocol.primary[1]}, named before the run; "
    extra = [
        f"{c.arm} against {c.base} {points(c.difference)}: {c.verdict}"
        for c in comparison.contrasts()
        if c.base != protocol.base
    ]
    more = f" Also: {'; '.join(extra)}." if extra else ""
    return (
        f"{first}the others are Holm-corrected, their intervals widened to match.{more} "
        f"{len(comparison.labels)} test samples, {protocol.seeds} seeds, "
        f"{protocol.steps} steps of {protocol.batch_size} in each arm, "
        f"{duration(comparison.seconds)} on {comparison.device}."
    )
