"""Automatic policies against torchvision: each operation at each level, and how often each is drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
from examples import noise
from reference import assert_agrees
from scipy import stats

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.data import demo
from augsynth.engines import opencv
from augsynth.engines import torch as torch_engine
from augsynth.engines.output import Output
from augsynth.fuse import fuse
from augsynth.program import Plan, Program
from augsynth.runs import Alone, Colors, Geometry
from augsynth.transforms.policy import Move
from augsynth.transforms.policy_tables import (
    AUG_MIX,
    AUG_MIX_PARTIAL,
    AUTO_AUGMENT,
    FACTORS,
    MOVES,
    POLICIES,
    RAND_AUGMENT,
    TRIVIAL_AUGMENT,
    sub_policies,
)

THEIRS = {"autocontrast": "AutoContrast"} | {
    op: "".join(part.capitalize() for part in op.split("_")) for op in (*MOVES, *FACTORS, "posterize", "solarize")
}
THEIRS |= {"equalize": "Equalize", "invert": "Invert"}
# Our space and how many levels it has, and torchvision's class and its space.
SPACES = {
    "RandAugment": (RAND_AUGMENT, 31, v2.RandAugment, v2.RandAugment._AUGMENTATION_SPACE),
    "TrivialAugmentWide": (TRIVIAL_AUGMENT, 31, v2.TrivialAugmentWide, v2.TrivialAugmentWide._AUGMENTATION_SPACE),
    "AutoAugment": (AUTO_AUGMENT, 10, v2.AutoAugment, v2.AutoAugment._AUGMENTATION_SPACE),
    "AugMix": (AUG_MIX, 10, v2.AugMix, v2.AugMix._AUGMENTATION_SPACE),
    "AugMix without all_ops": (AUG_MIX_PARTIAL, 10, v2.AugMix, v2.AugMix._PARTIAL_AUGMENTATION_SPACE),
}
over_spaces = pytest.mark.parametrize("name", SPACES)
over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
SIZE = (48, 62)


def photo(size=SIZE):
    return torch.from_numpy(np.array(demo.photo().resize(size[::-1]))).permute(2, 0, 1).contiguous()


def leaves_of(name, fill=None):
    transform = {
        "RandAugment": T.RandAugment(1, fill=fill),
        "TrivialAugmentWide": T.TrivialAugmentWide(fill=fill),
        "AutoAugment": T.AutoAugment("cifar10", fill=fill),
        "AugMix": T.AugMix(severity=10, fill=fill, interpolation="nearest"),
        "AugMix without all_ops": T.AugMix(severity=10, all_ops=False, fill=fill, interpolation="nearest"),
    }[name]
    if name.startswith("AugMix"):
        return transform.leaves()
    whole = T.AutoAugment("imagenet", fill=fill) if name == "AutoAugment" else transform
    found = {path.split("/")[-1]: leaf for one in (transform, whole) for path, leaf in leaf_nodes(one)}
    return {path.removeprefix("first_").removeprefix("second_"): leaf for path, leaf in found.items()}


def leaf_nodes(transform):
    return [(leaf.name, leaf.transform) for leaf in Plan.of({"it": transform}).leaves]


def render(leaf, params, image, engine):
    """Render one leaf by given parameters; returns float values on the scale 0 to 255."""
    size = tuple(image.shape[1:])
    at = np.array([[size, size]], float)
    program = Program(Plan.of({"it": leaf}), np.array([[1]]), params[None, None, : leaf.params], at)
    runs = fuse(program, exact_color=True)
    output = Output(255.0, (0.0,), (1 / 255.0,), torch.float32)
    if engine == "torch":
        return torch_engine.render([image], runs, output, True)[0]
    array = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return opencv.render([array], runs, at[:, -1], output, True)[0]


def their_magnitude(space, op, bins, level, negative, size):
    magnitudes, signed = space[THEIRS[op]]
    values = magnitudes(bins, *size)
    value = 0.0 if values is None else float(values[level])
    return -value if signed and negative else value


def undecided(matrix, size):
    """Tell where a nearest-neighbour choice is a tie within what float32 knows of it."""
    x, y = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    at = np.einsum("ij,jyx->iyx", matrix[:2], np.stack([x, y, np.ones_like(x)]))
    return (np.abs(at - np.rint(at)) < 2e-4).any(0)


# --- each operation ---------------------------------------------------------------------------------------------------


@over_spaces
def test_the_operations_are_torchvisions(name):
    space, _, _, theirs = SPACES[name]
    assert sorted(THEIRS[op] for op in space.ops) == sorted(set(theirs) - {"Identity"})
    assert space.identity == ("Identity" in theirs)
    assert set(leaves_of(name)) == set(space.ops)


@over_engines
@pytest.mark.parametrize(
    ("name", "op"), [(name, op) for name, (space, *_) in SPACES.items() for op in space.ops if "without" not in name]
)
def test_an_operation_at_each_level_and_sign_is_torchvisions(name, op, engine):
    space, bins, kind, theirs = SPACES[name]
    leaf, position = leaves_of(name)[op], np.array([space.ops.index(op)])
    signed, graded = op in (*MOVES, *FACTORS), space.values(op, bins).any()
    for image in (photo(), noise(SIZE, 3, "uint8", 5)):
        for level in range(bins if graded else 1):
            for negative in (False, True) if signed else (False,):
                at = np.array([level]), np.array([negative])
                params = space.scale(bins).params(position, *at, np.array([SIZE], float), 1.0)
                got = render(leaf, params[0], image, engine)
                magnitude = their_magnitude(theirs, op, bins, level, negative, SIZE)
                expected = kind()._apply_image_or_video_transform(image, THEIRS[op], magnitude, "nearest", {})
                difference = got - expected
                if op in MOVES:
                    matrix = leaf.matrix(params, np.array([SIZE], float))[0]
                    sure = ~undecided(matrix, SIZE)
                    assert sure.mean() > 0.7
                    assert not difference[:, torch.from_numpy(sure)].any(), (level, negative)
                elif op in ("brightness", "color", "contrast"):
                    # torchvision cuts fractions off, of the result and of the luma; we keep them.
                    assert difference.min() > -0.01 - (op != "brightness") * abs(magnitude), (level, negative)
                    assert difference.max() < 1.01 + (op != "brightness") * abs(magnitude), (level, negative)
                else:
                    assert not difference.any(), (level, negative)


@over_engines
def test_an_operation_fills_like_torchvision(engine):
    image, fill = photo(), (200.0, 10.0, 90.0)
    leaf = leaves_of("RandAugment", fill)["shear_x"]
    for slope in (0.21, -0.13):
        got = render(leaf, np.array([slope, 0, 0, 0, 0]), image, engine)
        theirs = {torch.Tensor: list(fill)}
        expected = v2.RandAugment()._apply_image_or_video_transform(image, "ShearX", slope, "nearest", theirs)
        sure = torch.from_numpy(~undecided(np.array([[1, slope, 0], [0, 1, 0]]), SIZE))
        assert not (got - expected)[:, sure].any()
        assert (got[:, sure] == torch.tensor(fill)[:, None]).all(0).any()


@over_spaces
def test_shifts_are_torchvisions_at_every_size(name):
    # Where the exact shift is a whole number, float32 may fall below it, and torch.linspace rounds as the CPU lets it.
    space, bins, _, theirs = SPACES[name]
    sides = np.arange(1, 1200)
    sizes, zeros = np.column_stack([sides, sides]).astype(float), np.zeros(len(sides), np.int64)
    for op, column in (("translate_x", 2), ("translate_y", 3)):
        position = zeros + space.ops.index(op)
        theirs_of = [theirs[THEIRS[op]][0](bins, side, side).tolist() for side in sides.tolist()]
        for level in range(bins):
            ours = space.scale(bins).params(position, zeros + level, zeros == 0, sizes, 1.0)[:, column]
            expected = -np.array([int(values[level]) for values in theirs_of])
            off = ours != expected
            exact = space.shift * level / (bins - 1) * sides
            assert off.sum() < 12
            assert (np.abs(exact - np.rint(exact))[off] < 1e-4).all()
            assert (np.abs(ours - expected) <= 1).all()


def test_the_sub_policies_are_torchvisions():
    for policy in POLICIES:
        theirs = v2.AutoAugment(v2.AutoAugmentPolicy(policy))._policies
        ours = [tuple((THEIRS[op], p, level) for op, p, level in pair) for pair in sub_policies(policy)]
        assert ours == [tuple((op, p, level or 0) for op, p, level in pair) for pair in theirs]


def test_torchvisions_enums_are_taken():
    assert T.AutoAugment(v2.AutoAugmentPolicy.SVHN) == T.AutoAugment("svhn")
    assert T.RandAugment(interpolation=v2.InterpolationMode.BILINEAR) == T.RandAugment(interpolation="bilinear")


# --- what is drawn ----------------------------------------------------------------------------------------------------

MANY = 20_000


def draw(transform, count=MANY, **arguments):
    return Pipeline([transform], seed=4).draw([(32, 32)] * count, index=range(count), **arguments)


def names_in(program, slot):
    names = ["identity", *(leaf.name.split("/")[-1] for leaf in program.plan.leaves)]
    return np.array(names)[program.ops[:, slot]]


def likely(counts, shares=None):
    total = sum(counts)
    expected = np.full(len(counts), total / len(counts)) if shares is None else np.array(shares) * total
    return stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("transform", [T.RandAugment(2), T.TrivialAugmentWide()])
def test_each_operation_is_equally_likely(transform):
    program = draw(transform)
    for slot in range(program.ops.shape[1]):
        counts = Counter(names_in(program, slot).tolist())
        assert len(counts) == 14
        assert likely(list(counts.values()))


def test_the_operations_of_a_sample_are_independent_and_so_are_their_signs():
    program = draw(T.RandAugment(2), 60_000)
    first, second = (names_in(program, slot) for slot in (0, 1))
    kinds, pairs = np.unique(first), Counter(zip(first.tolist(), second.tolist(), strict=True))
    assert stats.chi2_contingency([[pairs[a, b] for b in kinds] for a in kinds]).pvalue > 1e-3
    both = (first == "rotate") & (second == "rotate")
    signs = np.sign(program.params[both][:, :, 4])
    assert both.sum() > 200
    assert likely(np.unique(signs @ [2, 1], return_counts=True)[1])


@pytest.mark.parametrize("op", [*MOVES, *FACTORS])
def test_either_sign_is_equally_likely(op):
    program = draw(T.RandAugment(1, 9))
    values = program.params[names_in(program, 0) == op][:, 0]
    centre = 1.0 if op in FACTORS else 0.0
    column = MOVES.index(op) if op in MOVES else 0
    above, below = (values[:, column] > centre).sum(), (values[:, column] < centre).sum()
    assert above + below == len(values) > 1000
    assert likely([above, below])


def test_trivial_augment_draws_every_level_equally_often():
    program = draw(T.TrivialAugmentWide(7), 60_000)
    angles = np.abs(program.params[names_in(program, 0) == "rotate"][:, 0, 4])
    values, counts = np.unique(angles.round(6), return_counts=True)
    assert np.allclose(values, np.linspace(0, 135, 7))
    assert likely(counts)


@pytest.mark.parametrize("policy", POLICIES)
def test_auto_augment_draws_each_pair_equally_often_and_its_operations_by_their_probabilities(policy):
    program = draw(T.AutoAugment(policy), 100_000)
    drawn = zip(names_in(program, 0).tolist(), names_in(program, 1).tolist(), strict=True)
    counts = Counter((a.removeprefix("first_"), b.removeprefix("second_")) for a, b in drawn)
    shares: Counter[tuple[str, str]] = Counter()
    for (first, p, _), (second, q, _) in sub_policies(policy):
        shares[first, second] += p * q / 25
        shares[first, "identity"] += p * (1 - q) / 25
        shares["identity", second] += (1 - p) * q / 25
        shares["identity", "identity"] += (1 - p) * (1 - q) / 25
    keys = [key for key, share in shares.items() if share > 0]
    assert set(counts) <= set(keys)
    assert likely([counts[key] for key in keys], [shares[key] for key in keys])


def test_auto_augment_draws_the_levels_of_its_pairs_and_both_signs_of_each():
    program = draw(T.AutoAugment("svhn"), 100_000)
    rotated = names_in(program, 1) == "second_rotate"
    angles, counts = np.unique(program.params[rotated][:, 1, 4].round(4), return_counts=True)
    levels = {(op, level): p for _, (op, p, level) in sub_policies("svhn") if op == "rotate"}
    assert angles.tolist() == pytest.approx(
        sorted(s * 30 * level / 9 for _, level in levels for s in (-1, 1)), abs=1e-3
    )
    half = len(counts) // 2
    assert all(likely([counts[i], counts[-1 - i]]) for i in range(half))
    # The two signs of a pair are independent.
    both = (names_in(program, 0) == "first_shear_x") & (names_in(program, 1) == "second_translate_y")
    signs = np.sign([program.params[both, 0, 0], program.params[both, 1, 3]])
    assert likely(np.unique(signs.T @ [2, 1], return_counts=True)[1])


def test_the_samples_of_a_batch_get_different_operations():
    images = photo()[None].repeat(32, 1, 1, 1)
    for transform in (T.RandAugment(), T.TrivialAugmentWide(), T.AutoAugment(), T.AugMix()):
        out = Pipeline([transform], seed=1)(images, index=range(32))
        assert len({image.numpy().tobytes() for image in out}) > 12


@pytest.mark.parametrize("transform", [T.RandAugment(3, 30), T.TrivialAugmentWide(), T.AutoAugment(), T.AugMix(10)])
def test_without_strength_nothing_happens(transform):
    images = torch.stack([photo()] * 64)
    out = Pipeline([transform], dtype=torch.float32)(images, index=range(64), strength=0.0)
    assert (out * 255 - images).abs().max() < 1e-3


def test_strength_scales_magnitudes_and_how_often_what_has_none_is_applied():
    whole, half = (draw(T.RandAugment(1, 20), strength=strength) for strength in (1.0, 0.5))
    same = whole.ops == half.ops
    angles = [p.params[names_in(p, 0) == "rotate"][:, 0, 4] for p in (whole, half)]
    assert np.allclose(angles[1], angles[0] / 2)
    bits = [np.unique(p.params[names_in(p, 0) == "posterize"][:, 0, 0]) for p in (whole, half)]
    assert [b.tolist() for b in bits] == [[5.0], [6.0]]
    equalized = [(names_in(p, 0) == "equalize").sum() for p in (whole, half)]
    assert 0.45 < equalized[1] / equalized[0] < 0.55
    assert set(names_in(whole, 0)[~same[:, 0]]) == {"autocontrast", "equalize"}


def test_strength_scales_auto_augments_probabilities():
    whole, half = (draw(T.AutoAugment(), strength=strength) for strength in (1.0, 0.5))
    assert 0.48 < (half.ops > 0).mean() / (whole.ops > 0).mean() < 0.52


# --- how it runs ------------------------------------------------------------------------------------------------------


def test_the_geometry_and_colour_of_a_policy_fuse_with_their_neighbours():
    pipeline = Pipeline([T.RandomResizedCrop(24), T.RandAugment(2), T.RandomHorizontalFlip(1.0), T.ColorJitter(0.4)])
    program = pipeline.draw([SIZE] * 200, index=range(200))
    names = [program.parameters(i) for i in range(200)]
    turned = next(i for i, found in enumerate(names) if sum(key.split("/")[-1] in MOVES for key in found) == 2)
    tinted = next(i for i, found in enumerate(names) if sum(key.split("/")[-1] in FACTORS[:3] for key in found) >= 3)
    for sample in (turned, tinted):
        one = pipeline.draw([SIZE], index=sample)
        kinds = [type(run) for run in fuse(one, exact_color=True)]
        assert kinds == ([Geometry, Colors] if sample == turned else [Geometry, Colors, Geometry, Colors])


def test_equal_leaves_of_several_steps_are_one_run():
    program = draw(T.RandAugment(2), 400)
    runs = fuse(program, exact_color=True)
    sharpened = [run for run in runs if isinstance(run, Alone) and type(run.transform).__name__ == "Sharpness"]
    slots = (names_in(program, 0) == "sharpness") | (names_in(program, 1) == "sharpness")
    assert len(program.plan.leaves) == 26
    assert len(sharpened) == 2  # first and second stage
    assert sum(len(run.rows) for run in sharpened) >= slots.sum()


def test_no_operations_are_a_policy_too():
    images = torch.stack([photo()] * 2)
    assert torch.equal(Pipeline([T.RandAugment(0)])(images, index=[0, 1]), images)


@over_engines
def test_a_policy_inside_combinators_agrees_with_the_reference(engine):
    inner = T.RandomOrder([T.RandAugment(2, 15, interpolation="bilinear"), T.RandomErasing(0.5)])
    steps = [T.OneOf({"aug": inner, "auto": T.AutoAugment("svhn"), "mix": T.AugMix(5)}), T.RandomHorizontalFlip()]
    images = [noise(SIZE, 3, "float32", seed) for seed in range(12)]
    assert_agrees(Pipeline(steps, seed=2, engine=engine), images, index=range(12))


def test_a_policy_in_random_order_keeps_its_parameters_wherever_it_lands():
    alone, mixed = (
        Pipeline({"mix": T.RandomOrder({"aug": T.RandAugment(2), **more})}, seed=3).draw([SIZE] * 50, index=range(50))
        for more in ({}, {"flip": T.RandomHorizontalFlip(1.0), "gray": T.RandomGrayscale(1.0)})
    )
    for i in range(50):
        found = mixed.parameters(i)
        assert {name: value for name, value in found.items() if "/aug/" in name} == alone.parameters(i)


def test_boxes_follow_a_policys_geometry():
    pipeline = Pipeline([T.RandAugment(2, 20)], seed=5)
    box = torch.tensor([[20.0, 15.0, 40.0, 30.0]])
    moved = 0
    for i in range(12):
        params = {k.split("/")[-1]: v for k, v in pipeline.draw([SIZE], index=i).parameters(0).items()}
        out = pipeline({"image": photo(), "boxes": box}, index=i)["boxes"]
        if set(params) & {"translate_x"} and not set(params) & set(MOVES) - {"translate_x"}:
            assert torch.allclose(out, box + torch.tensor([params["translate_x"][2], 0.0] * 2))
            moved += 1
    assert moved


def test_a_move_refuses_a_bad_fill():
    with pytest.raises(ValueError, match="Move: fill=-1 is not valid"):
        Move(fill=-1).border  # noqa: B018
