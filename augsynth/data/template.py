"""The form of a real dataset's samples, into which synthetic images and labels are filled."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from augsynth.batch import describe, find_image, get_image, is_pil, set_image
from augsynth.data.labels import find_label, get_label, label_like
from augsynth.images import Form, check_values, to_tensor


class Template:
    """One sample of a real dataset, read to see where image and label stand and how they look."""

    def __init__(self, sample: Any) -> None:
        self.image = find_image(sample)
        if self.image is None or (isinstance(sample, (tuple, list, Mapping)) and len(sample) == 1):
            raise TypeError(f"the dataset is unlabelled: its samples are {describe(sample)}, not (image, label)")
        self.label = find_label(sample, self.image)
        if len(sample) > 2:
            raise TypeError(
                f"a sample is {describe(sample)}; a generator makes an image and its label, and nothing for the rest"
            )
        self.first_label = get_label(sample, self.label, "sample 0")
        picture = get_image(sample, self.image)
        self.form = Form.of(picture, "sample 0")
        # Without the picture: it may share memory that its owner gives up, and workers need not be sent it.
        self.sample = copy.deepcopy(set_image(sample, self.image, None))
        self.mode = picture.mode if is_pil(picture) else None
        try:
            check_values([to_tensor(picture, self.form)], [self.form])
        except ValueError as error:
            raise ValueError(f"{error}; mix samples in before they are augmented or normalized") from None

    @classmethod
    def default(cls) -> Template:
        """Items are (float tensor, int)."""
        return cls((torch.zeros(1, 1, 1), 0))

    @classmethod
    def of(cls, dataset: Any) -> Template:
        """Read the first sample of a map-style dataset. Raises: ValueError for an empty one."""
        if not len(dataset):
            raise ValueError("the real dataset is empty")
        # A dataset that augments at random would draw here: looking at it must not change the user's run.
        with torch.random.fork_rng(devices=[]):
            return cls(dataset[0])

    def check_shape(self, image_shape: tuple[int, ...]) -> None:
        """Raise ValueError if the generator's images are not the size of the real ones."""
        real = (self.form.channels, *self.form.size)
        if real != (1, 1, 1) and real != image_shape:
            raise ValueError(f"the real images are {real}, the generator makes {image_shape} (channels, height, width)")

    @property
    def dtype(self) -> torch.dtype:
        """The type in which images are kept: uint8 where the real ones are, else float32."""
        return torch.uint8 if self.form.dtype == torch.uint8 else torch.float32

    def stored(self, images: torch.Tensor) -> torch.Tensor:
        """Return images, floats in [0, 1], in the type in which they are kept."""
        return (images * 255).round().to(torch.uint8) if self.dtype == torch.uint8 else images.float()

    def fill(self, image: torch.Tensor, label: int) -> Any:
        """Return a sample with this image `(C, H, W)` as `stored` gives it, and this label."""
        sample = set_image(self.sample, self.image, self._picture(image.to(self.form.dtype)))
        return set_image(sample, self.label, label_like(label, get_image(self.sample, self.label)))

    def _picture(self, image: torch.Tensor) -> Any:
        if self.form.holder == "tensor":
            return image if self.form.like is None else image.as_subclass(self.form.like)
        array = image.permute(1, 2, 0).numpy()
        if self.mode is not None:
            return _pil(np.ascontiguousarray(array[:, :, 0] if len(image) == 1 else array), self.mode)
        return np.ascontiguousarray(array[:, :, 0] if self.form.flat else array)


def _pil(array: np.ndarray, mode: str) -> Any:
    from PIL import Image

    if mode.startswith("I"):
        return Image.fromarray(np.rint(array * 65535).astype(np.int32 if mode == "I" else np.uint16))
    picture = Image.fromarray(array)
    return picture if picture.mode == mode else picture.convert(mode)
