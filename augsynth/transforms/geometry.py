"""Flips, rotations, affine maps and perspective: each one a homography from output to input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from augsynth.elementary import cos_sin, exp, log
from augsynth.transforms.base import (
    Array,
    Border,
    Geometric,
    affine_matrix,
    check_fill,
    check_interpolation,
    is_number,
    is_pair,
    is_range,
    lerp,
)

__all__ = [
    "RandomAffine",
    "RandomHorizontalFlip",
    "RandomPerspective",
    "RandomRotation",
    "RandomVerticalFlip",
    "SafeRotate",
]

_ANGLES = "a number >= 0 or (low, high) with low <= high"


def _about(linear: tuple[Array, Array, Array, Array], source: Array, target: Array) -> Array:
    """Build the map whose linear part takes the point `target` of the output to `source` of the input."""
    a, b, c, d = linear
    tx = source[:, 0] - a * target[:, 0] - b * target[:, 1]
    ty = source[:, 1] - c * target[:, 0] - d * target[:, 1]
    return affine_matrix(a, b, c, d, tx, ty)


def _centers(center: tuple[float, float] | None, sizes: Array) -> Array:
    if center is None:
        return sizes[:, ::-1] / 2.0
    return np.broadcast_to(np.asarray(center, np.float64), (len(sizes), 2))


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
        return affine_matrix(-1.0, 0.0, 0.0, 1.0, sizes[:, 1], np.zeros(len(sizes)))


@dataclass(frozen=True)
class RandomVerticalFlip(Geometric):
    """Mirror top and bottom with probability p: y maps to H - y."""

    p: float = 0.5

    def matrix(self, params: Array, sizes: Array) -> Array:
        return affine_matrix(1.0, 0.0, 0.0, -1.0, np.zeros(len(sizes)), sizes[:, 0])


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
        if self.center is not None and not is_pair(self.center):
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
        cos, sin = cos_sin(params[:, 0])
        source = _centers(self.center, sizes)
        target = self.output_size(params, sizes)[:, ::-1] / 2.0 if self.expand else source
        return _about((cos, -sin, sin, cos), source, target)

    def output_size(self, params: Array, sizes: Array) -> Array:
        if not self.expand:
            return sizes
        cos, sin = (np.abs(v) for v in cos_sin(params[:, 0]))
        height, width = sizes[:, 0], sizes[:, 1]
        # A rotated corner may overshoot a pixel edge by rounding alone: 1e-4 px is cut off, as torchvision does.
        halves = np.stack([sin * width + cos * height, cos * width + sin * height], 1) / 2
        middle = sizes / 2.0
        grown = np.ceil(_cut(middle + halves)) - np.floor(_cut(middle - halves))
        # A quarter turn keeps every pixel: the image's own size, turned.
        return np.where(np.mod(params[:, :1], 90.0) == 0, 2 * halves, grown)


def _cut(value: Array) -> Array:
    return np.trunc(np.round(value / 1e-4, 6)) * 1e-4


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
        if shift is not None and not (is_pair(shift) and all(0 <= v <= 1 for v in shift)):
            self.fail("translate", "None or two fractions (of width, of height) from 0 to 1")
        if self.scale is not None and not (is_range(self.scale) and self.scale[0] > 0):
            self.fail("scale", "None or (low, high) with 0 < low <= high")
        if self.shear is not None and self._shears() is None:
            self.fail(
                "shear", "None, a number >= 0, (low, high) or (x low, x high, y low, y high) in degrees within +-89"
            )
        if self.center is not None and not is_pair(self.center):
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
        if strength != 1.0:
            result[:, 3] = exp(strength * log(result[:, 3]))
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
        cos, sin = cos_sin(angle)
        (cos_x, sin_x), (cos_y, sin_y) = cos_sin(params[:, 4]), cos_sin(params[:, 5])
        tan_x, tan_y = sin_x / cos_x, sin_y / cos_y
        # Forward map: rotate(angle) @ [[1, -tan x], [-tan y, 1 + tan x tan y]], determinant 1; this is its inverse.
        a, b = cos + sin * tan_y, -cos * tan_x - sin * (1 + tan_x * tan_y)
        c, d = sin - cos * tan_y, -sin * tan_x + cos * (1 + tan_x * tan_y)
        middle = _centers(self.center, sizes)
        return _about((d / scale, -b / scale, -c / scale, a / scale), middle, middle + params[:, 1:3])


@dataclass(frozen=True)
class SafeRotate(Geometric):
    """Rotate counter-clockwise and shrink the result to the image's own size, so that nothing leaves it.

    limit: a number d >= 0 for (-d, d), or (low, high), in degrees. The turned image's bounding box is cut to whole
    pixels and brought to the old height and width, each by its own factor. fill: in image space.
    """

    limit: float | tuple[float, float] = 90.0
    interpolation: str = "bilinear"
    fill: float | tuple[float, ...] = 0.0
    p: float = 0.5

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def validate(self) -> None:
        if _symmetric(self.limit) is None:
            self.fail("limit", _ANGLES)
        check_interpolation(self)
        check_fill(self)

    @cached_property
    def border(self) -> Border:
        return Border("constant", check_fill(self))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        return lerp(u, *(_symmetric(self.limit) or (0.0, 0.0))) * strength

    def matrix(self, params: Array, sizes: Array) -> Array:
        cos, sin = cos_sin(params[:, 0])
        height, width = sizes[:, 0], sizes[:, 1]
        tall = np.floor(height * np.abs(cos) + width * np.abs(sin)) / height
        wide = np.floor(height * np.abs(sin) + width * np.abs(cos)) / width
        middle = sizes[:, ::-1] / 2.0
        return _about((cos * wide, -sin * tall, sin * wide, cos * tall), middle, middle)


_LEAST_CORNER = 0.02  # of the image; a flatter corner stretches a few pixels without end


@dataclass(frozen=True)
class RandomPerspective(Geometric):
    """Look at the image from another side: each corner moves inwards, by whole pixels, to a place of its own.

    distortion_scale: 0 to 1, how far at most, as a fraction of half the width and half the height.
    Corners that would fold the picture over (it takes a scale above 0.6) go half as far. fill: in image space.
    """

    distortion_scale: float = 0.5
    p: float = 0.5
    interpolation: str = "bilinear"
    fill: float | tuple[float, ...] = 0.0

    draws: ClassVar[int] = 8
    params: ClassVar[int] = 8

    def validate(self) -> None:
        if not (is_number(self.distortion_scale) and 0 <= self.distortion_scale <= 1):
            self.fail("distortion_scale", "a number from 0 to 1")
        check_interpolation(self)
        check_fill(self)

    @cached_property
    def border(self) -> Border:
        return Border("constant", check_fill(self))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return x and y of the top left, top right, bottom right and bottom left corner in the output."""
        reach = np.floor(self.distortion_scale * strength * np.floor(sizes[:, ::-1] / 2)) + 1
        steps = np.floor(u.reshape(-1, 4, 2) * reach[:, None])
        # From the far sides torchvision counts the other way round: the first place is the one farthest in.
        moves = np.where(_FAR, steps - (reach[:, None] - 1), steps)
        home = _FAR * _spans(sizes)[:, None]
        for _ in range(2):  # once is enough but for images of a few pixels, where half of the width is all of it
            folded = _least_corner(home + moves) < _LEAST_CORNER * _spans(sizes).prod(1)
            moves = np.where(folded[:, None, None], moves / 2, moves)
        return np.asarray(home + moves).reshape(-1, 8)

    def matrix(self, params: Array, sizes: Array) -> Array:
        x, y = params.reshape(-1, 4, 2).transpose(2, 1, 0)
        # The map from the unit square to the four corners in closed form; its inverse leads from output to input.
        (east_x, east_y), (south_x, south_y) = (x[1] - x[2], y[1] - y[2]), (x[3] - x[2], y[3] - y[2])
        skew_x, skew_y = x[0] - x[1] + x[2] - x[3], y[0] - y[1] + y[2] - y[3]
        area = east_x * south_y - south_x * east_y
        g, h = (skew_x * south_y - south_x * skew_y) / area, (east_x * skew_y - skew_x * east_y) / area
        square = affine_matrix(
            x[1] - x[0] + g * x[1], x[3] - x[0] + h * x[3], y[1] - y[0] + g * y[1], y[3] - y[0] + h * y[3], x[0], y[0]
        )
        square[:, 2, 0], square[:, 2, 1] = g, h
        result = np.linalg.inv(square)
        result[:, :2] *= _spans(sizes)[:, :, None]
        return np.asarray(result)


_FAR = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])


def _spans(sizes: Array) -> Array:
    """Return what torchvision takes for the last x and y `(B, 2)`: one pixel short of the edge, but never 0."""
    return np.asarray(np.maximum(sizes[:, ::-1] - 1, 1))


def _least_corner(corners: Array) -> Array:
    """Return the smallest cross product of neighbouring sides of `(B, 4, 2)`, below 0 where it is not convex."""
    sides = np.roll(corners, -1, 1) - corners
    after = np.roll(sides, -1, 1)
    return np.asarray((sides[:, :, 0] * after[:, :, 1] - sides[:, :, 1] * after[:, :, 0]).min(1))
