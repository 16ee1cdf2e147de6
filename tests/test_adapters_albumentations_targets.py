"""`from_albumentations`: boxes, keypoints and masks go where the original puts them."""

from __future__ import annotations

import albumentations as A
import numpy as np
import pytest
import torch
from adapter_samples import convert, detection, kinds, picture

import augsynth as ag

PICTURE = picture()


BOXES = {
    "coco": [[20.0, 10.0, 25.0, 15.0], [50.0, 40.0, 20.0, 10.0]],
    "pascal_voc": [[20.0, 10.0, 45.0, 25.0], [50.0, 40.0, 70.0, 50.0]],
    "yolo": [[0.36, 0.24, 0.27, 0.2], [0.66, 0.62, 0.2, 0.1]],
    "albumentations": [[0.2, 0.1, 0.5, 0.4], [0.5, 0.5, 0.75, 0.7]],
}
MOVES = [
    A.HorizontalFlip(p=1.0),
    A.Resize(144, 120),
    A.Affine(scale=(0.8, 0.8), translate_px=(5, 5), p=1.0),
    A.Crop(10, 10, 110, 130),
]


@pytest.mark.parametrize("form", BOXES)
@pytest.mark.parametrize("as_array", [False, True])
def test_boxes_of_every_format_go_where_the_original_puts_them(form, as_array):
    compose = A.Compose(MOVES, bbox_params=A.BboxParams(form, label_fields=["names"], min_area=9))
    boxes = np.array(BOXES[form], np.float32) if as_array else BOXES[form]
    theirs, ours = (
        p(image=PICTURE, bboxes=boxes, names=["a", "b"]) for p in (compose, ag.from_albumentations(compose))
    )
    assert np.allclose(
        np.array(theirs["bboxes"])[:, :4],
        np.array(ours["bboxes"]),
        atol=1e-4 if form in ("yolo", "albumentations") else 0.01,
    )
    assert ours["names"] == theirs["names"] == ["a", "b"]
    assert type(ours["bboxes"]) is type(boxes)


def test_boxes_are_dropped_with_their_labels_by_the_recipes_limits():
    params = A.BboxParams("pascal_voc", label_fields=["names"], min_visibility=0.4)
    compose = A.Compose([A.Crop(0, 0, 60, 75)], bbox_params=params)
    sample = {
        "image": PICTURE,
        "bboxes": BOXES["pascal_voc"] + [[55.0, 5.0, 90.0, 20.0]],
        "names": [1, 2, 3],
        "names_too": [1, 2, 3],
    }
    theirs, ours = compose(**sample), ag.from_albumentations(compose)(**sample)
    assert ours["names"] == [int(v) for v in theirs["names"]] == [1, 2]
    assert ours["names_too"] == [1, 2, 3]


def test_a_least_side_is_a_sanitizer_of_ours():
    params = A.BboxParams("coco", min_width=12, min_height=12)
    adapted = ag.from_albumentations(A.Compose([A.HorizontalFlip(p=1.0)], bbox_params=params))
    assert len(adapted(image=PICTURE, bboxes=BOXES["coco"])["bboxes"]) == 1


@pytest.mark.parametrize(
    "points", [[(20.0, 10.0), (70, 60)], np.array([[20.0, 10.0], [70.0, 60.0]]), np.array([[20, 10], [70, 60]])]
)
def test_keypoints_are_pixel_indices_as_there(points):
    compose = A.Compose([A.HorizontalFlip(p=1.0), A.Rotate((30, 30), p=1.0)], keypoint_params=A.KeypointParams("xy"))
    theirs, ours = (p(image=PICTURE, keypoints=points)["keypoints"] for p in (compose, ag.from_albumentations(compose)))
    assert np.allclose(np.array(theirs), np.array(ours), atol=1e-3)


def test_keypoints_off_the_image_go_with_what_is_theirs_or_stay():
    points, names = [(20.0, 10.0), (70.0, 60.0), (5.0, 5.0)], ["a", "b", "c"]
    for drop in (True, False):
        params = A.KeypointParams("xy", label_fields=["names"], remove_invisible=drop)
        compose = A.Compose([A.Crop(10, 0, 60, 40)], keypoint_params=params)
        theirs, ours = (
            p(image=PICTURE, keypoints=points, names=names) for p in (compose, ag.from_albumentations(compose))
        )
        assert [tuple(p) for p in ours["keypoints"]] == [tuple(map(float, p)) for p in theirs["keypoints"]]
        assert ours["names"] == list(theirs["names"])


def test_masks_are_filled_as_the_recipe_says_and_further_masks_follow_too():
    compose = A.Compose([A.Pad(5, fill=9, fill_mask=255), A.VerticalFlip(p=1.0)], additional_targets={"other": "mask"})
    mask = (PICTURE[:, :, 0] // 64).astype(np.uint8)
    sample = {"image": PICTURE, "mask": mask, "other": mask + 1}
    theirs, ours = compose(**sample), ag.from_albumentations(compose)(**sample)
    assert all(np.array_equal(theirs[name], ours[name]) for name in sample)


def test_a_wrapped_dataset_moves_boxes_by_the_same_conventions():
    compose = A.Compose(
        [A.HorizontalFlip(p=1.0), A.ToTensorV2()], bbox_params=A.BboxParams("yolo", label_fields=["names"])
    )
    dataset = [{"image": PICTURE, "bboxes": BOXES["yolo"], "names": [1, 2], "mask": PICTURE[:, :, 0]}]
    sample = ag.wrap(dataset, ag.from_albumentations(compose))[0]
    assert np.allclose(np.array(sample["bboxes"])[:, 0], 1 - np.array(BOXES["yolo"])[:, 0])
    assert torch.equal(sample["mask"], torch.from_numpy(PICTURE[:, ::-1, 0].copy()))


def test_a_detection_recipe_converts_fully():
    adapted = ag.from_albumentations(detection(), seed=4)
    assert set(kinds(adapted)) == {"fused", "output", "nothing"}
    for i in range(20):
        out = adapted(image=PICTURE, bboxes=BOXES["coco"], category_ids=[1, 2], index=i)
        assert (tuple(out["image"].shape), out["image"].dtype) == ((3, 64, 64), torch.float32)
        assert len(out["bboxes"]) == len(out["category_ids"])
    again = adapted(image=PICTURE, bboxes=BOXES["coco"], category_ids=[1, 2], index=19)
    assert torch.equal(out["image"], again["image"])
    assert out["bboxes"] == again["bboxes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keypoint_params": A.KeypointParams("xya")}, "format='xya' of keypoints has no equal"),
        ({"bbox_params": A.BboxParams("coco", max_accept_ratio=3.0)}, "max_accept_ratio=3.0 has no equal"),
        ({"bbox_params": A.BboxParams("coco", min_width=3, min_height=9)}, "min_width=3, min_height=9 has no equal"),
        ({"additional_targets": {"image2": "image"}}, "additional_targets={'image2': 'image'} has no equal"),
    ],
)
def test_what_targets_cannot_do_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        convert(A.HorizontalFlip(), **arguments)


def test_a_box_in_pixels_where_shares_are_due_is_named():
    adapted = convert(A.HorizontalFlip(), bbox_params=A.BboxParams("yolo", label_fields=[]))
    with pytest.raises(ValueError, match=r"'bboxes' has a coordinate of 25: boxes of this format are shares"):
        adapted(image=PICTURE, bboxes=[[20.0, 10.0, 25.0, 15.0]])


def test_compare_takes_an_image_alone_where_boxes_are_wanted_beside_it():
    boxes = A.BboxParams("pascal_voc", label_fields=["labels"])
    chain = A.Compose([A.HorizontalFlip(), A.RandomBrightnessContrast()], bbox_params=boxes)
    result = ag.from_albumentations(chain).compare(np.zeros((20, 30, 3), np.uint8), samples=2)
    assert [row.kind for row in result.rows] == ["fused", "fused"]
    assert set(chain.processors) == {"bboxes"}
