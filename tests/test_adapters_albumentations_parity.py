"""`from_albumentations`: what converts does what the original does, and draws as it does."""

from __future__ import annotations

import inspect
import pickle
import warnings

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from adapter_samples import barriers, kinds, picture, shift_scale_rotate

import augsynth as ag
from augsynth.adapters import leaves

PICTURE = picture()


# Transforms whose ranges are single values, and the mean and the largest difference that are allowed, in 1/255.
FIXED = [
    (A.HorizontalFlip(), 0, 0),
    (A.VerticalFlip(), 0, 0),
    (A.Transpose(), 0, 0),
    (A.Resize(40, 50), 0.5, 1),
    (A.Resize(100, 130, interpolation=cv2.INTER_CUBIC), 0.5, 1),
    (A.Resize(40, 50, interpolation=cv2.INTER_NEAREST_EXACT), 0, 0),
    (A.Resize(40, 50, interpolation=cv2.INTER_AREA), 2, 25),
    (A.LongestMaxSize(64), 0.5, 1),
    (A.LongestMaxSize(max_size_hw=(40, 80)), 0.5, 1),
    (A.SmallestMaxSize(50), 0.5, 1),
    (A.RandomScale((0.5, 0.5)), 0.5, 1),
    (A.CenterCrop(30, 31), 0, 0),
    (A.CenterCrop(80, 41, pad_if_needed=True, fill=9), 0, 0),
    (A.RandomCrop(75, 90), 0, 0),
    (A.Crop(5, 6, 40, 30), 0, 0),
    (A.PadIfNeeded(100, 111, border_mode=cv2.BORDER_REFLECT_101), 0, 0),
    (A.PadIfNeeded(100, 111, position="top_left", fill=(7, 8, 9)), 0, 0),
    (A.Pad((3, 5, 7, 2), border_mode=cv2.BORDER_REPLICATE), 0, 0),
    (A.Affine(rotate=(30, 30)), 0.01, 1),
    (
        A.Affine(scale=(0.7, 0.7), translate_px={"x": (5, 5), "y": (-3, -3)}, shear={"x": (10, 10), "y": (-5, -5)}),
        0.01,
        1,
    ),
    (A.Affine(translate_percent={"x": (0.1, 0.1), "y": (-0.2, -0.2)}, border_mode=cv2.BORDER_REFLECT_101), 0, 0),
    (
        A.Affine(scale={"x": (1.5, 1.5), "y": (0.8, 0.8)}, rotate=(-20, -20), interpolation=cv2.INTER_CUBIC, fill=9),
        0.01,
        1,
    ),
    (A.Affine(rotate=(30, 30), interpolation=cv2.INTER_NEAREST, fill=(1, 2, 3)), 0.01, 1),
    (shift_scale_rotate((0.05, 0.05), (0.2, 0.2), (15, 15), border_mode=cv2.BORDER_REFLECT), 0.01, 1),
    (A.Rotate((25, 25)), 0.01, 1),
    (A.Rotate((25, 25), border_mode=cv2.BORDER_REPLICATE), 0.01, 1),
    (A.ColorJitter((1.3, 1.3), (1, 1), (1, 1), (0, 0)), 0.7, 1),
    (A.ColorJitter((1, 1), (1.3, 1.3), (1, 1), (0, 0)), 0.7, 1),
    (A.ColorJitter((1, 1), (1, 1), (0.5, 0.5), (0, 0)), 0.6, 1),
    (A.ColorJitter((1, 1), (1, 1), (1, 1), (0.1, 0.1)), 1, 6),
    (A.RandomBrightnessContrast((0.2, 0.2), (0.3, 0.3)), 0.6, 1),
    (A.RandomBrightnessContrast((0.2, 0.2), (0.3, 0.3), brightness_by_max=False), 0.6, 1),
    (A.RandomBrightnessContrast((0.2, 0.2), (0.3, 0.3), ensure_safe_range=True), 0.6, 1),
    (A.HueSaturationValue((10, 10), (20, 20), (-10, -10)), 1, 6),
    (A.RGBShift((10, 10), (-20, -20), (5, 5)), 0, 0),
    (A.RandomGamma((80, 80)), 0.6, 1),
    (A.ToGray(), 0.6, 1),
    (A.ToGray(method="average"), 0.6, 1),
    (A.ToSepia(), 0.6, 1),
    (A.InvertImg(), 0, 0),
    (A.Solarize((0.5, 0.5)), 0, 0),
    (A.Posterize((3, 3)), 0, 0),
    (A.Equalize(), 4, 8),
    (A.AutoContrast(method="pil"), 0.6, 1),
    (A.Blur((5, 5)), 0.6, 1),
    (A.MedianBlur((5, 5)), 0, 0),
    (A.GaussianBlur((0, 0), (1.5, 1.5)), 0.6, 1),
    (A.GaussianBlur((4, 4), (1.5, 1.5)), 0.6, 1),
    (A.Defocus((5, 5), (0.3, 0.3)), 0.6, 1),
    (A.UnsharpMask((5, 5), (1, 1), (0.5, 0.5)), 0.6, 1),
    (A.Emboss((0.3, 0.3), (0.5, 0.5)), 0.6, 1),
    (A.MotionBlur((7, 7), allow_shifted=False, angle_range=(30, 30), direction_range=(0, 0)), 1.5, 30),
    (A.CoarseDropout((1, 1), (75, 75), (90, 90), fill=7), 0, 0),
]


@pytest.mark.parametrize(
    ("transform", "mean", "most"), FIXED, ids=[f"{type(t).__name__}-{i}" for i, (t, _, _) in enumerate(FIXED)]
)
def test_under_fixed_parameters_it_does_what_the_original_does(transform, mean, most):
    adapted = ag.from_albumentations(A.OneOf([transform], p=1))  # a choice of one sets its probability aside
    assert set(kinds(adapted)) == {"fused"}
    expected = transform(image=PICTURE, force_apply=True)["image"].astype(float)
    out = adapted(image=PICTURE, index=0)["image"].astype(float)
    assert out.shape == expected.shape
    assert np.abs(out - expected).mean() <= mean
    assert np.abs(out - expected).max() <= most


ASIDE = [
    A.SafeRotate((25, 25)),
    A.OpticalDistortion((0.2, 0.2)),
    A.OpticalDistortion((0.0, 0.0)),
    A.OpticalDistortion((-0.2, -0.2), mode="fisheye"),
    A.GridDistortion(5, (0.0, 0.0)),
    A.GridDistortion(4, (0.3, 0.3)),
]


@pytest.mark.parametrize("transform", ASIDE, ids=[f"{type(t).__name__}-{i}" for i, t in enumerate(ASIDE)])
def test_what_looks_elsewhere_looks_at_most_a_pixel_aside(transform):
    transform.p = 1.0
    theirs, ours = (p(image=PICTURE)["image"] for p in (transform, ag.from_albumentations(transform)))
    around = np.ones((3, 3))
    low, high = cv2.erode(ours, around).astype(float) - 6, cv2.dilate(ours, around).astype(float) + 6
    near = ((low <= theirs) & (theirs <= high)).all(2)
    assert near[2:-2, 2:-2].mean() > 0.98  # outermost, theirs is dark for a pixel


DRAWN = [
    A.RandomResizedCrop((40, 50)),
    A.RandomCrop(40, 50),
    A.RandomSizedCrop((30, 60), (40, 40), w2h_ratio=1.2),
    A.RandomCropFromBorders(),
    A.Affine(scale=(0.7, 1.4), translate_percent=(-0.2, 0.2), rotate=(-40, 40), shear=(-10, 10)),
    A.Affine(scale=(0.7, 1.4), translate_px=(-9, 9), keep_ratio=True, balanced_scale=True),
    shift_scale_rotate(),
    A.Rotate(),
    A.Perspective((0.05, 0.2)),
    A.Perspective(border_mode=cv2.BORDER_REFLECT_101),
    A.ColorJitter(),
    A.RandomBrightnessContrast(),
    A.HueSaturationValue(),
    A.RandomGamma(),
]


@pytest.mark.parametrize("transform", DRAWN, ids=lambda t: type(t).__name__)
def test_under_the_parameters_that_we_drew_it_does_what_the_original_does(transform):
    (row,) = ag.from_albumentations(transform).compare(PICTURE, samples=8).rows
    assert (row.kind, row.how) == ("fused", "same")
    assert row.mean < 2


# --- the same name, the same distribution -----------------------------------------------------------------------------

ARGUMENTS = {
    "Crop": {"x_max": 30, "y_max": 30},
    "ElasticTransform": {"alpha": 100, "sigma": 5},
    "LongestMaxSize": {"max_size": 50},
    "PadIfNeeded": {"min_height": 80, "min_width": 100},
    "RandomResizedCrop": {"size": (32, 32)},
    "RandomSizedCrop": {"min_max_height": (20, 40), "size": (32, 32)},
    "SmallestMaxSize": {"max_size": 40},
    **{name: {"height": 30, "width": 40} for name in ("CenterCrop", "RandomCrop", "Resize")},
}
NEEDS_BOXES = ("BBoxSafeRandomCrop", "RandomSizedBBoxSafeCrop", "AtLeastOneBBoxRandomCrop")


def every_transform():
    """Yield an instance of each class of albumentations that can be built, applied always."""
    for name, kind in sorted(vars(A).items()):
        if not inspect.isclass(kind) or not issubclass(kind, A.BasicTransform) or kind.__module__.endswith("interface"):
            continue
        if name in NEEDS_BOXES:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield kind(**ARGUMENTS.get(name, {}), p=1.0)
        except ValueError:
            continue


EVERY = list(every_transform())


def statistics(images):
    """Return the mean over samples of: mean, deviation, mean step between neighbours, mean change from the picture."""
    rows = []
    for image in images:
        fitted = cv2.resize(image.astype(np.float32), PICTURE.shape[1::-1], interpolation=cv2.INTER_AREA)
        steps = np.abs(np.diff(fitted, axis=1)).mean()
        rows.append([fitted.mean(), fitted.std(), steps, np.abs(fitted - PICTURE).mean()])
    return np.array(rows)


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: type(t).__name__)
def test_whatever_converts_cannot_be_told_apart_by_its_statistics(transform):
    """A class of the same name that lands in the registry has to pass this, or stand among those that differ."""
    try:
        adapted = ag.from_albumentations(transform)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("from_albumentations: ")  # noqa: PT017 - either it converts or it says why not
        return
    if kinds(adapted) != ["fused"] or type(transform) in (A.GridDistortion, A.OpticalDistortion):  # see above
        return
    transform.set_random_seed(1)
    theirs = statistics(transform(image=PICTURE)["image"] for _ in range(60))
    ours = statistics(adapted(image=PICTURE, index=i)["image"] for i in range(60))
    error = np.sqrt((theirs.var(0) + ours.var(0)) / 60)
    # Half a pixel, a rounding or another filter is not told apart; three quarters more of anything is.
    allowed = 4.5 * error + 0.06 * np.abs(theirs.mean(0)) + np.array([1.0, 1.0, 0.4, 2.5])
    assert (np.abs(theirs.mean(0) - ours.mean(0)) < allowed).all(), (theirs.mean(0), ours.mean(0), allowed)


@pytest.mark.parametrize("name", ["CLAHE", "ISONoise", "PiecewiseAffine", "RandomFog", "ThinPlateSpline"])
@pytest.mark.filterwarnings("ignore:This augmenter is very slow:UserWarning")
def test_what_looks_different_under_the_same_name_is_a_barrier_that_says_so(name):
    adapted = ag.from_albumentations(getattr(A, name)(p=1.0))
    assert barriers(adapted) == [name]
    assert f"{name}: augsynth's " in adapted.explain()


def test_at_least_fifty_classes_convert():
    names = set()
    for transform in EVERY:
        try:
            adapted = ag.from_albumentations(transform)
        except (TypeError, ValueError):
            continue
        names |= {step.source for step in adapted.origin.steps if step.kind in ("fused", "output", "nothing")}
    assert len(names) > 50


# --- what has no public class here ------------------------------------------------------------------------------------

LEAVES = [
    leaves.Affine((0.7, 1.3), (0.7, 1.3), (-0.1, 0.1), (-0.1, 0.1), rotate=(-30, 30), shear_x=(-9, 9), p=1.0),
    leaves.Affine((0.5, 2.0), shift_x=(-9, 9), pixels=True, keep_ratio=True, balanced=True, fill=40, p=1.0),
    leaves.Affine(rotate=(20, 70), padding_mode="symmetric", interpolation="bicubic", p=1.0),
    leaves.Perspective((0.1, 0.2), p=1.0),
    leaves.BorderCrop(0.2, 0.1, 0.3, 0.0),
    leaves.SizedCrop((30, 60), (40, 44), 1.2),
    leaves.FixedCrop(40, 44),
    leaves.FixedCrop(40, 44, 60, 70),
    leaves.GaussianElastic(90.0, 4.0),
    leaves.SolarizeBetween(0.2, high=0.9, p=1.0),
    leaves.Rgb(),
]


@pytest.mark.parametrize("leaf", LEAVES, ids=[f"{type(leaf).__name__}-{i}" for i, leaf in enumerate(LEAVES)])
def test_both_engines_render_it_alike_and_weaker_strength_fades_it(leaf):
    one, other = (ag.Pipeline([leaf], engine=engine, dtype=torch.float32) for engine in ("opencv", "torch"))
    for i in range(3):
        assert np.abs(one(PICTURE, index=i) - other(PICTURE, index=i)).mean() < 0.002
    if not isinstance(leaf, (leaves.FixedCrop, leaves.SizedCrop)):
        assert np.array_equal(ag.Pipeline([leaf])(PICTURE, index=1, strength=0.0), PICTURE)
    assert pickle.loads(pickle.dumps(leaf)) == leaf


def test_balanced_scales_shrink_as_often_as_they_grow_and_axes_may_differ():
    def scales(leaf):
        return ag.Pipeline([leaf]).draw([(50, 60)] * 2000, index=range(2000)).params[:, 0, :2]

    balanced = scales(leaves.Affine((0.5, 4.0), (1.0, 1.0), balanced=True, p=1.0))
    assert (balanced[:, 0] < 1).mean() == pytest.approx(0.5, abs=0.04)
    assert (balanced[:, 1] == 1).all()
    plain, kept = (scales(leaves.Affine((0.5, 4.0), (0.5, 4.0), keep_ratio=k, p=1.0)) for k in (False, True))
    assert (plain[:, 0] < 1).mean() == pytest.approx(1 / 7, abs=0.03)
    assert np.abs(plain[:, 0] - plain[:, 1]).mean() > 0.5
    assert (kept[:, 0] == kept[:, 1]).all()
