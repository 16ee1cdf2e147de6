"""Test-time augmentation: what was predicted on augmented images, back in the coordinates of the original ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from examples import noise, smooth

import augsynth as ag
from augsynth import transforms as T

SIZE = (36, 44)
TURNS = {
    "flip": T.RandomHorizontalFlip(),
    "upside": T.RandomVerticalFlip(),
    "turn": T.RandomRotate90(),
    "transpose": T.Transpose(),
    "light": T.ColorJitter(0.4),
    "square": T.D4(),
}
AFFINE = {
    "affine": T.RandomAffine(25, (0.05, 0.05), (0.9, 1.2), 8, "bilinear"),
    "light": T.ColorJitter(0.4),
    "resize": T.Resize((30, 52)),
    "flip": T.RandomHorizontalFlip(),
}


def pictures(count=6, make=noise, size=SIZE):
    return torch.stack([noise(size, 3, "uint8", i) if make is noise else smooth(size) for i in range(count)])


def drawn(transforms, images, **options):
    pipeline = ag.Pipeline(transforms, seed=5, **options)
    return pipeline, *pipeline.record(images, index=range(len(images)))


def blob(size, center, sigma=2.5):
    y, x = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    return torch.from_numpy(np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * sigma**2))).float()


def centroid(image):
    y, x = np.meshgrid(np.arange(image.shape[0]) + 0.5, np.arange(image.shape[1]) + 0.5, indexing="ij")
    weight = image.double().numpy()
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("fuse", [True, False])
def test_flips_and_quarter_turns_come_back_bit_for_bit(fuse):
    images = pictures()
    pipeline, out, program = drawn({n: t for n, t in TURNS.items() if n != "light"}, list(images), fuse=fuse)
    assert len({tuple(image.shape) for image in out}) == 2
    for back, image in zip(pipeline.inverse(out, program), images, strict=True):
        assert torch.equal(back, image)


def test_scores_of_any_range_and_channels_are_only_moved_by_flips_and_quarter_turns():
    pipeline, out, program = drawn(TURNS, list(pictures()))
    scores = [torch.randn(7, *image.shape[1:]) * 50 for image in out]
    for back, score in zip(pipeline.inverse(scores, program), scores, strict=True):
        assert back.shape == (7, *SIZE)
        assert torch.equal(back.flatten().sort()[0], score.flatten().sort()[0])


def test_predictions_of_a_flipped_image_are_those_of_the_image_turned_back():
    images = pictures()
    pipeline, out, program = drawn({"flip": T.RandomHorizontalFlip(1.0)}, images)
    scores = out[:, :2].float() - 100
    assert torch.equal(pipeline.inverse(scores, program), images[:, :2].float() - 100)
    assert torch.equal(pipeline.inverse({"mask": out[:, 0].long()}, program)["mask"], images[:, 0].long())


def test_a_whole_pixel_crop_comes_back_where_it_was_and_the_rest_is_fill():
    images = pictures().float() / 255
    pipeline, out, program = drawn({"pad": T.Pad(3), "crop": T.RandomCrop(20)}, images)
    back = pipeline.inverse(out - 0.5, program, fill=-9.0)
    known = back != -9
    assert back.shape == images.shape
    assert torch.equal(back[known], (images - 0.5)[known])
    assert 0 < known.sum() < images.numel()
    masks = pipeline.inverse({"mask": (out[:, 0] * 255).round().to(torch.int16)}, program, mask_fill=255)["mask"]
    assert torch.equal(masks[known[:, 0]], (images[:, 0] * 255).round().to(torch.int16)[known[:, 0]])
    assert (masks[~known[:, 0]] == 255).all()


def test_what_a_pad_has_added_is_not_taken_for_what_a_crop_before_it_cut_off():
    steps = {"crop": T.CenterCrop(20), "light": T.ColorJitter(0.1), "pad": T.Pad(8, padding_mode="edge")}
    pipeline, out, program = drawn(steps, pictures())
    back = pipeline.inverse(torch.ones(6, 1, *out.shape[2:]), program)
    assert back.sum() == 6 * 20 * 20
    assert (back[:, :, 8:28, 12:32] == 1).all()


@pytest.mark.parametrize("fuse", [True, False])
def test_a_blob_comes_back_to_its_place(fuse):
    center = np.array([19.0, 16.0])
    images = (blob(SIZE, center)[None, None].repeat(6, 3, 1, 1) * 255).round().to(torch.uint8)
    pipeline, out, program = drawn(AFFINE, images, fuse=fuse)
    back = pipeline.inverse(out.float(), program)
    assert back.shape == images.shape
    for score in back:
        assert np.abs(centroid(score[0]) - center).max() < 0.05


def test_points_and_boxes_come_back_to_their_place():
    points, boxes = torch.tensor([[15.0, 12.0], [22.5, 20.0]]), torch.tensor([[14.0, 12.0, 24.0, 20.0]])
    for steps, tolerance in ((AFFINE, 1e-4), (TURNS, 1e-5)):
        pipeline = ag.Pipeline(steps, seed=5)
        for index in range(5):
            sample = {
                "image": noise(SIZE, 3, "uint8"),
                "keypoints": points,
                "boxes": boxes,
                "labels": torch.tensor([1]),
            }
            out, program = pipeline.record(sample, index=index)
            back = pipeline.inverse({"keypoints": out["keypoints"], "boxes": out["boxes"]}, program)
            assert list(back) == ["keypoints", "boxes"]
            assert torch.allclose(back["keypoints"], points, atol=tolerance)
            # A box around a turned box is wider, and never narrower.
            assert (back["boxes"][:, :2] <= boxes[:, :2] + tolerance).all()
            assert (back["boxes"][:, 2:] >= boxes[:, 2:] - tolerance).all()
            if steps is TURNS:
                assert torch.allclose(back["boxes"], boxes, atol=tolerance)


def test_left_and_right_keypoints_change_places_twice():
    pipeline = ag.Pipeline([T.RandomHorizontalFlip(1.0)], flip_pairs=[(0, 1)])
    points = torch.tensor([[5.0, 6.0], [30.0, 7.0], [20.0, 20.0]])
    out, program = pipeline.record({"image": noise(SIZE, 3, "uint8"), "keypoints": points}, index=0)
    assert out["keypoints"][0, 0] == SIZE[1] - 30
    assert torch.equal(pipeline.inverse({"keypoints": out["keypoints"]}, program)["keypoints"], points)


def test_a_perspective_comes_back():
    points = torch.tensor([[15.0, 12.0], [22.5, 20.0]])
    pipeline = ag.Pipeline([T.RandomPerspective(0.4, p=1.0)], seed=2)
    sample = {"image": smooth(SIZE), "keypoints": points}
    out, program = pipeline.record(sample, index=0)
    back = pipeline.inverse(out, program)
    assert torch.allclose(back["keypoints"], points, atol=1e-3)
    inner = (slice(None), slice(14, 22), slice(16, 28))
    assert (back["image"][inner] - sample["image"][inner]).abs().max() < 0.02


def test_the_mean_over_flips_is_symmetric():
    flips = ag.Pipeline({"flip": T.RandomHorizontalFlip(), "upside": T.RandomVerticalFlip()}, seed=1)
    image = noise((16, 16), 3)
    steps = [[], ["flip"], ["upside"], ["flip", "upside"]]
    samples = [{"size": [16, 16], "steps": [{"name": name, "params": []} for name in names]} for names in steps]
    program = {"version": 1, "samples": samples}

    def model(images):
        # A network that looks to the right and down: what is averaged over all flips has no such preference.
        return images.cumsum(-1).cumsum(-2)[:, :1] - 3

    views = flips.replay(image.expand(4, 3, 16, 16), program)
    mean = flips.inverse(model(views), program).mean(0)
    symmetric = (image + image.flip(-1)) / 2
    views = flips.replay(symmetric.expand(4, 3, 16, 16), program)
    even = flips.inverse(model(views), program).mean(0)
    assert torch.allclose(even, even.flip(-1), atol=1e-4)
    assert not torch.allclose(mean, mean.flip(-1), atol=1e-2)
    flipped = flips.inverse(model(flips.replay(image.flip(-1).expand(4, 3, 16, 16), program)), program).mean(0)
    assert torch.allclose(flipped, mean.flip(-1), atol=1e-4)


def test_weights_of_ones_make_a_mean_over_crops_exact():
    images = torch.full((5, 1, *SIZE), 0.75)
    pipeline, out, program = drawn({"crop": T.RandomResizedCrop(SIZE, (0.3, 0.9))}, images)
    scores, weights = (pipeline.inverse(given, program).sum(0) for given in (out, torch.ones_like(out)))
    seen = weights > 0.01
    assert torch.allclose((scores / weights)[seen], torch.tensor(0.75), atol=1e-4)


def test_a_gradient_flows_back():
    pipeline, out, program = drawn(AFFINE, pictures())
    scores = out.float().requires_grad_()
    pipeline.inverse(scores, program).sum().backward()
    assert scores.grad is not None
    assert scores.grad.abs().sum() > 0


def test_images_of_several_sizes_are_mapped_one_by_one():
    images = [noise(size, 3, "uint8") for size in ((20, 30), (31, 22))]
    pipeline, out, program = drawn({"turn": T.RandomRotation((-90, -90)), "resize": T.Resize((24, 24))}, images)
    back = pipeline.inverse([{"mask": torch.ones(24, 24, dtype=torch.uint8)} for _ in out], program)
    assert [tuple(entry["mask"].shape) for entry in back] == [(20, 30), (31, 22)]


@pytest.mark.parametrize(
    ("transforms", "names"),
    [
        ([T.RandomRotation(3), T.ElasticTransform()], r"elastic_transform \(ElasticTransform\) move"),
        (
            {"one": T.OneOf({"a": T.GridDistortion(p=0.0), "b": T.RandomInvert()}), "mix": T.AugMix()},
            r"one/a \(GridDistortion\), mix \(AugMix\) move pixels by more than a homography.*leave them out",
        ),
    ],
)
def test_what_has_no_inverse_is_listed(transforms, names):
    pipeline = ag.Pipeline(transforms)
    program = pipeline.draw([SIZE], index=0)
    with pytest.raises(ValueError, match=names):
        pipeline.inverse(torch.zeros(1, *SIZE), program)


def test_predictions_that_do_not_fit_the_program_are_named():
    pipeline, _, program = drawn({"crop": T.RandomCrop(20)}, pictures())
    with pytest.raises(ValueError, match="sample 0 is 36 x 44, and its program was drawn for 20 x 20 pixels"):
        pipeline.inverse(torch.zeros(6, 1, *SIZE), program)
    with pytest.raises(ValueError, match="2 entries for a program of 6 images"):
        pipeline.inverse([{"mask": torch.zeros(20, 20)}] * 2, program)
    mixed = ag.Pipeline([T.RandomRotation((0, 0), expand=True)]).draw([(8, 8), (9, 9)], index=[0, 1])
    with pytest.raises(ValueError, match="differ in size; give a list with one dict per image"):
        ag.Pipeline([T.RandomRotation((0, 0), expand=True)]).inverse({"mask": torch.zeros(2, 8, 8)}, mixed)
