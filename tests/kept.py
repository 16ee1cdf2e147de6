"""Which pixels a chain of transforms takes from inside the image, as law 7 asks."""

from __future__ import annotations

import dataclasses

import torch

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.program import walk
from augsynth.transforms.base import Composite, Geometric, snake


def kept_pixels(steps, sizes, engine, index=(11, 5, 8, 2)):
    """Tell which output pixels both the chain and the fused run take from inside the images alone."""
    names = [snake(type(step).__name__) for step in steps]
    moves = {name: _black(step) for name, step in zip(names, steps, strict=True) if not _paints(step)}
    white = [torch.ones(1, *size) for size in sizes]
    fused, chain = (
        Pipeline(moves, seed=6, engine=engine, fuse=fuse)(white, index=list(index)) for fuse in (True, False)
    )
    found = []
    for one, other in zip(fused, chain, strict=True):
        kept = torch.minimum(one, other)[0] > 0.999
        # Enlarging a window, the chain repeats its edge where the fused run still sees the image.
        inner = torch.zeros_like(kept)
        inner[3:-3, 3:-3] = True
        found.append(kept & inner)
    return found


def _paints(step):
    if isinstance(step, T.Normalize):
        return True
    leaves = [part for _, part in walk("", step) if not isinstance(part, Composite)]
    return not any(isinstance(leaf, (Geometric, T.Mosaic)) or getattr(leaf, "moves", False) for leaf in leaves)


def _black(step):
    names = {field.name for field in dataclasses.fields(step)}
    changes = {"fill": 0.0} if "fill" in names else {}
    return dataclasses.replace(step, **changes, **({"padding_mode": "constant"} if "padding_mode" in names else {}))
