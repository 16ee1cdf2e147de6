"""Keyed randomness: known answers, twins in numpy and torch, distributions under fixed seeds, independence."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from augsynth.rng import (
    KeyedIndex,
    Rng,
    choose,
    fresh_seed,
    integers_from_words,
    normal_from_words,
    philox,
    slot_id,
    uniform_from_words,
)

# Random123, tests/kat_vectors, the rows of philox4x32-10: counter, key, result.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
N = 20_000
WORDS = np.random.default_rng(0).integers(0, 2**32, (500, 8)).astype(np.uint64)


def torch_words():
    return torch.from_numpy(WORDS.astype(np.int64))


@pytest.fixture(scope="module")
def rng():
    return Rng.of(7, np.arange(N))


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_python_ints_give_the_known_answers(counter, key, answer):
    assert philox(counter, key) == answer


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_numpy_gives_the_known_answers(counter, key, answer):
    words = philox([np.full(3, c, np.uint64) for c in counter], [np.full(3, k, np.uint64) for k in key])
    assert np.array_equal(np.stack(words, 1), np.tile(np.array(answer, np.uint64), (3, 1)))


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_torch_gives_the_known_answers(counter, key, answer):
    words = philox([torch.tensor([c]) for c in counter], [torch.tensor([k]) for k in key])
    assert torch.cat(list(words)).tolist() == list(answer)


def test_torch_and_numpy_agree_on_random_counters():
    counter, key = WORDS[:, :4].T, WORDS[:, 4:6].T
    ours = np.stack(philox(list(counter), list(key)))
    theirs = torch.stack(philox(list(torch_words().T[:4]), list(torch_words().T[4:6])))
    assert np.array_equal(ours.astype(np.int64), theirs.numpy())


def test_uniforms_are_the_same_in_torch_and_multiples_of_two_to_the_minus_24():
    ours, theirs = uniform_from_words(WORDS), uniform_from_words(torch_words())
    assert theirs.dtype == torch.float32
    assert np.array_equal(ours, theirs.double().numpy())
    assert np.array_equal(ours * 2**24, np.floor(ours * 2**24))
    assert ours.min() >= 0
    assert uniform_from_words(np.uint64(2**32 - 1)) == 1 - 2**-24


@pytest.mark.parametrize("high", [1, 2, 7, 1000, 2**31])
def test_integers_are_the_same_in_torch(high):
    ours, theirs = integers_from_words(WORDS, np.uint64(high)), integers_from_words(torch_words(), high)
    assert np.array_equal(ours.astype(np.int64), theirs.numpy())
    assert ours.max() < high


def test_normals_agree_with_torch_within_two_units_in_the_last_place():
    ours, theirs = normal_from_words(WORDS).astype(np.float32), normal_from_words(torch_words()).numpy()
    assert np.all(np.abs(ours - theirs) <= 2 * np.spacing(np.abs(ours)))


def test_the_words_of_a_sample_are_philox_of_its_key():
    rng = Rng.of(3, [5, 9], epoch=[1, 2], occurrence=[0, 4])
    expected = [philox((5, 0, 77, 1), (3, 1)), philox((9, 4, 77, 1), (3, 2))]
    assert rng.words([77], [1]).tolist() == [list(row) for row in expected]


def test_the_scalar_and_the_array_path_give_the_same_words():
    many = Rng.of(5, np.arange(100), epoch=3, occurrence=2).words([slot_id("a"), slot_id("b")], [0, 1])
    single = [Rng.of(5, i, epoch=3, occurrence=2).words([slot_id("a"), slot_id("b")], [0, 1])[0] for i in range(100)]
    assert np.array_equal(many, np.stack(single))


@pytest.mark.parametrize("draw", ["uniform", "normal", "permutation", "beta"])
def test_a_draw_is_the_same_alone_and_in_any_batch(draw, rng):
    arguments = {"uniform": (5,), "normal": (5,), "permutation": (5,), "beta": (0.4, 2.0, 3)}[draw]
    rows = np.array([17, 3, 12_000])
    batch = getattr(rng, draw)("slot", *arguments)
    part = getattr(rng[rows], draw)("slot", *arguments)
    alone = getattr(Rng.of(7, 12_000), draw)("slot", *arguments)
    assert np.array_equal(batch[rows], part)
    assert np.array_equal(batch[12_000], alone[0])


@pytest.mark.parametrize("n", [1, 4, 5, 9])
def test_the_first_numbers_do_not_depend_on_how_many_are_drawn(n, rng):
    assert np.array_equal(rng.uniform("slot", n), rng.uniform("slot", 12)[:, :n])
    assert np.array_equal(rng.normal("slot", n), rng.normal("slot", 12)[:, :n])


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


def test_uniforms_fill_the_interval_evenly(rng):
    counts, _ = np.histogram(rng.uniform("u", 5), bins=64, range=(0, 1))
    assert chi_square(counts, 5 * N / 64) < 110  # 63 degrees of freedom: exceeded once in 5,000


def test_normals_have_the_moments_and_tails_of_a_standard_normal(rng):
    x = rng.normal("n", 4)
    assert abs(x.mean()) < 0.012
    assert abs(x.var() - 1) < 0.02
    assert abs((x**3).mean()) < 0.04
    assert abs((x**4).mean() - 3) < 0.12
    assert abs((np.abs(x) > 1.959964).mean() - 0.05) < 0.0025


@pytest.mark.parametrize("high", [2, 6, 10])
def test_integers_are_even(high, rng):
    counts = np.bincount(rng.integers("i", high, 2).ravel(), minlength=high)
    assert len(counts) == high
    assert chi_square(counts, 2 * N / high) < 33


def test_bernoulli_and_choice_follow_their_weights(rng):
    assert abs(rng.bernoulli("b", 0.3).mean() - 0.3) < 0.012
    counts = np.bincount(rng.choice("c", [1, 0, 2, 5]).ravel(), minlength=4)
    assert counts[1] == 0
    assert chi_square(counts[[0, 2, 3]], N * np.array([1, 2, 5]) / 8) < 17


def test_probability_zero_never_and_one_always(rng):
    assert not rng.bernoulli("b", 0.0).any()
    assert rng.bernoulli("b", 1.0).all()


def test_permutations_are_uniform(rng):
    order = rng.permutation("p", 4)
    assert np.array_equal(np.sort(order, 1), np.tile(np.arange(4), (N, 1)))
    _, counts = np.unique(order @ [64, 16, 4, 1], return_counts=True)
    assert len(counts) == 24
    assert chi_square(counts, N / 24) < 53  # 23 degrees of freedom


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.2, 0.2), (0.4, 1.7), (2.0, 5.0), (30.0, 10.0)])
def test_beta_has_its_mean_and_variance(a, b, rng):
    x = rng.beta("beta", a, b)
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    assert x.min() >= 0
    assert x.max() <= 1
    assert abs(x.mean() - a / (a + b)) < 4.5 * (variance / N) ** 0.5
    assert abs(x.var() - variance) < 0.05 * variance + 1e-4


def test_beta_of_ones_is_uniform_and_tiny_arguments_are_a_coin(rng):
    counts, _ = np.histogram(rng.beta("beta", 1.0, 1.0), bins=20, range=(0, 1))
    assert chi_square(counts, N / 20) < 45
    coin = rng.beta("beta", 1e-4, 1e-4)
    assert np.isfinite(coin).all()
    assert abs((coin > 0.5).mean() - 0.5) < 0.015


@pytest.mark.parametrize("shape", [0.3, 1.0, 4.5])
def test_gamma_has_its_mean_and_variance(shape, rng):
    x = rng.gamma("g", shape)
    assert abs(x.mean() - shape) < 4.5 * (shape / N) ** 0.5
    assert abs(x.var() - shape) < 0.1 * shape


def test_slots_indices_epochs_occurrences_and_seeds_are_independent():
    index = np.arange(N)
    base = Rng.of(1, index).uniform("flip")
    others = [
        Rng.of(1, index).uniform("flop"),
        Rng.of(1, index + 1).uniform("flip"),
        Rng.of(1, index, epoch=1).uniform("flip"),
        Rng.of(1, index, occurrence=1).uniform("flip"),
        Rng.of(2, index).uniform("flip"),
        Rng.of(1, index).uniform("flip", 2)[:, 1:],
    ]
    for other in others:
        assert (other == base).mean() < 0.001
        assert abs(np.corrcoef(base[:, 0], other[:, 0])[0, 1]) < 0.03


def test_neighbouring_indices_are_not_correlated(rng):
    u = rng.uniform("u")[:, 0]
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.03


def test_the_two_halves_of_a_normal_do_not_share_words(rng):
    x = rng.normal("n", 2)
    assert abs(np.corrcoef(x.T)[0, 1]) < 0.03
    assert abs(np.corrcoef((x**2).T)[0, 1]) < 0.03


def test_fresh_keys_differ_and_come_from_torchs_generator():
    torch.manual_seed(0)
    seeds = [fresh_seed() for _ in range(5)]
    assert len(set(seeds)) == 5
    torch.manual_seed(0)
    assert fresh_seed() == seeds[0]
    assert Rng.fresh(3).seed == seeds[1]


def test_a_keyed_draw_consumes_no_global_state():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    Rng.of(1, [0, 1]).beta("beta", 0.5, 0.5)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_a_keyed_index_is_an_int_that_pickles_with_its_key():
    key = KeyedIndex(5, epoch=2, occurrence=1)
    for twin in (pickle.loads(pickle.dumps(key)), copy.deepcopy(key)):
        assert (int(twin), twin.epoch, twin.occurrence) == (5, 2, 1)
    assert ["a", "b", "c", "d", "e", "f"][key] == "f"
    assert repr(key) == "KeyedIndex(5, epoch=2, occurrence=1)"


def test_keyed_indices_bring_their_epoch_and_occurrence():
    mixed = Rng.of(1, [KeyedIndex(4, 3, 2), KeyedIndex(5, 1, 0)])
    assert np.array_equal(mixed.uniform("u")[0], Rng.of(1, 4, epoch=3, occurrence=2).uniform("u")[0])
    assert np.array_equal(Rng.of(1, KeyedIndex(4, 3, 2)).uniform("u"), mixed[:1].uniform("u"))


def test_an_index_may_be_a_tensor_an_array_or_a_list():
    lists = [Rng.of(1, index).uniform("u") for index in ([3, 4], np.array([3, 4], np.int32), torch.tensor([3, 4]))]
    assert np.array_equal(lists[0], lists[1])
    assert np.array_equal(lists[0], lists[2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((2**32, 0), ValueError, "seed=4294967296"),
        ((-1, 0), ValueError, "seed=-1"),
        ((0, [1, -2]), ValueError, "index=-2"),
        ((0, [0.5]), TypeError, "index must be an integer"),
        ((0, [1, 2], [0, 1, 2]), ValueError, "epoch has 3 entries for 2 samples"),
        ((0, 1, 0, -1), ValueError, "occurrence=-1"),
    ],
)
def test_a_bad_key_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        Rng.of(*arguments)


@pytest.mark.parametrize("high", [0, -3, 2**31 + 1])
def test_integers_refuse_a_bad_upper_bound(high):
    with pytest.raises(ValueError, match=f"high={high}"):
        Rng.of(0, 0).integers("i", high)


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [1, float("nan")], [[1, 2]]])
def test_choice_refuses_bad_weights(weights):
    with pytest.raises(ValueError, match="weights must be"):
        choose(np.zeros(2), weights)


def test_gamma_refuses_a_shape_that_is_not_positive():
    with pytest.raises(ValueError, match="shape=0"):
        Rng.of(0, 0).gamma("g", 0)


def test_the_last_weight_takes_what_rounding_leaves():
    assert choose(np.array([1 - 2**-24]), [0.1] * 10 + [0.0]) == 9
