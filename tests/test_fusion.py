"""Fused runs against the float64 reference, the sequential chain, and a supersampled oracle."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
from examples import SIZES, noise, pictures, smooth
from reference import assert_agrees, split_runs, steps_of
from reference_geometry import place

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.data import demo
from augsynth.fuse import fuse
from augsynth.program import walk
from augsynth.runs import Colors, Erasing, Geometry
from augsynth.transforms import color, combine, crop

over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
FLIP = T.RandomHorizontalFlip(1.0)


def turn(degrees, interpolation="bilinear", **arguments):
    return T.RandomRotation((degrees, degrees), interpolation, **arguments)


# --- random pipelines -------------------------------------------------------------------------------------------------


def random_transform(r, unit, depth=0):
    """Build one transform with arguments from `r`; fills are whole numbers of bytes."""
    fill = r.randrange(0, 256) / 255 * unit
    if unit == 255:
        fill = float(round(fill))
    way = r.choice(["nearest", "bilinear", "bilinear", "bilinear", "bicubic"])
    mode = r.choice(["constant", "edge", "reflect", "symmetric"])
    low = r.uniform(0.4, 1.2)
    leaves = [
        lambda: T.RandomHorizontalFlip(),
        lambda: T.RandomVerticalFlip(),
        lambda: T.RandomRotation(r.choice([5, 60, (90, 90), (180, 180)]), way, r.random() < 0.3, fill=fill),
        lambda: T.RandomAffine(r.randrange(40), (0.2, 0.1), (low, low + 0.4), r.randrange(20), way, fill),
        lambda: T.RandomCrop((r.randrange(10, 40), r.randrange(10, 40)), r.randrange(4), True, fill, "edge"),
        lambda: T.RandomCrop(8, r.choice([None, 2, (1, 3)]), fill=fill, padding_mode=mode),
        lambda: T.CenterCrop((r.randrange(8, 50), r.randrange(8, 50))),
        lambda: T.Pad((r.randrange(5), r.randrange(5)), fill, mode),
        lambda: T.Resize((r.randrange(8, 60), r.randrange(8, 60)), way, antialias=r.random() < 0.8),
        lambda: T.Resize(r.randrange(10, 40)),
        lambda: T.RandomResizedCrop((r.randrange(8, 40), r.randrange(8, 40)), (low / 4, 0.9), interpolation=way),
        lambda: T.ColorJitter(*(r.choice([0.0, 0.3, 0.6]) for _ in range(3)), r.choice([0.0, 0.1, 0.5])),
        lambda: T.RandomGrayscale(0.5),
        lambda: T.RandomErasing(0.7, value=fill),
    ]
    if depth < 2 and r.random() < 0.3:
        parts = [random_transform(r, unit, depth + 1) for _ in range(r.randrange(1, 4))]
        return r.choice(
            [
                lambda: T.OneOf(parts, p=0.9),
                lambda: T.SomeOf(parts, n=r.randrange(1, len(parts) + 1)),
                lambda: T.RandomOrder(parts),
                lambda: T.RandomApply(parts, p=0.7),
            ]
        )()
    return r.choice(leaves)()


@over_engines
@pytest.mark.parametrize("number", range(60))
def test_random_pipelines_agree_with_the_reference(number, engine):
    r = random.Random(number)
    dtype, channels = r.choice(["uint8", "float32"]), r.choice([1, 3, 3])
    transforms = [random_transform(r, 255 if dtype == "uint8" else 1) for _ in range(r.randrange(1, 6))]
    if r.random() < 0.3:
        transforms.append(T.Normalize((0.4,), (0.25,)))
    color, joined = r.choice(["exact", "linear"]), r.random() < 0.85
    pipeline = Pipeline(transforms, seed=number, engine=engine, color=color, fuse=joined)
    images = [noise((r.randrange(20, 60), r.randrange(20, 60)), channels, dtype, i) for i in range(4)]
    assert_agrees(pipeline, images, index=[3, 1, 4, 15], epoch=number % 3, strength=r.choice([1.0, 1.0, 0.5]))


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_tolerances_hold_for_large_images(engine, dtype):
    steps = [T.RandomResizedCrop(224, (0.2, 1.0)), T.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 5, "bilinear")]
    images = [noise((375, 500), 1, dtype), noise((640, 480), 1, dtype)]
    assert_agrees(Pipeline(steps, seed=1, engine=engine), images, index=[0, 1])
    assert_agrees(Pipeline(steps[1:], seed=2, engine=engine), images[:1], index=[3])


def test_random_pipelines_cover_the_families_that_fuse():
    seen = set()
    for number in range(60):
        r = random.Random(number)
        for _ in range(4):
            seen |= {type(part).__name__ for _, part in walk("it", random_transform(r, 1))}
    # What else fuses has random chains beside it: tests of geometry, channels, tones and policies.
    flips = {"RandomHorizontalFlip", "RandomVerticalFlip", "RandomRotation", "RandomAffine", "RandomErasing"}
    families = {*crop.__all__, *color.__all__, *combine.__all__} - {"Normalize"}
    assert flips | families <= seen


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        ([turn(5), T.RandomAffine(5), FLIP, T.Resize(9)], "g"),
        ([turn(5, fill=0.1), turn(5, fill=0.2)], "gg"),
        ([turn(5), T.Pad(2)], "gg"),
        ([T.Pad(2), turn(5), FLIP], "g"),
        ([T.RandomCrop(9), turn(5)], "g"),
        ([turn(5), T.RandomCrop(9, padding=1)], "gg"),
        ([T.Pad(2, padding_mode="reflect"), FLIP, turn(5)], "gg"),
        ([turn(5), T.ColorJitter(0.2, 0.2), T.RandomGrayscale(1.0), FLIP], "gcg"),
        ([T.RandomErasing(1.0), T.RandomErasing(1.0)], "ee"),
        ([turn(5), T.RandomHorizontalFlip(0.0), T.RandomGrayscale(0.0), turn(7)], "g"),
    ],
)
def test_neighbours_fuse_until_the_border_changes(steps, kinds):
    pipeline = Pipeline(steps)
    program = pipeline.draw([(30, 40)], index=0)
    letters = {Geometry: "g", Colors: "c", Erasing: "e"}
    assert "".join(letters[type(run)] for run in fuse(program, exact_color=True)) == kinds
    assert "".join(run.kind[0] for run in split_runs(steps_of(program, 0), (30, 40))) == kinds


def test_without_fusion_every_step_is_a_run():
    program = Pipeline([turn(5), FLIP, T.ColorJitter(0.2, 0.2)]).draw([(30, 40)], index=0)
    assert len(fuse(program, exact_color=True, joined=False)) == 4


def test_samples_at_the_same_stage_share_a_run():
    program = Pipeline([T.RandomHorizontalFlip(), turn(5), T.ColorJitter(0.2)]).draw([(30, 40)] * 16, index=range(16))
    runs = fuse(program, exact_color=True)
    assert [type(run) for run in runs] == [Geometry, Colors]
    assert all(len(run.rows) == 16 for run in runs)


# --- exact things stay exact ------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    "steps",
    [
        [turn(30), turn(-30)],
        [T.RandomAffine((20, 20), scale=(1.5, 1.5)), T.RandomAffine((0, 0), scale=(1 / 1.5, 1 / 1.5)), turn(20)],
        [FLIP, FLIP],
        [turn(90, expand=True), turn(-90, expand=True)],
        [turn(180), FLIP, T.RandomVerticalFlip(1.0)],
        [T.Pad(3), T.CenterCrop((24, 33))],
    ],
)
def test_steps_that_undo_each_other_return_every_bit(engine, dtype, steps):
    image = noise((24, 33), 3, dtype)
    assert torch.equal(Pipeline(steps, engine=engine)(image, index=0), image)


@over_engines
def test_moves_are_the_same_bits_fused_and_in_sequence(engine):
    steps = [FLIP, T.RandomCrop((18, 20)), turn(90, expand=True), T.RandomVerticalFlip(), T.Pad((1, 2, 3, 4), 0.5)]
    images = pictures(3)
    fused, chain = (Pipeline(steps, engine=engine, fuse=joined)(images, index=range(4)) for joined in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(fused, chain, strict=True))


@over_engines
@pytest.mark.parametrize(
    "steps", [[T.Resize((11, 16)), T.RandomCrop(8), FLIP], [T.RandomVerticalFlip(1.0), T.Resize(12), FLIP]]
)
def test_resize_with_moves_is_a_resize_and_moves(engine, steps):
    # The window of a resized image is a slice of it, filter and edges included.
    image = noise((30, 30))
    fused, chain = (Pipeline(steps, engine=engine, fuse=joined)(image, index=0) for joined in (True, False))
    assert (fused - chain).abs().max() < 1e-5


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("size", "short", "crop"), [((160, 200), 80, 64), ((150, 100), 50, (31, 40)), ((48, 48), 96, 60)]
)
def test_a_crop_of_a_resized_image_sees_over_its_edges_wherever_it_falls(engine, dtype, size, short, crop):
    # The window's map could as well be a crop on whole pixels that is resized, which must end at its own edges.
    image = noise(size, 3, dtype)
    out = Pipeline([T.Resize(short), T.CenterCrop(crop)], engine=engine)(image, index=0)
    theirs = v2.Compose([v2.Resize(short, antialias=True), v2.CenterCrop(crop)])(image)
    assert (out.double() - theirs.double()).abs().max() <= (1.0 if dtype == "uint8" else 1e-5)
    window = Pipeline([T.CenterCrop(crop), T.Resize(short)], engine=engine)(image, index=0)
    theirs = v2.Compose([v2.CenterCrop(crop), v2.Resize(short, antialias=True)])(image)
    assert (window.double() - theirs.double()).abs().max() <= (1.0 if dtype == "uint8" else 1e-5)


# --- what fusing is for -----------------------------------------------------------------------------------------------


@over_engines
def test_one_resample_keeps_pixels_that_the_chain_has_thrown_away(engine):
    image = torch.full((1, 60, 60), 0.8)
    steps = [T.CenterCrop(30), turn(45)]
    fused, chain = (Pipeline(steps, engine=engine, fuse=joined)(image, index=0) for joined in (True, False))
    assert torch.allclose(fused, torch.full((1, 30, 30), 0.8))
    assert chain[0, 0, 0] == 0


@over_engines
def test_a_run_takes_the_best_interpolation_asked_for(engine):
    steps = [T.RandomRotation((10, 10)), T.Resize((30, 30)), T.RandomAffine((5, 5))]
    image = smooth((40, 40))
    out = Pipeline(steps, engine=engine)(image, index=0)
    best = [T.RandomRotation((10, 10), "bilinear"), steps[1], T.RandomAffine((5, 5), interpolation="bilinear")]
    assert torch.equal(out, Pipeline(best, engine=engine)(image, index=0))
    assert_agrees(Pipeline(steps, engine=engine), [noise((40, 40))], index=[0])


@over_engines
def test_shrinking_does_not_alias_in_a_turned_run(engine):
    stripes = (torch.arange(90) % 2).float().expand(1, 90, 90).contiguous()
    steps = [T.Resize((30, 30)), turn(20, fill=0.5)]
    out = Pipeline(steps, engine=engine)(stripes, index=0)[:, 8:-8, 8:-8]
    assert (out - 0.5).abs().max() < 0.15
    raw = Pipeline([T.Resize((30, 30), antialias=False), turn(20, fill=0.5)], engine=engine)(stripes, index=0)
    assert (raw[:, 8:-8, 8:-8] - 0.5).abs().max() > 0.4


@over_engines
@pytest.mark.parametrize("color", ["exact", "linear"])
def test_a_fill_is_in_image_space_and_travels_through_the_colours_that_follow(engine, color):
    image = torch.full((3, 20, 20), 0.6)
    steps = [turn(45, fill=(0.2, 0.3, 0.4)), T.ColorJitter((1.5, 1.5))]
    corner = Pipeline(steps, engine=engine, color=color)(image, index=0)[:, 0, 0]
    assert torch.allclose(corner, torch.tensor([0.3, 0.45, 0.6]), atol=1e-6)


@over_engines
@pytest.mark.parametrize("color", ["exact", "linear"])
def test_contrast_turns_around_the_mean_of_the_image_after_the_warp(engine, color):
    image = torch.zeros(3, 20, 40)
    image[:, :, 20:] = 0.8
    steps = [T.CenterCrop((20, 20)), FLIP, T.ColorJitter(contrast=(0.5, 0.5))]
    left = Pipeline([*steps[:2], steps[2]], engine=engine, color=color)(image, index=0)
    assert torch.allclose(left.mean((1, 2)), torch.full((3,), 0.4), atol=1e-3)
    dark = Pipeline([T.RandomCrop((20, 10)), steps[2]], engine=engine, color=color)(image[:, :, :20], index=0)
    assert torch.allclose(dark, torch.zeros_like(dark), atol=1e-6)


def test_steps_outside_the_clamp_differ_between_exact_and_linear():
    image = torch.full((3, 4, 4), 0.8)
    steps = [T.ColorJitter((2.0, 2.0)), T.RandomApply([T.ColorJitter((0.5, 0.5))], p=1.0)]
    for engine in ("opencv", "torch"):
        exact, linear = (Pipeline(steps, engine=engine, color=color)(image, index=0) for color in ("exact", "linear"))
        assert torch.allclose(exact, torch.full_like(exact, 0.5))
        assert torch.allclose(linear, image)


def test_engines_agree_on_bytes():
    steps = [T.RandomResizedCrop(20), T.RandomAffine(20, interpolation="bilinear"), T.ColorJitter(0.3, 0.3, 0.3, 0.1)]
    images = pictures(3, "uint8")
    one, other = (Pipeline(steps, engine=engine)(images, index=range(4)) for engine in ("opencv", "torch"))
    difference = (torch.stack(one).int() - torch.stack(other).int()).abs()
    assert difference.max() <= 4
    assert difference.double().mean() < 0.6


# --- texture: an oracle -----------------------------------------------------------------------------------------------


def oracle(pixels, steps, index):
    """Average a bicubic reading of the image at 4 x 4 points of every output pixel, through the composed map."""
    program = Pipeline(steps).draw([pixels.shape[1:]], index=index)
    matrix, size = np.eye(3), tuple(pixels.shape[1:])
    for transform, params in steps_of(program, 0):
        step, size = place(transform, params, size)
        matrix = matrix @ step
    x, y = np.meshgrid((np.arange(4 * size[1]) + 0.5) / 4, (np.arange(4 * size[0]) + 0.5) / 4)
    at = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))[:2]
    grid = torch.from_numpy(np.stack([at[0] / pixels.shape[2], at[1] / pixels.shape[1]], -1) * 2 - 1)[None]
    fine = torch.nn.functional.grid_sample(pixels.double()[None], grid, "bicubic", "border", align_corners=False)
    return torch.nn.functional.avg_pool2d(fine, 4)[0]


@over_engines
@pytest.mark.parametrize(
    "steps",
    [
        [turn(9), T.RandomAffine(10, scale=(1.0, 1.2), interpolation="bilinear")],
        [T.RandomAffine(20, (0.05, 0.05), interpolation="bilinear"), T.RandomResizedCrop(64, (0.3, 0.6))],
        [T.RandomResizedCrop(72, (0.6, 0.9)), T.RandomRotation((5, 25), "bilinear")],
        [T.Resize((140, 150)), FLIP, T.RandomAffine(8, shear=8, interpolation="bilinear"), T.CenterCrop(90)],
        [turn(7), turn(-3), turn(11), turn(-13)],
        [turn(12), T.RandomResizedCrop(36, (0.5, 0.7))],
    ],
    ids=["turn-affine", "affine-crop", "crop-turn", "enlarge-shear", "turns", "shrink"],
)
def test_fused_is_closer_to_the_oracle_than_the_chain_on_a_photograph(engine, steps):
    photo = torch.from_numpy(np.array(demo.photo())).permute(2, 0, 1)
    top, left = photo.shape[1] // 4, photo.shape[2] // 3
    pixels = (photo[:, top : top + 120, left : left + 130] / 255).contiguous()
    for index in range(3):
        truth = oracle(pixels, steps, index)
        edge = truth.shape[1] // 5
        fused, chain = (
            (Pipeline(steps, engine=engine, fuse=joined)(pixels, index=index) - truth)[:, edge:-edge, edge:-edge]
            for joined in (True, False)
        )
        assert fused.square().mean() < 0.7 * chain.square().mean()


def test_sizes_are_threaded_so_that_later_steps_know_what_they_act_on():
    steps = [T.Resize((50, 30)), T.Pad((4, 1)), turn(90, expand=True), T.CenterCrop((20, 44)), FLIP]
    program = Pipeline(steps).draw(SIZES, index=range(4))
    assert program.sizes[:, 1:].astype(int).tolist() == [[[50, 30], [52, 38], [38, 52], [20, 44], [20, 44]]] * 4
