"""The progress bar of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Bar:
    """Shows images seen, images per second, time left and the figures of the training; nothing where not `wanted`."""

    def __init__(self, total: int, wanted: bool) -> None:
        self.progress: Any = None
        if wanted:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[pace]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
            )
            self.progress = Progress(*columns)
            self.task = self.progress.add_task("training", total=total, pace="", figures="")

    def __enter__(self) -> Bar:
        if self.progress:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.progress:
            self.progress.stop()

    def update(self, seen: int, figures: Mapping[str, float]) -> None:
        """Show that so many images were seen, and the averages of the figures."""
        if self.progress:
            said = " ".join(f"{name} {value:.3g}" for name, value in figures.items())
            self.progress.update(self.task, completed=seen)
            speed = self.progress.tasks[0].speed
            self.progress.update(self.task, pace=f"{speed:,.0f} images/s" if speed else "", figures=said)
