"""`wrap` of a LightningDataModule: the user's own, with augmented training data."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.combined_loader import CombinedLoader
from torch.utils.data import DataLoader, Dataset, IterableDataset

import augsynth as ag
from augsynth import transforms as T
from augsynth.lightning.datamodule import Wrapped
from augsynth.rng import Rng

SIZE, SEED = 8, 3
PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip()], seed=SEED)
Pair = namedtuple("Pair", "first second")


def picture(i: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(i).integers(0, 256, (3, 8, 8), np.uint8))


class Pictures(Dataset[Any]):
    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return picture(i), int(i)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return ((picture(i), i) for i in range(SIZE))


class Module(pl.LightningDataModule):
    """A DataModule with hooks, hyperparameters, state and loaders in a structure."""

    def __init__(self, batch_size: int = 4, make: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters("batch_size")
        self.make, self.calls, self.seen = make, [], 0

    def prepare_data(self) -> None:
        self.calls.append("prepare")

    def setup(self, stage: str) -> None:
        self.calls.append("setup")
        self.data = Pictures()

    def teardown(self, stage: str) -> None:
        self.calls.append("teardown")

    def loader(self) -> DataLoader[Any]:
        return DataLoader(self.data, self.hparams.batch_size)

    def train_dataloader(self) -> Any:
        return self.loader() if self.make is None else self.make(self)

    def val_dataloader(self) -> DataLoader[Any]:
        return self.loader()

    def test_dataloader(self) -> DataLoader[Any]:
        return self.loader()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.seen += 1 if self.trainer.training else 0
        return batch

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


class Keeping(pl.LightningModule):
    """Keeps the batches of its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.train_batches: list[Any] = []
        self.val_batches: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.train_batches.append((self.current_epoch, batch))
        return self.weight * 1.0

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.val_batches.append(batch)

    test_step = validation_step

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Any, epochs: int = 1, **options: Any) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pl.Trainer(max_epochs=epochs, default_root_dir=folder, **{**quiet, "enable_checkpointing": False, **options})


def truth(i: int, epoch: int) -> torch.Tensor:
    return PIPELINE.images([picture(i)], Rng.of(SEED, i, epoch))[0]


def is_augmented(images: torch.Tensor, labels: torch.Tensor, epoch: int) -> bool:
    return all(torch.equal(image, truth(i, epoch)) for image, i in zip(images, labels.tolist(), strict=True))


def test_training_batches_are_augmented_by_key_and_validation_is_left_alone(tmp_path: Any) -> None:
    theirs, model = Module(), Keeping()
    ours = ag.wrap(theirs, PIPELINE)
    trainer(tmp_path, epochs=2).fit(model, datamodule=ours)
    assert [epoch for epoch, _ in model.train_batches] == [0, 0, 1, 1]
    assert all(is_augmented(*batch, epoch) for epoch, batch in model.train_batches)
    assert all(
        torch.equal(image, picture(i))
        for images, labels in model.val_batches
        for image, i in zip(images, labels.tolist(), strict=True)
    )
    assert theirs.calls == ["prepare", "setup", "teardown"]
    assert ours.seen == theirs.seen == 4


def test_what_comes_back_is_of_the_users_class_with_the_users_attributes() -> None:
    theirs = Module(batch_size=2)
    ours = ag.wrap(theirs, PIPELINE)
    assert isinstance(ours, Module)
    assert isinstance(ours, Wrapped)
    assert not isinstance(theirs, Wrapped)
    assert type(ours).__qualname__ == "Module"
    assert ours.hparams.batch_size == 2
    ours.setup("fit")
    assert theirs.data is ours.data
    images, _ = next(iter(theirs.train_dataloader()))
    assert images.shape == (2, 3, 8, 8)
    assert next(iter(ours.train_dataloader()))[0].shape == (2, 3, 6, 6)


def test_test_data_is_left_alone(tmp_path: Any) -> None:
    model = Keeping()
    trainer(tmp_path).test(model, datamodule=ag.wrap(Module(), PIPELINE), verbose=False)
    assert model.val_batches[0][0].shape == (4, 3, 8, 8)


def many(make: Any) -> Any:
    return lambda module: make([module.loader(), DataLoader(module.data, 2, shuffle=True)])


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (list, list),
        (tuple, tuple),
        (lambda loaders: dict(zip("ab", loaders, strict=True)), dict),
        (lambda loaders: Pair(*loaders), Pair),
        (lambda loaders: {"a": loaders}, dict),
        (lambda loaders: CombinedLoader(loaders, "max_size"), CombinedLoader),
    ],
    ids=["list", "tuple", "dict", "named", "nested", "combined"],
)
def test_every_structure_of_training_loaders_is_wrapped(make: Any, kind: type) -> None:
    ours = ag.wrap(Module(make=many(make)), PIPELINE)
    ours.setup("fit")
    loaders = ours.train_dataloader()
    assert type(loaders) is kind
    if kind is CombinedLoader:
        assert loaders._mode == "max_size"
        loaders = loaders.iterables
    flat = loaders["a"] if isinstance(loaders, dict) and len(loaders) == 1 else loaders
    for loader in flat.values() if isinstance(flat, dict) else flat:
        assert is_augmented(*next(iter(loader)), 0)


def test_a_stream_in_a_datamodule_is_wrapped_with_its_keys() -> None:
    ours = ag.wrap(Module(make=lambda module: DataLoader(Stream(), 4)), PIPELINE, index_of=1)
    ours.setup("fit")
    for epoch in range(2):
        assert all(is_augmented(*batch, epoch) for batch in ours.train_dataloader()) == (epoch == 0)


def test_what_is_no_loader_is_refused() -> None:
    ours = ag.wrap(Module(make=lambda module: 3), PIPELINE)
    with pytest.raises(TypeError, match=r"train_dataloader\(\) returned int; a DataLoader, a list or dict of them"):
        ours.train_dataloader()


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
def test_a_datamodule_made_from_datasets_is_wrapped_too(tmp_path: Any) -> None:
    model = Keeping()
    module = pl.LightningDataModule.from_datasets(train_dataset=Pictures(), val_dataset=Pictures(), batch_size=4)
    trainer(tmp_path).fit(model, datamodule=ag.wrap(module, PIPELINE))
    assert all(is_augmented(*batch, 0) for _, batch in model.train_batches)
    assert model.val_batches[0][0].shape == (4, 3, 8, 8)


def test_wrapping_twice_applies_both_pipelines() -> None:
    ours = ag.wrap(ag.wrap(Module(), PIPELINE), ag.Pipeline([T.Pad(2)]))
    ours.setup("fit")
    assert next(iter(ours.train_dataloader()))[0].shape == (4, 3, 10, 10)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_and_pickles_are_augmented_too(copied: Any) -> None:
    ours = copied(ag.wrap(Module(), PIPELINE))
    ours.setup("fit")
    assert is_augmented(*next(iter(ours.train_dataloader())), 0)
    assert isinstance(ours, Module)


def test_state_goes_into_a_checkpoint_under_the_users_name(tmp_path: Any) -> None:
    path, ours = tmp_path / "run.ckpt", ag.wrap(Module(), PIPELINE)
    run = trainer(tmp_path)
    run.fit(Keeping(), datamodule=ours)
    run.save_checkpoint(path)
    plain, again = Module(), Keeping()
    trainer(tmp_path, epochs=2).fit(again, datamodule=plain, ckpt_path=path)
    assert plain.seen == 4
    resumed, again = ag.wrap(Module(), PIPELINE), Keeping()
    trainer(tmp_path, epochs=2).fit(again, datamodule=resumed, ckpt_path=path)
    assert [epoch for epoch, _ in again.train_batches] == [1, 1]
    assert all(is_augmented(*batch, 1) for _, batch in again.train_batches)


class Cut(pl.Callback):
    """Saves and ends the run behind the third batch."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2:
            trainer.save_checkpoint(self.path)
            raise RuntimeError("power cut")


def test_a_run_that_stops_within_an_epoch_goes_on_with_the_next_batch(tmp_path: Any) -> None:
    def run(model: Keeping, ckpt_path: Any = None, **options: Any) -> None:
        shuffled = Module(make=lambda module: DataLoader(module.data, 2, shuffle=True, num_workers=1))
        fit = trainer(tmp_path, epochs=2, limit_val_batches=0, **options)
        fit.fit(model, datamodule=ag.wrap(shuffled, PIPELINE), ckpt_path=ckpt_path)

    first, rest, whole = Keeping(), Keeping(), Keeping()
    run(whole)
    with pytest.raises(RuntimeError, match="power cut"):
        run(first, callbacks=[Cut(tmp_path / "run.ckpt")])
    run(rest, ckpt_path=tmp_path / "run.ckpt")
    seen = [*first.train_batches, *rest.train_batches]
    assert len(seen) == len(whole.train_batches) == 8
    for (epoch, (images, labels)), (other, (theirs, numbers)) in zip(seen, whole.train_batches, strict=True):
        assert (epoch, labels.tolist()) == (other, numbers.tolist())
        assert torch.equal(images, theirs)
