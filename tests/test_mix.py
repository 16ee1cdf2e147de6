"""MixUp, CutMix and Mosaic: against torchvision and a float64 reference, partners, labels, placement and errors."""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
from examples import JITTER, noise, pictures
from reference import assert_agrees
from torch.nn import functional as F
from torchvision import tv_tensors

import augsynth as ag
from augsynth import transforms as T
from augsynth.mixing import order_of, partners
from augsynth.rng import Rng

COUNT, CLASSES, SIZE = 7, 5, (24, 31)
IMAGES = torch.stack([noise(SIZE, 3, "uint8", seed) for seed in range(COUNT)])
LABELS = torch.arange(COUNT) % CLASSES
INDEX = [40, 7, 12, 3, 99, 56, 8]
RECIPE = [T.MixUp(num_classes=CLASSES), T.CutMix(num_classes=CLASSES)]
NORMALIZE = T.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch", "triton"])
Sample = namedtuple("Sample", ["image", "label"])


def mixed(*steps, data=(IMAGES, LABELS), engine="auto", seed=3, strength=1.0, **arguments):
    return ag.Pipeline(list(steps), seed=seed, engine=engine, **arguments)(data, index=INDEX, strength=strength)


def pairs(name="mix_up", seed=3, index=INDEX):
    return partners(order_of(Rng.of(seed, index), f"{name}/0/partners"), 1)


# --- pictures and weights ---------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize("kind", ["MixUp", "CutMix"])
def test_a_sample_is_what_torchvision_makes_of_the_pair(kind, engine):
    pipeline = ag.Pipeline([getattr(T, kind)(alpha=0.7, num_classes=CLASSES)], seed=3, engine=engine)
    floats = IMAGES / 255
    images, labels = pipeline((floats, LABELS), index=INDEX)
    drawn = pipeline.draw([SIZE] * COUNT, index=INDEX).params[:, 0]
    theirs = getattr(v2, kind)(num_classes=CLASSES)
    for (own, other), (weight, top, left, height, width), image, label in zip(
        pairs("mix_up" if kind == "MixUp" else "cut_mix"), drawn, images, labels, strict=True
    ):
        both, of_both = floats[[own, other]], LABELS[[own, other]]
        given = {
            "labels": of_both,
            "batch_size": 2,
            "lam": weight,
            "lam_adjusted": 1 - height * width / math.prod(SIZE),
            "box": tuple(int(v) for v in (left, top, left + width, top + height)),
        }
        torch.testing.assert_close(image, theirs.transform(both, given)[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(label, theirs.transform(of_both, given)[0], rtol=0, atol=1e-6)


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_whole_recipe_agrees_with_the_reference(dtype, engine):
    steps = [
        T.RandomRotation(20, "bilinear"),
        T.RandomApply([T.Mosaic(target_size=(36, 36), cell_shape=(24, 30), p=1.0)], p=0.6),
        T.RandomResizedCrop((20, 22), (0.4, 1.0)),
        JITTER,
        T.OneOf([T.MixUp(alpha=0.4), T.CutMix()], p=0.8),
        NORMALIZE,
    ]
    pipeline = ag.Pipeline(steps, seed=5, engine=engine, color="linear")
    names = [set(pipeline.draw([(30, 30)] * 4, index=INDEX[:4]).parameters(i)) for i in range(4)]
    assert 0 < sum("random_apply/mosaic" in name for name in names) < 4
    assert {"one_of/mix_up", "one_of/cut_mix"} <= set().union(*names)
    assert assert_agrees(pipeline, pictures(3, dtype), index=INDEX[:4]) < 0.05


@over_engines
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float16])
def test_outputs_of_few_bits_are_the_floats_rounded(dtype, engine):
    one_of = T.OneOf(RECIPE)
    exact, _ = mixed(one_of, engine=engine, dtype=torch.float32)
    rounded, labels = mixed(one_of, engine=engine, dtype=dtype)
    unit = 255 if dtype == torch.uint8 else 1
    step = 0.5 if dtype == torch.uint8 else torch.finfo(dtype).eps
    assert rounded.dtype == dtype
    assert labels.dtype == torch.float32
    assert (rounded.double() - exact.double() * unit).abs().max() <= step + 1e-4


@over_engines
def test_normalize_may_stand_on_either_side(engine):
    before, after = mixed(NORMALIZE, *RECIPE[:1], engine=engine), mixed(*RECIPE[:1], NORMALIZE, engine=engine)
    assert torch.equal(before[0], after[0])
    assert before[0].dtype == torch.float32
    plain = ag.Pipeline(RECIPE[:1], seed=3, engine=engine)(IMAGES / 255, index=INDEX)
    expected = (plain - torch.tensor(NORMALIZE.mean)[:, None, None]) / torch.tensor(NORMALIZE.std)[:, None, None]
    torch.testing.assert_close(before[0], expected, rtol=0, atol=2e-5)


def test_gradients_reach_both_images_of_a_pair_and_all_of_a_mosaic():
    steps = [T.Mosaic(target_size=SIZE, cell_shape=SIZE, p=1.0), T.OneOf([T.MixUp(), T.CutMix()])]
    images = (IMAGES / 255).requires_grad_()
    out = ag.Pipeline(steps, seed=3)(images, index=INDEX)
    assert out.requires_grad
    gradient = torch.autograd.grad(out[0].sum(), images)[0].abs().sum((1, 2, 3))
    assert (gradient > 0).sum() >= 4


def test_a_mixture_of_both_takes_either_for_each_sample():
    pipeline = ag.Pipeline([T.OneOf(RECIPE)], seed=3)
    program = pipeline.draw([SIZE] * 64, index=range(64))
    kinds = {next(iter(program.parameters(i))) for i in range(64)}
    assert kinds == {"one_of/mix_up", "one_of/cut_mix"}
    assert 16 < (program.ops[:, 0] == 1).sum() < 48


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_weights_have_the_beta_distribution(alpha):
    drawn = ag.Pipeline([T.MixUp(alpha=alpha)]).draw([SIZE] * 4000, index=range(4000)).params[:, 0, 0]
    assert abs(drawn.mean() - 0.5) < 0.02
    assert abs(drawn.std() - 0.5 / math.sqrt(2 * alpha + 1)) < 0.01


# --- partners ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 7, 64])
def test_nobody_is_their_own_partner_and_everybody_is_somebodys(count):
    own, other = pairs(index=range(count)).T
    assert own.tolist() == list(range(count))
    assert sorted(other.tolist()) == list(range(count))
    assert not (own == other).any()


def test_partners_do_not_depend_on_the_order_of_the_batch_and_change_with_the_epoch():
    order = [3, 0, 6, 2, 5, 1, 4]
    there = {INDEX[own]: INDEX[other] for own, other in pairs()}
    shuffled = [INDEX[i] for i in order]
    assert {shuffled[own]: shuffled[other] for own, other in pairs(index=shuffled)} == there
    later = partners(order_of(Rng.of(3, INDEX, 1), "mix_up/0/partners"), 1)
    assert not np.array_equal(later, pairs())


@over_engines
@pytest.mark.parametrize("step", RECIPE)
def test_a_batch_of_one_has_no_partner_and_stays_as_it_is(step, engine):
    pipeline = ag.Pipeline([step], engine=engine)
    images, labels = pipeline((IMAGES[:1], LABELS[1:2]), index=[4])
    assert torch.equal(images, IMAGES[:1])
    assert labels.tolist() == [[0, 1, 0, 0, 0]]


@over_engines
def test_strength_leads_back_to_the_plain_batch(engine):
    for step in (*RECIPE, T.Mosaic(target_size=SIZE, cell_shape=SIZE, num_classes=CLASSES, p=1.0)):
        images, labels = mixed(step, strength=0.0, engine=engine)
        assert torch.equal(images, IMAGES)
        assert torch.equal(labels, F.one_hot(LABELS, CLASSES).float())
    weights = [ag.Pipeline(RECIPE[:1]).draw([SIZE] * 50, index=range(50), strength=s).params[:, 0, 0] for s in (0.3, 1)]
    gone = [w[w > 0].min() for w in weights]  # a sample that is left out has no weight
    assert gone[0] >= 0.7
    assert gone[1] < 0.1


# --- labels -----------------------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize(
    "step",
    [
        T.Mosaic(target_size=SIZE, cell_shape=(20, 20), num_classes=COUNT, p=0.9),
        T.OneOf([T.MixUp(), T.CutMix(num_classes=COUNT)]),
    ],
)
def test_labels_are_mixed_by_what_is_seen_of_each_image(step, engine):
    flat = torch.arange(COUNT).float()[:, None, None, None].expand(-1, 3, *SIZE) / 10
    images, labels = mixed(step, data=(flat, torch.arange(COUNT)), engine=engine)
    assert labels.shape == (COUNT, COUNT)
    torch.testing.assert_close(labels.sum(1), torch.ones(COUNT))
    # The mean of an image tells how much of each there is, and so does the mean of its label.
    seen = images.double().mean((1, 2, 3))
    torch.testing.assert_close((labels.double() * torch.arange(COUNT) / 10).sum(1), seen, rtol=0, atol=1e-5)
    assert ((labels > 0).sum(1) > 1).sum() >= 4


def test_the_forms_of_a_sample_give_the_same_labels():
    labels = mixed(*RECIPE[:1])[1]
    forms = {
        "dict": mixed(*RECIPE[:1], data={"image": IMAGES, "target": LABELS})["target"],
        "field": mixed(*RECIPE[:1], data=Sample(IMAGES, LABELS)).label,
        "nested": mixed(*RECIPE[:1], data=(IMAGES, {"label": LABELS}))[1]["label"],
        "key": mixed(*RECIPE[:1], data=(LABELS, 5, IMAGES), keys=("label", None, "image"))[0],
        "list": mixed(*RECIPE[:1], data=(IMAGES, LABELS.tolist()))[1],
        "column": mixed(*RECIPE[:1], data=(IMAGES, LABELS[:, None]))[1],
        "samples": torch.stack(
            [s[1] for s in mixed(*RECIPE[:1], data=list(zip(IMAGES, LABELS.tolist(), strict=True)))]
        ),
        "tv": mixed(*RECIPE[:1], data=(tv_tensors.Image(IMAGES), LABELS))[1],
    }
    assert [name for name, found in forms.items() if not torch.equal(found, labels)] == []
    array = mixed(*RECIPE[:1], data={"image": IMAGES, "label": LABELS.numpy()})["label"]
    assert isinstance(array, np.ndarray)
    assert np.array_equal(array, labels.numpy())


def test_soft_labels_and_plain_numbers_are_mixed_as_they_are():
    soft = torch.softmax(torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(0)).double(), 1)
    weight = torch.from_numpy(ag.Pipeline([T.MixUp()], seed=3).draw([SIZE] * COUNT, index=INDEX).params[:, 0, 0])
    other = pairs()[:, 1]
    out = mixed(T.MixUp(), data={"image": IMAGES, "label": soft})["label"]
    assert out.dtype == torch.float64
    torch.testing.assert_close(out, weight[:, None] * soft + (1 - weight[:, None]) * soft[other])
    ages = mixed(T.MixUp(), data=(IMAGES, soft[:, 0]))[1]
    torch.testing.assert_close(ages, weight * soft[:, 0] + (1 - weight) * soft[other, 0])


def test_labels_are_soft_in_every_sample_also_where_nothing_is_mixed():
    images, labels = mixed(T.CutMix(num_classes=CLASSES, p=0.0))
    assert torch.equal(images, IMAGES)
    assert torch.equal(labels, F.one_hot(LABELS, CLASSES).float())


def test_images_alone_are_mixed_alone():
    assert torch.equal(mixed(*RECIPE[:1], data=IMAGES), mixed(*RECIPE[:1])[0])
    assert torch.equal(torch.stack(mixed(*RECIPE[:1], data=list(IMAGES))), mixed(*RECIPE[:1])[0])


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [IMAGES[0], (IMAGES[0], 3), IMAGES[0].permute(1, 2, 0).numpy()], ids=["chw", "pair", "hwc"]
)
def test_one_image_is_refused_with_the_ways_to_batches(data):
    with pytest.raises(
        TypeError, match=r"MixUp mixes the images of a batch; .* is one image: give a batch.*ag.collate"
    ):
        ag.Pipeline(RECIPE[:1])(data)


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (
            (IMAGES, LABELS + 1),
            ValueError,
            "sample 4 (index 99): '1' is 5; with num_classes=5 of MixUp, classes go from 0",
        ),
        ((IMAGES, LABELS - 1), ValueError, "sample 0 (index 40): '1' is -1"),
        ((IMAGES, LABELS[1:]), ValueError, "'1' is Tensor(6,) torch.int64 in a batch of 7 images"),
        ({"image": IMAGES, "name": "x"}, TypeError, "MixUp mixes labels too, and there is none in a dict"),
        ((IMAGES, LABELS, 3), TypeError, "MixUp mixes labels too, and there is none in a tuple"),
        ({"image": IMAGES, "label": LABELS, "y": LABELS}, TypeError, "'label' and 'y' may be the label"),
        ((IMAGES, LABELS[:, None].expand(-1, 3)), TypeError, "'1' has integers of shape 7 x 3"),
        ((IMAGES, LABELS > 2), TypeError, "a label is a class number"),
        ([(IMAGES[0], 1), (IMAGES[1], "cat")], TypeError, "sample 1 (index 7) has no label, others have"),
        ([(IMAGES[0], 1), (IMAGES[1], torch.zeros(5))], ValueError, "'1' is not alike in all samples"),
        ((IMAGES, [{"label": 1}] * 7), TypeError, "entry 1 holds a class label per image in dicts of their own"),
        ([(IMAGES[0], 1), (IMAGES[1, :, 1:], 2)], ValueError, "sample 1 (index 7) is 3 x 23 x 31; end with one size"),
    ],
)
def test_what_cannot_be_mixed_is_named(data, error, text):
    index = INDEX[: len(data)] if isinstance(data, list) else INDEX
    with pytest.raises(error) as caught:
        ag.Pipeline(RECIPE[:1])(data, index=index)
    assert text in str(caught.value)


def test_class_numbers_need_to_know_how_many_there_are():
    with pytest.raises(ValueError, match=r"^CutMix: num_classes is needed, for '1' holds class numbers; give CutMix\("):
        mixed(T.CutMix())


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (
            [T.MixUp(), JITTER],
            "color_jitter: ColorJitter stands after mix_up, which mixes finished images; put it before",
        ),
        ([T.OneOf(RECIPE), T.Mosaic()], "mosaic: Mosaic stands after one_of"),
        ([T.OneOf([T.CutMix(), T.RandomErasing()])], "one_of: OneOf holds CutMix, RandomErasing"),
        ([T.OneOf([T.CutMix(), T.Mosaic()])], "one_of: OneOf holds CutMix, Mosaic"),
        (
            [T.Mosaic(), T.RandomApply([T.RandomIoUCrop()])],
            "random_apply: RandomApply draws by the boxes, which mosaic",
        ),
        ([T.CutMix(num_classes=3), T.MixUp(num_classes=4)], "cut_mix has num_classes=3 and mix_up has num_classes=4"),
        ([NORMALIZE, T.Mosaic()], "mosaic: Mosaic stands after Normalize"),
    ],
)
def test_a_step_in_a_place_it_cannot_have_is_refused(steps, text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        ag.Pipeline(steps)
    assert text in str(caught.value)


def test_views_and_bare_tensors_of_other_callers_are_refused():
    with pytest.raises(TypeError, match=r"Views: weak: MixUp mixes the images of a batch, and views share one label"):
        ag.Views({"weak": [JITTER, T.MixUp()]})
    with pytest.raises(TypeError, match=r"MixUp mixes the images of a batch, and their labels.*targets="):
        ag.Pipeline([T.MixUp()]).images(IMAGES, Rng.of(0, INDEX))


def test_explain_names_the_step_where_it_is_rendered():
    pipeline = ag.Pipeline([T.Mosaic(), T.RandomAffine(5), NORMALIZE, T.OneOf(RECIPE)])
    assert pipeline.explain().startswith("mix[mosaic] -> warp[random_affine] -> normalize -> mix[one_of] (")
