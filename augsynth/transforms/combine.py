"""Choice as part of the draw: which transforms run, and in what order, decided per sample."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from augsynth.rng import choose
from augsynth.transforms.base import Array, Composite, Leaf, Standalone, Transform, is_number, named

__all__ = ["OneOf", "RandomApply", "RandomOrder", "SomeOf"]

Transforms = Sequence[Transform] | Mapping[str, Transform]


def _stack(rows: Sequence[Array]) -> Array:
    """Pad rows `[(B, w_i)]` to the widest and stack them to `(B, n, w)`."""
    width = max(row.shape[1] for row in rows)
    result = np.zeros((len(rows[0]), len(rows), width), np.int64)
    for i, row in enumerate(rows):
        result[:, i, : row.shape[1]] = row
    return result


def reorder(rows: Sequence[Array], order: Array) -> Array:
    """Put the rows of each sample into `order (B, n)`, a selection of positions, one after the other."""
    chosen = np.take_along_axis(_stack(rows), order[:, :, None], axis=1)
    return chosen.reshape(len(order), -1)


class _Parts(OrderedDict[str, Transform]):
    """Parts by name, equal only in the same order, because the order decides which one a draw chooses."""

    __repr__ = dict.__repr__


class _Combinator(Composite):
    transforms: Any

    def __post_init__(self) -> None:
        if isinstance(self.transforms, Mapping):
            object.__setattr__(self, "transforms", _Parts(self.transforms))
        object.__setattr__(self, "_parts", named(self.transforms, type(self).__name__))
        if not self.parts():
            raise ValueError(f"{type(self).__name__}: transforms is empty")
        super().__post_init__()

    def parts(self) -> Mapping[str, Transform]:
        return self._parts  # type: ignore[attr-defined,no-any-return]


@dataclass(frozen=True)
class RandomApply(_Combinator):
    """Apply all of `transforms` (a list or a mapping of names), or with probability 1 - p none of them."""

    transforms: Transforms
    p: float = 0.5

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return np.concatenate(rows, axis=1)


@dataclass(frozen=True)
class OneOf(_Combinator):
    """Apply one of `transforms`, with probability p. The chosen one's own `p` still holds.

    weights: odds of each, equal by default.
    """

    transforms: Transforms
    p: float = 1.0
    weights: tuple[float, ...] | None = None

    draws: ClassVar[int] = 1

    def validate(self) -> None:
        weights = self.weights
        if weights is not None and not (
            isinstance(weights, tuple)
            and len(weights) == len(self.parts())
            and all(is_number(w) and w >= 0 for w in weights)
            and sum(weights) > 0
        ):
            self.fail("weights", f"None or {len(self.parts())} numbers >= 0, not all 0")

    def width(self, widths: Sequence[int]) -> int:
        return max(widths)

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return reorder(rows, choose(u, self.weights or [1.0] * len(rows)))


@dataclass(frozen=True)
class SomeOf(_Combinator):
    """Apply n different ones of `transforms` in random order, with probability p."""

    transforms: Transforms
    n: int = 1
    p: float = 1.0

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return len(self.parts())

    def validate(self) -> None:
        if not isinstance(self.n, int) or isinstance(self.n, bool) or not 1 <= self.n <= len(self.parts()):
            self.fail("n", f"an int from 1 to {len(self.parts())}, the number of transforms")

    def width(self, widths: Sequence[int]) -> int:
        return self.n * max(widths)

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return reorder(rows, np.argsort(u, axis=1, kind="stable")[:, : self.n])


@dataclass(frozen=True)
class RandomOrder(_Combinator):
    """Apply all of `transforms` in random order."""

    transforms: Transforms

    @cached_property
    def draws(self) -> int:  # type: ignore[override]
        return len(self.parts())

    def width(self, widths: Sequence[int]) -> int:
        return len(widths) * max(widths)

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        return reorder(rows, np.argsort(u, axis=1, kind="stable"))


class Dealer(Composite):
    """A composite of leaves that draws everything for them from its own uniforms, all of them at once.

    Its leaves read no uniforms, and those that move pixels keep the image's size.
    """

    def deal(self, u: Array, strength: float) -> Array:
        """Return which part stands in each slot `(B, width)`: its position from 1, or 0 for nothing."""
        raise TypeError(f"{type(self).__name__} deals nothing")

    def deal_params(self, part: Array, u: Array, sizes: Array, strength: float) -> Array:
        """Return parameters `(R, k)` of the parts at positions `part (R,)` from 0, one per row of `u` and `sizes`."""
        raise TypeError(f"{type(self).__name__} deals no parameters")


class Mixture(Standalone):
    """A weighted sum of an image and of several chains of leaves over it.

    Targets cannot follow: a pixel of the result comes from several places.
    """

    word: ClassVar[str] = "mix"
    moves: ClassVar[bool] = True
    followed: ClassVar[bool] = False

    def leaves(self) -> Mapping[str, Leaf]:
        """Return what can stand in a chain, by name; all of them keep the image's size."""
        raise TypeError(f"{type(self).__name__} has no leaves")

    def chains(self, params: Array) -> tuple[Array, Array, Array]:
        """Read parameters `(R, params)`.

        Returns the weights `(R, 1 + chains)`, the image's first; the position of each leaf, `(R, chains, depth)`, from
        1, 0 for nothing; and the leaves' parameters `(R, chains, depth, k)`.
        """
        raise TypeError(f"{type(self).__name__} has no chains")
