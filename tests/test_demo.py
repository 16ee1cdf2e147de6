from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from augsynth.data import demo

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT.parent / "shared" / "data"
ASSETS = files("augsynth.data") / "assets"


@pytest.mark.parametrize(("split", "count"), [("train", 6000), ("test", 2000)])
def test_the_demo_data_is_balanced_and_consistent(split: str, count: int) -> None:
    data = demo.fashion(split)
    assert len(data) == count
    assert data.images.shape == (count, 1, 28, 28)
    assert data.images.dtype == torch.uint8
    assert data.labels.bincount().tolist() == [count // 10] * len(data.classes)
    assert data.targets == data.labels.tolist()


def test_an_item_is_a_gray_picture_and_its_label() -> None:
    data = demo.fashion("test")
    image, label = data[-3]
    assert (image.mode, image.size, label) == ("L", (28, 28), data.targets[-3])
    assert np.array_equal(np.asarray(image), data.images[-3, 0].numpy())


def test_an_index_outside_ends_an_iteration() -> None:
    data = pickle.loads(pickle.dumps(demo.fashion("test")))
    assert sum(1 for _ in data) == 2000
    with pytest.raises(IndexError, match="index 2000 is outside a dataset of 2000"):
        data[2000]


def test_no_test_image_is_a_training_image() -> None:
    seen = {image.numpy().tobytes() for image in demo.fashion("train").images}
    assert not seen & {image.numpy().tobytes() for image in demo.fashion("test").images}


def test_an_unknown_split_is_named_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="split='val' is not one of 'train', 'test'"):
        demo.fashion("val")


def test_the_photograph_is_in_colour() -> None:
    photo = demo.photo()
    assert (photo.mode, photo.size) == ("RGB", (512, 512))
    assert np.asarray(photo).std(axis=2).mean() > 10


def test_all_demo_data_is_below_six_megabytes_and_has_its_licence() -> None:
    assert sum(len(file.read_bytes()) for file in ASSETS.iterdir()) < 6_000_000
    assert "The MIT License" in (ASSETS / "fashion_mnist.LICENSE").read_text(encoding="utf-8")
    readme = (ASSETS / "README.md").read_text(encoding="utf-8")
    assert "public domain" in readme
    for name in ("fashion_mnist.npz", "astronaut.jpg"):
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() in readme


@pytest.mark.skipif(not SOURCE.is_dir(), reason="the original files are not beside the repository (../shared/data)")
def test_the_script_makes_the_shipped_files_again(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "make_demo_data.py"), str(SOURCE)]
    for run in ("once", "again"):
        subprocess.run([*command, str(tmp_path / run)], check=True, env={"PYTHONPATH": str(ROOT)})
    for made in (tmp_path / "once").iterdir():
        assert made.read_bytes() == (tmp_path / "again" / made.name).read_bytes()
    # Another zlib may pack the same arrays into other bytes: they are compared unpacked.
    with (
        np.load(tmp_path / "once" / "fashion_mnist.npz") as made,
        np.load(str(ASSETS / "fashion_mnist.npz")) as shipped,
    ):
        assert sorted(made) == sorted(shipped)
        assert all(np.array_equal(made[name], shipped[name]) for name in made)
    for name in ("fashion_mnist.LICENSE", "astronaut.jpg"):
        assert (tmp_path / "once" / name).read_bytes() == (ASSETS / name).read_bytes()
