"""Pixel noise: the same bits in numpy and torch, the right distribution, and no dependence between its parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from augsynth.rng import philox
from augsynth.transforms.fields import _halves, _torch_halves, key_words, normal_field, uniform_field

KEYS = np.array([[3.0, 2**24 - 1], [0.0, 0.0], [2**32 - 1, 7.0]])
SHAPES = [(5,), (8,), (3, 7, 1), (37, 41, 3), (210, 211, 3)]  # the last takes more than one round of Philox blocks
N = 400_000


def halves_of(key, count, lane):
    """Draw as the documentation says, block by block in plain integers."""
    blocks = -(-count // 8)
    words = [philox((block, 0, 0, lane), (int(key[0]), int(key[1]))) for block in range(blocks)]
    return [half for i in range(4) for word in words for half in (word[i] & 0xFFFF, word[i] >> 16)][:count]


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_a_field_is_philox_of_its_key_and_lane(shape):
    for key in KEYS:
        expected = np.reshape(halves_of(key, math.prod(shape), 5), shape)
        assert np.array_equal(uniform_field(key, shape, 5), ((expected + 0.5) / 65536).astype(np.float32))
        quantiles = stats.norm.ppf((expected + 0.5) / 65536)
        np.testing.assert_allclose(normal_field(key, shape, 5), quantiles, rtol=3e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lane", [0, 9])
def test_numpy_and_torch_draw_the_same_bits(shape, lane):
    ours, theirs = _halves(KEYS, shape, lane), _torch_halves(torch.from_numpy(KEYS), shape, lane)
    assert ours.shape == (3, *shape)
    assert np.array_equal(ours, theirs.numpy())


@pytest.mark.parametrize("field", [uniform_field, normal_field])
def test_a_tensor_of_words_gives_the_tensor_of_the_same_values(field):
    ours, theirs = field(KEYS, (6, 5)), field(torch.from_numpy(KEYS).to(torch.int64), (6, 5))
    assert ours.dtype == np.float32
    assert theirs.dtype == torch.float32
    assert np.array_equal(ours, theirs.numpy())


@pytest.mark.cuda
@pytest.mark.parametrize("field", [uniform_field, normal_field])
def test_a_gpu_draws_the_same_bits(field):
    on_gpu = field(torch.from_numpy(KEYS).cuda(), SHAPES[-1], 2)
    assert on_gpu.is_cuda
    assert np.array_equal(on_gpu.cpu().numpy(), field(KEYS, SHAPES[-1], 2))


@pytest.mark.parametrize("field", [uniform_field, normal_field])
def test_a_sample_is_the_same_alone_and_in_a_batch(field):
    batch = field(KEYS, (4, 5))
    assert batch.shape == (3, 4, 5)
    assert all(np.array_equal(field(key, (4, 5)), row) for key, row in zip(KEYS, batch, strict=True))


def test_uniforms_are_even():
    u = uniform_field(KEYS[0], (N,)).astype(np.float64)
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 0.01
    assert abs(u.mean() - 0.5) < 3 * math.sqrt(1 / 12 / N)


def test_normals_are_normal():
    x = normal_field(KEYS[0], (N,)).astype(np.float64)
    assert stats.kstest(x, "norm").pvalue > 0.01
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = math.sqrt((stats.norm.moment(2 * power) - moment**2) / N)
        assert abs((x**power).mean() - moment) < 3.5 * spread
    assert abs((np.abs(x) > 3).mean() - 2 * stats.norm.sf(3)) < 3.5 * math.sqrt(2 * stats.norm.sf(3) / N)


def test_the_largest_normal_is_as_documented():
    every = stats.norm.ppf((np.arange(65536) + 0.5) / 65536)
    assert round(every[-1], 2) == 4.32
    assert normal_field(KEYS[0], (N,)).max() == pytest.approx(every[-1], rel=1e-4)


def neighbours(name):
    x = normal_field(KEYS[0], (500, 800)).astype(np.float64)
    halves = x.reshape(4, -1, 2)
    other_key, other_word = normal_field(KEYS[0] + [0, -1], x.shape), normal_field(KEYS[0] + [1, 0], x.shape)
    return {
        "along a row": (x[:, :-1], x[:, 1:]),
        "along a column": (x[:-1], x[1:]),
        "halves of a word": (halves[..., 0], halves[..., 1]),
        "words of a block": (halves[0], halves[1]),
        "lanes": (x, normal_field(KEYS[0], x.shape, 1)),
        "keys": (x, other_key),
        "first words": (x, other_word),
    }[name]


@pytest.mark.parametrize(
    "name",
    ["along a row", "along a column", "halves of a word", "words of a block", "lanes", "keys", "first words"],
)
def test_parts_of_a_field_are_independent(name):
    first, second = (part.ravel() for part in neighbours(name))
    for f in (np.asarray, np.square, np.abs):
        assert abs(np.corrcoef(f(first), f(second))[0, 1]) < 4 / math.sqrt(len(first))


def test_key_words_are_the_uniforms_bits():
    u = np.array([[0.0, 1 - 2.0**-24], [0.5, 2.0**-24]])
    assert key_words(u).tolist() == [[0, 2**24 - 1], [2**23, 1]]
