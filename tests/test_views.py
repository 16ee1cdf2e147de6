"""Several views of one image: what they hold, their keys, and every way to plug them in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
from PIL import Image
from torch.utils.data import DataLoader, Dataset, default_collate

import augsynth as ag
from augsynth import transforms as T
from augsynth.data import demo
from augsynth.program import walk
from augsynth.views import Corner

CROP = [T.RandomResizedCrop(24), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4)]
TWO = ag.Views([CROP, CROP], seed=3)
NAMED = ag.Views({"large": CROP, "small": [T.RandomResizedCrop(12)]}, seed=3)


def photos(count=6, size=(40, 52)):
    picture = np.array(demo.photo().resize(size[::-1]))
    return torch.stack([torch.from_numpy(np.roll(picture, 3 * i, 1)).permute(2, 0, 1) for i in range(count)])


class Pictures(Dataset):
    """Photographs with their index as label."""

    def __init__(self, count=8, transform=None):
        self.images, self.transform = photos(count), transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index].permute(1, 2, 0).numpy())
        return (self.transform(image) if self.transform else image), int(index)


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_views_of_an_image_are_a_list_or_a_dict_by_name():
    image = photos(1)[0]
    listed, named = TWO(image, index=5), NAMED(image, index=5)
    assert [tuple(view.shape) for view in listed] == [(3, 24, 24)] * 2
    assert {name: tuple(view.shape) for name, view in named.items()} == {"large": (3, 24, 24), "small": (3, 12, 12)}


def test_equal_pipelines_give_different_views():
    first, second = TWO(photos(), index=range(6))
    assert all((a != b).any() for a, b in zip(first, second, strict=True))


def test_a_view_is_the_pipeline_under_a_seed_of_its_own():
    images = photos()
    for name, out in NAMED(images, index=range(6), epoch=2, occurrence=1, strength=0.5).items():
        pipeline = NAMED.views[name]
        assert torch.equal(out, pipeline(images, index=range(6), epoch=2, occurrence=1, strength=0.5))
    seeds = [pipeline.seed for pipeline in [*TWO.views.values(), *NAMED.views.values()]]
    assert len(set(seeds)) == 4
    assert NAMED.views["large"].seed != ag.Views({"large": CROP}, seed=4).views["large"].seed


def test_a_view_keeps_its_draws_when_others_come_and_go():
    image = photos(1)[0]
    more = ag.Views({"new": CROP, **dict(NAMED.pipelines)}, seed=3)
    assert torch.equal(more(image, index=1)["small"], NAMED(image, index=1)["small"])


def test_the_samples_of_a_batch_do_not_depend_on_each_other():
    images = photos()
    together = TWO(images, index=range(6))
    for i in range(6):
        assert all(torch.equal(view[i], alone) for view, alone in zip(together, TWO(images[i], index=i), strict=True))


def test_without_an_index_every_call_is_fresh_and_takes_one_number_of_torchs_generator():
    image = photos(1)[0]
    torch.manual_seed(0)
    first, second = TWO(image), TWO(image)
    torch.manual_seed(0)
    again = TWO(image)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert (first[0] != first[1]).any()
    assert (first[0] != second[0]).any()
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    torch.randint(0, 2**32, (), dtype=torch.int64)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_structure_around_the_image_is_kept():
    images = photos(3)
    (first, second), label = TWO((images, torch.arange(3)), index=range(3))
    assert first.shape == second.shape == (3, 3, 24, 24)
    assert label.tolist() == [0, 1, 2]
    out = TWO({"image": images[0], "label": 7}, index=0)
    assert [len(out["image"]), out["label"]] == [2, 7]
    rows = TWO([(images[0], "a"), (images[1][:, :30], "b")], index=[0, 1])
    assert [row[1] for row in rows] == ["a", "b"]
    assert [tuple(view.shape) for row in rows for view in row[0]] == [(3, 24, 24)] * 4


def test_images_come_back_as_what_they_were():
    array = photos(2).permute(0, 2, 3, 1).numpy()
    assert [(type(v), v.shape) for v in TWO(array, index=[0, 1])] == [(np.ndarray, (2, 24, 24, 3))] * 2
    pil = Image.fromarray(array[0])
    views = TWO(pil, index=0)
    assert [(view.mode, view.size) for view in views] == [("RGB", (24, 24))] * 2
    assert np.array_equal(np.array(views[0]), TWO(array[0], index=0)[0])
    normalized = ag.Views([[*CROP, T.Normalize((0.5,), (0.2,))]])(pil, index=0)
    assert normalized[0].dtype == torch.float32


def test_a_gradient_flows_through_every_view():
    images = (photos(2).float() / 255).requires_grad_()
    sum(view.sum() for view in TWO(images, index=[0, 1])).backward()
    assert (images.grad != 0).any()


# --- errors and equality ----------------------------------------------------------------------------------------------


def test_what_is_no_collection_of_pipelines_is_refused():
    for wrong in (ag.Pipeline(CROP), "simclr", T.RandomHorizontalFlip(), [], 3):
        with pytest.raises(TypeError, match="Views takes a list or a mapping of pipelines, got"):
            ag.Views(wrong)
    with pytest.raises(TypeError, match="Pipeline: entry 0 is of type int"):
        ag.Views([[3]])
    with pytest.raises(ValueError, match="index has 2 entries for 6 images"):
        TWO(photos(), index=[1, 2])
    with pytest.raises(ValueError, match="seed=-1"):
        ag.Views([CROP], seed=-1)


def test_masks_are_refused_where_a_view_moves_pixels():
    sample = {"image": photos(1)[0], "mask": torch.zeros(40, 52, dtype=torch.uint8)}
    with pytest.raises(TypeError, match="Views: view_1 moves pixels"):
        TWO(sample, index=0)
    still = ag.Views([[T.ColorJitter(0.4)], [T.RandomGrayscale(1.0)]])(sample, index=0)
    assert len(still["image"]) == 2


def test_views_are_equal_by_value_and_survive_pickling():
    assert pickle.loads(pickle.dumps(NAMED)) == NAMED
    assert ag.Views([CROP, CROP], seed=3) == TWO != ag.Views([CROP, CROP], seed=4)
    assert ag.Views([CROP]) != TWO
    assert len(TWO) == 2


def test_views_explain_and_draw_by_name():
    assert NAMED.explain().splitlines()[1].startswith("small: warp[random_resized_crop]")
    programs = NAMED.draw([(40, 52)] * 4, index=range(4))
    assert programs["small"].sizes[:, -1].tolist() == [[12, 12]] * 4


# --- plugging in ------------------------------------------------------------------------------------------------------


def test_views_are_the_transform_of_a_dataset():
    views = ag.Views([[*CROP, T.Normalize((0.5,), (0.5,))], [*CROP, T.Normalize((0.5,), (0.5,))]])
    (first, second), label = next(iter(DataLoader(Pictures(transform=views), 4)))
    assert first.shape == second.shape == (4, 3, 24, 24)
    assert label.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("collate", [ag.collate, default_collate])
def test_a_wrapped_dataset_gives_one_batch_per_view(workers, collate):
    loader = ag.loader(ag.wrap(Pictures(), NAMED), 4, num_workers=workers, collate_fn=collate)
    expected = [NAMED(images, index=range(4 * i, 4 * i + 4)) for i, images in enumerate(photos(8).split(4))]
    seen = 0
    for (views, label), batch in zip(loader, expected, strict=True):
        assert label.tolist() == list(range(seen, seen + 4))
        assert all(torch.equal(views[name], batch[name]) for name in ("large", "small"))
        seen += 4
    assert seen == 8


def test_a_wrapped_dataset_names_the_sample_that_fails():
    views = ag.Views([[T.RandomCrop(24)], [T.RandomCrop(45)]])
    with pytest.raises(ag.SampleError, match="sample 2 could not be augmented"):
        ag.wrap(Pictures(), views)[2]


# --- crops and presets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [20, (31, 17), (40, 52)])
@pytest.mark.parametrize("vertical", [False, True])
def test_five_and_ten_crops_are_torchvisions(size, vertical):
    image = photos(1)[0]
    five, ten = ag.Views.five_crop(size)(image, index=0), ag.Views.ten_crop(size, vertical)(image, index=0)
    assert all(torch.equal(a, b) for a, b in zip(five, v2.FiveCrop(size)(image), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(ten, v2.TenCrop(size, vertical)(image), strict=True))


def test_crops_can_be_followed_by_transforms():
    out = ag.Views.five_crop(20, [T.Normalize((0.5,), (0.5,))])(photos(2), index=[0, 1])
    assert [tuple(view.shape) for view in out] == [(2, 3, 20, 20)] * 5
    assert {view.dtype for view in out} == {torch.float32}


def test_a_corner_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"sample 1 \(index 8\): a crop of 45 does not fit into 40 x 52 pixels"):
        ag.Views([[Corner(45)]])([torch.zeros(3, 50, 50), torch.zeros(3, 40, 52)], index=[7, 8])
    with pytest.raises(ValueError, match="Corner: size=0 is not valid"):
        Corner(0)


def parts(pipeline):
    return {type(part).__name__: part for name, t in pipeline.transforms.items() for _, part in walk(name, t)}


def test_simclr_has_the_papers_parameters():
    views = ag.presets.simclr()
    assert len(views) == 2
    found = parts(views.views["view_1"])
    jitter = found["ColorJitter"]
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) == (0.8, 0.8, 0.8, 0.2)
    assert (found["GaussianBlur"].kernel_size, found["GaussianBlur"].sigma) == (23, (0.1, 2.0))
    assert (found["RandomResizedCrop"].scale, found["RandomGrayscale"].p) == ((0.08, 1.0), 0.2)
    chances = {name: t.p for name, t in views.views["view_1"].transforms.items() if isinstance(t, T.RandomApply)}
    assert chances == {"jitter": 0.8, "blur": 0.5}
    small = parts(ag.presets.simclr(32, strength=0.5, blur=False).views["view_2"])
    assert "GaussianBlur" not in small
    assert small["ColorJitter"].hue == 0.1


def test_dino_and_byol_blur_one_large_view_and_solarize_the_other():
    for views in (ag.presets.dino(), ag.presets.byol()):
        first, second = (views.views[f"view_{i}"].transforms for i in (1, 2))
        assert [first["blur"].p, second["blur"].p, second["solarize"].p] == [1.0, 0.1, 0.2]
        assert "solarize" not in first
        assert first["crop"].interpolation == "bicubic"
    local = ag.presets.dino().views["view_3"].transforms
    assert (local["blur"].p, "solarize" in local) == (0.5, False)
    assert (local["crop"].scale, first["jitter"].transforms[0].saturation) == ((0.05, 0.4), 0.2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_dino_makes_large_and_small_views(dtype):
    images = photos(3) if dtype == torch.uint8 else photos(3).float() / 255
    out = ag.presets.dino(48, 20, local_views=3, seed=1)(images, index=range(3))
    assert [tuple(view.shape) for view in out] == [(3, 3, 48, 48)] * 2 + [(3, 3, 20, 20)] * 3
    assert {view.dtype for view in out} == {torch.float32}
    assert all(view.isfinite().all() and view.abs().max() < 3 for view in out)


def test_solarization_of_a_preset_means_the_same_level_for_bytes_and_floats():
    pipeline = ag.Pipeline([ag.presets.dino().views["view_2"].transforms["solarize"].transforms[0]])
    levels = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    whole, parts = pipeline(levels, index=0), pipeline(levels.float() / 255, index=0)
    assert torch.equal(whole[0, 0, :130], torch.cat([torch.arange(128), torch.tensor([127, 126])]).to(torch.uint8))
    assert torch.equal((parts * 255).round().to(torch.uint8), whole)


def test_the_supervised_presets_crop_and_normalize():
    image = photos(1, (80, 100))[0]
    assert ag.presets.imagenet(64)(image, index=0).shape == (3, 64, 64)
    assert ag.presets.cifar()(torch.zeros(3, 32, 32, dtype=torch.uint8), index=0).shape == (3, 32, 32)
    evaluated = ag.presets.imagenet(56, train=False, normalize=None)(image, index=0)
    theirs = v2.Compose([v2.Resize(64), v2.CenterCrop(56)])(image)
    assert (evaluated.int() - theirs.int()).abs().max() <= 1  # torchvision filters bytes with rounded weights
    assert ag.presets.cifar(train=False).explain().startswith("normalize")
    assert ag.presets.imagenet(seed=7, color="linear").color == "linear"
