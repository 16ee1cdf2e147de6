"""Collate the samples of a wrapped dataset: its batch of images as it is, boxes as lists, errors that name samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from augsynth.batch import (
    Path,
    entries_of,
    find_image,
    get_image,
    is_dataclass,
    is_image,
    is_pil,
    set_image,
    with_fields,
)
from augsynth.data import parcel
from augsynth.finding import PLAIN, Place, Rules, get_entry, is_bare, places_of, put_entries


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


def collate(samples: Sequence[Any]) -> Any:
    """Collate like PyTorch's `default_collate`, but take a wrapped dataset's batch of images as it is: no second stack.

    Boxes and what goes with them are lists of one tensor per sample; masks and keypoints are stacked where they fit.
    Raises: ValueError naming sizes and samples where the images ended in different sizes.
    """
    if len(samples) and is_dataclass(samples[0]):
        return with_fields(samples[0], collate(_as_dicts(samples)))
    if isinstance(samples, SampleList):
        path, images, indices, places = samples.path, samples.images, samples.indices, samples.places
    else:
        path, images, indices, places = None, None, None, ()
        # Tensors and numbers in a tuple have no names by which they would be boxes or masks: no need to look further.
        if len(samples) and not _is_plain(samples[0]):
            path = _path_of(samples[0])
            places = () if path is None or is_bare(samples[0], path) else places_of(samples[0], path, Rules())
    if images is not None:
        if path is None:
            return parcel.post(images)
        # An int in the image's place costs nothing to collate and gives the structure that default_collate gives.
        samples = [set_image(sample, path, 0) for sample in samples]
    aside = {place: _together([get_entry(sample, place) for sample in samples], apart) for place, apart in places}
    if aside:
        samples = [put_entries(sample, dict.fromkeys(aside, 0)) for sample in samples]
    try:
        rest = parcel.collate(list(samples))
    except RuntimeError:
        # torch says that sizes differ; to compare them before would cost every batch.
        check_sizes(samples, _path_of(samples[0]) if path is None else path, indices)
        raise
    rest = put_entries(rest, aside) if aside else rest
    return parcel.post(rest if images is None else set_image(rest, path, images))


def _together(values: list[Any], apart: bool) -> Any:
    """Stack targets where they fit, else return the list, as tensors where they were arrays or PIL masks."""
    arrays = [np.array(value) if is_pil(value) else value for value in values]
    tensors = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in arrays]
    alike = len({tuple(getattr(tensor, "shape", (0,))) for tensor in tensors}) == 1
    return tensors if apart or not alike else parcel.collate(tensors)


def _as_dicts(samples: Sequence[Any]) -> list[Any]:
    """Return objects of dataclasses as dicts, which can be collated."""
    rows = [dict(entries_of(sample)) for sample in samples]
    if not isinstance(samples, SampleList):
        return rows
    path = list(rows[0])[samples.path] if isinstance(samples.path, int) else samples.path
    return SampleList(rows, path, samples.images, samples.indices, samples.places)


def _is_plain(sample: Any) -> bool:
    return type(sample) is tuple and all(type(value) is torch.Tensor or type(value) in PLAIN for value in sample)


def _path_of(sample: Any) -> Path:
    try:
        return find_image(sample)
    except TypeError:
        return None


def check_sizes(samples: Sequence[Any], path: Path, indices: Sequence[int] | None) -> None:
    """Raise ValueError naming sizes and samples where images cannot be stacked."""
    images = [get_image(sample, path) for sample in samples]
    if not all(isinstance(image, torch.Tensor) and is_image(image) for image in images):
        return
    shapes = [tuple(image.shape) for image in images]
    if len(set(shapes)) < 2:
        return
    where = list(range(len(samples))) if indices is None else [int(index) for index in indices]
    groups = {shape: [i for i, s in zip(where, shapes, strict=True) if s == shape] for shape in dict.fromkeys(shapes)}
    seen = ", ".join(f"{_size(shape)} (sample {names_of(members)})" for shape, members in groups.items())
    if len({shape[-2:] for shape in shapes}) < 2:
        advice = "give them one number of channels, such as image.convert('RGB') in the dataset"
    else:
        advice = "end the pipeline with one size (Resize((h, w)), RandomResizedCrop, CenterCrop)"
    raise ValueError(
        f"cannot stack images of different sizes: {seen}; {advice}, or pass collate_fn=list to keep them apart"
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def names_of(indices: Sequence[int], most: int = 5) -> str:
    """Name a few indices and count the others, for errors."""
    names = ", ".join(str(int(index)) for index in indices[:most])
    return names if len(indices) <= most else f"{names} and {len(indices) - most} more"
