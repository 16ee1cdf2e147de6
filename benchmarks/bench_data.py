"""Where the data of the benchmarks lies, and how it is read: `--data DIR` or AUGSYNTH_DATA; DIR/NAME, or DIR itself.

fashion-mnist: the four idx .gz files. cifar10: sprites of 10,000 tiles (train_0.webp, ...) with labels as .npy, or
torchvision's own form, `cifar-10-batches-py`. text: folders trec, sst2, pc (eda_train.txt, eda_test.txt) and banking77
(train.csv, test.csv). With `--download`, torchvision fetches the first two where they are missing.
"""

from __future__ import annotations

import argparse
import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import torch
from PIL import Image

VARIABLE = "AUGSYNTH_DATA"
TILES, SIDE = 100, 32
# What tells that a folder holds a data set: any of these.
SIGNS = {
    "fashion-mnist": ("train-images-idx3-ubyte.gz",),
    "cifar10": ("train_0.webp", "cifar-10-batches-py"),
    "text": ("trec", "sst2", "pc", "banking77"),
}
Data = tuple[torch.Tensor, torch.Tensor]


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data and --download."""
    parser.add_argument("--data", type=Path, help=f"folder of the data sets; by default what {VARIABLE} says")
    parser.add_argument("--download", action="store_true", help="let torchvision fetch images that are missing")


def find(args: argparse.Namespace, name: str) -> Path:
    """Return the folder of a data set. Exits with what was looked for where it is not there."""
    root = args.data or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if root is None:
        raise SystemExit(f"where is {name}? Give --data DIR, or set {VARIABLE}")
    places = (root / name, root, root / "FashionMNIST" / "raw")
    for place in places:
        if any((place / sign).exists() for sign in SIGNS[name]):
            return Path(place)
    if args.download and name != "text":
        return _download(root, name)
    tried = " nor ".join(str(place) for place in places[:2])
    hint = "" if name == "text" else ", or --download to fetch it"
    raise SystemExit(f"no {name} in {tried}: there should be {' or '.join(SIGNS[name])}{hint}")


def _download(root: Path, name: str) -> Path:
    from torchvision.datasets import CIFAR10, FashionMNIST

    kind = {"fashion-mnist": FashionMNIST, "cifar10": CIFAR10}[name]
    try:
        kind(root, download=True)
    except Exception as error:
        raise SystemExit(f"{name} cannot be fetched: {type(error).__name__}: {error}") from None
    return root / "FashionMNIST" / "raw" if kind is FashionMNIST else root


def read(folder: Path, name: str, split: str) -> Data:
    """Return the images of a split ("train" or "test"), uint8 `(N, C, H, W)`, and their labels, int64 `(N,)`."""
    return fashion(folder, split) if name == "fashion-mnist" else cifar(folder, split)


def fashion(folder: Path, split: str) -> Data:
    """Read the idx files of Fashion-MNIST."""
    start = {"train": "train", "test": "t10k"}[split]
    raw = [
        np.frombuffer(gzip.decompress((folder / f"{start}-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    ]
    return torch.tensor(raw[0]).reshape(-1, 1, 28, 28), torch.tensor(raw[1], dtype=torch.int64)


def cifar(folder: Path, split: str) -> Data:
    """Read CIFAR-10 from either form."""
    batches = folder / "cifar-10-batches-py"
    if batches.exists():
        files = [batches / "test_batch"] if split == "test" else sorted(batches.glob("data_batch_*"))
        parts = [pickle.loads(file.read_bytes(), encoding="bytes") for file in files]
        images, labels = (np.concatenate([np.asarray(part[name]) for part in parts]) for name in (b"data", b"labels"))
        return torch.tensor(images).reshape(-1, 3, SIDE, SIDE), torch.tensor(labels, dtype=torch.int64)
    names = ["test"] if split == "test" else sorted(path.stem for path in folder.glob("train_*.webp"))
    tiles, numbers = zip(*(sprite(folder, name) for name in names), strict=True)
    return torch.cat(tiles), torch.cat(numbers)


def sprite(folder: Path, name: str) -> Data:
    """Read a sprite of 10,000 tiles and its labels."""
    with Image.open(folder / f"{name}.webp") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    tiles = pixels.reshape(TILES, SIDE, TILES, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
    images = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)))
    return images, torch.from_numpy(np.load(folder / f"{name}_labels.npy").astype(np.int64))
