"""Law 12: masks, boxes and keypoints follow the pixels, under every transform that moves them and chains of these."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from examples import EXAMPLES, build
from reference import place
from target_samples import CHAINS, IMAGE, SIZE
from torchvision import tv_tensors

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.base import Distortion, Geometric

MOVING = [
    pytest.param(name, arguments, id=f"{name}-{i}")
    for name, kind in T.REGISTRY.items()
    if issubclass(kind, (Geometric, Distortion))
    for i, arguments in enumerate(EXAMPLES[name])
]
GEOMETRIC = [case for case in MOVING if issubclass(T.REGISTRY[case.values[0]], Geometric)]
over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
# No affine maps, so that the centroid of a blob goes elsewhere.
BENT = {"RandomPerspective"} | {name for name, kind in T.REGISTRY.items() if issubclass(kind, Distortion)}
SMALL = ("CenterCrop", "RandomCrop", "AtLeastOneBBoxRandomCrop")  # windows that hold small blobs only
over_chains = pytest.mark.parametrize("name", CHAINS)
over_fusion = pytest.mark.parametrize("fuse", [True, False])


def calm(transform):
    """Return it with black outside and bilinear inside, so that a blob keeps its centre."""
    names = {field.name for field in dataclasses.fields(transform)}
    wanted = {"fill": 0.0, "padding_mode": "constant", "interpolation": "bilinear", "p": 1.0}
    return dataclasses.replace(transform, **{name: value for name, value in wanted.items() if name in names})


def blobs(sigma, size=SIZE):
    """Return samples of one blob each: image `(1, H, W)`, its centre as keypoint, its inner disc as mask and box."""
    samples = []
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    for cy in np.linspace(0.3, 0.7, 3) * size[0]:
        for cx in np.linspace(0.25, 0.75, 4) * size[1]:
            blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
            mask = (blob > 0.5).astype(np.uint8)
            rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
            box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            samples.append(
                {
                    "image": torch.from_numpy(blob.astype(np.float32))[None],
                    "mask": mask,
                    "boxes": torch.tensor([box], dtype=torch.float64),
                    "labels": [len(samples)],
                    "keypoints": np.array([[cx, cy, 2.0]]),
                }
            )
    return samples


def centroid(image):
    plane = image[0].double().numpy()
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]] + 0.5
    return np.array([(plane * x).sum(), (plane * y).sum()]) / plane.sum()


def is_whole(image):
    """Tell whether nothing of a blob has left the image."""
    edge = torch.cat([image[0, [0, -1]].flatten(), image[0, :, [0, -1]].flatten()])
    return float(edge.max()) < 1e-4 and float(image.max()) > 0.3


def check_centres(pipeline, tolerance, sigma=2.0):
    out = pipeline(blobs(sigma) * 5, index=range(60))
    whole = [sample for sample in out if is_whole(sample["image"])]
    assert whole, "move the blobs: none of them stays inside"
    for sample in whole:
        assert np.abs(centroid(sample["image"]) - sample["keypoints"][0, :2]).max() < tolerance
        assert sample["keypoints"][0, 2] == 2


@over_engines
@pytest.mark.parametrize(("name", "arguments"), [case for case in MOVING if case.values[0] not in BENT])
def test_law_12_the_centroid_of_a_blob_is_where_its_keypoint_goes(name, arguments, engine):
    transform = calm(build(name, arguments))
    check_centres(Pipeline([transform], seed=3, engine=engine), 0.05, 0.7 if name in SMALL else 2.0)


@over_engines
@pytest.mark.parametrize(("name", "arguments"), [case for case in MOVING if case.values[0] in BENT])
def test_law_12_a_picture_of_coordinates_shows_at_a_keypoint_where_it_came_from(name, arguments, engine):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    picture = torch.from_numpy(np.stack([x / SIZE[1], y / SIZE[0], 0 * x])).float()
    points = np.random.default_rng(0).uniform(0.2, 0.8, (12, 9, 2)) * [SIZE[1], SIZE[0]]
    samples = [{"image": picture, "keypoints": np.pad(xy, [(0, 0), (0, 1)], constant_values=1)} for xy in points]
    seen = 0
    for before, sample in zip(
        points, Pipeline([calm(build(name, arguments))], engine=engine)(samples, index=range(12)), strict=True
    ):
        height, width = sample["image"].shape[1:]
        for source, (px, py, visible) in zip(before, sample["keypoints"], strict=True):
            if visible and 1 < px < width - 1 and 1 < py < height - 1:
                read = read_at(sample["image"].double().numpy(), px - 0.5, py - 0.5)[:2] * [SIZE[1], SIZE[0]]
                assert np.abs(read - source).max() < 0.3
                seen += 1
    assert seen > 50


def read_at(image, x, y):
    """Read `(C, H, W)` bilinearly at coordinates that count from the centre of the first pixel."""
    i, j = int(y), int(x)
    rows = image[:, i : i + 2, j : j + 2] @ [1 - (x - j), x - j]
    return rows @ [1 - (y - i), y - i]


@over_fusion
@over_engines
@pytest.mark.parametrize("name", [name for name in CHAINS if "perspective" not in name])
def test_law_12_the_centroid_follows_a_chain(name, engine, fuse):
    check_centres(Pipeline(CHAINS[name], seed=3, engine=engine, fuse=fuse), 0.05)


@over_fusion
@over_engines
@over_chains
def test_law_12_a_mask_is_the_thresholded_image(name, engine, fuse):
    agrees_with_threshold(Pipeline(CHAINS[name], seed=5, engine=engine, fuse=fuse))


@over_engines
@pytest.mark.parametrize(("name", "arguments"), MOVING)
def test_law_12_a_mask_is_the_thresholded_image_under_every_transform(name, arguments, engine):
    agrees_with_threshold(Pipeline([calm(build(name, arguments))], seed=5, engine=engine))


def agrees_with_threshold(pipeline):
    areas = 0
    for sample in pipeline(blobs(6.0), index=range(12)):
        image, mask = sample["image"][0].numpy(), sample["mask"]
        assert mask.shape == image.shape
        assert mask.dtype == np.uint8
        sure = np.abs(image - 0.5) > 0.2
        assert ((image > 0.5) == mask)[sure].all()
        areas += mask.sum()
    assert areas > 50


@over_fusion
@over_chains
def test_law_12_a_box_encloses_its_mask_and_keeps_its_label(name, fuse):
    # A mask is picked once per run, each time up to half a pixel's diagonal from the exact place.
    encloses(Pipeline(CHAINS[name], seed=7, fuse=fuse), 1.5)


@pytest.mark.parametrize(("name", "arguments"), MOVING)
def test_law_12_a_box_encloses_its_mask_under_every_transform(name, arguments):
    encloses(Pipeline([calm(build(name, arguments))], seed=7), 0.1 if "Di" in name else 1e-6)


def encloses(pipeline, slack):
    for i, sample in enumerate(pipeline(blobs(3.0), index=range(12))):
        assert sample["labels"] == ([i] if len(sample["boxes"]) else [])
        y, x = sample["mask"].nonzero()
        if not len(sample["boxes"]):
            assert len(x) == 0 or set(pipeline.transforms) & {"random_io_u_crop", "sanitize_bounding_boxes"}
            continue
        x1, y1, x2, y2 = sample["boxes"][0].tolist()
        height, width = sample["mask"].shape
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        if len(x):
            assert x1 - slack <= x.min() + 0.5
            assert x.max() + 0.5 <= x2 + slack
            assert y1 - slack <= y.min() + 0.5
            assert y.max() + 0.5 <= y2 + slack


def mapped(program, sample, points, size=SIZE):
    """Map points `(N, 2)` by the reference's own formulas."""
    for slot, code in enumerate(program.ops[sample]):
        if code:
            leaf = program.plan.leaves[code - 1].transform
            matrix, size = place(leaf, program.params[sample, slot, : leaf.params], size)
            moved = np.linalg.solve(matrix, np.column_stack([points, np.ones(len(points))]).T).T
            points = moved[:, :2] / moved[:, 2:]
    return points


def check_homography(steps, engine):
    pipeline = Pipeline(steps, seed=9, engine=engine)
    points = np.random.default_rng(0).uniform(0, 1, (8, 5, 2)) * [SIZE[1], SIZE[0]]
    samples = [{"image": torch.zeros(3, *SIZE), "keypoints": torch.from_numpy(xy)} for xy in points]
    program = pipeline.draw([SIZE] * 8, index=range(8))
    for i, sample in enumerate(pipeline(samples, index=range(8))):
        np.testing.assert_allclose(sample["keypoints"].numpy(), mapped(program, i, points[i]), atol=1e-6)


@pytest.mark.parametrize(("name", "arguments"), GEOMETRIC)
def test_law_12_keypoints_are_mapped_by_the_homography(name, arguments):
    check_homography([build(name, arguments)], "opencv")


@over_engines
@over_chains
def test_law_12_keypoints_are_mapped_by_the_homography_of_a_chain(name, engine):
    check_homography([step for step in CHAINS[name] if isinstance(step, Geometric)], engine)


# --- keypoints --------------------------------------------------------------------------------------------------------


def test_keypoints_outside_lose_their_visibility_and_keep_their_place_in_the_row():
    points = torch.tensor([[30.0, 30, 2], [2, 2, 1], [40, 31, 0], [79, 60, 2]])
    out = Pipeline([T.CenterCrop((21, 30))])({"image": IMAGE, "keypoints": points}, index=0)["keypoints"]
    assert out.tolist() == [[5, 10, 2], [-23, -18, 0], [15, 11, 0], [54, 40, 0]]


def test_a_keypoint_that_was_lost_once_stays_lost():
    steps = [T.CenterCrop(20), T.Pad(30)]
    out = Pipeline(steps)({"image": IMAGE, "keypoints": [[2.0, 2.0, 2.0], [40.0, 30.0, 2.0]]}, index=0)["keypoints"]
    assert out == [[2.0, 12.0, 0.0], [40.0, 40.0, 2.0]]
    never_there = Pipeline([T.Pad(20)])({"image": IMAGE, "keypoints": [(-5.0, 7.0, 1.0)]}, index=0)["keypoints"]
    assert never_there == [(15.0, 27.0, 0.0)]


def test_pairs_of_keypoints_change_places_in_a_mirror_image_only():
    points = np.array([[10.0, 5, 2], [20, 6, 2], [30, 7, 2]])
    steps = [T.RandomHorizontalFlip(1.0), T.RandomVerticalFlip(1.0), T.RandomHorizontalFlip(1.0)]
    swapped = Pipeline(steps[:1], flip_pairs=[[1, 2]])({"image": IMAGE, "keypoints": points}, index=0)["keypoints"]
    assert swapped.tolist() == [[70, 5, 2], [50, 7, 2], [60, 6, 2]]
    turned = Pipeline(steps[:2], flip_pairs=[(1, 2)])({"image": IMAGE, "keypoints": points}, index=0)["keypoints"]
    assert turned.tolist() == [[70, 56, 2], [60, 55, 2], [50, 54, 2]]
    apart = [steps[0], T.ColorJitter(0.1), steps[1]]
    assert (
        Pipeline(apart, flip_pairs=[(1, 2)])({"image": IMAGE, "keypoints": points}, index=0)["keypoints"].tolist()
        == turned.tolist()
    )


def test_tv_keypoints_are_pixel_indices():
    points = tv_tensors.KeyPoints([[[0.0, 0.0], [79.0, 60.0]]], canvas_size=SIZE)
    out = Pipeline([T.RandomHorizontalFlip(1.0), T.Pad(1)])({"image": IMAGE, "points": points}, index=0)["points"]
    assert isinstance(out, tv_tensors.KeyPoints)
    assert out.tolist() == [[[80, 1], [1, 61]]]
    assert out.canvas_size == (63, 82)
    whole = Pipeline([T.RandomVerticalFlip(1.0)])({"image": IMAGE, "keypoints": np.array([[3, 4]])}, index=0)
    assert whole["keypoints"].tolist() == [[3, 57]]
    assert whole["keypoints"].dtype == np.int64
