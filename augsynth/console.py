"""What a comparison shows in the terminal: progress while it runs, the table when it is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from augsynth.quality.results import Comparison, Run, table_rows
from augsynth.quality.runs import Done, Phase
from augsynth.quality.runs import Progress as Step
from augsynth.quality.statistics import Contrast, Estimate

# Until the first one is done, a generator is taken to cost as much as this many training steps.
STEPS_PER_GENERATOR = 1500


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

    def seconds_left(self) -> float | None:
        """Return the seconds left, or None while nothing is known."""
        parts = [(units, self.rate(kind)) for kind, units in self.left.items() if units]
        if any(rate is None for _, rate in parts):
            return None
        return sum(units * rate for units, rate in parts if rate is not None) / self.workers

    def share_done(self) -> float:
        """Return the share of the work that is done, 0 to 1, weighed by time."""
        left = self.seconds_left()
        spent = sum(seconds for _, seconds in self.done.values()) / self.workers
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
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("[dim]{task.description}"),
            console=self.console,
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
        self.progress.update(
            self.bar,
            completed=self.forecast.share_done(),
            description=" · ".join(self.phases.values()),
            left=f"{self.finished}/{self.runs} runs, {duration(left)} left" if left is not None else "",
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
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def points(value: Estimate | None) -> str:
    """Write a difference of accuracies with its interval, in points."""
    if value is None:
        return ""
    if not value.known:
        return f"{100 * value.mean:+.1f}"
    return f"{100 * value.mean:+.1f} ({100 * value.low:+.1f} to {100 * value.high:+.1f})"


def table(comparison: Comparison) -> Table:
    """Return the printed table: accuracy, paired difference, verdict and speed of each arm."""
    confidence = f"{100 * comparison.protocol.confidence:g} %"
    base = comparison.protocol.base
    result = Table(title=None, pad_edge=False)
    result.add_column("arm")
    result.add_column(f"accuracy % ({confidence})", justify="right")
    result.add_column(f"points to {base} ({confidence})", justify="right")
    result.add_column("verdict")
    result.add_column("samples/s", justify="right")
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
    console = console or Console(soft_wrap=True)
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
        f"{first}the other verdicts are Holm-corrected.{more} {len(comparison.labels)} test samples, "
        f"{protocol.seeds} seeds, {protocol.steps} steps of {protocol.batch_size} in each arm, "
        f"{duration(comparison.seconds)} on {comparison.device}."
    )
