"""Pixels at arbitrary points of an image, and the way back: shared by the torch engine and the distortions."""

from __future__ import annotations

import numpy as np
import torch

Array = np.ndarray
NEAREST, BILINEAR, BICUBIC = range(3)  # positions in `INTERPOLATIONS`
# A batch that is resampled on the CPU at once falls out of the cache: four times slower than four images at a time.
CPU_CHUNK = 4
_NEWTON_STEPS = 30
_CLOSE = 1e-4  # pixels: what `invert` leaves between a point and the source of what it found


def sample(
    pixels: torch.Tensor, x: torch.Tensor, y: torch.Tensor, limits: torch.Tensor, mode: str, fill: Array, kind: int
) -> torch.Tensor:
    """Read `(R, C, H, W)` at continuous coordinates x, y that broadcast to `(R, h, w)`; returns `(R, C, h, w)`.

    limits: `(R, 4)` int64 top, left, bottom, right of the pixels that may be read; mode says what lies outside them.
    kind: position in `INTERPOLATIONS`. Gathers only, so that it can be differentiated twice in the pixels.
    """
    column, weights_x = _taps(x, kind)
    line, weights_y = _taps(y, kind)
    limits = limits[:, :, None, None]
    flat = pixels.flatten(2)
    value = torch.from_numpy(np.array(fill, np.float64)).to(pixels.device, pixels.dtype)[None, :, None]
    result = pixels.new_zeros(())
    columns = [_bounded(column + i, limits[:, 1], limits[:, 3], mode) for i in range(len(weights_x))]
    for dy, weight_y in enumerate(weights_y):
        ys, inside_y = _bounded(line + dy, limits[:, 0], limits[:, 2], mode)
        for (xs, inside_x), weight_x in zip(columns, weights_x, strict=True):
            index = (ys * pixels.shape[3] + xs).flatten(1)[:, None].expand(-1, pixels.shape[1], -1)
            tap = flat.gather(2, index)
            if mode == "constant":
                tap = torch.where((inside_y & inside_x).flatten(1)[:, None], tap, value)
            result = result + tap * (weight_y * weight_x).flatten(1)[:, None]
    return result.reshape(*result.shape[:2], *np.broadcast_shapes(x.shape, y.shape)[1:])


def _taps(at: torch.Tensor, kind: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the first pixel of the footprint around continuous coordinates, and the weight of each following one."""
    if kind == NEAREST:
        return at.floor().long(), [torch.ones_like(at)]
    at = at - 0.5
    base = at.floor()
    t = at - base
    if kind == BILINEAR:
        return base.long(), [1 - t, t]
    a = -0.75  # as OpenCV and torch use without antialiasing
    near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (t, 1 - t)]
    far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (t + 1, 2 - t)]
    return base.long() - 1, [far[0], near[0], near[1], far[1]]


def _bounded(
    index: torch.Tensor, low: torch.Tensor, high: torch.Tensor, mode: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring pixel numbers into [low, high) by the border mode; also tell which were inside."""
    inside = (index >= low) & (index < high)
    size = high - low
    if mode in ("reflect", "symmetric"):
        period = (2 * size - 2).clamp(min=1) if mode == "reflect" else 2 * size
        folded = torch.remainder(index - low, period)
        index = low + torch.where(folded < size, folded, (period if mode == "reflect" else period - 1) - folded)
    return torch.minimum(torch.maximum(index, low), high - 1), inside


def invert(field: Array, xy: Array) -> Array:
    """Return where the source points xy `(N, 2)` land: `(N, 2)` output points whose `field (H, W, 2)` leads to xy.

    Newton's method on the field, read bilinearly between pixel centres and continued straight beyond the edges; a point
    that it misses is tried once more from the nearest pixel. Where the field folds over, one of the places is returned.
    """
    xy = np.asarray(xy, np.float64)
    wide = _widened(field)
    at, miss = _newton(wide, xy, xy)
    lost = np.flatnonzero(miss > _CLOSE)
    if len(lost):
        retried, still = _newton(wide, xy[lost], np.stack([_nearest(field, point) for point in xy[lost]]))
        better = still < miss[lost]
        at[lost[better]] = retried[better]
    return at


def _newton(wide: Array, xy: Array, start: Array) -> tuple[Array, Array]:
    """Return the best points seen on the way from `start`, and how far their sources are from xy."""
    at, best, least = start.copy(), start.copy(), np.full(len(start), np.inf)
    reach = max(wide.shape[:2]) / 4
    for _ in range(_NEWTON_STEPS):
        source, slope = _read(wide, at)
        off = xy - source
        far = np.hypot(off[:, 0], off[:, 1])
        better = far < least
        best[better], least[better] = at[better], far[better]
        if (least <= _CLOSE).all():
            break
        back = slope.transpose(0, 2, 1)
        # A field that stands still somewhere has no inverse there; the small term keeps the step finite.
        step = np.linalg.solve(back @ slope + 1e-9 * np.eye(2), back @ off[:, :, None])[:, :, 0]
        at = at + np.clip(step, -reach, reach)
    return best, least


def _nearest(field: Array, point: Array) -> Array:
    row, column = np.unravel_index(((field - point) ** 2).sum(2).argmin(), field.shape[:2])
    return np.array([column + 0.5, row + 0.5])


def _widened(field: Array) -> Array:
    """Continue a field by one column and one row, in float64; the field of a single pixel by the identity."""
    wide = field.astype(np.float64)
    east = wide[:, -1:] - wide[:, -2:-1] if wide.shape[1] > 1 else np.array([1.0, 0.0])
    wide = np.concatenate([wide, wide[:, -1:] + east], 1)
    south = wide[-1:] - wide[-2:-1] if wide.shape[0] > 1 else np.array([0.0, 1.0])
    return np.concatenate([wide, wide[-1:] + south], 0)


def _read(wide: Array, at: Array) -> tuple[Array, Array]:
    """Return the field at points `(N, 2)`, and its derivatives `(N, 2, 2)`: rows are source x and y."""
    last = np.array([wide.shape[1] - 2, wide.shape[0] - 2])
    cell = np.clip(np.floor(at - 0.5), 0, last).astype(np.int64)
    (i, j), (u, v) = cell.T, (at - 0.5 - cell).T[:, :, None]
    a, b, c, d = wide[j, i], wide[j, i + 1], wide[j + 1, i], wide[j + 1, i + 1]
    east, south = (b - a) * (1 - v) + (d - c) * v, (c - a) * (1 - u) + (d - b) * u
    return a + (b - a) * u + (c - a) * v + (a - b - c + d) * u * v, np.stack([east, south], 2)
