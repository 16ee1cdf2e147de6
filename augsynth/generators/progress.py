"""The progress of a training: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

# Lines of a whole training where there is no terminal.
_LINES = 10


class Bar:
    """Shows images seen, images per second, time left and the figures of the training; nothing where not `wanted`.

    total: images of the whole training. seen: images before this call.
    """

    def __init__(self, total: int, wanted: bool, seen: int = 0) -> None:
        self.total, self.first, self.said, self.progress = total, seen, seen, None
        self.console: Any = None
        if wanted:
            from rich.console import Console

            self.console = Console(stderr=True)
        if wanted and self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"))
            self.progress = Progress(*columns, console=self.console, transient=True)
            self.task = self.progress.add_task("training", total=total, completed=seen, figures="")

    def __enter__(self) -> Bar:
        self.started = time.monotonic()
        if self.progress:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.progress:
            self.progress.stop()

    def update(self, seen: int, figures: Mapping[str, float]) -> None:
        """Show that so many images were seen, and the averages of the figures."""
        if self.console is None:
            return
        said = self._pace(seen) + "".join(f", {name} {value:.3g}" for name, value in figures.items())
        if self.progress:
            self.progress.update(self.task, completed=seen, figures=said)
        elif seen * _LINES // self.total > self.said * _LINES // self.total:
            self.said = seen
            self.console.print(f"{seen:,} of {self.total:,} images, {said}", highlight=False, soft_wrap=True)

    def _pace(self, seen: int) -> str:
        speed = (seen - self.first) / max(time.monotonic() - self.started, 1e-9)
        left = round((self.total - seen) / max(speed, 1e-9))
        return f"{speed:,.0f} images/s, {left // 60}:{left % 60:02d} left"
