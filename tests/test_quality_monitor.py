"""Generators that a real Trainer trains, watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from fakes import CLASSES, HOLDOUT, SHAPE, TRAIN, Collapsed, Ideal, LabelBlind
from test_lightning import Net, plain, trainer
from test_schedule import Kept
from torch.utils.data import DataLoader, TensorDataset

from augsynth.generators import ConditionalGAN, ConditionalVAE
from augsynth.lightning.callbacks import QualityMonitor
from augsynth.threads import threads_for

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:.*is smaller than the logging interval:UserWarning",
)
SAMPLES = TensorDataset(*TRAIN)


def monitor(**options: Any) -> QualityMonitor:
    return QualityMonitor(TRAIN, HOLDOUT, **{"per_class": 40, "steps": 60, **options})


class Actor(Net):
    """Is another generator in every epoch."""

    num_classes, image_shape = CLASSES, SHAPE

    def __init__(self, *roles: Any) -> None:
        super().__init__()
        self.roles = roles

    def generate(self, *arguments: Any, **options: Any) -> Any:
        return self.roles[min(self.trainer.current_epoch, len(self.roles) - 1)].generate(*arguments, **options)


def test_the_numbers_are_those_of_the_samples_of_their_epoch() -> None:
    logger, watches = Kept(), monitor(every_n_epochs=2)
    fit = trainer(watches, logger=logger, max_epochs=5)
    fit.fit(Actor(LabelBlind(), Ideal(), Ideal(), Collapsed()), plain())
    good, collapsed = watches.history
    assert good["label agreement"] > 0.9
    assert good["coverage"] > 0.8 * watches.reached["coverage"]
    assert collapsed["coverage"] < 0.3
    assert logger.said["quality/label_agreement"] == pytest.approx(
        [look["label agreement"] for look in watches.history]
    )
    assert any(name.startswith("quality/FD(cnn@") for name in logger.said)
    assert watches.verdict is None
    assert fit.current_epoch == 5


def test_another_fit_begins_with_nothing() -> None:
    watches = monitor(stop_below=0.5, patience=1)
    trainer(watches, max_epochs=3).fit(Actor(Ideal(), Collapsed()), plain())
    assert "collapsed" in str(watches.verdict)
    trainer(watches, max_epochs=1).fit(Actor(Collapsed()), plain())
    assert (len(watches.history), watches.verdict) == (1, None)


def test_a_collapse_stops_the_training_but_a_bad_start_does_not() -> None:
    watches = monitor(stop_below=0.5)
    fit = trainer(watches, max_epochs=20)
    fit.fit(Actor(Collapsed(), Collapsed(), LabelBlind(), Ideal(), Collapsed(), Ideal(), Collapsed()), plain())
    assert fit.current_epoch == 8
    assert watches.verdict is not None
    assert watches.verdict.startswith("the generator has collapsed: label agreement ")
    assert watches.verdict.endswith("in 2 looks in a row")


def test_what_was_seen_goes_on_after_a_resume(tmp_path: Path) -> None:
    roles = (Ideal(), Collapsed(), Collapsed())
    first = trainer(monitor(stop_below=0.5), monitor(name="other", every_n_epochs=2), max_epochs=2)
    first.fit(Actor(*roles), plain())
    first.save_checkpoint(tmp_path / "two.ckpt")
    goes_on, other = monitor(stop_below=0.5), monitor(name="other", every_n_epochs=2)
    second = trainer(goes_on, other, max_epochs=9)
    second.fit(Actor(*roles), plain(), ckpt_path=tmp_path / "two.ckpt", weights_only=False)
    assert second.current_epoch == 3
    assert (len(goes_on.history), len(other.history)) == (3, 1)


@pytest.mark.parametrize("kind", [ConditionalVAE, ConditionalGAN])
def test_our_own_generators_are_watched_and_trained_no_other_than_alone(kind: Any) -> None:
    def fitted(*callbacks: pl.Callback) -> Any:
        torch.manual_seed(0)
        options = {} if kind is ConditionalGAN else {"latent_dim": 4}
        generator = kind(SHAPE, CLASSES, width=8, **options)
        with threads_for(SHAPE):
            trainer(*callbacks, max_epochs=2, limit_train_batches=2).fit(generator, DataLoader(SAMPLES, 30))
        return generator

    watched, alone = fitted(watches := monitor()), fitted()
    assert len(watches.history) == 2
    assert all(0 <= look["label agreement"] <= 1 for look in watches.history)
    assert watches.history[0] != watches.history[1]
    for mine, theirs in zip(watched.state_dict().values(), alone.state_dict().values(), strict=True):
        if isinstance(mine, torch.Tensor):
            assert torch.equal(mine, theirs)


def test_what_is_no_generator_and_arguments_that_are_none_are_refused() -> None:
    with pytest.raises(TypeError, match="Net has no generate, num_classes, image_shape; it is for generators"):
        trainer(monitor()).fit(Net(), plain())
    with pytest.raises(ValueError, match="patience=0 must be an integer, 1 or more"):
        monitor(patience=0)
    with pytest.raises(ValueError, match=r"stop_below=2 must be a share above 0 and below 1, or None"):
        monitor(stop_below=2)
