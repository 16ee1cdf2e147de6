"""Where points of an image go: by the homographies and fields of the runs that move its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from augsynth.runs import Alone, Geometry, Run
from augsynth.transforms.base import Array, Distortion, Standalone

# The homogeneous third coordinate from which on a point lies in front of a perspective's eye.
HORIZON = 1e-6
Step = Geometry | Alone


@dataclass(frozen=True)
class Route:
    """The runs of a batch that move pixels, in order. sizes `(B, 2)`: height and width before the first.

    canvases[s] `(B, 2)` are the sizes after step s; mirrored `(B,)` tells which samples end as their mirror image.
    """

    steps: tuple[Step, ...]
    sizes: Array
    canvases: tuple[Array, ...]
    mirrored: Array

    @classmethod
    def of(cls, runs: Sequence[Run], sizes: Array) -> Route:
        """Pick the runs that move pixels, and thread the sizes through them."""
        steps: list[Step] = []
        canvases = []
        now, mirrored = sizes, np.zeros(len(sizes), bool)
        for run in runs:
            if isinstance(run, Geometry):
                now = now.copy()
                now[run.rows] = run.size
                mirrored[run.rows] ^= np.linalg.det(run.whole) < 0
            elif not (isinstance(run, Alone) and isinstance(run.transform, Distortion)):
                continue
            steps.append(run)
            canvases.append(now)
        return cls(tuple(steps), sizes, tuple(canvases), mirrored)

    def before(self, step: int) -> Array:
        """Return the sizes `(B, 2)` that a step starts from."""
        return self.canvases[step - 1] if step else self.sizes

    def position(self, step: int) -> Array:
        """Return each sample's row in a step `(B,)`, -1 where it takes no part."""
        rows = self.steps[step].rows
        found = np.full(len(self.sizes), -1)
        found[rows] = np.arange(len(rows))
        return found

    def carry(self, step: int, points: Array, owner: Array) -> Array:
        """Move points `(M, K, 2)` of the samples `owner (M,)` by one step; returns homogeneous `(M, K, 3)`.

        A third coordinate of at most `HORIZON` says that no pixel of the output shows the point.
        """
        run, at = self.steps[step], self.position(step)[owner]
        result = np.concatenate([points, np.ones((*points.shape[:2], 1))], 2)
        part = (at >= 0).nonzero()[0]
        if isinstance(run, Geometry):
            result[part] = forward(np.linalg.inv(run.whole)[at[part]], points[part])
        else:
            sizes = self.before(step)
            for row in np.unique(owner[part]).tolist():
                mine = (owner == row).nonzero()[0]
                size = (int(sizes[row, 0]), int(sizes[row, 1]))
                result[mine, :, :2] = distorted(run.transform, run.params[at[mine[0]]], size, points[mine])
        return result

    def follow(self, points: Array, owner: Array) -> tuple[Array, Array]:
        """Move points `(M, 2)` to the end; returns where they are, and which were on the image all the way, `(M,)`.

        A point that gets behind the eye stays where it was.
        """
        seen = _on(points, self.sizes[owner])
        for step in range(len(self.steps)):
            moved = self.carry(step, points[:, None], owner)[:, 0]
            ahead = moved[:, 2] > HORIZON
            points = np.where(ahead[:, None], moved[:, :2] / np.where(ahead, moved[:, 2], 1.0)[:, None], points)
            seen &= ahead & _on(points, self.canvases[step][owner])
        return points, seen


def _on(points: Array, sizes: Array) -> Array:
    return np.asarray(((points >= 0) & (points <= sizes[:, ::-1])).all(1))


def forward(maps: Array, points: Array) -> Array:
    """Map `(M, K, 2)` by homographies `(M, 3, 3)` from input to output; returns homogeneous `(M, K, 3)`."""
    columns = maps[:, None]
    return np.asarray(points[..., :1] * columns[..., 0] + points[..., 1:] * columns[..., 1] + columns[..., 2])


def distorted(transform: Standalone, params: Array, size: tuple[int, int], points: Array) -> Array:
    """Move points `(..., 2)` of one sample by a distortion with the parameters `(P,)` of an image of `size`."""
    assert isinstance(transform, Distortion)
    return np.asarray(transform.points(params, size, points.reshape(-1, 2))).reshape(points.shape)
