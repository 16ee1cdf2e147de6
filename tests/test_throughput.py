"""What bounds a training loop, by a clock that only the test moves."""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from test_lightning import BATCH, SIZE, HookedData, Net, picture, plain, trainer
from test_schedule import Kept
from torch.utils.data import DataLoader, Dataset

import augsynth as ag
from augsynth import transforms as T
from augsynth.lightning.callbacks import AugmentOnDevice, ThroughputMonitor
from augsynth.lightning.entries import batch_size
from augsynth.lightning.throughput import bytes_sent, verdict
from augsynth.lightning.timeline import HostTimeline, Totals

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:.*You have overridden `transfer_batch_to_device` in:UserWarning",
)


class Clock:
    """Stands still until something takes time."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Slow(Dataset[Any]):
    """Takes `seconds` for each of 8 samples."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> Any:
        self.clock.now += self.seconds
        return picture(i % SIZE), i


class Busy(Net):
    """Takes its time for the transfer and for the step."""

    def __init__(self, clock: Clock, transfer: float, step: float) -> None:
        super().__init__()
        self.clock, self.transfer, self.step = clock, transfer, step

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        self.clock.now += self.transfer if self.trainer.training else 1000
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_save_checkpoint(self, checkpoint: Any) -> None:
        self.clock.now += 1000

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.clock.now += self.step
        return super().training_step(batch, batch_idx)


def measured(load: float, transfer: float, step: float, **options: Any) -> ThroughputMonitor:
    clock = Clock()
    monitor = ThroughputMonitor(2, clock=clock)
    flip = AugmentOnDevice(ag.Pipeline([T.RandomHorizontalFlip()]))
    trainer(monitor, flip, **options).fit(Busy(clock, transfer, step), DataLoader(Slow(clock, load), BATCH))
    return monitor


@pytest.mark.parametrize(
    ("load", "transfer", "step", "name"),
    [
        (3.0, 1.0, 3.0, "data loading"),
        (1.0, 6.0, 2.0, "the transfer to the device"),
        (0.5, 1.0, 8.0, "the training step"),
    ],
)
def test_the_sentence_names_what_takes_longest(load: float, transfer: float, step: float, name: str) -> None:
    monitor = measured(load, transfer, step, max_epochs=2)
    seconds = 2 * load + transfer + step
    totals = monitor.totals
    assert (totals.steps, totals.samples) == (8, 16)
    assert (totals.data, totals.transfer, totals.step) == pytest.approx((16 * load, 8 * transfer, 8 * step))
    shares = f"{2 * load / seconds:.0%} of the time waits for data, {transfer / seconds:.0%} moves it to the device"
    assert monitor.verdict is not None
    assert monitor.verdict.startswith(f"{name} bounds the loop: {2 / seconds:,.0f} samples/s; {shares} and ")


def test_averages_since_the_last_time_are_logged() -> None:
    logger = Kept()
    measured(0.5, 1.0, 2.0, logger=logger, log_every_n_steps=1)
    assert logger.said["throughput/samples_per_second"] == [0.5, 0.5]
    assert logger.said["throughput/data_share"] == [0.25, 0.25]
    assert logger.said["throughput/step_share"] == [0.5, 0.5]
    assert logger.said["throughput/bytes_to_device_per_step"] == [0, 0]


def test_validation_and_checkpoints_are_no_waiting(tmp_path: Path) -> None:
    clock = Clock()
    monitor, model = ThroughputMonitor(clock=clock), Busy(clock, 1.0, 2.0)
    fit = trainer(monitor, val_check_interval=2, num_sanity_val_steps=1)
    fit.fit(model, DataLoader(Slow(clock, 0.5), BATCH), plain())
    # The third batch came after a validation, and nobody knows since when it was waited for.
    assert (monitor.totals.steps, monitor.totals.seconds) == (3, 12.0)
    saves = ModelCheckpoint(tmp_path, every_n_train_steps=2)
    fit = trainer(again := ThroughputMonitor(clock=clock), saves, enable_checkpointing=True)
    fit.fit(model, DataLoader(Slow(clock, 0.5), BATCH))
    assert len(list(tmp_path.iterdir())) == 1
    assert (again.totals.steps, again.totals.seconds) == (3, 12.0)


def test_the_datamodules_own_transfer_is_measured_and_the_hook_is_put_back() -> None:
    class Moving(HookedData):
        moved = 0

        def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
            self.moved += 1
            return super().transfer_batch_to_device(batch, device, dataloader_idx)

    monitor, data, model = ThroughputMonitor(), Moving(), Net()
    trainer(monitor).fit(model, datamodule=data)
    assert data.moved >= 4
    assert monitor.totals.samples == SIZE
    assert monitor.totals.step > 0
    assert "transfer_batch_to_device" not in {**vars(data), **vars(model)}


class Late(HostTimeline):
    """A device that is two steps behind the host: marks are past only when two steps more have been asked for."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked, self.waited = 0, 0

    def is_past(self, mark: Any) -> bool:
        self.asked += 1
        return self.waited > 0 or self.asked % 3 == 0

    def wait_for(self, mark: Any) -> None:
        self.waited += 1


def test_a_device_that_lags_behind_is_waited_for_only_once_at_the_end() -> None:
    clock = Clock()
    late = Late(clock)

    class Lagging(ThroughputMonitor):
        def timeline(self, device: torch.device) -> HostTimeline:
            return late

    monitor = Lagging(clock=clock)
    trainer(monitor).fit(Busy(clock, 1.0, 2.0), DataLoader(Slow(clock, 0.5), BATCH))
    assert late.waited == 1
    assert (monitor.totals.steps, monitor.totals.seconds) == (4, 16.0)


def test_beside_workers_a_tenth_of_waiting_is_too_much() -> None:
    totals = Totals(4, 8, 0, data=2.0, transfer=0.0, step=8.0)
    assert verdict(totals, 1, ahead=True).startswith("data loading bounds the loop: 1 samples/s; 20%")
    assert verdict(totals, 2, ahead=False).startswith("the training step bounds the loop: 2 samples/s")
    assert verdict(Totals(), 1, ahead=True).startswith("no step was measured")


def test_bytes_are_those_that_leave_the_host() -> None:
    batch = {"image": torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "label": torch.arange(2), "name": ["a", "b"]}
    assert bytes_sent(batch, torch.device("meta")) == 96 + 16
    assert bytes_sent(batch, torch.device("cpu")) == 0
    assert bytes_sent({"image": batch["image"].to("meta")}, torch.device("meta")) == 0


@dataclass
class Pair:
    image: torch.Tensor
    label: torch.Tensor


def test_batches_of_any_kind_are_counted() -> None:
    images, meta = torch.zeros(5, 3, 4, 4), torch.device("meta")
    # A UserDict is what the tokenizers of transformers return.
    for batch in (Pair(images, torch.arange(5)), UserDict(image=images, label=torch.arange(5))):
        assert (batch_size(batch), bytes_sent(batch, meta)) == (5, images.nbytes + 40)
    detection = tuple(images), [{"boxes": torch.zeros(2, 4)}] * 5
    assert (batch_size(detection), bytes_sent(detection, meta)) == (5, images.nbytes + 5 * 32)
    assert batch_size(([images, images], torch.arange(5))) == 5
    assert batch_size({"text": ["a", "b", "c"]}) == 3


def test_a_count_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="every_n_steps=0 must be an integer, 1 or more"):
        ThroughputMonitor(0)


@pytest.mark.cuda
def test_on_cuda_times_are_the_devices_own() -> None:
    monitor = ThroughputMonitor()
    trainer(monitor, accelerator="gpu", devices=1, max_epochs=3).fit(Net(), plain())
    assert monitor.totals.steps == 12
    assert monitor.totals.moved_bytes == 3 * SIZE * (90 + 8)
    assert 0 < monitor.totals.seconds < 60
