"""The demo's images, written as Fashion-MNIST's own files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from augsynth.data import demo


def write_fashion(folder: Path) -> Path:
    """Write the four idx files and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in (("train", "train"), ("test", "t10k")):
        found = demo.fashion(split)
        pixels, labels = (np.stack([np.asarray(x[0]) for x in found]), np.array(found.targets, np.uint8))
        for kind, header, values in (("images-idx3", 16, pixels), ("labels-idx1", 8, labels)):
            path = folder / f"{name}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(bytes(header) + values.tobytes(), 1))
    return folder
