"""The arguments that each transform is shown with: strong enough to be seen on a photograph."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from augsynth import transforms as T

# Said beside the pictures, where these alone would mislead.
NOTES = {
    "Normalize": "Its values are shown stretched from black to white.",
    "RandomAutocontrast": "It is shown on a faded picture, because a good one uses all levels already.",
    "SanitizeBoundingBoxes": "The picture stays; the boxes that are too small go.",
}
# What is shown on a faded picture, because it would leave the other one as it is.
FADED = ("RandomAutocontrast",)

# What is shown without a mask, because classes have no mean.
MASKLESS = ("MixUp",)


def transform(name: str, side: int) -> T.Transform:
    """Return a transform of the registry as it is shown on a picture with a shorter side of `side` pixels.

    One that has no entry below is made from its defaults; `p` is 1 unless the entry says otherwise.
    Raises: TypeError for one that has no entry and cannot do without arguments.
    """
    kind = T.REGISTRY[name]
    given = {**_arguments(side), **_combinations(side)}.get(name, {})
    if any(field.name == "p" for field in fields(kind)):  # type: ignore[arg-type]  # the base is a plain class
        given = {"p": 1.0, **given}
    return kind(**given)


def _arguments(side: int) -> dict[str, dict[str, Any]]:
    def pixels(share: float) -> int:
        return max(round(share * side), 1)

    smooth: dict[str, Any] = {"interpolation": "bilinear"}
    return {
        "RandomAffine": {"degrees": 25, "translate": (0.1, 0.1), "scale": (0.75, 1.2), "shear": 12, **smooth},
        "RandomRotation": {"degrees": 40, **smooth},
        "SafeRotate": {"limit": 50},
        "CenterCrop": {"size": pixels(0.62)},
        "Pad": {"padding": pixels(0.12), "padding_mode": "reflect"},
        "RandomCrop": {"size": pixels(0.62)},
        "RandomResizedCrop": {"size": side, "scale": (0.3, 0.6)},
        "Resize": {"size": pixels(0.6)},
        "AtLeastOneBBoxRandomCrop": {"height": pixels(0.6), "width": pixels(0.6)},
        "RandomSizedBBoxSafeCrop": {"height": side, "width": side},
        "SanitizeBoundingBoxes": {"min_size": pixels(0.18)},
        "LetterBox": {"size": (pixels(0.62), side), "fill": 96},
        "LongestMaxSize": {"max_size": pixels(0.7)},
        "PadIfNeeded": {"min_height": pixels(1.25), "min_width": pixels(1.5), "fill": 96},
        "RandomResize": {"min_size": pixels(0.4), "max_size": pixels(1.2)},
        "RandomScale": {"scale_limit": (-0.6, 0.2)},
        "RandomShortestSize": {"min_size": (pixels(0.4), pixels(0.55), pixels(0.7), pixels(0.85))},
        "RandomZoomOut": {"side_range": (1.2, 2.5), "fill": 96},
        "ScaleJitter": {"target_size": (side, side), "scale_range": (0.3, 1.4)},
        "SmallestMaxSize": {"max_size": pixels(0.7)},
        "ElasticTransform": {"alpha": 1.1 * side, "sigma": 0.03 * side},
        "GridDistortion": {"distort_limit": 0.6},
        "OpticalDistortion": {"distort_limit": 0.9},
        "PiecewiseAffine": {"scale": (0.06, 0.08)},
        "ThinPlateSpline": {"scale_range": (0.3, 0.5)},
        "ColorJitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.6, "hue": 0.2},
        "Normalize": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        "FancyPCA": {"alpha": 1.0},
        "Grayscale": {"num_output_channels": 3},
        "HueSaturationValue": {"hue_shift_limit": 60, "sat_shift_limit": 60, "val_shift_limit": 40},
        "RGBShift": {"r_shift_limit": 70, "g_shift_limit": 70, "b_shift_limit": 70},
        "RandomBrightnessContrast": {"brightness_limit": 0.35, "contrast_limit": 0.5},
        "RandomPhotometricDistort": {"brightness": (0.6, 1.4), "saturation": (0.3, 1.9), "hue": (-0.2, 0.2)},
        "CLAHE": {"clip_limit": (6.0, 8.0)},
        "RandomGamma": {"gamma_limit": (35, 260)},
        "RandomPosterize": {"bits": 2},
        "RandomSolarize": {"threshold": 128},
        "RandomToneCurve": {"scale": 0.5},
        "SolarizeAdd": {"threshold": 128, "addition": 90},
        "MixUp": {"num_classes": 4},
        "CutMix": {"num_classes": 4},
        "Mosaic": {"target_size": (side, side), "cell_shape": (side, side), "num_classes": 4},
        "Blur": {"blur_limit": (5, 11)},
        "Defocus": {"radius": (3, 6)},
        "GaussianBlur": {"kernel_size": 21, "sigma": (1.5, 4.0)},
        "MedianBlur": {"blur_limit": (7, 11)},
        "MotionBlur": {"blur_limit": (11, 23)},
        "Emboss": {"alpha": (0.7, 0.9), "strength": (0.5, 1.0)},
        "RandomAdjustSharpness": {"sharpness_factor": 6},
        "UnsharpMask": {"alpha": (0.8, 1.0), "blur_limit": (7, 11), "threshold": 0},
        "JPEG": {"quality": (3, 10)},
        "ImageCompression": {"quality_range": (3, 10)},
        "GaussianNoise": {"sigma": 0.15},
        "ISONoise": {"color_shift": (0.1, 0.2), "intensity": (0.8, 1.2)},
        "MultiplicativeNoise": {"multiplier": (0.4, 1.6), "elementwise": True, "per_channel": True},
        "CoarseDropout": {"num_holes_range": (4, 6)},
        "GridDropout": {"holes_number_xy": (6, 6)},
        "PixelDropout": {"dropout_prob": 0.15},
        "RandomErasing": {"scale": (0.08, 0.2)},
        "Illumination": {"intensity_range": (0.6, 0.8)},
        "PlasmaBrightnessContrast": {"brightness_range": (-0.6, 0.6), "contrast_range": (-0.6, 0.6)},
        "RandomFog": {"fog_coef_range": (0.7, 1.0)},
        "RandomRain": {"slant_range": (-15, 15)},
        "RandomShadow": {"shadow_roi": (0.0, 0.1, 1.0, 1.0), "num_shadows_limit": (2, 3)},
        "RandomSnow": {"snow_point_range": (0.2, 0.3)},
        "AugMix": {"severity": 8},
        "RandAugment": {"num_ops": 2, "magnitude": 14, **smooth},
        "TrivialAugmentWide": dict(smooth),
    }


def _combinations(side: int) -> dict[str, dict[str, Any]]:
    turn = T.RandomRotation((10, 35), "bilinear")
    hole = T.RandomErasing(p=1.0, scale=(0.05, 0.15))
    colors = T.ColorJitter(hue=(0.2, 0.4))
    parts = (turn, hole, colors, T.RandomInvert(p=1.0))
    return {
        "OneOf": {"transforms": parts},
        "SomeOf": {"transforms": parts, "n": 2},
        "RandomOrder": {"transforms": (turn, hole, colors)},
        "RandomApply": {"transforms": (turn, T.RandomGrayscale(p=1.0))},
    }
