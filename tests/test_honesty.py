"""benchmarks/honesty.py: its stand-ins are what they claim, and the whole of it as a slow test."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from augsynth.quality.samples import Labelled
from augsynth.rng import Rng

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "honesty.py"


@pytest.fixture(scope="module")
def honesty():
    spec = importlib.util.spec_from_file_location("honesty", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["honesty"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["honesty"]


def samples():
    pixels = (Rng.of(0, np.arange(12)).uniform("pixels", 64) * 256).astype(np.uint8)
    return Labelled(torch.from_numpy(pixels).reshape(12, 1, 8, 8), torch.arange(12) % 3, np.arange(12))


def test_copies_are_training_samples_of_the_right_class(honesty):
    few = samples()
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    batch = honesty.TrainCopies()(few, 3, seed=0).generate(labels, 4, index=np.arange(6), epoch=1)
    for image, label in zip(batch.image, labels, strict=True):
        same = (few.image == (image * 255).round().to(torch.uint8)).flatten(1).all(1)
        assert same.any()
        assert few.label[same].tolist() == [label]


def test_shuffled_samples_keep_their_images_and_lose_their_labels(honesty):
    good = honesty.TrainCopies()(samples(), 3, seed=0)
    labels = torch.arange(60) % 3
    batch = honesty.Shuffled(good).generate(labels, 4, index=np.arange(60), epoch=1)
    assert torch.equal(batch.image, good.generate(labels, 4, index=np.arange(60), epoch=1).image)
    assert torch.equal(batch.label.sort().values, labels.sort().values)
    assert 10 <= int((batch.label == labels).sum()) <= 32


def test_the_demos_test_split_is_not_touched(honesty):
    from augsynth.data import demo

    train, test = honesty.sources(2000)
    whole = demo.fashion("train")
    assert len(train) + len(test) == len(whole) == 6000
    assert torch.equal(test.read([0]), whole.images[honesty.TEST_FROM : honesty.TEST_FROM + 1])


def test_the_two_arms_of_a_comparison_with_itself_share_their_samples_only(honesty):
    tiny = honesty.Budget(aa_steps=2, seeds=2, test_samples=100)
    found = honesty.same_arm_twice(0, tiny, workers=1)
    assert [r.arm for r in found.runs] == ["once", "again", "once", "again"]
    first, second = (r.probabilities for r in found.runs[:2])
    assert not np.array_equal(first, second)
    assert "same" in honesty.line("same", found)


@pytest.mark.slow
def test_verdicts_are_honest(honesty, capsys):
    code = honesty.main([])
    assert code == 0, capsys.readouterr().out
