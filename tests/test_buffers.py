"""Memory that is used again: never while anybody can still read what is in it."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.engines import buffers

SHAPE = (16, 3, 96, 96)
DTYPES = [torch.uint8, torch.float32, torch.float16, torch.bfloat16, torch.float64]


@pytest.fixture(autouse=True)
def _no_blocks_of_other_tests():
    buffers._free.clear()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_is_used_again_when_its_tensor_is_gone(dtype):
    first = buffers.recycled(SHAPE, dtype)
    place = first.data_ptr()
    assert (first.shape, first.dtype, first.is_contiguous(), first._base) == (SHAPE, dtype, True, None)
    del first
    gc.collect()
    assert buffers.recycled(SHAPE, dtype).data_ptr() == place


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keep", [lambda t: t[3, 1:2], lambda t: t.view(-1)[5:], lambda t: t.detach().unbind(0)[2]])
def test_a_view_of_any_kind_keeps_its_block(dtype, keep):
    kept = keep(buffers.recycled(SHAPE, dtype).fill_(1))
    gc.collect()
    others = [buffers.recycled(SHAPE, dtype).fill_(0) for _ in range(4)]
    assert bool((kept == 1).all())
    assert len({kept.untyped_storage().data_ptr(), *(t.data_ptr() for t in others)}) == 5


def test_an_array_made_of_a_tensor_keeps_its_block():
    array = buffers.recycled(SHAPE, torch.float32).fill_(1).numpy()[2]
    gc.collect()
    buffers.recycled(SHAPE, torch.float32).fill_(0)
    assert np.all(array == 1)


def test_batches_kept_by_a_loop_never_change():
    pipeline = Pipeline([T.RandomResizedCrop(64), T.Normalize(0.5, 0.5)], seed=1)
    images = torch.randint(0, 256, (8, 3, 70, 70), dtype=torch.uint8)
    kept = [pipeline(images, index=range(8), epoch=epoch)[2:4] for epoch in range(6)]
    again = [pipeline(images, index=range(8), epoch=epoch)[2:4].clone() for epoch in range(6)]
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))


def test_few_free_blocks_wait_and_none_that_is_far_too_large():
    batches = [buffers.recycled((n, 1024, 1024), torch.uint8) for n in range(1, 9)]
    del batches
    gc.collect()
    assert len(buffers._free) == buffers._KEPT
    small = buffers.recycled((1, 512, 512), torch.uint8)  # a quarter of the smallest that waits
    assert len(buffers._free) == buffers._KEPT
    assert small.numel() == 512 * 512


def test_small_results_are_ordinary_tensors():
    assert buffers.recycled((1, 3, 8, 8), torch.float32).shape == (1, 3, 8, 8)
    assert not buffers._free
