"""Samples made ahead: memory or a file that one process fills and others read."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import weakref
from math import prod
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch

from augsynth.errors import AugsynthError

MEMORY = "memory"
_NONE = -1
# Seconds between two looks at what another process writes.
_PAUSE = 0.01


class Pool:
    """Room for `count` images of one shape and dtype, each with the epoch that it was made for; -1 for none.

    place: "memory", gone with the process that made it, or a folder, where it is found again under the same `key`.
    Processes that the pool is sent to, or that are forked, see what is written later too.
    """

    def __init__(self, place: str | Path, key: str, count: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.shape, self.dtype = (count, *shape), torch.empty(0, dtype=dtype).numpy().dtype
        self.sizes = {"images": prod(self.shape) * self.dtype.itemsize, "epochs": 8 * count}
        # Tells this pool's memory from what may stand at its path later.
        self.name = f"augsynth-{uuid4().hex}" if place == MEMORY else ""
        if self.name:
            self.paths = self._memory()
        else:
            folder = Path(place) / f"synthetic-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
            self.paths = {name: _file(folder / name, size) for name, size in self.sizes.items()}
        self._maps: tuple[np.ndarray, np.ndarray] | None = None

    def put(self, rows: np.ndarray, images: torch.Tensor, epoch: int) -> None:
        """Write images `(R, C, H, W)` of `epoch`."""
        stored, epochs = self._opened()
        # Never an epoch beside an image that is not yet there.
        epochs[rows] = 0
        stored[rows] = images.numpy()
        epochs[rows] = epoch - _NONE

    def get(self, rows: np.ndarray, epoch: int | None) -> tuple[torch.Tensor, np.ndarray]:
        """Return images `(R, C, H, W)`, and which of them are of `epoch`, or of any where that is None, `(R,)`."""
        stored, epochs = self._opened()
        before = epochs[rows] + _NONE
        images = torch.from_numpy(np.array(stored[rows]))
        wanted = before != _NONE if epoch is None else before == epoch
        # Another process may have written in between.
        return images, wanted & (epochs[rows] + _NONE == before)

    def lacks(self, rows: np.ndarray, epoch: int | None) -> np.ndarray:
        """Return those of the rows that are not there for `epoch`, or for any where that is None."""
        found = self._opened()[1][rows] + _NONE
        return np.asarray(rows[found == _NONE if epoch is None else found != epoch])

    def wait(self, rows: np.ndarray, epoch: int | None, seconds: float) -> bool:
        """Wait for another process to write these rows, and tell whether it has; not for an epoch that is over."""
        end = time.monotonic() + seconds
        while len(missing := self.lacks(rows, epoch)):
            over = epoch is not None and int((self._opened()[1][missing] + _NONE).max()) > epoch
            if over or time.monotonic() > end:
                return False
            time.sleep(_PAUSE)
        return True

    def clear(self) -> None:
        """Forget all samples."""
        self._opened()[1][:] = 0

    def _opened(self) -> tuple[np.ndarray, np.ndarray]:
        if self._maps is None:
            if self.name and not all(_is_memory(path, self.name) for path in self.paths.values()):
                # A copy that outlives what it was copied from.
                self.paths = self._memory()
            images: Any = np.memmap(self.paths["images"], self.dtype, "r+", shape=self.shape)
            # One more than the epoch, so that a new file, all zeros, says "none".
            epochs: Any = np.memmap(self.paths["epochs"], np.int64, "r+", shape=self.shape[:1])
            self._maps = images, epochs
        return self._maps

    def _memory(self) -> dict[str, Path]:
        """Return paths of new files without a place in memory, which the system takes back with their last process."""
        if hasattr(os, "memfd_create"):
            return {name: _unplaced(self, size) for name, size in self.sizes.items()}
        folder = tempfile.TemporaryDirectory(prefix=self.name, ignore_cleanup_errors=True)
        weakref.finalize(self, folder.cleanup)
        return {name: _file(Path(folder.name) / name, size) for name, size in self.sizes.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": None}


def _unplaced(owner: Pool, size: int) -> Path:
    handle = os.memfd_create(owner.name)
    os.ftruncate(handle, size)
    weakref.finalize(owner, os.close, handle)
    return Path(f"/proc/{os.getpid()}/fd/{handle}")


def _is_memory(path: Path, name: str) -> bool:
    """Tell whether a path still leads to the memory of that name, and not to a file opened since."""
    try:
        return name in str(path.readlink()) if path.is_symlink() else path.exists() and name in str(path)
    except OSError:
        return False


def _file(path: Path, size: int) -> Path:
    """Return the path of a file of that size; a new one is full of zeros."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.truncate(size)
            if size and hasattr(os, "posix_fallocate"):
                # A full disk says so here, and not by killing the process that writes to the map.
                os.posix_fallocate(stream.fileno(), 0, size)
    except OSError as error:
        raise AugsynthError(f"cannot keep generated samples in {path}: {error.strerror or error}") from error
    return path
