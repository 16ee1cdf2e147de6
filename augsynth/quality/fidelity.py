"""How far two sets of feature vectors are from each other, and how much of one the other covers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

# Distances held at once: 64 MB of float64.
_CELLS = 8_000_000
NEIGHBORS = 5


def frechet_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the Fréchet distance of the Gaussians with the moments of `(N, D)` and `(M, D)`; arXiv:1706.08500.

    `|m - n|^2 + tr(A) + tr(B) - 2 tr((A B)^(1/2))`, in float64. It is too high by a bias that falls with N and M:
    compare only distances of the same N and M. Raises: ValueError for fewer than two rows.
    """
    first, second = _checked(first, second)
    difference = first.mean(0) - second.mean(0)
    a, b = (torch.cov(points.T).reshape(len(difference), -1) for points in (first, second))
    values, vectors = torch.linalg.eigh(a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    # sqrt(A) B sqrt(A) has the eigenvalues of A B and is symmetric, so that rounding cannot make them complex.
    product = root @ b @ root
    mixed = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    return max(float(difference @ difference + a.trace() + b.trace() - 2 * mixed), 0.0)


def kernel_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the squared MMD of `(N, D)` and `(M, D)` under the kernel (x y / D + 1)^3; arXiv:1801.01401.

    Unbiased, hence around 0 and a little below it at times for samples of one distribution; of any N and M from 2.
    """
    first, second = _checked(first, second)
    within = _kernel_sum(first, first, diagonal=False) / (len(first) * (len(first) - 1))
    other = _kernel_sum(second, second, diagonal=False) / (len(second) * (len(second) - 1))
    return within + other - 2 * _kernel_sum(first, second, diagonal=True) / (len(first) * len(second))


def _kernel_sum(first: torch.Tensor, second: torch.Tensor, diagonal: bool) -> float:
    total = sum(float(((part @ second.T / part.shape[1] + 1) ** 3).sum()) for part in _chunks(first, len(second)))
    return total if diagonal else total - float((((first * second).sum(1) / first.shape[1] + 1) ** 3).sum())


@dataclass(frozen=True)
class Overlap:
    """Shares in [0, 1]; a density may exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def overlap(real: torch.Tensor, made: torch.Tensor, neighbors: int = NEIGHBORS) -> Overlap:
    """Compare by balls around each sample that reach to its k-th neighbour in its own set, borders included.

    precision, recall: share of made samples in a ball of a real one, and the reverse; arXiv:1904.06991. density: balls
    of real samples that a made one is in, over k. coverage: share of real balls with a made one in; arXiv:2002.09797.
    For equal distributions density is 1 and coverage about 1 - 2^-k. Raises: ValueError for k or fewer rows.
    """
    real, made = _checked(real, made)
    if not 1 <= neighbors < min(len(real), len(made)):
        raise ValueError(f"neighbors={neighbors} must be 1 to {min(len(real), len(made)) - 1}, below the sample count")
    reach, reach_made = radii(real, neighbors), radii(made, neighbors)
    inside, recalled, nearest, start = 0.0, 0, torch.zeros(len(made), dtype=torch.bool), 0
    covered = torch.zeros(len(real), dtype=torch.bool)
    for part in _chunks(real, len(made)):
        rows = slice(start, start + len(part))
        distance = torch.cdist(part, made)
        hits = distance <= reach[rows, None]
        inside += float(hits.sum())
        nearest |= hits.any(0)
        covered[rows] = hits.any(1)
        recalled += int((distance <= reach_made).any(1).sum())
        start += len(part)
    precision, coverage = float(nearest.double().mean()), float(covered.double().mean())
    return Overlap(precision, recalled / len(real), inside / (neighbors * len(made)), coverage)


def radii(points: torch.Tensor, neighbors: int) -> torch.Tensor:
    """Return `(N,)`, the distance of each point to its k-th nearest other point."""
    # The nearest of all is the point itself.
    parts = [torch.cdist(part, points).kthvalue(neighbors + 1, 1).values for part in _chunks(points, len(points))]
    return torch.cat(parts)


def nearest(queries: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each of `(N, D)` the distance to the nearest of `(M, D)`, float64, and its row."""
    # Searched for in float32, which is twice as fast; around the mean, where fewer digits cancel.
    center = points.mean(0)
    searched = (points - center).float()
    parts = [torch.cdist((part - center).float(), searched).argmin(1) for part in _chunks(queries, len(points))]
    row = torch.cat(parts)
    # Measured again: cdist multiplies matrices, and what is left of the distance of equal points is not 0.
    return torch.linalg.vector_norm(queries.double() - points[row].double(), dim=1), row


def _chunks(rows: torch.Tensor, columns: int) -> Iterator[torch.Tensor]:
    yield from torch.split(rows, max(_CELLS // max(columns, 1), 1))


def _checked(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    for points in (first, second):
        if points.ndim != 2 or len(points) < 2 or points.shape[1] != first.shape[1]:
            raise ValueError(f"features must be (N, D) and (M, D) of at least 2 rows, got {tuple(points.shape)}")
        if not points.isfinite().all():
            raise ValueError("features must be finite: the network or its images have NaN or infinite values")
    return first.double(), second.double()
