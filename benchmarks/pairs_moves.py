"""Pairs of what moves pixels: flips, turns, crops, sizes, distortions."""

from __future__ import annotations

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A
from pair import ALWAYS, Pair, mirrored
from torchvision.transforms import v2

from augsynth import transforms as T

LINEAR = v2.InterpolationMode.BILINEAR
BESIDE = "about the middle of the image, albumentations half a pixel beside it"
AREA = {"area_for_downscale": "image"}
UNFILTERED = "kornia and albumentations (but for area) do not filter when they shrink"


def pairs(side: int) -> dict[str, Pair]:
    """Return the pairs for square images of `side` pixels."""
    return {**_turns(), **_crops(side), **_sizes(side), **_distortions(side)}


def _turns() -> dict[str, Pair]:
    return {
        "RandomHorizontalFlip": Pair(
            lambda: T.RandomHorizontalFlip(ALWAYS),
            lambda: v2.RandomHorizontalFlip(ALWAYS),
            lambda: A.HorizontalFlip(p=ALWAYS),
            lambda K: K.RandomHorizontalFlip(p=ALWAYS),
            pinned=(),
        ),
        "RandomVerticalFlip": Pair(
            lambda: T.RandomVerticalFlip(ALWAYS),
            lambda: v2.RandomVerticalFlip(ALWAYS),
            lambda: A.VerticalFlip(p=ALWAYS),
            lambda K: K.RandomVerticalFlip(p=ALWAYS),
            pinned=(),
        ),
        "Transpose": Pair(lambda: T.Transpose(ALWAYS), albumentations=lambda: A.Transpose(p=ALWAYS), pinned=()),
        "D4": Pair(lambda: T.D4(ALWAYS), albumentations=lambda: A.D4(p=ALWAYS)),
        "RandomRotate90": Pair(
            lambda: T.RandomRotate90(ALWAYS),
            albumentations=lambda: A.RandomRotate90(p=ALWAYS),
            kornia=lambda K: K.RandomRotation90((0, 3), p=ALWAYS),
        ),
        "RandomRotation": Pair(
            lambda degrees: T.RandomRotation(degrees, "bilinear"),
            lambda degrees: v2.RandomRotation(degrees, LINEAR),
            lambda degrees: A.Rotate(degrees, border_mode=0, p=ALWAYS),
            lambda K, degrees: K.RandomRotation(degrees, align_corners=False, p=ALWAYS),
            timed=((-30.0, 30.0),),
            pinned=((25.0, 25.0),),
        ),
        "SafeRotate": Pair(
            lambda degrees: T.SafeRotate(degrees, p=ALWAYS),
            albumentations=lambda degrees: A.SafeRotate(degrees, border_mode=0, p=ALWAYS),
            timed=((-45.0, 45.0),),
            pinned=((25.0, 25.0),),
            note=BESIDE,
        ),
        "RandomAffine": Pair(
            lambda turn, shift, scale, shear: T.RandomAffine(turn, shift, scale, shear, "bilinear"),
            lambda turn, shift, scale, shear: v2.RandomAffine(turn, shift, scale, shear, LINEAR),
            lambda turn, shift, scale, shear: A.Affine(
                rotate=mirrored(turn),
                translate_percent={"x": (-shift[0], shift[0]), "y": (-shift[1], shift[1])},
                scale=scale,
                shear={"x": shear, "y": (0, 0)},
                p=ALWAYS,
            ),
            lambda K, turn, shift, scale, shear: K.RandomAffine(turn, shift, scale, shear, p=ALWAYS),
            timed=((-15.0, 15.0), (0.1, 0.1), (0.9, 1.1), (-5.0, 5.0)),
            pinned=((12.0, 12.0), (0.0, 0.0), (1.1, 1.1), (4.0, 4.0)),
            note="albumentations shears and turns in another order",
        ),
        "RandomPerspective": Pair(
            lambda: T.RandomPerspective(0.3, ALWAYS),
            lambda: v2.RandomPerspective(0.3, ALWAYS),
            lambda: A.Perspective((0.05, 0.15), keep_size=True, p=ALWAYS),
            lambda K: K.RandomPerspective(0.3, p=ALWAYS),
            note="albumentations draws the corners from another distribution",
        ),
    }


def _crops(side: int) -> dict[str, Pair]:
    part = side * 7 // 8
    return {
        "CenterCrop": Pair(
            lambda: T.CenterCrop(part),
            lambda: v2.CenterCrop(part),
            lambda: A.CenterCrop(part, part),
            lambda K: K.CenterCrop(part),
            pinned=(),
        ),
        "Pad": Pair(lambda: T.Pad(8), lambda: v2.Pad(8), lambda: A.Pad(8, border_mode=0), pinned=()),
        "RandomCrop": Pair(
            lambda: T.RandomCrop(side, 8),
            lambda: v2.RandomCrop(side, 8),
            lambda: [A.Pad(8, border_mode=0), A.RandomCrop(side, side)],
            lambda K: K.RandomCrop((side, side), padding=8),
        ),
        "RandomResizedCrop": Pair(
            lambda scale, ratio: T.RandomResizedCrop(part, scale, ratio),
            lambda scale, ratio: v2.RandomResizedCrop(part, scale, ratio),
            lambda scale, ratio: A.RandomResizedCrop((part, part), scale, ratio),
            lambda K, scale, ratio: K.RandomResizedCrop((part, part), scale, ratio),
            timed=((0.08, 1.0), (3 / 4, 4 / 3)),
            pinned=((1.0, 1.0), (1.0, 1.0)),
            filtered=lambda scale, ratio: A.RandomResizedCrop((part, part), scale, ratio, **AREA),
            note=UNFILTERED,
        ),
        "BBoxSafeRandomCrop": Pair(
            lambda: T.BBoxSafeRandomCrop(0.2), None, lambda: A.BBoxSafeRandomCrop(0.2), boxes=True, varies=True
        ),
        "AtLeastOneBBoxRandomCrop": Pair(
            lambda: T.AtLeastOneBBoxRandomCrop(part, part),
            albumentations=lambda: A.AtLeastOneBBoxRandomCrop(part, part),
            boxes=True,
        ),
        "RandomSizedBBoxSafeCrop": Pair(
            lambda: T.RandomSizedBBoxSafeCrop(part, part),
            albumentations=lambda: A.RandomSizedBBoxSafeCrop(part, part),
            boxes=True,
            note=UNFILTERED,
        ),
        "RandomIoUCrop": Pair(lambda: T.RandomIoUCrop(), lambda: v2.RandomIoUCrop(), boxes=True, varies=True),
        "SanitizeBoundingBoxes": Pair(
            lambda: T.SanitizeBoundingBoxes(), lambda: v2.SanitizeBoundingBoxes(), pinned=(), boxes=True
        ),
    }


def _sizes(side: int) -> dict[str, Pair]:
    part = side * 7 // 8
    narrow = part * 3 // 4
    several = [side * 5 // 8, side * 6 // 8, part]
    return {
        "Resize": Pair(
            lambda: T.Resize((part, part)),
            lambda: v2.Resize((part, part)),
            lambda: A.Resize(part, part),
            lambda K: K.Resize((part, part), align_corners=False),
            pinned=(),
            filtered=lambda: A.Resize(part, part, **AREA),
            note=UNFILTERED,
        ),
        "LetterBox": Pair(
            lambda: T.LetterBox((part, narrow)),
            albumentations=lambda: [
                A.LongestMaxSize(max_size_hw=(part, narrow)),
                A.PadIfNeeded(part, narrow, border_mode=0),
            ],
            pinned=(),
            filtered=lambda: [
                A.LongestMaxSize(max_size_hw=(part, narrow), **AREA),
                A.PadIfNeeded(part, narrow, border_mode=0),
            ],
            note=UNFILTERED,
        ),
        "LongestMaxSize": Pair(
            lambda: T.LongestMaxSize(part),
            albumentations=lambda: A.LongestMaxSize(part),
            kornia=lambda K: K.LongestMaxSize(part, align_corners=False),
            pinned=(),
            filtered=lambda: A.LongestMaxSize(part, **AREA),
            note=UNFILTERED,
        ),
        "SmallestMaxSize": Pair(
            lambda: T.SmallestMaxSize(part),
            albumentations=lambda: A.SmallestMaxSize(part),
            kornia=lambda K: K.SmallestMaxSize(part, align_corners=False),
            pinned=(),
            filtered=lambda: A.SmallestMaxSize(part, **AREA),
            note=UNFILTERED,
        ),
        "PadIfNeeded": Pair(
            lambda: T.PadIfNeeded(side + 20, side + 20),
            albumentations=lambda: A.PadIfNeeded(side + 20, side + 20, border_mode=0),
            pinned=(),
        ),
        "RandomResize": Pair(lambda: T.RandomResize(narrow, side), lambda: v2.RandomResize(narrow, side), varies=True),
        "RandomShortestSize": Pair(
            lambda: T.RandomShortestSize(several),
            lambda: v2.RandomShortestSize(several),
            lambda: A.SmallestMaxSize(several),
            filtered=lambda: A.SmallestMaxSize(several, **AREA),
            varies=True,
            note=UNFILTERED,
        ),
        "RandomScale": Pair(
            lambda limit: T.RandomScale(limit, p=ALWAYS),
            albumentations=lambda limit: A.RandomScale(limit, p=ALWAYS),
            timed=((-0.2, 0.2),),
            pinned=((-0.125, -0.125),),
            filtered=lambda limit: A.RandomScale(limit, p=ALWAYS, **AREA),
            varies=True,
            note=UNFILTERED,
        ),
        "ScaleJitter": Pair(
            lambda: T.ScaleJitter((side, side), (0.5, 1.5)),
            lambda: v2.ScaleJitter((side, side), (0.5, 1.5)),
            varies=True,
        ),
        "RandomZoomOut": Pair(
            lambda: T.RandomZoomOut(0, (1.0, 2.0), ALWAYS),
            lambda: v2.RandomZoomOut(0, (1.0, 2.0), ALWAYS),
            varies=True,
        ),
    }


def _distortions(side: int) -> dict[str, Pair]:
    return {
        "ElasticTransform": Pair(
            lambda: T.ElasticTransform(50.0, 5.0),
            lambda: v2.ElasticTransform(50.0, 5.0),
            lambda: A.ElasticTransform(50.0, 5.0, border_mode=0, p=ALWAYS),
            lambda K: K.RandomElasticTransform((41, 41), (5.0, 5.0), (100.0 / side, 100.0 / side), p=ALWAYS),
        ),
        "GridDistortion": Pair(
            lambda: T.GridDistortion(p=ALWAYS), albumentations=lambda: A.GridDistortion(border_mode=0, p=ALWAYS)
        ),
        "OpticalDistortion": Pair(
            lambda limit: T.OpticalDistortion(limit, p=ALWAYS),
            albumentations=lambda limit: A.OpticalDistortion(limit, border_mode=0, p=ALWAYS),
            timed=((-0.05, 0.05),),
            pinned=((0.04, 0.04),),
            note=BESIDE,
        ),
        "PiecewiseAffine": Pair(
            lambda: T.PiecewiseAffine(p=ALWAYS),
            albumentations=lambda: A.PiecewiseAffine(border_mode=0, p=ALWAYS),
            note="albumentations' is about six times as strong",
        ),
        "ThinPlateSpline": Pair(
            lambda: T.ThinPlateSpline(p=ALWAYS),
            albumentations=lambda: A.ThinPlateSpline(border_mode=0, p=ALWAYS),
            kornia=lambda K: K.RandomThinPlateSpline(0.2, p=ALWAYS),
            note="albumentations' is about three times as strong",
        ),
    }
