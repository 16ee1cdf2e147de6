"""The transforms, with torchvision v2's names and arguments; `REGISTRY` maps each public name to its class."""

from augsynth.transforms import color, combine, crop, erase, geometry
from augsynth.transforms.base import Transform
from augsynth.transforms.color import *  # noqa: F403
from augsynth.transforms.combine import *  # noqa: F403
from augsynth.transforms.crop import *  # noqa: F403
from augsynth.transforms.erase import *  # noqa: F403
from augsynth.transforms.geometry import *  # noqa: F403

_FAMILIES = (geometry, crop, color, erase, combine)
REGISTRY: dict[str, type[Transform]] = {name: getattr(family, name) for family in _FAMILIES for name in family.__all__}

__all__ = ["REGISTRY", "Transform", *REGISTRY]
