"""What all tests share."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest
import torch
from hypothesis import settings

# The same examples every time, so that only a change makes a test fail; `--hypothesis-profile=explore` has others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("same")
# A shell lets what it starts in the background ignore Ctrl-C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The forkserver imports once what its children need, instead of each of them.
multiprocessing.set_forkserver_preload(
    ["torch", "numpy", "PIL.Image", "pytest", "pytorch_lightning", "augsynth.generators", "augsynth.data.sampler"]
)
# Figures are only written to files here, and a display may be missing.
os.environ.setdefault("MPLBACKEND", "Agg")
# albumentations asks a server for its newest version when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# The triton engine is tested on the CPU by its interpreter, which has to be chosen before anything imports triton.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
