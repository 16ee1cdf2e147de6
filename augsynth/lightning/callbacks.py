"""Lightning callbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch.utils._pytree import tree_leaves

from augsynth.batch import IMAGE_KEYS, Path, describe, get_image, set_image
from augsynth.data.sampler import synthetic_of
from augsynth.rng import Rng
from augsynth.token_run import rows_of

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

_HOOK = "on_after_batch_transfer"


class RefreshSynthetic(pl.Callback):
    """Make the synthetic samples of each epoch before it starts: in the main process, on the generator's device.

    dataset: from `blend`, `balance` or `SyntheticDataset`; by default the training data of the Trainer, wrapped or not,
    in DataLoaders of any kind. Name it where a DataModule brings it: Lightning starts the first workers before a hook
    sees that data, and they would make their first batches themselves. `augsynth.loader` does the same by itself.
    Raises: TypeError where no training data is synthetic.
    """

    def __init__(self, dataset: Any = None) -> None:
        self.dataset = dataset
        if dataset is not None and synthetic_of(dataset)[0] is None:
            raise TypeError(_nothing([dataset]))

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make the first epoch's samples before Lightning starts its workers."""
        if stage == "fit":
            self._refresh(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the samples of the epoch in which a training goes on."""
        if not self._refresh(trainer):
            raise TypeError(_nothing(_datasets(trainer)))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the samples of the epoch that starts."""
        self._refresh(trainer)

    def _refresh(self, trainer: pl.Trainer) -> bool:
        found = self._found(trainer)
        for dataset, rows in found:
            dataset.refresh(int(trainer.current_epoch), rows)
        return bool(found)

    def _found(self, trainer: pl.Trainer) -> list[Any]:
        datasets = _datasets(trainer) if self.dataset is None else [self.dataset]
        return [found for found in map(synthetic_of, datasets) if found[0] is not None]


def _datasets(trainer: pl.Trainer) -> list[Any]:
    """Return the data sets of the training loaders; before Lightning has asked for them, of those given to `fit`."""
    loaders = trainer.train_dataloader
    if loaders is None:
        loaders = getattr(getattr(trainer.fit_loop, "_data_source", None), "instance", None)
    return [loader.dataset for loader in tree_leaves(loaders) if hasattr(loader, "dataset")]


def _nothing(datasets: Sequence[Any]) -> str:
    names = ", ".join(sorted({type(dataset).__name__ for dataset in datasets}))
    return f"RefreshSynthetic: no training data set is one of blend, balance or SyntheticDataset: {names}"


class AugmentOnDevice(pl.Callback):
    """Augment each training batch on the device, right after its transfer; other batches pass untouched.

    For trainers of pytorch_lightning and of lightning.pytorch alike.

    pipeline: applied to the batch's `(B, C, H, W)` tensor. Send uint8 and let the pipeline normalize: a quarter of
    the bytes cross the bus. Or to its texts, a list of strings: models that edit text run here and not in
    workers. Or, where it is one of tokens, to the batch itself, a mapping with "input_ids".
    key: position, field or dict key of that tensor, where a batch (tuple, list, dict, named tuple) has several.
    index: likewise, of the samples' indices `(B,)` int64; by default the entry called "index", if there is one.

    With indices a sample is keyed by (pipeline.seed, epoch, index). Without, by its place: (pipeline.seed, epoch,
    number of the batch in the epoch, rank, row). Both are the same in a repeated run, and after a resume in the middle
    of an epoch, the second as long as the batches themselves come in the same order.
    """

    def __init__(self, pipeline: Pipeline, *, key: Path = None, index: Path = None) -> None:
        self.pipeline, self.key, self.index = pipeline, key, index
        self._batch: tuple[int, int] = (-1, -1)
        self._calls = 0
        self._hook: _Hook | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Wrap the transfer hook of the object whose hook Lightning is going to call."""
        if stage == "fit":
            self._release()
            self._batch, self._calls = (-1, -1), 0
            self._hook = _Hook(self, _hook_owner(pl_module, getattr(trainer, "datamodule", None)))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Put the hook back as it was."""
        self._release()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Put the hook back when training fails, for Lightning calls no teardown then."""
        self._release()

    def augment(self, batch: Any, trainer: Any) -> Any:
        """Return the batch with its images, texts or tokens augmented; same structure, nothing is changed in place."""
        if getattr(self.pipeline, "token_plan", None) is not None:
            return self.pipeline.tokens(batch, self._rng(batch, rows_of(batch), trainer))
        rules = self.pipeline.rules
        if getattr(self.pipeline, "text_plan", None) is not None:
            batch = self._write(batch, trainer)
            if not self.pipeline.pictures:
                return batch
        path = _find_images(batch, rules.image if self.key is None else self.key)
        images = get_image(batch, path)
        rng = self._rng(batch, len(images), trainer)
        targets = self.pipeline.find_targets([batch], [path], rng.index.tolist(), rules, len(images))
        # Several views of a batch are several batches, and each must be one.
        views = getattr(self.pipeline, "batches", None)
        result = views(images, rng) if views else self.pipeline.images(images, rng, targets=targets)
        for part in (result.values() if isinstance(result, dict) else result) if views else [result]:
            if not isinstance(part, torch.Tensor):
                sizes = ", ".join(sorted({" x ".join(map(str, image.shape)) for image in part}))
                raise ValueError(
                    f"AugmentOnDevice: the batch ended in different sizes ({sizes}); end the pipeline with one size "
                    "(Resize((h, w)), RandomResizedCrop, CenterCrop)"
                )
        batch = set_image(batch, path, result)
        return batch if targets is None else targets.put(0, batch, True)

    def _write(self, batch: Any, trainer: Any) -> Any:
        """Edit the texts of a batch, here in the main process, where models may run."""
        key = None if self.pipeline.pictures else self.key

        def rng_of(size: int) -> Rng:
            return self._rng(batch, size, trainer)

        return self.pipeline.write_batch(batch, rng_of, key)

    def _release(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _rng(self, batch: Any, size: int, trainer: Any) -> Rng:
        epoch = int(trainer.current_epoch)
        indices = _find_indices(batch, self.index)
        if indices is not None:
            return Rng.of(self.pipeline.seed, indices, epoch)
        # Lightning restores this count when it resumes in the middle of an epoch.
        number = int(trainer.fit_loop.epoch_loop.batch_progress.current.ready)
        # A training step may fetch several batches by itself (dataloader_iter): Lightning counts them as one.
        self._calls = self._calls + 1 if self._batch == (epoch, number) else 0
        self._batch = epoch, number
        place = number * int(trainer.world_size) + int(trainer.global_rank)
        return Rng.of(self.pipeline.seed, [place] * size, epoch, [(self._calls << 20) + row for row in range(size)])


class _Hook:
    """Stands on one object in place of its transfer hook; hooks of several callbacks stack and leave in any order."""

    def __init__(self, callback: AugmentOnDevice, owner: Any) -> None:
        self.callback, self.owner = callback, owner
        self.inner = getattr(owner, _HOOK)
        self.on_instance = _HOOK in vars(owner)
        # A bound method and not this object: Lightning compares the __code__ of hooks to see which are overridden.
        setattr(owner, _HOOK, self.run)

    def run(self, batch: Any, dataloader_idx: int) -> Any:
        batch = self.inner(batch, dataloader_idx)
        trainer = self.owner.trainer
        return self.callback.augment(batch, trainer) if trainer.training else batch

    def remove(self) -> None:
        outer, hook = None, getattr(getattr(self.owner, _HOOK), "__self__", None)
        while isinstance(hook, _Hook) and hook is not self:
            outer, hook = hook, getattr(hook.inner, "__self__", None)
        if hook is not self:
            return  # somebody has replaced the whole stack since
        if outer is not None:
            outer.inner, outer.on_instance = self.inner, self.on_instance
        elif self.on_instance:
            setattr(self.owner, _HOOK, self.inner)
        else:
            delattr(self.owner, _HOOK)


def _hook_owner(module: Any, datamodule: Any) -> Any:
    """Return whose hook Lightning calls: the datamodule's where that has one of its own, else the module's.

    Where neither has one, the datamodule: a hook on the module beside a datamodule makes Lightning warn.
    """
    if datamodule is None or (_overrides(module) and not _overrides(datamodule)):
        return module
    return datamodule


def _overrides(owner: Any) -> bool:
    return _HOOK in vars(owner) or getattr(type(owner), _HOOK).__qualname__ != f"DataHooks.{_HOOK}"


def _find_images(batch: Any, key: Path) -> Path:
    if key is not None:
        get_image(batch, key)
        return key
    if _is_images(batch):
        return None
    entries = _entries(batch)
    found = [name for name, value in entries.items() if _is_images(value)]
    usual = [name for name in found if name in IMAGE_KEYS]
    if len(found) > 1 and len(usual) == 1:
        found = usual
    if len(found) != 1:
        what = f"{len(found)} (B, C, H, W) tensors" if found else "no (B, C, H, W) tensor"
        raise TypeError(f"AugmentOnDevice: {what} in {describe(batch)}; say which entry holds the images with key=")
    path: Path = found[0]
    return path


def _find_indices(batch: Any, path: Path) -> Any:
    if path is not None:
        return get_image(batch, path)
    return _entries(batch).get("index")


def _entries(batch: Any) -> dict[Any, Any]:
    if isinstance(batch, Mapping):
        return dict(batch)
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return dict(zip(getattr(batch, "_fields", range(len(batch))), batch, strict=True))
    return {}


def _is_images(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 4
