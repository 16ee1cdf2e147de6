"""Generators: train one on your own data, then draw labelled samples that are marked as synthetic.

The names below are loaded when first used, because the classes bring pytorch_lightning and scikit-learn with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augsynth.generators.adapted import AdaptedGenerator, from_module
    from augsynth.generators.checkpoint import CheckpointError, load
    from augsynth.generators.filtering import Filtered
    from augsynth.generators.gan import ConditionalGAN
    from augsynth.generators.protocol import Generator
    from augsynth.generators.run import DivergenceError
    from augsynth.generators.smote import LatentSMOTE
    from augsynth.generators.training import fit
    from augsynth.generators.vae import ConditionalVAE

__all__ = [
    "AdaptedGenerator",
    "CheckpointError",
    "ConditionalGAN",
    "ConditionalVAE",
    "DivergenceError",
    "Filtered",
    "Generator",
    "LatentSMOTE",
    "fit",
    "from_module",
    "load",
]

_LAZY = {
    "AdaptedGenerator": "adapted",
    "CheckpointError": "checkpoint",
    "ConditionalGAN": "gan",
    "ConditionalVAE": "vae",
    "DivergenceError": "run",
    "Filtered": "filtering",
    "Generator": "protocol",
    "LatentSMOTE": "smote",
    "fit": "training",
    "from_module": "adapted",
    "load": "checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
