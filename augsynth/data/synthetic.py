"""Synthetic samples as a dataset, and mixed with real ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from augsynth.data.labels import labels_of
from augsynth.data.pool import MEMORY, Pool
from augsynth.data.template import Template
from augsynth.errors import AugsynthError
from augsynth.rng import KeyedIndex, fresh_seed
from augsynth.verdict import checkpoint_of, require

if TYPE_CHECKING:
    from augsynth.batch import Batch
    from augsynth.generators.protocol import Generator
    from augsynth.provenance import Provenance

T = TypeVar("T")
# Samples that are made ahead in one call of the generator.
_AHEAD = 512
# Seconds that a worker waits for samples that it cannot make itself.
_PATIENCE = 60.0
_CLASS_ATTRIBUTES = ("classes", "class_to_idx")


class SyntheticDataset(Dataset[Any]):
    """A map-style dataset whose samples a generator makes: an epoch ahead and on its own device, or when asked for.

    labels: one label per sample, `(N,)`, or an int: so many samples of each class. fresh: new samples each epoch, or
    each so many epochs (by the epoch of a `KeyedIndex`); False keeps one fixed set. cache: where those made ahead
    are: "memory", or a folder, where a fixed set is found again by the next run. like: a real dataset, whose first
    sample gives the structure and image type; without one, items are (float tensor `(C, H, W)`, int). seed: with epoch
    and index the key of a sample. Raises: ValueError or TypeError where generator and `like` do not fit together.

    `refresh` makes the samples of an epoch, in large batches, for all workers to read; `augsynth.loader` and
    `augsynth.callbacks.RefreshSynthetic` call it at the start of an epoch. Samples that nobody has made ahead are made
    when they are asked for, a batch in one call; a plain index then gets a fresh key each time.
    """

    def __init__(
        self,
        generator: Generator,
        labels: int | Sequence[int] | torch.Tensor | np.ndarray,
        seed: int = 0,
        fresh: bool | int = True,
        like: Any = None,
        cache: str | Path = MEMORY,
    ) -> None:
        if not isinstance(fresh, int) or fresh < 0:
            raise ValueError(f"fresh={fresh!r} must be True, False, or a number of epochs of at least 1")
        self.generator, self.seed, self.fresh, self.cache = generator, seed, fresh, cache
        if isinstance(labels, (int, np.integer)):
            labels = np.repeat(np.arange(generator.num_classes), labels)
        if len(labels) and torch.as_tensor(labels).is_floating_point():
            raise TypeError(f"labels must be integers (N,), got {torch.as_tensor(labels).dtype}")
        self.labels = torch.as_tensor(labels, dtype=torch.int64)
        self.template = Template.default() if like is None else Template.of(like)
        self._check()
        self._made_by = checkpoint_of(generator), seed
        self._pool = self._new_pool()

    @property
    def targets(self) -> list[int]:
        """The labels as a list of ints."""
        return [int(label) for label in self.labels.tolist()]

    @property
    def synthetic(self) -> torch.Tensor:
        """Which samples are synthetic, `(N,)` bool: all."""
        return torch.ones(len(self), dtype=torch.bool)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Make the samples of one batch, in one call of the generator for each epoch that the indices name."""
        found: list[Any] = [None] * len(indices)
        keyed = all(isinstance(index, KeyedIndex) for index in indices)
        epochs = np.array([self._epoch(index) if keyed else 0 for index in indices], np.int64)
        positions = np.array([_position(index, len(self)) for index in indices], np.int64)
        for epoch in dict.fromkeys(epochs.tolist()):
            places = np.flatnonzero(epochs == epoch)
            images = self._images(positions[places], epoch, keyed or not self.fresh)
            for place, image in zip(places.tolist(), images, strict=True):
                found[place] = self.template.fill(image, int(self.labels[positions[place]]))
        return found

    def refresh(self, epoch: int, rows: Sequence[int] | np.ndarray | None = None) -> None:
        """Make those samples of an epoch that are not there yet, on the generator's device, for all workers to read.

        rows: those that this process needs, default all. Call it in the main process, before the epoch starts.
        """
        key = self._of(epoch)
        wanted = np.arange(len(self)) if rows is None else np.unique(np.asarray(rows, np.int64))
        if self._pool is None or not len(wanted):
            return
        self._forget_others()
        missing = self._pool.lacks(wanted, key)
        for start in range(0, len(missing), _AHEAD):
            some = missing[start : start + _AHEAD]
            batch = self._generate(some.tolist(), self.seed, key)
            self._pool.put(some, self.template.stored(batch.image.cpu()), key)

    def clear(self) -> None:
        """Forget the samples made ahead, after the generator was trained further."""
        if self._pool is not None:
            self._pool.clear()

    def provenance(self, index: int, epoch: int | None = None) -> Provenance | None:
        """Tell what makes sample `index` in `epoch` (that of a KeyedIndex, if it is one).

        Without an epoch, a fresh dataset gives seed and epoch None: a plain index draws another sample each time.
        """
        if epoch is None and isinstance(index, KeyedIndex):
            epoch = index.epoch
        key = 0 if epoch is None else self._of(epoch)
        found = self._generate([_position(index, len(self))], self.seed, key).provenance[0]
        return replace(found, seed=None, epoch=None) if self.fresh and epoch is None and found is not None else found

    def _epoch(self, index: int) -> int:
        return self._of(cast(KeyedIndex, index).epoch)

    def _of(self, epoch: int) -> int:
        """Return the epoch whose samples are shown in `epoch`."""
        return int(epoch) // int(self.fresh) if self.fresh else 0

    def _images(self, positions: np.ndarray, epoch: int, keyed: bool) -> torch.Tensor:
        """Return images as they are stored: those made ahead, the others made now."""
        assert self._pool is not None
        wanted = epoch if keyed else None
        if get_worker_info() is not None:
            self._wait(positions, wanted)
        images, there = self._pool.get(positions, wanted)
        if not there.all():
            seed = self.seed if keyed else fresh_seed()
            made = self._generate(positions[~there].tolist(), seed, epoch).image.cpu()
            images[torch.from_numpy(~there)] = self.template.stored(made)
        return images

    def _wait(self, positions: np.ndarray, epoch: int | None) -> None:
        """In a worker that cannot use the generator's device, wait for the main process to make the samples."""
        assert self._pool is not None
        if not _is_on_cpu(self.generator) and not self._pool.wait(positions, epoch, _PATIENCE):
            raise AugsynthError(
                "the main process has not made the samples that a worker needs"
                + (f" for epoch {epoch}" if epoch is not None else "")
                + ": load with augsynth.loader, add augsynth.callbacks.RefreshSynthetic() to the Trainer, or call "
                "refresh(epoch) of this dataset before each epoch"
            )

    def _new_pool(self) -> Pool | None:
        """Return room for the samples that are made ahead. Raises: ValueError for a folder and an unknown generator."""
        if not len(self):
            return None
        dtype, key = self.template.dtype, ""
        if self.cache != MEMORY:
            checkpoint = checkpoint_of(self.generator)
            if not checkpoint:
                raise ValueError(
                    f"cache={str(self.cache)!r}: this {type(self.generator).__name__} has no checkpoint_hash() by "
                    'which its samples could be told from those of others; use cache="memory"'
                )
            key = f"{checkpoint} {self.seed} {dtype} {self.labels.tolist()}"
        return Pool(self.cache, key, len(self), tuple(self.generator.image_shape), dtype)

    def _forget_others(self) -> None:
        """Forget what was made by other weights, or under another seed."""
        made_by = checkpoint_of(self.generator), self.seed
        if made_by != self._made_by:
            self._made_by = made_by
            if self.cache == MEMORY:
                self.clear()
            else:
                self._pool = self._new_pool()

    def __getstate__(self) -> dict[str, Any]:
        # A worker process cannot share a GPU's memory.
        return {**self.__dict__, "generator": _on_cpu(self.generator)}

    def __deepcopy__(self, memo: dict[int, Any]) -> SyntheticDataset:
        copied = object.__new__(type(self))
        copied.__dict__.update({k: copy.deepcopy(v, memo) for k, v in self.__dict__.items() if k != "_pool"})
        copied._pool = copied._new_pool()
        return copied

    def _generate(self, positions: list[int], seed: int, epoch: int) -> Batch:
        return self.generator.generate(self.labels[positions], seed, index=positions, epoch=epoch)

    def _check(self) -> None:
        """Fail now, not in a worker: on labels that the generator cannot make and on another image shape."""
        if not len(self.labels):
            return
        highest = int(self.labels.max())
        if highest >= self.generator.num_classes or int(self.labels.min()) < 0:
            raise ValueError(
                f"the generator has {self.generator.num_classes} classes, but the labels go from "
                f"{int(self.labels.min())} to {highest}: train a generator on this data"
            )
        self.template.check_shape(tuple(self.generator.image_shape))
        present = torch.from_numpy(np.unique(self.labels.numpy()))
        self.generator.generate(present, self.seed, index=range(len(present)))


class BlendedDataset(Dataset[Any]):
    """A real dataset followed by a synthetic one; made by `blend` and `balance`.

    Positions 0 to len(real) - 1 are real, all others synthetic: shuffling is the loader's business.
    synthetic: `(N,)` bool. labels: `(N,)` int64. classes, class_to_idx: those of the real dataset, if it has them.
    """

    def __init__(self, real: Any, generated: SyntheticDataset, labels: np.ndarray) -> None:
        self.real, self.generated = real, generated
        self.labels = torch.cat([torch.from_numpy(labels), generated.labels])
        self.synthetic = torch.arange(len(self.labels)) >= len(labels)

    @property
    def targets(self) -> list[int]:
        """The labels as a list of ints."""
        return [int(label) for label in self.labels.tolist()]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Read the real samples of one batch and make the synthetic ones in one go."""
        start = len(self) - len(self.generated)
        positions = [_position(index, len(self)) for index in indices]
        is_real = [position < start for position in positions]
        pairs = list(zip(indices, positions, is_real, strict=True))
        real = iter(_read(self.real, [_moved(index, position) for index, position, real in pairs if real]))
        made = [_moved(index, position - start) for index, position, real in pairs if not real]
        generated = iter(self.generated.__getitems__(made) if made else [])
        return [next(real) if flag else next(generated) for flag in is_real]

    def refresh(self, epoch: int, rows: Sequence[int] | np.ndarray | None = None) -> None:
        """Make the synthetic samples of an epoch ahead; see `SyntheticDataset.refresh`. rows: of the whole dataset."""
        start = len(self) - len(self.generated)
        wanted = None if rows is None else np.asarray(rows, np.int64) - start
        self.generated.refresh(epoch, wanted if wanted is None else wanted[wanted >= 0])

    def clear(self) -> None:
        """Forget the synthetic samples made ahead."""
        self.generated.clear()

    def provenance(self, index: int, epoch: int | None = None) -> Provenance | None:
        """Tell what makes sample `index`, None for a real one; see `SyntheticDataset.provenance`."""
        position = _position(index, len(self)) - (len(self) - len(self.generated))
        return None if position < 0 else self.generated.provenance(_moved(index, position), epoch)

    def __getattr__(self, name: str) -> Any:
        # Only what speaks of classes: per-sample attributes of the real dataset would be too short.
        if name not in _CLASS_ATTRIBUTES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.real, name)


def blend(
    real: Any,
    generator: Generator,
    ratio: float = 0.25,
    *,
    seed: int = 0,
    fresh: bool | int = True,
    cache: str | Path = MEMORY,
    gate: Literal["passed"] | None = "passed",
) -> BlendedDataset:
    """Return `real` and, after it, as many synthetic samples as make up `ratio` of the whole; fresh ones every epoch.

    The length is `round(len(real) / (1 - ratio))`; the synthetic labels have the class shares of the real ones, rounded
    by largest remainder. real: a map-style dataset of (image, label), not yet augmented. ratio: in [0, 1).
    seed, fresh, cache: of `SyntheticDataset`.
    gate: "passed" demands that `augsynth.quality.evaluate` let these weights pass; None takes any generator.
    Raises: GateError; ValueError or TypeError where generator and data do not fit together.
    """
    require(generator, gate, "blend")
    if not 0 <= ratio < 1:
        raise ValueError(f"blend: ratio={ratio} must lie in [0, 1): the share of synthetic samples in an epoch")
    labels = _real_labels(real)
    classes, counts = np.unique(labels, return_counts=True)
    extra = _share_out(round(len(labels) / (1 - ratio)) - len(labels), counts)
    return BlendedDataset(
        real, SyntheticDataset(generator, np.repeat(classes, extra), seed, fresh, real, cache), labels
    )


def balance(
    real: Any,
    generator: Generator,
    *,
    seed: int = 0,
    fresh: bool | int = True,
    cache: str | Path = MEMORY,
    gate: Literal["passed"] | None = "passed",
) -> BlendedDataset:
    """Return `real` and, after it, synthetic samples that fill every class up to the size of the largest.

    real: a map-style dataset of (image, label), not yet augmented. seed, fresh, cache: of `SyntheticDataset`.
    gate: "passed" demands that `augsynth.quality.evaluate` let these weights pass; None takes any generator.
    Raises: GateError; ValueError or TypeError where generator and data do not fit together, or for a single class.
    """
    require(generator, gate, "balance")
    labels = _real_labels(real)
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        raise ValueError(f"balance: all {len(labels)} samples are of class {classes[0]}; there is nothing to balance")
    extra = np.repeat(classes, counts.max() - counts)
    return BlendedDataset(real, SyntheticDataset(generator, extra, seed, fresh, real, cache), labels)


def _real_labels(real: Any) -> np.ndarray:
    if not (hasattr(real, "__len__") and hasattr(real, "__getitem__")):
        raise TypeError(f"map-style datasets are supported (with __len__ and __getitem__), got {type(real).__name__}")
    template = Template.of(real)
    return labels_of(real, template.image, template.label, template.first_label)


def _share_out(total: int, counts: np.ndarray) -> np.ndarray:
    """Split `total` in proportion to `counts`: rounded down, the rest to the largest remainders, lower class first."""
    exact = total * counts.astype(np.int64)
    shares = exact // counts.sum()
    rest = np.argsort(-(exact % counts.sum()), kind="stable")[: total - shares.sum()]
    shares[rest] += 1
    return np.asarray(shares)


def _read(dataset: Any, indices: list[int]) -> list[Any]:
    batched = getattr(dataset, "__getitems__", None)
    if callable(batched) and len(indices) > 1:
        return list(batched(indices))
    return [dataset[index] for index in indices]


def _position(index: int, size: int) -> int:
    position = int(index) + size if index < 0 else int(index)
    if not 0 <= position < size:
        raise IndexError(f"index {int(index)} is outside a dataset of {size} samples")
    return position


def _moved(index: int, position: int) -> int:
    """Return `position` with the key of `index`, if it has one."""
    return KeyedIndex(position, index.epoch, index.occurrence) if isinstance(index, KeyedIndex) else position


def _on_cpu(generator: T) -> T:
    """Return the generator, or a copy on the CPU."""
    if _is_on_cpu(generator):
        return generator
    copied = copy.deepcopy(generator)
    for module in _modules(copied):
        module.cpu()
    return copied


def _is_on_cpu(generator: Any) -> bool:
    tensors = (t for module in _modules(generator) for t in (*module.parameters(), *module.buffers()))
    return all(tensor.device.type == "cpu" for tensor in tensors)


def _modules(generator: Any) -> Iterator[torch.nn.Module]:
    """Yield the networks of a generator, also of one that stands before another, with a judge."""
    if isinstance(generator, torch.nn.Module):
        yield generator
    elif generator is not None:
        for name in ("generator", "judge", "network"):
            yield from _modules(getattr(generator, name, None))
