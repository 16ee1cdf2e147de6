"""A Trainer with several training loaders: the batch of each is augmented, and keyed apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_lightning import BATCH, PIPELINE, SEED, Net, Pictures, assert_augmented_by_place, picture, plain, trainer
from torch.utils.data import DataLoader

from augsynth import transforms as T
from augsynth.lightning.callbacks import AugmentOnDevice, MixOnDevice
from augsynth.rng import Rng

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no:UserWarning")


def expected(number: int, row: int, call: int) -> torch.Tensor:
    rng = Rng.of(SEED, number, 0, (call << 20) + row)
    return PIPELINE.images([picture(number * BATCH + row)], rng)[0]


@pytest.mark.parametrize("kind", [dict, list])
def test_the_batch_of_each_loader_is_augmented_with_draws_of_its_own(kind: Any) -> None:
    loaders: Any = {"labelled": plain(), "other": plain()} if kind is dict else [plain(), plain()]
    model = Net()
    trainer(AugmentOnDevice(PIPELINE)).fit(model, loaders)
    for number, batch in enumerate(model.seen["train"]):
        first, second = batch.values() if kind is dict else batch
        for row in range(len(first[0])):
            assert torch.equal(first[0][row], expected(number, row, 0))
            assert torch.equal(second[0][row], expected(number, row, 1))
            assert first[1][row] == second[1][row] == number * BATCH + row


def test_a_loader_without_images_is_left_alone() -> None:
    texts: Any = DataLoader(["a", "b", "c", "d", "e", "f", "g"], BATCH)
    model = Net()
    trainer(AugmentOnDevice(PIPELINE)).fit(model, {"images": plain(), "texts": texts})
    assert [batch["texts"] for batch in model.seen["train"]] == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    assert_augmented_by_place([batch["images"] for batch in model.seen["train"]])


def test_key_says_where_the_images_stand_in_the_batch_of_each() -> None:
    model = Net()
    trainer(AugmentOnDevice(PIPELINE, key="image")).fit(model, [DataLoader(Pictures("indexed"), BATCH), plain(dict)])
    first, second = model.seen["train"][0]
    assert not torch.equal(first["image"][0], picture(0))
    assert not torch.equal(second["image"][0], picture(0))


def test_samples_are_mixed_within_their_loader() -> None:
    model = Net()
    trainer(MixOnDevice(T.MixUp(), num_classes=7)).fit(model, {"a": plain(), "b": plain()})
    batch = model.seen["train"][0]
    assert batch["a"][1].shape == batch["b"][1].shape == (BATCH, 7)
    assert not torch.equal(batch["a"][1], batch["b"][1])


def test_loaders_of_which_none_has_images_are_refused() -> None:
    with pytest.raises(TypeError, match=r"AugmentOnDevice: no \(B, C, H, W\) tensor in a dict with 'a': list"):
        trainer(AugmentOnDevice(PIPELINE)).fit(Net(), {"a": DataLoader(["a", "b"], 2)})
