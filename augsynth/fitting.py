"""`augsynth train-generator`: from a configuration to a trained generator in a file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsynth.comparing import source
from augsynth.config import ConfiguredGenerator
from augsynth.generators import fit
from augsynth.generators.base import ImageGenerator
from augsynth.quality.samples import Labelled, read
from augsynth.quality.utility import choose_device

OPTIONS = ("max_images", "max_time", "every", "threads", "seed")


@dataclass(frozen=True, eq=False)
class Training:
    """Samples of the training split, decoded, with the names of their classes."""

    samples: Labelled
    classes: tuple[str, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Training:
        """Read what a data group describes. Raises: ValueError or TypeError where it does not fit."""
        found = source(data, "train")
        return cls(read(found, np.arange(len(found))), found.classes)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.samples.image[row], int(self.samples.label[row])


def run(values: Mapping[str, Any], folder: Path) -> ImageGenerator:
    """Train as the configuration says, and write the checkpoint and pictures of samples.

    values: the resolved configuration `train_generator`. folder: exists and can be written to. The last line printed is
    the checkpoint's path. Raises: ValueError, TypeError or AugsynthError where data and configuration do not fit.
    """
    device = choose_device(values["device"])
    data = Training.of(values["data"])
    config = values["generator"]
    configured = ConfiguredGenerator(config)
    generator: ImageGenerator = configured.make(data.samples.image.shape[1:], len(data.classes)).to(device)
    path = folder / "generator.ckpt" if values["checkpoint"] is None else Path(values["checkpoint"])
    options = {**config.get("fit", {}), **{key: values[key] for key in OPTIONS if values[key] is not None}}
    preview = folder / "preview" if values["preview"] else None
    try:
        fit(generator, data, checkpoint=path, preview=preview, progress=True, **options)
    except KeyboardInterrupt:
        if path.exists():
            print(f"stopped; the same command with checkpoint={shlex.quote(str(path))} goes on", file=sys.stderr)
        raise
    print(f"to judge it: augsynth evaluate checkpoint={shlex.quote(str(path))}")
    print(path)
    return generator
