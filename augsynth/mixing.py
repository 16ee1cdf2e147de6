"""Batches whose samples mix: partners, mosaics of tiles between two renders, overlays of finished images.

A sample's partners are the next ones in an order of the batch by a keyed number, so that they depend on which samples
are in the batch and not on their order in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import cv2
import numpy as np
import torch

from augsynth.engines.output import Output
from augsynth.fuse import fuse
from augsynth.images import NUMPY_DTYPES
from augsynth.mix_targets import MixTargets, Pieces
from augsynth.program import Plan, Program, rows_by_code
from augsynth.rng import Rng, slot_id
from augsynth.runs import Run
from augsynth.soft_labels import upload
from augsynth.transforms.base import Array, Border, Geometric, affine_matrix
from augsynth.transforms.mix import Mosaic, Overlay

# (images, runs, sizes (B, 2) of the results, output) -> a batch, or a list of tensors `(C, h, w)`.
Render = Callable[[Sequence[Any], Sequence[Run], Array, Output], Any]


@dataclass(frozen=True)
class Piece(Geometric):
    """A window of an image, scaled: `source = scale * point + shift`. fill: of what lies outside, None for edges."""

    fill: tuple[float, ...] | None = None
    interpolation: str = "bilinear"

    params: ClassVar[int] = 6
    resizes: ClassVar[bool] = True

    def matrix(self, params: Array, sizes: Array) -> Array:
        return affine_matrix(params[:, 0], 0.0, 0.0, params[:, 1], params[:, 2], params[:, 3])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return params[:, 4:6]

    @property
    def border(self) -> Border | None:
        return None if self.fill is None else Border("constant", self.fill)


@lru_cache(maxsize=64)
def _plan_of(piece: Piece) -> Plan:
    return Plan.of({"piece": piece})


def order_of(rng: Rng, name: str) -> Array:
    """Return the batch's order `(B,)` for one mixing step: the partners of `order[k]` are `order[k + 1]` and so on."""
    words = rng.words([slot_id(name)], [0])
    return np.argsort(words[:, 0] << np.uint64(32) | words[:, 1], kind="stable")


def partners(order: Array, number: int) -> Array:
    """Return for each sample itself and its next `number` in the order, going round: `(B, number + 1)`."""
    place = np.argsort(order)
    return np.asarray(order[(place[:, None] + np.arange(number + 1)) % len(order)])


@dataclass(frozen=True)
class Mixer:
    """Renders a drawn program whose samples mix. images: as the engine reads them; output: of the finished batch."""

    program: Program
    rng: Rng
    images: Sequence[Any]
    output: Output
    render: Render
    exact: bool
    joined: bool
    targets: MixTargets

    def run(self) -> Any:
        """Return the finished batch, or a list of tensors where samples end in several sizes."""
        images, since = list(self.images), np.zeros(len(self.rng), np.int64)
        mixes = self.program.plan.mixes
        for slot, name, overlays in mixes:
            if not overlays:
                self._compose(images, since, slot, order_of(self.rng, name))
        rest = self._between(np.arange(len(images)), since, self.program.ops.shape[1])
        runs = self._runs(rest)
        self.targets.advance(rest, runs)
        result = self.render(images, runs, rest.sizes[:, -1], self.output)
        if any(overlays for _, _, overlays in mixes):
            result = _one_batch(result, self.rng)
        for slot, name, overlays in mixes:
            if overlays:
                result = self._overlay(result, slot, order_of(self.rng, name))
        return result

    def _runs(self, program: Program) -> list[Run]:
        return fuse(program, exact_color=self.exact, joined=self.joined)

    def _between(self, rows: Array, since: Array, end: int) -> Program:
        """Return what remains to be done for the samples `rows`, each from its slot `since (R,)`, before slot `end`."""
        program, slots = self.program, np.arange(end)
        ops = np.where(slots >= since[:, None], program.ops[rows, :end], 0)
        return Program(program.plan, ops, program.params[rows, :end], program.sizes[rows, : end + 1])

    def _compose(self, images: list[Any], since: Array, slot: int, order: Array) -> None:
        """Lay out the mosaics of one slot: their samples go on from there, the others stay as they are."""
        program, codes = self.program, self.program.ops[:, slot]
        found = [
            self._tiles(program.plan.leaves[code - 1].transform, np.arange(len(codes))[rows], slot, order)
            for code, rows in rows_by_code(codes)
        ]
        if not found:
            return
        needed = np.unique(np.concatenate([pieces.source for pieces, _ in found]))
        before = self._between(needed, since[needed], slot)
        runs = self._runs(before)
        staged, working = self._staged([images[i] for i in needed.tolist()], before, runs), self._working()
        moved = self.targets.peek(needed, before, runs)
        for pieces, leaf in found:
            chosen = [staged[k] for k in np.searchsorted(needed, pieces.source).tolist()]
            sizes = pieces.place[:, 2:] - pieces.place[:, :2]
            tiles = list(self.render(chosen, pieces.runs, sizes, working))
            for row in np.unique(pieces.owner).tolist():
                mine = np.flatnonzero(pieces.owner == row)
                parts = [tiles[k] for k in mine.tolist()]
                images[row] = _canvas(parts, pieces.place[mine], leaf.target_size, isinstance(images[row], np.ndarray))
                since[row] = slot + 1
            self.targets.compose(pieces, moved, _current(program, since))
        self._mix_labels(*_areas([pieces for pieces, _ in found], len(codes)))

    def _staged(self, images: list[Any], program: Program, runs: Sequence[Run]) -> list[Any]:
        """Render the sources of tiles up to there; those for which nothing was to be done stay as they are."""
        busy = np.unique(np.concatenate([np.zeros(0, np.int64), *(run.rows for run in runs)]))
        if len(busy):
            some = Program(program.plan, program.ops[busy], program.params[busy], program.sizes[busy])
            done = self.render([images[i] for i in busy.tolist()], self._runs(some), some.sizes[:, -1], self._working())
            for i, image in zip(busy.tolist(), done, strict=True):
                images[i] = _array(image) if isinstance(images[i], np.ndarray) else image
        return images

    def _working(self) -> Output:
        """Describe images between two renders: of the input's range and dtype."""
        first = self.images[0]
        dtype = NUMPY_DTYPES[first.dtype] if isinstance(first, np.ndarray) else first.dtype
        return Output(self.output.white, None, None, dtype)

    def _tiles(self, leaf: Any, rows: Array, slot: int, order: Array) -> tuple[Pieces, Mosaic]:
        """Cut the tiles of the samples `rows` out of their sources."""
        assert isinstance(leaf, Mosaic)
        sources = partners(order, leaf.partners)[rows]
        tiles = leaf.tiles(self.program.params[rows, slot, : leaf.params], self.program.sizes[sources, slot])
        seen: Array = np.all(tiles.place[:, :, 2:] > tiles.place[:, :, :2], axis=2)
        owner, source = np.repeat(rows, seen.sum(1)), sources[seen]
        fill = leaf.constant if leaf.fit_mode == "contain" else None
        numbers = np.concatenate([tiles.scale[seen], tiles.shift[seen]], 1)
        piece = Piece(fill, leaf.interpolation)
        sizes = self.program.sizes[source, slot]
        return self._pieces(piece, owner, source, tiles.place[seen], numbers, sizes), leaf

    def _pieces(self, piece: Piece, owner: Array, source: Array, place: Array, numbers: Array, sizes: Array) -> Pieces:
        extent = place[:, 2:] - place[:, :2]
        params = np.concatenate([numbers, extent], 1)[:, None].astype(np.float64)
        ops = np.ones((len(owner), 1), np.int64)
        program = Program(_plan_of(piece), ops, params, np.stack([sizes, extent.astype(np.float64)], 1))
        return Pieces(owner, source, place, np.zeros_like(place), program, self._runs(program))

    def _overlay(self, batch: torch.Tensor, slot: int, order: Array) -> torch.Tensor:
        """Mix finished images `(B, C, H, W)` in one slot, and what lies on them."""
        codes, count = self.program.ops[:, slot], len(order)
        params = np.zeros((count, Overlay.params))
        params[:, 0] = 1.0
        for _, rows in rows_by_code(codes):
            params[rows] = self.program.params[rows, slot, : Overlay.params]
        sizes = np.broadcast_to(np.array(batch.shape[2:], np.float64), (count, 2))
        own = params[:, 0] * (1.0 - params[:, 3] * params[:, 4] / sizes.prod(1))
        if (own == 1.0).all() or count == 1:
            return batch
        pair = partners(order, 1)
        self._overlay_targets(params, pair[:, 1], sizes, own)
        self._mix_labels(np.stack([own, 1.0 - own], 1), pair)
        return overlay(batch, order, params)

    def _overlay_targets(self, params: Array, partner: Array, sizes: Array, own: Array) -> None:
        """Unite what lies on two images of which both show; in CutMix each has its part of the picture."""
        if not self.targets.entries:
            return
        rows = np.flatnonzero(own < 1.0)
        window = np.concatenate([params[rows, 1:3], params[rows, 1:3] + params[rows, 3:5]], 1).astype(np.int64)
        whole = np.concatenate([np.zeros((len(rows), 2)), sizes[rows]], 1).astype(np.int64)
        cut = np.all(window[:, 2:] > window[:, :2], axis=1, keepdims=True)
        place = np.stack([whole, np.where(cut, window, whole)], 1).reshape(-1, 4)
        numbers = np.concatenate([np.ones((len(place), 2)), place[:, 1::-1]], 1)
        source = np.stack([rows, partner[rows]], 1).reshape(-1)
        pieces = self._pieces(Piece(), np.repeat(rows, 2), source, place, numbers, sizes[source])
        hidden = np.stack([np.where(cut, window, 0), np.zeros_like(window)], 1).reshape(-1, 4)
        self.targets.compose(replace(pieces, hidden=hidden), self.targets.now(), sizes)

    def _mix_labels(self, shares: Array, sources: Array) -> None:
        labels = self.targets.labels
        if labels is not None:
            device = labels.values.device
            dtype = np.float64 if device.type == "cpu" else np.float32
            labels.mix(upload(shares.astype(dtype), device), upload(sources, device))


def _current(program: Program, since: Array) -> Array:
    return np.asarray(program.sizes[np.arange(len(since)), since])


def _areas(found: Sequence[Pieces], count: int) -> tuple[Array, Array]:
    """Return by how much of its area each sample shows which samples: shares and sources `(B, n)`."""
    owner, source, place = (np.concatenate([getattr(p, name) for p in found]) for name in ("owner", "source", "place"))
    area = (place[:, 2:] - place[:, :2]).prod(1).astype(np.float64)
    number = np.zeros(len(owner), np.int64)
    for row in np.unique(owner).tolist():
        mine = np.flatnonzero(owner == row)
        number[mine], area[mine] = np.arange(len(mine)), area[mine] / area[mine].sum()
    shares = np.zeros((count, int(number.max()) + 1))
    shares[:, 0], sources = 1.0, np.repeat(np.arange(count)[:, None], shares.shape[1], 1)
    shares[owner, number], sources[owner, number] = area, source
    return shares, sources


def _array(image: torch.Tensor) -> Array:
    """Return a rendered `(C, h, w)` as the opencv engine reads it."""
    planes = image.numpy()
    return planes[0].copy() if len(planes) == 1 else np.asarray(cv2.merge(list(planes)))


def _canvas(tiles: Sequence[torch.Tensor], place: Array, size: tuple[int, int], as_array: bool) -> Any:
    """Put tiles `(C, h, w)` together, which cover `size`; as_array: in the layout of the opencv engine."""
    if as_array:
        shape = size if tiles[0].shape[0] == 1 else (*size, tiles[0].shape[0])
        array = np.empty(shape, tiles[0].numpy().dtype)
        for tile, (top, left, bottom, right) in zip(tiles, place.tolist(), strict=True):
            array[top:bottom, left:right] = _array(tile)
        return array
    canvas = tiles[0].new_empty((tiles[0].shape[0], *size))
    for tile, (top, left, bottom, right) in zip(tiles, place.tolist(), strict=True):
        canvas[:, top:bottom, left:right] = tile
    return canvas


def _one_batch(rendered: Any, rng: Rng) -> torch.Tensor:
    """Return rendered images as one batch. Raises ValueError naming two of several sizes."""
    if isinstance(rendered, torch.Tensor):
        return rendered
    shapes = [tuple(image.shape) for image in rendered]
    other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        first, second = (" x ".join(map(str, shapes[i])) for i in (0, other))
        raise ValueError(
            f"MixUp and CutMix need images of one size: sample 0 (index {rng.index[0]}) is {first} and sample {other} "
            f"(index {rng.index[other]}) is {second}; end with one size before (Resize((h, w)), RandomResizedCrop)"
        )
    base = rendered[0]._base
    shape = (len(rendered), *shapes[0])
    together = base is not None and base.shape == shape and all(image._base is base for image in rendered)
    return base if together else torch.stack(list(rendered))


def overlay(batch: torch.Tensor, order: Array, params: Array) -> torch.Tensor:
    """Mix each image of a batch `(B, C, H, W)` with the next one in `order (B,)`; the batch itself may be changed.

    params `(B, 5)`: as `augsynth.transforms.mix.Overlay` draws them. Bytes are rounded to the nearest.
    """
    active = (params[:, 0] < 1.0) | (params[:, 3:].min(1) > 0)
    if batch.device.type == "cpu" and not batch.requires_grad:
        _overlay_rows(batch, order, params, active)
        return batch
    partner, device = partners(order, 1)[:, 1], batch.device
    mixed = []
    for cut in (False, True):
        rows = np.flatnonzero(active & ((params[:, 3:].min(1) > 0) == cut))
        if len(rows):
            at = upload(rows, device)
            own, other = batch[at], batch[upload(partner[rows], device)]
            numbers = upload(params[rows].astype(np.float32), device)
            mixed.append((at, _pasted(own, other, numbers) if cut else _averaged(own, other, numbers[:, 0])))
    for at, images in mixed:
        batch = batch.index_copy(0, at, images) if batch.requires_grad else batch.index_copy_(0, at, images)
    return batch


def _pasted(own: torch.Tensor, other: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    y = torch.arange(own.shape[2], device=own.device)[:, None]
    x = torch.arange(own.shape[3], device=own.device)
    top, left, height, width = numbers[:, 1:, None, None, None].unbind(1)
    inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    return torch.where(inside, other, own)


def _averaged(own: torch.Tensor, other: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    exact = own.dtype if own.dtype in (torch.float32, torch.float64) else torch.float32
    mean = torch.lerp(other.to(exact), own.to(exact), weight[:, None, None, None].to(exact))
    return mean.round().to(own.dtype) if own.dtype == torch.uint8 else mean.to(own.dtype)


def _overlay_rows(batch: torch.Tensor, order: Array, params: Array, active: Array) -> None:
    """Mix in place: an image is overwritten when the one before it in the order has read it; the first is copied."""
    rows = order.tolist()
    first = batch[rows[0]].clone() if active[rows[-1]] and active[rows[0]] else batch[rows[0]]
    for row, other in zip(rows, [*rows[1:], None], strict=True):
        if not active[row]:
            continue
        mine, theirs = batch[row], first if other is None else batch[other]
        weight, (top, left, height, width) = float(params[row, 0]), params[row, 1:].astype(int).tolist()
        if height and width:
            window = (slice(None), slice(top, top + height), slice(left, left + width))
            mine[window] = theirs[window]
        elif batch.dtype in (torch.uint8, torch.float32):  # two thirds of the time of lerp_
            flat = mine.numpy().reshape(-1, mine.shape[-1])
            cv2.addWeighted(flat, weight, theirs.numpy().reshape(flat.shape), 1.0 - weight, 0.0, dst=flat)
        else:
            mine.lerp_(theirs, 1.0 - weight)
