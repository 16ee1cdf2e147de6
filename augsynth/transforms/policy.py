"""Automatic policies: RandAugment, TrivialAugment, AutoAugment and AugMix, drawn per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augsynth.transforms.base import (
    Array,
    Border,
    Composite,
    Geometric,
    Leaf,
    Transform,
    check_fill,
    check_interpolation,
    is_number,
)
from augsynth.transforms.color import Brightness, Contrast, Saturation
from augsynth.transforms.combine import Dealer, Mixture
from augsynth.transforms.policy_tables import (
    AUG_MIX,
    AUG_MIX_PARTIAL,
    AUTO_AUGMENT,
    AUTO_AUGMENT_LEVELS,
    FACTORS,
    MOVES,
    POLICIES,
    RAND_AUGMENT,
    TRIVIAL_AUGMENT,
    Space,
    sub_policies,
)
from augsynth.transforms.sharpen import Sharpness
from augsynth.transforms.tone import Autocontrast, Equalize, Invert, Posterize, Solarize

__all__ = ["AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"]

Fill = float | tuple[float, ...] | None
_FACTOR_LEAVES = {"brightness": Brightness, "color": Saturation, "contrast": Contrast}
_PLAIN_LEAVES = {"autocontrast": Autocontrast, "equalize": Equalize, "invert": Invert}
_BINS = "an int of at least 2"


@dataclass(frozen=True)
class Move(Geometric):
    """Shear about the top left corner, shift, or turn about the middle; one of them at a time.

    Parameters: slope of x, slope of y, shift right, shift down (pixels), angle (degrees, counter-clockwise).
    """

    interpolation: str = "nearest"
    fill: Fill = None

    params: ClassVar[int] = len(MOVES)
    may_stay_inside: ClassVar[bool] = True

    @cached_property
    def border(self) -> Border:
        return Border("constant", _check_fill(self))

    def looks_outside(self, params: Array, sizes: Array) -> Array:
        return np.asarray((params != 0).any(1))

    def matrix(self, params: Array, sizes: Array) -> Array:
        slope_x, slope_y, right, down, degrees = params.T
        angle = np.deg2rad(degrees)
        cos, sin = np.cos(angle), np.sin(angle)
        middle_y, middle_x = sizes.T / 2.0
        result = np.zeros((len(params), 3, 3))
        result[:, 0, 0] = result[:, 1, 1] = cos
        result[:, 0, 1], result[:, 1, 0] = slope_x - sin, slope_y + sin
        result[:, 0, 2] = (1 - cos) * middle_x + sin * middle_y - right
        result[:, 1, 2] = (1 - cos) * middle_y - sin * middle_x - down
        result[:, 2, 2] = 1.0
        return result


def _check_fill(transform: Transform) -> tuple[float, ...]:
    """Read a fill; None means black, as in torchvision."""
    return (0.0,) if getattr(transform, "fill") is None else check_fill(transform)  # noqa: B009


def _check_int(transform: Transform, field: str, low: int, high: float, allowed: str) -> None:
    value = getattr(transform, field)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        transform.fail(field, allowed)


def _leaf(space: Space, op: str, values: Array, move: Move) -> Leaf:
    """Return the leaf of one operation, told the strongest of the values that it can be given."""
    if op in MOVES:
        return move
    if op in FACTORS:
        high = float(values.max())
        low = 2.0 - high
        return Sharpness(low) if op == "sharpness" else _FACTOR_LEAVES[op](low, high)
    if op in _PLAIN_LEAVES:
        return _PLAIN_LEAVES[op]()
    return Posterize(int(values.min())) if op == "posterize" else Solarize(float(values.min()))


def _leaves(space: Space, bins: int, levels: range, move: Move) -> dict[str, Leaf]:
    return {op: _leaf(space, op, space.values(op, bins)[levels.start : levels.stop], move) for op in space.ops}


def _choose(space: Space, bins: int, u: Array, coin: Array, strength: float) -> Array:
    """Choose operations by uniforms of any shape: their positions from 1, 0 for nothing.

    What has no magnitude is applied with probability `strength`, by another uniform, `coin`.
    """
    count = len(space.ops)
    op = np.asarray(u * (count + space.identity)).astype(np.int64) + 1
    op[op > count] = 0
    if strength < 1:
        plain = np.concatenate([[False], space.scale(bins).plain])
        op[plain[op] & (coin >= strength)] = 0
    return op


class _Pick(Dealer):
    """Apply one operation of a space, each with the same probability, at a level from a range."""

    interpolation: str
    fill: Fill
    draws: ClassVar[int] = 3

    @property
    def picks(self) -> tuple[Space, int, range]:
        """The space, its number of levels, and the levels that are drawn from."""
        raise TypeError(f"{type(self).__name__} picks from nothing")

    @cached_property
    def _parts(self) -> dict[str, Leaf]:
        return _leaves(*self.picks, Move(self.interpolation, self.fill))

    def parts(self) -> Mapping[str, Transform]:
        return self._parts

    def width(self, widths: Sequence[int]) -> int:
        return 1

    def deal(self, u: Array, strength: float) -> Array:
        space, bins, _ = self.picks
        return _choose(space, bins, u[:, :1], u[:, 1:2], strength)

    def deal_params(self, part: Array, u: Array, sizes: Array, strength: float) -> Array:
        space, bins, levels = self.picks
        level = levels.start + (u[:, 1] * len(levels)).astype(np.int64)
        return space.scale(bins).params(part, level, u[:, 2] < 0.5, sizes, strength)


@dataclass(frozen=True)
class _RandomOperation(_Pick):
    """One of RandAugment's operations."""

    magnitude: int
    bins: int
    interpolation: str
    fill: Fill

    @property
    def picks(self) -> tuple[Space, int, range]:
        return RAND_AUGMENT, self.bins, range(self.magnitude, self.magnitude + 1)


@dataclass(frozen=True)
class RandAugment(Composite):
    """Apply `num_ops` operations, each drawn from fourteen, at one magnitude. Source: arXiv:1909.13719.

    magnitude: 0 to num_magnitude_bins - 1; its sign is random where it has one. fill: in image space, None for black.
    """

    num_ops: int = 2
    magnitude: int = 9
    num_magnitude_bins: int = 31
    interpolation: str = "nearest"
    fill: Fill = None

    def validate(self) -> None:
        _check_int(self, "num_ops", 0, np.inf, "an int >= 0")
        _check_int(self, "num_magnitude_bins", 2, np.inf, _BINS)
        most = self.num_magnitude_bins - 1
        _check_int(self, "magnitude", 0, most, f"an int from 0 to {most}, num_magnitude_bins - 1")
        check_interpolation(self)
        _check_fill(self)

    def parts(self) -> Mapping[str, Transform]:
        one = _RandomOperation(self.magnitude, self.num_magnitude_bins, self.interpolation, self.fill)
        return {f"op_{i + 1}": one for i in range(self.num_ops)}

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return np.concatenate(rows, axis=1) if rows else np.zeros((len(u), 0), np.int64)


@dataclass(frozen=True)
class TrivialAugmentWide(_Pick):
    """Apply one of fourteen operations at a random magnitude. Source: arXiv:2103.10158.

    num_magnitude_bins: how many magnitudes there are. fill: in image space, None for black.
    """

    num_magnitude_bins: int = 31
    interpolation: str = "nearest"
    fill: Fill = None

    def validate(self) -> None:
        _check_int(self, "num_magnitude_bins", 2, np.inf, _BINS)
        check_interpolation(self)
        _check_fill(self)

    @property
    def picks(self) -> tuple[Space, int, range]:
        return TRIVIAL_AUGMENT, self.num_magnitude_bins, range(self.num_magnitude_bins)


@dataclass(frozen=True)
class AutoAugment(Dealer):
    """Apply one of 25 learned pairs of operations, each operation with its own probability. Source: arXiv:1805.09501.

    policy: imagenet, cifar10 or svhn, what the pairs were learned on. fill: in image space, None for black.
    """

    policy: str = "imagenet"
    interpolation: str = "nearest"
    fill: Fill = None

    draws: ClassVar[int] = 4

    def validate(self) -> None:
        if type(self.policy).__name__ == "AutoAugmentPolicy":
            object.__setattr__(self, "policy", self.policy.value)  # type: ignore[attr-defined]
        if self.policy not in POLICIES:
            self.fail("policy", "one of " + ", ".join(POLICIES))
        check_interpolation(self)
        _check_fill(self)

    @cached_property
    def _used(self) -> list[tuple[int, str]]:
        """Which operations occur as the first and as the second of a pair, in order: (0 or 1, operation)."""
        pairs = sub_policies(self.policy)
        return [(i, op) for i in (0, 1) for op in AUTO_AUGMENT.ops if any(pair[i][0] == op for pair in pairs)]

    @cached_property
    def _tables(self) -> tuple[Array, Array, Array, Array]:
        """Return the probability, part (from 1) and level of each pair's operations, `(25, 2)`, and each part's op."""
        pairs = sub_policies(self.policy)
        parts = [[self._used.index((i, pair[i][0])) + 1 for i in (0, 1)] for pair in pairs]
        ops = [AUTO_AUGMENT.ops.index(op) for _, op in self._used]
        numbers = np.array([[step[1:] for step in pair] for pair in pairs])
        return numbers[:, :, 0], np.array(parts), numbers[:, :, 1].astype(np.int64), np.array(ops)

    @cached_property
    def _parts(self) -> dict[str, Leaf]:
        levels = range(AUTO_AUGMENT_LEVELS)
        leaves = _leaves(AUTO_AUGMENT, AUTO_AUGMENT_LEVELS, levels, Move(self.interpolation, self.fill))
        return {f"{('first', 'second')[i]}_{op}": leaves[op] for i, op in self._used}

    def parts(self) -> Mapping[str, Transform]:
        return self._parts

    def width(self, widths: Sequence[int]) -> int:
        return 2

    def deal(self, u: Array, strength: float) -> Array:
        p, parts, _, _ = self._tables
        pair = (u[:, 0] * len(p)).astype(np.int64)
        return np.where(u[:, 1:3] < p[pair] * strength, parts[pair], 0)

    def deal_params(self, part: Array, u: Array, sizes: Array, strength: float) -> Array:
        p, _, levels, ops = self._tables
        pair = (u[:, 0] * len(p)).astype(np.int64)
        second = part >= sum(i == 0 for i, _ in self._used)
        # The first bit of one uniform is the first operation's sign, the next bit the second's.
        sign = np.where(second, u[:, 3] * 2 % 1, u[:, 3]) < 0.5
        level = levels[pair, second.astype(np.int64)]
        return AUTO_AUGMENT.scale(AUTO_AUGMENT_LEVELS).params(ops[part], level, sign, sizes, strength)


@dataclass(frozen=True)
class AugMix(Mixture):
    """Mix the image with a random sum of chains of random operations over it. Source: arXiv:1912.02781.

    severity: 1 to 10, the levels drawn from. mixture_width: chains. chain_depth: operations in each, -1 for 1 to 3.
    alpha: of the Dirichlet and Beta weights. all_ops: also brightness, colour, contrast and sharpness. fill: None for
    black. `strength` scales the magnitudes and the weight of the sum. Masks, boxes and keypoints cannot follow.
    """

    severity: int = 3
    mixture_width: int = 3
    chain_depth: int = -1
    alpha: float = 1.0
    all_ops: bool = True
    interpolation: str = "bilinear"
    fill: Fill = None

    channels: ClassVar[tuple[int, ...]] = (1, 3)
    bins: ClassVar[int] = 10

    def validate(self) -> None:
        _check_int(self, "severity", 1, self.bins, f"an int from 1 to {self.bins}")
        _check_int(self, "mixture_width", 1, np.inf, "an int >= 1")
        if self.chain_depth != -1:
            _check_int(self, "chain_depth", 1, np.inf, "an int >= 1, or -1 for 1 to 3 at random")
        if not (is_number(self.alpha) and self.alpha > 0):
            self.fail("alpha", "a number above 0")
        check_interpolation(self)
        _check_fill(self)

    @property
    def constant(self) -> tuple[float, ...]:
        return _check_fill(self)

    @property
    def _space(self) -> Space:
        return AUG_MIX if self.all_ops else AUG_MIX_PARTIAL

    @property
    def _slots(self) -> tuple[int, int]:
        return self.mixture_width, self.chain_depth if self.chain_depth > 0 else 3

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        width, depth = self._slots
        return 2 + 2 * width + 3 * width * depth

    @cached_property
    def params(self) -> int:  # type: ignore[override]
        width, depth = self._slots
        return 1 + width + (1 + len(MOVES)) * width * depth

    def leaves(self) -> Mapping[str, Leaf]:
        return _leaves(self._space, self.bins, range(self.severity), Move(self.interpolation, self.fill))

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return the weights of image and chains, the operation in each slot, and each slot's parameters."""
        (width, depth), count = self._slots, len(u)
        share = _dirichlet(u[:, :2], self.alpha)[:, 1:] * strength
        weights = np.concatenate([1 - share, share * _dirichlet(u[:, 2 : 2 + width], self.alpha)], axis=1)
        lengths = 1 + (3 * u[:, 2 + width : 2 + 2 * width]).astype(np.int64)
        choice, level, sign = np.moveaxis(u[:, 2 + 2 * width :].reshape(count, width, depth, 3), 3, 0)
        op = _choose(self._space, self.bins, choice, level, strength)
        if self.chain_depth < 0:
            op[np.arange(depth) >= lengths[:, :, None]] = 0
        at, which = (op > 0).reshape(-1), np.repeat(np.arange(count), width * depth)
        numbers = np.zeros((count * width * depth, len(MOVES)))
        levels = (level * self.severity).astype(np.int64).reshape(-1)[at]
        drawn = op.reshape(-1)[at] - 1, levels, sign.reshape(-1)[at] < 0.5, sizes[which[at]], strength
        numbers[at] = self._space.scale(self.bins).params(*drawn)
        return np.concatenate([weights, op.reshape(count, -1), numbers.reshape(count, -1)], axis=1)

    def chains(self, params: Array) -> tuple[Array, Array, Array]:
        (width, depth), count = self._slots, len(params)
        weights, ops, numbers = np.split(params, [1 + width, 1 + width + width * depth], axis=1)
        shape = count, width, depth
        return weights, ops.astype(np.int64).reshape(shape), numbers.reshape(*shape, len(MOVES))


def _dirichlet(u: Array, alpha: float) -> Array:
    """Turn uniforms `(B, n)` into weights `(B, n)` of a symmetric Dirichlet distribution, which sum to 1.

    They are gamma variables by the inverse of their distribution, divided by their sum; in logarithms, since for a
    small alpha almost all of them are below what a float can hold.
    """
    u = u + 2.0**-25  # the middle of each draw's interval, so that none is 0
    if alpha == 1:
        logs = np.log(-np.log1p(-u))
    else:
        from scipy.special import gammaincinv, gammaln

        x = gammaincinv(alpha, u)
        tiny = (np.log(u) + gammaln(alpha + 1)) / alpha
        logs = np.where(x > 1e-300, np.log(np.maximum(x, 1e-300)), tiny)
    weights: Any = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))
