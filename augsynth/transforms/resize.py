"""Resizing by rules, and padding to shapes: sizes that follow from the image's own, or are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augsynth.transforms.base import (
    BORDER_MODES,
    Array,
    Border,
    Composite,
    Geometric,
    Transform,
    affine_matrix,
    check_fill,
    check_interpolation,
    is_number,
    is_pair,
    is_range,
    lerp,
)
from augsynth.transforms.crop import as_size, check_reflection

__all__ = [
    "LetterBox",
    "LongestMaxSize",
    "PadIfNeeded",
    "RandomResize",
    "RandomScale",
    "RandomShortestSize",
    "RandomZoomOut",
    "ScaleJitter",
    "SmallestMaxSize",
]

_POSITIONS = ("center", "top_left", "top_right", "bottom_left", "bottom_right", "random")


def _is_length(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value > 0)


def _is_choice(value: object) -> bool:
    """Tell a length in pixels, or a tuple of lengths."""
    return _is_length(value) or (isinstance(value, tuple) and value != () and all(map(_is_length, value)))


def _choose(value: int | tuple[int, ...], u: Array, strength: float) -> Array:
    """Draw one of the lengths per sample `(B,)`; weak augmentation stays near the middle of the list."""
    lengths = np.array(value if isinstance(value, tuple) else (value,), np.float64)
    if len(lengths) == 1:
        return np.full(len(u), lengths[0])
    place = np.floor((0.5 + (u[:, 0] - 0.5) * strength) * len(lengths))
    return np.asarray(lengths[place.astype(np.int64)])


def _draws(value: object) -> int:
    return int(isinstance(value, tuple) and len(value) > 1)


class _Resizing(Geometric):
    """A resize whose parameters are the new height and width in pixels."""

    resizes: ClassVar[bool] = True
    params: ClassVar[int] = 2

    def matrix(self, params: Array, sizes: Array) -> Array:
        ratio, zero = sizes / params, np.zeros(len(sizes))
        return affine_matrix(ratio[:, 1], 0.0, 0.0, ratio[:, 0], zero, zero)

    def output_size(self, params: Array, sizes: Array) -> Array:
        return params


def _scaled(sizes: Array, factor: Array, rounding: Any) -> Array:
    return np.asarray(np.maximum(rounding(sizes * factor[:, None]), 1.0))


@dataclass(frozen=True)
class _MaxSize(_Resizing):
    max_size: int | tuple[int, ...] | None = None
    max_size_hw: tuple[int | None, int | None] | None = None
    interpolation: str = "bilinear"
    antialias: bool = True

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return _draws(self.max_size)

    def validate(self) -> None:
        bounds = self.max_size_hw
        if bounds is None and not _is_choice(self.max_size):
            self.fail("max_size", "an int > 0 or several to choose from, or max_size_hw in its place")
        if bounds is not None:
            sides = bounds if isinstance(bounds, tuple) and len(bounds) == 2 else (0, 0)
            good = all(side is None or _is_length(side) for side in sides) and sides != (None, None)
            if not good or self.max_size is not None:
                self.fail(
                    "max_size_hw", "None, or (height, width), one of which may be None, and no max_size beside it"
                )
        check_interpolation(self)

    def _factors(self, u: Array, sizes: Array, strength: float, longest: bool) -> Array:
        if self.max_size_hw is not None:
            fits = [side / sizes[:, axis] for axis, side in enumerate(self.max_size_hw) if side is not None]
            return np.asarray(np.min(fits, 0) if longest else np.max(fits, 0))
        return np.asarray(_choose(self.max_size or 1, u, strength) / (sizes.max(1) if longest else sizes.min(1)))


@dataclass(frozen=True)
class LongestMaxSize(_MaxSize):
    """Resize so that the longer side has `max_size` pixels, keeping the aspect ratio.

    max_size: an int, or several of which one is drawn. max_size_hw: instead of it, a (height, width) that the result
    fits into and touches; None for a side that does not count. antialias: filter when shrinking.
    """

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return _scaled(sizes, self._factors(u, sizes, strength, longest=True), np.rint)


@dataclass(frozen=True)
class SmallestMaxSize(_MaxSize):
    """Resize so that the shorter side has `max_size` pixels, keeping the aspect ratio.

    max_size: an int, or several of which one is drawn. max_size_hw: instead of it, a (height, width) that the result
    covers and touches; None for a side that does not count. antialias: filter when shrinking.
    """

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return _scaled(sizes, self._factors(u, sizes, strength, longest=False), np.rint)


@dataclass(frozen=True)
class RandomShortestSize(_Resizing):
    """Resize the shorter side to one of `min_size` (an int or several), keeping the aspect ratio.

    max_size: the longer side gets no longer than this. antialias: filter when shrinking.
    """

    min_size: int | tuple[int, ...]
    max_size: int | None = None
    interpolation: str = "bilinear"
    antialias: bool = True

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return _draws(self.min_size)

    def validate(self) -> None:
        if not _is_choice(self.min_size):
            self.fail("min_size", "an int > 0 or several to choose from")
        if self.max_size is not None and not _is_length(self.max_size):
            self.fail("max_size", "None or an int > 0")
        check_interpolation(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        factor = _choose(self.min_size, u, strength) / sizes.min(1)
        if self.max_size is not None:
            factor = np.minimum(factor, self.max_size / sizes.max(1))
        return _scaled(sizes, factor, np.floor)


@dataclass(frozen=True)
class RandomResize(_Resizing):
    """Resize the shorter side to a random length, keeping the aspect ratio.

    min_size, max_size: pixels; the length is at least min_size and below max_size, as in torchvision, or both where
    they are equal. Weak augmentation stays near the middle. antialias: filter when shrinking.
    """

    min_size: int
    max_size: int
    interpolation: str = "bilinear"
    antialias: bool = True

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return int(self.max_size > self.min_size)

    def validate(self) -> None:
        if not _is_length(self.min_size):
            self.fail("min_size", "an int > 0")
        if not (_is_length(self.max_size) and self.max_size >= self.min_size):
            self.fail("max_size", "an int that is at least min_size")
        check_interpolation(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        middle = np.full((len(sizes), 1), 0.5)
        place = middle + (u - middle) * strength if self.draws else middle
        length = self.min_size + np.floor(place * (self.max_size - self.min_size))
        short = sizes.min(1, keepdims=True)
        return np.asarray(np.where(sizes == short, length, np.floor(length * sizes / short)))


@dataclass(frozen=True)
class ScaleJitter(_Resizing):
    """Resize to fit into `target_size`, then by a random factor more. Source: arXiv:2012.07177.

    target_size: (width, height) in pixels, in torchvision's order. scale_range: (low, high) > 0, a factor on the size
    that fits; the aspect ratio is kept. antialias: filter when shrinking.
    """

    target_size: tuple[int, int]
    scale_range: tuple[float, float] = (0.1, 2.0)
    interpolation: str = "bilinear"
    antialias: bool = True

    draws: ClassVar[int] = 1

    def validate(self) -> None:
        if not (is_pair(self.target_size) and all(map(_is_length, self.target_size))):
            self.fail("target_size", "(width, height), two ints > 0")
        if not (is_range(self.scale_range) and self.scale_range[0] > 0):
            self.fail("scale_range", "(low, high) with 0 < low <= high")
        check_interpolation(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        fit = (np.array(self.target_size[::-1], np.float64) / sizes).min(1)
        return _scaled(sizes, fit * lerp(u[:, 0], *self.scale_range) ** strength, np.floor)


@dataclass(frozen=True)
class RandomScale(_Resizing):
    """Resize by a random factor `1 + s`, keeping the aspect ratio.

    scale_limit: s comes from (low, high) with low > -1; a number l means (-l, l). antialias: filter when shrinking.
    """

    scale_limit: float | tuple[float, float] = 0.1
    interpolation: str = "bilinear"
    antialias: bool = True
    p: float = 0.5

    draws: ClassVar[int] = 1

    def validate(self) -> None:
        if not (is_range(self._limits) and self._limits[0] > -1):
            self.fail("scale_limit", "a number from 0 to below 1, or (low, high) with -1 < low <= high")
        check_interpolation(self)

    @property
    def _limits(self) -> Any:
        limit = self.scale_limit
        return (-limit, limit) if is_number(limit) else limit  # type: ignore[operator]

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return _scaled(sizes, 1.0 + lerp(u[:, 0], *self._limits) * strength, np.floor)


class _Canvas(Geometric):
    """The image on a canvas: parameters are its top and left there, and the canvas' height and width."""

    opens_run: ClassVar[bool] = True
    params: ClassVar[int] = 4

    def matrix(self, params: Array, sizes: Array) -> Array:
        return affine_matrix(1.0, 0.0, 0.0, 1.0, -params[:, 1], -params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return params[:, 2:]


@dataclass(frozen=True)
class RandomZoomOut(_Canvas):
    """Put the image at a random place on a canvas that is larger by a random factor. Source: arXiv:1512.02325.

    fill: the canvas, in image space. side_range: (low, high) >= 1, the canvas' sides over the image's.
    """

    fill: float | tuple[float, ...] = 0.0
    side_range: tuple[float, float] = (1.0, 4.0)
    p: float = 0.5

    draws: ClassVar[int] = 3

    def validate(self) -> None:
        if not is_range(self.side_range, 1):
            self.fail("side_range", "(low, high) with 1 <= low <= high")
        check_fill(self)

    @cached_property
    def border(self) -> Border:
        return Border("constant", check_fill(self))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        factor = 1.0 + (lerp(u[:, :1], *self.side_range) - 1.0) * strength
        canvas = np.floor(sizes * factor)
        return np.concatenate([np.floor((canvas - sizes) * u[:, [2, 1]]), canvas], 1)


@dataclass(frozen=True)
class PadIfNeeded(_Canvas):
    """Pad an image that is smaller than a shape, or whose sides are no multiples of a number.

    min_height, min_width: pixels; pad_height_divisor, pad_width_divisor: for each axis one of the two, the other None.
    position: where the image stands; center, top_left, top_right, bottom_left, bottom_right or random.
    padding_mode: constant (with `fill`, in image space), edge, reflect or symmetric.
    """

    min_height: int | None = 1024
    min_width: int | None = 1024
    pad_height_divisor: int | None = None
    pad_width_divisor: int | None = None
    position: str = "center"
    padding_mode: str = "constant"
    fill: float | tuple[float, ...] = 0.0

    may_stay_inside: ClassVar[bool] = True

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 2 * (self.position == "random")

    def validate(self) -> None:
        for side in ("height", "width"):
            least, divisor = getattr(self, f"min_{side}"), getattr(self, f"pad_{side}_divisor")
            if divisor is not None and not _is_length(divisor):
                self.fail(f"pad_{side}_divisor", f"None, or an int > 0 with min_{side}=None")
            if (least is None) == (divisor is None) or not (least is None or _is_length(least)):
                self.fail(f"min_{side}", f"an int > 0, or None with an int for pad_{side}_divisor")
        if self.position not in _POSITIONS:
            self.fail("position", "one of " + ", ".join(_POSITIONS))
        if self.padding_mode not in BORDER_MODES:
            self.fail("padding_mode", "one of " + ", ".join(BORDER_MODES))
        check_fill(self)

    @cached_property
    def border(self) -> Border:
        return Border(self.padding_mode, check_fill(self))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        canvas = sizes.copy()
        for axis, side in enumerate(("height", "width")):
            least, divisor = getattr(self, f"min_{side}"), getattr(self, f"pad_{side}_divisor")
            length = sizes[:, axis]
            canvas[:, axis] = np.maximum(length, least) if least else np.ceil(length / divisor) * divisor
        free = canvas - sizes
        before = np.floor(free / 2)
        if self.position == "random":
            # As for a crop: weak augmentation keeps the image near the middle.
            before = np.minimum(np.floor((0.5 + (u - 0.5) * strength) * (free + 1)), free)
        elif self.position != "center":
            vertical, horizontal = self.position.split("_")
            before = free * np.array([vertical == "bottom", horizontal == "right"])
        check_reflection(self.padding_mode, np.maximum(before, free - before), sizes)
        return np.concatenate([before, canvas], 1)

    def looks_outside(self, params: Array, sizes: Array) -> Array:
        return np.asarray((params[:, 2:] > sizes).any(1))


@dataclass(frozen=True)
class LetterBox(Composite):
    """Resize to fit into `size` (int or (height, width)), keeping the aspect ratio, and pad the rest with `fill`.

    fill: in image space. position: where the image stands, as in PadIfNeeded. antialias: filter when shrinking.
    """

    size: int | tuple[int, int]
    fill: float | tuple[float, ...] = 0.0
    interpolation: str = "bilinear"
    antialias: bool = True
    position: str = "center"

    def validate(self) -> None:
        if as_size(self.size) is None:
            self.fail("size", "an int > 0 or (height, width)")
        if self.position not in _POSITIONS:
            self.fail("position", "one of " + ", ".join(_POSITIONS))
        check_interpolation(self)
        check_fill(self)

    def parts(self) -> Mapping[str, Transform]:
        return self._parts

    @cached_property
    def _parts(self) -> Mapping[str, Transform]:
        height, width = as_size(self.size) or (1, 1)
        return {
            "resize": LongestMaxSize(None, (height, width), self.interpolation, self.antialias),
            "pad": PadIfNeeded(height, width, position=self.position, fill=self.fill),
        }

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return np.concatenate(rows, axis=1)
