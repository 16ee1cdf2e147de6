"""The random numbers of one transform on one string: words of Philox, one after the other."""

from __future__ import annotations

from augsynth.rng import philox

# Tells these words from all others that have the same key.
TEXT = 0x74657874


class Stream:
    """Numbers that are a function of a key, two words, and of how many were taken before."""

    __slots__ = ("_block", "_key", "_taken", "_words")

    def __init__(self, key: tuple[int, int], entry: int = 0) -> None:
        self._key, self._taken = key, 0
        self._words: tuple[int, ...] = ()
        self._block: tuple[int, int] = (entry, TEXT)

    def word(self) -> int:
        """Return the next 32 bits."""
        if not self._taken % 4:
            self._words = philox((self._taken // 4, 0, *self._block), self._key)
        self._taken += 1
        return int(self._words[(self._taken - 1) % 4])

    def integer(self, high: int) -> int:
        """Return a number in [0, high), 1 <= high <= 2**32."""
        return (self.word() * high) >> 32

    def uniform(self) -> float:
        """Return a number in [0, 1), a multiple of 2**-24."""
        return (self.word() >> 8) * 2.0**-24

    def choose(self, n: int, k: int) -> list[int]:
        """Return k of the numbers 0 to n - 1, ascending, all sets as likely (Floyd, doi:10.1145/30401.315746)."""
        chosen: set[int] = set()
        for last in range(n - k, n):
            drawn = self.integer(last + 1)
            chosen.add(last if drawn in chosen else drawn)
        return sorted(chosen)

    def shuffle(self, items: list[int]) -> list[int]:
        """Return the items in random order (Fisher and Yates)."""
        items = list(items)
        for last in range(len(items) - 1, 0, -1):
            other = self.integer(last + 1)
            items[last], items[other] = items[other], items[last]
        return items
