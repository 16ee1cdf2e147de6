"""What engines render: runs of a fused program, with the samples that take part in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augsynth.transforms.base import Array, Border, Standalone
from augsynth.transforms.color import LUMA

NEAREST, BILINEAR, BICUBIC = range(3)
COPY, RESIZE, WARP = range(3)


@dataclass(frozen=True)
class Geometry:
    """One resample for R samples. All arrays have R rows; boxes are top, left, bottom, right in whole pixels.

    path: COPY (flip, quarter turn, whole-pixel window), RESIZE (of `box` to `full`, then the window at `offset`) or
    WARP (`box` shrunk to `full` by an antialiasing filter, then `matrix`, from output to shrunk coordinates).
    transpose: the source's x and y are swapped first; flip_y and flip_x come last.
    whole `(R, 3, 3)`: the composed map from output to input, which targets follow.
    """

    rows: Array
    path: Array
    transpose: Array
    box: Array
    full: Array
    offset: Array
    size: Array
    flip_y: Array
    flip_x: Array
    matrix: Array
    interpolation: Array
    antialias: Array
    borders: tuple[Border, ...]
    whole: Array


@dataclass(frozen=True)
class Colors:
    """n colour steps for R samples: `x' = A x + m v`; A `(R, n, 3, 3)`, v `(R, n, 3)`.

    used: the step does something. expands: its result needs a clamp. hue: an HSV shift replaces the matrix, NaN if not.
    """

    rows: Array
    matrix: Array
    luma: Array
    used: Array
    expands: Array
    hue: Array
    chroma: Array

    def composed(self, channels: int) -> tuple[Array, Array]:
        """Compose all steps of each sample without clamps: A `(R, c, c)`, v `(R, c)`, m the mean luma of the input."""
        size = 3 if channels == 3 else 1
        total = np.broadcast_to(np.eye(size), (len(self.rows), size, size))
        shift, weights = np.zeros((len(self.rows), size)), LUMA / LUMA.sum() if size == 3 else np.ones(1)
        for step in range(self.matrix.shape[1]):
            a, v = self.matrix[:, step, :size, :size], self.luma[:, step, :size]
            active = self.used[:, step] & ~(self.chroma[:, step] & (size == 1))
            # The mean luma is carried through the steps before by the image of the gray (m, m, m).
            pivot = (total.sum(2) + shift) @ weights
            total = np.where(active[:, None, None], a @ total, total)
            shift = np.where(active[:, None], (a @ shift[:, :, None])[:, :, 0] + pivot[:, None] * v, shift)
        return total, shift


@dataclass(frozen=True)
class Erasing:
    """A rectangle (top, left, height, width) per sample, painted with `paints[i]`."""

    rows: Array
    rectangle: Array
    paints: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Alone:
    """One transform that renders itself, for R samples: its parameters `(R, P)`."""

    rows: Array
    transform: Standalone
    params: Array


@dataclass(frozen=True)
class Mixed(Alone):
    """A weighted sum of R samples and of n chains over each: weights `(R, 1 + n)`, the sample's own first.

    runs: of all chains, in whose numbering chain k of the r-th sample is row `r n + k`.
    """

    weights: Array
    runs: tuple[Run, ...]


Run = Geometry | Colors | Erasing | Alone
