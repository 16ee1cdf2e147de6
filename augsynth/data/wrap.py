"""Wrap a map-style dataset so that its images arrive augmented, a whole batch at once where a batch is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from augsynth.batch import Path, find_image, get_image, is_image, is_pil, set_image
from augsynth.data import parcel, slots
from augsynth.errors import SampleError
from augsynth.finding import Keys, Place, Rules, get_entry, places_of, put_entries
from augsynth.rng import KeyedIndex, Rng
from augsynth.transforms.mix import BATCHES

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline
    from augsynth.targets import Targets


class SampleList(list[Any]):
    """The samples of one batch, which also knows the batch's images where they are stacked already.

    path: where the image stands in a sample. images: `(B, C, H, W)`, of which the samples hold rows, or None where the
    images ended in different sizes. indices: the samples' indices in the dataset, for error messages. places: where
    masks, boxes and what goes with them stand, and which of them are never stacked.
    """

    def __init__(
        self,
        samples: Iterable[Any],
        path: Path,
        images: torch.Tensor | None,
        indices: Sequence[int],
        places: Sequence[Place] = (),
    ) -> None:
        super().__init__(samples)
        self.path, self.images, self.indices, self.places = path, images, indices, places


class AugmentedDataset(Dataset[Any]):
    """A map-style dataset whose images pass through a pipeline; made by `wrap`. Images come out as tensors.

    A `KeyedIndex` gives the sample of (pipeline.seed, epoch, index, occurrence); a plain index a fresh draw at each
    call. Attributes such as `classes` are those of the wrapped dataset.
    """

    def __init__(self, dataset: Any, pipeline: Pipeline, key: Path = None, keys: Keys | None = None) -> None:
        self.dataset, self.pipeline, self.key, self.keys = dataset, pipeline, key, keys

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, slice):
            bounds = (index.start, index.stop) if index.step is None else (index.start, index.stop, index.step)
            part = ":".join("" if n is None else str(n) for n in bounds)
            raise TypeError(
                "a wrapped dataset is read by index, not by slice; take a part of the dataset and wrap that: "
                f"wrap(torch.utils.data.Subset(dataset, range(len(dataset))[{part}]), pipeline)"
            )
        if mixes := getattr(self.pipeline, "mixes", ""):
            raise TypeError(f"{mixes}, and sample {int(index)} was asked for alone: {BATCHES}")
        return self._load([index], nullcontext)[0]

    def __getitems__(self, indices: Sequence[int]) -> SampleList:
        """Read and augment the samples of one batch; PyTorch's DataLoader calls this where it exists."""
        if not len(indices):
            return SampleList([], self.key, None, [])
        return self._load(indices, slots.lending)

    def _load(self, indices: Sequence[int], memory: Callable[[], AbstractContextManager[None]]) -> SampleList:
        samples = self._write(self._read(indices), indices)
        if not getattr(self.pipeline, "pictures", True):
            return SampleList(samples, None, None, indices)
        rules = self.pipeline.rules if self.keys is None else replace(self.pipeline.rules, keys=self.keys)
        path = find_image(samples[0], rules.image if self.key is None else self.key)
        with memory():
            images, targets = self._augment(samples, path, indices, rules)
        stacked = images if isinstance(images, torch.Tensor) else None
        parts = images if stacked is None else parcel.rows(stacked)
        rows = [set_image(sample, path, image) for sample, image in zip(samples, parts, strict=True)]
        if targets is not None:
            rows = [targets.put(i, row, True) for i, row in enumerate(rows)]
        return SampleList(rows, path, stacked, indices, places_of(samples[0], path, rules))

    def __getattr__(self, name: str) -> Any:
        # Unpickling asks for special methods before `dataset` is there: answering from it would never end.
        if name.startswith("__") or name in ("dataset", "pipeline", "key", "keys"):
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
        samples: list[Any] = []
        try:
            for index in indices:
                samples.append(self.dataset[index])
        except Exception as error:
            self._fail(indices[len(samples)], "read", error)
        return samples

    def _write(self, samples: list[Any], indices: Sequence[int]) -> list[Any]:
        """Edit the samples' texts, where the pipeline does."""
        if getattr(self.pipeline, "text_plan", None) is None:
            return samples
        rng = rng_of(self.pipeline.seed, indices)
        write = partial(self.pipeline.write, key=self.key, keys=self.keys)
        try:
            return list(write(samples, rng))
        except Exception:
            for row, index in enumerate(indices):
                one = slice(row, row + 1)
                try:
                    write(samples[one], rng[one])
                except Exception as error:
                    self._fail(index, "augmented", error)
            raise

    def _augment(
        self, samples: list[Any], path: Path, indices: Sequence[int], rules: Rules
    ) -> tuple[Any, Targets | None]:
        images = [get_image(sample, path) for sample in samples]
        rng = rng_of(self.pipeline.seed, indices)
        targets = self.pipeline.find_targets(samples, [path] * len(samples), indices, rules)
        try:
            return self._render(images, rng, targets), targets
        except Exception:
            for row, index in enumerate(indices):
                one = slice(row, row + 1)
                try:
                    targets = self.pipeline.find_targets(samples[one], [path], [index], rules)
                    self._render(images[one], rng[one], targets)
                except Exception as error:
                    self._fail(index, "augmented", error)
            raise

    def _render(self, images: list[Any], rng: Rng, targets: Targets | None) -> Any:
        # A pipeline of the user's own may not know of targets, and meets none then.
        return (
            self.pipeline.images(images, rng) if targets is None else self.pipeline.images(images, rng, targets=targets)
        )

    def _fail(self, index: int, what: str, error: Exception) -> NoReturn:
        """Name the sample in whatever error arises; an index out of range stays an IndexError, which ends iteration."""
        if isinstance(error, IndexError) and not -len(self) <= index < len(self):
            raise error
        raise SampleError(f"sample {int(index)} could not be {what}: {_reason(error)}") from error


def wrap(dataset: Any, pipeline: Pipeline, *, key: Path = None, keys: Keys | None = None) -> AugmentedDataset:
    """Return `dataset` with its images augmented by `pipeline`, and masks, boxes and keypoints moved with them.

    dataset: map-style (`__len__` and `__getitem__`); its samples are images, tuples, named tuples or dicts.
    key: position, field or dict key of the image, where a sample leaves it open. keys: what all entries are, such as
    ("image", "mask") for pairs of two images; by default the pipeline's own.
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
    if getattr(pipeline, "token_plan", None) is not None:
        raise TypeError(
            "wrap: token ids are augmented by the batch; give the loader TokenCollator (augsynth.data.tokens) as its "
            "collate_fn, or the trainer AugmentOnDevice"
        )
    return AugmentedDataset(dataset, pipeline, key, keys)


def collate(samples: Sequence[Any]) -> Any:
    """Collate like PyTorch's `default_collate`, but take a wrapped dataset's batch of images as it is: no second stack.

    Boxes and what goes with them are lists of one tensor per sample; masks and keypoints are stacked where they fit.
    Raises: ValueError naming sizes and samples where the images ended in different sizes.
    """
    if isinstance(samples, SampleList):
        path, images, indices, places = samples.path, samples.images, samples.indices, samples.places
    else:
        path, images, indices = _path_of(samples[0]) if len(samples) else None, None, None
        places = places_of(samples[0], path, Rules()) if len(samples) else ()
    if images is None:
        _check_sizes(samples, path, indices)
    elif path is None:
        return parcel.post(images)
    else:
        # An int in the image's place costs nothing to collate and gives the structure that default_collate gives.
        samples = [set_image(sample, path, 0) for sample in samples]
    aside = {place: _together([get_entry(sample, place) for sample in samples], apart) for place, apart in places}
    if aside:
        samples = [put_entries(sample, dict.fromkeys(aside, 0)) for sample in samples]
    rest = parcel.collate(list(samples))
    rest = put_entries(rest, aside) if aside else rest
    return parcel.post(rest if images is None else set_image(rest, path, images))


def _together(values: list[Any], apart: bool) -> Any:
    """Stack targets where they fit, else return the list, as tensors where they were arrays or PIL masks."""
    arrays = [np.array(value) if is_pil(value) else value for value in values]
    tensors = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in arrays]
    alike = len({tuple(getattr(tensor, "shape", (0,))) for tensor in tensors}) == 1
    return tensors if apart or not alike else parcel.collate(tensors)


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
