"""`Pipeline`: every form an image comes in, structures, keys and names, explain()."""

from __future__ import annotations

import copy
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from examples import SIZES, noise, pictures
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from augsynth import KeyedIndex, Pipeline, Rng
from augsynth import transforms as T
from augsynth.engines import native

FLIP = T.RandomHorizontalFlip(1.0)
NORMALIZE = T.Normalize((0.5,), (0.25,))
Sample = namedtuple("Sample", "image label")
Masked = namedtuple("Masked", "image mask")
over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])


def flip(engine="auto", **arguments):
    return Pipeline({"flip": FLIP}, engine=engine, **arguments)


def hwc(image):
    return image.permute(1, 2, 0).numpy()


# --- structures -------------------------------------------------------------------------------------------------------


def test_a_list_of_images_of_any_size_comes_back_as_a_list():
    images = pictures(3, "uint8")
    out = flip()(images, index=range(4))
    assert isinstance(out, list)
    assert all(torch.equal(a, b.flip(2)) for a, b in zip(out, images, strict=True))


def test_a_list_may_mix_pil_arrays_and_tensors_of_one_dtype():
    image = noise((9, 14), 3, "uint8")
    out = flip()([image, hwc(image), Image.fromarray(hwc(image))], index=[0, 1, 2])
    assert torch.equal(out[0], image.flip(2))
    assert np.array_equal(out[1], hwc(image)[:, ::-1])
    assert np.array_equal(np.array(out[2]), hwc(image)[:, ::-1])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda image: (image, 7),
        lambda image: [image, 7],
        lambda image: Sample(image, 7),
        lambda image: {"image": image, "label": 7},
        lambda image: OrderedDict(label=7, pixel_values=image),
        lambda image: {"img": image, "name": "x", "score": 0.5},
        lambda image: (7, image, "text", None),
        lambda image: (image,),
    ],
)
def test_samples_keep_their_structure(wrap):
    image = noise((9, 14), 3, "uint8")
    sample = wrap(image)
    out = flip()(sample, index=0)
    assert type(out) is type(sample)
    values, before = (list(s.values()) if isinstance(s, dict) else list(s) for s in (out, sample))
    for new, old in zip(values, before, strict=True):
        assert torch.equal(new, image.flip(2)) if old is image else new is old
    if isinstance(sample, dict):
        assert list(out) == list(sample)


def test_a_list_of_samples_is_one_batch():
    samples = [(image, i) for i, image in enumerate(pictures(3, "uint8"))]
    pipeline = Pipeline([T.RandomHorizontalFlip()], seed=1)
    out = pipeline(samples, index=range(4))
    assert [label for _, label in out] == [0, 1, 2, 3]
    for i, (image, _) in enumerate(out):
        assert torch.equal(image, pipeline(samples[i][0], index=i))


def test_the_batch_of_a_loader_comes_back_as_it_is():
    images, labels = torch.stack([noise((8, 8), 3, "uint8", i) for i in range(6)]), torch.arange(6)
    for batch in DataLoader(TensorDataset(images, labels), batch_size=3):
        out = flip()(batch)
        assert isinstance(out, list)
        assert torch.equal(out[0], batch[0].flip(3))
        assert torch.equal(out[1], batch[1])


def test_key_says_which_entry_is_the_image():
    image = noise((9, 14), 3, "uint8")
    out = Pipeline([FLIP])({"scan": image, "other": image}, index=0, key="scan")
    assert torch.equal(out["scan"], image.flip(2))
    assert torch.equal(out["other"], image)
    assert torch.equal(Pipeline([FLIP])((image, image), index=0, key=1)[1], image.flip(2))


# --- keys -------------------------------------------------------------------------------------------------------------


def test_keys_in_the_index_are_keys_in_the_arguments():
    pipeline, image = Pipeline([T.RandomAffine(40)], seed=3), noise((20, 20))
    assert torch.equal(pipeline(image, index=KeyedIndex(4, 2, 1)), pipeline(image, index=4, epoch=2, occurrence=1))
    assert not torch.equal(pipeline(image, index=4, epoch=2), pipeline(image, index=4, epoch=2, occurrence=1))


def test_calls_without_an_index_never_repeat_by_accident_but_follow_manual_seed():
    pipeline, image = Pipeline([T.RandomAffine(40, (0.5, 0.5))], seed=3), noise((20, 20))
    torch.manual_seed(0)
    first, second = pipeline(image), pipeline(image)
    torch.manual_seed(0)
    assert not torch.equal(first, second)
    assert torch.equal(pipeline(image), first)


def test_another_seed_is_another_augmentation():
    image = noise((20, 20))
    one, two = (Pipeline([T.RandomAffine(40)], seed=seed)(image, index=0) for seed in (0, 1))
    assert not torch.equal(one, two)


def test_images_renders_a_whole_batch_to_one_tensor():
    pipeline, images = Pipeline([T.RandomResizedCrop(12)], seed=3), pictures(3, "uint8")
    rng = Rng.of(3, [4, 5, 6, 7])
    out = pipeline.images([hwc(images[0]), images[1], Image.fromarray(hwc(images[2])), images[3]], rng)
    assert out.shape == (4, 3, 12, 12)
    for i, image in enumerate(images):
        assert torch.equal(out[i], pipeline(image, index=4 + i))
    assert isinstance(Pipeline([FLIP]).images(images, rng), list)


def test_removing_one_transform_leaves_the_draws_of_the_others_alone():
    parts = {
        "flip": T.RandomHorizontalFlip(),
        "crop": T.RandomCrop(16),
        "some": T.SomeOf({"turn": T.RandomRotation(30), "jitter": T.ColorJitter(0.2)}, n=2),
        "erase": T.RandomErasing(),
    }
    everything = Pipeline(parts, seed=2).draw(SIZES * 4, index=range(16))
    for gone in ("flip", "some"):
        rest = Pipeline({name: part for name, part in parts.items() if name != gone}, seed=2)
        program = rest.draw(SIZES * 4, index=range(16))
        for i in range(16):
            kept = {k: v for k, v in everything.parameters(i).items() if not k.startswith(gone)}
            assert program.parameters(i) == kept


def test_two_of_a_kind_draw_independently():
    ops = Pipeline([T.RandomHorizontalFlip(), T.RandomHorizontalFlip()]).draw([(8, 8)] * 200, index=range(200)).ops > 0
    assert 70 < (ops[:, 0] != ops[:, 1]).sum() < 130


# --- names, None, copies ----------------------------------------------------------------------------------------------


def test_a_list_is_named_by_its_classes():
    names = list(Pipeline([FLIP, T.ColorJitter(0.1), T.RandomHorizontalFlip()]).transforms)
    assert names == ["random_horizontal_flip", "color_jitter", "random_horizontal_flip_2"]


def test_a_mapping_keeps_its_names_and_none_switches_an_entry_off():
    pipeline = Pipeline({"mirror": FLIP, "erase": None, "out": NORMALIZE})
    assert list(pipeline.transforms) == ["mirror", "out"]
    assert pipeline.draw([(4, 4)], index=0).parameters(0) == {"mirror": ()}


def test_an_empty_pipeline_changes_nothing():
    image = noise((9, 14), 3, "uint8")
    assert torch.equal(Pipeline([])(image, index=0), image)
    assert Pipeline({"gone": None}).explain().startswith("nothing (")


def test_pipelines_copy_and_compare():
    pipeline = Pipeline([FLIP, NORMALIZE], seed=1)
    assert copy.deepcopy(pipeline) == pipeline
    assert pipeline != Pipeline([FLIP, NORMALIZE], seed=2)
    assert pipeline != Pipeline({"a": FLIP, "b": NORMALIZE}, seed=1)
    assert "seed=1" in repr(pipeline)


@pytest.mark.parametrize(
    "transform",
    [
        T.RandomHorizontalFlip(1.0),
        T.RandomVerticalFlip(1.0),
        T.RandomRotation((10, 40), "bilinear"),
        T.RandomAffine(40, (0.3, 0.3), (0.5, 0.8), 20, "bilinear"),
        T.ColorJitter(0.5, 0.5, 0.5, 0.5),
        T.RandomGrayscale(1.0),
        T.RandomErasing(1.0),
        T.OneOf([T.RandomGrayscale(1.0), FLIP]),
        T.RandomApply([T.RandomRotation(40)], p=1.0),
    ],
    ids=lambda t: type(t).__name__,
)
def test_strength_zero_is_the_identity(transform):
    image = noise((21, 30))
    for engine in ("opencv", "torch"):
        out = Pipeline([transform], engine=engine)(image, index=3, strength=0.0)
        assert (out - image).abs().max() < 1e-6


def test_strength_zero_crops_in_the_middle_and_resizes_the_whole():
    image = noise((20, 30))
    crop, center = (Pipeline([t])(image, index=3, strength=0.0) for t in (T.RandomCrop(10), T.CenterCrop(10)))
    assert torch.equal(crop, center)
    whole, resized = (
        Pipeline([t])(image, index=3, strength=0.0) for t in (T.RandomResizedCrop(10), T.Resize((10, 10)))
    )
    assert torch.equal(whole, resized)


# --- output stage -----------------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtype_converts_bytes_to_the_unit_interval(engine, dtype):
    image = noise((9, 14), 3, "uint8")
    out = flip(engine, dtype=dtype)(image, index=0)
    assert out.dtype == dtype
    assert (out.float() - image.flip(2) / 255).abs().max() < {torch.bfloat16: 4e-3, torch.float16: 5e-4}.get(
        dtype, 1e-6
    )


@over_engines
def test_dtype_uint8_makes_bytes_of_floats_by_rounding(engine):
    image = noise((9, 14))
    out = flip(engine, dtype=torch.uint8)(image, index=0)
    assert (out.double() - image.flip(2).double() * 255).abs().max() <= 0.5001


def test_dtype_may_be_a_name_as_a_configuration_gives_it():
    assert Pipeline([FLIP], dtype="bfloat16").dtype == torch.bfloat16
    assert Pipeline([FLIP], dtype="torch.uint8").dtype == torch.uint8


@over_engines
def test_normalize_is_rendered_last_wherever_geometry_follows(engine):
    image = noise((9, 14), 3, "uint8")
    early, late = ([NORMALIZE, FLIP], [FLIP, NORMALIZE])
    assert torch.equal(*(Pipeline(steps, engine=engine)(image, index=0) for steps in (early, late)))


def test_normalize_and_half_precision_work_together():
    out = Pipeline([NORMALIZE], dtype=torch.float16)(noise((9, 14), 3, "uint8"), index=0)
    assert out.dtype == torch.float16


# --- explain ----------------------------------------------------------------------------------------------------------


def test_explain_names_runs_engine_and_keys():
    steps = [T.RandomResizedCrop(8), FLIP, T.ColorJitter(0.4), T.RandomErasing(), NORMALIZE]
    text = Pipeline(steps, color="linear").explain()
    on_cpu = "native" if native.SETS else "opencv"
    assert text == (
        "warp[random_resized_crop, random_horizontal_flip] -> color[color_jitter] -> erase[random_erasing] -> "
        f"normalize (engine {on_cpu} on CPU, triton on CUDA, torch elsewhere, linear color, "
        "keys from torch's generator unless ag.loader or index= brings them)"
    )


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([T.RandomRotation(5), T.RandomAffine(5, fill=1)], "warp[random_rotation] -> warp[random_affine]"),
        ([FLIP, T.Pad(2), T.RandomRotation(5)], "warp[random_horizontal_flip] -> warp[pad, random_rotation]"),
        ([FLIP, T.OneOf([FLIP, T.RandomGrayscale()])], "warp[random_horizontal_flip] -> per sample[one_of]"),
        ([T.RandomApply([FLIP, T.CenterCrop(4)]), FLIP], "warp[random_apply, random_horizontal_flip]"),
        ([T.ColorJitter(0.1), T.RandomGrayscale()], "color[color_jitter, random_grayscale]"),
    ],
)
def test_explain_splits_runs_where_the_border_changes(steps, text):
    assert Pipeline(steps).explain().startswith(text + " (")


def test_explain_shows_the_sequential_chain():
    assert (
        Pipeline([FLIP, T.CenterCrop(4)], fuse=False, engine="torch")
        .explain()
        .startswith("warp[random_horizontal_flip] -> warp[center_crop] (engine torch, exact color")
    )
