"""Steps that both conversions share: naming, and choices among converted parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from augsynth.adapters.adapted import Part, Step, by_name
from augsynth.transforms.combine import OneOf, RandomApply


def label_of(value: Any) -> str:
    """Name a transform for people: a function by its own name, anything else by its class."""
    value = getattr(value, "func", value) if type(value).__name__ == "partial" else value
    return str(getattr(value, "__name__", type(value).__name__))


def check_callable(value: Any, owner: str) -> None:
    """Raise TypeError for what can be no transform, saying what it is and what to give."""
    if isinstance(value, type):
        raise TypeError(f"{owner}: got the class {value.__name__}; give an instance, such as {value.__name__}(...)")
    if not callable(value):
        raise TypeError(f"{owner}: got {value!r} of type {type(value).__name__}, which is no transform")
    library = type(value).__module__.partition(".")[0]
    if library in ("albumentations", "torchvision") and owner != f"from_{library}":
        raise TypeError(f"{owner}: got {library}'s {type(value).__name__}; convert it by augsynth.from_{library}(...)")


def mask_fill(fills: set[int]) -> tuple[dict[str, Any], list[Step]]:
    """Return the pipeline's argument for what masks are filled with, or a note where transforms disagree."""
    if len(fills) < 2:
        return {"mask_fill": min(fills)} if fills else {}, []
    note = f"filled with {' and '.join(map(str, sorted(fills)))} by different transforms there, with mask_fill=0 here"
    return {}, [Step("masks", "fill", "nothing", note)]


def joined(parts: Sequence[Part]) -> Part:
    """Make one part of several that follow each other."""
    return parts[0] if len(parts) == 1 else ("compose", RandomApply(by_name(parts), p=1.0))


def choice(name: str, options: Sequence[Sequence[Part]], weights: Sequence[float], p: float = 1.0) -> list[Part]:
    """Choose one of several options by weight, with probability p; an option without parts does nothing."""
    total = float(sum(weights))
    some = [(joined(parts), float(w)) for parts, w in zip(options, weights, strict=True) if parts and w > 0]
    share = sum(w for _, w in some)
    if not share:
        return []
    chosen = by_name([part for part, _ in some])
    # Weights that are all alike are left out, so that the same choice written by hand is equal.
    odds = None if len({w for _, w in some}) == 1 else tuple(w / share for _, w in some)
    return [(name, OneOf(chosen, p * share / total if share < total else p, odds))]
