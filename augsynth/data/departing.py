"""Let a spawned worker of a DataLoader end in order.

A worker that is stopped in the middle of an epoch still has batches on their way, in a daemon thread of its queue. A
spawned worker then finalises its interpreter, and a thread that is in torch's C++ at that moment aborts the whole
process ("terminate called without an active exception"). Forked workers leave without finalising.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Any

# The queue's own finalizers, 10 and -5, come first: by then the thread has been told to end.
_AFTER_THE_QUEUE = -10
# A full pipe that nobody reads any more holds the thread for ever, but in the kernel, where it harms nobody.
_SECONDS = 1.0


@dataclass(frozen=True)
class Start:
    """A `worker_init_fn` that runs the user's and sees to the end of a spawned worker."""

    then: Callable[[int], Any] | None

    @classmethod
    def of(cls, then: Callable[[int], Any] | None) -> Start:
        """Wrap the user's; what is wrapped already, as when Lightning builds the loader anew, stays as it is."""
        return then if isinstance(then, Start) else cls(then)

    def __call__(self, worker: int) -> None:
        if type(multiprocessing.current_process()).__name__ == "SpawnProcess":
            Finalize(None, _join_feeders, exitpriority=_AFTER_THE_QUEUE)
        if self.then is not None:
            self.then(worker)


def _join_feeders() -> None:
    for thread in threading.enumerate():
        if thread.name == "QueueFeederThread":
            thread.join(_SECONDS)
