"""The values of targets: from what users hold to arrays and back, with type, dtype and device as they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from augsynth.batch import describe, is_pil
from augsynth.transforms.base import Array

_PIL_MASKS = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_NUMPY = (*_WHOLE, torch.float16, torch.float32, torch.float64)


def plain(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor without its subclass and graph."""
    return value.detach().as_subclass(torch.Tensor)


def is_away(tensor: torch.Tensor) -> bool:
    """Tell a tensor whose numbers cost a transfer to read."""
    return tensor.device.type != "cpu"


def read_numbers(values: Sequence[Any]) -> list[Array]:
    """Return float64 arrays of tensors, arrays and lists of numbers; tensors on a device come in one transfer.

    Raises ValueError or TypeError for a list that holds anything else.
    """
    result: list[Any] = [None] * len(values)
    away: dict[Any, list[int]] = defaultdict(list)
    for i, value in enumerate(values):
        if not isinstance(value, torch.Tensor):
            result[i] = np.array(value, np.float64)
        elif not is_away(value):
            result[i] = plain(value).to(torch.float64).numpy()
        else:
            away[value.device, value.dtype].append(i)
    for members in away.values():
        flat = torch.cat([plain(values[i]).reshape(-1) for i in members]).cpu().to(torch.float64).numpy()
        ends = np.cumsum([values[i].numel() for i in members])[:-1]
        for i, part in zip(members, np.split(flat, ends), strict=True):
            result[i] = part.reshape(tuple(values[i].shape))
    return result


def write_numbers(arrays: Sequence[Array], likes: Sequence[Any], canvases: Sequence[tuple[int, int]]) -> list[Any]:
    """Return arrays as what they were read from; tensors go to a device in one transfer.

    canvases: height and width of each image now, for tv_tensors that know their canvas.
    """
    result: list[Any] = [None] * len(arrays)
    away: dict[Any, list[int]] = defaultdict(list)
    for i, (array, like) in enumerate(zip(arrays, likes, strict=True)):
        if not isinstance(like, torch.Tensor):
            result[i] = _as_list(array, like) if isinstance(like, (list, tuple)) else array.astype(like.dtype)
        elif not is_away(like):
            result[i] = rewrap(torch.from_numpy(array).to(like.dtype), like, canvases[i])
        else:
            away[like.device, like.dtype].append(i)
    for (device, dtype), members in away.items():
        flat = torch.from_numpy(np.concatenate([arrays[i].reshape(-1) for i in members])).to(dtype).to(device)
        parts = torch.split(flat, [arrays[i].size for i in members])
        for i, part in zip(members, parts, strict=True):
            result[i] = rewrap(part.reshape(arrays[i].shape), likes[i], canvases[i])
    return result


def rewrap(tensor: torch.Tensor, like: torch.Tensor, canvas: tuple[int, int]) -> torch.Tensor:
    """Give a tensor the class of another: tv_tensors keep what they know of themselves, but for the canvas."""
    if type(like) is torch.Tensor:
        return tensor
    facts = vars(like)
    if "canvas_size" not in facts:
        return tensor.as_subclass(type(like))
    wrapped: torch.Tensor = type(like)(tensor, **{**facts, "canvas_size": canvas})
    return wrapped


def _as_list(array: Array, like: Any) -> Any:
    rows = array.tolist()
    if len(like) and isinstance(like[0], tuple):
        rows = [tuple(row) for row in rows]
    return type(like)(rows)


def is_whole(value: Any) -> bool:
    """Tell whether a value holds integers, so that what comes back is rounded; lists of numbers are not."""
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point()
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def read_mask(value: Any, where: str, size: tuple[int, int], stays: bool = False) -> Any:
    """Return a mask `(..., H, W)` as an array, or as a tensor where it is not on the CPU or numpy lacks its dtype.

    stays: a tensor remains one. Raises TypeError for what is no mask, ValueError for one of another size than its
    image; both start with `where`.
    """
    if is_pil(value):
        if value.mode not in _PIL_MASKS:
            raise TypeError(f"{where} is a {describe(value)}; a mask has one value per pixel: mode L, P, 1, I or F")
        mask: Any = np.array(value)
    elif isinstance(value, torch.Tensor):
        mask = plain(value)
        mask = mask.numpy() if mask.dtype in _NUMPY and not is_away(mask) and not stays else mask
    elif isinstance(value, np.ndarray):
        mask = value.transpose(2, 0, 1) if _channels_last(value, size) else value
    else:
        raise TypeError(f"{where} is of type {describe(value)}; a mask is an array, a tensor or a PIL image")
    if tuple(mask.shape[-2:]) != size:
        have = " x ".join(map(str, size))
        raise ValueError(f"{where} is {describe(value)} and its image is {have}; a mask is (H, W) or (N, H, W)")
    return mask


def _channels_last(value: Array, size: tuple[int, int]) -> bool:
    return value.ndim == 3 and value.shape[:2] == size and value.shape[1:] != size


def write_mask(mask: Any, like: Any, before: tuple[int, int], tensors: bool) -> Any:
    """Return a mask as what it was read from, when the image had the size `before`.

    tensors: the image came out as a tensor, and so does a PIL mask, `(H, W)`.
    """
    if is_pil(like):
        return torch.from_numpy(mask) if tensors else _to_pil(mask, like)
    if isinstance(like, torch.Tensor):
        tensor = mask if isinstance(mask, torch.Tensor) else torch.from_numpy(mask)
        return tensor if type(like) is torch.Tensor else tensor.as_subclass(type(like))
    return np.ascontiguousarray(mask.transpose(1, 2, 0)) if _channels_last(like, before) else mask


def _to_pil(mask: Array, like: Any) -> Any:
    from PIL import Image

    image = Image.fromarray(mask)
    if like.mode == "P":
        image.putpalette(like.palette.getdata()[1], like.palette.getdata()[0])
    image.info = dict(like.info)
    return image


def check_fill(mask: Any, fill: float, where: str) -> None:
    """Raise ValueError where `mask_fill` is not a value of the mask's dtype."""
    if isinstance(mask, torch.Tensor):
        low, high = _limits(torch, mask.dtype, not mask.is_floating_point() and mask.dtype != torch.bool)
    else:
        low, high = _limits(np, mask.dtype, mask.dtype.kind in "iu")
    if not (low <= fill <= high) or (np.isfinite(low) and fill != int(fill)):
        raise ValueError(f"{where} is {mask.dtype}, which cannot hold mask_fill={fill}")


def _limits(library: Any, dtype: Any, integer: bool) -> tuple[float, float]:
    if not integer:
        return -np.inf, np.inf
    info = library.iinfo(dtype)
    return info.min, info.max


def select(value: Any, kept: Array) -> Any:
    """Return the entries of a tensor, an array, a list or a tuple at positions `kept`."""
    if isinstance(value, torch.Tensor):
        chosen = plain(value)[torch.from_numpy(kept).to(value.device)]
        return chosen if type(value) is torch.Tensor else chosen.as_subclass(type(value))
    if isinstance(value, np.ndarray):
        return value[kept]
    return type(value)([value[i] for i in kept.tolist()])


def split_batch(value: Any, count: int, where: str) -> list[Any]:
    """Take a target of a batch apart: a list of `count` values, or a stack of them."""
    stacked = isinstance(value, (torch.Tensor, np.ndarray))
    if not (stacked or isinstance(value, (list, tuple))) or (stacked and not value.ndim) or len(value) != count:
        raise ValueError(f"{where} is {describe(value)} in a batch of {count} images; give one entry per image")
    return list(value)


def join_batch(results: list[Any], like: Any) -> Any:
    """Put the values of a batch together as they came: a list, or a stack where they still fit."""
    if isinstance(like, (list, tuple)):
        return type(like)(results)
    if len({tuple(result.shape) for result in results}) != 1:
        return results
    if isinstance(like, np.ndarray):
        return np.stack(results)
    stacked = whole_of(results)
    stacked = torch.stack(results) if stacked is None else stacked
    return stacked if type(like) is torch.Tensor else stacked.as_subclass(type(like))


def whole_of(rows: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """Return the batch of which tensors are the rows, all of them in order; None where there is none."""
    base = rows[0]._base
    if base is None or base.shape != (len(rows), *rows[0].shape) or not base.is_contiguous():
        return None
    step = rows[0].numel()
    mine = all(row._base is base and row.storage_offset() == i * step for i, row in enumerate(rows))
    return base if mine else None
