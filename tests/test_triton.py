"""The triton engine, by its interpreter on the CPU: the reference, the laws, layouts, graphs, masks, Philox.

With a CUDA device the interpreter is off, and tests/test_cuda.py takes over.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from examples import EXAMPLES, JITTER, ROTATE, SIZES, build, noise, pictures, pictures_of
from reference import assert_agrees
from test_fusion import random_transform

import augsynth.pipeline
from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.engines.passes import moves_or_colors, passes_of
from augsynth.fuse import fuse
from augsynth.program import STANDALONE, kind_of, walk
from augsynth.transforms.base import Color, Leaf, Standalone

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("the interpreter is off; tests/test_cuda.py tests the device", allow_module_level=True)

import triton.language as tl
from triton.runtime import interpreter

from augsynth.engines import triton_kernel as kernel

WARP = T.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 5, "bilinear", fill=0.5)
SHRINK = T.RandomAffine(30, scale=(0.3, 0.5), interpolation="bilinear")
CUBIC = T.Resize((15, 50), "bicubic")
CROP = T.RandomResizedCrop((16, 20))
ERASE = T.RandomErasing(1.0, value=0.25)
RECIPE = [CROP, T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1), ERASE]
INDEX = [11, 5, 8, 2]
# Every pair of a dtype, a number of channels and a way of colouring.
KINDS = [("uint8", 3, "exact"), ("uint8", 1, "linear"), ("float32", 3, "linear"), ("float32", 1, "exact")]


def equal(first, second):
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def cases():
    """Yield what the kernel renders: a class's first example in each way, the others in turns."""
    for name, examples in EXAMPLES.items():
        for i, arguments in enumerate(examples):
            leaves = [part for _, part in walk("", build(name, arguments)) if isinstance(part, Leaf)]
            if any(kind_of(leaf) == STANDALONE for leaf in leaves):
                continue
            colorful = any(isinstance(leaf, Color) for leaf in leaves)
            needs = {number for leaf in leaves if isinstance(leaf, Color) for number in leaf.channels} or {1, 3}
            kinds = KINDS if colorful else KINDS[::3]
            for dtype, channels, color in kinds if i == 0 else [kinds[i % len(kinds)]]:
                if channels in needs:
                    rgb = "rgb" if channels == 3 else "gray"
                    yield pytest.param(name, arguments, dtype, channels, color, id=f"{name}-{i}-{dtype}-{rgb}-{color}")


def runs_of(pipeline, sizes, **key):
    return fuse(pipeline.draw(sizes, **key), exact_color=pipeline.color == "exact", joined=pipeline.fuse)


@pytest.fixture(autouse=True)
def _patch_once(monkeypatch):
    """Let the interpreter patch the language once a launch and not for every device function: half of its time."""
    patch, patched = interpreter._patch_lang, set()

    def patch_once(function):
        languages = {id(value) for value in function.__globals__.values() if value is tl or value is tl.core}
        if languages <= patched:
            return interpreter._LangPatchScope()
        scope = patch(function)
        if not patched:
            restore = scope.restore
            scope.restore = lambda: (patched.clear(), restore())
        patched.update(languages)
        return scope

    monkeypatch.setattr(interpreter, "_patch_lang", patch_once)


class Launches:
    """Stands in for a kernel and counts how often it is started."""

    def __init__(self, inner):
        self.inner, self.count = inner, 0

    def __getitem__(self, grid):
        self.count += 1
        return self.inner[grid]


@pytest.fixture
def launches(monkeypatch):
    counter = Launches(kernel.render)
    monkeypatch.setattr(kernel, "render", counter)
    return counter


# --- the reference ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments", "dtype", "channels", "color"), list(cases()))
def test_every_transform_agrees_with_the_float64_reference(name, arguments, dtype, channels, color):
    pipeline = Pipeline([build(name, arguments, dtype)], seed=1, engine="triton", color=color)
    assert assert_agrees(pipeline, pictures_of(name, channels, dtype)[:2], index=INDEX[:2]) < 0.2


@pytest.mark.parametrize("number", range(100, 108))
def test_random_pipelines_agree_with_the_reference(number):
    r = random.Random(number)
    dtype, channels = r.choice(["uint8", "float32"]), r.choice([1, 3, 3])
    transforms = [random_transform(r, 255 if dtype == "uint8" else 1) for _ in range(r.randrange(2, 5))]
    transforms += [T.Normalize((0.4,), (0.25,))] * (number % 2)
    pipeline = Pipeline(transforms, seed=number, engine="triton", color=r.choice(["exact", "linear"]))
    images = [noise((r.randrange(20, 60), r.randrange(20, 60)), channels, dtype, i) for i in range(2)]
    assert_agrees(pipeline, images, index=[3, 1])


def test_the_tolerances_hold_for_larger_images_of_many_tiles():
    steps = [T.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 5, "bilinear"), T.ColorJitter(contrast=0.9)]
    images = [noise((150, 200), 3, dtype="float32"), noise((200, 90), 3, dtype="float32")]
    assert_agrees(Pipeline(steps, seed=1, engine="triton"), images, index=[0, 1])


@pytest.mark.parametrize("size", [(10, 12), (20, 12), (50, 12)], ids=str)
@pytest.mark.parametrize("way", ["bilinear", "bicubic"])
def test_a_filter_and_flips_are_one_resample(size, way, launches):
    flips = [T.RandomHorizontalFlip(1.0), T.RandomVerticalFlip(0.5)]
    pipeline = Pipeline([*flips, T.Resize(size, way), T.RandomCrop(9), *flips[1:]], engine="triton")
    assert_agrees(pipeline, pictures(3), index=INDEX)
    assert launches.count == 1


def test_two_means_of_one_sample_are_those_of_the_image_before_each():
    steps = {
        "one": T.ColorJitter(0.9, 0.9),
        "two": T.ColorJitter(contrast=0.9),
        "erase": ERASE,
        "c": T.RandomGrayscale(),
    }
    pipeline = Pipeline({**steps, "three": T.ColorJitter(contrast=(1.5, 1.9))}, seed=2, engine="triton")
    assert_agrees(pipeline, pictures(3), index=INDEX)


@pytest.mark.parametrize(("color", "mean"), [("exact", 0.9999), ("linear", 1.0)])
def test_the_mean_luma_of_white_is_that_of_the_color_mode(color, mean):
    pipeline = Pipeline([T.ColorJitter(contrast=(0.0, 0.0))], engine="triton", color=color)
    torch.testing.assert_close(pipeline(torch.ones(3, 70, 9), index=0), torch.full((3, 70, 9), mean))


# --- laws -------------------------------------------------------------------------------------------------------------

LAWFUL = [
    WARP,
    SHRINK,
    CUBIC,
    CROP,
    T.RandomCrop(20, 3, padding_mode="reflect"),
    T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    ERASE,
]
over_lawful = pytest.mark.parametrize("transform", LAWFUL, ids=lambda transform: type(transform).__name__)
over_dtypes = pytest.mark.parametrize("dtype", ["uint8", "float32"])


@over_dtypes
@over_lawful
def test_laws_1_and_2_hold(transform, dtype):
    images = pictures(3, dtype)
    before = [image.clone() for image in images]
    pipeline = Pipeline([transform], seed=3, engine="triton")
    out = pipeline(images, index=INDEX)
    sizes = pipeline.draw(SIZES, index=INDEX).sizes[:, -1].astype(int).tolist()
    assert [list(image.shape) for image in out] == [[3, *size] for size in sizes]
    assert {image.dtype for image in out} == {getattr(torch, dtype)}
    for image in out:
        image.zero_()
    assert equal(images, before)


@over_lawful
def test_law_3_a_gated_out_sample_is_the_one_of_the_pipeline_without(transform):
    around = {"turn": T.RandomAffine(15, interpolation="bilinear"), "jitter": JITTER}
    middle = T.RandomApply({"it": transform}, p=0.5)
    with_it = Pipeline({"turn": around["turn"], "middle": middle, "jitter": JITTER}, seed=5, engine="triton")
    images, index = pictures(3) * 2, range(8)  # sizes differ, so does the number of tiles
    applied = with_it.draw(SIZES * 2, index=index).ops[:, 1:-4].any(1)
    assert 0 < applied.sum() < len(images)
    without = Pipeline(around, seed=5, engine="triton")(images, index=index)
    for got, plain, touched in zip(with_it(images, index=index), without, applied, strict=True):
        assert touched or torch.equal(got, plain)


@over_dtypes
@over_lawful
def test_laws_4_5_and_6_the_same_bits_again_alone_and_in_another_order(transform, dtype):
    pipeline = Pipeline({"dim": T.ColorJitter(contrast=0.3), "it": transform}, seed=4, engine="triton")
    images, index = pictures(3, dtype)[:3], INDEX[:3]
    together = pipeline(images, index=index)
    shuffled = pipeline([images[i] for i in (2, 0, 1)], index=[index[i] for i in (2, 0, 1)])
    assert equal(shuffled, [together[i] for i in (2, 0, 1)])
    assert torch.equal(pipeline(images[1], index=index[1]), together[1])


# --- what comes in and goes out ---------------------------------------------------------------------------------------


@over_dtypes
def test_layouts_are_read_by_their_strides(dtype):
    pipeline = Pipeline([*RECIPE, T.RandomRotation((90, 90), expand=True)], seed=1, engine="triton")
    batch = torch.stack([noise((21, 26), 3, dtype, i) for i in range(3)])
    wide = torch.zeros(3, 3, 42, 30, dtype=batch.dtype)
    wide[:, :, ::2, 4:] = batch
    expected = pipeline(batch, index=range(3))
    assert expected.is_contiguous()
    assert torch.equal(pipeline(batch.to(memory_format=torch.channels_last), index=range(3)), expected)
    assert torch.equal(pipeline(wide[:, :, ::2, 4:], index=range(3)), expected)
    arrays = pipeline(batch.permute(0, 2, 3, 1).numpy(), index=range(3))
    assert np.array_equal(arrays, expected.permute(0, 2, 3, 1).numpy())


def assert_rounded(results, exact, dtype):
    """Compare with values rounded to `dtype`; the interpreter cuts bfloat16 off where a device rounds."""
    for result, values in zip(results, exact, strict=True):
        assert result.dtype == dtype
        if dtype == torch.bfloat16:
            torch.testing.assert_close(result.float(), values, atol=1e-6, rtol=2.0**-7)
        else:
            assert torch.equal(result, values.to(dtype))


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once_on_its_way_in_and_out(half):
    images = [image.to(half) for image in pictures(3)]
    pipeline = Pipeline(RECIPE, seed=1, engine="triton")
    out = pipeline(images, index=INDEX)
    in_float32 = pipeline([image.float() for image in images], index=INDEX)
    assert_rounded(out, in_float32, half)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_bytes_leave_normalized_in_the_dtype_asked_for(dtype):
    steps = [*RECIPE[:3], T.Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.25))]
    images, index = pictures(3, "uint8")[:2], INDEX[:2]
    out = Pipeline(steps, seed=1, engine="triton", dtype=dtype)(images, index=index)
    exact = Pipeline(steps, seed=1, engine="triton")(images, index=index)
    assert_rounded(out, exact, dtype)
    assert_agrees(Pipeline(steps, seed=1, engine="triton"), images, index=index)


@over_dtypes
def test_bytes_are_rounded_to_the_nearest_and_halves_to_even(dtype):
    values = torch.tensor([0.0, 1.0, 3.0, 5.0, 254.0, 255.0]).repeat(3, 2, 1)
    image = values.to(torch.uint8) if dtype == "uint8" else values / 255
    halved = T.ColorJitter(brightness=(0.5, 0.5))
    out = Pipeline([halved], engine="triton", dtype=torch.uint8)(image, index=0)
    assert out.dtype == torch.uint8
    assert out[0, 0].tolist() == (values[0, 0] / 2).round().tolist()


def test_gray_and_rgb_images_of_several_sizes_go_in_one_batch():
    images = [noise((20, 33), 3), noise((31, 18), 1), noise((20, 33), 1), noise((25, 25), 3)]
    pipeline = Pipeline([WARP, T.ColorJitter(0.3, 0.3), T.RandomErasing()], seed=2, engine="triton")
    together = pipeline(images, index=INDEX)
    assert [tuple(image.shape) for image in together] == [tuple(image.shape) for image in images]
    assert equal(together, [pipeline(image, index=i) for image, i in zip(images, INDEX, strict=True)])


def test_results_of_one_size_are_rows_of_one_batch():
    out = Pipeline([CROP], engine="triton").images(pictures(3), augsynth.pipeline.Rng.of(0, INDEX))
    assert isinstance(out, torch.Tensor)
    assert out.shape == (4, 3, 16, 20)


# --- passes -----------------------------------------------------------------------------------------------------------

FIXED = {
    "flip": T.RandomHorizontalFlip(1.0),
    "turn": T.RandomRotation((10, 10), "bilinear"),
    "bright": T.ColorJitter(brightness=0.3),
    "contrast": T.ColorJitter(contrast=0.3),
    "erase": T.RandomErasing(1.0),
    "pad": T.Pad(2, 0.5),
}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("flip turn bright erase", 1),
        ("turn contrast erase", 2),
        ("contrast bright contrast", 3),
        ("bright turn", 2),
        ("turn erase pad contrast", 3),
        ("", 1),
    ],
)
def test_a_pass_takes_one_resample_and_all_that_follows(names, expected, launches):
    steps = [FIXED[name] for name in names.split()]
    Pipeline(steps, engine="triton")(pictures(3), index=INDEX)
    assert launches.count == expected


def test_samples_with_fewer_passes_wait_for_the_last(launches):
    steps = [T.RandomErasing(0.5), T.RandomApply([T.Pad(2, 0.5), T.RandomAffine(9)], 0.5), T.RandomGrayscale(0.5)]
    pipeline = Pipeline(steps, seed=3, engine="triton")
    images = pictures(3, "uint8") * 2
    program = pipeline.draw(SIZES * 2, index=range(8))
    assert len({tuple(ops > 0) for ops in program.ops}) > 4
    assert_agrees(pipeline, images, index=range(8))
    # Two passes come first. What was erased is floats by then, what was not is bytes: the last pass is two launches.
    assert launches.count == 4


@dataclass(frozen=True)
class Smear(Standalone):
    """Mix each pixel with its left neighbour: a transform that no kernel knows."""

    def apply(self, pixels, params, white):
        return (pixels + pixels.roll(1, 3)) / 2


def test_a_sample_moves_in_no_pass_before_its_last():
    pipeline = Pipeline([FIXED["turn"], T.RandomApply([FIXED["pad"], FIXED["erase"]], 0.5)], seed=2)
    program = pipeline.draw(SIZES, index=INDEX)
    first, last = passes_of(fuse(program, exact_color=True), 4, moves_or_colors)
    padded = program.ops.astype(bool).all(1)
    assert 0 < padded.sum() < 4
    assert first.rows.tolist() == padded.nonzero()[0].tolist()
    assert last.rows.tolist() == [0, 1, 2, 3]


def test_what_the_kernel_does_not_know_runs_between_launches(launches):
    steps = [T.RandomApply([WARP, Smear()], 0.5), T.ColorJitter(contrast=0.5), T.RandomApply([Smear(), ROTATE], 0.5)]
    pipeline = Pipeline(steps, seed=5, engine="triton")
    rivals = Pipeline(steps, seed=5, engine="torch")
    images = pictures(3) * 2
    assert len({tuple(ops > 0) for ops in pipeline.draw(SIZES * 2, index=range(8)).ops}) > 2
    got, expected = pipeline(images, index=range(8)), rivals(images, index=range(8))
    assert launches.count > 2
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=0)
