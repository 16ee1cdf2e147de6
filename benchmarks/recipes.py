"""The recipes of `throughput.py`, written once for every library, each in the form that suits it best.

Every candidate takes B uint8 images in memory in its own layout, draws its parameters, and fills a normalized float32
batch; peers write into memory that is used again, as ours do. A library that has no counterpart of a step is left out.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A
import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.rng import Rng

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Candidate = Callable[[], Any]
BILINEAR = v2.InterpolationMode.BILINEAR


@dataclass(frozen=True)
class Recipe:
    """What one recipe is in each library: lists of transforms, without Normalize, made when called.

    size: height and width of the images that come in; out: side of what comes out. batch: images per call.
    """

    size: tuple[int, int]
    out: int
    batch: int
    ours: Callable[[], list[Any]]
    torchvision: Callable[[], list[Any]]
    albumentations: Callable[[dict[str, str]], list[Any]]
    kornia: Callable[[Any], list[Any]] | None = None
    color: bool = True


def _jitter(K: Any) -> Any:
    return K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0)


def _a_jitter(p: float = 1.0) -> Any:
    return A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=p)


def _a_affine() -> Any:
    return A.Affine(rotate=(-15, 15), translate_percent=(-0.1, 0.1), scale=(0.9, 1.1), shear=(-5, 5), p=1.0)


def _imagenet(size: tuple[int, int]) -> Recipe:
    return Recipe(
        size,
        224,
        64,
        lambda: [T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1)],
        lambda: [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4, 0.1)],
        lambda area: [A.RandomResizedCrop((224, 224), **area), A.HorizontalFlip(), _a_jitter()],
        lambda K: [K.RandomResizedCrop((224, 224), scale=(0.08, 1.0)), K.RandomHorizontalFlip(), _jitter(K)],
    )


RECIPES: dict[str, Recipe] = {
    "imagenet 256": _imagenet((256, 256)),
    "imagenet 500x375": _imagenet((375, 500)),
    "imagenet affine 256": Recipe(
        (256, 256),
        224,
        64,
        lambda: [
            T.RandomResizedCrop(224),
            T.RandomHorizontalFlip(),
            T.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation="bilinear"),
            T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        ],
        lambda: [
            v2.RandomResizedCrop(224),
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation=BILINEAR),
            v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
        ],
        lambda area: [A.RandomResizedCrop((224, 224), **area), A.HorizontalFlip(), _a_affine(), _a_jitter()],
        lambda K: [
            K.RandomResizedCrop((224, 224), scale=(0.08, 1.0)),
            K.RandomHorizontalFlip(),
            K.RandomAffine(15.0, (0.1, 0.1), (0.9, 1.1), 5.0, p=1.0),
            _jitter(K),
        ],
    ),
    "simclr 256": Recipe(
        (256, 256),
        224,
        64,
        lambda: [
            T.RandomResizedCrop(224),
            T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8),
            T.RandomGrayscale(0.2),
            T.RandomApply([T.GaussianBlur(23)], 0.5),
        ],
        lambda: [
            v2.RandomResizedCrop(224),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(23)], 0.5),
        ],
        lambda area: [
            A.RandomResizedCrop((224, 224), **area),
            A.HorizontalFlip(),
            A.ColorJitter((0.2, 1.8), (0.2, 1.8), (0.2, 1.8), (-0.2, 0.2), p=0.8),
            A.ToGray(p=0.2),
            A.GaussianBlur((23, 23), (0.1, 2.0), p=0.5),
        ],
        lambda K: [
            K.RandomResizedCrop((224, 224), scale=(0.08, 1.0)),
            K.RandomHorizontalFlip(),
            K.ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8),
            K.RandomGrayscale(p=0.2),
            K.RandomGaussianBlur((23, 23), (0.1, 2.0), p=0.5),
        ],
    ),
    "cifar 32": Recipe(
        (32, 32),
        32,
        256,
        lambda: [T.RandomCrop(32, 4), T.RandomHorizontalFlip()],
        lambda: [v2.RandomCrop(32, 4), v2.RandomHorizontalFlip()],
        lambda area: [A.Pad(4), A.RandomCrop(32, 32), A.HorizontalFlip()],
        lambda K: [K.RandomCrop((32, 32), padding=4), K.RandomHorizontalFlip()],
        color=False,
    ),
    "cifar strong 32": Recipe(
        (32, 32),
        32,
        256,
        lambda: [
            T.RandomCrop(32, 4),
            T.RandomHorizontalFlip(),
            T.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation="bilinear"),
            T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        ],
        lambda: [
            v2.RandomCrop(32, 4),
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation=BILINEAR),
            v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
        ],
        lambda area: [A.Pad(4), A.RandomCrop(32, 32), A.HorizontalFlip(), _a_affine(), _a_jitter()],
        lambda K: [
            K.RandomCrop((32, 32), padding=4),
            K.RandomHorizontalFlip(),
            K.RandomAffine(15.0, (0.1, 0.1), (0.9, 1.1), 5.0, p=1.0),
            _jitter(K),
        ],
    ),
    "rotate perspective resize": Recipe(
        (256, 256),
        224,
        64,
        lambda: [T.RandomRotation(30, "bilinear"), T.RandomPerspective(0.3, 1.0), T.Resize((224, 224))],
        lambda: [v2.RandomRotation(30, BILINEAR), v2.RandomPerspective(0.3, 1.0), v2.Resize((224, 224))],
        lambda area: [
            A.Rotate((-30, 30), border_mode=0, p=1.0),
            A.Perspective((0.05, 0.15), keep_size=True, p=1.0),
            A.Resize(224, 224, **area),
        ],
        lambda K: [
            K.RandomRotation(30.0, p=1.0),
            K.RandomPerspective(0.3, p=1.0),
            K.Resize((224, 224)),
        ],
        color=False,
    ),
}


def _a_randaugment(size: int) -> list[Any]:
    """RandAugment(2, 9) for albumentations, which has no policy: two of fourteen, at torchvision's magnitudes."""
    share = 9 / 30
    f = 0.9 * share
    both = lambda low, high, **k: A.OneOf([A.Affine(p=1.0, **low, **k), A.Affine(p=1.0, **high, **k)], p=1.0)  # noqa: E731
    shear, shift, turn = 17.2 * share, int(150 / 331 * size * share), 30 * share
    ops = [
        A.NoOp(p=1.0),
        both({"shear": {"x": (shear, shear), "y": (0, 0)}}, {"shear": {"x": (-shear, -shear), "y": (0, 0)}}),
        both({"shear": {"y": (shear, shear), "x": (0, 0)}}, {"shear": {"y": (-shear, -shear), "x": (0, 0)}}),
        both(
            {"translate_px": {"x": (shift, shift), "y": (0, 0)}}, {"translate_px": {"x": (-shift, -shift), "y": (0, 0)}}
        ),
        both(
            {"translate_px": {"y": (shift, shift), "x": (0, 0)}}, {"translate_px": {"y": (-shift, -shift), "x": (0, 0)}}
        ),
        both({"rotate": (turn, turn)}, {"rotate": (-turn, -turn)}),
        A.ColorJitter((1 - f, 1 + f), (1, 1), (1, 1), (0, 0), p=1.0),
        A.ColorJitter((1, 1), (1, 1), (1 - f, 1 + f), (0, 0), p=1.0),
        A.ColorJitter((1, 1), (1 - f, 1 + f), (1, 1), (0, 0), p=1.0),
        A.Sharpen((0.2, 0.3), (0.5, 1.0), p=1.0),
        A.Posterize(7, p=1.0),
        A.Solarize((0.7, 0.7), p=1.0),
        A.AutoContrast(p=1.0),
        A.Equalize(p=1.0),
    ]
    return [A.SomeOf(ops, n=2, replace=True, p=1.0)]


for _side, _batch in ((32, 256), (224, 64)):
    RECIPES[f"randaugment {_side}"] = Recipe(
        (_side, _side),
        _side,
        _batch,
        lambda: [T.RandAugment(2, 9)],
        lambda: [v2.RandAugment(2, 9)],
        lambda area, size=_side: _a_randaugment(size),  # type: ignore[misc]
        lambda K: [K.auto.RandAugment(2, 9)],
    )


def _normalize(out: torch.Tensor) -> torch.Tensor:
    return v2.functional.normalize(out.to(torch.float32).div_(255), MEAN, STD)


def candidates(recipe: Recipe, images: Sequence[np.ndarray]) -> dict[str, Candidate]:
    """Return what renders a batch of these images in each library."""
    table: dict[str, Candidate] = {}
    for color in ("linear", "exact") if recipe.color else ("exact",):
        table[f"augsynth {color}" if recipe.color else "augsynth"] = _ours(recipe, images, color)
    table["albumentations"] = _albumentations(recipe, images, {})
    if recipe.size[0] > recipe.out:
        table["albumentations, area"] = _albumentations(recipe, images, {"area_for_downscale": "image"})
    table["torchvision, tensor"] = _torchvision(recipe, images, pil=False)
    table["torchvision, PIL"] = _torchvision(recipe, images, pil=True)
    table["torchvision, batch (one draw for all)"] = _torchvision_batch(recipe, images)
    if (batched := _kornia(recipe, images)) is not None:
        table["kornia, batch"] = batched
    if (fused := _fuse_augmentations(recipe, images)) is not None:
        table["fuse-augmentations (some draws shared)"] = fused
    return table


def _ours(recipe: Recipe, images: Sequence[np.ndarray], color: str) -> Candidate:
    pipeline = ag.Pipeline([*recipe.ours(), T.Normalize(MEAN, STD)], color=color)
    epochs = itertools.count()
    return lambda: pipeline.images(images, Rng.of(0, range(len(images)), next(epochs)))


def _albumentations(recipe: Recipe, images: Sequence[np.ndarray], area: dict[str, str]) -> Candidate:
    chain = A.Compose([*recipe.albumentations(area), A.Normalize(MEAN, STD)])
    batch = np.empty((len(images), recipe.out, recipe.out, 3), np.float32)

    def run() -> torch.Tensor:
        for row, image in zip(batch, images, strict=True):
            row[...] = chain(image=image)["image"]
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    return run


def _tensors(images: Sequence[np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]


def _torchvision(recipe: Recipe, images: Sequence[np.ndarray], pil: bool) -> Candidate:
    head = [v2.ToImage()] if pil else []
    chain = v2.Compose([*recipe.torchvision(), *head, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    inputs: list[Any] = [Image.fromarray(image) for image in images] if pil else list(_tensors(images))
    batch = torch.empty((len(images), 3, recipe.out, recipe.out))
    return lambda: torch.stack([chain(image) for image in inputs], out=batch)


def _torchvision_batch(recipe: Recipe, images: Sequence[np.ndarray]) -> Candidate:
    chain = v2.Compose([*recipe.torchvision(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    batch = torch.stack(_tensors(images))
    return lambda: chain(batch)


def _kornia(recipe: Recipe, images: Sequence[np.ndarray]) -> Candidate | None:
    if recipe.kornia is None:
        return None
    try:
        import kornia.augmentation as K
    except ImportError:
        return None
    normalize = K.Normalize(torch.tensor(MEAN), torch.tensor(STD))
    chain = K.AugmentationSequential(*recipe.kornia(K), normalize, data_keys=["input"])
    batch = torch.stack(_tensors(images))
    return lambda: chain(batch.float().div(255))


def _fuse_augmentations(recipe: Recipe, images: Sequence[np.ndarray]) -> Candidate | None:
    """Fuse torchvision's objects, with its setting for draws per sample; None where it refuses the recipe."""
    try:
        from fuse_augmentations import Compose
    except ImportError:
        return None
    batch = torch.stack(_tensors(images))
    try:
        chain = Compose(recipe.torchvision(), randomness="per_sample")
        chain(batch[:2].float().div(255))
    except Exception:
        return None
    return lambda: v2.functional.normalize(chain(batch.float().div(255)), MEAN, STD)
