"""The same draw again: recorded with the images, read from plain data, rendered on others, and mapped back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.errors import suggest
from augsynth.program import Plan, Program, rows_by_code
from augsynth.rng import IntLike, Rng
from augsynth.targets import Targets
from augsynth.transforms.base import Array, Geometric
from augsynth.transforms.mix import Mix
from augsynth.unwarping import check_invertible, unwarping, with_canvas

if TYPE_CHECKING:
    from augsynth.finding import Keys, Rules

# From keys, sizes, strength and targets to what is rendered.
Draws = Callable[[Rng, Array, float, Targets | None], Program]
_STEP, _SAMPLE = ("name", "transform", "params"), ("size", "output_size", "steps")


class Replayed:
    """The methods of `Pipeline` about draws that are kept; what they need of it stands here without values."""

    if TYPE_CHECKING:
        plan: Plan
        text_plan: Plan | None
        token_plan: Plan | None
        rules: Rules
        mask_fill: float
        _pictures: Callable[..., Any]
        _draw: Draws
        _rng: Callable[[int, IntLike | None, IntLike, IntLike], Rng]

    def record(
        self,
        data: Any,
        *,
        index: IntLike | None = None,
        epoch: IntLike = 0,
        occurrence: IntLike = 0,
        strength: float | torch.Tensor = 1.0,
        key: int | str | None = None,
        keys: Keys | None = None,
    ) -> tuple[Any, Program]:
        """Augment as a call does, and return the result and the program that was drawn for it, see `replay`.

        Raises TypeError for a pipeline that edits texts or mixes samples, whose draws are no program of each image.
        """
        self._check_kept("record")
        kept: list[Program] = []

        def draws(rng: Rng, sizes: Array, strength: float, targets: Targets | None) -> Program:
            kept.append(self._draw(rng, sizes, strength, targets))
            return kept[0]

        rng_of = lambda count: self._rng(count, index, epoch, occurrence)  # noqa: E731
        return self._pictures(data, rng_of, strength, key, keys, draws), kept[0]

    def replay(
        self,
        data: Any,
        program: Program | Mapping[str, Any],
        *,
        key: int | str | None = None,
        keys: Keys | None = None,
    ) -> Any:
        """Augment images, and the targets beside them, by a program that was drawn before, on images of its sizes.

        program: of `record` or `draw`, or what its `to_dict` gave, edited or not. A program of one sample serves all
        images of the batch, such as the frames of a video. data, key, keys: as for a call.
        Raises ValueError naming the sample and the step that do not fit.
        """
        self._check_kept("replay")
        drawn = self._program(program)

        def draws(rng: Rng, sizes: Array, strength: float, targets: Targets | None) -> Program:
            fitting = _fitting(drawn, sizes)
            boxes = None if targets is None else targets.open(sizes)
            for slot in range(fitting.ops.shape[1] if boxes else 0):
                for code, rows in rows_by_code(fitting.ops[:, slot]):
                    leaf = fitting.plan.leaves[code - 1].transform
                    params = fitting.params[rows, slot, : leaf.params]
                    boxes.follow(leaf, rows, params, fitting.sizes[rows, slot])  # type: ignore[union-attr]
            return fitting

        return self._pictures(data, lambda count: Rng.of(0, range(count)), 1.0, key, keys, draws)

    def inverse(
        self,
        data: Any,
        program: Program | Mapping[str, Any],
        *,
        fill: float = 0.0,
        mask_fill: float | None = None,
        key: int | str | None = None,
        keys: Keys | None = None,
    ) -> Any:
        """Map what was predicted on augmented images back to the original ones: for test-time augmentation.

        data: score maps `(B, C, H, W)`, floats of any range, or a dict or list of dicts with mask, boxes, keypoints and
        an image or none. Flips, quarter turns and whole-pixel crops are exact, other score maps bilinear, masks the
        nearest pixel; what the augmented image does not show is fill, and mask_fill. Colour is not undone.
        Raises ValueError listing the transforms that have no inverse.
        """
        self._check_kept("inverse")
        check_invertible(self.plan)
        drawn = self._program(program)
        mask_fill = self.mask_fill if mask_fill is None else mask_fill
        given = with_canvas(data, drawn, (self.rules if keys is None else replace(self.rules, keys=keys)).image)
        back, way = unwarping(self, drawn, given.floating, fill, mask_fill)
        return given.without(back.replay(given.data, way, key=key, keys=keys))

    def _check_kept(self, method: str) -> None:
        names = [type(leaf.transform).__name__ for leaf in self.plan.leaves if isinstance(leaf.transform, Mix)]
        if names:
            raise TypeError(
                f"{method}: {names[0]} mixes the samples of a batch, which is no matter of each image alone"
            )
        if self.text_plan is not None or self.token_plan is not None:
            raise TypeError(
                f"{method}: this pipeline edits texts, and a program is about images; a call with the same index= and "
                "epoch= makes the same edits again"
            )

    def _program(self, program: Program | Mapping[str, Any]) -> Program:
        if isinstance(program, Mapping):
            return program_of(self.plan, program)
        if not isinstance(program, Program):
            raise TypeError(
                f"a program is what record() or draw() give, or its to_dict(); got one of type {type(program).__name__}"
            )
        own, other = ([(leaf.name, leaf.transform) for leaf in plan.leaves] for plan in (self.plan, program.plan))
        if own != other:
            raise ValueError(
                f"this program was drawn from {', '.join(n for n, _ in other) or 'nothing'}, by another pipeline; this "
                f"one has {', '.join(n for n, _ in own) or 'nothing'}, or other arguments"
            )
        return program


def program_of(plan: Plan, data: Mapping[str, Any]) -> Program:
    """Read what `Program.to_dict` wrote. Raises ValueError naming the sample and the step that is wrong."""
    if data.get("version") != 1 or not isinstance(data.get("samples"), list) or not data["samples"]:
        seen = ", ".join(f"{key}={value!r:.30}" for key, value in data.items()) or "nothing"
        raise ValueError(f"a program has version 1 and samples, a list, as to_dict() writes it; this has {seen}")
    codes = {leaf.name: code for code, leaf in enumerate(plan.leaves, 1)}
    samples = [_steps(plan, codes, i, sample) for i, sample in enumerate(data["samples"])]
    width = max(plan.width, *(len(steps) for steps in samples))
    ops, params = np.zeros((len(samples), width), np.int64), np.zeros((len(samples), width, plan.params))
    sizes = np.empty((len(samples), width + 1, 2))
    sizes[:, 0] = [sample["size"] for sample in data["samples"]]
    for i, steps in enumerate(samples):
        for slot, (code, numbers) in enumerate(steps):
            ops[i, slot], params[i, slot, : len(numbers)] = code, numbers
    for slot in range(width):
        sizes[:, slot + 1] = sizes[:, slot]
        for code, rows in rows_by_code(ops[:, slot]):
            leaf = plan.leaves[code - 1].transform
            if isinstance(leaf, Geometric):
                sizes[rows, slot + 1] = leaf.output_size(params[rows, slot, : leaf.params], sizes[rows, slot])
    return Program(plan, ops, params, sizes)


def _steps(plan: Plan, codes: Mapping[str, int], i: int, sample: Mapping[str, Any]) -> list[tuple[int, list[float]]]:
    """Return op codes and parameters of one sample's steps."""
    _check_names(sample, _SAMPLE, f"sample {i}")
    if not _are_numbers(sample.get("size"), 2):
        raise ValueError(f"sample {i}: size={sample.get('size')!r} is not [height, width]")
    steps = sample.get("steps", [])
    if not isinstance(steps, (list, tuple)):
        raise ValueError(f"sample {i}: steps={steps!r:.40} is not a list")
    found = []
    for number, step in enumerate(steps):
        where = f"sample {i}, step {number}"
        _check_names(step, _STEP, where)
        name, numbers = step.get("name"), step.get("params", [])
        if name not in codes:
            raise ValueError(f"{where}: this pipeline has no {name!r}{suggest(str(name), list(codes))}")
        leaf = plan.leaves[codes[name] - 1].transform
        if step.get("transform", type(leaf).__name__) != type(leaf).__name__:
            raise ValueError(f"{where}: {name} is a {type(leaf).__name__} here, not a {step['transform']}")
        if not _are_numbers(numbers, leaf.params):
            raise ValueError(f"{where}: params={numbers!r} of {name} must be {leaf.params} numbers")
        found.append((codes[name], numbers))
    return found


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == count and all(isinstance(n, (int, float)) for n in value)


def _check_names(entry: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: {entry!r:.40} is not a mapping of {', '.join(known)}")
    wrong = next((name for name in entry if name not in known), None)
    if wrong is not None:
        raise ValueError(f"{where}: there is no {wrong!r}{suggest(str(wrong), known)}")


def _fitting(program: Program, sizes: Array) -> Program:
    """Return the program for images of `sizes (B, 2)`. Raises ValueError naming the sample it does not fit."""
    if len(program) == 1 and len(sizes) > 1:
        repeated = (np.repeat(array, len(sizes), 0) for array in (program.ops, program.params, program.sizes))
        program = Program(program.plan, *repeated)
    if len(program) != len(sizes):
        raise ValueError(f"the program was drawn for {len(program)} images, and there are {len(sizes)}")
    other = (program.sizes[:, 0] != sizes).any(1)
    if other.any():
        i = int(other.argmax())
        (height, width), (tall, wide) = sizes[i].astype(int), program.sizes[i, 0].astype(int)
        raise ValueError(
            f"sample {i} is {height} x {width}, and its program was drawn for {tall} x {wide} pixels; draw one for "
            "this size, or resize the image first"
        )
    return program
