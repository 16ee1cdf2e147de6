"""One launch of the render kernel: what is known of it beforehand, and what it reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
import triton.language as tl

from augsynth.engines import triton_kernel as kernel
from augsynth.engines import triton_layout as layout
from augsynth.engines.output import Output
from augsynth.engines.passes import Part
from augsynth.engines.triton_riders import Ride
from augsynth.engines.triton_table import Table, build
from augsynth.transforms.base import Array
from augsynth.transforms.color import LUMA

_TYPES = {
    torch.uint8: tl.uint8,
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
}


@dataclass(frozen=True)
class Shape:
    """What the kernels are compiled and started for; what is drawn changes nothing here.

    capacity: steps that a sample has room for. stages: means that a sample can need. tiles: of the largest output.
    filters, cubics: some sample may be shrunk by a filter, or interpolated by cubics. close: neighbours along x are
    neighbours in memory, in every sample. by_row: samples walk along rows, `triton_walk.py`, which the plan must
    decide and not the draw, for the last bits depend on it. rides: the kernel's types of masks and keypoints, or None.
    """

    samples: int
    capacity: int
    stages: int
    tiles: int
    channels: int
    source: torch.dtype
    output: Output
    exact: bool
    filters: bool
    cubics: bool
    close: bool
    by_row: bool
    rides: tuple[Any, Any] = (None, None)

    def sums(self, device: torch.device) -> torch.Tensor:
        """Return room for the sums of luma and the means, `(S, R, tiles + 1)` float32."""
        return torch.empty((self.stages, self.samples, self.tiles + 1), dtype=torch.float32, device=device)

    @property
    def ends(self) -> tuple[int, int, int, int]:
        """Where rows, steps, stops and riders end in the words of a table."""
        rows = self.samples * layout.ROW_WORDS.value
        steps = rows + self.samples * self.capacity * layout.STEP_WORDS.value
        stops = steps + -(-self.stages * self.samples // 4) * 4
        return rows, steps, stops, stops + self.samples * layout.RIDER_WORDS.value

    @cached_property
    def unit(self) -> bool:
        """Whether colours are computed in units of white: not where bytes, or the input's own units, come out."""
        scale, _ = self.output.affine(self.channels)
        return self.output.dtype != torch.uint8 and not np.allclose(scale, 1.0)

    @cached_property
    def numbers(self) -> list[float]:
        """Return white, the factor before colours, the weights of luma, then scales and offsets of three channels."""
        scale, offset = self.output.affine(self.channels)
        scale = scale * self.output.white if self.unit else scale
        luma = LUMA if self.exact else LUMA / LUMA.sum()
        factor = 1 / self.output.white if self.unit else 1.0
        return [float(v) for v in (self.output.white, factor, *luma, *np.resize(scale, 3), *np.resize(offset, 3))]

    def start(self, words: torch.Tensor, sums: torch.Tensor) -> None:
        """Start the kernels: for the pixels, and first for each mean that tiles do not find by themselves."""
        rows, steps, stops, riders = self.ends
        mask, point = self.rides
        along = (words[stops:riders], words[riders:]) if mask or point else (words, words)
        together = self.by_row and self.stages > 0 and self.tiles <= most_together(words.device)
        warps, most = layout.ROWS if self.by_row else layout.PIXELS
        for stage in [self.stages] if together else range(self.stages + 1):
            last = stage == self.stages
            kernel.render[(self.samples * self.tiles,)](
                words[:rows],
                words[rows:steps],
                words[steps:stops],
                sums,
                *along,
                self.samples,
                self.tiles,
                self.capacity,
                stage,
                *self.numbers,
                C=self.channels,
                FROM=_TYPES[self.source],
                TO=_TYPES[self.output.dtype],
                FILTERS=self.filters,
                CUBICS=self.cubics,
                STATISTICS=not last,
                TOGETHER=together,
                CLOSE=self.close,
                MASK=mask if last else None,
                POINT=point if last else None,
                UNIT=self.unit,
                BY_ROW=self.by_row,
                TILE_Y=layout.TILE_Y,
                TILE_X=layout.TILE_X,
                num_warps=warps,
                maxnreg=None if self.cubics else most,
            )


@cache
def most_together(device: torch.device) -> int:
    """Return of how many tiles a sample may consist for them to run at once, with room to spare for other kernels.

    A multiprocessor holds at least 16 tiles' programs, by their registers. Where tiles run one after the other it is 0.
    """
    if device.type != "cuda" or layout.INTERPRETED:
        return 0
    count: int = torch.cuda.get_device_properties(device).multi_processor_count
    return 8 * count


def tiles_of(sizes: Array) -> int:
    """Return how many tiles cover the largest of outputs `(R, 2)`."""
    height, width = sizes.T
    return int((-(-height // layout.TILE_Y) * -(-width // layout.TILE_X)).max())


@dataclass(frozen=True)
class Launch:
    """Images of one dtype and channel count, which stand at `places` of a pass, and what becomes of them."""

    places: Array
    table: Table
    ride: Ride | None
    shape: Shape

    @cached_property
    def words(self) -> list[Array]:
        """Everything as flat int32 arrays, in the order in which the device holds them; views of the table."""
        return [*self.table.words(), *(self.ride.words() if self.ride else ())]

    def __len__(self) -> int:
        return sum(map(len, self.words))


def launches(
    images: Sequence[torch.Tensor], parts: Sequence[Part], output: Output, ride: Ride | None, exact: bool
) -> list[Launch]:
    """Split images `(C, H, W)` by dtype and channels, and build each launch's table."""
    kinds = [(image.dtype, len(image)) for image in images]
    found = []
    for dtype, channels in dict.fromkeys(kinds):
        places = np.array([i for i, other in enumerate(kinds) if other == (dtype, channels)])
        mine = [part.among(places, len(images)) for part in parts]
        table = build([images[i] for i in places.tolist()], [part for part in mine if len(part.at)], exact)
        rows, along = table.rows, ride.among(places) if ride else None
        filters, cubics = bool(rows["filter"].any()), bool(rows["clamp"].any())
        counts, tiles = table.shape, tiles_of(rows["size"])
        close = bool((rows["strides"][:, 2] == 1).all())
        rides = along.types if along else (None, None)
        shape = Shape(*counts, tiles, channels, dtype, output, exact, filters, cubics, close, False, rides)
        found.append(Launch(places, table, along, shape))
    return found
