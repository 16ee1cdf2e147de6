"""Augmentation of each training batch on the device, right after its transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from augsynth.batch import Path, get_image, set_image
from augsynth.lightning._pl import pl
from augsynth.lightning.entries import find_images, find_indices, has_images, loaders_of
from augsynth.lightning.hooks import AFTER, Hook, hook_owner
from augsynth.lightning.schedule import AugmentationSchedule, checked, strength_of
from augsynth.rng import Rng
from augsynth.token_run import rows_of

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline


class AugmentOnDevice(pl.Callback):
    """Augment each training batch on the device, right after its transfer; other batches pass untouched.

    For trainers of pytorch_lightning and of lightning.pytorch alike, in any precision and with accumulated gradients.

    pipeline: applied to the batch's `(B, C, H, W)` tensor. Send uint8 and let the pipeline normalize: a quarter of
    the bytes cross the bus. Or to its texts, a list of strings: models that edit text run here and not in
    workers. Or, where it is one of tokens, to the batch itself, a mapping with "input_ids".
    key: position, field or dict key of that tensor, where a batch (tuple, list, dict, named tuple) has several.
    index: likewise, of the samples' indices `(B,)` int64; by default the entry called "index", if there is one.
    strength: 0 to 1, or a schedule of its own; by default that of the Trainer's `AugmentationSchedule`, else 1.

    Where a Trainer has several training loaders, the batch of each is augmented, but for those without images.

    With indices a sample is keyed by (pipeline.seed, epoch, index). Without, by its place: (pipeline.seed, epoch,
    number of the batch in the epoch, rank, row). Both are the same in a repeated run, and after a resume in the middle
    of an epoch, the second as long as the batches themselves come in the same order. What else is in the batch, such
    as an entry "synthetic" that says which samples were generated, stays as it is.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        key: Path = None,
        index: Path = None,
        strength: float | AugmentationSchedule | None = None,
    ) -> None:
        if not (hasattr(pipeline, "images") and hasattr(pipeline, "seed")):
            raise TypeError(
                f"{type(self).__name__}: the first argument must be an augsynth.Pipeline, got {type(pipeline).__name__}"
            )
        self.pipeline, self.key, self.index = pipeline, key, index
        fixed = strength is None or isinstance(strength, AugmentationSchedule)
        self.strength = strength if fixed else checked(strength, f"{type(self).__name__}: strength")
        self._batch: tuple[int, int] = (-1, -1)
        self._calls = 0
        self._hook: Hook | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Wrap the transfer hook of the object whose hook Lightning is going to call."""
        if stage == "fit":
            self.release()
            self._batch, self._calls = (-1, -1), 0
            self._hook = Hook(hook_owner(pl_module, getattr(trainer, "datamodule", None)), AFTER, self._after)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Put the hook back as it was."""
        self.release()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Put the hook back when training fails, for Lightning calls no teardown then."""
        self.release()

    def augment(self, batch: Any, trainer: Any) -> Any:
        """Return the batch with its images, texts or tokens augmented; same structure, nothing is changed in place."""
        strength = strength_of(self.strength, trainer)
        if getattr(self.pipeline, "token_plan", None) is not None:
            return self.pipeline.tokens(batch, self._rng(batch, rows_of(batch), trainer), strength)
        if getattr(self.pipeline, "text_plan", None) is not None:
            batch = self._write(batch, trainer, strength)
            if not self.pipeline.pictures:
                return batch
        return self._draw(batch, trainer, strength)

    def suited(self, images: torch.Tensor) -> Pipeline:
        """Return the pipeline for images of this dtype."""
        return self.pipeline

    def _draw(self, batch: Any, trainer: Any, strength: float) -> Any:
        """Augment the images of a batch, and move or mix what belongs to them."""
        rules, who = self.pipeline.rules, type(self).__name__
        path = find_images(batch, rules.image if self.key is None else self.key, who)
        images = get_image(batch, path)
        rng, pipeline = self._rng(batch, len(images), trainer), self.suited(images)
        targets = pipeline.find_targets([batch], [path], rng.index.tolist(), rules, len(images))
        # Several views of a batch are several batches, and each must be one.
        views = getattr(pipeline, "batches", None)
        result = views(images, rng, strength) if views else pipeline.images(images, rng, strength, targets=targets)
        for part in (result.values() if isinstance(result, dict) else result) if views else [result]:
            if not isinstance(part, torch.Tensor):
                sizes = ", ".join(sorted({" x ".join(map(str, image.shape)) for image in part}))
                raise ValueError(
                    f"{who}: the batch ended in different sizes ({sizes}); end the pipeline with one size "
                    "(Resize((h, w)), RandomResizedCrop, CenterCrop)"
                )
        batch = set_image(batch, path, result)
        return batch if targets is None else targets.put(0, batch, True)

    def _write(self, batch: Any, trainer: Any, strength: float) -> Any:
        """Edit the texts of a batch, here in the main process, where models may run."""
        key = None if self.pipeline.pictures else self.key

        def rng_of(size: int) -> Rng:
            return self._rng(batch, size, trainer)

        return self.pipeline.write_batch(batch, rng_of, key, strength)

    def _after(self, inner: Any, batch: Any, dataloader_idx: int) -> Any:
        batch = inner(batch, dataloader_idx)
        assert self._hook is not None
        trainer = self._hook.owner.trainer
        if not trainer.training:
            return batch
        # A Trainer of true half precision has cast the batch before the transfer; what the pipeline makes is float32.
        return trainer.precision_plugin.convert_input(self._each(batch, trainer))

    def _each(self, batch: Any, trainer: Any) -> Any:
        names = [name for name in loaders_of(batch, trainer) if has_images(batch[name])]
        if not names:
            return self.augment(batch, trainer)
        for name in names:
            batch = set_image(batch, name, self.augment(batch[name], trainer))
        return batch

    def release(self) -> None:
        """Put the hook back as it was."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _rng(self, batch: Any, size: int, trainer: Any) -> Rng:
        epoch = int(trainer.current_epoch)
        indices = find_indices(batch, self.index)
        if indices is not None:
            return Rng.of(self.pipeline.seed, indices, epoch)
        # Lightning restores this count when it resumes in the middle of an epoch.
        number = int(trainer.fit_loop.epoch_loop.batch_progress.current.ready)
        # A training step may fetch several batches by itself (dataloader_iter): Lightning counts them as one.
        self._calls = self._calls + 1 if self._batch == (epoch, number) else 0
        self._batch = epoch, number
        place = number * int(trainer.world_size) + int(trainer.global_rank)
        return Rng.of(self.pipeline.seed, [place] * size, epoch, [(self._calls << 20) + row for row in range(size)])
