"""Recycled shared memory between a DataLoader's workers and the loop.

A worker writes a batch into a slot and sends where it lies (`parcel.py`). When the last view of it dies in the loop,
the slot is free again. Fresh memory for each batch would cost more in page faults than the augmentation itself.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from math import prod
from mmap import PAGESIZE
from multiprocessing import reduction
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info

from augsynth.engines.buffers import batch_memory

# A slot is one page of marks, then the pixels. A ticket is 1 from sending to the last view's death in the loop.
_OPENED, _ABANDONED, _RETIRED = 0, 1, 2
_TICKETS = slice(64, 128)
_NO_TICKETS = bytes(64)
# A slot that was free at so many batches in a row gives its memory back.
_IDLE_BATCHES = 32
# A loop that keeps more batches than this gets the others by value: each slot takes a file descriptor of its worker.
_MOST_SLOTS = 256

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def is_active() -> bool:
    """Tell whether this is the main thread of a DataLoader's worker process: only there slots are used.

    Other threads would need a lock, and systems without memfd_create (not Linux) send batches as torch does.
    """
    if get_worker_info() is None or not hasattr(os, "memfd_create"):
        return False
    return threading.current_thread() is threading.main_thread()


@contextmanager
def lending() -> Iterator[None]:
    """Let the engine render into a slot, inside a worker; elsewhere nothing changes."""
    if not is_active():
        yield
        return
    before = batch_memory.set(lend)
    try:
        yield
    finally:
        batch_memory.reset(before)


def lend(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Return an uninitialised tensor in a slot, or in ordinary memory where there is no shared memory for it."""
    return _pool().lend(tuple(shape), dtype)


def slot_of(tensor: torch.Tensor) -> Slot | None:
    """Return the slot in which this tensor begins."""
    return _pool().slot_of(tensor) if is_active() else None


def tensor_on(memory: Bytes, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor on `memory` that is no view of another: its storage alone keeps the array alive."""
    return torch.empty(0, dtype=dtype).set_(torch.from_numpy(memory).untyped_storage(), 0, shape)  # type: ignore[call-overload,no-any-return]


def _map(fd: int, size: int) -> Bytes:
    # Unlike mmap.mmap, torch keeps no descriptor open: a loop that keeps a thousand batches runs out of none.
    mapped: Bytes = torch.from_file(f"/proc/self/fd/{fd}", shared=True, size=size, dtype=torch.uint8).numpy()
    return mapped


# The worker's side.


@dataclass(eq=False)
class Slot:
    """Shared memory for one batch: nameless, so that nothing is left behind in /dev/shm whoever dies."""

    key: tuple[int, str, int]
    fd: int
    memory: Bytes
    marks: memoryview  # numpy takes ten times as long to look at a few bytes
    address: int
    idle: int = 0
    borrowed: Callable[[], Bytes | None] = field(default=lambda: None)

    @classmethod
    def make(cls, key: tuple[int, str, int], size: int) -> Slot:
        """Reserve a slot for a batch of `size` bytes. Raises: OSError where there is no memory for it."""
        size = PAGESIZE + -(-size // PAGESIZE) * PAGESIZE
        fd = os.memfd_create("augsynth")
        try:
            reserve(fd, size)
            memory = _map(fd, size)
            return cls(key, fd, memory, memory.data[:PAGESIZE], memory.ctypes.data + PAGESIZE)
        except BaseException:
            os.close(fd)
            raise

    @property
    def capacity(self) -> int:
        return self.memory.size - PAGESIZE

    def is_free(self) -> bool:
        """True when no view is left here, on the way, or in the loop."""
        return self.borrowed() is None and self.marks[_TICKETS] == _NO_TICKETS

    def lend(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        part = self.memory[PAGESIZE : PAGESIZE + prod(shape) * dtype.itemsize]
        self.borrowed, self.idle = weakref.ref(part), 0
        return tensor_on(part, shape, dtype)

    def handle(self) -> tuple[Any, ...] | None:
        """Return what `receive` needs, with a ticket taken; None without a free ticket or file descriptor."""
        tickets = self.marks[_TICKETS]
        free = tickets.tobytes().find(0)
        if free < 0:
            return None
        try:
            source = None if self.marks[_OPENED] else reduction.DupFd(self.fd)
        except OSError:
            # An error here, in the queue's own thread, would lose the batch, and the loop would wait for it forever.
            return None
        tickets[free] = 1
        return self.key, self.memory.size, free, source

    def retire(self) -> None:
        """Give the memory back, also where the loop still has it mapped."""
        self.marks[_RETIRED] = 1
        os.ftruncate(self.fd, PAGESIZE)
        os.close(self.fd)


def reserve(fd: int, size: int) -> None:
    """Allocate the file's memory now. Raises: OSError; without it, a page that cannot be had kills the process."""
    os.posix_fallocate(fd, 0, size)


class Pool:
    """The slots of this process."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.pid, self.name, self.numbers = os.getpid(), os.urandom(8).hex(), count()
        self.may_grow = True
        Finalize(None, self.close, exitpriority=0)

    def lend(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        size = prod(shape) * dtype.itemsize
        slot = self._find(size) if size else None
        return tensor_on(np.empty(size, np.uint8), shape, dtype) if slot is None else slot.lend(shape, dtype)

    def slot_of(self, tensor: torch.Tensor) -> Slot | None:
        """Return the slot that is lent to this very tensor."""
        address = tensor.data_ptr()
        return next((slot for slot in self.slots if slot.address == address), None)

    def close(self) -> None:
        """Give back what the loop does not hold, when the process ends."""
        for slot in [slot for slot in self.slots if slot.is_free()]:
            self._drop(slot)

    def _find(self, size: int) -> Slot | None:
        free = self._free()
        fitting = next((slot for slot in free if slot.capacity >= size), None)
        if fitting is not None or not self.may_grow:
            return fitting
        if free:
            # One for one: where sizes vary, the slots grow until all hold the largest.
            self._drop(min(free, key=lambda slot: slot.capacity))
        return self._make(size) if len(self.slots) < _MOST_SLOTS else None

    def _free(self) -> list[Slot]:
        """Return the free slots; drop those that were free for long, and those that will never be free again."""
        found = []
        for slot in list(self.slots):
            if slot.marks[_ABANDONED] and slot.borrowed() is None:
                self.slots.remove(slot)
                os.close(slot.fd)
            elif not slot.is_free():
                slot.idle = 0
            elif slot.idle == _IDLE_BATCHES:
                self._drop(slot)
            else:
                slot.idle += 1
                found.append(slot)
        return found

    def _drop(self, slot: Slot) -> None:
        self.slots.remove(slot)
        slot.retire()

    def _make(self, size: int) -> Slot | None:
        try:
            slot = Slot.make((self.pid, self.name, next(self.numbers)), size)
        except (OSError, RuntimeError) as error:
            self.may_grow = False
            warnings.warn(
                f"no shared memory for a batch of {size / 1e6:.1f} MB ({error}): this worker sends its batches through "
                "a pipe, which is slower. Give the process more memory (Docker: --shm-size and --memory), or lower "
                "batch_size, num_workers or prefetch_factor",
                stacklevel=2,
            )
            return None
        self.slots.append(slot)
        return slot


_own: Pool | None = None


def _pool() -> Pool:
    global _own
    # A process that was forked from one with a pool starts its own.
    if _own is None or _own.pid != os.getpid():
        _own = Pool()
    return _own


# The loop's side.

_opened: dict[tuple[int, str, int], Bytes] = {}
_forks = 0


def receive(
    key: tuple[int, str, int], size: int, ticket: int, source: Any, shape: tuple[int, ...], dtype: torch.dtype
) -> torch.Tensor:
    """Rebuild a tensor on its slot, and give the slot back when the last view of it dies."""
    memory = _opened.get(key)
    if source is not None:
        memory = _open(key, size, source)
    if memory is None:
        raise RuntimeError("a batch from a worker can only be unpickled by the process that has received the others")
    part = memory[PAGESIZE : PAGESIZE + prod(shape) * dtype.itemsize]
    weakref.finalize(part, _release, key, memory, ticket, os.getpid(), _forks).atexit = False
    return tensor_on(part, shape, dtype)


def _open(key: tuple[int, str, int], size: int, source: Any) -> Bytes:
    _forget_the_dead()
    fd = source.detach()
    try:
        memory = _opened.setdefault(key, _map(fd, size))
    finally:
        os.close(fd)
    memory[_OPENED] = 1
    return memory


def _release(key: tuple[int, str, int], memory: Bytes, ticket: int, pid: int, forks: int) -> None:
    if os.getpid() != pid:
        return  # a forked child's copy: the slot is its parent's to give back
    if forks != _forks:
        # A process forked in the meantime may still read this batch: nobody may write here again.
        memory[_ABANDONED] = 1
        _opened.pop(key, None)
    else:
        memory[_TICKETS][ticket] = 0
    if not _is_running(key[0]):
        _forget_the_dead()


def _forget_the_dead() -> None:
    """Unmap the slots of workers that have ended, and those that a worker has given up."""
    for key, memory in list(_opened.items()):
        if memory[_RETIRED] or not _is_running(key[0]):
            _opened.pop(key, None)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_count_fork, after_in_child=_opened.clear)
