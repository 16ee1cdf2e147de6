"""The draw kernel with what it reads and writes, for batches of one kind: all of it stays where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from augsynth.engines import triton_draw as device
from augsynth.engines import triton_layout as layout
from augsynth.engines.output import Output, fill_values
from augsynth.engines.triton_launch import Shape, tiles_of
from augsynth.engines.triton_layout import INTERPRETED
from augsynth.engines.triton_memory import upload
from augsynth.engines.triton_plan import Lowered
from augsynth.engines.triton_riders import RIDER, Ride, swaps_of, write_mask_rows, write_point_rows
from augsynth.rng import IntLike, Rng
from augsynth.target_values import check_fill, whole_of
from augsynth.transforms.base import BORDER_MODES, Array
from augsynth.transforms.color import HUE_TURN, LUMA, LUMA_ONE

# The interpreter draws many samples at once; on a device each is drawn by a warp of its own.
_TOGETHER = 4096
_ROOM = 8
_START = device.START.value
_ADDRESSES, _SEED = (0, 2, 3), 1  # where the kernel looks for images, masks and keypoints, and for the seed


class Drawing:
    """Draws and renders batches (images, masks, keypoints), of which the last two may be None.

    index, epoch, occurrence: `(B,)` int64, the keys. results: what comes out, for each batch that is not None.
    """

    def __init__(self, lowered: Lowered, batches: Sequence[torch.Tensor | None], output: Output, exact: bool) -> None:
        images, masks, points = batches
        assert images is not None
        self.lowered, place, (count, channels) = lowered, images.device, images.shape[:2]
        target = torch.empty((count, channels, *lowered.size), dtype=output.dtype, device=place)
        self.ride: Ride | None = None
        moved: list[torch.Tensor | None] = [None, None]
        if masks is not None or points is not None:
            self.ride, moved = _fixed_ride(lowered, images, masks, points)
        self.results = [target, *moved]
        self.shape = _shape(lowered, images, output, exact, self.ride)
        *_, stops, riders = self.shape.ends
        swaps = len(self.ride.words()[1]) if self.ride else 0
        self.words = torch.zeros(riders + swaps if self.ride else stops, dtype=torch.int32, device=place)
        if self.ride:
            upload(self.ride.words(), place, self.words[stops:])
        self.sums = self.shape.sums(place)
        self.inputs = torch.zeros(_START + 3 * count, dtype=torch.int64, device=place)
        self.index, self.epoch, self.occurrence = self.inputs[_START:].view(3, count).unbind()
        self.constants = _constants(lowered, batches, target, exact, self.ride)
        self._known, self._sent = np.zeros(_START, np.int64), np.zeros(_START, np.int64)

    def point(self, seed: int, batches: Sequence[torch.Tensor | None]) -> None:
        """Let the next start use this seed, and read these batches where they lie, once `write_keys` has run."""
        self._known[_SEED] = seed
        for batch, place in zip(batches, _ADDRESSES, strict=True):
            self._known[place] = 0 if batch is None else batch.data_ptr()

    def write_keys(self, index: IntLike, epoch: IntLike, occurrence: IntLike) -> None:
        """Enter the next start's keys, and what `point` said; of keys that lie on the device none is read."""
        keys = ((self.index, index), (self.epoch, epoch), (self.occurrence, occurrence))
        if not any(isinstance(value, torch.Tensor) for _, value in keys):
            rng = Rng.of(int(self._known[_SEED]), index, epoch, occurrence)
            if len(rng) != len(self.index):
                raise ValueError(f"index has {len(rng)} entries for {len(self.index)} images")
            everything = [array.view(np.int32) for array in (self._known, rng.index, rng.epoch, rng.occurrence)]
            upload(everything, self.inputs.device, self.inputs.view(torch.int32))
            self._sent = self._known.copy()
            return
        if (self._known != self._sent).any():
            upload([self._known.view(np.int32)], self.inputs.device, self.inputs[:_START].view(torch.int32))
            self._sent = self._known.copy()
        for place, value in keys:
            if isinstance(value, torch.Tensor):
                place.copy_(value, non_blocking=True)
            elif isinstance(value, int):
                place.fill_(value)
            else:
                upload([np.asarray(value, np.int64).view(np.int32)], place.device, place.view(torch.int32))

    def draw(self) -> None:
        """Start the draw kernel, which writes rows, steps, stops and what is drawn of riders."""
        rows, steps, stops, riders = self.shape.ends
        count = self.shape.samples
        together = min(_TOGETHER, 1 << (count - 1).bit_length()) if INTERPRETED else 1
        device.draw[(-(-count // together),)](
            self.inputs,
            *self.constants,
            self.words[:rows],
            self.words[rows:steps],
            self.words[steps:stops],
            self.words[stops:riders],
            count,
            len(self.lowered.instructions),
            self.shape.capacity,
            self.shape.stages,
            C=self.shape.channels,
            EXACT=self.shape.exact,
            RIDERS=self.ride is not None,
            N=together,
            num_warps=1,
        )

    def start(self) -> None:
        """Start all kernels: the draw, a launch for each mean that a sample may need, and the pixels."""
        self.draw()
        self.shape.start(self.words, self.sums)


def _shape(lowered: Lowered, images: torch.Tensor, output: Output, exact: bool, ride: Ride | None) -> Shape:
    count, channels = images.shape[:2]
    return Shape(
        samples=count,
        capacity=-(-max(lowered.capacity, 1) // _ROOM) * _ROOM,
        stages=lowered.stages,
        tiles=tiles_of(np.array([lowered.size])),
        channels=channels,
        source=images.dtype,
        output=output,
        exact=exact,
        filters=lowered.filters,
        cubics=lowered.cubics,
        close=images.stride(3) == 1 and not lowered.turns,
        by_row=layout.WALKING and lowered.walks,
        rides=ride.types if ride else (None, None),
    )


def _fixed_ride(
    lowered: Lowered, images: torch.Tensor, masks: torch.Tensor | None, points: torch.Tensor | None
) -> tuple[Ride, list[torch.Tensor | None]]:
    """Return rows with all that no draw decides, and the memory for moved masks and keypoints."""
    rows, at = np.zeros(len(images), RIDER), np.arange(len(images))
    moved: list[torch.Tensor | None] = [None, None]
    rows["canvas"], rows["back"], rows["forth"] = images.shape[2:], np.eye(3), np.eye(3)
    if masks is not None:
        fill = 0.0 if masks.dtype == torch.bool else lowered.mask_fill
        check_fill(masks, fill, "masks")
        moved[0] = whole_of(write_mask_rows(rows, at, list(masks), [fill] * len(at), [lowered.size] * len(at)))
    if points is not None:
        moved[1] = whole_of(write_point_rows(rows, at, list(points), [0.0] * len(at)))
    item, dtype = 0 if masks is None else masks.element_size(), None if points is None else points.dtype
    return Ride(rows, swaps_of(lowered.flip_pairs), item, dtype), moved


def _constants(
    lowered: Lowered,
    batches: Sequence[torch.Tensor | None],
    target: torch.Tensor,
    exact: bool,
    ride: Ride | None,
) -> Sequence[torch.Tensor]:
    """Return what the draw kernel reads beside its inputs: program, blocks, palette, what `place` knows, fill."""
    images = batches[0]
    assert images is not None
    rows, strides = lowered.instructions, images.stride()
    # Bytes from one sample to the next, of results, masks and keypoints.
    steps = [0 if batch is None else batch.stride(0) * batch.element_size() for batch in (target, *batches[1:])]
    known = [*images.shape[2:], *lowered.size, *strides[1:], strides[0], images.element_size(), target.data_ptr()]
    known += [steps[0], BORDER_MODES.index(lowered.border.mode), *steps[1:], len(ride.swaps) if ride else 0]
    arrays: list[Array] = [
        rows.view(np.int32).reshape(-1) if len(rows) else np.zeros(4, np.int32),
        lowered.blocks.view(np.int32) if len(lowered.blocks) else np.zeros((1, 2), np.int32),
        np.concatenate([LUMA if exact else LUMA_ONE, HUE_TURN.ravel()]),
        np.array(known, np.int64),
        np.array(fill_values(lowered.border.fill, 3), np.float32),
    ]
    return [torch.from_numpy(array).to(images.device) for array in arrays]
