"""From a pipeline to torchvision's transforms v2, where both do exactly the same."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import torch

from augsynth.adapters.foreign import Foreign
from augsynth.adapters.leaving import Failure, Unequal, check_alike, refuse, titled
from augsynth.adapters.torchvision import part_of
from augsynth.pipeline import Pipeline
from augsynth.transforms.base import Geometric, Transform
from augsynth.transforms.color import Normalize
from augsynth.transforms.combine import OneOf, RandomApply, RandomOrder
from augsynth.transforms.mix import Mix


def to_torchvision(pipeline: Pipeline) -> Any:
    """Return a torchvision.transforms.v2.Compose: see `Pipeline.to_torchvision`."""
    from torchvision.transforms import v2

    failures: list[Failure] = []
    steps: list[Any] = []
    for name, transform in pipeline.transforms.items():
        if not isinstance(transform, Normalize):
            steps.append(_tried(name, transform, failures))
    refuse("torchvision", pipeline, failures)
    return v2.Compose([*steps, *_output(pipeline)] or [v2.Identity()])


def _output(pipeline: Pipeline) -> list[Any]:
    """Return the conversions at the end, where torchvision needs tensors."""
    from torchvision.transforms import v2

    normalize, dtype = pipeline.plan.normalize, pipeline.dtype
    if normalize is None:
        return [] if dtype is None else [v2.ToImage(), v2.ToDtype(dtype, scale=True)]
    stage = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(normalize.mean, normalize.std)]
    return stage if dtype in (None, torch.float32) else [*stage, v2.ToDtype(dtype, scale=True)]


def _tried(name: str, transform: Transform, failures: list[Failure]) -> Any:
    """Convert one transform, or note why it cannot be."""
    parts = transform.parts()
    if isinstance(transform, (OneOf, RandomApply, RandomOrder)):
        before = len(failures)
        inner = [_tried(f"{name}/{part}", child, failures) for part, child in parts.items()]
        return None if len(failures) > before else _combined(transform, inner)
    try:
        return _equal(transform)
    except Unequal as error:
        failures.append((titled(name, transform), str(error)))
        return None


def _combined(transform: Transform, inner: list[Any]) -> Any:
    from torchvision.transforms import v2

    if isinstance(transform, RandomOrder):
        return v2.RandomOrder(inner)
    if isinstance(transform, RandomApply):
        return v2.RandomApply(inner, transform.p)
    assert isinstance(transform, OneOf)
    weights = transform.weights or (1.0,) * len(inner)
    odds = [transform.p * weight / sum(weights) for weight in weights]
    if transform.p == 1:
        return v2.RandomChoice(inner, p=None if transform.weights is None else odds)
    return v2.RandomChoice([*inner, v2.Identity()], p=[*odds, 1 - transform.p])


def _equal(transform: Transform) -> Any:
    """Return the transform of the same name, if it comes back as the same. Raises Unequal."""
    from torchvision.transforms import v2

    name = type(transform).__name__
    if isinstance(transform, Foreign):
        raise Unequal("it is a function or a transform of another library, which runs as it is; put it in yourself")
    if isinstance(transform, Mix):
        raise Unequal("it mixes the samples of a batch, and torchvision's does so with one draw for all of them")
    kind = getattr(v2, name, None)
    if not isinstance(kind, type) or not type(transform).__module__.startswith("augsynth.transforms."):
        raise Unequal(f"torchvision has no {name}")
    try:
        theirs = kind(**_arguments(transform, kind))
        (_, back), note = part_of(theirs)
    except (ValueError, TypeError) as error:
        raise Unequal(f"torchvision: {error}") from None
    if isinstance(back, Foreign):
        raise Unequal(f"torchvision's is another: {note}")
    check_alike(transform, back, "torchvision")
    return theirs


def _arguments(transform: Transform, kind: type) -> dict[str, Any]:
    """Return the arguments as torchvision takes them."""
    from torchvision.transforms import AutoAugmentPolicy, InterpolationMode

    known = inspect.signature(kind).parameters
    values = {}
    for item in fields(transform):  # type: ignore[arg-type]
        value = getattr(transform, item.name)
        if item.name not in known:
            raise Unequal(f"torchvision's has no argument {item.name}")
        if item.name == "interpolation":
            # Its other nearest neighbour takes the pixel before the centre where it resizes.
            exact = value == "nearest" and isinstance(transform, Geometric) and transform.resizes
            value = InterpolationMode("nearest-exact" if exact else value)
        if item.name == "policy":
            value = AutoAugmentPolicy(value)
        values[item.name] = list(value) if isinstance(value, tuple) else value
    return values
