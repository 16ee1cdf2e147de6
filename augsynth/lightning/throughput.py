"""How fast a training loop is, and what it waits for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from augsynth.lightning._pl import pl
from augsynth.lightning.entries import batch_size, parts_of
from augsynth.lightning.hooks import TRANSFER, Hook, hook_owner
from augsynth.lightning.timeline import CudaTimeline, HostTimeline, Step, Totals

# Beside workers that load ahead, a share of waiting above this says that they are too slow: a faster step would only
# wait longer.
_WAITS = 0.1
_NAMES = {"data": "data loading", "transfer": "the transfer to the device", "step": "the training step"}


class ThroughputMonitor(pl.Callback):
    """Measure samples per second, the share of time that waits for data, and the bytes that go to the device.

    A pass of the loop is the wait for a batch, its transfer, and the training step with the augmentation on the device.
    Every so many batches (every_n_steps) the averages since the last time go to the Trainer's loggers, as
    "throughput/...". At the end of `fit` one sentence says what bounds the loop; it stays in `verdict`, and all sums in
    `totals`. On CUDA times are those of the device, by events, and no step waits for it. Passes after a validation or a
    checkpoint are left out, for nobody can tell what they waited for. clock: in seconds, for other devices than CUDA.
    """

    def __init__(
        self, every_n_steps: int = 50, *, log: bool = True, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        if isinstance(every_n_steps, bool) or not isinstance(every_n_steps, int) or every_n_steps < 1:
            raise ValueError(f"ThroughputMonitor: every_n_steps={every_n_steps!r} must be an integer, 1 or more")
        # Lightning puts its own `log` on every callback.
        self.every_n_steps, self.logged, self.clock = every_n_steps, log, clock
        self.verdict: str | None = None
        self._hook: Hook | None = None
        self._open: Step | None = None
        self._began: Any = None
        self._pending: deque[Step] = deque()
        self._window = Totals()
        self._reset(HostTimeline(clock))

    def timeline(self, device: torch.device) -> HostTimeline:
        """Return what marks the time on a device."""
        return CudaTimeline(device) if device.type == "cuda" else HostTimeline(self.clock)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Stand around the transfer of batches, on the object whose hook Lightning is going to call."""
        if stage == "fit":
            self._release()
            self._reset(self.timeline(trainer.strategy.root_device))
            self.verdict = None
            owner = hook_owner(pl_module, getattr(trainer, "datamodule", None), TRANSFER)
            self._hook = Hook(owner, TRANSFER, self._transfer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to wait for the first batch, for which workers may have to start."""
        self._open, self._began = None, self._timeline.mark()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End a step, and begin to wait for the next batch."""
        mark = self._timeline.mark()
        if self._open is not None:
            self._open.ended = mark
            self._pending.append(self._open)
        self._open, self._began = None, mark
        self._settle()
        self._batches += 1
        if self._batches % self.every_n_steps == 0 and self.logged:
            self._log(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget when the wait began: this is none."""
        self._began = None

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        """Forget when the wait began: this is none."""
        self._began = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say in one sentence what bounds the loop."""
        if self._pending:
            self._timeline.wait_for(self._pending[-1].ended)
        self._settle()
        loaders = [loader for loader in tree_leaves(trainer.train_dataloader) if hasattr(loader, "num_workers")]
        self.verdict = verdict(self.totals, trainer.world_size, any(loader.num_workers for loader in loaders))
        pl.utilities.rank_zero_info(f"ThroughputMonitor: {self.verdict}")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Put the hook back as it was."""
        self._release()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Put the hook back when training fails."""
        self._release()

    def _transfer(self, inner: Any, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        assert self._hook is not None
        if not self._hook.owner.trainer.training:
            return inner(batch, device, dataloader_idx)
        first = self._open is None and self._began is not None
        if first:
            self._open = Step(self._began, self._timeline.mark())
        sent = bytes_sent(batch, device)
        batch = inner(batch, device, dataloader_idx)
        if self._open is not None:  # else the wait for this batch is not known
            self._open.samples += batch_size(batch)
            self._open.moved_bytes += sent
            if first:
                self._open.moved = self._timeline.mark()
        return batch

    def _settle(self) -> None:
        """Count the steps that are done; on CUDA those of a moment ago are not."""
        while self._pending and self._timeline.is_past(self._pending[0].ended):
            step = self._pending.popleft()
            self.totals.add(step, self._timeline)
            self._window.add(step, self._timeline)

    def _log(self, trainer: pl.Trainer) -> None:
        window, self._window = self._window, Totals()
        if not window.shares():
            return
        metrics = {
            "throughput/samples_per_second": window.samples * trainer.world_size / window.seconds,
            "throughput/bytes_to_device_per_step": window.moved_bytes / window.steps,
            **{f"throughput/{name}_share": share for name, share in window.shares().items()},
        }
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=int(trainer.global_step))

    def _reset(self, timeline: HostTimeline) -> None:
        self._timeline, self.totals, self._window = timeline, Totals(), Totals()
        self._pending.clear()
        self._open, self._began, self._batches = None, None, 0

    def _release(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


def verdict(totals: Totals, world_size: int, ahead: bool) -> str:
    """Say in one sentence what bounds a loop. ahead: workers load batches while the step runs."""
    shares = totals.shares()
    if not shares:
        return "no step was measured, so that nothing can be said of what bounds the loop"
    slowest = max(shares, key=lambda name: shares[name])
    if ahead and shares["data"] >= _WAITS:
        slowest = "data"
    rate = totals.samples * world_size / totals.seconds
    return (
        f"{_NAMES[slowest]} bounds the loop: {rate:,.0f} samples/s; {shares['data']:.0%} of the time waits for data, "
        f"{shares['transfer']:.0%} moves it to the device and {shares['step']:.0%} is the training step"
    )


def bytes_sent(batch: Any, device: torch.device) -> int:
    """Return how many bytes of a batch have to go from the host to the device."""
    tensors = [part for part in parts_of(batch) if isinstance(part, torch.Tensor)]
    return sum(tensor.nbytes for tensor in tensors if tensor.device.type == "cpu" != device.type)
