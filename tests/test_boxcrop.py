"""Crops that look at boxes: what they keep, and torchvision's distribution."""

from __future__ import annotations

import pytest
import torch
from torchvision import tv_tensors
from torchvision.ops import box_iou
from torchvision.transforms import v2

from augsynth import Pipeline
from augsynth import transforms as T

SIZE = (60, 90)
IMAGE = torch.zeros(3, *SIZE, dtype=torch.uint8)
BOXES = torch.tensor([[10.0, 12, 34, 40], [0, 0, 9, 5], [50.5, 20.25, 88, 59.75], [70, 1, 90, 30]])


def crops(transform, boxes, count=60, **arguments):
    """Return the windows that `count` samples get, as edges."""
    pipeline = Pipeline([transform], **arguments)
    samples = [{"image": IMAGE, "boxes": boxes, "keypoints": torch.tensor([[0.0, 0.0]])}] * count
    out = pipeline(samples, index=range(count))
    corner = -torch.stack([sample["keypoints"][0] for sample in out])
    size = torch.tensor([sample["image"].shape[:0:-1] for sample in out])
    return torch.cat([corner, corner + size], 1), out


SMALL = torch.tensor([[12.0, 10, 30, 26], [60, 40, 75, 52]])


@pytest.mark.parametrize("option", [0.0, 0.3, 0.7])
def test_an_iou_crop_overlaps_enough_and_drops_what_has_its_centre_outside(option):
    windows, out = crops(T.RandomIoUCrop(sampler_options=(option,)), SMALL * torch.tensor([1, 1, 1.6, 1.6]))
    boxes = SMALL * torch.tensor([1, 1, 1.6, 1.6])
    boxes[:, 2:] = boxes[:, 2:].minimum(torch.tensor([90.0, 60]))
    cut = 0
    for window, sample in zip(windows, out, strict=True):
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        held = ((centre > window[:2]) & (centre < window[2:])).all(1)
        expected = torch.cat([boxes[:, :2].maximum(window[:2]), boxes[:, 2:].minimum(window[2:])], 1) - window[
            :2
        ].repeat(2)
        assert torch.allclose(sample["boxes"], expected[held])
        if window.tolist() != [0, 0, 90, 60]:
            cut += 1
            assert box_iou(boxes[held], window[None]).max() >= option
    assert cut > 5


def test_an_iou_crop_takes_the_whole_image_for_an_option_of_one_or_where_nothing_fits():
    for option in (1.0, 0.99):
        windows, out = crops(T.RandomIoUCrop(sampler_options=(option,)), SMALL, 8)
        assert windows.tolist() == [[0, 0, 90, 60]] * 8
        assert all(len(sample["boxes"]) == 2 for sample in out)


def test_iou_crops_are_distributed_as_torchvisions():
    torch.manual_seed(0)
    ours, _ = crops(T.RandomIoUCrop(), BOXES[:3], 500)
    theirs, crop = [], v2.RandomIoUCrop()
    boxes = tv_tensors.BoundingBoxes(BOXES[:3], format="XYXY", canvas_size=SIZE)
    for _ in range(500):
        params = crop.make_params([tv_tensors.Image(IMAGE), boxes])
        box = [params.get("left", 0), params.get("top", 0), params.get("width", 90), params.get("height", 60)]
        theirs.append([box[0], box[1], box[0] + box[2], box[1] + box[3]])
    theirs = torch.tensor(theirs, dtype=torch.float32)
    assert (ours.mean(0) - theirs.mean(0)).abs().max() < 4
    whole = [(windows == torch.tensor([0.0, 0, 90, 60])).all(1).float().mean() for windows in (ours, theirs)]
    assert abs(whole[0] - whole[1]) < 0.1


def test_a_safe_crop_holds_all_boxes():
    windows, out = crops(T.BBoxSafeRandomCrop(), SMALL + 0.4)
    assert (windows[:, :2] <= torch.tensor([12.4, 10.4])).all()
    assert (windows[:, 2:] >= torch.tensor([75.4, 52.4])).all()
    assert all(len(sample["boxes"]) == 2 for sample in out)
    assert len({tuple(window) for window in windows.tolist()}) > 40
    sized = Pipeline([T.RandomSizedBBoxSafeCrop(33, 21)])([{"image": IMAGE, "boxes": SMALL}] * 9, index=range(9))
    assert {tuple(sample["image"].shape) for sample in sized} == {(3, 33, 21)}
    for sample in sized:
        assert len(sample["boxes"]) == 2
        assert (
            abs((sample["boxes"][0, 2] - sample["boxes"][0, 0]) / (sample["boxes"][1, 2] - sample["boxes"][1, 0]) - 1.2)
            < 1e-3
        )


def test_a_safe_crop_may_cut_into_the_union_by_its_erosion_rate():
    windows, _ = crops(T.BBoxSafeRandomCrop(0.4), SMALL, 200)
    eroded = torch.tensor([12 + 0.2 * 63, 10 + 0.2 * 42, 75 - 0.2 * 63, 52 - 0.2 * 42])
    assert (windows[:, :2] <= eroded[:2]).all()
    assert (windows[:, 2:] >= eroded[2:]).all()
    assert (windows[:, 0] > 12).any()


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0])
def test_at_least_one_box_is_in_the_window(factor):
    windows, _ = crops(T.AtLeastOneBBoxRandomCrop(24, 30, factor), SMALL + 0.3, 100)
    boxes = SMALL + 0.3
    low, high = boxes[:, None, :2].maximum(windows[:, :2]), boxes[:, None, 2:].minimum(windows[:, 2:])
    share = (high - low).clamp(min=0) / (boxes[:, 2:] - boxes[:, :2])[:, None]
    best = share.amin(2).amax(0)
    assert (best >= 1 - factor - 1e-5).all()
    assert (best > 0).all()
    assert (share.amin(2) >= 1 - factor - 1e-5).float().mean(1).min() > 0.2, "either box is chosen"


def test_a_crop_beside_a_box_that_is_larger_than_it_lies_within_it():
    windows, _ = crops(T.AtLeastOneBBoxRandomCrop(10, 12), torch.tensor([[20.0, 15, 80, 50]]), 50)
    assert (windows >= torch.tensor([20, 15, 32, 25])).all()
    assert (windows <= torch.tensor([68, 40, 80, 50])).all()


def test_crops_look_at_the_boxes_where_they_are_by_then():
    steps = [
        T.RandomHorizontalFlip(1.0),
        T.Resize((120, 180)),
        T.ElasticTransform(1.0),
        T.AtLeastOneBBoxRandomCrop(40, 50),
    ]
    samples = [{"image": IMAGE, "boxes": SMALL[:1], "labels": [3]}] * 40
    for sample in Pipeline(steps, min_visibility=0.85)(samples, index=range(40)):
        assert sample["labels"] == [3]


def test_windows_at_no_strength_are_the_whole_image():
    for transform in (T.RandomIoUCrop(), T.BBoxSafeRandomCrop(0.5)):
        out = Pipeline([transform])([{"image": IMAGE, "boxes": SMALL}] * 9, index=range(9), strength=0.0)
        assert {tuple(sample["image"].shape) for sample in out} == {(3, *SIZE)}


def test_a_box_crop_draws_the_same_beside_others_and_alone():
    pipeline = Pipeline([T.RandomIoUCrop(), T.BBoxSafeRandomCrop(), T.RandomRotation(10)], seed=3)
    samples = [{"image": IMAGE, "boxes": BOXES[:n]} for n in (1, 4, 0, 2)]
    together = pipeline(samples, index=[5, 6, 7, 8])
    for sample, index, out in zip(samples, [5, 6, 7, 8], together, strict=True):
        alone = pipeline(sample, index=index)
        assert torch.equal(alone["boxes"], out["boxes"])
        assert alone["image"].shape == out["image"].shape


def test_a_window_that_is_too_large_is_named():
    with pytest.raises(
        ValueError, match=r"at_least_one.*sample 0 \(index 4\): 70 x 20 is larger than the image \(60 x 90"
    ):
        Pipeline([T.AtLeastOneBBoxRandomCrop(70, 20)])({"image": IMAGE, "boxes": SMALL}, index=4)
