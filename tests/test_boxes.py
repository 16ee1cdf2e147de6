"""Boxes: formats, clipping and dropping, and torchvision's own results for the same parameters."""

from __future__ import annotations

import itertools

import albumentations as A
import numpy as np
import pytest
import torch
from target_samples import Warp, window
from torchvision import tv_tensors
from torchvision.transforms import v2

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.boxes import FORMATS, ROTATED, Boxes, corners_of, from_corners, from_edges, inside

SIZE = (60, 90)
IMAGE = torch.zeros(3, *SIZE, dtype=torch.uint8)
BOXES = torch.tensor([[10.0, 12, 34, 40], [0, 0, 9, 5], [50.5, 20.25, 88, 59.75], [70, 1, 90, 30]])
UPRIGHT = [kind for kind in FORMATS if kind not in ROTATED]


def tv(boxes, kind="xyxy", **more):
    boxes = v2.functional.convert_bounding_box_format(boxes, "XYXY", kind) if kind not in ROTATED else boxes
    return tv_tensors.BoundingBoxes(boxes, format=kind.upper(), canvas_size=SIZE, **more)


def run(steps, boxes, **arguments):
    sample = {"image": IMAGE, "boxes": boxes, "labels": torch.arange(len(boxes))}
    out = Pipeline(steps, **arguments)(sample, index=0)
    return out["boxes"], out["labels"].tolist()


# --- torchvision's results --------------------------------------------------------------------------------------------

SAME = {
    "flip": (T.RandomHorizontalFlip(1.0), v2.RandomHorizontalFlip(1.0)),
    "upside down": (T.RandomVerticalFlip(1.0), v2.RandomVerticalFlip(1.0)),
    "resize": (T.Resize((41, 53)), v2.Resize((41, 53))),
    "resize short": (T.Resize(33), v2.Resize(33)),
    "center crop": (T.CenterCrop((40, 51)), v2.CenterCrop((40, 51))),
    "center pad": (T.CenterCrop((80, 95)), v2.CenterCrop((80, 95))),
    "pad": (T.Pad((1, 2, 3, 4)), v2.Pad((1, 2, 3, 4))),
    "rotation": (T.RandomRotation((33, 33)), v2.RandomRotation((33, 33))),
    "quarter turn": (T.RandomRotation((90, 90), expand=True), v2.RandomRotation((90, 90), expand=True)),
    "expand": (T.RandomRotation((25, 25), expand=True), v2.RandomRotation((25, 25), expand=True)),
    "about": (T.RandomRotation((-70, -70), center=(20, 10)), v2.RandomRotation((-70, -70), center=(20, 10))),
    "affine": (
        T.RandomAffine((17, 17), scale=(1.3, 1.3), shear=(12, 12, -7, -7)),
        v2.RandomAffine((17, 17), scale=(1.3, 1.3), shear=(12, 12, -7, -7)),
    ),
}
# torchvision fits boxes to a canvas without rounding, which differs from the one that its image gets.
SLACK = {"expand": 1.0}


@pytest.mark.parametrize("kind", UPRIGHT)
@pytest.mark.parametrize("name", SAME)
def test_boxes_are_torchvisions(name, kind):
    ours, theirs = SAME[name]
    boxes = tv(BOXES, kind)
    expected = theirs(boxes)
    edges = v2.functional.convert_bounding_box_format(expected, new_format="XYXY")
    there = (edges[:, 2:] > edges[:, :2]).all(1)
    got, labels = run([ours], boxes)
    assert type(got) is tv_tensors.BoundingBoxes
    assert (got.format, got.canvas_size) == (expected.format, tuple(theirs(IMAGE).shape[1:]))
    assert got.dtype == torch.float32
    assert labels == there.nonzero().flatten().tolist()
    assert torch.allclose(got, expected[there], rtol=0, atol=SLACK.get(name, 1e-3))
    plain, _ = run([ours], boxes.as_subclass(torch.Tensor), box_format=kind)
    assert type(plain) is torch.Tensor
    assert torch.equal(plain, got.as_subclass(torch.Tensor))


@pytest.mark.parametrize("seed", range(4))
def test_boxes_are_torchvisions_in_perspective(seed):
    pipeline = Pipeline([T.RandomPerspective(0.5, 1.0)], seed=seed)
    program = pipeline.draw([SIZE], index=0)
    leaf = program.plan.leaves[0].transform
    matrix = leaf.matrix(program.params[:, 0, : leaf.params], np.array([SIZE], float))[0]
    coefficients = (matrix / matrix[2, 2]).flatten()[:8].tolist()
    expected = v2.functional.perspective(tv(BOXES.double()), None, None, coefficients=coefficients)
    there = (expected[:, 2:] > expected[:, :2]).all(1)
    got = pipeline({"image": IMAGE, "boxes": tv(BOXES.double())}, index=0)["boxes"]
    assert torch.allclose(got, expected[there], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", [name for name in SAME if name not in ("about", "resize short", "expand")])
def test_masks_are_torchvisions_where_a_pixel_is_unambiguous(name):
    ours, theirs = SAME[name]
    mask = torch.randint(1, 200, (2, *SIZE), dtype=torch.uint8)
    if name == "resize":  # torchvision resizes masks by another rule, which looks at no centre
        expected = v2.functional.resize(mask, [41, 53], interpolation=v2.InterpolationMode.NEAREST_EXACT)
    else:
        expected = theirs(tv_tensors.Mask(mask))
    pipeline = Pipeline([ours])
    got = pipeline({"image": IMAGE, "mask": tv_tensors.Mask(mask)}, index=0)["mask"]
    matrix = ours.matrix(pipeline.draw([SIZE], index=0).params[:, 0], np.array([SIZE], float))[0]
    y, x = np.mgrid[: got.shape[1], : got.shape[2]] + 0.5
    at = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))[:2]
    sure = torch.from_numpy((np.abs(at - np.rint(at)) > 1e-3).all(0))
    assert type(got) is tv_tensors.Mask
    assert sure.float().mean() > 0.9
    assert torch.equal(got[:, sure], expected[:, sure])


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", UPRIGHT)
def test_corners_and_edges_of_a_format_go_there_and_back(kind):
    boxes = v2.functional.convert_bounding_box_format(BOXES.double(), "XYXY", kind).numpy()
    corners = corners_of(boxes, kind)
    assert np.array_equal(corners[:, 0], BOXES[:, :2])
    assert np.array_equal(corners[:, 2], BOXES[:, 2:])
    assert np.allclose(from_edges(corners.min(1), corners.max(1), kind), boxes, rtol=0, atol=1e-12)


TURNED = torch.tensor([[40.0, 30, 20, 8, 25], [30, 20, 9, 14, -100], [60, 40, 12, 12, 170]], dtype=torch.float64)


@pytest.mark.parametrize("kind", ROTATED)
def test_corners_of_a_turned_box_are_torchvisions(kind):
    boxes = v2.functional.convert_bounding_box_format(TURNED, "CXCYWHR", kind)
    corners = v2.functional.convert_bounding_box_format(TURNED, "CXCYWHR", "XYXYXYXY").reshape(-1, 4, 2)
    ours = corners_of(boxes.numpy(), kind)
    assert np.allclose(ours, corners, rtol=0, atol=1e-9)
    assert np.allclose(from_corners(ours, kind, np.zeros(3, bool)), boxes, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ROTATED)
@pytest.mark.parametrize("name", ["flip", "upside down", "pad", "quarter turn", "rotation"])
def test_turned_boxes_are_torchvisions_under_flips_and_turns(name, kind):
    ours, theirs = SAME[name]
    boxes = tv_tensors.BoundingBoxes(
        v2.functional.convert_bounding_box_format(TURNED, "CXCYWHR", kind),
        format=kind.upper(), canvas_size=SIZE, clamping_mode=None,
    )  # fmt: skip
    expected = theirs(boxes)
    got, labels = run([ours], boxes)
    assert labels == [0, 1, 2]
    assert (got.format, got.canvas_size) == (expected.format, expected.canvas_size)
    off = (got - expected).as_subclass(torch.Tensor)
    if kind != "xyxyxyxy":
        off[:, 4] = (off[:, 4] + 180) % 360 - 180
    assert off.abs().max() < 1e-3


def test_a_turned_box_becomes_the_rectangle_around_its_sheared_self():
    shear = T.RandomAffine((0, 0), shear=(30, 30, 0, 0))
    corners = corners_of(TURNED.numpy(), "cxcywhr")
    box = tv_tensors.BoundingBoxes(TURNED, format="CXCYWHR", canvas_size=SIZE)
    quad = tv_tensors.BoundingBoxes(torch.from_numpy(corners.reshape(-1, 8)), format="XYXYXYXY", canvas_size=SIZE)
    around, exact = (corners_of(run([shear], b)[0].numpy(), b.format.name.lower()) for b in (box, quad))
    moved = corners.copy()
    moved[..., 0] -= np.tan(np.deg2rad(30)) * (corners[..., 1] - SIZE[0] / 2)
    assert np.allclose(exact, moved, rtol=0, atol=1e-9)
    edge = exact[:, 1] - exact[:, 0]
    top = around[:, 1] - around[:, 0]
    assert np.allclose(edge[:, 0] * top[:, 1], edge[:, 1] * top[:, 0])
    for rectangle, points in zip(around, exact, strict=True):
        across, down = rectangle[1] - rectangle[0], rectangle[3] - rectangle[0]
        u, v = ((points - rectangle[0]) @ axis / (axis @ axis) for axis in (across, down))
        assert np.allclose([u.min(), u.max(), v.min(), v.max()], [0, 1, 0, 1])


def test_a_turned_box_is_dropped_by_its_own_area():
    box = tv_tensors.BoundingBoxes(TURNED[:1], format="CXCYWHR", canvas_size=SIZE)
    for share, kept in ((0.45, 1), (0.55, 0)):
        assert len(run([window(0, 0, 40, 60)], box, min_visibility=share)[0]) == kept
    outside = tv_tensors.BoundingBoxes(
        TURNED[:1] + torch.tensor([80.0, 0, 0, 0, 0]), format="CXCYWHR", canvas_size=SIZE
    )
    assert run([T.Pad(1)], outside)[1] == []


# --- clipping and dropping --------------------------------------------------------------------------------------------


def test_boxes_are_clipped_and_those_without_area_go_with_what_belongs_to_them():
    masks = torch.stack([torch.full(SIZE, i, dtype=torch.uint8) for i in range(4)])
    target = {
        "boxes": BOXES,
        "labels": ["a", "b", "c", "d"],
        "area": np.arange(4.0),
        "iscrowd": torch.tensor([0, 1, 0, 1]),
        "masks": masks,
        "keypoints": torch.arange(4.0)[:, None, None].expand(4, 5, 3),
        "species": (0, 1, 2, 3),
        "image_id": torch.tensor([7]),
    }
    _, out = Pipeline([window(0, 0, 40, 60)], label_keys=("labels", "area", "iscrowd", "species"))(
        (IMAGE, target), index=0
    )
    assert out["boxes"].tolist() == [[10, 12, 34, 40], [0, 0, 9, 5]]
    assert out["labels"] == ["a", "b"]
    assert out["area"].tolist() == [0, 1]
    assert out["iscrowd"].tolist() == [0, 1]
    assert [mask.unique().tolist() for mask in out["masks"]] == [[0], [1]]
    assert out["masks"].shape == (2, 60, 40)
    assert out["keypoints"][:, 0, 0].tolist() == [0, 1]
    assert out["species"] == (0, 1)
    assert out["image_id"].tolist() == [7]
    assert target["boxes"] is BOXES
    _, grown = Pipeline([T.Pad(1)], mask_fill=255)((IMAGE, {**target, "labels": [1, 2, 3, 4]}), index=0)
    assert grown["masks"][2].unique().tolist() == [0, 2], "outside the image there is no object"


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, [0, 1, 2]),
        ({"min_area": 45}, [0, 1, 2]),
        ({"min_area": 45.001}, [0, 2]),
        ({"min_visibility": 0.25}, [0, 1, 2]),
        ({"min_visibility": 0.26}, [0, 1]),
        ({"min_visibility": 1.0}, [0, 1]),
    ],
)
def test_small_and_hidden_boxes_are_dropped(limits, kept):
    boxes = BOXES.clone()
    boxes[2] = torch.tensor([52.0, 20, 92, 40])
    out, labels = run([window(0, 0, 62, 60)], boxes, **limits)
    assert labels == kept
    assert out.shape == (len(kept), 4)


def test_sanitize_sets_limits_where_it_is_applied():
    boxes = torch.tensor([[0.0, 0, 3, 40], [10, 10, 14, 14], [20, 20, 40, 40]])
    assert run([T.RandomHorizontalFlip(1.0), T.SanitizeBoundingBoxes()], boxes)[1] == [0, 1, 2]
    assert run([T.SanitizeBoundingBoxes(min_size=3.5), T.RandomHorizontalFlip(1.0)], boxes)[1] == [1, 2]
    assert run([T.SanitizeBoundingBoxes(min_size=2, min_area=17)], boxes)[1] == [0, 2]
    never = T.RandomApply([T.SanitizeBoundingBoxes(min_size=30)], p=0.0)
    assert run([never], boxes)[1] == [0, 1, 2]
    sample = {"image": IMAGE, "boxes": boxes, "species": [7, 8, 9]}
    out = Pipeline([T.SanitizeBoundingBoxes(4, labels_getter="species")])(sample, index=0)
    assert out["species"] == [8, 9]


@pytest.mark.parametrize("empty", [torch.zeros(0, 4), torch.zeros(0), np.zeros((0, 4), np.float32), []])
def test_a_sample_without_boxes_passes(empty):
    steps = [T.RandomIoUCrop(), T.RandomRotation(20), T.Pad(2), T.ElasticTransform()]
    out = Pipeline(steps)({"image": IMAGE, "boxes": empty, "labels": empty[:0]}, index=0)
    assert len(out["boxes"]) == 0
    assert type(out["boxes"]) is type(empty)
    assert isinstance(empty, list) or (out["boxes"].shape == (0, 4) and out["boxes"].dtype == empty.dtype)


def test_integer_boxes_come_back_rounded():
    boxes = torch.tensor([[10, 12, 34, 40], [0, 0, 1, 1]])
    out, labels = run([T.Resize((20, 30))], boxes)
    assert out.dtype == torch.int64
    assert out.tolist() == [[3, 4, 11, 13]]
    assert labels == [0]
    middles = np.array([[14, 20, 9, 6]])
    out, _ = run([T.RandomHorizontalFlip(1.0)], middles, box_format="cxcywh")
    assert out.tolist() == [[76, 20, 8, 6]]  # 71.5 to 80.5, each rounded to even
    cut, _ = run([window(0, 0, 17, 60)], np.array([[14, 20, 8, 6]]), box_format="cxcywh")
    assert cut.tolist() == [[14, 20, 7, 6]]
    assert out.dtype == np.int64


def test_a_tv_tensor_that_is_not_clamped_keeps_its_edges_outside():
    out, labels = run([window(0, 0, 62, 60)], tv(BOXES, clamping_mode=None))
    assert torch.allclose(out.as_subclass(torch.Tensor), BOXES[:3])
    assert out.clamping_mode is None
    assert labels == [0, 1, 2]


def test_a_box_that_a_crop_has_cut_away_does_not_return_with_a_pad():
    steps = [T.CenterCrop((60, 40)), T.Pad((25, 0))]
    boxes = torch.tensor([[30.0, 10, 40, 20], [0, 10, 20, 20], [20, 10, 30, 20]])
    out, labels = run(steps, boxes)
    assert labels == [0, 2]
    assert out.tolist() == [[30, 10, 40, 20], [25, 10, 30, 20]]
    assert run(steps, boxes, min_visibility=0.6)[1] == [0]


def test_a_chain_maps_the_corners_once_and_stays_tight():
    turns = [T.RandomRotation((40, 40)), T.RandomRotation((-40, -40))]
    out, _ = run(turns, BOXES[:1])
    assert torch.allclose(out, BOXES[:1], atol=1e-4)
    loose = v2.Compose([v2.RandomRotation((40, 40)), v2.RandomRotation((-40, -40))])(tv(BOXES[:1]))
    assert (loose[0, 2] - loose[0, 0]) > 1.5 * (BOXES[0, 2] - BOXES[0, 0])


# --- perspective ------------------------------------------------------------------------------------------------------

# The output's third coordinate is 1 - x / 50 of the input: what lies right of column 50 is behind the eye.
BEHIND = np.linalg.inv(np.array([[1, 0, 0], [0, 1, 0], [-1 / 50, 0, 1.0]]))


def test_the_part_of_a_box_behind_the_eye_is_cut_off():
    boxes = torch.tensor([[10.0, 10, 20, 20], [30, 10, 70, 20], [60, 10, 80, 20]])
    out, labels = run([Warp(BEHIND)], boxes)
    assert labels == [0, 1]
    assert torch.allclose(out[0], torch.tensor([12.5, 12.5, 33.333333, 33.333333]))
    assert torch.allclose(out[1], torch.tensor([75.0, 25.0, 90.0, 60.0]))
    assert run([Warp(BEHIND)], boxes, min_visibility=0.01)[1] == [0]


def test_a_keypoint_behind_the_eye_is_invisible_and_finite():
    points = torch.tensor([[20.0, 20, 1], [60, 20, 1], [50, 20, 1]])
    out = Pipeline([Warp(BEHIND)])({"image": IMAGE, "keypoints": points}, index=0)["keypoints"]
    assert torch.allclose(out, torch.tensor([[33.333332, 33.333332, 1], [60, 20, 0], [50, 20, 0]]))


def test_a_turned_box_with_a_corner_behind_the_eye_is_dropped():
    turned = tv_tensors.BoundingBoxes(TURNED, format="CXCYWHR", canvas_size=SIZE)
    assert run([Warp(BEHIND)], turned)[1] == [1]


def test_clipping_an_outline_keeps_what_is_inside():
    outline = np.array([[[-10.0, 5], [15, -20], [40, 5], [15, 30]]])
    cut = inside(outline, np.array([[20.0, 30.0]]))[0]
    assert cut.min() >= 0
    assert (cut <= [30, 20]).all()
    grid = np.stack(np.meshgrid(np.arange(-20, 50) + 0.5, np.arange(-30, 40) + 0.5), -1).reshape(-1, 2)
    held = (np.abs(grid - [15, 5]).sum(1) < 25) & (grid > 0).all(1) & (grid < [30, 20]).all(1)
    x, y = cut.T
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    assert abs(area - held.sum()) < 8
    several = np.concatenate([outline, outline / 4 + 10, outline + np.array([13, 0]), outline - 100])
    together = inside(several, np.array([[20.0, 30.0]] * 4))
    for alone, polygon in zip(several, together, strict=True):
        alone = inside(alone[None], np.array([[20.0, 30.0]]))[0]
        assert np.allclose([alone.min(0), alone.max(0)], [polygon.min(0), polygon.max(0)])
    gone = inside(outline - 100, np.array([[20.0, 30.0]]))
    assert (gone.max(1) - gone.min(1)).max() == 0


# --- several at once, and albumentations' results ---------------------------------------------------------------------


def test_albumentations_drops_and_clips_the_same_boxes():
    steps = [A.Crop(20, 10, 70, 50), A.HorizontalFlip(p=1.0), A.Resize(33, 77)]
    compose = A.Compose(steps, bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"], min_visibility=0.4))
    theirs = compose(image=np.zeros((*SIZE, 3), np.uint8), bboxes=BOXES.numpy(), labels=[0, 1, 2, 3])
    ours, labels = run(
        [window(20, 10, 70, 50), T.RandomHorizontalFlip(1.0), T.Resize((33, 77))], BOXES, min_visibility=0.4
    )
    assert labels == [int(label) for label in theirs["labels"]]
    assert np.allclose(ours, theirs["bboxes"], atol=1e-3)


def test_many_boxes_of_many_samples_move_as_each_does_alone():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (40, 2))
    arrays = np.concatenate([low, low + rng.uniform(1, 30, (40, 2))], 1)
    pipeline = Pipeline(
        [T.RandomRotation(40), T.ColorJitter(0.1), T.Pad(4), T.ElasticTransform(20.0), T.CenterCrop(50)]
    )
    lengths = [0, 7, 1, 12, 20]
    ends = [0, *itertools.accumulate(lengths)]
    samples = [{"image": IMAGE, "boxes": arrays[a:b]} for a, b in itertools.pairwise(ends)]
    together = pipeline(samples, index=range(5))
    for i, sample in enumerate(samples):
        alone = [pipeline({"image": IMAGE, "boxes": box[None]}, index=i)["boxes"] for box in sample["boxes"]]
        expected = np.concatenate([np.zeros((0, 4)), *alone])
        assert np.allclose(together[i]["boxes"], expected, rtol=0, atol=1e-3)


def test_boxes_of_nothing_are_nothing():
    boxes = Boxes.of(np.zeros((0, 4, 2)), np.zeros(0, int))
    shown = boxes.shown(np.zeros((0, 2)), np.zeros(0, bool), np.zeros(0, bool))
    assert shown.keeps(np.zeros(0), np.zeros(0), 0.0).shape == (0,)
