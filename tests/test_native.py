"""The compiled engine: the reference, instruction sets, layouts, dtypes, threads, and life without it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from examples import noise, pictures
from reference import assert_agrees
from test_fusion import random_transform
from torchvision.transforms import v2

from augsynth import Pipeline, rendering, rng
from augsynth import transforms as T
from augsynth.engines import native
from augsynth.rng import Rng

# An installation without a compiler has no such engine; the test environment has one.
assert native.SETS, "augsynth was installed without a C compiler: the compiled engine is missing"
INDEX = [11, 5, 8, 2]
JITTER = T.ColorJitter(0.4, 0.4, 0.4, 0.1)
ERASE = T.RandomErasing(1.0, value=64)
CROP = T.RandomResizedCrop((33, 50), (0.1, 1.0))
AFFINE = T.RandomAffine(30, (0.1, 0.1), (0.6, 1.4), 10, "bilinear", fill=9)
RECIPES = {
    "crop": [CROP, T.RandomHorizontalFlip(), JITTER, ERASE],
    "affine": [T.RandomPerspective(0.4, 1.0, "bicubic"), AFFINE, T.RandomGrayscale(0.5)],
    "policy": [T.RandAugment(3, 20)],
    "trivial": [T.TrivialAugmentWide(interpolation="bilinear"), T.Resize((40, 17))],
    "shrunk": [T.RandomAffine(30, scale=(0.2, 0.5), interpolation="bilinear"), T.RandomEqualize(0.5)],
    "pad": [T.RandomCrop(30, 6, padding_mode="reflect"), T.RandomVerticalFlip(), T.RandomPosterize(3)],
}
over_recipes = pytest.mark.parametrize("steps", RECIPES.values(), ids=RECIPES)


def run(steps, images=None, **options):
    images = pictures(3, "uint8") if images is None else images
    return Pipeline(steps, seed=4, engine="native", **options)(images, index=range(len(images)))


def equal(first, second):
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("number", range(300, 340))
def test_random_pipelines_agree_with_the_reference(number):
    r = random.Random(number)
    dtype, channels = r.choice(["uint8", "float32"]), r.choice([1, 3, 3])
    transforms = [random_transform(r, 255 if dtype == "uint8" else 1) for _ in range(r.randrange(2, 6))]
    transforms += [T.Normalize((0.4,), (0.25,))] * (number % 2)
    pipeline = Pipeline(transforms, seed=number, engine="native", color=r.choice(["exact", "linear"]))
    images = [noise((r.randrange(12, 90), r.randrange(12, 90)), channels, dtype, i) for i in range(4)]
    assert_agrees(pipeline, images, index=[3, 1, 4, 5])


@over_recipes
@pytest.mark.parametrize("color", ["exact", "linear"])
def test_every_instruction_set_gives_the_same_bits(steps, color, monkeypatch):
    steps = [*steps, T.Normalize((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))]
    best = run(steps, color=color)
    for name in native.SETS[1:]:
        monkeypatch.setattr(native, "SETS", (name,))
        assert equal(run(steps, color=color), best)


@over_recipes
def test_layouts_are_read_by_their_strides(steps):
    planes = pictures(3, "uint8")
    expected = run(steps, planes)
    arrays = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in planes]
    spaced = [np.repeat(np.repeat(array, 2, 0), 3, 1)[::2, ::3] for array in arrays]
    upside_down = [np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1] for array in arrays]
    for images in (arrays, spaced, upside_down, [torch.from_numpy(a).permute(2, 0, 1) for a in arrays]):
        got = run(steps, images)
        assert equal(
            [torch.as_tensor(i) if i.shape[0] == 3 else torch.as_tensor(i).permute(2, 0, 1) for i in got], expected
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.uint8], ids=str)
def test_an_output_of_another_dtype_is_the_rounded_float_output(dtype):
    whole = run(RECIPES["crop"], dtype=torch.float32)
    for got, expected in zip(run(RECIPES["crop"], dtype=dtype), whole, strict=True):
        rounded = (expected * 255).round().to(torch.uint8) if dtype == torch.uint8 else expected.to(dtype)
        assert got.dtype == dtype
        assert (got.float() - rounded.float()).abs().max() <= (1 if dtype == torch.uint8 else 0)


def test_bytes_are_rounded_to_the_nearest_and_halves_to_even():
    halves = torch.tensor([[[0.5, 1.5, 2.5, 3.5, 250.5, 254.5, 7.25, 7.75]]]) / 255
    got = Pipeline([], engine="native", dtype=torch.uint8)([halves], index=[0])[0]
    assert got.flatten().tolist() == (halves * 255).round().flatten().tolist()


@pytest.mark.parametrize("size", [(5, 3), (16, 16), (37, 53), (70, 100)])
@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_that_are_only_moved_are_copied(size, channels):
    planes = noise(size, channels, "uint8")
    array = np.ascontiguousarray(planes.permute(1, 2, 0).numpy())
    for flips in ((), (1,), (2,), (1, 2)):
        steps = [(None, T.RandomVerticalFlip(1.0), T.RandomHorizontalFlip(1.0))[axis] for axis in flips]
        for image in (planes, array):
            got = torch.as_tensor(np.asarray(run([*steps, T.CenterCrop((4, 2))], [image])[0]))
            got = got if image is planes else got.permute(2, 0, 1)
            assert torch.equal(got, v2.functional.center_crop(planes.flip(flips), [4, 2]))
            whole = torch.as_tensor(np.asarray(run(steps, [image])[0]))
            assert torch.equal(whole if image is planes else whole.permute(2, 0, 1), planes.flip(flips))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (5, 4), (9, 16), (17, 31), (32, 32), (40, 33)])
def test_bytes_that_are_only_moved_are_bytes_or_floats(size, channels, mode, monkeypatch):
    height, width = size
    pad = (3 * width, 3 * height) if mode == "constant" else (width // 2, height // 2)
    steps = [T.RandomCrop(size, pad, fill=7.5, padding_mode=mode)]
    steps += [T.RandomHorizontalFlip(), T.RandomVerticalFlip()]
    normalize = T.Normalize((0.25, 0.5, 0.75)[:channels], (0.5, 0.25, 0.125)[:channels])
    planes = torch.stack([noise(size, channels, "uint8", i) for i in range(12)])
    plain = Pipeline(steps, seed=4, engine="torch", dtype=torch.float32)(planes, index=range(12)).double()
    mean, std = (torch.tensor(values).double()[:, None, None] for values in (normalize.mean, normalize.std))
    expected = (plain - mean) / std
    mixed = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in planes]
    whole = Pipeline(steps, seed=4, engine="torch")(planes, index=range(12))
    for instructions in native.SETS:
        monkeypatch.setattr(native, "SETS", (instructions,))
        for images in (planes, mixed):
            mine = Pipeline([*steps, normalize], seed=4, engine="native").images(images, Rng.of(4, range(12)))
            torch.testing.assert_close(mine.double(), expected, atol=1e-5, rtol=0)
            assert torch.equal(Pipeline(steps, seed=4, engine="native").images(images, Rng.of(4, range(12))), whole)


def test_a_gray_image_expanded_to_three_channels_is_coloured():
    plane = noise((20, 30), 1, "uint8")
    for steps in RECIPES.values():
        assert equal(run(steps, [plane.expand(3, 20, 30)]), run(steps, [plane.repeat(3, 1, 1)]))


def test_gray_and_coloured_images_go_together():
    gray, coloured = noise((20, 30), 1, "uint8"), noise((25, 31), 3, "uint8", 1)
    together = Pipeline([T.Resize((16, 16)), JITTER], engine="native")([gray, coloured], index=[0, 1])
    for i, image in enumerate((gray, coloured)):
        assert torch.equal(Pipeline([T.Resize((16, 16)), JITTER], engine="native")([image], index=[i])[0], together[i])


def test_images_of_one_pixel_and_of_many_are_rendered():
    for size in ((1, 1), (1, 70), (2, 3), (700, 5)):
        pipeline = Pipeline([T.Resize((9, 20)), JITTER, T.RandomAdjustSharpness(3, 1.0)], engine="native")
        assert_agrees(pipeline, [noise(size, 3, "uint8")], index=[1])


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_batch_in_several_threads_is_the_same(count, monkeypatch):
    images = [noise((60, 50), 3, "uint8", i) for i in range(7)]
    expected = run(RECIPES["crop"], images)
    monkeypatch.setattr(native, "_PIXELS", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)
    assert equal(run(RECIPES["crop"], images), expected)


def test_threads_render_at_the_same_time():
    steps = [CROP, JITTER, T.RandomEqualize(0.5)]
    images = [noise((60, 50), 3, "uint8", i) for i in range(16)]
    expected = run(steps, images)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: run(steps, images), range(12)):
            assert equal(got, expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_read_only_arrays_are_taken_and_left_as_they_are(dtype):
    array = noise((20, 30), 3, dtype).permute(1, 2, 0).numpy().copy()
    before = array.copy()
    array.flags.writeable = False
    torch.set_warn_always(True)  # of what is read-only torch warns once in a process
    try:
        for step in (JITTER, T.GaussianBlur(3), T.RandomEqualize(1.0), T.RandomAutocontrast(1.0), T.RandomInvert(1.0)):
            run([step], [array])
        Pipeline([T.Mosaic(target_size=(9, 9), cell_shape=(8, 8))])([array] * 4, index=range(4))
    finally:
        torch.set_warn_always(False)
    assert np.array_equal(array, before)


# --- without it -------------------------------------------------------------------------------------------------------


@pytest.fixture
def _uncompiled(monkeypatch):
    monkeypatch.setattr(native, "SETS", ())
    monkeypatch.setattr(rng, "kernel", None)
    rendering.on_cpu.cache_clear()
    yield
    rendering.on_cpu.cache_clear()


@pytest.mark.usefixtures("_uncompiled")
def test_without_a_compiler_opencv_takes_its_place():
    images = pictures(3, "uint8")
    first, second = (Pipeline([CROP, JITTER], engine=name)(images, index=INDEX) for name in ("auto", "opencv"))
    assert equal(first, second)
    assert "engine opencv on CPU" in Pipeline([JITTER]).explain()
    with pytest.raises(
        ValueError, match="engine=native was not compiled when augsynth was installed: have gcc or clang"
    ):
        Pipeline([JITTER], engine="native")(images, index=INDEX)


@pytest.mark.parametrize("count", [1, 3, 33])
def test_words_are_the_same_with_and_without_the_kernel(count, monkeypatch):
    random_ = Rng.of(2**32 - 1, range(7, 7 + count), range(count), range(2**31, 2**31 + count))
    slots, lanes = [1, 2**32 - 1, 77], [0, 5, 2**20]
    compiled = random_.words(slots, lanes)
    monkeypatch.setattr(rng, "kernel", None)
    assert np.array_equal(compiled, random_.words(slots, lanes))
    assert compiled.max() > 2**31
