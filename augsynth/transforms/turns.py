"""Quarter turns and mirrors: the eight ways to lay an image on its grid, none of which interpolates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from augsynth.transforms.base import Array, Geometric, affine_matrix

__all__ = ["D4", "RandomRotate90", "Transpose"]

# Linear parts from the output to the input, rows (a, b, c, d): 0, 90, 180 and 270 degrees counter-clockwise, then the
# mirrors: top and bottom, the other diagonal, left and right, the main diagonal.
ELEMENTS = np.array(
    [
        [1, 0, 0, 1],
        [0, -1, 1, 0],
        [-1, 0, 0, -1],
        [0, 1, -1, 0],
        [1, 0, 0, -1],
        [0, -1, -1, 0],
        [-1, 0, 0, 1],
        [0, 1, 1, 0],
    ],
    np.float64,
)
_TRANSPOSE = 7


class _Turn(Geometric):
    """A move by one of `ELEMENTS`, whose position is `elements(params)`."""

    def elements(self, params: Array) -> Array:
        """Return positions in `ELEMENTS` `(B,)`."""
        return params[:, 0].astype(np.int64)

    def matrix(self, params: Array, sizes: Array) -> Array:
        a, b, c, d = ELEMENTS[self.elements(params)].T
        height, width = sizes.T
        # A coordinate that runs backwards starts at the far edge of the input.
        return affine_matrix(a, b, c, d, np.where(a + b < 0, width, 0.0), np.where(c + d < 0, height, 0.0))

    def output_size(self, params: Array, sizes: Array) -> Array:
        swapped = ELEMENTS[self.elements(params), 0] == 0
        return np.where(swapped[:, None], sizes[:, ::-1], sizes)


@dataclass(frozen=True)
class RandomRotate90(_Turn):
    """Turn by 0, 90, 180 or 270 degrees counter-clockwise, each as likely; height and width may change places."""

    p: float = 1.0

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the number of quarter turns."""
        return np.asarray(np.floor(u * 4))


@dataclass(frozen=True)
class Transpose(_Turn):
    """Exchange x and y with probability p: a mirror in the main diagonal."""

    p: float = 0.5

    def elements(self, params: Array) -> Array:
        return np.full(len(params), _TRANSPOSE)


@dataclass(frozen=True)
class D4(_Turn):
    """Apply one of the eight symmetries of a square, each as likely: the quarter turns, and each of them mirrored."""

    p: float = 1.0

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the element: 0 to 3 quarter turns, 4 and 6 mirrors of y and x, 5 and 7 of the two diagonals."""
        return np.asarray(np.floor(u * len(ELEMENTS)))
