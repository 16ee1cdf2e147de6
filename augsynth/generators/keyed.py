"""What every generator of labelled images does around its network: checks, keys, and the marks of a sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from augsynth.batch import Batch
from augsynth.provenance import Provenance
from augsynth.rng import Rng

# Samples that a network makes at once: bounds the memory of a large batch.
CHUNK = 512


def checked_shape(who: str, image_shape: Sequence[int], least: int = 8) -> tuple[int, int, int]:
    """Return (C, H, W) as ints. Raises: ValueError for other than three numbers, and for sides below `least` pixels."""
    shape = tuple(int(size) for size in image_shape)
    if len(shape) != 3 or shape[0] < 1 or min(shape[1:]) < least:
        raise ValueError(
            f"{who}: image_shape={shape} must be (channels, height, width) with sides of at least {least} pixels"
        )
    return shape


def check_counts(who: str, **counts: Any) -> None:
    """Raise ValueError for one that is not an integer of at least 1."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{who}: {name}={count!r} must be an integer of at least 1")


def checked_labels(labels: torch.Tensor | Sequence[int], num_classes: int, device: torch.device) -> torch.Tensor:
    """Return labels `(B,)` as int64 on `device`. Raises: TypeError for no integers, ValueError for one out of range."""
    target = torch.as_tensor(labels)
    if target.ndim != 1 or (len(target) and (target.is_floating_point() or target.dtype == torch.bool)):
        raise TypeError(f"generate: labels must be integers (B,), got {tuple(target.shape)} {target.dtype}")
    target = target.to(device, torch.int64)
    if len(target) and not 0 <= int(target.min()) <= int(target.max()) < num_classes:
        bad = int(target[(target < 0) | (target >= num_classes)][0])
        raise ValueError(f"generate: label {bad} is outside the generator's classes, 0 to {num_classes - 1}")
    return target


def keys_of(count: int, seed: int, index: torch.Tensor | Sequence[int] | None, epoch: int) -> Rng:
    """Return the keys of `count` samples; index: default 0 to count - 1. Raises: ValueError for another number."""
    rows = np.arange(count) if index is None else index
    rng = Rng.of(seed, [int(row) for row in rows], epoch)
    if len(rng) != count:
        raise ValueError(f"generate: {len(rng)} indices for {count} labels")
    return rng


def check_truncation(truncation: float) -> None:
    """Raise ValueError for a truncation that is not a number from 0 to 1."""
    if not 0 <= truncation <= 1:
        raise ValueError(f"generate: truncation={truncation!r} must be a number from 0 to 1; 1 truncates nothing")


def marked(
    image: torch.Tensor,
    target: torch.Tensor,
    rng: Rng,
    origin: tuple[str, str],
    said: Iterable[Mapping[str, float] | None] | None = None,
    truncation: float = 1.0,
) -> Batch:
    """Return images `(B, C, H, W)` as a batch whose samples are marked synthetic and tell what made them.

    target: labels `(B,)`. origin: name of the generator and hash of its weights. said: attributes of each sample.
    """
    rows = rng.index.tolist()
    provenance = tuple(
        Provenance(*origin, rng.seed, row, epoch, label, attributes=given, truncation=truncation)
        for row, epoch, label, given in zip(
            rows, rng.epoch.tolist(), target.tolist(), said or [None] * len(rows), strict=True
        )
    )
    return Batch(image, target, torch.ones_like(target, dtype=torch.bool), provenance, torch.from_numpy(rng.index))


def versions(tensors: Iterable[torch.Tensor]) -> tuple[tuple[int, int], ...]:
    """Return what changes when a tensor is replaced or written to, other than through its `.data`."""
    return tuple((id(tensor), tensor._version) for tensor in tensors)


def attributes_of(attributes: Mapping[str, Any], rows: Sequence[int] | np.ndarray, total: int) -> dict[str, Any]:
    """Return the rows' share of those attributes that are given one per sample, of `total`."""
    many = (list, tuple, np.ndarray, torch.Tensor)
    return {
        name: [value[row] for row in rows] if isinstance(value, many) and len(value) == total else value
        for name, value in attributes.items()
    }


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Put a module in eval mode, and give each of its parts its own mode back."""
    if not isinstance(module, nn.Module):
        yield
        return
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        # By its own method first, which may do more than set the flags.
        module.train(modes[0][1])
        for part, mode in modes:
            part.training = mode
