"""Strength of the augmentation as a function of the progress of the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from augsynth.lightning._pl import pl

SHAPES = ("linear", "cosine")
Strength = float | Sequence[float] | Callable[[float], float]


class AugmentationSchedule(pl.Callback):
    """Let the strength of the Trainer's `AugmentOnDevice` and `MixOnDevice` depend on the training's progress.

    strength: (start, end), each 0 to 1, a number for both, or a function from progress, 0 to 1, to strength, 0 to 1.
    shape: "linear" or "cosine", of the way from start to end. warmup: share of the training, from 0 and below 1, in
    which the strength rises linearly from 0 to `start`, before that way begins. log: as "augmentation_strength".
    Nothing is stored: the strength of a batch is computed from the Trainer's own counters, and hence is the same after
    a resume at any step. Give it to the Trainer, for all; or to one `AugmentOnDevice(strength=)`, for that one.
    Raises: ValueError for what is not 0 to 1, for a second one, and for a training without max_epochs or max_steps.
    """

    def __init__(self, strength: Strength, shape: str = "linear", warmup: float = 0.0, *, log: bool = False) -> None:
        if shape not in SHAPES:
            raise ValueError(f"AugmentationSchedule: shape={shape!r} is not one of {', '.join(SHAPES)}")
        if not (isinstance(warmup, (int, float)) and 0 <= warmup < 1):
            raise ValueError(f"AugmentationSchedule: warmup={warmup!r} must be a share from 0, and below 1")
        self.strength = strength if callable(strength) else _ends(strength)
        # Lightning puts its own `log` on every callback.
        self.shape, self.warmup, self.logged = shape, warmup, log

    def __repr__(self) -> str:
        # A checkpoint keeps it in words, where an address would differ in every process.
        strength: Any = self.strength
        if callable(strength):
            strength = getattr(strength, "__qualname__", type(strength).__name__)
        return f"AugmentationSchedule({strength}, {self.shape!r}, warmup={self.warmup})"

    def __call__(self, progress: float) -> float:
        """Return the strength at a progress from 0 to 1."""
        if callable(self.strength):
            return checked(self.strength(progress), f"AugmentationSchedule: strength at progress {progress:.4g}")
        start, end = self.strength
        if progress < self.warmup:
            return start * progress / self.warmup
        way = (progress - self.warmup) / (1 - self.warmup)
        share = way if self.shape == "linear" else 0.5 - 0.5 * math.cos(math.pi * way)
        return min(max(start + (end - start) * share, 0.0), 1.0)

    def at(self, trainer: Any, number: int | None = None) -> float:
        """Return the strength of a batch. number: of it in its epoch; by default of the one that is being fetched."""
        return self(progress_of(trainer, number))

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a Trainer in which the strength would not be clear."""
        if stage == "fit":
            only_schedule(trainer)
            check_end(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Log the strength that this batch has been augmented with."""
        if self.logged:
            strength = self.at(trainer, batch_idx)
            pl_module.log("augmentation_strength", strength, on_step=True, on_epoch=False, batch_size=1)


def progress_of(trainer: Any, number: int | None = None) -> float:
    """Return the share of the training that lies before a batch: by its steps or epochs, whichever ends it first.

    number: of the batch in its epoch. Where the length of an epoch is not known, whole epochs count.
    """
    check_end(trainer)
    done = []
    if trainer.max_steps > 0:
        done.append(trainer.global_step / trainer.max_steps)
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        # Batches, and not global_step: that one counts every optimizer, and stands still while gradients accumulate.
        before = int(trainer.fit_loop.epoch_loop.batch_progress.current.ready) if number is None else number
        batches = trainer.num_training_batches
        share = min(before / batches, 1.0) if 0 < batches < math.inf else 0.0
        done.append((int(trainer.current_epoch) + share) / trainer.max_epochs)
    return float(min(max(done), 1.0))


def strength_of(own: float | AugmentationSchedule | None, trainer: Any) -> float:
    """Return the strength of the batch that is being fetched: what the callback has itself, else the Trainer's."""
    if own is None:
        own = only_schedule(trainer)
    return own.at(trainer) if isinstance(own, AugmentationSchedule) else 1.0 if own is None else own


def only_schedule(trainer: Any) -> AugmentationSchedule | None:
    """Return the Trainer's schedule, None where it has none. Raises ValueError where it has several."""
    found = [callback for callback in getattr(trainer, "callbacks", ()) if isinstance(callback, AugmentationSchedule)]
    if len(found) > 1:
        raise ValueError(
            f"AugmentationSchedule: the Trainer has {len(found)}, and one strength; give each to its own callback, "
            "AugmentOnDevice(pipeline, strength=schedule)"
        )
    return found[0] if found else None


def check_end(trainer: Any) -> None:
    """Raise ValueError for a training of which nobody knows when it ends."""
    if not (trainer.max_steps > 0 or (trainer.max_epochs or 0) > 0):
        raise ValueError(
            f"AugmentationSchedule: the Trainer has max_epochs={trainer.max_epochs} and max_steps={trainer.max_steps}; "
            "progress needs an end: give it one of them"
        )


def checked(value: Any, what: str) -> float:
    """Return a strength as a float. Raises ValueError naming `what` for one that is not a number from 0 to 1."""
    number = not isinstance(value, bool) and (isinstance(value, (int, float)) or hasattr(value, "__float__"))
    if not (number and 0.0 <= float(value) <= 1.0):
        raise ValueError(f"{what}={value!r} must be a number from 0 to 1")
    return float(value)


def _ends(strength: Any) -> tuple[float, float]:
    pair = list(strength) if isinstance(strength, Sequence) and not isinstance(strength, str) else [strength, strength]
    if len(pair) != 2:
        raise ValueError(
            f"AugmentationSchedule: strength={strength!r} must be (start, end), a number, or a function of the progress"
        )
    start, end = (checked(value, "AugmentationSchedule: strength") for value in pair)
    return start, end
