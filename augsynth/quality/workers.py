"""Run independent tasks in worker processes, with events on the way, errors that arrive and an interrupt that works.

A process with one thread each beats one process with several: small networks leave threads waiting for each other,
and the numbers do not depend on how many cores there are.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from augsynth.errors import AugsynthError

Emit = Callable[[Any], None]
# (setup, task, emit): does one task; whatever it emits reaches `listen` in the parent.
Function = Callable[[Any, Any, Emit], None]


def check_workers(workers: Any) -> None:
    """Raise a ValueError for a number of processes that is none."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ValueError(f"workers={workers!r} must be a positive integer, or null for one per core")


def count(tasks: int, wanted: int | None) -> int:
    """Return how many processes to use: `wanted`, or where None one per core, and never more than there are tasks.

    1 where this process may not have children, as under joblib's launcher.
    """
    if multiprocessing.current_process().daemon:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(tasks, wanted if wanted is not None else cores))


def run_tasks(function: Function, setup: Any, tasks: Sequence[Any], workers: int, listen: Emit) -> None:
    """Do each task in order, `workers` at a time; 1 stays in this process.

    setup, tasks and events are pickled where workers > 1. An error in a task stops the others and is raised here.
    """
    if workers <= 1:
        _run_here(function, setup, tasks, listen)
        return
    context = multiprocessing.get_context("spawn")
    payload = pickle.dumps((function, setup))
    members: dict[Connection, BaseProcess] = {}
    waiting = list(tasks)
    try:
        for _ in range(min(workers, len(tasks))):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_worker, args=(theirs, payload), daemon=True)
            _start(process)
            theirs.close()
            members[ours] = process
            ours.send_bytes(pickle.dumps(waiting.pop(0)))
        _serve(members, waiting, listen)
    finally:
        for process in members.values():
            process.terminate()
        for link, process in members.items():
            process.join()
            link.close()


def _serve(members: dict[Connection, BaseProcess], waiting: list[Any], listen: Emit) -> None:
    active = set(members)
    while active:
        for link in connection.wait(list(active)):
            assert isinstance(link, Connection)
            try:
                kind, value = pickle.loads(link.recv_bytes())
            except (EOFError, ConnectionResetError):
                members[link].join()
                code = members[link].exitcode
                raise AugsynthError(
                    f"a worker process died (exit code {code}); it may have run out of memory: try workers=1"
                ) from None
            if kind == "event":
                listen(value)
            elif kind == "error":
                raise value
            elif waiting:
                link.send_bytes(pickle.dumps(waiting.pop(0)))
            else:
                active.discard(link)


def _start(process: BaseProcess) -> None:
    """Start a process that ignores Ctrl-C, which reaches the whole group: the parent decides about its workers.

    The process inherits this from its parent's state at the start, so that it holds while it still imports.
    """
    if threading.current_thread() is not threading.main_thread():
        process.start()
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)


def _run_here(function: Function, setup: Any, tasks: Sequence[Any], listen: Emit) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for task in tasks:
            function(setup, task, listen)
    finally:
        torch.set_num_threads(threads)


def _worker(link: Connection, payload: bytes) -> None:
    torch.set_num_threads(1)
    try:
        function, setup = pickle.loads(payload)
        while True:
            task = pickle.loads(link.recv_bytes())
            function(setup, task, lambda event: link.send_bytes(pickle.dumps(("event", event))))
            link.send_bytes(pickle.dumps(("done", None)))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        link.send_bytes(_pickled_error(error))


def _pickled_error(error: Exception) -> bytes:
    error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        payload = pickle.dumps(("error", error))
        pickle.loads(payload)
    except Exception:  # whatever a foreign exception's pickling raises
        return pickle.dumps(("error", AugsynthError(f"{type(error).__name__}: {error}")))
    return payload
