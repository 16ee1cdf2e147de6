"""What each code point is: the table by which words are found, the same whatever Unicode version Python has."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np

# The lower four bits of an entry. UNSPACED is a script whose words have no spaces between them, such as Thai.
OTHER, LETTER, DIGIT, MARK, SPACE, IDEOGRAPH, UNSPACED, APOSTROPHE, SURROGATE = range(9)
KIND = 15
# Flags. SPECIAL is what a word of language has not in it: @, _, /, brackets, currencies.
UPPER, LOWER, SPECIAL = 16, 32, 64


@lru_cache(1)
def classes() -> np.ndarray:
    """Return the entry of each code point, `(0x110000,)` uint8; made by benchmarks/make_characters.py."""
    runs = np.frombuffer(files("augsynth.text").joinpath("data/characters.bin").read_bytes(), "<u4")
    table = np.repeat((runs & 255).astype(np.uint8), runs >> 8)
    table.setflags(write=False)
    return table


def classes_of(text: str) -> bytes:
    """Return the entry of each character of a string."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    found: bytes = classes()[codes].tobytes()
    return found
