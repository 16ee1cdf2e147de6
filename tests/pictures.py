"""PIL images of different sizes, for the tests of `wrap`."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset


def picture(i: int) -> Image.Image:
    """Return image `i`: 8 high, 8 to 10 wide, RGB."""
    values = (np.arange(8 * (8 + i % 3) * 3) * 7 + i * 31) % 251
    return Image.fromarray(values.astype(np.uint8).reshape(8, -1, 3))


class Pictures(Dataset[Any]):
    """So many images with their number as label."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return picture(int(i)), int(i)
