"""Wrap a map-style dataset so that its images arrive augmented, a whole batch at once where a batch is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from augsynth.batch import Path, find_image, get_image, is_image, set_image
from augsynth.errors import SampleError
from augsynth.rng import KeyedIndex, Rng

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline


class SampleList(list[Any]):
    """The samples of one batch, which also knows the batch's images where they are stacked already.

    path: where the image stands in a sample. images: `(B, C, H, W)`, of which the samples hold rows, or None where the
    images ended in different sizes. indices: the samples' indices in the dataset, for error messages.
    """

    def __init__(self, samples: Iterable[Any], path: Path, images: torch.Tensor | None, indices: Sequence[int]) -> None:
        super().__init__(samples)
        self.path, self.images, self.indices = path, images, indices


class AugmentedDataset(Dataset[Any]):
    """A map-style dataset whose images pass through a pipeline; made by `wrap`. Images come out as tensors.

    A `KeyedIndex` gives the sample of (pipeline.seed, epoch, index, occurrence); a plain index a fresh draw at each
    call. Attributes such as `classes` are those of the wrapped dataset.
    """

    def __init__(self, dataset: Any, pipeline: Pipeline, key: Path = None) -> None:
        self.dataset, self.pipeline, self.key = dataset, pipeline, key

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> SampleList:
        """Read and augment the samples of one batch; PyTorch's DataLoader calls this where it exists."""
        if not len(indices):
            return SampleList([], self.key, None, [])
        samples = self._read(indices)
        path = find_image(samples[0], self.key)
        for sample in samples:
            self.pipeline.check_targets(sample, path)
        before = [get_image(sample, path) for sample in samples]
        images = self._augment(before, indices)
        stacked = images if isinstance(images, torch.Tensor) else None
        rows = [set_image(sample, path, image) for sample, image in zip(samples, images, strict=True)]
        return SampleList(rows, path, stacked, indices)

    def __getattr__(self, name: str) -> Any:
        # Unpickling asks for special methods before `dataset` is there: answering from it would never end.
        if name.startswith("__") or name in ("dataset", "pipeline", "key"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.dataset, name)

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
                raise SampleError(f"samples {_names(indices)} could not be read: {_reason(error)}") from error
            if len(samples) != len(indices):
                name = type(self.dataset).__name__
                raise SampleError(f"{name}.__getitems__ gave {len(samples)} samples for {len(indices)} indices")
            return samples
        return self._read_each(indices)

    def _read_each(self, indices: Sequence[int]) -> list[Any]:
        samples = []
        for index in indices:
            with self._named(index, "read"):
                samples.append(self.dataset[index])
        return samples

    def _augment(self, images: list[Any], indices: Sequence[int]) -> Any:
        rng = rng_of(self.pipeline.seed, indices)
        try:
            return self.pipeline.images(images, rng)
        except Exception:
            for row, index in enumerate(indices):
                with self._named(index, "augmented"):
                    self.pipeline.images(images[row : row + 1], rng[row : row + 1])
            raise

    @contextmanager
    def _named(self, index: int, what: str) -> Iterator[None]:
        """Name the sample in whatever error arises; an index out of range stays an IndexError, which ends iteration."""
        try:
            yield
        except Exception as error:
            if isinstance(error, IndexError) and not -len(self) <= index < len(self):
                raise
            raise SampleError(f"sample {int(index)} could not be {what}: {_reason(error)}") from error


def wrap(dataset: Any, pipeline: Pipeline, *, key: Path = None) -> AugmentedDataset:
    """Return `dataset` with its images augmented by `pipeline`.

    dataset: map-style (`__len__` and `__getitem__`); its samples are images, tuples, named tuples or dicts.
    key: position, field or dict key of the image, where a sample leaves it open, such as `(image, mask)`.
    Raises: TypeError for anything else, such as an IterableDataset or a DataLoader.
    """
    if isinstance(dataset, (IterableDataset, DataLoader, Mapping, str, bytes)) or not (
        hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    ):
        hint = "; wrap the DataLoader's dataset instead" if isinstance(dataset, DataLoader) else ""
        raise TypeError(
            f"wrap: map-style datasets are supported (with __len__ and __getitem__), got {type(dataset).__name__}{hint}"
        )
    if not (hasattr(pipeline, "images") and hasattr(pipeline, "seed")):
        raise TypeError(f"wrap: the second argument must be an augsynth.Pipeline, got {type(pipeline).__name__}")
    return AugmentedDataset(dataset, pipeline, key)


def collate(samples: Sequence[Any]) -> Any:
    """Collate like PyTorch's `default_collate`, but take a wrapped dataset's batch of images as it is: no second stack.

    Raises: ValueError naming sizes and samples where the images ended in different sizes.
    """
    if not isinstance(samples, SampleList):
        _check_sizes(samples, _path_of(samples[0]) if len(samples) else None, None)
        return default_collate(list(samples))
    if samples.images is None:
        _check_sizes(samples, samples.path, samples.indices)
        return default_collate(list(samples))
    if samples.path is None:
        return samples.images
    # An int in the image's place costs nothing to collate and gives the structure that default_collate gives.
    rest = default_collate([set_image(sample, samples.path, 0) for sample in samples])
    return set_image(rest, samples.path, samples.images)


def rng_of(seed: int, indices: Sequence[int]) -> Rng:
    """Return the randomness of these samples: keyed where all indices carry a key, a fresh draw where none does."""
    keyed = [isinstance(index, KeyedIndex) for index in indices]
    if all(keyed):
        return Rng.of(seed, list(indices))
    if any(keyed):
        raise TypeError("a batch mixes KeyedIndex with plain indices; use one kind, such as the indices of ag.loader")
    return Rng.fresh(len(indices))


def _path_of(sample: Any) -> Path:
    try:
        return find_image(sample)
    except TypeError:
        return None


def _check_sizes(samples: Sequence[Any], path: Path, indices: Sequence[int] | None) -> None:
    images = [get_image(sample, path) for sample in samples]
    if not all(isinstance(image, torch.Tensor) and is_image(image) for image in images):
        return
    shapes = [tuple(image.shape) for image in images]
    if len(set(shapes)) < 2:
        return
    where = list(range(len(samples))) if indices is None else [int(index) for index in indices]
    groups = {shape: [i for i, s in zip(where, shapes, strict=True) if s == shape] for shape in dict.fromkeys(shapes)}
    seen = ", ".join(f"{_size(shape)} (sample {_names(members)})" for shape, members in groups.items())
    if len({shape[-2:] for shape in shapes}) < 2:
        advice = "give them one number of channels, such as image.convert('RGB') in the dataset"
    else:
        advice = "end the pipeline with one size (Resize((h, w)), RandomResizedCrop, CenterCrop)"
    raise ValueError(
        f"cannot stack images of different sizes: {seen}; {advice}, or pass collate_fn=list to keep them apart"
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _names(indices: Sequence[int], most: int = 5) -> str:
    names = ", ".join(str(int(index)) for index in indices[:most])
    return names if len(indices) <= most else f"{names} and {len(indices) - most} more"


def _reason(error: Exception) -> str:
    # The pipeline names the sample by its place among those it was given, which here is one.
    text = re.sub(r"sample \d+ \(index \d+\): ", "", str(error), count=1)
    return text if isinstance(error, SampleError) else f"{type(error).__name__}: {text}"
