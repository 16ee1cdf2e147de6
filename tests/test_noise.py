"""What each noise does to the distribution of the values, and what it leaves alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from albumentations.augmentations.pixel import functional as albumentations_pixel
from examples import noise, smooth
from scipy import stats
from torch.autograd import gradcheck

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.noise import poisson

over_engines = pytest.mark.parametrize("engine", ["opencv", "torch"])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
SIZE = (90, 110)
N = 90 * 110


def flat(value, channels=3, dtype="float32", size=SIZE):
    image = torch.full((channels, *size), float(value))
    return (image * 255).round().to(torch.uint8) if dtype == "uint8" else image


def render(transform, image, engine="torch", index=0, **arguments):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index, **arguments)


def units(image):
    return image.double() / (255 if image.dtype == torch.uint8 else 1)


# --- normal noise -----------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
def test_gaussian_noise_has_torchvisions_distribution(engine, dtype):
    image = flat(0.5, 3, dtype)
    ours = units(render(T.GaussianNoise(0.05, 0.08), image, engine)).flatten()
    torch.manual_seed(0)
    theirs = units(F.gaussian_noise(image.float() / (255 if dtype == "uint8" else 1), 0.05, 0.08)).flatten()
    assert abs(ours.mean() - theirs.mean()) < 5 * 0.08 * (2 / len(ours)) ** 0.5 + 1e-3 * (dtype == "uint8")
    assert abs(ours.std() / theirs.std() - 1) < 0.02
    if dtype == "float32":
        assert stats.ks_2samp(ours.numpy(), theirs.numpy()).pvalue > 0.01


@over_engines
def test_noise_is_clipped_unless_it_is_asked_not_to_be(engine):
    image = noise(SIZE, 3)
    clipped, free = (render(T.GaussianNoise(0.0, 0.5, clip), image, engine) for clip in (True, False))
    assert free.min() < -0.5
    assert free.max() > 1.5
    assert torch.equal(clipped, free.clamp(0, 1))


@over_engines
def test_uint8_saturates_where_floats_may_leave_their_range(engine):
    image = noise(SIZE, 3, "uint8")
    clipped, free = (render(T.GaussianNoise(0.0, 0.5, clip), image, engine) for clip in (True, False))
    assert torch.equal(clipped, free)


def test_noise_of_the_same_key_is_the_same_on_uint8_and_floats_and_on_both_engines():
    image = noise(SIZE, 3, "uint8")
    results = [
        render(T.GaussianNoise(), picture, engine) for picture in (image, image / 255) for engine in ("opencv", "torch")
    ]
    levels = [r if r.dtype == torch.uint8 else (r * 255).round().to(torch.uint8) for r in results]
    assert torch.equal(results[0], results[1])
    for other in levels[2:]:
        assert (levels[0].int() - other.int()).abs().max() <= 1
        assert (levels[0] != other).double().mean() < 1e-3


def test_epochs_indices_and_two_of_a_kind_draw_other_noise():
    image = flat(0.5)
    twice = Pipeline({"a": T.GaussianNoise(sigma=0.05), "b": T.GaussianNoise(sigma=0.05)}, seed=3)
    params = twice.draw([SIZE], index=0).params[0]
    assert (params[0, :2] != params[1, :2]).all()
    parts = [render(T.GaussianNoise(sigma=0.05), image, index=i) - 0.5 for i in (0, 1)]
    parts.append(render(T.GaussianNoise(sigma=0.05), image, epoch=1) - 0.5)
    parts += list(parts[0])  # channels
    for i in range(len(parts)):
        for j in range(i):
            if parts[i].shape == parts[j].shape:
                assert abs(np.corrcoef(parts[i].flatten(), parts[j].flatten())[0, 1]) < 0.05


@over_engines
def test_shared_gaussian_noise_is_the_same_in_all_channels(engine):
    shared = render(T.GaussNoise((0.1, 0.1), per_channel=False, p=1.0), flat(0.5), engine)
    each = render(T.GaussNoise((0.1, 0.1), p=1.0), flat(0.5), engine)
    assert torch.equal(shared[0], shared[1])
    assert torch.equal(shared[0], shared[2])
    assert (each[0] != each[1]).double().mean() > 0.99
    for image in (shared, each):
        assert abs(image.std() - 0.1) < 0.003


# --- photons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.05, 0.7, 3.0, 11.5, 31.0])
def test_the_poisson_quantiles_are_scipys(rate):
    u = (torch.arange(65536, dtype=torch.float32) + 0.5).reshape(2, 1, 128, 256) / 65536
    got = poisson(torch.full_like(u, rate), u, rate)
    expected = stats.poisson.ppf(u.double().numpy(), np.float32(rate))
    assert got.shape == u.shape
    assert (got.numpy() != expected).mean() < 1e-4  # where a quantile's edge is a uniform


@over_engines
@pytest.mark.parametrize("value", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("scale", [0.2, 0.05, 0.004])
def test_shot_noise_counts_a_poisson_number_of_photons(engine, value, scale):
    out = units(render(T.ShotNoise((scale, scale), p=1.0), flat(value), engine)).flatten().numpy()
    counts = out[out < 0.999] ** 2.2 / scale
    rate = value**2.2 / scale
    assert np.abs(counts - np.rint(counts)).max() < 0.02
    most = np.ceil(0.999**2.2 / scale) - 1
    expected = stats.poisson.pmf(np.arange(most + 1), rate)
    expected /= expected.sum()
    mean = (expected * np.arange(most + 1)).sum()
    spread = (expected * (np.arange(most + 1) - mean) ** 2).sum() ** 0.5
    assert abs(counts.mean() - mean) < 5 * spread / len(counts) ** 0.5 + 0.003 * mean
    assert abs(counts.std() / max(spread, 1e-9) - 1) < 0.03


def test_shot_noise_resembles_albumentations():
    image = smooth(SIZE, 3)
    ours = render(T.ShotNoise((0.1, 0.1), p=1.0), image)
    theirs = albumentations_pixel.shot_noise(image.permute(1, 2, 0).numpy(), 0.1, np.random.default_rng(0))
    theirs = torch.from_numpy(theirs).permute(2, 0, 1)
    assert abs((ours - image).mean() - (theirs - image).mean()) < 0.005
    assert abs((ours - image).std() / (theirs - image).std() - 1) < 0.02


@over_engines
def test_black_stays_black_under_shot_noise(engine):
    assert render(T.ShotNoise(p=1.0), flat(0.0), engine).max() == 0


# --- sensor -----------------------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize("value", [0.2, 0.5, 0.8])
def test_iso_noise_on_gray_is_grain_that_grows_with_the_light(engine, value):
    transform = T.ISONoise((0.05, 0.05), (0.5, 0.5), p=1.0)
    out = units(render(transform, flat(value), engine))
    assert torch.allclose(out[0], out[1], atol=1e-5)
    assert abs(out[0].mean() - value) < 0.002
    assert abs(out[0].std() / np.sqrt(0.5 * (value + 1 / 255) / 255) - 1) < 0.03


@over_engines
def test_iso_noise_turns_the_hue_and_keeps_saturation_about_as_it_is(engine):
    image = torch.tensor([0.7, 0.4, 0.3])[:, None, None].expand(3, *SIZE).contiguous()
    out = render(T.ISONoise((0.1, 0.1), (0.2, 0.2), p=1.0), image, engine)
    hue, _, _ = np.moveaxis(cv2.cvtColor(out.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2HSV), 2, 0)
    turn = (hue - 15 + 180) % 360 - 180
    assert abs(turn.std() - 360 * 0.1 * 0.2) < 2  # a turn in YIQ is not quite one in HSV
    assert abs(np.median(turn)) < 1.5
    luma = 0.299 * out[0] + 0.587 * out[1] + 0.114 * out[2]
    assert abs(luma.std() - np.sqrt(0.2 * 0.48 / 255)) < 0.001


# --- salt, pepper, factors --------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
def test_salt_and_pepper_hits_the_share_of_pixels_that_was_drawn(engine, dtype):
    transform, image = T.SaltAndPepper((0.05, 0.2), (0.2, 0.4), p=1.0), flat(0.5, 3, dtype)
    _, _, amount, salt = Pipeline([transform], seed=3).draw([SIZE], index=0).params[0, 0]
    out = units(render(transform, image, engine))
    white, black = (out == 1).all(0), (out == 0).all(0)
    touched = (out != units(image)).any(0)
    assert torch.equal(touched, white | black)
    for share, mask in ((amount * salt, white), (amount * (1 - salt), black)):
        assert abs(mask.double().mean() - share) < 4 * (share / N) ** 0.5


@over_engines
@over_dtypes
def test_multiplicative_noise_is_albumentations_for_one_factor_each(engine, dtype):
    image = noise(SIZE, 3, dtype)
    for per_channel in (False, True):
        transform = T.MultiplicativeNoise((0.5, 1.5), per_channel, p=1.0)
        factors = Pipeline([transform], seed=3).draw([SIZE], index=0).params[0, 0, 4:]
        assert (len(set(factors.tolist())) == 3) == per_channel
        expected = np.clip(units(image).permute(1, 2, 0).numpy() * factors, 0, 1)
        got = units(render(transform, image, engine)).permute(1, 2, 0).numpy()
        assert np.abs(got - expected).max() <= (0.501 / 255 if dtype == "uint8" else 1e-6)


@over_engines
@pytest.mark.parametrize("per_channel", [False, True])
def test_elementwise_factors_are_uniform(engine, per_channel):
    transform = T.MultiplicativeNoise((0.6, 1.4), per_channel, True, p=1.0)
    factors = render(transform, flat(0.5), engine) / 0.5
    assert torch.equal(factors[0], factors[1]) != per_channel
    assert stats.kstest((factors[0].flatten().double().numpy() - 0.6) / 0.8, "uniform").pvalue > 0.01


# --- all --------------------------------------------------------------------------------------------------------------

NOISES = {
    "gaussian": T.GaussianNoise(0.1, 0.2),
    "gauss": T.GaussNoise(p=1.0),
    "iso": T.ISONoise((0.1, 0.2), (0.5, 1.0), p=1.0),
    "shot": T.ShotNoise(p=1.0),
    "salt": T.SaltAndPepper((0.3, 0.4), p=1.0),
    "factors": T.MultiplicativeNoise((0.5, 1.5), p=1.0),
    "pixel factors": T.MultiplicativeNoise((0.5, 1.5), True, True, p=1.0),
}
over_noises = pytest.mark.parametrize("name", NOISES)


@over_engines
@over_noises
def test_noise_of_strength_zero_changes_nothing(name, engine):
    # Law 3 has it that a sample passes untouched only where p is low too; here p is 1 and `strength` divides it away.
    transform, image = NOISES[name], noise(SIZE, 3, "uint8")
    params = transform.sample_params(np.full((1, transform.draws), 0.7), np.array([SIZE]), 0.0)
    done = transform.apply(image[None].float(), params, 255.0)[0]
    assert (done - image).abs().max() < 0.6


@over_noises
def test_noise_fades_with_strength(name):
    transform, image = NOISES[name], noise(SIZE, 3)
    u = np.full((1, transform.draws), 0.7)
    changes = [
        (transform.apply(image[None], transform.sample_params(u, np.array([SIZE]), s), 1.0)[0] - image).abs().mean()
        for s in (0.0, 0.3, 1.0)
    ]
    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("name", [name for name in NOISES if name != "shot"])
def test_noise_has_the_right_gradient(name):
    values = torch.from_numpy(np.random.default_rng(0).uniform(0.45, 0.55, (1, 3, 4, 5))).requires_grad_()
    pipeline = Pipeline([NOISES[name]], seed=1, engine="torch")
    assert gradcheck(lambda x: pipeline(x, index=[3]), values)


def test_gradients_pass_shot_noise_unchanged():
    values = torch.full((1, 3, 4, 5), 0.5, requires_grad=True)
    Pipeline([T.ShotNoise(p=1.0)], engine="torch")(values, index=[0]).sum().backward()
    assert torch.equal(values.grad, torch.ones_like(values))


def test_noise_takes_any_number_of_channels_where_it_can():
    image = flat(0.5, 5)
    for name in ("gaussian", "gauss", "shot", "salt"):
        out = render(NOISES[name], image)
        assert out.shape == image.shape
        assert (out != image).any((1, 2)).all()
