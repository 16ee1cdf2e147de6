"""How many CPU threads work on images of a size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch

# Values of an image up to which one CPU thread is used.
_SMALL = 64 * 64 * 3


@contextmanager
def threads_for(image_shape: Sequence[int], wanted: int | None = None) -> Iterator[None]:
    """Use `wanted` CPU threads; by default one for small images.

    More gain little there, and cost tenfold where others use the cores too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or (1 if prod(image_shape) <= _SMALL else before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
