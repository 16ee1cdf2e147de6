from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from fakes import Own
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    Subset,
)

from augsynth import transforms as T
from augsynth.data.sampler import KeyedLoader, KeyedSampler, loader
from augsynth.data.synthetic import SyntheticDataset
from augsynth.data.wrap import collate, wrap
from augsynth.errors import SampleError
from augsynth.pipeline import Pipeline
from augsynth.rng import Rng

pytestmark = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create 3 worker processes:UserWarning",
    # Python 3.12 warns of fork in a process with threads, and torch has some.
    "ignore:This process .* is multi-threaded:DeprecationWarning",
)

SIZE, BATCH = 11, 2
SEED = 5


class Pictures(Dataset[Any]):
    """PIL images of different sizes; at module level, so that spawned workers can import it."""

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        values = (np.arange(12 * (10 + i % 3) * 3) * 7 + i * 31) % 251
        return Image.fromarray(values.astype(np.uint8).reshape(12, -1, 3)), int(i)


def make_pipeline() -> Pipeline:
    return Pipeline([T.RandomCrop(8), T.RandomHorizontalFlip(), T.RandomRotation(20)], seed=SEED)


@pytest.fixture
def data() -> Any:
    return wrap(Pictures(), make_pipeline())


@pytest.fixture(scope="module")
def truth() -> dict[tuple[int, int], torch.Tensor]:
    """Each (epoch, index), augmented on its own."""
    pipeline, base = make_pipeline(), Pictures()
    pairs = itertools.product(range(3), range(SIZE))
    return {(e, i): pipeline.images([base[i][0]], Rng.of(SEED, i, e))[0] for e, i in pairs}


def order(batches: Any) -> list[int]:
    return [i for _, labels in batches for i in torch.as_tensor(labels).reshape(-1).tolist()]


def pairs(batches: Any) -> Iterator[tuple[torch.Tensor, int]]:
    for images, labels in batches:
        for image, label in zip(images.reshape(-1, 3, 8, 8), torch.as_tensor(labels).reshape(-1), strict=True):
            yield image, int(label)


def check(batches: Any, epoch: int, truth: dict[tuple[int, int], torch.Tensor]) -> None:
    for image, i in pairs(batches):
        assert image.dtype == torch.uint8
        assert torch.equal(image, truth[epoch, i])


# A worker that does not fork takes seconds to start: one alone is tried with batches only.
WAYS = [
    pytest.param(*way, size, id="-".join(map(str, (*way, name))))
    for way in [
        (0, None, False),
        *itertools.product((1, 3), ("fork", "spawn", "forkserver"), (False, True)),
    ]
    for size, name in ((BATCH, "batched"), (None, "one_by_one"))
    if not (way[0] == 1 and way[1] != "fork" and name == "one_by_one")
]


def arguments(workers: int, context: str | None, persistent: bool) -> dict[str, Any]:
    return {"num_workers": workers, "multiprocessing_context": context, "persistent_workers": persistent}


@pytest.mark.parametrize(("workers", "context", "persistent", "batch_size"), WAYS)
def test_every_way_of_loading_delivers_the_same_samples_also_when_resumed(
    data: Any,
    truth: dict[tuple[int, int], torch.Tensor],
    workers: int,
    context: str | None,
    persistent: bool,
    batch_size: int | None,
) -> None:
    batches = loader(data, batch_size, shuffle=True, **arguments(workers, context, persistent))
    alone = loader(data, batch_size, shuffle=True)
    expected = [order(alone), order(alone)]
    first = list(itertools.islice(batches, 3))
    batches.load_state_dict(batches.state_dict())
    rest = list(batches)
    check(first + rest, 0, truth)
    assert order(first + rest) == expected[0]
    if persistent or context != "spawn":  # seconds for each start of a spawned worker
        second = list(batches)
        check(second, 1, truth)
        assert order(second) == expected[1]


class Dawdling:
    """Something that takes the queue's thread half a second of torch's C++ to pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            torch.ones(256, 256).mm(torch.ones(256, 256))
        return Dawdling, ()


def dawdle(samples: Any) -> Dawdling:
    return Dawdling()


def test_a_spawned_worker_that_is_stopped_with_batches_under_way_does_not_abort(data: Any) -> None:
    batches = loader(data, BATCH, collate_fn=dawdle, num_workers=1, multiprocessing_context="spawn")
    delivery = iter(batches)
    assert isinstance(next(delivery), Dawdling)
    (worker,) = delivery.batches._workers  # type: ignore[attr-defined]
    del delivery
    worker.join()
    assert worker.exitcode == 0


def test_opencv_has_no_threads_for_which_a_forked_worker_would_wait_forever() -> None:
    # Its pool does not survive a fork; that a worker hangs on it depends on timing, so this looks at the cause.
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_loader_with_the_sampler_and_default_collate_delivers_the_same(
    data: Any, truth: dict[tuple[int, int], torch.Tensor], workers: int
) -> None:
    plain = DataLoader(data, 4, sampler=KeyedSampler(data, shuffle=True, seed=SEED), num_workers=workers)
    for epoch in range(2):
        check(plain, epoch, truth)


def test_a_new_loader_in_a_new_run_goes_on_where_the_state_was_taken(data: Any) -> None:
    whole = loader(data, BATCH, shuffle=True)
    expected = order(whole) + order(whole)
    started = loader(data, BATCH, shuffle=True, num_workers=2)  # prefetches beyond what it delivers
    iterator = iter(started)
    seen = [next(iterator) for _ in range(2)]
    resumed = loader(data, BATCH, shuffle=True)
    resumed.load_state_dict(started.state_dict())
    assert len(resumed) == len(whole)
    assert order(seen) + order(resumed) + order(resumed) == expected


def test_resuming_twice_in_one_epoch_is_exact(data: Any) -> None:
    expected = order(loader(data, BATCH, shuffle=True))
    seen: list[int] = []
    state = loader(data, BATCH, shuffle=True).state_dict()
    for _ in range(3):
        again = loader(data, BATCH, shuffle=True)
        again.load_state_dict(state)
        seen += order(itertools.islice(again, 2))
        state = again.state_dict()
    assert seen == expected
    assert (state["epoch"], state["start"]) == (1, 0)


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_state_taken_after_the_last_batch_starts_the_next_epoch(data: Any, drop_last: bool) -> None:
    batches = loader(data, BATCH, drop_last=drop_last)
    iterator = iter(batches)
    for _ in range(len(batches)):
        next(iterator)
    state = batches.state_dict()
    assert (state["epoch"], state["start"]) == (1, 0)
    assert next(iterator, None) is None
    assert batches.state_dict() == state


def test_drop_last_resumes_exactly(data: Any) -> None:
    batches = loader(data, 3, shuffle=True, drop_last=True)
    expected = order(batches)
    again = loader(data, 3, shuffle=True, drop_last=True)
    seen = order(itertools.islice(again, 1))
    again.load_state_dict(again.state_dict())
    assert seen + order(again) == expected
    assert len(expected) == 9


class Failing(Pictures):
    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        if i == 5:
            raise OSError("gone")
        return super().__getitem__(i)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_failed_does_not_count_as_delivered(workers: int) -> None:
    batches = loader(wrap(Failing(), make_pipeline()), BATCH, num_workers=workers)
    with pytest.raises(SampleError, match="sample 5 could not be read"):
        list(batches)
    assert (batches.state_dict()["epoch"], batches.state_dict()["start"]) == (0, 4)


def test_the_epoch_advances_at_each_pass_and_set_epoch_sets_the_next(data: Any) -> None:
    batches = loader(data, BATCH, shuffle=True)
    orders = [order(batches) for _ in range(3)]
    assert len({tuple(o) for o in orders}) == 3
    batches.set_epoch(1)
    assert order(batches) == orders[1]
    batches.sampler.set_epoch(0)  # what Lightning calls
    assert order(batches) == orders[0]


def test_set_epoch_holds_for_an_iterator_that_has_not_started(data: Any) -> None:
    batches = loader(data, BATCH, shuffle=True, num_workers=1)
    iterator = iter(batches)  # Lightning makes it before it calls set_epoch
    batches.sampler.set_epoch(2)
    assert order(iterator) == order(_at_epoch(data, 2))


def _at_epoch(data: Any, epoch: int) -> KeyedLoader:
    batches = loader(data, BATCH, shuffle=True)
    batches.set_epoch(epoch)
    return batches


def test_set_epoch_to_another_epoch_drops_the_position_that_was_loaded(data: Any) -> None:
    started = loader(data, BATCH, shuffle=True)
    next(iter(started))
    state = started.state_dict()
    resumed = loader(data, BATCH, shuffle=True)
    resumed.load_state_dict(state)
    resumed.set_epoch(0)
    assert len(order(resumed)) == SIZE - BATCH
    resumed.load_state_dict(state)
    resumed.set_epoch(3)
    assert len(order(resumed)) == SIZE


def test_set_epoch_after_a_broken_off_epoch_is_what_the_state_says(data: Any) -> None:
    batches = loader(data, BATCH)
    next(iter(batches))
    batches.set_epoch(4)
    assert (batches.state_dict()["epoch"], batches.state_dict()["start"]) == (4, 0)


@pytest.mark.parametrize("epoch", [-1, 1.5, None])
def test_an_impossible_epoch_is_refused(data: Any, epoch: Any) -> None:
    with pytest.raises(ValueError, match="must be an integer, 0 or above"):
        loader(data, BATCH).set_epoch(epoch)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"batch_size": 3}, "batch_size=2, now 3"),
        ({"seed": 8}, "seed=5, now 8"),
        ({"shuffle": False}, "order='shuffle', now 'sequential'"),
        ({"num_replicas": 2, "rank": 0}, "num_replicas=1, now 2"),
    ],
)
def test_a_state_of_another_order_is_refused(data: Any, other: dict[str, Any], message: str) -> None:
    state = loader(data, BATCH, shuffle=True).state_dict()
    with pytest.raises(ValueError, match=f"cannot resume exactly.*{message}"):
        loader(data, **{"batch_size": BATCH, "shuffle": True, **other}).load_state_dict(state)


def test_a_state_of_a_dataset_of_another_size_is_refused(data: Any) -> None:
    state = loader(data, BATCH).state_dict()
    with pytest.raises(ValueError, match="size=11, now 4"):
        loader(wrap(Subset(Pictures(), range(4)), make_pipeline()), BATCH).load_state_dict(state)


def test_the_seed_of_the_order_is_the_pipelines_by_default(data: Any) -> None:
    assert order(loader(data, BATCH, shuffle=True)) == order(loader(data, BATCH, shuffle=True, seed=SEED))
    assert order(loader(data, BATCH, shuffle=True)) != order(loader(data, BATCH, shuffle=True, seed=SEED + 1))


def test_a_batch_sampler_over_the_keyed_sampler_works(data: Any) -> None:
    keys = KeyedSampler(data, shuffle=True, seed=SEED)
    batches = KeyedLoader(data, batch_sampler=BatchSampler(keys, BATCH, drop_last=False))
    assert order(batches) == order(loader(data, BATCH, shuffle=True))
    with pytest.raises(TypeError, match="from a KeyedSampler"):
        KeyedLoader(data, batch_sampler=BatchSampler(range(4), BATCH, drop_last=False))


def test_a_dataset_that_is_not_wrapped_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=r"needs a dataset from wrap\(dataset, pipeline\), got Pictures$"):
        loader(Pictures(), BATCH)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="wrap the Subset, not what is in it"):
        loader(Subset(data, [0]), BATCH)  # type: ignore[arg-type]


def test_a_mixed_dataset_is_refused_with_the_way_to_load_it() -> None:
    mixed = SyntheticDataset(Own(), 6)
    with pytest.raises(TypeError, match=r"got SyntheticDataset; .*give ag\.wrap\(dataset, ag\.Pipeline\(\[\]\)\)"):
        loader(mixed, BATCH)  # type: ignore[arg-type]
    images, labels = next(iter(loader(wrap(mixed, Pipeline([])), BATCH)))
    assert (images.shape, labels.tolist()) == ((2, 1, 8, 8), [0, 0])


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(ValueError, match="the dataset Subset is empty"):
        loader(wrap(Subset(Pictures(), []), make_pipeline()), BATCH)


def test_a_batch_size_that_leaves_no_batch_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="no batch: 11 samples, batch_size=64"):
        loader(data, 64, drop_last=True)


def test_other_arguments_reach_the_loader(data: Any) -> None:
    batches = loader(data, BATCH, num_workers=2, prefetch_factor=5, collate_fn=list)
    assert (batches.prefetch_factor, batches.num_workers) == (5, 2)
    assert isinstance(next(iter(batches)), list)
    with pytest.raises(TypeError, match="colate"):
        loader(data, BATCH, colate=None)


def test_ready_batches_cross_from_the_workers(data: Any) -> None:
    images, labels = next(iter(DataLoader(data, 4, num_workers=1, collate_fn=collate)))
    assert (images.shape, labels.tolist()) == ((4, 3, 8, 8), [0, 1, 2, 3])
