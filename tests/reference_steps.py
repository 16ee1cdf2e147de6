"""What a family adds to `tests/reference.py`: the float64 formula of each transform that is no plain resample.

A family's module `reference_<family>.py` has `STEPS` (transforms that render themselves), `COLORS` (colour matrices,
exact and linear) and `PLACES` (homographies, as in `tests/reference_geometry.py`), each by class name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def _one(transform: Any, params: np.ndarray) -> float:
    return 1.0


@dataclass(frozen=True)
class Step:
    """One transform that renders itself.

    apply: `(transform, params (P,), pixels (H, W, C) float64, white) -> (H, W, C)`, values from 0 to white; it rounds
    to whole levels first where the transform says so. error: what an engine may differ by, in 1/255 of the range, for
    each of "opencv uint8", "opencv float", "torch". gain: by how much an error from before can grow.
    """

    apply: Callable[[Any, np.ndarray, np.ndarray, float], np.ndarray]
    error: dict[str, float]
    gain: Callable[[Any, np.ndarray], float] = _one


@dataclass(frozen=True)
class ColorStep:
    """One colour step: `(transform, params, pixels, white) -> pixels`, in exact (clamped) and linear colour (not)."""

    exact: Callable[[Any, np.ndarray, np.ndarray, float], np.ndarray]
    linear: Callable[[Any, np.ndarray, np.ndarray, float], np.ndarray]
    gain: Callable[[Any, np.ndarray], float] = _one


SMALL = {"opencv uint8": 0.51, "opencv float": 0.01, "torch": 0.01}
EXACT = {"opencv uint8": 0.0, "opencv float": 1e-3, "torch": 1e-3}
