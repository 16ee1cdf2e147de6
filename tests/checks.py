"""What the examples of all families share: values that arguments of a kind must refuse, and checks of ranges."""

from __future__ import annotations

import numpy as np

NAN = float("nan")
FACTOR = [-0.1, (1.5, 0.5), (-1.0, 1.0), "much", None, NAN, (1.0,)]
PROBABILITY = [-0.1, 1.1, NAN, None, "half"]
FILL = ["red", -1.0, (), NAN, (0.0, "x")]
ANGLE = [-5, (10, -10), "x", None, (1, 2, 3), NAN, True]
SIZE = [0, -3, 2.5, (3, 0), (1, 2, 3), "big", True]
CENTER = [(1.0,), (1.0, "x"), 5, "middle"]
INTERPOLATION = ["lanczos", 7, None, True]
SCALE = [(0.0, 1.0), (0.9, 0.1), (0.5, 1.1), 0.5, (0.5,), None]
RATIO = [(0.0, 1.0), (2.0, 1.0), 1.0, (1.0, NAN)]
PADDING = [-1, (1, 2, 3), 1.5, (1, -2), "x"]


def inside(low, value, high):
    assert np.all(low - 1e-9 <= value)
    assert np.all(value <= high + 1e-9)


def whole(values):
    assert np.array_equal(values, np.rint(values))
