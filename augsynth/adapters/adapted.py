"""`Adapted`: a pipeline that was made from another library's, and knows what became of each of its transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from augsynth.adapters.conventions import AdaptedTargets, Conventions, as_tensors
from augsynth.adapters.foreign import opened, sealed
from augsynth.batch import Path, find_image, is_image
from augsynth.finding import Keys, Rules, find_entries
from augsynth.pipeline import Pipeline
from augsynth.rng import IntLike
from augsynth.targets import Targets
from augsynth.transforms.base import Transform

if TYPE_CHECKING:
    from augsynth.adapters.comparison import Comparison

Part = tuple[str, Transform]


@dataclass(frozen=True)
class Step:
    """What became of one transform: name in the pipeline, source (its class), kind, and a note or reason.

    kind: fused (a transform of this library), barrier, output (the output stage) or nothing (it has no work here).
    """

    name: str
    source: str
    kind: str
    note: str = ""


@dataclass(frozen=True)
class Pair:
    """A transform of the other library, what it became, and what it is given there: see `Foreign`.

    comparable: it is given images, and not what Normalize has made of them.
    """

    name: str
    theirs: Any
    ours: Transform
    takes: str
    dtype: str | None = None
    comparable: bool = True


class Sealed:
    """Something that is pickled apart, so that a worker neither unpickles it nor imports its library without need."""

    def __init__(self, value: Any = None, payload: bytes | None = None) -> None:
        self._value, self._payload = value, payload

    def __reduce__(self) -> tuple[Any, ...]:
        if self._payload is None and self._value is not None:
            try:
                return Sealed, (None, sealed(self._value, "the original"))
            except TypeError:
                return Sealed, (None, b"")  # it cannot be pickled, and only a comparison would miss it
        return Sealed, (None, self._payload)

    @property
    def value(self) -> Any:
        """What was sealed; None where it could not be pickled."""
        if self._value is None and self._payload:
            self._value = opened(self._payload)
        return self._value


@dataclass(frozen=True)
class Origin:
    """Where an adapted pipeline comes from: the library's name, the original and its pairs, sealed, and the steps."""

    library: str = ""
    steps: tuple[Step, ...] = ()
    original: Sealed = field(default_factory=Sealed, compare=False)
    pairs: Sealed = field(default_factory=Sealed, compare=False)


@dataclass(frozen=True, eq=False)
class Adapted(Pipeline):
    """A pipeline made from one of another library; it takes samples in that library's way too.

    `pipeline(image, target)` is `pipeline((image, target))`, and `pipeline(image=image, mask=mask)` a call with a dict.
    origin: what it was made from. conventions: how targets are read and results given back.
    """

    origin: Origin = field(default_factory=Origin)
    conventions: Conventions = field(default_factory=Conventions)

    unwritten: ClassVar[tuple[str, ...]] = ("origin",)

    def _fields(self) -> tuple[Any, ...]:
        return *super()._fields(), self.conventions

    def __call__(
        self,
        data: Any = None,
        *more: Any,
        index: IntLike | None = None,
        epoch: IntLike = 0,
        occurrence: IntLike = 0,
        strength: float | torch.Tensor = 1.0,
        key: int | str | None = None,
        keys: Keys | None = None,
        **entries: Any,
    ) -> Any:
        if (data is None) == (not entries):
            raise TypeError("give a sample, or its entries by name, such as image=image; not both and not nothing")
        sample = entries if data is None else (data, *more) if more else data
        return super().__call__(
            sample, index=index, epoch=epoch, occurrence=occurrence, strength=strength, key=key, keys=keys
        )

    def _pictures(self, data: Any, *arguments: Any) -> Any:
        result = super()._pictures(data, *arguments)
        if not self.conventions.tensor:
            return result
        key, keys = arguments[2], arguments[3]
        key = (self.rules if keys is None else replace(self.rules, keys=keys)).image if key is None else key
        if isinstance(result, list) and all(is_image(one) or isinstance(one, (tuple, Mapping)) for one in result):
            return [as_tensors(one, find_image(one, key)) for one in result]
        return as_tensors(result, find_image(result, key))

    def find_targets(
        self,
        samples: Sequence[Any],
        paths: Sequence[Path],
        index: Sequence[int],
        rules: Rules | None = None,
        count: int | None = None,
    ) -> Targets | None:
        if not (self.plan.moves or self.conventions.changes_masks):
            return None
        rules = self.rules if rules is None else rules
        entries = find_entries(samples, paths, rules, index, count)
        return AdaptedTargets(entries, rules, self.plan, self.conventions) if entries else None

    def explain(self) -> str:
        """Say what runs in which pass, which transforms are barriers and why, and what else changed."""
        lines = [super().explain()]
        for step in self.origin.steps:
            if step.kind == "barrier" or step.note:
                what = f"barrier[{step.name}]" if step.kind == "barrier" else step.name
                lines.append(f"  {what}: {step.source}: {step.note}")
        return "\n".join(lines)

    def compare(self, image: Any, samples: int = 32) -> Comparison:
        """Run the original and this pipeline on one image: differences per transform, and the time of both.

        samples: draws of each random transform, and timed calls of each pipeline, at least 2.
        Raises ValueError for a pipeline whose original could not be pickled with it.
        """
        from augsynth.adapters.comparison import compare

        return compare(self, image, samples)


def adapt(parts: Sequence[Part], origin: Origin, conventions: Conventions, arguments: Mapping[str, Any]) -> Adapted:
    """Build the pipeline of converted parts. Raises TypeError for an argument that `Pipeline` does not have."""
    known = {item.name for item in fields(Pipeline) if item.init} - {"transforms"}
    for name in arguments:
        if name not in known:
            raise TypeError(f"{name!r} is not an argument of Pipeline; it takes {', '.join(sorted(known))}")
    return Adapted(by_name(parts), origin=origin, conventions=conventions, **arguments)


def by_name(parts: Sequence[Part]) -> dict[str, Transform]:
    """Name transforms, repeats numbered."""
    result: dict[str, Transform] = {}
    for base, transform in parts:
        name, count = base, 1
        while name in result:
            count += 1
            name = f"{base}_{count}"
        result[name] = transform
    return result
