"""`from_albumentations`: conversions, choices, barriers, errors, and the pipeline that it is."""

from __future__ import annotations

import pickle

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from adapter_samples import barriers, convert, detection, kinds, picture

import augsynth as ag
from augsynth import transforms as T
from augsynth.adapters.foreign import Foreign

PICTURE = picture()


class OwnFlip(A.HorizontalFlip):
    """A subclass may do anything, so it is not converted as what it derives from."""

    def apply(self, img, **params):
        return img


class Dim(A.ImageOnlyTransform):
    def apply(self, img, **params):
        return img // 2


def halve(image, **_):
    return image // 2


# --- the output stage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "transforms",
    [
        [A.Normalize()],
        [A.Normalize(), A.ToTensorV2()],
        [A.Normalize((0.5,) * 3, (0.25,) * 3, max_pixel_value=255)],
        [A.Normalize((123.0, 116.0, 103.0), (58.0, 57.0, 57.0), max_pixel_value=1.0), A.ToTensorV2()],
        [A.Normalize(mean=(0, 0, 0), std=(1, 1, 1)), A.ToTensorV2()],
        [A.ToFloat(), A.ToTensorV2()],
        [A.ToFloat(255), A.HorizontalFlip(p=1), A.PadIfNeeded(80, 95, fill=0.5)],
        [A.ToFloat(), A.HorizontalFlip(p=1), A.FromFloat("uint8")],
        [A.ToTensorV2()],
        [A.Normalize(), A.Pad(3), A.ToTensorV2()],
    ],
    ids=str,
)
def test_conversions_become_the_output_stage(transforms):
    compose = A.Compose(transforms)
    expected, out = (pipeline(image=PICTURE)["image"] for pipeline in (compose, ag.from_albumentations(compose)))
    assert type(out) is type(expected)
    assert (out.dtype, out.shape) == (expected.dtype, expected.shape)
    unit = float(expected.max() - expected.min()) / 255
    assert np.abs(np.asarray(out, np.float64) - np.asarray(expected, np.float64)).max() <= 1.01 * unit


def test_to_tensor_turns_masks_too_moved_or_not():
    mask = np.arange(75 * 90, dtype=np.int64).reshape(75, 90)
    deep = np.stack([mask % 7, mask % 3], 2)
    for compose in ([A.HorizontalFlip(p=1.0), A.ToTensorV2()], [A.ToGray(p=1.0), A.ToTensorV2(transpose_mask=True)]):
        for entry in (mask, deep):
            compose_ = A.Compose(compose)
            expected, out = (p(image=PICTURE, mask=entry)["mask"] for p in (compose_, ag.from_albumentations(compose_)))
            assert torch.equal(out, expected)


def test_float_images_normalize_by_their_own_range():
    compose = A.Compose([A.Normalize(max_pixel_value=1.0), A.ToTensorV2()])
    image = (PICTURE / 255).astype(np.float32)
    expected, out = (pipeline(image=image)["image"] for pipeline in (compose, ag.from_albumentations(compose)))
    assert (out - expected).abs().max() < 1e-4


# --- choices ----------------------------------------------------------------------------------------------------------


def shares(adapted, count=4000):
    ops = adapted.draw([(8, 8)] * count, index=range(count)).ops
    return [float((ops == code).any(1).mean()) for code in range(1, len(adapted.plan.leaves) + 1)]


def test_one_of_takes_probabilities_for_weights():
    adapted = convert(A.OneOf([A.InvertImg(p=0.2), A.HorizontalFlip(p=0.6), A.NoOp(p=0.2)], p=0.5))
    assert shares(adapted) == pytest.approx([0.1, 0.3], abs=0.03)


def test_sequential_compose_and_one_or_other_keep_their_probabilities():
    inner = A.Sequential([A.InvertImg(p=0.5), A.VerticalFlip(p=1.0)], p=0.4)
    assert shares(convert(inner)) == pytest.approx([0.2, 0.4], abs=0.03)
    assert shares(convert(A.OneOf([inner], p=1.0))) == pytest.approx([0.5, 1.0], abs=0.03)
    assert shares(convert(A.InvertImg(p=1.0), p=0.3)) == pytest.approx([0.3], abs=0.03)
    assert shares(convert(A.OneOrOther(A.InvertImg(p=0.1), A.VerticalFlip(p=0.1), p=0.7))) == pytest.approx(
        [0.7, 0.3], abs=0.03
    )


def test_some_of_keeps_the_order_of_the_list_and_random_order_does_not():
    options = [A.InvertImg(p=1.0), A.Solarize((0.5, 0.5), p=1.0), A.Posterize((2, 2), p=1.0)]
    for compose, ordered in ((A.SomeOf(options, n=2), True), (A.RandomOrder(options, n=2), False)):
        ops = convert(compose).draw([(8, 8)] * 300, index=range(300)).ops
        pairs = {tuple(code for code in row if code) for row in ops.tolist()}
        assert {len(pair) for pair in pairs} == {2}
        assert all(a < b for a, b in pairs) == ordered
        assert len(pairs) == (3 if ordered else 6)


def test_some_of_counts_what_does_nothing_and_may_repeat():
    assert shares(convert(A.SomeOf([A.InvertImg(p=0.5), A.NoOp(p=1.0)], n=1))) == pytest.approx([0.25, 0.0], abs=0.03)
    repeated = convert(A.SomeOf([A.InvertImg(p=1.0), A.VerticalFlip(p=1.0)], n=2, replace=True))
    ops = repeated.draw([(8, 8)] * 2000, index=range(2000)).ops
    assert set((ops > 0).sum(1).tolist()) == {2}
    assert "repeats come in random order here" in repeated.explain()


def test_a_probability_of_zero_is_left_out():
    assert not convert(A.InvertImg(p=0.0), A.NoOp(p=1.0), A.OneOf([A.NoOp(p=1.0)])).transforms


# --- barriers ---------------------------------------------------------------------------------------------------------


def test_what_we_do_not_have_is_a_barrier_with_the_reason():
    adapted = convert(
        A.Superpixels(p=1.0), A.Affine(rotate=90, border_mode=cv2.BORDER_WRAP), OwnFlip(p=1.0), Dim(p=1.0)
    )
    assert barriers(adapted) == ["Superpixels", "Affine", "OwnFlip", "Dim"]
    text = adapted.explain()
    assert "barrier[superpixels] -> barrier[affine] -> barrier[own_flip] -> barrier[dim]" in text
    assert "barrier[superpixels]: Superpixels: augsynth has no Superpixels" in text
    assert "border_mode=3 (of cv2) wraps the image around" in text


@pytest.mark.parametrize("engine", ["opencv", "torch"])
def test_a_barrier_draws_by_the_samples_key_and_leaves_the_original_alone(engine):
    original = A.GlassBlur(p=1.0)
    original.set_random_seed(3)
    expected = original(image=PICTURE)["image"]
    original.set_random_seed(3)
    adapted = ag.from_albumentations(original, engine=engine)
    one = adapted(image=PICTURE, index=5)["image"]
    assert np.array_equal(one, adapted(image=PICTURE, index=5)["image"])
    assert not np.array_equal(one, adapted(image=PICTURE, index=6)["image"])
    assert np.array_equal(original(image=PICTURE)["image"], expected)


def test_the_parts_of_a_barrier_do_not_draw_alike():
    flips = A.SelectiveChannelTransform([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)], channels=[0, 1, 2], p=1.0)
    adapted = ag.from_albumentations(flips)
    outs = [adapted(image=PICTURE, index=i)["image"] for i in range(24)]
    turned = [PICTURE, PICTURE[:, ::-1], PICTURE[::-1], PICTURE[::-1, ::-1]]
    assert {next(k for k, t in enumerate(turned) if np.array_equal(out, t)) for out in outs} == {0, 1, 2, 3}


def test_a_class_of_ones_own_is_not_converted_by_its_name():
    class InvertImg(A.InvertImg):
        def apply(self, img, **params):
            return img // 2

    adapted = convert(InvertImg(p=1.0))
    assert barriers(adapted) == ["InvertImg"]
    assert np.array_equal(adapted(image=PICTURE, index=0)["image"], PICTURE // 2)


def test_a_lambda_is_a_barrier():
    assert np.array_equal(convert(A.Lambda(image=halve, p=1.0))(image=PICTURE)["image"], PICTURE // 2)


def test_colour_barriers_let_targets_stay_and_others_refuse_them():
    mask = np.zeros(PICTURE.shape[:2], np.uint8)
    assert convert(A.Superpixels(p=1.0))(image=PICTURE, mask=mask)["mask"] is mask
    with pytest.raises(TypeError, match="cannot follow random_grid_shuffle"):
        convert(A.RandomGridShuffle(p=1.0))(image=PICTURE, mask=mask)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            A.Resize(9, 9, interpolation=cv2.INTER_LANCZOS4),
            r"Resize: interpolation=4 \(of cv2\) is none of.*changes the size",
        ),
        (A.CropAndPad(px=4, keep_size=False), "CropAndPad: augsynth has no CropAndPad. It cannot be a barrier either"),
        (A.Affine(rotate=10, fit_output=True), "Affine: fit_output=True changes the size"),
        (A.MaskDropout(), "MaskDropout draws with an eye on mask, which a barrier is not given"),
        (
            A.CropNonEmptyMaskIfExists(8, 8),
            "CropNonEmptyMaskIfExists: augsynth has no CropNonEmptyMaskIfExists. It cannot be a barrier",
        ),
        (A.ToRGB(), "ToRGB changes the number of channels"),
        (A.Normalize(normalization="image"), "normalization='image' depends on each image"),
        (A.Normalize(p=0.5), "Normalize with p=0.5; convert all images or none"),
        (A.OneOf([A.ToFloat()]), "ToFloat stands inside a choice"),
        ([A.Normalize(), A.ColorJitter()], "ColorJitter stands after Normalize"),
        ([A.Normalize(), A.Superpixels()], "Superpixels stands after Normalize"),
        (A.HorizontalFlip, "got the class HorizontalFlip; give an instance"),
        ([A.HorizontalFlip(), "flip"], "got 'flip' of type str, which is no transform"),
        ([halve], r"halve is your own; put it into A.Lambda\(image=...\)"),
        (None, "got None of type NoneType"),
    ],
)
def test_what_cannot_be_converted_is_named_with_the_reason(transform, message):
    with pytest.raises(
        (TypeError, ValueError), match=f"from_albumentations: .*{message}|from_albumentations: {message}"
    ):
        ag.from_albumentations(transform)


def test_torchvision_is_sent_to_its_own_adapter():
    from torchvision.transforms import v2

    with pytest.raises(TypeError, match=r"got torchvision's RandomInvert; convert it by augsynth\.from_torchvision"):
        ag.from_albumentations([v2.RandomInvert()])


def test_notes_tell_what_is_alike_but_not_the_same():
    text = convert(
        A.Resize(20, 20, interpolation=cv2.INTER_AREA), A.ImageCompression(p=1.0), A.HorizontalFlip()
    ).explain()
    assert "resize: Resize: shrinks by a triangle filter, not by areas" in text
    assert "image_compression: ImageCompression: there the codec takes red for blue" in text
    assert len(text.splitlines()) == 3


# --- the pipeline it is -----------------------------------------------------------------------------------------------


def test_it_is_called_as_the_original_is_or_as_a_pipeline():
    adapted = ag.from_albumentations(detection())
    named = adapted(image=PICTURE, index=3)["image"]
    assert torch.equal(named, adapted({"image": PICTURE}, index=3)["image"])
    assert torch.equal(named, adapted(PICTURE, index=3))
    assert torch.equal(torch.stack([named, named]), torch.stack(adapted([PICTURE, PICTURE], index=[3, 3])))
    assert adapted(np.stack([PICTURE, PICTURE]), index=[0, 1]).shape == (2, 3, 64, 64)
    with pytest.raises(TypeError, match="give a sample, or its entries by name"):
        adapted()
    with pytest.raises(TypeError, match="not both"):
        adapted(PICTURE, image=PICTURE)


def test_arguments_of_the_pipeline_win():
    adapted = ag.from_albumentations(detection(), seed=3, min_area=5.0, engine="torch")
    assert (adapted.seed, adapted.rules.min_area, adapted.engine) == (3, 5.0, "torch")
    with pytest.raises(TypeError, match="'sead' is not an argument of Pipeline"):
        ag.from_albumentations(detection(), sead=3)


def test_gray_images_convert_too():
    gray = PICTURE[:, :, 0]
    adapted = convert(A.HorizontalFlip(p=1.0), A.Superpixels(p=1.0), A.RandomGamma((80, 80), p=1.0))
    assert adapted(image=gray, index=0)["image"].shape == gray.shape


def test_it_pickles_with_its_barriers():
    adapted = convert(A.HorizontalFlip(), A.GlassBlur(p=1.0), A.Normalize())
    twin = pickle.loads(pickle.dumps(adapted))
    assert np.array_equal(twin(image=PICTURE, index=2)["image"], adapted(image=PICTURE, index=2)["image"])
    assert isinstance(twin.plan.leaves[1].transform, Foreign)


def test_the_whole_comparison_says_what_is_a_barrier_and_what_agrees():
    comparison = ag.from_albumentations(
        A.Compose([A.HorizontalFlip(), A.CLAHE(), A.Perspective(), A.Normalize()])
    ).compare(PICTURE, 4)
    flip, clahe, perspective = comparison.rows
    assert (flip.how, flip.largest) == ("same", 0)
    assert (clahe.kind, clahe.largest) == ("barrier", None)
    assert (perspective.how, perspective.mean < 0.5) == ("same", True)
    assert comparison.original > 0


def test_what_lands_in_the_registry_later_is_used(monkeypatch):
    assert barriers(ag.from_albumentations(A.ZoomBlur(p=1.0))) == ["ZoomBlur"]
    monkeypatch.setitem(T.REGISTRY, "ZoomBlur", T.ToSepia)
    assert kinds(ag.from_albumentations(A.ZoomBlur(p=1.0))) != []
