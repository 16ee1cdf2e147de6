"""WebDataset pipelines, wrapped behind their decoding."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import webdataset as wds
from PIL import Image
from torch.utils.data import DataLoader

import augsynth as ag
from augsynth import transforms as T
from augsynth.data.keying import words_of
from augsynth.rng import Rng

SIZE, SEED = 12, 8
PIPELINE = ag.Pipeline([T.RandomCrop(6), T.RandomHorizontalFlip()], seed=SEED)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning",
    "ignore:unclosed file:ResourceWarning",  # which webdataset leaves to the garbage collector
    "ignore:Exception ignored in.*tar:pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture(autouse=True)
def collect() -> Iterator[None]:
    """Close what webdataset left open before another test is blamed for it."""
    yield
    gc.collect()


def picture(i: int) -> Image.Image:
    values = (np.arange(8 * (8 + i % 3) * 3) * 7 + i * 31) % 251
    return Image.fromarray(values.astype(np.uint8).reshape(8, -1, 3))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(2):
        with wds.TarWriter(str(folder / f"{shard}.tar")) as writer:
            for i in range(shard * 6, shard * 6 + 6):
                mask = Image.fromarray(np.full((8, 8 + i % 3), i, np.uint8))
                writer.write({"__key__": f"sample{i:03d}", "png": picture(i), "cls": i, "seg.png": mask})
    return sorted(map(str, Path(folder).iterdir()))


def gray(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def stream(shards: list[str]) -> Any:
    # "pil" alone would make masks RGB.
    return wds.WebDataset(shards, shardshuffle=False).decode(wds.handle_extension("seg.png", gray), "pil")


def truth(i: int, epoch: int = 0) -> torch.Tensor:
    index, occurrence = words_of(f"sample{i:03d}")
    return PIPELINE.images([picture(i)], Rng.of(SEED, index, epoch, occurrence))[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_tuples_are_augmented_and_shards_dealt_out_to_the_workers(shards: list[str], workers: int) -> None:
    data = ag.wrap(stream(shards).to_tuple("png", "cls"), PIPELINE)
    batches = list(DataLoader(data, 4, num_workers=workers))
    assert sorted(i for _, labels in batches for i in labels.tolist()) == list(range(SIZE))
    assert batches[0][0].shape == (4, 3, 6, 6)


@pytest.mark.parametrize("workers", [0, 2])
def test_dicts_are_keyed_by_their_own_key(shards: list[str], workers: int) -> None:
    plain = stream(shards).map(lambda sample: {name: sample[name] for name in sample if name != "seg.png"})
    loader = DataLoader(ag.wrap(plain, PIPELINE, index_of="__key__"), None, num_workers=workers)
    for epoch in range(2):
        samples = list(loader)
        assert sorted(sample["cls"] for sample in samples) == list(range(SIZE))
        assert all(torch.equal(sample["png"], truth(sample["cls"], epoch)) for sample in samples)


def test_a_key_in_a_tuple_is_named_by_its_position(shards: list[str]) -> None:
    data = ag.wrap(stream(shards).to_tuple("__key__", "png", "cls"), PIPELINE, index_of=0)
    assert all(torch.equal(image, truth(i)) for _, image, i in data)


def test_masks_beside_the_image_need_keys_and_follow_then(shards: list[str]) -> None:
    with pytest.raises(TypeError, match=r"2 images found in a dict with '__key__': str.*'seg\.png': PIL image"):
        next(iter(ag.wrap(stream(shards), PIPELINE)))
    keys = {"png": "image", "seg.png": "mask"}
    for sample in ag.wrap(stream(shards), PIPELINE, keys=keys):
        assert sample["png"].shape[1:] == sample["seg.png"].shape[-2:] == (6, 6)
        assert set(np.unique(np.asarray(sample["seg.png"]))) == {sample["cls"]}


def test_batches_that_webdataset_makes_are_augmented(shards: list[str]) -> None:
    square = stream(shards).to_tuple("png", "cls").map_tuple(lambda image: np.array(image)[:, :8].copy())
    (images, labels), *_ = ag.wrap(square.batched(5), PIPELINE)
    assert np.shape(images)[0] == 5
    assert len(labels) == 5
    assert sorted(np.shape(images)) == [3, 5, 6, 6]


def test_a_webloader_over_a_wrapped_pipeline_works(shards: list[str]) -> None:
    data = ag.wrap(stream(shards).to_tuple("png", "cls"), PIPELINE)
    batches = list(wds.WebLoader(data, batch_size=4, num_workers=0))
    assert [len(labels) for _, labels in batches] == [4, 4, 4]


def test_a_stage_behind_the_wrapped_pipeline_is_refused_with_what_to_do(shards: list[str]) -> None:
    data = ag.wrap(stream(shards).to_tuple("png", "cls"), PIPELINE)
    with pytest.raises(
        TypeError, match=r"shuffle\(\) of a wrapped WebDataset .* wrap\(dataset\.shuffle\(\.\.\.\), pipel"
    ):
        data.shuffle(10)
    assert sum(1 for _ in ag.wrap(data.dataset.shuffle(10), PIPELINE)) == SIZE
