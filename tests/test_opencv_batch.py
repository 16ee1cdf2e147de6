"""Small images of one size go through whole-batch calls: they must come out as they do one by one."""

from __future__ import annotations

import pytest
import torch
from examples import EXAMPLES, JITTER, MIXES, build, noise

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.engines import opencv_batch

# Every dtype, number of channels and way of colouring beside each other.
KINDS = [("uint8", 3, "exact"), ("uint8", 3, "linear"), ("uint8", 1, "exact"), ("float32", 3, "linear")]
CASES = [
    pytest.param(name, arguments, *kind, id=f"{name}-{i}-{'-'.join(map(str, kind))}")
    for name, examples in EXAMPLES.items()
    if name not in MIXES  # which have no image alone
    for i, arguments in enumerate(examples)
    for kind in KINDS
]


@pytest.fixture
def batches(monkeypatch):
    """Count the batches that were rendered by whole-batch calls."""
    count, render = [], opencv_batch.render
    monkeypatch.setattr(opencv_batch, "render", lambda *given: (count.append(len(given[0])), render(*given))[1])
    return count


def assert_alike(pipeline, images, error):
    together = pipeline(images, index=range(len(images)))
    for i, (image, got) in enumerate(zip(images, together, strict=True)):
        alone = pipeline(image, index=i)
        assert alone.shape == got.shape
        assert (alone.double() - got.double()).abs().max() <= error


@pytest.mark.parametrize(("name", "arguments", "dtype", "channels", "color"), CASES)
def test_a_batch_of_small_images_is_what_they_are_one_by_one(name, arguments, dtype, channels, color):
    images = [noise((30, 34), channels, dtype, seed) for seed in range(6)]
    transform = build(name, arguments, dtype)
    assert_alike(
        Pipeline([transform], 3, "opencv", color), images, 0 if dtype == "uint8" and name != "Normalize" else 3e-5
    )
    if name != "Normalize":
        tail = T.Normalize((0.4,), (0.3,))
        assert_alike(Pipeline([JITTER, transform, tail], 4, "opencv", color), images, 3e-5)


@pytest.mark.parametrize(
    "steps",
    [
        [T.RandomCrop((30, 34), 4, fill=(10, 0, 200)), T.RandomHorizontalFlip(), T.RandomVerticalFlip()],
        [T.RandomCrop((30, 34), 4, padding_mode="reflect"), JITTER],
        [T.RandomAffine(15, (0.1, 0.1), interpolation="bilinear"), JITTER, T.RandomErasing(0.5, value=9)],
        [T.RandAugment(2, 9), T.Normalize(0.5, 0.5)],
        [T.RandomApply([JITTER]), T.RandomInvert(), T.RandomGrayscale(0.5)],
    ],
)
@pytest.mark.parametrize("color", ["exact", "linear"])
@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16])
def test_recipes_for_small_images_take_whole_batch_calls(steps, color, dtype, batches):
    pipeline = Pipeline(steps, engine="opencv", color=color, dtype=dtype)
    images = torch.stack([noise((30, 34), 3, "uint8", seed) for seed in range(9)])
    assert_alike(pipeline, images, 0.01 if dtype == torch.bfloat16 else 3e-5)
    assert batches == [9]


def test_few_large_or_unequal_images_go_one_by_one(batches):
    pipeline = Pipeline([T.RandomHorizontalFlip()], engine="opencv")
    small = [noise((20, 20), 3, "uint8", seed) for seed in range(6)]
    pipeline(small[:3], index=range(3))
    pipeline([*small[:5], noise((20, 21), 3, "uint8")], index=range(6))
    pipeline([noise((65, 65), 3, "uint8", seed) for seed in range(6)], index=range(6))
    Pipeline([T.RandomRotation(40, expand=True)], engine="opencv")(small, index=range(6))
    assert batches == []
