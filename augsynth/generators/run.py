"""One call of `fit`: the loop over the images, what is looked at and what is written on the way."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from augsynth.errors import AugsynthError
from augsynth.generators.base import ImageGenerator
from augsynth.generators.checkpoint import CheckpointError, resume, save
from augsynth.generators.grid import write_grid
from augsynth.generators.samples import Samples
from augsynth.generators.state import Training

# How often the training is looked at.
_READINGS = 50
Report = Callable[[int, Mapping[str, float]], None]


class DivergenceError(AugsynthError):
    """A training went wrong for good; the generator is as it was when it was last seen well."""


class Run:
    """Trains a generator up to `max_images`; the arguments are those of `fit`."""

    def __init__(
        self,
        generator: ImageGenerator,
        samples: Samples,
        max_images: int,
        max_time: float | None,
        seed: int,
        checkpoint: str | Path | None,
        every: int,
        preview: str | Path | None,
    ) -> None:
        self.generator, self.max_images, self.max_time, self.every = generator, max_images, max_time, every
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.preview = None if preview is None else Path(preview)
        self.key = {"seed": seed, "data": samples.digest() if checkpoint is not None else ""}
        self.seen, self.steps, self.batch = 0, 0, int(generator.hparams["batch_size"])
        generator.reset(seed)
        self.training: Training = generator.begin(samples, max_images, seed)
        if self.checkpoint is not None and self.checkpoint.exists():
            self._resume(self.checkpoint)
        self.sums: dict[str, torch.Tensor] = {}
        self.summed = 0
        self.healthy = self._copy()

    def __call__(self, report: Report) -> None:
        """Train; report: called with the images seen and the figures averaged since the last time."""
        self.generator.train()
        try:
            self._loop(report)
            self.training.finish()
        finally:
            # Also on Ctrl-C: what was trained is worth more than the time it takes to write it.
            if self.checkpoint is not None and self.seen:
                self._save()
        self._picture()

    def _loop(self, report: Report) -> None:
        started, reading = time.monotonic(), max(self.max_images // _READINGS, 1)
        while self.seen < self.max_images:
            elapsed = time.monotonic() - started
            if self.max_time is not None and elapsed >= self.max_time and self.steps:
                break
            before = self.seen
            self._step(self._share(elapsed))
            if self.seen // reading > before // reading:
                report(self.seen, self._read())
            if self.seen // self.every > before // self.every and self.seen < self.max_images:
                if self.checkpoint is not None:
                    self._save()
                self._picture()
        if self.summed:
            report(self.seen, self._read())

    def _share(self, elapsed: float) -> float:
        share = self.seen / self.max_images
        # With a checkpoint the next call goes on, and the schedules with it.
        return share if self.max_time is None or self.checkpoint is not None else max(share, elapsed / self.max_time)

    def _step(self, share: float) -> None:
        count = min(self.batch, self.max_images - self.seen)
        try:
            figures = self.training.step(self.seen, count, share)
        except torch.OutOfMemoryError:
            if self.batch < 2:
                raise
            self._shrink()
            return
        self.seen, self.steps, self.summed = self.seen + count, self.steps + 1, self.summed + 1
        for name, value in figures.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def _shrink(self) -> None:
        self.batch //= 2
        self.generator.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        warnings.warn(f"fit: out of memory; going on with batches of {self.batch}", stacklevel=6)

    def _read(self) -> dict[str, float]:
        """Return the figures averaged since the last reading. Raises: DivergenceError where they look ill."""
        figures = {name: float(total) / self.summed for name, total in self.sums.items()}
        self.sums, self.summed = {}, 0
        reason = self.training.sick(figures, self.seen, self.seen / self.max_images)
        if reason is not None:
            raise self._back(reason)
        self.healthy = self._copy()
        return figures

    def _back(self, reason: str) -> DivergenceError:
        """Bring back what was last seen well, and return the error that says so."""
        state, training, seen = self.healthy
        self.generator.load_state_dict(state)
        self.training.restore(training)
        self.training.finish()
        message = (
            f"fit: the training diverged at {self.seen:,} images: {reason}. The generator is back at {seen:,} images; "
            "try a lower lr, another seed or, of a GAN, a larger gamma"
        )
        self.seen = seen
        return DivergenceError(message)

    def _copy(self) -> tuple[dict[str, Any], dict[str, Any], int]:
        return copy.deepcopy(self.generator.state_dict()), copy.deepcopy(self.training.state()), self.seen

    def _save(self) -> None:
        assert self.checkpoint is not None
        progress = {"seen": self.seen, "batch": self.batch, "training": self.training.state(), **self.key}
        save(self.generator, self.checkpoint, training=progress)

    def _resume(self, path: Path) -> None:
        found = resume(self.generator, path)
        for name, wanted in self.key.items():
            if found[name] != wanted:
                other = {"seed": "another seed", "data": "other data"}[name]
                raise CheckpointError(
                    f"{path} is the checkpoint of a training with {other} ({found[name]}, not {wanted}); "
                    "remove it, or name another file"
                )
        self.seen, self.batch = int(found["seen"]), int(found["batch"])
        self.training.restore(found["training"])

    def _picture(self) -> None:
        if self.preview is not None:
            self.training.finish()
            write_grid(self.generator, self.preview / f"{self.seen:09d}.png")
