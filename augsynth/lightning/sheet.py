"""Images of a batch side by side, as the eye wants them: normalization undone, synthetic ones framed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from augsynth.transforms import Normalize

# What frames a synthetic sample.
RED = (220, 30, 30)
GAP = 2
# Pixels of the longer side that an image has at least, for the eye.
READABLE = 96


def visible(images: torch.Tensor, normalize: Normalize | None) -> np.ndarray:
    """Return images `(B, C, H, W)` as `(B, H, W, 3)` uint8: of more than three channels the first three, of two one.

    Bytes stay. Floats are brought back by `normalize`; where that is None, values that leave [0, 1] are stretched
    between the smallest and the largest of the batch. What is not finite becomes black.
    """
    values = images.detach().cpu()
    if values.dtype != torch.uint8:
        values = torch.nan_to_num(_restored(values.float(), normalize), 0.0, 0.0, 0.0)
        values = (values.clamp(0, 1) * 255).round().to(torch.uint8)
    values = values[:, :3] if values.shape[1] >= 3 else values[:, :1].expand(-1, 3, -1, -1)
    return values.permute(0, 2, 3, 1).contiguous().numpy()


def _restored(values: torch.Tensor, normalize: Normalize | None) -> torch.Tensor:
    if normalize is not None:
        mean, std = (
            torch.tensor(part, dtype=values.dtype).reshape(-1, 1, 1) for part in (normalize.mean, normalize.std)
        )
        return values * std + mean
    finite = values[values.isfinite()]
    if not len(finite) or (finite.min() >= 0 and finite.max() <= 1):
        return values
    return (values - finite.min()) / (finite.max() - finite.min()).clamp_min(1e-12)


def sheet(images: np.ndarray, framed: Sequence[bool] | None = None) -> np.ndarray:
    """Lay out images `(B, H, W, 3)` row by row in a square of tiles, gaps of 2 pixels in white: `(h, w, 3)` uint8.

    Images below 96 pixels are enlarged by a whole factor. framed: which ones have a red frame, on the gaps around them.
    """
    if not len(images):
        raise ValueError("there is no image to show: the batch is empty")
    factor = math.ceil(READABLE / max(images.shape[1:3]))
    images = images.repeat(factor, 1).repeat(factor, 2)
    count, height, width = images.shape[:3]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    tall, wide = height + 2 * GAP, width + 2 * GAP
    result = np.full((rows * tall, columns * wide, 3), 255, np.uint8)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        tile = result[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
        if framed is not None and framed[i]:
            tile[:] = RED
        tile[GAP:-GAP, GAP:-GAP] = image
    return result
