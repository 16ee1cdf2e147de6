"""The synthetic samples of an epoch, made before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils._pytree import tree_leaves

from augsynth.data.sampler import synthetic_of
from augsynth.lightning._pl import pl


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
            raise TypeError(_nothing(datasets_of(trainer)))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the samples of the epoch that starts."""
        self._refresh(trainer)

    def _refresh(self, trainer: pl.Trainer) -> bool:
        found = self._found(trainer)
        for dataset, rows in found:
            dataset.refresh(int(trainer.current_epoch), rows)
        return bool(found)

    def _found(self, trainer: pl.Trainer) -> list[Any]:
        datasets = datasets_of(trainer) if self.dataset is None else [self.dataset]
        return [found for found in map(synthetic_of, datasets) if found[0] is not None]


def datasets_of(trainer: pl.Trainer) -> list[Any]:
    """Return the data sets of the training loaders; before Lightning has asked for them, of those given to `fit`."""
    loaders = trainer.train_dataloader
    if loaders is None:
        loaders = getattr(getattr(trainer.fit_loop, "_data_source", None), "instance", None)
    return [loader.dataset for loader in tree_leaves(loaders) if hasattr(loader, "dataset")]


def _nothing(datasets: Sequence[Any]) -> str:
    names = ", ".join(sorted({type(dataset).__name__ for dataset in datasets}))
    return f"RefreshSynthetic: no training data set is one of blend, balance or SyntheticDataset: {names}"
