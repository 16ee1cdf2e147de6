"""The compiled kernel (`augsynth/native/`), where there was a C compiler at installation."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def _load() -> Any:
    try:
        module = import_module("augsynth._native")
    except ImportError:
        return None
    # Beside a copy that is on the path, an editable installation elsewhere would lend its own.
    return module if Path(str(module.__file__)).parent == Path(__file__).parent else None


kernel: Any = _load()
