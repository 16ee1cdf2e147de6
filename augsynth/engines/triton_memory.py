"""Memory on the device: results, the copy that brings tables there, and which device a call is on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from augsynth.transforms.base import Array

Shape = tuple[int, ...]


def on(device: torch.device) -> AbstractContextManager[object]:
    """Make `device` the current one, where there are several."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def allocate(shapes: Sequence[Shape], dtype: torch.dtype, device: torch.device) -> tuple[list[torch.Tensor], Array]:
    """Return memory for results of `shapes` and their addresses `(R,)` int64; alike ones are rows of one batch."""
    item = torch.empty(0, dtype=dtype).element_size()
    elements = np.array([math.prod(shape) for shape in shapes])
    if len(set(shapes)) == 1:
        batch = torch.empty((len(shapes), *shapes[0]), dtype=dtype, device=device)
        return list(batch), batch.data_ptr() + item * elements[0] * np.arange(len(shapes))
    # Each result starts at a multiple of 16 bytes.
    ends = np.cumsum(-(-elements // 16) * 16)
    flat = torch.empty(int(ends[-1]), dtype=dtype, device=device)
    starts = np.concatenate([[0], ends[:-1]])
    pieces = [
        flat[start : start + math.prod(shape)].view(shape) for start, shape in zip(starts.tolist(), shapes, strict=True)
    ]
    return pieces, flat.data_ptr() + item * starts


def upload(arrays: Sequence[Array], device: torch.device, into: torch.Tensor | None = None) -> torch.Tensor:
    """Copy flat int32 arrays to the device as one. Nothing waits: torch keeps the pinned memory until it was read."""
    host = torch.empty(sum(map(len, arrays)), dtype=torch.int32, pin_memory=device.type == "cuda")
    np.concatenate(arrays, out=host.numpy())
    return host.to(device, non_blocking=True) if into is None else into.copy_(host, non_blocking=True)


def padded(words: Array) -> Array:
    """Return words with zeros behind, so that what follows starts at a multiple of 16 bytes: kernels rely on that."""
    return np.concatenate([words, np.zeros(-len(words) % 4, np.int32)])


def record(start: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Record the launches of `start` in a CUDA graph and return what replays it; elsewhere return `start` itself.

    `start` runs once before, for what compiles then must not be compiled while a graph is recorded.
    """
    if device.type != "cuda":
        return start
    start()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        start()
    return graph.replay
