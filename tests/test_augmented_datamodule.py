"""Datasets and pipelines as a DataModule, in a real Trainer, with real Lightning checkpoints."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from test_lightning import BATCH, PIPELINE, SEED, SIZE, HookedNet, Interrupted, Net, Pictures, picture, trainer
from torch.utils.data import IterableDataset

import augsynth as ag
from augsynth import transforms as T
from augsynth.lightning.callbacks import AugmentationSchedule, AugmentOnDevice, MixOnDevice, SampleGrid
from augsynth.rng import Rng

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:Checkpoint directory .* exists and is not empty:UserWarning",
    "ignore:You have overridden `on_after_batch_transfer` in `LightningModule` but:UserWarning",
)
CROP = ag.Pipeline([T.RandomCrop(4)], seed=SEED)


def test_training_is_augmented_twice_and_the_rest_not_at_all() -> None:
    data, model = (
        ag.AugmentedDataModule(
            Pictures(), Pictures(), pipeline=CROP, on_device=PIPELINE, batch_size=BATCH, shuffle=False
        ),
        Net(),
    )
    trainer(num_sanity_val_steps=0).fit(model, datamodule=data)
    for number, (images, labels) in enumerate(model.seen["train"]):
        cropped = CROP.images([picture(int(i)) for i in labels], Rng.of(SEED, labels))
        key = Rng.of(SEED, [number] * len(labels), 0, list(range(len(labels))))
        assert torch.equal(images, PIPELINE.images(cropped, key))
    assert [labels.tolist() for _, labels in model.seen["val"]] == [[0, 1], [2, 3], [4, 5], [6]]
    assert torch.equal(model.seen["val"][1][0][0], picture(2))
    assert "on_after_batch_transfer" not in {**vars(model), **vars(data)}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_checkpoint_in_the_middle_of_an_epoch_goes_on_bit_for_bit(tmp_path: Path, workers: int) -> None:
    def run(model: Net, *callbacks: Any, **options: Any) -> None:
        on_device = [AugmentOnDevice(PIPELINE), MixOnDevice(T.MixUp(), SIZE)]
        data = ag.AugmentedDataModule(
            Pictures(), pipeline=CROP, on_device=on_device, batch_size=BATCH, seed=4, num_workers=workers
        )
        trainer(*callbacks, max_epochs=3).fit(model, datamodule=data, **options)

    whole, before, after = Net(), Net(), Net()
    run(whole)
    with pytest.raises(RuntimeError, match="power cut"):
        run(before, Interrupted(tmp_path / "cut.ckpt"))
    assert "on_after_batch_transfer" not in vars(before)
    run(after, ckpt_path=tmp_path / "cut.ckpt", weights_only=False)
    together = before.seen["train"] + after.seen["train"]
    assert len(together) == len(whole.seen["train"]) == 12
    for (images, labels), (theirs, others) in zip(together, whole.seen["train"], strict=True):
        assert torch.equal(labels, others)
        assert torch.equal(images, theirs)
    assert not torch.equal(whole.seen["train"][0][1], whole.seen["train"][4][1])


def test_another_pipeline_than_the_checkpoints_is_said(tmp_path: Path) -> None:
    first = trainer()
    first.fit(Net(), datamodule=ag.AugmentedDataModule(Pictures(), pipeline=CROP, batch_size=BATCH))
    first.save_checkpoint(tmp_path / "end.ckpt")
    other = ag.AugmentedDataModule(Pictures(), pipeline=ag.Pipeline([T.RandomCrop(3)], seed=SEED), batch_size=BATCH)
    with pytest.warns(UserWarning, match=r"saved with pipeline=.*RandomCrop\(size=4.*, now .*size=3"):
        trainer(max_epochs=2).fit(Net(), datamodule=other, ckpt_path=tmp_path / "end.ckpt", weights_only=False)
    fewer = ag.AugmentedDataModule(Pictures(), pipeline=CROP, batch_size=3)
    with pytest.warns(UserWarning, match=r"saved with batch_size=2, now 3: the batches from here on"):
        trainer(max_epochs=2).fit(Net(), datamodule=fewer, ckpt_path=tmp_path / "end.ckpt", weights_only=False)


@pytest.mark.parametrize("strength", [(0.1, 1.0), abs])
def test_a_schedule_made_again_is_no_change(tmp_path: Path, strength: Any) -> None:
    def data(shape: str) -> ag.AugmentedDataModule:
        on_device = AugmentOnDevice(PIPELINE, strength=AugmentationSchedule(strength, shape))
        return ag.AugmentedDataModule(Pictures(), on_device=[on_device], batch_size=BATCH)

    first = trainer()
    first.fit(Net(), datamodule=data("linear"))
    first.save_checkpoint(tmp_path / "end.ckpt")
    options = {"ckpt_path": tmp_path / "end.ckpt", "weights_only": False}
    trainer(max_epochs=2).fit(Net(), datamodule=data("linear"), **options)
    with pytest.warns(UserWarning, match="saved with on_device=.*'linear'.*, now .*'cosine'"):
        trainer(max_epochs=2).fit(Net(), datamodule=data("cosine"), **options)


def test_a_module_with_a_hook_of_its_own_keeps_it() -> None:
    model = HookedNet()
    data = ag.AugmentedDataModule(Pictures(), on_device=PIPELINE, batch_size=BATCH, shuffle=False)
    trainer().fit(model, datamodule=data)
    assert model.hooked
    assert torch.equal(
        model.seen["train"][0][0], PIPELINE.images([picture(0), picture(1)], Rng.of(SEED, [0, 0], 0, [0, 1]))
    )


@pytest.mark.filterwarnings("ignore:You requested to overfit:UserWarning")
def test_lightning_can_make_the_loader_again_with_another_sampler() -> None:
    model = Net()
    data = ag.AugmentedDataModule(Pictures(), pipeline=CROP, batch_size=BATCH)
    trainer(overfit_batches=2, max_epochs=2).fit(model, datamodule=data)
    assert [labels.tolist() for _, labels in model.seen["train"]] == [[0, 1], [2, 3]] * 2


class Testing(Net):
    __test__ = False

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["val"].append(batch)

    def predict_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return batch[1]


def test_test_and_predict_come_as_they_are() -> None:
    model, fit = Testing(), trainer()
    data = ag.AugmentedDataModule(Pictures(), test=Pictures(), predict=Pictures(), on_device=PIPELINE, batch_size=4)
    fit.test(model, datamodule=data, verbose=False)
    assert torch.equal(model.seen["val"][1][0][0], picture(4))
    assert torch.cat(fit.predict(model, datamodule=data)).tolist() == list(range(SIZE))
    # What is not there is not there for Lightning either, which then says so itself.
    assert not is_overridden("test_dataloader", ag.AugmentedDataModule(Pictures()))
    assert is_overridden("test_dataloader", data)


def test_without_validation_data_there_is_no_warning_about_it() -> None:
    class Plain(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            return self.weight * 1.0

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    trainer().fit(Plain(), datamodule=ag.AugmentedDataModule(Pictures(), batch_size=SIZE))


def test_it_survives_pickling_and_the_sample_grid_knows_its_normalization(tmp_path: Path) -> None:
    seen = ag.Pipeline([T.Normalize((0.5,) * 3, (0.1,) * 3)])
    data = pickle.loads(pickle.dumps(ag.AugmentedDataModule(Pictures(), on_device=seen, batch_size=4, shuffle=False)))
    fit = trainer(grid := SampleGrid(dirpath=tmp_path))
    model = Net()
    fit.fit(model, datamodule=data)
    assert grid.draw(model.seen["train"][0], fit)[2, 2].tolist() == picture(0)[:, 0, 0].tolist()


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


def test_data_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError, match="train is a Stream, which cannot be indexed; give a map-style dataset"):
        ag.AugmentedDataModule(Stream())
    with pytest.raises(ValueError, match="train is wrapped already; leave pipeline out"):
        ag.AugmentedDataModule(ag.wrap(Pictures(), CROP), pipeline=CROP)
    with pytest.raises(TypeError, match="on_device holds a int; give a pipeline, or a list of AugmentOnDevice"):
        ag.AugmentedDataModule(Pictures(), on_device=[3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="there is no test data; give test="):
        ag.AugmentedDataModule.test_dataloader(ag.AugmentedDataModule(Pictures()))
    assert ag.AugmentedDataModule(ag.wrap(Pictures(), CROP)).pipeline is CROP


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
# jsonargparse writes tuples as lists, which a Pipeline takes for tuples again.
@pytest.mark.filterwarnings(r"ignore:\s*Dump of a value that does not round-trip")
def test_the_command_line_of_lightning_can_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_lightning.cli import LightningCLI

    crop = {"class_path": "augsynth.transforms.RandomCrop", "init_args": {"size": 4}}
    pipeline = {"class_path": "augsynth.Pipeline", "init_args": {"transforms": {"random_crop": crop}, "seed": SEED}}
    given = {
        "data.train": json.dumps({"class_path": "test_lightning.Pictures"}),
        "data.batch_size": 3,
        "trainer.logger": "false",
        "data.pipeline": json.dumps(pipeline),
    }
    monkeypatch.setattr("sys.argv", ["train", *(f"--{name}={value}" for name, value in given.items())])
    made = LightningCLI(
        Net, ag.AugmentedDataModule, run=False, save_config_callback=None, seed_everything_default=False
    )
    assert made.datamodule.pipeline == CROP
    made.trainer = trainer()
    made.trainer.fit(made.model, datamodule=made.datamodule)
    assert len(made.model.seen["train"]) == 3
