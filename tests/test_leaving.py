"""Back to torchvision and albumentations: what converts comes back as it was, and what does not is named."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
import torchvision
from adapter_samples import A, picture
from examples import EXAMPLES, build
from PIL import Image
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.adapters import leaves

PICTURE = picture()
TENSOR = torch.from_numpy(PICTURE).permute(2, 0, 1).contiguous()
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LIBRARIES = ("torchvision", "albumentations")

# The transforms whose examples have an equal: all, or those of these numbers. Every other one is named in an error.
EQUAL = {
    "torchvision": """
RandomAffine RandomHorizontalFlip RandomPerspective RandomRotation RandomVerticalFlip CenterCrop Pad RandomCrop
RandomResizedCrop Resize RandomIoUCrop SanitizeBoundingBoxes:0 RandomResize RandomShortestSize RandomZoomOut
ScaleJitter ElasticTransform ColorJitter Normalize RandomGrayscale Grayscale RandomChannelPermutation
RandomPhotometricDistort RandomAutocontrast RandomEqualize RandomInvert RandomPosterize RandomSolarize GaussianBlur
RandomAdjustSharpness JPEG GaussianNoise RandomErasing:0,1 AugMix AutoAugment RandAugment TrivialAugmentWide OneOf
RandomApply RandomOrder""",
    "albumentations": """
RandomHorizontalFlip RandomVerticalFlip D4 RandomRotate90 Transpose Pad RandomCrop:0 RandomResizedCrop:2 Resize:3,4
AtLeastOneBBoxRandomCrop BBoxSafeRandomCrop RandomSizedBBoxSafeCrop LongestMaxSize:2,3 PadIfNeeded ColorJitter
Normalize ChannelDropout ChannelShuffle FancyPCA HueSaturationValue PlanckianJitter RGBShift
RandomBrightnessContrast ToGray ToSepia RandomAutocontrast RandomGamma RandomInvert RandomToneCurve Blur Defocus
GaussianBlur:0,2 MedianBlur Emboss UnsharpMask GaussNoise MultiplicativeNoise SaltAndPepper ShotNoise CoarseDropout
GridDropout PixelDropout RandomShadow RandomSnow""",
}
CASES = [(library, name, i) for library in LIBRARIES for name in T.REGISTRY for i in range(len(EXAMPLES[name]))]


def has_equal(library, name, example):
    entry = re.search(rf"(?<!\w){name}(:[\d,]+)?(?!\w)", EQUAL[library])
    return entry is not None and (entry[1] is None or str(example) in entry[1][1:].split(","))


def ids(cases):
    return [f"{library}-{name}-{i}-{'equal' if has_equal(library, name, i) else 'none'}" for library, name, i in cases]


def transform_of(name, example):
    return build(name, EXAMPLES[name][example], "uint8")


def there_and_back(library, pipeline, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # albumentations advises
        theirs = getattr(pipeline, f"to_{library}")()
        return theirs, getattr(ag, f"from_{library}")(theirs, **arguments)


def pixels(transform, index):
    """Return what a transform makes of a picture under the name "it", so that the draws are the same."""
    return np.asarray(ag.Pipeline({"it": transform}, fuse=False)(PICTURE, index=index))


@pytest.mark.parametrize(("library", "name", "example"), CASES, ids=ids(CASES))
def test_a_transform_comes_back_equal_or_is_named(library, name, example):
    transform = transform_of(name, example)
    pipeline = ag.Pipeline({"it": transform}, fuse=False)
    if not has_equal(library, name, example):
        with pytest.raises(
            ValueError, match=rf"to_{library}: .* has no exact equal of what follows.*\n  it\S* \(\w+\): "
        ):
            getattr(pipeline, f"to_{library}")()
        return
    _, again = there_and_back(library, pipeline)
    (back,) = again.transforms.values()
    assert type(back) is type(transform)
    if name == "Normalize":
        assert np.allclose((*back.mean, *back.std), (*transform.mean, *transform.std))
    elif not transform.parts() and "BBox" not in name and "IoU" not in name:
        for index in range(3):
            assert np.array_equal(pixels(transform, index), pixels(back, index))


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_list_names_transforms_that_there_are(library):
    names = [entry.split(":")[0] for entry in EQUAL[library].split()]
    assert set(names) <= set(T.REGISTRY)
    assert len(names) == len(set(names)) >= 40


def statistics(images):
    """Return the mean over samples of: mean, deviation, mean step between neighbours."""
    arrays = [np.asarray(image, np.float32) for image in images]
    return np.array([[a.mean(), a.std(), np.abs(np.diff(a, axis=1)).mean()] for a in arrays])


SEEN = [
    (library, name, i)
    for library, name, i in CASES
    if has_equal(library, name, i) and not re.search("BBox|IoU|Bounding|Normalize", name) and i == 0
]


@pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")
@pytest.mark.parametrize(("library", "name", "example"), SEEN, ids=ids(SEEN))
def test_the_equal_does_what_the_transform_does(library, name, example):
    pipeline = ag.Pipeline({"it": transform_of(name, example)}, fuse=False)
    theirs, _ = there_and_back(library, pipeline)
    torch.manual_seed(0)
    if library == "torchvision":
        found = [theirs(TENSOR).permute(1, 2, 0).numpy() for _ in range(40)]
    else:
        theirs.set_random_seed(1)
        found = [theirs(image=PICTURE)["image"] for _ in range(40)]
    one, other = statistics(found), statistics(pipeline(PICTURE, index=i) for i in range(40))
    error = np.sqrt((one.var(0) + other.var(0)) / 40)
    allowed = 4.5 * error + 0.06 * np.abs(one.mean(0)) + np.array([1.0, 1.0, 0.4])
    assert (np.abs(one.mean(0) - other.mean(0)) < allowed).all(), (one.mean(0), other.mean(0), allowed)


# --- whole pipelines --------------------------------------------------------------------------------------------------


def test_an_inference_pipeline_of_torchvision_gives_the_same_pixels():
    pipeline = ag.presets.imagenet(48, train=False)
    theirs, again = there_and_back("torchvision", pipeline)
    assert isinstance(theirs, v2.Compose)
    assert [type(t) for t in again.transforms.values()] == [type(t) for t in pipeline.transforms.values()]
    for image in (TENSOR, Image.fromarray(PICTURE)):
        out, expected = theirs(image), torch.as_tensor(np.asarray(pipeline(image)))
        assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
        assert (out - expected).abs().max() < 3 / 255 / 0.2


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_inference_pipeline_of_albumentations_gives_the_same_pixels(dtype):
    pipeline = ag.Pipeline([T.Resize((40, 50), antialias=False), T.RandomHorizontalFlip(1.0), T.Normalize(MEAN, STD)])
    image = PICTURE if dtype == "uint8" else (PICTURE / 255).astype(np.float32)
    theirs, again = there_and_back("albumentations", pipeline)
    out, expected = theirs(image=image)["image"], pipeline(image)
    assert out.dtype == expected.dtype == np.float32
    assert np.abs(out - expected).max() < 2 / 255 / 0.2
    assert [type(t) for t in again.transforms.values()] == [type(t) for t in pipeline.transforms.values()]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
def test_the_output_dtype_goes_to_torchvision(dtype):
    pipeline = ag.Pipeline([T.RandomInvert(1.0)], dtype=dtype)
    theirs, again = there_and_back("torchvision", pipeline)
    assert again.dtype == dtype
    assert theirs(TENSOR).dtype == dtype
    assert torch.allclose(theirs(TENSOR).float(), pipeline(TENSOR, index=0).float(), atol=1 / 255)


def test_choices_keep_their_odds():
    flip, invert = T.RandomHorizontalFlip(1.0), T.RandomInvert(1.0)
    for chosen in (T.OneOf([flip, invert]), T.OneOf([flip, invert], p=0.4), T.OneOf([flip, invert], weights=(1, 3))):
        for library in LIBRARIES:
            _, again = there_and_back(library, ag.Pipeline([chosen]))
            (back,) = again.transforms.values()
            assert isinstance(back, T.OneOf)
            assert list(back.parts().values()) == [flip, invert]
            assert back.p == pytest.approx(chosen.p)
            odds, expected = (np.array(c.weights or (1, 1), float) for c in (back, chosen))
            assert odds / odds.sum() == pytest.approx(expected / expected.sum())


def test_sequences_and_selections_go_to_albumentations():
    steps = [T.RandomHorizontalFlip(0.3), T.RandomInvert(0.6), T.ToGray(p=0.5)]
    for chosen in (T.RandomApply(steps, 0.4), T.SomeOf(steps, n=2, p=0.9), leaves.SomeInOrder(steps, n=2)):
        _, again = there_and_back("albumentations", ag.Pipeline([chosen]))
        (back,) = again.transforms.values()
        assert (type(back), list(back.parts().values()), back.p) == (type(chosen), steps, chosen.p)


LEAVES = [
    leaves.Affine((0.7, 1.3), (0.7, 1.3), (-0.1, 0.1), (-0.1, 0.1), rotate=(-30, 30), shear_x=(-9, 9), p=0.7),
    leaves.Affine((0.5, 2.0), (0.5, 2.0), (-9, 9), (-3, 3), pixels=True, keep_ratio=True, balanced=True, fill=40.0),
    leaves.Affine(rotate=(20, 70), padding_mode="symmetric", interpolation="bicubic", p=1.0),
    leaves.Perspective((0.1, 0.2), p=1.0),
    leaves.BorderCrop(0.2, 0.1, 0.3, 0.0),
    leaves.SizedCrop((30, 60), (40, 44), 1.2),
    leaves.FixedCrop(20, 24, 6, 7),
    leaves.SolarizeBetween(0.2, high=0.9, p=1.0),
]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: type(leaf).__name__)
def test_what_came_from_albumentations_goes_back(leaf):
    _, again = there_and_back("albumentations", ag.Pipeline([leaf]))
    (back,) = again.transforms.values()
    assert type(back) is type(leaf)
    for index in range(3):
        assert np.array_equal(pixels(leaf, index), pixels(back, index))


def test_arguments_of_compose_are_handed_on():
    pipeline = ag.Pipeline([T.RandomHorizontalFlip(1.0)])
    theirs = pipeline.to_albumentations(bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]), seed=3)
    out = theirs(image=PICTURE, bboxes=[[10, 10, 30, 40]], labels=[1])
    assert np.allclose(out["bboxes"], [[60, 10, 80, 40]])


def test_an_empty_pipeline_passes_images_on():
    empty = ag.Pipeline([])
    assert torch.equal(empty.to_torchvision()(TENSOR), TENSOR)
    assert np.array_equal(empty.to_albumentations()(image=PICTURE)["image"], PICTURE)


# --- what is refused --------------------------------------------------------------------------------------------------

FUSED = "they are one resample here and two there; .*fuse=False"
TURN, RESIZE = T.RandomRotation(9), T.Resize((30, 30))


@pytest.mark.parametrize(
    "steps",
    [
        [TURN, RESIZE],
        [RESIZE, T.RandomHorizontalFlip(), TURN],
        [T.RandomCrop(20), TURN],
        [T.Pad(4), TURN],
        [T.CenterCrop(20), T.Pad(3)],
        [TURN, T.RandomGrayscale(0.5), RESIZE],
        [T.RandomApply([TURN, RESIZE])],
        [T.RandomOrder([TURN, T.RandomInvert(), RESIZE])],
        [T.RandAugment()],
    ],
    ids=str,
)
def test_moves_that_fuse_to_other_pixels_are_refused_and_step_by_step_they_are_not(steps):
    with pytest.raises(ValueError, match=FUSED):
        ag.Pipeline(steps).to_torchvision()
    assert len(ag.Pipeline(steps, fuse=False).to_torchvision().transforms) == len(steps)


@pytest.mark.parametrize(
    "steps",
    [
        [RESIZE, T.CenterCrop(20)],
        [T.RandomResizedCrop(20), T.RandomHorizontalFlip()],
        [T.RandomCrop(40), RESIZE],
        [T.RandomHorizontalFlip(), TURN, T.RandomCrop(20)],
        [TURN, T.ColorJitter(0.2), RESIZE],
        [TURN, T.RandomInvert(1.0), RESIZE],
        [T.OneOf([TURN, RESIZE])],
        [T.TrivialAugmentWide()],
    ],
    ids=str,
)
def test_moves_that_fuse_to_the_same_pixels_convert(steps):
    pipeline = ag.Pipeline(steps)
    assert len(pipeline.to_torchvision().transforms) == len(steps)
    for index in range(4):
        fused, chain = (np.asarray(p(PICTURE, index=index), float) for p in (pipeline, ag.Pipeline(steps, fuse=False)))
        assert np.abs(fused - chain).max() <= 1


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (ag.Pipeline([T.ColorJitter(0.4)], color="linear"), "color: 'linear' clamps once"),
        (ag.Pipeline([T.ColorJitter(0.4)], clamp=False), "clamp: False lets colour leave the value range"),
        (ag.Pipeline([], value_range=(-1, 1)), r"value_range: \(-1, 1\); images of floats lie in \[0, 1\] there"),
        (ag.Pipeline([T.RandomSwap()]), "pipeline: it edits texts, and the other library images"),
        (ag.Pipeline([T.MixUp(num_classes=3)]), r"mix_up \(MixUp\): it mixes the samples of a batch"),
    ],
)
def test_settings_without_an_equal_are_named(pipeline, message):
    for convert in (pipeline.to_torchvision, pipeline.to_albumentations):
        with pytest.raises(ValueError, match=message):
            convert()


def test_everything_that_has_no_equal_is_listed_at_once():
    pipeline = ag.Pipeline(
        {"turn": TURN, "one": T.OneOf([T.GridDistortion(), T.RandomInvert()]), "hole": T.CoarseDropout()},
        color="linear",
    )
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - all of the message is looked at
        pipeline.to_torchvision()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "one/grid_distortion (GridDistortion)",
        "hole (CoarseDropout)",
        "color",
    ]
    with pytest.raises(ValueError, match=r"turn \(RandomRotation\): albumentations has no RandomRotation"):
        pipeline.to_albumentations()


def test_half_floats_and_a_users_function_are_refused():
    with pytest.raises(ValueError, match=r"dtype: torch.float16; albumentations makes float32"):
        ag.Pipeline([], dtype=torch.float16).to_albumentations()
    adapted = ag.from_torchvision([v2.RandomHorizontalFlip(), v2.Lambda(lambda image: image)])
    for convert in (adapted.to_torchvision, adapted.to_albumentations):
        with pytest.raises(ValueError, match=r"\(Foreign\): it is a function .* put it in yourself"):
            convert()


def test_the_p_of_what_is_chosen_has_no_equal_in_albumentations():
    pipeline = ag.Pipeline({"one": T.OneOf([T.RandomInvert(0.5), T.RandomHorizontalFlip(1.0)])})
    with pytest.raises(ValueError, match=r"one/random_invert \(RandomInvert\): .*sets the p of what .* its own is 0.5"):
        pipeline.to_albumentations()


@pytest.mark.parametrize("size", [40, 39, (39, 38), 61])
@pytest.mark.parametrize("before", [(60, 60), (58, 61)])
def test_a_crop_of_the_middle_converts_where_the_size_before_it_makes_both_cut_alike(size, before):
    steps = [T.Resize(before, antialias=False), T.RandomHorizontalFlip(1.0), T.ColorJitter(), T.CenterCrop(size)]
    pipeline = ag.Pipeline(steps, fuse=False)
    sides = size if isinstance(size, tuple) else (size, size)
    cut = [side - wanted for side, wanted in zip(before, sides, strict=True)]
    if all(pixels >= 0 and round(pixels / 2) == pixels // 2 for pixels in cut):
        theirs = pipeline.to_albumentations()(image=PICTURE)["image"]
        assert np.abs(theirs.astype(int) - np.asarray(pipeline(PICTURE, index=0))).max() <= 1
    else:
        with pytest.raises(ValueError, match=r"center_crop \(CenterCrop\): .*T.Resize to a height and width before it"):
            pipeline.to_albumentations()


def test_a_crop_of_the_middle_is_refused_where_the_size_before_it_is_not_known():
    for before in (T.Resize(60, antialias=False), T.RandomRotate90(), T.RandomInvert()):
        with pytest.raises(ValueError, match=r"center_crop \(CenterCrop\): albumentations: theirs rounds"):
            ag.Pipeline([before, T.CenterCrop(40)]).to_albumentations()


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (T.Resize(30, antialias=False), r"size=30 is one side; T\.SmallestMaxSize has an equal"),
        (T.Resize(30, max_size=40), r"max_size=40 is not among the arguments of albumentations' Resize"),
        (T.RandomCrop(30, padding=2), r"padding; .* put T\.PadIfNeeded before it"),
        (T.GaussianBlur((3, 5)), r"kernel_size=\(3, 5\); albumentations has one for width and height"),
        (leaves.FixedCrop(20, 20), r"a crop of the middle; put A\.CenterCrop in yourself"),
        (T.Resize((30, 30)), r"albumentations' is another: shrinks by a triangle filter, not by areas"),
    ],
)
def test_the_reason_says_which_argument_albumentations_lacks(transform, reason):
    with pytest.raises(ValueError, match=rf"it \(\w+\): {reason}"):
        ag.Pipeline({"it": transform}).to_albumentations()


@pytest.mark.parametrize("padding", [(3, 2), (1, 2, 3, 4), 5])
def test_a_padded_crop_of_torchvision_keeps_its_sides(padding):
    for library in (v2, torchvision.transforms):
        (crop,) = ag.from_torchvision(library.RandomCrop(60, padding)).transforms.values()
        sides = padding if isinstance(padding, tuple) else (padding,)
        assert crop.padding in (padding, sides * (4 // len(sides)))
