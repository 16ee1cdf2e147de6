"""The forms in which samples are written: folders of PNG files, tar shards for WebDataset, one file of arrays."""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.errors import AugsynthError
from augsynth.exporting.png import CHANNELS, SOURCE_TYPE, encode
from augsynth.provenance import Provenance

TABLE, SHARD = "samples.csv", 10_000


@dataclass(frozen=True)
class Sample:
    """One sample: its number in the export, image `(C, H, W)` uint8, label, name of the label, what made it."""

    number: int
    image: np.ndarray
    label: int
    name: str
    provenance: Provenance | None

    def about(self) -> dict[str, Any]:
        """Return what is said of the sample beside its image."""
        made = {} if self.provenance is None else self.provenance.to_dict()
        attributes = made.pop("attributes", {})
        return {"label": self.label, "class": self.name, **made, **{f"attribute {k}": v for k, v in attributes.items()}}


class Writer(ABC):
    """Writes samples below `folder`, which exists; afterwards a table with a row per sample."""

    kind: str

    def __init__(self, folder: Path, classes: Sequence[str], count: int) -> None:
        self.folder, self.classes, self.count = folder, classes, count
        self.rows: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        """Write one sample."""
        self.rows.append({"file": self.write(sample), **sample.about()})

    @abstractmethod
    def write(self, sample: Sample) -> str:
        """Write one sample, and return the name of its file, seen from the folder."""

    def close(self) -> None:
        """Write the table."""
        # Attributes may be known of some samples only.
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with (self.folder / TABLE).open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, columns or ["file", "label", "class"], lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)


class Folders(Writer):
    """A folder of PNG files per class, as torchvision's ImageFolder and `augsynth.FolderDataset` read them."""

    kind = "folder"

    def __init__(self, folder: Path, classes: Sequence[str], count: int) -> None:
        super().__init__(folder, classes, count)
        self.names, self.digits = folder_names(classes), len(str(max(count - 1, 0)))

    def write(self, sample: Sample) -> str:
        """Write the sample into the folder of its class."""
        name = f"{self.names[sample.label]}/{sample.number:0{self.digits}d}.png"
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(sample.image, sample.provenance))
        return name


class Shards(Writer):
    """Tar files of at most 10,000 samples, each as NUMBER.png, .cls and .json, as WebDataset reads them."""

    kind = "webdataset"

    def __init__(self, folder: Path, classes: Sequence[str], count: int) -> None:
        super().__init__(folder, classes, count)
        self.digits = len(str(max(count - 1, 0)))
        self.open: tuple[str, tarfile.TarFile] | None = None

    def write(self, sample: Sample) -> str:
        """Append the sample to its shard, after the shard before it was closed."""
        shard = f"synthetic-{sample.number // SHARD:06d}.tar"
        if self.open is None or self.open[0] != shard:
            self._finish()
            self.open = shard, tarfile.open(self.folder / shard, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        key = f"{sample.number:0{self.digits}d}"
        about = {**sample.about(), "synthetic": True, "digitalSourceType": SOURCE_TYPE}
        self._append(f"{key}.cls", str(sample.label).encode())
        self._append(f"{key}.json", json.dumps(about).encode())
        self._append(f"{key}.png", encode(sample.image, sample.provenance))
        return f"{shard}/{key}.png"

    def close(self) -> None:
        """Close the last shard and write the table."""
        self._finish()
        super().close()

    def _append(self, name: str, content: bytes) -> None:
        # Of the same samples the same bytes: no time, no owner.
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        assert self.open is not None
        self.open[1].addfile(entry, io.BytesIO(content))

    def _finish(self) -> None:
        if self.open is not None:
            self.open[1].close()
            self.open = None


class Arrays(Writer):
    """One file samples.npz: image `(N, C, H, W)` uint8, label `(N,)` int64, and what made each."""

    kind = "npz"

    def __init__(self, folder: Path, classes: Sequence[str], count: int) -> None:
        super().__init__(folder, classes, count)
        self.images: list[np.ndarray] = []
        self.provenance: list[str] = []

    def write(self, sample: Sample) -> str:
        """Keep the sample; all of them are written together, and have to fit in memory."""
        self.images.append(sample.image)
        self.provenance.append("" if sample.provenance is None else sample.provenance.to_json())
        return "samples.npz"

    def close(self) -> None:
        """Write the arrays and the table."""
        arrays = {
            "image": np.stack(self.images),
            "label": np.array([row["label"] for row in self.rows], np.int64),
            "class_names": np.array(self.classes),
            "synthetic": np.ones(len(self.rows), bool),
            "provenance": np.array(self.provenance),
            "source_type": np.array(SOURCE_TYPE),
        }
        np.savez(self.folder / "samples.npz", **arrays)  # type: ignore[arg-type, unused-ignore]
        super().close()


WRITERS: dict[str, type[Writer]] = {writer.kind: writer for writer in (Folders, Shards, Arrays)}


def check_channels(kind: str, channels: int) -> None:
    """Raise AugsynthError where images of so many channels cannot be written as PNG files."""
    if kind != Arrays.kind and channels not in CHANNELS:
        raise AugsynthError(f"export: PNG files have 1, 3 or 4 channels, these images {channels}; use format=npz")


def folder_names(classes: Sequence[str]) -> list[str]:
    """Return a folder's name for each class, so that their alphabetical order is that of the labels.

    Readers number the folders that they find in that order. Where the names alone would give another one, or not every
    name can be a folder's, each has its label in front.
    """
    plain = [re.sub(r"[^\w .+-]", "_", name).strip(" .") for name in classes]
    if plain == list(classes) and all(plain) and plain == sorted(set(plain)):
        return plain
    digits = len(str(max(len(classes) - 1, 0)))
    if list(classes) == list(map(str, range(len(classes)))):
        return [f"{label:0{digits}d}" for label in range(len(classes))]
    return [f"{label:0{digits}d} {name}".strip() for label, name in enumerate(plain)]
