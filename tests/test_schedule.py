"""Strength as a function of the training's progress, seen in the batches of a real Trainer."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger
from test_lightning import BATCH, PIPELINE, SEED, SIZE, Interrupted, Net, Pictures, picture, plain, trainer
from torch.utils.data import DataLoader, IterableDataset

import augsynth as ag
from augsynth import transforms as T
from augsynth.lightning.callbacks import AugmentationSchedule, AugmentOnDevice
from augsynth.lightning.schedule import progress_of
from augsynth.rng import Rng

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:Checkpoint directory .* exists and is not empty:UserWarning",
)
BATCHES = 4


class Kept(Logger):
    """A logger that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, list[float]] = {}

    name, version = "kept", 0  # type: ignore[assignment]

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        for key, value in metrics.items():
            self.said.setdefault(key, []).append(value)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass


def expected(number: int, strength: float, epoch: int = 0) -> torch.Tensor:
    rows = range(min(BATCH, SIZE - number * BATCH))
    key = Rng.of(SEED, [number] * len(rows), epoch, list(rows))
    return PIPELINE.images([picture(number * BATCH + row) for row in rows], key, strength)


def test_the_strength_goes_from_start_to_end_in_the_shape_that_was_asked_for() -> None:
    linear, cosine = AugmentationSchedule((0.2, 1.0)), AugmentationSchedule((0.2, 1.0), "cosine")
    for progress in (0.0, 0.25, 0.7, 1.0):
        assert linear(progress) == pytest.approx(0.2 + 0.8 * progress)
        assert cosine(progress) == pytest.approx(0.6 - 0.4 * math.cos(math.pi * progress))
    falling = AugmentationSchedule((1.0, 0.5), warmup=0.2)
    assert [falling(progress) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0, 0.5, 1, 0.75, 0.5])
    assert AugmentationSchedule(0.3)(0.9) == pytest.approx(0.3)
    assert AugmentationSchedule(lambda progress: progress**2)(0.5) == 0.25


@pytest.mark.parametrize("given", ["to the Trainer", "to the callback"])
def test_every_batch_is_augmented_by_the_strength_of_its_progress(given: str) -> None:
    schedule, model = AugmentationSchedule((0.0, 1.0)), Net()
    callbacks = [schedule, AugmentOnDevice(PIPELINE)]
    if given == "to the callback":
        callbacks = [AugmentationSchedule(0.0), AugmentOnDevice(PIPELINE, strength=schedule)]
    trainer(*callbacks, max_epochs=2).fit(model, plain())
    assert len(model.seen["train"]) == 2 * BATCHES
    for count, (images, _) in enumerate(model.seen["train"]):
        epoch, number = divmod(count, BATCHES)
        assert torch.equal(images, expected(number, count / (2 * BATCHES), epoch))
    assert torch.equal(model.seen["train"][0][0][1], picture(1))


def test_a_number_of_its_own_stands_above_the_schedule() -> None:
    model = Net()
    trainer(AugmentationSchedule(0.0), AugmentOnDevice(PIPELINE, strength=0.5)).fit(model, plain())
    for number, (images, _) in enumerate(model.seen["train"]):
        assert torch.equal(images, expected(number, 0.5))


def test_the_strength_is_exact_after_a_resume_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    def run(model: Net, *more: pl.Callback, **options: Any) -> None:
        callbacks = [AugmentationSchedule((0.1, 0.9), "cosine", 0.2), AugmentOnDevice(PIPELINE), *more]
        train = ag.loader(ag.wrap(Pictures(), ag.Pipeline([], seed=SEED)), BATCH, shuffle=True)
        trainer(*callbacks, max_epochs=3).fit(model, train, **options)

    whole, before, after = Net(), Net(), Net()
    run(whole)
    with pytest.raises(RuntimeError, match="power cut"):
        run(before, Interrupted(tmp_path / "cut.ckpt"))
    run(after, ckpt_path=tmp_path / "cut.ckpt", weights_only=False)
    together = before.seen["train"] + after.seen["train"]
    assert len(together) == len(whole.seen["train"]) == 3 * BATCHES
    for (images, labels), (theirs, others) in zip(together, whole.seen["train"], strict=True):
        assert labels.tolist() == others.tolist()
        assert torch.equal(images, theirs)


class Seen(pl.Callback):
    """Remembers the progress of every batch."""

    def __init__(self) -> None:
        self.progress: list[float] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.progress.append(progress_of(trainer, batch_idx))


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(picture(i), i) for i in range(SIZE)])


def progress(train: Any = None, net: Callable[[], pl.LightningModule] = Net, **options: Any) -> list[float]:
    seen = Seen()
    trainer(seen, **options).fit(net(), plain() if train is None else train)
    return seen.progress


class TwoOptimizers(Net):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            self.manual_backward(self.weight * 1.0)
            optimizer.step()

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(self.parameters(), 0.1), torch.optim.SGD(self.parameters(), 0.1)]


def test_progress_counts_what_ends_the_training_first() -> None:
    assert progress(max_epochs=2, max_steps=4) == [0, 0.25, 0.5, 0.75]
    assert progress(max_epochs=1, limit_train_batches=2) == [0, 0.5]
    # Steps stand still while gradients accumulate; batches do not.
    assert progress(max_steps=2, max_epochs=-1, accumulate_grad_batches=2) == [0, 0, 0.5, 0.5]
    assert progress(max_epochs=1, accumulate_grad_batches=2) == [0, 0.25, 0.5, 0.75]
    assert progress(net=TwoOptimizers) == [0, 0.25, 0.5, 0.75]
    # Nobody knows how long an epoch of a stream is.
    assert progress(DataLoader(Stream(), SIZE), max_epochs=2) == [0, 0.5]


def test_the_strength_is_logged_when_asked_for() -> None:
    for log in (True, False):
        logger = Kept()
        callbacks = [AugmentationSchedule((0.0, 1.0), log=log), AugmentOnDevice(PIPELINE)]
        trainer(*callbacks, logger=logger, log_every_n_steps=1).fit(Net(), plain())
        assert logger.said.get("augmentation_strength") == ([0, 0.25, 0.5, 0.75] if log else None)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16-mixed", torch.float32), ("bf16-true", torch.bfloat16)])
def test_other_precisions_and_accumulated_gradients(precision: str, dtype: torch.dtype) -> None:
    class Linear(Net):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3 * 6 * 5, 1)

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            super().training_step(batch, batch_idx)
            return self.layer(batch[0].flatten(1)).sum()

    pipeline = ag.Pipeline([T.RandomHorizontalFlip(), T.Normalize((0.5,) * 3, (0.5,) * 3)], seed=SEED)
    model, options = Linear(), {"precision": precision, "accumulate_grad_batches": 2}
    fit = trainer(AugmentationSchedule((0, 1)), AugmentOnDevice(pipeline), **options)
    fit.fit(model, plain())
    assert fit.global_step == 2
    for number, (images, _) in enumerate(model.seen["train"]):
        rows = [picture(number * BATCH + row) for row in range(len(images))]
        key = Rng.of(SEED, [number] * len(rows), 0, list(range(len(rows))))
        assert images.dtype == dtype
        assert torch.equal(images, pipeline.images(rows, key, number / BATCHES).to(dtype))


def test_texts_tokens_and_views_take_the_strength_too() -> None:
    fit = SimpleNamespace(current_epoch=0)
    text = {"text": ["a word of the other sort", "and one more of it"], "index": torch.arange(2)}
    for strength, same in ((0.0, True), (1.0, False)):
        swap = AugmentOnDevice(ag.Pipeline([T.RandomSwap(p=1.0, rate=1.0)]), strength=strength)
        assert (swap.augment(text, fit)["text"] == text["text"]) == same
        views = ag.Views({"one": ag.Pipeline([T.RandomHorizontalFlip(1.0)])})
        images = {"image": torch.stack([picture(0), picture(1)]), "index": torch.arange(2)}
        (view,) = AugmentOnDevice(views, strength=strength).augment(images, fit)["image"].values()
        assert torch.equal(view, images["image"]) == same


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AugmentationSchedule((0, 1), "square"), "shape='square' is not one of linear, cosine"),
        (lambda: AugmentationSchedule((0, 1), warmup=1.0), r"warmup=1\.0 must be a share from 0, and below 1"),
        (lambda: AugmentationSchedule((0, 1.5)), r"strength=1\.5 must be a number from 0 to 1"),
        (lambda: AugmentationSchedule((0, 0.5, 1)), r"strength=\(0, 0\.5, 1\) must be \(start, end\)"),
        (lambda: AugmentationSchedule(lambda at: 2 * at)(0.75), r"at progress 0\.75=1\.5 must be a number from 0 to 1"),
        (lambda: AugmentOnDevice(PIPELINE, strength=-1), "AugmentOnDevice: strength=-1 must be a number from 0 to 1"),
    ],
)
def test_a_strength_that_is_none_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_trainer_in_which_the_strength_is_not_clear_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the Trainer has 2, and one strength; .*AugmentOnDevice\(pipeline, strength="
    ):
        trainer(AugmentationSchedule((0, 1)), AugmentationSchedule((1, 0))).fit(Net(), plain())
    with pytest.raises(ValueError, match=r"max_epochs=-1 and max_steps=-1; progress needs an end"):
        trainer(AugmentationSchedule((0, 1)), max_epochs=-1).fit(Net(), plain())
