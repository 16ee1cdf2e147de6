"""What runs on a GPU gives what the CPU gives. Run with `pytest -m cuda`."""

from __future__ import annotations

import pytest
import torch

import augsynth as ag
from augsynth import transforms as T

pytestmark = pytest.mark.cuda
RECIPE = [
    T.RandomResizedCrop(48),
    T.RandomHorizontalFlip(),
    T.RandomRotation(20, "bilinear", fill=90),
    T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    T.RandomErasing(),
]


@pytest.mark.parametrize("color", ["exact", "linear"])
def test_a_batch_on_the_gpu_equals_the_batch_on_the_cpu(color: str) -> None:
    images = torch.randint(0, 256, (8, 3, 60, 75), dtype=torch.uint8)
    pipeline = ag.Pipeline(RECIPE, engine="torch", color=color, dtype=torch.float32)
    on_cpu, on_gpu = pipeline(images, index=range(8)), pipeline(images.cuda(), index=range(8))
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, atol=1e-3, rtol=0)


def test_a_uint8_batch_on_the_gpu_stays_within_a_rounding_step() -> None:
    images = torch.randint(0, 256, (8, 1, 40, 41), dtype=torch.uint8)
    pipeline = ag.Pipeline([T.RandomAffine(30, (0.1, 0.1), interpolation="bilinear")])
    on_cpu, on_gpu = (
        ag.Pipeline(pipeline.transforms, engine="torch")(x, index=range(8)) for x in (images, images.cuda())
    )
    assert (on_gpu.cpu().int() - on_cpu.int()).abs().max() <= 1
