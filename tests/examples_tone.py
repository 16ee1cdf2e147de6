"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

EXAMPLES: dict[str, list[dict[str, Any]]] = {}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {}
RANGES: dict[str, Callable[..., None]] = {}
UNCHECKED: set[str] = set()  # fields of which any value is taken
