"""The draw on the device: its tables are those that the host draws and builds, field by field, over many samples."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.engines.passes import moves_or_colors, passes_of
from augsynth.fuse import fuse
from augsynth.images import Form

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("the interpreter is off; tests/test_cuda.py tests the device", allow_module_level=True)

from test_triton import _patch_once  # noqa: F401

from augsynth.engines import triton_layout as layout
from augsynth.engines.triton_launch import launches
from augsynth.engines.triton_table import ROW, STEP, Table

SIZE = (40, 31)
COUNT = 4096
NORMALIZE = T.Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
JITTER = T.ColorJitter(0.4, 0.4, 0.4, 0.1)
PLANS = {
    "imagenet": [T.RandomResizedCrop((24, 20)), T.RandomHorizontalFlip(), JITTER, NORMALIZE],
    "large crop": [T.RandomResizedCrop(64, interpolation="bicubic"), T.RandomVerticalFlip()],
    "no ratio fits": [T.RandomResizedCrop(16, (0.9, 1.0), (1.9, 2.0))],
    "crop without filter": [T.RandomResizedCrop((9, 30), antialias=False)],
    "nearest crop": [T.RandomResizedCrop((9, 30), interpolation="nearest"), T.RandomHorizontalFlip()],
    "affine": [
        T.RandomResizedCrop((24, 20)),
        T.RandomHorizontalFlip(),
        T.RandomRotation(15, "bilinear", fill=90),
        T.RandomAffine(20, (0.1, 0.2), (0.5, 1.5), (-9, 9, -5, 5), "bilinear", fill=90),
        T.ColorJitter(brightness=0.2),
    ],
    "simclr": [
        T.RandomResizedCrop(20),
        T.RandomHorizontalFlip(),
        T.RandomApply([JITTER], p=0.8),
        T.RandomGrayscale(0.2),
    ],
    "cifar": [T.RandomCrop(28, 4, padding_mode="reflect"), T.RandomHorizontalFlip(), T.RandomErasing(0.6, value=7)],
    "crop with fill": [T.RandomCrop((50, 40), (1, 7), pad_if_needed=True, fill=(1, 2, 3))],
    "resize and cut": [T.Resize((50, 64)), T.CenterCrop((30, 33)), T.RandomHorizontalFlip()],
    "shrink and cut": [T.Resize(20, "bicubic"), T.RandomCrop(18), T.RandomHorizontalFlip(), T.RandomVerticalFlip()],
    "cut and shrink": [T.CenterCrop(31), T.Resize((9, 31)), T.RandomRotation((90, 90), fill=3), T.RandomGrayscale(0.5)],
    "outside": [T.CenterCrop((60, 20)), T.RandomRotation(0, "bilinear", center=(3.0, 4.0))],
    "turns": [T.CenterCrop(30), T.D4(p=0.8), T.RandomRotate90(), T.Resize((20, 11)), T.RandomHorizontalFlip(0.3)],
    "one of": [
        T.OneOf([T.RandomHorizontalFlip(), T.RandomAffine(30, interpolation="bicubic"), T.RandomRotation((0, 270))]),
        T.OneOf([JITTER, T.RandomErasing(0.9), T.RandomGrayscale(1.0)], weights=(2, 1, 0), p=0.7),
        T.RandomApply([T.ColorJitter(contrast=0.5, hue=(0.1, 0.2)), T.RandomErasing()], 0.6),
        T.ColorJitter(contrast=(0.5, 1.0)),
    ],
    "pad": [T.Pad((1, 2, 3, 4)), T.RandomApply([T.RandomRotation((-270, 270), "bilinear")], 0.5)],
    "nothing": [],
}


def batch(count, channels=3, dtype=torch.uint8, size=SIZE):
    values = torch.randint(0, 256, (count, channels, *size), generator=torch.Generator().manual_seed(1))
    return values.to(dtype) if dtype == torch.uint8 else (values / 255).to(dtype)


def device_table(graphed, **keys):
    """Return the tables that the draw kernel writes."""
    drawing = graphed.drawing
    drawing.write_keys(keys["index"], keys.get("epoch", 0), keys.get("occurrence", 0))
    drawing.draw()
    shape, flat = drawing.shape, drawing.words.numpy()
    rows, steps, stops, _ = shape.ends
    means = flat[steps:stops][: shape.stages * shape.samples].reshape(shape.stages, shape.samples)
    return Table(flat[:rows].view(ROW), flat[rows:steps].view(STEP).reshape(shape.samples, -1), means)


def host_table(pipeline, images, strength=1.0, **keys):
    """Return the tables that the host builds."""
    exact = pipeline.color == "exact"
    program = pipeline.draw([tuple(images.shape[2:])] * len(images), strength=strength, **keys)
    [step] = passes_of(fuse(program, exact_color=exact), len(images), moves_or_colors)
    [launch] = launches(list(images), step.parts, pipeline._output(Form.of(images[0], "")), None, exact)
    return launch.table


def assert_same_rows(mine, theirs):
    for name in set(ROW.names) - {"target"}:
        a, b = mine[name], theirs[name]
        if b.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-5, err_msg=name)
        else:
            assert np.array_equal(a, b), f"{name}: {int((a != b).reshape(len(a), -1).any(1).sum())} samples"


def assert_same_steps(mine, theirs, channels):
    a, b = (table.steps[np.arange(table.steps.shape[1]) < table.rows["steps"][:, None]] for table in (mine, theirs))
    assert np.array_equal(a["code"], b["code"])
    assert np.array_equal(a["mean"], b["mean"])
    color, hue, erase = (b["code"] == code.value for code in (layout.MATRIX_STEP, layout.HUE, layout.ERASE))
    np.testing.assert_allclose(
        a["matrix"][color][:, :channels, :channels], b["matrix"][color][:, :channels, :channels], atol=1e-6
    )
    np.testing.assert_allclose(a["vector"][color][:, :channels], b["vector"][color][:, :channels], atol=1e-6)
    np.testing.assert_allclose(a["shift"][hue], b["shift"][hue], atol=1e-6)
    one = np.isin(b["code"], (layout.SCALE.value, layout.CHROMA.value))
    np.testing.assert_allclose(a["factor"][one], b["factor"][one], atol=1e-6)
    np.testing.assert_allclose(a["pull"][one], b["pull"][one], atol=1e-6)
    assert np.array_equal(a["rectangle"][erase], b["rectangle"][erase])
    assert np.array_equal(a["vector"][erase], b["vector"][erase])
    count = len(theirs.stops)
    assert np.array_equal(mine.stops[:count], theirs.stops)
    assert (mine.stops[count:] == -1).all()


KINDS = [("exact", 3, 1.0), ("linear", 3, 1.0), ("exact", 1, 0.4), ("linear", 1, 0.7), ("exact", 3, 0.4)]
CASES = [
    (name, *kind)
    for i, name in enumerate(PLANS)
    for kind in (KINDS if "jitter" in repr(PLANS[name]).lower() else [KINDS[0], KINDS[1 + i % 4]])
    if kind[1] == 3 or name not in ("crop with fill", "imagenet")  # which have three values
]


@pytest.mark.parametrize(("name", "color", "channels", "strength"), CASES)
def test_the_tables_are_those_of_the_host(name, color, channels, strength):
    pipeline = Pipeline(PLANS[name], seed=2**32 - 5, engine="triton", color=color)
    count = COUNT if strength == 1 else 512
    images = batch(1, channels).expand(count, -1, -1, -1)
    keys = {"index": np.arange(count) * 1048583 % 2**32, "epoch": 3, "occurrence": np.arange(count) % 2}
    graphed = pipeline.graphed(images, strength=strength)
    assert graphed.draws_on == "device"
    mine, theirs = device_table(graphed, **keys), host_table(pipeline, images, strength, **keys)
    assert_same_rows(mine.rows, theirs.rows)
    assert_same_steps(mine, theirs, channels)
