"""Make the demo data that ships with augsynth from the original files; a second run writes the same bytes.

Usage: python benchmarks/make_demo_data.py SOURCE [OUT]
SOURCE holds `fashion-mnist/` (the four original idx .gz files and LICENSE) and `photos/astronaut.jpg`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np

from augsynth.rng import Rng

SEED = 0
PER_CLASS = {"train": 600, "test": 200}
FILES = {"train": "train", "test": "t10k"}
ASSETS = Path(__file__).resolve().parent.parent / "augsynth" / "data" / "assets"

README = """\
# Demo data

Made by `benchmarks/make_demo_data.py` (seed {seed}); {total:,} bytes of data.

| file | what it is | source | licence | sha256 |
|---|---|---|---|---|
| `fashion_mnist.npz` | Fashion-MNIST, a balanced subset: {train:,} of the 60,000 training images and \
{test:,} of the 10,000 test images, 28 x 28 grey; `*_index` is the row in the original file | \
https://github.com/zalandoresearch/fashion-mnist \
(Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747) | MIT, in `fashion_mnist.LICENSE` | `{fashion}` |
| `astronaut.jpg` | portrait of the astronaut Eileen Collins, 512 x 512 colour | NASA, by way of \
https://github.com/scikit-image/scikit-image (`data/astronaut.png`, stored as JPEG of quality 92) | \
public domain | `{photo}` |
| `banking77.json.xz` | BANKING77, questions to a bank with 77 intents, made by `benchmarks/make_banking77.py`: \
duplicates and texts with two labels are left out | https://github.com/PolyAI-LDN/task-specific-datasets \
(Casanueva et al. 2020, arXiv:2003.04807) | CC BY 4.0, in `banking77.LICENSE` | |
"""


def read_idx(path: Path, header: int) -> np.ndarray:
    """Read an idx .gz file of bytes after its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def balanced_rows(labels: np.ndarray, per_class: int, slot: str) -> np.ndarray:
    """Choose `per_class` rows of every class by Rng; in the order of the file."""
    chosen = []
    for label in range(10):
        rows = np.flatnonzero(labels == label)
        order = Rng.of(SEED, index=label).permutation(slot, rows.size)[0]
        chosen.append(rows[order[:per_class]])
    return np.sort(np.concatenate(chosen))


def subset(folder: Path, split: str) -> dict[str, np.ndarray]:
    """Return the images `(N, 28, 28)`, labels `(N,)` and rows `(N,)` chosen from one split."""
    labels = read_idx(folder / f"{FILES[split]}-labels-idx1-ubyte.gz", 8)
    images = read_idx(folder / f"{FILES[split]}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    rows = balanced_rows(labels, PER_CLASS[split], f"demo.fashion.{split}")
    return {
        f"{split}_images": images[rows],
        f"{split}_labels": labels[rows],
        f"{split}_index": rows.astype(np.uint16),
    }


def main(source: Path, out: Path) -> None:
    """Write the assets to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    fashion = source / "fashion-mnist"
    np.savez_compressed(out / "fashion_mnist.npz", **subset(fashion, "train"), **subset(fashion, "test"))
    shutil.copyfile(fashion / "LICENSE", out / "fashion_mnist.LICENSE")
    shutil.copyfile(source / "photos" / "astronaut.jpg", out / "astronaut.jpg")
    hashes = {
        name: hashlib.sha256((out / file).read_bytes()).hexdigest()
        for name, file in (("fashion", "fashion_mnist.npz"), ("photo", "astronaut.jpg"))
    }
    total = sum((out / file).stat().st_size for file in ("fashion_mnist.npz", "astronaut.jpg"))
    counts = {split: 10 * count for split, count in PER_CLASS.items()}
    (out / "README.md").write_text(README.format(seed=SEED, total=total, **counts, **hashes), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=ASSETS)
    arguments = parser.parse_args()
    if not (arguments.source / "fashion-mnist").is_dir():
        sys.exit(f"{arguments.source} has no folder fashion-mnist/")
    main(arguments.source, arguments.out)
