"""The recipes of `throughput.py`, written once for every library, each in the form that suits it best.

A recipe is a list of steps for each library, without Normalize: `peers.py` adds that, and makes what is timed of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A
from torchvision.transforms import v2

from augsynth import transforms as T

BILINEAR = v2.InterpolationMode.BILINEAR


@dataclass(frozen=True)
class Recipe:
    """What one recipe is in each library: lists of transforms, without Normalize, made when called.

    size: height and width of the images that come in; out: side of what comes out. batch: images per call.
    color: whether there is colour, so that ours is timed in both modes. targets: boxes or mask, what moves along.
    """

    size: tuple[int, int]
    out: int
    batch: int
    ours: Callable[[], list[Any]]
    torchvision: Callable[[], list[Any]]
    albumentations: Callable[[dict[str, str]], list[Any]]
    kornia: Callable[[Any], list[Any]] | None = None
    color: bool = True
    targets: str = ""


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


def a_randaugment(size: int) -> list[Any]:
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
        lambda area, size=_side: a_randaugment(size),  # type: ignore[misc]
        lambda K: [K.auto.RandAugment(2, 9)],
    )
