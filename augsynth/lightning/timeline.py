"""Marks on the time of a training loop: by the host's clock, or on a CUDA device without ever waiting for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


class HostTimeline:
    """Marks are readings of a clock, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def mark(self) -> Any:
        """Return a mark of now."""
        return self.clock()

    def is_past(self, mark: Any) -> bool:
        """Tell whether the work before the mark is done."""
        return True

    def wait_for(self, mark: Any) -> None:
        """Return when the work before the mark is done."""

    def seconds(self, first: Any, second: Any) -> float:
        """Return the time between two marks that are past."""
        return float(second - first)


class CudaTimeline(HostTimeline):
    """Marks are events between the work of the current stream.

    The time between the end of a step and the next batch is then that in which the device had nothing to do, and not
    that in which the host waited while the device was still busy.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def mark(self) -> Any:
        """Put an event into the stream."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event

    def is_past(self, mark: Any) -> bool:
        """Ask, without waiting."""
        return bool(mark.query())

    def wait_for(self, mark: Any) -> None:
        """Wait for the device, at the end of a training."""
        mark.synchronize()

    def seconds(self, first: Any, second: Any) -> float:
        """Return the time on the device's own clock."""
        return float(first.elapsed_time(second)) / 1000


@dataclass
class Step:
    """One pass of the loop: marks where the wait for data began, where it came, was moved, and where the step ended."""

    began: Any
    fetched: Any
    moved: Any = None
    ended: Any = None
    samples: int = 0
    moved_bytes: int = 0


@dataclass
class Totals:
    """Sums over steps: seconds that waited for data, moved it to the device, and were the training step itself."""

    steps: int = 0
    samples: int = 0
    moved_bytes: int = 0
    data: float = 0.0
    transfer: float = 0.0
    step: float = 0.0

    def add(self, step: Step, timeline: HostTimeline) -> None:
        """Count a step whose marks are past."""
        self.steps += 1
        self.samples += step.samples
        self.moved_bytes += step.moved_bytes
        self.data += timeline.seconds(step.began, step.fetched)
        self.transfer += timeline.seconds(step.fetched, step.moved)
        self.step += timeline.seconds(step.moved, step.ended)

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.data + self.transfer + self.step

    def shares(self) -> dict[str, float]:
        """Return the share of each part, which sum to 1; nothing where no time has passed."""
        parts = {"data": self.data, "transfer": self.transfer, "step": self.step}
        return {name: part / self.seconds for name, part in parts.items()} if self.seconds > 0 else {}
