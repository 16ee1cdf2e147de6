"""Tables of what people and machines get wrong: keyboards, scanners, spelling, look-alikes. Each is a file in data/."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

Table = Mapping[str, tuple[str, ...]]
NEAR = 1.2  # how far the centres of neighbouring keys lie apart at most, in keys


def layouts() -> list[str]:
    """Return the names of the keyboards that ship."""
    names = (entry.name for entry in files("augsynth.text").joinpath("data").iterdir())
    return sorted(n.removeprefix("keyboard_").removesuffix(".json") for n in names if n.startswith("keyboard_"))


@lru_cache(32)
def keyboard(layout: str, letters_only: bool = True) -> Table:
    """Return the neighbours of each key of a layout: a name that ships, or the path of a file of the user's.

    A file has "rows", from the top: each an "offset" in keys, its "keys" and, as many, what they are when "shifted".
    letters_only: letters go to letters of their case, else each sign to each neighbour of its row of signs.
    Raises ValueError for a layout that is not there, or a file that is none.
    """
    places: list[tuple[float, float, str]] = []
    for level, row in enumerate(_rows(layout)):
        keys, shifted = row["keys"], row.get("shifted", row["keys"].upper())
        if len(keys) != len(shifted):
            raise ValueError(f"layout {layout!r}: {len(keys)} keys and {len(shifted)} shifted ones in row {level}")
        places += [(row["offset"] + x, float(level), a + b) for x, (a, b) in enumerate(zip(keys, shifted, strict=True))]
    table: dict[str, tuple[str, ...]] = {}
    for level in (0, 1):
        for x, y, key in places:
            near = [k[level] for a, b, k in places if 0 < math.hypot(a - x, b - y) <= NEAR]
            own = key[level]
            if letters_only:
                # On Italian keys é is a shifted è.
                near = [sign for sign in near if sign.isalpha() and sign.isupper() == own.isupper()]
                near = near if own.isalpha() else []
            found = tuple(sign for sign in dict.fromkeys(near) if not sign.isspace() and sign != own)
            if found and not own.isspace():
                table[own] = found
    return table


def _rows(layout: str) -> list[dict[str, Any]]:
    if layout in layouts():
        text = files("augsynth.text").joinpath(f"data/keyboard_{layout}.json").read_text(encoding="utf-8")
    elif Path(layout).is_file():
        text = Path(layout).read_text(encoding="utf-8")
    else:
        raise ValueError(f"there is no keyboard {layout!r} and no such file; there are {', '.join(layouts())}")
    try:
        rows: list[dict[str, Any]] = json.loads(text)["rows"]
        return [{**row, "offset": float(row["offset"])} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'layout {layout!r} is no JSON with "rows" of "offset" and "keys": {error}') from None


@lru_cache(1)
def scanner() -> Table:
    """Return what a scanner reads in the place of one or two characters."""
    found = json.loads(files("augsynth.text").joinpath("data/ocr.json").read_text(encoding="utf-8"))
    return {key: tuple(values) for key, values in found.items()}


@lru_cache(1)
def lookalikes() -> Table:
    """Return letters of other scripts that look like a Latin one, and for Greek and Cyrillic ones those that are Latin.

    Source: Unicode TS 39, confusables.
    """
    text = files("augsynth.text").joinpath("data/confusables.tsv").read_text(encoding="utf-8")
    table = dict(_lines(text, "confusables"))
    for latin, others in list(table.items()):
        for other in others:
            if "\u0370" <= other < "\u0500":
                table[other] = (*table.get(other, ()), latin)
    return table


@lru_cache(1)
def misspellings() -> Table:
    """Return how people misspell English words."""
    return _lines(files("augsynth.text").joinpath("data/misspellings.tsv").read_text(encoding="utf-8"), "misspellings")


@lru_cache(32)
def words_of_file(path: str) -> Table:
    """Return the user's own table, words in lower case: on each line a word and what may take its place, tabs between.

    Raises ValueError for a file that is not there, or a line without a tab.
    """
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    table: dict[str, tuple[str, ...]] = {}
    for word, others in _lines(Path(path).read_text(encoding="utf-8-sig"), Path(path).name).items():
        table[word.lower()] = (*table.get(word.lower(), ()), *others)
    return table


def _lines(text: str, name: str) -> Table:
    table: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("# "):
            continue
        key, *values = line.split("\t")
        if not key or not any(values):
            raise ValueError(f"{name}, line {number}: needs a word and another with a tab between them")
        table[key] = (*table.get(key, ()), *filter(None, values))
    return table
