"""`Pipeline`: named transforms, drawn per sample, fused, and rendered by the engine that suits the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from augsynth.batch import find_image, get_image, is_image, set_image
from augsynth.engines.output import Output
from augsynth.fuse import fuse
from augsynth.images import FLOATS, Form, check_values, from_tensor, split, to_array, to_tensor
from augsynth.program import Plan, Program, describe_runs, draw
from augsynth.rng import IntLike, Rng
from augsynth.transforms.base import Leaf, named

ENGINES = ("auto", "opencv", "torch")
COLORS = ("exact", "linear")
OUTPUT_DTYPES = (torch.uint8, torch.float32, torch.bfloat16, torch.float16)
_TARGET_KEYS = ("mask", "masks", "boxes", "bbox", "bboxes", "keypoints", "segmentation")
_TARGET_TENSORS = ("BoundingBoxes", "Mask", "KeyPoints")


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Augment images by named transforms; a pure function of (seed, epoch, index) when an index is given.

    transforms: a list, or a mapping of names (a None entry is left out). seed: 0 to 2**32 - 1.
    engine: auto, opencv (CPU; 1 or 3 channels) or torch (anywhere, differentiable).
    color: exact (torchvision's semantics, a clamp after each step) or linear (one matrix, one clamp: faster).
    dtype: of the output; by default the input's, or float32 after Normalize. fuse=False renders the sequential chain.
    """

    transforms: Any
    seed: int = 0
    engine: str = "auto"
    color: str = "exact"
    dtype: torch.dtype | None = None
    fuse: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "transforms", named(self.transforms, "Pipeline"))
        for field, allowed in (("engine", ENGINES), ("color", COLORS)):
            if getattr(self, field) not in allowed:
                raise ValueError(f"Pipeline: {field}={getattr(self, field)!r} is not one of {', '.join(allowed)}")
        if isinstance(self.dtype, str):
            object.__setattr__(self, "dtype", getattr(torch, self.dtype.removeprefix("torch."), self.dtype))
        if self.dtype is not None and self.dtype not in OUTPUT_DTYPES:
            raise ValueError(f"Pipeline: dtype={self.dtype} is not one of {', '.join(map(str, OUTPUT_DTYPES))}")
        Rng.of(self.seed, 0)
        plan = Plan.of(self.transforms)
        if plan.normalize is not None and self.dtype == torch.uint8:
            raise ValueError("Pipeline: dtype=torch.uint8 cannot hold what Normalize makes; leave one of them out")
        object.__setattr__(self, "plan", plan)

    plan: Plan = field(init=False)  # compiled in __post_init__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]

    def _fields(self) -> tuple[Any, ...]:
        names = list(self.transforms.items())  # the order counts
        return names, self.seed, self.engine, self.color, self.dtype, self.fuse

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={transform!r}" for name, transform in self.transforms.items())
        return f"Pipeline({inner}; seed={self.seed}, engine={self.engine!r}, color={self.color!r})"

    def __call__(
        self,
        data: Any,
        *,
        index: IntLike | None = None,
        epoch: IntLike = 0,
        occurrence: IntLike = 0,
        strength: float = 1.0,
        key: int | str | None = None,
    ) -> Any:
        """Augment an image, a batch, a sample around one (tuple, dict) or a list of samples; structure is kept.

        index: one int per image; without it a fresh key is drawn from torch's global generator. key: where the image
        stands in a sample that leaves it open. strength: 0 to 1, a factor on every range and `p`.
        Raises TypeError or ValueError naming the sample for what is not a valid image.
        """
        normalized = self.plan.normalize is not None
        if isinstance(data, list) and data and all(_is_sample(entry) for entry in data):
            paths = [find_image(entry, key) for entry in data]
            images = [get_image(entry, path) for entry, path in zip(data, paths, strict=True)]
            for entry, path in zip(data, paths, strict=True):
                self.check_targets(entry, path)
            rng = self._rng(len(images), index, epoch, occurrence)
            done = [from_tensor(image, form, normalized) for image, form in self._render(images, rng, strength)]
            return [set_image(e, path, image) for e, path, image in zip(data, paths, done, strict=True)]
        path = find_image(data, key)
        self.check_targets(data, path)
        image = get_image(data, path)
        rows, join = split(image)
        rng = self._rng(len(rows), index, epoch, occurrence)
        rendered = self._render(rows, rng, strength)
        return set_image(data, path, join([from_tensor(out, form, normalized) for out, form in rendered]))

    def images(self, images: Any, rng: Rng, strength: float = 1.0) -> torch.Tensor | list[torch.Tensor]:
        """Augment a sequence of images, or a batch tensor, under the keys of `rng`.

        Returns one `(B, C, H, W)` tensor when all end in the same size, else a list of `(C, H, W)` tensors.
        """
        rendered = [out for out, _ in self._render(list(images), rng, strength)]
        if len({tuple(out.shape) for out in rendered}) != 1:
            return rendered
        base = rendered[0]._base
        if (
            base is not None
            and base.shape == (len(rendered), *rendered[0].shape)
            and all(out._base is base for out in rendered)
        ):
            return base
        return torch.stack(rendered)

    def draw(
        self, sizes: Any, *, index: IntLike, epoch: IntLike = 0, occurrence: IntLike = 0, strength: float = 1.0
    ) -> Program:
        """Draw without rendering: the op codes and parameters of images of `sizes`, (height, width) each."""
        pairs = np.asarray(sizes, np.float64).reshape(-1, 2)
        return draw(self.plan, Rng.of(self.seed, index, epoch, occurrence), pairs, strength)

    def explain(self) -> str:
        """Say what runs in which pass, on which engine, and where the keys come from."""
        engine = {"auto": "opencv on CPU, torch elsewhere"}.get(self.engine, self.engine)
        keys = "keys from torch's generator unless ag.loader or index= brings them"
        return f"{describe_runs(self.plan, self.fuse)} (engine {engine}, {self.color} color, {keys})"

    def _rng(self, count: int, index: IntLike | None, epoch: IntLike, occurrence: IntLike) -> Rng:
        if index is None:
            return Rng.fresh(count)
        rng = Rng.of(self.seed, index, epoch, occurrence)
        if len(rng) != count:
            raise ValueError(f"index has {len(rng)} entries for {count} images")
        return rng

    def _render(self, images: Sequence[Any], rng: Rng, strength: float) -> list[tuple[torch.Tensor, Form]]:
        if not images:
            raise ValueError("there is no image in this batch")
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength={strength} must lie in 0 to 1")
        if len(rng) != len(images):
            raise ValueError(f"{len(rng)} keys for {len(images)} images")
        forms = [Form.of(image, f"sample {i} (index {rng.index[i]})") for i, image in enumerate(images)]
        _check_alike(forms)
        self._check_channels(forms)
        output, engine = self._output(forms[0]), self._engine(images, forms)
        sizes = np.array([form.size for form in forms], np.float64)
        program = draw(self.plan, rng, sizes, strength)
        runs = fuse(program, exact_color=self.color == "exact", joined=self.fuse)
        exact = self.color == "exact"
        if engine == "opencv":
            from augsynth.engines import opencv

            arrays = [to_array(image, form) for image, form in zip(images, forms, strict=True)]
            check_values(arrays, forms)
            return list(zip(opencv.render(arrays, runs, program.sizes[:, -1], output, exact), forms, strict=True))
        from augsynth.engines import torch as torch_engine

        tensors = [to_tensor(image, form) for image, form in zip(images, forms, strict=True)]
        check_values(tensors, forms)
        return list(zip(torch_engine.render(tensors, runs, output, exact), forms, strict=True))

    def _check_channels(self, forms: Sequence[Form]) -> None:
        """Refuse colour on images that are neither gray nor RGB, and fills that do not suit channels or value range."""
        for form in {form.channels: form for form in reversed(forms)}.values():
            for leaf in self.plan.leaves:
                needs = leaf.transform.channels if isinstance(leaf.transform, Leaf) else ()
                if needs and form.channels not in needs:
                    wanted = " or ".join(map(str, needs))
                    raise ValueError(f"{form.where}: {leaf.name} needs {wanted} channels, not {form.channels}")
                fill = leaf.transform.constant
                if len(fill) not in (1, form.channels):
                    raise ValueError(
                        f"{form.where}: {leaf.name} has a fill of {len(fill)} values for {form.channels} channels"
                    )
                if max(fill) > (white := 255 if form.dtype == torch.uint8 else 1):
                    raise ValueError(
                        f"{form.where}: {leaf.name} has a fill of {max(fill):g}; {form.dtype} goes from 0 to {white}"
                    )

    def _output(self, form: Form) -> Output:
        normalize = self.plan.normalize
        dtype = self.dtype or (torch.float32 if normalize else form.dtype)
        white = 255.0 if form.dtype == torch.uint8 else 1.0
        return Output(white, normalize.mean if normalize else None, normalize.std if normalize else None, dtype)

    def _engine(self, images: Sequence[Any], forms: Sequence[Form]) -> str:
        fits = all(form.device == "cpu" and form.dtype in (torch.uint8, torch.float32) for form in forms)
        fits = fits and all(form.channels in (1, 3) for form in forms)
        if self.engine == "opencv" and not fits:
            form = next(f for f in forms if f.device != "cpu" or f.dtype in FLOATS[1:] or f.channels not in (1, 3))
            raise ValueError(
                f"engine=opencv renders uint8 or float32 images of 1 or 3 channels on the CPU; {form.where} is "
                f"{form.dtype} with {form.channels} channels on {form.device}. Use engine=auto or torch"
            )
        traced = any(isinstance(image, torch.Tensor) and image.requires_grad for image in images)
        if self.engine == "opencv" and traced:
            raise ValueError("engine=opencv cannot be differentiated, and an image requires grad; use auto or torch")
        if self.engine != "auto":
            return self.engine
        return "opencv" if fits and not traced else "torch"

    def check_targets(self, sample: Any, path: int | str | None) -> None:
        """Refuse to move pixels away from a mask, boxes or keypoints that would stay behind."""
        if path is None or not self.plan.moves:
            return
        found = next((pair for name, value in _entries(sample) if name != path for pair in _targets(name, value)), None)
        if found is not None:
            raise TypeError(
                f"this pipeline moves pixels, but cannot move {found[0]!r} ({type(found[1]).__name__}) with them; "
                "only images are supported so far. Take the entry out, or use colour transforms alone"
            )


def _entries(sample: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(sample, Mapping):
        return sample.items()
    return zip(getattr(sample, "_fields", range(len(sample))), sample, strict=True)


def _targets(name: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what would have to move with the pixels, at any depth of a sample."""
    if name in _TARGET_KEYS or type(value).__name__ in _TARGET_TENSORS:
        yield name, value
    elif isinstance(value, (Mapping, tuple, list)):
        for inner, part in _entries(value):
            yield from _targets(inner, part)


def _is_sample(entry: Any) -> bool:
    return is_image(entry) or isinstance(entry, (tuple, Mapping))


def _check_alike(forms: Sequence[Form]) -> None:
    first = forms[0]
    for form in forms:
        if form.dtype != first.dtype:
            raise TypeError(
                f"{form.where} is {form.dtype} and {first.where} is {first.dtype}: give one dtype per batch"
            )
