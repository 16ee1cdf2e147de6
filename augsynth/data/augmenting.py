"""Augment the samples of a list, all at once, images as tensors: what everything that `wrap` returns does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from augsynth.batch import Path, describe, find_image, get_image, set_image
from augsynth.data import parcel
from augsynth.data.collate import SampleList
from augsynth.errors import SampleError
from augsynth.finding import Keys, Rules, places_of
from augsynth.rng import KeyedIndex, Rng

if TYPE_CHECKING:
    from augsynth.targets import Targets


@dataclass(frozen=True, eq=False)
class Augmenter:
    """Augment lists of samples by a pipeline, and name the sample at fault where it cannot.

    key, keys: where the image, or what, stands in a sample; see `augsynth.wrap`.
    """

    pipeline: Any
    key: Path = None
    keys: Keys | None = None

    def __call__(
        self,
        samples: list[Any],
        rng: Rng,
        names: Sequence[Any],
        memory: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> SampleList:
        """Return the samples under the keys of `rng`. names: of the samples, for errors. memory: of the batch."""
        samples = self._write(samples, rng, names)
        if not getattr(self.pipeline, "pictures", True):
            return SampleList(samples, None, None, names)
        rules = self.pipeline.rules if self.keys is None else replace(self.pipeline.rules, keys=self.keys)
        path = self._path(samples[0], rules, names[0])
        with memory():
            images, targets = self._augment(samples, path, rng, names, rules)
        stacked = images if isinstance(images, torch.Tensor) else None
        parts = images if stacked is None else parcel.rows(stacked)
        rows = [set_image(sample, path, image) for sample, image in zip(samples, parts, strict=True)]
        if targets is not None:
            rows = [targets.put(i, row, True) for i, row in enumerate(rows)]
        return SampleList(rows, path, stacked, names, places_of(samples[0], path, rules))

    def _write(self, samples: list[Any], rng: Rng, names: Sequence[Any]) -> list[Any]:
        """Edit the samples' texts, where the pipeline does."""
        if getattr(self.pipeline, "text_plan", None) is None:
            return samples
        write = partial(self.pipeline.write, key=self.key, keys=self.keys)
        try:
            return list(write(samples, rng))
        except Exception:
            for row, name in enumerate(names):
                one = slice(row, row + 1)
                try:
                    write(samples[one], rng[one])
                except Exception as error:
                    fail(name, "augmented", error)
            raise

    def _path(self, sample: Any, rules: Rules, name: Any) -> Path:
        try:
            return find_image(sample, rules.image if self.key is None else self.key)
        except TypeError as error:
            raise TypeError(f"sample {_spoken(name)}: {error}") from None

    def _augment(
        self, samples: list[Any], path: Path, rng: Rng, names: Sequence[Any], rules: Rules
    ) -> tuple[Any, Targets | None]:
        try:
            images = [get_image(sample, path) for sample in samples]
        except TypeError:
            _check_images(samples, path, names)
            raise
        index = _numbers(names)
        targets = self.pipeline.find_targets(samples, [path] * len(samples), index, rules)
        try:
            return self._render(images, rng, targets), targets
        except Exception:
            for row, name in enumerate(names):
                one = slice(row, row + 1)
                try:
                    targets = self.pipeline.find_targets(samples[one], [path], index[one], rules)
                    self._render(images[one], rng[one], targets)
                except Exception as error:
                    fail(name, "augmented", error)
            raise

    def _render(self, images: list[Any], rng: Rng, targets: Targets | None) -> Any:
        # A pipeline of the user's own may not know of targets, and meets none then.
        return (
            self.pipeline.images(images, rng) if targets is None else self.pipeline.images(images, rng, targets=targets)
        )


def _numbers(names: Sequence[Any]) -> Sequence[int]:
    return [name if isinstance(name, int) else i for i, name in enumerate(names)]


def fail(name: Any, what: str, error: Exception) -> NoReturn:
    """Name the sample in whatever error arises."""
    raise SampleError(f"sample {_spoken(name)} could not be {what}: {reason(error)}") from error


def _spoken(name: Any) -> str:
    return str(int(name)) if isinstance(name, int) else repr(name)


def _check_images(samples: list[Any], path: Path, names: Sequence[Any]) -> None:
    """Raise a SampleError for the first sample that is not made like the first one of its batch."""
    for sample, name in zip(samples, names, strict=True):
        try:
            get_image(sample, path)
        except TypeError:
            raise SampleError(
                f"sample {_spoken(name)} has no image at {path!r}, where the first of its batch has it: it is "
                f"{describe(sample)}"
            ) from None


def reason(error: Exception) -> str:
    """Say what went wrong with one sample."""
    # The pipeline names the sample by its place among those it was given, which here is one.
    text = re.sub(r"sample \d+ \(index \d+\): ", "", str(error), count=1)
    return text if isinstance(error, SampleError) else f"{type(error).__name__}: {text}"


def rng_of(seed: int, indices: Sequence[int]) -> Rng:
    """Return the randomness of these samples: keyed where all indices carry a key, a fresh draw where none does."""
    keyed = [isinstance(index, KeyedIndex) for index in indices]
    if all(keyed):
        return Rng.of(seed, list(indices))
    if any(keyed):
        raise TypeError("a batch mixes KeyedIndex with plain indices; use one kind, such as the indices of ag.loader")
    return Rng.fresh(len(indices))
