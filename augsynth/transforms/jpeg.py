"""JPEG compression: the codec itself on the CPU, and on any device the same integers in differentiable tensors.

The steps and constants are those of the baseline codec of ITU-T T.81 and of the IJG library's accurate integer DCT,
which the codecs of OpenCV, Pillow and torchvision share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch

from augsynth.transforms.base import Array, Neighbourhood, is_range

__all__ = ["JPEG", "ImageCompression"]

# ITU-T T.81, tables K.1 and K.2.
_LUMINANCE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
_CHROMINANCE = """17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"""
_TABLES = np.array([[int(word) for word in text.split()] for text in (_LUMINANCE, _CHROMINANCE)]).reshape(2, 8, 8)


def tables(quality: Array) -> Array:
    """Scale the two quantisation tables for qualities `(R,)` from 1 to 100 as libjpeg does: `(R, 2, 8, 8)`."""
    whole = quality.astype(np.int64)
    percent = np.where(whole < 50, 5000 // whole, 200 - 2 * whole)
    return np.asarray(np.clip((_TABLES * percent[:, None, None, None] + 50) // 100, 1, 255))


class _Compression(Neighbourhood):
    """Encode and decode at the quality in params `(R, 1)`, on whole levels from 0 to 255."""

    draws: ClassVar[int] = 1
    params: ClassVar[int] = 1
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    def qualities(self) -> tuple[int, int]:
        """Return the lowest and the highest quality."""
        raise TypeError(f"{type(self).__name__} has no quality")

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        low, high = self.qualities()
        quality = low + np.floor(u * (high - low + 1))
        return np.asarray(100 - np.rint(strength * (100 - quality)))

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        levels = rounded(pixels * (255.0 / white)).to(torch.float64)
        done = compressed(levels, tables(params[:, 0]))
        return (done * (white / 255.0)).to(pixels.dtype)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        import cv2

        source = pixels if pixels.dtype == np.uint8 else cv2.convertScaleAbs(pixels, alpha=255.0 / white)
        color = source.ndim == 3
        # cv2 writes and reads blue first.
        source = cv2.cvtColor(source, cv2.COLOR_RGB2BGR) if color else source
        _, code = cv2.imencode(".jpg", source, [cv2.IMWRITE_JPEG_QUALITY, int(params[0])])
        done = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE))
        done = np.asarray(cv2.cvtColor(done, cv2.COLOR_BGR2RGB)) if color else done
        return done if white == 255.0 else done.astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class JPEG(_Compression):
    """Compress as JPEG with a quality drawn from the whole numbers (low, high), or one quality, 1 to 100.

    Floats are rounded to 255 levels for it. Images have 1 or 3 channels; colour has half the resolution (4:2:0).
    Gradients pass the rounding unchanged.
    """

    quality: int | tuple[int, int]

    def validate(self) -> None:
        value = self.quality if isinstance(self.quality, tuple) else (self.quality, self.quality)
        if not _is_quality(value):
            self.fail("quality", "an int from 1 to 100 or (low, high)")

    def qualities(self) -> tuple[int, int]:
        return self.quality if isinstance(self.quality, tuple) else (self.quality, self.quality)


@dataclass(frozen=True)
class ImageCompression(_Compression):
    """Compress as JPEG with probability p, with a quality drawn from the whole numbers quality_range, 1 to 100.

    compression_type: "jpeg". The rest is as in `JPEG`.
    """

    compression_type: str = "jpeg"
    quality_range: tuple[int, int] = (99, 100)
    p: float = 0.5

    def validate(self) -> None:
        if self.compression_type != "jpeg":
            self.fail("compression_type", "'jpeg'")
        if not _is_quality(self.quality_range):
            self.fail("quality_range", "(low, high), ints from 1 to 100")

    def qualities(self) -> tuple[int, int]:
        return self.quality_range


def _is_quality(value: object) -> bool:
    return is_range(value, 1, 100) and all(isinstance(v, (int, np.integer)) for v in value)  # type: ignore[attr-defined]


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Round to whole numbers; the gradient passes unchanged."""
    return values + (values.round() - values).detach()


def _lowered(values: torch.Tensor) -> torch.Tensor:
    """Take the whole number below; the gradient passes unchanged."""
    return values + (values.floor() - values).detach()


def compressed(levels: torch.Tensor, quantizers: Array) -> torch.Tensor:
    """Return what a decoder makes of whole levels `(R, C, H, W)` float64 that were encoded with `tables`."""
    steps = torch.from_numpy(quantizers.astype(np.float64)).to(levels.device)
    height, width = levels.shape[2:]
    if levels.shape[1] == 1:
        return _coded(levels, steps[:, :1], height, width)
    ycc = _to_ycc(levels)
    # The encoder repeats the last column of the picture, but the last row of the halved colour.
    columns = _extended(ycc[:, 1:], 3, 16)
    halved = _halved(_extended(columns, 2, 2))
    small = (height + 1) // 2, (width + 1) // 2
    luma, chroma = _coded(ycc[:, :1], steps[:, :1], height, width), _coded(halved, steps[:, 1:], *small)
    wide = _doubled(chroma) if small[1] > 2 else chroma.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return _to_rgb(luma, wide[:, :, :height, :width])


def _fix(value: float) -> int:
    return int(value * 65536 + 0.5)


def _to_ycc(rgb: torch.Tensor) -> torch.Tensor:
    red, green, blue = rgb.unbind(1)
    luma = _fix(0.299) * red + _fix(0.587) * green + _fix(0.114) * blue + 32768
    offset = 128 * 65536 + 32767
    cb = -_fix(0.16874) * red - _fix(0.33126) * green + 32768 * blue + offset
    cr = 32768 * red - _fix(0.41869) * green - _fix(0.08131) * blue + offset
    return _lowered(torch.stack((luma, cb, cr), 1) / 65536)


def _to_rgb(luma: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    cb, cr = (chroma - 128).unbind(1)
    red = _lowered((_fix(1.402) * cr + 32768) / 65536)
    green = _lowered((-_fix(0.34414) * cb - _fix(0.71414) * cr + 32768) / 65536)
    blue = _lowered((_fix(1.772) * cb + 32768) / 65536)
    return (luma + torch.stack((red, green, blue), 1)).clamp(0.0, 255.0)


def _extended(planes: torch.Tensor, axis: int, multiple: int) -> torch.Tensor:
    """Repeat the last row (axis 2) or column (axis 3) until their number is a multiple."""
    missing = -planes.shape[axis] % multiple
    if not missing:
        return planes
    last = planes.narrow(axis, planes.shape[axis] - 1, 1)
    return torch.cat([planes, last.expand(*(missing if i == axis else -1 for i in range(4)))], axis)


def _halved(planes: torch.Tensor) -> torch.Tensor:
    """Average 2 x 2 pixels; the rounding alternates from column to column."""
    total = planes[:, :, ::2, ::2] + planes[:, :, 1::2, ::2] + planes[:, :, ::2, 1::2] + planes[:, :, 1::2, 1::2]
    bias = 1 + torch.arange(total.shape[3], device=planes.device) % 2
    return _lowered((total + bias) / 4)


def _doubled(planes: torch.Tensor) -> torch.Tensor:
    """Double both sides with weights 3/4 and 1/4; the rounding alternates from column to column."""
    above = torch.cat([planes[:, :, :1], planes[:, :, :-1]], 2)
    below = torch.cat([planes[:, :, 1:], planes[:, :, -1:]], 2)
    rows = torch.stack([3 * planes + above, 3 * planes + below], 3).flatten(2, 3)
    left = torch.cat([rows[..., :1], rows[..., :-1]], 3)
    right = torch.cat([rows[..., 1:], rows[..., -1:]], 3)
    sums = torch.stack([3 * rows + left + 8, 3 * rows + right + 7], 4)
    return _lowered(sums.flatten(3, 4) / 16)


def _coded(planes: torch.Tensor, steps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Transform, quantise and transform back `(R, c, H, W)` in blocks of 8 x 8; steps `(R, 1, 8, 8)`."""
    whole = _extended(_extended(planes, 3, 8), 2, 8)
    rows, columns = whole.shape[2] // 8, whole.shape[3] // 8
    blocks = (whole - 128).reshape(*whole.shape[:2], rows, 8, columns, 8).transpose(3, 4)
    turn = torch.from_numpy(_integer_dct()).to(planes.device)
    # 13 bits of the constants and 2 that are kept between the passes, as in the integer DCT of the codec.
    spectrum = _lowered(blocks @ turn.T / 2.0**11 + 0.5)
    spectrum = _lowered(turn @ spectrum / 2.0**15 + 0.5)
    step = steps[:, :, None, None]
    # The codec's spectrum is 8 times too large; halves are rounded away from zero.
    exact = spectrum / (8 * step)
    coded = exact + (exact.sign() * (exact.abs() + 0.5).floor() - exact).detach()
    back = _lowered(turn.T @ (coded * step) / 2.0**11 + 0.5)
    pixels = _lowered(back @ turn / 2.0**18 + 0.5)
    flat = (pixels + 128).clamp(0.0, 255.0).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return flat[:, :, :height, :width]


@cache
def _integer_dct() -> Array:
    """Return the `(8, 8)` DCT in whole multiples of 2**-13 as the accurate integer DCT computes it.

    It is factored, so that its entries are sums of rounded constants instead of rounded cosines.
    """
    c = [math.sqrt(2) * math.cos(k * math.pi / 16) for k in range(8)]
    eye = np.eye(8)
    (e0, e1, e2, e3), (o0, o1, o2, o3) = eye[:4] + eye[7:3:-1], eye[:4] - eye[7:3:-1]
    result = np.zeros((8, 8))
    result[0], result[4] = 8192 * (e0 + e1 + e2 + e3), 8192 * (e0 - e1 - e2 + e3)
    both = _bits(c[6]) * (e0 + e1 - e2 - e3)
    result[2], result[6] = both + _bits(c[2] - c[6]) * (e0 - e3), both - _bits(c[2] + c[6]) * (e1 - e2)
    shared = _bits(c[3]) * (o0 + o1 + o2 + o3)
    near, far = -_bits(c[3] - c[7]) * (o0 + o3), -_bits(c[1] + c[3]) * (o1 + o2)
    odd, even = shared - _bits(c[3] + c[5]) * (o1 + o3), shared - _bits(c[3] - c[5]) * (o0 + o2)
    result[1] = _bits(c[1] + c[3] - c[5] - c[7]) * o0 + near + even
    result[3] = _bits(c[1] + c[3] + c[5] - c[7]) * o1 + far + odd
    result[5] = _bits(c[1] + c[3] - c[5] + c[7]) * o2 + far + even
    result[7] = _bits(-c[1] + c[3] + c[5] - c[7]) * o3 + near + odd
    return result


def _bits(value: float) -> int:
    return int(value * 8192 + 0.5)
