"""The key of a stream's sample: what the user calls it, as the words that a draw depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from augsynth.batch import describe, get_image
from augsynth.rng import MASK

IndexOf = Callable[[Any], int | str] | str | int
_WORD_BITS = 32


def find_name(sample: Any, index_of: IndexOf) -> int | str:
    """Return what names a sample: an entry of it, or what the function says. Raises TypeError for other types."""
    if callable(index_of):
        name, what = index_of(sample), "index_of="
    else:
        try:
            name, what = get_image(sample, index_of), f"index_of={index_of!r}"
        except TypeError:
            raise TypeError(
                f"index_of={index_of!r} is not in {describe(sample)}; name an entry that holds an int or a str, or "
                "give a function of the sample"
            ) from None
    if isinstance(name, (torch.Tensor, np.ndarray, np.generic)) and name.ndim == 0:
        name = name.item()
    if not isinstance(name, (int, str)) or isinstance(name, bool):
        raise TypeError(f"{what} gave {type(name).__name__} {name!r:.60} for {describe(sample)}; give an int or a str")
    return name


def words_of(name: int | str) -> tuple[int, int]:
    """Return a name as two words of 32 bits; small numbers as themselves, and a str by a hash that is always the same.

    Raises: ValueError for an int outside 0 to 2**64 - 1.
    """
    if isinstance(name, str):
        name = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    if not 0 <= name < 1 << 2 * _WORD_BITS:
        raise ValueError(f"index_of= gave {name}, which is outside 0 to 2**64 - 1; give its str instead")
    return name & MASK, name >> _WORD_BITS
