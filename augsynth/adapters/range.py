"""What is known of the images at some place of another library's pipeline: type, dtype, range of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from augsynth.adapters.adapted import Part
from augsynth.transforms.color import Normalize

WHITE = 255.0


@dataclass
class ValueRange:
    """The images between two transforms, while a pipeline is converted from its start to its end.

    takes: how a barrier is given them, see `Foreign`. dtype: None while it is the input's. high: white, where it is
    known: 255 or 1. factor: from a value there to the input's image space. normalize: mean and std, on the scale from 0
    to 1. tensor: they are tensors by conversion. made_pil: they are PIL images by conversion.
    """

    takes: str
    dtype: torch.dtype | None = None
    high: float | None = None
    factor: float = 1.0
    normalize: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    tensor: bool = False
    made_pil: bool = False

    @property
    def name(self) -> str | None:
        """The dtype that a barrier is given: uint8, float32 or None for the image's own."""
        if self.dtype is None:
            return None
        return "uint8" if self.dtype == torch.uint8 else "float32"

    @property
    def scaled(self) -> bool:
        """Tell whether float images may be taken to lie in [0, 1] here, and not from 0 to 255."""
        return not (self.dtype is not None and self.dtype.is_floating_point and self.high == WHITE)

    def to_tensor(self, takes: str = "tensor") -> None:
        """Convert PIL images or arrays to uint8 tensors."""
        self.takes, self.tensor, self.made_pil = takes, True, False
        self.high = WHITE if self.high is None else self.high

    def to_pil(self) -> None:
        """Convert to PIL images, which are uint8."""
        self.convert(torch.uint8, True, "ToPILImage")
        self.takes, self.tensor, self.made_pil = "pil", False, True

    def convert(self, dtype: torch.dtype, scale: bool, source: str) -> None:
        """Convert the dtype, and the values from one range to the other where `scale` says so."""
        floating = dtype.is_floating_point
        if not floating and dtype != torch.uint8:
            raise ValueError(f"{source}: a pipeline makes uint8, float32, float16 or bfloat16, not {dtype}")
        if not floating and self.normalize is not None:
            raise ValueError(f"{source}: normalized images cannot become {dtype}")
        already = self.dtype is not None and self.dtype.is_floating_point
        if floating and self.high is None and not scale:
            raise ValueError(
                f"{source} without scale=True: whether images come as uint8 or as floats is not known here; use "
                "scale=True, which leaves floats as they are"
            )
        if not floating and already and scale == (self.high == WHITE):
            raise ValueError(
                f"{source}: floats from 0 to {self.high:g} become {dtype} {'without' if scale else 'with'} scale=True"
            )
        if floating and scale and not already:
            # White was 255, or is assumed to have been.
            self.factor, self.high = WHITE, 1.0
        elif not floating:
            self.factor, self.high = 1.0, WHITE
        self.dtype = dtype

    def normalized(self, mean: Sequence[float], std: Sequence[float], source: str) -> None:
        """Subtract and divide; a second time, both together."""
        if self.dtype == torch.uint8 or (self.dtype is None and self.high == WHITE):
            raise ValueError(f"{source} needs float images: put a conversion to float32 with scale=True before it")
        white = self.high or 1.0
        mean, std = tuple(float(m) / white for m in mean), tuple(float(s) / white for s in std)
        if self.normalize is not None:
            first, spread = self.normalize
            count = max(len(first), len(mean))
            first, spread, mean, std = (_spread(v, count) for v in (first, spread, mean, std))
            mean = tuple(m + white * s * n for m, s, n in zip(first, spread, mean, strict=True))
            std = tuple(white * s * n for s, n in zip(spread, std, strict=True))
        self.normalize = mean, std

    def image_space(self, value: Any, source: str) -> Any:
        """Take a fill, value or threshold from here to the input's image space. Raises ValueError for one outside."""
        if self.factor == 1.0 and self.normalize is None:
            return value
        entries = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        if self.normalize is not None:
            count = max(len(entries), len(self.normalize[0]))
            white = self.high or 1.0
            mean, std = (_spread(part, count) for part in self.normalize)
            entries = tuple(white * (m + s * v) for m, s, v in zip(mean, std, _spread(entries, count), strict=True))
        entries = tuple(self.factor * float(v) for v in entries)
        if not all(-1e-6 <= v <= WHITE + 1e-6 for v in entries):
            raise ValueError(f"{source}: the value {value!r} lies outside the range of an image's values")
        entries = tuple(min(max(v, 0.0), WHITE) for v in entries)
        return entries if len(entries) > 1 else entries[0]

    def finish(self, parts: Sequence[Part]) -> tuple[list[Part], torch.dtype | None]:
        """Return the parts with the output stage at their end, and the output's dtype."""
        if self.made_pil:
            raise ValueError(
                "ToPILImage stands at the end; leave it out: a pipeline gives PIL images for PIL images, and convert "
                "what comes out otherwise"
            )
        mean_std = self.normalize
        if mean_std is None and not self.scaled:
            mean_std = (0.0,), (1 / WHITE,)
        stage = [] if mean_std is None else [("normalize", Normalize(*mean_std))]
        return [*parts, *stage], self.dtype


def _spread(values: Sequence[float], count: int) -> tuple[float, ...]:
    return tuple(values) * count if len(values) == 1 else tuple(values)
