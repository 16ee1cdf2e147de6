"""Make the text data that ships with augsynth from BANKING77's csv files; a second run writes the same bytes.

Texts that occur more than once in a split are kept once, those of the test set that stand in the training set are left
out of the test set; a text with two labels is left out of both.

    python benchmarks/make_banking77.py SOURCE [OUT]

SOURCE holds train.csv, test.csv, categories.json and LICENSE of https://github.com/PolyAI-LDN/task-specific-datasets.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import shutil
from collections import defaultdict
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "augsynth" / "data" / "assets"
NAME = "banking77.json.xz"


def rows(path: Path) -> list[tuple[str, str]]:
    """Return the texts of a csv file with their categories; spaces at the ends and line breaks are made one space."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(" ".join(row["text"].split()), row["category"]) for row in csv.DictReader(file)]


def content(source: Path) -> dict[str, object]:
    """Return classes, and of each split texts and class numbers, in the order of the files."""
    classes = json.loads((source / "categories.json").read_text(encoding="utf-8"))
    number = {name: i for i, name in enumerate(classes)}
    splits = {split: rows(source / f"{split}.csv") for split in ("train", "test")}
    labels = defaultdict(set)
    for split in splits.values():
        for text, category in split:
            labels[text.lower()].add(category)
    seen = {text for text, found in labels.items() if len(found) > 1}
    result: dict[str, object] = {"classes": classes}
    for split, found in splits.items():
        kept = []
        for text, category in found:
            if text.lower() not in seen:
                seen.add(text.lower())
                kept.append((text, number[category]))
        result[f"{split}_texts"], result[f"{split}_labels"] = (list(column) for column in zip(*kept, strict=True))
    return result


def main(source: Path, out: Path) -> None:
    """Write the asset and its licence to `out`."""
    data = json.dumps(content(source), ensure_ascii=False, separators=(",", ":")).encode()
    (out / NAME).write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    shutil.copyfile(source / "LICENSE", out / "banking77.LICENSE")
    print(f"{NAME}: {(out / NAME).stat().st_size:,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=ASSETS)
    arguments = parser.parse_args()
    main(arguments.source, arguments.out)
