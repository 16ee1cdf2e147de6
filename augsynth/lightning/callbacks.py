"""All callbacks for Lightning, as `ag.callbacks`."""

from __future__ import annotations

from augsynth.lightning.energy import EnergyMonitor
from augsynth.lightning.grid import SampleGrid
from augsynth.lightning.mix_on_device import MixOnDevice
from augsynth.lightning.on_device import AugmentOnDevice
from augsynth.lightning.quality import QualityMonitor
from augsynth.lightning.refresh import RefreshSynthetic
from augsynth.lightning.schedule import AugmentationSchedule
from augsynth.lightning.throughput import ThroughputMonitor

__all__ = [
    "AugmentOnDevice",
    "AugmentationSchedule",
    "EnergyMonitor",
    "MixOnDevice",
    "QualityMonitor",
    "RefreshSynthetic",
    "SampleGrid",
    "ThroughputMonitor",
]
