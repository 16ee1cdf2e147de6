"""The CPU engine: per image, the cheapest OpenCV or aten call that renders each run, straight into the batch.

Images are `(H, W, C)` arrays of uint8 or float32 with 3 channels, or `(H, W)` with one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from augsynth.engines import opencv_batch
from augsynth.engines.buffers import allocate_batch, recycled
from augsynth.engines.buffers import batch_memory as batch_memory
from augsynth.engines.opencv_color import State
from augsynth.engines.opencv_steps import Finish, schedule
from augsynth.engines.output import Output
from augsynth.runs import Run
from augsynth.transforms.base import Array

# From this many images on, whole-batch calls are faster where they fit.
_MANY = 4


def render(
    images: Sequence[Array], runs: Sequence[Run], sizes: Array, output: Output, exact: bool
) -> torch.Tensor | list[torch.Tensor]:
    """Render B images `(H, W, C)` or `(H, W)` to `sizes (B, 2)`.

    Returns one contiguous `(B, C, h, w)` batch where all samples end in the same size, else B tensors `(C, h, w)`.
    """
    alike = len(images) >= _MANY and len({image.shape for image in images}) == 1
    if alike and opencv_batch.fits(images[0].shape, runs, sizes):
        return opencv_batch.render(_stacked(images), runs, output, exact)
    steps = schedule(runs, len(images), output.white, exact)
    channels = [1 if image.ndim == 2 else image.shape[2] for image in images]
    shapes = [(c, int(h), int(w)) for c, (h, w) in zip(channels, sizes.tolist(), strict=True)]
    batch = allocate_batch((len(images), *shapes[0]), output.dtype) if len(set(shapes)) == 1 else None
    rows = [recycled(shape, output.dtype) for shape in shapes] if batch is None else list(batch.unbind(0))
    stages = {c: Finish(c, output) for c in set(channels)}
    for image, mine, row, c in zip(images, steps, rows, channels, strict=True):
        state = State(image, c)
        for table, i in mine:
            table.apply(state, i)
        stages[c].write(state, row)
    return rows if batch is None else batch


def _stacked(images: Sequence[Array]) -> Array:
    """Stack arrays of one shape; half the time of np.stack."""
    return np.concatenate(images).reshape(len(images), *images[0].shape)
