"""The command `augsynth preview --all`: checks what it is given, draws, writes."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from augsynth.gallery.catalogue import families
from augsynth.gallery.exhibits import Exhibit, exhibit
from augsynth.gallery.page import page
from augsynth.gallery.sheet import sheet
from augsynth.gallery.subject import Subject
from augsynth.preview import PICTURES, check_integer, check_name
from augsynth.transforms.base import is_number

# The least side on which every entry can be drawn, and the largest that one machine draws in about a minute.
SIDES = (64, 1024)
# Seconds between two lines of progress where there is no terminal.
PATIENCE = 5.0


def run(values: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the configured gallery into `folder` and return the paths of the picture and the page, as far as asked for.

    values: the resolved configuration `gallery`. Raises: ValueError or AugsynthError that says which value is wrong.
    """
    columns, seed = check_integer(values, "columns", 4, 16), check_integer(values, "seed", 0, 2**32 - 1)
    names = {
        key: check_name(values, key, endings)
        for key, endings in (("output", PICTURES), ("page", (".html",)))
        if values[key] is not None
    }
    if not names:
        raise ValueError("output=None and page=None: give one of them a name, or there is nothing to draw")
    strengths, size = _strengths(values["strengths"]), _size(values["data"]["image_size"])
    exhibits = draw(Subject.of(values["image"], size), strengths, seed)
    if "output" in names:
        note = (
            f"{sum(map(len, exhibits.values()))} transforms at strength {strengths[-1]:g}, seed {seed}. "
            "Boxes, mask and keypoints are drawn where pixels move."
        )
        sheet(exhibits, columns, note).save(folder / names["output"], quality=85)
    if "page" in names:
        (folder / names["page"]).write_text(page(exhibits, seed), encoding="utf-8")
    return [folder / name for name in names.values()]


def draw(subject: Subject, strengths: Sequence[float], seed: int) -> dict[str, list[Exhibit]]:
    """Return the exhibits by the titles of their families, and say on the terminal how far they are."""
    todo = [(title, name) for title, names in families().items() for name in names]
    done: dict[str, list[Exhibit]] = {}
    threads = torch.get_num_threads()
    # Pictures this small do not pay for threads, which on a busy machine wait for each other: three times the seconds.
    torch.set_num_threads(1)
    try:
        for title, name in _progress(todo):
            done.setdefault(title, []).append(exhibit(name, subject, strengths, seed))
    finally:
        torch.set_num_threads(threads)
    return done


def _progress(todo: Sequence[tuple[str, str]]) -> Any:
    """Yield the entries: under a bar in a terminal, else with a line now and then if it takes long."""
    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(todo, "drawing", console=console, transient=True)
        return
    said = time.monotonic()
    for number, entry in enumerate(todo):
        if time.monotonic() - said > PATIENCE:
            print(f"drawing: {number} of {len(todo)} transforms done", file=sys.stderr)
            said = time.monotonic()
        yield entry


def _strengths(value: Any) -> tuple[float, ...]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    right = 1 <= len(entries) <= 8 and all(is_number(entry) and 0 < entry <= 1 for entry in entries)
    if not right or any(low >= high for low, high in pairwise(entries)):
        raise ValueError(f"strengths={value!r} must be 1 to 8 ascending numbers above 0, at most 1")
    return tuple(float(entry) for entry in entries)


def _size(value: Any) -> int | tuple[int, int]:
    sides = value if isinstance(value, (list, tuple)) else [value, value]
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or not all(SIDES[0] <= side <= SIDES[1] for side in sides):
        raise ValueError(
            f"data.image_size={value!r} must be an integer from {SIDES[0]} to {SIDES[1]}, or two: [height, width]"
        )
    return int(value) if isinstance(value, int) else (int(sides[0]), int(sides[1]))
