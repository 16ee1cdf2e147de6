"""What `throughput.py` times: a recipe in each library, made into a call that renders a batch.

Every candidate takes B uint8 images in memory in its own layout, draws its parameters, and fills a normalized float32
batch; peers write into memory that is used again, as ours do. What a library cannot do, or refuses, is a `Failed`.
"""

from __future__ import annotations

import itertools
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import albumentations as A
import numpy as np
import torch
from PIL import Image
from protocol import MEAN, SEED, STD, Candidate, Failed, attempt
from recipes import Recipe
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.rng import Rng

BASE, REFERENCE = "albumentations", "torchvision, tensor"
SHARED = "(one draw for all)"
COMPILED = "kornia, compiled"
Images = Sequence[np.ndarray]


def candidates(recipe: Recipe, images: Images, compile_limit_s: float = 0.0) -> dict[str, Candidate | Failed]:
    """Return what renders a batch of these images in each library.

    compile_limit_s: how long torch.compile may take over kornia's pipeline; 0 leaves that candidate out.
    """
    makers: dict[str, Callable[[], Candidate]] = {}
    for color in ("linear", "exact") if recipe.color else ("exact",):
        name = f"augsynth {color}" if recipe.color else "augsynth"
        makers[name] = lambda color=color: ours(recipe.ours(), images, color)  # type: ignore[misc]
    makers[BASE] = lambda: albumentations(recipe.albumentations({}), images, recipe.out)
    if recipe.size[0] > recipe.out:
        area = {"area_for_downscale": "image"}
        makers[f"{BASE}, area"] = lambda: albumentations(recipe.albumentations(area), images, recipe.out)
    makers[REFERENCE] = lambda: torchvision(recipe.torchvision(), images, recipe.out, pil=False)
    makers["torchvision, PIL"] = lambda: torchvision(recipe.torchvision(), images, recipe.out, pil=True)
    makers[f"torchvision, batch {SHARED}"] = lambda: torchvision_batch(recipe.torchvision(), images)
    makers["kornia, batch"] = lambda: kornia(recipe, images)
    if compile_limit_s:
        makers[COMPILED] = lambda: compiled(kornia(recipe, images), compile_limit_s)
    makers["fuse-augmentations (some draws shared)"] = lambda: fuse_augmentations(recipe.torchvision(), images)
    return {name: attempt(make) for name, make in makers.items()}


def ours(steps: list[Any], images: Images, color: str) -> Candidate:
    """Augment the list of arrays as one batch, keyed by (seed, epoch, index), a new epoch each call."""
    pipeline = ag.Pipeline([*steps, T.Normalize(MEAN, STD)], color=color)
    epochs = itertools.count()
    return Candidate(lambda: pipeline.images(images, Rng.of(SEED, range(len(images)), next(epochs))), len(images))


def albumentations(steps: list[Any], images: Images, out: int) -> Candidate:
    """Augment one by one into the rows of a batch."""
    chain = A.Compose([*steps, A.Normalize(MEAN, STD)], seed=SEED)
    batch = np.empty((len(images), out, out, 3), np.float32)

    def run() -> torch.Tensor:
        for row, image in zip(batch, images, strict=True):
            row[...] = chain(image=image)["image"]
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    return Candidate(run, len(images))


def tensors(images: Images) -> list[torch.Tensor]:
    """Return contiguous `(C, H, W)` tensors, torchvision's layout."""
    return [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]


def _tail(pil: bool = False) -> list[Any]:
    head = [v2.ToImage()] if pil else []
    return [*head, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]


def torchvision(steps: list[Any], images: Images, out: int, pil: bool) -> Candidate:
    """Augment one by one and stack into a batch."""
    chain = v2.Compose([*steps, *_tail(pil)])
    inputs: list[Any] = [Image.fromarray(image) for image in images] if pil else list(tensors(images))
    batch = torch.empty((len(images), 3, out, out))
    return Candidate(lambda: torch.stack([chain(image) for image in inputs], out=batch), len(images))


def torchvision_batch(steps: list[Any], images: Images) -> Candidate:
    """Augment all in one call, which draws once: every image gets the same crop, flip and colours."""
    chain = v2.Compose([*steps, *_tail()])
    batch = torch.stack(tensors(images))
    return Candidate(lambda: chain(batch), len(images), per_sample=False)


def kornia(recipe: Recipe, images: Images) -> Candidate:
    """Augment all in one call; floats are made inside it, as kornia takes nothing else."""
    import kornia.augmentation as K

    if recipe.kornia is None:
        raise NotImplementedError("kornia has no counterpart")
    normalize = K.Normalize(torch.tensor(MEAN), torch.tensor(STD))
    chain = K.AugmentationSequential(*recipe.kornia(K), normalize, data_keys=["input"])
    batch = torch.stack(tensors(images))
    return Candidate(lambda: chain(batch.float().div(255)), len(images))


def fuse_augmentations(steps: list[Any], images: Images) -> Candidate:
    """Fuse torchvision's objects, with its setting for draws per sample."""
    from fuse_augmentations import Compose

    chain = Compose(steps, randomness="per_sample")
    batch = torch.stack(tensors(images))
    return Candidate(lambda: v2.functional.normalize(chain(batch.float().div(255)), MEAN, STD), len(images), False)


def compiled(candidate: Candidate, limit_s: float) -> Candidate:
    """Compile a candidate's call and warm it up until a call compiles nothing any more.

    Raises TimeoutError where `limit_s` seconds do not suffice, and whatever the compiler raises.
    """
    candidate.call()
    start = time.process_time()
    candidate.call()
    eager = time.process_time() - start
    for part in ("torch._dynamo", "torch._inductor"):
        logging.getLogger(part).setLevel(logging.CRITICAL + 1)  # breaks of the graph, and the alarm, with their stacks
    torch._dynamo.reset()
    call = torch.compile(candidate.call)
    begun = time.monotonic()
    try:
        with _alarm(limit_s):
            while True:
                start = time.process_time()
                call()
                if time.process_time() - start < 2 * eager + 0.05:
                    return replace(candidate, call=call)
    except Exception as error:
        # The compiler wraps whatever interrupts it.
        if time.monotonic() - begun < limit_s:
            raise
        raise TimeoutError(f"torch.compile was not through after {limit_s:.0f} s") from error


@contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    """Raise TimeoutError in this block after `limit_s` seconds of wall time, and again until it gets through."""

    def ring(*_: Any) -> None:
        raise TimeoutError("time is up")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
