"""Pictures of what the model sees in training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from augsynth.batch import Path as Key
from augsynth.batch import describe, get_image
from augsynth.lightning._pl import pl
from augsynth.lightning.entries import entries, find_images
from augsynth.lightning.on_device import AugmentOnDevice
from augsynth.lightning.refresh import datasets_of
from augsynth.lightning.sheet import sheet, visible
from augsynth.transforms import Normalize

if TYPE_CHECKING:
    import numpy as np


class SampleGrid(pl.Callback):
    """Picture the images of a training batch as the model sees them, after all augmentation, normalization undone.

    every_n_epochs: the first batch of so many epochs; or every_n_steps: the batch at each so many optimizer steps.
    A PNG goes to `dirpath`, by default the Trainer's `log_dir`, and to loggers that take images (TensorBoard, W&B), on
    rank zero. max_images: of a batch. key: the entry with the images, where there are several `(B, C, H, W)`.
    synthetic: the entry `(B,)` that says which samples were generated, by default "synthetic" if there is one; those
    have a red frame. Normalize is found in the pipelines of `AugmentOnDevice` and of the training data; normalize= is
    another one. Without any, floats outside [0, 1] are stretched to it.
    """

    def __init__(
        self,
        every_n_epochs: int = 1,
        *,
        every_n_steps: int | None = None,
        max_images: int = 64,
        dirpath: str | Path | None = None,
        key: Key = None,
        synthetic: Key = None,
        normalize: Normalize | None = None,
        name: str = "training_batch",
    ) -> None:
        for what, value in (("every_n_epochs", every_n_epochs), ("max_images", max_images)):
            _check_count(what, value)
        if every_n_steps is not None:
            _check_count("every_n_steps", every_n_steps)
        self.every_n_epochs, self.every_n_steps, self.max_images = every_n_epochs, every_n_steps, max_images
        self.dirpath, self.key, self.synthetic = dirpath, key, synthetic
        self.normalize, self.name = normalize, name
        self._folder, self._last = Path(), -1

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the folder, on all ranks: Lightning lets them agree on it."""
        if stage == "fit":
            self._folder = Path(self.dirpath or trainer.log_dir or trainer.default_root_dir)
            self._last = -1

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw the batch, if it is its turn."""
        if trainer.is_global_zero and self._is_due(trainer, batch_idx):
            self._last = int(trainer.global_step)
            self._publish(trainer, self.draw(batch, trainer))

    def draw(self, batch: Any, trainer: Any) -> np.ndarray:
        """Return the picture of a batch, `(h, w, 3)` uint8."""
        images = get_image(batch, find_images(batch, self.key, "SampleGrid"))[: self.max_images]
        normalize = self.normalize or _normalize_of(trainer)
        return sheet(visible(images, normalize), self._framed(batch, len(images)))

    def _framed(self, batch: Any, count: int) -> list[bool] | None:
        marks = entries(batch).get("synthetic") if self.synthetic is None else get_image(batch, self.synthetic)
        if marks is None:
            return None
        marks = torch.as_tensor(marks).reshape(-1)
        if len(marks) < count:
            raise ValueError(f"SampleGrid: {len(marks)} marks of synthetic samples for a batch of {describe(batch)}")
        return [bool(mark) for mark in marks[:count].tolist()]

    def _is_due(self, trainer: pl.Trainer, batch_idx: int) -> bool:
        if self.every_n_steps is None:
            return batch_idx == 0 and trainer.current_epoch % self.every_n_epochs == 0
        # While gradients accumulate, several batches belong to one step.
        step = int(trainer.global_step)
        return step % self.every_n_steps == 0 and step != self._last

    def _publish(self, trainer: pl.Trainer, picture: np.ndarray) -> None:
        from PIL import Image

        step = int(trainer.global_step)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self.name}-epoch={int(trainer.current_epoch):03d}-step={step:07d}.png"
        Image.fromarray(picture).save(path)
        for logger in trainer.loggers:
            if callable(log_image := getattr(logger, "log_image", None)):
                log_image(key=self.name, images=[picture], step=step)
            elif callable(add_image := getattr(getattr(logger, "experiment", None), "add_image", None)):
                add_image(self.name, torch.from_numpy(picture).permute(2, 0, 1), step)


def _normalize_of(trainer: Any) -> Normalize | None:
    """Return the Normalize that the Trainer's batches have passed, if it can be known."""
    callbacks = [*trainer.callbacks, *getattr(getattr(trainer, "datamodule", None), "on_device", ())]
    pipelines: list[Any] = [callback.pipeline for callback in callbacks if isinstance(callback, AugmentOnDevice)]
    pipelines += [getattr(dataset, "pipeline", None) for dataset in datasets_of(trainer)]
    found = [getattr(getattr(pipeline, "plan", None), "normalize", None) for pipeline in pipelines]
    return next((normalize for normalize in found if normalize is not None), None)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"SampleGrid: {name}={value!r} must be an integer, 1 or more")
