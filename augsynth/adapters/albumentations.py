"""From albumentations' compositions to a pipeline: ranges and codes are read, conversions become its output."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from augsynth.adapters.adapted import Adapted, Origin, Pair, Part, Sealed, Step, adapt, by_name
from augsynth.adapters.bookkeeping import read_targets
from augsynth.adapters.conventions import Conventions
from augsynth.adapters.equivalents import equivalent, keeps_size, note_of
from augsynth.adapters.foreign import Foreign
from augsynth.adapters.leaves import SomeInOrder
from augsynth.adapters.parts import check_callable, choice, joined, label_of, mask_fill
from augsynth.adapters.range import WHITE, ValueRange
from augsynth.transforms.base import Distortion, Geometric, Transform, snake
from augsynth.transforms.color import Normalize
from augsynth.transforms.combine import RandomApply, SomeOf
from augsynth.transforms.geometry import RandomHorizontalFlip

_REFUSED = {
    "ToTensor3D": "works on volumes, and a pipeline on images",
    "ToRGB": "changes the number of channels; convert images in the dataset",
    "TimeReverse": "works on spectrograms, and a pipeline on images",
}


def from_albumentations(transform: Any, seed: int = 0, **arguments: Any) -> Adapted:
    """Make a pipeline of albumentations transforms: a Compose, any other composition or transform, or a list.

    arguments: of `Pipeline`. bbox_params and keypoint_params give its box_format, min_area, min_visibility and
    label_keys; keypoints are pixel indices, as there. A resize filters only where INTER_AREA says so, as there.
    Raises TypeError or ValueError, naming the transform, for what can neither be converted nor be a barrier.
    """
    walk = _Walk(_library())
    parts, dtype = walk.values.finish(walk.top(transform))
    conventions = Conventions(tensor=walk.tensor, transpose_mask=walk.transpose_mask)
    more, conventions, found = read_targets(transform, conventions)
    fill, notes = mask_fill(walk.mask_fills)
    if dtype is not None:
        found["dtype"] = dtype
    origin = Origin("albumentations", (*walk.steps, *notes), Sealed(transform), Sealed(tuple(walk.pairs)))
    return adapt([*more, *parts], origin, conventions, {"seed": seed, **fill, **found, **arguments})


def _library() -> Any:
    """Import albumentations, which then asks no server for its newest version."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations


def _is_theirs(one: Any) -> bool:
    """Tell an instance of albumentations' own classes; a user's subclass is none, for it may do anything."""
    return type(one).__module__.startswith("albumentations.")


class _Walk:
    """The conversion of one composition, from its first transform to its last."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.values = ValueRange("albumentations")
        self.steps: list[Step] = []
        self.pairs: list[Pair] = []
        self.mask_fills: set[int] = set()
        self.tensor = self.transpose_mask = False

    def top(self, one: Any) -> list[Part]:
        """Convert what stands outside all choices, where conversions may stand."""
        name = type(one).__name__
        if isinstance(one, (list, tuple)):
            return [part for child in one for part in self.top(child)]
        if name in _SEQUENCES and _is_theirs(one) and one.p >= 1:
            return [part for child in one.transforms for part in self.top(child)]
        if isinstance(one, Normalize):
            self.values.normalized(one.mean, one.std, name)
            return []
        if name not in _CONVERSIONS or not _is_theirs(one):
            return self.inner(one)
        if one.p < 1:
            raise ValueError(f"from_albumentations: {name} with p={one.p}; convert all images or none")
        _CONVERSIONS[name](self, one)
        self.steps.append(Step(snake(name), name, "output"))
        return []

    def inner(self, one: Any, forced: bool = False) -> list[Part]:
        """Convert to the parts that take its place; forced: it was chosen, and its own probability is set aside."""
        name = type(one).__name__
        if isinstance(one, Transform):
            return [self._pair(name, one, one, Step(snake(name), name, "fused"))]
        if not isinstance(one, (self.library.BasicTransform, self.library.BaseCompose)):
            check_callable(one, "from_albumentations")
            raise TypeError(f"from_albumentations: {label_of(one)} is your own; put it into A.Lambda(image=...)")
        if one.p <= 0:
            return []
        if _is_theirs(one):
            if name in _COMPOSITIONS:
                return _COMPOSITIONS[name](self, one, forced)
            if name == "NoOp":
                self.steps.append(Step("no_op", name, "nothing"))
                return []
            if name in _CONVERSIONS:
                raise ValueError(f"from_albumentations: {name} stands inside a choice; convert all images or none")
            if name in _REFUSED:
                raise TypeError(f"from_albumentations: {name} {_REFUSED[name]}")
        return self._leaf(one, name, 1.0 if forced else float(one.p))

    def _leaf(self, one: Any, name: str, p: float) -> list[Part]:
        if not _is_theirs(one) or name in ("Lambda", "SelectiveChannelTransform"):
            return [self._barrier(one, p, "it is your own" if name != "SelectiveChannelTransform" else "by channels")]
        placed = self._placed(one, p)
        try:
            ours = equivalent(placed)
        except ValueError as error:
            return [self._barrier(one, p, str(error))]
        if not isinstance(ours, (Geometric, Distortion)):
            self._check_place(name)
        if not ours.gated and p < 1:
            ours = RandomApply({"it": ours}, p)
        fill = getattr(one, "fill_mask", None)
        if isinstance(fill, (int, float)) and fill == int(fill) and fill >= 0:
            self.mask_fills.add(int(fill))
        return [self._pair(name, one, ours, Step(snake(name), name, "fused", note_of(one)))]

    def _placed(self, one: Any, p: float) -> Any:
        """Return a copy to be read, with the probability and a fill in the input's image space."""
        placed = copy.copy(one)
        placed.p = p
        if isinstance(getattr(one, "fill", None), (int, float, list, tuple)):
            placed.fill = self.values.image_space(one.fill, type(one).__name__)
        return placed

    def _check_place(self, source: str) -> None:
        if self.values.normalize is not None:
            raise ValueError(
                f"from_albumentations: {source} stands after Normalize, which a pipeline renders last; put it before"
            )

    def _barrier(self, one: Any, p: float, reason: str) -> Part:
        name = type(one).__name__
        self._check_place(name)
        inner = getattr(one, "transforms", [one])
        needed = {key for part in inner for key in getattr(part, "targets_as_params", ())} - {"image"}
        if needed:
            raise TypeError(
                f"from_albumentations: {name} draws with an eye on {', '.join(sorted(needed))}, which a barrier is "
                "not given; apply it in the dataset, before the pipeline"
            )
        if not all(map(keeps_size, inner)):
            raise ValueError(
                f"from_albumentations: {name}: {reason}. It cannot be a barrier either, because it changes the size of "
                "an image: change this argument, or apply it in the dataset, before the pipeline"
            )
        moves = not all(isinstance(part, self.library.ImageOnlyTransform) for part in inner)
        # A copy, because a barrier sets the generators of what it runs.
        ours = Foreign(copy.deepcopy(one), name, "albumentations", self.values.name, moves, p)
        return self._pair(name, one, ours, Step(snake(name), name, "barrier", reason))

    def _pair(self, name: str, one: Any, ours: Transform, step: Step) -> Part:
        self.steps.append(step)
        self.pairs.append(
            Pair(snake(name), one, ours, "albumentations", self.values.name, self.values.normalize is None)
        )
        return snake(name), ours

    def sequence(self, one: Any, forced: bool) -> list[Part]:
        parts = [part for child in one.transforms for part in self.inner(child)]
        if not parts or forced or one.p >= 1:
            return parts
        return [("sequential", RandomApply(by_name(parts), float(one.p)))]

    def one_of(self, one: Any, forced: bool) -> list[Part]:
        options = [self.inner(child, True) for child in one.transforms]
        return choice("one_of", options, one.transforms_ps, 1.0 if forced else float(one.p))

    def one_or_other(self, one: Any, forced: bool) -> list[Part]:
        options = [self.inner(one.transforms[i], True) for i in (0, -1)]
        return choice("one_or_other", options, [one.p, 1 - one.p])

    def some_of(self, one: Any, forced: bool) -> list[Part]:
        ordered = type(one).__name__ == "SomeOf"
        options = [self.inner(child) for child in one.transforms]
        name, p = snake(type(one).__name__), float(one.p)
        if one.replace:
            if ordered and one.n > 1:
                self.steps.append(Step(name, "SomeOf", "fused", "replace=True: repeats come in random order here"))
            parts = choice("draw", options, [1.0] * len(options)) * one.n
            return [(name, RandomApply(by_name(parts), p))] if parts else []
        if not any(options):
            return []
        idle = RandomHorizontalFlip(p=0.0)
        chosen = by_name([joined(parts) if parts else ("nothing", idle) for parts in options])
        return [(name, (SomeInOrder if ordered else SomeOf)(chosen, one.n, p))]

    def to_float(self, one: Any) -> None:
        if one.max_value not in (None, WHITE, 1.0):
            raise ValueError(f"from_albumentations: ToFloat with max_value={one.max_value}; images come as uint8 here")
        if one.max_value != 1.0:
            self.values.convert(torch.float32, True, "ToFloat")

    def from_float(self, one: Any) -> None:
        if one.dtype != "uint8" or one.max_value not in (None, WHITE):
            raise ValueError(f"from_albumentations: FromFloat to {one.dtype}; a pipeline makes uint8 of 0 to 255")
        self.values.convert(torch.uint8, True, "FromFloat")

    def normalize(self, one: Any) -> None:
        if one.normalization != "standard":
            raise ValueError(
                f"from_albumentations: Normalize with normalization={one.normalization!r} depends on each image; "
                "apply it to the pipeline's output"
            )
        values, most = self.values, float(one.max_pixel_value or WHITE)
        mean, std = (_numbers(v, default) for v, default in ((one.mean, 0.0), (one.std, 1.0)))
        if values.high is None:
            # A mean that is not of [0, 1] says that the images are not either.
            values.high = 1.0 if most == 1.0 and max(mean) <= 1 else WHITE
        values.dtype = torch.float32
        values.normalized([v * most for v in mean], [v * most for v in std], "Normalize")

    def to_tensor(self, one: Any) -> None:
        self.tensor, self.transpose_mask = True, bool(one.transpose_mask)


def _numbers(value: Any, default: float) -> list[float]:
    value = default if value is None else value
    return [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]


_CONVERSIONS: dict[str, Callable[[_Walk, Any], None]] = {
    "ToFloat": _Walk.to_float,
    "FromFloat": _Walk.from_float,
    "Normalize": _Walk.normalize,
    "ToTensorV2": _Walk.to_tensor,
}
_SEQUENCES = ("Compose", "Sequential", "ReplayCompose")
_COMPOSITIONS: dict[str, Callable[[_Walk, Any, bool], list[Part]]] = {
    **dict.fromkeys(_SEQUENCES, _Walk.sequence),
    "OneOf": _Walk.one_of,
    "OneOrOther": _Walk.one_or_other,
    "SomeOf": _Walk.some_of,
    "RandomOrder": _Walk.some_of,
}
