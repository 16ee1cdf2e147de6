"""The user's own texts from a table on disk: one row per text, a column of texts and one of labels."""

from __future__ import annotations

import csv
import io
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from augsynth.errors import SampleError
from augsynth.rng import Rng

_TABS = (".tsv", ".tab")
_DELIMITERS = (";", "\t", "|", ",")
_LONGEST_FIELD = 2**31 - 1
Row = tuple[str, str]


class CsvDataset(Dataset[Any]):
    """Texts of a csv file with a head line; items are `(text, class number)`.

    path: UTF-8; fields are parted by commas, by tabs in a .tsv file, or by `delimiter`; `quote` (None: nothing)
    encloses them. text, label: names of columns. split: "train", "test", or "all" for both. test_path: a second file,
    which is the test split; without one, test_share of each class's rows is, above 0 and below 1: which ones is decided
    by seed and class name. Attributes: classes (sorted names), texts, targets. Warns where test texts stand among the
    training texts. Raises: ValueError naming the file and the column or row that does not fit.
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
        quote: str | None = '"',
    ) -> None:
        self.path, self.split, self.seed = Path(path).expanduser(), split, seed
        if split not in ("train", "test", "all"):
            raise ValueError(f"split={split!r} must be 'train', 'test' or 'all'")
        if not 0 < test_share < 1:
            raise ValueError(f"test_share={test_share} must be above 0 and below 1")
        rows = read_rows(self.path, text, label, delimiter, quote)
        if test_path is None:
            parts = {"train": rows} if split == "all" else _parts(rows, self.path, test_share, seed)
        else:
            tests = read_rows(Path(test_path).expanduser(), text, label, delimiter, quote)
            _check_labels(tests, rows, Path(test_path), self.path)
            parts = {"train": rows, "test": tests}
        found = [row for name, part in parts.items() if split in (name, "all") for row in part]
        if split == "test":
            _warn_of_doubles(parts, Path(test_path or path))
        names = {name for _, name in rows}
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


def read_rows(path: Path, text: str, label: str, delimiter: str | None = None, quote: str | None = '"') -> list[Row]:
    """Return the texts and labels of a file in its order. Raises ValueError or SampleError that says what is wrong."""
    if not path.is_file():
        raise ValueError(f"path={str(path)!r} is not a file; give a csv file with a head line")
    for name, value in (("delimiter", delimiter), ("quote", quote)):
        if value is not None and (not isinstance(value, str) or len(value) != 1):
            raise ValueError(f"{name}={value!r} must be one character")
    table = _table(path, delimiter or ("\t" if path.suffix.lower() in _TABS else ","), quote)
    with _long_fields():
        columns = next(table, (1, []))[1]
        places = [_place(path, columns, name, wanted) for name, wanted in (("text", text), ("label", label))]
        rows = [_row(path, line, fields, columns, places) for line, fields in table]
    if not rows:
        raise ValueError(f"{path}: there is no row below the head line")
    return rows


def _table(path: Path, delimiter: str, quote: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each row that is not blank, and the number of the line in which it starts."""
    stream = io.StringIO(_decoded(path), newline="")
    marks: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(stream, delimiter=delimiter, strict=True, **marks)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
    except csv.Error as error:
        raise SampleError(
            f"{path}: the row that starts in line {start} cannot be read: {error}; inside quotation marks write them "
            "twice, or give quote=null where they are text"
        ) from None


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let fields be longer than the 128 KiB that Python's csv takes by default."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _place(path: Path, columns: list[str], name: str, wanted: str) -> int:
    """Return where the column `wanted` is."""
    if columns.count(wanted) > 1:
        raise ValueError(f"{path}: there are {columns.count(wanted)} columns {name}={wanted!r}; rename all but one")
    if wanted in columns:
        return columns.index(wanted)
    close = get_close_matches(str(wanted), columns, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    seen = ", ".join(map(repr, columns)) or "none: the file is empty"
    other = next((sign for sign in _DELIMITERS if len(columns) == 1 and sign in columns[0]), None)
    advice = f"; they look parted by {other!r}: give it as delimiter" if other else ""
    raise ValueError(f"{path}: there is no column {name}={wanted!r}{hint} Columns: {seen}{advice}")


def _row(path: Path, line: int, fields: list[str], columns: list[str], places: list[int]) -> Row:
    if any(field.strip() for field in fields[len(columns) :]):
        raise SampleError(
            f"{path}: the row that starts in line {line} has {len(fields)} fields for {len(columns)} columns; "
            "put quotation marks around a text that holds the delimiter"
        )
    for name, place in zip(("text", "label"), places, strict=True):
        if place >= len(fields) or not fields[place].strip():
            raise SampleError(f"{path}: the row that starts in line {line} has no {name}")
    return fields[places[0]], fields[places[1]].strip()


def _check_labels(tests: list[Row], rows: list[Row], test_path: Path, path: Path) -> None:
    if strange := sorted({name for _, name in tests} - {name for _, name in rows}):
        raise ValueError(f"{test_path}: label {strange[0]!r} does not occur in {path.name}")


def _warn_of_doubles(parts: dict[str, list[Row]], path: Path) -> None:
    """Warn where a network could know test texts by heart."""
    known = {_folded(text) for text, _ in parts["train"]}
    doubles = sum(_folded(text) in known for text, _ in parts["test"])
    if doubles:
        warnings.warn(
            f"{path}: {doubles} of {len(parts['test'])} test texts stand among the training texts too, so that every "
            "accuracy looks better than it is; keep each text once",
            UserWarning,
            stacklevel=3,
        )


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SampleError(
            f"{path}: line {line} is not UTF-8 (byte {data[error.start]:#04x}); save the file as UTF-8"
        ) from None


def _parts(rows: list[Row], path: Path, test_share: float, seed: int) -> dict[str, list[Row]]:
    """Return the training and the test split, each in the order of the file."""
    places = defaultdict(list)
    for place, (_, name) in enumerate(rows):
        places[name].append(place)
    few = [f"{name} ({len(found)})" for name, found in sorted(places.items()) if len(found) < 2]
    if few:
        listed = ", ".join(few[:5])
        raise ValueError(f"{path}: a train and a test split need two rows per class or more, but {listed}")
    return {split: _share(rows, places, split, test_share, seed) for split in ("train", "test")}


def _share(rows: list[Row], places: dict[str, list[int]], split: str, test_share: float, seed: int) -> list[Row]:
    chosen: list[int] = []
    for name, found in places.items():
        order = Rng.of(seed, 0).permutation(f"split.{name}", len(found))[0].tolist()
        tests = min(max(round(test_share * len(found)), 1), len(found) - 1)
        chosen += [found[i] for i in (order[:tests] if split == "test" else order[tests:])]
    return [rows[place] for place in sorted(chosen)]
