"""`from_torchvision`: targets, choices, barriers, errors, and the pipeline that it is."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import torchvision.transforms as v1
import torchvision.transforms.v2 as v2
from adapter_samples import barriers, kinds, picture
from PIL import Image
from torch import nn
from torchvision import tv_tensors

import augsynth as ag
from augsynth import transforms as T
from augsynth.adapters.foreign import Foreign
from augsynth.program import walk

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLOAT = v2.ToDtype(torch.float32, scale=True)
PICTURE = picture(60, 76)
PIL = Image.fromarray(PICTURE)
TENSOR = torch.from_numpy(PICTURE).permute(2, 0, 1).contiguous()


class Noise:
    """A transform as users write them: called with an image, drawing from a global generator."""

    def __call__(self, image):
        return (image + 0.1 * torch.randn_like(image)).clamp(0, 1)

    def __repr__(self):
        return "Noise()"


class Thrice(nn.Module):
    def forward(self, image):
        return (image * 3).clamp(0, 1)


class OwnFlip(v2.RandomHorizontalFlip):
    """A subclass may do anything, so it is not converted as what it derives from."""

    def transform(self, inpt, params):
        return inpt


def sharper(image):
    return v2.functional.adjust_sharpness(image, 2.0)


def imagenet(*ending):
    """Return the recipe of most image classifiers."""
    return v2.Compose([v2.RandomResizedCrop(48), v2.RandomHorizontalFlip(), *ending, v2.RandomErasing(0.1)])


NEW = (v2.ToImage(), FLOAT, v2.Normalize(MEAN, STD))


# --- targets ----------------------------------------------------------------------------------------------------------


def test_detection_with_boxes_converts_and_moves_them():
    recipe = v2.Compose(
        [
            v2.RandomPhotometricDistort(),
            v2.RandomZoomOut(fill={tv_tensors.Image: (123, 117, 104), "others": 0}),
            v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(1.0),
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(),
            v2.ToDtype(torch.float32, scale=True),
            v2.ToPureTensor(),
        ]
    )
    adapted = ag.from_torchvision(recipe)
    assert not barriers(adapted)
    boxes = tv_tensors.BoundingBoxes(torch.tensor([[20.0, 10.0, 45.0, 25.0]]), format="XYXY", canvas_size=(60, 76))
    image, target = adapted(tv_tensors.Image(TENSOR), {"boxes": boxes, "labels": torch.tensor([3])}, index=2)
    assert image.dtype == torch.float32
    assert len(target["boxes"]) == len(target["labels"])


def test_a_flipped_box_is_where_the_original_puts_it():
    recipe = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Resize((120, 152))])
    boxes = tv_tensors.BoundingBoxes(torch.tensor([[20.0, 10.0, 45.0, 25.0]]), format="XYXY", canvas_size=(60, 76))
    sample = (tv_tensors.Image(TENSOR), {"boxes": boxes})
    theirs, ours = recipe(*sample), ag.from_torchvision(recipe)(*sample, index=0)
    assert torch.allclose(theirs[1]["boxes"], ours[1]["boxes"], atol=1e-4)
    assert ours[1]["boxes"].canvas_size == (120, 152)


def test_segmentation_masks_get_the_dtype_and_the_fill_that_the_recipe_gives_them():
    fill = {tv_tensors.Image: 9, tv_tensors.Mask: 255}
    dtypes = {tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}
    recipe = v2.Compose([v2.Pad(4, fill=fill), v2.ToDtype(dtypes, scale=True), v2.Normalize(MEAN, STD)])
    sample = {"image": tv_tensors.Image(TENSOR), "mask": tv_tensors.Mask((TENSOR[0] // 100)[None])}
    theirs, ours = recipe(sample), ag.from_torchvision(recipe)(sample, index=0)
    assert ours["mask"].dtype == torch.int64
    assert torch.equal(theirs["mask"], ours["mask"])
    assert type(ours["mask"]) is tv_tensors.Mask
    assert (theirs["image"] - ours["image"]).abs().max() < 0.02


# --- choices ----------------------------------------------------------------------------------------------------------


def test_choices_keep_their_odds_and_their_parts():
    recipe = v2.RandomChoice(
        [v2.RandomInvert(1.0), v2.Identity(), v2.Compose([v2.RandomSolarize(0, 1.0)] * 2)], p=[1, 2, 1]
    )
    adapted = ag.from_torchvision(recipe)
    ops = adapted.draw([(8, 8)] * 4000, index=range(4000)).ops
    used = [(ops == code).any(1).mean() for code in (1, 2, 3)]
    assert used == pytest.approx([0.25, 0.25, 0.25], abs=0.03)
    assert (ops == 0).all(1).mean() == pytest.approx(0.5, abs=0.03)


def test_random_apply_and_random_order_are_ours():
    adapted = ag.from_torchvision(
        [
            v2.RandomApply([v2.RandomInvert(1.0), v2.RandomVerticalFlip(1.0)], p=0.3),
            v2.RandomOrder([v2.RandomInvert(), v2.Identity()]),
        ]
    )
    apply, order = adapted.transforms.values()
    assert isinstance(apply, T.RandomApply)
    assert (apply.p, len(apply.parts())) == (0.3, 2)
    assert isinstance(order, T.RandomOrder)
    assert len(order.parts()) == 1


def test_a_choice_of_nothing_is_nothing():
    assert not ag.from_torchvision([v2.RandomChoice([v2.Identity()]), v2.RandomApply([v2.Identity()])]).transforms


# --- barriers ---------------------------------------------------------------------------------------------------------


def test_functions_and_modules_of_ones_own_are_barriers_that_say_so():
    recipe = v2.Compose(
        [v2.RandomCrop(40), v2.ToImage(), FLOAT, Noise(), Thrice(), sharper, OwnFlip(), v2.Lambda(sharper)]
    )
    adapted = ag.from_torchvision(recipe, seed=5)
    assert barriers(adapted) == ["Noise", "Thrice", "sharper", "OwnFlip", "Lambda"]
    text = adapted.explain()
    assert "warp[random_crop] -> barrier[noise] -> barrier[thrice] -> barrier[sharper]" in text
    assert "barrier[noise]: Noise: it is your own" in text
    out = adapted(PIL, index=0)
    assert (out.dtype, tuple(out.shape)) == (torch.float32, (3, 40, 40))
    assert torch.equal(out, adapted(PIL, index=0))
    assert not torch.equal(out, adapted(PIL, index=0, epoch=1))


def test_a_class_of_ones_own_is_not_converted_by_its_name():
    class RandomInvert(v2.RandomInvert):
        def transform(self, inpt, params):
            return inpt // 2

    adapted = ag.from_torchvision([RandomInvert(1.0)])
    assert barriers(adapted) == ["RandomInvert"]
    assert torch.equal(adapted(TENSOR, index=0), TENSOR // 2)


def test_a_barrier_gives_what_the_function_gives():
    adapted = ag.from_torchvision([v2.ToImage(), FLOAT, sharper, Thrice()])
    expected = Thrice()(sharper(tv_tensors.Image(TENSOR / 255)))
    assert (adapted(PIL, index=0) - expected).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("transforms", "takes"),
    [
        ([Noise(), v1.ToTensor()], "pil"),
        ([v1.ToTensor(), Noise()], "tensor"),
        ([v2.ToImage(), Noise()], "image"),
        ([Noise()], "tensor"),
        ([v1.ToPILImage(), Noise(), v1.ToTensor()], "pil"),
    ],
)
def test_a_barrier_is_given_what_the_original_would_be_given_there(transforms, takes):
    adapted = ag.from_torchvision(transforms)
    assert [leaf.transform.takes for leaf in adapted.plan.leaves] == [takes]


def test_what_a_function_is_given_without_any_conversion_can_be_said():
    def mode(image):
        assert image.mode == "RGB"
        return image

    assert ag.from_torchvision([mode], images="pil")(PIL, index=0).size == (76, 60)


def test_an_interpolation_that_we_do_not_have_makes_a_barrier_where_the_size_stays():
    lanczos = v1.RandomRotation(10)
    lanczos.interpolation = v2.InterpolationMode.LANCZOS
    adapted = ag.from_torchvision([lanczos])
    assert barriers(adapted) == ["RandomRotation"]
    assert "interpolation='lanczos' is not valid" in adapted.explain()
    with pytest.raises(
        ValueError, match=r"Resize: interpolation='lanczos'.*Resize cannot be a barrier.*changes the size"
    ):
        ag.from_torchvision([v2.Resize(30, interpolation=v2.InterpolationMode.LANCZOS)])


def test_targets_beside_a_barrier_that_may_move_pixels_are_refused_and_beside_noise_not():
    mask = np.zeros(PICTURE.shape[:2], np.uint8)
    with pytest.raises(TypeError, match="cannot follow noise"):
        ag.from_torchvision([Noise()])({"image": PICTURE, "mask": mask}, index=0)
    still = ag.from_torchvision([v2.RandomPhotometricDistort(hue=(-0.5, 0.5)), v2.RandomHorizontalFlip()])
    assert still({"image": PICTURE, "mask": mask}, index=0)["mask"].shape == mask.shape


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        (5, "from_torchvision: got 5 of type int, which is no transform"),
        ("flip", "from_torchvision: got 'flip' of type str"),
        ([v2.RandomCrop], "got the class RandomCrop; give an instance"),
        ([v2.RandomCrop(8), None], "got None of type NoneType"),
        ([v2.FiveCrop(8)], "FiveCrop makes five images of one"),
        ([v2.MixUp(num_classes=3)], "MixUp mixes the samples of a batch"),
        ([v2.ConvertBoundingBoxFormat("XYWH")], "ConvertBoundingBoxFormat changes the boxes' format"),
        ([v2.Grayscale(1)], r"num_output_channels=1 is not valid.*Grayscale cannot be a barrier"),
        ([v2.RandomApply([v1.ToTensor()])], "ToTensor stands inside another transform"),
        ([*NEW, v2.ColorJitter(0.1)], "ColorJitter stands after Normalize, which a pipeline renders last"),
        ([*NEW, Noise()], "Noise stands after Normalize"),
        ([v2.Normalize(MEAN, STD), v2.ToDtype(torch.uint8)], "normalized images cannot become torch.uint8"),
        ([v2.ToImage(), v2.Normalize(MEAN, STD)], "Normalize needs float images"),
        ([v2.ToDtype(torch.float32)], "without scale=True: whether images come as uint8 or as floats is not known"),
        ([v2.ToImage(), v2.ToDtype(torch.float32), v2.ColorJitter(0.1)], "ColorJitter works on floats in"),
        (
            [v2.ToDtype(torch.int32, scale=True)],
            "a pipeline makes uint8, float32, float16 or bfloat16, not torch.int32",
        ),
        ([v1.ToTensor(), v1.ToPILImage()], "ToPILImage stands at the end; leave it out"),
        ([*NEW, v2.Pad(3, fill=50)], "the value 50 lies outside the range"),
    ],
)
def test_what_cannot_be_converted_is_named_with_the_reason(transforms, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ag.from_torchvision(transforms)


def test_albumentations_is_sent_to_its_own_adapter(monkeypatch):
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A

    with pytest.raises(
        TypeError, match=r"got albumentations's HorizontalFlip; convert it by augsynth.from_albumentations"
    ):
        ag.from_torchvision([A.HorizontalFlip()])


def test_a_misspelt_argument_is_named_with_those_that_there_are():
    with pytest.raises(TypeError, match=r"'engin' is not an argument of Pipeline; it takes box_format, .*engine"):
        ag.from_torchvision([v2.RandomInvert()], engin="torch")
    with pytest.raises(ValueError, match="images='PIL' is not valid"):
        ag.from_torchvision([v2.RandomInvert()], images="PIL")


# --- the pipeline it is -----------------------------------------------------------------------------------------------


def test_it_is_a_pipeline_like_one_written_by_hand():
    adapted = ag.from_torchvision(imagenet(*NEW[:2]), seed=7, engine="torch")
    parts = [T.RandomResizedCrop(48), T.RandomHorizontalFlip(), T.RandomErasing(0.1)]
    written = ag.Pipeline(parts, seed=7, engine="torch", dtype=torch.float32)
    assert isinstance(adapted, ag.Pipeline)
    assert torch.equal(adapted(TENSOR, index=3), written(TENSOR, index=3))


def test_our_own_transforms_may_stand_among_theirs():
    adapted = ag.from_torchvision([v2.RandomCrop(40), T.RandomVerticalFlip(), v1.ToTensor(), T.Normalize(MEAN, STD)])
    assert adapted(PIL, index=0).shape == (3, 40, 40)
    assert adapted.plan.normalize == T.Normalize(MEAN, STD)


def test_arguments_of_the_pipeline_win_over_what_the_recipe_says():
    adapted = ag.from_torchvision(imagenet(*NEW), dtype=torch.bfloat16, color="linear", mask_fill=3)
    assert adapted(TENSOR, index=0).dtype == torch.bfloat16
    assert (adapted.color, adapted.rules.mask_fill) == ("linear", 3)


def test_a_wrapped_dataset_and_a_loader_take_it():
    dataset = [(PIL, i) for i in range(4)]
    adapted = ag.from_torchvision(v2.Compose([v2.RandomCrop(40), v2.ToImage(), FLOAT, Noise()]), seed=1)
    first, again = (next(iter(ag.loader(ag.wrap(dataset, adapted), 4)))[0] for _ in range(2))
    assert first.shape == (4, 3, 40, 40)
    assert torch.equal(first, again)
    assert torch.equal(first[2], adapted(PIL, index=2))


def test_strength_reaches_a_converted_pipeline():
    adapted = ag.from_torchvision([v2.ToImage(), v2.ColorJitter(0.5, 0.5), Noise()])
    assert torch.equal(adapted(TENSOR, index=0, strength=0.0), TENSOR)


def test_a_pickled_pipeline_renders_the_same_and_compares():
    adapted = pickle.loads(pickle.dumps(ag.from_torchvision(imagenet(*NEW), seed=2)))
    assert torch.equal(adapted(PIL, index=1), ag.from_torchvision(imagenet(*NEW), seed=2)(PIL, index=1))
    assert adapted == ag.from_torchvision(imagenet(*NEW), seed=2)
    assert len(adapted.compare(PIL, samples=2).rows) == 3


def test_a_lambda_is_named_when_it_would_have_to_be_pickled():
    with pytest.raises(TypeError, match="Lambda cannot be pickled"):
        pickle.dumps(ag.from_torchvision([v2.Lambda(lambda image: image)]))


def test_an_original_that_cannot_be_pickled_stays_behind():
    class Local(v2.Compose):
        pass

    recipe = nn.Sequential(v2.RandomInvert())
    recipe.hook = lambda: None
    copy = pickle.loads(pickle.dumps(ag.from_torchvision(recipe)))
    assert torch.equal(copy(TENSOR, index=0), ag.from_torchvision(recipe)(TENSOR, index=0))
    with pytest.raises(ValueError, match="pickled without its original"):
        copy.compare(TENSOR)


def test_the_comparison_prints_a_table_and_what_it_did_not_compare():
    adapted = ag.from_torchvision(
        v2.Compose([v2.RandomResizedCrop(48), v2.ToImage(), FLOAT, Noise(), *NEW[2:], v2.RandomErasing()])
    )
    comparison = adapted.compare(PIL, samples=3)
    crop, noise, erasing = comparison.rows
    assert (crop.how, noise.how) == ("same", "runs as it is")
    assert noise.largest is None
    assert erasing.how == "not compared: it follows Normalize"
    lines = str(comparison).splitlines()
    assert len(lines) == 6
    assert "barrier" in lines[2]
    assert "ms per image" in lines[-1]
    assert comparison.speedup == comparison.original / comparison.batch
    with pytest.raises(ValueError, match="samples=1 is not valid"):
        adapted.compare(PIL, samples=1)


def test_every_leaf_knows_whether_it_is_ours():
    adapted = ag.from_torchvision([v2.RandomApply([Noise(), v2.RandomInvert()])])
    found = [part for transform in adapted.transforms.values() for _, part in walk("", transform)]
    assert sum(isinstance(part, Foreign) for part in found) == 1
    assert "barrier[noise]" in adapted.explain()


@pytest.mark.parametrize("lib", [v1, v2])
def test_random_noise_in_an_erased_rectangle_is_ours_after_normalize_and_a_barrier_before(lib):
    erasing = lib.RandomErasing(1.0, (0.5, 0.6), (1.0, 1.0), "random")
    adapted = ag.from_torchvision([v1.ToTensor(), v1.Normalize([0.5], [0.25]), erasing])
    erased = adapted(TENSOR * 0, index=0)
    inside = erased[(erased + 2).abs() > 1e-4]
    assert kinds(adapted)[-1] == "fused"
    assert abs(float(inside.mean())) < 0.1
    assert barriers(ag.from_torchvision([v1.ToTensor(), erasing])) == ["RandomErasing"]


def test_masks_that_transforms_fill_differently_are_told_of():
    adapted = ag.from_torchvision([v2.Pad(3, fill=7), v2.RandomRotation(5, fill=0)])
    assert adapted.rules.mask_fill == 0
    assert "masks: fill: filled with 0 and 7 by different transforms there, with mask_fill=0 here" in adapted.explain()
    assert ag.from_torchvision([v2.Pad(3, fill=7)]).rules.mask_fill == 7
