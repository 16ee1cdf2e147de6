"""The transforms. `REGISTRY` has those of images by name, as torchvision v2; `TEXTS` of strings, `TOKENS` of ids."""

from augsynth.transforms import (
    blur,
    boxcrop,
    channels,
    color,
    combine,
    contextual,
    crop,
    distort,
    erase,
    geometry,
    jpeg,
    letters,
    mix,
    noise,
    policy,
    resize,
    rewrites,
    sharpen,
    text,
    textmix,
    token_masks,
    tokens,
    tone,
    translation,
    turns,
    typos,
    weather,
)
from augsynth.transforms.base import Transform
from augsynth.transforms.blur import *  # noqa: F403
from augsynth.transforms.boxcrop import *  # noqa: F403
from augsynth.transforms.channels import *  # noqa: F403
from augsynth.transforms.color import *  # noqa: F403
from augsynth.transforms.combine import *  # noqa: F403
from augsynth.transforms.contextual import *  # noqa: F403
from augsynth.transforms.crop import *  # noqa: F403
from augsynth.transforms.distort import *  # noqa: F403
from augsynth.transforms.erase import *  # noqa: F403
from augsynth.transforms.geometry import *  # noqa: F403
from augsynth.transforms.jpeg import *  # noqa: F403
from augsynth.transforms.letters import *  # noqa: F403
from augsynth.transforms.mix import *  # noqa: F403
from augsynth.transforms.noise import *  # noqa: F403
from augsynth.transforms.policy import *  # noqa: F403
from augsynth.transforms.resize import *  # noqa: F403
from augsynth.transforms.rewrites import *  # noqa: F403
from augsynth.transforms.sharpen import *  # noqa: F403
from augsynth.transforms.text import *  # noqa: F403
from augsynth.transforms.textmix import *  # noqa: F403
from augsynth.transforms.token_masks import *  # noqa: F403
from augsynth.transforms.tokens import *  # noqa: F403
from augsynth.transforms.tone import *  # noqa: F403
from augsynth.transforms.translation import *  # noqa: F403
from augsynth.transforms.turns import *  # noqa: F403
from augsynth.transforms.typos import *  # noqa: F403
from augsynth.transforms.weather import *  # noqa: F403

_FAMILIES = (
    geometry,
    turns,
    crop,
    boxcrop,
    resize,
    distort,
    color,
    channels,
    tone,
    blur,
    sharpen,
    jpeg,
    noise,
    erase,
    weather,
    policy,
    combine,
    mix,
)
REGISTRY: dict[str, type[Transform]] = {name: getattr(family, name) for family in _FAMILIES for name in family.__all__}
_WRITTEN = (text, letters, typos, rewrites)
TEXTS: dict[str, type[Transform]] = {name: getattr(family, name) for family in _WRITTEN for name in family.__all__}
TOKENS: dict[str, type[Transform]] = {
    name: getattr(family, name) for family in (tokens, token_masks) for name in family.__all__
}

# These need a language model of the user's.
MODELLED: dict[str, type[Transform]] = {
    name: getattr(family, name) for family in (contextual, translation) for name in family.__all__
}

__all__ = [
    "MODELLED",
    "REGISTRY",
    "TEXTS",
    "TOKENS",
    "Transform",
    *REGISTRY,
    *TEXTS,
    *MODELLED,
    *TOKENS,
    *textmix.__all__,
]
