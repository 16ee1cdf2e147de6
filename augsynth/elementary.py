"""Sines, logarithms and small matrix products that have the same bits on every machine and in the compiled kernel.

numpy leaves these to whatever the processor and its libraries offer, whose last bits differ. Only sums, products,
quotients and roots of float64 are used here, each rounded as IEEE 754 says, in the order in which
`native/elementary.h` does the same.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

Array = np.ndarray

RADIAN = float(np.pi / 180)
# ln 2 in two parts: the first has 32 bits, so that a whole number of it is exact.
_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_HALF_ROOT = float.fromhex("0x1.6a09e667f3bcdp-1")
# Taylor series on intervals where their rest is below half a unit in the last place.
_SINE = [(-1) ** k / factorial(2 * k + 1) for k in range(8)]
_COSINE = [(-1) ** k / factorial(2 * k) for k in range(9)]
_EXP = [1 / factorial(k) for k in range(14)]
_LOG = [1 / (2 * k + 1) for k in range(12)]


def _series(coefficients: list[float], x: Array) -> Array:
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def cos_sin(degrees: Any) -> tuple[Array, Array]:
    """Return cosine and sine of angles in degrees; at quarter turns they are exactly 0, 1 or -1."""
    degrees = np.asarray(degrees, np.float64)
    turns = np.rint(degrees / 90.0)
    rest = (degrees - 90.0 * turns) * RADIAN
    square = rest * rest
    cos, sin = _series(_COSINE, square), rest * _series(_SINE, square)
    quarter = turns - 4.0 * np.floor(turns / 4.0)
    odd = (quarter == 1.0) | (quarter == 3.0)
    cos, sin = np.where(odd, sin, cos), np.where(odd, cos, sin)
    # A quarter turn takes (cos, sin) to (-sin, cos).
    return np.where((quarter == 1.0) | (quarter == 2.0), -cos, cos), np.where(quarter >= 2.0, -sin, sin)


def exp(x: Any) -> Array:
    """Return e to the power of x, for x from -700 to 700."""
    x = np.asarray(x, np.float64)
    power = np.rint(x * _LOG2_E)
    rest = (x - power * _LN2_HIGH) - power * _LN2_LOW
    return np.asarray(np.ldexp(_series(_EXP, rest), power.astype(np.int32)))


def log(x: Any) -> Array:
    """Return the natural logarithm of normal positive numbers."""
    part, power = np.frexp(np.asarray(x, np.float64))
    small = part < _HALF_ROOT
    part, power = np.where(small, part * 2.0, part), power - small
    ratio = (part - 1.0) / (part + 1.0)
    square = ratio * ratio
    return np.asarray(power * _LN2_HIGH + (2.0 * ratio * _series(_LOG, square) + power * _LN2_LOW))


def product(a: Array, b: Array) -> Array:
    """Multiply stacks of matrices `(..., n, 3)` and `(..., 3, m)`."""
    return np.asarray(
        a[..., :, 0:1] * b[..., 0:1, :] + a[..., :, 1:2] * b[..., 1:2, :] + a[..., :, 2:3] * b[..., 2:3, :]
    )
