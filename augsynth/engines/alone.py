"""Transforms that render themselves, between two calls of the compiled engine."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from augsynth.images import SMALL
from augsynth.runs import Alone
from augsynth.transforms.base import Array


def render_alone(current: list[Array], run: Alone, white: float) -> None:
    """Replace the images `(H, W, 3)` or `(H, W)` of a run's samples by what its transform makes of them."""
    rows = run.rows.tolist()
    for row in rows:
        current[row] = _dense(current[row])
    waiting = _together(current, run)
    for i in waiting:
        current[rows[i]] = run.transform.apply_array(current[rows[i]], run.params[i], white)


def _dense(image: Array) -> Array:
    """Return an image as transforms read it: contiguous, and writable, or torch warns."""
    return np.ascontiguousarray(image) if image.flags.writeable else np.array(image)


def _together(current: list[Array], run: Alone) -> list[int]:
    """Render small images of bytes of one shape at once, where there is a way; returns the positions of all others."""
    groups, others = defaultdict(list), []
    for i, row in enumerate(run.rows.tolist()):
        image = current[row]
        small = image.dtype == np.uint8 and image.shape[0] * image.shape[1] <= SMALL
        groups[image.shape if small else None].append(i)
    for shape, members in groups.items():
        done = None
        if shape is not None and len(members) > 1:
            stacked = np.stack([current[run.rows[i]] for i in members])
            done = run.transform.apply_levels(stacked, run.params[members])
        if done is None:
            others += members
            continue
        for i, image in zip(members, done, strict=True):
            current[run.rows[i]] = image
    return others
