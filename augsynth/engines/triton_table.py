"""From runs to the tables that the device reads: a row of parameters per sample, and its list of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from augsynth.engines import triton_layout as layout
from augsynth.engines.output import fill_values
from augsynth.engines.passes import Part
from augsynth.engines.triton_memory import padded
from augsynth.runs import BICUBIC, BILINEAR, COPY, RESIZE, WARP, Colors, Erasing, Geometry
from augsynth.transforms.base import BORDER_MODES, Array
from augsynth.transforms.color import LUMA

# Tables grow in steps of this size, so that few different shapes occur: a recorded graph has one shape.
_ROOM = 8


def record(entries: dict[str, tuple[Any, Any]], words: Any) -> np.dtype[Any]:
    """Make a numpy record of entries name -> (format, first word), `words` 32-bit words long."""
    formats, offsets = zip(*entries.values(), strict=True)
    places = [4 * offset.value for offset in offsets]
    return np.dtype({"names": list(entries), "formats": formats, "offsets": places, "itemsize": 4 * words.value})


ROW = record(
    {
        "source": ("i8", layout.SOURCE),
        "target": ("i8", layout.TARGET),
        "strides": ("3i4", layout.STRIDES),
        "size": ("2i4", layout.SIZE),
        "window": ("2i4", layout.WINDOW),
        "grid": ("2i4", layout.GRID),
        "ratio": ("2f4", layout.RATIO),
        "reach": ("2i4", layout.REACH),
        "matrix": ("(3,3)f4", layout.MATRIX),
        "projective": ("i4", layout.PROJECTIVE),
        "taps": ("i4", layout.TAPS),
        "filter": ("i4", layout.FILTER),
        "border": ("i4", layout.BORDER),
        "fill": ("3f4", layout.FILL),
        "clamp": ("i4", layout.CLAMP),
        "steps": ("i4", layout.STEPS),
        "walk": ("i4", layout.WALK),
        "arrived": ("i4", layout.ARRIVED),
    },
    layout.ROW_WORDS,
)
STEP = record(
    {
        "code": ("i4", layout.CODE),
        "mean": ("i4", layout.MEAN),
        "matrix": ("(3,3)f4", layout.COLOR),
        "shift": ("f4", layout.COLOR),
        "factor": ("f4", layout.COLOR),
        "rectangle": ("4i4", layout.RECTANGLE),
        "vector": ("3f4", layout.VECTOR),
        "pull": ("f4", layout.VECTOR),
    },
    layout.STEP_WORDS,
)


@dataclass(frozen=True)
class Table:
    """R samples of one dtype and channel count: rows `(R,)` of ROW, steps `(R, K)` of STEP, stops `(S, R)` int32.

    stops: how many steps stand before each mean luma that a sample needs, -1 where it needs none.
    """

    rows: Array
    steps: Array
    stops: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """R, K and S."""
        return len(self.rows), self.steps.shape[1], len(self.stops)

    def words(self) -> list[Array]:
        """Return everything as flat int32 arrays, in the order in which the device holds them."""
        flat = [array.view(np.int32).reshape(-1) for array in (self.rows, self.steps, self.stops)]
        return [*flat[:2], padded(flat[2])]


def build(images: Sequence[torch.Tensor], parts: Sequence[Part], exact: bool) -> Table:
    """Describe what `parts` do to images `(C, H, W)`, any strides; targets are still to be filled in."""
    rows = sources(images)
    for part in parts:
        if isinstance(part.run, Geometry):
            rows[part.at] = _placed(rows[part.at], part.run, part.position, images[0].element_size())
    return _with_steps(rows, [part for part in parts if not isinstance(part.run, Geometry)], len(images[0]), exact)


def sources(images: Sequence[torch.Tensor]) -> Array:
    """Return rows `(R,)` that copy images `(C, H, W)`."""
    rows = np.zeros(len(images), ROW)
    rows["source"] = [image.data_ptr() for image in images]
    rows["strides"] = strides = np.array([image.stride() for image in images])
    shapes = np.array([image.shape for image in images])
    last = ((shapes - 1) * strides).sum(1)
    if (last >= 2**31).any():
        raise ValueError(
            f"engine=triton: sample {int(last.argmax())} spans {int(last.max()) + 1} elements in memory, the engine "
            "counts to 2**31; use engine=torch, or a contiguous copy"
        )
    for name in ("size", "window", "grid"):
        rows[name] = shapes[:, 1:]
    rows["ratio"], rows["taps"], rows["matrix"] = 1.0, 1, np.eye(3)
    return rows


def _placed(rows: Array, run: Geometry, p: Array, item: int) -> Array:
    """Return rows that resample by samples p of a run; item: bytes of one element of the source."""
    swap, path, box = run.transpose[p], run.path[p], run.box[p]
    rows["strides"][swap] = rows["strides"][swap][:, [0, 2, 1]]
    image = np.where(swap[:, None], rows["window"][:, ::-1], rows["window"])
    resized, bicubic, filtered = path == RESIZE, run.interpolation[p] == BICUBIC, _filtered(run, p)
    # A window that is resized ends at its own edges, and a filter sees only the window.
    cut = (resized | filtered)[:, None]
    low = np.where(cut, box[:, :2], 0)
    window = np.where(cut, box[:, 2:] - box[:, :2], image)
    grid = np.where(filtered[:, None], run.full[p], window)
    rows["source"] += item * (low * rows["strides"][:, 1:]).sum(1)
    rows["size"], rows["window"], rows["grid"] = run.size[p], window, grid
    matrix = _to_grid(run, p, filtered)
    rows["matrix"], rows["projective"] = matrix, (matrix[:, 2] != (0.0, 0.0, 1.0)).any(1)
    rows["taps"] = np.where((path == COPY) | (resized & filtered), 1, 1 << run.interpolation[p])
    cubic = resized & filtered & bicubic
    rows["filter"] = np.where(cubic, layout.CUBIC.value, layout.TRIANGLE.value) * filtered
    ratio = window / grid
    rows["ratio"], rows["clamp"] = ratio, bicubic
    support = np.maximum(ratio, 1.0) * np.where(cubic, 2, 1)[:, None]
    # As many pixels as centres lie within the filters of all taps; those on its edge weigh nothing.
    rows["reach"] = np.ceil(2 * support + (rows["taps"][:, None] - 1) * ratio - 1e-6)
    walks = resized & (run.interpolation[p] == BILINEAR) & (window >= 3).all(1) & (ratio <= layout.WALKS.value).all(1)
    rows["walk"] = np.where((ratio <= 1).all(1), 2, 3) * walks
    rows["border"], rows["fill"] = _borders(run, p)
    return rows


def _filtered(run: Geometry, p: Array) -> Array:
    """Tell which samples `(R,)` pass an antialiasing filter."""
    length, full = run.box[p, 2:] - run.box[p, :2], run.full[p]
    resized = (length > full).any(1) | (run.interpolation[p] == BICUBIC)
    needs: Array = np.where(run.path[p] == WARP, (length != full).any(1), resized)
    return np.asarray(needs & run.antialias[p] & (run.path[p] != COPY))


def _to_grid(run: Geometry, p: Array, filtered: Array) -> Array:
    """Return maps `(R, 3, 3)` from the output to what the interpolation sees: image, window or shrunk window."""
    resized, warped = run.path[p] == RESIZE, run.path[p] == WARP
    corner = run.box[p, 1::-1]
    # A warp's matrix counts from its box; a resize's counts from the image, and sees only its box.
    move = np.where(warped[:, None], corner, np.where(resized[:, None], -corner, 0)) * ~filtered[:, None]
    matrix = run.matrix[p].copy()
    matrix[:, :2] += move[:, :, None] * matrix[:, 2:]
    sliced = (resized & filtered).nonzero()[0]
    flip = np.stack([run.flip_x[p], run.flip_y[p]], 1)[sliced]
    size, offset = run.size[p][sliced, ::-1], run.offset[p][sliced, ::-1]
    matrix[sliced] = np.eye(3)
    matrix[sliced[:, None], [0, 1], [0, 1]] = np.where(flip, -1, 1)
    matrix[sliced, :2, 2] = offset + flip * size
    return np.asarray(matrix)


def _borders(run: Geometry, p: Array) -> tuple[Array, Array]:
    """Return border modes `(R,)` as the kernel numbers them, and fills `(R, 3)`."""
    borders = [run.borders[i] for i in p.tolist()]
    # Samples share a few objects; hashing each of them by its fields would take longer than all the rest.
    known = {number: (BORDER_MODES.index(b.mode), _three(b.fill)) for number, b in {id(b): b for b in borders}.items()}
    modes, fills = zip(*(known[id(border)] for border in borders), strict=True)
    return np.array(modes), np.array(fills)


def _three(fill: tuple[float, ...]) -> Array:
    return np.asarray(fill_values(fill, 3) if len(fill) == 1 else fill, np.float64)


class _Steps:
    """Collects the steps of R samples, each sample's in the order in which they are added."""

    def __init__(self, count: int, most: int) -> None:
        self.steps = np.zeros((count, -(-max(most, 1) // _ROOM) * _ROOM), STEP)
        self.steps["mean"] = -1
        self.counts, self.means = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.stops = np.full((max(most, 1), count), -1, np.int32)

    def add(self, at: Array, code: Any, **entries: Array) -> None:
        """Give each of the rows `at` one more step."""
        place = self.counts[at]
        for name, value in {"code": code.value, **entries}.items():
            self.steps[name][at, place] = value
        self.counts[at] += 1

    def add_color(self, at: Array, matrix: Array, vector: Array) -> None:
        """Add `A x + m v`, A `(R, c, c)` and v `(R, c)`; m is counted where v is not 0."""
        size = matrix.shape[1]
        full, three = np.zeros((len(at), 3, 3)), np.zeros((len(at), 3))
        full[:, :size, :size], three[:, :size] = matrix, vector
        self.add(at, layout.MATRIX_STEP, matrix=full, vector=three, mean=self._mean(at, vector))

    def add_one(self, at: Array, matrix: Array, vector: Array) -> None:
        """Add the same where it is one colour: as a factor for all channels, or from the luma, where it is that."""
        size, first = matrix.shape[1], matrix[:, 0, 0]
        scales = (matrix == first[:, None, None] * np.eye(size)).all((1, 2)) & (vector == vector[:, :1]).all(1)
        factor, chroma = first, np.zeros(len(at), bool)
        if size == 3:
            factor = first - matrix[:, 1, 0]
            mixed = factor[:, None, None] * np.eye(3) + (1 - factor)[:, None, None] * LUMA
            chroma = ~scales & (np.abs(matrix - mixed) < 1e-12).all((1, 2)) & (vector == 0).all(1)
        for code, chosen in ((layout.SCALE, scales), (layout.CHROMA, chroma)):
            if chosen.any():
                mean = self._mean(at[chosen], vector[chosen])
                value = (first if code is layout.SCALE else factor)[chosen]
                self.add(at[chosen], code, factor=value, pull=vector[chosen, 0], mean=mean)
        others = ~scales & ~chroma
        if others.any():
            self.add_color(at[others], matrix[others], vector[others])

    def _mean(self, at: Array, vector: Array) -> Array:
        """Return which mean each of the rows `at` needs next, -1 for none, and count it."""
        needs = (vector != 0).any(1)
        which = at[needs]
        number: Array = np.where(needs, self.means[at], -1)
        self.stops[self.means[which], which] = self.counts[which]
        self.means[which] += 1
        return number


def _with_steps(rows: Array, parts: Sequence[Part], channels: int, exact: bool) -> Table:
    most = sum(part.run.used.shape[1] if isinstance(part.run, Colors) and exact else 1 for part in parts)
    steps = _Steps(len(rows), most)
    for part in parts:
        if isinstance(part.run, Erasing):
            paints = {paint: _three(paint) for paint in set(part.run.paints)}
            vector = np.array([paints[part.run.paints[i]] for i in part.position.tolist()])
            steps.add(part.at, layout.ERASE, rectangle=part.run.rectangle[part.position], vector=vector)
        elif isinstance(part.run, Colors) and exact:
            _add_exact(steps, part.run, part.position, part.at, channels)
        elif isinstance(part.run, Colors):
            matrix, vector = part.run.composed(channels)
            steps.add_color(part.at, matrix[part.position], vector[part.position])
    rows["steps"] = steps.counts
    return Table(rows, steps.steps, steps.stops[: steps.means.max()])


def _add_exact(steps: _Steps, run: Colors, p: Array, at: Array, channels: int) -> None:
    for number in range(run.used.shape[1]):
        used = run.used[p, number] & ~(run.chroma[p, number] & (channels == 1))
        turned = used & ~np.isnan(run.hue[p, number])
        if turned.any():
            steps.add(at[turned], layout.HUE, shift=run.hue[p[turned], number])
        if (used & ~turned).any():
            chosen = p[used & ~turned]
            matrix, vector = run.matrix[chosen, number, :channels, :channels], run.luma[chosen, number, :channels]
            steps.add_one(at[used & ~turned], matrix, vector)
