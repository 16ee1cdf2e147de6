"""Weather and light: what each does to simple pictures, beside OpenCV where it does the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from examples import noise, smooth
from torch.autograd import gradcheck

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.weather import plasma

over_engines = pytest.mark.parametrize("engine", ["opencv", "torch"])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
SIZE = (90, 120)


def drawn(transform, index=0, size=SIZE):
    return Pipeline([transform], seed=3).draw([size], index=index).params[0, 0]


def render(transform, image, engine="torch", index=0, **arguments):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index, **arguments)


def flat(value, size=SIZE, channels=3):
    return torch.full((channels, *size), float(value))


def clouds(count, size=SIZE, roughness=3.0):
    keys = np.random.default_rng(0).integers(0, 2**24, (count, 2)).astype(float)
    return plasma(keys, torch.zeros(count, 1, *size), roughness)[:, 0]


# --- clouds -----------------------------------------------------------------------------------------------------------


def test_clouds_are_smooth_and_have_the_mean_one_half():
    fields = clouds(200)
    assert abs(fields.mean() - 0.5) < 0.01
    assert fields.min() > 0
    assert fields.max() < 1
    assert (fields[:, 1:] - fields[:, :-1]).abs().max() < 0.1


def test_a_larger_picture_shows_the_same_clouds():
    small, large = clouds(1, (60, 60)), clouds(1, (180, 180))
    reduced = large.reshape(1, 60, 3, 60, 3).mean((2, 4))
    assert (small - reduced).abs().max() < 0.02


def test_rough_clouds_have_more_detail():
    detail = [(f[:, 1:] - f[:, :-1]).abs().mean() for f in (clouds(20, roughness=r) for r in (4.0, 2.0, 1.0))]
    assert detail[0] < detail[1] < detail[2]


# --- fog --------------------------------------------------------------------------------------------------------------


@over_engines
def test_fog_brings_every_value_nearer_to_white_by_one_share_per_pixel(engine):
    transform, index = T.RandomFog(p=1.0), 2
    black, white = (render(transform, flat(value), engine, index) for value in (0, 1))
    assert torch.allclose(white, flat(1))
    assert torch.allclose(black[0], black[1])
    image = noise(SIZE)
    torch.testing.assert_close(render(transform, image, engine, index), image + (1 - image) * black, atol=1e-6, rtol=0)


def test_fog_hides_the_share_of_its_layers():
    hidden = [render(T.RandomFog(0.1, (1.0, 1.0), p=1.0), flat(0), index=index).double() for index in range(60)]
    layers = torch.stack([torch.log(1 - fog) / np.log(0.9) for fog in hidden])
    assert abs(layers.mean() - 12) < 0.6


# --- plasma -----------------------------------------------------------------------------------------------------------


@over_engines
def test_plasma_brightness_adds_a_cloud_and_contrast_scales_by_one(engine):
    bright = T.PlasmaBrightnessContrast((0.4, 0.4), (0.0, 0.0), p=1.0)
    cloud = (render(bright, flat(0.5), engine) - 0.5) / 0.4
    assert torch.allclose(cloud[0], cloud[2])
    contrast = T.PlasmaBrightnessContrast((0.0, 0.0), (0.4, 0.4), p=1.0)
    image = 0.3 + 0.4 * noise(SIZE)
    mean = image.mean((1, 2), keepdim=True)
    expected = mean + (image - mean) * (1 + 0.4 * cloud)
    torch.testing.assert_close(render(contrast, image, engine), expected, atol=1e-5, rtol=0)


# --- light ------------------------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize(("angle", "bright"), [(0, (0, 1)), (90, (1, 0)), (180, (0, -1)), (270, (-1, 0))])
def test_light_rises_along_its_direction(engine, angle, bright):
    transform = T.Illumination("linear", (0.4, 0.4), "brighten", (angle, angle), p=1.0)
    out = render(transform, flat(0.5), engine)[0]
    down, right = out[-1].mean() - out[0].mean(), out[:, -1].mean() - out[:, 0].mean()
    assert np.allclose([down, right], [0.4 * side for side in bright], atol=0.01)
    assert abs(out.mean() - 0.5) < 1e-5


@over_engines
def test_light_falls_off_from_its_corner_to_the_opposite_one(engine):
    found = set()
    for index in range(12):
        transform = T.Illumination("corner", (0.3, 0.6), "darken", p=1.0)
        amount, _, corner, *_ = drawn(transform, index)
        factor = render(transform, flat(0.5), engine, index)[0] / 0.5
        factor = factor.flip([axis for axis, far in enumerate((corner // 2, corner % 2)) if far])
        assert np.allclose([factor[0, 0], factor[-1, -1]], [1 + amount, 1], atol=0.01)
        assert abs(factor[SIZE[0] // 2, SIZE[1] // 2] - (1 + amount / 2)) < 0.01
        found.add(corner)
    assert found == {0, 1, 2, 3}


@over_engines
def test_a_gaussian_light_is_brightest_at_its_centre(engine):
    transform = T.Illumination(
        "gaussian", (0.5, 0.5), "brighten", center_range=(0.3, 0.7), sigma_range=(0.1, 0.2), p=1.0
    )
    _, _, _, x, y, sigma = drawn(transform)
    out = render(transform, flat(0.4), engine)[0]
    row, column = divmod(int(out.argmax()), SIZE[1])
    assert abs(row + 0.5 - y * SIZE[0]) <= 0.51
    assert abs(column + 0.5 - x * SIZE[1]) <= 0.51
    away = sigma * max(SIZE)
    at = out[row, min(int(x * SIZE[1] + away), SIZE[1] - 1)]
    assert abs(at - 0.4 * (1 + 0.5 * np.exp(-0.5))) < 0.01


def test_darkening_and_brightening_have_their_signs():
    for effect, signs in (("brighten", {1}), ("darken", {-1}), ("both", {1, -1})):
        transform = T.Illumination(effect_type=effect, p=1.0)
        assert {int(np.sign(drawn(transform, index)[0])) for index in range(30)} == signs


# --- shadow -----------------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
def test_a_shadow_is_opencvs_polygon_except_at_its_rim(engine, dtype):
    white = 255 if dtype == "uint8" else 1
    transform = T.RandomShadow((0.1, 0.1, 0.9, 0.9), (1, 1), 5, (0.4, 0.4), p=1.0)
    for index in range(6):
        corners = drawn(transform, index)[1:].reshape(-1, 2) * [SIZE[1], SIZE[0]]
        image = torch.full((3, *SIZE), white, dtype=getattr(torch, dtype))
        dark = render(transform, image, engine, index)[0] < 0.9 * white
        fixed = np.round((corners - 0.5) * 16).astype(np.int32)
        theirs, rim = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
        cv2.fillPoly(theirs, [fixed], 1, shift=4)
        cv2.polylines(rim, [fixed], True, 1, thickness=3, shift=4)
        assert dark.any()
        assert np.array_equal(dark.numpy()[rim == 0], theirs[rim == 0] == 1)


@over_engines
def test_overlapping_shadows_each_take_their_share(engine):
    transform = T.RandomShadow((0, 0, 1, 1), (3, 3), 7, (0.5, 0.5), p=1.0)
    values = {round(v, 4) for index in range(10) for v in render(transform, flat(1), engine, index).flatten().tolist()}
    assert values == {1.0, 0.5, 0.25, 0.125}


def test_as_many_shadows_are_cast_as_the_limits_allow():
    transform = T.RandomShadow(num_shadows_limit=(1, 4), p=1.0)
    counts = [(drawn(transform, index).reshape(4, -1)[:, 0] > 0).sum() for index in range(60)]
    assert set(counts) == {1, 2, 3, 4}


# --- snow -------------------------------------------------------------------------------------------------------------


@over_engines
def test_snow_multiplies_the_lightness_of_opencvs_hls(engine):
    image = noise(SIZE)
    transform = T.RandomSnow(1.8, (0.3, 0.6), p=1.0)
    below = drawn(transform)[0]
    hls = cv2.cvtColor(image.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2HLS)
    hls[:, :, 1] = np.where(hls[:, :, 1] < below, np.minimum(hls[:, :, 1] * 1.8, 1), hls[:, :, 1])
    expected = torch.from_numpy(cv2.cvtColor(hls, cv2.COLOR_HLS2RGB)).permute(2, 0, 1)
    torch.testing.assert_close(render(transform, image, engine), expected, atol=1e-4, rtol=0)


@over_engines
def test_snow_leaves_what_is_light(engine):
    image = 0.7 + 0.3 * noise(SIZE)
    assert torch.equal(render(T.RandomSnow(p=1.0), image, engine), image)


# --- rain -------------------------------------------------------------------------------------------------------------


@over_engines
def test_rain_darkens_the_picture_and_draws_drops_of_one_colour(engine):
    transform = T.RandomRain(drop_color=1.0, brightness_coefficient=0.8, p=1.0)
    size = (224, 224)
    black, white = (render(transform, flat(value, size), engine) for value in (0, 1))
    assert torch.allclose(white, flat(0.8, size))
    assert torch.allclose(black[0], black[1])
    # A drop of 1 x 0.09 * 224 pixels; some leave the picture at the sides or below, some overlap.
    area = black[0].sum() / 0.8
    assert 0.75 * 84 * 0.09 * 224 * 224 / (1.09 * 224) < area < 84 * 0.09 * 224


@over_engines
@pytest.mark.parametrize("slant", [0, 30, -45])
def test_rain_falls_along_its_slant(engine, slant):
    transform = T.RandomRain((slant, slant), "torrential", p=1.0)
    out = render(transform, flat(0, (224, 224)), engine)[0].numpy()
    gray = cv2.GaussianBlur(out, (5, 5), 1)
    gy, gx = np.gradient(gray)
    turn = 0.5 * np.arctan2(2 * (gx * gy).sum(), (gx**2 - gy**2).sum())  # of the gradient, across the streaks
    assert abs((np.degrees(turn) + slant + 90) % 180 - 90) < 3


@over_engines
def test_more_rain_falls_the_worse_the_weather(engine):
    kinds = ("drizzle", "default", "heavy", "torrential")
    amount = [render(T.RandomRain((0, 0), kind, p=1.0), flat(0, (224, 224)), engine).mean() for kind in kinds]
    assert amount[0] < amount[1] < amount[2] < amount[3]


def test_rain_on_a_larger_picture_covers_the_same_share():
    shares = [render(T.RandomRain((5, 5), p=1.0), flat(0, (side, side))).mean() for side in (112, 224, 448)]
    assert max(shares) < 1.1 * min(shares)


# --- all --------------------------------------------------------------------------------------------------------------

WEATHER = {
    "fog": T.RandomFog(p=1.0),
    "plasma": T.PlasmaBrightnessContrast((0.2, 0.3), (0.2, 0.3), p=1.0),
    "linear light": T.Illumination(p=1.0),
    "corner light": T.Illumination("corner", p=1.0),
    "gaussian light": T.Illumination("gaussian", p=1.0),
    "shadow": T.RandomShadow((0, 0, 1, 1), p=1.0),
    "snow": T.RandomSnow(p=1.0),
    "rain": T.RandomRain(p=1.0),
}
over_weather = pytest.mark.parametrize("name", WEATHER)


@over_weather
def test_weather_clears_with_strength(name):
    transform, image = WEATHER[name], 0.8 * smooth(SIZE)
    u = np.random.default_rng(1).uniform(0.2, 0.9, (1, transform.draws))
    changes = [
        (transform.apply(image[None], transform.sample_params(u, np.array([SIZE]), s), 1.0)[0] - image).abs().mean()
        for s in (0.0, 0.4, 1.0)
    ]
    assert changes[0] < 1e-6
    assert changes[1] < changes[2]


@over_weather
def test_weather_has_the_right_gradient(name):
    values = torch.from_numpy(np.random.default_rng(0).uniform(0.3, 0.7, (1, 3, 5, 6))).requires_grad_()
    pipeline = Pipeline([WEATHER[name]], seed=1, engine="torch")
    assert gradcheck(lambda x: pipeline(x, index=[3]), values)


def test_explain_calls_it_weather():
    assert "weather[random_fog]" in Pipeline([T.RandomFog()]).explain()
