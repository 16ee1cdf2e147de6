"""Token ids on a CUDA device: the same ids as on the CPU, and nobody waits for the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from token_samples import LEFT, NAMES, RIGHT, batch_of, each, random_rows, run

from augsynth import transforms as T

pytestmark = pytest.mark.cuda
ROWS = [row[: 2 + i % 20] for i, row in enumerate(random_rows(64, 20))]


@pytest.fixture
def unwaiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def moved(batch: dict[str, Any]) -> dict[str, Any]:
    done = {name: value.cuda() for name, value in batch.items()}
    for v in (LEFT, RIGHT):
        v.tables(torch.device("cuda", torch.cuda.current_device()))
    return done


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("rate", [0.1, (0.2, 0.9)])
@pytest.mark.parametrize("name", NAMES)
def test_the_device_gives_the_same_batch(name: str, rate: Any, left: bool) -> None:
    v = LEFT if left else RIGHT
    batch = batch_of(ROWS, 28, left)
    batch |= {
        "token_type_ids": (torch.arange(28) > 9).long().expand(64, 28),
        "word_ids": torch.arange(28).expand(64, 28) // 2,
    }
    chain = [T.OneOf([T.TokenSwap(vocabulary=v, rate=0.5), T.TokenDelete(vocabulary=v)]), each(v, rate=rate)[name]]
    wanted, done = run(chain, batch), run(chain, moved(batch))
    assert done["input_ids"].is_cuda
    assert wanted.keys() == done.keys()
    assert all(torch.equal(wanted[key], done[key].cpu()) for key in wanted)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_waits_for_the_device(name: str, request: pytest.FixtureRequest) -> None:
    batch = moved(batch_of(ROWS, 28) | {"labels": torch.full((64, 28), -100)})
    if name == "mask":
        del batch["labels"]
    wanted = run(each(RIGHT, rate=0.3)[name], batch)
    request.getfixturevalue("unwaiting")
    done = run(each(RIGHT, rate=0.3)[name], batch)
    torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(wanted["input_ids"], done["input_ids"])
