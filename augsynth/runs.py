"""What engines render: runs of a fused program, with the samples that take part in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augsynth.elementary import product
from augsynth.placing import BICUBIC, BILINEAR, COPY, NEAREST, RESIZE, WARP, Placed, place
from augsynth.transforms.base import Array, Border, Standalone
from augsynth.transforms.color import LUMA


@dataclass(frozen=True)
class Geometry:
    """One resample for R samples. All arrays have R rows; sizes are height and width in pixels.

    whole `(R, 3, 3)`: the composed map from output to input, which targets follow too. edge: position in `known` of the
    border, 0 where nothing looks outside. cut_first: a window is cut out before it is resized.
    How engines render it (path, transpose, box, full, offset, flip_y, flip_x, matrix: see `placing.Placed`) is found
    when one asks.
    """

    rows: Array
    whole: Array
    size_in: Array
    size: Array
    interpolation: Array
    antialias: Array
    edge: Array
    cut_first: Array
    known: tuple[Border, ...]

    shared: ClassVar[tuple[str, ...]] = ("known",)  # fields that are the same for all rows

    @cached_property
    def borders(self) -> tuple[Border, ...]:
        """The border of each sample."""
        return tuple([self.known[i] for i in self.edge.tolist()])

    @cached_property
    def placed(self) -> Placed:
        """Path and window of each sample."""
        folds = np.array([border.mode in ("reflect", "symmetric") for border in self.known])
        flags = self.antialias, self.edge > 0, folds[self.edge], self.cut_first
        return place(self.whole, self.size_in, self.size, self.interpolation, *flags)

    def __getattr__(self, name: str) -> Any:
        if name in Placed.__dataclass_fields__:
            return getattr(self.placed, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


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

    shared: ClassVar[tuple[str, ...]] = ()

    def composed(self, channels: int) -> tuple[Array, Array]:
        """Compose all steps of each sample without clamps: A `(R, c, c)`, v `(R, c)`, m the mean luma of the input."""
        size = 3 if channels == 3 else 1
        total = np.broadcast_to(np.eye(size), (len(self.rows), size, size))
        shift, weights = np.zeros((len(self.rows), size)), LUMA / LUMA.sum() if size == 3 else np.ones(1)
        for step in range(self.matrix.shape[1]):
            a, v = self.matrix[:, step, :size, :size], self.luma[:, step, :size]
            active = self.used[:, step] & ~(self.chroma[:, step] & (size == 1))
            # The mean luma is carried through the steps before by the image of the gray (m, m, m).
            pivot = _weighted(_summed(total) + shift, weights)
            moved = product(a, shift[:, :, None])[:, :, 0] if size == 3 else a[:, :, 0] * shift
            total = np.where(active[:, None, None], product(a, total) if size == 3 else a * total, total)
            shift = np.where(active[:, None], moved + pivot[:, None] * v, shift)
        return total, shift


def _summed(matrix: Array) -> Array:
    total = matrix[:, :, 0]
    for i in range(1, matrix.shape[2]):
        total = total + matrix[:, :, i]
    return np.asarray(total)


def _weighted(values: Array, weights: Array) -> Array:
    total = values[:, 0] * weights[0]
    for i in range(1, values.shape[1]):
        total = total + values[:, i] * weights[i]
    return np.asarray(total)


@dataclass(frozen=True)
class Erasing:
    """A rectangle (top, left, height, width) per sample, painted with `paints[i]`."""

    rows: Array
    rectangle: Array
    paints: tuple[tuple[float, ...], ...]

    shared: ClassVar[tuple[str, ...]] = ()


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

__all__ = [
    "BICUBIC",
    "BILINEAR",
    "COPY",
    "NEAREST",
    "RESIZE",
    "WARP",
    "Alone",
    "Colors",
    "Erasing",
    "Geometry",
    "Mixed",
    "Run",
]
