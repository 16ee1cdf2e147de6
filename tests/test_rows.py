"""Samples that are tuples, seen as columns: compiled and in Python alike, and collated as torch does."""

from __future__ import annotations

import gc
import weakref
from collections import namedtuple
from typing import Any

import pytest
import torch
from torch.utils.data import default_collate

import augsynth as ag
from augsynth.data import rows
from augsynth.data.rows import columns_of

Pair = namedtuple("Pair", "image label")
IMAGE = torch.zeros(3, 2, 2)
NONE: list[Any] = [
    [],
    (),
    ((IMAGE, 1),),
    [IMAGE, IMAGE],
    [(IMAGE, 1), (IMAGE,)],
    [(IMAGE, 1), [IMAGE, 1]],
    [(IMAGE, 1), Pair(IMAGE, 1)],
    [Pair(IMAGE, 1)],
    [{"image": IMAGE}],
    ["ab", "cd"],
]
TABLES: list[Any] = [
    [(IMAGE, 1)],
    [(IMAGE, 1), (IMAGE, 2)],
    [(IMAGE, 1), (IMAGE, True), (IMAGE, 3)],
    [(IMAGE, "a"), (IMAGE, None)],
    [(IMAGE, None), (IMAGE, "a"), (IMAGE, None)],
    [(IMAGE, "a", 1.0), (torch.nn.Parameter(IMAGE), "b", 2.0)],
    [(), ()],
]


@pytest.fixture(params=["compiled", "python"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "python":
        monkeypatch.setattr(rows, "kernel", None)


@pytest.mark.parametrize("samples", NONE, ids=range(len(NONE)))
def test_what_is_no_list_of_equal_tuples_has_no_columns(samples: Any) -> None:
    assert columns_of(samples) is None


@pytest.mark.parametrize("samples", TABLES, ids=range(len(TABLES)))
def test_columns_hold_the_entries_and_name_their_type(samples: Any) -> None:
    kinds, columns = columns_of(samples) or ((), [])
    assert len(columns) == len(kinds) == len(samples[0])
    for position, (kind, column) in enumerate(zip(kinds, columns, strict=True)):
        entries = [sample[position] for sample in samples]
        assert type(column) is tuple
        assert list(map(id, column)) == list(map(id, entries))
        assert kind is (type(entries[0]) if len(set(map(type, entries))) == 1 else None)


def test_a_column_keeps_its_entries_no_longer_than_it_lives() -> None:
    image = torch.zeros(1)
    seen, samples = weakref.ref(image), [(image, 1), (image, 2)]
    table = columns_of(samples)
    del image, samples
    assert seen() is not None
    del table
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize(
    "samples",
    [
        [(IMAGE, torch.tensor(1)), (IMAGE + 1, torch.tensor(2))],
        [(IMAGE, 1, 0.5, "a"), (IMAGE, 2, 1.5, "b")],
        [(IMAGE, {"a": 1}, (1, 2)), (IMAGE, {"a": 2}, (3, 4))],
    ],
    ids=["tensors", "numbers and words", "nested"],
)
def test_collate_gives_what_default_collate_gives(samples: Any) -> None:
    ours, theirs = ag.collate(samples), default_collate(samples)
    assert type(ours) is type(theirs)
    assert repr(ours) == repr(theirs)


def test_collate_fails_like_default_collate() -> None:
    for samples in ([(IMAGE, 1), (IMAGE,)], [(IMAGE, None), (IMAGE, None)]):
        with pytest.raises((RuntimeError, TypeError)) as theirs:
            default_collate(samples)
        with pytest.raises(type(theirs.value)) as ours:
            ag.collate(samples)
        assert str(ours.value) == str(theirs.value)
