"""Carry the key of a sample with its index: the sampler, and the loader that resumes exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.utils.data import DataLoader, Sampler, SequentialSampler, Subset
from torch.utils.data.distributed import DistributedSampler

from augsynth.data.departing import Start
from augsynth.data.synthetic import BlendedDataset, SyntheticDataset
from augsynth.data.wrap import AugmentedDataset, collate
from augsynth.rng import KeyedIndex, Rng


class KeyedSampler(DistributedSampler[Any]):
    """Yield each index of an epoch as a `KeyedIndex` (index, epoch, occurrence), the same order on every machine.

    shuffle: by (seed, epoch). order: another sampler, whose order is taken instead, its random
    draws keyed by (seed, epoch); the second time it yields an index is occurrence 1, and so on.
    num_replicas, rank: this process's share; by default torch.distributed's when the epoch starts, else everything.
    drop_last: drop the tail that does not divide by num_replicas instead of repeating the first samples.
    The epoch advances whenever one starts; `set_epoch` sets the next. It is a DistributedSampler for Lightning to see
    that the sharding is done.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        shuffle: bool = False,
        seed: int = 0,
        order: Sampler[int] | None = None,
        num_replicas: int | None = None,
        rank: int | None = None,
        drop_last: bool = False,
    ) -> None:
        if (num_replicas is None) != (rank is None):
            raise ValueError(f"give both num_replicas and rank, or neither, got {num_replicas=} and {rank=}")
        if num_replicas is not None and rank is not None and not 0 <= rank < num_replicas:
            raise ValueError(f"rank={rank} must lie in 0 to num_replicas - 1 = {num_replicas - 1}")
        if order is not None and shuffle:
            raise ValueError("shuffle=True has no meaning with another sampler; let that sampler shuffle")
        if order is not None and not hasattr(order, "__len__"):
            raise TypeError(f"the sampler {type(order).__name__} needs a __len__: an epoch must end")
        self.dataset, self.shuffle, self.seed, self.order = dataset, shuffle, seed, order
        self.drop_last = drop_last
        self.epoch, self._start = 0, 0
        self._share = None if num_replicas is None or rank is None else (num_replicas, rank)
        self._reached: tuple[int, int] | None = None
        self._counts_itself = True
        self._order_seed: int | None = None

    @property
    def num_replicas(self) -> int:  # type: ignore[override]
        """How many processes share the samples, as of now."""
        return self._shared()[0]

    @property
    def rank(self) -> int:  # type: ignore[override]
        """Which of them this one is."""
        return self._shared()[1]

    def _shared(self) -> tuple[int, int]:
        if hasattr(self.order, "rank") and (hasattr(self.order, "num_replicas") or hasattr(self.order, "world_size")):
            return 1, 0  # the user's sampler, a DistributedSampler or one like it, has dealt the samples out already
        if self._share is not None:
            return self._share
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_world_size(), distributed.get_rank()
        return 1, 0

    def __len__(self) -> int:
        size = self._size()
        return size // self.num_replicas if self.drop_last else -(-size // self.num_replicas)

    def __iter__(self) -> Iterator[KeyedIndex]:
        epoch, start = self.epoch, self._start
        self.epoch, self._start = epoch + 1, 0
        indices, occurrences = self._keys(epoch)
        # As lists: to read an array's numbers one by one takes three times as long.
        pairs = zip(indices[start:].tolist(), occurrences[start:].tolist(), strict=True)
        for position, (index, occurrence) in enumerate(pairs, start + 1):
            if self._counts_itself:
                self._reached = epoch, position
            yield KeyedIndex(index, epoch, occurrence)

    def rows(self) -> np.ndarray | None:
        """Return the indices that the next epoch is going to yield in this process; None where another sampler says.

        To ask that one twice could change what it says.
        """
        return None if self.order is not None else self._keys(self.epoch)[0][self._start :]

    def set_epoch(self, epoch: int) -> None:
        """Let the next epoch that starts be `epoch`; a position loaded for another epoch is dropped."""
        if not isinstance(epoch, int) or epoch < 0:
            raise ValueError(f"epoch={epoch!r} must be an integer, 0 or above")
        if epoch != self.epoch:
            self._start = 0
        self.epoch, self._reached = epoch, None

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on behind the last index drawn."""
        epoch, start = self._reached or (self.epoch, self._start)
        if start >= len(self):
            epoch, start = epoch + 1, 0
        state = {"epoch": epoch, "start": start, **self._identity()}
        # torchdata's sampler has a generator of a seed by chance where the user gives none.
        own = _generator_of(self.order)
        return state if own is None else {**state, "order_seed": self._seed_of(own)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError where the order of samples is not the same any more."""
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise ValueError(
                    f"cannot resume exactly: the state was saved with {name}={state.get(name)!r}, now {value!r}"
                )
        self.epoch, self._start, self._reached = state["epoch"], state["start"], None
        self._order_seed = state.get("order_seed")

    def _seed_of(self, own: torch.Generator) -> int:
        return own.initial_seed() if self._order_seed is None else self._order_seed

    def _identity(self) -> dict[str, Any]:
        order = type(self.order).__name__ if self.order is not None else "shuffle" if self.shuffle else "sequential"
        return {"order": order, "seed": self.seed, "size": self._size(), "num_replicas": self.num_replicas}

    def _size(self) -> int:
        return len(self.dataset) if self.order is None else len(self.order)  # type: ignore[arg-type]

    def _keys(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices and occurrences of this replica's samples, in order."""
        replicas, rank = self._shared()
        indices = self._indices(epoch)
        total = len(self) * replicas
        if total and len(indices):
            indices = np.resize(indices, total)  # repeats from the start where it is too short
        return indices[rank:total:replicas], _occurrences(indices)[rank:total:replicas]

    def _indices(self, epoch: int) -> np.ndarray:
        rng = Rng.of(self.seed, 0, epoch)
        if type(self.order) is SequentialSampler:
            return np.arange(len(self.order))
        if self.order is not None:
            own = _generator_of(self.order)
            return _keyed_order(self.order, epoch, rng, 0 if own is None else self._seed_of(own))
        size = self._size()
        return rng.permutation("shuffle", size)[0] if self.shuffle else np.arange(size)


def _generator_of(order: Sampler[int] | None) -> torch.Generator | None:
    own = getattr(order, "generator", None)
    return own if isinstance(own, torch.Generator) else None


def _keyed_order(order: Sampler[int], epoch: int, rng: Rng, own_seed: int) -> np.ndarray:
    """Draw another sampler's order for one epoch from the key; torch's generators are left as they were.

    own_seed: of the generator that the sampler has, if it has one.
    """
    if callable(advance := getattr(order, "set_epoch", None)):
        advance(epoch)
    seed = int(rng.integers("sampler", 2**31)[0, 0])
    own = _generator_of(order)
    if own is None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too, for good
            return _integers(order)
    before = own.get_state()
    own.manual_seed(seed ^ own_seed)
    try:
        return _integers(order)
    finally:
        own.set_state(before)


def _integers(order: Sampler[int]) -> np.ndarray:
    found = list(order)
    try:
        return np.fromiter(found, np.int64, len(found))
    except (TypeError, ValueError):
        wrong = next(index for index in found if not hasattr(index, "__index__"))
        raise TypeError(
            f"the sampler {type(order).__name__} gave {type(wrong).__name__} {wrong!r:.40}; a key needs an int "
            "for an index"
        ) from None


def _occurrences(indices: np.ndarray) -> np.ndarray:
    """Count, for each entry, how often its value stood before it."""
    by_value = np.argsort(indices, kind="stable")
    ordered = indices[by_value]
    count = np.empty_like(indices)
    count[by_value] = np.arange(len(indices)) - np.searchsorted(ordered, ordered, side="left")
    return count


class KeyedLoader(DataLoader[Any]):
    """A DataLoader that keys each sample by (epoch, index, occurrence) and resumes in the middle of an epoch.

    An epoch starts when its first batch is asked for, and so does the prefetching: `set_epoch` (also Lightning's, on
    `loader.sampler`) holds for every batch of it. `state_dict` counts the batches delivered, not those prefetched.
    """

    def __init__(
        self,
        dataset: AugmentedDataset,
        batch_size: int | None = 1,
        shuffle: bool = False,
        *,
        seed: int | None = None,
        sampler: Sampler[int] | None = None,
        batch_sampler: Any = None,
        num_replicas: int | None = None,
        rank: int | None = None,
        drop_last: bool = False,
        collate_fn: Callable[[Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        _check_dataset(dataset)
        self.seed, self.num_replicas, self.rank = seed, num_replicas, rank
        if batch_sampler is not None:
            if not isinstance(getattr(batch_sampler, "sampler", None), KeyedSampler):
                raise TypeError(
                    "batch_sampler must take its indices from a KeyedSampler; or give sampler= and batch_size"
                )
            self._keys: KeyedSampler = batch_sampler.sampler
            batching: dict[str, Any] = {"batch_sampler": batch_sampler}
        else:
            self._keys = (
                sampler
                if isinstance(sampler, KeyedSampler)
                else KeyedSampler(
                    dataset,
                    shuffle=shuffle,
                    seed=dataset.pipeline.seed if seed is None else seed,
                    order=sampler,
                    num_replicas=num_replicas,
                    rank=rank,
                    drop_last=drop_last,
                )
            )
            batching = {
                "batch_size": batch_size,
                "sampler": self._keys,
                "drop_last": drop_last and batch_size is not None,
            }
        if collate_fn is None and (batch_size is not None or batch_sampler is not None):
            collate_fn = collate
        if kwargs.get("num_workers"):
            kwargs["worker_init_fn"] = Start.of(kwargs.get("worker_init_fn"))
        super().__init__(dataset, collate_fn=collate_fn, **batching, **kwargs)
        self._per_batch = int(getattr(self.batch_sampler, "batch_size", 1))
        if not len(self):
            raise ValueError(
                f"no batch: {len(self._keys)} samples, batch_size={self._per_batch}, drop_last={drop_last}"
            )
        self._keys._counts_itself = False

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return _Delivery(self)

    def _begin(self) -> Iterator[Any]:
        """Start PyTorch's own iterator over the sampler's next epoch, for which synthetic samples are made first."""
        if synthetic_of(self.dataset)[0] is not None:
            synthetic, rows = synthetic_of(self.dataset, self._keys.rows())
            assert synthetic is not None
            synthetic.refresh(self._keys.epoch, rows)
        return super().__iter__()

    def set_epoch(self, epoch: int) -> None:
        """Let the next epoch that starts be `epoch`."""
        self._keys.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the position behind the last batch delivered; Lightning saves it with its checkpoint."""
        state = self._keys.state_dict()
        if state["start"] >= len(self) * self._per_batch:  # with drop_last, samples are left over
            state.update(epoch=state["epoch"] + 1, start=0)
        return {**state, "batch_size": self._per_batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next epoch go on where `state` was taken; raises ValueError where it cannot be exact."""
        if state.get("batch_size") != self._per_batch:
            raise ValueError(
                f"cannot resume exactly: the state was saved with batch_size={state.get('batch_size')}, "
                f"now {self._per_batch}"
            )
        self._keys.load_state_dict(state)


Synthetic = BlendedDataset | SyntheticDataset


def synthetic_of(dataset: Any, rows: np.ndarray | None = None) -> tuple[Synthetic | None, np.ndarray | None]:
    """Return the dataset with synthetic samples below `dataset`, if there is one, and rows of `dataset` as its own."""
    while isinstance(dataset, (AugmentedDataset, Subset)):
        if isinstance(dataset, Subset):
            part = np.asarray(dataset.indices, np.int64)
            rows = part if rows is None else part[rows]
        dataset = dataset.dataset
    return (dataset if isinstance(dataset, Synthetic) else None), rows


class _Delivery:
    """One pass over a `KeyedLoader`, started by the first `next`; tells the sampler what has been delivered."""

    def __init__(self, loader: KeyedLoader) -> None:
        self.loader = loader
        self.batches: Iterator[Any] | None = None

    def __iter__(self) -> _Delivery:
        return self

    def __len__(self) -> int:
        return len(self.loader)

    def __next__(self) -> Any:
        keys = self.loader._keys
        if self.batches is None:
            self.epoch, self.reached = keys.epoch, keys._start
            self.batches = self.loader._begin()
        try:
            batch = next(self.batches)
        except StopIteration:
            self.batches = iter(())  # lets the workers go
            if keys._reached is not None and keys._reached[0] == self.epoch:
                keys._reached = None
            raise
        self.reached += self.loader._per_batch
        keys._reached = self.epoch, self.reached
        return batch


def loader(
    dataset: AugmentedDataset,
    batch_size: int | None,
    *,
    shuffle: bool = False,
    seed: int | None = None,
    sampler: Sampler[int] | None = None,
    num_workers: int = 0,
    drop_last: bool = False,
    num_replicas: int | None = None,
    rank: int | None = None,
    **kwargs: Any,
) -> KeyedLoader:
    """Return a DataLoader whose samples are a function of (pipeline.seed, epoch, index), whatever the workers.

    dataset: from `wrap`. batch_size: None for one sample at a time. seed: of the order, by default the pipeline's.
    sampler: another sampler, such as WeightedRandomSampler. num_replicas, rank: by default torch.distributed's.
    kwargs: any other argument of torch.utils.data.DataLoader.
    Raises: TypeError for a dataset that is not wrapped, ValueError for an empty one.
    """
    # By name, or Lightning could not make the loader again with another sampler.
    return KeyedLoader(
        dataset,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        sampler=sampler,
        num_replicas=num_replicas,
        rank=rank,
        drop_last=drop_last,
        num_workers=num_workers,
        **kwargs,
    )


def _check_dataset(dataset: Any) -> None:
    if not isinstance(dataset, AugmentedDataset):
        hint = ""
        if isinstance(getattr(dataset, "dataset", None), AugmentedDataset):
            hint = f"; wrap the {type(dataset).__name__}, not what is in it: it would lose the keys"
        elif isinstance(dataset, (BlendedDataset, SyntheticDataset)):
            hint = "; to load it without augmentation, give ag.wrap(dataset, ag.Pipeline([]))"
        raise TypeError(f"loader needs a dataset from wrap(dataset, pipeline), got {type(dataset).__name__}{hint}")
    if not len(dataset):
        raise ValueError(f"the dataset {type(dataset.dataset).__name__} is empty: there is nothing to load")
