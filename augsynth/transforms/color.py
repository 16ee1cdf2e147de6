"""Colour: brightness, contrast, saturation, hue, grayscale, and the output stage Normalize."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from augsynth.elementary import cos_sin
from augsynth.transforms.base import (
    Array,
    Color,
    Composite,
    Transform,
    check_inplace,
    is_number,
    is_range,
    lerp,
)
from augsynth.transforms.combine import reorder

__all__ = ["ColorJitter", "Normalize", "RandomGrayscale"]

# ITU-R BT.601 as torchvision writes it; they sum to 0.9999.
LUMA = np.array([0.2989, 0.587, 0.114])
_GRAY = np.tile(LUMA, (3, 1))
# In linear colour gray must be a fixed point, so the weights sum to 1 there.
LUMA_ONE = LUMA / LUMA.sum()
_GRAY_ONE = np.tile(LUMA_ONE, (3, 1))
_EYE = np.eye(3)
_CHROMA = _EYE - _GRAY_ONE


def _quarter_turn() -> Array:
    """Return Q with Q^2 = -1 on the chroma plane of YIQ: cos(h) P + sin(h) Q turns the hue by h."""
    yiq = np.array([LUMA_ONE, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    turn = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    return np.asarray(np.linalg.inv(yiq) @ turn @ yiq)


HUE_TURN = _quarter_turn()


def gray_matrix(count: int, exact: bool) -> Array:
    """Return `(count, 3, 3)`: the luma in all channels."""
    return np.broadcast_to(_GRAY if exact else _GRAY_ONE, (count, 3, 3))


def chroma_matrix() -> Array:
    """Return `(3, 3)`: what is left of a colour when its luma is taken away."""
    return np.asarray(_CHROMA)


def _shrink(factor: Array, strength: float) -> Array:
    return 1 + (factor - 1) * strength


@dataclass(frozen=True)
class _Factor(Color):
    low: float
    high: float
    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return _shrink(lerp(u, self.low, self.high), strength)

    def expands(self, params: Array) -> Array:
        return np.asarray(params[:, 0] > 1)


@dataclass(frozen=True)
class Brightness(_Factor):
    """Multiply by a factor: `f x`."""

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        return params[:, :, None] * _EYE, np.zeros((len(params), 3))


@dataclass(frozen=True)
class Contrast(_Factor):
    """Blend with the mean luma m of the image: `f x + (1 - f) m`."""

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        return params[:, :, None] * _EYE, (1 - params) * np.ones(3)


@dataclass(frozen=True)
class Saturation(_Factor):
    """Blend with the luma of each pixel: `f x + (1 - f) luma(x)`."""

    chroma: ClassVar[bool] = True

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        gray = _GRAY if exact else _GRAY_ONE
        factor = params[:, :, None]
        return factor * _EYE + (1 - factor) * gray, np.zeros((len(params), 3))


@dataclass(frozen=True)
class Hue(_Factor):
    """Shift the hue by a fraction of the colour circle: in HSV, or in `linear` colour by a turn in YIQ."""

    chroma: ClassVar[bool] = True
    hue: ClassVar[bool] = True

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return lerp(u, self.low, self.high) * strength

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        cos, sin = cos_sin(360.0 * params[:, :, None])
        turned = _GRAY_ONE + cos * _CHROMA + sin * HUE_TURN
        return turned, np.zeros((len(params), 3))

    def expands(self, params: Array) -> Array:
        return np.zeros(len(params), bool)


def _factor_range(value: object) -> tuple[float, float] | None:
    """Read a jitter argument: v >= 0 means (max(0, 1 - v), 1 + v); None when it is neither that nor a pair >= 0."""
    if is_number(value) and value >= 0:  # type: ignore[operator]
        return max(0.0, 1 - float(value)), 1 + float(value)  # type: ignore[arg-type]
    return value if is_range(value, 0) else None  # type: ignore[return-value]


def _hue_range(value: object) -> tuple[float, float] | None:
    if is_number(value) and 0 <= value <= 0.5:  # type: ignore[operator]
        return -float(value), float(value)  # type: ignore[arg-type]
    return value if is_range(value, -0.5, 0.5) else None  # type: ignore[return-value]


@dataclass(frozen=True)
class ColorJitter(Composite):
    """Change brightness, contrast, saturation and hue by random factors, in random order.

    Each of the first three: v >= 0 for factors from max(0, 1 - v) to 1 + v, or (low, high).
    hue: v in [0, 0.5] for a shift of (-v, v) of the colour circle, or (low, high) in [-0.5, 0.5].
    Images have 1 or 3 channels; with one, saturation and hue do nothing.
    """

    brightness: float | tuple[float, float] = 0.0
    contrast: float | tuple[float, float] = 0.0
    saturation: float | tuple[float, float] = 0.0
    hue: float | tuple[float, float] = 0.0

    def validate(self) -> None:
        for field in ("brightness", "contrast", "saturation"):
            if _factor_range(getattr(self, field)) is None:
                self.fail(field, "a number >= 0 or (low, high) with 0 <= low <= high")
        if _hue_range(self.hue) is None:
            self.fail("hue", "a number in [0, 0.5] or (low, high) in [-0.5, 0.5]")

    def parts(self) -> Mapping[str, Transform]:
        return self._parts

    @cached_property
    def _parts(self) -> dict[str, Transform]:
        parts: dict[str, Transform] = {}
        for name, kind in (("brightness", Brightness), ("contrast", Contrast), ("saturation", Saturation)):
            low, high = _factor_range(getattr(self, name)) or (1.0, 1.0)
            if (low, high) != (1.0, 1.0):
                parts[name] = kind(low, high)
        low, high = _hue_range(self.hue) or (0.0, 0.0)
        if (low, high) != (0.0, 0.0):
            parts["hue"] = Hue(low, high)
        return parts

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return len(self.parts())

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return reorder(rows, np.argsort(u, axis=1, kind="stable")) if rows else np.zeros((len(u), 0), np.int64)


@dataclass(frozen=True)
class RandomGrayscale(Color):
    """Replace the colour by its luma, in all channels, with probability p."""

    p: float = 0.1
    chroma: ClassVar[bool] = True

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        return gray_matrix(len(params), exact), np.zeros((len(params), 3))


@dataclass(frozen=True)
class Normalize(Transform):
    """Subtract `mean` and divide by `std` per channel, both on the [0, 1] scale: the pipeline's output stage.

    It makes float32 (or the pipeline's `dtype`) and is rendered last, wherever it stands.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    inplace: bool = False

    def validate(self) -> None:
        for field in ("mean", "std"):
            value = getattr(self, field)
            if is_number(value):
                object.__setattr__(self, field, (float(value),))
            elif not (isinstance(value, tuple) and value and all(map(is_number, value))):
                self.fail(field, "a number or one per channel")
        if not all(v > 0 for v in self.std):
            self.fail("std", "numbers above 0")
        if len(self.mean) != len(self.std) and 1 not in (len(self.mean), len(self.std)):
            self.fail("std", f"{len(self.mean)} numbers, as many as mean has")
        check_inplace(self)
