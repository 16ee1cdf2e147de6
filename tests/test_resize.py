"""Sizes that follow from rules or are drawn, canvases and pads, against torchvision and albumentations."""

from __future__ import annotations

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
import torchvision.transforms.v2.functional as F
from examples import noise

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.fuse import fuse
from augsynth.runs import COPY, RESIZE

over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
SIZES = [(33, 46), (46, 33), (20, 20), (7, 90), (100, 64), (37, 41)]
over_sizes = pytest.mark.parametrize("size", SIZES)


def draws(transform, size, count=1, **arguments):
    """Return `(count, params)` of one transform, for images of one size."""
    return Pipeline([transform], seed=3).draw([size] * count, index=range(count), **arguments).params[:, 0]


def out_size(transform, size, index=0):
    return tuple(Pipeline([transform], seed=3).draw([size], index=index).sizes[0, -1].astype(int).tolist())


def render(transform, image, index=0, engine="torch"):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index)


def assert_resized(got, image, size, **arguments):
    """Compare with torchvision's resize, to a rounding on bytes."""
    expected = F.resize(image, list(size), antialias=True, **arguments)
    assert got.shape == expected.shape
    error = (got.double() - expected.double()).abs().max()
    assert error <= (1.0 if got.dtype == torch.uint8 else 1e-5)


# --- rules ------------------------------------------------------------------------------------------------------------


@over_sizes
@pytest.mark.parametrize("name", ["LongestMaxSize", "SmallestMaxSize"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"max_size": 30},
        {"max_size": 77},
        {"max_size_hw": (25, 40)},
        {"max_size_hw": (60, 31)},
        {"max_size_hw": (None, 29)},
        {"max_size_hw": (51, None)},
    ],
)
def test_longest_and_smallest_max_size_make_albumentations_sizes(name, arguments, size):
    theirs = getattr(A, name)(**arguments)(image=np.zeros((*size, 3), np.uint8))["image"].shape[:2]
    assert out_size(T.REGISTRY[name](**arguments), size) == theirs


@pytest.mark.parametrize("transform", [T.LongestMaxSize((20, 30, 40)), T.SmallestMaxSize((20, 30, 40))])
def test_each_of_several_sizes_is_as_likely(transform):
    drawn = draws(transform, (50, 50), 3000)[:, 0]
    assert {value: (drawn == value).sum() > 880 for value in (20, 30, 40)} == {20: True, 30: True, 40: True}


@over_engines
@over_dtypes
def test_longest_max_size_resizes_as_torchvision_does(engine, dtype):
    image = noise((46, 64), 3, dtype)
    assert_resized(render(T.LongestMaxSize(32), image, engine=engine), image, (23, 32))
    assert_resized(render(T.SmallestMaxSize(69), image, engine=engine), image, (69, 96))


@over_sizes
@pytest.mark.parametrize(("short", "long"), [(30, None), (30, 50), (480, 1333), (41, 41)])
def test_random_shortest_size_is_torchvisions(size, short, long):
    theirs = v2.RandomShortestSize(short, long)(torch.zeros(1, *size)).shape[1:]
    assert out_size(T.RandomShortestSize(short, long), size) == tuple(theirs)


@over_engines
@pytest.mark.parametrize("index", range(4))
def test_random_resize_is_torchvisions_resize_to_the_drawn_length(engine, index):
    image, transform = noise((46, 33)), T.RandomResize(20, 60)
    got = render(transform, image, index, engine)
    assert_resized(got, image, [min(got.shape[1:])])


def test_random_resize_draws_as_torchvision_without_the_upper_end():
    drawn = draws(T.RandomResize(10, 15), (50, 80), 5000)[:, 0]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [10, 11, 12, 13, 14]
    assert np.abs(counts - 1000).max() < 150
    assert out_size(T.RandomResize(12, 12), (50, 80)) == (12, 19)


@over_sizes
def test_scale_jitter_draws_torchvisions_sizes(size):
    ours = draws(T.ScaleJitter((60, 40), (0.5, 1.5)), size, 3000)
    torch.manual_seed(0)
    jitter = v2.ScaleJitter((60, 40), (0.5, 1.5))
    theirs = np.array([jitter.make_params([torch.empty(1, *size)])["size"] for _ in range(3000)])
    spread = theirs.std(0) / 3000**0.5
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 6 * spread).all()
    assert np.abs(ours.min(0) - theirs.min(0)).max() <= 1
    assert np.abs(ours.max(0) - theirs.max(0)).max() <= 1


@over_sizes
def test_random_scale_cuts_off_as_albumentations_does(size):
    for scale in (-0.37, 0.0, 0.21, 1.5):
        theirs = A.RandomScale((scale, scale), p=1.0)(image=np.zeros((*size, 3), np.uint8))["image"].shape[:2]
        assert out_size(T.RandomScale((scale, scale), p=1.0), size) == theirs


@pytest.mark.parametrize(
    "transform",
    [
        T.LongestMaxSize((20, 30, 40)),
        T.RandomShortestSize((20, 30, 40)),
        T.RandomResize(20, 41),
        T.PadIfNeeded(80, 80, position="random"),
    ],
)
def test_without_strength_a_choice_stays_in_the_middle(transform):
    drawn = draws(transform, (50, 50), 50, strength=0.0)
    assert (drawn[:, :2] == (15 if isinstance(transform, T.PadIfNeeded) else 30)).all()


@pytest.mark.parametrize("transform", [T.ScaleJitter((50, 50)), T.RandomScale(0.5, p=1.0), T.RandomZoomOut(p=1.0)])
def test_without_strength_an_image_that_fits_keeps_its_size(transform):
    sizes = Pipeline([transform]).draw([(50, 50)] * 20, index=range(20), strength=0.0).sizes
    assert (sizes == 50).all()


@over_engines
def test_a_resize_by_a_rule_and_what_moves_pixels_is_one_resize(engine):
    image, steps = noise((46, 64)), [T.LongestMaxSize(32), T.RandomCrop(16), T.RandomHorizontalFlip(1.0)]
    run = fuse(Pipeline(steps).draw([(46, 64)], index=0), exact_color=True)
    assert len(run) == 1
    assert run[0].path.tolist() == [RESIZE]
    fused, chain = (Pipeline(steps, engine=engine, fuse=joined)(image, index=0) for joined in (True, False))
    assert (fused - chain).abs().max() < 1e-5


# --- canvases ---------------------------------------------------------------------------------------------------------


@over_engines
@over_dtypes
@pytest.mark.parametrize("index", range(4))
def test_zooming_out_is_torchvisions_pad(engine, dtype, index):
    fill = [40.0, 90.0, 10.0] if dtype == "uint8" else [0.2, 0.3, 0.9]
    image, transform = noise((23, 34), 3, dtype), T.RandomZoomOut(tuple(fill), (1.0, 3.0), 1.0)
    top, left, height, width = (int(v) for v in draws(transform, (23, 34), 4)[index])
    expected = F.pad(image, [left, top, width - left - 34, height - top - 23], fill=fill)
    assert torch.equal(render(transform, image, index, engine), expected)


def test_zooming_out_draws_as_torchvision_does():
    ours = draws(T.RandomZoomOut(p=1.0), (40, 60), 4000)
    torch.manual_seed(0)
    zoom = v2.RandomZoomOut()
    theirs = np.array([zoom.make_params([torch.empty(1, 40, 60)])["padding"] for _ in range(4000)])
    left, top, right, bottom = theirs.T
    theirs = np.stack([top, left, top + bottom + 40, left + right + 60], 1)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 6 * theirs.std(0) / 4000**0.5).all()
    assert np.abs(np.corrcoef(ours.T) - np.corrcoef(theirs.T)).max() < 0.08


MODES = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
}
POSITIONS = ["center", "top_left", "top_right", "bottom_left", "bottom_right"]
PADS = [
    {"min_height": 40, "min_width": 50},
    {"min_height": 30, "min_width": 53},
    {"min_height": None, "min_width": 40, "pad_height_divisor": 16},
    {"min_height": None, "min_width": None, "pad_height_divisor": 11, "pad_width_divisor": 10},
    {"min_height": 5, "min_width": 6},
]


@over_engines
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("position", POSITIONS)
def test_padding_where_needed_is_albumentations(engine, position, mode):
    image = noise((33, 46), 3, "uint8")
    for arguments in PADS:
        theirs = A.PadIfNeeded(**arguments, position=position, border_mode=MODES[mode], fill=70)
        ours = T.PadIfNeeded(**arguments, position=position, padding_mode=mode, fill=70)
        expected = theirs(image=image.permute(1, 2, 0).numpy())["image"]
        assert np.array_equal(render(ours, image, engine=engine).permute(1, 2, 0).numpy(), expected)


def test_a_random_position_is_any_place_that_holds_the_image():
    drawn = draws(T.PadIfNeeded(13, 12, position="random"), (10, 10), 4000)
    _, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    assert len(counts) == 12
    assert counts.min() > 240


def test_an_image_that_is_large_enough_does_not_open_a_run():
    steps = [T.RandomRotation((5, 5), "bilinear"), T.PadIfNeeded(20, 20), T.RandomHorizontalFlip(1.0)]
    program = Pipeline(steps).draw([(30, 30), (10, 30)], index=range(2))
    assert [len(run.rows) for run in fuse(program, exact_color=True)] == [2, 1]


def test_padding_by_reflection_names_the_sample_that_is_too_small():
    pipeline = Pipeline({"pad": T.PadIfNeeded(40, 40, padding_mode="reflect")})
    with pytest.raises(ValueError, match=r"pad: sample 1 \(index 1\): padding_mode=reflect needs padding smaller"):
        pipeline([torch.zeros(3, 30, 30), torch.zeros(3, 9, 30)], index=range(2))


@over_engines
@over_dtypes
@pytest.mark.parametrize("size", [(46, 64), (64, 46), (10, 12)])
def test_a_letter_box_is_a_resize_with_a_frame(engine, dtype, size):
    fill = 114.0 if dtype == "uint8" else 0.4
    image, transform = noise(size, 3, dtype), T.LetterBox((40, 48), fill)
    got = render(transform, image, engine=engine)
    factor = min(40 / size[0], 48 / size[1])
    height, width = round(size[0] * factor), round(size[1] * factor)
    top, left = (40 - height) // 2, (48 - width) // 2
    inner = got[:, top : top + height, left : left + width]
    assert_resized(inner, image, (height, width))
    frame = torch.ones(40, 48, dtype=torch.bool)
    frame[top : top + height, left : left + width] = False
    assert got.shape == (3, 40, 48)
    assert torch.equal(got[:, frame], torch.full_like(got[:, frame], fill))


def test_a_letter_box_is_one_resize_and_one_copy():
    runs = fuse(Pipeline([T.LetterBox(40)]).draw([(46, 64)], index=0), exact_color=True)
    assert [run.path.tolist() for run in runs] == [[RESIZE], [COPY]]
