from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augsynth import transforms as T
from augsynth.data.datasets import FolderDataset, read_image
from augsynth.data.wrap import wrap
from augsynth.errors import SampleError
from augsynth.pipeline import Pipeline


def save(path: Path, colour: tuple[int, int, int] = (10, 20, 30), size: tuple[int, int] = (5, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def fill(root: Path, classes: dict[str, int]) -> Path:
    """Make `n` images in each class folder, each of its own colour and of several sizes."""
    for number, (name, n) in enumerate(classes.items()):
        for i in range(n):
            save(root / name / f"{i:03}.png", (number, i, 0), (5 + i % 3, 4 + i % 2))
    return root


def test_a_folder_per_class_becomes_rgb_images_and_class_numbers(tmp_path: Path) -> None:
    data = FolderDataset(fill(tmp_path, {"zebra": 3, "ape": 2}), "all")
    assert data.classes == ["ape", "zebra"]
    assert data.class_to_idx == {"ape": 0, "zebra": 1}
    assert data.targets == [0, 0, 1, 1, 1]
    assert [Path(path).parent.name for path, _ in data.samples] == ["ape"] * 2 + ["zebra"] * 3
    image, target = data[4]
    assert (image.mode, image.getpixel((0, 0)), target) == ("RGB", (0, 2, 0), 1)


def test_the_share_splits_every_class_and_loses_nothing(tmp_path: Path) -> None:
    fill(tmp_path, {"ape": 20, "bee": 10, "cat": 2})
    train, test, whole = (FolderDataset(tmp_path, split) for split in ("train", "test", "all"))
    assert sorted(train.samples + test.samples) == sorted(whole.samples)
    assert [test.targets.count(c) for c in range(3)] == [4, 2, 1]


def test_the_share_follows_the_seed_and_not_the_other_classes(tmp_path: Path) -> None:
    fill(tmp_path, {"bee": 30, "cat": 30})
    bees = {path for path, c in FolderDataset(tmp_path, "test").samples if c == 0}
    assert bees != {path for path, c in FolderDataset(tmp_path, "test", seed=1).samples if c == 0}
    fill(tmp_path, {"ape": 4})
    assert bees == {path for path, c in FolderDataset(tmp_path, "test").samples if c == 1}


@pytest.mark.parametrize("folder", ["test", "val", "valid"])
def test_train_and_test_folders_are_taken_as_they_are(tmp_path: Path, folder: str) -> None:
    fill(tmp_path / "train", {"ape": 3, "bee": 3})
    fill(tmp_path / folder, {"ape": 1, "bee": 2})
    assert FolderDataset(tmp_path, "train").targets == [0, 0, 0, 1, 1, 1]
    assert FolderDataset(tmp_path, "test").targets == [0, 1, 1]
    assert len(FolderDataset(tmp_path, "all")) == 9


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert FolderDataset(fill(tmp_path, {"train": 3, "tram": 3}), "all").classes == ["train", "tram"]


def test_images_are_found_in_subfolders_and_hidden_files_are_not(tmp_path: Path) -> None:
    fill(tmp_path, {"ape": 2, "bee": 2})
    save(tmp_path / "ape" / "more" / "deep.JPG")
    for hidden in ("ape/._000.png", "ape/.cache/x.png", ".git/x.png"):
        save(tmp_path / hidden)
    data = FolderDataset(tmp_path, "all")
    assert data.targets == [0, 0, 0, 1, 1]


def test_other_files_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, {"ape": 2, "bee": 2})
    (tmp_path / "ape" / "notes.txt").write_text("x")
    assert len(FolderDataset(tmp_path, "all")) == 4


def test_images_stand_upright_by_their_exif_orientation(tmp_path: Path) -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255  # bright on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter clockwise: bright on top
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=exif)
    upright = np.asarray(read_image(path))
    assert upright.shape == (16, 8, 3)
    assert upright[:8].min() == 255
    assert upright[8:].max() == 0


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (3, 2), 77), (77, 77, 77)),
        (Image.new("LA", (3, 2), (200, 0)), (0, 0, 0)),
        (Image.new("RGBA", (3, 2), (200, 100, 50, 0)), (0, 0, 0)),
        (Image.new("RGBA", (3, 2), (200, 100, 50, 255)), (200, 100, 50)),
        (Image.new("RGB", (3, 2), (0, 51, 102)).convert("P"), (0, 51, 102)),
        (Image.new("1", (3, 2), 1), (255, 255, 255)),
        (Image.fromarray(np.full((2, 3), 65535, np.uint16)), (255, 255, 255)),
        (Image.fromarray(np.full((2, 3), 257 * 40, np.uint16)), (40, 40, 40)),
    ],
    ids=["L", "LA", "clear", "opaque", "P", "1", "white16", "grey16"],
)
def test_every_mode_becomes_rgb(tmp_path: Path, image: Image.Image, expected: tuple[int, ...]) -> None:
    image.save(tmp_path / "x.png")
    result = read_image(tmp_path / "x.png")
    assert (result.mode, result.getpixel((1, 1))) == ("RGB", expected)


def test_float_images_of_unknown_range_are_refused(tmp_path: Path) -> None:
    Image.new("F", (3, 2), 0.5).save(tmp_path / "x.tif")
    with pytest.raises(SampleError, match="floats of unknown range"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("content", [b"not an image", b""])
def test_a_corrupt_file_is_named_with_its_index(tmp_path: Path, content: bytes) -> None:
    fill(tmp_path, {"ape": 2, "bee": 2})
    (tmp_path / "bee" / "000.png").write_bytes(content)
    data = wrap(FolderDataset(tmp_path, "all"), Pipeline([T.CenterCrop(3)]))
    with pytest.raises(SampleError, match=r"sample 2 could not be read: the image file .*bee.000\.png cannot be read"):
        data.__getitems__([0, 1, 2, 3])


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray((np.arange(64 * 64 * 3) % 251).astype(np.uint8).reshape(64, 64, 3)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SampleError, match=r"x\.png cannot be read"):
        read_image(path)


def no_root(root: Path) -> None:
    root.rmdir()


def no_classes(root: Path) -> None:
    save(root / "1.png")
    save(root / "2.png")


def nothing(root: Path) -> None:
    pass


def one_class(root: Path) -> None:
    fill(root, {"ape": 3})


def empty_class(root: Path) -> None:
    fill(root, {"ape": 3, "bee": 3})
    (root / "cat").mkdir()
    (root / "dog").mkdir()
    (root / "dog" / "a.txt").write_text("x")
    (root / "dog" / "b.txt").write_text("x")


def single_image(root: Path) -> None:
    fill(root, {"ape": 3, "bee": 1})


def other_classes(root: Path) -> None:
    fill(root / "train", {"ape": 1, "bee": 1, "cat": 1})
    fill(root / "test", {"ape": 1, "bee": 1, "dog": 1})


def train_alone(root: Path) -> None:
    fill(root / "train", {"ape": 1, "bee": 1})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_root, "is not a folder"),
        (no_classes, "no class folders, but 2 images directly in it"),
        (nothing, "no class folders and nothing that looks like images"),
        (one_class, r"one class folder only \(ape\)"),
        (empty_class, r"no images in class folder cat \(empty\), dog \(ignored: 2 \.txt\)"),
        (single_image, r"two images per class or more, but bee \(1\)"),
        (other_classes, r"same classes, but .*train alone has cat and .*test alone has dog"),
        (train_alone, "stands alone: add .*test"),
    ],
)
def test_a_folder_that_does_not_fit_says_why(tmp_path: Path, make: Any, message: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    make(root)
    with pytest.raises(ValueError, match=message):
        FolderDataset(root)


@pytest.mark.parametrize("wrong", [{"split": "dev"}, {"test_share": 0}, {"test_share": 1.0}])
def test_bad_arguments_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FolderDataset(fill(tmp_path, {"ape": 2, "bee": 2}), **wrong)


def test_images_of_any_size_are_augmented_to_one(tmp_path: Path) -> None:
    data = wrap(FolderDataset(fill(tmp_path, {"ape": 4, "bee": 4}), "all"), Pipeline([T.RandomResizedCrop(6)]))
    assert data.__getitems__(list(range(8))).images.shape == (8, 3, 6, 6)
    assert data.classes == ["ape", "bee"]
