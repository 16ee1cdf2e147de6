"""A draw that is kept: recorded with its images, written as plain data, edited, and rendered on others."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from examples import EXAMPLES, MIXES, build, noise, pictures_of
from PIL import Image
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T

SIZES = [(24, 30), (24, 30), (24, 30)]
STEPS = {
    "crop": T.RandomResizedCrop((20, 18), antialias=True),
    "flip": T.RandomHorizontalFlip(),
    "jitter": T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    "policy": T.RandAugment(),
    "noise": T.GaussianNoise(),
    "erase": T.RandomErasing(0.8),
    "normalize": T.Normalize((0.5,), (0.5,)),
}
PIPELINE = ag.Pipeline(STEPS, seed=3)
CROP = ag.Pipeline({"turn": T.RandomRotation((10, 40), "bilinear"), "crop": T.RandomCrop(12)}, seed=3)


def images(dtype="uint8"):
    return torch.stack([noise(SIZES[0], 3, dtype, i) for i in range(3)])


def without_mixes():
    return [(name, i) for name in T.REGISTRY if name not in MIXES for i in range(len(EXAMPLES[name]))]


@pytest.mark.parametrize(("name", "example"), without_mixes(), ids=[f"{n}-{i}" for n, i in without_mixes()])
def test_every_transform_is_replayed_bit_for_bit_also_from_json(name, example):
    pipeline = ag.Pipeline({"it": build(name, EXAMPLES[name][example], "uint8")}, seed=3)
    pictures = pictures_of(name, 3, "uint8")
    out, program = pipeline.record(pictures, index=range(4), epoch=1)
    expected = pipeline(pictures, index=range(4), epoch=1)
    again = pipeline.replay(pictures, json.loads(json.dumps(program.to_dict())))
    for a, b, c, d in zip(out, expected, again, pipeline.replay(pictures, program), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
        assert torch.equal(a, d)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_what_draw_gives_is_what_a_call_renders(dtype):
    program = PIPELINE.draw(SIZES, index=range(3), epoch=2)
    given = images(dtype)
    expected = PIPELINE(given, index=range(3), epoch=2)
    assert torch.allclose(PIPELINE.replay(given, program), expected, atol=1e-6)
    assert torch.equal(PIPELINE.replay(given, pickle.loads(pickle.dumps(program))), PIPELINE.replay(given, program))


def test_without_an_index_a_draw_can_be_kept_too():
    first, program = PIPELINE.record(images())
    second, _ = PIPELINE.record(images())
    assert not torch.equal(first, second)
    assert torch.equal(PIPELINE.replay(images(), program), first)


def test_the_structure_of_a_sample_is_kept_and_targets_follow():
    sample = {"image": noise(SIZES[0], 3, "uint8"), "mask": torch.arange(720).reshape(24, 30), "name": "a"}
    sample |= {"boxes": torch.tensor([[3.0, 4.0, 9.0, 12.0]]), "labels": torch.tensor([4]), "keypoints": [[6.0, 8.0]]}
    out, program = CROP.record(sample, index=5)
    expected, again = CROP(sample, index=5), CROP.replay(sample, program)
    assert out.keys() == expected.keys() == again.keys() == sample.keys()
    for name in ("image", "mask", "boxes", "labels"):
        assert torch.equal(again[name], expected[name])
        assert torch.equal(out[name], expected[name])
    assert again["keypoints"] == expected["keypoints"]


def test_boxes_that_a_crop_left_out_are_left_out_again():
    pipeline = ag.Pipeline([T.RandomIoUCrop(), T.Resize((16, 16))], seed=1)
    boxes = torch.tensor([[0.0, 0.0, 5.0, 5.0], [20.0, 15.0, 29.0, 23.0], [10.0, 10.0, 15.0, 14.0]])
    counts = set()
    for index in range(12):
        sample = {"image": noise(SIZES[0], 3, "uint8"), "boxes": boxes, "labels": torch.arange(3)}
        out, program = pipeline.record(sample, index=index)
        again = pipeline.replay(sample, json.loads(json.dumps(program.to_dict())))
        assert torch.equal(out["boxes"], again["boxes"])
        assert torch.equal(out["labels"], again["labels"])
        counts.add(len(out["labels"]))
    assert len(counts) > 1


def test_one_draw_serves_all_frames_of_a_video():
    frames = images()
    first, program = PIPELINE.record(frames[0], index=0)
    replayed = PIPELINE.replay(frames, program)
    assert torch.equal(replayed[0], first)
    assert torch.equal(replayed[2], PIPELINE.replay(frames[2], program))


def test_pil_images_and_lists_are_replayed_as_what_they_are():
    pair = [Image.fromarray(noise(size, 3, "uint8").permute(1, 2, 0).numpy()) for size in ((24, 30), (30, 24))]
    out, program = CROP.record(pair, index=[0, 1])
    again = CROP.replay(pair, program)
    assert all(isinstance(image, Image.Image) for image in again)
    assert [image.tobytes() for image in out] == [image.tobytes() for image in again]


def test_an_adapted_pipeline_keeps_its_form():
    pipeline = ag.from_torchvision(v2.Compose([v2.RandomRotation(30), v2.ToImage()]))
    image = Image.fromarray(noise((24, 30), 3, "uint8").permute(1, 2, 0).numpy())
    out, program = pipeline.record(image, index=3)
    assert isinstance(out, torch.Tensor)
    assert torch.equal(out, pipeline(image, index=3))
    assert torch.equal(pipeline.replay(image, program), out)


def test_a_program_reads_as_what_happens_to_each_sample():
    data = CROP.draw([(24, 30), (40, 20)], index=[0, 1]).to_dict()
    first = data["samples"][0]
    assert (data["version"], first["size"], first["output_size"]) == (1, [24, 30], [12, 12])
    assert [(step["name"], step["transform"]) for step in first["steps"]] == [
        ("turn", "RandomRotation"),
        ("crop", "RandomCrop"),
    ]
    assert 10 <= first["steps"][0]["params"][0] <= 40


def test_an_edited_program_does_what_it_says():
    image = noise((24, 30), 3, "uint8")
    data = CROP.draw([(24, 30)], index=0).to_dict()
    turned = copy.deepcopy(data)
    turned["samples"][0]["steps"] = [{"name": "turn", "params": [180.0]}]
    assert torch.equal(CROP.replay(image, turned), image.flip(1, 2))
    turned["samples"][0]["steps"] = [{"name": "turn", "params": [90.0]}] * 4 + [{"name": "turn", "params": [180]}]
    square = noise((24, 24), 3, "uint8")
    turned["samples"][0]["size"] = [24, 24]
    assert torch.equal(CROP.replay(square, turned), square.flip(1, 2))
    data["samples"][0]["steps"] = []
    assert torch.equal(CROP.replay(image, data), image)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s["steps"][0].update(name="trun"),
            r"sample 0, step 0: .* no 'trun'; did you mean 'turn'\? Valid: turn",
        ),
        (lambda s: s["steps"][1].update(params=[1.0]), r"sample 0, step 1: params=\[1.0\] of crop must be 2 numbers"),
        (
            lambda s: s["steps"][0].update(transform="Pad"),
            r"sample 0, step 0: turn is a RandomRotation here, not a Pad",
        ),
        (lambda s: s["steps"][0].update(parms=[1]), r"sample 0, step 0: there is no 'parms'; did you mean 'params'"),
        (lambda s: s.update(step=[]), r"sample 0: there is no 'step'; did you mean 'steps'"),
        (lambda s: s.update(size=[3]), r"sample 0: size=\[3\] is not \[height, width\]"),
        (lambda s: s.update(size="ab"), r"sample 0: size='ab' is not \[height, width\]"),
        (lambda s: s.update(steps=3), r"sample 0: steps=3 is not a list"),
        (lambda s: s["steps"].append(3), r"sample 0, step 2: 3 is not a mapping of name, transform, params"),
        (lambda s: s["steps"][1].update(params=None), r"sample 0, step 1: params=None of crop must be 2 numbers"),
        (lambda s: s.update(size=[9, 9]), r"sample 0 is 24 x 30, and its program was drawn for 9 x 9 pixels; draw one"),
    ],
)
def test_what_is_wrong_in_an_edited_program_is_named(change, message):
    data = CROP.draw([(24, 30)], index=0).to_dict()
    change(data["samples"][0])
    with pytest.raises(ValueError, match=message):
        CROP.replay(noise((24, 30), 3, "uint8"), data)


def test_what_is_no_program_of_this_pipeline_or_these_images_is_refused():
    image = noise((24, 30), 3, "uint8")
    with pytest.raises(ValueError, match=r"drawn from turn, crop, by another pipeline; this one has crop, flip"):
        PIPELINE.replay(image, CROP.draw([(24, 30)], index=0))
    other = ag.Pipeline([T.RandomRotation(9)]).draw([(24, 30)], index=0)
    with pytest.raises(ValueError, match=r"this one has random_rotation, or other arguments"):
        ag.Pipeline([T.RandomRotation(8)]).replay(image, other)
    with pytest.raises(ValueError, match="drawn for 2 images, and there are 3"):
        PIPELINE.replay(images(), PIPELINE.draw(SIZES[:2], index=[0, 1]))
    with pytest.raises(TypeError, match=r"a program is what record\(\) or draw\(\) give.*of type int"):
        PIPELINE.replay(image, 3)
    with pytest.raises(ValueError, match=r"a program has version 1 and samples.*this has replay=1"):
        PIPELINE.replay(image, {"replay": 1})


def test_texts_and_mixed_samples_have_no_program():
    with pytest.raises(TypeError, match=r"replay: this pipeline edits texts.* a call with the same index="):
        ag.Pipeline([T.RandomSwap()]).replay("a b", {})
    with pytest.raises(TypeError, match=r"record: MixUp mixes the samples of a batch"):
        ag.Pipeline([T.MixUp(num_classes=2)]).record((images(), torch.tensor([0, 1, 0])))


def test_replaying_draws_nothing():
    program = PIPELINE.draw(SIZES, index=range(3))
    torch.manual_seed(0)
    before, state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    PIPELINE.replay(images(), program)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
