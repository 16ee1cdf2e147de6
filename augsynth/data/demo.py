"""Data that ships with the package, so that everything can be tried without a download."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from PIL import Image

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SPLITS = ("train", "test")


class _Labelled:
    labels: torch.Tensor

    @property
    def targets(self) -> list[int]:
        """The labels as a list of ints, as torchvision's datasets have them."""
        return self.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class DemoDataset(_Labelled):
    """A map-style dataset of (PIL "L" image, int) items.

    images: `(N, 1, H, W)` uint8. labels: `(N,)` int64. classes: the name of each label.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        from PIL import Image

        if not -len(self) <= index < len(self):
            raise IndexError(f"index {int(index)} is outside a dataset of {len(self)} samples")
        # A copy: Image.fromarray shares memory, and spawning a worker moves the tensor's memory elsewhere.
        pixels = self.images[int(index), 0].numpy().copy()
        return Image.fromarray(pixels), int(self.labels[int(index)])


def fashion(split: str) -> DemoDataset:
    """Load the balanced Fashion-MNIST subset (MIT): "train" has 6,000 images, "test" 2,000 of the original test set.

    Images are `(N, 1, 28, 28)`, in the order of the original files. Source: arXiv:1708.07747.
    Raises: ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of {', '.join(map(repr, SPLITS))}")
    with as_file(files("augsynth.data") / "assets" / "fashion_mnist.npz") as path, np.load(path) as arrays:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"].astype(np.int64)
    return DemoDataset(torch.from_numpy(images)[:, None], torch.from_numpy(labels), CLASSES)


@dataclass(frozen=True, eq=False)
class TextDataset(_Labelled):
    """A map-style dataset of (text, int) items.

    texts: N strings. labels: `(N,)` int64. classes: the name of each label.
    """

    texts: tuple[str, ...]
    labels: torch.Tensor
    classes: tuple[str, ...]

    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.texts[int(index)], int(self.labels[int(index)])


@lru_cache(1)
def _banking() -> dict[str, Any]:
    data = (files("augsynth.data") / "assets" / "banking77.json.xz").read_bytes()
    found: dict[str, Any] = json.loads(lzma.decompress(data))
    return found


def banking(split: str) -> TextDataset:
    """Load BANKING77 (CC BY 4.0): questions to a bank, 77 intents, "train" 9,999 and "test" 3,072 texts.

    No text stands twice, or in both. Source: arXiv:2003.04807. Raises: ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of {', '.join(map(repr, SPLITS))}")
    found = _banking()
    labels = torch.tensor(found[f"{split}_labels"], dtype=torch.int64)
    return TextDataset(tuple(found[f"{split}_texts"]), labels, tuple(found["classes"]))


def photo() -> Image.Image:
    """Load a colour photograph for pictures: an astronaut, 512 x 512 RGB, public domain (NASA)."""
    from PIL import Image

    with (files("augsynth.data") / "assets" / "astronaut.jpg").open("rb") as stream:
        return Image.open(stream).convert("RGB")
