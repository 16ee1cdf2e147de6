"""Which samples a run may see: the few labels of a seed, their validation share, the held-out test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from augsynth.batch import find_image, get_image
from augsynth.rng import Rng

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

# Samples that are decoded before they are brought to one size: bounds the memory that large photographs take.
READ_BATCH = 64


def derive(seed: int, *names: str | int) -> int:
    """Return a 31-bit seed for one purpose of a run: another name, another stream."""
    return int(Rng.of(seed, 0).integers("/".join(map(str, names)), 2**31)[0, 0])


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled images that are decoded only when asked for.

    labels: `(N,)` int64 in [0, len(classes)). classes: the name of each label. image_shape: (C, H, W).
    read: maps M positions to `(M, C, H, W)` uint8, all of that shape.
    """

    labels: torch.Tensor
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    read: Callable[[Sequence[int]], torch.Tensor]

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise ValueError("the dataset is empty: there is no sample to compare on")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.classes):
            classes = len(self.classes)
            raise ValueError(f"labels run from {low} to {high}, but {classes} classes need 0 to {classes - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, images: torch.Tensor, labels: torch.Tensor, classes: Sequence[str] | None = None) -> Source:
        """Wrap `(N, C, H, W)` uint8 images and `(N,)` integer labels that are in memory already."""
        if images.ndim != 4 or images.dtype != torch.uint8:
            raise TypeError(f"images must be (N, C, H, W) uint8, got {tuple(images.shape)} {images.dtype}")
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images but {len(labels)} labels")
        numbers = range(int(labels.max()) + 1 if len(labels) else 0)
        names = tuple(classes) if classes is not None else tuple(map(str, numbers))
        channels, height, width = images.shape[1:]
        return cls(labels.to(torch.int64), names, (channels, height, width), _Gather(images))

    @classmethod
    def of_dataset(cls, dataset: Any, prepare: Pipeline, classes: Sequence[str] | None = None) -> Source:
        """Read a map-style dataset of (image, label) samples; images of any kind that a pipeline takes.

        dataset: its `targets` or `labels` attribute saves reading every sample for its label; `classes` names them.
        prepare: brings the images to one size, without chance. Raises: ValueError where they still differ.
        """
        if not len(dataset):
            raise ValueError(f"{type(dataset).__name__} is empty: there is no sample to compare on")
        labels = _labels(dataset)
        names = classes if classes is not None else getattr(dataset, "classes", None)
        if names is None:
            names = list(map(str, range(int(labels.max()) + 1)))
        reader = _Reader(dataset, prepare)
        channels, height, width = reader([0]).shape[1:]
        return cls(labels, tuple(map(str, names)), (channels, height, width), reader)


def _labels(dataset: Any) -> torch.Tensor:
    for name in ("targets", "labels"):
        if hasattr(dataset, name):
            return torch.as_tensor(getattr(dataset, name)).to(torch.int64).reshape(-1)
    samples = [dataset[i] for i in range(len(dataset))]
    if not all(isinstance(sample, (tuple, list)) and len(sample) == 2 for sample in samples):
        raise TypeError(
            f"samples of {type(dataset).__name__} must be (image, label), or it needs a `targets` attribute"
        )
    return torch.as_tensor([int(label) for _, label in samples])


@dataclass(frozen=True, eq=False)
class _Reader:
    dataset: Any
    prepare: Pipeline

    def __call__(self, positions: Sequence[int]) -> torch.Tensor:
        parts: list[torch.Tensor] = []
        for start in range(0, len(positions), READ_BATCH):
            rows = positions[start : start + READ_BATCH]
            samples = [self.dataset[i] for i in rows]
            path = find_image(samples[0])
            images = self.prepare.images([get_image(sample, path) for sample in samples], Rng.of(0, rows))
            parts += [images] if isinstance(images, torch.Tensor) else [image[None] for image in images]
        sizes = sorted({(part.shape[-2], part.shape[-1]) for part in parts})
        if len(sizes) > 1:
            seen = ", ".join(f"{height}x{width}" for height, width in sizes[:3])
            raise ValueError(f"images differ in size ({seen}); a comparison needs one size: let `prepare` resize them")
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class _Gather:
    images: torch.Tensor

    def __call__(self, positions: Sequence[int]) -> torch.Tensor:
        return self.images[torch.as_tensor(np.asarray(positions, np.int64))]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Decoded samples: image `(N, C, H, W)` uint8, label `(N,)` int64, position `(N,)` in their source."""

    image: torch.Tensor
    label: torch.Tensor
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: np.ndarray) -> Labelled:
        chosen = torch.as_tensor(rows)
        return Labelled(self.image[chosen], self.label[chosen], self.position[rows])


def check_classes(train: Source, test: Source, labels_per_class: int) -> None:
    """Raise a ValueError that says which class is missing where, or has fewer than labels_per_class samples."""
    if train.image_shape != test.image_shape:
        raise ValueError(f"training images are {train.image_shape}, test images {test.image_shape}")
    check_labels(train, test, labels_per_class)


class HasLabels(Protocol):
    """Samples of which the labels are known."""

    @property
    def labels(self) -> torch.Tensor:
        """Return the labels `(N,)`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the name of each label."""

    def __len__(self) -> int: ...


def check_labels(train: HasLabels, test: HasLabels, labels_per_class: int) -> None:
    """Raise a ValueError that says which class is missing where, or has fewer than labels_per_class samples."""
    if train.classes != test.classes:
        raise ValueError(f"training and test classes differ: {_few(train.classes)} and {_few(test.classes)}")
    present = np.bincount(train.labels.numpy(), minlength=len(train.classes))
    if np.count_nonzero(present) < 2:
        only = train.classes[int(present.argmax())]
        raise ValueError(f"a comparison needs at least two classes; all {len(train)} training samples are {only!r}")
    counts = zip(train.classes, present, strict=True)
    short = [f"{name!r} has {count}" for name, count in counts if count < labels_per_class]
    if short:
        fits = int(present.min())
        advice = f"use labels_per_class={fits} or fewer" if fits >= 2 else "each class needs at least two"
        raise ValueError(f"labels_per_class={labels_per_class}, but class {_few(short)} training samples; {advice}")
    missing = np.setdiff1d(np.arange(len(train.classes)), test.labels.numpy())
    if len(missing):
        raise ValueError(f"the test set has no sample of class {_few([repr(train.classes[i]) for i in missing])}")


def _few(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def draw_labels(source: Source, labels_per_class: int, seed: int) -> Labelled:
    """Draw and decode `labels_per_class` samples of each class, without replacement, keyed by seed and class."""
    return read(source, few_positions(source, labels_per_class, seed))


def few_positions(source: HasLabels, labels_per_class: int, seed: int) -> np.ndarray:
    """Draw the positions of `labels_per_class` samples of each class."""
    labels = source.labels.numpy()
    return np.concatenate(
        [
            pool[Rng.of(seed, c).permutation("few labels", len(pool))[0, :labels_per_class]]
            for c in range(len(source.classes))
            for pool in [np.flatnonzero(labels == c)]
        ]
    )


def read(source: Source, positions: np.ndarray) -> Labelled:
    """Decode samples and check what came: uint8 of the announced shape."""
    image = source.read(positions.tolist())
    if image.dtype != torch.uint8 or tuple(image.shape) != (len(positions), *source.image_shape):
        seen, expected = (tuple(image.shape), image.dtype), (len(positions), *source.image_shape)
        raise ValueError(f"the data gave images {seen[0]} {seen[1]}; uint8 of shape {expected} was expected")
    return Labelled(image, source.labels[torch.as_tensor(positions)], positions)


Samples = TypeVar("Samples", bound="Indexed")


class Indexed(Protocol):
    """Samples that can be chosen by row."""

    @property
    def label(self) -> torch.Tensor:
        """Return the labels `(N,)`."""

    def __getitem__(self: Samples, rows: np.ndarray) -> Samples: ...


def split_validation(samples: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Split into (fit, validation): `share` of each class, rounded, at least one and at most all but one."""
    labels = samples.label.numpy()
    held: list[np.ndarray] = []
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        held.append(rows[Rng.of(seed, int(c)).permutation("validation", len(rows))[0, :count]])
    validation = np.sort(np.concatenate(held))
    return samples[np.setdiff1d(np.arange(len(labels)), validation)], samples[validation]


def choose_test(source: HasLabels, limit: int | None, seed: int) -> np.ndarray:
    """Choose at most `limit` test samples, the same share of each class as nearly as possible; all where None."""
    everything = np.arange(len(source))
    if limit is None or limit >= len(source):
        return everything
    # Ranked within its class, a sample's place depends on the seed alone; low ranks of every class come first.
    rank = np.empty(len(source))
    labels = source.labels.numpy()
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        rank[rows] = (Rng.of(seed, int(c)).permutation("test", len(rows))[0].argsort() + 0.5) / len(rows)
    return np.sort(np.argsort(rank, kind="stable")[:limit])
