"""The Lightning that the user's Trainer is of: classes of `lightning.pytorch` are not those of `pytorch_lightning`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from augsynth.errors import AugsynthError

UNIFIED, SEPARATE = "lightning.pytorch", "pytorch_lightning"


def choose(loaded: Container[str], installed: Callable[[str], bool]) -> str:
    """Return which one to derive from: `lightning.pytorch` where it is loaded already, or is the only one installed.

    loaded: modules imported so far, where `pytorch_lightning` proves nothing, for our generators import it themselves.
    Raises: AugsynthError where there is neither.
    """
    if UNIFIED in loaded:
        return UNIFIED
    if SEPARATE in loaded or installed(SEPARATE):
        return SEPARATE
    if installed("lightning"):
        return UNIFIED
    raise AugsynthError(
        "neither pytorch_lightning nor lightning is installed, which augsynth.lightning needs: "
        "pip install pytorch-lightning"
    )


if TYPE_CHECKING:
    import pytorch_lightning as pl
else:
    pl = import_module(choose(sys.modules, lambda name: find_spec(name) is not None))

__all__ = ["choose", "pl"]
