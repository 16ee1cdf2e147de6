"""`wrap` of an IterableDataset: order and sharding kept, fresh or keyed draws, epochs that reach running workers."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pictures import picture
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

import augsynth as ag
from augsynth import transforms as T
from augsynth.data.keying import words_of
from augsynth.data.stream import AugmentedIterable
from augsynth.errors import SampleError
from augsynth.rng import Rng

SIZE, SEED = 20, 6
PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip(), T.RandomRotation(20)], seed=SEED)
WORDS = ag.Pipeline([T.CharSwap(p=1.0, rate=0.5)], seed=SEED)

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Stream(IterableDataset[Any]):
    """Pictures from `start` to `end`, dealt out to the workers unless they have been set apart."""

    classes = ("cat", "dog")

    def __init__(self, start: int = 0, end: int = SIZE, deal: bool = True) -> None:
        self.start, self.end, self.deal = start, end, deal
        self.told: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info() if self.deal else None
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        for i in range(self.start + first, self.end, step):
            yield self.sample(i)

    def sample(self, i: int) -> Any:
        return {"image": picture(i), "label": i, "name": f"file{i}"}

    def set_epoch(self, epoch: int) -> None:
        self.told.append(epoch)


def truth(name: int | str, i: int, epoch: int) -> torch.Tensor:
    index, occurrence = words_of(name)
    return PIPELINE.images([picture(i)], Rng.of(SEED, index, epoch, occurrence))[0]


def check(samples: Any, epoch: int, by: str = "label") -> list[int]:
    order = []
    for sample in samples:
        i = int(sample["label"])
        assert torch.equal(sample["image"], truth(sample[by], i, epoch))
        order.append(i)
    return order


def one_by_one(stream: Any, **options: Any) -> DataLoader[Any]:
    return DataLoader(stream, batch_size=None, **options)


def test_a_stream_keeps_its_order_and_its_attributes() -> None:
    stream = ag.wrap(Stream(), PIPELINE)
    assert isinstance(stream, IterableDataset)
    assert [sample["label"] for sample in stream] == list(range(SIZE))
    assert stream.classes == ("cat", "dog")
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = stream.colour
    assert not hasattr(stream, "__len__")


def test_a_fresh_pass_is_never_the_same_twice_and_follows_torchs_seed() -> None:
    stream = ag.wrap(Stream(), PIPELINE)
    torch.manual_seed(1)
    first, second = list(stream), list(stream)
    torch.manual_seed(1)
    again = list(stream)
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(first, again, strict=True))
    assert sum(torch.equal(a["image"], b["image"]) for a, b in zip(first, second, strict=True)) < 4


def test_how_many_are_augmented_together_changes_nothing() -> None:
    seen = []
    for chunk in (1, 3, 16):
        torch.manual_seed(2)
        stream = ag.wrap(Stream(), PIPELINE)
        stream.chunk = chunk
        seen.append([sample["image"] for sample in stream])
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(*seen, strict=True))


def test_two_passes_at_the_same_time_do_not_disturb_each_other() -> None:
    stream = ag.wrap(Stream(end=5), PIPELINE, index_of="label")
    first, second = iter(stream), iter(stream)
    pairs = list(zip(first, second, strict=True))
    assert check([a for a, _ in pairs], 0) == check([b for _, b in pairs], 1) == list(range(5))


@pytest.mark.parametrize("by", ["label", "name"])
def test_an_entry_keys_each_sample_whatever_the_workers(by: str) -> None:
    for workers in (0, 2):
        loader = one_by_one(ag.wrap(Stream(), PIPELINE, index_of=by), num_workers=workers)
        assert sorted(check(loader, 0, by)) == list(range(SIZE))


def name_of(sample: Any) -> str:
    return f"own-{sample['label']}"


def test_a_function_keys_each_sample() -> None:
    for sample in ag.wrap(Stream(), PIPELINE, index_of=name_of):
        i = sample["label"]
        assert torch.equal(sample["image"], truth(f"own-{i}", i, 0))


@pytest.mark.parametrize(
    ("index_of", "error", "message"),
    [
        (
            "key",
            TypeError,
            r"index_of='key' is not in a dict with 'image': .* name an entry that holds an int or a str",
        ),
        ("image", TypeError, r"index_of='image' gave Image .* give an int or a str"),
        (lambda sample: 1.5, TypeError, r"index_of= gave float 1\.5 for a dict"),
        (lambda sample: -1, ValueError, r"index_of= gave -1, which is outside 0 to 2\*\*64 - 1"),
    ],
)
def test_what_cannot_key_a_sample_is_refused(index_of: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        next(iter(ag.wrap(Stream(), PIPELINE, index_of=index_of)))


def test_numbers_beyond_32_bits_and_strings_have_keys_of_their_own() -> None:
    assert words_of(7) == (7, 0)
    assert words_of((3 << 32) + 7) == (7, 3)
    assert words_of("file7") == words_of("file7") != words_of("file8")


@pytest.mark.parametrize(
    ("workers", "persistent"), [(0, False), (2, False), (2, True)], ids=["main", "anew", "persistent"]
)
def test_the_epoch_advances_with_each_pass_and_set_epoch_reaches_running_workers(
    workers: int, persistent: bool
) -> None:
    stream = ag.wrap(Stream(end=8), PIPELINE, index_of="label")
    loader = one_by_one(stream, num_workers=workers, persistent_workers=persistent)
    for epoch in range(3):
        assert len(check(loader, epoch)) == 8
    stream.set_epoch(7)
    check(loader, 7)
    check(loader, 8)
    assert stream.dataset.told == [7]


def test_the_sampler_of_a_wrapped_loader_hands_lightnings_epoch_on() -> None:
    loader = ag.wrap(one_by_one(Stream(end=6), num_workers=1, persistent_workers=True), PIPELINE, index_of="label")
    loader.sampler.set_epoch(3)
    assert len(check(loader, 3)) == 6


@pytest.mark.parametrize("epoch", [-1, 1.5, None])
def test_an_impossible_epoch_is_refused(epoch: Any) -> None:
    with pytest.raises(ValueError, match="must be an integer, 0 or above"):
        ag.wrap(Stream(), PIPELINE, index_of="label").set_epoch(epoch)


@pytest.mark.parametrize("wrong", [0, 3])
def test_the_sample_of_a_stream_without_an_image_is_named(wrong: int) -> None:
    rows = [None if i == wrong else (picture(i), i) for i in range(5)]

    class Rows(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter(rows)

    found = []
    with pytest.raises(TypeError, match=f"sample {wrong} of the stream: no image in a sample of type NoneType; give a"):
        found.extend(ag.wrap(Rows(), ag.Pipeline([T.RandomHorizontalFlip()])))
    assert len(found) <= wrong


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_a_keyed_stream_goes_to_workers_that_do_not_fork(context: str) -> None:
    stream = ag.wrap(Stream(end=6), PIPELINE, index_of="label")
    loader = one_by_one(stream, num_workers=1, multiprocessing_context=context, persistent_workers=True)
    assert check(loader, 0) == list(range(6))
    stream.set_epoch(4)
    assert check(loader, 4) == list(range(6))


def test_a_pickled_stream_counts_its_own_epochs() -> None:
    stream = ag.wrap(Stream(end=3), PIPELINE, index_of="label")
    copy = pickle.loads(pickle.dumps(stream))
    stream.set_epoch(5)
    assert check(copy, 0) == [0, 1, 2]
    assert copy.epochs.board.is_shared()
    empty = AugmentedIterable.__new__(AugmentedIterable)
    with pytest.raises(AttributeError):
        _ = empty.classes


def deal_out(worker: int) -> None:
    """What PyTorch's own documentation shows: set the range of the dataset that the worker has."""
    info = get_worker_info()
    size = info.dataset.end // info.num_workers
    info.dataset.start, info.dataset.end = worker * size, (worker + 1) * size


def test_a_worker_init_function_deals_out_the_dataset_below() -> None:
    stream = ag.wrap(Stream(deal=False), PIPELINE)
    loader = one_by_one(stream, num_workers=2, worker_init_fn=deal_out)
    assert sorted(sample["label"] for sample in loader) == list(range(SIZE))


class Sized(Stream):
    def __len__(self) -> int:
        return SIZE


def test_a_stream_that_knows_its_length_still_does() -> None:
    assert len(DataLoader(ag.wrap(Sized(), PIPELINE), 4)) == 5


class Odd(Stream):
    """Samples of changing structure and type."""

    def sample(self, i: int) -> Any:
        image = torch.full((3, 8, 8), 0.5) if i % 4 == 1 else picture(i)
        return (image, i) if i % 2 else {"image": image, "label": i}


def test_samples_that_differ_in_structure_or_type_are_augmented_one_by_one() -> None:
    samples = list(ag.wrap(Odd(), PIPELINE))
    assert [type(sample) for sample in samples[:4]] == [dict, tuple, dict, tuple]
    assert [sample[1] if isinstance(sample, tuple) else sample["label"] for sample in samples] == list(range(SIZE))
    assert samples[1][0].dtype == torch.float32
    assert samples[3][0].dtype == torch.uint8


class Broken(Stream):
    def sample(self, i: int) -> Any:
        if i == 5:
            raise OSError("torn tape")
        return super().sample(i) if i != 3 else {"image": torch.full((3, 8, 8), float("nan")), "label": i, "name": "x"}


def test_a_sample_that_cannot_be_read_ends_the_stream_behind_those_before_it() -> None:
    seen = []
    with pytest.raises(SampleError, match="sample 1 of the stream could not be read: OSError: torn tape") as caught:
        seen += [sample["label"] for sample in _counted(ag.wrap(Broken(start=4), PIPELINE), seen)]
    assert isinstance(caught.value.__cause__, OSError)
    assert seen == [4]


def _counted(stream: Any, seen: list[int]) -> Iterator[Any]:
    for sample in stream:
        seen.append(sample["label"])
        yield sample


def test_a_sample_that_cannot_be_augmented_names_its_place_and_its_key() -> None:
    with pytest.raises(SampleError, match=r"^sample 3 could not be augmented: ValueError: the image has NaN pixels"):
        list(ag.wrap(Broken(), PIPELINE))
    with pytest.raises(SampleError, match=r"^sample 'x' could not be augmented"):
        list(ag.wrap(Broken(), PIPELINE, index_of="name"))


class Texts(Stream):
    def sample(self, i: int) -> Any:
        return f"some words of sentence {i}", i


def test_texts_in_a_stream_are_edited_by_their_keys() -> None:
    for text, i in ag.wrap(Texts(), WORDS, index_of=1):
        assert text == WORDS(f"some words of sentence {i}", index=i)
        assert text != f"some words of sentence {i}"


@pytest.mark.parametrize("at", [1, 5, 16, SIZE])
def test_a_stream_without_a_state_goes_on_behind_the_last_sample(at: int) -> None:
    torch.manual_seed(1)
    whole = list(ag.wrap(Stream(), PIPELINE))
    torch.manual_seed(1)
    stream = ag.wrap(Stream(), PIPELINE)
    seen = list(itertools.islice(stream, at))
    again = ag.wrap(Stream(), PIPELINE)
    again.load_state_dict(stream.state_dict())
    seen += list(again)
    assert [sample["label"] for sample in seen] == list(range(SIZE))
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(seen, whole, strict=True))


class Questions(Stream):
    """Every other sample has a second text."""

    def sample(self, i: int) -> Any:
        text = "some words of the text"
        return {"text": text, "question": text, "label": i} if i % 2 else {"text": text, "label": i}


def test_a_text_that_only_some_samples_have_is_edited_there() -> None:
    for sample in ag.wrap(Questions(), WORDS, index_of="label"):
        assert all(sample[name] != "some words of the text" for name in sample if name != "label")


class Batches(Stream):
    """Batches that the stream itself has made."""

    def __iter__(self) -> Iterator[Any]:
        yield torch.zeros(4, 3, 8, 8, dtype=torch.uint8) + torch.arange(8, dtype=torch.uint8), torch.arange(4)
        yield torch.ones(2, 3, 8, 8, dtype=torch.uint8), torch.arange(2)


def test_batches_in_a_stream_are_augmented_row_by_row() -> None:
    flip = ag.Pipeline([T.RandomHorizontalFlip()], seed=1)
    torch.manual_seed(3)
    first, second = ag.wrap(Batches(), flip)
    assert (first[0].shape, second[0].shape) == ((4, 3, 8, 8), (2, 3, 8, 8))
    flipped = [bool(image[0, 0, 0] == 7) for image in first[0]]
    assert any(flipped)
    assert not all(flipped)
    with pytest.raises(TypeError, match=r"item 0 of Batches is a batch.*wrap the stream before it is batched"):
        list(ag.wrap(Batches(), flip, index_of=1))


def test_text_batches_in_a_stream_are_edited_row_by_row() -> None:
    class Lists(Stream):
        def __iter__(self) -> Iterator[Any]:
            yield {"text": ["the very same words here"] * 4, "label": torch.arange(4)}

    (batch,) = ag.wrap(Lists(), WORDS)
    assert len(set(batch["text"])) > 1
