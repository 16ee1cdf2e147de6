"""Pixel noise as a pure function of two drawn key words: the same bits in numpy and in torch, on any device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import torch

from augsynth.rng import philox

Words = TypeVar("Words", np.ndarray, torch.Tensor)
# numpy keeps the arrays of this many Philox blocks in the cache: 0.5 ms for 224 x 224 x 3 values on one core.
_BLOCKS = 16384
_HALVES = 8  # 16-bit numbers in one Philox block


def key_words(u: np.ndarray) -> np.ndarray:
    """Turn uniforms that are multiples of 2**-24 into whole numbers below 2**24, as parameters hold them."""
    return np.floor(u * 2.0**24)


def uniform_field(words: Words, shape: Sequence[int], lane: int = 0) -> Words:
    """Return float32 `(*batch, *shape)` uniforms: odd multiples of 2**-17, so 0 < u < 1 and the mean is 1/2.

    words: `(*batch, 2)` whole numbers below 2**32 of any dtype; a tensor gives a tensor on its device.
    lane: fields of one key in different lanes are independent.
    """
    if isinstance(words, np.ndarray):
        return (_halves(words, shape, lane).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-16)
    if words.device.type == "cpu":  # where numpy is faster, one sample after the other
        return torch.from_numpy(uniform_field(words.numpy(), shape, lane))
    return (_torch_halves(words, shape, lane).to(torch.float32) + 0.5) * 2.0**-16


def normal_field(words: Words, shape: Sequence[int], lane: int = 0) -> Words:
    """Return float32 `(*batch, *shape)` standard normals: one of 65,536 quantiles each, by a table.

    The largest is 4.32: a true normal lies beyond it once in 65,536. Mean 0 and variance 1 are exact. words and lane as
    in `uniform_field`.
    """
    if isinstance(words, np.ndarray):
        return _table().take(_halves(words, shape, lane))
    if words.device.type == "cpu":
        return torch.from_numpy(normal_field(words.numpy(), shape, lane))
    return _table_on(words.device)[_torch_halves(words, shape, lane)]


@cache
def _table() -> np.ndarray:
    at = (torch.arange(65536, dtype=torch.float64) + 0.5) * 2.0**-16
    quantiles = torch.special.ndtri(at).numpy()
    return np.asarray((quantiles / quantiles.std()).astype(np.float32))


@cache
def _table_on(device: torch.device) -> torch.Tensor:
    return torch.from_numpy(_table()).to(device)


def _halves(words: np.ndarray, shape: Sequence[int], lane: int) -> np.ndarray:
    """Return `(*batch, *shape)` whole numbers from 0 to 65,535, two from each Philox word."""
    keys = words.astype(np.uint64)
    rows = [_sample_halves(key, math.prod(shape), lane) for key in keys.reshape(-1, 2)]
    return (rows[0] if len(rows) == 1 else np.stack(rows)).reshape(*keys.shape[:-1], *shape)


def _sample_halves(key: np.ndarray, count: int, lane: int) -> np.ndarray:
    """Return `(count,)`: word 0 of all blocks, then word 1 of all blocks, and so on; the low half of a word first."""
    blocks = -(-count // _HALVES)
    result = np.empty((4, blocks), "<u4")
    zero = np.uint64(0)
    for start in range(0, blocks, _BLOCKS):
        number = np.arange(start, min(start + _BLOCKS, blocks), dtype=np.uint64)
        drawn = philox((number, zero, zero, np.uint64(lane)), (key[0], key[1]))
        for row, word in zip(result, drawn, strict=True):
            row[start : start + _BLOCKS] = word
    return np.asarray(result.reshape(-1).view("<u2")[:count])


def _torch_halves(words: torch.Tensor, shape: Sequence[int], lane: int) -> torch.Tensor:
    """Return what `_halves` does, as int64, all samples at once."""
    count = math.prod(shape)
    keys = words.to(torch.int64)[..., None]
    number = torch.arange(-(-count // _HALVES), device=words.device)
    drawn = torch.stack(philox((number, 0, 0, lane), (keys[..., 0, :], keys[..., 1, :])), -2)
    halves = torch.stack((drawn & 0xFFFF, drawn >> 16), -1).flatten(-3)
    return halves[..., :count].reshape(*words.shape[:-1], *shape)
