"""The compiled kernel (`augsynth/native/`), where there was a C compiler at installation."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _load() -> Any:
    try:
        return import_module("augsynth._native")
    except ImportError:
        return None


kernel: Any = _load()
