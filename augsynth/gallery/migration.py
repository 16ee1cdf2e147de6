"""What a transform of another library is called here, for the README: a name of ours, a call, or nothing.

A name that is not listed is the same here. Where arguments differ too, `augsynth.from_torchvision`,
`from_albumentations` and `from_nlpaug` take what a user has; their notes say what is alike and not the same.
"""

from __future__ import annotations

from collections.abc import Mapping

Names = Mapping[str, str]

TORCHVISION: Names = {
    "Compose": "Pipeline",
    "RandomChoice": "OneOf",
    "ToDtype": "Pipeline(..., dtype=torch.float32)",
    "ConvertImageDtype": "Pipeline(..., dtype=torch.float32)",
    "ToTensor": "Pipeline(..., dtype=torch.float32)",
    "PILToTensor": "wrap(dataset, pipeline)",
    "ConvertBoundingBoxFormat": "Pipeline(..., box_format=...)",
    "Identity": "Pipeline([])",
}
ALBUMENTATIONS: Names = {
    "Affine": "RandomAffine",
    "AutoContrast": "RandomAutocontrast",
    "Equalize": "RandomEqualize",
    "Erasing": "RandomErasing",
    "HorizontalFlip": "RandomHorizontalFlip",
    "VerticalFlip": "RandomVerticalFlip",
    "InvertImg": "RandomInvert",
    "NoOp": "Pipeline([])",
    "Perspective": "RandomPerspective",
    "Posterize": "RandomPosterize",
    "Rotate": "RandomRotation",
    "Sharpen": "RandomAdjustSharpness",
    "ShiftScaleRotate": "RandomAffine",
    "Solarize": "RandomSolarize",
    "SquareSymmetry": "D4",
    "ToFloat": "Pipeline(..., dtype=torch.float32)",
    "ToTensorV2": "wrap(dataset, pipeline)",
}
KORNIA: Names = {
    "AugmentationSequential": "Pipeline",
    "ImageSequential": "Pipeline",
    "ColorJiggle": "ColorJitter",
    "PadTo": "PadIfNeeded",
    "RandomAutoContrast": "RandomAutocontrast",
    "RandomBoxBlur": "Blur",
    "RandomBrightness": "ColorJitter(brightness=...)",
    "RandomChannelDropout": "ChannelDropout",
    "RandomChannelShuffle": "ChannelShuffle",
    "RandomClahe": "CLAHE",
    "RandomContrast": "ColorJitter(contrast=...)",
    "RandomCutMixV2": "CutMix",
    "RandomElasticTransform": "ElasticTransform",
    "RandomGaussianBlur": "GaussianBlur",
    "RandomGaussianIllumination": "Illumination",
    "RandomGaussianNoise": "GaussianNoise",
    "RandomHue": "ColorJitter(hue=...)",
    "RandomJPEG": "JPEG",
    "RandomLinearCornerIllumination": "Illumination",
    "RandomLinearIllumination": "Illumination",
    "RandomMedianBlur": "MedianBlur",
    "RandomMixUpV2": "MixUp",
    "RandomMosaic": "Mosaic",
    "RandomMotionBlur": "MotionBlur",
    "RandomPlanckianJitter": "PlanckianJitter",
    "RandomPlasmaBrightness": "PlasmaBrightnessContrast",
    "RandomPlasmaContrast": "PlasmaBrightnessContrast",
    "RandomRGBShift": "RGBShift",
    "RandomRotation90": "RandomRotate90",
    "RandomSaltAndPepperNoise": "SaltAndPepper",
    "RandomSaturation": "ColorJitter(saturation=...)",
    "RandomSharpness": "RandomAdjustSharpness",
    "RandomShear": "RandomAffine(0, shear=...)",
    "RandomThinPlateSpline": "ThinPlateSpline",
    "RandomTranslate": "RandomAffine(0, translate=...)",
}
NLPAUG: Names = {
    "KeyboardAug": "KeyboardNoise",
    "OcrAug": "OcrNoise",
    "RandomCharAug": "CharInsert, CharSwap, CharDelete",
    "SynonymAug": "SynonymReplacement",
    "SpellingAug": "SpellingNoise",
    "RandomWordAug": "RandomSwap, RandomDeletion",
    "ContextualWordEmbsAug": "ContextualSubstitution, ContextualInsertion",
    "BackTranslationAug": "BackTranslation",
    "RandomSentAug": "SentenceShuffle",
}
# What has no equal, so that nobody looks for it in vain.
NONE: Mapping[str, tuple[str, ...]] = {
    "torchvision v2": (
        *("ClampBoundingBoxes", "ClampKeyPoints", "FiveCrop", "Lambda", "LinearTransformation", "RGB"),
        *("SanitizeKeyPoints", "SetClampingMode", "TenCrop", "ToImage", "ToPILImage", "ToPureTensor"),
        "UniformTemporalSubsample",
    ),
    "albumentations": (
        *("AdditiveNoise", "AdvancedBlur", "CenterCrop3D", "ChromaticAberration", "CoarseDropout3D"),
        *("ConstrainedCoarseDropout", "Crop", "CropAndPad", "CropNonEmptyMaskIfExists", "CubicSymmetry", "Downscale"),
        *("FDA", "FrequencyMasking", "FromFloat", "GlassBlur", "GridElasticDeform", "HEStain", "HistogramMatching"),
        *("Lambda", "MaskDropout", "Morphological", "OverlayElements", "Pad3D", "PadIfNeeded3D"),
        *("PixelDistributionAdaptation", "PlasmaShadow", "RandomCrop3D", "RandomCropFromBorders"),
        *("RandomCropNearBBox", "RandomGravel", "RandomGridShuffle", "RandomSizedCrop", "RandomSunFlare"),
        *("RingingOvershoot", "Spatter", "Superpixels", "TextImage", "TimeMasking", "TimeReverse", "ToRGB"),
        *("ToTensor3D", "XYMasking", "ZoomBlur"),
    ),
    "kornia": (
        *("CenterCrop3D", "Denormalize", "PatchMix", "PatchSequential", "RandomAffine3D", "RandomCrop3D"),
        *("RandomDepthicalFlip3D", "RandomDissolving", "RandomEqualize3D", "RandomFisheye", "RandomHorizontalFlip3D"),
        *("RandomJigsaw", "RandomMotionBlur3D", "RandomPerspective3D", "RandomPlasmaShadow", "RandomRotation3D"),
        *("RandomTransplantation", "RandomTransplantation3D", "RandomVerticalFlip3D", "VideoSequential"),
    ),
    "nlpaug": (
        *("AbstSummAug", "AntonymAug", "ContextualWordEmbsForSentenceAug", "LambadaAug", "ReservedAug", "SplitAug"),
        *("TfIdfAug", "WordEmbsAug"),
    ),
}
# What takes a whole pipeline; where a transform has no equal, it runs as it is, between ours.
ADAPTERS: Mapping[str, str] = {
    "torchvision v2": "ag.from_torchvision(compose)",
    "albumentations": "ag.from_albumentations(compose)",
    "nlpaug": "ag.from_nlpaug(augmenter)",
}
LIBRARIES: Mapping[str, Names] = {
    "torchvision v2": TORCHVISION,
    "albumentations": ALBUMENTATIONS,
    "kornia": KORNIA,
    "nlpaug": NLPAUG,
}


def block() -> str:
    """Return the migration table as Markdown: a row per library, with what is called otherwise here."""
    head = ["| from | called otherwise here; a name that is not listed is the same | no equal |", "|---|---|---|"]
    return "\n".join([*head, *(_row(library, names) for library, names in LIBRARIES.items())])


def _row(library: str, names: Names) -> str:
    ours: dict[str, list[str]] = {}
    for theirs, name in names.items():
        ours.setdefault(name, []).append(f"`{theirs}`")
    said = "; ".join(f"{', '.join(theirs)}: {_code(name)}" for name, theirs in ours.items())
    whole = f"what you have, by `{ADAPTERS[library]}`; by hand: " if library in ADAPTERS else ""
    return f"| {library} | {whole}{said} | {', '.join(f'`{name}`' for name in NONE[library])} |"


def _code(name: str) -> str:
    return f"`{name}`" if "(" in name else ", ".join(f"`{part}`" for part in name.split(", "))
