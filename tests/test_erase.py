"""Holes: where they lie, what fills them, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from albumentations.augmentations.dropout import functional as albumentations_dropout
from examples import noise
from scipy import stats
from torch.autograd import gradcheck

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.fuse import fuse
from augsynth.runs import Alone, Erasing

over_engines = pytest.mark.parametrize("engine", ["opencv", "torch"])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
over_channels = pytest.mark.parametrize("channels", [1, 3])
SIZE = (60, 80)


def drawn(transform, index=0, size=SIZE, **arguments):
    return Pipeline([transform], seed=3).draw([size], index=index, **arguments).params[0, 0]


def render(transform, image, engine, index=0, **arguments):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index, **arguments)


def painted(image, boxes, value):
    """Fill boxes (left, top, right, bottom), independently of the library."""
    result = image.clone()
    for left, top, right, bottom in np.asarray(boxes, int).tolist():
        result[:, top:bottom, left:right] = torch.as_tensor(value).reshape(-1, 1, 1)
    return result


# --- random erasing with noise ----------------------------------------------------------------------------------------


@over_engines
@over_channels
def test_erasing_by_noise_leaves_everything_outside_its_rectangle(engine, channels):
    image, transform = noise(SIZE, channels, "uint8"), T.RandomErasing(1.0, value="random")
    for index in range(5):
        top, left, height, width = drawn(transform, index)[:4].astype(int)
        out = render(transform, image, engine, index)
        changed = (out != image).any(0)
        inside = torch.zeros(SIZE, dtype=torch.bool)
        inside[top : top + height, left : left + width] = True
        assert not changed[~inside].any()
        assert changed[inside].double().mean() > 0.9


@over_engines
def test_the_noise_of_an_erased_rectangle_is_normal_around_middle_gray(engine):
    image = torch.zeros(3, 200, 200)
    out = render(T.RandomErasing(1.0, (0.9, 0.95), (0.95, 1.05), "random"), image, engine)
    values = out[out != 0].double().numpy()
    values = values[(values > 0) & (values < 1)]
    assert stats.kstest(values, stats.truncnorm(-2, 2, 0.5, 0.25).cdf).pvalue > 0.01


def test_the_rectangle_does_not_depend_on_what_fills_it():
    windows = [drawn(T.RandomErasing(1.0, value=value), 7)[:4].tolist() for value in (0, 0.5, "random")]
    assert windows[0] == windows[1] == windows[2]


@pytest.mark.parametrize(("value", "kind"), [(0.0, Erasing), ("random", Alone)])
def test_erasing_renders_itself_only_where_it_needs_noise(value, kind):
    pipeline = Pipeline([T.RandomErasing(1.0, value=value)])
    assert "erase[random_erasing]" in pipeline.explain()
    (run,) = fuse(pipeline.draw([SIZE] * 3, index=range(3)), exact_color=True)
    assert isinstance(run, kind)


def test_erasing_by_another_word_is_refused():
    with pytest.raises(ValueError, match="RandomErasing: value='noise' is not valid"):
        T.RandomErasing(value="noise")


# --- coarse dropout ---------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@over_channels
def test_coarse_dropout_fills_the_rectangles_that_were_drawn(engine, dtype, channels):
    fill = (90 if dtype == "uint8" else 0.3,) * channels
    transform = T.CoarseDropout((1, 6), (0.1, 0.4), (3, 20), fill, p=1.0)
    image = noise(SIZE, channels, dtype)
    counts = set()
    for index in range(12):
        top, left, height, width = drawn(transform, index)[2:].reshape(-1, 4).T
        counts.add(int((height > 0).sum()))
        expected = painted(image, np.stack([left, top, left + width, top + height], 1), fill)
        assert torch.equal(render(transform, image, engine, index), expected)
    assert len(counts) > 3


def test_holes_have_the_sizes_asked_for():
    transform = T.CoarseDropout((3, 3), (0.25, 0.5), (4, 7), p=1.0)
    params = np.stack([drawn(transform, index)[2:].reshape(3, 4) for index in range(300)])
    heights, widths = params[..., 2], params[..., 3]
    assert set(np.unique(widths)) == {4, 5, 6, 7}
    assert set(np.unique(heights)) == set(range(15, 30))
    assert params[..., 0].min() == 0
    assert (params[..., 0] + heights).max() == SIZE[0]
    assert (params[..., 1] + widths).max() == SIZE[1]


def test_a_hole_in_pixels_is_never_larger_than_the_image():
    transform = T.CoarseDropout((1, 1), (50, 90), (50, 90), p=1.0)
    assert drawn(transform, size=(20, 30))[2:].tolist() == [0, 0, 20, 30]


# --- grid -------------------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8])
def test_a_grid_at_the_origin_is_albumentations(engine, dtype, ratio):
    image = noise(SIZE, 3, dtype)
    got = render(T.GridDropout(ratio, False, holes_number_xy=(8, 6), p=1.0), image, engine)
    rng = np.random.default_rng(0)
    holes = albumentations_dropout.generate_grid_holes(SIZE, (6, 8), ratio, False, (0, 0), rng)
    assert torch.equal(got, painted(image, holes, 0))


@over_engines
@over_channels
def test_a_grid_has_holes_of_one_size_at_one_distance(engine, channels):
    image = torch.ones(channels, 90, 90)
    for index in range(4):
        transform = T.GridDropout(0.4, unit_size_range=(10, 20), p=1.0)
        start, unit, hole = drawn(transform, index, (90, 90))[2:].reshape(3, 2)
        out = render(transform, image, engine, index)[0]
        rows, columns = (out == 0).any(1).numpy(), (out == 0).any(0).numpy()
        assert torch.equal(out == 0, torch.from_numpy(rows[:, None] & columns))
        for axis, line in enumerate((rows, columns)):
            starts = np.flatnonzero(np.diff(line.astype(int)) == 1) + 1
            ends = np.flatnonzero(np.diff(line.astype(int)) == -1) + 1
            assert set(np.diff(starts)) <= {unit[axis]}
            assert (ends[ends > starts[0]] - starts[: (ends > starts[0]).sum()] == hole[axis]).all()
            assert set(starts % unit[axis]) <= {start[axis]}


def test_a_grid_that_starts_anywhere_starts_everywhere():
    transform = T.GridDropout(unit_size_range=(5, 5), p=1.0)
    assert {tuple(drawn(transform, index)[2:4]) for index in range(300)} == {(y, x) for y in range(5) for x in range(5)}


def test_a_grid_without_sizes_has_ten_cells_to_a_side():
    assert drawn(T.GridDropout(p=1.0))[4:6].tolist() == [6, 8]
    assert drawn(T.GridDropout(p=1.0), size=(8, 12))[4:6].tolist() == [2, 2]


# --- pixels -----------------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@pytest.mark.parametrize("per_channel", [False, True])
def test_pixel_dropout_hits_its_share_of_the_pixels(engine, dtype, per_channel):
    value = 77 if dtype == "uint8" else 0.3
    image = torch.zeros(3, 200, 200, dtype=getattr(torch, dtype))
    out = render(T.PixelDropout(0.1, per_channel, value, p=1.0), image, engine)
    hit = out != 0
    assert torch.equal(out[hit], torch.full_like(out[hit], value))
    assert torch.equal(hit[0], hit[1]) != per_channel
    for channel in hit:
        assert abs(channel.double().mean() - 0.1) < 4 * (0.1 / 40_000) ** 0.5


@over_engines
@pytest.mark.parametrize(
    "transform",
    [
        T.PixelDropout(0.6, drop_value=None, p=1.0),
        T.CoarseDropout((3, 3), (0.4, 0.6), (0.4, 0.6), "random", p=1.0),
        T.GridDropout(0.8, fill="random", p=1.0),
    ],
)
def test_random_values_are_even_over_the_range(engine, transform):
    for dtype in ("uint8", "float32"):
        unit = 255 if dtype == "uint8" else 1
        images = [torch.full((3, 150, 150), value * unit, dtype=getattr(torch, dtype)) for value in (0, 1)]
        black, white = (render(transform, image, engine) for image in images)
        noise_values = black[black == white].double().numpy()
        assert len(noise_values) > 0.3 * black.numel()
        if dtype == "uint8":
            counts = np.bincount(noise_values.astype(int), minlength=256)
            assert stats.chisquare(counts).pvalue > 0.01
        else:
            assert stats.kstest(noise_values, "uniform").pvalue > 0.01


# --- all --------------------------------------------------------------------------------------------------------------

DROPOUTS = {
    "coarse": T.CoarseDropout((2, 3), p=1.0),
    "grid": T.GridDropout(p=1.0),
    "pixel": T.PixelDropout(0.3, p=1.0),
    "noise": T.RandomErasing(1.0, value="random"),
}
over_dropouts = pytest.mark.parametrize("name", DROPOUTS)


@over_engines
@over_dropouts
def test_holes_shrink_to_nothing_with_strength(name, engine):
    transform, image = DROPOUTS[name], noise(SIZE, 3)
    u = np.full((1, transform.draws), 0.7)
    done = []
    for strength in (0.0, 0.5, 1.0):
        params = transform.sample_params(u, np.array([SIZE]), strength)
        done.append((transform.apply(image[None], params, 1.0)[0] != image).double().mean())
    assert done[0] == 0
    assert done[0] < done[1] < done[2]


@over_dropouts
def test_erased_pixels_have_no_gradient_and_all_others_have(name):
    values = torch.from_numpy(np.random.default_rng(0).uniform(0.3, 0.7, (1, 2, 9, 11))).requires_grad_()
    pipeline = Pipeline([DROPOUTS[name]], seed=1, engine="torch")
    assert gradcheck(lambda x: pipeline(x, index=[3]), values)


def test_a_fill_of_too_many_values_names_the_sample():
    for transform in (
        T.CoarseDropout(fill=(0.1, 0.2)),
        T.GridDropout(fill=(0.1, 0.2)),
        T.PixelDropout(drop_value=(0, 0)),
    ):
        with pytest.raises(ValueError, match="fill of 2 values for 3 channels"):
            Pipeline([transform])(noise(SIZE), index=0)
    with pytest.raises(ValueError, match="coarse_dropout has a fill of 200"):
        Pipeline([T.CoarseDropout(fill=200)])(noise(SIZE), index=0)


def test_one_of_two_ways_to_size_a_grid_is_enough():
    with pytest.raises(ValueError, match=r"holes_number_xy=.*None where unit_size_range is given"):
        T.GridDropout(unit_size_range=(3, 4), holes_number_xy=(3, 4))


def test_many_channels_are_erased_too():
    image = noise(SIZE, 5)
    for transform in DROPOUTS.values():
        out = render(transform, image, "torch")
        assert out.shape == image.shape
        assert (out != image).any((1, 2)).all()
