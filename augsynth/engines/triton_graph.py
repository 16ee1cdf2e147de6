"""Batches of one kind, augmented by replaying one CUDA graph: draw, means where the plan has contrast, pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from augsynth.engines.triton import Recorded
from augsynth.engines.triton_drawing import Drawing
from augsynth.engines.triton_memory import on, record
from augsynth.engines.triton_plan import Unsupported, lower
from augsynth.engines.triton_table import sources
from augsynth.fuse import fuse
from augsynth.images import Form
from augsynth.rng import IntLike

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

_POINTS = (torch.float16, torch.float32, torch.float64)


class Graphed:
    """A pipeline for batches of one shape, dtype and layout. Its results are overwritten by the next call.

    draws_on: "device", or "host: " and the first transform that the device cannot draw. With draws on the device a call
    replays one graph and the host waits for nothing; `drawing.index`, `drawing.epoch` and `drawing.occurrence`, `(B,)`
    int64, may also be filled by the user's own kernels: then `replay()` is all there is to do.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        images: torch.Tensor,
        masks: torch.Tensor | None = None,
        keypoints: torch.Tensor | None = None,
        strength: float = 1.0,
    ) -> None:
        """Prepare for batches like these. Raises ValueError for images that are too small, and for odd targets."""
        sources([images[0]])  # for its check
        _check_targets(images, masks, keypoints)
        self.pipeline, self.strength = pipeline, strength
        self._like = [_kind(batch) for batch in (images, masks, keypoints)]
        self._exact = pipeline.color == "exact"
        output = pipeline._output(Form.of(images[0], "sample 0"))
        self._recorded: Recorded | None = None
        self.draws_on = "device"
        try:
            lowered = lower(pipeline.plan, (images.shape[2], images.shape[3]), strength, pipeline.fuse, pipeline.rules)
        except Unsupported as reason:
            self.draws_on = f"host: {reason}"
            if masks is not None or keypoints is not None:
                raise ValueError(
                    f"graphed: masks and keypoints need a draw on the device, which cannot draw {reason}; "
                    "call the pipeline itself"
                ) from None
            self._recorded = Recorded(output, self._exact)
            return
        with on(images.device):
            # Of a plan that moves no pixel nothing has to follow.
            riders = (masks, keypoints) if pipeline.plan.moves else (None, None)
            self.drawing = Drawing(lowered, (images, *riders), output, self._exact)
            self.drawing.point(pipeline.seed, (images, *riders))
            self.drawing.write_keys(range(len(images)), 0, 0)
            self.replay: Callable[[], object] = record(self.drawing.start, images.device)

    def __call__(
        self,
        images: torch.Tensor,
        masks: torch.Tensor | None = None,
        keypoints: torch.Tensor | None = None,
        *,
        index: IntLike,
        epoch: IntLike = 0,
        occurrence: IntLike = 0,
    ) -> Any:
        """Augment a batch under the keys that `Pipeline.__call__` takes; returns images `(B, C, h, w)`.

        With masks or keypoints it is a tuple, what was given in this order. Of what lies on the device nothing is read
        by the host. Raises ValueError for a batch of another kind.
        """
        batches = (images, masks, keypoints)
        for name, batch, like in zip(("images", "masks", "keypoints"), batches, self._like, strict=True):
            if _kind(batch) != like:
                raise ValueError(f"this graph takes {name} of {_words(like)}; got {_words(_kind(batch))}")
        if self._recorded is not None:
            return self._by_host(images, index, epoch, occurrence)
        with on(images.device):
            self.drawing.point(self.pipeline.seed, batches if self.pipeline.plan.moves else (images, None, None))
            self.drawing.write_keys(index, epoch, occurrence)
            self.replay()
        riders = self.drawing.results[1:] if self.pipeline.plan.moves else (masks, keypoints)
        results = tuple(result for result in (self.drawing.results[0], *riders) if result is not None)
        return results if len(results) > 1 else results[0]

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


def _kind(batch: torch.Tensor | None) -> Any:
    return None if batch is None else (batch.shape, batch.dtype, batch.stride(), batch.device)


def _words(kind: Any) -> str:
    if kind is None:
        return "no kind"
    shape, dtype, stride, device = kind
    return f"{' x '.join(map(str, shape))} {dtype} with strides {tuple(stride)} on {device}"


def _check_targets(images: torch.Tensor, masks: torch.Tensor | None, keypoints: torch.Tensor | None) -> None:
    """Raise ValueError for what is no batch of masks or keypoints beside these images."""
    count, size = len(images), tuple(images.shape[2:])
    if masks is not None and not (
        masks.ndim in (3, 4) and len(masks) == count and tuple(masks.shape[-2:]) == size and masks.numel()
    ):
        raise ValueError(f"graphed: masks are {_words(_kind(masks))}; give (B, H, W) or (B, N, H, W) of the images")
    if keypoints is not None and not (
        keypoints.ndim in (3, 4)
        and len(keypoints) == count
        and keypoints.shape[-1] in (2, 3)
        and keypoints.dtype in _POINTS
        and keypoints.is_contiguous()
        and keypoints.numel()
    ):
        raise ValueError(
            f"graphed: keypoints are {_words(_kind(keypoints))}; give contiguous floats (B, N, 2), or (B, N, 3) with "
            "visibility"
        )
    if any(batch is not None and batch.device != images.device for batch in (masks, keypoints)):
        raise ValueError("graphed: images, masks and keypoints lie on different devices")
