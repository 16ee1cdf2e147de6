"""Does a generator hand out its training samples? A screen, calibrated by samples that nobody was trained on.

A blurred image is near to everything, so that a plain distance to the training data says little. Here each sample's
distance to its nearest training sample is divided by that to its nearest unseen real one. Real samples that were held
out tell how small this ratio gets by chance; a copy has a ratio of about 0. Copies that were moved or turned are not
seen, only those that were mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from augsynth.quality.fidelity import nearest

# The holdout's quantile below which a ratio counts as suspicious.
TAIL = 0.01
PAIRS = 8
# Pixels are compared on images brought to at most so many a side.
_SIDE = 32
_PART = 512


@dataclass(frozen=True)
class Pair:
    """A generated sample and the training sample next to it. ratio: distance to it over that to unseen real ones."""

    made: int
    train: int
    ratio: float
    distance: float


@dataclass(frozen=True)
class Copying:
    """How near generated samples come to the training data, in one space.

    suspicious: share of generated samples with a ratio as small as the holdout's smallest hundredth. expected: the same
    of held-out real samples. distance_ratio: median distance to the training data, generated over held out.
    held: how many held-out samples calibrated it. pairs: those with the smallest ratios.
    """

    suspicious: float
    expected: float
    distance_ratio: float
    held: int
    pairs: tuple[Pair, ...]

    @property
    def noise(self) -> float:
        """What fresh samples exceed the expected share by once in a hundred evaluations: much, where few are held out.

        The k-th smallest of n ratios cuts off a share of about Gamma(k) / n; this is its 99th percentile, less k / n.
        """
        k = self.expected * self.held
        return float((2.33 * k**0.5 + 1.3) / self.held)


def copying(
    made: torch.Tensor,
    train: torch.Tensor,
    held: torch.Tensor,
    unseen: torch.Tensor,
    mirrored: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> Copying:
    """Screen generated samples `(M, D)` against `train`; all are points of one space.

    held, unseen: two disjoint sets of real samples outside of `train`; `held` calibrates. mirrored: the points of
    `made` and of `held` flipped; mirrored copies are copies too.
    """
    flipped, flipped_held = mirrored or (None, None)
    distance, row = _to_train(made, flipped, train)
    distance_held, _ = _to_train(held, flipped_held, train)
    ratio = _ratio(distance, nearest(made, unseen)[0])
    ratio_held = _ratio(distance_held, nearest(held, unseen)[0])
    limit = torch.quantile(ratio_held, TAIL, interpolation="lower")
    median = float(distance.median()) / max(float(distance_held.median()), 1e-12)
    closest = torch.argsort(ratio, stable=True)[:PAIRS].tolist()
    pairs = tuple(Pair(i, int(row[i]), float(ratio[i]), float(distance[i])) for i in closest)
    return Copying(_share(ratio <= limit), _share(ratio_held <= limit), median, len(held), pairs)


def _to_train(
    points: torch.Tensor, flipped: torch.Tensor | None, train: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    distance, row = nearest(points, train)
    if flipped is None:
        return distance, row
    other, other_row = nearest(flipped, train)
    return torch.minimum(distance, other), torch.where(other < distance, other_row, row)


def _ratio(distance: torch.Tensor, unseen: torch.Tensor) -> torch.Tensor:
    # A sample on top of an unseen real one as well is no sign of copying: 1.
    return torch.where(unseen > 0, distance / unseen.clamp_min(1e-300), (distance > 0).double() + 1)


def _share(flags: torch.Tensor) -> float:
    return float(flags.double().mean())


def pixel_points(images: torch.Tensor) -> torch.Tensor:
    """Return uint8 images `(N, C, H, W)` as points `(N, D)` float32, each side averaged down to at most 32 pixels."""
    height, width = (min(side, _SIDE) for side in images.shape[2:])
    if (height, width) == tuple(images.shape[2:]):
        return images.flatten(1).float()
    # In parts: a set of large images is several times as large in floats.
    parts = torch.split(images, _PART)
    return torch.cat([F.adaptive_avg_pool2d(part.float(), (height, width)).flatten(1) for part in parts])
