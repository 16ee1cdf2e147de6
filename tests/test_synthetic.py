from __future__ import annotations

import pickle
from collections import namedtuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset

import augsynth as ag
from augsynth import transforms as T
from augsynth.batch import Batch
from augsynth.data import demo, synthetic
from augsynth.data.synthetic import SyntheticDataset
from augsynth.generators import LatentSMOTE, fit
from augsynth.provenance import Provenance
from augsynth.rng import KeyedIndex

Sample = namedtuple("Sample", ["image", "label"])
# What follows is about the form of what is mixed, whatever the generator is worth; see test_gate.py.
blend, balance = partial(synthetic.blend, gate=None), partial(synthetic.balance, gate=None)


class Painter:
    """A generator of flat images whose gray level tells label, index, epoch and seed."""

    def __init__(self, num_classes: int = 4, image_shape: tuple[int, int, int] = (1, 8, 8)) -> None:
        self.num_classes, self.image_shape = num_classes, image_shape
        self.calls: list[int] = []

    def generate(self, labels: Any, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        labels = torch.as_tensor(labels)
        index = torch.arange(len(labels)) if index is None else torch.tensor(list(index))
        self.calls.append(len(labels))
        # A little below a level of 255, so that rounding and cutting off differ.
        level = (labels * 50 + index % 7 + epoch * 7 + seed % 5 - 0.4) / 255
        image = level[:, None, None, None].expand(-1, *self.image_shape).float()
        made = zip(index.tolist(), labels.tolist(), strict=True)
        provenance = tuple(Provenance("Painter", "none", seed, i, epoch, label) for i, label in made)
        return Batch(image, labels, torch.ones(len(labels), dtype=torch.bool), provenance, index)

    def save(self, path: str | Path) -> None:
        Path(path).write_text("painter")


class Real(Dataset[Any]):
    """Black 8 x 8 images in the structure that `make` gives them; `labels` may leave classes out."""

    classes = ("a", "b", "c", "d")

    def __init__(self, labels: Any, make: Any = None) -> None:
        self.given, self.make = list(labels), make
        self.asked: list[Any] = []

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, row: int) -> Any:
        self.asked.append(row)
        image, label = np.zeros((8, 8), np.uint8), self.given[row]
        return self.make(image, label) if self.make else (Image.fromarray(image), label)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.5, 2 / 3, 0.9])
@pytest.mark.parametrize("size", [3, 10, 37])
def test_the_length_gives_the_asked_ratio(ratio: float, size: int) -> None:
    mixed = blend(Real(i % 3 for i in range(size)), Painter(), ratio)
    assert len(mixed) == round(size / (1 - ratio))
    assert mixed.synthetic.tolist() == [False] * size + [True] * (len(mixed) - size)
    assert mixed.targets == mixed.labels.tolist() == [mixed[i][1] for i in range(len(mixed))]


def test_synthetic_labels_have_the_class_shares_of_the_real_ones() -> None:
    mixed = blend(Real([0] * 6 + [1] * 3 + [3] * 1), Painter(), 0.5)
    assert mixed.labels[mixed.synthetic].bincount().tolist() == [6, 3, 0, 1]
    rounded = blend(Real([0, 0, 1, 1, 2, 2, 3, 3]), Painter(), 1 / 3)
    assert rounded.labels[rounded.synthetic].bincount().tolist() == [1, 1, 1, 1]
    rest = blend(Real([0, 0, 1, 1, 2, 2]), Painter(), 5 / 11)
    assert rest.labels[rest.synthetic].bincount().tolist() == [2, 2, 1]
    largest = blend(Real([0] * 3 + [1] * 4 + [2] * 1), Painter(), 1 / 3)
    assert largest.labels[largest.synthetic].bincount().tolist() == [2, 2]


def test_balance_fills_every_class_up_to_the_largest() -> None:
    even = balance(Real([0] * 6 + [1] * 3 + [3] * 1), Painter())
    assert even.labels.bincount().tolist() == [6, 6, 0, 6]
    assert even.synthetic.sum() == 8
    assert [even.provenance(i) is None for i in range(len(even))] == (~even.synthetic).tolist()


STRUCTURES = {
    "tuple of PIL": (None, lambda image, label: (np.asarray(image), label), (tuple, Image.Image)),
    "named tuple": (Sample, lambda image, label: (image, label), (Sample, np.ndarray)),
    "list": (lambda image, label: [image, np.int64(label)], lambda image, label: (image, label), (list, np.ndarray)),
    "dict of tensors": (
        lambda image, label: {"target": torch.tensor([label]), "img": torch.from_numpy(image)[None]},
        lambda img, target: (img[0].numpy(), int(target)),
        (dict, torch.Tensor),
    ),
    "float tensor": (
        lambda image, label: (torch.from_numpy(image)[None] / 255, label),
        lambda image, label: ((image[0] * 255).round().numpy(), label),
        (tuple, torch.Tensor),
    ),
    "float16 array with a channel": (
        lambda image, label: (image[:, :, None].astype(np.float16), label),
        lambda image, label: (np.rint(image[:, :, 0].astype(np.float32) * 255), label),
        (tuple, np.ndarray),
    ),
    "label first": (lambda image, label: (label, image), lambda label, image: (image, label), (tuple, np.ndarray)),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_synthetic_items_have_the_structure_and_type_of_the_real_ones(name: str) -> None:
    make, read, (kind, image_kind) = STRUCTURES[name]
    mixed = blend(Real([0, 1, 2, 3], make), Painter(), 0.5)
    real, made = mixed[2], mixed[KeyedIndex(6)]
    assert type(real) is type(made)
    assert isinstance(made, kind)
    values = [list(item.values()) if isinstance(item, dict) else list(item) for item in (real, made)]
    assert [type(value) for value in values[0]] == [type(value) for value in values[1]]
    assert any(isinstance(value, image_kind) for value in values[1])
    assert list(made) == list(real) if isinstance(made, dict) else True
    image, label = read(**made) if isinstance(made, dict) else read(*made)
    assert label == 2
    assert np.array_equal(image, np.full((8, 8), 102))


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "RGBA", "CMYK", "P", "I;16", "F"])
def test_synthetic_pictures_have_the_mode_and_size_of_the_real_ones(mode: str) -> None:
    start = Image.new("I;16" if mode == "I;16" else "RGB", (10, 8))
    picture = start if mode == "I;16" else start.convert(mode)
    real = Real([0, 3], lambda image, label: (picture, label))
    channels = 3 if mode in ("RGB", "RGBA", "CMYK", "P") else 1
    image, label = blend(real, Painter(image_shape=(channels, 8, 10)), 0.5)[KeyedIndex(3)]
    assert (image.mode, image.size, label) == (mode, (10, 8), 3)
    scale = {"F": 1 / 255, "I;16": 257}.get(mode, 1)
    level = np.asarray(image if mode in ("1", "F", "I;16") else image.convert("L"), np.float64).mean()
    assert level == pytest.approx(151 * scale, rel=0.02) if mode != "1" else 0 < level < 1


def test_tv_tensors_stay_tv_tensors() -> None:
    from torchvision import tv_tensors

    mixed = blend(Real([0, 1], lambda image, label: (tv_tensors.Image(image[None]), label)), Painter(), 0.5)
    assert isinstance(mixed[KeyedIndex(3)][0], tv_tensors.Image)


def test_a_keyed_index_gives_new_samples_each_epoch_and_the_same_ones_again() -> None:
    mixed = blend(Real([0, 1, 2, 3], Sample), Painter(), 0.5)
    first, second = mixed[KeyedIndex(6, epoch=1)].image, mixed[KeyedIndex(6, epoch=2)].image
    assert (first[0, 0], second[0, 0]) == (100 + 2 + 7, 100 + 2 + 14)
    assert np.array_equal(first, mixed.__getitems__([KeyedIndex(1), KeyedIndex(6, epoch=1)])[1].image)


def test_a_plain_index_gets_a_fresh_key_and_a_fixed_set_stays() -> None:
    real, labels = Real([0, 1, 2, 3], Sample), []
    fresh = blend(real, Painter(), 0.5)
    torch.manual_seed(0)
    drawn = {int(fresh[6].image[0, 0]) for _ in range(30)}
    assert len(drawn) == 5
    fixed = blend(real, Painter(), 0.5, seed=3, fresh=False)
    state = torch.get_rng_state()
    labels = {int(fixed[index].image[0, 0]) for index in (6, KeyedIndex(6), KeyedIndex(6, epoch=4)) for _ in range(3)}
    assert labels == {100 + 2 + 3}
    assert torch.equal(torch.get_rng_state(), state)


def test_a_batch_is_one_call_of_the_generator_for_each_epoch() -> None:
    painter = Painter()
    mixed = blend(Real([0, 1, 2, 3], Sample), painter, 0.5)
    painter.calls.clear()
    items = mixed.__getitems__([KeyedIndex(i) for i in (7, 1, 4, 6, 0)])
    assert painter.calls == [3]
    assert [item.label for item in items] == [3, 1, 0, 2, 0]
    assert [int(item.image[0, 0]) for item in items] == [153, 0, 0, 102, 0]
    mixed.__getitems__([KeyedIndex(4, epoch=1), KeyedIndex(5, epoch=2)])
    assert painter.calls == [3, 1, 1]


def test_the_real_dataset_gets_the_key_and_its_own_batched_reading() -> None:
    class Batched(Real):
        def __getitems__(self, rows: list[int]) -> list[Any]:
            self.batches = [list(rows)]
            return [self[row] for row in rows]

    real = Batched([0, 1, 2, 3])
    blend(real, Painter(), 0.5).__getitems__([KeyedIndex(3, epoch=5), KeyedIndex(7, epoch=5), KeyedIndex(1, epoch=5)])
    assert real.batches == [[3, 1]]
    assert all(isinstance(row, KeyedIndex) and row.epoch == 5 for row in real.batches[0])


def test_provenance_tells_what_makes_a_sample() -> None:
    mixed = blend(Real([0, 1, 2, 3]), Painter(), 0.5, seed=9)
    assert mixed.provenance(3) is None
    made = Provenance("Painter", "none", 9, 2, 4, 2)
    assert (
        mixed.provenance(KeyedIndex(6, epoch=4))
        == mixed.provenance(6, epoch=4)
        == mixed.provenance(-2, epoch=4)
        == made
    )
    unknown = mixed.provenance(6)
    assert unknown is not None
    assert (unknown.seed, unknown.epoch, unknown.index) == (None, None, 2)
    fixed = blend(Real([0, 1, 2, 3]), Painter(), 0.5, seed=9, fresh=False).provenance(6)
    assert fixed == Provenance("Painter", "none", 9, 2, 0, 2)


def test_a_synthetic_dataset_stands_alone() -> None:
    data = SyntheticDataset(Painter(), 2)
    assert data.targets == [0, 0, 1, 1, 2, 2, 3, 3]
    assert data.synthetic.tolist() == [True] * 8
    image, label = data[KeyedIndex(5)]
    assert (image.shape, image.dtype, label) == ((1, 8, 8), torch.float32, 2)
    assert image.unique().item() == pytest.approx(104.6 / 255)
    picture, label = SyntheticDataset(Painter(), [3, 1], seed=2, fresh=False, like=Real([0]))[1]
    assert (picture.mode, picture.getpixel((0, 0)), label) == ("L", 53, 1)
    assert len(SyntheticDataset(Painter(), [])) == 0


def test_indices_count_from_the_end_and_iteration_ends() -> None:
    mixed = blend(Real([0, 1, 2, 3], Sample), Painter(), 0.5, fresh=False)
    assert mixed[-1].label == 3
    assert [item.label for item in mixed] == [0, 1, 2, 3] * 2
    with pytest.raises(IndexError, match="index 8 is outside a dataset of 8 samples"):
        mixed[8]


def test_class_names_are_those_of_the_real_dataset() -> None:
    mixed = blend(Real([0, 1]), Painter(), 0.5)
    assert mixed.classes == ("a", "b", "c", "d")
    with pytest.raises(AttributeError, match="no attribute 'asked'"):
        _ = mixed.asked


def test_labels_are_taken_from_an_attribute_only_where_it_fits() -> None:
    quick = Real([0, 1, 1, 2])
    quick.targets = [0, 1, 1, 2]
    blend(quick, Painter(), 0.5)
    assert set(quick.asked) == {0}
    wrong = Real([1, 0, 0, 2])
    wrong.targets = [0, 1, 1, 2]
    assert blend(wrong, Painter(), 0.5).targets == [1, 0, 0, 2, 0, 0, 1, 2]
    part = blend(Subset(quick, [3, 0]), Painter(), 0.5)
    assert part.targets == [2, 0, 0, 2]


def test_looking_at_the_data_leaves_global_random_state_alone() -> None:
    def noisy(image: np.ndarray, label: int) -> tuple[torch.Tensor, int]:
        return torch.rand(1, 8, 8), label

    state = torch.get_rng_state()
    blend(Real([0, 1, 2], noisy), Painter(), 0.5)
    assert torch.equal(torch.get_rng_state(), state)


def no_labels(image: np.ndarray, label: int) -> Any:
    return image


BAD = {
    "ratio": (Real([0, 1]), Painter(), {"ratio": 1.0}, ValueError, r"ratio=1.0 must lie in \[0, 1\)"),
    "negative ratio": (Real([0, 1]), Painter(), {"ratio": -0.1}, ValueError, "ratio=-0.1"),
    "nan ratio": (Real([0, 1]), Painter(), {"ratio": float("nan")}, ValueError, "ratio=nan"),
    "classes": (Real([0, 5]), Painter(), {"ratio": 0.5}, ValueError, "has 4 classes, but the labels go from 0 to 5"),
    "shape": (
        Real([0, 1]),
        Painter(image_shape=(3, 8, 8)),
        {},
        ValueError,
        r"real images are \(1, 8, 8\), the generator makes \(3, 8, 8\)",
    ),
    "empty": (Real([]), Painter(), {}, ValueError, "the real dataset is empty"),
    "unlabelled": (Real([0, 1], no_labels), Painter(), {}, TypeError, "the dataset is unlabelled"),
    "image only": (TensorDataset(torch.zeros(2, 1, 8, 8)), Painter(), {}, TypeError, "the dataset is unlabelled"),
    "none": (Real([0, None]), Painter(), {}, ValueError, r"sample 1 has no label \(None\)"),
    "minus one": (Real([0, -1]), Painter(), {}, ValueError, "sample 1: label -1 is negative"),
    "extra": (
        Real([0, 1], lambda i, y: {"image": i, "label": y, "file": "x"}),
        Painter(),
        {},
        TypeError,
        "for the rest",
    ),
    "normalized": (
        Real([0, 1], lambda i, y: (torch.ones(1, 8, 8) * -2, y)),
        Painter(),
        {},
        ValueError,
        "before they are",
    ),
    "nan": (Real([0, 1], lambda i, y: (torch.full((1, 8, 8), torch.nan), y)), Painter(), {}, ValueError, "NaN pixels"),
    "stream": (iter([]), Painter(), {}, TypeError, "map-style datasets"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_cannot_be_blended_is_named(case: str) -> None:
    real, generator, options, error, message = BAD[case]
    with pytest.raises(error, match=message):
        blend(real, generator, **options)


def test_one_class_cannot_be_balanced() -> None:
    with pytest.raises(ValueError, match="all 3 samples are of class 2; there is nothing to balance"):
        balance(Real([2, 2, 2]), Painter())


@pytest.fixture(scope="module")
def clothes() -> tuple[Any, LatentSMOTE]:
    real = Subset(demo.fashion("train"), range(60))
    return real, fit(LatentSMOTE((1, 28, 28), 10, latent_dim=8), real, max_images=320)


def test_a_class_that_the_generator_never_saw_is_named_at_once(clothes: tuple[Any, LatentSMOTE]) -> None:
    real, _ = clothes
    three = [row for row in range(60) if demo.fashion("train").targets[row] < 3]
    generator = fit(LatentSMOTE((1, 28, 28), 10), Subset(real, three), max_images=32)
    with pytest.raises(ValueError, match="had no sample of class"):
        blend(real, generator)


def test_a_blend_survives_pickling(clothes: tuple[Any, LatentSMOTE]) -> None:
    mixed = blend(*clothes, 0.25)
    again = pickle.loads(pickle.dumps(mixed))
    image, label = again[KeyedIndex(70, epoch=1)]
    assert label == mixed.targets[70]
    assert np.array_equal(np.asarray(image), np.asarray(mixed[KeyedIndex(70, epoch=1)][0]))


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_workers_deliver_the_same_blend_through_wrap_and_loader(
    clothes: tuple[Any, LatentSMOTE], start_method: str
) -> None:
    pipeline = ag.Pipeline([T.RandomHorizontalFlip(), T.Normalize((0.5,), (0.5,))], seed=0)
    train = ag.wrap(ag.blend(*clothes, 0.25, gate=None), pipeline)
    alone = list(ag.loader(train, 16, shuffle=True, seed=0))
    workers = ag.loader(
        train, 16, shuffle=True, seed=0, num_workers=2, multiprocessing_context=start_method, persistent_workers=True
    )
    epochs = [list(workers) for _ in range(2)]
    assert sum(len(labels) for _, labels in alone) == 80
    for (image, label), (other, label_too) in zip(alone, epochs[0], strict=True):
        assert torch.equal(label, label_too)
        # One level of 255 after Normalize: a worker has one thread, whose sums may round differently.
        assert torch.allclose(image, other, atol=2.01 / 255)
    before, after = (torch.cat([image for image, _ in batches]).mean() for batches in epochs)
    assert before != after
