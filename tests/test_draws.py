"""What is drawn: distributions against torchvision's or a formula, independence, gates, strength, combinators."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms as v1

from augsynth import Pipeline
from augsynth import transforms as T

SIZE = (33, 46)
N = 4000


def drawn(transform, size=SIZE, **arguments):
    return Pipeline([transform], seed=1).draw([size] * N, index=range(N), **arguments)


def ks_distance(a, b):
    """Return the largest distance of two empirical distribution functions."""
    points = np.sort(np.concatenate([a, b]))
    return np.abs(
        np.searchsorted(np.sort(a), points, side="right") / len(a)
        - np.searchsorted(np.sort(b), points, side="right") / len(b)
    ).max()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (T.RandomResizedCrop(8), lambda x: v1.RandomResizedCrop.get_params(x, [0.08, 1.0], [3 / 4, 4 / 3])),
        (
            T.RandomResizedCrop(8, (0.5, 1.0), (0.5, 3.0)),
            lambda x: v1.RandomResizedCrop.get_params(x, [0.5, 1.0], [0.5, 3.0]),
        ),
        (T.RandomErasing(0.5), lambda x: v1.RandomErasing.get_params(x, (0.02, 0.33), (0.3, 3.3), [0.0])[:4]),
        (
            T.RandomErasing(1.0, (0.3, 0.9), (0.2, 6.0)),
            lambda x: v1.RandomErasing.get_params(x, (0.3, 0.9), (0.2, 6.0), [0.0])[:4],
        ),
        (T.RandomCrop((20, 30)), lambda x: v1.RandomCrop.get_params(x, (20, 30))[:2]),
        (
            T.RandomAffine(30, (0.2, 0.3), (0.5, 2.0), (-5, 10, -15, 20)),
            lambda x: _flat(
                v1.RandomAffine.get_params([-30, 30], [0.2, 0.3], [0.5, 2.0], [-5, 10, -15, 20], [SIZE[1], SIZE[0]])
            ),
        ),
        (T.RandomRotation((-10, 40)), lambda x: (v1.RandomRotation.get_params([-10, 40]),)),
    ],
    ids=["crop", "crop-wide", "erase", "erase-large", "window", "affine", "rotation"],
)
def test_parameters_are_distributed_as_torchvisions(ours, theirs):
    torch.manual_seed(0)
    image = torch.zeros(3, *SIZE)
    reference = np.array([theirs(image) for _ in range(N)], float)
    program = drawn(ours)
    params = program.params[program.ops > 0]
    if isinstance(ours, T.RandomErasing):  # theirs returns the whole image where nothing fits, ours nothing
        reference = reference[: len(params)]
        params = params[params[:, 2] > 0]
        reference = reference[(reference[:, 2] < SIZE[0]) | (reference[:, 3] < SIZE[1])]
        assert abs(len(params) - len(reference)) < 0.02 * N
    for column in range(reference.shape[1]):
        limit = 1.95 * (1 / len(params) + 1 / len(reference)) ** 0.5  # exceeded once in 1,000
        assert ks_distance(params[:, column], reference[:, column]) < limit, column


def _flat(params):
    angle, shift, scale, shear = params
    return angle, *shift, scale, *shear


def test_the_numbers_that_one_transform_draws_are_independent():
    affine = drawn(T.RandomAffine(30, (0.2, 0.3), (0.5, 2.0), (-5, 10, -15, 20)), size=(400, 500)).params[:, 0]
    correlation = np.corrcoef(affine.T) - np.eye(6)
    assert np.abs(correlation).max() < 0.06
    # The place of a window and its size: at a given size every place is as likely.
    crop = drawn(T.RandomResizedCrop(8, (0.1, 0.2), (1.0, 1.0)), size=(400, 400)).params[:, 0]
    share = crop[:, :2] / (400 - crop[:, 2:])
    assert np.abs(np.corrcoef(np.column_stack([share, crop[:, 2]]).T) - np.eye(3)).max() < 0.06


def test_jitter_factors_are_uniform_and_orders_are_even():
    program = drawn(T.ColorJitter(0.4, 0.4, 0.4, 0.1))
    _, counts = np.unique(program.ops @ [125, 25, 5, 1], return_counts=True)
    assert len(counts) == 24
    assert ((counts - N / 24) ** 2 / (N / 24)).sum() < 53
    for code in (1, 2, 3, 4):
        values = np.sort(program.params[program.ops == code][:, 0])
        low, high = (-0.1, 0.1) if code == 4 else (0.6, 1.4)
        uniform = (values - low) / (high - low)
        assert np.abs(uniform - (np.arange(N) + 0.5) / N).max() < 1.95 / N**0.5


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("kind", [T.RandomHorizontalFlip, T.RandomGrayscale, T.RandomErasing])
def test_gates_open_with_their_probability(p, kind):
    share = (drawn(kind(p=p)).ops > 0).mean()
    assert abs(share - p) <= 3.5 * (p * (1 - p) / N) ** 0.5


def test_strength_multiplies_probabilities_and_draws_ranges_towards_the_identity():
    assert abs((drawn(T.RandomHorizontalFlip(0.8), strength=0.5).ops > 0).mean() - 0.4) < 0.03
    full, half = (drawn(T.RandomAffine(40, (0.2, 0.2), (0.5, 2.0), 10), strength=s).params[:, 0] for s in (1.0, 0.5))
    assert np.allclose(half[:, [0, 4]], full[:, [0, 4]] / 2)
    assert np.allclose(half[:, 3] ** 2, full[:, 3])
    assert np.abs(half[:, 1:3]).max() <= np.abs(full[:, 1:3]).max() / 2 + 0.5
    areas = drawn(T.RandomResizedCrop(8), strength=0.5).params[:, 0, 2:].prod(1) / np.prod(SIZE)
    assert areas.min() > 0.52
    factors = drawn(T.ColorJitter(0.8), strength=0.25).params[:, 0, 0]
    assert 0.8 <= factors.min() < 0.81
    assert 1.19 < factors.max() <= 1.2


# --- combinators ------------------------------------------------------------------------------------------------------

FLIPS = {"h": T.RandomHorizontalFlip(1.0), "v": T.RandomVerticalFlip(1.0), "gray": T.RandomGrayscale(1.0)}


def test_one_of_follows_its_weights():
    ops = drawn(T.OneOf(FLIPS, weights=(1, 2, 5))).ops
    assert ops.shape == (N, 1)
    counts = np.bincount(ops[:, 0], minlength=4)[1:]
    assert ((counts - N * np.array([1, 2, 5]) / 8) ** 2 / (N * np.array([1, 2, 5]) / 8)).sum() < 14


def test_some_of_takes_different_ones_in_every_order():
    ops = drawn(T.SomeOf(FLIPS, n=2)).ops
    assert (ops[:, 0] != ops[:, 1]).all()
    _, counts = np.unique(ops @ [10, 1], return_counts=True)
    assert len(counts) == 6
    assert ((counts - N / 6) ** 2 / (N / 6)).sum() < 21


def test_random_order_applies_all():
    ops = drawn(T.RandomOrder(FLIPS)).ops
    assert (np.sort(ops, 1) == [1, 2, 3]).all()
    assert len(np.unique(ops @ [100, 10, 1])) == 6


def test_random_apply_applies_all_or_none():
    applied = drawn(T.RandomApply(FLIPS, p=0.3)).ops > 0
    assert (applied.all(1) | ~applied.any(1)).all()
    assert abs(applied[:, 0].mean() - 0.3) < 0.03


def test_combinators_nest():
    inner = T.SomeOf(
        [T.RandomHorizontalFlip(0.5), T.RandomOrder([T.RandomGrayscale(0.5), T.RandomVerticalFlip(0.5)])], n=2
    )
    program = drawn(T.OneOf([T.RandomApply([inner], p=0.5), T.ColorJitter(0.1, 0.1)]))
    codes = {frozenset(row[row > 0].tolist()) for row in program.ops}
    assert codes == {frozenset(s) for s in [(), (1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3), (4, 5)]}
