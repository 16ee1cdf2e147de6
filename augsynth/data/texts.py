"""The user's own texts from a table on disk: one row per text, a column of texts and one of labels."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from augsynth.errors import SampleError
from augsynth.rng import Rng

_TABS = (".tsv", ".tab")
Row = tuple[str, str]


class CsvDataset(Dataset[Any]):
    """Texts of a csv file with a head line; items are `(text, class number)`.

    path: UTF-8; fields are parted by commas, by tabs in a .tsv file, or by `delimiter`. text, label: names of columns.
    split: "train", "test", or "all" for both. test_path: a second file, which is the test split; without one,
    test_share of each class's rows is, above 0 and below 1: which ones is decided by seed and class name.
    Attributes: classes (sorted names), texts, targets.
    Raises: ValueError naming file, column or row that does not fit.
    """

    def __init__(
        self,
        path: str | Path,
        text: str = "text",
        label: str = "label",
        split: str = "train",
        *,
        test_path: str | Path | None = None,
        test_share: float = 0.2,
        seed: int = 0,
        delimiter: str | None = None,
    ) -> None:
        self.path, self.split, self.seed = Path(path).expanduser(), split, seed
        if split not in ("train", "test", "all"):
            raise ValueError(f"split={split!r} must be 'train', 'test' or 'all'")
        if not 0 < test_share < 1:
            raise ValueError(f"test_share={test_share} must be above 0 and below 1")
        rows = read_rows(self.path, text, label, delimiter)
        if test_path is None:
            found = rows if split == "all" else _share(rows, self.path, split, test_share, seed)
            names = {name for _, name in rows}
        else:
            tests = read_rows(Path(test_path).expanduser(), text, label, delimiter)
            found = {"train": rows, "test": tests, "all": rows + tests}[split]
            names = {name for _, name in rows}
            if strange := sorted({name for _, name in tests} - names):
                raise ValueError(f"{test_path}: label {strange[0]!r} does not occur in {self.path.name}")
        self.classes = sorted(names)
        number = {name: i for i, name in enumerate(self.classes)}
        if len(self.classes) < 2:
            raise ValueError(f"{self.path}: column {label!r} has one value only; classification needs two or more")
        self.texts = [row for row, _ in found]
        self.targets = [number[name] for _, name in found]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.texts[int(index)], self.targets[int(index)]

    def __repr__(self) -> str:
        return f"CsvDataset({str(self.path)!r}, {self.split!r}): {len(self)} texts, {len(self.classes)} classes"


def read_rows(path: Path, text: str, label: str, delimiter: str | None = None) -> list[Row]:
    """Return the texts and labels of a file in its order. Raises ValueError or SampleError that says what is wrong."""
    if not path.is_file():
        raise ValueError(f"path={str(path)!r} is not a file; give a csv file with a head line")
    if delimiter is not None and len(delimiter) != 1:
        raise ValueError(f"delimiter={delimiter!r} must be one character")
    parting = delimiter or ("\t" if path.suffix.lower() in _TABS else ",")
    reader = csv.DictReader(io.StringIO(_decoded(path), newline=""), delimiter=parting)
    columns = list(reader.fieldnames or ())
    for name, wanted in (("text", text), ("label", label)):
        if wanted not in columns:
            close = get_close_matches(wanted, columns, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ";"
            seen = ", ".join(map(repr, columns)) or "none: the file is empty"
            raise ValueError(f"{path}: there is no column {name}={wanted!r}{hint} Columns: {seen}")
    rows = [_row(path, reader.line_num, row[text], row[label]) for row in reader]
    if not rows:
        raise ValueError(f"{path}: there is no row below the head line")
    return rows


def _row(path: Path, line: int, text: str | None, label: str | None) -> Row:
    for name, value in (("text", text), ("label", label)):
        if value is None or not value.strip():
            raise SampleError(f"{path}: the row that ends in line {line} has no {name}")
    assert text is not None
    assert label is not None
    return text, label.strip()


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SampleError(
            f"{path}: line {line} is not UTF-8 (byte {data[error.start]:#04x}); save the file as UTF-8"
        ) from None


def _share(rows: list[Row], path: Path, split: str, test_share: float, seed: int) -> list[Row]:
    places = defaultdict(list)
    for place, (_, name) in enumerate(rows):
        places[name].append(place)
    few = [f"{name} ({len(found)})" for name, found in sorted(places.items()) if len(found) < 2]
    if few:
        listed = ", ".join(few[:5])
        raise ValueError(f"{path}: a train and a test split need two rows per class or more, but {listed}")
    chosen: list[int] = []
    for name, found in places.items():
        order = Rng.of(seed, 0).permutation(f"split.{name}", len(found))[0].tolist()
        tests = min(max(round(test_share * len(found)), 1), len(found) - 1)
        chosen += [found[i] for i in (order[:tests] if split == "test" else order[tests:])]
    return [rows[place] for place in sorted(chosen)]
