"""Converted pipelines in workers: every sample draws its own, and nothing asks a server."""

from __future__ import annotations

import pickle

import albumentations as A
import numpy as np
import pytest
import torchvision.transforms.v2 as v2
from adapter_samples import convert, detection, picture, without_network
from torch.utils.data import DataLoader, Dataset

import augsynth as ag

PICTURE = picture()


def halve(image, **_):
    return image // 2


class Brightnesses(Dataset):
    """Return how bright a black image has become, which tells what was drawn."""

    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 8

    def __getitem__(self, index):
        image = self.transform(image=np.zeros((8, 8, 3), np.uint8))["image"]
        return int(np.asarray(image).flat[0])


def epochs(transform, persistent):
    loader = DataLoader(Brightnesses(transform), num_workers=2, persistent_workers=persistent)
    return [[int(value) for value in loader] for _ in range(2)]


def brighten(**arguments):
    return A.Compose([A.RandomBrightnessContrast((0.05, 0.95), 0.0, p=1.0)], **arguments)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("seed", [None, 137])
def test_albumentations_draws_the_same_in_every_worker_and_in_every_epoch(seed):
    """Each worker gets a copy of one generator, and each epoch new workers; with seed= or without."""
    first, second = epochs(brighten(seed=seed), persistent=False)
    assert first[0::2] == first[1::2]  # samples are dealt to the two workers in turn
    assert first == second
    first, second = epochs(brighten(seed=seed), persistent=True)
    assert first[0::2] == first[1::2]  # workers that stay draw on, but still alike
    assert first != second


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("compose", [brighten(), A.Compose([A.Lambda(image=halve, p=1.0), *brighten()])])
def test_the_converted_pipeline_draws_anew_for_every_sample_in_every_worker_and_epoch(compose):
    first, second = epochs(ag.from_albumentations(compose), persistent=False)
    assert len({*first, *second}) > 10
    assert first[0::2] != first[1::2]


def test_a_seed_makes_the_parts_of_a_compose_draw_alike_there_and_not_here():
    flips = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)], seed=137)
    turned = {flips(image=PICTURE)["image"].tobytes() for _ in range(30)}
    assert turned == {PICTURE.tobytes(), PICTURE[::-1, ::-1].tobytes()}
    adapted = ag.from_albumentations(flips)
    assert len({adapted(image=PICTURE, index=i)["image"].tobytes() for i in range(30)}) == 4


def test_neither_the_conversion_nor_a_worker_asks_a_server(tmp_path):
    payload = tmp_path / "pipeline"
    payload.write_bytes(pickle.dumps(convert(A.GlassBlur(p=1.0))))
    load = f"import pickle, pathlib; pickle.loads(pathlib.Path({str(payload)!r}).read_bytes()); "
    code, text = without_network(load + "import augsynth as ag; ag.from_albumentations([]); print('silent')")
    assert (code, text) == (0, "silent\n")


def test_albumentations_itself_would_ask():
    _, text = without_network("import albumentations")
    assert "touched" in text


def test_a_worker_that_is_spawned_imports_no_albumentations_where_everything_is_fused(tmp_path):
    payload = tmp_path / "pipeline"
    payload.write_bytes(pickle.dumps(ag.from_albumentations(detection())))
    code, text = without_network(
        "import pickle, sys, pathlib, numpy as np\n"
        f"pipeline = pickle.loads(pathlib.Path({str(payload)!r}).read_bytes())\n"
        "out = pipeline(image=np.zeros((60, 76, 3), np.uint8), index=0)\n"
        "print('albumentations' in sys.modules, tuple(out['image'].shape))\n"
    )
    assert (code, text) == (0, "False (3, 64, 64)\n")


def test_a_worker_that_is_spawned_imports_no_torchvision_where_everything_is_fused(tmp_path):
    recipe = v2.Compose([v2.RandomResizedCrop(48), v2.ToImage(), v2.RandomErasing(0.1)])
    payload = tmp_path / "pipeline"
    payload.write_bytes(pickle.dumps(ag.from_torchvision(recipe)))
    code, text = without_network(
        "import pickle, sys, pathlib, numpy as np\n"
        f"pipeline = pickle.loads(pathlib.Path({str(payload)!r}).read_bytes())\n"
        "out = pipeline(np.zeros((60, 76, 3), np.uint8), index=0)\n"
        "print('torchvision' in sys.modules, tuple(out.shape))\n"
    )
    assert (code, text) == (0, "False (3, 48, 48)\n")
