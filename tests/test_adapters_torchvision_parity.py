"""`from_torchvision`: what converts does what the original does, alone and in published recipes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torchvision.transforms as v1
import torchvision.transforms.v2 as v2
from adapter_samples import kinds, picture
from PIL import Image
from torch import nn

import augsynth as ag
from augsynth import transforms as T

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLOAT = v2.ToDtype(torch.float32, scale=True)
PICTURE = picture(60, 76)
PIL = Image.fromarray(PICTURE)
TENSOR = torch.from_numpy(PICTURE).permute(2, 0, 1).contiguous()


# Transform, and the mean and the largest difference that are allowed, in 1/255. Edges of a warp may fall to one side.
SAME = [
    (v2.RandomHorizontalFlip(), 0, 0),
    (v2.RandomVerticalFlip(), 0, 0),
    (v2.Resize(40), 0.6, 2),
    (v2.Resize([40, 50], antialias=False), 0.6, 2),
    (v2.Resize((90, 100), interpolation=v2.InterpolationMode.BICUBIC), 0.6, 2),
    (v2.Resize((90, 100), interpolation=v2.InterpolationMode.NEAREST_EXACT), 0, 0),
    (v2.Resize(40, max_size=48), 0.6, 2),
    (v2.CenterCrop(41), 0, 0),
    (v2.CenterCrop((80, 40)), 0, 0),
    (v2.Pad((3, 5, 7, 2), fill=9), 0, 0),
    (v2.Pad(4, padding_mode="reflect"), 0, 0),
    (v2.RandomResizedCrop(32), 0.6, 2),
    (v2.RandomResizedCrop((32, 40), (0.3, 0.9), (0.5, 2.0), antialias=False), 0.6, 2),
    (v2.RandomRotation(25, fill=30), 0.3, 255),
    (v2.RandomRotation((30, 60), expand=True, interpolation=v2.InterpolationMode.BILINEAR), 0.8, 255),
    (v2.RandomAffine(20, (0.1, 0.2), (0.7, 1.3), 8, fill=(7, 8, 9)), 0.3, 255),
    (v2.RandomAffine(20, shear=(-5, 5, -3, 3), interpolation=v2.InterpolationMode.BILINEAR), 0.8, 255),
    (v2.RandomPerspective(0.4), 0.8, 255),
    (v2.ColorJitter(0.4, 0.4, 0.4, 0.1), 2, 20),
    (v2.RandomGrayscale(), 0.6, 1),
    (v2.Grayscale(3), 0.6, 1),
    (v2.RGB(), 0, 0),
    (v2.GaussianBlur(5), 0.6, 1),
    (v2.GaussianBlur((3, 9), 1.5), 0.6, 1),
    (v2.RandomInvert(), 0, 0),
    (v2.RandomPosterize(3), 0, 0),
    (v2.RandomSolarize(100), 0, 0),
    (v2.RandomAutocontrast(), 0.01, 1),
    (v2.RandomEqualize(), 0, 0),
    (v2.RandomAdjustSharpness(2), 0, 0),
    (v1.Resize(40), 0.6, 2),
    (v1.CenterCrop(41), 0, 0),
    (v1.Pad(3, fill=7), 0, 0),
    (v1.RandomResizedCrop(32), 0.6, 2),
    (v1.RandomRotation(25), 0.3, 255),
    (v1.RandomAffine(20, (0.1, 0.2), (0.7, 1.3), 8), 0.3, 255),
    (v1.RandomPerspective(0.4), 0.8, 255),
    (v1.ColorJitter(0.4, 0.4, 0.4, 0.1), 2, 20),
    (v1.GaussianBlur(5), 0.6, 1),
    (v1.RandomInvert(), 0, 0),
    (v1.RandomPosterize(3), 0, 0),
    (v1.RandomSolarize(100), 0, 0),
    (v1.RandomEqualize(), 0, 0),
    (v1.RandomAutocontrast(), 0.01, 1),
]


def _takes_pil(transform):
    """Tell what torchvision does to PIL images: it always filters there, and has no exact nearest neighbour."""
    return "antialias=False" not in str(transform) and "EXACT" not in str(transform)


@pytest.mark.parametrize(
    ("transform", "mean", "most", "image"),
    [
        pytest.param(*case, image, id=f"{type(case[0]).__module__[-4:]}{case[0]}-{kind}")
        for case in SAME
        for kind, image in (("tensor", TENSOR), ("pil", PIL))
        if kind == "tensor" or _takes_pil(case[0])
    ],
)
def test_under_the_same_parameters_it_does_what_the_original_does(transform, mean, most, image):
    adapted = ag.from_torchvision(transform, images="tensor" if image is TENSOR else "pil")
    (row,) = adapted.compare(image, samples=6).rows
    assert (row.kind, row.how) == ("fused", "same")
    # On PIL images colour is rounded after each step, and hue has 256 values.
    assert row.mean <= mean + (image is PIL)
    assert row.largest <= most + 3 * (image is PIL)


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")
def test_jpeg_is_the_originals_to_the_bit():
    (row,) = ag.from_torchvision(v2.JPEG(50)).compare(TENSOR, samples=2).rows
    assert (row.how, row.largest) == ("same", 0)


ALIKE = [
    v2.RandomCrop(40),
    v2.RandomCrop(70, padding=8, pad_if_needed=True),
    v2.RandomChannelPermutation(),
    v2.RandomZoomOut(side_range=(1.0, 2.0)),
    v2.ElasticTransform(40.0),
    v2.ScaleJitter((60, 60)),
    v2.RandomShortestSize([40, 50]),
    v2.RandomResize(40, 60),
    v2.RandomErasing(),
    v2.GaussianNoise(0.1, 0.1),
    v2.TrivialAugmentWide(),
    v2.AutoAugment(),
    v2.RandAugment(),
    v1.AutoAugment(v1.AutoAugmentPolicy.CIFAR10),
]


@pytest.mark.parametrize("transform", ALIKE, ids=str)
def test_what_draws_its_own_has_the_originals_statistics(transform):
    adapted = ag.from_torchvision(transform)
    assert kinds(adapted) == ["fused"]
    row = adapted.compare(TENSOR, samples=150).rows[0]
    assert row.how == "draws"
    assert abs(row.theirs[0] - row.ours[0]) < 6
    assert abs(row.theirs[1] - row.ours[1]) < 6


def test_a_comparison_shows_a_conversion_that_is_wrong():
    adapted = ag.from_torchvision(v2.RandomSolarize(100))
    (pair,) = adapted.origin.pairs.value
    wrong = dataclasses.replace(pair, ours=T.RandomSolarize(110))
    origin = dataclasses.replace(adapted.origin, pairs=type(adapted.origin.pairs)((wrong,)))
    (row,) = dataclasses.replace(adapted, origin=origin).compare(TENSOR).rows
    assert row.largest > 30


def test_every_argument_reaches_the_field_of_its_name():
    adapted = ag.from_torchvision(
        [v2.RandomAffine((3, 9), (0.1, 0.2), (0.5, 0.6), (1, 2, 3, 4), fill=7, center=[5, 6]), v2.RandAugment(3, 5, 20)]
    )
    affine, augment = adapted.transforms.values()
    expected = T.RandomAffine((3, 9), (0.1, 0.2), (0.5, 0.6), (1, 2, 3, 4), fill=7, center=(5, 6))
    assert affine == expected
    assert augment == T.RandAugment(3, 5, 20)


# --- recipes ----------------------------------------------------------------------------------------------------------


def imagenet(lib, *ending):
    return lib.Compose([lib.RandomResizedCrop(48), lib.RandomHorizontalFlip(), *ending, lib.RandomErasing(0.1)])


def simclr(lib, *ending):
    jitter = lib.RandomApply([lib.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8)
    blur = lib.RandomApply([lib.GaussianBlur(9)], p=0.5)
    return lib.Compose(
        [lib.RandomResizedCrop(48), lib.RandomHorizontalFlip(), jitter, lib.RandomGrayscale(0.2), blur, *ending]
    )


NEW = (v2.ToImage(), FLOAT, v2.Normalize(MEAN, STD))
OLD = (v1.ToTensor(), v1.Normalize(MEAN, STD))
RECIPES = {
    "ImageNet v2": imagenet(v2, *NEW),
    "ImageNet v1": imagenet(v1, *OLD),
    "SimCLR v2": simclr(v2, *NEW),
    "SimCLR v1": simclr(v1, *OLD),
    "RandAugment": v2.Compose([v2.RandomResizedCrop(48), v2.RandAugment(), *NEW]),
    "TrivialAugment": v1.Compose([v1.RandomCrop(48, padding=4), v1.TrivialAugmentWide(), *OLD]),
    "CIFAR": v1.Compose([v1.RandomCrop(48, padding=4), v1.RandomHorizontalFlip(), *OLD]),
    "nested": nn.Sequential(v2.Compose([v2.Resize(64), nn.Sequential(v2.CenterCrop(48))]), *NEW),
    "list": [v2.Resize(64), v2.CenterCrop(48), *NEW],
}


@pytest.mark.parametrize("name", RECIPES)
def test_published_recipes_convert_fully(name):
    adapted = ag.from_torchvision(RECIPES[name], seed=3)
    assert set(kinds(adapted)) <= {"fused", "output", "nothing"}
    assert adapted.explain().count("barrier") == 0
    out = adapted(PIL, index=1)
    assert (tuple(out.shape), out.dtype, type(out)) == ((3, 48, 48), torch.float32, torch.Tensor)
    assert torch.equal(out, adapted(PIL, index=1))
    assert not torch.equal(out, adapted(PIL, index=2)) or name in ("nested", "list")


@pytest.mark.parametrize(
    "transform",
    [
        v1.Compose([v1.Resize(56), v1.CenterCrop(48), *OLD]),
        v2.Compose([v2.Resize(56), v2.CenterCrop(48), *NEW]),
        v2.Compose([v2.PILToTensor(), v2.Resize(56), v2.CenterCrop(48), FLOAT, v2.Normalize(MEAN, STD)]),
        v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32), v2.Normalize([120.0], [60.0])]),
        v1.Compose([*OLD, v1.Pad(4), v1.RandomHorizontalFlip(1.0)]),
        v1.Compose([*OLD, v1.Pad(4, fill=1), v1.CenterCrop(90)]),
        v1.Compose([v1.ToTensor(), v1.Pad(4, fill=0.25)]),
        v1.Compose([v1.ToTensor(), v1.RandomSolarize(0.5, p=1.0)]),
        v1.Compose([*OLD, v1.Normalize([0.1, 0.2, 0.3], [2.0])]),
        v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32)]),
        v2.Compose([v2.ToImage(), FLOAT, v2.ToDtype(torch.uint8, scale=True)]),
        v2.Compose([v2.PILToTensor(), v2.RandomVerticalFlip(1.0)]),
        v2.Compose([v2.ToImage(), v2.ToDtype(torch.float16, scale=True)]),
    ],
    ids=str,
)
def test_a_whole_pipeline_without_randomness_gives_what_the_original_gives(transform):
    out, expected = ag.from_torchvision(transform)(PIL, index=0), transform(PIL)
    assert (out.dtype, out.shape) == (expected.dtype, expected.shape)
    unit = float(expected.max() - expected.min()) / 255
    assert (out.float() - expected.float()).abs().max() <= 2.5 * unit


def test_the_transforms_that_come_with_weights_convert():
    from torchvision.models import ResNet18_Weights

    preset = ResNet18_Weights.IMAGENET1K_V1.transforms()
    out, expected = ag.from_torchvision(preset)(PIL, index=0), preset(PIL)
    assert out.shape == expected.shape == (3, 224, 224)
    assert (out - expected).abs().max() < 0.04


def test_an_erased_rectangle_after_normalize_has_the_originals_value():
    for value, pixel in (
        (0, MEAN),
        ((1.0, 0.5, -0.5), tuple(m + s * v for m, s, v in zip(MEAN, STD, (1, 0.5, -0.5), strict=True))),
    ):
        recipe = v2.Compose([*NEW, v2.RandomErasing(1.0, (0.5, 0.6), (1.0, 1.0), value)])
        out = ag.from_torchvision(recipe)(PIL, index=0)
        expected = (torch.tensor(pixel) - torch.tensor(MEAN)) / torch.tensor(STD)
        erased = (out - expected[:, None, None]).abs().amax(0) < 0.02
        assert 0.45 < erased.float().mean() < 0.65
