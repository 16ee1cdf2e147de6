"""Float64 maps of turns, mirrors, safe rotations and perspectives; merged by `tests/reference.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from reference_steps import ColorStep, Step

STEPS: dict[str, Step] = {}
COLORS: dict[str, ColorStep] = {}


def _orbit(turns, mirrored, size):
    """Return the map of a mirror of top and bottom, if any, before quarter turns counter-clockwise; and the new size.

    Built from the moves themselves, one quarter turn after the other.
    """
    h, w = size
    matrix = np.array([[1.0, 0, 0], [0, -1, h], [0, 0, 1]]) if mirrored else np.eye(3)
    for _ in range(turns):
        # A quarter turn: the output's x runs down the input, its y runs from the right edge to the left.
        matrix = matrix @ np.array([[0.0, -1, w], [1, 0, 0], [0, 0, 1]])
        h, w = w, h
    return matrix, (h, w)


def _place_d4(t, params, size):
    # 4 and 6 are the mirrors in y and x, 5 and 7 those in the other and in the main diagonal.
    turns, mirrored = {4: (0, True), 7: (3, True), 6: (2, True), 5: (1, True)}.get(
        int(params[0]), (int(params[0]), False)
    )
    return _orbit(turns, mirrored, size)


def _place_safe(t, params, size):
    h, w = size
    angle = math.radians(params[0])
    forward = np.eye(3)
    forward[:2, :2] = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    forward = np.where(np.abs(forward) < 1e-12, 0.0, forward)
    wide = int(h * abs(forward[0, 1]) + w * abs(forward[0, 0]))
    tall = int(h * abs(forward[0, 0]) + w * abs(forward[0, 1]))
    to_middle = np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1]])
    back = np.array([[w / wide, 0, w / 2], [0, h / tall, h / 2], [0, 0, 1]])
    return np.linalg.inv(back @ forward @ to_middle), size


def _place_perspective(t, params, size):
    """Solve for the homography that takes the drawn corners to the image's own."""
    x0, y0 = max(size[1] - 1, 1), max(size[0] - 1, 1)
    rows, values = [], []
    for (x, y), (u, v) in zip(params.reshape(4, 2), [(0, 0), (x0, 0), (x0, y0), (0, y0)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    matrix = np.append(np.linalg.solve(np.array(rows, float), values), 1.0).reshape(3, 3)
    # A homography has no scale of its own: the third coordinate is above 0 where the picture is.
    return matrix * np.sign(matrix[2] @ [size[1] / 2, size[0] / 2, 1.0]), size


def _filled(transform, params, size):
    fill = transform.fill if isinstance(transform.fill, tuple) else (transform.fill,)
    return ("constant", tuple(map(float, fill))), False


PLACES: dict[str, Callable[..., Any]] = {
    "RandomRotate90": lambda t, params, size: _orbit(int(params[0]), False, size),
    "Transpose": lambda t, params, size: _orbit(3, True, size),
    "D4": _place_d4,
    "SafeRotate": _place_safe,
    "RandomPerspective": _place_perspective,
}
BORDERS = {"SafeRotate": _filled, "RandomPerspective": _filled}
