"""A user's LightningDataModule with its training data augmented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from augsynth.data.wrap import wrap

_CLASSES: dict[type, type] = {}
Step = tuple[Any, dict[str, Any]]


class Wrapped:
    """A LightningDataModule of the user's own class whose training DataLoaders are wrapped; made by `augsynth.wrap`.

    It shares its attributes with the user's object: what `setup` of one sets, the other has. Hooks, hyperparameters,
    state and the loaders of validation, test and prediction are the user's, as they are.
    """

    steps: tuple[Step, ...]

    @property
    def train_dataloader(self) -> Callable[[], Any]:
        """The method that returns the user's DataLoader, list or dict of them, each wrapped."""
        # A property, because LightningDataModule.from_datasets sets the method on the object, which is shared.
        return self._train_dataloader

    @train_dataloader.setter
    def train_dataloader(self, method: Callable[[], Any]) -> None:
        self.__dict__["train_dataloader"] = method

    def _train_dataloader(self) -> Any:
        theirs = self.__dict__.get("train_dataloader") or super().train_dataloader  # type: ignore[misc]
        loaders = theirs()
        for pipeline, options in self.steps:
            loaders = _wrapped(loaders, pipeline, options)
        return loaders

    def __reduce__(self) -> Any:
        return _blank, (type(self).__mro__[2], self.steps), self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def wrap_datamodule(datamodule: Any, pipeline: Any, **options: Any) -> Any:
    """Return `datamodule` with its training data augmented; options: those of `augsynth.wrap`."""
    steps: tuple[Step, ...] = ((pipeline, options),)
    base = type(datamodule)
    if isinstance(datamodule, Wrapped):
        base, steps = base.__mro__[2], (*datamodule.steps, *steps)
    augmented = _blank(base, steps)
    object.__setattr__(augmented, "__dict__", datamodule.__dict__)
    return augmented


def _blank(base: type, steps: tuple[Step, ...]) -> Any:
    """Return an augmented object of a user's class, still without attributes."""
    made: Any = object.__new__(_class_of(base))
    made.steps = steps
    return made


def _class_of(base: type) -> type:
    """Return the class of augmented objects of a user's class, under its name: Lightning finds their state by that."""
    if base not in _CLASSES:
        # A slot, because the attributes are shared with the user's object, which is to know nothing of this.
        body = {"__slots__": ("steps",), "__module__": base.__module__, "__qualname__": base.__qualname__}
        _CLASSES[base] = type(base)(base.__name__, (Wrapped, base), {**body, "__doc__": base.__doc__})
    return _CLASSES[base]


def _wrapped(loaders: Any, pipeline: Any, options: dict[str, Any]) -> Any:
    """Wrap each DataLoader in what `train_dataloader` returned. Raises TypeError for what is none."""
    if isinstance(loaders, (DataLoader, IterableDataset)):
        return wrap(loaders, pipeline, **options)
    if isinstance(loaders, Mapping):
        again = {name: _wrapped(one, pipeline, options) for name, one in loaders.items()}
        return type(loaders)(again)  # type: ignore[call-arg]
    if isinstance(loaders, (list, tuple)):
        parts = [_wrapped(one, pipeline, options) for one in loaders]
        return type(loaders)(*parts) if hasattr(loaders, "_fields") else type(loaders)(parts)
    if type(loaders).__name__ == "CombinedLoader":
        return type(loaders)(_wrapped(loaders.iterables, pipeline, options), loaders._mode)
    raise TypeError(
        f"wrap: train_dataloader() returned {type(loaders).__name__}; a DataLoader, a list or dict of them, or an "
        "IterableDataset can be augmented"
    )
