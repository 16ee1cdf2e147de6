"""Pairs of what recolours pixels one by one: jitter, channels, tones. Ours is in `exact` colour, torchvision's."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A
import torch
from pair import ALWAYS, Pair
from protocol import MEAN, STD
from torchvision.transforms import v2

from augsynth import transforms as T

AS_IT_IS: tuple[float, float] = (1.0, 1.0)


def pairs() -> dict[str, Pair]:
    """Return the pairs."""
    return {**_jitter(), **_channels(), **_tones()}


def _jitters(*timed: Any, pinned: tuple[Any, ...] | None = None, note: str = "") -> Pair:
    return Pair(
        lambda *ranges: T.ColorJitter(*ranges),
        lambda *ranges: v2.ColorJitter(*ranges),
        lambda *ranges: A.ColorJitter(*ranges, p=ALWAYS),
        lambda K, *ranges: K.ColorJitter(*ranges, p=ALWAYS),
        timed=timed,
        pinned=pinned,
        note=note,
    )


def _jitter() -> dict[str, Pair]:
    wide, none = (0.6, 1.4), (0.0, 0.0)
    up, one = (1.3, 1.3), AS_IT_IS
    return {
        "ColorJitter": _jitters(wide, wide, wide, (-0.1, 0.1), note="kornia draws the order of the steps once for all"),
        "ColorJitter, brightness": _jitters(wide, one, one, none, pinned=(up, one, one, none)),
        "ColorJitter, contrast": _jitters(one, wide, one, none, pinned=(one, up, one, none)),
        "ColorJitter, saturation": _jitters(one, one, wide, none, pinned=(one, one, up, none)),
        "ColorJitter, hue": _jitters(one, one, one, (-0.1, 0.1), pinned=(one, one, one, (0.08, 0.08))),
        "RandomPhotometricDistort": Pair(
            lambda: T.RandomPhotometricDistort(p=ALWAYS), lambda: v2.RandomPhotometricDistort(p=ALWAYS)
        ),
        "RandomBrightnessContrast": Pair(
            lambda *limits: T.RandomBrightnessContrast(*limits, p=ALWAYS),
            albumentations=lambda *limits: A.RandomBrightnessContrast(*limits, p=ALWAYS),
            timed=((-0.2, 0.2), (-0.2, 0.2)),
            pinned=((0.1, 0.1), (0.15, 0.15)),
        ),
        "HueSaturationValue": Pair(
            lambda *limits: T.HueSaturationValue(*limits, p=ALWAYS),
            albumentations=lambda *limits: A.HueSaturationValue(*limits, p=ALWAYS),
            timed=((-20, 20), (-30, 30), (-20, 20)),
            pinned=((10, 10), (15, 15), (-10, -10)),
        ),
        "RandomGrayscale": Pair(
            lambda: T.RandomGrayscale(ALWAYS),
            lambda: v2.RandomGrayscale(ALWAYS),
            lambda: A.ToGray(p=ALWAYS),
            lambda K: K.RandomGrayscale(p=ALWAYS),
            pinned=(),
        ),
        "Grayscale": Pair(lambda: T.Grayscale(3), lambda: v2.Grayscale(3), lambda: A.ToGray(3, p=ALWAYS), pinned=()),
        "ToGray": Pair(
            lambda: T.ToGray(p=ALWAYS),
            lambda: v2.Grayscale(3),
            lambda: A.ToGray(p=ALWAYS),
            lambda K: K.RandomGrayscale(p=ALWAYS),
            pinned=(),
        ),
        "ToSepia": Pair(lambda: T.ToSepia(ALWAYS), albumentations=lambda: A.ToSepia(p=ALWAYS), pinned=()),
        "Normalize": Pair(
            lambda: T.Normalize(MEAN, STD),
            lambda: [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)],
            lambda: A.Normalize(MEAN, STD),
            lambda K: K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
            pinned=(),
            normalized=True,
        ),
    }


def _channels() -> dict[str, Pair]:
    shift = (-20, 20)
    return {
        "ChannelDropout": Pair(
            lambda: T.ChannelDropout(p=ALWAYS),
            albumentations=lambda: A.ChannelDropout(p=ALWAYS),
            kornia=lambda K: K.RandomChannelDropout(p=ALWAYS),
        ),
        "ChannelShuffle": Pair(
            lambda: T.ChannelShuffle(ALWAYS),
            lambda: v2.RandomChannelPermutation(),
            lambda: A.ChannelShuffle(p=ALWAYS),
            lambda K: K.RandomChannelShuffle(p=ALWAYS),
        ),
        "RandomChannelPermutation": Pair(
            lambda: T.RandomChannelPermutation(),
            lambda: v2.RandomChannelPermutation(),
            lambda: A.ChannelShuffle(p=ALWAYS),
            lambda K: K.RandomChannelShuffle(p=ALWAYS),
        ),
        "FancyPCA": Pair(lambda: T.FancyPCA(p=ALWAYS), albumentations=lambda: A.FancyPCA(p=ALWAYS)),
        "PlanckianJitter": Pair(
            lambda: T.PlanckianJitter(p=ALWAYS),
            albumentations=lambda: A.PlanckianJitter(p=ALWAYS),
            kornia=lambda K: K.RandomPlanckianJitter(p=ALWAYS),
        ),
        "RGBShift": Pair(
            lambda r, g, b: T.RGBShift(r, g, b, p=ALWAYS),
            albumentations=lambda r, g, b: A.RGBShift(r, g, b, p=ALWAYS),
            kornia=lambda K, r, g, b: K.RandomRGBShift(r[1] / 255, g[1] / 255, b[1] / 255, p=ALWAYS),
            timed=(shift, shift, shift),
            pinned=((10, 10), (-15, -15), (20, 20)),
            note="kornia takes symmetric ranges only: it cannot be pinned",
        ),
    }


def _tones() -> dict[str, Pair]:
    return {
        "RandomInvert": Pair(
            lambda: T.RandomInvert(ALWAYS),
            lambda: v2.RandomInvert(ALWAYS),
            lambda: A.InvertImg(p=ALWAYS),
            lambda K: K.RandomInvert(p=ALWAYS),
            pinned=(),
        ),
        "RandomPosterize": Pair(
            lambda: T.RandomPosterize(4, ALWAYS),
            lambda: v2.RandomPosterize(4, ALWAYS),
            lambda: A.Posterize(4, p=ALWAYS),
            lambda K: K.RandomPosterize((4.0, 4.0), p=ALWAYS),
            pinned=(),
        ),
        "RandomSolarize": Pair(
            lambda: T.RandomSolarize(128, ALWAYS),
            lambda: v2.RandomSolarize(128, ALWAYS),
            lambda: A.Solarize((128 / 255, 128 / 255), p=ALWAYS),
            lambda K: K.RandomSolarize((128 / 255, 128 / 255), (0.0, 0.0), p=ALWAYS),
            pinned=(),
        ),
        "RandomAutocontrast": Pair(
            lambda: T.RandomAutocontrast(ALWAYS),
            lambda: v2.RandomAutocontrast(ALWAYS),
            lambda: A.AutoContrast(method="pil", p=ALWAYS),
            lambda K: K.RandomAutoContrast(p=ALWAYS),
            pinned=(),
        ),
        "RandomEqualize": Pair(
            lambda: T.RandomEqualize(ALWAYS),
            lambda: v2.RandomEqualize(ALWAYS),
            lambda: A.Equalize(p=ALWAYS),
            lambda K: K.RandomEqualize(p=ALWAYS),
            pinned=(),
            note="albumentations takes OpenCV's table by default, the others PIL's",
        ),
        "RandomGamma": Pair(
            lambda percent: T.RandomGamma(percent, p=ALWAYS),
            albumentations=lambda percent: A.RandomGamma(percent, p=ALWAYS),
            kornia=lambda K, percent: K.RandomGamma((percent[0] / 100, percent[1] / 100), p=ALWAYS),
            timed=((80, 120),),
            pinned=((115, 115),),
        ),
        "RandomToneCurve": Pair(
            lambda: T.RandomToneCurve(p=ALWAYS), albumentations=lambda: A.RandomToneCurve(p=ALWAYS)
        ),
        "CLAHE": Pair(
            lambda: T.CLAHE((4.0, 4.0), p=ALWAYS),
            albumentations=lambda: A.CLAHE((4.0, 4.0), p=ALWAYS),
            kornia=lambda K: K.RandomClahe((4.0, 4.0), p=ALWAYS),
            pinned=(),
            note="ours equalizes the luma, albumentations CIELAB's lightness, kornia each channel",
        ),
    }
