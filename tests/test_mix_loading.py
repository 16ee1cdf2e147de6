"""Mixing where batches are made: in a DataLoader's workers, with keys, and on the device in Lightning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, default_collate

import augsynth as ag
from augsynth import transforms as T

COUNT, CLASSES = 10, 4
STEPS = [
    T.RandomResizedCrop(16),
    T.RandomHorizontalFlip(),
    T.Normalize((0.5,), (0.25,)),
    T.OneOf([T.MixUp(num_classes=CLASSES), T.CutMix(num_classes=CLASSES)], p=0.8),
]
PIPELINE = ag.Pipeline(STEPS, seed=11)


class Pictures(Dataset[Any]):
    """Images of (index, label), or detection samples with as many boxes as the index says."""

    def __init__(self, boxes: bool = False) -> None:
        self.boxes = boxes

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, i: int) -> Any:
        image = np.random.default_rng(i).integers(0, 256, (24, 20, 3), np.uint8)
        if not self.boxes:
            return image, i % CLASSES
        boxes = torch.tensor([[2.0 * k, 3, 2 * k + 9, 15] for k in range(i % 3)]).reshape(-1, 4)
        return {"image": image, "boxes": boxes, "labels": torch.arange(i % 3)}


def epoch(workers: int, boxes: bool = False, pipeline: Any = PIPELINE, **arguments: Any) -> list[Any]:
    loader = ag.loader(ag.wrap(Pictures(boxes), pipeline), 4, num_workers=workers, seed=1, **arguments)
    return list(loader)


def test_batches_are_mixed_in_the_workers_as_they_are_without() -> None:
    here, there = epoch(0, shuffle=True), epoch(2, shuffle=True)
    assert [len(images) for images, _ in here] == [4, 4, 2]
    for (images, labels), (others, theirs) in zip(here, there, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, theirs)
        assert labels.shape == (len(images), CLASSES)
        torch.testing.assert_close(labels.sum(1), torch.ones(len(images)))
    assert any(((labels > 0).sum(1) > 1).any() for _, labels in here)


def test_a_plain_loader_mixes_whole_batches_too() -> None:
    loader = DataLoader(ag.wrap(Pictures(), PIPELINE), 5, collate_fn=ag.collate)
    for images, labels in loader:
        assert images.shape == (5, 3, 16, 16)
        torch.testing.assert_close(labels.sum(1), torch.ones(5))


def test_detection_samples_are_laid_out_in_the_workers() -> None:
    mosaic = ag.Pipeline([T.Mosaic(target_size=(32, 32), cell_shape=(24, 20), p=1.0), T.RandomHorizontalFlip()], seed=4)
    here, there = epoch(0, True, mosaic), epoch(2, True, mosaic)
    for batch, other in zip(here, there, strict=True):
        assert torch.equal(batch["image"], other["image"])
        assert batch["image"].shape[1:] == (3, 32, 32)
        assert [len(b) for b in batch["boxes"]] == [len(n) for n in batch["labels"]]
        assert all(torch.equal(a, b) for a, b in zip(batch["boxes"], other["boxes"], strict=True))
    assert max(len(boxes) for batch in here for boxes in batch["boxes"]) > 2


def test_a_sample_asked_for_alone_is_refused() -> None:
    dataset = ag.wrap(Pictures(), PIPELINE)
    with pytest.raises(
        TypeError, match=r"MixUp and CutMix mixes .* sample 3 was asked for alone: .*collate_fn=ag.collate"
    ):
        dataset[3]
    assert len(dataset.__getitems__([3])) == 1


class Net(pl.LightningModule):
    """Trains on soft labels and keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3 * 16 * 16, CLASSES)
        self.seen: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        images, labels = batch
        self.seen.append((images.clone(), labels.clone()))
        loss: torch.Tensor = F.cross_entropy(self.layer(images.flatten(1)), labels)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        assert batch[1].dtype == torch.int64

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def _tensors(rows: list[Any]) -> Any:
    return default_collate([(torch.from_numpy(image).permute(2, 0, 1), label) for image, label in rows])


@pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")
@pytest.mark.parametrize("engine", ["opencv", "torch"])
def test_a_training_step_sees_mixed_batches_and_soft_labels(engine: str) -> None:
    net, pipeline = Net(), ag.Pipeline(STEPS, seed=11, engine=engine)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[ag.callbacks.AugmentOnDevice(pipeline)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loaders = [DataLoader(Pictures(), 5, collate_fn=_tensors) for _ in range(2)]
    trainer.fit(net, *loaders)
    assert len(net.seen) == 4
    for images, labels in net.seen:
        assert (images.shape, images.dtype) == ((5, 3, 16, 16), torch.float32)
        assert (labels.shape, labels.dtype) == ((5, CLASSES), torch.float32)
        torch.testing.assert_close(labels.sum(1), torch.ones(5))
    assert not torch.equal(net.seen[0][1], net.seen[2][1])  # the same samples in another epoch
