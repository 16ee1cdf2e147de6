"""Masks: whole values picked at the centres that the output's pixels have in the input, never mixed.

A mask is `(H, W)` or `(N, H, W)`, an array or a tensor of any dtype. Of a centre on the line between two pixels the
right or lower one is picked, as the engines do for images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from augsynth.points import HORIZON, Route, Step
from augsynth.runs import Geometry
from augsynth.transforms.base import Array, Border, Distortion

# Rounding must not decide between two pixels when a centre falls on the line between them.
_TIE = 1e-7
_ALIGNED = 1e-6
# OpenCV counts pixels in 16 bits.
_FAR = 32000
# What OpenCV takes for a dtype, and how many channels of it hold one value.
_CV_CHANNELS: dict[str, tuple[Any, int]] = {
    **dict.fromkeys(("bool", "uint8", "int8"), (np.uint8, 1)),
    **dict.fromkeys(("uint16", "int16", "float16"), (np.uint16, 1)),
    **dict.fromkeys(("uint32", "int32"), (np.int32, 1)),
    **dict.fromkeys(("uint64", "int64"), (np.int32, 2)),
    "float32": (np.float32, 1),
    "float64": (np.float64, 1),
}
_CV_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}


def move_masks(masks: Sequence[Any], owners: Sequence[int], fills: Sequence[float], route: Route) -> list[Any]:
    """Let masks follow the pixels of the samples `owners (len(masks))`, one resample per run.

    What comes from outside the image is as its border says: mirrored or repeated like the pixels, or `fills[i]`.
    Arrays are moved one by one, tensors of equal size together.
    """
    moved = list(masks)
    for step, run in enumerate(route.steps):
        rows = route.position(step)[list(owners)].tolist()
        together: dict[Any, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            if row < 0:
                continue
            mask, size, mode = moved[i], _size(run, row, moved[i]), _mode(run, row)
            if isinstance(mask, np.ndarray):
                moved[i] = _array(mask, run, row, size, mode, fills[i])
            else:
                together[mask.shape, mask.dtype, mask.device, size, mode, fills[i]].append(i)
        for (_, _, _, size, mode, fill), members in together.items():
            stacked = torch.stack([moved[i] for i in members])
            done = _tensors(stacked, run, [rows[i] for i in members], size, mode, fill)
            for i, mask in zip(members, done, strict=True):
                moved[i] = mask
    return moved


def _size(run: Step, row: int, mask: Any) -> tuple[int, int]:
    height, width = run.size[row].tolist() if isinstance(run, Geometry) else mask.shape[-2:]
    return int(height), int(width)


def _mode(run: Step, row: int) -> str:
    border: Border = run.borders[row] if isinstance(run, Geometry) else getattr(run.transform, "border", Border())
    return border.mode


def _field(run: Step, rows: list[int], size: tuple[int, int]) -> Array:
    """Return the source points `(R, H, W, 2)` of a distortion."""
    assert not isinstance(run, Geometry)
    assert isinstance(run.transform, Distortion)
    return run.transform.field(run.params[rows], size)


def _array(mask: Array, run: Step, row: int, size: tuple[int, int], mode: str, fill: float) -> Array:
    if not isinstance(run, Geometry):
        x, y = _field(run, [row], size)[0].astype(np.float64).transpose(2, 0, 1)
        return _picked(mask, x, y, None, mode, fill)
    m = run.whole[row]
    if abs(m[2, 0]) + abs(m[2, 1]) < 1e-12:
        if abs(m[0, 0]) + abs(m[1, 1]) < _ALIGNED:
            # A quarter turn: swap the source's axes, and the map is axis-aligned.
            mask, m = mask.swapaxes(-1, -2), m[[1, 0, 2]]
        if abs(m[0, 1]) + abs(m[1, 0]) < _ALIGNED:
            return _aligned(mask, m, size, mode, fill)
    x, y, behind = _centers(m, size)
    # Between the corners nothing is farther out.
    ends = np.ix_([0, -1], [0, -1])
    near = behind is None and max(np.abs(x[ends]).max(), np.abs(y[ends]).max(), *mask.shape[-2:], *size) < _FAR
    if near and mask.dtype.name in _CV_CHANNELS:
        return _remapped(mask, x, y, mode, fill)
    return _picked(mask, x, y, behind, mode, fill)


def _remapped(mask: Array, x: Array, y: Array, mode: str, fill: float) -> Array:
    """Pick by OpenCV, three times as fast: whole numbers in its float32 maps leave it nothing to round.

    Changes x and y.
    """
    column, row = np.empty(x.shape, np.float32), np.empty(x.shape, np.float32)
    for exact, whole in ((x, column), (y, row)):
        exact += _TIE
        np.floor(exact, out=whole, casting="same_kind")
    dtype, channels = _CV_CHANNELS[mask.dtype.name]
    value = np.array([fill]).astype(mask.dtype).view(dtype).tolist()
    planes = np.ascontiguousarray(mask).view(dtype).reshape(-1, *mask.shape[-2:], channels)
    picked = [
        cv2.remap(plane, column, row, cv2.INTER_NEAREST, borderMode=_CV_BORDERS[mode], borderValue=value)
        for plane in planes
    ]
    together = picked[0] if len(picked) == 1 else np.stack(picked)
    return np.asarray(together.reshape(-1).view(mask.dtype).reshape(*mask.shape[:-2], *x.shape))


def _aligned(mask: Array, m: Array, size: tuple[int, int], mode: str, fill: float) -> Array:
    """Pick rows and columns; a flip or a window of whole pixels is a slice."""
    rows, above = _axis(m[1, 1], m[1, 2], mask.shape[-2], size[0], mode)
    columns, beside = _axis(m[0, 0], m[0, 2], mask.shape[-1], size[1], mode)
    result = np.ascontiguousarray(mask[..., rows, :][..., columns])
    if np.may_share_memory(result, mask):
        result = result.copy()
    if above is not None:
        result[..., above, :] = fill
    if beside is not None:
        result[..., beside] = fill
    return result


def _axis(scale: float, shift: float, length: int, count: int, mode: str) -> tuple[Any, Array | None]:
    """Return what to pick along an axis, a slice or positions `(count,)`, and which of them are filled, or None."""
    at = np.floor(scale * (np.arange(count) + 0.5) + shift + _TIE).astype(np.int64)
    outside = (at < 0) | (at >= length)
    if outside.any():
        return _folded(at, length, mode), outside if mode == "constant" else None
    first, last = int(at[0]), int(at[-1])
    if last - first == count - 1:
        return slice(first, last + 1), None
    if first - last == count - 1:
        return slice(first, last - 1 if last else None, -1), None
    return at, None


def _folded(index: Any, length: int, mode: str) -> Any:
    """Bring pixel numbers, an array or a tensor, into 0 to length - 1 by the border mode."""
    if mode == "reflect" and length > 1:
        return length - 1 - abs(length - 1 - index % (2 * length - 2))
    if mode == "symmetric":
        return (2 * length - 1 - abs(2 * length - 1 - 2 * (index % (2 * length)))) // 2
    return index.clip(0, length - 1)


def _centers(m: Array, size: tuple[int, int]) -> tuple[Array, Array, Array | None]:
    """Map the centres of the output's pixels: x and y `(h, w)`, and which lie behind the eye, or None."""
    u, v = np.arange(size[1]) + 0.5, np.arange(size[0])[:, None] + 0.5
    x = (m[0, 0] * u + m[0, 2]) + m[0, 1] * v
    y = (m[1, 0] * u + m[1, 2]) + m[1, 1] * v
    if m[2, 0] == 0 and m[2, 1] == 0:
        return x, y, None
    depth = (m[2, 0] * u + m[2, 2]) + m[2, 1] * v
    behind = depth <= HORIZON
    if behind.any():
        depth[behind] = 1.0
        return x / depth, y / depth, behind
    return x / depth, y / depth, None


def _picked(mask: Array, x: Array, y: Array, behind: Array | None, mode: str, fill: float) -> Array:
    """Pick the pixels that hold the points x, y `(h, w)`."""
    height, width = mask.shape[-2:]
    column, row = np.floor(x + _TIE).astype(np.int64), np.floor(y + _TIE).astype(np.int64)
    outside = (column < 0) | (column >= width) | (row < 0) | (row >= height)
    if outside.any():
        column, row = _folded(column, width, mode), _folded(row, height, mode)
        outside = outside & (mode == "constant")
    result = mask.reshape(*mask.shape[:-2], -1).take(row * width + column, axis=-1)
    result[..., outside if behind is None else outside | behind] = fill
    return np.asarray(result)


def _tensors(
    masks: torch.Tensor, run: Step, rows: list[int], size: tuple[int, int], mode: str, fill: float
) -> torch.Tensor:
    """Move masks `(R, ..., H, W)` that agree in everything but their maps."""
    device, dtype = masks.device, torch.float32 if masks.device.type == "mps" else torch.float64
    if isinstance(run, Geometry):
        m = torch.from_numpy(np.ascontiguousarray(run.whole[rows])).to(device, dtype)[..., None, None]
        u = torch.arange(size[1], device=device, dtype=dtype) + 0.5
        v = torch.arange(size[0], device=device, dtype=dtype)[:, None] + 0.5
        x, y, depth = ((m[:, i, 0] * u + m[:, i, 2]) + m[:, i, 1] * v for i in range(3))
        behind = depth <= HORIZON
        depth = depth.masked_fill(behind, 1.0)
        x, y = x / depth, y / depth
    else:
        x, y = torch.from_numpy(_field(run, rows, size)).to(device, dtype).unbind(-1)
        behind = torch.zeros_like(x, dtype=torch.bool)
    height, width = masks.shape[-2:]
    column, row = (x + _TIE).floor().long(), (y + _TIE).floor().long()
    outside = (column < 0) | (column >= width) | (row < 0) | (row >= height)
    hidden = behind | outside if mode == "constant" else behind
    index = (_folded(row, height, mode) * width + _folded(column, width, mode)).flatten(1)
    flat = masks.reshape(len(masks), -1, height * width)
    picked = flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))
    picked = picked.masked_fill(hidden.flatten(1)[:, None], fill)
    return picked.reshape(*masks.shape[:-2], *size)
