"""Keyed randomness: Philox4x32-10 as a pure function of (seed, epoch, index, occurrence, slot, lane).

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch

from augsynth.compiled import kernel

MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
# Below this many Philox blocks plain Python integers beat numpy's fixed cost of about 80 us.
_SCALAR_BLOCKS = 16
_GAMMA_TRIES = 8

Words = TypeVar("Words", int, np.ndarray, torch.Tensor)
IntLike = int | Sequence[int] | np.ndarray | torch.Tensor


def philox(counter: Sequence[Any], key: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    """Run ten Philox4x32 rounds on four counter words and two key words.

    The words are Python ints, numpy uint64 arrays or torch int64 tensors holding values below 2**32, and broadcast;
    the bits of the result are the same for all three.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # A signed 64-bit product wraps, but the masked shift still yields the high word.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = ((p1 >> 32) & MASK) ^ c1 ^ k0, p1 & MASK
        c2, c3 = ((p0 >> 32) & MASK) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + _WEYL[0]) & MASK, (k1 + _WEYL[1]) & MASK
    return c0, c1, c2, c3


def slot_id(name: str) -> int:
    """Hash a slot's name to 32 bits: the name alone decides, so removing one transform leaves the others alone."""
    return zlib.crc32(name.encode())


def uniform_from_words(words: Any) -> Any:
    """Map 32-bit words to [0, 1), exact multiples of 2**-24: float64 for numpy, float32 for torch, equal in value."""
    high = words >> 8
    return high.to(torch.float32) * 2.0**-24 if isinstance(words, torch.Tensor) else high * 2.0**-24


def integers_from_words(words: Any, high: Any) -> Any:
    """Map 32-bit words to integers in [0, high), high <= 2**31, by a multiply and a shift."""
    return (words * high) >> 32


def normal_from_words(words: Any) -> Any:
    """Map pairs of 32-bit words `(..., 2 n)` to `(..., n)` standard normals (Box-Muller, computed in float64)."""
    if isinstance(words, torch.Tensor):
        radius_word, angle_word = words[..., 0::2].to(torch.float64), words[..., 1::2].to(torch.float64)
        radius = torch.sqrt(-2.0 * torch.log((radius_word + 0.5) * 2.0**-32))
        return (radius * torch.cos(2.0 * math.pi * 2.0**-32 * angle_word)).to(torch.float32)
    radius_word, angle_word = words[..., 0::2].astype(np.float64), words[..., 1::2].astype(np.float64)
    radius = np.sqrt(-2.0 * np.log((radius_word + 0.5) * 2.0**-32))
    return radius * np.cos(2.0 * np.pi * 2.0**-32 * angle_word)


class KeyedIndex(int):
    """A sample index that carries its key, so that parameters do not depend on workers, order or batch size.

    It is an `int`: a dataset that knows nothing of keys can be indexed with it.
    """

    epoch: int
    occurrence: int

    def __new__(cls, index: int, epoch: int = 0, occurrence: int = 0) -> KeyedIndex:
        self = int.__new__(cls, index)
        self.epoch, self.occurrence = epoch, occurrence
        return self

    def __reduce__(self) -> tuple[type[KeyedIndex], tuple[int, int, int]]:
        return KeyedIndex, (int(self), self.epoch, self.occurrence)

    def __str__(self) -> str:
        # Datasets write it into file names.
        return int.__repr__(self)

    def __repr__(self) -> str:
        return f"KeyedIndex({int(self)}, epoch={self.epoch}, occurrence={self.occurrence})"


def fresh_seed() -> int:
    """Draw a 32-bit seed from torch's global generator: the one place where augsynth consumes global random state."""
    return int(torch.randint(0, 2**32, (), dtype=torch.int64))


def _is_word(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MASK


def _word_array(name: str, value: IntLike, size: int | None) -> np.ndarray:
    if type(value) is int and 0 <= value <= MASK:
        return np.full(1 if size is None else size, value, np.int64)
    if isinstance(value, torch.Tensor):
        value = value.cpu().numpy()
    array = np.atleast_1d(np.asarray(value))
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} must be an integer or a sequence of integers, got {array.dtype}")
    array = array.astype(np.int64).reshape(-1)
    if array.size and (array.min() < 0 or array.max() > MASK):
        bad = array[(array < 0) | (array > MASK)][0]
        raise ValueError(f"{name}={bad} is outside what a key can hold, 0 to 2**32 - 1")
    if size is not None and array.size == 1:
        array = np.repeat(array, size)
    if size is not None and array.size != size:
        raise ValueError(f"{name} has {array.size} entries for {size} samples")
    return array


@dataclass(frozen=True, eq=False)
class Rng:
    """The randomness of B samples, as a value. Same key and slot: same numbers, alone or in any batch.

    seed: 0 to 2**32 - 1. index, epoch, occurrence: `(B,)` int64, each 0 to 2**32 - 1.
    """

    seed: int
    index: np.ndarray
    epoch: np.ndarray
    occurrence: np.ndarray

    @classmethod
    def of(cls, seed: int, index: IntLike, epoch: IntLike = 0, occurrence: IntLike = 0) -> Rng:
        """Build from ints or sequences; a `KeyedIndex` in `index` brings its own epoch and occurrence."""
        if _is_word(seed) and _is_word(index) and _is_word(epoch) and _is_word(occurrence):
            one = np.array((index, epoch, occurrence), np.int64)  # a third of the time of what follows
            return cls(seed, one[:1], one[1:2], one[2:])
        seed = int(_word_array("seed", seed, 1)[0])
        entries = [index] if isinstance(index, int) else index
        if isinstance(entries, Sequence) and len(entries) and all(isinstance(i, KeyedIndex) for i in entries):
            keyed = cast(Sequence[KeyedIndex], entries)
            epoch, occurrence = [i.epoch for i in keyed], [i.occurrence for i in keyed]
        words = _word_array("index", index, None)
        size = words.size
        return cls(seed, words, _word_array("epoch", epoch, size), _word_array("occurrence", occurrence, size))

    @classmethod
    def fresh(cls, size: int) -> Rng:
        """Key `size` samples by one draw from torch's global generator: never the same twice by accident."""
        zeros = np.zeros(size, np.int64)
        return cls(fresh_seed(), np.arange(size), zeros, zeros)

    def __len__(self) -> int:
        return int(self.index.size)

    def __getitem__(self, rows: Any) -> Rng:
        return Rng(self.seed, self.index[rows], self.epoch[rows], self.occurrence[rows])

    def words(self, slots: Sequence[int], lanes: Sequence[int]) -> np.ndarray:
        """Return `(B, 4 N)` uint64 words below 2**32: four for each of the N (slot, lane) pairs, in one Philox call."""
        if kernel is not None:
            return self._compiled_words(slots, lanes)
        if len(self) * len(slots) <= _SCALAR_BLOCKS:
            return self._scalar_words(slots, lanes)
        column = [array.astype(np.uint64)[:, None] for array in (self.index, self.occurrence, self.epoch)]
        counter = (column[0], column[1], np.asarray(slots, np.uint64)[None], np.asarray(lanes, np.uint64)[None])
        blocks = philox(counter, (np.uint64(self.seed), column[2]))
        return np.stack(blocks, axis=-1).reshape(len(self), 4 * len(slots))

    def _compiled_words(self, slots: Sequence[int], lanes: Sequence[int]) -> np.ndarray:
        count, blocks = len(self), len(slots)
        words = np.empty((count, 4 * blocks), np.uint64)
        places = [np.ascontiguousarray(a, np.int64) for a in (self.index, self.occurrence, self.epoch, slots, lanes)]
        index, occurrence, epoch, slot, lane = (place.ctypes.data for place in places)
        kernel.words(index, occurrence, epoch, self.seed, slot, lane, count, blocks, words.ctypes.data)
        return words

    def _scalar_words(self, slots: Sequence[int], lanes: Sequence[int]) -> np.ndarray:
        rows = [
            [word for pair in zip(slots, lanes, strict=True) for word in philox((i, o, *pair), (self.seed, e))]
            for i, e, o in zip(self.index.tolist(), self.epoch.tolist(), self.occurrence.tolist(), strict=True)
        ]
        return np.array(rows, np.uint64).reshape(len(self), 4 * len(slots))

    def _slot_words(self, slot: str, n: int) -> np.ndarray:
        blocks = -(-n // 4)
        return self.words([slot_id(slot)] * blocks, range(blocks))[:, :n]

    def uniform(self, slot: str, n: int = 1) -> np.ndarray:
        """Return `(B, n)` float64 in [0, 1)."""
        return np.asarray(uniform_from_words(self._slot_words(slot, n)))

    def normal(self, slot: str, n: int = 1) -> np.ndarray:
        """Return `(B, n)` float64 standard normals."""
        return np.asarray(normal_from_words(self._slot_words(slot, 2 * n)))

    def integers(self, slot: str, high: int, n: int = 1) -> np.ndarray:
        """Return `(B, n)` int64 in [0, high), 1 <= high <= 2**31."""
        if not 1 <= high <= 2**31:
            raise ValueError(f"integers: high={high} must lie in 1 to 2**31")
        return np.asarray(integers_from_words(self._slot_words(slot, n), np.uint64(high))).astype(np.int64)

    def bernoulli(self, slot: str, p: float, n: int = 1) -> np.ndarray:
        """Return `(B, n)` bool, true with probability p."""
        return self.uniform(slot, n) < p

    def choice(self, slot: str, weights: Iterable[float], n: int = 1) -> np.ndarray:
        """Return `(B, n)` int64 positions, drawn with replacement in proportion to `weights`."""
        return choose(self.uniform(slot, n), weights)

    def permutation(self, slot: str, n: int) -> np.ndarray:
        """Return `(B, n)` int64: one random order of 0 to n - 1 per sample."""
        return np.argsort(self._slot_words(slot, n), axis=1, kind="stable")

    def gamma(self, slot: str, shape: float, n: int = 1) -> np.ndarray:
        """Return `(B, n)` float64 Gamma(shape, 1) by Marsaglia and Tsang, doi:10.1145/358407.358414.

        Eight tries per draw, fixed, so that a draw's words never depend on its neighbours; the last try is kept in
        the 5e-11 of cases where all are rejected.
        """
        if not shape > 0:
            raise ValueError(f"gamma: shape={shape} must be above 0")
        d = max(shape, shape + 1 if shape < 1 else shape) - 1 / 3
        c = 1 / math.sqrt(9 * d)
        size = (len(self), n, _GAMMA_TRIES)
        x = self.normal(f"{slot}.gamma.normal", n * _GAMMA_TRIES).reshape(size)
        u = 1 - self.uniform(f"{slot}.gamma.accept", n * _GAMMA_TRIES).reshape(size)
        v = np.maximum(1 + c * x, 1e-12) ** 3
        accepted = (1 + c * x > 0) & (np.log(u) < 0.5 * x**2 + d - d * v + d * np.log(v))
        first = np.where(accepted.any(-1), accepted.argmax(-1), _GAMMA_TRIES - 1)
        draw = d * np.take_along_axis(v, first[..., None], -1)[..., 0]
        if shape < 1:
            draw = draw * (1 - self.uniform(f"{slot}.gamma.boost", n)) ** (1 / shape)
        return np.asarray(draw)

    def beta(self, slot: str, a: float, b: float, n: int = 1) -> np.ndarray:
        """Return `(B, n)` float64 Beta(a, b) in [0, 1]."""
        first, second = self.gamma(f"{slot}.a", a, n), self.gamma(f"{slot}.b", b, n)
        total = first + second
        # For tiny a and b both gammas underflow together; the limit of the law is a coin with odds a : b.
        coin = (self.uniform(f"{slot}.coin", n) < a / (a + b)).astype(np.float64)
        return np.where(total > 0, first / np.where(total > 0, total, 1), coin)


def choose(uniforms: np.ndarray, weights: Iterable[float]) -> np.ndarray:
    """Map uniforms in [0, 1) to positions 0 to len(weights) - 1 in proportion to `weights` (not all zero)."""
    array = np.asarray(list(weights), np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all() or (array < 0).any() or not array.sum() > 0:
        raise ValueError(f"weights must be finite, not negative and not all zero, got {array.tolist()}")
    edges = np.cumsum(array / array.sum())
    # Rounding may leave the last edge below 1: a draw above it belongs to the last weight that is not zero.
    return np.asarray(np.minimum(np.searchsorted(edges, uniforms, side="right"), np.flatnonzero(array)[-1]))
