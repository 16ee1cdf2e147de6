"""Through a DataLoader with workers, batches arrive with the same bits, unchanged, and leave nothing behind."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from augsynth import transforms as T
from augsynth.data import slots
from augsynth.data.sampler import KeyedSampler, loader
from augsynth.data.wrap import collate, wrap
from augsynth.pipeline import Pipeline

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="slots need memfd_create"),
    # Python 3.12 warns of fork in a process with threads, and torch has some.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

COUNT, BATCH, SIDE = 46, 6, 80  # the last batch is smaller; a batch is larger than what travels in a message
Sample = namedtuple("Sample", ["image", "label"])


class Pictures(Dataset[Any]):
    """At module level, so that spawned workers can import it."""

    def __init__(self, make: Callable[..., Any] | None = None, count: int = COUNT, fatal: int = -1) -> None:
        self.make, self.count, self.fatal = make, count, fatal

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Any:
        if i == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        image = ((np.arange((SIDE + 4) ** 2 * 3) * 7 + i * 31) % 251).astype(np.uint8).reshape(SIDE + 4, SIDE + 4, 3)
        return (image, int(i)) if self.make is None else self.make(image=image, label=int(i))


def bare(image: Any, label: int) -> Any:
    return image


def with_more(image: Any, label: int) -> Any:
    about = OrderedDict(weight=np.float32(label / 4), seen=[label, "a"], nothing=torch.zeros(0), map=torch.ones(9, 999))
    return OrderedDict(image=image, about=about, place=(label, -label))


def pipeline(**options: Any) -> Pipeline:
    steps = [T.RandomCrop(SIDE), T.RandomHorizontalFlip(), T.Normalize((0.5,) * 3, (0.5,) * 3)]
    return Pipeline(steps, seed=5, **options)


def loaded(data: Any, way: str = "loader", **options: Any) -> Any:
    """Three ways to load the same samples: ag.loader, and DataLoader with ag.collate or default_collate."""
    if way == "loader":
        return loader(data, BATCH, shuffle=True, **options)
    keys = KeyedSampler(data, shuffle=True, seed=5)
    return DataLoader(data, BATCH, sampler=keys, collate_fn=collate if way == "collate" else None, **options)


def shared_files() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir() if not path.name.startswith("sem.")}


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = shared_files()
    yield
    gc.collect()
    left = shared_files() - before
    for _ in range(50):
        left &= shared_files()  # other processes have files there for a moment
    assert not left


def check_alike(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, torch.Tensor):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs)
        check_alike(list(ours.values()), list(theirs.values()))
    elif isinstance(ours, (list, tuple)):
        for one, other in zip(ours, theirs, strict=True):
            check_alike(one, other)
    else:
        assert ours == theirs


WAYS = [("fork", persistent, way) for persistent in (False, True) for way in ("loader", "collate", "default")]
WAYS += [("spawn", True, "loader"), ("forkserver", True, "collate"), ("forkserver", False, "default")]


@pytest.mark.parametrize(("context", "persistent", "way"), WAYS)
def test_every_batch_has_the_bits_of_the_main_process_and_keeps_them(context: str, persistent: bool, way: str) -> None:
    data = wrap(Pictures(), pipeline())
    alone = loaded(data, way)
    options = {"multiprocessing_context": context, "persistent_workers": persistent, "num_workers": 2}
    batches = loaded(data, way, **options)
    kept = []
    for _ in range(2):
        for number, ((images, labels), (expected, numbers)) in enumerate(zip(batches, alone, strict=True)):
            assert type(images) is type(labels) is torch.Tensor
            assert torch.equal(images, expected)
            assert torch.equal(labels, numbers)
            # Some whole, some as a view alone, and some given back while others come in.
            if number % 3:
                kept.append((images, expected) if number % 3 == 1 else (images[3:5], expected[3:5]))
    assert len(kept) == 10
    assert all(torch.equal(images, expected) for images, expected in kept)


@pytest.mark.parametrize("way", ["loader", "collate", "default"])
def test_batches_that_are_given_back_share_few_slots(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(slots, "_opened", {})
    batches = loaded(wrap(Pictures(count=30 * BATCH), pipeline()), way, num_workers=1)
    seen = set()
    for images, _ in batches:
        places = {memory.ctypes.data + slots.PAGESIZE: key for key, memory in slots._opened.items()}
        seen.add(places[images.data_ptr()])
    assert 1 <= len(seen) <= 6


@pytest.mark.parametrize(
    "make", [None, dict, Sample, bare, with_more], ids=["tuple", "dict", "named", "bare", "nested"]
)
@pytest.mark.parametrize("way", ["collate", "default"])
def test_whatever_stands_beside_the_image_arrives_as_without_workers(make: Any, way: str) -> None:
    data = wrap(Pictures(make, 9), pipeline())
    for ours, theirs in zip(loaded(data, way, num_workers=1), loaded(data, way), strict=True):
        check_alike(ours, theirs)


@pytest.mark.parametrize("batch_size", [None, 1])
@pytest.mark.parametrize("way", [collate, None])
def test_single_samples_cross(batch_size: int | None, way: Any) -> None:
    data = wrap(Pictures(count=4), pipeline())
    options = {"batch_size": batch_size, "collate_fn": way if batch_size else None}
    ours, theirs = (DataLoader(data, num_workers=n, sampler=KeyedSampler(data), **options) for n in (1, 0))
    for one, other in zip(ours, theirs, strict=True):
        check_alike(one, other)


def test_a_function_around_collate_gets_and_gives_tensors() -> None:
    data = wrap(Pictures(), pipeline())
    for ours, theirs in zip(
        loader(data, BATCH, num_workers=1, collate_fn=doubled), loader(data, BATCH, collate_fn=doubled), strict=True
    ):
        check_alike(ours, theirs)


def doubled(samples: Any) -> Any:
    images, labels = collate(samples)
    assert isinstance(images, torch.Tensor)
    return {"twice": images * 2, "part": images[1:, :, ::2], "same": images, "labels": labels}


def test_a_subset_of_a_wrapped_dataset_crosses_too() -> None:
    data = Subset(wrap(Pictures(), Pipeline([T.CenterCrop(SIDE)])), range(3, 9))
    ours, theirs = (next(iter(DataLoader(data, 4, num_workers=n))) for n in (1, 0))
    check_alike(ours, theirs)


def test_a_dataset_that_is_wrapped_twice_crosses() -> None:
    data = wrap(wrap(Pictures(), Pipeline([T.CenterCrop(SIDE)])), pipeline())
    for ours, theirs in zip(loaded(data, "default", num_workers=1), loaded(data, "default"), strict=True):
        check_alike(ours, theirs)


@pytest.mark.cuda
def test_pinned_batches_are_the_same() -> None:
    data = wrap(Pictures(), pipeline())
    batches = loaded(data, num_workers=2, pin_memory=True)
    for (images, labels), (expected, numbers) in zip(batches, loaded(data), strict=True):
        assert images.is_pinned()
        assert torch.equal(images, expected)
        assert torch.equal(labels, numbers)


def small_files_only(_: int) -> None:
    warnings.simplefilter("always")
    warnings.showwarning = lambda text, *_: print(text, file=sys.stderr, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


def test_a_worker_that_may_have_no_shared_memory_says_so_and_delivers(capfd: pytest.CaptureFixture[str]) -> None:
    data = wrap(Pictures(), pipeline())
    batches = loaded(data, num_workers=1, worker_init_fn=small_files_only, multiprocessing_context="fork")
    for ours, theirs in zip(batches, loaded(data), strict=True):
        check_alike(ours, theirs)
    del batches, ours
    assert capfd.readouterr().err.count("no shared memory for a batch") == 1


@pytest.mark.parametrize("way", ["loader", "default"])
def test_a_worker_that_dies_takes_no_batch_with_it(way: str) -> None:
    data = wrap(Pictures(fatal=40), pipeline())
    alone = loaded(wrap(Pictures(), pipeline()), way)
    batches = loaded(data, way, num_workers=1, prefetch_factor=1)
    kept: list[Any] = []
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        kept.extend(batch for batch in batches)
    assert kept
    for ours, theirs in zip(kept, alone, strict=False):
        check_alike(ours, theirs)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_loop_that_is_left_leaves_no_memory_behind(monkeypatch: pytest.MonkeyPatch, persistent: bool) -> None:
    monkeypatch.setattr(slots, "_opened", {})
    batches = loaded(wrap(Pictures(), pipeline()), num_workers=2, persistent_workers=persistent)
    alone = loaded(wrap(Pictures(), pipeline()))
    for _ in range(2):
        passed = iter(batches)
        kept, expected = next(passed), next(iter(alone))
        check_alike(kept, expected)
    mapped = len(slots._opened)
    assert mapped
    del passed, batches
    gc.collect()
    check_alike(kept, expected)
    del kept
    assert not slots._opened
