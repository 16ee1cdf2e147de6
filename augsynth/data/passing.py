"""Attributes of the wrapped dataset, seen through the wrapper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from inspect import ismethod
from typing import Any, ClassVar

from torch.utils.data import Dataset

# Libraries whose datasets have methods that return another dataset.
_FLUENT = ("datasets", "webdataset")


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
        value = getattr(self.dataset, name)
        if ismethod(value) and type(self.dataset).__module__.split(".")[0] in _FLUENT:
            return partial(_checked, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        below = name not in self.own and "dataset" in self.__dict__ and not hasattr(type(self), name)
        if below and hasattr(self.dataset, name):
            setattr(self.dataset, name, value)
        else:
            object.__setattr__(self, name, value)


def _checked(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of the wrapped dataset, and refuse what would silently go on without the augmentation."""
    result = method(*args, **kwargs)
    owner = method.__self__  # type: ignore[attr-defined]
    if result is not owner and _is_data(result):
        raise TypeError(
            f"{method.__name__}() of a wrapped {type(owner).__name__} gives data without the augmentation; call it "
            f"before wrap: wrap(dataset.{method.__name__}(...), pipeline)"
        )
    return result


def _is_data(result: Any) -> bool:
    fluent = type(result).__module__.split(".")[0] in _FLUENT and hasattr(result, "map")
    return fluent or isinstance(result, (Dataset, Iterator))
