"""Distortions that are no homography: elastic, by grids, by lenses and by splines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, Transform, is_pair, is_range, lerp, normals
from augsynth.transforms.fields import key_words, uniform_field
from augsynth.transforms.remap import Remap, Size, Source, as_limits, centres, check_reading, on_device

__all__ = ["ElasticTransform", "GridDistortion", "OpticalDistortion", "PiecewiseAffine", "ThinPlateSpline"]

Kernels = tuple[tuple[Array, Array], ...]


@dataclass(frozen=True)
class ElasticTransform(Remap):
    """Move every pixel by smoothed noise, as if seen through water.

    alpha: a number or (x, y); pixels move by alpha / 2 times the noise, which is uniform in (-1, 1) before it is
    smoothed. sigma: of the Gaussian that smooths it, in pixels, a number or (x, y); 0 for none. fill: in image space.
    """

    alpha: float | tuple[float, float] = 50.0
    sigma: float | tuple[float, float] = 5.0
    interpolation: str = "bilinear"
    fill: float | tuple[float, ...] = 0.0

    draws: ClassVar[int] = 2
    params: ClassVar[int] = 4

    def validate(self) -> None:
        if not is_pair(_both(self.alpha)):
            self.fail("alpha", "a number or (x, y)")
        sigma = _both(self.sigma)
        if not (is_pair(sigma) and (min(sigma) > 0 or sigma == (0, 0))):
            self.fail("sigma", "a number >= 0 or (x, y), both above 0")
        check_reading(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words and alpha for x and y."""
        alpha = np.broadcast_to(np.array(_both(self.alpha)) * strength, (len(u), 2))
        return np.concatenate([key_words(u), alpha], 1)

    def source(self, params: Array, size: Size, device: torch.device) -> Source:
        if device.type == "cpu":
            noise = torch.from_numpy(self._noise(params, size))
        else:
            noise = uniform_field(torch.from_numpy(params[:, :2].astype(np.int64)).to(device), (2, *size))
            noise = _smooth_tensor(noise, self._kernels) if self._kernels else noise
        # A kernel's sum is 1: smoothing noise from 0 to 1 and subtracting 1/2 is one pass less than from -1 to 1.
        moves = (noise - 0.5) * on_device(params[:, 2:, None, None], device)
        return moves[:, 0] + centres(size[1], device), moves[:, 1] + centres(size[0], device)[:, None]

    def _noise(self, params: Array, size: Size) -> Array:
        """Return the noise `(R, 2, H, W)` that moves x and y, smoothed by cv2: three times faster than torch."""
        noise = uniform_field(params[:, :2], (2, *size))
        return _smooth_array(noise, self._kernels) if self._kernels else noise

    @cached_property
    def _kernels(self) -> Kernels:
        """The weights along x and y for the noise that moves x, then for the one that moves y; none for sigma 0."""
        sigma = _both(self.sigma)
        if sigma == (0, 0):
            return ()
        # torchvision sizes both axes of a kernel by one sigma, and only cuts it off there.
        return tuple((_gaussian(int(8 * s + 1) | 1, sigma[0]), _gaussian(int(8 * s + 1) | 1, sigma[1])) for s in sigma)


def _both(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value, value)


def _gaussian(count: int, sigma: float) -> Array:
    at = np.arange(count) - (count - 1) / 2
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    return np.asarray((weights / weights.sum()).astype(np.float32))


def _smooth_array(noise: Array, kernels: Kernels) -> Array:
    import cv2

    result = np.empty_like(noise)
    for planes, smooth in zip(noise, result, strict=True):
        for plane, target, (along_x, along_y) in zip(planes, smooth, kernels, strict=True):
            cv2.sepFilter2D(plane, -1, along_x, along_y, dst=target, borderType=cv2.BORDER_REFLECT_101)
    return result


def _smooth_tensor(noise: torch.Tensor, kernels: Kernels) -> torch.Tensor:
    """Do what `_smooth_array` does on any device, by sums of slices: the same bits whatever the number of samples."""
    planes = []
    for plane, kernel in zip(noise.unbind(1), kernels, strict=True):
        for axis, weights in ((2, kernel[0]), (1, kernel[1])):
            length, reach = plane.shape[axis], len(weights) // 2
            index = torch.arange(-reach, length + reach, device=noise.device).remainder(max(2 * length - 2, 1))
            wide = plane.index_select(axis, torch.minimum(index, 2 * length - 2 - index))
            plane = wide.narrow(axis, 0, length) * float(weights[0])
            for i, weight in enumerate(weights[1:].tolist(), 1):
                plane = plane.add_(wide.narrow(axis, i, length), alpha=weight)
        planes.append(plane)
    return torch.stack(planes, 1)


@dataclass(frozen=True)
class GridDistortion(Remap):
    """Stretch and squeeze the columns and rows of a grid of cells, each by a factor of its own.

    num_steps: cells along each axis. distort_limit: the factors are 1 + (low, high) within (-1, 1]; a number l means
    (-l, l). normalized: the grid fills the image exactly; otherwise its far end moves too.
    padding_mode: constant (with `fill`, in image space), edge, reflect or symmetric.
    """

    num_steps: int = 5
    distort_limit: float | tuple[float, float] = 0.3
    interpolation: str = "bilinear"
    normalized: bool = True
    p: float = 0.5
    padding_mode: str = "constant"
    fill: float | tuple[float, ...] = 0.0

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 2 * self.num_steps

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        return 2 * self.num_steps

    def validate(self) -> None:
        if not isinstance(self.num_steps, int) or isinstance(self.num_steps, bool) or self.num_steps < 1:
            self.fail("num_steps", "an int > 0")
        limits = as_limits(self.distort_limit)
        if not (is_range(limits, -1, 1) and limits[0] > -1):
            self.fail("distort_limit", "a number from 0 to below 1, or (low, high) with -1 < low <= high <= 1")
        check_reading(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the factors of the columns, then of the rows."""
        return 1.0 + lerp(u, *as_limits(self.distort_limit)) * strength

    def source(self, params: Array, size: Size, device: torch.device) -> Source:
        columns, rows = params[:, : self.num_steps], params[:, self.num_steps :]
        return self._axis(columns, size[1], device)[:, None], self._axis(rows, size[0], device)[:, :, None]

    def _axis(self, factors: Array, length: int, device: torch.device) -> torch.Tensor:
        """Return the source coordinates `(R, length)` of one axis: straight within each cell."""
        total = factors.sum(1, keepdims=True) if self.normalized else float(self.num_steps)
        widths = factors * length / total
        starts = on_device(np.cumsum(widths, 1) - widths, device)
        at = centres(length, device) * (self.num_steps / length)
        cell = at.long().clamp(max=self.num_steps - 1)
        return starts[:, cell] + (at - cell) * on_device(widths, device)[:, cell]


@dataclass(frozen=True)
class OpticalDistortion(Remap):
    """Bend the image as a lens does: to a barrel for k > 0, to a pincushion for k < 0.

    distort_limit: k comes from (low, high); a number l means (-l, l). mode: camera, a point at distance r from the
    middle is read at r (1 + k r^2 + k r^4), r in widths and heights; or fisheye, r (1 + k r^2), r 1 at the corners.
    padding_mode: constant (with `fill`, in image space), edge, reflect or symmetric.
    """

    distort_limit: float | tuple[float, float] = 0.05
    interpolation: str = "bilinear"
    mode: str = "camera"
    p: float = 0.5
    padding_mode: str = "constant"
    fill: float | tuple[float, ...] = 0.0

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1

    def validate(self) -> None:
        if not is_range(as_limits(self.distort_limit)):
            self.fail("distort_limit", "a number >= 0 or (low, high) with low <= high")
        if self.mode not in ("camera", "fisheye"):
            self.fail("mode", "camera or fisheye")
        check_reading(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return k."""
        return lerp(u, *as_limits(self.distort_limit)) * strength

    def source(self, params: Array, size: Size, device: torch.device) -> Source:
        x, y, bend = _lens(self.mode, size, device)
        factor = 1.0 + on_device(params[:, :, None], device) * bend
        return x * factor + size[1] / 2, y * factor + size[0] / 2


@lru_cache(maxsize=4)
def _lens(mode: str, size: Size, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return x `(W,)` and y `(H, 1)` from the middle, and what k is multiplied by `(H, W)`."""
    height, width = size
    x, y = centres(width, device) - width / 2, (centres(height, device) - height / 2)[:, None]
    if mode == "fisheye":
        return x, y, (x**2 + y**2) / (width**2 / 4 + height**2 / 4)
    square = (x / width) ** 2 + (y / height) ** 2
    return x, y, square + square**2


@dataclass(frozen=True)
class ThinPlateSpline(Remap):
    """Bend the image like a thin plate that is moved at control points and gives way smoothly between them.

    scale_range: (low, high) in [0, 1]; a tenth of it is the standard deviation of the moves, in widths and heights.
    num_control_points: per side of a regular grid, at least 2; with 2 there is one in the middle too.
    padding_mode: constant (with `fill`, in image space), edge, reflect or symmetric.
    """

    scale_range: tuple[float, float] = (0.2, 0.4)
    num_control_points: int = 4
    interpolation: str = "bilinear"
    p: float = 0.5
    padding_mode: str = "constant"
    fill: float | tuple[float, ...] = 0.0

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 1 + self.params

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        return 2 * len(_control_points(self.num_control_points))

    def validate(self) -> None:
        if not is_range(self.scale_range, 0, 1):
            self.fail("scale_range", "(low, high) with 0 <= low <= high <= 1")
        _check_count(self, "num_control_points")
        check_reading(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return how far the control points' sources move, in widths (of all points), then in heights."""
        return normals(u[:, 1:]) * (lerp(u[:, :1], *self.scale_range) / 10 * strength)

    def source(self, params: Array, size: Size, device: torch.device) -> Source:
        count = params.shape[1] // 2
        moves = params.reshape(-1, 2, count) @ _spline_solver(self.num_control_points)
        basis = _spline_basis(self.num_control_points, size, device)
        weights = on_device(moves * np.array([[size[1]], [size[0]]]), device)[..., None, None]
        # One term after the other, not a matrix product: the same bits whatever the number of samples.
        shift = basis[0] * weights[:, :, 0]
        for i in range(1, len(basis)):
            shift = shift.addcmul_(basis[i], weights[:, :, i])
        return shift[:, 0] + centres(size[1], device), shift[:, 1] + centres(size[0], device)[:, None]


def _check_count(transform: Transform, field: str) -> None:
    value = getattr(transform, field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        transform.fail(field, "an int that is at least 2")


def _control_points(count: int) -> Array:
    """Return the control points `(n, 2)` in the unit square."""
    line = np.linspace(0.0, 1.0, count)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    return np.concatenate([grid, [[0.5, 0.5]]]) if count == 2 else grid


@lru_cache(maxsize=16)
def _spline_solver(count: int) -> Array:
    """Return `(n, n + 3)`: from moves of the control points to the weights of the basis."""
    points = _control_points(count)
    n = len(points)
    system = np.zeros((n + 3, n + 3))
    square = ((points[:, None] - points) ** 2).sum(2)
    system[:n, :n] = square * np.log(np.where(square > 0, square, 1.0))
    system[:n, n], system[:n, n + 1 :] = 1.0, points
    system[n:, :n] = system[:n, n:].T
    return np.asarray(np.linalg.inv(system)[:, :n].T)


@lru_cache(maxsize=4)
def _spline_basis(count: int, size: Size, device: torch.device) -> torch.Tensor:
    """Return `(n + 3, H, W)`: r^2 log r^2 around each control point, and 1, x and y."""
    points = on_device(_control_points(count), device)
    x, y = centres(size[1], device) / size[1], centres(size[0], device)[:, None] / size[0]
    square = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    kernel = square * torch.log(square.clamp(min=1e-30))
    plane = [part.expand(1, *size) for part in (torch.ones_like(x), x, y)]
    return torch.cat([kernel, *plane])


@dataclass(frozen=True)
class PiecewiseAffine(Remap):
    """Move the nodes of a grid at random; each cell follows in two triangles, straight within each.

    scale: (low, high) >= 0; a third of it, times the shorter side, is the standard deviation of the moves in pixels.
    nb_rows, nb_cols: nodes along y and x, at least 2, the image's edges included; no node leaves the image.
    padding_mode: constant (with `fill`, in image space), edge, reflect or symmetric.
    """

    scale: tuple[float, float] = (0.03, 0.05)
    nb_rows: int = 4
    nb_cols: int = 4
    interpolation: str = "bilinear"
    p: float = 0.5
    padding_mode: str = "constant"
    fill: float | tuple[float, ...] = 0.0

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return 1 + self.params

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        return 2 * self.nb_rows * self.nb_cols

    def validate(self) -> None:
        if not is_range(self.scale, 0):
            self.fail("scale", "(low, high) with 0 <= low <= high")
        _check_count(self, "nb_rows")
        _check_count(self, "nb_cols")
        check_reading(self)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return x of all nodes' sources row by row, then y, in pixels."""
        deviation = lerp(u[:, :1], *self.scale) * strength / 3 * sizes.min(1, keepdims=True)
        grid = np.meshgrid(np.linspace(0, 1, self.nb_cols), np.linspace(0, 1, self.nb_rows))
        home = np.stack([plane.reshape(-1) for plane in grid]) * sizes[:, ::-1, None]
        moved = home + (normals(u[:, 1:]) * deviation).reshape(home.shape)
        return np.asarray(np.clip(moved, 0.0, sizes[:, ::-1, None])).reshape(len(u), -1)

    def source(self, params: Array, size: Size, device: torch.device) -> Source:
        nodes = on_device(params.reshape(-1, 2, self.nb_rows, self.nb_cols), device)
        at_x = centres(size[1], device) * ((self.nb_cols - 1) / size[1])
        at_y = centres(size[0], device) * ((self.nb_rows - 1) / size[0])
        i, j = at_x.long().clamp(max=self.nb_cols - 2), at_y.long().clamp(max=self.nb_rows - 2)
        u, v = at_x - i, (at_y - j)[:, None]
        # The nodes above left, above right, below left and below right of every pixel.
        lines = [nodes.index_select(2, j + down) for down in (0, 1)]
        a, b, c, d = (line.index_select(3, i + right) for line in lines for right in (0, 1))
        upper = a + u * (b - a) + v * (c - a)
        lower = d + (1 - u) * (c - d) + (1 - v) * (b - d)
        at = torch.where(u + v <= 1, upper, lower)
        return at[:, 0], at[:, 1]
