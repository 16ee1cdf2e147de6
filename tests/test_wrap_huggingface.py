"""Hugging Face datasets: wrapped, or given the pipeline as their transform."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

import augsynth as ag
from augsynth import transforms as T
from augsynth.rng import Rng

SIZE, SEED = 10, 7
PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip()], seed=SEED)
WORDS = ag.Pipeline([T.CharSwap(p=1.0, rate=0.5)], seed=SEED)
TEXT = "the very same words in every row"

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def picture(i: int) -> Image.Image:
    values = (np.arange(8 * (8 + i % 3) * 3) * 7 + i * 31) % 251
    return Image.fromarray(values.astype(np.uint8).reshape(8, -1, 3))


@pytest.fixture(scope="module")
def pictures() -> Any:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = {"image": [picture(i) for i in range(SIZE)], "label": list(range(SIZE))}
    return datasets.Dataset.from_dict(rows, features=features)


@pytest.fixture(scope="module")
def texts() -> Any:
    return datasets.Dataset.from_dict({"text": [TEXT] * SIZE, "label": list(range(SIZE))})


def truth(i: int, epoch: int = 0) -> torch.Tensor:
    return PIPELINE.images([picture(i)], Rng.of(SEED, i, epoch))[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_wrapped_dataset_is_read_by_the_batch_and_keyed(pictures: Any, workers: int) -> None:
    data = ag.wrap(pictures, PIPELINE)
    assert data.column_names == ["image", "label"]
    for batch in ag.loader(data, 4, num_workers=workers):
        for image, i in zip(batch["image"], batch["label"].tolist(), strict=True):
            assert torch.equal(image, truth(i))


def test_a_wrapped_dataset_asks_for_its_rows_in_one_call(pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    whole = datasets.Dataset.__getitems__
    monkeypatch.setattr(
        datasets.Dataset, "__getitems__", lambda self, keys: asked.append(len(keys)) or whole(self, keys)
    )
    list(DataLoader(ag.wrap(pictures, PIPELINE), 4))
    assert asked == [4, 4, 2]


def test_texts_of_a_wrapped_dataset_are_edited(texts: Any) -> None:
    (batch,) = ag.loader(ag.wrap(texts, WORDS), SIZE)
    assert batch["text"] == [WORDS(TEXT, index=i) for i in range(SIZE)]
    assert len(set(batch["text"])) > 1


@pytest.mark.parametrize("how", ["with_transform", "set_transform"])
def test_a_pipeline_is_a_transform_and_draws_for_each_row(pictures: Any, how: str) -> None:
    if how == "set_transform":
        data = pictures.select(range(SIZE))
        data.set_transform(PIPELINE)
    else:
        data = pictures.with_transform(PIPELINE)
    torch.manual_seed(2)
    seen = data[:SIZE]
    torch.manual_seed(2)
    rng = Rng.fresh(SIZE)
    for i, image in enumerate(seen["image"]):
        expected = PIPELINE.images([picture(i)], rng[i : i + 1])[0].permute(1, 2, 0)
        assert np.array_equal(np.asarray(image), expected.numpy())
    assert seen["label"] == list(range(SIZE))
    assert data[3]["image"].size == (6, 6)


def test_a_transform_that_normalizes_gives_tensors_that_stack(pictures: Any) -> None:
    ready = ag.Pipeline([T.CenterCrop(6), T.Normalize((0.5,), (0.5,))])
    batch = next(iter(DataLoader(pictures.with_transform(ready), 4)))
    assert batch["image"].shape == (4, 3, 6, 6)
    assert batch["image"].dtype == torch.float32


def test_a_pipeline_is_a_transform_of_texts(texts: Any) -> None:
    data = texts.with_transform(WORDS)
    torch.manual_seed(1)
    rows = data[:6]
    assert len(set(rows["text"])) > 1
    assert rows["label"] == list(range(6))
    assert isinstance(data[0]["text"], str)


def test_boxes_in_columns_follow_their_own_image() -> None:
    flip = ag.Pipeline([T.RandomHorizontalFlip(1.0)])
    columns = {
        "image": [picture(0), picture(1)],
        "objects": [{"bbox": [[1.0, 2.0, 3.0, 4.0]], "category": [5]}, {"bbox": [], "category": []}],
        "mask": np.arange(8 * 8 * 2, dtype=np.uint8).reshape(2, 8, 8)[:, :, :8],
        "source": "camera",
    }
    columns["image"][1] = picture(3)
    out = flip(columns, index=[0, 1])
    assert out["objects"][0] == {"bbox": [[5.0, 2.0, 7.0, 4.0]], "category": [5]}
    assert out["objects"][1] == {"bbox": [], "category": []}
    assert np.array_equal(out["mask"], columns["mask"][:, :, ::-1])
    assert out["source"] == "camera"


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"column 'label' has 1 entries for 2 images in a dict with 'image': list"):
        PIPELINE({"image": [picture(0), picture(1)], "label": [3]})


def test_views_of_columns_are_made_per_row() -> None:
    views = ag.Views([[T.RandomCrop(6)], [T.RandomCrop(4)]], seed=2)
    out = views({"image": [picture(0), picture(1)], "label": [3, 4]}, index=[0, 1])
    assert [[view.size for view in row] for row in out["image"]] == [[(6, 6), (4, 4)]] * 2
    assert out["label"] == [3, 4]


def test_a_streamed_dataset_wraps_as_a_stream(pictures: Any) -> None:
    stream = ag.wrap(pictures.to_iterable_dataset(num_shards=2), PIPELINE, index_of="label")
    assert isinstance(stream, IterableDataset)
    assert stream.num_shards == 2
    for workers in (0, 2):
        seen = []
        stream.set_epoch(workers)
        for batch in DataLoader(stream, 3, num_workers=workers):
            for image, i in zip(batch["image"], batch["label"].tolist(), strict=True):
                assert torch.equal(image, truth(i, workers))
                seen.append(i)
        assert sorted(seen) == list(range(SIZE))


def test_a_streamed_dataset_resumes_by_its_own_state(pictures: Any) -> None:
    stream = ag.wrap(pictures.to_iterable_dataset(num_shards=2), PIPELINE)
    torch.manual_seed(4)
    whole = list(stream)
    torch.manual_seed(4)
    passing = iter(stream)
    seen = [next(passing) for _ in range(4)]
    again = ag.wrap(pictures.to_iterable_dataset(num_shards=2), PIPELINE)
    again.load_state_dict(stream.state_dict())
    seen += list(again)
    assert [sample["label"] for sample in seen] == list(range(SIZE))
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(seen, whole, strict=True))


def test_a_dict_of_splits_is_refused_with_what_to_do(pictures: Any) -> None:
    splits = datasets.DatasetDict({"train": pictures, "test": pictures})
    with pytest.raises(
        TypeError, match=r"DatasetDict with the splits 'train', 'test'; .*wrap\(dataset\['train'\], pip"
    ):
        ag.wrap(splits, PIPELINE)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_method_that_would_lose_the_augmentation_is_refused_with_what_to_do(pictures: Any, streamed: bool) -> None:
    base = pictures.to_iterable_dataset() if streamed else pictures
    data = ag.wrap(base, PIPELINE)
    for lost in (
        lambda: data.map(None),
        lambda: data.shuffle(seed=1),
        lambda: data.with_format("torch"),
        lambda: data.iter(2),
    ):
        with pytest.raises(TypeError, match=r"without the augmentation; call it before wrap: wrap\(dataset\.\w+\("):
            lost()
    if not streamed:
        assert data.unique("label") == list(range(SIZE))
        with pytest.raises(TypeError, match=r"train_test_split\(\) of a wrapped Dataset"):
            data.train_test_split(0.5)
