"""Resizes that walk along rows, in the interpreter: what the general way gives, for every direction and filter."""

from __future__ import annotations

import os

import pytest
import torch
from examples import noise

from augsynth import Pipeline
from augsynth import transforms as T

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("the interpreter is off; tests/test_cuda.py tests the device", allow_module_level=True)

from test_triton import _patch_once  # noqa: F401 - a fixture for all tests here

from augsynth.engines import triton_layout as layout

SIZE = (44, 61)
FLIPS = [T.RandomHorizontalFlip(), T.RandomVerticalFlip()]
NORMALIZE = T.Normalize((0.5,), (0.2,))
PLANS = {
    "crops": ([T.RandomResizedCrop((37, 40), (0.05, 1.0)), *FLIPS], {0, 2, 3}),
    "larger": ([T.Resize((70, 90)), *FLIPS], {2}),
    "smaller": ([T.Resize((30, 50)), *FLIPS], {3}),
    "one axis": ([T.Resize((44, 50)), *FLIPS], {3}),
    "much smaller": ([T.Resize((20, 50))], {0}),
    "not filtered": ([T.Resize((20, 30), antialias=False), T.RandomVerticalFlip()], {2}),
    "a few pixels": ([T.CenterCrop((2, 9)), T.Resize((30, 30))], {0}),
    "colours": ([T.RandomResizedCrop(33), *FLIPS, T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.RandomErasing()], {0, 2, 3}),
}
KINDS = [
    ("uint8", 3, torch.float32),
    ("uint8", 3, torch.uint8),
    ("float32", 3, torch.float32),
    ("uint8", 1, torch.uint8),
]


@pytest.fixture
def walking(monkeypatch):
    monkeypatch.setattr(layout, "WALKING", True)
    monkeypatch.setattr(layout, "TILE_Y", 8)
    monkeypatch.setattr(layout, "TILE_X", 32)


def graph_of(name, source, channels, dtype):
    steps, walks = PLANS[name]
    images = torch.stack([noise(SIZE, channels, source, i) for i in range(4)])
    steps = steps if dtype == torch.uint8 else [*steps, NORMALIZE]
    pipeline = Pipeline(steps, seed=3, engine="triton", dtype=dtype)
    graph = pipeline.graphed(images)
    assert graph.draws_on == "device"
    return pipeline, graph, images, walks


CASES = [
    pytest.param(name, *kind, id=f"{name}-{kind[0]}-{kind[1]}-{kind[2]}".replace("torch.", ""))
    for i, name in enumerate(PLANS)
    for kind in (KINDS if name == "crops" else [KINDS[i % 4]])
]


@pytest.mark.parametrize(("name", "source", "channels", "dtype"), CASES)
def test_a_walk_gives_what_the_general_way_gives(walking, name, source, channels, dtype):
    pipeline, graph, images, walks = graph_of(name, source, channels, dtype)
    assert graph.drawing.shape.by_row
    mine, theirs = graph(images, index=range(4), epoch=1), pipeline(images, index=range(4), epoch=1)
    # Bytes differ where a half is rounded; floats by the order of a few additions, before 1 / std.
    assert (mine.double() - theirs.double()).abs().max() <= (1 if dtype == torch.uint8 else 5e-5)
    assert (mine != theirs).double().mean() < 0.05 or dtype != torch.uint8
    rows = graph.drawing.words[: graph.drawing.shape.ends[0]].view(4, -1)
    assert set(rows[:, layout.WALK.value].tolist()) <= walks


def test_some_crops_walk_in_either_way(walking):
    _, graph, _, _ = graph_of("crops", "uint8", 3, torch.uint8)
    seen = set()
    for epoch in range(8):
        graph.drawing.write_keys(range(4), epoch, 0)
        graph.drawing.draw()
        rows = graph.drawing.words[: graph.drawing.shape.ends[0]].view(4, -1)
        seen |= set(rows[:, layout.WALK.value].tolist())
    assert {2, 3} <= seen


def test_images_of_any_layout_walk(walking):
    steps = [T.RandomResizedCrop(33), *FLIPS]
    pipeline = Pipeline(steps, seed=3, engine="triton")
    images = torch.stack([noise(SIZE, 3, "uint8", i) for i in range(4)])
    last = images.to(memory_format=torch.channels_last)
    graph, other = pipeline.graphed(images), pipeline.graphed(last)
    assert graph.drawing.shape.close
    assert not other.drawing.shape.close
    assert torch.equal(graph(images, index=range(4)), other(last, index=range(4)))


@pytest.mark.parametrize(
    "steps",
    [
        [T.RandomCrop(32, 4), T.RandomHorizontalFlip()],
        [T.RandomResizedCrop(32), T.RandomRotation(9, "bilinear")],
        [T.RandomAffine(9, interpolation="bilinear")],
        [T.Resize((32, 32), "bicubic")],
        [T.Resize((32, 32), "nearest")],
        [T.Resize((44, 44)), T.RandomRotate90()],
    ],
)
def test_other_plans_do_not_walk(walking, steps):
    images = torch.stack([noise((44, 44), 3, "uint8", i) for i in range(2)])
    assert not Pipeline(steps, engine="triton").graphed(images).drawing.shape.by_row
