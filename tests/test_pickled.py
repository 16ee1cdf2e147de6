"""What goes to a worker that does not fork: no generator, no lambda, no lock, before and after use."""

from __future__ import annotations

import io
import pickle
import threading
import types
from typing import Any

import pytest
import torch
from fakes import Own
from pictures import Pictures, picture
from torch.utils.data import DataLoader, IterableDataset, default_collate

import augsynth as ag
from augsynth import transforms as T

PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip(), T.ColorJitter(0.4)], seed=1)
WRONG = (torch.Generator, types.GeneratorType, type(threading.Lock()), type(threading.RLock()))


class Strict(pickle.Pickler):
    """Refuses what should never be sent."""

    def reducer_override(self, value: Any) -> Any:
        is_lambda = isinstance(value, types.FunctionType) and value.__name__ == "<lambda>"
        if isinstance(value, WRONG) or is_lambda:
            raise AssertionError(f"{value!r} is pickled")
        return NotImplemented


def strictly(value: Any) -> Any:
    buffer = io.BytesIO()
    Strict(buffer).dump(value)
    return pickle.loads(buffer.getvalue())


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return ((picture(i), i) for i in range(6))


def loaders() -> dict[str, DataLoader[Any]]:
    own = torch.Generator().manual_seed(3)
    wrapped = ag.wrap(Pictures(6), PIPELINE)
    return {
        "loader": ag.loader(wrapped, 2, shuffle=True),
        "wrapped loader": ag.wrap(DataLoader(Pictures(6), 2, shuffle=True, generator=own), PIPELINE),
        "plain loader of ours": DataLoader(wrapped, 2, collate_fn=ag.collate),
        "stream": DataLoader(ag.wrap(Stream(), PIPELINE, index_of=1), 2),
        "wrapped loader of a stream": ag.wrap(DataLoader(Stream(), 2), PIPELINE),
        "collate": DataLoader(list(range(6)), 2, collate_fn=ag.wrap(default_collate, PIPELINE)),
        "generated": ag.loader(ag.wrap(ag.SyntheticDataset(Own(), 6), ag.Pipeline([])), 2),
    }


@pytest.mark.parametrize("name", loaders())
def test_a_worker_is_sent_no_generator_no_lambda_and_no_lock(name: str) -> None:
    loader = loaders()[name]
    sent = loader.dataset, loader.collate_fn, loader.worker_init_fn
    strictly(sent)
    if name != "collate":
        list(loader)
        strictly(sent)


@pytest.mark.parametrize(
    "wrong",
    [torch.Generator(), (i for i in range(2)), lambda: 0, threading.Lock()],
    ids=["generator", "iterator", "lambda", "lock"],
)
def test_the_pickler_refuses_what_it_should(wrong: Any) -> None:
    with pytest.raises(AssertionError, match="is pickled"):
        strictly({"a": [wrong]})
