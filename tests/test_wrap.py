from __future__ import annotations

import pickle
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate

from augsynth import transforms as T
from augsynth.batch import entries_of
from augsynth.data.wrap import AugmentedDataset, SampleList, collate, wrap
from augsynth.errors import SampleError
from augsynth.pipeline import Pipeline
from augsynth.rng import KeyedIndex, Rng

Sample = namedtuple("Sample", ["image", "label"])


def picture(i: int, size: tuple[int, int] = (9, 7)) -> np.ndarray:
    """A height x width x 3 image that differs everywhere and from every other i."""
    values = np.arange(size[0] * size[1] * 3, dtype=np.int64) * 7 + i * 31
    return (values % 251).astype(np.uint8).reshape(*size, 3)


class Pictures(Dataset[Any]):
    """PIL images in the structure that `make` gives them."""

    classes = ("cat", "dog")

    def __init__(self, make: Any = tuple, n: int = 6) -> None:
        self.make, self.n = make, n
        self.targets = [i % 2 for i in range(n)]
        self.asked: list[Any] = []

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Any:
        self.asked.append(i)
        image, label = Image.fromarray(picture(range(self.n)[i])), self.targets[i]
        if self.make is tuple:
            return image, label
        return self.make(image=image, label=label) if self.make is not None else image


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4)], seed=3)


def expected(pipeline: Pipeline, i: int, epoch: int = 0, occurrence: int = 0) -> torch.Tensor:
    return pipeline.images([Image.fromarray(picture(i))], Rng.of(3, i, epoch, occurrence))[0]


def test_a_keyed_index_gives_the_sample_of_its_key(pipeline: Pipeline) -> None:
    image, label = wrap(Pictures(), pipeline)[KeyedIndex(5, epoch=2, occurrence=1)]
    assert torch.equal(image, expected(pipeline, 5, 2, 1))
    assert label == 1


def test_a_batch_equals_its_samples_one_by_one(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    keys = [KeyedIndex(i, epoch=4, occurrence=i) for i in (5, 0, 3)]
    batch = data.__getitems__(keys)
    assert [label for _, label in batch] == [1, 0, 1]
    for (image, _), key in zip(batch, keys, strict=True):
        assert torch.equal(image, data[key][0])


def test_a_plain_index_is_never_augmented_the_same_twice(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    seen = {data[2][0].numpy().tobytes() for _ in range(8)}
    assert len(seen) == 8


def test_a_plain_index_follows_torchs_seed(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    draws = []
    for _ in range(2):
        torch.manual_seed(11)
        draws.append(data[2][0])
    assert torch.equal(*draws)


def test_keyed_samples_leave_global_random_state_alone(pipeline: Pipeline) -> None:
    data, before = wrap(Pictures(), pipeline), torch.get_rng_state()
    data.__getitems__([KeyedIndex(1), KeyedIndex(2)])
    assert torch.equal(torch.get_rng_state(), before)


def test_plain_and_keyed_indices_in_one_batch_are_refused(pipeline: Pipeline) -> None:
    with pytest.raises(TypeError, match="mixes KeyedIndex with plain"):
        wrap(Pictures(), pipeline).__getitems__([KeyedIndex(1), 2])


def test_the_base_dataset_receives_the_keyed_index(pipeline: Pipeline) -> None:
    base = Pictures()
    wrap(base, pipeline)[KeyedIndex(1, epoch=7)]
    assert base.asked[0].epoch == 7


@pytest.mark.parametrize("make", [tuple, dict, Sample], ids=["tuple", "dict", "namedtuple"])
def test_collate_gives_the_structure_of_default_collate(pipeline: Pipeline, make: Any) -> None:
    samples = wrap(Pictures(make), pipeline).__getitems__([KeyedIndex(i) for i in range(4)])
    ours, theirs = collate(samples), default_collate(list(samples))
    assert type(ours) is type(theirs)
    pairs = zip(ours.values(), theirs.values(), strict=True) if make is dict else zip(ours, theirs, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_collate_works_on_a_dataset_of_bare_images(pipeline: Pipeline) -> None:
    samples = wrap(Pictures(None), pipeline).__getitems__([KeyedIndex(i) for i in range(4)])
    assert torch.equal(collate(samples), default_collate(samples))


def test_collate_takes_the_ready_batch_without_stacking_again(pipeline: Pipeline) -> None:
    samples = wrap(Pictures(), pipeline).__getitems__([KeyedIndex(i) for i in range(4)])
    images, labels = collate(samples)
    assert images.data_ptr() == samples[0][0].data_ptr()
    assert labels.tolist() == [0, 1, 0, 1]


def test_default_collate_and_plain_lists_work_too(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    one_by_one = [data[KeyedIndex(i)] for i in range(4)]
    batch = data.__getitems__([KeyedIndex(i) for i in range(4)])
    assert torch.equal(default_collate(batch)[0], collate(one_by_one)[0])


def test_named_key_chooses_between_two_images() -> None:
    data = TensorDataset(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.ones(2, 3, 4, 4, dtype=torch.uint8))
    flip = Pipeline([T.Pad(1)])
    with pytest.raises(TypeError, match=r"2 images found .* key="):
        wrap(data, flip)[0]
    first, second = collate(wrap(data, flip, key=1).__getitems__([0, 1]))
    assert (first.shape[-1], second.shape[-1]) == (4, 6)


def test_attributes_and_length_are_those_of_the_base(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    assert data.classes == ("cat", "dog")
    assert data.targets == [0, 1, 0, 1, 0, 1]
    assert len(data) == 6
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = data.colour


def test_a_wrapped_dataset_survives_pickling(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    copy = pickle.loads(pickle.dumps(data))
    key = KeyedIndex(3, epoch=1)
    assert copy.classes == data.classes
    assert torch.equal(copy[key][0], data[key][0])


def test_asking_an_unfinished_copy_for_anything_does_not_recurse() -> None:
    empty = AugmentedDataset.__new__(AugmentedDataset)
    with pytest.raises(AttributeError):
        _ = empty.classes


def test_negative_and_out_of_range_indices_behave_like_the_base(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    assert data[-1][1] == 1
    with pytest.raises(IndexError):
        data[6]
    assert len(list(data)) == 6  # iteration by __getitem__ ends at the IndexError


def test_a_slice_is_refused_with_the_way_to_take_a_part(pipeline: Pipeline) -> None:
    data = wrap(Pictures(), pipeline)
    with pytest.raises(TypeError, match=r"by index, not by slice.*Subset\(dataset, range\(len\(dataset\)\)\[1:3\]\)"):
        data[1:3]  # type: ignore[index]


def test_iteration_over_a_subset_is_keyed_by_the_place_in_the_subset(pipeline: Pipeline) -> None:
    image, _ = wrap(Subset(Pictures(), [4, 2]), pipeline)[KeyedIndex(1)]
    assert torch.equal(image, pipeline.images([Image.fromarray(picture(2))], Rng.of(3, 1))[0])


class Batched(Pictures):
    """Reads batches itself, and fails on one sample, on the whole batch only, or loses one."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault, self.batches = fault, 0

    def __getitem__(self, i: int) -> Any:
        if self.fault == "sample" and i == 4:
            raise OSError("broken data stream")
        return super().__getitem__(i)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        self.batches += 1
        if self.fault == "batch":
            raise OSError("server away")
        return [self[i] for i in indices][: -1 if self.fault == "lost" else None]


def test_the_bases_own_batch_reading_is_used(pipeline: Pipeline) -> None:
    base = Batched()
    wrap(base, pipeline).__getitems__([KeyedIndex(0), KeyedIndex(1)])
    assert base.batches == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("sample", "sample 4 could not be read: OSError: broken data stream"),
        ("batch", "samples 3, 4 could not be read: OSError: server away"),
        ("lost", "1 samples for 2 indices"),
    ],
)
def test_what_cannot_be_read_is_named_and_never_dropped(pipeline: Pipeline, fault: str, message: str) -> None:
    with pytest.raises(SampleError, match=message):
        wrap(Batched(fault), pipeline).__getitems__([3, 4])


def test_the_original_error_is_the_cause(pipeline: Pipeline) -> None:
    with pytest.raises(SampleError) as caught:
        wrap(Batched("sample"), pipeline)[4]
    assert isinstance(caught.value.__cause__, OSError)


def test_an_index_error_inside_a_sample_is_not_taken_for_the_end(pipeline: Pipeline) -> None:
    class Faulty(Pictures):
        def __getitem__(self, i: int) -> Any:
            return super().__getitem__(i) if i != 2 else [][0]

    with pytest.raises(SampleError, match="sample 2 could not be read: IndexError"):
        list(wrap(Faulty(), pipeline))


def test_an_unreadable_sample_is_named_across_worker_processes(pipeline: Pipeline) -> None:
    loader = DataLoader(wrap(Batched("sample"), pipeline), 2, num_workers=1, collate_fn=collate)
    with pytest.raises(SampleError, match="sample 4 could not be read"):
        list(loader)


def test_an_image_that_cannot_be_augmented_is_named() -> None:
    data = torch.zeros(4, 3, 5, 5)
    data[2, 0, 1, 1] = float("nan")
    with pytest.raises(SampleError, match=r"^sample 2 could not be augmented: ValueError: the image has NaN pixels$"):
        wrap(TensorDataset(data), Pipeline([T.RandomHorizontalFlip()])).__getitems__([0, 1, 2, 3])


class MixedSizes(Dataset[Any]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        return Image.fromarray(picture(i, (9 + 2 * (i % 2), 7))), i


def test_mixed_sizes_cannot_be_stacked_and_the_error_says_which_and_what_to_do() -> None:
    samples = wrap(MixedSizes(), Pipeline([T.RandomHorizontalFlip()])).__getitems__([KeyedIndex(i) for i in (3, 2, 1)])
    assert isinstance(samples, SampleList)
    assert samples.images is None
    message = r"3 x 11 x 7 \(sample 3, 1\), 3 x 9 x 7 \(sample 2\).*RandomResizedCrop"
    with pytest.raises(ValueError, match=message):
        collate(samples)


def test_mixed_sizes_of_loose_samples_are_named_by_their_place() -> None:
    with pytest.raises(ValueError, match=r"3 x 4 x 4 \(sample 0\), 3 x 5 x 4 \(sample 1\)"):
        collate([(torch.zeros(3, 4, 4), 0), (torch.zeros(3, 5, 4), 1)])


def test_mixed_channels_are_told_apart_from_mixed_sizes() -> None:
    with pytest.raises(ValueError, match=r"1 x 4 x 4 \(sample 1\); give them one number of channels"):
        collate([(torch.zeros(3, 4, 4), 0), (torch.zeros(1, 4, 4), 1)])


@pytest.mark.parametrize("mixed", [True, False])
def test_a_mask_is_not_left_behind_by_pixels_that_move(mixed: bool) -> None:
    data = [{"image": Image.fromarray(picture(0)), "mask": torch.zeros(9, 7)}]
    augmented = wrap(data, Pipeline([T.AugMix() if mixed else T.ColorJitter(0.4)]))
    if mixed:
        with pytest.raises(TypeError, match=r"'mask' .* cannot follow aug_mix"):
            augmented[0]
    else:
        assert augmented[0]["mask"].shape == (9, 7)


def test_mixed_sizes_that_end_equal_are_stacked() -> None:
    samples = wrap(MixedSizes(), Pipeline([T.CenterCrop(6)])).__getitems__([KeyedIndex(i) for i in range(4)])
    assert collate(samples)[0].shape == (4, 3, 6, 6)


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [({"a": 1}, "dict"), (iter([]), "list_iterator"), (None, "NoneType"), (torch.nn.Flatten(), "Flatten")],
)
def test_what_is_no_dataset_is_refused_with_what_can_be_wrapped(pipeline: Pipeline, wrong: Any, seen: str) -> None:
    with pytest.raises(TypeError, match=f"cannot wrap {seen}; map-style datasets .* DataLoader, LightningDataModule"):
        wrap(wrong, pipeline)


def test_a_class_in_place_of_a_dataset_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(TypeError, match="got the class Pictures; give an object of it"):
        wrap(Pictures, pipeline)


def test_a_column_is_not_a_sample(pipeline: Pipeline) -> None:
    with pytest.raises(TypeError, match=r"not by column; the column as it is: wrapped.dataset\['label'\]"):
        wrap(Pictures(), pipeline)["label"]  # type: ignore[index]


def test_an_index_function_is_for_streams_only(pipeline: Pipeline) -> None:
    with pytest.raises(TypeError, match=r"index_of= is for streams, got Pictures; .*ag\.loader"):
        wrap(Pictures(), pipeline, index_of="__key__")


def test_what_is_set_on_the_wrapper_reaches_the_dataset_below(pipeline: Pipeline) -> None:
    base = Pictures()
    data = wrap(base, pipeline)
    data.targets, data.fresh, data.key = [5] * 6, 1, 0
    assert base.targets == [5] * 6
    assert data[0][1] == 5
    assert not hasattr(base, "fresh")
    assert not hasattr(base, "key")
    assert data.fresh == 1


@pytest.mark.parametrize("steps", [[], [T.RandomHorizontalFlip(0.0), T.RandomErasing(p=0.0)]], ids=["empty", "off"])
@pytest.mark.parametrize("make", [tuple, dict], ids=["tuple", "dict"])
def test_a_pipeline_that_does_nothing_hands_tensors_on_and_draws_nothing(steps: Any, make: Any) -> None:
    rows = [(torch.full((3, 4, 4), i, dtype=torch.uint8), i) for i in range(3)]
    data = rows if make is tuple else [{"image": image, "label": label} for image, label in rows]
    before = torch.get_rng_state()
    samples = wrap(data, Pipeline(steps)).__getitems__([2, 0])
    assert torch.equal(torch.get_rng_state(), before)
    assert samples[0] is data[2]
    assert samples[1] is data[0]


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline([T.Normalize((0.5,), (0.5,))]),
        Pipeline([], dtype=torch.float32),
        Pipeline([T.RandomHorizontalFlip(0.0), T.MixUp(num_classes=3, p=0.0)]),
        Pipeline([T.RandomHorizontalFlip(1.0)]),
    ],
)
def test_what_does_something_is_not_taken_for_idle(pipeline: Pipeline) -> None:
    assert not pipeline.idle
    data = [(torch.full((3, 4, 4), i, dtype=torch.uint8), i) for i in range(3)]
    image, label = wrap(data, pipeline).__getitems__([0, 1])[0]
    assert image.dtype == torch.float32 or label is not data[0][1] or image is not data[0][0]


@pytest.mark.parametrize("make", [tuple, dict, list])
def test_a_pipeline_that_does_nothing_still_makes_tensors_of_what_is_none(make: Any) -> None:
    """One PIL image among tensors, beside labels that are tensors."""
    entries = [(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.tensor(0)), (Image.new("RGB", (4, 4)), torch.tensor(1))]
    data = [dict(zip(("image", "label"), row, strict=True)) if make is dict else make(row) for row in entries]
    images = [entries_of(sample)[0][1] for sample in wrap(data, Pipeline([])).__getitems__([0, 1])]
    assert all(type(image) is torch.Tensor for image in images)


def test_pil_images_become_tensors_under_an_empty_pipeline_too() -> None:
    image, _ = wrap(Pictures(), Pipeline([])).__getitems__([1])[0]
    assert torch.equal(image, torch.from_numpy(picture(1)).permute(2, 0, 1))


def test_a_second_argument_that_is_no_pipeline_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be an augsynth\.Pipeline, got list"):
        wrap(Pictures(), [T.RandomHorizontalFlip()])  # type: ignore[arg-type]


def test_an_empty_batch_is_an_empty_list(pipeline: Pipeline) -> None:
    assert wrap(Pictures(), pipeline).__getitems__([]) == []


def test_a_plain_loader_augments_a_whole_batch_at_once(pipeline: Pipeline) -> None:
    class Counting(Pipeline):
        calls = 0

        def images(self, images: Any, rng: Rng, strength: float = 1.0) -> Any:
            Counting.calls += 1
            return super().images(images, rng, strength)

    data = wrap(Pictures(), Counting([T.CenterCrop(6)]))
    batches = list(DataLoader(data, 3, collate_fn=collate))
    assert [images.shape[0] for images, _ in batches] == [3, 3]
    assert Counting.calls == 2
