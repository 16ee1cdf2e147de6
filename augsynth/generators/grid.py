"""A picture of a generator's samples."""

from __future__ import annotations

from pathlib import Path

import torch

from augsynth.generators.base import ImageGenerator

_ROWS, _COLUMNS, _GAP = 16, 12, 2


def grid(generator: ImageGenerator, seed: int = 0) -> torch.Tensor:
    """Return samples side by side, a row for each of up to 16 classes seen in training: `(C, H, W)` uint8."""
    labels = torch.where(generator.class_counts.cpu() > 0)[0][:_ROWS]
    images = generator.generate(labels.repeat_interleave(_COLUMNS), seed).image.cpu()
    channels, height, width = images.shape[1:]
    tiles = images.view(len(labels), _COLUMNS, channels, height, width)
    sheet = torch.ones(channels, len(labels) * (height + _GAP) - _GAP, _COLUMNS * (width + _GAP) - _GAP)
    for row in range(len(labels)):
        for column in range(_COLUMNS):
            top, left = row * (height + _GAP), column * (width + _GAP)
            sheet[:, top : top + height, left : left + width] = tiles[row, column]
    return (sheet * 255).round().to(torch.uint8)


def write_grid(generator: ImageGenerator, path: Path) -> None:
    """Write `grid` as a PNG; of more than three channels the first three, of two the first."""
    from PIL import Image

    sheet = grid(generator)
    sheet = sheet[:3] if len(sheet) >= 3 else sheet[:1]
    array = sheet[0].numpy() if len(sheet) == 1 else sheet.permute(1, 2, 0).contiguous().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
