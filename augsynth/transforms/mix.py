"""Transforms that mix each sample with others of its batch: a batch step, after which class labels are soft."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augsynth.transforms.base import (
    Array,
    Leaf,
    Transform,
    check_fill,
    check_interpolation,
    is_number,
    is_range,
    lerp,
)
from augsynth.transforms.boxcrop import BoxCrop

__all__ = ["CutMix", "MixUp", "Mosaic"]

# What to do where there is one image to mix.
BATCHES = (
    "give a batch, or a list of samples; for a dataset, ag.wrap(dataset, pipeline) with ag.loader or a DataLoader with "
    "collate_fn=ag.collate, or ag.callbacks.AugmentOnDevice"
)
_FITS = ("cover", "contain")


class Mix(Leaf):
    """A transform that mixes a sample with its partners, the next ones in a keyed order of the batch.

    A label that is an integer becomes a vector `(num_classes,)` of float32, in every sample of the pipeline.
    """

    word: ClassVar[str] = "mix"
    num_classes: int | None

    @property
    def partners(self) -> int:
        """How many other samples it needs."""
        return 1

    def output_size(self, params: Array, sizes: Array) -> Array:
        """Return the `(R, 2)` height and width of what comes out."""
        return sizes

    def _check_classes(self) -> None:
        number = self.num_classes
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
            self.fail("num_classes", "None (labels are soft already), or an int above 0")


class Overlay(Mix):
    """A mix of a sample and one partner of the same size, pixel by pixel: the last step of a pipeline.

    Its parameters are the weight of the sample's own pixels, then top, left, height and width of a window in which the
    partner's pixels stand instead.
    """

    params: ClassVar[int] = 5


@dataclass(frozen=True, kw_only=True)
class MixUp(Overlay):
    """Average each image with another of its batch, and their labels with them. Source: arXiv:1710.09412.

    alpha: above 0, of the Beta(alpha, alpha) distribution of the weight. num_classes: needed where labels are integers.
    Boxes and keypoints of both images stay, with their labels; a mask of classes has no mean and is refused. Labels are
    found by `Pipeline(keys=...)`, as everything is, and not by torchvision's labels_getter. Weights come per sample.
    """

    alpha: float = 1.0
    num_classes: int | None = None
    p: float = 1.0

    draws: ClassVar[int] = 1

    def validate(self) -> None:
        _check_alpha(self)
        self._check_classes()

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the weight of the sample itself, and an empty window."""
        params = np.zeros((len(u), 5))
        params[:, 0] = 1.0 - strength * (1.0 - _beta(u[:, 0], self.alpha))
        return params


@dataclass(frozen=True, kw_only=True)
class CutMix(Overlay):
    """Paste a window of another image of the batch into each, and mix labels by its area. Source: arXiv:1905.04899.

    alpha: above 0, of the Beta(alpha, alpha) distribution of the share of the image that stays, before the window is
    clipped to the image; labels take the clipped area. num_classes: needed where labels are integers.
    Masks are pasted too; boxes are clipped to the window, and those under it shrink or go, by `min_visibility`. Labels
    are found by `Pipeline(keys=...)`, as everything is, not by torchvision's labels_getter. Windows come per sample.
    """

    alpha: float = 1.0
    num_classes: int | None = None
    p: float = 1.0

    draws: ClassVar[int] = 3

    def validate(self) -> None:
        _check_alpha(self)
        self._check_classes()

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return weight 1 and the window: around a pixel anywhere, of even sides, clipped to the image."""
        share = strength * (1.0 - _beta(u[:, 0], self.alpha))
        middle = np.floor(u[:, 1:3] * sizes)
        half = np.floor(0.5 * np.sqrt(share)[:, None] * sizes)
        low, high = np.maximum(middle - half, 0), np.minimum(middle + half, sizes)
        return np.concatenate([np.ones((len(u), 1)), low, high - low], 1)


@dataclass(frozen=True)
class Tiles:
    """Cells of R views: place `(R, n, 4)` top, left, bottom, right in the view; empty where the cell is not seen.

    scale and shift `(R, n, 2)`: `source = scale * point + shift` for a point x, y in the cell's place.
    """

    place: Array
    scale: Array
    shift: Array


@dataclass(frozen=True)
class Mosaic(Mix):
    """Show a view of a grid of images: the sample and the next ones of its batch. Source: arXiv:2004.10934.

    grid_yx: rows and columns. target_size, cell_shape: height and width of the view, and of a cell, in pixels.
    center_range: where the view's centre may lie, from 0 to 1, of all places that keep the view on the grid.
    fit_mode: "cover" (resized to cover its cell) or "contain" (to fit into it, `fill` around); images of a grid lie
    towards its middle. Masks, boxes and keypoints go with their images; a class label is mixed by the cells' areas.
    In a batch of fewer images they repeat. `strength` scales p only.
    """

    grid_yx: tuple[int, int] = (2, 2)
    target_size: tuple[int, int] = (512, 512)
    cell_shape: tuple[int, int] = (512, 512)
    center_range: tuple[float, float] = (0.3, 0.7)
    fit_mode: str = "cover"
    interpolation: str = "bilinear"
    fill: float | tuple[float, ...] = 0.0
    num_classes: int | None = None
    p: float = 0.5

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        for name in ("grid_yx", "cell_shape", "target_size"):
            if not _is_size(getattr(self, name)):
                self.fail(name, "two ints above 0, (height, width) or (rows, columns)")
        if (self._room < 0).any():
            self.fail("target_size", f"no more than the grid, {' x '.join(map(str, self._grid.astype(int)))} pixels")
        if not is_range(self.center_range, 0, 1):
            self.fail("center_range", "(low, high) with 0 <= low <= high <= 1")
        if self.fit_mode not in _FITS:
            self.fail("fit_mode", "one of " + ", ".join(_FITS))
        check_interpolation(self)
        check_fill(self)
        self._check_classes()

    @cached_property
    def _grid(self) -> Array:
        return np.array(self.grid_yx, np.float64) * self.cell_shape

    @property
    def _room(self) -> Array:
        return self._grid - self.target_size

    @property
    def partners(self) -> int:
        return self.grid_yx[0] * self.grid_yx[1] - 1

    @property
    def constant(self) -> tuple[float, ...]:
        return check_fill(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top and left of the view on the grid, whole pixels."""
        return np.asarray(np.minimum(np.floor((self._room + 1) * lerp(u, *self.center_range)), self._room))

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(np.array(self.target_size, np.float64), sizes.shape)

    def tiles(self, params: Array, sizes: Array) -> Tiles:
        """Lay out images of sizes `(R, n, 2)` in the cells, row by row, for views `(R, 2)`."""
        cell, target = np.array(self.cell_shape, np.float64), np.array(self.target_size, np.float64)
        at = np.stack(np.divmod(np.arange(sizes.shape[1]), self.grid_yx[1]), 1)  # row and column of each cell
        start = at * cell - params[:, None]
        low, high = np.clip(start, 0, target), np.clip(start + cell, 0, target)
        ratio = cell / sizes
        scale = (ratio.max(2) if self.fit_mode == "cover" else ratio.min(2))[:, :, None]
        # What is left over, or hangs over, is on the far side of the grid's middle.
        align = 0.5 - 0.5 * np.sign(at + 0.5 - np.array(self.grid_yx) / 2)
        corner = start + align * (cell - scale * sizes)
        shift = (low - corner) / scale
        return Tiles(
            np.concatenate([low, high], 2).astype(np.int64),
            np.broadcast_to(1 / scale, shift.shape),
            shift[:, :, ::-1],
        )


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in value)
    )


def _check_alpha(transform: MixUp | CutMix) -> None:
    if not (is_number(transform.alpha) and transform.alpha > 0):
        transform.fail("alpha", "a number above 0")


def _beta(u: Array, alpha: float) -> Array:
    """Turn uniforms `(B,)` into draws of Beta(alpha, alpha) by the inverse of its distribution."""
    if alpha == 1:
        return u
    from scipy.special import betaincinv

    return np.asarray(betaincinv(alpha, alpha, u))


def leaves_in(transform: Transform) -> Iterator[Transform]:
    """Yield what a transform is made of in the end: itself, or the leaves among its parts."""
    parts = transform.parts()
    for part in parts.values():
        yield from leaves_in(part)
    if not parts:
        yield transform


def mixes_in(transform: Transform) -> list[Mix]:
    """Return the mixes that a step of a pipeline is made of; where there is one, there is nothing else."""
    return [leaf for leaf in leaves_in(transform) if isinstance(leaf, Mix)]


def check_order(transforms: Mapping[str, Transform]) -> None:
    """Raise ValueError where a step that mixes samples stands in a place that it cannot have."""
    overlay = grid = None
    classes: dict[int, str] = {}
    for name, transform in transforms.items():
        leaves = list(leaves_in(transform))
        kinds = {_kind(leaf) for leaf in leaves}
        what = type(transform).__name__
        if len(kinds) > 1 and kinds & {Mix, Overlay}:
            names = ", ".join(type(leaf).__name__ for leaf in leaves)
            raise ValueError(
                f"{name}: {what} holds {names}: what mixes finished images (MixUp, CutMix), what lays images out on a "
                "grid (Mosaic) and what works on single images need steps of their own"
            )
        if overlay is not None and what != "Normalize" and kinds != {Overlay}:
            raise ValueError(
                f"{name}: {what} stands after {overlay}, which mixes finished images; put it before: only Normalize "
                "may follow"
            )
        if grid is not None and any(isinstance(leaf, BoxCrop) for leaf in leaves):
            raise ValueError(
                f"{name}: {what} draws by the boxes, which {grid} brings together only afterwards; put it before, or "
                "take a crop that does not look at boxes"
            )
        overlay, grid = (name if Overlay in kinds else overlay), (name if Mix in kinds else grid)
        classes |= {mix.num_classes: name for mix in mixes_in(transform) if mix.num_classes is not None}
    if len(classes) > 1:
        seen = " and ".join(f"{name} has num_classes={number}" for number, name in classes.items())
        raise ValueError(f"{seen}: the labels of a pipeline have one number of classes")


def _kind(leaf: Transform) -> type[Leaf]:
    return Overlay if isinstance(leaf, Overlay) else Mix if isinstance(leaf, Mix) else Leaf
