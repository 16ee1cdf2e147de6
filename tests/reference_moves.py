"""Float64 formulas of one family; merged by `tests/reference.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference_steps import ColorStep, Step

STEPS: dict[str, Step] = {}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {}
