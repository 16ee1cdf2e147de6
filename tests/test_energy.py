"""Joules of a training, from counters in files that a step of the training moves."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from test_lightning import SIZE, Interrupted, Net, Pictures, plain, trainer
from test_schedule import Kept
from torch.utils.data import DataLoader

from augsynth.errors import AugsynthError
from augsynth.lightning.callbacks import EnergyMonitor
from augsynth.lightning.energy import _over_ranks
from augsynth.lightning.meters import Nvml, Rapl

pytestmark = pytest.mark.filterwarnings(
    "ignore:You defined a `validation_step` but have no:UserWarning",
    "ignore:.*is smaller than the logging interval:UserWarning",
    "ignore:.*dataloader is not resumable:UserWarning",
    "ignore:.*callbacks used to create the checkpoint need to be provided:UserWarning",
    "ignore:Checkpoint directory .* exists and is not empty:UserWarning",
)
WRAP = 9_999_999


class Machine:
    """The powercap files of a machine with two packages, of which the second overflows soon."""

    def __init__(self, root: Path) -> None:
        self.root = root
        zones = [("intel-rapl:0", "package-0", 100), ("intel-rapl:1", "package-1", 9_000_000)]
        parts = [("intel-rapl:0:0", "core", 5), ("intel-rapl:0:1", "dram", 7), ("intel-rapl:2", "psys", 9)]
        for folder, name, energy in [*zones, *parts, ("intel-rapl-mmio:0", "package-0", 3)]:
            (root / folder).mkdir(parents=True)
            (root / folder / "name").write_text(f"{name}\n")
            (root / folder / "max_energy_range_uj").write_text(f"{WRAP}\n")
            (root / folder / "energy_uj").write_text(f"{energy}\n")

    def use(self, joules: float) -> None:
        """Move every counter."""
        for file in self.root.glob("*/energy_uj"):
            file.write_text(str((int(file.read_text()) + round(joules * 1e6)) % (WRAP + 1)))


class Hungry(Net):
    """Takes 3 times 0.5 J for each step: two packages and the memory."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.machine.use(0.5)
        return super().training_step(batch, batch_idx)


def test_packages_and_memory_count_once_and_an_overflow_is_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = Rapl.of(tmp_path)
    assert (meter.joules(), meter.name) == (0, "3 RAPL zones")
    for _ in range(30):
        machine.use(1.5)
        meter.joules()
    assert meter.joules() == pytest.approx(3 * 45)


def test_joules_are_logged_per_epoch_and_per_sample(tmp_path: Path) -> None:
    logger, monitor = Kept(), EnergyMonitor(rapl_root=tmp_path)
    trainer(monitor, logger=logger, max_epochs=2).fit(Hungry(Machine(tmp_path)), plain())
    assert logger.said["energy/joules_per_epoch"] == pytest.approx([6, 6])
    assert logger.said["energy/joules"] == pytest.approx([6, 12])
    assert logger.said["energy/joules_per_sample"] == pytest.approx([6 / SIZE] * 2)
    assert monitor.summary == f"12 J over {2 * SIZE} training samples, 0.857 J per training sample (3 RAPL zones)"


def test_the_sums_go_on_after_a_resume(tmp_path: Path) -> None:
    machine, path = Machine(tmp_path / "rapl"), tmp_path / "cut.ckpt"
    callbacks = [EnergyMonitor(rapl_root=machine.root), EnergyMonitor(rapl_root=tmp_path / "nowhere")]
    with pytest.raises(RuntimeError, match="power cut"):
        trainer(*callbacks, Interrupted(path), max_epochs=2).fit(Hungry(machine), plain())
    saved = torch.load(path, weights_only=False)["callbacks"]
    assert len([key for key in saved if key.startswith("EnergyMonitor")]) == 2
    machine.use(5)  # of somebody else, in between
    monitor = EnergyMonitor(rapl_root=machine.root)
    trainer(monitor, max_epochs=2).fit(Hungry(machine), plain(), ckpt_path=path, weights_only=False)
    # The plain loader begins its second epoch anew, and Lightning takes the two batches that are left of it.
    assert monitor.joules == pytest.approx(1.5 * (4 + 2 + 2))


def test_where_nothing_can_be_read_it_is_said_once_and_nothing_is_logged(tmp_path: Path) -> None:
    logger, monitor = Kept(), EnergyMonitor(rapl_root=tmp_path / "none")
    trainer(monitor, logger=logger, max_epochs=2).fit(Net(), DataLoader(Pictures(), 4))
    assert monitor.summary == f"not measurable here (processor: FileNotFoundError: no RAPL zone in {tmp_path / 'none'})"
    assert not [name for name in logger.said if name.startswith("energy")]
    assert monitor.joules == 0
    assert not monitor.measurable


def test_the_counters_of_gpus_are_found_by_uuid() -> None:
    counters = {"GPU-a": 5000, "GPU-b": 100}
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=counters.__getitem__,
    )
    meter = Nvml(library, ["GPU-a", "GPU-b"])
    counters["GPU-a"] += 1500
    counters["GPU-b"] += 500
    assert (meter.joules(), meter.name) == (2.0, "2 GPUs by NVML")


def test_codecarbon_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(AugsynthError, match=r"country_iso_code='DEU' needs codecarbon .*augsynth\[energy\]"):
        EnergyMonitor(country_iso_code="DEU")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_codecarbon_estimates_beside_it(tmp_path: Path) -> None:
    logger = Kept()
    monitor = EnergyMonitor(rapl_root=tmp_path, country_iso_code="DEU")
    trainer(monitor, logger=logger).fit(Net(), plain())
    assert logger.said["energy/kg_co2eq_estimated"][0] >= 0
    trainer(monitor, logger=logger).fit(Net(), plain())
    assert len(logger.said["energy/kg_co2eq_estimated"]) == 2


def test_a_gpu_is_read_when_its_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(torch.cuda, "synchronize", said.append)
    monitor, device = EnergyMonitor(), torch.device("cuda", 1)
    monitor._meters = [SimpleNamespace(name="a GPU", joules=lambda: float(said.append("read") or 3))]
    monitor._sum(SimpleNamespace(world_size=1, strategy=SimpleNamespace(root_device=device)))  # type: ignore[arg-type]
    assert (said, monitor.joules) == ([device, "read"], 3)


def test_only_counters_that_overflow_are_read_in_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = {"quick": 0, "slow": 0}

    def meter(name: str, overflows: bool) -> Any:
        def joules() -> float:
            reads[name] += 1
            return 1.0

        return SimpleNamespace(name=name, overflows=overflows, joules=joules)

    found = [meter("quick", True), meter("slow", False)], list[str]()
    monkeypatch.setattr("augsynth.lightning.energy.find", lambda makers: found)
    trainer(EnergyMonitor()).fit(Net(), plain())
    assert reads["quick"] - reads["slow"] == len(plain())
    assert (Rapl.overflows, Nvml.overflows) == (True, False)


def test_the_sum_over_ranks_loses_no_sample() -> None:
    strategy = SimpleNamespace(root_device=torch.device("cpu"), reduce=lambda value, reduce_op: 2 * value)
    assert _over_ranks(SimpleNamespace(world_size=2, strategy=strategy), 2.0**24 + 1) == 2**25 + 2


@pytest.mark.cuda
def test_a_gpu_is_measured() -> None:
    pytest.importorskip("pynvml")
    monitor = EnergyMonitor()
    trainer(monitor, accelerator="gpu", devices=1).fit(Net(), plain())
    assert monitor.measurable
    assert "1 GPU by NVML" in str(monitor.summary)
