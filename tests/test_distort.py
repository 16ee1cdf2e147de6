"""Distortions against torchvision, OpenCV, albumentations, scipy and matplotlib, and the way back for points."""

from __future__ import annotations

import dataclasses
import inspect

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
import torchvision.transforms.v2.functional as F
from albumentations.augmentations.geometric import functional as albu
from examples import noise, smooth
from matplotlib.tri import LinearTriInterpolator, Triangulation
from reference import assert_agrees
from reference_distort import SOURCES, uniforms
from scipy.interpolate import RBFInterpolator
from torch.autograd import gradcheck, gradgradcheck

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.distort import _smooth_array, _smooth_tensor
from augsynth.transforms.sampling import invert

over_engines = pytest.mark.parametrize("engine", ["opencv", "torch"])
SIZE = (48, 61)
ALL = {
    "elastic": T.ElasticTransform(80.0, 4.0, fill=0.3),
    "grid": T.GridDistortion(p=1.0, fill=0.3),
    "loose grid": T.GridDistortion(4, (-0.6, 0.9), normalized=False, p=1.0, padding_mode="edge"),
    "camera": T.OpticalDistortion((-0.4, 0.7), p=1.0),
    "fisheye": T.OpticalDistortion((-0.3, 0.6), mode="fisheye", p=1.0, padding_mode="reflect"),
    "spline": T.ThinPlateSpline(p=1.0, fill=0.3),
    "pieces": T.PiecewiseAffine((0.05, 0.1), p=1.0, padding_mode="symmetric"),
}
over_all = pytest.mark.parametrize("name", ALL)


def draw(transform, index=0, size=SIZE, **arguments):
    """Return the parameters `(P,)` of one transform for one image."""
    return Pipeline([transform], seed=3).draw([size], index=index, **arguments).params[0, 0]


def field_of(transform, params, size=SIZE):
    return transform.field(params[None], size)[0]


def centres(size=SIZE):
    return np.stack(np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5), -1)


def render(transform, image, index=0, engine="torch", **arguments):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index, **arguments)


# --- elastic ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "sigma"), [((50.0, 50.0), (5.0, 5.0)), ((90.0, 30.0), (1.5, 2.5))])
def test_elastic_moves_are_torchvisions_for_the_same_noise(alpha, sigma):
    transform = T.ElasticTransform(alpha, sigma)
    params = draw(transform)
    raw = torch.from_numpy(2 * uniforms(params[:2], 2 * 48 * 61).reshape(2, 1, 48, 61) - 1)
    moves = []
    for axis in range(2):
        count = int(8 * sigma[axis] + 1)
        count += count % 2 == 0
        smoothed = F.gaussian_blur(raw[axis], [count, count], list(sigma))
        # torchvision's grid goes from -1 to 1: one pixel is 2 / width of it.
        moves.append(smoothed[0].numpy() * alpha[axis] / SIZE[1 - axis] * SIZE[1 - axis] / 2)
    assert np.abs(field_of(transform, params) - centres() - np.stack(moves, -1)).max() < 2e-5


@over_engines
@pytest.mark.parametrize("index", range(3))
def test_elastic_pixels_are_torchvisions(engine, index):
    transform, image = T.ElasticTransform(), noise(SIZE)
    moves = field_of(transform, draw(transform, index)) - centres()
    displacement = torch.from_numpy(moves / [SIZE[1] / 2, SIZE[0] / 2])[None].float()
    expected = F.elastic(image, displacement, F.InterpolationMode.BILINEAR, fill=None)
    assert (render(transform, image, index, engine) - expected).abs().max() * 255 < 0.05


def test_elastic_moves_have_torchvisions_statistics():
    size, count = (64, 72), 60
    transform = T.ElasticTransform()
    params = Pipeline([transform], seed=3).draw([size] * count, index=range(count)).params[:, 0]
    ours = transform.field(params, size) - centres(size)
    torch.manual_seed(0)
    theirs = torch.cat([v2.ElasticTransform().make_params([torch.empty(1, *size)])["displacement"] for _ in range(60)])
    theirs = theirs.numpy() * [size[1] / 2, size[0] / 2]
    for lag in (0, 3, 6, 9):
        own, other = ((a[:, :, lag:] * a[:, :, : size[1] - lag]).mean((0, 1, 2)) for a in (ours, theirs))
        assert np.abs(own - other).max() < 0.06 * theirs.var()
    assert np.abs(np.corrcoef(ours[..., 0].ravel(), ours[..., 1].ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 4), (30, 41)])
@pytest.mark.parametrize("sigma", [(0.7, 0.7), (5.0, 3.0)])
def test_the_smoothing_of_other_devices_is_the_same(size, sigma):
    kernels = T.ElasticTransform(50.0, sigma)._kernels
    raw = np.random.default_rng(0).random((3, 2, *size), np.float32)
    ours, theirs = _smooth_tensor(torch.from_numpy(raw), kernels), _smooth_array(raw, kernels)
    assert np.abs(ours.numpy() - theirs).max() < 2e-6
    assert torch.equal(_smooth_tensor(torch.from_numpy(raw[1:2]), kernels)[0], ours[1])


# --- lenses, grids, splines, pieces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.2, 0.8])
def test_the_camera_is_opencvs(k):
    # Its pixel i has its centre at i: half a pixel less than here.
    camera = np.array([[SIZE[1], 0, SIZE[1] / 2 - 0.5], [0, SIZE[0], SIZE[0] / 2 - 0.5], [0, 0, 1]])
    maps = cv2.initUndistortRectifyMap(camera, np.array([k, k, 0, 0, 0]), None, camera, SIZE[::-1], cv2.CV_32FC1)
    field = field_of(T.OpticalDistortion((k, k), p=1.0), np.array([k]))
    assert np.abs(field - 0.5 - np.stack(maps, -1)).max() < 1e-4


@pytest.mark.parametrize("normalized", [True, False])
def test_a_grid_is_albumentations_but_for_its_pixel_at_a_cells_end(normalized):
    size, transform = (60, 80), T.GridDistortion(5, 0.3, normalized=normalized, p=1.0)
    params = draw(transform, size=size)
    # Theirs has one cell more than there are, which is empty where the image divides evenly.
    steps_x, steps_y = [*params[:5], 1.0], [*params[5:], 1.0]
    if normalized:
        found = albu.normalize_grid_distortion_steps(size, 5, list(steps_x), list(steps_y))
        steps_x, steps_y = found["steps_x"], found["steps_y"]
    theirs = np.stack(albu.generate_grid(size, steps_x, steps_y, 5), -1)
    assert np.abs(field_of(transform, params, size) - 0.5 - theirs).max() < 1.2


def test_a_normalized_grid_shows_the_whole_image():
    transform = T.GridDistortion(4, 0.8, p=1.0)
    field = field_of(transform, draw(transform))
    for axis, length in enumerate(SIZE[::-1]):
        line = field[0, :, 0] if axis == 0 else field[:, 0, 1]
        assert (np.diff(line) > 0).all()
        assert 0 < line[0] < 1.8 * 0.5 / 0.5
        assert line[-1] < length


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_thin_plate_spline_is_scipys(count):
    transform = T.ThinPlateSpline((0.5, 1.0), count, p=1.0)
    params = draw(transform)
    line = np.linspace(0, 1, count)
    points = np.array([[x, y] for y in line for x in line] + ([[0.5, 0.5]] if count == 2 else []))
    plate = RBFInterpolator(points, points + params.reshape(2, -1).T, kernel="thin_plate_spline", degree=1)
    expected = plate(centres().reshape(-1, 2) / SIZE[::-1]).reshape(*SIZE, 2) * SIZE[::-1]
    assert np.abs(field_of(transform, params) - expected).max() < 1e-3


def test_pieces_are_matplotlibs_linear_interpolation_on_the_triangles():
    transform = T.PiecewiseAffine((0.1, 0.2), 3, 5, p=1.0)
    params = draw(transform)
    home = np.stack(np.meshgrid(np.linspace(0, SIZE[1], 5), np.linspace(0, SIZE[0], 3)), -1).reshape(-1, 2)
    corner = [5 * row + column for row in range(2) for column in range(4)]
    triangles = [t for i in corner for t in ((i, i + 1, i + 5), (i + 6, i + 5, i + 1))]
    mesh = Triangulation(*home.T, triangles)
    expected = np.stack([LinearTriInterpolator(mesh, v)(*np.moveaxis(centres(), 2, 0)) for v in params.reshape(2, -1)])
    assert np.abs(field_of(transform, params) - np.moveaxis(expected, 0, 2)).max() < 1e-4


@pytest.mark.parametrize("name", ["GridDistortion", "OpticalDistortion", "ThinPlateSpline", "PiecewiseAffine"])
def test_shared_arguments_have_albumentations_defaults(name):
    theirs = inspect.signature(getattr(A, name).__init__).parameters
    for field in dataclasses.fields(T.REGISTRY[name]):
        if field.name in theirs and field.name != "interpolation":
            default = theirs[field.name].default
            default = default[-1] if field.name in ("distort_limit", "nb_rows", "nb_cols") else default
            assert field.default == default


# --- all of them ------------------------------------------------------------------------------------------------------


@over_all
def test_without_strength_nothing_moves(name):
    transform = ALL[name]
    params = transform.sample_params(np.full((1, transform.draws), 0.3), np.array([SIZE], float), 0.0)
    assert np.abs(field_of(transform, params[0]) - centres()).max() < 1e-4


@over_engines
def test_an_elastic_transform_without_strength_keeps_every_bit(engine):
    image = noise(SIZE, 3, "uint8")
    assert torch.equal(render(T.ElasticTransform(), image, engine=engine, strength=0.0), image)


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    "transform",
    [
        T.ElasticTransform(60.0, (2.0, 3.0), "bicubic"),
        T.ElasticTransform(12.0, 0.0),
        T.GridDistortion(8, 0.95, normalized=False, p=1.0, padding_mode="reflect"),
        T.OpticalDistortion((3.0, 5.0), p=1.0, padding_mode="symmetric"),
        T.ThinPlateSpline((1.0, 1.0), 6, p=1.0, padding_mode="reflect"),
        T.PiecewiseAffine((0.9, 0.9), 7, 6, p=1.0),
    ],
)
def test_fields_that_fold_and_reach_far_agree_with_the_reference(transform, dtype, engine):
    images = [noise(SIZE, 3, dtype, seed) for seed in range(3)]
    assert_agrees(Pipeline([transform], seed=2, engine=engine), images, index=range(3))


@over_engines
@over_all
def test_every_engine_reads_at_the_points_of_the_field(name, engine):
    # A picture whose two values are the coordinates themselves shows at each pixel where it was read.
    transform = dataclasses.replace(ALL[name], interpolation="bilinear")
    ramp = torch.from_numpy(centres().transpose(2, 0, 1) / 64).float()
    field = field_of(transform, draw(transform))
    inside = ((field > 1) & (field < np.array(SIZE[::-1]) - 1)).all(2)
    for channel in range(2):
        got = render(transform, ramp[channel : channel + 1], engine=engine)[0].numpy() * 64
        assert np.abs(got - field[..., channel])[inside].max() < 1e-3
    assert inside.mean() > 0.3


@over_all
@pytest.mark.parametrize("index", range(3))
def test_points_land_where_the_field_reads_them(name, index):
    transform = ALL[name]
    params = draw(transform, index)
    xy = np.random.default_rng(index).uniform([2, 2], [SIZE[1] - 2, SIZE[0] - 2], (60, 2))
    at = transform.points(params, SIZE, xy)
    x, y = SOURCES[type(transform).__name__](transform, params, SIZE)
    inside = ((at > 0.5) & (at < np.array(SIZE[::-1]) - 0.5)).all(1)
    assert inside.mean() > 0.3
    read = np.stack([_bilinear(plane, at[inside]) for plane in (x, y)], 1)
    assert np.abs(read - xy[inside]).max() < 1e-3


def _bilinear(plane, at):
    maps = (at - 0.5).astype(np.float32)
    column, row = np.floor(maps).astype(int).T
    (u, v), p = (at - 0.5).T - np.stack([column, row]), np.pad(plane, ((0, 1), (0, 1)), mode="edge")
    top = p[row, column] * (1 - u) + p[row, column + 1] * u
    return top * (1 - v) + (p[row + 1, column] * (1 - u) + p[row + 1, column + 1] * u) * v


@pytest.mark.parametrize(("k", "mode"), [(0.5, "camera"), (-0.3, "camera"), (0.4, "fisheye")])
def test_points_of_a_lens_solve_its_formula(k, mode):
    transform = T.OpticalDistortion((k, k), mode=mode, p=1.0)
    h, w = SIZE
    # Outside the output too: a point that a lens pushes out has a place there, for the sake of boxes.
    at = np.random.default_rng(0).uniform([-3, -3], [w + 3, h + 3], (50, 2))
    out = at - [w / 2, h / 2]
    square = ((out / [w, h]) ** 2).sum(1) if mode == "camera" else (out**2).sum(1) / (w**2 / 4 + h**2 / 4)
    factor = 1 + k * (square + square**2 if mode == "camera" else square)
    found = transform.points(np.array([k]), SIZE, out * factor[:, None] + [w / 2, h / 2])
    inside = ((at > 0) & (at < [w, h])).all(1)
    assert np.abs(found - at)[inside].max() < 0.03  # the field is read straight between pixel centres
    beyond = ((at < -1) | (at > [w + 1, h + 1])).any(1)
    assert beyond.sum() > 2
    assert ((found < 0) | (found > [w, h])).any(1)[beyond].all()


@over_engines
@over_all
def test_a_blob_lands_at_its_point(name, engine):
    transform = dataclasses.replace(ALL[name], **({"alpha": 20.0} if name == "elastic" else {}), fill=0.0)
    where = np.array([[29.0, 22.0]])
    grid = centres()
    picture = np.exp(-((grid - where[0]) ** 2).sum(2) / 8).astype(np.float32)
    for index in range(3):
        at = transform.points(draw(transform, index), SIZE, where)[0]
        out = render(transform, torch.from_numpy(picture)[None], index, engine)[0].numpy()
        centroid = (out[..., None] * grid).sum((0, 1)) / out.sum()
        assert np.abs(centroid - at).max() < 0.35  # a bend within the blob shifts its centroid


def test_points_of_a_field_that_folds_or_stands_still_are_finite():
    fold = centres().astype(np.float32)
    fold[..., 0] = 30 + 8 * np.sin(fold[..., 0] / 2)
    xy = np.array([[33.0, 20.0], [22.5, 7.0], [60.0, 3.0]])
    found = invert(fold, xy)
    assert np.isfinite(found).all()
    source = np.array([_bilinear(fold[..., 0], point[None])[0] for point in found[:2]])
    assert np.abs(source - xy[:2, 0]).max() < 1e-3
    assert np.isfinite(invert(np.zeros((5, 6, 2), np.float32), np.array([[1.0, 2.0]]))).all()


def test_no_points_give_no_points():
    assert T.ElasticTransform().points(np.array([1.0, 2.0, 50.0, 50.0]), SIZE, np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 2)])
@over_engines
@over_all
def test_tiny_images_can_be_distorted(name, engine, size):
    out = render(ALL[name], torch.full((3, *size), 0.3), engine=engine)
    assert torch.allclose(out, torch.full((3, *size), 0.3))
    assert np.isfinite(ALL[name].points(draw(ALL[name], size=size), size, np.array([[0.5, 0.5]]))).all()


@over_all
def test_the_torch_engine_takes_any_number_of_channels_and_doubles(name):
    image = smooth(SIZE, 5).double()
    out = render(ALL[name], image)
    assert out.shape == (5, *SIZE)
    assert out.dtype == torch.float64
    single = render(ALL[name], image[:1].float(), engine="opencv")
    assert (out[:1] - single).abs().max() < 1e-4


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("kind", ["nearest", "bilinear", "bicubic"])
def test_distortions_have_the_right_gradient(kind, mode):
    transform = T.ThinPlateSpline((1.0, 1.0), 2, kind, 1.0, mode, fill=0.3)
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0.4, 0.6, (1, 2, 4, 5))).requires_grad_()
    pipeline = Pipeline([transform], seed=1, engine="torch")
    assert gradcheck(lambda x: pipeline(x, index=[3]), pixels)
    if kind == "bilinear":
        assert gradgradcheck(lambda x: pipeline(x, index=[3]).square(), pixels)
