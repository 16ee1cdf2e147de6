"""Batches that are mixed on the device, and the soft labels that the loss gets, in a real Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_lightning import BATCH, PIPELINE, SEED, SIZE, Interrupted, Net, Pictures, Sample, picture, plain, trainer
from torch.utils.data import DataLoader

import augsynth as ag
from augsynth import transforms as T
from augsynth.lightning.callbacks import AugmentationSchedule, AugmentOnDevice, MixOnDevice
from augsynth.rng import Rng

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:Checkpoint directory .* exists and is not empty:UserWarning",
)
ROWS = list(range(4))
EYE = torch.eye(SIZE)


def mean_of(labels: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the mean of images `(B, C, H, W)` of labels 0 to B - 1 that soft labels `(B, K)` speak of."""
    return torch.einsum("bk,kchw->bchw", labels[:, : len(images)], images.float())


@pytest.mark.parametrize("make", [tuple, list, dict, Sample], ids=["tuple", "list", "dict", "namedtuple"])
def test_images_and_labels_are_mixed_alike_whatever_the_batch_is(make: Any) -> None:
    model = Net()
    trainer(MixOnDevice(T.MixUp(), SIZE, seed=3)).fit(model, DataLoader(Pictures(make), 4), plain(make))
    batch = model.seen["train"][0]
    assert type(batch) is type(next(iter(plain(make))))
    images, labels = batch.values() if make is dict else batch
    assert labels.shape == (4, SIZE)
    torch.testing.assert_close(labels.sum(1), torch.ones(4))
    assert labels.max() < 1
    exact = mean_of(labels, torch.stack([picture(i) for i in ROWS]))
    assert (images.float() - exact).abs().max() <= 0.51
    # Validation has class numbers.
    _, plain_labels = model.seen["val"][0].values() if make is dict else model.seen["val"][0]
    assert plain_labels.tolist() == [0, 1]


def test_a_batch_is_keyed_by_its_place_as_that_of_augment_on_device_is() -> None:
    one, other = Net(), Net()
    loaders = [DataLoader(Pictures(), 4) for _ in range(2)]
    trainer(MixOnDevice(T.CutMix(num_classes=SIZE), seed=3), max_epochs=2).fit(one, loaders[0])
    pipeline = ag.Pipeline([T.CutMix(num_classes=SIZE)], seed=3)
    trainer(AugmentOnDevice(pipeline), max_epochs=2).fit(other, loaders[1])
    for (images, labels), (theirs, others) in zip(one.seen["train"], other.seen["train"], strict=True):
        assert torch.equal(images, theirs)
        assert torch.equal(labels, others)
    assert not torch.equal(one.seen["train"][0][1], one.seen["train"][2][1])


def test_normalized_images_are_mixed_without_a_clamp() -> None:
    normalize = ag.Pipeline([T.Normalize((0.5,) * 3, (0.1,) * 3)], seed=SEED)
    model = Net()
    trainer(AugmentOnDevice(normalize), MixOnDevice(T.MixUp(), SIZE)).fit(model, DataLoader(Pictures(), 4))
    images, labels = model.seen["train"][0]
    normalized = normalize.images([picture(i) for i in ROWS], Rng.of(SEED, ROWS))
    assert normalized.min() < -3
    torch.testing.assert_close(images, mean_of(labels, normalized), rtol=1e-5, atol=1e-5)


def test_a_choice_of_mixes_and_the_schedule_of_the_trainer() -> None:
    choice = T.OneOf([T.MixUp(), T.CutMix()])
    for strength, soft in ((0.0, False), (1.0, True)):
        model = Net()
        trainer(AugmentationSchedule(strength), MixOnDevice(choice, SIZE)).fit(model, DataLoader(Pictures(), 4))
        images, labels = model.seen["train"][0]
        assert (not torch.equal(labels, EYE[:4])) == soft
        assert (not torch.equal(images[0], picture(0))) == soft


def test_a_run_resumed_in_the_middle_of_an_epoch_mixes_the_same(tmp_path: Path) -> None:
    def run(model: Net, *more: Any, **options: Any) -> None:
        train = ag.loader(ag.wrap(Pictures(), ag.Pipeline([], seed=SEED)), BATCH, shuffle=True)
        callbacks = [AugmentOnDevice(PIPELINE), MixOnDevice(T.MixUp(), SIZE), *more]
        trainer(*callbacks, max_epochs=3).fit(model, train, **options)

    whole, before, after = Net(), Net(), Net()
    run(whole)
    with pytest.raises(RuntimeError, match="power cut"):
        run(before, Interrupted(tmp_path / "cut.ckpt"))
    run(after, ckpt_path=tmp_path / "cut.ckpt", weights_only=False)
    together = before.seen["train"] + after.seen["train"]
    assert len(together) == len(whole.seen["train"]) == 12
    for (images, labels), (theirs, others) in zip(together, whole.seen["train"], strict=True):
        assert torch.equal(labels, others)
        assert torch.equal(images, theirs)


def test_keys_and_indices_say_where_everything_is() -> None:
    images, labels = torch.stack([picture(i) for i in ROWS]), torch.arange(4)
    batch = (labels, images, torch.tensor([5, 3, 2, 6]))
    fit = trainer(callback := MixOnDevice(T.MixUp(), 4, keys=("label", "image", None), index=2))
    soft, mixed, _ = callback.augment(batch, fit)
    order = torch.tensor([3, 1, 0, 2])
    again, theirs, _ = callback.augment(tuple(part[order] for part in batch), fit)
    # The same samples in another order: the same mixtures.
    assert torch.equal(theirs, mixed[order])
    assert torch.equal(again, soft[order])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixOnDevice(T.ColorJitter(0.5)), "ColorJitter works on single images; give MixUp.*AugmentOnDevice"),
        (lambda: MixOnDevice([]), "nothing that mixes; give MixUp"),
        (lambda: MixOnDevice(T.MixUp(num_classes=3), 4), "num_classes=4, but MixUp has num_classes=3; give it once"),
    ],
)
def test_what_does_not_mix_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_class_numbers_need_their_number() -> None:
    with pytest.raises(ValueError, match=r"num_classes is needed, for '1' holds class numbers"):
        trainer(MixOnDevice(T.MixUp())).fit(Net(), plain())
