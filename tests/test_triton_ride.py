"""Masks and keypoints that ride in the launch of their images: the CPU's values, one launch, no number read."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from target_samples import Warp
from torchvision import tv_tensors

import augsynth.targets
from augsynth import Pipeline
from augsynth import transforms as T

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("the interpreter is off; tests/test_cuda.py tests the device", allow_module_level=True)

from test_triton import _patch_once, launches, runs_of  # noqa: F401

import augsynth.engines.triton_riders as riders

SIZE, INDEX = (30, 37), [11, 5, 8, 2]
CROP = T.RandomResizedCrop((16, 20))
MOVES = {
    "crop": [CROP, T.RandomHorizontalFlip()],
    "turn": [T.RandomRotation((90, 90), expand=True)],
    "warp": [T.RandomRotation(40, "bilinear"), T.RandomAffine(9, (0.2, 0.2), (0.6, 1.2), 9), T.ColorJitter(0.3, 0.3)],
    "reflect": [T.RandomCrop(32, 9, padding_mode="reflect"), T.RandomErasing()],
    "symmetric": [T.Pad(25, padding_mode="symmetric"), T.RandomVerticalFlip()],
    "perspective": [T.RandomPerspective(0.8, 0.7)],
    "horizon": [Warp([[0.9, 0.2, -12], [-0.1, 1.3, -5], [-0.04, 0.002, 1]], "edge")],
    "nothing": [T.RandomVerticalFlip(0.0)],
    "some": [T.RandomApply([T.RandomAffine(15)], 0.5), T.RandomGrayscale(0.5)],
}
DTYPES = [torch.bool, torch.uint8, torch.int16, torch.int32, torch.int64, torch.float32, torch.bfloat16, torch.float64]


def sample(dtype=torch.int64, leading=()):
    r = torch.Generator().manual_seed(3)
    levels = torch.randint(0, 100, (4, *leading, *SIZE), generator=r)
    high = 2**40 * (dtype == torch.int64)
    points = torch.rand(4, 6, 3, generator=r) * torch.tensor([50.0, 40.0, 2.0]) - torch.tensor([6.0, 5.0, 0.0])
    images = torch.randint(0, 256, (4, 3, *SIZE), dtype=torch.uint8, generator=r)
    return {
        "image": images,
        "mask": (levels % 2 if dtype == torch.bool else levels + high).to(dtype),
        "keypoints": points,
    }


def on_both(steps, data, **rules):
    """Return what the kernel and what the CPU make of a sample."""
    return [Pipeline(steps, seed=2, engine=engine, **rules)(data, index=INDEX) for engine in ("triton", "torch")]


@pytest.fixture
def unread(monkeypatch):
    """Let whatever brings targets to the host fail."""

    def refuse(values, *_):
        assert not len(values), "a target was read"
        return []

    monkeypatch.setattr(augsynth.targets, "read_numbers", refuse)
    monkeypatch.setattr(riders, "move_masks", refuse)


@pytest.mark.parametrize("name", MOVES)
def test_masks_and_keypoints_are_those_of_the_cpu(name, unread, monkeypatch):
    data = sample()
    mine = Pipeline(MOVES[name], seed=2, engine="triton", mask_fill=7)(data, index=INDEX)
    monkeypatch.undo()
    theirs = Pipeline(MOVES[name], seed=2, engine="torch", mask_fill=7)(data, index=INDEX)
    assert torch.equal(mine["mask"], theirs["mask"])
    torch.testing.assert_close(mine["keypoints"], theirs["keypoints"], atol=1e-5, rtol=1e-6)
    assert torch.equal(mine["keypoints"][..., 2], theirs["keypoints"][..., 2])


@pytest.mark.parametrize("leading", [(), (1,), (3,)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_masks_of_every_dtype_ride_as_they_are(dtype, leading, unread, monkeypatch):
    data = sample(dtype, leading)
    before = data["mask"].clone()
    mine = Pipeline(MOVES["warp"], seed=2, engine="triton", mask_fill=7)(data, index=INDEX)["mask"]
    monkeypatch.undo()
    assert mine.dtype == dtype
    assert torch.equal(mine, Pipeline(MOVES["warp"], seed=2, engine="torch", mask_fill=7)(data, index=INDEX)["mask"])
    mine.zero_()
    assert torch.equal(data["mask"], before)


def test_everything_is_one_launch_and_one_batch(launches):  # noqa: F811
    out = Pipeline(MOVES["crop"], engine="triton")(sample(), index=INDEX)
    assert launches.count == 1
    assert out["mask"].shape == (4, 16, 20)
    assert out["mask"].is_contiguous()


def test_masks_in_any_layout_are_read_where_they_lie():
    data = sample()
    plain = Pipeline(MOVES["warp"], engine="triton")(data, index=INDEX)
    data["mask"] = torch.stack([data["mask"], data["mask"]], 3).transpose(1, 2).contiguous().transpose(1, 2)[..., 0]
    assert not data["mask"].is_contiguous()
    assert torch.equal(Pipeline(MOVES["warp"], engine="triton")(data, index=INDEX)["mask"], plain["mask"])


def test_samples_of_several_sizes_bring_masks_of_their_own():
    sizes = [(23, 34), (40, 31), (30, 30)]
    data = [
        {"image": torch.rand(3 if i else 1, *size), "mask": torch.arange(size[0] * size[1]).reshape(size)}
        for i, size in enumerate(sizes)
    ]
    mine, theirs = (Pipeline([T.Pad(2, 0.5)], engine=engine)(data, index=[0, 1, 2]) for engine in ("triton", "torch"))
    assert all(torch.equal(a["mask"], b["mask"]) for a, b in zip(mine, theirs, strict=True))


def test_pairs_of_keypoints_change_places_in_a_mirror_image_only():
    pairs, steps = ((1, 2), (2, 4)), [T.RandomHorizontalFlip(0.5)]
    data = sample()
    data["keypoints"] = data["keypoints"].repeat(1, 40, 1)  # more than are moved at a time
    mine, theirs = on_both(steps, data, flip_pairs=pairs)
    assert torch.equal(mine["keypoints"], theirs["keypoints"])
    stays = (mine["keypoints"][:, :, 0] == data["keypoints"][:, :, 0]).all(1)
    assert 0 < stays.sum() < 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int32])
@pytest.mark.parametrize("shape", [(6, 2), (2, 3, 3)], ids=str)
def test_keypoints_of_every_dtype_and_shape(dtype, shape):
    points = (torch.rand(4, *shape, generator=torch.Generator().manual_seed(0)) * 30).to(dtype)
    mine, theirs = on_both(MOVES["warp"], {**sample(), "keypoints": points}, flip_pairs=((0, 1),))
    assert mine["keypoints"].dtype == dtype
    torch.testing.assert_close(mine["keypoints"], theirs["keypoints"])


def test_tv_keypoints_are_pixel_indices_and_know_their_canvas():
    one = {key: value[0] for key, value in sample().items()}
    one["keypoints"] = tv_tensors.KeyPoints(one["keypoints"][:, :2].contiguous(), canvas_size=SIZE)
    mine, theirs = (Pipeline(MOVES["crop"], engine=engine)(one, index=5)["keypoints"] for engine in ("triton", "torch"))
    assert mine.canvas_size == theirs.canvas_size == (16, 20)
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    "steps", [[T.RandomCrop(40, 9, padding_mode="reflect"), T.RandomCrop(33, 3)], [T.GridDistortion()]]
)
def test_what_moves_twice_or_by_a_field_goes_the_old_way(steps):
    mine, theirs = on_both(steps, sample())
    assert torch.equal(mine["mask"], theirs["mask"])
    torch.testing.assert_close(mine["keypoints"], theirs["keypoints"])


def test_a_second_mask_and_another_item_size_go_the_old_way():
    first, second = sample(), sample(torch.uint8)
    pair = ({**first, "masks": second["mask"]}, {**second, "segmentation": first["mask"]})
    for data in pair:
        mine, theirs = on_both(MOVES["warp"], data)
        for key in data.keys() - {"image", "keypoints"}:
            assert torch.equal(mine[key], theirs[key])


def test_instances_go_with_their_boxes():
    boxes = torch.tensor([[1.0, 1, 20, 20], [300, 300, 310, 310], [5, 5, 30, 28]])
    r = torch.Generator().manual_seed(0)
    data = [
        {
            "image": torch.rand(3, *SIZE, generator=r),
            "boxes": boxes,
            "masks": torch.rand(3, *SIZE, generator=r) > 0.5,
            "keypoints": torch.rand(3, 5, 3, generator=r) * 30,
        }
        for _ in range(2)
    ]
    mine, theirs = (
        Pipeline([T.RandomHorizontalFlip(1.0)], engine=engine)(data, index=[0, 1]) for engine in ("triton", "torch")
    )
    for a, b in zip(mine, theirs, strict=True):
        assert len(a["boxes"]) == len(a["masks"]) == len(a["keypoints"]) == 2
        assert torch.equal(a["masks"], b["masks"])
        torch.testing.assert_close(a["keypoints"], b["keypoints"])


@pytest.mark.parametrize("name", ["crop", "warp", "reflect", "turn"])
def test_masks_in_a_launch_of_their_own_are_the_same(name):
    pipeline = Pipeline(MOVES[name], seed=2)
    [run] = [run for run in runs_of(pipeline, [SIZE] * 4, index=INDEX) if hasattr(run, "whole")]
    data = sample(torch.int16)
    moved = riders.warp_masks(list(data["mask"]), run, fill=3)
    expected = Pipeline(MOVES[name], seed=2, engine="torch", mask_fill=3)(data, index=INDEX)["mask"]
    assert np.array_equal(torch.stack(moved), expected)


def test_masks_of_several_dtypes_are_refused_in_a_launch_of_their_own():
    [run] = runs_of(Pipeline([CROP]), [SIZE] * 2, index=[0, 1])
    with pytest.raises(TypeError, match=r"masks are torch\.bool, torch\.int64; give one dtype per call"):
        riders.warp_masks([sample()["mask"][0], sample(torch.bool)["mask"][0]], run)
