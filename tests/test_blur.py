"""The filters against torchvision, OpenCV, scipy and albumentations, and what is special about each."""

from __future__ import annotations

import albumentations.augmentations.blur.functional as albumentations_blur
import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from albumentations.augmentations.pixel import functional as albumentations_pixel
from examples import noise, smooth
from torch.autograd import gradcheck

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.blur import correlate, gaussian
from augsynth.transforms.sharpen import Sharpness

over_engines = pytest.mark.parametrize("engine", ["opencv", "torch"])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
over_channels = pytest.mark.parametrize("channels", [1, 3])
SIZE = (33, 46)
FACTORS = [0.0, 0.1, 0.73, 1.0, 1.27, 1.9, 2.0, 5.3, 0.9999, *(1 + 0.09 * k for k in range(-10, 11))]


def drawn(transform, index=0, size=SIZE, **arguments):
    return Pipeline([transform], seed=3).draw([size], index=index, **arguments).params[0, 0].tolist()


def render(transform, image, engine, index=0, **arguments):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index, **arguments)


def hwc(image):
    array = image.permute(1, 2, 0).numpy()
    return np.ascontiguousarray(array if array.shape[2] == 3 else array[:, :, 0])


def largest_difference(got, expected):
    """Return it in 1/255 of the value range."""
    expected = torch.from_numpy(expected.reshape(*expected.shape[:2], -1)).permute(2, 0, 1)
    assert got.shape == expected.shape
    return float((got.double() - expected.double()).abs().max()) * (1 if got.dtype == torch.uint8 else 255)


# --- sharpness --------------------------------------------------------------------------------------------------------


@over_engines
@over_channels
@pytest.mark.parametrize("size", [(33, 46), (3, 3), (2, 9), (9, 1)])
def test_sharpness_is_torchvisions_to_the_bit_on_uint8(engine, channels, size):
    for i, factor in enumerate(FACTORS):
        image = noise(size, channels, "uint8", seed=i)
        expected = F.adjust_sharpness(image, factor)
        assert torch.equal(render(T.RandomAdjustSharpness(factor, 1.0), image, engine), expected)


@over_engines
@over_channels
def test_sharpness_is_torchvisions_on_floats(engine, channels):
    for factor in FACTORS:
        image = noise(SIZE, channels)
        got, expected = render(T.RandomAdjustSharpness(factor, 1.0), image, engine), F.adjust_sharpness(image, factor)
        torch.testing.assert_close(got, expected, atol=1e-6 * max(1, factor), rtol=0)


def test_sharpness_of_many_images_takes_each_ones_factor():
    pixels = torch.stack([noise(SIZE, 3, "uint8", seed) for seed in range(4)])
    factors = np.array([[0.3], [1.0], [1.81], [1.9]])
    got = Sharpness(1.0).apply(pixels.float(), factors, 255.0)
    for image, row, (factor,) in zip(pixels, got, factors.tolist(), strict=True):
        assert torch.equal(row, F.adjust_sharpness(image, factor).float())


@over_engines
def test_sharpness_after_color_acts_on_whole_levels(engine):
    image = noise(SIZE, 3, "uint8")
    steps = [T.ColorJitter(brightness=(0.5, 0.7)), T.RandomAdjustSharpness(1.7, 1.0)]
    before, after = (Pipeline(s, seed=3, engine=engine)(image, index=0) for s in (steps[:1], steps))
    assert torch.equal(after, F.adjust_sharpness(before, 1.7))


def test_a_negative_factor_is_refused():
    with pytest.raises(ValueError, match="Sharpness: factor=-1 is not valid"):
        Sharpness(-1)


# --- Gaussian and box -------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@over_channels
@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.4), (9, (1.0, 1.5)), ((5, 11), 2.5), (23, (0.1, 2.0)), (21, 8.0)])
def test_gaussian_blur_is_torchvisions(engine, dtype, channels, kernel, sigma):
    transform, image = T.GaussianBlur(kernel, sigma), noise(SIZE, channels, dtype)
    for index in range(3):
        expected = F.gaussian_blur(image, kernel, drawn(transform, index))
        got = render(transform, image, engine, index)
        unit = 1 if dtype == "uint8" else 255
        # A result halfway between two levels may be rounded either way.
        assert ((got.double() - expected.double()).abs() * unit > 0.005).double().mean() < 0.001
        assert (got.double() - expected.double()).abs().max() * unit <= (1 if dtype == "uint8" else 0.005)


@over_engines
def test_a_filter_larger_than_the_image_goes_back_and_forth_between_its_mirrors(engine):
    image = noise((4, 3), 3)
    taps = gaussian(23, 4.0)
    at = np.abs((np.arange(-11, 4 + 11) + 3) % 6 - 3), np.abs((np.arange(-11, 3 + 11) + 2) % 4 - 2)
    wide = image.double()[:, at[0]][:, :, at[1]]
    expected = torch.einsum("cyxij,i,j->cyx", wide.unfold(1, 23, 1).unfold(2, 23, 1), *[torch.from_numpy(taps)] * 2)
    got = render(T.GaussianBlur(23, 4.0), image, engine)
    torch.testing.assert_close(got, expected.float(), atol=2e-6, rtol=0)


def test_the_ends_of_a_gaussian_that_are_cut_off_do_not_count():
    whole = np.exp(-0.5 * (np.arange(-30, 31) / 2.0) ** 2)
    cut = gaussian(61, 2.0)
    assert len(cut) == 21
    assert np.abs(np.pad(cut, 20) - whole / whole.sum()).sum() < 2e-6


@over_engines
def test_the_box_is_opencvs(engine):
    transform, image = T.Blur((5, 9), p=1.0), noise(SIZE, 3)
    sides = {drawn(transform, index)[0] for index in range(30)}
    assert sides == {5, 7, 9}
    for index in range(4):
        side = int(drawn(transform, index)[0])
        assert largest_difference(render(transform, image, engine, index), cv2.blur(hwc(image), (side, side))) < 0.01


# --- median -----------------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@over_channels
@pytest.mark.parametrize("side", [3, 5, 7, 9])
def test_the_median_is_exact(engine, dtype, channels, side):
    image = noise(SIZE, channels, dtype)
    wide = np.pad(image.numpy(), ((0, 0), *((side // 2,) * 2,) * 2), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(1, 2))
    expected = torch.from_numpy(np.median(around, axis=(3, 4)).astype(wide.dtype))
    assert torch.equal(render(T.MedianBlur((side, side), 1.0), image, engine), expected)


# --- motion and lens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 90, 180])
@pytest.mark.parametrize("direction", [-1, 0, 1])
@pytest.mark.parametrize("length", [3, 7])
def test_the_line_of_a_motion_blur_is_albumentations_where_that_hits_whole_pixels(angle, direction, length):
    kernel = T.MotionBlur().kernels(np.array([length, angle, direction, 0.0, 0.0]))[0]
    if direction:  # theirs repeats pixels and counts them once
        kernel = (kernel > 1e-9) / (kernel > 1e-9).sum()
    theirs = albumentations_blur.create_motion_kernel(length, angle, direction, False, None)
    sides = np.subtract(theirs.shape, kernel.shape) // 2
    assert np.allclose(np.pad(kernel, [(side, side) for side in sides]), theirs / theirs.sum(), atol=1e-9)


def center_of(kernel):
    y, x = np.indices(kernel.shape) - np.array(kernel.shape)[:, None, None] // 2
    return (kernel * x).sum(), (kernel * y).sum()


@pytest.mark.parametrize("direction", [-1.0, -0.3, 0.0, 0.6, 1.0])
def test_the_middle_of_a_motion_lies_where_direction_and_shift_say(direction):
    kernel = T.MotionBlur().kernels(np.array([9, 30.0, direction, 0.7, -0.4]))[0]
    ahead = 4 * direction / 2
    x, y = center_of(kernel)
    assert kernel.sum() == pytest.approx(1)
    assert x == pytest.approx(0.7 + ahead * np.cos(np.radians(30)))
    assert y == pytest.approx(-0.4 + ahead * np.sin(np.radians(30)))


@over_engines
@pytest.mark.parametrize("radius", [3, 5, 6])  # from 7 on theirs mirrors the softened rim at the kernel's own edge
def test_defocus_is_albumentations(engine, radius):
    transform, image = T.Defocus((radius, radius), (0.4, 0.5), p=1.0), noise((60, 70), 3)
    sigma = drawn(transform, size=(60, 70))[1]
    expected = albumentations_blur.defocus(hwc(image), radius, sigma)
    assert largest_difference(render(transform, image, engine), expected) < 0.02


# --- unsharp and emboss -----------------------------------------------------------------------------------------------


@over_engines
def test_unsharp_mask_is_albumentations(engine):
    transform, image = T.UnsharpMask((5, 7), (0.5, 2.0), (0.6, 1.0), 20, p=1.0), noise(SIZE, 3)
    for index in range(3):
        size, sigma, alpha = drawn(transform, index)
        expected = albumentations_pixel.unsharp_mask(hwc(image), int(size), sigma, alpha, threshold=20)
        assert largest_difference(render(transform, image, engine, index), expected) < 0.02


@over_engines
def test_unsharp_mask_leaves_what_is_below_the_threshold(engine):
    image = smooth(SIZE, 3)
    torch.testing.assert_close(render(T.UnsharpMask(p=1.0), image, engine), image, atol=1e-6, rtol=0)


@over_engines
def test_emboss_is_a_filter_of_albumentations_kernel(engine):
    transform, image = T.Emboss(p=1.0), noise(SIZE, 3)
    alpha, height = drawn(transform)
    relief = np.array([[-1 - height, -height, 0], [-height, 1, height], [0, height, 1 + height]])
    flat = np.zeros((3, 3))
    flat[1, 1] = 1
    expected = np.clip(cv2.filter2D(hwc(image), -1, (1 - alpha) * flat + alpha * relief), 0, 1)
    assert largest_difference(render(transform, image, engine), expected) < 0.01


# --- all --------------------------------------------------------------------------------------------------------------

FILTERS = {
    "gaussian": T.GaussianBlur(5, (1.0, 2.0)),
    "box": T.Blur(p=1.0),
    "median": T.MedianBlur((3, 3), p=1.0),
    "motion": T.MotionBlur(p=1.0),
    "defocus": T.Defocus((2, 3), p=1.0),
    "emboss": T.Emboss(p=1.0),
    "sharpness": T.RandomAdjustSharpness(1.4, p=1.0),
    "unsharp": T.UnsharpMask(3, 1.0, 0.5, 5, p=1.0),
}
over_filters = pytest.mark.parametrize("name", FILTERS)


@over_engines
@over_filters
def test_a_filter_of_strength_zero_changes_nothing(name, engine):
    image = noise(SIZE, 3, "uint8")
    assert torch.equal(render(FILTERS[name], image, engine, strength=0.0), image)


@over_filters
def test_half_the_strength_changes_less(name):
    image = noise(SIZE, 3)
    half, full = (
        sum((render(FILTERS[name], image, "torch", index, strength=s) - image).abs().sum() for index in range(5))
        for s in (0.5, 1.0)
    )
    assert 0 <= half < full


@over_filters
def test_a_filter_has_the_right_gradient(name):
    values = np.random.default_rng(0).permutation(np.linspace(0.3, 0.7, 60)).reshape(1, 2, 5, 6)
    if name == "sharpness":
        values = values[:, :1]
    pipeline = Pipeline([FILTERS[name]], seed=1, engine="torch")
    assert gradcheck(lambda x: pipeline(x, index=[3]), torch.from_numpy(values).requires_grad_())


@pytest.mark.parametrize("count", [1, 3])
def test_each_image_of_a_batch_has_a_kernel_of_its_own_size(count):
    kernels = [np.array([[0.5, 0.0, 0.5]]), np.array([[0.0], [0.0], [1.0]]), np.full((1, 1), 2.0)][:count]
    pixels = torch.stack([noise((5, 7), 1, seed=seed) for seed in range(count)])
    got = correlate(pixels, kernels)
    left, right = pixels[0, 0][:, [1, *range(6)]], pixels[0, 0][:, [*range(1, 7), 5]]
    torch.testing.assert_close(got[0, 0], (left + right) / 2)
    if count == 3:
        torch.testing.assert_close(got[1, 0], pixels[1, 0][[1, 2, 3, 4, 3]])
        torch.testing.assert_close(got[2], 2 * pixels[2])
