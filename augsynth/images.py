"""Between what users hold (PIL, arrays, tensors) and what engines render."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from augsynth.batch import describe, is_pil
from augsynth.compiled import kernel
from augsynth.transforms.base import Array

# OpenCV's thread pool does not survive a fork: a worker would wait forever on a pool that its parent has used.
cv2.setNumThreads(1)

# Up to this many pixels a call costs more than what it does: small images are rearranged together.
SMALL = 64 * 64
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
NUMPY_DTYPES = {
    np.dtype(np.uint8): torch.uint8,
    np.dtype(np.float32): torch.float32,
    np.dtype(np.float64): torch.float64,
    np.dtype(np.float16): torch.float16,
}
# What becomes RGB: transparency is composed over black, as a viewer with a dark page shows it.
_PIL_RGB = ("RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "PA", "P", "CMYK", "YCbCr", "LAB", "HSV")
_PIL_GRAY = ("L", "1")
_PIL_FLOAT = {"I;16": 65535.0, "I;16L": 65535.0, "I;16B": 65535.0, "I;16N": 65535.0, "I": 65535.0, "F": 1.0}
# A last axis that tells of channels, where both axes before it are longer than any that a small feature map has.
_CHANNELS, _SHORT = (1, 3, 4), 8


@dataclass(frozen=True)
class Form:
    """How one image came: holder (pil, array or tensor), size (height, width), channels, dtype, device.

    flat: a gray array without a channel axis. like: the class of a tensor subclass, to give it back. where: for errors.
    """

    holder: str
    size: tuple[int, int]
    channels: int
    dtype: torch.dtype
    device: str
    where: str
    flat: bool = False
    like: type | None = None

    @classmethod
    def of(cls, image: Any, where: str) -> Form:
        """Read an image's form. Raises TypeError or ValueError that starts with `where`."""
        if isinstance(image, torch.Tensor):
            form = cls._of_tensor(image, where)
        elif isinstance(image, np.ndarray):
            form = cls._of_array(image, where)
        elif is_pil(image):
            form = cls._of_pil(image, where)
        else:
            raise TypeError(f"{where}: {describe(image)} is not an image; give a tensor, an array or a PIL image")
        if 0 in form.size or form.channels == 0:
            raise ValueError(f"{where}: {describe(image)} has no pixels")
        return form

    @classmethod
    def _of_tensor(cls, image: torch.Tensor, where: str) -> Form:
        if image.ndim != 3:
            raise ValueError(f"{where}: a tensor image is (C, H, W), got {describe(image)}")
        if image.dtype != torch.uint8 and image.dtype not in FLOATS:
            raise TypeError(f"{where}: dtype {image.dtype} is not supported; give uint8 (0 to 255) or floats (0 to 1)")
        like = type(image) if type(image) is not torch.Tensor else None
        c, h, w = image.shape
        if w in _CHANNELS and min(c, h) > _SHORT:
            raise ValueError(
                f"{where}: {describe(image)} looks like (H, W, C); tensors are (C, H, W), batches (B, C, H, W): "
                "give image.permute(2, 0, 1), or batch.permute(0, 3, 1, 2)"
            )
        return cls("tensor", (h, w), c, image.dtype, image.device.type, where, like=like)

    @classmethod
    def _of_array(cls, image: Array, where: str) -> Form:
        if image.ndim not in (2, 3):
            raise ValueError(f"{where}: an array image is (H, W, C) or (H, W), got {describe(image)}")
        if image.dtype not in NUMPY_DTYPES:
            raise TypeError(f"{where}: dtype {image.dtype} is not supported; give uint8 (0 to 255) or floats (0 to 1)")
        channels = 1 if image.ndim == 2 else image.shape[2]
        if channels > 4:
            _check_layout(image, where)
        size = (image.shape[0], image.shape[1])
        return cls("array", size, channels, NUMPY_DTYPES[image.dtype], "cpu", where, flat=image.ndim == 2)

    @classmethod
    def _of_pil(cls, image: Any, where: str) -> Form:
        size = (image.size[1], image.size[0])
        if image.mode in _PIL_FLOAT:
            return cls("pil", size, 1, torch.float32, "cpu", where)
        if image.mode not in _PIL_RGB and image.mode not in _PIL_GRAY:
            raise TypeError(f"{where}: PIL mode {image.mode} is not supported; convert it to RGB or L")
        return cls("pil", size, 1 if image.mode in _PIL_GRAY else 3, torch.uint8, "cpu", where)


def _check_layout(array: Array, where: str) -> None:
    """Raise ValueError for an array of more than four channels whose shape says that these are no channels."""
    h, w, c = array.shape
    if h in (1, 3) or (h == 4 and min(w, c) > _SHORT):
        raise ValueError(
            f"{where}: {describe(array)} looks like (C, H, W); arrays are (H, W, C), batches (B, H, W, C): "
            "give image.transpose(1, 2, 0), or batch.transpose(0, 2, 3, 1)"
        )
    # Who has more channels than columns has cut out square patches; gray images are square or landscape.
    if h != w <= c <= 2 * w and c >= _SHORT:
        raise ValueError(
            f"{where}: {describe(array)} looks like (B, H, W), gray images without an axis for the channel; "
            f"give array[:, :, :, None], or one image of {c} channels as a tensor (C, H, W)"
        )


class Forms(list[Form]):
    """The forms of a batch. distinct: each of them once, in order; few, so that checks need not look at every image."""

    def __init__(self, forms: Sequence[Form], distinct: Sequence[Form]) -> None:
        super().__init__(forms)
        self.distinct = tuple(distinct)


def forms_of(images: Sequence[Any], index: Sequence[int]) -> Forms:
    """Read the forms of a batch: the same object for all where they are alike.

    index: the samples' indices, for errors. Float images have forms of their own, since each one's values are checked.
    """
    first = Form.of(images[0], f"sample 0 (index {index[0]})")
    if first.dtype == torch.uint8 and _same(images):
        return Forms([first] * len(images), [first])
    forms = [first, *(Form.of(image, f"sample {i} (index {index[i]})") for i, image in enumerate(images[1:], 1))]
    return Forms(forms, forms)


def _same(images: Sequence[Any]) -> bool:
    """Tell whether all are arrays, or all tensors, of one shape and dtype, and on one device."""
    kind = type(images[0])
    if kind is np.ndarray and kernel is not None:
        return bool(kernel.alike(images))
    if kind not in (np.ndarray, torch.Tensor):
        return False
    shape, dtype, device = images[0].shape, images[0].dtype, getattr(images[0], "device", None)
    return all(
        type(i) is kind and i.shape == shape and i.dtype == dtype and getattr(i, "device", None) == device
        for i in images
    )


def to_arrays(images: Sequence[Any], forms: Forms) -> Sequence[Array]:
    """Return what `to_array` makes of each image; of small tensors of one shape in one go."""
    form = forms[0]
    shared = form.dtype == torch.uint8 and len(forms.distinct) == 1
    if shared and form.holder == "array" and form.channels == 3:
        return images
    if shared and form.holder == "tensor" and form.channels == 3 and form.size[0] * form.size[1] <= SMALL:
        return list(torch.stack(list(images)).permute(0, 2, 3, 1).contiguous().numpy())
    return [to_array(image, form) for image, form in zip(images, forms, strict=True)]


def to_views(images: Sequence[Any], forms: Forms) -> Sequence[Array]:
    """Return each image as `(H, W, 3)` or `(H, W)`, uint8 or float32, of any strides: as the native engine reads it."""
    form = forms[0]
    if form.holder == "array" and form.channels == 3 and form.dtype == torch.uint8 and len(forms.distinct) == 1:
        return images
    return [_to_view(image, form) for image, form in zip(images, forms, strict=True)]


def _to_view(image: Any, form: Form) -> Array:
    if form.holder == "pil":
        return _from_pil(image)
    if form.holder == "tensor":
        image = image.detach().numpy().transpose(1, 2, 0)
    whole = all(stride % image.itemsize == 0 for stride in image.strides)
    return np.asarray(image[:, :, 0] if image.ndim == 3 and form.channels == 1 else image) if whole else image.copy()


def split(image: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """Take one image or a batch apart, and return how to put the results together again."""
    if isinstance(image, torch.Tensor) and image.ndim == 4 and type(image) is not torch.Tensor:
        # A subclass loses its name when it is taken apart.
        kind = type(image)
        return list(image.as_subclass(torch.Tensor)), lambda results: _as(kind, _stack(results))
    if isinstance(image, (torch.Tensor, np.ndarray)) and image.ndim == 4:
        return list(image), _stack
    return [image], lambda results: results[0]


def _as(kind: type, stacked: Any) -> Any:
    return [_as(kind, result) for result in stacked] if isinstance(stacked, list) else stacked.as_subclass(kind)


def _stack(results: list[Any]) -> Any:
    if len({tuple(result.shape) for result in results}) != 1:
        return results
    if isinstance(results[0], np.ndarray):
        return np.stack(results)
    base = results[0]._base
    shape = (len(results), *results[0].shape)
    if type(results[0]) is torch.Tensor and base is not None and base.shape == shape and not base.requires_grad:
        return base
    return torch.stack(results)


def to_array(image: Any, form: Form) -> Array:
    """Return `(H, W, 3)` or `(H, W)`, uint8 or float32, as the opencv engine reads it; shares memory where it can."""
    if form.holder == "pil":
        return _from_pil(image)
    if form.holder == "array":
        array = image[:, :, 0] if image.ndim == 3 and form.channels == 1 else image
        return np.ascontiguousarray(array) if array.flags.writeable else np.array(array)
    planes = image.detach().numpy()
    if form.channels == 1:
        return np.ascontiguousarray(planes[0])
    if planes.transpose(1, 2, 0).flags.c_contiguous:
        return np.asarray(planes.transpose(1, 2, 0))
    # 20 us; numpy takes four times as long to interleave three channels.
    return np.asarray(cv2.merge([np.ascontiguousarray(plane) for plane in planes]))


def to_tensor(image: Any, form: Form) -> torch.Tensor:
    """Return a plain `(C, H, W)` tensor; shares memory and graph where it can."""
    if isinstance(image, torch.Tensor):
        tensor = image.as_subclass(torch.Tensor)
        return tensor.to(torch.float32) if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
    array = _from_pil(image) if form.holder == "pil" else image
    array = array if array.ndim == 3 else array[:, :, None]
    planes = array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes) if array.flags.writeable else planes.copy())


def _from_pil(image: Any) -> Array:
    # np.array, not asarray: what PIL hands out is read-only, which torch warns about.
    if image.mode in _PIL_FLOAT:
        array = np.asarray(image).astype(np.float32)
        return np.ascontiguousarray(array / np.float32(_PIL_FLOAT[image.mode]))
    if image.mode in _PIL_GRAY:
        return np.array(image.convert("L"))
    if image.mode in ("La", "RGBa"):
        # Colour times alpha is what lies over black. PIL cannot convert La, and RGBa only by dividing first.
        pixels = np.asarray(image)[:, :, :-1]
        return np.repeat(pixels, 3 // pixels.shape[2], axis=2)
    if image.mode in ("P", "LA", "PA"):
        image = image.convert("RGBA") if image.mode != "P" or "transparency" in image.info else image.convert("RGB")
    if image.mode == "RGBA":
        pixels = np.asarray(image)
        if pixels[:, :, 3].min() == 255:
            return np.ascontiguousarray(pixels[:, :, :3])
        alpha = pixels[:, :, 3:].astype(np.float32) / 255
        return np.asarray(np.rint(pixels[:, :, :3] * alpha).astype(np.uint8))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def check_values(images: Sequence[Any], forms: Sequence[Form], span: tuple[float, float] = (0.0, 1.0)) -> None:
    """Raise ValueError for a float image on the CPU that is not in [0, 1], and say what probably happened.

    span: what 0 and 1 are in the user's own values.
    """
    if len(forms) > 1 and forms[0] is forms[-1]:
        return  # bytes, all alike
    for image, form in zip(images, forms, strict=True):
        if form.dtype == torch.uint8 or form.device != "cpu":
            continue
        # Of an array numpy finds them, because torch warns of one that is read-only.
        ends = torch.aminmax(image.detach()) if isinstance(image, torch.Tensor) else (image.min(), image.max())
        low, high = map(float, ends)
        # Resampling and 16-bit floats may leave a rounding error outside.
        if low >= -1e-3 and high <= 1.001:
            continue
        if low != low or high != high:
            raise ValueError(f"{form.where}: the image has NaN pixels")
        guess = "already normalized?" if low < 0 else "values from 0 to 255? divide by 255 or give uint8"
        low, high = (span[0] + value * (span[1] - span[0]) for value in (low, high))
        raise ValueError(
            f"{form.where}: a float image must lie in [{span[0]:g}, {span[1]:g}], this one goes from {low:.4g} to "
            f"{high:.4g} ({guess})"
        )


def from_tensor(result: torch.Tensor, form: Form, normalized: bool = False) -> Any:
    """Give a result `(C, h, w)` back the way its image came; normalized values are no PIL image any more."""
    if form.holder == "tensor":
        return result if form.like is None else result.as_subclass(form.like)
    if form.holder == "pil" and not normalized and result.dtype == form.dtype:
        from PIL import Image

        return Image.fromarray(_to_hwc(result, flat=True))
    return result if form.holder == "pil" else _to_hwc(result, form.flat)


def _to_hwc(result: torch.Tensor, flat: bool) -> Array:
    if result.dtype == torch.bfloat16:
        raise TypeError("numpy has no bfloat16: give tensors, or choose dtype=torch.float32 or float16")
    planes = result.numpy()
    if len(planes) == 3 and result.dtype in (torch.uint8, torch.float32):
        return np.asarray(cv2.merge(list(planes)))  # numpy takes six times as long at 224 px
    array = planes.transpose(1, 2, 0)
    return np.ascontiguousarray(array[:, :, 0] if flat and array.shape[2] == 1 else array)
