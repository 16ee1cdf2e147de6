"""What was looked up before, within bounds."""

from __future__ import annotations

from collections.abc import Callable

MOST = 1 << 16


class Memory(dict[str, tuple[str, ...]]):
    """A dict that asks a function for what it does not know, and forgets everything when it holds `MOST` words."""

    def __init__(self, function: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self.function = function

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(self) >= MOST:
            self.clear()
        found = self[word] = tuple(self.function(word))
        return found
