"""Attributes of the wrapped dataset, seen through the wrapper."""

from __future__ import annotations

from typing import Any, ClassVar


class Passing:
    """Reads, and sets, on `self.dataset` what the wrapper does not have itself.

    Setting matters in a worker: a user's `worker_init_fn` opens files or deals out ranges on the dataset that it finds
    there, and the dataset below would never know.
    """

    own: ClassVar[frozenset[str]] = frozenset({"dataset"})
    dataset: Any

    def __getattr__(self, name: str) -> Any:
        # Unpickling asks for special methods before `dataset` is there: answering from it would never end.
        if name.startswith("__") or name in self.own:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        below = name not in self.own and "dataset" in self.__dict__ and not hasattr(type(self), name)
        if below and hasattr(self.dataset, name):
            setattr(self.dataset, name, value)
        else:
            object.__setattr__(self, name, value)
