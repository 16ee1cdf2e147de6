"""The epoch of a stream, where running workers see it."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import get_worker_info

# One place for each process that may read the stream: the main process and its workers.
_PLACES = 1024


class Epochs:
    """Count the passes over a stream: each worker its own, in shared memory, from the epoch that was set last.

    A worker makes one pass per epoch of its loader, so that all count alike, and workers that start anew each epoch go
    on where those before them stood. Only plain pickling, by value, makes a board of its own.
    """

    def __init__(self) -> None:
        self.board = torch.zeros(1 + _PLACES, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def begin(self, epoch: int | None = None) -> int:
        """Return the epoch of the pass that begins now in this process: the next, or `epoch` where one goes on."""
        info = get_worker_info()
        place = 1 if info is None else info.id + 2
        if place > _PLACES:
            raise ValueError(f"a stream is read by at most {_PLACES - 1} workers, and this is worker {place - 2}")
        now = int(self.board[0] + self.board[place]) if epoch is None else epoch
        self.board[place] = now + 1 - self.board[0]
        return now

    def set(self, epoch: int) -> None:
        """Let the next pass of every process be `epoch`."""
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(f"epoch={epoch!r} must be an integer, 0 or above")
        self.board[1:] = 0
        self.board[0] = epoch

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.board.share_memory_()
