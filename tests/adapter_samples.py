"""What the tests of the adapters share."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

import augsynth as ag

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A


def picture(height=75, width=90):
    """Return something like a photograph: smooth, with edges and a little noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 12
    waves = np.stack([np.sin(x + y), np.cos(x - 0.7 * y), np.sin(0.5 * x * y)], 2) * 90 + 128
    waves[10:25, 20:45] = (210, 60, 30)
    return np.clip(waves + rng.normal(0, 2, waves.shape), 0, 255).astype(np.uint8)


def kinds(adapted):
    return [step.kind for step in adapted.origin.steps]


def barriers(adapted):
    return [step.source for step in adapted.origin.steps if step.kind == "barrier"]


def convert(*transforms, **arguments):
    return ag.from_albumentations(A.Compose(list(transforms), **arguments))


def shift_scale_rotate(*args, **kwargs):
    """Build the transform that most recipes have, and that advises to use another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return A.ShiftScaleRotate(*args, **kwargs)


def detection():
    """Return a recipe as it is published for detectors."""
    return A.Compose(
        [
            A.RandomResizedCrop((64, 64), scale=(0.5, 1.0)),
            A.HorizontalFlip(),
            shift_scale_rotate(p=0.5),
            A.Perspective(p=0.3),
            A.OneOf([A.MotionBlur(p=0.2), A.MedianBlur(p=0.1), A.Blur(p=0.1), A.NoOp()], p=0.5),
            A.RandomBrightnessContrast(p=0.3),
            A.HueSaturationValue(p=0.3),
            A.CoarseDropout(p=0.2),
            A.Normalize(),
            A.ToTensorV2(),
        ],
        bbox_params=A.BboxParams("coco", label_fields=["category_ids"], min_area=16, min_visibility=0.1),
    )


BLOCKED = (
    "import socket\n"
    "def refuse(*args, **kwargs): print('touched'); raise OSError('the network was touched')\n"
    "for name in ('connect', 'connect_ex', 'sendto', 'bind'): setattr(socket.socket, name, refuse)\n"
    "socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse\n"
)


def without_network(code):
    """Run code in a fresh interpreter that reaches no server; return its exit code and what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    # Where the package that is tested lies: the folder of a process comes before everything else.
    folder = Path(ag.__file__).parent.parent
    command = [sys.executable, "-c", BLOCKED + code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    return done.returncode, done.stdout + done.stderr
