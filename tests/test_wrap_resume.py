"""StatefulDataLoader over wrapped data: stopped anywhere and resumed, the rest is that of a run without a stop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pictures import Pictures, picture
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader as Loader

import augsynth as ag
from augsynth import transforms as T

SIZE, BATCH, SEED = 23, 3, 2
PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip(), T.RandomRotation(20)], seed=SEED)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning",
    "ignore:'set_vital' is deprecated:UserWarning",  # torchdata 0.11 under torch 2.14
)


class Stream(IterableDataset[Any]):
    """Pictures dealt out to the workers, without a state of its own."""

    def numbers(self) -> range:
        info = get_worker_info()
        return range(SIZE) if info is None else range(info.id, SIZE, info.num_workers)

    def __iter__(self) -> Iterator[Any]:
        for i in self.numbers():
            yield picture(i), i


class Stateful(Stream):
    """One that goes on where its state says, and counts what it reads."""

    def __init__(self) -> None:
        self.next, self.resumed, self.read = 0, False, 0

    def __iter__(self) -> Iterator[Any]:
        if not self.resumed:
            self.next = 0
        self.resumed = False
        for i in self.numbers()[self.next :]:
            self.next += 1
            self.read += 1
            yield picture(i), i

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.next, self.resumed = state["next"], True


class Walk:
    """An iterator that has the state."""

    def __init__(self, numbers: range) -> None:
        self.numbers, self.next = numbers, 0

    def __iter__(self) -> Walk:
        return self

    def __next__(self) -> Any:
        if self.next == len(self.numbers):
            raise StopIteration
        self.next += 1
        i = self.numbers[self.next - 1]
        return picture(i), i

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.next = state["next"]


class Walked(Stream):
    def __iter__(self) -> Any:
        return Walk(self.numbers())


def map_loader(**options: Any) -> Any:
    data = ag.wrap(Pictures(SIZE), PIPELINE)
    return Loader(data, BATCH, sampler=ag.KeyedSampler(data, shuffle=True, seed=SEED), **options)


def wrapped_loader(**options: Any) -> Any:
    generator = torch.Generator().manual_seed(5)
    return ag.wrap(Loader(Pictures(SIZE), BATCH, shuffle=True, generator=generator, **options), PIPELINE)


def stream_loader(stream: type, index_of: Any = None, **options: Any) -> Any:
    return Loader(ag.wrap(stream(), PIPELINE, index_of=index_of), BATCH, **options)


def by_chance(**options: Any) -> Any:
    return ag.wrap(Loader(Pictures(SIZE), BATCH, shuffle=True, **options), PIPELINE)


MAKES = {
    "map": map_loader,
    "wrapped loader": wrapped_loader,
    "stream": lambda **options: stream_loader(Stream, **options),
    "stateful": lambda **options: stream_loader(Stateful, **options),
    "iterator": lambda **options: stream_loader(Walked, **options),
    "keyed": lambda **options: stream_loader(Stateful, 1, **options),
    "wrapped stream": lambda **options: ag.wrap(Loader(Stateful(), BATCH, **options), PIPELINE),
}


def bits(batches: Any) -> list[tuple[bytes, list[int]]]:
    return [(images.numpy().tobytes(), labels.tolist()) for images, labels in batches]


def epochs(loader: Any, count: int) -> list[Any]:
    torch.manual_seed(7)
    return [bits(loader) for _ in range(count)]


def stopped(make: Any, at: int, **options: Any) -> tuple[list[Any], Any]:
    """Run until `at` batches are delivered, and return them with the state."""
    torch.manual_seed(7)
    loader = make(**options)
    seen = bits(itertools.islice(loader, at))
    return seen, loader.state_dict()


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize("at", range(8))
def test_a_stop_at_any_step_changes_nothing_in_one_process(name: str, at: int) -> None:
    whole = epochs(MAKES[name](), 1)[0]
    assert len(whole) == 8
    seen, state = stopped(MAKES[name], at)
    torch.manual_seed(99)
    resumed = MAKES[name]()
    resumed.load_state_dict(state)
    assert seen + bits(resumed) == whole


@pytest.mark.parametrize("name", MAKES)
def test_a_stop_changes_nothing_with_two_workers(name: str) -> None:
    whole = epochs(MAKES[name](num_workers=2), 1)[0]
    for at in (1, 4, 7):
        seen, state = stopped(MAKES[name], at, num_workers=2)
        torch.manual_seed(99)
        resumed = MAKES[name](num_workers=2)
        resumed.load_state_dict(state)
        assert seen + bits(resumed) == whole
    assert sorted(i for _, labels in whole for i in labels) == list(range(SIZE))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_order_that_chance_began_goes_on_as_it_began(workers: int) -> None:
    """torchdata gives its sampler a generator of a seed by chance where the user gives none."""
    torch.manual_seed(7)
    loader = by_chance(num_workers=workers)
    whole = [bits(loader), bits(loader)]
    torch.manual_seed(7)
    loader = by_chance(num_workers=workers)
    seen, state = bits(itertools.islice(loader, 3)), loader.state_dict()
    torch.manual_seed(99)
    resumed = by_chance(num_workers=workers)
    resumed.load_state_dict(state)
    assert [seen + bits(resumed), bits(resumed)] == whole


@pytest.mark.parametrize(("name", "context"), [("map", "forkserver"), ("keyed", "spawn")])
def test_a_stop_changes_nothing_with_workers_that_do_not_fork(name: str, context: str) -> None:
    whole = epochs(MAKES[name](num_workers=2), 1)[0]
    seen, state = stopped(MAKES[name], 3, num_workers=2)
    resumed = MAKES[name](num_workers=2, multiprocessing_context=context)
    resumed.load_state_dict(state)
    assert seen + bits(resumed) == whole


@pytest.mark.parametrize("name", ["map", "keyed"])
def test_the_epochs_after_a_resumed_one_are_those_of_a_run_without_a_stop(name: str) -> None:
    whole = epochs(MAKES[name](), 3)
    loader = MAKES[name]()
    torch.manual_seed(7)
    list(loader)
    seen = bits(itertools.islice(loader, 2))
    resumed = MAKES[name]()
    resumed.load_state_dict(loader.state_dict())
    assert seen + bits(resumed) == whole[1]
    assert bits(resumed) == whole[2]


def test_the_state_of_the_users_stream_is_used_instead_of_reading_again() -> None:
    _, state = stopped(MAKES["stateful"], 6)
    resumed = MAKES["stateful"]()
    resumed.load_state_dict(state)
    list(resumed)
    assert resumed.dataset.dataset.read <= SIZE - 16


def test_ours_resumes_in_the_middle_without_torchdata_too() -> None:
    whole = bits(ag.wrap(DataLoader(Pictures(SIZE), BATCH, shuffle=True), PIPELINE))
    loader = ag.wrap(DataLoader(Pictures(SIZE), BATCH, shuffle=True), PIPELINE)
    seen = bits(itertools.islice(loader, 3))
    again = ag.wrap(DataLoader(Pictures(SIZE), BATCH, shuffle=True, num_workers=2), PIPELINE)
    again.load_state_dict(loader.state_dict())
    assert seen + bits(again) == whole
