"""Good arguments, bad ones, and what drawn parameters must satisfy; merged by `tests/examples.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from checks import INTERPOLATION, inside, whole

_FILL = ["red", -1.0, (), float("nan"), (0.0, "x")]  # None means black
_BINS = [1, 0, 2.5, None, True, "x"]
_ANY_FILL = {"interpolation": INTERPOLATION, "fill": _FILL}

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "RandAugment": [
        {},
        {"num_ops": 3, "magnitude": 24, "interpolation": "bilinear", "fill": 0.4},
        {"num_ops": 1, "magnitude": 4, "num_magnitude_bins": 5},
    ],
    "TrivialAugmentWide": [{}, {"num_magnitude_bins": 7, "interpolation": "bilinear", "fill": 0.6}],
    "AutoAugment": [{}, {"policy": "cifar10", "fill": 0.5}, {"policy": "svhn", "interpolation": "bilinear"}],
    "AugMix": [
        {},
        {"severity": 8, "mixture_width": 2, "chain_depth": 2, "alpha": 0.4, "interpolation": "bicubic", "fill": 0.3},
        {"mixture_width": 1, "chain_depth": 1, "alpha": 3.0, "all_ops": False},
    ],
}
BAD: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "RandAugment": (
        {},
        {"num_ops": [-1, 1.5, None, True], "magnitude": [-1, 31, 2.5, None], "num_magnitude_bins": _BINS, **_ANY_FILL},
    ),
    "TrivialAugmentWide": ({}, {"num_magnitude_bins": _BINS, **_ANY_FILL}),
    "AutoAugment": ({}, {"policy": ["mnist", None, 3], **_ANY_FILL}),
    "AugMix": (
        {},
        {
            "severity": [0, 11, 2.5, None],
            "mixture_width": [0, 1.5, None],
            "chain_depth": [0, -2, 1.5, None],
            "alpha": [0.0, -1.0, "x", None],
            **_ANY_FILL,
        },
    ),
}


def _check_move(t, params, sizes):
    assert ((params != 0).sum(1) <= 1).all()
    inside(-0.990001, params[:, :2], 0.990001)
    reach = np.maximum(sizes[:, ::-1] * 150 / 331, 32)
    inside(-reach, params[:, 2:4], reach)
    whole(params[:, 2:4])
    inside(-135, params[:, 4], 135)


def _check_sharpness(t, params, sizes):
    inside(t.factor, params[:, 0], 2 - t.factor)


def _check_posterize(t, params, sizes):
    inside(t.bits, params[:, 0], 8)
    whole(params)


def _check_solarize(t, params, sizes):
    inside(t.threshold, params[:, 0], 256 / 255)


def _check_aug_mix(t, params, sizes):
    weights, ops, numbers = t.chains(params)
    inside(0, weights, 1)
    assert np.allclose(weights.sum(1), 1)
    depth = (ops > 0).sum(2)
    inside(*((1, depth, 3) if t.chain_depth < 0 else (t.chain_depth, depth, t.chain_depth)))
    assert set(ops.ravel().tolist()) - {0} == set(range(1, 1 + len(t.leaves())))
    # A chain has no gaps.
    assert np.array_equal(ops > 0, np.arange(ops.shape[2]) < depth[:, :, None])
    for code, leaf in enumerate(t.leaves().values(), 1):
        sample, chain, slot = (ops == code).nonzero()
        found = numbers[sample, chain, slot, : leaf.params]
        if leaf.params and type(leaf).__name__ in RANGES:
            RANGES[type(leaf).__name__](leaf, found, sizes[sample])


RANGES: dict[str, Callable[..., None]] = {
    "Move": _check_move,
    "Sharpness": _check_sharpness,
    "Posterize": _check_posterize,
    "Solarize": _check_solarize,
    "AugMix": _check_aug_mix,
}
UNCHECKED: set[str] = {"all_ops"}  # fields of which any value is taken
