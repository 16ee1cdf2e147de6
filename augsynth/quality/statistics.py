"""Intervals and verdicts for repeated training runs on one test set.

Runs and test samples are both random: other training samples, initial weights and batches would have given other
accuracies, and so would another test set. With outcomes `(R, N)` (R runs, N test samples) the variance of the mean is

    var over runs of the run means / R  +  var over samples of the sample means / N,

which counts the residual of the crossed design twice and is therefore conservative. The t quantile has
min(R, N) - 1 degrees of freedom, the fewest that either part can claim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

VERDICTS = ("helps", "hurts", "no evidence")


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, interval and two-sided p-value of being zero.

    With fewer than two runs nothing is known about their spread: the interval is infinite and p is 1.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    p: float
    runs: int

    @property
    def known(self) -> bool:
        """Whether there were enough runs for an interval."""
        return math.isfinite(self.standard_error)


def estimate(outcomes: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Estimate the mean of outcomes `(R, N)`: correct or not (0, 1), or paired differences (-1, 0, 1).

    confidence: coverage of the interval, in (0, 1). Raises: ValueError for other shapes or values that are not finite.
    """
    values = np.asarray(outcomes, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"outcomes must be (runs, samples) and not empty, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("outcomes hold values that are not finite")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must lie between 0 and 1")
    runs, samples = values.shape
    mean = float(values.mean())
    if runs < 2:
        return Estimate(mean, math.inf, -math.inf, math.inf, 1.0, runs)
    error = standard_error(values)
    freedom = max(min(runs, samples) - 1, 1)
    half = student_quantile(0.5 + confidence / 2, freedom) * error
    return Estimate(mean, error, mean - half, mean + half, student_p(mean / error, freedom), runs)


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of `(R, N)` values over both runs and samples, R >= 2.

    It is never below 1 / N: a test set cannot resolve less than one of its samples.
    """
    runs, samples = values.shape
    over_runs = float(values.mean(axis=1).var(ddof=1)) / runs
    over_samples = float(values.mean(axis=0).var(ddof=1)) / samples if samples > 1 else 0.0
    return math.sqrt(over_runs + max(over_samples, 1 / samples**2))


def student_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t with `freedom` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def student_p(t: float, freedom: int) -> float:
    """Return the two-sided p-value of Student's t."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number by Holm's step-down procedure: any below 0.05 may then be claimed together."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = running
    return adjusted


def verdict(difference: float, p: float, confidence: float = 0.95) -> str:
    """Say "helps" or "hurts" where `p` (adjusted if there are several) is below 1 - confidence, else "no evidence"."""
    # Written as a sum, because 1 - 0.95 is a little more than 0.05.
    if p + confidence >= 1:
        return "no evidence"
    return "helps" if difference > 0 else "hurts"


def holm_factors(p_values: Sequence[float], level: float) -> list[int]:
    """Return the factor with which Holm's procedure judged each p-value at `level`; after its first failure that one.

    An interval at confidence 1 - level / factor excludes zero exactly where the corrected test rejects.
    """
    factors = [0] * len(p_values)
    failed = 0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        factor = failed or len(p_values) - rank
        if not failed and factor * p_values[place] >= level:
            failed = factor
        factors[place] = factor
    return factors


@dataclass(frozen=True)
class Contrast:
    """Arm `arm` against arm `base`, paired by run and by test sample.

    p: adjusted by Holm among the contrasts that are not primary. confidence: of the interval of `difference`, which is
    wider where p was adjusted, so that it excludes zero exactly where there is a claim.
    """

    arm: str
    base: str
    primary: bool
    difference: Estimate
    p: float
    verdict: str
    confidence: float = 0.95


def contrasts(
    correct: dict[str, dict[int, np.ndarray]],
    primary: tuple[str, str],
    secondary: Sequence[tuple[str, str]],
    confidence: float = 0.95,
) -> list[Contrast]:
    """Judge arm against arm: the primary contrast by its own p-value, the others after Holm's correction.

    correct: for each arm and seed, `(N,)` bool, which test samples were classified rightly. Runs of the two arms are
    paired by seed; a contrast without any pair is left out.
    """
    pairs = list(dict.fromkeys([primary, *secondary]))
    values = {pair: outcomes for pair in pairs if (outcomes := paired(correct, *pair)) is not None}
    others = [pair for pair in values if pair != primary]
    raw = [estimate(values[pair], confidence).p for pair in others]
    adjusted = dict(zip(others, holm(raw), strict=True))
    factors = dict(zip(others, holm_factors(raw, 1 - confidence), strict=True))
    found = []
    for pair, outcomes in values.items():
        wider = 1 - (1 - confidence) / factors.get(pair, 1)
        difference = estimate(outcomes, wider)
        p = adjusted.get(pair, difference.p)
        said = verdict(difference.mean, p, confidence)
        found.append(Contrast(pair[0], pair[1], pair == primary, difference, p, said, wider))
    return found


def paired(correct: dict[str, dict[int, np.ndarray]], arm: str, base: str) -> np.ndarray | None:
    """Return differences `(R, N)`, -1, 0 or 1, of `arm` and `base` over the seeds both have; None without any."""
    seeds = [seed for seed in correct.get(arm, {}) if seed in correct.get(base, {})]
    if not seeds:
        return None
    return np.stack([correct[arm][seed].astype(np.float64) - correct[base][seed] for seed in seeds])
