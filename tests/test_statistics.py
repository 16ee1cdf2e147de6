"""Intervals, Holm's correction and verdicts, against formulas, tables and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from augsynth.quality.statistics import (
    contrasts,
    estimate,
    holm,
    holm_factors,
    paired,
    standard_error,
    student_p,
    student_quantile,
    verdict,
)


def crossed(rng, runs, samples, mean, run_sd, sample_sd, noise_sd):
    """Outcomes of a design in which every run meets every sample."""
    return (
        mean
        + run_sd * rng.standard_normal((runs, 1))
        + sample_sd * rng.standard_normal((1, samples))
        + noise_sd * rng.standard_normal((runs, samples))
    )


def test_student_quantiles_are_those_of_scipy():
    for freedom in (1, 4, 30):
        assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom))
        assert student_p(2.0, freedom) == pytest.approx(2 * stats.t.sf(2.0, freedom))


def test_the_interval_is_the_formula():
    values = (np.random.default_rng(0).random((3, 60)) < 0.6).astype(float)
    runs, samples = values.mean(1), values.mean(0)
    error = math.sqrt(runs.var(ddof=1) / 3 + samples.var(ddof=1) / 60)
    found = estimate(values)
    half = stats.t.ppf(0.975, 2) * error
    assert (found.mean, found.standard_error) == pytest.approx((values.mean(), error))
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_the_standard_error_counts_the_test_samples_where_all_runs_agree():
    same = np.tile(np.array([1.0, 0.0, 1.0, 1.0, 0.0]), (6, 1))
    assert standard_error(same) == pytest.approx(math.sqrt(same[0].var(ddof=1) / 5))


def test_the_standard_error_counts_the_runs_where_all_samples_agree():
    same = np.tile(np.array([[0.2], [0.4], [0.9]]), (1, 1000))
    assert standard_error(same) == pytest.approx(math.sqrt(same[:, 0].var(ddof=1) / 3), rel=1e-4)


def test_one_run_claims_nothing():
    found = estimate(np.ones((1, 50)))
    assert found.p == 1.0
    assert not found.known
    assert verdict(found.mean, found.p) == "no evidence"


def test_a_single_test_sample_claims_nothing_even_if_all_runs_agree():
    assert estimate(np.ones((5, 1))).p > 0.05


def test_identical_arms_have_no_difference_and_p_one():
    found = estimate(np.zeros((5, 100)))
    assert (found.mean, found.p) == (0.0, 1.0)


@pytest.mark.parametrize(("run_sd", "sample_sd"), [(0.02, 0.0), (0.0, 0.5), (0.01, 0.3)])
def test_intervals_cover_the_truth_whichever_part_varies(run_sd, sample_sd):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        found = estimate(crossed(rng, 5, 300, 0.02, run_sd, sample_sd, 0.4))
        hits += found.low <= 0.02 <= found.high
    assert hits >= 0.93 * 400


def test_counting_runs_alone_would_not_cover():
    # The reason for the second term: with one test set, seeds agree on its luck.
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(300):
        runs = crossed(rng, 5, 100, 0.0, 0.001, 0.5, 0.1).mean(1)
        hits += abs(runs.mean()) <= stats.t.ppf(0.975, 4) * runs.std(ddof=1) / math.sqrt(5)
    assert hits < 0.8 * 300


def test_outcomes_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(runs, samples\)"):
        estimate(np.ones(4))
    with pytest.raises(ValueError, match="not finite"):
        estimate(np.array([[1.0, math.nan]]))
    with pytest.raises(ValueError, match="confidence=2"):
        estimate(np.ones((2, 2)), confidence=2)


def test_holm_is_the_step_down_procedure():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_never_goes_below_the_raw_value_nor_changes_the_order():
    p = np.random.default_rng(0).uniform(0, 0.2, 12).tolist()
    adjusted = holm(p)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))
    assert np.all(np.diff(np.array(adjusted)[np.argsort(p)]) >= 0)


def test_a_claim_is_made_exactly_where_the_interval_excludes_zero():
    rng = np.random.default_rng(4)
    claims = 0
    for _ in range(60):
        correct = arms_of(rng, none=0.6, a=rng.uniform(0.55, 0.7), b=rng.uniform(0.55, 0.7), c=rng.uniform(0.55, 0.7))
        for c in contrasts(correct, ("a", "none"), [("b", "none"), ("c", "none"), ("c", "b")]):
            excluded = c.difference.low > 0 or c.difference.high < 0
            assert (c.verdict != "no evidence") == excluded
            claims += excluded
    assert 60 < claims < 200


def test_holm_factors_fall_until_the_first_failure():
    assert holm_factors([0.001, 0.02, 0.5, 0.01], 0.05) == [4, 2, 1, 3]
    assert holm_factors([0.02, 0.03, 0.04], 0.05) == [3, 3, 3]


def test_the_verdict_follows_sign_and_p():
    assert verdict(0.1, 0.049) == "helps"
    assert verdict(-0.1, 0.049) == "hurts"
    assert verdict(0.1, 0.05) == "no evidence"


def arms_of(rng, **accuracies):
    hard = rng.uniform(-0.15, 0.15, 800)
    return {arm: {seed: rng.random(800) < accuracy + hard for seed in range(5)} for arm, accuracy in accuracies.items()}


def test_only_the_contrasts_that_are_not_primary_are_corrected():
    correct = arms_of(np.random.default_rng(1), none=0.6, augment=0.7, both=0.75)
    found = contrasts(correct, ("both", "none"), [("augment", "none"), ("both", "augment"), ("both", "none")])
    assert [(c.arm, c.base, c.primary) for c in found] == [
        ("both", "none", True),
        ("augment", "none", False),
        ("both", "augment", False),
    ]
    assert found[0].p == found[0].difference.p
    assert [c.p for c in found[1:]] == pytest.approx(holm([c.difference.p for c in found[1:]]))


def test_a_clear_gain_helps_and_its_mirror_hurts():
    correct = arms_of(np.random.default_rng(2), none=0.6, both=0.75)
    assert contrasts(correct, ("both", "none"), [])[0].verdict == "helps"
    assert contrasts(correct, ("none", "both"), [])[0].verdict == "hurts"


def test_arms_are_paired_by_seed_and_unfinished_ones_left_out():
    correct = {"a": {0: np.array([True, True]), 1: np.array([True, False])}, "b": {1: np.array([False, False])}}
    assert paired(correct, "a", "b").tolist() == [[1.0, 0.0]]
    assert paired(correct, "a", "c") is None
    assert contrasts(correct, ("a", "c"), []) == []


def test_pairing_beats_comparing_two_intervals():
    # The same hard samples fail in both arms; only a paired difference does not see their spread.
    rng = np.random.default_rng(3)
    base = rng.random(2000) < 0.7
    worse = {seed: base & (rng.random(2000) < 0.97) for seed in range(5)}
    correct = {"none": dict.fromkeys(range(5), base), "worse": worse}
    alone = estimate(np.stack(list(worse.values())))
    assert estimate(paired(correct, "worse", "none")).standard_error < 0.5 * alone.standard_error
