from __future__ import annotations

import copy
import itertools
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from augsynth import transforms as T
from augsynth.data.sampler import loader
from augsynth.data.wrap import wrap
from augsynth.lightning.callbacks import AugmentOnDevice
from augsynth.pipeline import Pipeline
from augsynth.rng import Rng

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:.*You have overridden `on_after_batch_transfer` in:UserWarning",
    "ignore:.*dataloader is not resumable:UserWarning",
    "ignore:Checkpoint directory .* exists and is not empty:UserWarning",
)

SIZE, BATCH, SEED = 7, 2, 9
Sample = namedtuple("Sample", ["image", "label"])
PIPELINE = Pipeline([T.RandomHorizontalFlip(), T.ColorJitter(0.5, 0.5)], seed=SEED)


def picture(i: int) -> Tensor:
    return ((torch.arange(3 * 6 * 5) * 7 + 40 * i) % 251).to(torch.uint8).reshape(3, 6, 5)


class Pictures(Dataset[Any]):
    def __init__(self, make: Any = tuple) -> None:
        self.make = make

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, i: int) -> Any:
        image = picture(i)
        if self.make in (tuple, list):
            return self.make((image, int(i)))
        if self.make == "indexed":
            return {"image": image, "index": int(i)}
        return self.make(image=image, label=int(i))


class Net(pl.LightningModule):
    """Records every batch that its steps see."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[str, list[Any]] = {"train": [], "val": []}

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.seen["train"].append(copy.deepcopy(batch))
        return self.weight * 1.0

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["val"].append(copy.deepcopy(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class HookedNet(Net):
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.hooked = True
        return batch


class Data(pl.LightningDataModule):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Pictures(), BATCH)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Pictures(), BATCH)


class HookedData(Data):
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.hooked = True
        return batch


def trainer(*callbacks: pl.Callback, **kwargs: Any) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pl.Trainer(
        **{**quiet, "max_epochs": 1, "enable_checkpointing": False, "callbacks": list(callbacks), **kwargs}
    )


def plain(make: Any = tuple) -> DataLoader[Any]:
    return DataLoader(Pictures(make), BATCH)


def by_place(number: int, row: int, epoch: int = 0) -> Tensor:
    return PIPELINE.images([picture(number * BATCH + row)], Rng.of(SEED, number, epoch, row))[0]


def assert_augmented_by_place(batches: list[Any], epoch: int = 0) -> None:
    for number, (images, _) in enumerate(batches):
        for row, image in enumerate(images):
            assert torch.equal(image, by_place(number, row, epoch))


@pytest.mark.parametrize("net", [Net, HookedNet])
def test_loaders_are_augmented_in_training_only(net: type[Net]) -> None:
    model = net()
    trainer(AugmentOnDevice(PIPELINE)).fit(model, plain(), plain())
    assert len(model.seen["train"]) == 4
    assert_augmented_by_place(model.seen["train"])
    # Sanity check and validation saw the images as they are.
    assert len(model.seen["val"]) == 2 + 4
    for number, (images, _) in enumerate(model.seen["val"][2:]):
        assert torch.equal(images[0], picture(number * BATCH))


@pytest.mark.parametrize("net", [Net, HookedNet])
@pytest.mark.parametrize("datamodule", [Data, HookedData])
def test_the_hook_that_lightning_calls_is_the_one_that_is_wrapped(net: type[Net], datamodule: type[Data]) -> None:
    model, data = net(), datamodule()
    trainer(AugmentOnDevice(PIPELINE)).fit(model, datamodule=data)
    assert_augmented_by_place(model.seen["train"])
    assert torch.equal(model.seen["val"][-4][0][0], picture(0))
    # The user's own hook still ran: the datamodule's if there is one.
    assert getattr(data, "hooked", False) == (datamodule is HookedData)
    assert getattr(model, "hooked", False) == (net is HookedNet and datamodule is Data)
    assert "on_after_batch_transfer" not in vars(model)
    assert "on_after_batch_transfer" not in vars(data)


@pytest.mark.filterwarnings("error:.*on_after_batch_transfer.*")
def test_no_warning_about_hooks_beside_a_plain_datamodule() -> None:
    trainer(AugmentOnDevice(PIPELINE)).fit(Net(), datamodule=Data())


@pytest.mark.parametrize("make", [tuple, list, dict, Sample], ids=["tuple", "list", "dict", "namedtuple"])
def test_the_batchs_structure_is_kept(make: Any) -> None:
    model = Net()
    trainer(AugmentOnDevice(PIPELINE)).fit(model, plain(make))
    batch, before = model.seen["train"][0], next(iter(plain(make)))
    assert type(batch) is type(before)
    images, labels = batch.values() if make is dict else batch
    assert torch.equal(images[1], by_place(0, 1))
    assert labels.tolist() == [0, 1]


def test_a_tuple_stays_a_tuple_and_the_given_batch_is_not_changed() -> None:
    callback, batch = AugmentOnDevice(PIPELINE), (torch.stack([picture(0), picture(1)]), torch.tensor([0, 1]))
    fit = trainer(callback)
    result = callback.augment(batch, fit)
    assert type(result) is tuple
    assert not torch.equal(result[0], batch[0])
    assert torch.equal(batch[0][1], picture(1))


def test_an_index_in_the_batch_keys_the_sample_wherever_it_stands() -> None:
    model = Net()
    backwards = DataLoader(Pictures("indexed"), 3, sampler=range(SIZE - 1, -1, -1))
    trainer(AugmentOnDevice(PIPELINE), max_epochs=2).fit(model, backwards)
    for number, batch in enumerate(model.seen["train"]):
        for image, i in zip(batch["image"], batch["index"].tolist(), strict=True):
            expected = PIPELINE.images([picture(i)], Rng.of(SEED, i, epoch=number // 3))[0]
            assert torch.equal(image, expected)


def test_index_names_the_entry_that_holds_the_indices() -> None:
    model = Net()
    trainer(AugmentOnDevice(PIPELINE, index=1)).fit(model, DataLoader(Pictures(), 3))
    images, indices = model.seen["train"][1]
    assert indices.tolist() == [3, 4, 5]
    assert torch.equal(images[2], PIPELINE.images([picture(5)], Rng.of(SEED, 5))[0])


def test_every_epoch_draws_anew() -> None:
    model = Net()
    trainer(AugmentOnDevice(PIPELINE), max_epochs=2).fit(model, plain())
    assert_augmented_by_place(model.seen["train"][:4])
    assert_augmented_by_place(model.seen["train"][4:], epoch=1)


def test_a_second_fit_is_the_same_again() -> None:
    callback, models = AugmentOnDevice(PIPELINE), [Net(), Net()]
    one_batch = DataLoader(Pictures(), SIZE)
    for model in models:
        trainer(callback).fit(model, one_batch)
    assert torch.equal(models[0].seen["train"][0][0], models[1].seen["train"][0][0])


class Interrupted(pl.Callback):
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 1):
            trainer.save_checkpoint(self.path)
            raise RuntimeError("power cut")

    def __init__(self, path: Path) -> None:
        self.path = path


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_resumed_in_the_middle_of_an_epoch_sees_the_same_batches(tmp_path: Path, workers: int) -> None:
    """Both halves of the promise: ag.loader goes on at the right batch, the callback at the right key."""

    def batches() -> Any:
        cropped = wrap(Pictures(), Pipeline([T.RandomCrop(4)], seed=SEED))
        return loader(cropped, BATCH, shuffle=True, num_workers=workers)

    whole, before, after = Net(), Net(), Net()
    trainer(AugmentOnDevice(PIPELINE), max_epochs=3).fit(whole, batches())
    path = tmp_path / "cut.ckpt"
    with pytest.raises(RuntimeError, match="power cut"):
        trainer(AugmentOnDevice(PIPELINE), Interrupted(path), max_epochs=3).fit(before, batches())
    trainer(AugmentOnDevice(PIPELINE), max_epochs=3).fit(after, batches(), ckpt_path=path, weights_only=False)
    together = before.seen["train"] + after.seen["train"]
    assert len(together) == len(whole.seen["train"]) == 12
    for (images, labels), (expected, targets) in zip(together, whole.seen["train"], strict=True):
        assert labels.tolist() == targets.tolist()
        assert torch.equal(images, expected)


@pytest.mark.parametrize("limit", [None, 3])
def test_a_run_resumed_between_epochs_sees_the_same_batches(tmp_path: Path, limit: int | None) -> None:
    def batches() -> Any:
        return loader(wrap(Pictures(), Pipeline([T.RandomCrop(4)], seed=SEED)), BATCH, shuffle=True, num_workers=1)

    whole, before, after = Net(), Net(), Net()
    trainer(max_epochs=3, limit_train_batches=limit).fit(whole, batches())
    first = trainer(max_epochs=2, limit_train_batches=limit)
    first.fit(before, batches())
    first.save_checkpoint(tmp_path / "end.ckpt")
    second = trainer(max_epochs=3, limit_train_batches=limit)
    second.fit(after, batches(), ckpt_path=tmp_path / "end.ckpt", weights_only=False)
    together = before.seen["train"] + after.seen["train"]
    assert len(together) == len(whole.seen["train"]) == 3 * (limit or 4)
    for (images, labels), (expected, targets) in zip(together, whole.seen["train"], strict=True):
        assert labels.tolist() == targets.tolist()
        assert torch.equal(images, expected)


class LoaderData(pl.LightningDataModule):
    def train_dataloader(self) -> Any:
        return loader(wrap(Pictures(), PIPELINE), BATCH, shuffle=True)


def test_lightning_accepts_the_loader_from_a_datamodule_and_sets_its_epoch() -> None:
    model = Net()
    trainer(max_epochs=2).fit(model, datamodule=LoaderData())
    expected = LoaderData().train_dataloader()
    for (images, labels), (theirs, targets) in zip(
        model.seen["train"], itertools.chain(expected, expected), strict=True
    ):
        assert labels.tolist() == targets.tolist()
        assert torch.equal(images, theirs)


@pytest.mark.filterwarnings("ignore:You requested to overfit:UserWarning")
def test_lightning_can_rebuild_the_loader_with_a_sampler_of_its_own() -> None:
    model = Net()
    trainer(overfit_batches=2).fit(model, loader(wrap(Pictures(), PIPELINE), BATCH, shuffle=True))
    assert [labels.tolist() for _, labels in model.seen["train"]] == [[0, 1], [2, 3]]


class Broken(Net):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        raise RuntimeError("bad step")


def test_the_hook_is_put_back_when_training_fails() -> None:
    model = Broken()
    with pytest.raises(RuntimeError, match="bad step"):
        trainer(AugmentOnDevice(PIPELINE)).fit(model, plain())
    assert "on_after_batch_transfer" not in vars(model)


def test_two_callbacks_stack_and_leave_no_trace() -> None:
    model = Net()
    other = Pipeline([T.RandomVerticalFlip()], seed=2)
    trainer(AugmentOnDevice(PIPELINE), AugmentOnDevice(other)).fit(model, plain())
    first = torch.stack([by_place(0, 0), by_place(0, 1)])
    expected = other.images(first, Rng.of(2, [0, 0], 0, [0, 1]))
    assert torch.equal(model.seen["train"][0][0], expected)
    assert "on_after_batch_transfer" not in vars(model)


def test_a_hook_set_on_the_instance_is_put_back() -> None:
    model = Net()
    own = lambda batch, dataloader_idx: batch  # noqa: E731
    model.on_after_batch_transfer = own  # type: ignore[method-assign]
    trainer(AugmentOnDevice(PIPELINE)).fit(model, plain())
    assert_augmented_by_place(model.seen["train"])
    assert model.on_after_batch_transfer is own


def test_validate_and_test_leave_batches_alone() -> None:
    model = Net()
    trainer(AugmentOnDevice(PIPELINE)).validate(model, plain(), verbose=False)
    assert torch.equal(model.seen["val"][0][0][0], picture(0))


def test_keyed_batches_leave_global_random_state_alone() -> None:
    callback, batch = AugmentOnDevice(PIPELINE), default_collate([(picture(i), i) for i in range(3)])
    fit, before = trainer(callback), torch.get_rng_state()
    callback.augment(batch, fit)
    assert torch.equal(torch.get_rng_state(), before)


images = torch.zeros(2, 3, 6, 6, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((images, images), r"2 \(B, C, H, W\) tensors .* key="),
        ((images[:, 0], torch.zeros(2)), r"no \(B, C, H, W\) tensor"),
        ("text", r"no \(B, C, H, W\) tensor"),
    ],
)
def test_a_batch_whose_images_are_not_clear_is_refused(batch: Any, message: str) -> None:
    callback = AugmentOnDevice(PIPELINE)
    with pytest.raises(TypeError, match=message):
        callback.augment(batch, trainer(callback))


def test_what_is_no_pipeline_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"AugmentOnDevice: the first argument must be an augsynth\.Pipeline, got list"):
        AugmentOnDevice([T.RandomHorizontalFlip()])  # type: ignore[arg-type]


def test_key_says_which_entry_holds_the_images() -> None:
    callback = AugmentOnDevice(PIPELINE, key=1)
    batch = (images, torch.stack([picture(0), picture(1)]))
    first, second = callback.augment(batch, trainer(callback))
    assert first is images
    assert not torch.equal(second, batch[1])


def test_a_batch_that_ends_in_different_sizes_says_what_to_do() -> None:
    callback = AugmentOnDevice(Pipeline([T.RandomRotation(30, expand=True)], seed=SEED))
    with pytest.raises(ValueError, match=r"different sizes \(.*RandomResizedCrop"):
        callback.augment((images, torch.zeros(2)), trainer(callback))


@pytest.mark.cuda
def test_the_batch_is_augmented_on_the_gpu() -> None:
    model = Net()
    trainer(AugmentOnDevice(PIPELINE), accelerator="gpu", devices=1).fit(model, plain())
    batch, _ = model.seen["train"][0]
    assert batch.device.type == "cuda"
    assert (batch[0].cpu().int() - by_place(0, 0).int()).abs().max() <= 1


def test_targets_that_would_stay_behind_are_refused() -> None:
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    batch = {"image": images, "boxes": [torch.zeros(1, 4)] * 2, "index": torch.arange(2)}
    with pytest.raises(TypeError, match=r"'boxes' .* cannot follow aug_mix"):
        AugmentOnDevice(Pipeline([T.AugMix()])).augment(batch, SimpleNamespace(current_epoch=0))
