"""Channel transforms against torchvision and albumentations."""

from __future__ import annotations

import albumentations as A
import albumentations.augmentations.pixel.functional as FA
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from examples import noise, pictures
from reference import assert_agrees
from sklearn.decomposition import PCA

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.shades import _components

over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
over_indices = pytest.mark.parametrize("index", range(4))
SIZE = (33, 46)


def render(transforms, image, engine, index=0, **arguments):
    steps = transforms if isinstance(transforms, list) else [transforms]
    return Pipeline(steps, seed=3, engine=engine, **arguments)(image, index=index)


def drawn(transform, index=0):
    return Pipeline([transform], seed=3).draw([SIZE], index=index).params[0, 0]


def hwc(image):
    return image.permute(1, 2, 0).contiguous().numpy()


def assert_close(got, expected, levels=0.02):
    """Compare arrays, the second in the units of the first; levels are 1/255 of the value range."""
    away = np.abs(got.astype(float) - expected.astype(float)).max()
    assert away * (1 if got.dtype == np.uint8 else 255) <= levels


# --- order and dropout ------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@over_indices
def test_a_permutation_is_exact_and_torchvisions(engine, dtype, index):
    image = noise(SIZE, 3, dtype)
    for transform in (T.RandomChannelPermutation(), T.ChannelShuffle(1.0)):
        order = drawn(transform, index).astype(int).tolist()
        assert torch.equal(render(transform, image, engine, index), F.permute_channels(image, order))


def test_all_six_orders_come_equally_often():
    params = Pipeline([T.RandomChannelPermutation()]).draw([SIZE] * 3000, index=range(3000)).params[:, 0]
    _, counts = np.unique(params, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - 500).max() < 100


def test_a_weaker_strength_leaves_more_images_in_order():
    pipeline = Pipeline([T.RandomChannelPermutation()])
    for strength in (0.0, 0.3, 1.0):
        params = pipeline.draw([SIZE] * 2000, index=range(2000), strength=strength).params[:, 0]
        assert abs((params == [0, 1, 2]).all(1).mean() - (1 - strength * 5 / 6)) < 0.04


@over_engines
@over_dtypes
@over_indices
def test_dropped_channels_are_filled_and_the_others_kept(engine, dtype, index):
    image, transform = noise(SIZE, 3, dtype), T.ChannelDropout((1, 2), 1.0, 1.0)
    expected = image.clone()
    expected[torch.from_numpy(drawn(transform, index) > 0)] = 1
    assert torch.equal(render(transform, image, engine, index), expected)


def test_dropout_chooses_how_many_and_which_channels_evenly():
    params = Pipeline([T.ChannelDropout((1, 2), p=1.0)]).draw([SIZE] * 3000, index=range(3000)).params[:, 0]
    assert np.abs(np.bincount(params.sum(1).astype(int))[1:] - 1500).max() < 150
    assert np.abs(params.mean(0) - 0.5).max() < 0.05


# --- gray and sepia -----------------------------------------------------------------------------------------------


@over_engines
def test_gray_is_torchvisions(engine):
    image = noise(SIZE)
    expected = hwc(F.rgb_to_grayscale(image, num_output_channels=3))
    for transform in (T.Grayscale(3), T.ToGray(p=1.0)):
        assert_close(hwc(render(transform, image, engine)), expected, 0.001)


def test_gray_of_one_channel_is_refused_in_plain_words():
    for make in (T.Grayscale, lambda: T.ToGray(1)):
        with pytest.raises(ValueError, match=r"num_output_channels=1 is not valid; expected 3: .* never change"):
            make()


@over_engines
def test_the_average_is_albumentations(engine):
    image = noise(SIZE)
    expected = np.repeat(FA.to_gray_average(hwc(image))[..., None], 3, 2).reshape(*SIZE, 3)
    assert_close(hwc(render(T.ToGray(method="average", p=1.0), image, engine)), expected.astype(np.float32), 0.001)


@over_engines
@over_dtypes
def test_sepia_is_albumentations(engine, dtype):
    image = noise(SIZE, 3, dtype)
    expected = A.ToSepia(p=1.0)(image=hwc(image))["image"]
    assert_close(hwc(render(T.ToSepia(1.0), image, engine)), expected, 1 if dtype == "uint8" else 0.001)


# --- shifts and lines -----------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@over_indices
def test_the_shift_of_channels_is_a_sum(engine, dtype, index):
    image, transform = noise(SIZE, 3, dtype), T.RGBShift(0.5, (30, 90), (-90, -30), 1.0)
    shift, white = drawn(transform, index), 255 if dtype == "uint8" else 1
    expected = np.clip(hwc(image).astype(np.float64) + shift * white, 0, white)
    assert 30 / 255 <= shift[1] <= 90 / 255
    assert_close(hwc(render(transform, image, engine, index)), expected, 0.501 if white == 255 else 0.001)


def test_shift_limits_are_albumentations():
    for limits in ((-20, 20), (-0.3, 0.2), (0.0, 1.0), (-2.0, 0.5)):
        theirs = A.RGBShift(limits, limits, limits).noise_params["ranges"]
        assert np.allclose(T.RGBShift(limits, limits, limits)._ranges.T, theirs)


@over_engines
@over_dtypes
@over_indices
@pytest.mark.parametrize("by_max", [True, False])
@pytest.mark.parametrize("safe", [True, False])
def test_brightness_and_contrast_are_albumentations(engine, dtype, index, by_max, safe):
    image, transform = noise(SIZE, 3, dtype), T.RandomBrightnessContrast(0.6, 0.8, by_max, safe, 1.0)
    (factor, shift), array = drawn(transform, index), hwc(image)
    white = 255 if dtype == "uint8" else 1
    shift = shift * (white if by_max else array.mean(dtype=np.float64))
    if safe:
        factor, shift = FA.get_safe_brightness_contrast_params(factor, shift, white)
        assert 0 <= shift <= factor * white + shift <= white + 1e-9
    expected = np.clip(array * float(factor) + shift, 0, white)
    assert_close(hwc(render(transform, image, engine, index)), expected, 0.501 if white == 255 else 0.001)


# --- colour temperature ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["blackbody", "cied"])
def test_gains_of_a_temperature_are_the_published_ones(mode):
    for kelvin, (red, green, blue) in FA.PLANCKIAN_COEFFS[mode].items():
        transform = T.PlanckianJitter(mode, (kelvin, kelvin), p=1.0)
        assert np.allclose(drawn(transform), [red / green, blue / green], rtol=0, atol=0.001)


@over_engines
@over_dtypes
@over_indices
def test_planckian_jitter_is_albumentations_at_a_temperature(engine, dtype, index):
    image, kelvin = noise(SIZE, 3, dtype), (3500, 4250, 8000, 14800)[index]
    expected = FA.planckian_jitter(hwc(image), kelvin, "blackbody")
    got = hwc(render(T.PlanckianJitter("blackbody", (kelvin, kelvin), p=1.0), image, engine))
    # Its table is interpolated linearly, and its products with uint8 are cut off.
    assert_close(got, expected, 3.0)


@pytest.mark.parametrize("method", ["uniform", "gaussian"])
def test_temperatures_are_distributed_as_albumentations(method):
    ours = Pipeline([T.PlanckianJitter("cied", (4500, 11000), method, 1.0)]).draw([SIZE] * 4000, index=range(4000))
    theirs = A.PlanckianJitter("cied", (4500, 11000), method, 1.0)
    theirs.set_random_seed(0)
    kelvin = np.array([theirs.get_params()["temperature"] for _ in range(4000)])
    red = [(np.array(FA.planckian_jitter(np.full((1, 1, 3), 0.5, np.float32), k, "cied"))[0, 0, 0] * 2) for k in kelvin]
    gains = np.sort(ours.params[:, 0, 0])
    assert np.abs(gains - np.sort(red)).mean() < 0.01
    assert abs((kelvin > 6000).mean() - 0.6) < 0.03


# --- distortion of photographs ----------------------------------------------------------------------------------------


def _steps(program, sample):
    leaves = program.plan.leaves
    return [leaves[code - 1].name.split("/")[1] for code in program.ops[sample] if code]


@over_engines
@over_dtypes
@over_indices
def test_photometric_distortion_is_torchvisions_chain(engine, dtype, index):
    image = noise(SIZE, 3, dtype)
    pipeline = Pipeline([T.RandomPhotometricDistort(p=0.8)], seed=3, engine=engine)
    program = pipeline.draw([SIZE], index=index)
    white = 255 if dtype == "uint8" else 1
    expected = image / white
    for name, values in zip(_steps(program, 0), program.params[0, program.ops[0] > 0].tolist(), strict=True):
        if name == "channels":
            expected = F.permute_channels(expected, [int(v) for v in values])
        else:
            expected = getattr(F, f"adjust_{name}")(expected, values[0])
    assert_close(hwc(pipeline(image, index=index)), hwc(expected * white), 0.52 if white == 255 else 0.02)


def test_each_part_of_the_distortion_is_as_likely_as_p_and_contrast_comes_early_or_late():
    program = Pipeline([T.RandomPhotometricDistort(p=0.3)]).draw([SIZE] * 4000, index=range(4000))
    orders = [_steps(program, sample) for sample in range(4000)]
    for name in ("brightness", "contrast", "saturation", "hue", "channels"):
        assert abs(np.mean([name in order for order in orders]) - 0.3) < 0.03
    both = [order for order in orders if "contrast" in order and "hue" in order]
    assert 0.4 < np.mean([order.index("contrast") < order.index("hue") for order in both]) < 0.6
    assert all(order[-1] == "channels" for order in orders if "channels" in order)
    assert all(order[0] == "brightness" for order in orders if "brightness" in order)


def test_strength_0_switches_the_distortion_off():
    program = Pipeline([T.RandomPhotometricDistort()]).draw([SIZE] * 50, index=range(50), strength=0.0)
    assert not program.ops.any()


def test_contrast_in_linear_colour_pivots_at_the_luma_after_the_steps_before_it():
    image = torch.full((3, 4, 5), 0.4)
    image[:, 0] = 0.6
    steps = [T.ToSepia(1.0), T.ColorJitter(contrast=(0.0, 0.0))]
    luma = np.array([0.2989, 0.587, 0.114]) / 0.9999
    expected = luma @ np.array([1.351, 1.203, 0.937]) * image.mean().item()
    for engine in ("opencv", "torch"):
        assert (render(steps, image, engine, color="linear") - expected).abs().max() < 1e-5


@over_engines
@over_dtypes
@pytest.mark.parametrize("color", ["exact", "linear"])
@pytest.mark.parametrize("seed", range(6))
def test_chains_of_colours_agree_with_the_reference(engine, dtype, color, seed):
    order = np.random.default_rng(seed).permutation(10)
    chain = [
        T.ColorJitter(0.4, 0.6, 0.4, 0.1),
        T.ChannelShuffle(0.8),
        T.ToSepia(0.3),
        T.PlanckianJitter(p=0.8),
        T.ToGray(method="average", p=0.3),
        T.RandomPhotometricDistort(p=0.6),
        T.RandomHorizontalFlip(),
        T.ChannelDropout(p=0.3),
        T.FancyPCA(2.0),
        T.RandomGrayscale(0.2),
    ]
    pipeline = Pipeline([chain[i] for i in order[:7]], seed=seed, engine=engine, color=color)
    assert_agrees(pipeline, pictures(3, dtype), index=[3, 1, 4, 15])


# --- HSV --------------------------------------------------------------------------------------------------------------


@over_engines
@over_indices
def test_a_shift_in_hsv_is_albumentations(engine, index):
    image = hwc(noise((40, 50), 3, "uint8") // 4 + 90)  # its 8-bit hue is coarse: no strong colours
    transform = T.HueSaturationValue(20, 30, 20, 1.0)
    shifts = drawn(transform, index) * [180, 255, 255]
    expected = FA.shift_hsv(image, *(round(v) for v in shifts))
    got = hwc(render(transform, torch.from_numpy(image).permute(2, 0, 1).contiguous(), engine, index))
    assert np.abs(got.astype(int) - expected.astype(int)).mean() < 1.5


@over_engines
@over_dtypes
def test_gray_pixels_stay_gray_under_a_shift_of_the_saturation(engine, dtype):
    image = noise(SIZE, 1, dtype).expand(3, -1, -1).contiguous()
    transform = T.HueSaturationValue((10, 10), (100, 100), (0, 0), 1.0)
    assert torch.equal(render(transform, image, engine), image)


@over_engines
@pytest.mark.parametrize("limits", [(40, 60), (-60, -40)])
def test_the_hue_shift_of_albumentations_is_torchvisions(engine, limits):
    image, transform = noise((64, 80)), T.HueSaturationValue(limits, 0, 0, 1.0)
    turn = drawn(transform)[0]
    assert limits[0] <= 180 * turn <= limits[1]
    assert_close(hwc(render(transform, image, engine)), hwc(F.adjust_hue(image, turn)), 0.02)


# --- principal components -------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
def test_principal_components_of_the_colours_are_stretched(engine, dtype):
    image, transform = noise(SIZE, 3, dtype), T.FancyPCA(3.0, 1.0)
    image[2] = image[0] // 2 + image[1] // 4 if dtype == "uint8" else image[0] / 2 + image[1] / 4
    white = 255 if dtype == "uint8" else 1
    analysis = PCA().fit(hwc(image).reshape(-1, 3) / float(white))
    scores = analysis.transform(hwc(image).reshape(-1, 3) / float(white))
    stretched = analysis.inverse_transform(scores * (1 + drawn(transform) * analysis.explained_variance_))
    expected = np.clip(stretched, 0, 1).reshape(*SIZE, 3) * white
    assert np.abs(expected - hwc(image)).max() > 0.05 * white
    assert_close(hwc(render(transform, image, engine)), expected, 0.51 if white == 255 else 0.01)


@over_engines
@over_dtypes
def test_fancy_pca_of_one_channel_is_albumentations(engine, dtype):
    # With three, albumentations does not turn back from the components' axes: an eigenvector's sign decides there.
    image, transform, white = noise(SIZE, 1, dtype), T.FancyPCA(3.0, 1.0), 255 if dtype == "uint8" else 1
    expected = FA.fancy_pca(hwc(image) / white, drawn(transform)) * white
    assert_close(hwc(render(transform, image, engine)), expected, 0.51 if white == 255 else 0.01)


def test_components_are_those_of_the_library_solver():
    rng = np.random.default_rng(0)
    colors = torch.from_numpy(rng.normal(size=(200, 3, 7)))
    colors[0], colors[1, 1:], colors[2] = 0.0, 0.0, colors[2, :1]  # nothing, one axis, gray
    matrix = colors @ colors.transpose(1, 2)
    values, axes = _components(matrix)
    assert torch.allclose((axes * values[:, None]) @ axes.transpose(1, 2), matrix, atol=1e-9)
    assert torch.allclose(axes @ axes.transpose(1, 2), torch.eye(3, dtype=axes.dtype).expand_as(axes), atol=1e-12)
    assert torch.allclose(values.sort(1).values, torch.linalg.eigvalsh(matrix), atol=1e-9)


@over_engines
@over_dtypes
def test_a_flat_image_has_no_components_and_stays(engine, dtype):
    image = torch.full((3, 6, 7), 0.4) if dtype == "float32" else torch.full((3, 6, 7), 77, dtype=torch.uint8)
    got = render(T.FancyPCA(5.0, 1.0), image, engine)
    assert (got.double() - image.double()).abs().max() < 1e-6
