"""From augmented images back to the original ones: the inverse of a drawn program's homographies, as a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.batch import find_image, get_image, is_image
from augsynth.fuse import fuse
from augsynth.points import Route, forward
from augsynth.program import Plan, Program
from augsynth.runs import Geometry
from augsynth.transforms.base import Array, Border, Geometric, Standalone
from augsynth.transforms.combine import Mixture

_ROUNDING = 1e-6  # pixels
_CANVAS = "image"


@dataclass(frozen=True)
class Unwarp(Geometric):
    """Move pixels by a homography from output to input, nine parameters, to an image of height and width, two more."""

    fill: float = 0.0
    interpolation: str = "bilinear"

    params: ClassVar[int] = 11
    may_stay_inside: ClassVar[bool] = True

    @property
    def border(self) -> Border:
        return Border("constant", (self.fill,))

    @property
    def constant(self) -> tuple[float, ...]:
        # Scores are of any range, and so is what stands for none.
        return (0.0,)

    def matrix(self, params: Array, sizes: Array) -> Array:
        return params[:, :9].reshape(-1, 3, 3)

    def output_size(self, params: Array, sizes: Array) -> Array:
        return params[:, 9:]

    def looks_outside(self, params: Array, sizes: Array) -> Array:
        return _outside(self.matrix(params, sizes), params[:, 9:], sizes)


class UnwarpApart(Unwarp):
    """The same as a resample of its own, because the step before it has cut something off."""

    opens_run: ClassVar[bool] = True


def _outside(maps: Array, sizes_out: Array, sizes_in: Array) -> Array:
    """Tell for homographies `(R, 3, 3)` whether the output's corners lie outside the input `(R,)`."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * sizes_out[:, None, ::-1]
    moved = forward(maps, corners)
    points = moved[..., :2] / np.maximum(moved[..., 2:], _ROUNDING)
    past = (points < -_ROUNDING) | (points > sizes_in[:, None, ::-1] + _ROUNDING) | (moved[..., 2:] <= _ROUNDING)
    return np.asarray(past.any((1, 2)))


def check_invertible(plan: Plan) -> None:
    """Raise ValueError that lists the transforms which move pixels in a way that cannot be undone."""
    names = [
        f"{leaf.name} ({type(leaf.transform).__name__})"
        for leaf in plan.leaves
        if isinstance(leaf.transform, Mixture) or (isinstance(leaf.transform, Standalone) and leaf.transform.moves)
    ]
    if names:
        raise ValueError(
            f"inverse: {', '.join(names)} move pixels by more than a homography, which cannot be undone; leave them "
            "out of a pipeline for test-time augmentation"
        )


def unwarping(pipeline: Any, program: Program, floating: bool, fill: float, mask_fill: float) -> tuple[Any, Program]:
    """Return the pipeline that undoes a program's moves, and its own program.

    floating: its images are floats of any range.
    """
    sizes = program.sizes[:, 0]
    route = Route.of(fuse(program, exact_color=True, joined=pipeline.fuse), sizes)
    steps: dict[str, Geometric] = {}
    rows: list[tuple[Array, Array]] = []
    apart = False
    for step in reversed(range(len(route.steps))):
        run, before, after = route.steps[step], route.before(step), route.canvases[step]
        assert isinstance(run, Geometry)
        steps[f"undo_{step + 1}"] = (UnwarpApart if apart else Unwarp)(fill)
        numbers = np.concatenate([np.linalg.inv(run.whole).reshape(-1, 9), before[run.rows]], 1)
        rows.append((run.rows, numbers))
        # What the step has added around the image is not of it: the steps before must not read there.
        apart = bool(_outside(run.whole, after[run.rows], before[run.rows]).any())
    plain = {"min_area": 0.0, "min_visibility": 0.0, "mask_fill": mask_fill, "fuse": True, "engine": "auto"}
    values = {"clamp": not floating, "value_range": (0.0, 1.0), "dtype": None}
    back = replace(pipeline, transforms=steps, **plain, **values)
    return back, _way(back.plan, rows, program.sizes[:, -1])


def _way(plan: Plan, steps: list[tuple[Array, Array]], sizes: Array) -> Program:
    """Return the program that takes each sample through its steps, by rows and parameters."""
    count, width = len(sizes), len(steps)
    ops, params = np.zeros((count, width), np.int64), np.zeros((count, width, plan.params))
    at = np.empty((count, width + 1, 2))
    at[:, 0] = sizes
    for slot, (rows, numbers) in enumerate(steps):
        ops[rows, slot], params[rows, slot] = slot + 1, numbers
        at[:, slot + 1] = at[:, slot]
        at[rows, slot + 1] = numbers[:, 9:]
    return Program(plan, ops, params, at)


@dataclass(frozen=True)
class Predicted:
    """Predictions as a pipeline takes them. floating: with an image of floats. added: an image that goes out again."""

    data: Any
    floating: bool
    added: bool

    def without(self, result: Any) -> Any:
        """Return what came out, without an image that was added."""
        if not self.added:
            return result
        if isinstance(result, list):
            return [{k: v for k, v in entry.items() if k != _CANVAS} for entry in result]
        return {k: v for k, v in result.items() if k != _CANVAS}


def with_canvas(data: Any, program: Program, path: Any) -> Predicted:
    """Give predictions an image if they have none, for a pipeline's targets stand beside one."""
    entries = data if isinstance(data, list) else [data]
    bare = [isinstance(entry, Mapping) and not _has_image(entry, path) for entry in entries]
    if entries and all(bare):
        sizes = [tuple(size) for size in program.sizes[:, -1].astype(int).tolist()]
        if isinstance(data, list):
            if len(data) != len(sizes):
                raise ValueError(f"inverse: {len(data)} entries for a program of {len(sizes)} images")
            canvases = [torch.zeros((1, *size), dtype=torch.uint8) for size in sizes]
            added: Any = [{**entry, _CANVAS: canvas} for entry, canvas in zip(data, canvases, strict=True)]
            return Predicted(added, False, True)
        if len(set(sizes)) > 1:
            raise ValueError("inverse: the augmented images differ in size; give a list with one dict per image")
        shape = (1, *sizes[0]) if len(sizes) == 1 else (len(sizes), 1, *sizes[0])
        return Predicted({**data, _CANVAS: torch.zeros(shape, dtype=torch.uint8)}, False, True)
    first = entries[0] if entries else data
    image = get_image(first, find_image(first, path))
    floating = isinstance(image, (torch.Tensor, np.ndarray)) and "float" in str(image.dtype)
    return Predicted(data, floating, False)


def _has_image(sample: Mapping[Any, Any], path: Any) -> bool:
    if path is not None:
        return path in sample
    return any(name in sample and is_image(sample[name]) for name in ("image", "img", "pixel_values"))
