"""The engine that runs anywhere torch does: pure tensor functions, differentiable in the pixels.

Samples that share a shape are one group `(rows, pixels (R, C, H, W))`; every run splits and transforms the groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from augsynth.engines.output import Output, fill_values
from augsynth.runs import BICUBIC, COPY, RESIZE, WARP, Alone, Colors, Erasing, Geometry, Mixed, Run
from augsynth.transforms.base import Array, Border
from augsynth.transforms.color import LUMA
from augsynth.transforms.sampling import CPU_CHUNK, sample

Group = tuple[Array, torch.Tensor]
_HORIZON = 1e-9  # a homography's third coordinate


def render(images: Sequence[torch.Tensor], runs: Sequence[Run], output: Output, exact: bool) -> list[torch.Tensor]:
    """Render B images `(C, H, W)` (float, or uint8 as values 0 to 255) to B tensors `(C, h, w)` of `output.dtype`.

    Samples of equal size are rows of one `(B, C, h, w)` batch.
    """
    groups = _through(runs, _grouped(images), len(images), output.white, exact, output.clamp)
    finished = [(rows, _finish(pixels, output)) for rows, pixels in groups]
    result: list[torch.Tensor] = [torch.empty(0)] * len(images)
    if len({tuple(pixels.shape[1:]) for _, pixels in finished}) == 1 and len(finished) > 1:
        order = np.argsort(np.concatenate([rows for rows, _ in finished]))
        together = torch.cat([pixels for _, pixels in finished])
        finished = [(np.arange(len(images)), together[_index(order, together)])]
    for rows, pixels in finished:
        for row, image in zip(rows.tolist(), pixels, strict=True):
            result[row] = image
    return result


def _through(
    runs: Sequence[Run], groups: list[Group], count: int, white: float, exact: bool, clamp: bool = True
) -> list[Group]:
    """Render runs over the groups of a batch of `count` samples. clamp=False lets colour leave the value range."""
    for run in runs:
        where = np.full(count, -1)
        where[run.rows] = np.arange(len(run.rows))
        groups = [done for group in groups for done in _apply(run, where, group, white, exact, clamp)]
    return groups


def _grouped(images: Sequence[torch.Tensor]) -> list[Group]:
    shapes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, image in enumerate(images):
        shapes[tuple(image.shape)].append(row)
    return [(np.array(rows), _floats(torch.stack([images[row] for row in rows]))) for rows in shapes.values()]


def _floats(pixels: torch.Tensor) -> torch.Tensor:
    return pixels if pixels.dtype in (torch.float32, torch.float64) else pixels.to(torch.float32)


def _apply(run: Run, where: Array, group: Group, white: float, exact: bool, clamp: bool) -> list[Group]:
    """Apply a run to the samples of a group that take part in it; the others stay a group of their own."""
    rows, pixels = group
    position = where[rows]
    hit = position >= 0
    if not hit.any():
        return [group]
    rest: list[Group] = []
    if not hit.all():
        rest = [(rows[~hit], pixels[_index(np.flatnonzero(~hit), pixels)])]
        rows, pixels, position = rows[hit], pixels[_index(np.flatnonzero(hit), pixels)], position[hit]
    if isinstance(run, Geometry):
        return rest + _geometry(run, rows, pixels, position, white)
    if isinstance(run, Mixed):
        return [*rest, (rows, _mixed(run, pixels, position, white, exact))]
    if isinstance(run, Alone):
        return [*rest, (rows, run.transform.apply(pixels, run.params[position], white))]
    if isinstance(run, Erasing):
        return [*rest, (rows, _erase(run, pixels, position))]
    most = white if clamp else None
    return [*rest, (rows, (_exact if exact else _linear)(run, pixels, position, most))]


def _mixed(run: Mixed, pixels: torch.Tensor, position: Array, white: float, exact: bool) -> torch.Tensor:
    """Add up `(R, C, H, W)` and its chains, all chains of a sample side by side in one batch."""
    width = run.weights.shape[1] - 1
    chains = (position[:, None] * width + np.arange(width)).reshape(-1)
    start = [(chains, pixels.repeat_interleave(width, 0))]
    groups = _through(run.runs, start, width * len(run.rows), white, exact)
    rows = np.concatenate([found for found, _ in groups])
    order = np.argsort(rows)
    place = order[np.searchsorted(rows, chains, sorter=order)]
    done = torch.cat([part for _, part in groups])[_index(place, pixels)].reshape(len(pixels), width, *pixels.shape[1:])
    weights = _tensor(run.weights[position], pixels)[:, :, None, None, None]
    result = weights[:, 0] * pixels
    for k in range(width):
        result = result + weights[:, k + 1] * done[:, k]
    return result.clamp(0.0, white)


def _index(positions: Array, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(positions)).to(like.device)


def _tensor(array: Array, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(array, order="C")).to(like.device, like.dtype)


def _geometry(run: Geometry, rows: Array, pixels: torch.Tensor, position: Array, white: float) -> list[Group]:
    """Warp a group. Samples that need no filter go together where output, border and interpolation agree."""
    together: dict[Any, list[int]] = defaultdict(list)
    groups: list[Group] = []
    for i, p in enumerate(position.tolist()):
        if _filtered(run, p):
            groups.append((rows[i : i + 1], _filter_one(run, p, pixels[i : i + 1], white)))
        else:
            # A window that is resized ends at its own edges, whatever lies outside the image.
            border = Border("edge") if run.path[p] == RESIZE else run.borders[p]
            key = (bool(run.transpose[p]), tuple(run.size[p].tolist()), int(run.interpolation[p]), border)
            together[key].append(i)
    for (swap, size, kind, border), members in together.items():
        chosen = position[members]
        source = pixels if len(members) == len(pixels) else pixels[_index(np.array(members), pixels)]
        source = source.transpose(2, 3) if swap else source
        fill = fill_values(border.fill, source.shape[1])
        matrix, bounds = _direct(run, chosen, source.shape[2:])
        warped = warp(source, matrix, size, bounds, border.mode, fill, kind)
        groups.append((rows[members], warped.clamp(0.0, white) if kind == BICUBIC else warped))
    return groups


def _filtered(run: Geometry, p: int) -> bool:
    """Tell whether sample p passes an antialiasing filter."""
    if not run.antialias[p] or run.path[p] == COPY:
        return False
    length = run.box[p, 2:] - run.box[p, :2]
    if run.path[p] == WARP:
        return bool((length != run.full[p]).any())
    return bool((length > run.full[p]).any()) or run.interpolation[p] == BICUBIC


def _filter_one(run: Geometry, p: int, pixels: torch.Tensor, white: float) -> torch.Tensor:
    """Render one sample `(1, C, H, W)` that is shrunk by a filter, and warped afterwards where its path says so."""
    pixels = pixels.transpose(2, 3) if run.transpose[p] else pixels
    top, left, bottom, right = run.box[p].tolist()
    full = tuple(run.full[p].tolist())
    resize, kind = run.path[p] == RESIZE, int(run.interpolation[p])
    mode = "bicubic" if resize and kind == BICUBIC else "bilinear"
    source = pixels[:, :, top:bottom, left:right]
    shrunk = F.interpolate(source, full, mode=mode, align_corners=False, antialias=True)
    size = tuple(run.size[p].tolist())
    if resize:
        (oy, ox), (h, w) = run.offset[p].tolist(), size
        turned = [axis for axis, flip in ((2, run.flip_y[p]), (3, run.flip_x[p])) if flip]
        result = shrunk[:, :, oy : oy + h, ox : ox + w].flip(turned)
    else:
        border = run.borders[p]
        fill = fill_values(border.fill, shrunk.shape[1])
        bounds = np.array([[0, 0, *full]])
        result = warp(shrunk, run.matrix[p : p + 1], size, bounds, border.mode, fill, kind)
    return result.clamp(0.0, white) if kind == BICUBIC else result


def _direct(run: Geometry, chosen: Array, size: Sequence[int]) -> tuple[Array, Array]:
    """Return maps from the output into the source `(R, 3, 3)` and the pixels that may be read, `(R, 4)`."""
    matrix = run.matrix[chosen].copy()
    warped = run.path[chosen] == WARP
    origin = np.where(warped[:, None], run.box[chosen, 1::-1], 0)
    matrix[:, :2] += origin[:, :, None] * matrix[:, 2:]
    whole = np.array([0, 0, *size])
    inside = (run.path[chosen] == RESIZE)[:, None]
    return matrix, np.where(inside, run.box[chosen], whole)


def warp(
    pixels: torch.Tensor, matrix: Array, size: tuple[int, ...], bounds: Array, mode: str, fill: Array, kind: int
) -> torch.Tensor:
    """Resample `(R, C, H, W)` to `(R, C, *size)` by maps from output to input, in continuous coordinates.

    bounds: top, left, bottom, right of the readable pixels per sample. Gathers only, so it can be differentiated twice.
    """
    step = CPU_CHUNK if pixels.device.type == "cpu" else len(pixels)
    parts = [
        _warp_chunk(pixels[i : i + step], matrix[i : i + step], size, bounds[i : i + step], mode, fill, kind)
        for i in range(0, len(pixels), step)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _warp_chunk(
    pixels: torch.Tensor, matrix: Array, size: tuple[int, ...], bounds: Array, mode: str, fill: Array, kind: int
) -> torch.Tensor:
    m = _tensor(matrix, pixels)[:, :, :, None, None]
    x = torch.arange(size[1], device=pixels.device, dtype=pixels.dtype) + 0.5
    y = torch.arange(size[0], device=pixels.device, dtype=pixels.dtype)[:, None] + 0.5
    at_x, at_y = (m[:, i, 0] * x + m[:, i, 1] * y + m[:, i, 2] for i in (0, 1))
    if np.any(matrix[:, 2, :2] != 0):
        depth = m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2]
        # On the horizon itself a quotient would be infinite, and its fraction not a number.
        depth = torch.where(depth.abs() < _HORIZON, _HORIZON, depth)
        at_x, at_y = at_x / depth, at_y / depth
    limits = torch.from_numpy(bounds.astype(np.int64)).to(pixels.device)
    return sample(pixels, at_x, at_y, limits, mode, fill, kind)


def _matrix(pixels: torch.Tensor, a: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Apply `a (R, C, C)` and `shift (R, C)` to `(R, C, H, W)`, without matmul: the same bits for any R."""
    a, shift = a[:, :, :, None, None], shift[:, :, None, None]
    channels = [
        sum((a[:, row, k] * pixels[:, k] for k in range(1, pixels.shape[1])), a[:, row, 0] * pixels[:, 0])
        + shift[:, row]
        for row in range(pixels.shape[1])
    ]
    return torch.stack(channels, 1)


def mean_luma(pixels: torch.Tensor, exact: bool) -> torch.Tensor:
    """Return the mean luma `(R,)` of `(R, C, H, W)`; in float64, so that the order of summation does not show."""
    means = pixels.to(torch.float64).mean((2, 3))
    if pixels.shape[1] == 3:
        means = means @ _tensor(LUMA if exact else LUMA / LUMA.sum(), means)
    return means.reshape(len(pixels)).to(pixels.dtype)


def _exact(run: Colors, pixels: torch.Tensor, position: Array, white: float | None) -> torch.Tensor:
    channels = pixels.shape[1]
    for step in range(run.used.shape[1]):
        used = run.used[position, step] & ~(run.chroma[position, step] & (channels == 1))
        turned = used & ~np.isnan(run.hue[position, step])
        matrices = used & ~turned
        if matrices.any():
            a = np.where(matrices[:, None, None], run.matrix[position, step, :channels, :channels], np.eye(channels))
            v = np.where(matrices[:, None], run.luma[position, step, :channels], 0.0)
            shift = _tensor(v, pixels)
            if v.any():
                shift = shift * mean_luma(pixels, True)[:, None]
            pixels = _bounded(_matrix(pixels, _tensor(a, pixels), shift), white)
        if turned.any():
            rows = _index(np.flatnonzero(turned), pixels)
            shifts = _tensor(run.hue[position[turned], step], pixels)
            pixels = pixels.index_copy(0, rows, shift_hue(pixels[rows], shifts))
    return pixels


def _linear(run: Colors, pixels: torch.Tensor, position: Array, white: float | None) -> torch.Tensor:
    a, v = run.composed(pixels.shape[1])
    shift = _tensor(v[position], pixels)
    if v[position].any():
        shift = shift * mean_luma(pixels, False)[:, None]
    return _bounded(_matrix(pixels, _tensor(a[position], pixels), shift), white)


def _bounded(pixels: torch.Tensor, white: float | None) -> torch.Tensor:
    return pixels if white is None else pixels.clamp(0.0, white)


def shift_hue(pixels: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Shift the HSV hue of `(R, 3, H, W)` by `shift (R,)`, a fraction of the circle."""
    red, green, blue = pixels.unbind(1)
    value, low = pixels.amax(1), pixels.amin(1)
    spread = value - low
    safe = torch.where(spread > 0, spread, torch.ones_like(spread))
    from_red = torch.remainder((green - blue) / safe, 6.0)
    from_green, from_blue = (blue - red) / safe + 2.0, (red - green) / safe + 4.0
    hue = torch.where(value == red, from_red, torch.where(value == green, from_green, from_blue))
    sector = hue + 6.0 * shift[:, None, None]
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = torch.remainder(sector + offset, 6.0)
        channels.append(value - spread * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0))
    return torch.stack(channels, 1)


def _erase(run: Erasing, pixels: torch.Tensor, position: Array) -> torch.Tensor:
    y = torch.arange(pixels.shape[2], device=pixels.device)[:, None]
    x = torch.arange(pixels.shape[3], device=pixels.device)
    box = torch.from_numpy(run.rectangle[position]).to(pixels.device)[:, :, None, None]
    inside = (y >= box[:, 0]) & (y < box[:, 0] + box[:, 2]) & (x >= box[:, 1]) & (x < box[:, 1] + box[:, 3])
    values = np.stack([fill_values(run.paints[p], pixels.shape[1]) for p in position.tolist()])
    return torch.where(inside[:, None], _tensor(values, pixels)[:, :, None, None], pixels)


def _finish(pixels: torch.Tensor, output: Output) -> torch.Tensor:
    scale, offset = output.affine(pixels.shape[1])
    if (scale != 1).any() or (offset != 0).any():
        pixels = pixels * _tensor(scale, pixels)[:, None, None] + _tensor(offset, pixels)[:, None, None]
    return pixels.round().clamp(0, 255).to(torch.uint8) if output.is_integer else pixels.to(output.dtype)
