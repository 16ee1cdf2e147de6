"""Quarter turns, mirrors, safe rotations and perspectives, and the laws of all that is geometric."""

from __future__ import annotations

import dataclasses
import inspect
import random
from collections import Counter

import albumentations as A
import numpy as np
import pytest
import torch
import torchvision.transforms as v1
import torchvision.transforms.v2.functional as F
from albumentations.augmentations.geometric import functional as albu
from examples import noise
from reference import assert_agrees
from torch.autograd import gradcheck
from torchvision.transforms import InterpolationMode

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.fuse import fuse
from augsynth.program import walk
from augsynth.runs import COPY

over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])
SIZE = (33, 46)
ELEMENTS = ["e", "r90", "r180", "r270", "v", "hvt", "h", "t"]  # albumentations' names, in the order of our numbers


def draws(transform, count, size=SIZE, **arguments):
    """Return `(count, params)` of one transform, for images of one size."""
    return Pipeline([transform], seed=3).draw([size] * count, index=range(count), **arguments).params[:, 0]


def render(transform, image, index=0, engine="torch", **arguments):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index, **arguments)


# --- quarter turns and mirrors ----------------------------------------------------------------------------------------


@over_engines
@over_dtypes
def test_random_rotate_90_is_numpys_rot90_of_the_drawn_number(engine, dtype):
    image, transform = noise(SIZE, 3, dtype), T.RandomRotate90()
    turns = draws(transform, 12)[:, 0].astype(int).tolist()
    assert set(turns) == {0, 1, 2, 3}
    for index, count in enumerate(turns):
        assert torch.equal(render(transform, image, index, engine), torch.rot90(image, count, (1, 2)))


@over_engines
@over_dtypes
def test_d4_is_albumentations_element_of_the_drawn_number(engine, dtype):
    image, transform = noise(SIZE, 3, dtype), T.D4()
    drawn = draws(transform, 40)[:, 0].astype(int).tolist()
    assert set(drawn) == set(range(8))
    for index, number in enumerate(drawn):
        expected = albu.d4(image.permute(1, 2, 0).numpy(), ELEMENTS[number])
        got = render(transform, image, index, engine)
        assert np.array_equal(got.permute(1, 2, 0).numpy(), expected)


@over_engines
@over_dtypes
def test_transpose_exchanges_the_axes(engine, dtype):
    image = noise(SIZE, 3, dtype)
    assert torch.equal(render(T.Transpose(1.0), image, engine=engine), image.transpose(1, 2))


@pytest.mark.parametrize("name", ["RandomRotate90", "Transpose", "D4", "SafeRotate"])
def test_the_probabilities_are_albumentations(name):
    theirs = inspect.signature(getattr(A, name).__init__).parameters["p"].default
    assert {field.name: field.default for field in dataclasses.fields(T.REGISTRY[name])}["p"] == theirs


@pytest.mark.parametrize(("transform", "count"), [(T.RandomRotate90(), 4), (T.D4(), 8)])
def test_every_element_is_as_likely(transform, count):
    seen = Counter(draws(transform, 8000)[:, 0].tolist())
    assert len(seen) == count
    assert all(abs(number - 8000 / count) < 5 * (8000 / count) ** 0.5 for number in seen.values())


def test_turns_and_mirrors_in_a_row_are_one_copy():
    steps = [T.D4(), T.RandomHorizontalFlip(), T.RandomRotate90(), T.Transpose(), T.RandomCrop((20, 25)), T.D4()]
    program = Pipeline(steps).draw([SIZE] * 32, index=range(32))
    runs = fuse(program, exact_color=True)
    assert len(runs) == 1
    assert set(runs[0].path.tolist()) == {COPY}


# --- safe rotation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(33, 46), (20, 20), (50, 7)])
def test_a_safe_rotation_keeps_the_size_and_every_corner(size):
    transform = T.SafeRotate((-180, 180), p=1.0)
    params, sizes = draws(transform, 200, size), np.tile(np.array(size, float), (200, 1))
    assert np.array_equal(transform.output_size(params, sizes), sizes)
    corners = np.array([[0, 0, 1], [size[1], 0, 1], [0, size[0], 1], [size[1], size[0], 1]], float).T
    landed = np.linalg.inv(transform.matrix(params, sizes)) @ corners
    # The bounding box is cut to whole pixels: a corner loses half of one at most, which is then brought to scale.
    lost = 0.51 * max(size) / min(size)
    assert landed[:, :2].min() > -lost
    assert (landed[:, :2].max((0, 2)) < np.array(size[::-1]) + lost).all()


@pytest.mark.parametrize("angle", [0.0, 17.0, -45.0, 90.0, 133.0])
def test_a_safe_rotation_turns_and_scales_as_albumentations_does(angle):
    transform = T.SafeRotate((angle, angle), p=1.0)
    ours = np.linalg.inv(transform.matrix(np.array([[angle]]), np.array([SIZE], float)))[0]
    theirs, _ = A.SafeRotate()._create_safe_rotate_matrix(angle, (SIZE[1] / 2, SIZE[0] / 2), SIZE)
    assert np.abs(ours - theirs).max() < 1e-6


# --- perspective ------------------------------------------------------------------------------------------------------


def as_points(params):
    return params.reshape(4, 2).astype(int).tolist()


@over_engines
@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_perspective_is_torchvisions(engine, index, mode):
    image, transform = noise(SIZE), T.RandomPerspective(0.3, 1.0, mode)
    h, w = SIZE
    start, end = [[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], as_points(draws(transform, 6)[index])
    expected = F.perspective(image, start, end, InterpolationMode(mode), fill=None)
    difference = (render(transform, image, index, engine) - expected).abs()
    if mode == "nearest":
        assert (difference > 0).float().mean() < 0.01  # their coefficients are float32
    else:
        assert difference.max() * 255 < 0.05


def test_the_corners_are_distributed_as_torchvisions():
    transform, count = T.RandomPerspective(0.5, 1.0), 4000
    ours = draws(transform, count, (41, 62))
    torch.manual_seed(0)
    theirs = np.array([np.ravel(v1.RandomPerspective.get_params(62, 41, 0.5)[1]) for _ in range(count)])
    assert np.array_equal(ours.min(0), theirs.min(0))
    assert np.array_equal(ours.max(0), theirs.max(0))
    error = theirs.std(0) / count**0.5
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 6 * error).all()
    assert np.abs(np.corrcoef(ours.T) - np.eye(8)).max() < 0.08


def test_only_corners_that_would_fold_the_picture_go_half_as_far():
    params = draws(T.RandomPerspective(1.0, 1.0), 3000, (61, 61)).reshape(-1, 4, 2)
    home = np.array([[0, 0], [60, 0], [60, 60], [0, 60]])
    reach = np.abs(params - home).max((1, 2))
    halved = (params != np.rint(params)).any((1, 2))
    assert 0.1 < halved.mean() < 0.2
    assert reach[halved].max() <= 15  # half of 30
    assert reach.max() == 30


def test_the_drawn_corners_show_the_corners_of_the_image():
    transform = T.RandomPerspective(0.6, 1.0)
    params, sizes = draws(transform, 50), np.tile(np.array(SIZE, float), (50, 1))
    corners = np.concatenate([params.reshape(-1, 4, 2), np.ones((50, 4, 1))], 2)
    shown = np.einsum("nij,nkj->nki", transform.matrix(params, sizes), corners)
    assert (shown[:, :, 2] > 0).all()
    h, w = SIZE
    assert np.abs(shown[:, :, :2] / shown[:, :, 2:] - [[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]]).max() < 1e-9


@over_engines
@pytest.mark.parametrize("transform", [T.RandomPerspective(p=1.0), T.SafeRotate(p=1.0), T.D4(), T.RandomRotate90()])
def test_without_strength_every_bit_stays(engine, transform):
    image = noise(SIZE)
    assert all(torch.equal(render(transform, image, index, engine, strength=0.0), image) for index in range(6))


@over_engines
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (9, 1), (3, 2)])
def test_tiny_images_can_be_looked_at_from_the_side(engine, size):
    image = torch.full((3, *size), 0.5)
    for index in range(8):
        out = render(T.RandomPerspective(1.0, 1.0, fill=0.5), image, index, engine)
        assert torch.allclose(out, image)


ASIDE = T.RandomAffine((0, 0), (0.9, 0.9), interpolation="bilinear")
FAR = T.RandomAffine(0, scale=(0.3, 0.5), interpolation="bilinear")


@over_engines
@over_dtypes
@pytest.mark.parametrize(
    ("steps", "index"),
    [
        ([T.Pad(40), T.RandomPerspective(1.0, 1.0)], [0, 1, 2]),
        ([T.RandomPerspective(0.9, 1.0), T.RandomPerspective(0.9, 1.0), T.CenterCrop(40)], [0, 1, 2]),
        # What their corners see would bound too small a part of the image.
        ([T.RandomPerspective(0.9, 1.0), FAR], [0, 1, 80]),
        ([T.RandomPerspective(0.8, 1.0), ASIDE], [318]),
    ],
    ids=["wide", "twice", "far", "aside"],
)
def test_an_output_that_looks_past_the_horizon_agrees_with_the_reference(engine, dtype, steps, index):
    images = [noise((34, 41), 3, dtype, seed) for seed in index]
    assert_agrees(Pipeline(steps, seed=2, engine=engine), images, index=index)


@over_engines
@over_dtypes
def test_an_output_whose_middle_lies_past_the_horizon_agrees_with_the_reference(engine, dtype):
    pipeline = Pipeline([T.RandomPerspective(0.8, 1.0), ASIDE], seed=2, engine=engine)
    index = [80, 95, 220, 296, 332]
    images = [noise((34, 41), 3, dtype, seed) for seed in index]
    run = fuse(pipeline.draw([(34, 41)] * 5, index=index), exact_color=True)[0]
    assert ((run.whole @ [20.5, 17.0, 1.0])[:, 2] < 0).all()
    assert all(image.sum() > 0 for image in pipeline(images, index=index))
    assert_agrees(pipeline, images, index=index)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_perspective_has_the_right_gradient(kind):
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0.3, 0.7, (1, 2, 6, 7))).requires_grad_()
    pipeline = Pipeline([T.RandomPerspective(0.5, 1.0, kind, fill=0.4)], seed=1, engine="torch")
    assert gradcheck(lambda x: pipeline(x, index=[3]), pixels)


# --- all that is geometric --------------------------------------------------------------------------------------------


def random_geometry(r, fill):
    way = r.choice(["nearest", "bilinear", "bilinear", "bicubic"])
    low, side = r.uniform(0.4, 1.0), r.randrange(12, 50)
    makers = [
        lambda: T.RandomRotate90(0.8),
        lambda: T.Transpose(),
        lambda: T.D4(),
        lambda: T.SafeRotate(r.choice([20, 90, (90, 90)]), way, fill, 0.8),
        lambda: T.RandomPerspective(r.choice([0.2, 0.5, 1.0]), 0.8, way, fill),
        lambda: T.LongestMaxSize((side, side + 7), None, way),
        lambda: T.SmallestMaxSize(None, (side, r.choice([None, 30])), way, r.random() < 0.8),
        lambda: T.RandomShortestSize((15, 30), r.choice([None, 40]), way),
        lambda: T.RandomResize(12, 40, way, r.random() < 0.8),
        lambda: T.ScaleJitter((side, 30), (low, low + 0.5), way),
        lambda: T.RandomScale((low - 1, 0.2), way),
        lambda: T.RandomZoomOut(fill, (1.0, 1.6), 0.7),
        lambda: T.PadIfNeeded(side, 37, position=r.choice(["center", "random"]), fill=fill),
        lambda: T.PadIfNeeded(None, None, 8, 6, padding_mode=r.choice(["edge", "reflect", "symmetric"])),
        lambda: T.LetterBox((side, 30), fill, way),
        lambda: T.RandomHorizontalFlip(),
        lambda: T.RandomAffine(30, (0.1, 0.1), (low, low + 0.4), 10, way, fill),
        lambda: T.RandomResizedCrop((side, 25), (0.2, 0.9), interpolation=way),
        lambda: T.CenterCrop(side),
    ]
    return r.choice(makers)()


@over_engines
@pytest.mark.parametrize("number", range(50))
def test_random_chains_of_geometry_agree_with_the_reference(number, engine):
    r = random.Random(number)
    dtype, channels = r.choice(["uint8", "float32"]), r.choice([1, 3, 3])
    fill = float(r.randrange(256)) if dtype == "uint8" else r.randrange(256) / 255
    steps = [random_geometry(r, fill) for _ in range(r.randrange(1, 5))]
    pipeline = Pipeline(steps, seed=number, engine=engine, fuse=r.random() < 0.85)
    images = [noise((r.randrange(20, 50), r.randrange(20, 50)), channels, dtype, i) for i in range(4)]
    assert_agrees(pipeline, images, index=[3, 1, 4, 15], strength=r.choice([1.0, 1.0, 0.5]))


def test_random_chains_cover_what_the_families_hold():
    from augsynth.transforms import resize, turns

    seen = {type(part).__name__ for i in range(400) for _, part in walk("", random_geometry(random.Random(i), 0.0))}
    assert {*turns.__all__, *resize.__all__, "SafeRotate", "RandomPerspective"} <= seen


AFFINE = {
    "turn": T.RandomRotate90(),
    "transpose": T.Transpose(1.0),
    "d4": T.D4(),
    "safe": T.SafeRotate(p=1.0),
    "longest": T.LongestMaxSize((40, 90)),
    "smallest": T.SmallestMaxSize(None, (50, 45)),
    "shortest": T.RandomShortestSize((33, 71), 100),
    "resize": T.RandomResize(30, 90),
    "jitter": T.ScaleJitter((60, 50), (0.5, 1.4)),
    "scale": T.RandomScale(0.5, p=1.0),
    "zoom": T.RandomZoomOut(0.0, (1.0, 2.0), 1.0),
    "pad": T.PadIfNeeded(70, 81, position="random"),
    "box": T.LetterBox((48, 61)),
    "rotation": T.RandomRotation(40, "bilinear", expand=True),
    "affine": T.RandomAffine(20, (0.05, 0.05), (0.8, 1.3), 10, "bilinear"),
    "flip": T.RandomHorizontalFlip(1.0),
}


def blob(x, y, size=(57, 64)):
    rows, columns = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    return torch.from_numpy(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18).astype(np.float32))[None]


def centroid(image):
    weight = image[0].double()
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in weight.shape), indexing="ij")
    return np.array([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()])


@over_engines
@pytest.mark.parametrize("name", AFFINE)
def test_the_centroid_of_a_blob_follows_the_inverse_of_the_matrix(name, engine):
    pipeline = Pipeline({"it": AFFINE[name]}, seed=4, engine=engine)
    for index in range(5):
        where = np.array([30.3, 27.6])
        program = pipeline.draw([(57, 64)], index=index)
        matrix = np.eye(3)
        for slot, code in enumerate(program.ops[0]):
            if code:
                leaf = program.plan.leaves[code - 1].transform
                drawn, size = program.params[:, slot, : leaf.params], program.sizes[:, slot]
                matrix = matrix @ leaf.matrix(drawn, size)[0]
        expected = np.linalg.inv(matrix) @ [*where, 1.0]
        out = pipeline(blob(*where), index=index)
        assert np.abs(centroid(out) - expected[:2]).max() < 0.05
