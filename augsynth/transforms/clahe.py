"""Adaptive histogram equalization: each tile of the image has a tone curve of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, Neighbourhood, is_number, is_range, lerp

# ITU-R BT.601 in units of 2**-15: OpenCV's luma of uint8 is this integer sum, bit for bit.
_LUMA = (9798, 19235, 3735)
_SHIFT = 15


@dataclass(frozen=True)
class CLAHE(Neighbourhood):
    """Equalize the histogram of the luma tile by tile, with limited contrast and probability p.

    The change of the luma, found on 256 levels, is added to all channels. clip_limit: how many times the mean height
    of the tile's histogram a bin may reach, (low, high) with 1 <= low, or a number v for (1, v). tile_grid_size: tiles
    along the width and along the height. Source: Zuiderveld 1994, "Contrast limited adaptive histogram equalization".
    """

    clip_limit: float | tuple[float, float] = 4.0
    tile_grid_size: tuple[int, int] = (8, 8)
    p: float = 0.5

    word: ClassVar[str] = "clahe"
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    draws: ClassVar[int] = 1
    params: ClassVar[int] = 2

    def validate(self) -> None:
        if not (is_number(self.clip_limit) or isinstance(self.clip_limit, tuple)) or not is_range(self._limits(), 1):
            self.fail("clip_limit", "a number >= 1 or (low, high) with 1 <= low <= high")
        grid = self.tile_grid_size
        if not (isinstance(grid, tuple) and len(grid) == 2 and all(type(n) is int and 1 <= n <= 64 for n in grid)):
            self.fail("tile_grid_size", "two ints from 1 to 64: tiles along the width and the height")

    def _limits(self) -> tuple[float, float]:
        return self.clip_limit if isinstance(self.clip_limit, tuple) else (1.0, float(self.clip_limit))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the clip limit and the share of the change that is added."""
        low, high = self._limits()
        return np.column_stack([lerp(u, low, high), np.full(len(u), strength)])

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        levels = (pixels * (255.0 / white)).round().long().clamp(0, 255)
        luma = levels[:, 0]
        if pixels.shape[1] == 3:
            red, green, blue = (weight * levels[:, i] for i, weight in enumerate(_LUMA))
            luma = (red + green + blue + (1 << (_SHIFT - 1))) >> _SHIFT
        change = equalized(luma, params[:, 0], self.tile_grid_size) - luma
        share = torch.from_numpy(params[:, 1] * (white / 255.0)).to(pixels.device, pixels.dtype)
        return (pixels + (change * share[:, None, None])[:, None]).clamp(0.0, white)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        levels = pixels if pixels.dtype == np.uint8 else cv2.convertScaleAbs(pixels, None, 255.0 / white)
        luma = levels if pixels.ndim == 2 else cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY)
        done = cv2.createCLAHE(float(params[0]), self.tile_grid_size).apply(luma)
        if pixels.dtype == np.uint8 and params[1] == 1.0:
            if pixels.ndim == 2:
                return np.asarray(done)
            # Saturating sums of what rises and what falls: a third of the time of signed arithmetic.
            up, down = (cv2.cvtColor(cv2.subtract(*pair), cv2.COLOR_GRAY2RGB) for pair in ((done, luma), (luma, done)))
            return np.asarray(cv2.subtract(cv2.add(pixels, up), down))
        change = cv2.subtract(done, luma, dtype=cv2.CV_32F) * np.float32(params[1] * white / 255.0)
        result = np.clip(pixels + (change if pixels.ndim == 2 else change[:, :, None]), 0.0, white)
        return np.asarray(np.rint(result).astype(np.uint8) if pixels.dtype == np.uint8 else result)


def equalized(luma: torch.Tensor, limits: Array, grid: tuple[int, int]) -> torch.Tensor:
    """Map levels `(R, H, W)` int64 by the tables of the four nearest tiles, as OpenCV does; levels again.

    limits: `(R,)` clip limits. grid: tiles along the width and along the height.
    """
    rows, height, width = luma.shape
    ys, tall = _tiled(height, grid[1], luma.device)
    xs, wide = _tiled(width, grid[0], luma.device)
    if height % grid[1] == 0 and width % grid[0] == 0:
        ys, xs, tall, wide = ys[:height], xs[:width], height // grid[1], width // grid[0]
    padded = luma[:, ys][:, :, xs].reshape(rows, grid[1], tall, grid[0], wide)
    tables = _tables(padded.transpose(2, 3).reshape(rows, grid[1] * grid[0], -1), limits)
    y, fall = _between(height, tall, grid[1], luma.device)
    x, slide = _between(width, wide, grid[0], luma.device)
    flat = tables.flatten(1)
    corners = [
        flat.gather(1, ((y[i][:, None] * grid[0] + x[j]) * 256 + luma).flatten(1)).view(luma.shape).float()
        for i in (0, 1)
        for j in (0, 1)
    ]
    upper, lower = (a * (1 - slide) + b * slide for a, b in (corners[:2], corners[2:]))
    return (upper * (1 - fall[:, None]) + lower * fall[:, None]).round().clamp(0, 255).long()


def _tiled(size: int, tiles: int, device: torch.device) -> tuple[torch.Tensor, int]:
    """Return which pixels, reflected at the end, make up whole tiles, and the length of one."""
    total = size + tiles - size % tiles
    period = max(2 * size - 2, 1)
    index = torch.arange(total, device=device) % period
    return torch.minimum(index, period - index) if size > 1 else index, total // tiles


def _tables(tiles: torch.Tensor, limits: Array) -> torch.Tensor:
    """Return the `(R, T, 256)` int64 tables of tiles `(R, T, N)`: their clipped histograms, summed up."""
    size = tiles.shape[2]
    histogram = torch.zeros(*tiles.shape[:2], 256, dtype=torch.int64, device=tiles.device)
    histogram.scatter_add_(2, tiles, torch.ones_like(tiles))
    most = torch.from_numpy(np.maximum((limits * size / 256).astype(np.int64), 1)).to(tiles.device)[:, None, None]
    clipped = torch.minimum(histogram, most)
    excess = (histogram - clipped).sum(2, keepdim=True)
    share, rest = excess // 256, excess % 256
    # What is left over goes to every step-th level, one to each, until nothing is left.
    level = torch.arange(256, device=tiles.device)
    step = (256 // rest.clamp(min=1)).clamp(min=1)
    clipped = clipped + share + ((level % step == 0) & (level // step < rest))
    return (clipped.cumsum(2).float() * (255 / size)).round().clamp(0, 255).long()


def _between(size: int, length: int, tiles: int, device: torch.device) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return the numbers of the tiles before and after each pixel, and how far it is from the first to the second."""
    at = torch.arange(size, device=device) * (1 / length) - 0.5
    first = at.floor()
    number = first.long()
    return [number.clamp(min=0), (number + 1).clamp(max=tiles - 1)], at - first
