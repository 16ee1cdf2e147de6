"""augsynth: augmentation and synthetic samples for PyTorch training loops, with evidence whether they helped.

The public names below are loaded when first used: `import augsynth` loads torch and nothing heavier.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augsynth.batch import Batch
from augsynth.errors import AugsynthError, SampleError
from augsynth.rng import KeyedIndex, Rng

if TYPE_CHECKING:
    from augsynth import generators, presets, quality, transforms
    from augsynth.adapters.albumentations import from_albumentations
    from augsynth.adapters.nlpaug import from_nlpaug
    from augsynth.adapters.torchvision import from_torchvision
    from augsynth.data.collate import collate
    from augsynth.data.datasets import FolderDataset
    from augsynth.data.sampler import KeyedSampler, loader
    from augsynth.data.stream import AugmentedIterable
    from augsynth.data.synthetic import SyntheticDataset, balance, blend
    from augsynth.data.texts import CsvDataset
    from augsynth.data.wrap import AugmentedDataset, wrap
    from augsynth.exporting.export import export
    from augsynth.exporting.png import provenance_of
    from augsynth.lightning import callbacks
    from augsynth.lightning.data import AugmentedDataModule
    from augsynth.pipeline import Pipeline
    from augsynth.views import Views

__version__ = "0.1.0"

__all__ = [
    "AugmentedDataModule",
    "AugmentedDataset",
    "AugmentedIterable",
    "AugsynthError",
    "Batch",
    "CsvDataset",
    "FolderDataset",
    "KeyedIndex",
    "KeyedSampler",
    "Pipeline",
    "Rng",
    "SampleError",
    "SyntheticDataset",
    "Views",
    "__version__",
    "balance",
    "blend",
    "callbacks",
    "collate",
    "export",
    "from_albumentations",
    "from_nlpaug",
    "from_torchvision",
    "generators",
    "loader",
    "presets",
    "provenance_of",
    "quality",
    "transforms",
    "wrap",
]

# Public name -> the module that defines it.
_LAZY = {
    "AugmentedDataModule": "augsynth.lightning.data",
    "AugmentedDataset": "augsynth.data.wrap",
    "AugmentedIterable": "augsynth.data.stream",
    "CsvDataset": "augsynth.data.texts",
    "FolderDataset": "augsynth.data.datasets",
    "KeyedSampler": "augsynth.data.sampler",
    "Pipeline": "augsynth.pipeline",
    "SyntheticDataset": "augsynth.data.synthetic",
    "Views": "augsynth.views",
    "balance": "augsynth.data.synthetic",
    "blend": "augsynth.data.synthetic",
    "collate": "augsynth.data.collate",
    "export": "augsynth.exporting.export",
    "from_albumentations": "augsynth.adapters.albumentations",
    "from_nlpaug": "augsynth.adapters.nlpaug",
    "from_torchvision": "augsynth.adapters.torchvision",
    "loader": "augsynth.data.sampler",
    "provenance_of": "augsynth.exporting.png",
    "wrap": "augsynth.data.wrap",
}
# Public name -> the module it is.
_MODULES = {
    "callbacks": "augsynth.lightning.callbacks",
    "generators": "augsynth.generators",
    "presets": "augsynth.presets",
    "quality": "augsynth.quality",
    "transforms": "augsynth.transforms",
}

# conf/ stands beside the package and becomes augsynth.conf when installed; run from a bare checkout (PYTHONPATH),
# the package finds it by searching the checkout too.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "conf" / "__init__.py").is_file() and (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = import_module(_MODULES[name])
    elif name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module 'augsynth' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
