"""A user's DataLoader once more, with its samples augmented."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, IterDataPipe, Sampler, default_collate
from torch.utils.data._utils.collate import default_convert
from torch.utils.data.dataloader import _InfiniteConstantSampler

from augsynth.batch import Path
from augsynth.data.collate import collate
from augsynth.data.collator import AugmentingCollate
from augsynth.data.departing import Start
from augsynth.data.keying import IndexOf
from augsynth.data.sampler import KeyedLoader, KeyedSampler
from augsynth.data.stream import AugmentedIterable, mixes_batches
from augsynth.finding import Keys
from augsynth.rng import KeyedIndex

_SAME = (
    "num_workers",
    "pin_memory",
    "timeout",
    "worker_init_fn",
    "multiprocessing_context",
    "generator",
    "prefetch_factor",
    "persistent_workers",
    "in_order",
)


class KeyedBatches(Sampler[list[KeyedIndex]]):
    """The batches of a user's own batch sampler, each index with its key: (epoch, index, occurrence).

    The epoch advances whenever one starts; `set_epoch` sets the next, and reaches the user's samplers too.
    """

    def __init__(self, batches: Iterable[list[int]]) -> None:
        self.batches, self.epoch = batches, 0

    @property
    def sampler(self) -> KeyedBatches:
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Let the next epoch that starts be `epoch`."""
        self.epoch = epoch
        for owner in (self.batches, getattr(self.batches, "sampler", None)):
            if callable(advance := getattr(owner, "set_epoch", None)):
                advance(epoch)

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[KeyedIndex]]:
        epoch, seen = self.epoch, Counter[int]()
        self.epoch = epoch + 1
        for batch in self.batches:
            keyed = []
            for index in batch:
                keyed.append(KeyedIndex(int(index), epoch, seen[int(index)]))
                seen[int(index)] += 1
            yield keyed


def wrap_loader(
    loader: DataLoader[Any],
    wrap: Callable[..., Any],
    pipeline: Any,
    key: Path = None,
    keys: Keys | None = None,
    index_of: IndexOf | None = None,
) -> DataLoader[Any]:
    """Return a loader like `loader` over `wrap(dataset)`, whose samples are keyed where it has an index sampler.

    A plain DataLoader becomes a `KeyedLoader`, which resumes exactly; one of another class stays of that class. Where
    torch.distributed runs, the ranks share the samples, as under Lightning, unless the user's sampler has dealt them
    out. Raises: TypeError for a sampler of index lists.
    """
    again = partial(wrap, pipeline=pipeline, key=key, keys=keys, index_of=index_of)
    if isinstance(loader.dataset, IterableDataset):
        return _over_stream(loader, again, partial(AugmentingCollate, pipeline=pipeline, key=key, keys=keys), index_of)
    if loader.batch_sampler is None and hasattr(loader.sampler, "batch_size"):
        raise TypeError(
            f"wrap: batch_size=None and a sampler of batches ({type(loader.sampler).__name__}): the dataset is asked "
            "for lists of indices, which a wrapped one does not know; give it the sampler as batch_sampler="
        )
    dataset = again(loader.dataset)
    batches: Any = loader.batch_sampler
    if isinstance(loader, KeyedLoader):
        return _copied(loader, dataset=dataset)
    if batches is not None and not _is_plain(batches):
        return _copied(loader, dataset=dataset, collate_fn=_collate_of(loader), batch_sampler=KeyedBatches(batches))
    # A loader that was given a batch sampler has another sampler beside it, which nobody asks.
    sampler = _keyed(loader.sampler if batches is None else batches.sampler, dataset, pipeline.seed)
    if type(loader) is not DataLoader:
        return _copied(
            loader,
            dataset=dataset,
            collate_fn=_collate_of(loader),
            sampler=sampler,
            batch_sampler=_over(batches, sampler),
        )
    same = {name: getattr(loader, name) for name in _SAME}
    ours = loader.collate_fn is default_collate or loader.collate_fn is default_convert
    return KeyedLoader(
        dataset,
        None if batches is None else batches.batch_size,
        sampler=sampler,
        drop_last=batches is not None and batches.drop_last,
        collate_fn=None if ours else loader.collate_fn,
        **same,
    )


def _over_stream(
    loader: DataLoader[Any], wrap: Callable[[Any], Any], in_front: Callable[[Any], Any], index_of: IndexOf | None
) -> DataLoader[Any]:
    if isinstance(loader.dataset, IterDataPipe) and loader.batch_size is not None:
        if index_of is not None:
            raise TypeError("wrap: index_of= is for streams that are no data pipes; leave it out")
        return _copied(loader, collate_fn=in_front(loader.collate_fn))
    stream = wrap(loader.dataset)
    if loader.batch_size is not None and (mixes := mixes_batches(stream.pipeline)):
        if index_of is not None:
            raise TypeError(
                f"wrap: {mixes} mixes what a stream brings together, which index_of= cannot key; leave it out"
            )
        return _copied(loader, collate_fn=in_front(loader.collate_fn))
    if loader.batch_size is not None:
        stream.chunk = loader.batch_size
    sampler = StreamSampler(stream)
    return _copied(
        loader,
        dataset=stream,
        collate_fn=_collate_of(loader),
        sampler=sampler,
        batch_sampler=_over(loader.batch_sampler, sampler),
    )


class StreamSampler(_InfiniteConstantSampler):
    """What a DataLoader has for a sampler over a stream, with a `set_epoch` for Lightning to find."""

    def __init__(self, stream: AugmentedIterable) -> None:
        self.stream = stream

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass over the stream be augmented as that of `epoch`."""
        self.stream.set_own_epoch(epoch)


def _keyed(sampler: Any, dataset: Any, seed: int) -> KeyedSampler:
    return sampler if isinstance(sampler, KeyedSampler) else KeyedSampler(dataset, seed=seed, order=sampler)


def _is_plain(batches: Any) -> bool:
    """Tell a batch sampler of torch or torchdata, which takes its indices from a sampler."""
    kind = type(batches)
    return kind.__name__ == "BatchSampler" and kind.__module__.split(".")[0] in ("torch", "torchdata")


def _over(batches: Any, keys: Sampler[Any]) -> Any:
    if batches is None:
        return None
    batches = copy.copy(batches)
    batches.sampler = keys
    return batches


def _collate_of(loader: DataLoader[Any]) -> Any:
    return collate if loader.collate_fn is default_collate else loader.collate_fn


def _copied(loader: DataLoader[Any], **changes: Any) -> DataLoader[Any]:
    """Return a loader of the same class and with the same attributes, whatever its constructor asks for."""
    copied = copy.copy(loader)
    # A DataLoader refuses to have some of these set, which is about changes while it is in use.
    copied.__dict__.update(_iterator=None, **changes)
    # Lightning remembers what a loader was made of, and would make it anew of the bare dataset.
    for name in [name for name in copied.__dict__ if name.startswith(("__pl_", "__dataset"))]:
        del copied.__dict__[name]
    if copied.num_workers:
        copied.worker_init_fn = Start.of(copied.worker_init_fn)
    return copied
