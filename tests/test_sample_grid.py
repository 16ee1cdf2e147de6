"""Pictures of training batches, as a real Trainer's model sees them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger
from test_lightning import BATCH, PIPELINE, SEED, Net, Pictures, picture, plain, trainer
from test_schedule import Kept
from torch.utils.data import DataLoader, Dataset

import augsynth as ag
from augsynth import transforms as T
from augsynth.lightning.callbacks import AugmentOnDevice, SampleGrid
from augsynth.lightning.sheet import GAP, RED, sheet

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:.*is smaller than the logging interval:UserWarning",
)
NORMALIZE = T.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


class Wandb(Kept):
    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int | None] = []

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        self.images = (key, images, step)
        self.steps.append(step)


def tile(sheet: np.ndarray, number: int, columns: int = 2) -> np.ndarray:
    """Return the image `(6, 5, 3)` of a sheet, which shows it 16 times as large."""
    row, column = divmod(number, columns)
    top, left = row * (96 + 2 * GAP) + GAP, column * (80 + 2 * GAP) + GAP
    large = sheet[top : top + 96, left : left + 80]
    assert np.array_equal(large, large[::16, ::16].repeat(16, 0).repeat(16, 1))
    return large[::16, ::16]


def test_the_picture_is_of_what_the_model_sees_with_normalization_undone(tmp_path: Path) -> None:
    model, seen = Net(), ag.Pipeline([T.RandomHorizontalFlip(1.0), NORMALIZE], seed=SEED)
    trainer(SampleGrid(dirpath=tmp_path), AugmentOnDevice(seen), max_epochs=2).fit(model, plain())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["training_batch-epoch=000-step=0000000.png", "training_batch-epoch=001-step=0000004.png"]
    sheet = np.asarray(Image.open(tmp_path / names[1]))
    assert model.seen["train"][0][0].min() < 0
    for row in range(BATCH):
        expected = picture(row).flip(2).permute(1, 2, 0).numpy()
        assert np.array_equal(tile(sheet, row), expected)


def test_a_pipeline_in_the_workers_is_undone_too(tmp_path: Path) -> None:
    train = ag.loader(ag.wrap(Pictures(), ag.Pipeline([NORMALIZE])), 3)
    trainer(SampleGrid(dirpath=tmp_path, max_images=2)).fit(Net(), train)
    sheet = np.asarray(Image.open(next(tmp_path.iterdir())))
    assert np.array_equal(tile(sheet, 1), picture(1).permute(1, 2, 0).numpy())
    assert sheet.shape == (96 + 2 * GAP, 2 * (80 + 2 * GAP), 3)


def test_so_many_steps_count_a_step_once(tmp_path: Path) -> None:
    grid, logger = SampleGrid(every_n_steps=2, dirpath=tmp_path / "made" / "here"), Wandb()
    trainer(grid, logger=logger, max_epochs=3, accumulate_grad_batches=2).fit(Net(), plain())
    assert logger.steps == [0, 2, 4]
    steps = sorted(path.stem[-1] for path in (tmp_path / "made" / "here").iterdir())
    assert steps == ["0", "2", "4"]


def test_the_picture_goes_where_the_trainer_logs(tmp_path: Path) -> None:
    fit = trainer(SampleGrid(every_n_epochs=2), logger=CSVLogger(tmp_path), max_epochs=2)
    fit.fit(Net(), plain())
    assert [path.parent for path in tmp_path.rglob("*.png")] == [Path(str(fit.log_dir))]


class Board(Kept):
    def __init__(self) -> None:
        super().__init__()
        self.experiment = SimpleNamespace(add_image=lambda *given: setattr(self, "images", given))  # type: ignore[misc]


@pytest.mark.parametrize("logger", [Wandb, Board])
def test_loggers_that_take_images_get_them(logger: Any, tmp_path: Path) -> None:
    keeps = logger()
    trainer(SampleGrid(dirpath=tmp_path, name="seen"), AugmentOnDevice(PIPELINE), logger=keeps).fit(Net(), plain())
    name, images, step = keeps.images
    assert (name, step) == ("seen", 0)
    array = images[0] if logger is Wandb else images.permute(1, 2, 0).numpy()
    assert np.array_equal(array, np.asarray(Image.open(next(tmp_path.iterdir()))))


def test_a_true_tensorboard_gets_the_picture(tmp_path: Path) -> None:
    from pytorch_lightning.loggers import TensorBoardLogger

    trainer(SampleGrid(), logger=TensorBoardLogger(tmp_path)).fit(Net(), plain())
    (events,) = tmp_path.rglob("events*")
    assert b"training_batch" in events.read_bytes()


class Blended(Dataset[Any]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        return {"image": picture(i), "label": i, "synthetic": i % 2 == 1}


def test_synthetic_samples_have_a_red_frame(tmp_path: Path) -> None:
    callbacks = [SampleGrid(dirpath=tmp_path), AugmentOnDevice(ag.Pipeline([]))]
    trainer(*callbacks).fit(Net(), DataLoader(Blended(), 4))
    sheet = np.asarray(Image.open(next(tmp_path.iterdir())))
    for number in range(4):
        row, column = divmod(number, 2)
        corner = sheet[row * (96 + 2 * GAP), column * (80 + 2 * GAP)]
        assert tuple(corner) == (RED if number % 2 else (255, 255, 255))
        assert np.array_equal(tile(sheet, number), picture(number).permute(1, 2, 0).numpy())


@pytest.mark.parametrize(("size", "shown"), [(28, 112), (95, 190), (96, 96), (224, 224)])
def test_only_small_images_are_enlarged(size: int, shown: int) -> None:
    picture = SampleGrid().draw(torch.zeros(1, 1, size, 20, dtype=torch.uint8), trainer())
    assert picture.shape == (shown + 2 * GAP, 20 * shown // size + 2 * GAP, 3)


def test_floats_of_an_unknown_range_are_stretched_and_gray_is_shown_gray() -> None:
    images = torch.linspace(-2, 6, 4 * 30).reshape(4, 1, 6, 5)
    sheet = SampleGrid().draw(images, trainer())
    assert np.array_equal(tile(sheet, 0)[0, 0], [0, 0, 0])
    assert np.array_equal(tile(sheet, 3)[5, 4], [255, 255, 255])
    inside = SampleGrid().draw(torch.full((1, 4, 6, 5), 0.5), trainer())
    assert np.array_equal(tile(inside, 0, 1)[2, 2], [128, 128, 128])


def test_what_cannot_be_shown_says_why() -> None:
    images = torch.zeros(2, 3, 6, 5)
    with pytest.raises(TypeError, match=r"SampleGrid: 2 \(B, C, H, W\) tensors .* key="):
        SampleGrid().draw((images, images), trainer())
    with pytest.raises(ValueError, match="1 marks of synthetic samples for a batch of a tuple"):
        SampleGrid(synthetic=1).draw((images, torch.tensor([True])), trainer())
    with pytest.raises(ValueError, match="every_n_steps=0 must be an integer, 1 or more"):
        SampleGrid(every_n_steps=0)


def test_an_empty_batch_is_no_sheet() -> None:
    with pytest.raises(ValueError, match="there is no image to show: the batch is empty"):
        sheet(np.zeros((0, 8, 8, 3), np.uint8))
