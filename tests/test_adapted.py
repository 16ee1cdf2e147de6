"""A network of the user's own behind `from_module`: keys, marks, checks, weights, and all that takes a generator."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import HOLDOUT, TRAIN
from torch import nn
from torch.utils.data import TensorDataset

import augsynth as ag
from augsynth.generators import CheckpointError, Generator, from_module, load
from augsynth.provenance import Provenance, weights_hash
from augsynth.quality import Gate, evaluate
from augsynth.rng import Rng
from augsynth.verdict import GateError

SHAPE, CLASSES, LATENT = (1, 12, 10), 3, 120
REAL = TensorDataset(TRAIN[0][:20], TRAIN[1][:20])
NO_GATE = Gate(label_agreement=None, worst_class=None, coverage=None, copies=None, usefulness=None)


class Net(nn.Module):
    """Noise as it comes in the shape of an image, through a batch norm, around a level of its class."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor([-0.5, 0.0, 0.5]))
        self.norm = nn.BatchNorm1d(LATENT)
        self.seen: list[tuple[int, bool, bool]] = []

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.seen.append((len(z), self.training or self.norm.training, torch.is_grad_enabled()))
        return 0.1 * self.norm(z).view(-1, *SHAPE) + self.level[y].view(-1, 1, 1, 1)


def adapted(module: Any = None, **options: Any) -> Any:
    return from_module(module or Net(), SHAPE, CLASSES, **{"latent_dim": LATENT, **options})


def constant(value: float) -> Callable[..., torch.Tensor]:
    return lambda z, y: torch.full((len(z), *SHAPE), value)


def test_a_batch_is_in_range_marked_and_says_what_made_it() -> None:
    batch = adapted().generate([2, 0, 0], seed=5, index=[4, 9, 1], epoch=6)
    assert (batch.image.shape, batch.image.dtype) == ((3, *SHAPE), torch.float32)
    assert 0 <= batch.image.min() <= batch.image.max() <= 1
    assert batch.synthetic.tolist() == [True] * 3
    assert (batch.label.tolist(), batch.index.tolist()) == ([2, 0, 0], [4, 9, 1])
    assert batch.provenance[1] == Provenance("Net", weights_hash(Net().state_dict()), 5, 9, 6, 0)


def test_the_noise_is_that_of_the_key_and_the_labels_are_int64() -> None:
    seen: list[torch.Tensor] = []
    adapted(lambda z, y: seen.extend((z, y)) or z.view(-1, *SHAPE)).generate([1, 2], 5, index=[4, 9], epoch=6)
    expected = torch.from_numpy(Rng.of(5, [4, 9], 6).normal("latent", LATENT)).float()
    assert torch.equal(seen[0], expected)
    assert (seen[1].dtype, seen[1].tolist()) == (torch.int64, [1, 2])


def test_a_sample_does_not_depend_on_its_batch_which_goes_in_chunks() -> None:
    generator, labels = adapted(), torch.arange(1100) % CLASSES
    whole = generator.generate(labels, 3).image
    assert [count for count, *_ in generator.module.seen] == [512, 512, 76]
    for row in (0, 511, 512, 1099):
        alone = generator.generate(labels[row : row + 1], 3, index=[row]).image[0]
        torch.testing.assert_close(alone, whole[row], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (127.5, 0.5), (255.0, 1.0), (-9.0, 0.0), (300.0, 1.0)])
def test_values_are_scaled_to_the_unit_and_clamped(value: float, expected: float) -> None:
    image = adapted(constant(value), value_range=(0, 255)).generate([0, 1]).image
    assert torch.equal(image, torch.full((2, *SHAPE), expected))


@pytest.mark.parametrize("modes", [(True, True), (True, False), (False, True), (False, False)])
def test_the_module_is_in_eval_mode_and_gets_its_own_modes_back(modes: tuple[bool, bool]) -> None:
    net = Net()
    net.training, net.norm.training = modes
    before = weights_hash(net.state_dict())
    adapted(net).generate([0, 1, 2])
    assert net.seen == [(3, False, False)]
    assert (net.training, net.norm.training) == modes
    assert weights_hash(net.state_dict()) == before


def test_a_module_that_fails_gets_its_mode_back_too() -> None:
    net = Net().train()
    with pytest.raises(RuntimeError):
        adapted(net, latent_dim=7).generate([0])
    assert net.training
    assert net.norm.training


def test_no_labels_make_an_empty_batch_without_the_module() -> None:
    generator = adapted()
    assert generator.generate([]).image.shape == (0, *SHAPE)
    assert generator.module.seen == []


def test_the_module_computes_in_its_own_type() -> None:
    image = adapted(Net().to(torch.bfloat16)).generate([0, 1]).image
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, adapted().generate([0, 1]).image, rtol=0, atol=0.02)


def test_the_hash_follows_every_change_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = adapted()
    seen = {generator.checkpoint_hash()}
    generator.module.level.data.add_(1)
    seen.add(generator.checkpoint_hash())
    generator.module.norm.running_mean.add_(1)
    seen.add(generator.generate([0]).provenance[0].checkpoint)
    assert len(seen) == 3
    monkeypatch.setattr("augsynth.generators.adapted.weights_hash", lambda state: pytest.fail("hashed again"))
    generator.generate([0])


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda z, y: z, r"<lambda> gave \(2, 120\); images \(2, 1, 12, 10\) were expected"),
        (lambda z, y: [z], r"gave list; images \(2, 1, 12, 10\)"),
        (lambda z, y: z.view(-1, *SHAPE)[:1], r"gave \(1, 1, 12, 10\)"),
        (
            lambda z, y: (z / (y[:, None] - 1)).view(-1, *SHAPE),
            "gave NaN or infinity in 1 of 2 images; values from -1 ",
        ),
    ],
)
def test_what_is_no_image_is_named(module: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adapted(module).generate([0, 1])


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 3], ValueError, "label 3 is outside the generator's classes, 0 to 2"),
        ([-1], ValueError, "label -1 is outside"),
        ([0.5], TypeError, r"labels must be integers \(B,\), got \(1,\) torch.float32"),
    ],
)
def test_wrong_labels_are_named(labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        adapted().generate(labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "AdaptedGenerator: latent_dim=0 must be an integer of at least 1"),
        ({"value_range": (1, 1)}, r"value_range=\(1, 1\) must be \(low, high\)"),
        ({"value_range": (0, float("inf"))}, "value_range="),
        ({"image_shape": (12, 10)}, r"image_shape=\(12, 10\) must be \(channels, height, width\)"),
        ({"num_classes": True}, "num_classes=True must be an integer"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    given = {"image_shape": SHAPE, "num_classes": CLASSES, "latent_dim": LATENT, **options}
    with pytest.raises(ValueError, match=message):
        from_module(Net(), **given)
    with pytest.raises(TypeError, match=r"module='net' must be an nn.Module or a function"):
        adapted("net")


def test_it_is_a_generator_with_the_name_that_it_was_given() -> None:
    generator = adapted(name="mine")
    assert isinstance(generator, Generator)
    assert generator.generate([0]).provenance[0].generator == "mine"
    assert adapted(constant(0)).generate([0]).provenance[0].checkpoint == ""


def test_weights_and_verdict_are_saved_and_read_into_a_module_like_it(tmp_path: Path) -> None:
    generator, other = adapted(), adapted()
    evaluate(generator, TRAIN, HOLDOUT, gate=NO_GATE, steps=2, repeats=0)
    nn.init.zeros_(other.module.level)
    generator.save(tmp_path / "net.ckpt")
    assert other.load_weights(tmp_path / "net.ckpt") is other
    assert torch.equal(other.generate([0, 2]).image, generator.generate([0, 2]).image)
    ag.blend(REAL, other)


def test_a_file_that_does_not_fit_says_why(tmp_path: Path) -> None:
    path = tmp_path / "net.ckpt"
    adapted().save(path)
    with pytest.raises(CheckpointError, match=r"your own module \(Net\), not its code: .*from_module.*load_weights"):
        load(path)
    with pytest.raises(CheckpointError, match=r"another generator: value_range=\(-1.0, 1.0\) \(now \(0.0, 1.0\)\)"):
        adapted(value_range=(0, 1)).load_weights(path)
    with pytest.raises(CheckpointError, match="the weights of another Net"):
        adapted(nn.Linear(2, 2), name="Net").load_weights(path)
    with pytest.raises(CheckpointError, match="is a function: it has no weights to save"):
        adapted(constant(0)).save(path)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda generator: pickle.loads(pickle.dumps(generator))])
def test_a_copy_makes_the_same_and_watches_its_own_weights(again: Callable[[Any], Any]) -> None:
    generator = adapted()
    before = generator.generate([0, 2])
    copied = again(generator)
    assert torch.equal(copied.generate([0, 2]).image, before.image)
    with torch.no_grad():
        copied.module.level.add_(1)
    assert copied.checkpoint_hash() != generator.checkpoint_hash() == before.provenance[0].checkpoint


def test_it_is_mixed_into_real_data() -> None:
    generator = adapted()
    image, label = ag.SyntheticDataset(generator, [2, 0], fresh=False)[0]
    assert torch.equal(image, generator.generate([2]).image[0])
    assert label == 2
    blended = ag.blend(REAL, generator, 0.5, gate=None)
    assert (len(blended), blended[39][0].dtype) == (40, torch.uint8)
    assert blended.provenance(39).generator == "Net"
    rare = TensorDataset(TRAIN[0][:20], (TRAIN[1][:20] == 1).long())
    assert ag.balance(rare, generator, gate=None).labels.bincount().tolist() == [13, 13]


def test_an_evaluation_lets_it_pass_until_its_weights_change() -> None:
    generator = adapted()
    with pytest.raises(GateError, match="never evaluated"):
        ag.blend(REAL, generator)
    assert evaluate(generator, TRAIN, HOLDOUT, gate=NO_GATE, steps=2, repeats=0).checkpoint
    assert ag.blend(REAL, generator).synthetic.any()
    generator.module.level.data.mul_(0.5)
    with pytest.raises(GateError, match="other weights"):
        ag.blend(REAL, generator)
