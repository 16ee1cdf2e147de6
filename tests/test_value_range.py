"""For generators: colour that is not clamped, values from black to white other than 0 and 1, strength as a tensor."""

from __future__ import annotations

import pickle

import pytest
import torch
from examples import noise

from augsynth import Pipeline
from augsynth import transforms as T

MOVE = T.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), interpolation="bilinear")
JITTER = T.ColorJitter(0.5, 0.5, 0.5)
IMAGES = torch.stack([noise((20, 24), 3, "float32", i) for i in range(4)])


def run(steps, images=IMAGES, **options):
    return Pipeline(steps, seed=2, **options)(images, index=range(4))


@pytest.mark.parametrize("color", ["exact", "linear"])
def test_without_the_clamp_colour_is_the_plain_matrix(color):
    bright = T.ColorJitter(brightness=(1.8, 1.8))
    free = run([bright], clamp=False, color=color)
    assert free.max() > 1.5
    torch.testing.assert_close(free, 1.8 * IMAGES)
    assert torch.equal(free.clamp(0, 1), run([bright], engine="torch", color=color))


@pytest.mark.parametrize("span", [(-1.0, 1.0), (-2.5, 3.0), (0.0, 255.0)])
def test_a_value_range_means_the_same_image(span):
    low, high = span
    inside = run([MOVE, JITTER, T.RandomErasing(1.0, value=0.25)], engine="torch")
    outside = run([MOVE, JITTER, T.RandomErasing(1.0, value=0.25)], low + (high - low) * IMAGES, value_range=span)
    torch.testing.assert_close((outside - low) / (high - low), inside, atol=1e-5, rtol=0)


def test_gradients_pass_where_a_clamp_would_stop_them():
    images = IMAGES.clone().mul(2).sub(1).requires_grad_()
    run([MOVE, T.ColorJitter((1.9, 2.0))], images, clamp=False, value_range=(-1, 1)).sum().backward()
    plain = IMAGES.clone().requires_grad_()
    run([MOVE, T.ColorJitter((1.9, 2.0))], plain).sum().backward()
    assert (images.grad != 0).float().mean() > (plain.grad != 0).float().mean() + 0.1


def test_normalize_and_uint8_are_given_from_black_to_white():
    scaled = 2 * IMAGES - 1
    normalized = run([T.Normalize((0.5,), (0.25,))], scaled, value_range=(-1, 1))
    torch.testing.assert_close(normalized, (IMAGES - 0.5) / 0.25, atol=1e-5, rtol=0)
    assert torch.equal(run([], scaled, value_range=(-1, 1), dtype=torch.uint8), (IMAGES * 255).round().to(torch.uint8))


@pytest.mark.parametrize(
    ("options", "images", "message"),
    [
        (
            {"clamp": False},
            (IMAGES * 255).to(torch.uint8),
            r"are for float images; sample 0 \(index 0\) is torch.uint8",
        ),
        ({"clamp": False, "engine": "opencv"}, IMAGES, r"engine=opencv keeps values in \[0, 1\]; clamp=False"),
        ({"value_range": (-1, 1)}, 3 * IMAGES, r"a float image must lie in \[-1, 1\], this one goes from"),
    ],
)
def test_what_does_not_go_together_is_named(options, images, message):
    with pytest.raises(ValueError, match=message):
        run([JITTER], images, **options)


@pytest.mark.parametrize("span", [(1, 1), (1, -1), (0, float("inf")), (0, 1, 2)])
def test_a_range_that_is_none_is_refused(span):
    with pytest.raises(ValueError, match=r"value_range=.* is not"):
        Pipeline([], value_range=span)


def test_strength_may_be_a_tensor():
    pipeline = Pipeline([MOVE, JITTER], seed=1)
    assert torch.equal(pipeline(IMAGES, index=range(4), strength=torch.tensor(0)), IMAGES)
    for value in (0.0, 0.3, 1.0):
        expected = pipeline(IMAGES, index=range(4), strength=value)
        assert torch.equal(
            pipeline(IMAGES, index=range(4), strength=torch.tensor(value, dtype=torch.float64)), expected
        )


def test_pipelines_that_differ_in_it_are_not_equal():
    free = Pipeline([JITTER], clamp=False, value_range=[-1, 1])
    assert pickle.loads(pickle.dumps(free)) == free
    assert free != Pipeline([JITTER], clamp=False)
    assert free != Pipeline([JITTER], value_range=(-1, 1))
