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
    torch.testing.assert_close(graph.target, expected, atol=1e-4, rtol=0)
    graph.index.copy_(torch.tensor([1, 2, 3, 4]))
    graph.epoch.fill_(9)
    graph.replay()
    torch.testing.assert_close(graph.target, pipeline(images, index=[1, 2, 3, 4], epoch=9), atol=1e-4, rtol=0)


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
    message = "this graph is for batches of 4 x 3 x 40 x 31 torch.uint8 .* the batch is 3 x 3 x 40 x 31"
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
