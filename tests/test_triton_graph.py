"""Graphed batches, by the interpreter: the pixels of the pipeline itself, new keys and batches, what the host draws."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.rng import KeyedIndex

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("the interpreter is off; tests/test_cuda.py tests the device", allow_module_level=True)

from test_triton import Launches, _patch_once, launches  # noqa: F401
from test_triton_draw import JITTER, NORMALIZE, PLANS, batch

from augsynth.engines import triton_draw, triton_plan

INDEX = [11, 5, 8, 2]
RECIPE = PLANS["imagenet"]


def graphed(steps, images, **options):
    pipeline = Pipeline(steps, seed=3, engine="triton", **options)
    return pipeline, pipeline.graphed(images)


@pytest.mark.parametrize("color", ["exact", "linear"])
@pytest.mark.parametrize("name", PLANS)
def test_the_pixels_are_those_of_the_pipeline(name, color):
    levels = any(text in repr(PLANS[name]) for text in ("value=7", "fill=90", "fill=3", "fill=(1, 2, 3)"))
    images = batch(4, dtype=torch.uint8 if levels or color == "exact" else torch.float32)
    pipeline, graph = graphed(PLANS[name], images, color=color)
    assert graph.draws_on == "device"
    mine, theirs = graph(images, index=INDEX, epoch=2), pipeline(images, index=INDEX, epoch=2)
    assert mine.dtype == theirs.dtype
    # uint8 rounds: a last bit of a float32 may turn a half the other way.
    torch.testing.assert_close(mine.float(), theirs.float(), atol=1 if mine.dtype == torch.uint8 else 1e-3, rtol=0)
    assert (mine.float() - theirs.float()).abs().mean() < 1e-3


def test_a_replay_takes_another_batch_and_other_keys_and_writes_the_same_memory():
    first, second = batch(4), batch(4).flip(3).contiguous()
    pipeline, graph = graphed(RECIPE, first)
    out = graph(first, index=INDEX)
    copy = out.clone()
    again = graph(second, index=[4, 3, 2, 1], epoch=5, occurrence=[0, 1, 0, 7])
    assert again is out
    expected = pipeline(second, index=[4, 3, 2, 1], epoch=5, occurrence=[0, 1, 0, 7])
    torch.testing.assert_close(again, expected, atol=1e-4, rtol=0)
    assert torch.equal(graph(first, index=INDEX), copy)


def test_a_call_is_one_draw_one_launch_of_means_and_one_of_pixels(launches, monkeypatch):  # noqa: F811
    draws = Launches(triton_draw.draw)
    monkeypatch.setattr(triton_draw, "draw", draws)
    images = batch(4)
    _, graph = graphed(RECIPE, images)
    graph(images, index=INDEX)
    assert (draws.count, launches.count) == (1, 2)


def test_keys_may_be_tensors_and_the_users_own_kernels_may_fill_them():
    images = batch(4)
    pipeline, graph = graphed(RECIPE, images)
    expected = pipeline(images, index=INDEX, epoch=7)
    out = graph(images, index=torch.tensor(INDEX), epoch=torch.tensor(7), occurrence=[0, 0, 0, 0])
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=0)
    graph(images, index=[KeyedIndex(i, 7, 0) for i in INDEX])
    torch.testing.assert_close(graph.drawing.results[0], expected, atol=1e-4, rtol=0)
    graph.drawing.index.copy_(torch.tensor([1, 2, 3, 4]))
    graph.drawing.epoch.fill_(9)
    graph.replay()
    torch.testing.assert_close(
        graph.drawing.results[0], pipeline(images, index=[1, 2, 3, 4], epoch=9), atol=1e-4, rtol=0
    )


def test_layouts_are_read_by_their_strides_and_half_precision_comes_out():
    images = batch(4)
    nhwc = images.to(memory_format=torch.channels_last)
    pipeline, graph = graphed(RECIPE, nhwc, dtype=torch.bfloat16)
    expected = pipeline(images, index=INDEX).float()
    torch.testing.assert_close(graph(nhwc, index=INDEX).float(), expected, atol=1e-3, rtol=2.0**-6)


def test_strength_weakens_the_draw():
    pipeline = Pipeline([T.RandomRotation((90, 90)), JITTER], engine="triton")
    images = batch(2, dtype=torch.float32)
    weak = pipeline.graphed(images, strength=0.0)
    torch.testing.assert_close(weak(images, index=[0, 1]), images, atol=1e-6, rtol=0)


UNSUPPORTED = [
    ([T.RandomHorizontalFlip(), T.GaussianBlur(3)], "gaussian_blur (GaussianBlur is drawn on the host only)"),
    ([T.RandAugment()], "rand_augment (RandAugment is drawn on the host only)"),
    ([T.RandomOrder([JITTER])], "random_order (RandomOrder is drawn on the host only)"),
    ([T.RandomPerspective()], "random_perspective (RandomPerspective is drawn on the host only)"),
    ([JITTER, T.RandomHorizontalFlip()], "random_horizontal_flip, which moves pixels after colours or rectangles"),
    ([T.RandomErasing(value="random")], "random_erasing (RandomErasing is drawn on the host only)"),
    ([T.RandomRotation(9, expand=True)], "random_rotation, which gives each image a size of its own (expand=True)"),
    ([T.RandomHorizontalFlip(), T.RandomCrop(20, 3)], "random_crop, which looks outside at another border"),
    ([T.RandomRotation(9), T.RandomAffine(9, fill=1)], "random_affine, which looks outside at another border"),
    ([T.RandomApply([T.CenterCrop(9)])], "random_apply/center_crop, which changes the size of some images only"),
    ([T.RandomRotate90()], "random_rotate90, which turns images that are not square"),
    ([T.RandomApply([T.RandomGrayscale()])] * 40, "the plan, which has more than 62 choices"),
]


@pytest.mark.parametrize(("steps", "reason"), UNSUPPORTED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_the_device_cannot_draw_is_named(steps, reason):
    with pytest.raises(triton_plan.Unsupported) as error:
        triton_plan.lower(Pipeline(steps).plan, (40, 31))
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize("number", [0, 4, 5, 7])
def test_what_the_device_cannot_draw_the_host_draws_for_the_graph(number):
    steps, reason = UNSUPPORTED[number]
    images = batch(2)
    pipeline, graph = graphed(steps, images)
    assert graph.draws_on.startswith(f"host: {reason}")
    assert torch.equal(graph(images, index=[3, 4], epoch=1), pipeline(images, index=[3, 4], epoch=1))


def test_a_sequential_chain_is_drawn_on_the_host():
    assert graphed(RECIPE, batch(2), fuse=False)[1].draws_on == "host: fuse=False"


def test_explain_says_where_graphed_batches_are_drawn():
    assert "graphed: draws on the device" in Pipeline(RECIPE, engine="triton").explain()
    assert "graphed: draws on the host: gaussian_blur (" in Pipeline([T.GaussianBlur(3)], engine="triton").explain()


def test_a_batch_of_another_kind_is_refused():
    images = batch(4)
    _, graph = graphed(RECIPE, images)
    message = "this graph takes images of 4 x 3 x 40 x 31 torch.uint8 .*; got 3 x 3 x 40 x 31"
    with pytest.raises(ValueError, match=message):
        graph(images[:3], index=[1, 2, 3])
    with pytest.raises(ValueError, match="index has 3 entries for 4 images"):
        graph(images, index=[1, 2, 3])


@pytest.mark.parametrize(
    ("steps", "engine", "images", "message"),
    [
        ([T.RandomCrop(50)], "triton", batch(2), "random_crop: size=50 is larger than the image"),
        (RECIPE, "torch", batch(2), "graphed: engine=torch does not render torch.uint8 on cpu by triton"),
        (RECIPE, "auto", batch(2), "graphed: engine=auto does not render"),
        (RECIPE, "triton", batch(2)[0], "give a batch as it will come"),
        (RECIPE, "triton", batch(2, 2), "needs 1 or 3 channels, not 2"),
    ],
)
def test_what_cannot_be_graphed_says_why(steps, engine, images, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(steps, engine=engine).graphed(images)


def test_a_whole_epoch_is_that_of_the_host():
    pipeline = Pipeline([*RECIPE[:3], NORMALIZE], seed=1, engine="triton")
    images = batch(8)
    graph = pipeline.graphed(images)
    for start in range(0, 24, 8):
        index = np.arange(start, start + 8)
        torch.testing.assert_close(graph(images, index=index), pipeline(images, index=index), atol=1e-4, rtol=0)


MOVES = {
    "crop": [T.RandomResizedCrop((24, 20)), T.RandomHorizontalFlip(), JITTER],
    "warp": [T.RandomHorizontalFlip(), T.RandomAffine(30, (0.2, 0.2), (0.6, 1.4), 9), T.RandomGrayscale()],
    "reflect": [T.RandomCrop(36, 9, padding_mode="reflect"), T.RandomVerticalFlip()],
    "turn": [T.CenterCrop(30), T.RandomRotate90()],
    "nothing": [T.RandomGrayscale()],
}


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
@pytest.mark.parametrize("name", MOVES)
def test_masks_and_keypoints_ride_in_the_graph(name, dtype):
    r = torch.Generator().manual_seed(5)
    images, masks = batch(16), torch.randint(0, 9, (16, 40, 31), generator=r).to(dtype)
    points = torch.rand(16, 7, 3, generator=r) * 40
    pipeline = Pipeline(MOVES[name], seed=3, engine="triton", mask_fill=7, flip_pairs=((1, 2), (2, 3)))
    graph = pipeline.graphed(images, masks.flip(0), points.flip(0))
    _, moved, mapped = graph(images, masks, points, index=range(16), epoch=1)
    sample = {"image": images, "mask": masks, "keypoints": points}
    expected = pipeline(sample, index=range(16), epoch=1)
    assert torch.equal(moved, expected["mask"])
    torch.testing.assert_close(mapped, expected["keypoints"], atol=1e-4, rtol=1e-6)
    assert torch.equal(mapped[..., 2], expected["keypoints"][..., 2])


def test_stacks_of_masks_and_points_without_visibility_ride_alone():
    images, masks = batch(4), (torch.arange(4 * 2 * 40 * 31).reshape(4, 2, 40, 31) % 251).to(torch.uint8)
    points = torch.rand(4, 7, 2, dtype=torch.float64) * 30
    pipeline = Pipeline(MOVES["warp"], engine="triton")
    _, moved = pipeline.graphed(images, masks)(images, masks, index=INDEX)
    _, mapped = pipeline.graphed(images, keypoints=points)(images, keypoints=points, index=INDEX)
    expected = pipeline({"image": images, "mask": masks, "keypoints": points}, index=INDEX)
    assert torch.equal(moved, expected["mask"])
    torch.testing.assert_close(mapped, expected["keypoints"])


@pytest.mark.parametrize(
    ("steps", "targets", "message"),
    [
        (RECIPE, {"masks": torch.zeros(4, 9, 9)}, r"graphed: masks are 4 x 9 x 9 .*; give \(B, H, W\)"),
        (RECIPE, {"keypoints": torch.zeros(3, 9, 2)}, "graphed: keypoints are 3 x 9 x 2 .*; give contiguous floats"),
        (RECIPE, {"keypoints": torch.zeros(4, 9, 2, dtype=torch.int64)}, "graphed: keypoints are .* give contiguous"),
        ([T.GaussianBlur(3)], {"masks": torch.zeros(4, 40, 31)}, "need a draw on the device, which cannot draw gauss"),
    ],
)
def test_targets_that_cannot_ride_are_refused(steps, targets, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(steps, engine="triton").graphed(batch(4), **targets)


def test_a_target_that_was_not_announced_is_refused():
    _, graph = graphed(RECIPE, batch(4))
    with pytest.raises(ValueError, match="this graph takes masks of no kind; got 4 x 40 x 31"):
        graph(batch(4), torch.zeros(4, 40, 31), index=INDEX)
