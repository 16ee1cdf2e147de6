"""What a training costs in joules."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from augsynth.errors import AugsynthError
from augsynth.lightning._pl import pl
from augsynth.lightning.entries import batch_size
from augsynth.lightning.meters import POWERCAP, Meter, Nvml, Rapl, find

_KEY = "energy/"


class EnergyMonitor(pl.Callback):
    """Measure the joules of `fit`, per epoch and per training sample, validation included; never an estimate.

    Counted are the GPUs of the Trainer (NVML, needs nvidia-ml-py) and the processors with their memory (RAPL, readable
    by root on most machines), with all that else runs on them. Sums over all ranks go to the loggers after each epoch,
    as "energy/joules_per_epoch", "energy/joules" and "energy/joules_per_sample"; the sums go on after a resume, and a
    sentence at the end stays in `summary`. Where nothing can be read, "not measurable here" is said once, with the
    reasons, and nothing is logged. rapl_root: where the RAPL zones are. country_iso_code: such as "DEU", to let
    codecarbon's offline tracker estimate CO2 beside it, "energy/kg_co2eq_estimated" (pip install "augsynth[energy]").
    """

    def __init__(
        self, *, log: bool = True, rapl_root: str | Path = POWERCAP, country_iso_code: str | None = None
    ) -> None:
        # Lightning puts its own `log` on every callback.
        self.logged, self.rapl_root, self.country = log, Path(rapl_root), country_iso_code
        self.summary: str | None = None
        self.joules, self.samples, self.measurable = 0.0, 0, False
        self._tracker: Any = None
        if country_iso_code is not None:
            _codecarbon(country_iso_code)
        self._meters: list[Meter] = []
        self._trainer: pl.Trainer | None = None
        self._base, self._own_samples, self._epoch_start = (0.0, 0), 0, 0.0

    @property
    def state_key(self) -> str:
        """One for each place that is measured."""
        return self._generate_state_key(rapl_root=str(self.rapl_root))

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, for a resume; Lightning asks all ranks for them."""
        if self._trainer is not None:
            self._sum(self._trainer)
        return {"joules": self.joules, "samples": self.samples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the sums of a checkpoint."""
        self._base = state_dict["joules"], state_dict["samples"]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Begin with nothing; a checkpoint is loaded after this."""
        if stage == "fit":
            self._base, self._own_samples = (0.0, 0), 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find what can be read."""
        self._meters, reasons = find(self._makers(trainer))
        self.measurable = bool(_over_ranks(trainer, float(bool(self._meters))))
        self._start()
        if not self.measurable:
            self._say(f"not measurable here ({'; '.join(reasons)})")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the sums of a checkpoint, if one was loaded."""
        self._trainer = trainer
        self.joules, self.samples = self._base
        self._epoch_start = self.joules

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the samples, and read the counters before they overflow."""
        self._own_samples += batch_size(batch)
        self._poll()

    def on_validation_batch_end(self, trainer: pl.Trainer, *given: Any, **named: Any) -> None:
        """Read the counters before they overflow."""
        self._poll()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch."""
        self._sum(trainer)
        if self.logged and self.measurable:
            metrics = {f"{_KEY}joules_per_epoch": self.joules - self._epoch_start, f"{_KEY}joules": self.joules}
            metrics[f"{_KEY}joules_per_sample"] = self.joules / max(self.samples, 1)
            for logger in trainer.loggers:
                logger.log_metrics(metrics, step=int(trainer.global_step))
        self._epoch_start = self.joules

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what it was in one sentence."""
        self._sum(trainer)
        self._trainer = None
        self._stop(trainer)
        if self.measurable:
            names = " and ".join(meter.name for meter in self._meters) or "other ranks"
            each = f"{self.joules / max(self.samples, 1):.3g} J per training sample"
            self._say(f"{self.joules:,.3g} J over {self.samples:,} training samples, {each} ({names})")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End codecarbon's thread."""
        self._trainer = None
        self._stop(None)

    def _makers(self, trainer: pl.Trainer) -> list[Any]:
        makers: list[Any] = []
        device = trainer.strategy.root_device
        if device.type == "cuda":
            makers.append(("GPU", lambda: Nvml.of([device])))
        if trainer.local_rank == 0:  # the processors are those of all ranks of this machine
            makers.append(("processor", lambda: Rapl.of(self.rapl_root)))
        return makers

    def _read(self) -> float:
        return sum(meter.joules() for meter in self._meters)

    def _poll(self) -> None:
        for meter in self._meters:
            if meter.overflows:
                meter.joules()

    def _sum(self, trainer: pl.Trainer) -> None:
        """Add up what all ranks have counted since `fit` began to what a checkpoint brought."""
        device = trainer.strategy.root_device
        if device.type == "cuda":  # what is still in the queue has cost nothing yet
            torch.cuda.synchronize(device)
        self.joules = self._base[0] + _over_ranks(trainer, self._read())
        self.samples = self._base[1] + round(_over_ranks(trainer, float(self._own_samples)))

    def _start(self) -> None:
        if self.country is not None:
            # One for each fit: a tracker that was stopped does not start again.
            self._tracker = _codecarbon(self.country).OfflineEmissionsTracker(
                country_iso_code=self.country, save_to_file=False, log_level="error", allow_multiple_runs=True
            )
            self._tracker.start()

    def _stop(self, trainer: Any) -> None:
        if self._tracker is None:
            return
        tracker, self._tracker = self._tracker, None
        emitted = tracker.stop()
        if emitted is not None and self.logged and trainer is not None:
            for logger in trainer.loggers:
                logger.log_metrics({f"{_KEY}kg_co2eq_estimated": float(emitted)}, step=int(trainer.global_step))

    def _say(self, text: str) -> None:
        self.summary = text
        pl.utilities.rank_zero_info(f"EnergyMonitor: {text}")


def _over_ranks(trainer: Any, value: float) -> float:
    if trainer.world_size == 1:
        return value
    # float32 would lose samples above 16 million.
    tensor = torch.tensor(value, dtype=torch.float64, device=trainer.strategy.root_device)
    return float(trainer.strategy.reduce(tensor, reduce_op="sum"))


def _codecarbon(country_iso_code: str) -> Any:
    try:
        return import_module("codecarbon")
    except ImportError as error:
        raise AugsynthError(
            f"EnergyMonitor: country_iso_code={country_iso_code!r} needs codecarbon ({error}): "
            'pip install "augsynth[energy]", or leave country_iso_code out'
        ) from error
