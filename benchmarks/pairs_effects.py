"""Pairs of what looks at neighbours or adds something: filters, noise, erasing, weather; and the policies."""

from __future__ import annotations

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A
from pair import ALWAYS, Pair
from recipes import a_randaugment
from torchvision.transforms import v2

from augsynth import transforms as T


def pairs(side: int) -> dict[str, Pair]:
    """Return the pairs for square images of `side` pixels."""
    return {**_filters(), **_noise(), **_holes(), **_weather(), **_policies(side), **_combinations()}


def _filters() -> dict[str, Pair]:
    return {
        "Blur": Pair(
            lambda: T.Blur((5, 5), p=ALWAYS),
            albumentations=lambda: A.Blur((5, 5), p=ALWAYS),
            kornia=lambda K: K.RandomBoxBlur((5, 5), p=ALWAYS),
            pinned=(),
        ),
        "GaussianBlur": Pair(
            lambda sigma: T.GaussianBlur(9, sigma),
            lambda sigma: v2.GaussianBlur(9, sigma),
            lambda sigma: A.GaussianBlur((9, 9), sigma, p=ALWAYS),
            lambda K, sigma: K.RandomGaussianBlur((9, 9), sigma, p=ALWAYS),
            timed=((0.1, 2.0),),
            pinned=((1.5, 1.5),),
        ),
        "MedianBlur": Pair(
            lambda: T.MedianBlur((5, 5), p=ALWAYS),
            albumentations=lambda: A.MedianBlur((5, 5), p=ALWAYS),
            kornia=lambda K: K.RandomMedianBlur((5, 5), p=ALWAYS),
            pinned=(),
        ),
        "MotionBlur": Pair(
            lambda: T.MotionBlur((7, 7), p=ALWAYS),
            albumentations=lambda: A.MotionBlur((7, 7), p=ALWAYS),
            kornia=lambda K: K.RandomMotionBlur(7, (0.0, 360.0), (-1.0, 1.0), p=ALWAYS),
        ),
        "Defocus": Pair(
            lambda radius, alias: T.Defocus(radius, alias, p=ALWAYS),
            albumentations=lambda radius, alias: A.Defocus(radius, alias, p=ALWAYS),
            timed=((3, 10), (0.1, 0.5)),
            pinned=((5, 5), (0.3, 0.3)),
        ),
        "Emboss": Pair(
            lambda alpha, strength: T.Emboss(alpha, strength, p=ALWAYS),
            albumentations=lambda alpha, strength: A.Emboss(alpha, strength, p=ALWAYS),
            timed=((0.2, 0.5), (0.2, 0.7)),
            pinned=((0.3, 0.3), (0.5, 0.5)),
        ),
        "RandomAdjustSharpness": Pair(
            lambda: T.RandomAdjustSharpness(2, ALWAYS),
            lambda: v2.RandomAdjustSharpness(2, ALWAYS),
            kornia=lambda K: K.RandomSharpness((2.0, 2.0), p=ALWAYS),
            pinned=(),
        ),
        "UnsharpMask": Pair(
            lambda alpha: T.UnsharpMask((5, 5), (1.0, 1.0), alpha, p=ALWAYS),
            albumentations=lambda alpha: A.UnsharpMask((5, 5), (1.0, 1.0), alpha, p=ALWAYS),
            timed=((0.2, 0.5),),
            pinned=((0.4, 0.4),),
        ),
        "JPEG": Pair(
            lambda quality: T.JPEG(quality),
            lambda quality: v2.JPEG(quality),
            lambda quality: A.ImageCompression("jpeg", quality, p=ALWAYS),
            lambda K, quality: K.RandomJPEG(tuple(map(float, quality)), p=ALWAYS),
            timed=((50, 90),),
            pinned=((75, 75),),
            note="albumentations' codec takes red for blue",
        ),
        "ImageCompression": Pair(
            lambda quality: T.ImageCompression("jpeg", quality, p=ALWAYS),
            lambda quality: v2.JPEG(quality),
            lambda quality: A.ImageCompression("jpeg", quality, p=ALWAYS),
            timed=((50, 90),),
            pinned=((75, 75),),
            note="albumentations' codec takes red for blue",
        ),
    }


def _noise() -> dict[str, Pair]:
    return {
        "GaussianNoise": Pair(
            lambda: T.GaussianNoise(0.0, 0.1),
            lambda: v2.GaussianNoise(0.0, 0.1),
            lambda: A.GaussNoise((0.1, 0.1), p=ALWAYS),
            lambda K: K.RandomGaussianNoise(0.0, 0.1, p=ALWAYS),
        ),
        "GaussNoise": Pair(
            lambda: T.GaussNoise((0.05, 0.2), p=ALWAYS), albumentations=lambda: A.GaussNoise((0.05, 0.2), p=ALWAYS)
        ),
        "ISONoise": Pair(
            lambda: T.ISONoise(p=ALWAYS),
            albumentations=lambda: A.ISONoise(p=ALWAYS),
            note="ours changes a picture three to six times as much",
        ),
        "MultiplicativeNoise": Pair(
            lambda: T.MultiplicativeNoise(elementwise=True, p=ALWAYS),
            albumentations=lambda: A.MultiplicativeNoise(elementwise=True, p=ALWAYS),
        ),
        "SaltAndPepper": Pair(
            lambda: T.SaltAndPepper(p=ALWAYS),
            albumentations=lambda: A.SaltAndPepper(p=ALWAYS),
            kornia=lambda K: K.RandomSaltAndPepperNoise((0.01, 0.06), (0.4, 0.6), p=ALWAYS),
        ),
        "ShotNoise": Pair(lambda: T.ShotNoise(p=ALWAYS), albumentations=lambda: A.ShotNoise(p=ALWAYS)),
    }


def _holes() -> dict[str, Pair]:
    return {
        "RandomErasing": Pair(
            lambda: T.RandomErasing(ALWAYS),
            lambda: v2.RandomErasing(ALWAYS),
            lambda: A.Erasing(p=ALWAYS),
            lambda K: K.RandomErasing(p=ALWAYS),
        ),
        "CoarseDropout": Pair(lambda: T.CoarseDropout(p=ALWAYS), albumentations=lambda: A.CoarseDropout(p=ALWAYS)),
        "GridDropout": Pair(lambda: T.GridDropout(p=ALWAYS), albumentations=lambda: A.GridDropout(p=ALWAYS)),
        "PixelDropout": Pair(lambda: T.PixelDropout(p=ALWAYS), albumentations=lambda: A.PixelDropout(p=ALWAYS)),
    }


def _weather() -> dict[str, Pair]:
    return {
        "Illumination": Pair(
            lambda: T.Illumination(p=ALWAYS),
            albumentations=lambda: A.Illumination(p=ALWAYS),
            kornia=lambda K: K.RandomLinearIllumination((0.01, 0.2), p=ALWAYS),
            note="ours changes a picture about a third as much as albumentations'",
        ),
        "PlasmaBrightnessContrast": Pair(
            lambda: T.PlasmaBrightnessContrast(p=ALWAYS),
            albumentations=lambda: A.PlasmaBrightnessContrast(p=ALWAYS),
            note="ours keeps the mean and has coarser clouds",
        ),
        "RandomFog": Pair(
            lambda: T.RandomFog(p=ALWAYS),
            albumentations=lambda: A.RandomFog(p=ALWAYS),
            note="ours changes a picture about four times as much",
        ),
        "RandomRain": Pair(
            lambda: T.RandomRain(p=ALWAYS),
            albumentations=lambda: A.RandomRain(p=ALWAYS),
            kornia=lambda K: K.RandomRain(p=ALWAYS),
            note="each draws other streaks",
        ),
        "RandomShadow": Pair(lambda: T.RandomShadow(p=ALWAYS), albumentations=lambda: A.RandomShadow(p=ALWAYS)),
        "RandomSnow": Pair(
            lambda: T.RandomSnow(p=ALWAYS),
            albumentations=lambda: A.RandomSnow(p=ALWAYS),
            kornia=lambda K: K.RandomSnow((0.1, 0.3), (2.5, 2.5), p=ALWAYS),
        ),
    }


def _policies(side: int) -> dict[str, Pair]:
    note = "kornia chooses one operation for the whole batch"
    return {
        "RandAugment": Pair(
            lambda: T.RandAugment(2, 9),
            lambda: v2.RandAugment(2, 9),
            lambda: a_randaugment(side),
            lambda K: K.auto.RandAugment(2, 9),
            shared=("kornia",),
            note=note,
        ),
        "TrivialAugmentWide": Pair(
            lambda: T.TrivialAugmentWide(),
            lambda: v2.TrivialAugmentWide(),
            kornia=lambda K: K.auto.TrivialAugment(),
            shared=("kornia",),
            note=note,
        ),
        "AutoAugment": Pair(
            lambda: T.AutoAugment(),
            lambda: v2.AutoAugment(),
            kornia=lambda K: K.auto.AutoAugment(),
            shared=("kornia",),
            note=note,
        ),
        "AugMix": Pair(lambda: T.AugMix(), lambda: v2.AugMix()),
    }


def _combinations() -> dict[str, Pair]:
    ours = lambda: [T.RandomHorizontalFlip(ALWAYS), T.RandomPosterize(4, ALWAYS), T.RandomInvert(ALWAYS)]  # noqa: E731
    theirs = lambda: [v2.RandomHorizontalFlip(ALWAYS), v2.RandomPosterize(4, ALWAYS), v2.RandomInvert(ALWAYS)]  # noqa: E731
    a = lambda: [A.HorizontalFlip(p=ALWAYS), A.Posterize(4, p=ALWAYS), A.InvertImg(p=ALWAYS)]  # noqa: E731
    note = "of flip, posterize and invert"
    return {
        "OneOf": Pair(
            lambda: T.OneOf(ours()),
            lambda: v2.RandomChoice(theirs()),
            lambda: A.OneOf(a(), p=ALWAYS),
            note=note,
        ),
        "SomeOf": Pair(lambda: T.SomeOf(ours(), 2), None, lambda: A.SomeOf(a(), 2, p=ALWAYS), note=note),
        "RandomOrder": Pair(
            lambda: T.RandomOrder(ours()),
            lambda: v2.RandomOrder(theirs()),
            lambda: A.RandomOrder(a(), 3),
            note=note,
        ),
        "RandomApply": Pair(
            lambda p: T.RandomApply(ours(), p),
            lambda p: v2.RandomApply(theirs(), p),
            lambda p: A.Sequential(a(), p=p),
            timed=(0.5,),
            pinned=(1.0,),
            note=note,
        ),
    }
