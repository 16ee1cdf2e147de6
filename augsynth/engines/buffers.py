"""Memory for what comes out: blocks that are used again once nobody holds what was in them."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

from augsynth.transforms.base import Array

# A fresh block of a batch's size costs a page fault per 4 KiB, more than the augmentation itself. Below this many bytes
# malloc recycles by itself.
_SMALL = 1 << 18
# Blocks that wait for their next batch: a training loop holds one or two batches at a time.
_KEPT = 3

# glibc gives freed blocks of an image's size back to the kernel, and each page faults when it is taken again: 2.2 ms
# instead of 0.3 for a filter at 224 px. Its threshold rises to the largest block below 32 MiB that was ever freed.
np.empty(31 << 20, np.uint8)

# What gives a batch (shape, dtype) its memory, where there is better than the pool: a worker's shared slots.
batch_memory: ContextVar[Callable[[tuple[int, ...], torch.dtype], torch.Tensor] | None] = ContextVar(
    "batch_memory", default=None
)
_free: deque[Array] = deque(maxlen=_KEPT)
_NUMPY = {
    torch.uint8: np.uint8,
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.bfloat16: np.int16,  # numpy has none
    torch.float64: np.float64,
}


def allocate_batch(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return an uninitialised `(B, C, H, W)` batch on the CPU, in the best memory there is for it."""
    return (batch_memory.get() or recycled)(shape, dtype)


def recycled(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return an uninitialised CPU tensor. Its memory is used again when the last view of it is gone, never before."""
    size = int(np.prod(shape)) * dtype.itemsize
    if size < _SMALL:
        return torch.empty(shape, dtype=dtype)
    block = _take(size)
    # The tensor's storage keeps this array alive, and so does every view: when it dies, nobody can read the block.
    owner = block[:size].view(_NUMPY[dtype]).reshape(shape)
    weakref.finalize(owner, _free.append, block).atexit = False
    tensor = torch.from_numpy(owner)
    # Through dlpack it is no view of the int16 tensor: the rows of a batch know their batch as `_base`.
    return tensor if dtype != torch.bfloat16 else from_dlpack(tensor.view(dtype))


def _take(size: int) -> Array:
    for _ in range(len(_free)):
        try:
            block = _free.popleft()
        except IndexError:  # another thread was faster
            break
        if size <= block.size <= 2 * size:
            return block
        _free.append(block)
    # numpy asks the kernel for huge pages, torch does not: 722 page faults against 9,409 for 38 MB.
    return np.empty(size, np.uint8)
