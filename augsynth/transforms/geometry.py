"""Flips, rotations, affine maps, crops, padding and resizing: each one a homography from output to input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar

import numpy as np

from augsynth.transforms.base import (
    BORDER_MODES,
    Array,
    Border,
    Geometric,
    RowError,
    check_fill,
    check_interpolation,
    is_number,
    is_range,
    lerp,
)

__all__ = [
    "CenterCrop",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
]

_CROP_TRIES = 10
_ANGLES = "a number >= 0 or (low, high) with low <= high"


def _affine(a: Array | float, b: Array | float, c: Array | float, d: Array | float, tx: Array, ty: Array) -> Array:
    """Stack `x' = a x + b y + tx, y' = c x + d y + ty` into `(B, 3, 3)`."""
    result = np.zeros((len(tx), 3, 3))
    result[:, 0, 0], result[:, 0, 1], result[:, 0, 2] = a, b, tx
    result[:, 1, 0], result[:, 1, 1], result[:, 1, 2] = c, d, ty
    result[:, 2, 2] = 1.0
    return result


def _about(linear: tuple[Array, Array, Array, Array], source: Array, target: Array) -> Array:
    """Build the map whose linear part takes the point `target` of the output to `source` of the input."""
    a, b, c, d = linear
    tx = source[:, 0] - a * target[:, 0] - b * target[:, 1]
    ty = source[:, 1] - c * target[:, 0] - d * target[:, 1]
    return _affine(a, b, c, d, tx, ty)


def _centers(center: tuple[float, float] | None, sizes: Array) -> Array:
    if center is None:
        return sizes[:, ::-1] / 2.0
    return np.broadcast_to(np.asarray(center, np.float64), (len(sizes), 2))


def _pair(value: object) -> tuple[int, int] | None:
    """Read a size: one int, or (height, width); None when it is neither."""
    entries = value if isinstance(value, tuple) else (value, value)
    if len(entries) == 1:
        entries = (entries[0], entries[0])
    if len(entries) != 2 or not all(
        isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v > 0 for v in entries
    ):
        return None
    return int(entries[0]), int(entries[1])


@cache
def _extent(size: int | tuple[int, int]) -> Array:
    """Return a checked size as an array (height, width)."""
    return np.asarray(_pair(size), np.float64)


def _symmetric(value: object) -> tuple[float, float] | None:
    """Read an angle range: a number a >= 0 means (-a, a); None when it is neither that nor a pair."""
    if is_number(value) and value >= 0:  # type: ignore[operator]
        return -float(value), float(value)  # type: ignore[arg-type]
    return value if is_range(value) else None  # type: ignore[return-value]


@dataclass(frozen=True)
class RandomHorizontalFlip(Geometric):
    """Mirror left and right with probability p: x maps to W - x."""

    p: float = 0.5

    def matrix(self, params: Array, sizes: Array) -> Array:
        return _affine(-1.0, 0.0, 0.0, 1.0, sizes[:, 1], np.zeros(len(sizes)))


@dataclass(frozen=True)
class RandomVerticalFlip(Geometric):
    """Mirror top and bottom with probability p: y maps to H - y."""

    p: float = 0.5

    def matrix(self, params: Array, sizes: Array) -> Array:
        return _affine(1.0, 0.0, 0.0, -1.0, np.zeros(len(sizes)), sizes[:, 0])


@dataclass(frozen=True)
class RandomRotation(Geometric):
    """Rotate by an angle from `degrees`, counter-clockwise.

    degrees: a number d >= 0 for (-d, d), or (low, high). expand: grow the image to hold the whole result.
    center: (x, y) in pixels from the top left corner, the middle by default. fill: in image space.
    """

    degrees: float | tuple[float, float]
    interpolation: str = "nearest"
    expand: bool = False
    center: tuple[float, float] | None = None
    fill: float | tuple[float, ...] = 0.0

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def validate(self) -> None:
        if _symmetric(self.degrees) is None:
            self.fail("degrees", _ANGLES)
        if self.center is not None and not (len(self.center) == 2 and all(map(is_number, self.center))):
            self.fail("center", "None or (x, y)")
        check_interpolation(self)
        check_fill(self)

    @cached_property
    def border(self) -> Border:
        return Border("constant", check_fill(self))

    @cached_property
    def _angles(self) -> tuple[float, float]:
        return _symmetric(self.degrees) or (0.0, 0.0)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return lerp(u, *self._angles) * strength

    def matrix(self, params: Array, sizes: Array) -> Array:
        cos, sin = _cos_sin(params[:, 0])
        source = _centers(self.center, sizes)
        target = self.output_size(params, sizes)[:, ::-1] / 2.0 if self.expand else source
        return _about((cos, -sin, sin, cos), source, target)

    def output_size(self, params: Array, sizes: Array) -> Array:
        if not self.expand:
            return sizes
        cos, sin = (np.abs(v) for v in _cos_sin(params[:, 0]))
        height, width = sizes[:, 0], sizes[:, 1]
        # A rotated corner may overshoot a pixel edge by rounding alone: 1e-4 px is cut off, as torchvision does.
        halves = np.stack([sin * width + cos * height, cos * width + sin * height], 1) / 2
        middle = sizes / 2.0
        return np.asarray(np.ceil(_cut(middle + halves)) - np.floor(_cut(middle - halves)))


def _cut(value: Array) -> Array:
    return np.trunc(np.round(value / 1e-4, 6)) * 1e-4


def _cos_sin(degrees: Array) -> tuple[Array, Array]:
    """Cosine and sine, exact at quarter turns."""
    radians = np.deg2rad(degrees)
    cos, sin = np.cos(radians), np.sin(radians)
    quarter = np.mod(degrees, 90.0) == 0
    return np.where(quarter, np.rint(cos), cos), np.where(quarter, np.rint(sin), sin)


@dataclass(frozen=True)
class RandomAffine(Geometric):
    """Rotate (clockwise), shear, scale and shift about the centre, in torchvision's order.

    degrees, shear: a number d for (-d, d), or ranges in degrees; shear takes (low, high) for x, or four for x and y.
    translate: largest shift as a fraction of (width, height), whole pixels. scale: (low, high) > 0.
    """

    degrees: float | tuple[float, float]
    translate: tuple[float, float] | None = None
    scale: tuple[float, float] | None = None
    shear: float | tuple[float, ...] | None = None
    interpolation: str = "nearest"
    fill: float | tuple[float, ...] = 0.0
    center: tuple[float, float] | None = None

    draws: ClassVar[int] = 6
    params: ClassVar[int] = 6

    def validate(self) -> None:
        if _symmetric(self.degrees) is None:
            self.fail("degrees", _ANGLES)
        shift = self.translate
        if shift is not None and not (len(shift) == 2 and all(is_number(v) and 0 <= v <= 1 for v in shift)):
            self.fail("translate", "None or two fractions (of width, of height) from 0 to 1")
        if self.scale is not None and not (is_range(self.scale) and self.scale[0] > 0):
            self.fail("scale", "None or (low, high) with 0 < low <= high")
        if self.shear is not None and self._shears() is None:
            self.fail(
                "shear", "None, a number >= 0, (low, high) or (x low, x high, y low, y high) in degrees within +-89"
            )
        if self.center is not None and not (len(self.center) == 2 and all(map(is_number, self.center))):
            self.fail("center", "None or (x, y)")
        check_interpolation(self)
        check_fill(self)

    def _shears(self) -> tuple[float, float, float, float] | None:
        shear = self.shear if isinstance(self.shear, tuple) and len(self.shear) == 4 else None
        if shear is None:
            pair = _symmetric(0 if self.shear is None else self.shear)
            shear = None if pair is None else (*pair, 0.0, 0.0)
        if shear is None or not (is_range(shear[:2], -89, 89) and is_range(shear[2:], -89, 89)):
            return None
        return shear

    @cached_property
    def border(self) -> Border:
        return Border("constant", check_fill(self))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return angle, shift x, shift y (pixels), scale, shear x, shear y (degrees)."""
        low, high = self._ranges
        result = low + u * (high - low)
        result[:, 1:3] = np.rint(result[:, 1:3] * sizes[:, ::-1] * strength)
        result[:, 3] **= strength
        result[:, [0, 4, 5]] *= strength
        return np.asarray(result)

    @cached_property
    def _ranges(self) -> tuple[Array, Array]:
        """Low and high of what is drawn: angle, shifts as fractions, scale, shears."""
        shift, shears = self.translate or (0.0, 0.0), self._shears() or (0.0, 0.0, 0.0, 0.0)
        angles, scales = _symmetric(self.degrees) or (0.0, 0.0), self.scale or (1.0, 1.0)
        columns = [angles, (-shift[0], shift[0]), (-shift[1], shift[1]), scales, shears[:2], shears[2:]]
        low, high = np.array(columns).T
        return low, high

    def matrix(self, params: Array, sizes: Array) -> Array:
        angle, scale = params[:, 0], params[:, 3]
        cos, sin = _cos_sin(angle)
        tan_x, tan_y = np.tan(np.deg2rad(params[:, 4])), np.tan(np.deg2rad(params[:, 5]))
        # Forward map: rotate(angle) @ [[1, -tan x], [-tan y, 1 + tan x tan y]], determinant 1; this is its inverse.
        a, b = cos + sin * tan_y, -cos * tan_x - sin * (1 + tan_x * tan_y)
        c, d = sin - cos * tan_y, -sin * tan_x + cos * (1 + tan_x * tan_y)
        middle = _centers(self.center, sizes)
        return _about((d / scale, -b / scale, -c / scale, a / scale), middle, middle + params[:, 1:3])


@dataclass(frozen=True)
class RandomCrop(Geometric):
    """Cut a window of `size` at a random place, after optional padding.

    size: int or (height, width). padding: int, (x, y) or (left, top, right, bottom). pad_if_needed: pad an image that
    is too small instead of raising ValueError. padding_mode: constant, edge, reflect or symmetric.
    """

    size: int | tuple[int, int]
    padding: int | tuple[int, ...] | None = None
    pad_if_needed: bool = False
    fill: float | tuple[float, ...] = 0.0
    padding_mode: str = "constant"

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        _check_size(self)
        if self.padding is not None:
            _check_padding(self)
        if self.padding_mode not in BORDER_MODES:
            self.fail("padding_mode", "one of " + ", ".join(BORDER_MODES))
        check_fill(self)

    @cached_property
    def border(self) -> Border | None:
        return Border(self.padding_mode, check_fill(self)) if self.padding or self.pad_if_needed else None

    @cached_property
    def opens_run(self) -> bool:  # type: ignore[override]
        return self.border is not None

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top and left of the window in the unpadded image's pixels."""
        size = _extent(self.size)
        left, top, right, bottom = _sides(self.padding or 0)
        before, padded = np.array([top, left]), sizes + np.array([top + bottom, left + right])
        missing = np.maximum(size - padded, 0)
        if self.pad_if_needed:
            before, padded = before + missing, padded + 2 * missing
        elif missing.any():
            row = int(np.flatnonzero(missing.any(1))[0])
            have = " x ".join(str(int(v)) for v in padded[row])
            raise RowError(
                row,
                f"size={self.size} is larger than the image ({have} pixels with padding); "
                "use pad_if_needed=True or a Resize before it",
            )
        _check_reflection(self.padding_mode, before, sizes)
        free = padded - size
        # Weak augmentation keeps the window near the middle; full strength is uniform over all places.
        place = np.floor((0.5 + (u - 0.5) * strength) * (free + 1))
        return np.asarray(np.minimum(place, free) - before)

    def matrix(self, params: Array, sizes: Array) -> Array:
        return _affine(1.0, 0.0, 0.0, 1.0, params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(_extent(self.size), sizes.shape)


@dataclass(frozen=True)
class CenterCrop(Geometric):
    """Cut the middle `size` (int or (height, width)) out; what an image is too small for is filled with 0."""

    size: int | tuple[int, int]

    may_stay_inside: ClassVar[bool] = True

    def validate(self) -> None:
        _check_size(self)

    @cached_property
    def border(self) -> Border:
        return Border()

    def _corner(self, sizes: Array) -> Array:
        free = sizes - _extent(self.size)
        return np.asarray(np.where(free >= 0, np.rint(free / 2.0), -np.floor(-free / 2.0)))

    def matrix(self, params: Array, sizes: Array) -> Array:
        corner = self._corner(sizes)
        return _affine(1.0, 0.0, 0.0, 1.0, corner[:, 1], corner[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(_extent(self.size), sizes.shape)

    def looks_outside(self, params: Array, sizes: Array) -> Array:
        return np.asarray((sizes < _extent(self.size)).any(1))


@dataclass(frozen=True)
class Pad(Geometric):
    """Pad by whole pixels.

    padding: int, (x, y) or (left, top, right, bottom). padding_mode: constant (with `fill`, in image space), edge,
    reflect (without repeating the edge, needs padding < size) or symmetric.
    """

    padding: int | tuple[int, ...]
    fill: float | tuple[float, ...] = 0.0
    padding_mode: str = "constant"

    opens_run: ClassVar[bool] = True

    def validate(self) -> None:
        _check_padding(self)
        if self.padding_mode not in BORDER_MODES:
            self.fail("padding_mode", "one of " + ", ".join(BORDER_MODES))
        check_fill(self)

    @cached_property
    def border(self) -> Border:
        return Border(self.padding_mode, check_fill(self))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        left, top, right, bottom = _sides(self.padding)
        reach = np.array([max(top, bottom), max(left, right)])
        _check_reflection(self.padding_mode, np.broadcast_to(reach, sizes.shape), sizes)
        return np.empty((len(sizes), 0))

    def matrix(self, params: Array, sizes: Array) -> Array:
        left, top, _, _ = _sides(self.padding)
        return _affine(1.0, 0.0, 0.0, 1.0, np.full(len(sizes), -float(left)), np.full(len(sizes), -float(top)))

    def output_size(self, params: Array, sizes: Array) -> Array:
        left, top, right, bottom = _sides(self.padding)
        return sizes + np.array([top + bottom, left + right], np.float64)


@dataclass(frozen=True)
class Resize(Geometric):
    """Resize to (height, width), or the shorter side to an int, keeping the aspect ratio.

    max_size: upper bound of the longer side, with an int size only. antialias: filter when shrinking.
    """

    size: int | tuple[int, ...]
    interpolation: str = "bilinear"
    max_size: int | None = None
    antialias: bool = True

    def validate(self) -> None:
        _check_size(self)
        if self.max_size is not None and (
            self._exact() or not isinstance(self.max_size, int) or self.max_size < self._short()
        ):
            self.fail("max_size", "None, or an int that is at least size, with an int size only")
        check_interpolation(self)

    def _exact(self) -> bool:
        return isinstance(self.size, tuple) and len(self.size) == 2

    def _short(self) -> int:
        return (_pair(self.size) or (0, 0))[0]

    def matrix(self, params: Array, sizes: Array) -> Array:
        ratio = sizes / self.output_size(params, sizes)
        zero = np.zeros(len(sizes))
        return _affine(ratio[:, 1], 0.0, 0.0, ratio[:, 0], zero, zero)

    def output_size(self, params: Array, sizes: Array) -> Array:
        if self._exact():
            return np.broadcast_to(np.asarray(self.size, np.float64), sizes.shape)
        short, long = sizes.min(1), sizes.max(1)
        new_short = np.full(len(sizes), float(self._short()))
        new_long = np.floor(self._short() * long / short)
        if self.max_size is not None:
            over = new_long > self.max_size
            new_short = np.where(over, np.floor(self.max_size * new_short / new_long), new_short)
            new_long = np.where(over, self.max_size, new_long)
        tall = sizes[:, 0] > sizes[:, 1]
        pair = [np.where(tall, new_long, new_short), np.where(tall, new_short, new_long)]
        return np.asarray(np.maximum(np.stack(pair, 1), 1.0))


@dataclass(frozen=True)
class RandomResizedCrop(Geometric):
    """Cut a window of random area and aspect ratio and resize it to `size`. Source: arXiv:1409.4842.

    size: int or (height, width). scale: area of the window as a fraction of the image, (low, high) in (0, 1].
    ratio: width over height, (low, high), log-uniform. antialias: filter when shrinking.
    """

    size: int | tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"
    antialias: bool = True

    draws: ClassVar[int] = 2 * _CROP_TRIES + 2
    params: ClassVar[int] = 4

    def validate(self) -> None:
        _check_size(self)
        if not (is_range(self.scale, 0, 1) and self.scale[0] > 0):
            self.fail("scale", "(low, high) with 0 < low <= high <= 1")
        if not (is_range(self.ratio) and self.ratio[0] > 0):
            self.fail("ratio", "(low, high) with 0 < low <= high")
        check_interpolation(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top, left, height, width of the window in pixels: the first of ten tries that fits."""
        height, width = sizes[:, :1], sizes[:, 1:]
        area = lerp(u[:, :_CROP_TRIES], 1 - strength * (1 - self.scale[0]), 1 - strength * (1 - self.scale[1]))
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        own = np.log(width / height)
        aspect = np.exp(own + strength * (lerp(u[:, _CROP_TRIES : 2 * _CROP_TRIES], low, high) - own))
        w = np.rint(np.sqrt(area * height * width * aspect))
        h = np.rint(np.sqrt(area * height * width / aspect))
        fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
        first, any_fits = fits.argmax(1), fits.any(1)
        rows = np.arange(len(u))
        window = np.stack([h[rows, first], w[rows, first]], 1)
        place = np.floor(u[:, -2:] * (sizes - window + 1))
        if not any_fits.all():
            fallback = self._fallback(sizes)
            window = np.where(any_fits[:, None], window, fallback)
            place = np.where(any_fits[:, None], place, np.floor((sizes - fallback) / 2))
        return np.concatenate([place, window], 1)

    def _fallback(self, sizes: Array) -> Array:
        """Return the largest central window whose aspect ratio is allowed."""
        height, width = sizes[:, 0], sizes[:, 1]
        h = np.where(width / height < self.ratio[0], np.rint(width / self.ratio[0]), height)
        w = np.where(width / height > self.ratio[1], np.rint(height * self.ratio[1]), width)
        return np.asarray(np.maximum(np.stack([h, w], 1), 1.0))

    def matrix(self, params: Array, sizes: Array) -> Array:
        h, w = _extent(self.size)
        return _affine(params[:, 3] / w, 0.0, 0.0, params[:, 2] / h, params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(_extent(self.size), sizes.shape)


def _check_size(transform: RandomCrop | CenterCrop | Resize | RandomResizedCrop) -> None:
    if _pair(transform.size) is None:
        transform.fail("size", "an int > 0 or (height, width)")


def _check_padding(transform: RandomCrop | Pad) -> None:
    value = transform.padding
    entries = value if isinstance(value, tuple) else (value,)
    if len(entries) not in (1, 2, 4) or not all(
        isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in entries
    ):
        transform.fail("padding", "an int >= 0, (x, y) or (left, top, right, bottom)")


def _check_reflection(mode: str, reach: Array, sizes: Array) -> None:
    """Refuse padding that asks a reflection for pixels the image does not have."""
    limit = {"reflect": sizes - 1, "symmetric": sizes}.get(mode)
    if limit is not None and (reach > limit).any():
        row = int(np.flatnonzero((reach > limit).any(1))[0])
        have = " x ".join(str(int(v)) for v in sizes[row])
        raise RowError(row, f"padding_mode={mode} needs padding smaller than the image ({have} pixels)")


def _sides(padding: int | tuple[int, ...]) -> tuple[int, int, int, int]:
    """Read padding as left, top, right, bottom."""
    entries = padding if isinstance(padding, tuple) else (padding,)
    if len(entries) == 4:
        return entries[0], entries[1], entries[2], entries[3]
    return entries[0], entries[-1], entries[0], entries[-1]
