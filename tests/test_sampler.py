from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from test_loader import BATCH, SIZE, Pictures, make_pipeline, order, pairs
from torch.utils.data import DistributedSampler, RandomSampler, Sampler, Subset, WeightedRandomSampler

from augsynth.data.sampler import KeyedLoader, KeyedSampler, loader
from augsynth.data.wrap import wrap
from augsynth.rng import KeyedIndex


@pytest.fixture
def data() -> Any:
    return wrap(Pictures(), make_pipeline())


def test_shuffling_leaves_torchs_generator_alone(data: Any) -> None:
    before = torch.get_rng_state()
    list(KeyedSampler(data, shuffle=True))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shuffle", [False, True])
def test_replicas_share_out_the_samples_of_one_order(data: Any, shuffle: bool) -> None:
    shares = [list(KeyedSampler(data, shuffle=shuffle, num_replicas=2, rank=rank)) for rank in range(2)]
    whole = list(KeyedSampler(data, shuffle=shuffle))
    together = [i for pair in zip(*shares, strict=True) for i in pair]
    assert together[:SIZE] == whole
    # The twelfth repeats the first, as a sample of its own.
    assert (together[SIZE], together[SIZE].occurrence) == (whole[0], 1)


def test_replicas_with_drop_last_repeat_nothing(data: Any) -> None:
    shares = [list(KeyedSampler(data, num_replicas=2, rank=rank, drop_last=True)) for rank in range(2)]
    assert sorted(shares[0] + shares[1]) == list(range(10))


def test_more_replicas_than_samples_repeat_round_and_round(data: Any) -> None:
    few = wrap(Subset(Pictures(), [0, 1]), make_pipeline())
    keys = [next(iter(KeyedSampler(few, num_replicas=5, rank=rank))) for rank in range(5)]
    assert [(int(k), k.occurrence) for k in keys] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]


@pytest.mark.parametrize(("replicas", "rank"), [(2, 2), (2, -1), (2, None), (None, 0)])
def test_an_impossible_rank_is_refused(data: Any, replicas: int | None, rank: int | None) -> None:
    with pytest.raises(ValueError, match="rank"):
        KeyedSampler(data, num_replicas=replicas, rank=rank)


def test_replicas_follow_torch_distributed_when_the_epoch_starts(data: Any, tmp_path: Any) -> None:
    batches = loader(data, BATCH)  # before there is a process group, as with Trainer.fit(model, loader)
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        assert batches.sampler.num_replicas == torch.distributed.get_world_size()
    finally:
        torch.distributed.destroy_process_group()
    assert isinstance(batches.sampler, DistributedSampler)  # which is how Lightning knows not to shard again


def test_a_foreign_samplers_repeats_are_samples_of_their_own(data: Any) -> None:
    weighted = WeightedRandomSampler([1.0, 1.0] + [0.0] * (SIZE - 2), num_samples=6)
    keys = list(KeyedSampler(data, order=weighted, seed=1))
    for value in (0, 1):
        occurrences = [key.occurrence for key in keys if key == value]
        assert occurrences == list(range(len(occurrences)))
    images, labels = zip(*pairs(loader(data, 3, sampler=weighted)), strict=True)
    assert set(labels) == {0, 1}
    assert len({image.numpy().tobytes() for image in images}) == 6


@pytest.mark.parametrize("generator", [None, 7])
def test_a_foreign_samplers_order_is_keyed_and_resumes(data: Any, generator: int | None) -> None:
    def make() -> KeyedLoader:
        own = None if generator is None else torch.Generator().manual_seed(generator)
        return loader(data, BATCH, sampler=RandomSampler(Pictures(), generator=own))

    whole = make()
    expected = [order(whole), order(whole)]
    assert expected[0] != expected[1]
    started, resumed = make(), make()
    seen = order(itertools.islice(started, 2))
    resumed.load_state_dict(started.state_dict())
    assert [seen + order(resumed), order(resumed)] == expected


def test_a_foreign_samplers_generator_is_left_as_it_was(data: Any) -> None:
    own = torch.Generator().manual_seed(7)
    before, own_before = torch.get_rng_state(), own.get_state()
    list(KeyedSampler(data, order=RandomSampler(Pictures(), generator=own)))
    list(KeyedSampler(data, order=RandomSampler(Pictures())))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(own.get_state(), own_before)


def test_a_distributed_sampler_is_not_sharded_again_and_gets_the_epoch(data: Any) -> None:
    theirs = DistributedSampler(Pictures(), num_replicas=2, rank=1, shuffle=True)
    keys = KeyedSampler(data, order=theirs, num_replicas=2, rank=1)
    epochs = [list(keys), list(keys)]
    theirs.set_epoch(1)
    assert epochs[1] == list(theirs)
    assert epochs[0] != epochs[1]


class Endless(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        return itertools.cycle(range(3))


def test_an_endless_sampler_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match="needs a __len__"):
        loader(data, BATCH, sampler=Endless())


def test_shuffle_beside_another_sampler_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="shuffle=True"):
        loader(data, BATCH, shuffle=True, sampler=RandomSampler(Pictures()))


def test_keyed_indices_index_arrays_tensors_and_lists() -> None:
    key = KeyedIndex(2, epoch=1)
    assert torch.arange(4)[key] == np.arange(4)[key] == list(range(4))[key] == 2
    assert torch.tensor([key]).tolist() == [2]


def test_drawing_the_order_of_another_sampler_seeds_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(seed: int) -> None:
        raise AssertionError("torch.manual_seed seeds the GPUs, and nobody seeds them back")

    monkeypatch.setattr(torch, "manual_seed", refuse)
    assert sorted(map(int, KeyedSampler(range(5), order=RandomSampler(range(5))))) == [0, 1, 2, 3, 4]
