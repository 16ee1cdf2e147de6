"""`wrap` of a DataLoader: the user's own loader again, its samples augmented by the batch and keyed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pictures import Pictures, picture
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
    default_collate,
)
from torch.utils.data.datapipes.iter import IterableWrapper
from torch.utils.data.distributed import DistributedSampler

import augsynth as ag
from augsynth import transforms as T
from augsynth.data.sampler import KeyedLoader
from augsynth.rng import Rng

SIZE, SEED = 9, 4
PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip(), T.RandomRotation(20)], seed=SEED)

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Stream(IterableDataset[Any]):
    """Pictures, dealt out to the workers."""

    def __iter__(self) -> Iterator[Any]:
        info = torch.utils.data.get_worker_info()
        for i in range(0 if info is None else info.id, SIZE, 1 if info is None else info.num_workers):
            yield picture(i), i


def truth(i: int, epoch: int = 0, occurrence: int = 0) -> torch.Tensor:
    return PIPELINE.images([picture(i)], Rng.of(SEED, i, epoch, occurrence))[0]


def check(batches: Any, epoch: int = 0) -> list[int]:
    """Compare each sample with what its key says, and return the labels in order."""
    order = []
    for images, labels in batches:
        for image, label in zip(images, labels.tolist(), strict=True):
            assert torch.equal(image, truth(label, epoch))
            order.append(label)
    return order


@pytest.mark.parametrize("workers", [0, 2])
def test_a_wrapped_loader_delivers_every_sample_by_its_key(workers: int) -> None:
    batches = ag.wrap(DataLoader(Pictures(SIZE), 4, num_workers=workers), PIPELINE)
    assert check(batches, 0) == list(range(SIZE))
    assert check(batches, 1) == list(range(SIZE))


def nothing(worker: int) -> None:
    pass


def test_all_that_the_user_said_of_the_loader_still_holds() -> None:
    theirs = DataLoader(
        Pictures(SIZE),
        4,
        shuffle=True,
        num_workers=2,
        drop_last=True,
        timeout=7,
        worker_init_fn=nothing,
        multiprocessing_context="fork",
        generator=torch.Generator().manual_seed(1),
        prefetch_factor=3,
        persistent_workers=True,
        in_order=False,
    )
    ours = ag.wrap(theirs, PIPELINE)
    assert isinstance(ours, KeyedLoader)
    assert ours is not theirs
    for name in ("batch_size", "num_workers", "drop_last", "timeout", "prefetch_factor", "persistent_workers"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name in ("generator", "in_order", "pin_memory", "multiprocessing_context"):
        assert getattr(ours, name) is getattr(theirs, name)
    assert ours.worker_init_fn.then is nothing
    assert ours.dataset.dataset is theirs.dataset
    assert ours.sampler.order is theirs.sampler
    assert len(ours) == len(theirs) == 2


def test_pinning_is_taken_over() -> None:
    assert ag.wrap(DataLoader(Pictures(SIZE), 4, pin_memory=True), PIPELINE).pin_memory


def test_shuffling_is_a_function_of_the_pipelines_seed_and_the_epoch() -> None:
    orders = [check(ag.wrap(DataLoader(Pictures(SIZE), 4, shuffle=True), PIPELINE)) for _ in range(2)]
    assert orders[0] == orders[1] != sorted(orders[0])


def pairs_of(samples: list[Any]) -> tuple[list[torch.Tensor], list[int]]:
    return [image for image, _ in samples], [label + 100 for _, label in samples]


def test_the_users_collate_function_gets_the_augmented_samples() -> None:
    images, labels = next(iter(ag.wrap(DataLoader(Pictures(SIZE), 4, collate_fn=pairs_of), PIPELINE)))
    assert labels == [100, 101, 102, 103]
    assert all(torch.equal(image, truth(i)) for i, image in enumerate(images))


def test_a_batch_is_augmented_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    whole = ag.Pipeline.images

    def counted(self: Any, images: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(images))
        return whole(self, images, *args, **kwargs)

    monkeypatch.setattr(ag.Pipeline, "images", counted)
    list(ag.wrap(DataLoader(Pictures(SIZE), 4), PIPELINE))
    list(ag.wrap(DataLoader(Stream(), 4), PIPELINE))
    assert sizes == [4, 4, 1] * 2


def test_what_comes_twice_in_an_epoch_is_drawn_anew() -> None:
    sampler = WeightedRandomSampler([1.0] * SIZE, 40)
    seen: dict[int, int] = {}
    for images, labels in ag.wrap(DataLoader(Pictures(SIZE), 8, sampler=sampler), PIPELINE):
        for image, label in zip(images, labels.tolist(), strict=True):
            assert torch.equal(image, truth(label, 0, seen.get(label, 0)))
            seen[label] = seen.get(label, 0) + 1
    assert sum(seen.values()) == 40


def test_a_distributed_sampler_keeps_its_sharding() -> None:
    shares = []
    for rank in range(2):
        sampler = DistributedSampler(range(SIZE), 2, rank, shuffle=True, seed=3, drop_last=True)
        sampler.set_epoch(1)
        theirs = list(sampler)
        batches = ag.wrap(DataLoader(Pictures(SIZE), 2, sampler=sampler), PIPELINE)
        batches.set_epoch(1)
        shares.append(check(batches, 1))
        assert shares[-1] == theirs
    assert len({*shares[0], *shares[1]}) == 8


class Share(Sampler[int]):
    """A sampler that deals samples out without being a DistributedSampler, as many have."""

    rank, world_size = 1, 2

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, SIZE, self.world_size))

    def __len__(self) -> int:
        return SIZE // 2


def test_a_sampler_of_the_users_own_that_shares_is_not_shared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augsynth.data.sampler.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("augsynth.data.sampler.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("augsynth.data.sampler.distributed.get_rank", lambda: 1)
    assert check(ag.wrap(DataLoader(Pictures(SIZE), 2, sampler=Share()), PIPELINE)) == [1, 3, 5, 7]
    shared = ag.wrap(DataLoader(Pictures(SIZE), 2), PIPELINE)
    assert [label for _, labels in shared for label in labels.tolist()] == [1, 3, 5, 7, 0]


class Buckets(Sampler[list[int]]):
    """Batches of the user's own making, one index twice."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def __iter__(self) -> Iterator[list[int]]:
        return iter([[3, 1, 2], [0], [7, 3]])

    def __len__(self) -> int:
        return 3

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_sampler_of_the_users_own_gets_keys(workers: int) -> None:
    batches = ag.wrap(DataLoader(Pictures(SIZE), batch_sampler=Buckets(), num_workers=workers), PIPELINE)
    assert len(batches) == 3
    for epoch in range(2):
        *first, (images, labels) = batches
        assert check(first, epoch) == [3, 1, 2, 0]
        assert torch.equal(images[0], truth(7, epoch))
        assert torch.equal(images[1], truth(3, epoch, 1))
        assert labels.tolist() == [7, 3]


def test_set_epoch_reaches_a_batch_sampler_of_the_users_own() -> None:
    theirs = Buckets()
    batches = ag.wrap(DataLoader(Pictures(SIZE), batch_sampler=theirs), PIPELINE)
    batches.batch_sampler.sampler.set_epoch(5)  # where Lightning looks
    assert theirs.epochs == [5]
    assert check([next(iter(batches))], 5) == [3, 1, 2]


def test_a_loader_without_batches_delivers_samples() -> None:
    batches = ag.wrap(DataLoader(Pictures(SIZE), batch_size=None, shuffle=True), PIPELINE)
    samples = list(batches)
    assert sorted(label for _, label in samples) == list(range(SIZE))
    assert all(torch.equal(image, truth(label)) for image, label in samples)


def test_a_sampler_of_index_lists_without_batches_is_refused_with_what_to_do() -> None:
    lists = BatchSampler(SequentialSampler(range(SIZE)), 3, False)
    with pytest.raises(TypeError, match=r"sampler of batches \(BatchSampler\).*give it the sampler as batch_sampler="):
        ag.wrap(DataLoader(Pictures(SIZE), batch_size=None, sampler=lists), PIPELINE)


class Own(DataLoader[Any]):
    """A loader class with a constructor of its own."""

    def __init__(self, data: Any, colour: str, **kwargs: Any) -> None:
        super().__init__(data, batch_size=4, **kwargs)
        self.colour = colour

    def __iter__(self) -> Any:
        return iter([*super().__iter__(), self.colour])


def test_a_loader_of_the_users_own_class_stays_of_that_class() -> None:
    theirs = Own(Pictures(SIZE), "red", shuffle=True)
    ours = ag.wrap(theirs, PIPELINE)
    *batches, last = ours
    assert type(ours) is Own
    assert last == "red"
    assert sorted(check(batches)) == list(range(SIZE))
    assert isinstance(theirs.sampler, RandomSampler)
    assert isinstance(theirs.dataset, Pictures)


def test_a_loader_that_carries_keys_already_keeps_them() -> None:
    inner = ag.loader(ag.wrap(Pictures(SIZE), ag.Pipeline([])), 4, shuffle=True, seed=8)
    again = ag.loader(ag.wrap(Pictures(SIZE), PIPELINE), 4, shuffle=True, seed=8)
    assert check(ag.wrap(inner, PIPELINE)) == check(again)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_over_a_stream_is_augmented_in_the_workers(workers: int) -> None:
    batches = ag.wrap(DataLoader(Stream(), 4, num_workers=workers), PIPELINE)
    seen = []
    for _ in range(2):
        torch.manual_seed(3)
        seen.append(list(batches))
    labels = [label for _, part in seen[0] for label in part.tolist()]
    assert sorted(labels) == list(range(SIZE))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(*seen, strict=True))
    assert seen[0][0][0].shape == (4, 3, 6, 6)
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(seen[0], batches, strict=True))


def test_a_loader_over_a_stream_without_batches_delivers_samples() -> None:
    samples = list(ag.wrap(DataLoader(Stream(), batch_size=None), PIPELINE))
    assert [label for _, label in samples] == list(range(SIZE))
    assert all(image.shape == (3, 6, 6) for image, _ in samples)


def test_mixing_over_a_stream_takes_whole_batches() -> None:
    mixed = ag.Pipeline([T.CenterCrop(6), T.MixUp(num_classes=SIZE)])
    images, labels = next(iter(ag.wrap(DataLoader(Stream(), 4), mixed)))
    assert images.shape == (4, 3, 6, 6)
    torch.testing.assert_close(labels.sum(1), torch.ones(4))
    with pytest.raises(TypeError, match=r"MixUp mixes .* index_of= cannot key; leave it out"):
        ag.wrap(DataLoader(Stream(), 4), mixed, index_of=1)
    with pytest.raises(TypeError, match=r"MixUp mixes .* a stream has single samples"):
        next(iter(ag.wrap(DataLoader(Stream(), None), mixed)))


def test_what_lightning_remembers_of_a_loader_is_forgotten_with_its_dataset() -> None:
    theirs = Own(Pictures(SIZE), "red")
    theirs.__dict__.update({"__pl_saved_args": (theirs.dataset,), "__dataset": theirs.dataset})
    assert not [name for name in vars(ag.wrap(theirs, PIPELINE)) if name.startswith("__")]


def test_default_collate_of_the_user_is_ours() -> None:
    ours = ag.wrap(DataLoader(Stream(), 3, collate_fn=default_collate), PIPELINE)
    assert ours.collate_fn is ag.collate


def test_a_sampler_of_anything_but_numbers_is_refused() -> None:
    batches = ag.wrap(DataLoader(Pictures(SIZE), 2, sampler=[(0, 224), (1, 192)]), PIPELINE)
    with pytest.raises(TypeError, match=r"the sampler list gave tuple \(0, 224\); a key needs an int for an index"):
        next(iter(batches))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_pipe_keeps_the_sharding_that_the_loader_gives_it(workers: int) -> None:
    pipe = IterableWrapper([(picture(i), i) for i in range(SIZE)]).sharding_filter()
    batches = list(ag.wrap(DataLoader(pipe, 4, num_workers=workers), PIPELINE))
    assert sorted(label for _, labels in batches for label in labels.tolist()) == list(range(SIZE))
    assert batches[0][0].shape == (4, 3, 6, 6)
    with pytest.raises(TypeError, match=r"index_of= is for streams that are no data pipes; leave it out"):
        ag.wrap(DataLoader(pipe, 4), PIPELINE, index_of=1)
    with pytest.raises(TypeError, match=r"is an IterDataPipe.*wrap the DataLoader, or its collate function"):
        ag.wrap(pipe, PIPELINE)


class Keeping(pl.LightningModule):
    """Keeps the batches of its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.batches: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.batches.append((self.current_epoch, batch))
        return self.weight * 1.0

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("overfit", [0.0, 1])
@pytest.mark.parametrize(
    "make",
    [
        lambda: DataLoader(Pictures(SIZE), 4, shuffle=True),
        lambda: DataLoader(Pictures(SIZE), batch_sampler=BatchSampler(RandomSampler(range(SIZE)), 4, False)),
        lambda: Plain(Pictures(SIZE), 4),
    ],
    ids=["plain", "batch sampler", "own class"],
)
@pytest.mark.filterwarnings("ignore:You requested to overfit:UserWarning")
def test_lightning_trains_on_a_wrapped_loader_by_its_epochs(
    tmp_path: Any, make: Any, overfit: Any, request: Any
) -> None:
    model, quiet = Keeping(), {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        overfit_batches=overfit,
        default_root_dir=tmp_path,
        **quiet,
    )
    trainer.fit(model, ag.wrap(make(), PIPELINE))
    assert [epoch for epoch, _ in model.batches] == ([0, 1] if overfit else [0, 0, 0, 1, 1, 1])
    for epoch, (images, labels) in model.batches:
        assert images.shape[1:] == (3, 6, 6)
        # To overfit, Lightning makes the loader anew, with a sampler of its own, and only ours sees to the keys then.
        if not overfit or "plain" in request.node.name:
            check([(images, labels)], epoch)


class Plain(DataLoader[Any]):
    """A class of the user's own with the usual constructor."""
