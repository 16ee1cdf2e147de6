"""What samples may be, and what holds them: dataclasses, torchvision, tv_tensors, parts of datasets, collating."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, default_collate
from torchvision import tv_tensors
from torchvision.datasets import FakeData, ImageFolder

import augsynth as ag
from augsynth import transforms as T
from augsynth.errors import SampleError
from augsynth.rng import KeyedIndex, Rng

SIZE, SEED = 6, 5
PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip()], seed=SEED)
FLIP = ag.Pipeline([T.RandomHorizontalFlip(1.0)])
FLIP_TO_ONE_SIZE = ag.Pipeline([T.RandomHorizontalFlip(1.0), T.Pad((0, 0, 4, 4)), T.RandomCrop(12, pad_if_needed=True)])
WORDS = ag.Pipeline([T.CharSwap(p=1.0, rate=0.5)], seed=SEED)

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def picture(i: int, width: int | None = None) -> Image.Image:
    values = (np.arange(8 * (width or 8 + i % 3) * 3) * 7 + i * 31) % 251
    return Image.fromarray(values.astype(np.uint8).reshape(8, -1, 3))


def truth(i: int, pipeline: Any = PIPELINE) -> torch.Tensor:
    return pipeline.images([picture(i)], Rng.of(SEED, i))[0]


@dataclass(frozen=True)
class Record:
    """A sample with a field that its constructor does not take, and a check that is not to be run again."""

    image: Any
    label: int
    made: list[str] = field(default_factory=list)
    size: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.made.append("made")


@dataclass
class Pair:
    first: Any
    second: Any


@dataclass
class Note:
    text: str
    label: int


class Rows(Dataset[Any]):
    """What `make` makes of each index."""

    def __init__(self, make: Any, size: int = SIZE) -> None:
        self.make, self.size = make, size
        self.classes = ["cat", "dog"]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Any:
        if i >= self.size:
            raise IndexError(i)
        return self.make(int(i))


class Stream(IterableDataset[Any]):
    def __init__(self, make: Any) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Any]:
        return map(self.make, range(SIZE))


def record(i: int) -> Record:
    return Record(picture(i), i)


def test_a_dataclass_keeps_its_type_and_its_other_fields() -> None:
    sample = ag.wrap(Rows(record), PIPELINE)[KeyedIndex(2)]
    assert type(sample) is Record
    assert torch.equal(sample.image, truth(2))
    assert (sample.label, sample.made, sample.size) == (2, ["made"], 0)


def test_dataclasses_are_collated_into_one_of_batches() -> None:
    batch = next(iter(ag.wrap(DataLoader(Rows(record), 4), PIPELINE)))
    assert type(batch) is Record
    assert all(torch.equal(image, truth(i)) for i, image in enumerate(batch.image))
    assert batch.label.tolist() == [0, 1, 2, 3]
    loose = ag.collate([Record(torch.zeros(3, 2, 2), 4), Record(torch.ones(3, 2, 2), 5)])
    assert loose.image.shape == (2, 3, 2, 2)


def test_dataclasses_are_samples_of_a_pipeline_too() -> None:
    one, two = PIPELINE([record(0), record(1)], index=[0, 1])
    assert (type(one), one.image.size, two.label) == (Record, (6, 6), 1)
    assert WORDS(Note("some words to be edited", 3), index=0) == Note(WORDS("some words to be edited", index=0), 3)


def test_two_images_in_a_dataclass_need_keys_by_name_or_by_position() -> None:
    mask = torch.arange(64, dtype=torch.uint8).reshape(8, 8)
    data = Rows(lambda i: Pair(torch.zeros(3, 8, 8, dtype=torch.uint8), mask))
    with pytest.raises(
        TypeError, match=r"2 images found in a Pair with first: Tensor\(3, 8, 8\) torch.uint8, second: T"
    ):
        ag.wrap(data, FLIP)[0]
    for keys in ({"first": "image", "second": "mask"}, ("image", "mask")):
        batch = next(iter(ag.wrap(DataLoader(data, 2), FLIP, keys=keys)))
        assert torch.equal(batch.second[1], mask.flip(1))


def test_a_torchvision_dataset_keeps_classes_and_targets(tmp_path: Any) -> None:
    for i in range(4):
        folder = tmp_path / ("cat", "dog")[i % 2]
        folder.mkdir(exist_ok=True)
        picture(i).save(folder / f"{i}.png")
    data = ag.wrap(ImageFolder(tmp_path), PIPELINE)
    assert (data.classes, data.targets) == (["cat", "dog"], [0, 0, 1, 1])
    images, labels = next(iter(ag.loader(data, 4)))
    assert images.shape == (4, 3, 6, 6)
    assert labels.tolist() == data.targets
    made = ag.wrap(FakeData(4, (3, 8, 8), num_classes=3), PIPELINE)
    assert (made.num_classes, len(made)) == (3, 4)


def test_tv_tensors_stay_what_they_are_and_follow_the_image() -> None:
    def make(i: int) -> Any:
        boxes = tv_tensors.BoundingBoxes([[1.0, 2, 3, 4]] * (i + 1), format="XYXY", canvas_size=(8, 8))
        mask = tv_tensors.Mask(torch.arange(64, dtype=torch.uint8).reshape(8, 8))
        return tv_tensors.Image(torch.zeros(3, 8, 8, dtype=torch.uint8)), {
            "boxes": boxes,
            "mask": mask,
            "labels": torch.arange(i + 1),
        }

    images, target = next(iter(DataLoader(ag.wrap(Rows(make), FLIP), 3, collate_fn=ag.collate)))
    assert images.shape == (3, 3, 8, 8)
    assert [boxes.tolist() for boxes in target["boxes"]] == [[[5.0, 2, 7, 4]] * n for n in (1, 2, 3)]
    assert type(target["boxes"][0]) is tv_tensors.BoundingBoxes
    assert torch.equal(target["mask"][2], make(0)[1]["mask"].flip(1))


def test_parts_and_sums_of_datasets_are_wrapped_and_lack_what_they_lack() -> None:
    base = Rows(lambda i: (picture(i), i))
    part = ag.wrap(Subset(base, [4, 1]), PIPELINE)
    assert [label for _, label in (part[0], part[1])] == [4, 1]
    assert part.indices == [4, 1]
    both = ag.wrap(ConcatDataset([base, base]), PIPELINE)
    assert len(both) == 2 * SIZE
    assert both.cumulative_sizes == [SIZE, 2 * SIZE]
    assert both[KeyedIndex(7)][1] == 1
    for data, kind in ((part, "Subset"), (both, "ConcatDataset")):
        with pytest.raises(AttributeError, match=f"{kind}' object has no attribute 'classes'"):
            _ = data.classes


def numbered(samples: list[Any]) -> tuple[list[Any], int]:
    return list(samples), len(samples)


def test_a_wrapped_collate_function_augments_and_then_calls_the_users() -> None:
    collate = ag.wrap(numbered, PIPELINE)
    batches = list(DataLoader(Rows(lambda i: (picture(i), i)), 4, collate_fn=collate))
    assert [count for _, count in batches] == [4, 2]
    assert all(image.shape == (3, 6, 6) for samples, _ in batches for image, _ in samples)


def test_a_wrapped_collate_function_pickles_and_follows_torchs_seed() -> None:
    collate = pickle.loads(pickle.dumps(ag.wrap(default_collate, PIPELINE)))
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(collate([(picture(i), i) for i in range(4)])[0])
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_wrapped_collate_function_names_a_sample_at_fault() -> None:
    bad = torch.full((3, 8, 8), float("nan"))
    with pytest.raises(ag.SampleError, match="sample 1 could not be augmented: ValueError: the image has NaN pixels"):
        ag.wrap(numbered, PIPELINE)([(torch.zeros(3, 8, 8), 0), (bad, 1)])


@pytest.mark.parametrize(
    ("sample", "seen"),
    [
        (
            (torch.zeros(3, 4, 4), torch.ones(3, 4, 4)),
            r"2 images found in a tuple of \(Tensor\(3, 4, 4\) torch.float32",
        ),
        ({"left": torch.zeros(3, 4, 4)}, r"no image found in a dict with 'left': Tensor\(3, 4, 4\)"),
        (("a", 3), r"no image found in a tuple of \(str, int\)"),
    ],
)
def test_what_is_ambiguous_is_listed_with_keys_as_the_way_out(sample: Any, seen: str) -> None:
    ways = [
        lambda: ag.wrap([sample], PIPELINE)[0],
        lambda: next(iter(ag.wrap(DataLoader([sample, sample], 2), PIPELINE))),
        lambda: next(iter(ag.wrap(Stream(lambda i: sample), PIPELINE))),
        lambda: ag.wrap(numbered, PIPELINE)([sample]),
    ]
    for way in ways:
        with pytest.raises(TypeError, match=f"{seen}.*say which entry is the image with key=, or name all .* keys="):
            way()


def detection(i: int) -> dict[str, Any]:
    """Images of different sizes with a mask, keypoints and as many boxes as the index says."""
    width = 8 + i % 3
    mask = np.zeros((8, width), np.uint8)
    mask[:, 0] = 1
    boxes = torch.tensor([[0.0, 1, 2, 5]] * (i % 3)).reshape(-1, 4)
    return {
        "image": picture(i),
        "mask": mask,
        "boxes": boxes,
        "labels": torch.arange(i % 3),
        "keypoints": torch.tensor([[1.0, 2.0]]),
        "number": i,
    }


def check(sample: Any) -> None:
    """See that everything of a flipped detection sample is where its image is."""
    i = int(sample["number"])
    width = 8 + i % 3
    assert torch.equal(sample["image"], FLIP.images([picture(i)], Rng.of(0, 0))[0])
    assert np.asarray(sample["mask"])[:, -1].all()
    assert np.asarray(sample["mask"]).sum() == 8
    assert torch.as_tensor(sample["boxes"]).tolist() == [[width - 2.0, 1, width, 5]] * (i % 3)
    assert torch.as_tensor(sample["keypoints"]).tolist() == [[width - 1.0, 2.0]]
    assert len(sample["labels"]) == i % 3


class Module(pl.LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(Rows(detection), 3, collate_fn=list)


WAYS = {
    "dataset": lambda: ag.wrap(Rows(detection), FLIP),
    "keyed loader": lambda: (
        s for batch in ag.loader(ag.wrap(Rows(detection), FLIP), 3, collate_fn=list) for s in batch
    ),
    "loader": lambda: (s for batch in ag.wrap(DataLoader(Rows(detection), 3, collate_fn=list), FLIP) for s in batch),
    "workers": lambda: (
        s for batch in ag.wrap(DataLoader(Rows(detection), 3, collate_fn=list, num_workers=2), FLIP) for s in batch
    ),
    "stream": lambda: ag.wrap(Stream(detection), FLIP),
    "loader over a stream": lambda: ag.wrap(DataLoader(Stream(detection), None), FLIP),
    "datamodule": lambda: (s for batch in ag.wrap(Module(), FLIP).train_dataloader() for s in batch),
    "collate function": lambda: ag.wrap(list, FLIP)([detection(i) for i in range(SIZE)]),
}


@pytest.mark.parametrize("way", WAYS)
def test_sizes_boxes_masks_and_keypoints_of_each_sample_go_every_way(way: str) -> None:
    samples = list(WAYS[way]())
    assert [int(sample["number"]) for sample in samples] == list(range(SIZE))
    for sample in samples:
        check(sample)


def test_the_sample_that_is_made_otherwise_is_named():
    rows: list[Any] = [(picture(i), i) for i in range(4)]
    data = ag.wrap([*rows[:2], None, *rows[3:], {"image": picture(0)}], ag.Pipeline([T.RandomHorizontalFlip()]))
    with pytest.raises(SampleError, match=r"sample 2 has no image at 0, where the first of its batch has it: .* None"):
        data.__getitems__([0, 1, 2, 3])
    with pytest.raises(SampleError, match=r"sample 4 has no image at 0.*a dict with 'image': PIL image"):
        next(iter(DataLoader(data, 2, sampler=[3, 4], collate_fn=ag.collate)))
    with pytest.raises(TypeError, match="sample 2: no image in a sample of type NoneType; give a tensor"):
        data[2]
    with pytest.raises(TypeError, match=r"several at once by __getitems__: got a list; .*Subset\(wrapped, indices\)"):
        data[[0, 1]]
