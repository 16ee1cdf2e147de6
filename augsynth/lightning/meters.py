"""Energy counters of the machine: RAPL of the processor packages and memory, NVML of the GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    """What counts joules. name: what it measures, for people. overflows: whether it must be read every few minutes."""

    name: str
    overflows: ClassVar[bool]

    def joules(self) -> float:
        """Return the joules since the first call, 0 at that."""


@dataclass
class _Zone:
    """A counter of microjoules in a file, which starts again from 0 after `wrap`."""

    path: Path
    wrap: int
    last: int | None = None
    total: int = 0

    def read(self) -> int:
        now = int((self.path / "energy_uj").read_text())
        if self.last is not None:
            self.total += now - self.last if now >= self.last else now - self.last + self.wrap + 1
        self.last = now
        return self.total


@dataclass
class Rapl:
    """The packages and the memory of the processors, by Linux' powercap files; of all processes on the machine.

    A counter overflows after minutes under load (at max_energy_range_uj), so that it has to be read more often.
    """

    zones: list[_Zone]
    name: str = field(init=False)
    overflows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.name = f"{len(self.zones)} RAPL zone{'s' * (len(self.zones) > 1)}"

    @classmethod
    def of(cls, root: Path = POWERCAP) -> Rapl:
        """Find the zones below `root`. Raises OSError, saying why, where there are none or they cannot be read.

        Cores and graphics are parts of their package, and psys is the whole platform: they would count twice.
        """
        zones = []
        for folder in sorted(root.glob("intel-rapl:*")):
            what = (folder / "name").read_text().strip()
            if what.startswith("package") or what == "dram":
                zone = _Zone(folder, int((folder / "max_energy_range_uj").read_text()))
                zone.read()
                zones.append(zone)
        if not zones:
            raise FileNotFoundError(f"no RAPL zone in {root}")
        return cls(zones)

    def joules(self) -> float:
        """Return the joules since the zones were found."""
        return sum(zone.read() for zone in self.zones) / 1e6


class Nvml:
    """The GPUs of this process, by the driver's counter of millijoules; since Volta.

    library: pynvml. uuids: of the devices, as CUDA numbers other devices than NVML does.
    """

    overflows: ClassVar[bool] = False

    def __init__(self, library: Any, uuids: Sequence[str]) -> None:
        self.library, self.name = library, f"{len(uuids)} GPU{'s' * (len(uuids) > 1)} by NVML"
        library.nvmlInit()
        self._handles = [library.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]
        self._first = self._read()

    @classmethod
    def of(cls, devices: Sequence[torch.device]) -> Nvml:
        """Read the CUDA devices. Raises ImportError without pynvml, and what NVML itself raises."""
        names = [f"GPU-{torch.cuda.get_device_properties(device).uuid}" for device in devices]
        return cls(import_module("pynvml"), names)

    def joules(self) -> float:
        """Return the joules since the object was made."""
        return (self._read() - self._first) / 1e3

    def _read(self) -> int:
        return sum(self.library.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in self._handles)


def find(makers: Sequence[tuple[str, Callable[[], Meter]]]) -> tuple[list[Meter], list[str]]:
    """Return the meters that can be read, and for each of the others why not. makers: what each measures, its maker."""
    meters, reasons = [], []
    for what, make in makers:
        try:
            meters.append(make())
        # NVML has exceptions of its own, which cannot be named without it.
        except Exception as error:
            reasons.append(f"{what}: {type(error).__name__}: {error}")
    return meters, reasons
