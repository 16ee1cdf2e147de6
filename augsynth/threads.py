"""How many CPU threads work on images of a size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch

# Values of an image up to which one CPU thread is used.
_SMALL = 64 * 64 * 3


@contextmanager
def threads_for(image_shape: Sequence[int]) -> Iterator[None]:
    """Use one CPU thread for small images: more gain little, and cost tenfold where others use the cores too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if prod(image_shape) <= _SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
