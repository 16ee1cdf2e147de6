"""Published augmentation recipes with their papers' parameters, for uint8 and for float images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augsynth import transforms as T
from augsynth.pipeline import Pipeline
from augsynth.transforms.base import Transform
from augsynth.transforms.tone import Solarize
from augsynth.views import Views

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
IMAGENET: Statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR10: Statistics = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
# Pillow's blur of sigma 2 fades out within six pixels.
_PILLOW_KERNEL = 13
# How often the two large views of BYOL and DINO are blurred and solarized.
_ODDS = (1.0, 0.0), (0.1, 0.2)


def simclr(
    size: int = 224,
    *,
    strength: float = 1.0,
    blur: bool = True,
    views: int = 2,
    normalize: Statistics | None = IMAGENET,
    seed: int = 0,
    **options: Any,
) -> Views:
    """Return SimCLR's views: crop, flip, colour, blur. Source: arXiv:2002.05709, appendix A.

    strength: of the colour jitter; for CIFAR-10 the paper takes 0.5, and no blur. normalize: mean and std, or None.
    options: further arguments of each `Pipeline`, such as color="linear".
    """
    steps = {
        "crop": T.RandomResizedCrop(size, (0.08, 1.0)),
        "flip": T.RandomHorizontalFlip(),
        **_tint(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength),
        "blur": _blur(_tenth(size), 0.5) if blur else None,
    }
    return Views([_pipeline(steps, normalize, **options)] * views, seed)


def byol(size: int = 224, *, normalize: Statistics | None = IMAGENET, seed: int = 0, **options: Any) -> Views:
    """Return BYOL's two views, of which one is always blurred and the other solarized at times.

    Source: arXiv:2006.07733, appendix B. normalize, options: as for `simclr`.
    """
    crop = T.RandomResizedCrop(size, (0.08, 1.0), interpolation="bicubic")
    views = [_distorted(crop, _tenth(size), *odds, threshold=0.5) for odds in _ODDS]
    return Views([_pipeline(steps, normalize, **options) for steps in views], seed)


def dino(
    global_size: int = 224,
    local_size: int = 96,
    local_views: int = 8,
    *,
    global_scale: tuple[float, float] = (0.4, 1.0),
    local_scale: tuple[float, float] = (0.05, 0.4),
    normalize: Statistics | None = IMAGENET,
    seed: int = 0,
    **options: Any,
) -> Views:
    """Return DINO's crops: two large ones, then `local_views` small ones. Source: arXiv:2104.14294 and its code.

    global_scale, local_scale: their area as a share of the image. normalize, options: as for `simclr`.
    """
    large = T.RandomResizedCrop(global_size, global_scale, interpolation="bicubic")
    small = T.RandomResizedCrop(local_size, local_scale, interpolation="bicubic")
    views = [_distorted(large, _PILLOW_KERNEL, *odds, threshold=128 / 255) for odds in _ODDS]
    views += [_distorted(small, _PILLOW_KERNEL, 0.5, 0.0, threshold=0.5)] * local_views
    return Views([_pipeline(steps, normalize, **options) for steps in views], seed)


def imagenet(
    size: int = 224, *, train: bool = True, normalize: Statistics | None = IMAGENET, seed: int = 0, **options: Any
) -> Pipeline:
    """Return the usual ImageNet pipeline: a random crop and a flip; to evaluate, a resize and the middle.

    Source: arXiv:1409.4842 (training), arXiv:1512.03385 (256 pixels for a crop of 224, kept in proportion).
    """
    steps: dict[str, Transform | None]
    if train:
        steps = {"crop": T.RandomResizedCrop(size), "flip": T.RandomHorizontalFlip()}
    else:
        steps = {"resize": T.Resize(round(size * 256 / 224)), "crop": T.CenterCrop(size)}
    return _pipeline(steps, normalize, seed=seed, **options)


def cifar(
    size: int = 32,
    *,
    padding: int = 4,
    train: bool = True,
    normalize: Statistics | None = CIFAR10,
    seed: int = 0,
    **options: Any,
) -> Pipeline:
    """Return the usual CIFAR pipeline: a random crop of the padded image and a flip; to evaluate, neither.

    Source: arXiv:1512.03385, section 4.2.
    """
    steps: dict[str, Transform | None] = {"crop": T.RandomCrop(size, padding), "flip": T.RandomHorizontalFlip()}
    return _pipeline(steps if train else {}, normalize, seed=seed, **options)


def _distorted(
    crop: Transform, kernel_size: int, blur: float, solarize: float, threshold: float
) -> dict[str, Transform | None]:
    """Return the steps that BYOL and DINO share: `blur` and `solarize` are probabilities."""
    return {
        "crop": crop,
        "flip": T.RandomHorizontalFlip(),
        **_tint(0.4, 0.4, 0.2, 0.1),
        "blur": _blur(kernel_size, blur),
        "solarize": T.RandomApply([Solarize(threshold)], solarize) if solarize else None,
    }


def _tint(brightness: float, contrast: float, saturation: float, hue: float) -> dict[str, Transform | None]:
    jitter = T.ColorJitter(brightness, contrast, saturation, hue)
    return {"jitter": T.RandomApply([jitter], 0.8), "gray": T.RandomGrayscale(0.2)}


def _blur(kernel_size: int, p: float) -> Transform:
    return T.RandomApply([T.GaussianBlur(kernel_size, (0.1, 2.0))], p)


def _tenth(size: int) -> int:
    """Return a tenth of the size as an odd number of pixels: 23 for 224."""
    return size // 10 // 2 * 2 + 1


def _pipeline(steps: Mapping[str, Transform | None], normalize: Statistics | None, **options: Any) -> Pipeline:
    last = None if normalize is None else T.Normalize(*normalize)
    return Pipeline({**steps, "normalize": last}, **options)
