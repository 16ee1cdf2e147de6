"""Targets in what users have: dicts, tuples, batches, wrapped datasets, on a device; and errors that name them."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from target_samples import BOX, CHAINS, FLIP, IMAGE, MASK, SIZE, detection
from torchvision import tv_tensors

from augsynth import Pipeline, collate, loader, target_values, wrap
from augsynth import transforms as T
from augsynth.lightning.callbacks import AugmentOnDevice

FLIPPED = [[50, 2, 79, 40]]
Pair = namedtuple("Pair", "picture truth")


def test_targets_are_found_in_dicts_tuples_and_nested_dicts():
    boxes = tv_tensors.BoundingBoxes(BOX, format="XYXY", canvas_size=SIZE)
    _, target = FLIP((IMAGE, {"boxes": boxes, "labels": torch.tensor([4]), "masks": MASK[None], "id": 7}), index=0)
    assert target["boxes"].tolist() == FLIPPED
    assert target["labels"].tolist() == [4]
    assert torch.equal(target["masks"][0], MASK.flip(1))
    assert target["id"] == 7
    out = FLIP((tv_tensors.Image(IMAGE), tv_tensors.Mask(MASK), 3), index=0)
    assert (type(out), type(out[0]), type(out[1]), out[2]) == (tuple, tv_tensors.Image, tv_tensors.Mask, 3)
    assert torch.equal(out[1], MASK.flip(1))
    out = FLIP({"img": IMAGE, "objects": {"bbox": [(1.0, 2.0, 30.0, 40.0)], "labels": ("cat",)}}, index=0)
    assert out["objects"] == {"bbox": [(50.0, 2.0, 79.0, 40.0)], "labels": ("cat",)}


@pytest.mark.parametrize("sample", [(IMAGE, MASK), Pair(IMAGE, MASK)], ids=["tuple", "named"])
def test_keys_name_the_entries_of_a_tuple(sample):
    for out in (
        FLIP(sample, keys=("image", "mask"), index=0),
        FLIP(sample, keys={0: "image", 1: "mask"}, index=0),
        Pipeline([T.RandomHorizontalFlip(1.0)], keys=["image", "mask"])(sample, index=0),
    ):
        assert type(out) is type(sample)
        assert torch.equal(out[0], IMAGE.flip(2))
        assert torch.equal(out[1], MASK.flip(1))
    with pytest.raises(TypeError, match=r"2 images found .* or name all of them with keys="):
        FLIP((IMAGE, MASK), index=0)


def test_keys_name_the_entries_of_a_dict_and_switch_names_off():
    sample = {"picture": IMAGE, "truth": MASK, "mask": MASK, "rest": {"truth": MASK}}
    out = FLIP(sample, keys={"picture": "image", "truth": "mask", "mask": None}, index=0)
    assert torch.equal(out["truth"], MASK.flip(1))
    assert torch.equal(out["rest"]["truth"], MASK.flip(1))
    assert out["mask"] is MASK
    swapped = FLIP(Pair(MASK, IMAGE), keys={"truth": "image", "picture": "mask"}, index=0)
    assert torch.equal(swapped.picture, MASK.flip(1))
    assert torch.equal(swapped.truth, IMAGE.flip(2))


def test_a_list_of_samples_keeps_each_with_its_own():
    samples = [{"image": torch.zeros(3, 10 + i, 20 + i), "mask": torch.full((10 + i, 20 + i), i)} for i in range(4)]
    for i, out in enumerate(Pipeline([T.Resize((8, 9))])(samples, index=range(4))):
        assert torch.equal(out["mask"], torch.full((8, 9), i))
        assert samples[i]["mask"].shape == (10 + i, 20 + i)


def test_a_batch_has_stacked_masks_and_ragged_boxes():
    pipeline = Pipeline([T.RandomAffine(30, (0.2, 0.2), interpolation="bilinear"), T.RandomHorizontalFlip()], seed=4)
    boxes = [torch.rand(n, 4) * 20 + torch.tensor([0.0, 0, 30, 30]) for n in (3, 0, 1, 2)]
    labels = [torch.arange(len(b)) for b in boxes]
    masks = torch.randint(0, 9, (4, *SIZE))
    batch = {
        "image": torch.zeros(4, 3, *SIZE),
        "mask": masks,
        "boxes": boxes,
        "labels": labels,
        "keypoints": torch.ones(4, 2, 3),
    }
    out = pipeline(batch, index=range(4))
    assert out["mask"].shape == (4, *SIZE)
    for i in range(4):
        one = pipeline({name: value[i] for name, value in batch.items()}, index=i)
        assert torch.equal(one["mask"], out["mask"][i])
        assert torch.equal(one["boxes"], out["boxes"][i])
        assert torch.equal(one["labels"], out["labels"][i])
        assert torch.equal(one["keypoints"], out["keypoints"][i])
    single = pipeline({"image": batch["image"], "mask": masks[:, None]}, index=range(4))["mask"]
    assert torch.equal(single[:, 0], out["mask"])


def test_a_batch_may_have_a_dict_per_sample():
    targets = [{"boxes": BOX + i, "labels": torch.tensor([i])} for i in range(3)]
    _, out = FLIP((torch.zeros(3, 3, *SIZE), targets), index=range(3))
    assert [t["boxes"].tolist() for t in out] == [[[50 - i, 2 + i, 79 - i, 40 + i]] for i in range(3)]
    assert targets[0]["boxes"].tolist() == BOX.tolist()


def test_stacked_boxes_stay_stacked_while_none_is_dropped():
    boxes = BOX.expand(2, 3, 4).clone()
    batch = {"image": np.zeros((2, *SIZE, 3), np.uint8), "boxes": boxes.numpy()}
    assert FLIP(batch, index=[0, 1])["boxes"].shape == (2, 3, 4)
    batch["boxes"][1, 0] = 500
    out = FLIP(batch, index=[0, 1])["boxes"]
    assert [len(rows) for rows in out] == [3, 2]


def test_colour_alone_leaves_targets_as_they_are():
    sample = {"image": IMAGE, "mask": "a path", "boxes": None, "keypoints": object()}
    out = Pipeline([T.ColorJitter(0.3)])(sample, index=0)
    assert all(out[name] is sample[name] for name in ("mask", "boxes", "keypoints"))
    assert FLIP({"image": IMAGE, "mask": None, "boxes": None}, index=0)["mask"] is None


# --- wrap and collate -------------------------------------------------------------------------------------------------


def test_a_wrapped_dataset_collates_masks_to_a_stack_and_boxes_to_a_list():
    data = wrap(detection(), Pipeline([T.RandomHorizontalFlip(1.0), T.Resize((30, 40))]))
    batch = collate(data.__getitems__([0, 1, 2, 3]))
    assert batch["image"].shape == (4, 3, 30, 40)
    assert torch.equal(batch["mask"], torch.arange(4, dtype=torch.uint8)[:, None, None].expand(4, 30, 40))
    assert [tuple(boxes.shape) for boxes in batch["boxes"]] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert [labels.tolist() for labels in batch["labels"]] == [[], [0], [0, 1], [0, 1, 2]]
    assert batch["name"] == [f"image {i}" for i in range(4)]
    equal = collate(data.__getitems__([1, 5]))["boxes"]
    assert isinstance(equal, list), "a list also where the numbers agree by chance"
    ragged = collate([data[i] for i in range(4)])
    assert [len(boxes) for boxes in ragged["boxes"]] == [0, 1, 2, 3]


def test_a_wrapped_dataset_of_pairs_takes_keys_and_pil_masks_become_tensors():
    data = [(Image.new("L", (12, 9), i), Image.new("L", (12, 9), 10 + i)) for i in range(3)]
    pipeline = Pipeline([T.RandomHorizontalFlip(1.0)])
    for wrapped in (
        wrap(data, pipeline, keys=("image", "mask")),
        wrap(data, dataclasses.replace(pipeline, keys=("image", "mask"))),
    ):
        assert isinstance(wrapped[0][1], torch.Tensor)
        images, masks = collate(wrapped.__getitems__([0, 1, 2]))
        assert images.shape == (3, 1, 9, 12)
        assert masks.shape == (3, 9, 12)
        assert masks[2].unique().tolist() == [12]


def test_workers_deliver_the_same_targets():
    data = wrap(detection(8), Pipeline([T.RandomHorizontalFlip(), T.RandomRotation(30), T.Resize((200, 220))], seed=2))
    alone, shared = (list(loader(data, 4, num_workers=workers)) for workers in (0, 2))
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one["mask"], other["mask"])
        for key in ("boxes", "labels"):
            assert all(torch.equal(a, b) for a, b in zip(one[key], other[key], strict=True))


def test_a_batch_that_is_augmented_on_the_device_takes_its_targets_along():
    data = wrap(detection(4), Pipeline([T.Resize(SIZE)]))
    batch = {**collate(data.__getitems__(range(4))), "index": torch.arange(4)}
    trainer = SimpleNamespace(current_epoch=0)
    out = AugmentOnDevice(Pipeline([T.RandomHorizontalFlip(1.0)])).augment(batch, trainer)
    assert torch.equal(out["mask"], batch["mask"].flip(2))
    assert [len(boxes) for boxes in out["boxes"]] == [0, 1, 2, 3]
    assert out["boxes"][1].tolist() == [[71, 3, 80, 20]]
    pair = AugmentOnDevice(Pipeline([T.RandomHorizontalFlip(1.0)], keys=("image", "mask", None)))
    images, masks, _ = pair.augment((batch["image"], batch["mask"][:, None], torch.arange(4)), placed())
    assert torch.equal(masks[:, 0], batch["mask"].flip(2))
    assert torch.equal(images, batch["image"].flip(3))


def placed():
    """Return a trainer at the first batch of its first epoch."""
    ready = SimpleNamespace(current=SimpleNamespace(ready=0))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=ready))
    return SimpleNamespace(current_epoch=0, fit_loop=loop, world_size=1, global_rank=0)


def test_an_error_in_a_wrapped_sample_names_index_and_key():
    data = detection()
    data[4]["mask"] = np.zeros((3, 3), np.uint8)
    with pytest.raises(Exception, match=r"sample 4 could not be augmented: ValueError: 'mask' is ndarray\(3, 3\)"):
        wrap(data, FLIP).__getitems__([3, 4])


# --- on a device ------------------------------------------------------------------------------------------------------


@pytest.mark.cuda
@pytest.mark.parametrize("name", CHAINS)
def test_targets_on_the_gpu_stay_there_and_move_as_on_the_cpu(name):
    chain = Pipeline([*CHAINS[name], T.ElasticTransform(20.0)], seed=6, mask_fill=9)
    boxes = [torch.rand(n, 4) * 20 + torch.tensor([0.0, 0, 30, 30]) for n in (3, 0, 1, 2)]
    labels = [torch.arange(len(b)) for b in boxes]
    batch = {
        "image": torch.randint(0, 255, (4, 3, *SIZE), dtype=torch.uint8),
        "mask": torch.randint(0, 9, (4, *SIZE)),
        "boxes": boxes,
        "labels": labels,
        "keypoints": torch.rand(4, 5, 3) * 50,
    }
    there = {k: [v.cuda() for v in value] if isinstance(value, list) else value.cuda() for k, value in batch.items()}
    on_cpu, on_gpu = chain(batch, index=range(4)), chain(there, index=range(4))
    assert on_gpu["mask"].is_cuda
    assert torch.equal(on_cpu["mask"], on_gpu["mask"].cpu())
    assert torch.equal(on_cpu["keypoints"], on_gpu["keypoints"].cpu())
    for key in ("boxes", "labels"):
        assert all(value.is_cuda for value in on_gpu[key])
        assert all(torch.equal(a, b.cpu()) for a, b in zip(on_cpu[key], on_gpu[key], strict=True))


def test_what_lies_on_a_device_is_read_and_written_in_one_transfer_each(monkeypatch):
    pipeline = Pipeline([T.RandomRotation(10), T.Pad(2), T.ElasticTransform(20.0)], seed=6, mask_fill=9)
    samples = detection(5)
    for sample in samples:
        sample["mask"] = torch.from_numpy(sample["mask"])
        sample["keypoints"] = sample["keypoints"].double()
        sample["points"] = tv_tensors.KeyPoints([[[3, 4]]], canvas_size=SIZE)
    near = pipeline(samples, index=range(5))
    monkeypatch.setattr(target_values, "is_away", lambda tensor: True)
    far = pipeline(samples, index=range(5))
    assert [len(sample["boxes"]) for sample in far] == [0, 1, 2, 3, 0]
    for one, other in zip(near, far, strict=True):
        for key in ("mask", "boxes", "labels", "keypoints", "points"):
            assert torch.equal(one[key], other[key])
            assert type(one[key]) is type(other[key])
            assert one[key].dtype == other[key].dtype


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ({"mask": torch.zeros(8, 14)}, ValueError, r"'mask' is Tensor\(8, 14\) .*its image is 61 x 80; a mask is"),
        ({"mask": "a path"}, TypeError, r"'mask' is of type str; a mask is an array, a tensor or a PIL image"),
        ({"mask": Image.new("RGB", (80, 61))}, TypeError, r"'mask' is a PIL image RGB 80x61; a mask has one value per"),
        ({"segmentation": [[1, 2, 3, 4]]}, TypeError, r"'segmentation' is of type a list of \(list\); a mask is"),
        ({"boxes": torch.zeros(2, 3)}, ValueError, r"'boxes' has shape 2 x 3; boxes of format xyxy are \(N, 4\)"),
        ({"target": [{"bbox": (0, 0, 1, 1)}]}, ValueError, r"'target.0.bbox' has shape 4; boxes of format xyxy"),
        ({"boxes": "four"}, TypeError, r"'boxes' is str; give all boxes of an image as one tensor"),
        ({"boxes": [[1, 2, 3, 4], [1, 2]]}, TypeError, r"'boxes' is a list of .*; give all boxes of an image as one"),
        ({"boxes": [[1, 2, float("nan"), 4]]}, ValueError, r"'boxes': box 0 is \[1.0, 2.0, nan, 4.0\], which is not"),
        (
            {"boxes": torch.tensor([[0.1, 0.2, 0.5, 1.0]])},
            ValueError,
            r"'boxes' has no coordinate above 1: boxes are in",
        ),
        ({"keypoints": torch.zeros(4)}, ValueError, r"'keypoints' has shape 4; keypoints are \(N, 2\) or, with"),
        ({"boxes": BOX, "labels": [1, 2]}, ValueError, r"'labels' has 2 entries for 1 boxes"),
        ({"boxes": BOX, "labels": torch.tensor(1)}, TypeError, r"'labels' is Tensor\(\) .*; give one per box"),
        ({"boxes": BOX, "bbox": BOX, "labels": [1]}, TypeError, r"'labels' stands beside 2 sets of boxes"),
    ],
    ids=lambda value: None if isinstance(value, (str, type)) else ",".join(value),
)
def test_a_target_that_does_not_fit_names_sample_and_key(target, error, message):
    good = {"image": IMAGE}
    with pytest.raises(error, match=r"sample 1 \(index 8\): " + message):
        FLIP([good, {"image": IMAGE, **target}], index=[7, 8])


def test_a_batched_target_of_another_length_is_named():
    with pytest.raises(
        ValueError, match=r"'mask' is Tensor\(3, 61, 80\) .* in a batch of 2 images; give one entry per"
    ):
        FLIP({"image": torch.zeros(2, 3, *SIZE), "mask": torch.zeros(3, *SIZE)}, index=[0, 1])
    with pytest.raises(ValueError, match=r"keys=\('image',\) names 1 entries of a tuple of .*give one name per entry"):
        FLIP((IMAGE, 3), keys=("image",), index=0)


@pytest.mark.parametrize(
    ("mask", "fill"),
    [(np.zeros(SIZE, np.uint8), -100), (np.zeros(SIZE, np.uint8), 256), (torch.zeros(SIZE).long(), 0.5)],
)
def test_a_fill_that_a_mask_cannot_hold_is_refused(mask, fill):
    with pytest.raises(
        ValueError, match=rf"sample 0 \(index 0\): 'mask' is .*int.*, which cannot hold mask_fill={fill}"
    ):
        Pipeline([T.Pad(1)], mask_fill=fill)({"image": IMAGE, "mask": mask}, index=0)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("keys", ("image", "maks")),
        ("keys", "mask"),
        ("mask_fill", "ignore"),
        ("box_format", "yxyx"),
        ("min_area", -1),
        ("min_visibility", 1.5),
        ("label_keys", (1,)),
        ("flip_pairs", ((1, 2, 3),)),
        ("flip_pairs", ((1, -2),)),
    ],
)
def test_a_bad_argument_is_named(argument, value):
    with pytest.raises(ValueError, match=f"Pipeline: {argument}=.* is not valid; expected"):
        Pipeline([T.RandomHorizontalFlip()], **{argument: value})


def test_flip_pairs_beyond_the_keypoints_are_named():
    pipeline = Pipeline([T.RandomHorizontalFlip()], flip_pairs=[(1, 2)])
    with pytest.raises(ValueError, match=r"'keypoints' has 2 keypoints; flip_pairs names number 2"):
        pipeline({"image": IMAGE, "keypoints": torch.zeros(2, 3)}, index=0)


def test_rules_are_part_of_a_pipelines_identity():
    assert Pipeline([T.Pad(1)]) == Pipeline([T.Pad(1)])
    assert Pipeline([T.Pad(1)], mask_fill=1) != Pipeline([T.Pad(1)])
    assert Pipeline([T.Pad(1)], label_keys="labels") == Pipeline([T.Pad(1)], label_keys=["labels"])
