"""The gallery as one picture: a small labelled tile for each transform, family after family."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from augsynth.gallery.exhibits import Exhibit
from augsynth.gallery.overlay import picture
from augsynth.gallery.subject import Sample
from augsynth.preview import INK, LINE, PAPER, SOFT, font

if TYPE_CHECKING:
    from PIL.Image import Image

PANEL = (243, 244, 241)


@dataclass(frozen=True)
class Grid:
    """Sizes in pixels. width: of the whole picture; title, caption: heights above and below the tiles of a row."""

    columns: int
    width: int = 1760
    margin: int = 32
    gap: int = 12
    title: int = 35
    caption: int = 42
    row_gap: int = 9

    @property
    def tile(self) -> int:
        """Side of one tile."""
        return (self.width - 2 * self.margin - self.gap * (self.columns - 1)) // self.columns

    @property
    def row(self) -> int:
        """Height of a row with all that belongs to it."""
        return self.title + self.tile + self.caption + self.row_gap

    def left(self, column: int) -> int:
        """Left edge of a column."""
        return self.margin + column * (self.tile + self.gap)

    def top(self, row: int) -> int:
        """Upper edge of the tiles of a row."""
        return self.margin + row * self.row + self.title

    def places(self, counts: Sequence[int]) -> list[list[tuple[int, int]]]:
        """Return (row, column) of each tile of families with `counts` tiles: they follow each other in reading order.

        A family starts a new row where the old one has no room for its title, two tiles wide.
        """
        result, at = [], 0
        for count in counts:
            free = self.columns - at % self.columns
            if free < min(2, count, self.columns):
                at += free
            result.append([divmod(at + number, self.columns) for number in range(count)])
            at += count
        return result


def sheet(exhibits: Mapping[str, Sequence[Exhibit]], columns: int, note: str) -> Image:
    """Return the picture of exhibits by the titles of their families, each at its last strength.

    note: a line below everything.
    """
    from PIL import Image as PILImage
    from PIL import ImageDraw

    grid = Grid(columns)
    places = grid.places([len(shown) for shown in exhibits.values()])
    rows = 1 + max(row for family in places for row, _ in family)
    canvas = PILImage.new("RGB", (grid.width, grid.margin * 2 + rows * grid.row + 14), PAPER)
    pen = ImageDraw.Draw(canvas)
    for (title, shown), at in zip(exhibits.items(), places, strict=True):
        _head(pen, grid, title, at)
        for one, (row, column) in zip(shown, at, strict=True):
            _place(canvas, grid, one, row, column)
            _caption(pen, grid, one.name, row, column)
    pen.text((grid.margin, grid.margin + rows * grid.row + 6), note, SOFT, font(15))
    return canvas


def _head(pen: Any, grid: Grid, title: str, places: Sequence[tuple[int, int]]) -> None:
    """Draw a line over a family's tiles in each row that it takes part in, and its title in the first one."""
    for row in sorted({row for row, _ in places}):
        columns = [column for at, column in places if at == row]
        y = grid.top(row) - grid.title + 4
        pen.line((grid.left(columns[0]), y, grid.left(columns[-1]) + grid.tile, y), LINE, 2)
    row, column = places[0]
    pen.text((grid.left(column), grid.top(row) - grid.title + 11), title, INK, font(17, bold=True))


def fit(samples: Sequence[Sample], box: int) -> float:
    """Return the scale at which the largest of the samples' images fits into a square of `box` pixels."""
    return box / max(int(side) for sample in samples for side in sample["image"].shape[:2])


def _place(canvas: Image, grid: Grid, one: Exhibit, row: int, column: int) -> None:
    """Draw the exhibit in its tile, on the scale of the original where it is not larger."""
    from PIL import ImageDraw

    sample = list(one.shown.values())[-1]
    scale = fit([one.original, sample], grid.tile)
    height, width = (max(round(scale * side), 1) for side in sample["image"].shape[:2])
    left, top = grid.left(column), grid.top(row)
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((left, top, left + grid.tile - 1, top + grid.tile - 1), PANEL)
    small = picture(sample, (width, height))
    canvas.paste(small, (left + (grid.tile - width) // 2, top + (grid.tile - height) // 2))


def _caption(pen: Any, grid: Grid, name: str, row: int, column: int) -> None:
    lines, size = lettering(name, grid.tile)
    at = (grid.left(column), grid.top(row) + grid.tile + 4)
    pen.multiline_text(at, "\n".join(lines), INK, font(size), spacing=2)


def lettering(name: str, width: int) -> tuple[list[str], int]:
    """Return a class name in one line or two, and the size of the letters, at most 15, in which it fits into `width`.

    It is broken at the capital letter that makes its halves most alike.
    """
    cuts = [found.start() for found in re.finditer(r"(?<=[a-z])(?=[A-Z])", name)]
    halves = min(([name[:cut], name[cut:]] for cut in cuts), key=lambda parts: max(map(len, parts)), default=[name])
    for size in range(15, 7, -1):
        for lines in ([name], halves):
            if max(font(size).getlength(line) for line in lines) <= width:
                return lines, size
    return halves, 7
