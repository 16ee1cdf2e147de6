"""`blend` and `balance` take a generator whose present weights have passed an evaluation, and no other."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import CLASSES, HOLDOUT, SHAPE, TRAIN, Collapsed, Ideal
from torch.utils.data import TensorDataset

import augsynth as ag
from augsynth.generators import LatentSMOTE, fit, load
from augsynth.quality import Gate, evaluate
from augsynth.verdict import GateError, Verdict, checkpoint_of, record

REAL = TensorDataset(TRAIN[0][:20], TRAIN[1][:20])
PASSED, FAILED = Verdict(True), Verdict(False, ("coverage 0.1 is below 0.3", "FD 9 is above 2"))
MIX: dict[str, Callable[..., Any]] = {"blend": ag.blend, "balance": ag.balance}
both = pytest.mark.parametrize("name", MIX)


def judged(verdict: Verdict) -> Ideal:
    generator = Ideal()
    record(generator, verdict)
    return generator


@both
def test_a_generator_that_was_never_evaluated_is_refused(name: str) -> None:
    advice = rf"{name}: this Ideal was never evaluated: run augsynth\.quality\.evaluate\(.*\) first, or pass gate=None"
    with pytest.raises(GateError, match=advice):
        MIX[name](REAL, Ideal())


@both
def test_a_generator_that_failed_is_refused_with_its_reasons(name: str) -> None:
    with pytest.raises(GateError, match=r"coverage 0\.1 is below 0\.3; FD 9 is above 2\. Train a better one, or"):
        MIX[name](REAL, judged(FAILED))


@both
def test_a_generator_that_passed_is_mixed_in_and_gate_none_takes_any(name: str) -> None:
    assert MIX[name](REAL, judged(PASSED)).synthetic.any()
    assert MIX[name](REAL, judged(FAILED), gate=None).synthetic.any()
    assert MIX[name](REAL, Ideal(), gate=None).synthetic.any()


@both
@pytest.mark.parametrize("gate", ["Passed", False, Gate()])
def test_another_gate_is_an_error(name: str, gate: Any) -> None:
    with pytest.raises(ValueError, match=f'{name}: gate=.* must be "passed", or None'):
        MIX[name](REAL, judged(PASSED), gate=gate)


def test_the_verdict_is_that_of_the_evaluation() -> None:
    good, bad = Ideal(), Collapsed()
    for generator in (good, bad):
        report = evaluate(generator, TRAIN, HOLDOUT, steps=60, repeats=0)
        assert generator.verdict == Verdict(report.passed, report.reasons)  # type: ignore[union-attr]
    ag.blend(REAL, good)
    with pytest.raises(GateError, match=r"this Collapsed failed its evaluation: coverage\(cnn@"):
        ag.blend(REAL, bad)


@pytest.fixture
def smote() -> LatentSMOTE:
    return fit(LatentSMOTE(SHAPE, CLASSES, latent_dim=4, width=4), TRAIN, max_images=64)


def test_a_retrained_generator_needs_a_new_evaluation(smote: LatentSMOTE) -> None:
    gate = Gate(label_agreement=None, worst_class=None, coverage=None, copies=None, usefulness=None)
    report = evaluate(smote, TRAIN, HOLDOUT, gate=gate, steps=2, repeats=0)
    assert report.checkpoint == smote.checkpoint_hash()
    ag.blend(REAL, smote)
    fit(smote, TRAIN, max_images=96)
    with pytest.raises(GateError, match="this LatentSMOTE has other weights than when it was evaluated: run"):
        ag.blend(REAL, smote)


@pytest.mark.parametrize("verdict", [True, False])
def test_a_verdict_survives_saving_copying_and_pickling(smote: LatentSMOTE, tmp_path: Path, verdict: bool) -> None:
    record(smote, Verdict(verdict, () if verdict else ("why",), smote.checkpoint_hash()))
    smote.save(tmp_path / "smote.ckpt")
    for again in (load(tmp_path / "smote.ckpt"), copy.deepcopy(smote), pickle.loads(pickle.dumps(smote))):
        assert again.verdict == smote.verdict
        if verdict:
            ag.blend(REAL, again)


def test_a_checkpoint_without_a_verdict_loads_and_is_refused(smote: LatentSMOTE, tmp_path: Path) -> None:
    smote.save(tmp_path / "smote.ckpt")
    assert "verdict" not in torch.load(tmp_path / "smote.ckpt", weights_only=True)
    with pytest.raises(GateError, match="never evaluated"):
        ag.blend(REAL, load(tmp_path / "smote.ckpt"))


def test_a_verdict_of_other_weights_in_a_file_is_refused(smote: LatentSMOTE, tmp_path: Path) -> None:
    record(smote, Verdict(True, (), "0" * 16))
    smote.save(tmp_path / "smote.ckpt")
    with pytest.raises(GateError, match="other weights"):
        ag.blend(REAL, load(tmp_path / "smote.ckpt"))


class Network(Ideal, torch.nn.Linear):
    def __init__(self) -> None:
        torch.nn.Linear.__init__(self, 2, 2)


def test_the_weights_of_any_module_are_watched() -> None:
    network = Network()
    record(network, Verdict(True, (), checkpoint_of(network)))
    ag.blend(REAL, network)
    with torch.no_grad():
        network.bias.add_(1)
    with pytest.raises(GateError, match="other weights"):
        ag.blend(REAL, network)


@dataclass(frozen=True)
class Frozen(Ideal):
    level: int = 0


def test_a_frozen_dataclass_keeps_its_verdict() -> None:
    generator = Frozen()
    record(generator, PASSED)
    ag.blend(REAL, generator)
