"""What a pipeline refuses, and that it says what was seen, where, and what to do."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch
from examples import noise
from PIL import Image
from torchvision import transforms as v1
from torchvision import tv_tensors
from torchvision.transforms import v2

from augsynth import Pipeline, Rng
from augsynth import transforms as T

FLIP = T.RandomHorizontalFlip(1.0)
NORMALIZE = T.Normalize((0.5,), (0.25,))
Masked = namedtuple("Masked", "image mask")
over_engines = pytest.mark.parametrize("engine", ["auto", "opencv", "torch"])


def flip(engine="auto", **arguments):
    return Pipeline({"flip": FLIP}, engine=engine, **arguments)


def mixing():
    return Pipeline([T.AugMix()])


def hwc(image):
    return image.permute(1, 2, 0).numpy()


def albumentations(name):
    """Return an instance of a class that albumentations seems to have; importing it takes seconds."""
    return type(name, (), {"__module__": "albumentations.augmentations.some.place"})()


GOOD = noise((9, 14))
WHOLE = r"\(\.\.\.\) converts a whole pipeline$"
NO = "not a transform of augsynth.transforms"
HAS = "; augsynth.transforms has a Random"


@over_engines
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (GOOD * float("nan"), "the image has NaN pixels"),
        ((GOOD - 0.5) / 0.25, "must lie in .0, 1.*already normalized"),
        (GOOD * 255, r"from 0.* to 25\d.*values from 0 to 255"),
        (GOOD * float("inf"), r"(NaN|must lie)"),
    ],
    ids=["nan", "normalized", "bytes", "infinite"],
)
def test_float_pixels_outside_the_unit_interval_name_sample_and_cause(engine, bad, message):
    bad = torch.where(bad.isnan() & ~torch.isnan(bad.sum()), 0, bad)
    with pytest.raises(ValueError, match=r"sample 1 \(index 8\): .*" + message):
        flip(engine)([GOOD, bad], index=[7, 8])


@over_engines
def test_one_nan_pixel_is_enough(engine):
    bad = GOOD.clone()
    bad[1, 4, 5] = float("nan")
    with pytest.raises(ValueError, match=r"sample 0 .*NaN"):
        flip(engine)(bad, index=0)
    with pytest.raises(ValueError, match=r"sample 0 .*NaN"):
        flip(engine)(hwc(bad), index=0)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (torch.zeros(3, 4, 4, dtype=torch.int64), TypeError, "dtype torch.int64 is not supported; give uint8"),
        (np.zeros((4, 4, 3), np.uint16), TypeError, "dtype uint16 is not supported"),
        (torch.zeros(4, 4), ValueError, r"a tensor image is \(C, H, W\), got Tensor\(4, 4\)"),
        (torch.zeros(3, 0, 4), ValueError, "has no pixels"),
        (torch.zeros(0, 4, 4), ValueError, "has no pixels"),
        (np.zeros((3, 40, 50), np.uint8), ValueError, r"looks like \(C, H, W\); arrays are \(H, W, C\)"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_what_is_not_an_image_is_described(image, error, message):
    with pytest.raises(error, match=r"sample 0 \(index 5\): .*" + message):
        flip()(image, index=5)


LAST = r"Tensor\(9, 14, {}\) .*looks like \(H, W, C\); tensors are \(C, H, W\), .*image.permute\(2, 0, 1\).*0, 3, 1, 2"
FIRST = r"ndarray\({}\) .*looks like \(C, H, W\); arrays are \(H, W, C\), .*transpose\(1, 2, 0\).*\(0, 2, 3, 1\)"
STACK = r"ndarray\({}\) .*looks like \(B, H, W\), .*give array\[:, :, :, None\].*tensor \(C, H, W\)"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(9, 14, 3), LAST.format(3)),
        (torch.zeros(9, 14, 1, dtype=torch.uint8), LAST.format(1)),
        (torch.zeros(2, 9, 14, 4), LAST.format(4)),
        (tv_tensors.Image(torch.zeros(2, 9, 14, 3)), LAST.format(3)),
        (np.zeros((3, 40, 50), np.uint8), FIRST.format("3, 40, 50")),
        (np.zeros((2, 1, 28, 28), np.float32), FIRST.format("1, 28, 28")),
        (np.zeros((4, 40, 50), np.uint8), FIRST.format("4, 40, 50")),
        (np.zeros((64, 28, 28), np.uint8), STACK.format("64, 28, 28")),
        (np.zeros((10, 8, 8), np.float32), STACK.format("10, 8, 8")),
        (np.zeros((16, 240, 320), np.uint8), STACK.format("16, 240, 320")),
    ],
    ids=lambda value: "x".join(map(str, value.shape)) if hasattr(value, "shape") else "",
)
def test_a_layout_that_is_clearly_another_one_says_how_to_convert(image, message):
    index = range(len(image)) if image.ndim == 4 else 0
    with pytest.raises(ValueError, match=r"sample 0 \(index 0\): " + message):
        flip()(image, index=index)


def test_a_pil_mode_that_is_unknown_names_mode_and_sample(monkeypatch):
    image = Image.new("LAB", (4, 3))
    monkeypatch.setattr(image, "_mode", "XYZ")
    with pytest.raises(TypeError, match=r"sample 1 \(index 8\): PIL mode XYZ is not supported; convert it to RGB or L"):
        flip()([Image.new("RGB", (4, 3)), image], index=[7, 8])


def test_a_batch_has_one_dtype():
    with pytest.raises(TypeError, match=r"sample 1 \(index 1\) is torch.float32 and sample 0 .* is torch.uint8"):
        flip()([noise((4, 4), 3, "uint8"), noise((4, 4))], index=[0, 1])


def test_an_empty_batch_is_an_error():
    for empty in (torch.zeros(0, 3, 4, 4), np.zeros((0, 4, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="there is no image in this batch"):
            flip()(empty)
    with pytest.raises((TypeError, ValueError), match="no image"):
        flip()([])


def test_the_number_of_indices_must_fit():
    with pytest.raises(ValueError, match="index has 2 entries for 3 images"):
        flip()(torch.zeros(3, 3, 4, 4), index=[1, 2])
    with pytest.raises(ValueError, match="2 keys for 3 images"):
        flip().images(torch.zeros(3, 3, 4, 4), Rng.of(0, [1, 2]))


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_strength_lies_between_zero_and_one(strength):
    with pytest.raises(ValueError, match=r"strength=.* must lie in 0 to 1"):
        flip()(GOOD, index=0, strength=strength)


@pytest.mark.parametrize(
    "extra",
    [
        {"mask": torch.zeros(1, 9, 14)},
        {"boxes": [[0, 0, 1, 1]]},
        {"points": tv_tensors.BoundingBoxes([[0, 0, 1, 1]], format="XYXY", canvas_size=(9, 14))},
        {"keypoints": [[1, 2]]},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_targets_that_would_stay_behind_are_refused(extra):
    sample = {"image": GOOD, **extra}
    with pytest.raises(TypeError, match=r"sample 0 \(index 3\): '.* cannot follow aug_mix: where AugMix moves"):
        mixing()(sample, index=3)
    with pytest.raises(TypeError, match=r"cannot follow random_apply/aug_mix"):
        Pipeline([T.RandomApply([T.AugMix()])])([sample, sample], index=[0, 1])
    out = Pipeline([T.ColorJitter(0.3)])(sample, index=0)
    assert list(out) == list(sample)


def test_targets_that_would_stay_behind_are_refused_in_tuples_and_namedtuples_too():
    with pytest.raises(TypeError, match=r"'1' \(Mask\(9, 14\) torch.float32\) cannot follow aug_mix"):
        mixing()((GOOD, tv_tensors.Mask(torch.zeros(9, 14))), index=0)
    with pytest.raises(TypeError, match=r"'mask' \(Tensor\(9, 14\) torch.float32\) cannot follow aug_mix"):
        mixing()(Masked(GOOD, torch.zeros(9, 14)), index=0, key="image")


@over_engines
def test_colour_needs_one_or_three_channels(engine):
    image = noise((9, 14), 4)
    if engine == "opencv":
        with pytest.raises(ValueError, match="engine=opencv renders uint8 or float32 images of 1 or 3 channels"):
            flip(engine)(image, index=0)
        return
    assert torch.equal(flip(engine)(image, index=0), image.flip(2))
    with pytest.raises(ValueError, match=r"sample 0 \(index 0\): color_jitter/brightness needs 1 or 3 channels, not 4"):
        Pipeline([T.ColorJitter(0.2)], engine=engine)(image, index=0)


@over_engines
@pytest.mark.parametrize("transform", [T.Pad(2, (1, 2, 3)), T.RandomErasing(1.0, value=(1, 2))])
def test_a_fill_for_another_number_of_channels_is_named(engine, transform):
    with pytest.raises(ValueError, match=r"it has a fill of \d values for 1 channels"):
        Pipeline({"it": transform}, engine=engine)(noise((9, 14), 1, "uint8"), index=0)


TARGET_KEYS = ("mask", "masks", "boxes", "bbox", "bboxes", "keypoints", "segmentation")
TARGETS = [
    tv_tensors.Mask(torch.zeros(9, 14)),
    tv_tensors.BoundingBoxes([[0, 0, 1, 1]], format="XYXY", canvas_size=(9, 14)),
    tv_tensors.KeyPoints([[0, 0]], canvas_size=(9, 14)),
]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda entry: (GOOD, entry),
        lambda entry: [GOOD, [entry]],
        lambda entry: {"image": GOOD, "target": entry},
        lambda entry: (GOOD, ([7, {"a": entry}],)),
        lambda entry: {"image": GOOD, "target": [(entry, 7)]},
    ],
)
def test_targets_that_would_stay_behind_are_refused_at_any_depth(wrap):
    for name in TARGET_KEYS:
        with pytest.raises(TypeError, match=rf"[.']{name}' \(a list of \(list\)\) cannot follow aug_mix"):
            mixing()(wrap({name: [[0, 0, 1, 1]]}), index=0)
    for target in TARGETS:
        with pytest.raises(TypeError, match=rf"' \({type(target).__name__}.*\) cannot follow aug_mix"):
            mixing()(wrap([target]), index=0)


def test_the_image_itself_may_have_a_targets_name():
    assert torch.equal(flip()({"mask": GOOD, "label": 7}, index=0, key="mask")["mask"], GOOD.flip(2))


def test_the_opencv_engine_does_not_drop_gradients_silently():
    for images in ([GOOD.clone().requires_grad_()], [GOOD, GOOD.clone().requires_grad_()]):
        with pytest.raises(ValueError, match="engine=opencv cannot be differentiated, and an image requires grad"):
            flip("opencv")(images, index=range(len(images)))


@over_engines
@pytest.mark.parametrize(("dtype", "fill", "white"), [("uint8", 256, 255), ("float32", 128, 1), ("float32", 1.01, 1)])
def test_a_fill_that_no_pixel_can_have_is_named(engine, dtype, fill, white):
    for given in (fill, (0, 0, fill)):
        with pytest.raises(ValueError, match=rf"it has a fill of {fill}; torch.{dtype} goes from 0 to {white}"):
            Pipeline({"it": T.RandomRotation(45, fill=given)}, engine=engine)(noise((9, 14), 3, dtype), index=0)
    corner = Pipeline([T.Pad(1, (0, 0, white))], engine=engine)(noise((9, 14), 3, dtype), index=0)[:, 0, 0]
    assert corner.tolist() == [0, 0, white]


@over_engines
def test_normalize_for_another_number_of_channels_is_an_error(engine):
    with pytest.raises(ValueError, match="Normalize: mean and std have 3 and 3 entries for images of 1 channels"):
        Pipeline([T.Normalize((0.5,) * 3, (0.2,) * 3)], engine=engine)(noise((9, 14), 1), index=0)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([NORMALIZE, NORMALIZE], "normalize_2: a pipeline has one Normalize, this is the second"),
        ([NORMALIZE, T.ColorJitter(0.1)], "color_jitter: ColorJitter|brightness.* stands after Normalize"),
        ([NORMALIZE, T.RandomErasing()], "random_erasing: RandomErasing stands after Normalize"),
        ([NORMALIZE, T.RandomRotation(10)], "random_rotation: RandomRotation stands after Normalize.*mean colour"),
        ([NORMALIZE, T.OneOf([FLIP, T.RandomGrayscale()])], "one_of/random_grayscale: RandomGrayscale stands after"),
        ([T.RandomApply([NORMALIZE])], "random_apply/normalize: .*cannot stand inside a combinator"),
    ],
)
def test_normalize_stands_once_and_last_of_what_changes_values(steps, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(steps)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"engine": "cuda"}, ValueError, "engine='cuda' is not one of auto, native, opencv, torch"),
        ({"color": "fast"}, ValueError, "color='fast' is not one of exact, linear"),
        ({"dtype": torch.int32}, ValueError, "dtype=torch.int32 is not one of"),
        ({"dtype": "half!"}, ValueError, "dtype=half! is not one of"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"seed": 0.5}, TypeError, "seed must be an integer"),
    ],
)
def test_bad_arguments_of_a_pipeline_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Pipeline([FLIP], **arguments)


@pytest.mark.parametrize(
    ("transforms", "error", "message"),
    [
        (FLIP, TypeError, "Pipeline takes a list or a mapping of transforms, got RandomHorizontalFlip"),
        ([FLIP, T.RandomGrayscale], TypeError, "entry 1 is the class RandomGrayscale.*give an instance"),
        ({"a/b": FLIP}, ValueError, "the name 'a/b' contains '/'"),
        ([lambda x: x], TypeError, "entry 0 is of type function"),
    ],
)
def test_what_is_no_transform_is_named(transforms, error, message):
    with pytest.raises(error, match=message):
        Pipeline(transforms)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        (
            [FLIP, v2.RandomHorizontalFlip()],
            f"entry 1 is torchvision's RandomHorizontalFlip, {NO}{HAS}HorizontalFlip with",
        ),
        ({"a": v1.CenterCrop(4)}, f"'a' is torchvision's CenterCrop, {NO}; augsynth.transforms has a CenterCrop with"),
        (
            [v2.RandomErasing],
            f"entry 0 is torchvision's class RandomErasing, {NO}; give an instance, not the class{HAS}",
        ),
        ([v2.Lambda(str)], f"entry 0 is torchvision's Lambda, {NO}; augsynth.from_torchvision{WHOLE}"),
        (v2.Compose([v2.Lambda(str)]), f"got torchvision's Compose; augsynth.from_torchvision{WHOLE}"),
        (
            v2.RandomErasing(),
            f"got torchvision's RandomErasing{HAS}Erasing with torchvision's arguments; augsynth",
        ),
        ([albumentations("Affine")], f"entry 0 is albumentations' Affine, {NO}; augsynth.from_albumentations{WHOLE}"),
        (
            [albumentations("RandomCrop")],
            f"albumentations' RandomCrop, {NO}{HAS}Crop with torchvision's arguments; augsynth",
        ),
        (albumentations("Compose"), f"got albumentations' Compose; augsynth.from_albumentations{WHOLE}"),
    ],
)
def test_a_transform_of_another_library_says_what_stands_for_it(transforms, message):
    with pytest.raises(TypeError, match=message):
        Pipeline(transforms)
    with pytest.raises(TypeError, match=message):
        T.OneOf(transforms)


def test_bytes_cannot_hold_normalized_values():
    with pytest.raises(ValueError, match=r"dtype=torch\.uint8 cannot hold what Normalize makes"):
        Pipeline([NORMALIZE], dtype=torch.uint8)


def test_numpy_has_no_bfloat16():
    with pytest.raises(TypeError, match="numpy has no bfloat16"):
        flip(dtype=torch.bfloat16)(hwc(noise((4, 4), 3, "uint8")), index=0)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ((noise((4, 4)), noise((4, 4))), r"2 images found in a tuple of .*say which entry is the image with key="),
        ({"a": 1}, r"no image found in a dict with 'a': int"),
        ((1, "x"), r"no image found in a tuple of \(int, str\)"),
        ("a.png", r"no image in a sample of type str"),
        (None, r"no image in a sample of type NoneType"),
    ],
)
def test_a_sample_without_a_clear_image_is_described(sample, message):
    with pytest.raises(TypeError, match=message):
        flip()(sample, index=0)


def test_a_wrong_key_is_named():
    with pytest.raises(TypeError, match=r"key='scan' is not in a dict with 'image': Tensor\(3, 4, 4\)"):
        flip()({"image": noise((4, 4))}, index=0, key="scan")
