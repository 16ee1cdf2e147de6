"""What is known of every transform without drawing it: its family, what it does, how it runs, what follows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from augsynth import transforms as T
from augsynth.adapters.names import origin
from augsynth.gallery.entries import transform
from augsynth.pipeline import Pipeline

# The title of each file of transforms, in the order of the gallery; files of one title stand together.
TITLES = {
    "geometry": "Geometry",
    "turns": "Geometry",
    "crop": "Crops and sizes",
    "resize": "Crops and sizes",
    "boxcrop": "Crops around boxes",
    "distort": "Distortions",
    "color": "Colour",
    "channels": "Colour",
    "tone": "Tone",
    "blur": "Filters",
    "sharpen": "Filters",
    "jpeg": "Filters",
    "noise": "Noise",
    "erase": "Erasing",
    "weather": "Weather and light",
    "mix": "Mixing",
    "policy": "Policies",
    "combine": "Combinations",
}
# The files whose transforms mix a sample with others of its batch, and show nothing on one that is alone.
NEED_PARTNERS = ("mix",)
FOLLOW, STAY, REFUSE, PARTS = "follow", "stay", "refused", "as its parts"


@dataclass(frozen=True)
class Facts:
    """What the tables say of a transform.

    summary: the first sentence of its docstring. runs: the words of `Pipeline.explain` for its passes. targets: whether
    masks, boxes and keypoints follow, stay where they are, or are refused. origin: whose name and arguments it has.
    """

    name: str
    family: str
    summary: str
    runs: tuple[str, ...]
    targets: str
    origin: str


def file_of(name: str) -> str:
    """Return the family file that lists a transform of the registry, "" where no file of `TITLES` does."""
    found = (file for file in TITLES if name in getattr(getattr(T, file, None), "__all__", ()))
    return next(found, "")


def families() -> dict[str, list[str]]:
    """Return the names of all transforms by title, in the order of `TITLES`."""
    result: dict[str, list[str]] = {title: [] for title in TITLES.values()}
    for name, kind in T.REGISTRY.items():
        # A family without a title is a failed test; a user sees it under the name of its file.
        title = TITLES.get(file_of(name), kind.__module__.rpartition(".")[2].capitalize())
        result.setdefault(title, []).append(name)
    return {title: names for title, names in result.items() if names}


@cache
def catalogue() -> tuple[Facts, ...]:
    """Return the facts of all transforms, family by family."""
    return tuple(facts(name, title) for title, names in families().items() for name in names)


def facts(name: str, family: str) -> Facts:
    """Return what is known of one transform of the registry."""
    shown = transform(name, 256)
    parts = hasattr(shown, "transforms")
    runs = ("its parts",) if parts else _words(shown)
    targets = PARTS if parts else follow(Pipeline([shown]))
    return Facts(name, family, summary(T.REGISTRY[name]), runs, targets, origin(name))


def _words(shown: T.Transform) -> tuple[str, ...]:
    plan = Pipeline([shown]).plan
    words = (getattr(leaf.transform, "word", "apply") for leaf in plan.leaves)
    return tuple(dict.fromkeys(words)) or ("output",)


def follow(pipeline: Pipeline) -> str:
    """Tell whether masks, boxes and keypoints follow a pipeline, stay where they are, or are refused."""
    sample = {"image": np.zeros((8, 8, 3), np.uint8), "mask": np.zeros((8, 8), np.uint8)}
    try:
        found = pipeline.find_targets([sample], ["image"], [0])
    except TypeError:
        return REFUSE
    return STAY if found is None else FOLLOW


def summary(kind: type[T.Transform]) -> str:
    """Return the first sentence of a docstring on one line, without what it says of `p` and of other classes."""
    text = " ".join((kind.__doc__ or "").split())
    first = re.split(r"\.(?=\s|$)", text)[0]
    return re.sub(r",? (each )?(with|and) probability p\b|; see `\w+`", "", first)


def signature(kind: type[T.Transform]) -> list[tuple[str, str | None]]:
    """Return each argument with its default as code, None where it has none."""
    entries = fields(kind)  # type: ignore[arg-type]  # the base is a plain class
    return [(entry.name, None if entry.default is MISSING else code(entry.default)) for entry in entries]


def changed(shown: T.Transform) -> str:
    """Return the call that makes a transform, as code: the arguments that differ from their defaults."""
    values = ((entry, getattr(shown, entry.name)) for entry in fields(shown))  # type: ignore[arg-type]
    given = [f"{e.name}={code(v)}" for e, v in values if e.default is MISSING or v != e.default]
    return f"{type(shown).__name__}({', '.join(given)})"


def code(value: Any) -> str:
    """Write an argument as code, transforms as the calls that made them, floats with at most three digits."""
    if isinstance(value, T.Transform):
        return changed(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {code(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        inner = ", ".join(code(entry) for entry in value)
        if any(isinstance(entry, T.Transform) for entry in value):
            return f"[{inner}]"
        return f"({inner}{',' if len(value) == 1 else ''})"
    return f"{value:.3g}" if isinstance(value, float) else repr(value)
