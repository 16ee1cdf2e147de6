"""How good a generator is while a Trainer trains it."""

from __future__ import annotations

from typing import Any

import torch

from augsynth.lightning._pl import pl
from augsynth.quality.watch import Watch

# A generator that has lost its variety, or its labels, falls in one of these.
_VITAL = ("label agreement", "coverage")


class QualityMonitor(pl.Callback):
    """Look at the samples of a generator that the Trainer trains, every few epochs, and stop when it collapses.

    For `ConditionalGAN`, `ConditionalVAE`, or any LightningModule with `generate`, `num_classes` and `image_shape`.
    train, holdout: as in `augsynth.quality.evaluate`; a small classifier is trained on `train` once, in `steps` steps.
    Each look generates up to per_class samples a class and logs "quality/...": label agreement, precision, recall,
    coverage, and the distance FD in that classifier's features. `reached`: by real samples; `history`: all looks.
    stop_below: a share of `reached`. Where agreement and coverage have both been above it, and one is below in
    `patience` looks in a row, the generator has collapsed: the training stops, and `verdict` says why.
    """

    def __init__(
        self,
        train: Any,
        holdout: Any,
        *,
        every_n_epochs: int = 1,
        per_class: int = 100,
        steps: int = 200,
        seed: int = 0,
        stop_below: float | None = None,
        patience: int = 2,
        name: str = "quality",
    ) -> None:
        for what, value in (("every_n_epochs", every_n_epochs), ("patience", patience)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"QualityMonitor: {what}={value!r} must be an integer, 1 or more")
        if stop_below is not None and not 0 < stop_below < 1:
            raise ValueError(f"QualityMonitor: stop_below={stop_below!r} must be a share above 0 and below 1, or None")
        self.train, self.holdout = train, holdout
        self.every_n_epochs, self.per_class, self.steps, self.seed = every_n_epochs, per_class, steps, seed
        self.stop_below, self.patience, self.name = stop_below, patience, name
        self.history: list[dict[str, float]] = []
        self.reached: dict[str, float] = {}
        self.verdict: str | None = None
        self._was_good, self._below = False, 0
        self._watch: Watch | None = None

    @property
    def state_key(self) -> str:
        """One for each name, under which it logs."""
        return self._generate_state_key(name=self.name)

    def state_dict(self) -> dict[str, Any]:
        """Return all looks so far, and whether the generator was good already."""
        return {"history": self.history, "was_good": self._was_good, "below": self._below}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's looks."""
        self.history, self._was_good = list(state_dict["history"]), state_dict["was_good"]
        self._below = state_dict["below"]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin with nothing; a checkpoint is loaded after this."""
        if stage == "fit":
            self.history, self.verdict, self._was_good, self._below = [], None, False, 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train the classifier that looks. Raises TypeError for a module that generates nothing."""
        missing = [name for name in ("generate", "num_classes", "image_shape") if not hasattr(pl_module, name)]
        if missing:
            raise TypeError(
                f"QualityMonitor: {type(pl_module).__name__} has no {', '.join(missing)}; it is for generators, such "
                "as ConditionalGAN and ConditionalVAE"
            )
        module: Any = pl_module
        device = trainer.strategy.root_device
        place = "cuda" if device.type == "cuda" else "cpu"
        self._watch = Watch.of(module, self.train, self.holdout, self.per_class, self.steps, self.seed, place)
        self.reached = self._watch.reached

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look, if it is time to."""
        if (int(trainer.current_epoch) + 1) % self.every_n_epochs == 0:
            values = self.look(pl_module)
            named = {f"{self.name}/{name.replace(' ', '_')}": value for name, value in values.items()}
            pl_module.log_dict(named, on_step=False, on_epoch=True, batch_size=1)
            if self._has_collapsed(values):
                self._stop(trainer, values)

    def look(self, generator: Any) -> dict[str, float]:
        """Measure the generator and remember it. Global random states stay as they are."""
        from augsynth.generators.base import ImageGenerator

        assert self._watch is not None
        with torch.random.fork_rng(devices=[]):
            if isinstance(generator, ImageGenerator):
                generator.refresh(self._watch.task.train.image, self._watch.task.train.label)
            values = self._watch.look()
        self.history.append(values)
        return values

    def _has_collapsed(self, values: dict[str, float]) -> bool:
        if self.stop_below is None:
            return False
        good = all(values[name] >= self.stop_below * self.reached[name] for name in _VITAL)
        self._was_good, self._below = self._was_good or good, 0 if good else self._below + 1
        return self._was_good and self._below >= self.patience

    def _stop(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        said = " and ".join(f"{name} {values[name]:.2f} (real samples {self.reached[name]:.2f})" for name in _VITAL)
        self.verdict = f"the generator has collapsed: {said}, in {self._below} looks in a row"
        pl.utilities.rank_zero_info(f"QualityMonitor: {self.verdict}; the training stops")
        # All ranks have seen the same samples, but for the last digits.
        trainer.should_stop = bool(trainer.strategy.reduce_boolean_decision(True, all=False))
