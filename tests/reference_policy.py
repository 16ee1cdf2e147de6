"""Float64 formulas of the automatic policies; merged by `tests/reference.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from reference_steps import ColorStep, Step


def _place_move(t, params, size):
    """Where an output point comes from, one operation at a time: shears keep the top left corner, turns the middle."""
    slope_x, slope_y, right, down, degrees = params
    h, w = size
    if degrees:
        turn = math.radians(degrees)
        matrix = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
        matrix[:2, 2] = np.array([w / 2, h / 2]) - matrix[:2, :2] @ [w / 2, h / 2]
        return matrix, size
    return [[1, slope_x, -right], [slope_y, 1, -down], [0, 0, 1]], size


def _border_of_move(t, params, size):
    entries = t.fill if isinstance(t.fill, tuple) else (t.fill or 0.0,)
    return (("constant", tuple(map(float, entries))) if np.any(params) else None), False


def chains_of(mixture, params):
    """Return the image's weight, and each chain as (weight, [(transform, parameters), ...])."""
    weights, ops, numbers = mixture.chains(params[None])
    leaves = list(mixture.leaves().values())
    chains = []
    for weight, codes, rows in zip(weights[0, 1:], ops[0], numbers[0], strict=True):
        steps = [(leaves[code - 1], row) for code, row in zip(codes, rows, strict=True) if code]
        chains.append((weight, [(leaf, row[: leaf.params]) for leaf, row in steps]))
    return weights[0, 0], chains


STEPS: dict[str, Step] = {}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {"Move": _place_move}
BORDERS: dict[str, Callable[..., Any]] = {"Move": _border_of_move}
