"""`lightning.pytorch` and `pytorch_lightning`: the classes are of the one that the user's Trainer is of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import augsynth
from augsynth.errors import AugsynthError
from augsynth.lightning._pl import choose

ROOT = Path(augsynth.__file__).parent.parent
BOTH = {"pytorch_lightning", "lightning"}
FIT = """
import {namespace} as pl
import torch
import augsynth as ag
from augsynth import transforms as T

class Data(torch.utils.data.Dataset):
    def __len__(self): return 8
    def __getitem__(self, i): return torch.full((3, 6, 6), i, dtype=torch.uint8), int(i) % 3

class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(108, 3)
        self.seen = []
    def training_step(self, batch, batch_idx):
        self.seen.append(batch)
        return torch.nn.functional.cross_entropy(self.layer(batch[0].flatten(1)), batch[1])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

flip = ag.Pipeline([T.RandomHorizontalFlip(), T.Normalize((0.5,) * 3, (0.5,) * 3)])
data = ag.AugmentedDataModule(Data(), on_device=flip, batch_size=4)
monitor = ag.callbacks.ThroughputMonitor()
callbacks = [ag.callbacks.MixOnDevice(T.MixUp(), 3), ag.callbacks.AugmentationSchedule((0, 1)), monitor]
callbacks.append(ag.callbacks.SampleGrid(dirpath="."))
options = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
net = Net()
pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=callbacks, **options).fit(net, datamodule=data)
assert isinstance(data, pl.LightningDataModule) and all(isinstance(c, pl.Callback) for c in callbacks)
images, labels = net.seen[0]
assert images.dtype == torch.float32 and labels.shape == (4, 3), (images.dtype, labels.shape)
print(type(monitor).__mro__[1].__module__.split(".")[0], monitor.totals.samples)
"""


@pytest.mark.parametrize(
    ("loaded", "installed", "chosen"),
    [
        ({"lightning.pytorch"}, BOTH, "lightning.pytorch"),
        # Our generators bring pytorch_lightning, so that it does not say what the user's Trainer is.
        ({"lightning.pytorch", "pytorch_lightning"}, BOTH, "lightning.pytorch"),
        ({"pytorch_lightning"}, BOTH, "pytorch_lightning"),
        (set(), BOTH, "pytorch_lightning"),
        (set(), {"pytorch_lightning"}, "pytorch_lightning"),
        (set(), {"lightning"}, "lightning.pytorch"),
    ],
)
def test_the_loaded_one_is_chosen_and_else_the_installed_one(
    loaded: set[str], installed: set[str], chosen: str
) -> None:
    assert choose(loaded, installed.__contains__) == chosen


def test_without_either_it_is_said_what_to_install() -> None:
    with pytest.raises(AugsynthError, match=r"neither pytorch_lightning nor lightning is installed.*pip install"):
        choose(set(), lambda name: False)


@pytest.mark.parametrize("namespace", ["pytorch_lightning", "lightning.pytorch"])
def test_a_training_in_a_fresh_process_uses_the_users_own_classes(namespace: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-W", "ignore", "-c", FIT.format(namespace=namespace)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == [namespace.split(".")[0], "8"]
