"""The original and the converted pipeline on one image: how far each transform agrees, and how long both take."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from augsynth.adapters.adapted import Adapted, Pair
from augsynth.adapters.foreign import Foreign, as_array, call, given_to, seeded
from augsynth.adapters.replay import replayed
from augsynth.images import Form, to_array
from augsynth.pipeline import Pipeline
from augsynth.rng import Rng
from augsynth.transforms.base import Array, Transform

_TRIES = 3  # draws that show whether a transform is random
Outputs = Sequence[Array]


@dataclass(frozen=True)
class Row:
    """One transform, all figures in 1/255 of the value range.

    how: same (the same parameters, or it draws none), draws (each its own draws) or not compared. largest, mean: of
    the difference, where how is same. theirs, ours: mean and standard deviation of all pixels of all draws.
    """

    name: str
    kind: str
    how: str
    largest: float | None = None
    mean: float | None = None
    theirs: tuple[float, float] | None = None
    ours: tuple[float, float] | None = None

    def cells(self) -> tuple[str, ...]:
        """Return what the table shows."""
        difference = ("", "") if self.largest is None else (f"{self.largest:.2f}", f"{self.mean:.3f}")
        spread = ["" if pair is None else f"{pair[0]:.1f} +- {pair[1]:.1f}" for pair in (self.theirs, self.ours)]
        return self.name, self.kind, self.how, *difference, *spread


@dataclass(frozen=True)
class Comparison:
    """What `Adapted.compare` found. Seconds are medians per image, measured in one run, alternating.

    original, alone: one call per image. batch: the converted pipeline on `samples` copies at once, as in `ag.wrap`.
    """

    rows: tuple[Row, ...]
    samples: int
    original: float
    alone: float
    batch: float

    @property
    def speedup(self) -> float:
        """How many times faster than the original the converted pipeline is, in batches."""
        return self.original / self.batch

    def __str__(self) -> str:
        head = ("transform", "as", "compared by", "largest", "mean", "theirs", "ours")
        table = [head, *(row.cells() for row in self.rows)]
        widths = [max(len(cells[i]) for cells in table) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip() for cells in table]
        times = (
            f"original {self.original * 1e3:.3f} ms per image; converted {self.alone * 1e3:.3f} ms alone "
            f"({self.original / self.alone:.2f}x), {self.batch * 1e3:.3f} ms in batches of {self.samples} "
            f"({self.speedup:.2f}x)"
        )
        return "\n".join([*lines, "Differences, means and deviations in 1/255.", times])


def compare(adapted: Adapted, image: Any, samples: int) -> Comparison:
    """Compare an adapted pipeline with its original: see `Adapted.compare`."""
    if samples < 2:
        raise ValueError(f"compare: samples={samples} is not valid; expected at least 2")
    original, pairs = adapted.origin.original.value, adapted.origin.pairs.value
    if original is None or pairs is None:
        raise ValueError("compare: this copy was pickled without its original, which cannot be; compare the first one")
    picture = _picture(image)
    rows = tuple(_row(pair, picture, samples) for pair in pairs)
    theirs = caller(adapted.origin.library, original)
    return Comparison(rows, samples, *_times(theirs, adapted, image, samples))


def _picture(image: Any) -> Array:
    """Return the user's image as an array `(H, W, 3)` or `(H, W)` of uint8."""
    array = to_array(image, Form.of(image, "the image to compare"))
    return array if array.dtype == np.uint8 else np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)


def caller(library: str, original: Any) -> Callable[[Any], Any]:
    """Return the original as a function of an image."""
    steps = [_imageonly(step) for step in (original if isinstance(original, (list, tuple)) else [original])]

    def through(image: Any) -> Any:
        for step in steps:
            image = step(image=image)["image"] if library == "albumentations" else step(image)
        return image

    return through


def _imageonly(step: Any) -> Any:
    """Return an albumentations Compose that asks for no boxes, keypoints or labels beside its image."""
    if not getattr(step, "processors", None):
        return step
    step = copy.copy(step)
    step.processors = {}
    return step


def _row(pair: Pair, picture: Array, samples: int) -> Row:
    if isinstance(pair.ours, Foreign):
        return Row(pair.name, "barrier", "runs as it is")
    if not pair.comparable:
        return Row(pair.name, "fused", "not compared: it follows Normalize")
    given = given_to(pair.takes, pair.dtype or "uint8", picture, 255.0)
    theirs, ours = _always(pair.theirs), _applied(pair.ours)
    pipeline = Pipeline({"it": ours}, dtype=torch.float32 if pair.dtype == "float32" else None)
    try:
        return _compared(replace(pair, theirs=theirs, ours=ours), pipeline, given, picture, samples)
    except Exception as error:
        return Row(pair.name, "fused", f"not compared: {type(error).__name__}: {str(error).splitlines()[0]}")


def _compared(pair: Pair, pipeline: Pipeline, given: Array, picture: Array, samples: int) -> Row:
    def mine(i: int) -> Array:
        return _in_levels(np.asarray(pipeline(picture, index=i)))

    def foreign(i: int) -> Array:
        seed = (7, i)
        with seeded(seed):
            return _in_levels(as_array(call(pair.theirs, pair.takes, given.copy(), seed), pair.name))

    again = replayed(pair, given)
    if again is not None:
        size = picture.shape[:2]
        drawn = [pipeline.draw([size], index=i).parameters(0) for i in range(samples)]
        return _same(
            pair.name, [_in_levels(as_array(again(d), pair.name)) for d in drawn], list(map(mine, range(samples)))
        )
    first = [foreign(i) for i in range(_TRIES)], [mine(i) for i in range(_TRIES)]
    if all(_equal(outputs) for outputs in first):
        return _same(pair.name, first[0][:1], first[1][:1])
    both = [foreign(i) for i in range(samples)], [mine(i) for i in range(samples)]
    theirs, ours = ((float(v.mean()), float(v.std())) for v in (np.concatenate([o.ravel() for o in b]) for b in both))
    return Row(pair.name, "fused", "draws", theirs=theirs, ours=ours)


def _same(name: str, theirs: Outputs, ours: Outputs) -> Row:
    for one, other in zip(theirs, ours, strict=True):
        if one.shape != other.shape:
            shapes = " and ".join("x".join(map(str, array.shape)) for array in (one, other))
            return Row(name, "fused", f"not compared: sizes {shapes}")
    apart = [np.abs(one - other) for one, other in zip(theirs, ours, strict=True)]
    return Row(name, "fused", "same", max(float(d.max()) for d in apart), float(np.mean([d.mean() for d in apart])))


def _equal(outputs: Outputs) -> bool:
    return all(one.shape == outputs[0].shape and np.array_equal(one, outputs[0]) for one in outputs)


def _in_levels(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype == np.uint8 else array.astype(np.float64) * 255


def _always(theirs: Any) -> Any:
    """Return a transform that is applied whatever its probability says."""
    if isinstance(getattr(theirs, "p", None), (int, float)):
        theirs = copy.copy(theirs)
        theirs.p = 1.0
    return theirs


def _applied(ours: Transform) -> Transform:
    return replace(ours, p=1.0) if ours.gated else ours  # type: ignore[type-var]


def _times(theirs: Callable[[Any], Any], adapted: Adapted, image: Any, samples: int) -> tuple[float, float, float]:
    """Return the median seconds per image of the original, of the converted pipeline, and of the latter in batches."""
    batch = [image] * samples
    calls: list[Callable[[int], Any]] = [
        lambda i: theirs(image),
        lambda i: adapted(image, index=i),
        lambda i: adapted.images(batch, Rng.of(adapted.seed, range(i * samples, (i + 1) * samples))),
    ]
    seconds: list[list[float]] = [[], [], []]
    for i in range(-2, samples):
        for call_, taken in zip(calls[: 3 if i < 8 else 2], seconds, strict=False):
            start = time.perf_counter()
            call_(i + 2)
            if i >= 0:
                taken.append(time.perf_counter() - start)
    original, alone, together = (float(np.median(taken)) for taken in seconds)
    return original, alone, together / samples
