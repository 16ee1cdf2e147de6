"""Tones against torchvision, PIL, albumentations and OpenCV."""

from __future__ import annotations

import itertools

import albumentations as A
import albumentations.augmentations.pixel.functional as FA
import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from examples import noise, smooth
from PIL import Image, ImageOps
from reference import expected as expected_by_formula

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.tone import Autocontrast, Equalize, Invert, Posterize, Solarize

over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
over_channels = pytest.mark.parametrize("channels", [1, 3])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
over_strengths = pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
SIZE, KEYS = (33, 46), [3, 1, 4, 15]
ROW = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 256)


def render(transforms, image, engine, **arguments):
    steps = transforms if isinstance(transforms, list) else [transforms]
    return Pipeline(steps, seed=3, engine=engine)(image, index=0, **arguments)


def drawn(transform, size=SIZE):
    return Pipeline([transform], seed=3).draw([size], index=0).params[0, 0]


def pictures(channels, dtype):
    """Return noise, a dim picture, one with few levels up to white, a flat one and one of two pixels."""
    images = [noise(SIZE, channels), smooth(SIZE, channels), (noise(SIZE, channels) * 5).floor() / 4]
    images += [torch.full((channels, 7, 8), 0.4), noise((1, 2), channels)]
    return [(image * 255).round().to(torch.uint8) if dtype == "uint8" else image for image in images]


def in_units(share, dtype):
    return share * 255 if dtype == "uint8" else share


# --- torchvision's --------------------------------------------------------------------------------------------------


def _torchvisions(dtype):
    yield T.RandomInvert(1.0), F.invert
    yield T.RandomAutocontrast(1.0), F.autocontrast
    yield T.RandomEqualize(1.0), F.equalize
    yield Invert(), F.invert
    yield Autocontrast(), F.autocontrast
    yield Equalize(), F.equalize
    for bits in range(9):
        yield T.RandomPosterize(bits, 1.0), lambda image, bits=bits: F.posterize(image, bits)
        yield Posterize(bits), lambda image, bits=bits: F.posterize(image, bits)
    for share in (0.0, 0.25, 0.5, 0.777, 1.0):
        limit = in_units(share, dtype)
        yield T.RandomSolarize(limit, 1.0), lambda image, limit=limit: F.solarize(image, limit)
        yield Solarize(share), lambda image, limit=limit: F.solarize(image, limit)


@over_engines
@over_channels
@over_dtypes
def test_tones_are_torchvisions_bit_for_bit_on_uint8(engine, channels, dtype):
    for (transform, theirs), image in itertools.product(_torchvisions(dtype), pictures(channels, dtype)):
        got, expected = render(transform, image, engine), theirs(image)
        assert got.dtype == expected.dtype
        assert (got.double() - expected.double()).abs().max() <= (0 if dtype == "uint8" else 1.2e-7), transform


def test_autocontrast_is_torchvisions_for_every_darkest_and_brightest_level():
    for low in range(256):
        rows = torch.minimum(ROW, torch.arange(low, 256, dtype=torch.uint8).reshape(-1, 1, 1, 1)).clamp(min=low)
        expected = F.autocontrast(rows)
        assert torch.equal(Autocontrast().apply(rows.float(), np.empty((len(rows), 0)), 255.0), expected.float())
        for row, theirs in zip(rows.numpy(), expected.numpy(), strict=True):
            assert np.array_equal(Autocontrast().on_levels(row[0], np.empty(0)), theirs[0])


@over_engines
@over_channels
def test_equalize_is_pils(engine, channels):
    for image in pictures(channels, "uint8"):
        array = image.permute(1, 2, 0).numpy()
        picture = Image.fromarray(array if channels == 3 else array[:, :, 0])
        expected = np.array(ImageOps.equalize(picture)).reshape(array.shape)
        assert np.array_equal(render(T.RandomEqualize(1.0), image, engine).permute(1, 2, 0).numpy(), expected)


# --- levels -----------------------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize(
    ("tone", "theirs"),
    [
        (T.RandomSolarize(100, 1.0), lambda image: F.solarize(image, 100)),
        (Posterize(5), lambda image: F.posterize(image, 5)),
        (T.RandomEqualize(1.0), F.equalize),
        (T.RandomAutocontrast(1.0), F.autocontrast),
    ],
)
def test_what_came_as_uint8_is_rounded_to_whole_levels_before_a_tone(engine, tone, theirs):
    image = noise(SIZE, 3, "uint8")
    dim = T.ColorJitter(brightness=(0.613, 0.613))  # no level times this lies half way between two
    dimmed = (image.double() * 0.613).round().to(torch.uint8)
    assert torch.equal(render([dim, tone], image, engine), theirs(dimmed))


@pytest.mark.parametrize(
    "tone",
    [
        Invert(),
        Posterize(3),
        Solarize(0.4),
        T.RandomSolarize(77.7),
        T.SolarizeAdd(100.0, (20.0, 60.0)),
        T.RandomGamma((30, 40)),
        T.RandomToneCurve(0.3),
        T.RandomBrightnessContrast(0.5, 0.5),
    ],
)
def test_a_table_says_what_rendering_does_to_each_level(tone):
    params = tone.sample_params(np.full((1, tone.draws), 0.2), np.array([SIZE]), 1.0)
    table = tone.table_of(params[0])
    assert table.shape == (256,)
    assert table.dtype == np.uint8
    assert np.array_equal(table, tone.apply_array(ROW[0].numpy(), params[0], 255.0)[0])
    assert np.array_equal(table, tone.apply(ROW[None].float(), params, 255.0)[0, 0, 0].numpy())


@pytest.mark.parametrize(
    "tone",
    [
        Autocontrast(),
        Equalize(),
        T.RandomToneCurve(per_channel=True),
        T.RandomBrightnessContrast(brightness_by_max=False),
    ],
)
def test_there_is_no_table_where_the_image_or_the_channel_decides(tone):
    assert tone.table_of(np.full(tone.params, 0.3)) is None


@over_channels
def test_a_tone_of_a_window_does_not_need_it_to_be_contiguous(channels):
    image = noise((40, 50), channels, "uint8").permute(1, 2, 0).numpy()
    array = image if channels == 3 else image[:, :, 0]
    inner = array[3:30, 5:40]
    for tone in (Invert(), Posterize(2), Solarize(0.5), Autocontrast(), Equalize(), T.CLAHE(2.0)):
        params = tone.sample_params(np.full((1, tone.draws), 0.5), np.array([SIZE]), 1.0)[0]
        assert np.array_equal(tone.apply_array(inner, params, 255.0), tone.apply_array(inner.copy(), params, 255.0))


@over_engines
@over_channels
@over_dtypes
@pytest.mark.parametrize("seed", range(4))
def test_chains_of_exact_tones_agree_with_the_reference(engine, channels, dtype, seed):
    half = in_units(0.5, dtype)
    chain = [Invert(), Posterize(4), Equalize(), T.RandomSolarize(half), T.SolarizeAdd(half, (0.0, half))]
    chain += [T.RandomHorizontalFlip(), T.RandomInvert(), T.RandomChannelPermutation(), T.RandomPosterize(3)]
    order = np.random.default_rng(seed).permutation(len(chain))
    pipeline = Pipeline([chain[i] for i in order], seed=seed, engine=engine)
    images = [noise(SIZE, channels, dtype, number) for number in range(4)]
    if dtype == "uint8":
        targets = expected_by_formula(pipeline, images, index=KEYS)
        for got, target in zip(pipeline(images, index=KEYS), targets, strict=True):
            assert np.array_equal(got.permute(1, 2, 0).numpy(), target.pixels)
        return
    # Where a step of a tone lies within the error of a float, one engine may fall to its other side.
    twin = Pipeline(pipeline.transforms, seed=seed, engine="torch" if engine == "opencv" else "opencv")
    away = (pipeline(torch.stack(images), index=KEYS) - twin(torch.stack(images), index=KEYS)).abs()
    assert (away > 1e-5).double().mean() < 0.001


# --- strength and arguments -------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
def test_at_strength_0_a_tone_does_nothing(engine, dtype):
    image = smooth(SIZE, 3, dtype)
    image[:, 0, 0] = in_units(1, dtype)  # white is what a solarization inverts last
    tones = [Solarize(0.0), T.RandomSolarize(0.0, 1.0), T.SolarizeAdd(in_units(1, dtype), in_units(0.5, dtype), 1.0)]
    tones += [T.RandomGamma((200, 300), 1.0), T.RandomToneCurve(0.5, True, 1.0), T.CLAHE(40.0, p=1.0)]
    for tone in tones + ([Posterize(0)] if dtype == "uint8" else []):
        assert (render(tone, image, engine, strength=0.0).double() - image.double()).abs().max() <= 1e-6


@over_strengths
def test_a_weaker_strength_keeps_more_bits_and_raises_the_threshold(strength):
    u, sizes = np.empty((2, 0)), np.array([SIZE, SIZE])
    assert np.array_equal(Posterize(3).sample_params(u, sizes, strength)[:, 0], [round(8 - 5 * strength)] * 2)
    limits = Solarize(0.25).limits(Solarize(0.25).sample_params(u, sizes, strength), 255.0)
    assert np.allclose(limits, 256 + strength * (0.25 * 255 - 256))


def test_a_threshold_in_the_wrong_units_is_refused():
    for transform in (T.RandomSolarize(128.0), T.SolarizeAdd(0.5, 30.0)):
        with pytest.raises(ValueError, match="float32 goes from 0 to 1"):
            Pipeline([transform])(noise(SIZE), index=0)


# --- formulas -------------------------------------------------------------------------------------------------------


@over_engines
def test_gamma_in_per_cent_is_torchvisions_power(engine):
    image = noise(SIZE)
    transform = T.RandomGamma((30, 300), 1.0)
    power = drawn(transform)[0]
    assert 0.3 <= power <= 3
    assert torch.allclose(render(transform, image, engine), F.adjust_gamma(image, power), rtol=0, atol=1e-6)


@over_engines
def test_gamma_on_uint8_is_albumentations_but_rounded(engine):
    transform = T.RandomGamma((30, 300), 1.0)
    got = render(transform, ROW.expand(3, 2, -1).contiguous(), engine).numpy()[0, 0].astype(float)
    cut_off = FA.gamma_transform(ROW.numpy()[0], drawn(transform)[0])[0]
    assert set(np.unique(got - cut_off)) == {0.0, 1.0}


@over_engines
@pytest.mark.parametrize("per_channel", [False, True])
def test_the_tone_curve_is_albumentations(engine, per_channel):
    transform = T.RandomToneCurve(0.4, per_channel, 1.0)
    image = noise(SIZE, 3, "uint8")
    low, high = drawn(transform).reshape(2, -1)
    numbers = (low, high) if per_channel else (float(low[0]), float(high[0]))
    expected = FA.move_tone_curve(image.permute(1, 2, 0).numpy().copy(), *numbers)
    assert np.array_equal(render(transform, image, engine).permute(1, 2, 0).numpy(), expected)


@over_engines
def test_solarize_add_raises_what_is_below_the_threshold(engine):
    transform = T.SolarizeAdd(100, (40, 90), 1.0)
    addition = drawn(transform)[0]
    expected = [min(round(v + addition), 255) if v < 100 else v for v in range(256)]
    assert render(transform, ROW.expand(3, -1, -1).contiguous(), engine)[1, 0].tolist() == expected


@pytest.mark.parametrize("transform", [Invert(), T.RandomGamma((50, 60), 1.0), T.RandomToneCurve(0.3, True, 1.0)])
def test_tones_of_floats_can_be_differentiated(transform):
    image = smooth((5, 6)).requires_grad_()
    (slope,) = torch.autograd.grad(render(transform, image, "torch").sum(), image)
    shift = torch.full_like(image, 1e-3)
    with torch.no_grad():
        rise = render(transform, image + shift, "torch") - render(transform, image - shift, "torch")
    assert torch.allclose(slope, rise / 2e-3, atol=2e-3)


# --- CLAHE --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 48), (33, 47), (64, 47), (9, 8), (5, 40), (1, 7)])
@pytest.mark.parametrize("grid", [(8, 8), (3, 4), (1, 1)])
def test_clahe_of_a_gray_image_is_opencvs(size, grid):
    image = (noise(size, 1) ** 2 * 255).to(torch.uint8)
    transform = T.CLAHE((1.0, 9.0), grid, 1.0)
    expected = torch.from_numpy(cv2.createCLAHE(drawn(transform, size)[0], grid).apply(image[0].numpy()))
    assert torch.equal(render(transform, image, "opencv")[0], expected)
    away = (render(transform, image, "torch")[0].int() - expected.int()).abs()
    # OpenCV's interpolation in float32 rounds a few ties the other way.
    assert away.max() <= 1
    assert (away > 0).double().mean() <= 0.03


def test_clahe_limits_are_albumentations():
    theirs = A.CLAHE(clip_limit=7.0, p=1.0)
    assert tuple(theirs.clip_limit) == T.CLAHE(7.0)._limits()
    assert theirs.tile_grid_size == T.CLAHE().tile_grid_size


@over_dtypes
def test_clahe_of_a_colour_image_changes_the_luma_alone(dtype):
    image = smooth((64, 72), 3, dtype)
    transform = T.CLAHE(3.0, (4, 4), 1.0)
    got, other = (render(transform, image, engine).double() for engine in ("opencv", "torch"))
    change = (got - image.double()) * (1 if dtype == "uint8" else 255)
    assert (change - change[:1]).abs().max() < 1e-4
    assert change.abs().max() > 20
    levels = (
        (image if dtype == "uint8" else (image * 255).round().to(torch.uint8)).permute(1, 2, 0).contiguous().numpy()
    )
    luma = cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY)
    expected = cv2.createCLAHE(drawn(transform, (64, 72))[0], (4, 4)).apply(luma).astype(float) - luma
    assert np.abs(change[0].numpy() - expected).max() < 1e-4
    assert (got - other).abs().max() * (1 if dtype == "uint8" else 255) < 1.01


def test_a_weaker_strength_adds_a_share_of_what_clahe_changes():
    image, transform = smooth((64, 72)), T.CLAHE(3.0, (4, 4), 1.0)
    parts = []
    for engine in ("opencv", "torch"):
        params = transform.sample_params(np.full((1, 1), 0.5), np.array([SIZE]), 0.5)
        full = transform.sample_params(np.full((1, 1), 0.5), np.array([SIZE]), 1.0)
        array = image.permute(1, 2, 0).contiguous().numpy()
        if engine == "opencv":
            parts += [transform.apply_array(array, p[0], 1.0) - array for p in (params, full)]
        else:
            parts += [(transform.apply(image[None], p, 1.0)[0] - image).numpy() for p in (params, full)]
    assert np.allclose(2 * parts[0], parts[1], atol=1e-5)
    assert np.allclose(2 * parts[2], parts[3], atol=1e-5)
