"""AugMix against torchvision: its chains, its weights, and how it runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
from scipy import stats
from test_policy import SIZE, THEIRS, draw, likely, over_engines, photo

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.fuse import fuse
from augsynth.runs import Mixed
from augsynth.transforms.policy import _dirichlet
from augsynth.transforms.policy_tables import (
    AUG_MIX_PARTIAL,
    MOVES,
)


@over_engines
@pytest.mark.parametrize("depth", [1, 3])
def test_aug_mix_mixes_torchvisions_chains(engine, depth):
    transform = T.AugMix(severity=6, chain_depth=depth, all_ops=False, interpolation="nearest")
    pipeline, image = Pipeline([transform], seed=7, engine=engine, dtype=torch.float32), photo()
    program = pipeline.draw([SIZE] * 24, index=range(24))
    weights, ops, numbers = transform.chains(program.params[:, 0])
    out = pipeline(torch.stack([image] * 24), index=range(24)) * 255
    shares = []
    for i in range(24):
        expected = weights[i, 0] * image.double()
        for chain in range(3):
            done = image
            for slot in range(depth):
                op = AUG_MIX_PARTIAL.ops[ops[i, chain, slot] - 1]
                done = v2.AugMix()._apply_image_or_video_transform(
                    done, THEIRS[op], _magnitude(op, numbers[i, chain, slot]), "nearest", {}
                )
            expected = expected + weights[i, 1 + chain] * done
        shares.append(((out[i] - expected).abs() > 0.01).double().mean().item())
    # A tie of nearest neighbours falls either way, and can move the levels that are equalized after it.
    assert np.mean(shares) < 0.15
    assert min(shares) == 0


def _magnitude(op, numbers):
    if op in MOVES:
        return float(numbers[MOVES.index(op)])
    return float(numbers[0])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.5])
def test_the_weights_of_aug_mix_are_dirichlet_distributed(alpha):
    weights, _, _ = T.AugMix(alpha=alpha).chains(draw(T.AugMix(alpha=alpha), 8000).params[:, 0])
    assert np.allclose(weights.sum(1), 1)
    assert stats.kstest(weights[:, 0], stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    for chain in (1, 2, 3):
        share = weights[:, chain] / weights[:, 1:].sum(1)
        assert stats.kstest(share, stats.beta(alpha, 2 * alpha).cdf).pvalue > 1e-3


def test_weights_of_a_tiny_alpha_are_one_and_zeros():
    weights = _dirichlet(np.random.default_rng(0).random((200, 3)), 1e-4)
    assert np.isfinite(weights).all()
    assert (weights.max(1) > 0.999).mean() > 0.98
    assert likely(np.bincount(weights.argmax(1), minlength=3))


def test_the_chains_of_aug_mix_are_one_to_three_operations_long():
    _, ops, _ = T.AugMix().chains(draw(T.AugMix(), 8000).params[:, 0])
    lengths = (ops > 0).sum(2)
    assert likely(np.unique(lengths, return_counts=True)[1])
    assert likely(np.unique(ops[ops > 0], return_counts=True)[1])


def test_aug_mix_is_one_run_and_its_chains_have_runs_of_their_own():
    runs = fuse(draw(T.AugMix(), 8), exact_color=True)
    assert [type(run) for run in runs] == [Mixed]
    assert len(runs[0].runs) > 3
    assert runs[0].weights.shape == (8, 4)


def test_nothing_can_follow_what_aug_mix_does():
    assert (T.AugMix.moves, T.AugMix.followed) == (True, False)
    sample = {"image": photo(), "mask": torch.zeros(SIZE, dtype=torch.uint8)}
    with pytest.raises((TypeError, ValueError), match=r"(?i)augmix|aug_mix"):
        Pipeline([T.AugMix()])(sample, index=0)
