"""`Pair`: one transform of this library, and how to say the same in torchvision v2, albumentations and kornia."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Make = Callable[..., Any]
ALWAYS = 1.0  # every transform is timed at work: p=1


@dataclass(frozen=True)
class Pair:
    """How each library makes one transform out of the same arguments; kornia's gets its module first.

    What a library returns is a transform or a list of them. timed: the arguments when speed is measured. pinned:
    arguments that leave nothing to chance, for a comparison pixel by pixel; None where there are none.
    boxes: it needs boxes beside the image. varies: sizes differ between draws. normalized: it makes normalized floats.
    shared: libraries whose batched call draws once for all. filtered: albumentations with its filter for shrinking.
    note: what a reader should know of the comparison.
    """

    ours: Make
    torchvision: Make | None = None
    albumentations: Make | None = None
    kornia: Make | None = None
    timed: tuple[Any, ...] = ()
    pinned: tuple[Any, ...] | None = None
    boxes: bool = False
    varies: bool = False
    normalized: bool = False
    shared: tuple[str, ...] = ()
    filtered: Make | None = None
    note: str = ""


def mirrored(limits: tuple[float, float]) -> tuple[float, float]:
    """Return a range of angles for a library that turns the other way round."""
    return -limits[1], -limits[0]
