"""`Views`: several pipelines over the same image, each with draws of its own, for self-supervised learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.batch import Path, find_image, get_image, is_dataclass, is_image, is_pil, set_image
from augsynth.columns import as_columns, rows_of_columns
from augsynth.configured import Configured
from augsynth.data import parcel
from augsynth.finding import Keys, Rules
from augsynth.images import Form, from_tensor, split, to_array
from augsynth.pipeline import Pipeline
from augsynth.program import Program
from augsynth.reading_config import check_version
from augsynth.rng import IntLike, Rng, philox, slot_id
from augsynth.transforms.base import Array, Geometric, RowError, Transform, affine_matrix
from augsynth.transforms.crop import CenterCrop, as_size


@dataclass(frozen=True, eq=False)
class Views(Configured):
    """Make several views of each image: a list of them, or a dict by name where `pipelines` is a mapping.

    pipelines: pipelines, or lists of transforms, in a list or a mapping of names. Each view draws by (seed, its name,
    epoch, index), so that equal pipelines give different views; names in a list are `view_1`, `view_2` and so on.
    A batch becomes one batch per view. seed: 0 to 2**32 - 1; the pipelines' own seeds do not count.
    """

    pipelines: Any
    seed: int = 0
    named: bool = field(init=False)
    views: dict[str, Pipeline] = field(init=False)
    version: InitVar[int | None] = None  # of a stored configuration, see `to_config`

    def __post_init__(self, version: int | None) -> None:
        if version is not None:
            check_version(version)
        given = self.pipelines
        if isinstance(given, (str, Pipeline, Transform)) or not isinstance(given, (Sequence, Mapping)) or not given:
            raise TypeError(f"Views takes a list or a mapping of pipelines, got {type(given).__name__} {given!r:.60}")
        Rng.of(self.seed, 0)
        named = isinstance(given, Mapping)
        entries = given.items() if isinstance(given, Mapping) else [(f"view_{i}", e) for i, e in enumerate(given, 1)]
        views = {str(name): _pipeline(str(name), entry, self.seed) for name, entry in entries if entry is not None}
        object.__setattr__(self, "named", named)
        object.__setattr__(self, "views", views)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Views) and (self.seed, self.named) == (other.seed, other.named) and _alike(self, other)

    __hash__ = None  # type: ignore[assignment]

    def _arguments(self) -> Iterator[tuple[str, Any]]:
        # An entry that is None keeps its place, for the others are named by theirs.
        listed = [self.views.get(f"view_{i}") for i in range(1, len(self.pipelines) + 1)]
        yield "pipelines", self.views if self.named else listed
        yield "seed", self.seed

    def __len__(self) -> int:
        return len(self.views)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={pipeline!r}" for name, pipeline in self.views.items())
        return f"Views({inner}; seed={self.seed})"

    def __call__(
        self,
        data: Any,
        *,
        index: IntLike | None = None,
        epoch: IntLike = 0,
        occurrence: IntLike = 0,
        strength: float = 1.0,
        key: Path = None,
        keys: Keys | None = None,
    ) -> Any:
        """Make the views of an image, a batch, a sample around one (tuple, dict) or a list of samples.

        The views stand where the image stood. The arguments are those of a `Pipeline`; without `index` one fresh key is
        drawn from torch's global generator. Raises TypeError for masks, boxes or keypoints that would have to move.
        """
        rules = self.rules if keys is None else replace(self.rules, keys=keys)
        key = rules.image if key is None else key
        if (columns := rows_of_columns(data, key)) is not None:
            given: dict[str, Any] = {"index": index, "epoch": epoch, "occurrence": occurrence}
            return as_columns(data, self(columns, strength=strength, key=key, keys=keys, **given))
        listed = isinstance(data, list) and bool(data) and all(is_image(e) or _holds(e) for e in data)
        samples = data if listed else [data]
        paths = [find_image(sample, key) for sample in samples]
        taken = [split(get_image(sample, path)) for sample, path in zip(samples, paths, strict=True)]
        images = [image for rows, _ in taken for image in rows]
        rng = self._rng(len(images), index, epoch, occurrence)
        batch = not listed and images and images[0] is not get_image(data, paths[0])
        self.find_targets(samples, paths, rng.index.tolist(), rules, len(images) if batch else None)
        forms = [Form.of(image, f"sample {i} (index {rng.index[i]})") for i, image in enumerate(images)]
        rendered = self._render(images, rng, strength)
        result, start = [], 0
        for sample, path, (rows, join) in zip(samples, paths, taken, strict=True):
            part = slice(start, start + len(rows))
            start += len(rows)
            found = {name: join(self._given_back(name, out[part], forms[part])) for name, out in rendered.items()}
            result.append(set_image(sample, path, self._together(found)))
        return result if listed else result[0]

    def images(self, images: Any, rng: Rng, strength: float = 1.0, targets: None = None) -> list[Any]:
        """Make the views of a sequence of images under the keys of `rng`, as tensors: one list or dict per image."""
        rendered = self._render(list(images), rng, strength)
        rows = {name: parcel.rows(out) if isinstance(out, torch.Tensor) else out for name, out in rendered.items()}
        return [self._together({name: view[i] for name, view in rows.items()}) for i in range(len(rng))]

    def batches(self, images: Any, rng: Rng, strength: float = 1.0, targets: None = None) -> Any:
        """Make the views of a batch under the keys of `rng`: a list or dict of one batch `(B, C, H, W)` per view."""
        return self._together(self._render(list(images), rng, strength))

    def draw(
        self, sizes: Any, *, index: IntLike, epoch: IntLike = 0, occurrence: IntLike = 0, strength: float = 1.0
    ) -> dict[str, Program]:
        """Draw each view's program without rendering, by name."""
        key: dict[str, Any] = {"index": index, "epoch": epoch, "occurrence": occurrence, "strength": strength}
        return {name: pipeline.draw(sizes, **key) for name, pipeline in self.views.items()}

    def explain(self) -> str:
        """Say for each view what runs in which pass, on which engine, and where the keys come from."""
        return "\n".join(f"{name}: {pipeline.explain()}" for name, pipeline in self.views.items())

    @property
    def rules(self) -> Rules:
        """How the entries of a sample are told apart: as the first view's pipeline does."""
        return next(iter(self.views.values())).rules

    def find_targets(
        self,
        samples: Sequence[Any],
        paths: Sequence[Path],
        index: Sequence[int],
        rules: Rules | None = None,
        count: int | None = None,
    ) -> None:
        """Refuse masks, boxes and keypoints that a view would have to move: there is one of each, not one per view."""
        for name, pipeline in self.views.items():
            if pipeline.find_targets(samples, paths, index, rules, count) is not None:
                raise TypeError(
                    f"Views: {name} moves pixels, and a sample has masks, boxes or keypoints, which cannot be in all "
                    "views at once; take them out, or make one Pipeline call per view"
                )

    def _rng(self, count: int, index: IntLike | None, epoch: IntLike, occurrence: IntLike) -> Rng:
        if index is None:
            return Rng.fresh(count)
        rng = Rng.of(self.seed, index, epoch, occurrence)
        if len(rng) != count:
            raise ValueError(f"index has {len(rng)} entries for {count} images")
        return rng

    def _render(self, images: Sequence[Any], rng: Rng, strength: float) -> dict[str, Any]:
        # A PIL image is decoded once, not once per view.
        forms = {i: Form.of(image, f"sample {i}") for i, image in enumerate(images) if is_pil(image)}
        plain = [to_array(image, forms[i]) if i in forms else image for i, image in enumerate(images)]
        return {
            name: pipeline.images(plain, replace(rng, seed=_seed_of(rng.seed, name)), strength)
            for name, pipeline in self.views.items()
        }

    def _given_back(self, name: str, rendered: Any, forms: Sequence[Form]) -> list[Any]:
        normalized = self.views[name].plan.normalize is not None
        return [from_tensor(out, form, normalized) for out, form in zip(rendered, forms, strict=True)]

    def _together(self, found: dict[str, Any]) -> Any:
        return found if self.named else list(found.values())

    @classmethod
    def five_crop(cls, size: int | tuple[int, int], transforms: Sequence[Transform] = (), seed: int = 0) -> Views:
        """Cut out the four corners and the middle, as torchvision's FiveCrop, each followed by `transforms`."""
        return cls([[crop, *transforms] for crop in _five(size)], seed)

    @classmethod
    def ten_crop(
        cls,
        size: int | tuple[int, int],
        vertical_flip: bool = False,
        transforms: Sequence[Transform] = (),
        seed: int = 0,
    ) -> Views:
        """Cut out the four corners and the middle, then the same of the mirrored image, as torchvision's TenCrop."""
        from augsynth.transforms import RandomHorizontalFlip, RandomVerticalFlip

        flip = RandomVerticalFlip(1.0) if vertical_flip else RandomHorizontalFlip(1.0)
        crops = _five(size)
        return cls([[*first, crop, *transforms] for first in ([], [flip]) for crop in crops], seed)


@dataclass(frozen=True)
class Corner(Geometric):
    """Cut a window of `size` out of a corner. Raises ValueError naming a sample that is smaller."""

    size: int | tuple[int, int]
    bottom: bool = False
    right: bool = False

    params: ClassVar[int] = 2

    def validate(self) -> None:
        if as_size(self.size) is None:
            self.fail("size", "an int above 0 or (height, width)")

    @cached_property
    def _extent(self) -> Array:
        return np.array(as_size(self.size), np.float64)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return top and left of the window."""
        room = sizes - self._extent
        small = (room < 0).any(1)
        if small.any():
            row = int(small.argmax())
            height, width = sizes[row].astype(int)
            raise RowError(row, f"a crop of {self.size} does not fit into {height} x {width} pixels")
        return np.asarray(room * [self.bottom, self.right])

    def matrix(self, params: Array, sizes: Array) -> Array:
        return affine_matrix(1.0, 0.0, 0.0, 1.0, params[:, 1], params[:, 0])

    def output_size(self, params: Array, sizes: Array) -> Array:
        return np.broadcast_to(self._extent, sizes.shape)


def _five(size: int | tuple[int, int]) -> list[Transform]:
    corners: list[Transform] = [Corner(size, bottom, right) for bottom in (False, True) for right in (False, True)]
    return [*corners, CenterCrop(size)]


def _pipeline(name: str, entry: Any, seed: int) -> Pipeline:
    """Return a view's pipeline under the view's own key."""
    pipeline = entry if isinstance(entry, Pipeline) else Pipeline(entry)
    if pipeline.mixes:
        raise TypeError(
            f"Views: {name}: {pipeline.mixes}, and views share one label; mix the views of a batch afterwards"
        )
    return replace(pipeline, seed=_seed_of(seed, name))


def _seed_of(seed: int, name: str) -> int:
    """Mix a seed with a view's name."""
    return int(philox((slot_id(name), 0, 0, 0), (seed, slot_id("view")))[0])


def _holds(entry: Any) -> bool:
    return isinstance(entry, (tuple, Mapping)) or is_dataclass(entry)


def _alike(one: Views, other: Views) -> bool:
    return list(one.views.items()) == list(other.views.items())
