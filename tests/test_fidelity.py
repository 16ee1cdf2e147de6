"""Distances between samples and their overlap, against closed forms, published values and slow implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augsynth.quality import fidelity
from augsynth.quality.fidelity import frechet_distance, kernel_distance, nearest, overlap, radii
from augsynth.rng import Rng


def normal(count: int, size: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(Rng.of(seed, np.arange(count)).normal("points", size))


def with_moments(mean: torch.Tensor, covariance: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return points whose mean and covariance are exactly these."""
    points = normal(60, len(mean), seed)
    points = points - points.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(points.T)), points.T, upper=False)
    return (torch.linalg.cholesky(covariance) @ white).T + mean


def test_frechet_distance_of_gaussians_that_share_their_axes() -> None:
    turn = torch.linalg.qr(normal(4, 4, 5)).Q
    first, second = torch.tensor([4.0, 1.0, 0.25, 9.0]).double(), torch.tensor([1.0, 1.0, 2.25, 4.0]).double()
    a = with_moments(torch.zeros(4).double(), turn * first @ turn.T, 1)
    b = with_moments(torch.tensor([1.0, 0.0, -2.0, 0.5]).double(), turn * second @ turn.T, 2)
    expected = 1 + 4 + 0.25 + float(((first.sqrt() - second.sqrt()) ** 2).sum())
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_is_that_of_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    a, b = normal(80, 6, 1) @ normal(6, 6, 2), normal(70, 6, 3) @ normal(6, 6, 4) + 1
    theirs = _compute_fid(a.mean(0), torch.cov(a.T), b.mean(0), torch.cov(b.T))
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.parametrize("size", [1, 40])
def test_frechet_distance_of_a_set_to_itself_is_zero_even_with_fewer_samples_than_features(size: int) -> None:
    points = normal(12, size, 1)
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(points, points + 2) == pytest.approx(4 * size, rel=1e-6)


def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
    return float((x @ y / len(x) + 1) ** 3)


def test_kernel_distance_is_the_unbiased_double_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "_CELLS", 11)  # several chunks
    a, b = normal(7, 3, 1), normal(5, 3, 2) + 1
    within = [kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j]
    other = [kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j]
    between = [kernel(x, y) for x in a for y in b]
    assert kernel_distance(a, b) == pytest.approx(np.mean(within) + np.mean(other) - 2 * np.mean(between), rel=1e-9)


def test_kernel_distance_is_that_of_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    a, b = normal(40, 6, 1), normal(40, 6, 2) + 0.5
    assert kernel_distance(a, b) == pytest.approx(float(poly_mmd(a, b)), rel=1e-9)


def test_kernel_distance_of_equal_distributions_is_zero_on_average() -> None:
    drawn = [kernel_distance(normal(20, 4, 2 * i), normal(20, 4, 2 * i + 1)) for i in range(200)]
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert abs(np.mean(drawn)) < 3 * error < 0.2
    assert min(drawn) < 0


def slow_overlap(real: np.ndarray, made: np.ndarray, k: int) -> tuple[float, ...]:
    def reach(points: np.ndarray) -> list[float]:
        return [sorted(np.linalg.norm(points - p, axis=1))[k] for p in points]

    reach_real, reach_made = reach(real), reach(made)
    distance = np.array([[np.linalg.norm(r - m) for m in made] for r in real])
    precision = np.mean([any(distance[i, j] <= reach_real[i] for i in range(len(real))) for j in range(len(made))])
    recall = np.mean([any(distance[i, j] <= reach_made[j] for j in range(len(made))) for i in range(len(real))])
    density = sum(distance[i, j] <= reach_real[i] for i in range(len(real)) for j in range(len(made)))
    coverage = np.mean([distance[i].min() <= reach_real[i] for i in range(len(real))])
    return float(precision), float(recall), density / (k * len(made)), float(coverage)


@pytest.mark.parametrize("neighbors", [1, 4])
def test_overlap_is_that_of_the_definitions(neighbors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "_CELLS", 100)  # several chunks
    real, made = normal(31, 2, 1), normal(23, 2, 2) * 0.7 + 0.6
    found = overlap(real, made, neighbors)
    slow = slow_overlap(real.numpy(), made.numpy(), neighbors)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(slow)
    assert found.precision != found.recall


@pytest.mark.parametrize("neighbors", [2, 5])
def test_equal_distributions_have_the_published_density_and_coverage(neighbors: int) -> None:
    # Naeem et al. 2020: density 1; coverage 1 - (N-1)...(N-k) / ((2N-1)...(2N-k)), which tends to 1 - 2^-k.
    count = 1200
    found = overlap(normal(count, 16, 1), normal(count, 16, 2), neighbors)
    assert found.density == pytest.approx(1, abs=0.06)
    assert found.coverage == pytest.approx(1 - 0.5**neighbors, abs=0.02)


def test_an_outlier_of_the_real_samples_raises_precision_and_not_density() -> None:
    real, far = normal(200, 4, 1), torch.full((1, 4), 8.0).double()
    made = normal(200, 4, 2) + 5
    without, outlier = overlap(real, made), overlap(torch.cat([real, far]), made)
    assert outlier.precision > without.precision + 0.5
    assert outlier.density < 0.25


def test_one_point_covers_next_to_nothing_and_is_precise() -> None:
    real = normal(100, 4, 1)
    found = overlap(real, real[:1].repeat(100, 1))
    assert found.precision == 1
    assert found.coverage < 0.2
    assert found.recall == pytest.approx(0.01)


def test_a_set_covers_itself() -> None:
    real = normal(30, 3, 1)
    found = overlap(real, real)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)


def test_radii_and_nearest_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "_CELLS", 4)
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]]).double()
    assert radii(line, 1).tolist() == [1, 1, 2, 4]
    assert radii(line, 2).tolist() == [3, 2, 3, 6]
    distance, row = nearest(torch.tensor([[2.9], [0.5], [9.0]]).double(), line)
    assert distance.tolist() == pytest.approx([0.1, 0.5, 2])
    assert row.tolist() == [2, 0, 3]


@pytest.mark.parametrize("bad", [torch.zeros(1, 3), torch.zeros(4, 2), torch.full((4, 3), torch.nan)])
def test_features_that_cannot_be_compared_are_named(bad: torch.Tensor) -> None:
    for measure in (frechet_distance, kernel_distance, overlap):
        with pytest.raises(ValueError, match="features must be"):
            measure(torch.ones(4, 3), bad)


def test_too_many_neighbours_are_named() -> None:
    with pytest.raises(ValueError, match="neighbors=5 must be 1 to 3"):
        overlap(torch.rand(4, 2), torch.rand(9, 2))
