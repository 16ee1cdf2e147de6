"""Wrap an IterableDataset: its samples in its own order and sharding, augmented a few at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset

from augsynth.batch import Path, find_image, get_image
from augsynth.data import slots
from augsynth.data.augmenting import Augmenter, reason
from augsynth.data.epochs import Epochs
from augsynth.data.keying import IndexOf, find_name, words_of
from augsynth.data.passing import Passing
from augsynth.errors import SampleError
from augsynth.finding import Keys
from augsynth.rng import Rng, fresh_seed
from augsynth.texts import size_of
from augsynth.transforms.mix import BATCHES

# Samples that are augmented together where no loader says how many make a batch.
CHUNK = 16


class AugmentedIterable(Passing, IterableDataset[Any]):
    """A stream whose samples pass through a pipeline; made by `wrap`. Order and sharding are the wrapped dataset's own.

    Images come out as tensors; items that are batches come out as the pipeline returns batches. Without `index_of` each
    pass draws one number from torch's generator, which a DataLoader seeds for each worker and epoch. With it, a sample
    is that of (pipeline.seed, epoch, index): see `wrap`. The epoch advances with each pass; `set_epoch` sets the next,
    also in workers that persist. Up to `chunk` samples are read ahead, and augmented together.
    """

    own = frozenset({"dataset", "pipeline", "key", "keys", "index_of", "chunk", "epochs", "position", "resumed"})

    def __init__(
        self,
        dataset: Any,
        pipeline: Any,
        key: Path = None,
        keys: Keys | None = None,
        index_of: IndexOf | None = None,
        chunk: int = CHUNK,
    ) -> None:
        self.dataset, self.pipeline, self.key, self.keys = dataset, pipeline, key, keys
        self.index_of, self.chunk = index_of, chunk
        self.epochs = Epochs() if index_of is not None else None
        self.position: dict[str, Any] = _start(0)
        self.resumed: dict[str, Any] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of `epoch`, in all workers; the wrapped dataset is told too, if it asks for it."""
        self.set_own_epoch(epoch)
        if callable(advance := getattr(self.dataset, "set_epoch", None)):
            advance(epoch)

    def set_own_epoch(self, epoch: int) -> None:
        """Let the next pass be augmented as that of `epoch`."""
        if self.epochs is not None:
            self.epochs.set(epoch)

    def __iter__(self) -> Iterator[Any]:
        state, self.resumed = self.resumed, None
        self.position = _start(self._begin(None)) if state is None else dict(state)
        if state is not None and state["dataset"] is not None:
            self.dataset.load_state_dict(state["dataset"])
        source = iter(self.dataset)
        if state is not None:
            self._begin(state["epoch"])
            _go_on(source, state)
        return self._pass(source, self.position)

    def _begin(self, epoch: int | None) -> int:
        """Return the epoch of the pass that begins now; `epoch` where one goes on."""
        if self.epochs is not None:
            return self.epochs.begin(epoch)
        # One draw from torch's generator is the epoch: never the same pass twice by accident.
        return fresh_seed() if epoch is None else epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the position behind the last sample of the pass that this process makes, for StatefulDataLoader."""
        return dict(self.position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass go on where `state` was taken: by the wrapped dataset's own state, else by skipping."""
        self.resumed = dict(state)
        self.position = dict(state)

    def _pass(self, source: Iterator[Any], position: dict[str, Any]) -> Iterator[Any]:
        """Yield the rest of the stream, and note before each sample where its successor begins."""
        while True:
            first = position["count"]
            samples, error = _read(source, self.chunk if first else 1)
            if not first and error is None:
                # A dataset may say where it stands no sooner than it has been asked for something.
                position.update(_state_of(self.dataset, source), at=1)
                more, error = _read(source, self.chunk - 1)
                samples += more
            for count, sample in enumerate(self._augmented(samples, first, position["epoch"]), first + 1):
                position["count"] = count
                if count == first + len(samples):
                    position.update(_state_of(self.dataset, source), at=count)
                yield sample
            if error is not None:
                number = first + len(samples)
                raise SampleError(f"sample {number} of the stream could not be read: {reason(error)}") from error
            if len(samples) < self.chunk:
                return

    def _augmented(self, samples: list[Any], first: int, epoch: int) -> list[Any]:
        """Augment samples, number `first` and on of this pass: together where they are alike, else one by one."""
        numbers = list(range(first, first + len(samples)))
        if len(samples) > 1 and not mixes_batches(self.pipeline) and _are_alike(samples):
            try:
                if not self._rows(samples[0]):
                    return list(self._together(samples, numbers, epoch))
            except Exception:
                pass  # images of different types, say, cannot be augmented together; alone, an error names its sample
        return [self._alone(sample, number, epoch) for sample, number in zip(samples, numbers, strict=True)]

    def _together(self, samples: list[Any], numbers: list[int], epoch: int) -> list[Any]:
        named = self.index_of is not None
        names = [find_name(sample, self.index_of) for sample in samples] if self.index_of is not None else numbers
        words = np.array([words_of(name) for name in names], np.int64)
        rng = Rng.of(self.pipeline.seed, words[:, 0], epoch, words[:, 1])
        augment = Augmenter(self.pipeline, self.key, self.keys)
        return augment(samples, rng, names if named else numbers, slots.lending)

    def _alone(self, sample: Any, number: int, epoch: int) -> Any:
        try:
            rows = self._rows(sample)
        except TypeError as error:
            raise TypeError(f"sample {number} of the stream: {error}") from None
        if rows is None:
            if mixes := mixes_batches(self.pipeline):
                raise TypeError(f"{mixes} mixes a batch, and a stream has single samples: {BATCHES}")
            return self._together([sample], [number], epoch)[0]
        if self.index_of is not None:
            raise TypeError(
                f"wrap: item {number} of {type(self.dataset).__name__} is a batch, and index_of= is for single "
                "samples; wrap the stream before it is batched"
            )
        keyed = {"index": [number] * rows, "epoch": epoch, "occurrence": list(range(rows))}
        return self.pipeline(sample, key=self.key, keys=self.keys, **keyed)

    def _rows(self, sample: Any) -> int | None:
        """Return how many samples an item is a batch of; None for a single sample."""
        rules = self.pipeline.rules if self.keys is None else replace(self.pipeline.rules, keys=self.keys)
        if not getattr(self.pipeline, "pictures", True):
            return size_of(sample, self.key, rules)
        image = get_image(sample, find_image(sample, rules.image if self.key is None else self.key))
        return len(image) if getattr(image, "ndim", 3) == 4 else None


class SizedIterable(AugmentedIterable):
    """An augmented stream over one that knows its length."""

    def __len__(self) -> int:
        return len(self.dataset)


def mixes_batches(pipeline: Any) -> str:
    """Say which transforms of a pipeline mix the samples of a batch; empty where none does."""
    return getattr(pipeline, "mixes", "") or getattr(pipeline, "text_mix", None) or ""


def _start(epoch: int) -> dict[str, Any]:
    """Return the position before the first sample.

    count: samples delivered. dataset, iterator: the state of whichever has one, behind `at` samples.
    """
    return {"epoch": epoch, "count": 0, "at": 0, "dataset": None, "iterator": None}


def _state_of(dataset: Any, source: Any) -> dict[str, Any]:
    """Return the state of the user's dataset or iterator; copied, because it is kept for a while."""
    if _is_stateful(source):
        return {"iterator": copy.deepcopy(source.state_dict())}
    return {"dataset": copy.deepcopy(dataset.state_dict())} if _is_stateful(dataset) else {}


def _go_on(source: Any, state: dict[str, Any]) -> None:
    """Bring the user's iterator behind the last sample that was delivered."""
    known = state["at"] if (state["dataset"], state["iterator"]) != (None, None) else 0
    if state["iterator"] is not None:
        source.load_state_dict(state["iterator"])
    for _ in islice(source, state["count"] - known):
        pass


def _is_stateful(holder: Any) -> bool:
    return all(callable(getattr(holder, name, None)) for name in ("state_dict", "load_state_dict"))


def _read(source: Iterator[Any], count: int) -> tuple[list[Any], Exception | None]:
    """Read up to `count` samples, and the error that ended them, if one did."""
    samples: list[Any] = []
    try:
        samples.extend(islice(source, count))  # what was read before an error is kept
    except Exception as error:
        return samples, error
    return samples, None


def _are_alike(samples: list[Any]) -> bool:
    """Tell whether the samples have one structure, so that the first says where the others have what."""
    return len(set(map(_structure, samples))) == 1


def _structure(sample: Any) -> tuple[Any, ...]:
    names = sample if isinstance(sample, Mapping) else range(len(sample)) if isinstance(sample, (tuple, list)) else ()
    return (type(sample), *names)
