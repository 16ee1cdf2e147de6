"""What is said where something is refused: what was seen, and what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pictures import Pictures
from token_samples import vocabulary as token_vocabulary

import augsynth as ag
from augsynth import transforms as T
from augsynth.adapters.leaving import Unequal, check_alike
from augsynth.data import epochs
from augsynth.data.sampler import KeyedSampler


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_replicas": 2}, "give both num_replicas and rank, or neither, got num_replicas=2 and rank=None"),
        ({"num_replicas": 2, "rank": 2}, "rank=2 must lie in 0 to num_replicas - 1 = 1"),
        ({"shuffle": True, "order": range(3)}, "shuffle=True has no meaning with another sampler; let that sampler"),
        ({"order": (i for i in range(3))}, "the sampler generator needs a __len__: an epoch must end"),
    ],
)
def test_a_sampler_says_what_does_not_go_together(given: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        KeyedSampler(Pictures(3), **given)
    assert said in str(caught.value)


def test_a_stream_with_more_workers_than_there_are_places_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "get_worker_info", lambda: SimpleNamespace(id=1023))
    with pytest.raises(ValueError, match="a stream is read by at most 1023 workers, and this is worker 1023"):
        epochs.Epochs().begin()


def test_a_pipeline_of_tokens_is_for_a_collator() -> None:
    pipeline = ag.Pipeline([T.TokenMask(vocabulary=token_vocabulary())])
    with pytest.raises(TypeError, match=r"wrap: token ids are augmented by the batch; .*TokenCollator.*OnDevice"):
        ag.wrap(Pictures(3), pipeline)


@pytest.mark.parametrize(
    ("ours", "back", "said"),
    [
        (T.RandomInvert(), T.RandomApply([T.RandomInvert()], 0.3), "theirs applies it with probability 0.3 only"),
        (T.RandomInvert(), T.RandomGrayscale(), "theirs's comes back as RandomGrayscale, and not as it was"),
        (T.RandomInvert(0.5), T.RandomInvert(0.4), "p=0.5 would be 0.4 in theirs"),
        (T.OneOf([T.RandomInvert()]), T.OneOf([T.RandomInvert(), T.RandomGrayscale()]), "theirs's has other parts"),
    ],
)
def test_how_a_transform_comes_back_otherwise_is_said(ours: Any, back: Any, said: str) -> None:
    with pytest.raises(Unequal) as caught:
        check_alike(ours, back, "theirs")
    assert str(caught.value) == said
