"""`wrap`: what users have, with its images and texts augmented; and the map-style dataset among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, IterDataPipe

from augsynth.batch import Path
from augsynth.data import slots
from augsynth.data.augmenting import Augmenter, fail, reason, rng_of
from augsynth.data.collate import SampleList, collate, names_of
from augsynth.data.collator import AugmentingCollate
from augsynth.data.passing import Passing
from augsynth.data.rows import columns_of
from augsynth.data.stream import AugmentedIterable, SizedIterable
from augsynth.errors import SampleError
from augsynth.finding import PLAIN, Keys
from augsynth.transforms.mix import BATCHES

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

__all__ = ["AugmentedDataset", "SampleList", "collate", "wrap"]


class AugmentedDataset(Passing, Dataset[Any]):
    """A map-style dataset whose images pass through a pipeline; made by `wrap`. Images come out as tensors.

    A `KeyedIndex` gives the sample of (pipeline.seed, epoch, index, occurrence); a plain index a fresh draw at each
    call. Attributes such as `classes` are those of the wrapped dataset.
    """

    own = frozenset({"dataset", "pipeline", "key", "keys"})

    def __init__(self, dataset: Any, pipeline: Pipeline, key: Path = None, keys: Keys | None = None) -> None:
        self.dataset, self.pipeline, self.key, self.keys = dataset, pipeline, key, keys

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, (slice, str, list, tuple)):
            raise TypeError(_not_an_index(index))
        if mixes := getattr(self.pipeline, "mixes", ""):
            raise TypeError(f"{mixes}, and sample {int(index)} was asked for alone: {BATCHES}")
        return self._load([index], nullcontext)[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Read and augment the samples of one batch; PyTorch's DataLoader calls this where it exists."""
        if not len(indices):
            return SampleList([], self.key, None, [])
        return self._load(indices, slots.lending)

    def _load(self, indices: Sequence[int], memory: Callable[[], AbstractContextManager[None]]) -> list[Any]:
        samples = self._read(indices)
        if getattr(self.pipeline, "idle", False) and _are_ready(samples):
            return samples
        augment = Augmenter(self.pipeline, self.key, self.keys)
        return augment(samples, rng_of(self.pipeline.seed, indices), indices, memory)

    def __repr__(self) -> str:
        return f"wrap({self.dataset!r}, {self.pipeline!r})"

    def _read(self, indices: Sequence[int]) -> list[Any]:
        batched = getattr(self.dataset, "__getitems__", None)
        if callable(batched) and len(indices) > 1:
            try:
                samples = list(batched(indices))
            except Exception as error:
                # Read one by one, the sample at fault names itself; a batch that fails only as a whole names all.
                self._read_each(indices)
                raise SampleError(f"samples {names_of(indices)} could not be read: {reason(error)}") from error
            if len(samples) != len(indices):
                name = type(self.dataset).__name__
                raise SampleError(f"{name}.__getitems__ gave {len(samples)} samples for {len(indices)} indices")
            return samples
        return self._read_each(indices)

    def _read_each(self, indices: Sequence[int]) -> list[Any]:
        samples: list[Any] = []
        dataset = self.dataset
        try:
            for index in indices:  # and not a comprehension: what was read before an error is kept
                samples.append(dataset[index])
        except Exception as error:
            index = indices[len(samples)]
            if isinstance(error, IndexError) and not -len(self) <= index < len(self):
                raise  # which ends an iteration
            fail(index, "read", error)
        return samples


def _are_ready(samples: list[Any]) -> bool:
    """Tell that a pipeline that does nothing may hand samples on: tensors with nothing but numbers and strings."""
    table = columns_of(samples)
    if table is not None:
        return torch.Tensor in table[0] and all(kind is torch.Tensor or kind in PLAIN for kind in table[0])
    first = samples[0]
    kind = type(first)
    if set(map(type, samples)) != {kind}:
        return False
    if kind is not dict:
        return kind is torch.Tensor
    others = [(name, type(value)) for name, value in first.items() if type(value) not in PLAIN]
    return bool(others) and all(
        of is torch.Tensor and set(map(type, map(itemgetter(name), samples))) == {torch.Tensor} for name, of in others
    )


def _not_an_index(index: Any) -> str:
    if isinstance(index, (list, tuple)):
        return (
            f"a wrapped dataset is read by index, and several at once by __getitems__: got a {type(index).__name__}; a "
            "part of it is torch.utils.data.Subset(wrapped, indices)"
        )
    if isinstance(index, str):
        return f"a wrapped dataset is read by index, not by column; the column as it is: wrapped.dataset[{index!r}]"
    bounds = (index.start, index.stop) if index.step is None else (index.start, index.stop, index.step)
    part = ":".join("" if n is None else str(n) for n in bounds)
    return (
        "a wrapped dataset is read by index, not by slice; take a part of the dataset and wrap that: "
        f"wrap(torch.utils.data.Subset(dataset, range(len(dataset))[{part}]), pipeline)"
    )


def wrap(
    data: Any,
    pipeline: Pipeline,
    *,
    key: Path = None,
    keys: Keys | None = None,
    index_of: Callable[[Any], int | str] | str | int | None = None,
) -> Any:
    """Return `data` with its images and texts augmented by `pipeline`; masks, boxes and keypoints move along.

    data: a dataset, map-style or iterable (torch's, Hugging Face's, WebDataset's), a DataLoader, a LightningDataModule
    (its training data only), or a collate function. What comes back is of the same kind.
    key: position, field or dict key of the image, where a sample leaves it open. keys: what all entries are, such as
    ("image", "mask") for pairs of two images; by default the pipeline's own. index_of: of streams, keys each sample by
    (pipeline.seed, epoch, this): a function from sample to int or str, or an entry such as "__key__".
    Raises: TypeError for anything else, naming what it is.
    """
    _check_pipeline(pipeline)
    if isinstance(data, DataLoader):
        from augsynth.data.rewrap import wrap_loader

        return wrap_loader(data, wrap, pipeline, key, keys, index_of)
    if any(cls.__name__ == "LightningDataModule" for cls in type(data).__mro__):
        # The one place that reaches upward: the user has Lightning loaded already.
        above = import_module("augsynth.lightning.datamodule")
        return above.wrap_datamodule(data, pipeline, key=key, keys=keys, index_of=index_of)
    if isinstance(data, IterDataPipe):
        raise TypeError(
            f"wrap: {type(data).__name__} is an IterDataPipe, which a DataLoader shuffles and shards only where it "
            "sees it itself; wrap the DataLoader, or its collate function"
        )
    if isinstance(data, IterableDataset):
        sized = SizedIterable if hasattr(type(data), "__len__") else AugmentedIterable
        return sized(data, pipeline, key, keys, index_of)
    if index_of is not None:
        raise TypeError(
            f"wrap: index_of= is for streams, got {type(data).__name__}; samples of map-style datasets are keyed by "
            "their index: load them with ag.loader, or wrap the DataLoader"
        )
    if _is_map_style(data):
        return AugmentedDataset(data, pipeline, key, keys)
    if data is list or data is tuple or (callable(data) and not isinstance(data, (type, torch.nn.Module))):
        return AugmentingCollate(data, pipeline, key, keys)
    raise TypeError(_cannot_wrap(data))


def _check_pipeline(pipeline: Any) -> None:
    if not (hasattr(pipeline, "images") and hasattr(pipeline, "seed")):
        raise TypeError(f"wrap: the second argument must be an augsynth.Pipeline, got {type(pipeline).__name__}")
    if getattr(pipeline, "token_plan", None) is not None:
        raise TypeError(
            "wrap: token ids are augmented by the batch; give the loader TokenCollator (augsynth.data.tokens) as its "
            "collate_fn, or the trainer AugmentOnDevice"
        )


def _is_map_style(data: Any) -> bool:
    if isinstance(data, (Mapping, str, bytes, type)):
        return False
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")


def _cannot_wrap(data: Any) -> str:
    kind = type(data).__name__
    if isinstance(data, type):
        return f"wrap: got the class {data.__name__}; give an object of it"
    if isinstance(data, Mapping) and kind.endswith("DatasetDict"):
        return (
            f"wrap: got a {kind} with the splits {', '.join(map(repr, data))}; wrap the one to train on, such as "
            f"wrap(dataset[{next(iter(data), 'train')!r}], pipeline)"
        )
    return (
        f"wrap: cannot wrap {kind}; map-style datasets are supported (with __len__ and __getitem__), torch's "
        "IterableDataset, DataLoader, LightningDataModule and collate functions"
    )
