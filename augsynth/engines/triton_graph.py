"""Batches of one shape, augmented by replaying one CUDA graph: draw, means where the plan has contrast, pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.engines import triton_draw as device
from augsynth.engines.output import fill_values
from augsynth.engines.triton import Recorded
from augsynth.engines.triton_launch import Shape, tiles_of
from augsynth.engines.triton_layout import INTERPRETED
from augsynth.engines.triton_memory import on, record, upload
from augsynth.engines.triton_plan import Lowered, Unsupported, lower
from augsynth.engines.triton_table import sources
from augsynth.fuse import fuse
from augsynth.images import Form
from augsynth.rng import IntLike, Rng
from augsynth.transforms.base import BORDER_MODES, Array
from augsynth.transforms.color import HUE_TURN, LUMA, LUMA_ONE

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

# The interpreter draws many samples at once; on a device each is drawn by a warp of its own.
_TOGETHER = 4096
_ROOM = 8


class Graphed:
    """A pipeline for batches of one shape, dtype and layout. Its result is overwritten by the next call.

    draws_on: "device", or "host: " and the first transform that the device cannot draw. With draws on the device a call
    replays one graph and the host waits for nothing; `index`, `epoch` and `occurrence` `(B,)` int64 may also be filled
    by the user's own kernels, then `replay()` is all there is to do.
    """

    def __init__(self, pipeline: Pipeline, images: torch.Tensor, strength: float = 1.0) -> None:
        """Prepare for batches like `images (B, C, H, W)`. Raises ValueError for images that are too small."""
        sources([images[0]])  # for its check
        self.pipeline, self.strength = pipeline, strength
        self._like = (images.shape, images.dtype, images.stride(), images.device)
        self._output = pipeline._output(Form.of(images[0], "sample 0"))
        self._exact = pipeline.color == "exact"
        self._recorded: Recorded | None = None
        self.draws_on = "device"
        try:
            lowered = lower(pipeline.plan, (images.shape[2], images.shape[3]), strength, pipeline.fuse)
        except Unsupported as reason:
            self.draws_on = f"host: {reason}"
            self._recorded = Recorded(self._output, self._exact)
            return
        with on(images.device):
            self._prepare(lowered, images)

    def _prepare(self, lowered: Lowered, images: torch.Tensor) -> None:
        self._lowered = lowered
        self.shape, place = _shape(lowered, images, self._output, self._exact), images.device
        count, channels = images.shape[:2]
        self.target = torch.empty((count, channels, *lowered.size), dtype=self._output.dtype, device=place)
        self.words = torch.zeros(self.shape.ends[2], dtype=torch.int32, device=place)
        self._inputs = torch.zeros(2 + 3 * count, dtype=torch.int64, device=place)
        self.index, self.epoch, self.occurrence = self._inputs[2:].view(3, count).unbind()
        self._address, self._images = 0, images
        self._point(images)
        self._inputs[1].fill_(self.pipeline.seed)
        self._constants = _constants(lowered, images, self.target, self._exact)
        draw = partial(_draw, lowered, self.shape, self._inputs, self._constants, self.words)
        self.replay: Callable[[], object] = record(
            partial(_start, draw, self.shape, self.words, self.shape.sums(place)), place
        )

    def _point(self, images: torch.Tensor) -> None:
        """Let the graph read this batch where it lies."""
        if images.data_ptr() != self._address:
            self._address, self._images = images.data_ptr(), images
            self._inputs[0].fill_(self._address)

    def __call__(
        self, images: torch.Tensor, *, index: IntLike, epoch: IntLike = 0, occurrence: IntLike = 0
    ) -> torch.Tensor:
        """Augment a batch under the keys that `Pipeline.__call__` takes; returns `(B, C, h, w)`, the same each time.

        Of what lies on the device nothing is read by the host. Raises ValueError for a batch of another kind.
        """
        if (images.shape, images.dtype, images.stride(), images.device) != self._like:
            raise ValueError(
                f"this graph is for batches of {_words(self._like)}; the batch is "
                f"{_words((images.shape, images.dtype, images.stride(), images.device))}"
            )
        if self._recorded is not None:
            return self._by_host(images, index, epoch, occurrence)
        with on(images.device):
            self._point(images)
            self._write_keys(index, epoch, occurrence)
            self.replay()
        return self.target

    def _write_keys(self, index: IntLike, epoch: IntLike, occurrence: IntLike) -> None:
        keys = ((self.index, index), (self.epoch, epoch), (self.occurrence, occurrence))
        if not any(isinstance(value, torch.Tensor) for _, value in keys):
            rng = Rng.of(self.pipeline.seed, index, epoch, occurrence)
            if len(rng) != len(self.index):
                raise ValueError(f"index has {len(rng)} entries for {len(self.index)} images")
            words = np.concatenate([rng.index, rng.epoch, rng.occurrence]).view(np.int32)
            upload([words], self.index.device, self._inputs[2:].view(torch.int32))
            return
        for place, value in keys:
            if isinstance(value, torch.Tensor):
                place.copy_(value, non_blocking=True)
            elif isinstance(value, int):
                place.fill_(value)
            else:
                upload([np.asarray(value, np.int64).view(np.int32)], place.device, place.view(torch.int32))

    def _by_host(self, images: torch.Tensor, index: IntLike, epoch: IntLike, occurrence: IntLike) -> torch.Tensor:
        assert self._recorded is not None
        keys = {"index": index, "epoch": epoch, "occurrence": occurrence}
        sizes = [tuple(images.shape[2:])] * len(images)
        program = self.pipeline.draw(sizes, strength=self.strength, **keys)
        if len(program) != len(images):
            raise ValueError(f"index has {len(program)} entries for {len(images)} images")
        runs = fuse(program, exact_color=self._exact, joined=self.pipeline.fuse)
        result = self._recorded.render(list(images), runs)
        if isinstance(result, list):
            raise ValueError("the images end in several sizes, which no batch can hold; call the pipeline itself")
        return result


def _words(kind: tuple[Any, ...]) -> str:
    shape, dtype, stride, device_ = kind
    return f"{' x '.join(map(str, shape))} {dtype} with strides {tuple(stride)} on {device_}"


def _shape(lowered: Lowered, images: torch.Tensor, output: Any, exact: bool) -> Shape:
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
    )


def _constants(lowered: Lowered, images: torch.Tensor, target: torch.Tensor, exact: bool) -> Sequence[torch.Tensor]:
    """Return what the draw kernel reads beside its inputs: program, blocks, palette, what `place` knows, fill."""
    rows, strides = lowered.instructions, images.stride()
    sizes = (*images.shape[2:], *lowered.size)
    result = (target.data_ptr(), target[0].numel() * target.element_size())
    border = BORDER_MODES.index(lowered.border.mode)
    known = [*sizes, *strides[1:], strides[0], images.element_size(), *result, border]
    luma = LUMA if exact else LUMA_ONE
    arrays: list[Array] = [
        rows.view(np.int32).reshape(-1) if len(rows) else np.zeros(4, np.int32),
        lowered.blocks.view(np.int32) if len(lowered.blocks) else np.zeros((1, 2), np.int32),
        np.concatenate([luma, HUE_TURN.ravel()]),
        np.array(known, np.int64),
        np.array(fill_values(lowered.border.fill, 3), np.float32),
    ]
    return [torch.from_numpy(array).to(images.device) for array in arrays]


def _draw(
    lowered: Lowered, shape: Shape, inputs: torch.Tensor, constants: Sequence[torch.Tensor], words: torch.Tensor
) -> None:
    """Start the draw kernel, which writes rows, steps and stops into `words`."""
    rows, steps, stops, _ = shape.ends
    together = min(_TOGETHER, 1 << (shape.samples - 1).bit_length()) if INTERPRETED else 1
    device.draw[(-(-shape.samples // together),)](
        inputs,
        *constants,
        words[:rows],
        words[rows:steps],
        words[steps:stops],
        shape.samples,
        len(lowered.instructions),
        shape.capacity,
        shape.stages,
        C=shape.channels,
        EXACT=shape.exact,
        N=together,
        num_warps=1,
    )


def _start(draw: Callable[[], None], shape: Shape, words: torch.Tensor, sums: torch.Tensor) -> None:
    draw()
    shape.start(words, sums)
