"""What the ways out to other libraries share: whether a transform comes back as it was, and what has no equal there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from augsynth.pipeline import Pipeline
from augsynth.transforms.base import Array, Color, Composite, Geometric, RowError, Tone, Transform, is_number
from augsynth.transforms.combine import Dealer, OneOf, RandomApply, SomeOf
from augsynth.transforms.crop import CenterCrop, RandomResizedCrop, Resize
from augsynth.transforms.geometry import RandomHorizontalFlip, RandomVerticalFlip
from augsynth.transforms.turns import D4, RandomRotate90, Transpose

Failure = tuple[str, str]  # what has no equal, and why
Move = tuple[str, Transform]  # what moves pixels, by name
_WHOLE = (RandomHorizontalFlip, RandomVerticalFlip, D4, RandomRotate90, Transpose)  # they lose no pixel and make none
_DEFAULTS = {"sampler_options": (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)}  # what None stands for
_PAINTS = ("fill", "value")  # what no draw shows
_DRAWS = 32
_SIZES = ((300, 260), (3000, 2600))  # the second for what does not fit into the first
_TOLERANCE = 1e-9


class Unequal(ValueError):
    """A transform has no exact equal in the other library; the message says why."""


def refuse(library: str, pipeline: Pipeline, failures: Sequence[Failure]) -> None:
    """Raise ValueError that lists what has no equal, the pipeline's settings among them, if there is anything."""
    failures = [*failures, *_settings(pipeline)]
    failed = {name.split("/")[0].split(" ")[0] for name, _ in failures}
    failures += [(name, reason) for first, name, reason in _fused(pipeline) if first not in failed]
    if failures:
        lines = "".join(f"\n  {name}: {reason}" for name, reason in failures)
        raise ValueError(
            f"to_{library}: {library} has no exact equal of what follows; take it out, or change it:{lines}"
        )


def titled(name: str, transform: Transform) -> str:
    """Name a transform by its place and its class."""
    return f"{name} ({type(transform).__name__})"


def _settings(pipeline: Pipeline) -> Iterator[Failure]:
    """Yield what a pipeline says beside its transforms that no other library does."""
    if pipeline.text_plan is not None or pipeline.token_plan is not None:
        yield "pipeline", "it edits texts, and the other library images"
    colors = [leaf for leaf in pipeline.plan.leaves if isinstance(leaf.transform, (Color, Tone))]
    if pipeline.color == "linear" and colors:
        yield (
            "color",
            "'linear' clamps once for all colour steps, and they do so after each; color='exact' has an equal",
        )
    if not pipeline.clamp:
        yield "clamp", "False lets colour leave the value range, and theirs does not"
    if pipeline.value_range != (0.0, 1.0):
        yield "value_range", f"{pipeline.value_range}; images of floats lie in [0, 1] there"


def _fused(pipeline: Pipeline) -> Iterator[tuple[str, str, str]]:
    """Yield neighbours that one resample here makes other pixels of than one after the other would."""
    run: list[Move] = []
    for name, transform in pipeline.transforms.items() if pipeline.fuse else ():
        moves = list(_moves(name, transform))
        pairs = [*((one, other) for one in run for other in moves), *_within(name, transform)]
        found = next((pair for pair in pairs if _clash(pair[0][1], pair[1][1])), None)
        if found is not None:
            one, other = (titled(*move) for move in found)
            yield (
                name,
                f"{one} and {other}",
                "they are one resample here and two there; Pipeline(..., fuse=False) renders step by step, and has one",
            )
            return
        # What is applied to some images only does not part its neighbours for the others.
        run = [] if _parts_runs(transform) else run + moves


def _moves(name: str, transform: Transform) -> Iterator[Move]:
    """Yield what moves pixels in a transform."""
    if isinstance(transform, Geometric):
        yield name, transform
    for part, child in transform.parts().items():
        yield from _moves(f"{name}/{part}", child)


def _within(name: str, transform: Transform) -> Iterator[tuple[Move, Move]]:
    """Yield the pairs of moves in a transform that can follow each other."""
    parts = [(f"{name}/{part}", child) for part, child in transform.parts().items()]
    for part in parts:
        yield from _within(*part)
    alone = isinstance(transform, OneOf) or (
        isinstance(transform, Composite) and transform.width([1] * len(parts)) == 1
    )
    for i, first in enumerate(parts if not alone else ()):
        later = parts[i + 1 :] if isinstance(transform, RandomApply) else parts
        for second in later:
            if second is not first or isinstance(transform, Dealer):
                yield from ((one, other) for one in _moves(*first) for other in _moves(*second))


def _parts_runs(transform: Transform) -> bool:
    """Tell whether a transform ends a resample for every image: it is applied always, and moves nothing."""
    if transform.p < 1:
        return False
    parts = transform.parts().values()
    if isinstance(transform, (OneOf, SomeOf)):
        return all(map(_parts_runs, parts))
    return any(map(_parts_runs, parts)) if parts else not isinstance(transform, Geometric)


def _clash(first: Transform, second: Transform) -> bool:
    """Tell whether the second of two moves samples or pads what the first has cut, padded or sampled."""
    pads = _pads(second) and not _is_covered(first, second)
    if isinstance(first, _WHOLE) or not (_samples(second) or pads):
        return False
    # A window of whole pixels that is cut out and then resized is one step just so.
    cut = not _samples(first) and not _pads(first)
    sliced = cut and isinstance(second, Geometric) and second.resizes and second.border is None
    return not sliced


def _is_covered(first: Transform, second: Transform) -> bool:
    """Tell whether a crop of the middle lies inside what a resize makes, so that nothing is padded."""
    if not isinstance(second, CenterCrop) or not isinstance(first, (Resize, RandomResizedCrop)):
        return False
    sides, wanted = (size if isinstance(size, tuple) else (size,) for size in (first.size, second.size))
    return getattr(first, "max_size", None) is None and min(sides) >= max(wanted)


def _samples(transform: Transform) -> bool:
    """Tell whether a transform can put a pixel between those there are."""
    return hasattr(transform, "interpolation")


def _pads(transform: Transform) -> bool:
    return isinstance(transform, Geometric) and transform.border is not None and not _samples(transform)


def check_alike(ours: Transform, back: Transform, library: str) -> None:
    """Raise Unequal where what a transform came back as draws or says something else."""
    single = isinstance(back, RandomApply) and not isinstance(ours, RandomApply) and len(back.parts()) == 1
    if single and isinstance(back, RandomApply):
        raise Unequal(f"{library} applies it with probability {back.p:g} only")
    if type(ours) is not type(back):
        raise Unequal(f"{library}'s comes back as {type(back).__name__}, and not as it was")
    for item in fields(ours):  # type: ignore[arg-type]
        one, other = getattr(ours, item.name), getattr(back, item.name)
        one = _DEFAULTS.get(item.name) if one is None else one
        if item.name == "transforms" or (item.name == "antialias" and getattr(ours, "interpolation", "") == "nearest"):
            continue  # parts are compared below; the nearest pixel is never filtered
        drawn = one is None and ours.draws > 0 and item.name not in _PAINTS
        if not drawn and not _alike(one, other):
            raise Unequal(f"{item.name}={one!r} would be {other!r} in {library}")
    if len(ours.parts()) != len(back.parts()):
        raise Unequal(f"{library}'s has other parts")
    parts = list(zip(ours.parts().values(), back.parts().values(), strict=True))
    for one, other in parts:
        check_alike(one, other, library)
    if not parts and ours != back and not _draw_alike(ours, back):
        raise Unequal(f"{library}'s draws other numbers")


def _alike(one: Any, other: Any) -> bool:
    """Compare two forms of an argument: a number d may be (d, d), (-d, d), (1 - d, 1 + d), (0, d) or (3, d)."""
    if one is other or one == other:
        return True
    if one is None or other is None:
        return _alike(0.0, other if one is None else one)
    if is_number(one) and is_number(other):
        return bool(abs(float(one) - float(other)) <= _TOLERANCE * max(1.0, abs(one)))
    if isinstance(one, Mapping) or isinstance(other, Mapping) or isinstance(one, str) or isinstance(other, str):
        return False
    if isinstance(one, tuple) and isinstance(other, tuple):
        short, long = sorted((one, other), key=len)
        short = short * 2 if (len(short), len(long)) == (2, 4) else short  # left and top, and all four sides
        return len(short) == len(long) and all(map(_alike, short, long))
    number, pair = (one, other) if is_number(one) else (other, one)
    if not is_number(number) or not isinstance(pair, tuple):
        return False
    forms = [(number,) * len(pair), (-number, number), (max(0.0, 1 - number), 1 + number), (0, number), (3, number)]
    return any(len(form) == len(pair) and all(map(_alike, form, pair)) for form in forms)


def _draw_alike(ours: Transform, back: Transform) -> bool:
    """Tell whether both draw the same parameters and move pixels to the same places."""
    for size in _SIZES:
        try:
            one, other = (_drawn(transform, size) for transform in (ours, back))
        except (RowError, ValueError):
            continue
        return all(a.shape == b.shape and np.allclose(a, b, atol=_TOLERANCE) for a, b in zip(one, other, strict=True))
    return False


def _drawn(transform: Transform, size: tuple[int, int]) -> list[Array]:
    """Return op codes, parameters and sizes of draws, and the homographies of what moves pixels."""
    program = Pipeline({"it": transform}).draw([size] * _DRAWS, index=range(_DRAWS))
    found = [program.ops, program.params, program.sizes]
    if isinstance(transform, Geometric) and program.ops.shape[1]:
        found.append(transform.matrix(program.params[:, 0, : transform.params], program.sizes[:, 0]))
    return found
