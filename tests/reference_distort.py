"""Float64 formulas of the distortions: the source point of every output pixel; merged by `tests/reference.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from reference_geometry import fold, read
from reference_steps import ColorStep, Step

RANK = {"nearest": 0, "bilinear": 1, "bicubic": 2}


def philox(counter, key):
    """Philox4x32-10 in Python integers, from its paper (doi:10.1145/2063384.2063405)."""
    (a, b, c, d), (k, m) = counter, key
    for turn in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        round_k, round_m = (k + turn * 0x9E3779B9) % 2**32, (m + turn * 0xBB67AE85) % 2**32
        a, b, c, d = right // 2**32 ^ b ^ round_k, right % 2**32, left // 2**32 ^ d ^ round_m, left % 2**32
    return a, b, c, d


def uniforms(words, count):
    """Return `(count,)` numbers: 16 bits each, the low half of a word first, the first word of every block first."""
    key = tuple(int(word) for word in words)
    blocks = [philox((number, 0, 0, 0), key) for number in range(-(-count // 8))]
    by_word = np.array(blocks).T.reshape(-1)
    halves = np.stack([by_word % 65536, by_word // 65536], 1).reshape(-1)
    return (halves[:count] + 0.5) / 65536


def _centres(size):
    return np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)


def _blur(n, sigma, reach):
    """Return `(n, n)`: a Gaussian cut off at `reach` pixels, over an axis that is mirrored at its outermost pixels."""
    taps = np.arange(-reach, reach + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    matrix = np.zeros((n, n))
    for i in range(n):
        np.add.at(matrix[i], fold(i + taps, n, "reflect"), weights / weights.sum())
    return matrix


def elastic(t, params, size):
    h, w = size
    sigma = t.sigma if isinstance(t.sigma, tuple) else (t.sigma, t.sigma)
    noise = 2 * uniforms(params[:2], 2 * h * w).reshape(2, h, w) - 1
    moves = []
    for axis in range(2):
        plane = noise[axis]
        if sigma != (0, 0):
            reach = int(8 * sigma[axis] + 1) // 2
            plane = _blur(h, sigma[1], reach) @ plane @ _blur(w, sigma[0], reach).T
        moves.append(params[2 + axis] / 2 * plane)
    x, y = _centres(size)
    return x + moves[0], y + moves[1]


def grid(t, params, size):
    axes = []
    for factors, n in ((params[: t.num_steps], size[1]), (params[t.num_steps :], size[0])):
        ends = np.concatenate([[0], np.cumsum(factors)]) * n / t.num_steps
        ends = ends * n / ends[-1] if t.normalized else ends
        axes.append(np.interp(np.arange(n) + 0.5, np.linspace(0, n, t.num_steps + 1), ends))
    return np.meshgrid(*axes)


def optical(t, params, size):
    h, w = size
    x, y = _centres(size)
    if t.mode == "camera":
        radius = np.hypot((x - w / 2) / w, (y - h / 2) / h)
        factor = 1 + params[0] * radius**2 + params[0] * radius**4
    else:
        factor = 1 + params[0] * (np.hypot(x - w / 2, y - h / 2) / np.hypot(w / 2, h / 2)) ** 2
    return w / 2 + (x - w / 2) * factor, h / 2 + (y - h / 2) * factor


def spline(t, params, size):
    """Solve the interpolation problem of thin plates for the drawn moves, and evaluate it at every pixel."""
    n = t.num_control_points
    points = np.array([[x, y] for y in np.linspace(0, 1, n) for x in np.linspace(0, 1, n)])
    if n == 2:
        points = np.vstack([points, [0.5, 0.5]])
    moves = params.reshape(2, -1).T
    x, y = _centres(size)
    at = np.stack([x / size[1], y / size[0]], -1).reshape(-1, 2)
    system = np.block(
        [[_plate(points, points), _plane(points)], [_plane(points).T, np.zeros((3, 3))]],
    )
    weights = np.linalg.solve(system, np.vstack([moves, np.zeros((3, 2))]))
    found = at + _plate(at, points) @ weights[:-3] + _plane(at) @ weights[-3:]
    return found[:, 0].reshape(size) * size[1], found[:, 1].reshape(size) * size[0]


def _plate(at, points):
    radius = np.hypot(at[:, :1] - points[:, 0], at[:, 1:] - points[:, 1])
    return np.where(radius > 0, 2 * radius**2 * np.log(np.maximum(radius, 1e-300)), 0.0)


def _plane(at):
    return np.column_stack([np.ones(len(at)), at])


def piecewise(t, params, size):
    """Find each pixel's triangle, and carry its barycentric coordinates over to the moved nodes."""
    nodes = params.reshape(2, t.nb_rows, t.nb_cols).transpose(1, 2, 0)
    x, y = _centres(size)
    across, down = x * (t.nb_cols - 1) / size[1], y * (t.nb_rows - 1) / size[0]
    i, j = np.minimum(across.astype(int), t.nb_cols - 2), np.minimum(down.astype(int), t.nb_rows - 2)
    u, v = across - i, down - j
    near = (u + v <= 1)[..., None]
    corner = np.where(near, nodes[j, i], nodes[j + 1, i + 1])
    beside = np.where(near, nodes[j, i + 1], nodes[j + 1, i])
    below = np.where(near, nodes[j + 1, i], nodes[j, i + 1])
    first, second = np.where(near[..., 0], u, 1 - u)[..., None], np.where(near[..., 0], v, 1 - v)[..., None]
    found = (1 - first - second) * corner + first * beside + second * below
    return found[..., 0], found[..., 1]


SOURCES = {
    "ElasticTransform": elastic,
    "GridDistortion": grid,
    "OpticalDistortion": optical,
    "ThinPlateSpline": spline,
    "PiecewiseAffine": piecewise,
}


def _apply(source):
    def apply(t, params, pixels, white):
        x, y = source(t, params, pixels.shape[:2])
        fill = np.broadcast_to(np.array(t.fill, np.float64), pixels.shape[2:])
        rank = RANK[t.interpolation]
        result = read(pixels, x, y, rank, getattr(t, "padding_mode", "constant"), fill)
        return np.clip(result, 0, white) if rank == 2 else result

    return apply


def _gain(t, params):
    return 1.6 if t.interpolation == "bicubic" else 1.0


# Coordinates are float32: 1e-5 pixels of an image of noise are 0.003 of its range of 255.
ERROR = {"opencv uint8": 0.53, "opencv float": 0.03, "torch": 0.03}
STEPS: dict[str, Step] = {name: Step(_apply(source), ERROR, _gain) for name, source in SOURCES.items()}
COLORS: dict[str, ColorStep] = {}
PLACES: dict[str, Callable[..., Any]] = {}
