"""What the compiled kernel draws has the bits of what numpy draws, and numpy takes over where the kernel must not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from examples import noise

from augsynth import Pipeline, elementary, pipeline
from augsynth import transforms as T
from augsynth.engines.native_plan import instructions
from augsynth.rng import KeyedIndex, Rng

JITTER = T.ColorJitter(0.4, 0.4, 0.4, 0.1)
EPOCHS = 12
PLANS = {
    "nothing": [T.RandomHorizontalFlip(0.0)],
    "small pictures": [T.RandomCrop(32, 4), T.RandomHorizontalFlip()],
    "padded where needed": [T.RandomCrop((60, 45), pad_if_needed=True, padding_mode="reflect"), JITTER],
    "resized crop": [T.RandomResizedCrop((24, 30)), T.RandomHorizontalFlip(), JITTER, T.RandomErasing(value=9)],
    "two jitters": [T.ColorJitter(contrast=0.5), T.ColorJitter(0.3, 0.5)],
    "no window fits": [T.RandomResizedCrop(20, (0.9, 1.0), (5.0, 6.0)), T.RandomGrayscale(1.0)],
    "affine": [
        T.RandomAffine(30, (0.1, 0.2), (0.5, 2.0), (-10, 10, -5, 5), "bilinear", fill=7),
        T.RandomVerticalFlip(),
        T.RandomGrayscale(),
        JITTER,
    ],
    "centred": [T.RandomAffine(10, center=(3, 4)), T.RandomRotation((80, 100), "bicubic", center=(9, 20))],
    "chosen": [
        T.Resize(40),
        T.CenterCrop(45),
        T.RandomRotation(90, "bilinear"),
        T.OneOf([T.RandomHorizontalFlip(), T.Transpose(), T.RandomVerticalFlip()], weights=(1, 2, 0)),
        T.RandomApply([JITTER, T.RandomErasing(1.0, value=(1, 2, 3))], 0.7),
    ],
    "padded": [T.Pad((1, 2, 3, 4), padding_mode="symmetric"), T.D4(), T.Resize((20, 30)), T.RandomErasing(1.0), JITTER],
    "longest side": [T.Resize(30, max_size=40), T.RandomRotate90(), T.RandomResizedCrop(20)],
}
over_plans = pytest.mark.parametrize("steps", PLANS.values(), ids=PLANS)


def images_of(channels, dtype="uint8"):
    return [noise(size, channels, dtype, i) for i, size in enumerate([(40, 50), (64, 33), (50, 50), (40, 50)])]


@pytest.fixture
def by_kernel(monkeypatch):
    """Count the batches that the kernel draws; with `by_kernel.off`, it draws none."""

    class Watch:
        count, off = 0, False

        def __call__(self, *arguments):
            if self.off:
                return None
            result = real(*arguments)
            self.count += result is not None
            return result

    real, watch = pipeline.render_drawn, Watch()
    monkeypatch.setattr(pipeline, "render_drawn", watch)
    return watch


def equal(first, second):
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("color", ["exact", "linear"])
@over_plans
def test_the_kernel_draws_the_bits_that_numpy_draws(steps, color, channels, by_kernel):
    if channels == 1 and "value=(1, 2, 3)" in repr(steps):
        steps = steps[:-1]
    for strength, dtype, last in ((1.0, "uint8", []), (0.6, "float32", [T.Normalize(0.4, 0.2)])):
        if dtype == "float32":
            steps = [step for step in steps if "RandomErasing" not in repr(step) and "fill=7" not in repr(step)]
        augment = Pipeline([*steps, *last], seed=5, color=color, engine="native")
        images = images_of(channels, dtype)
        for epoch in range(EPOCHS):
            key = {"index": [7, 2, 5, 2**32 - 1], "epoch": epoch, "occurrence": [0, 3, 0, 1], "strength": strength}
            by_kernel.off, by_kernel.count = False, 0
            drawn = augment(images, **key)
            assert by_kernel.count == 1
            by_kernel.off = True
            assert equal(drawn, augment(images, **key))


def test_what_the_kernel_cannot_draw_is_drawn_in_numpy(by_kernel):
    blurred = Pipeline([T.RandomHorizontalFlip(), T.GaussianBlur(3)], engine="native")
    twice = Pipeline([T.RandomRotation(20, fill=3), T.RandomCrop(20, 4)], engine="native")
    mixed = Pipeline([T.RandomHorizontalFlip()], engine="native")
    for augment in (blurred, twice):
        assert instructions(augment.plan, 1.0) is None
        augment(images_of(3), index=range(4))
    mixed([images_of(3)[0], images_of(1)[0]], index=range(2))
    sequence = Pipeline([T.RandomHorizontalFlip()], engine="native", fuse=False)
    sequence(images_of(3), index=range(4))
    assert by_kernel.count == 0


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (T.RandomCrop(45), r"random_crop: sample 1 \(index 2\): size=45 is larger than the image"),
        (T.Pad(45, padding_mode="reflect"), r"pad: sample 0 \(index 7\): padding_mode=reflect needs padding smaller"),
    ],
)
def test_an_error_names_the_sample_as_it_does_without_the_kernel(step, message):
    sizes = [(45, 60), (44, 60), (45, 60), (45, 60)] if isinstance(step, T.RandomCrop) else [(45, 60), (46, 60)]
    images = [noise(size, 3, "uint8", i) for i, size in enumerate(sizes)]
    with pytest.raises(ValueError, match=message):
        Pipeline([step], engine="native")(images, index=[7, 2, 5, 9][: len(images)])


def test_targets_move_by_the_map_that_the_kernel_draws(by_kernel):
    augment = Pipeline(PLANS["affine"][:2], seed=3, engine="native")
    image = images_of(3)[0]
    mask = torch.zeros(image.shape[1:], dtype=torch.uint8)
    alone = augment(image, index=4)
    assert by_kernel.count == 1
    with_mask = augment({"image": image, "mask": mask}, index=4)["image"]
    assert by_kernel.count == 1
    assert torch.equal(alone, with_mask)


def test_a_keyed_index_brings_its_own_epoch_to_the_kernel(by_kernel):
    augment = Pipeline(PLANS["small pictures"], seed=3, engine="native")
    images = images_of(3)[:2]
    keyed = augment(images, index=[KeyedIndex(4, 2, 1), KeyedIndex(9, 3)])
    assert by_kernel.count == 1
    by_kernel.off = True
    assert torch.equal(keyed[0], augment(images[0], index=4, epoch=2, occurrence=1))
    assert torch.equal(keyed[1], augment.images(images[1:], Rng.of(3, 9, 3))[0])


def test_a_strength_that_comes_again_is_lowered_again():
    augment = Pipeline([T.RandomRotation(40)], engine="native")
    image = images_of(3)[0]
    full, half = augment(image, index=3), augment(image, index=3, strength=0.5)
    assert not torch.equal(full, half)
    assert torch.equal(augment(image, index=3), full)


def test_elementary_functions_are_right_to_a_few_units_in_the_last_place():
    values = np.concatenate([np.random.default_rng(0).uniform(-720, 720, 4000), np.arange(-720, 721, 45.0)])
    cos, sin = elementary.cos_sin(values)
    exact = [(math.cos(math.radians(math.fmod(v, 360))), math.sin(math.radians(math.fmod(v, 360)))) for v in values]
    np.testing.assert_allclose(np.stack([cos, sin], 1), exact, rtol=0, atol=2e-15)
    np.testing.assert_allclose(elementary.exp(values / 100), [math.exp(v / 100) for v in values], rtol=1e-15)
    positive = np.abs(values) + 1e-6
    np.testing.assert_allclose(elementary.log(positive), [math.log(v) for v in positive], rtol=1e-15, atol=1e-16)
    turns = elementary.cos_sin(np.array([0.0, 90.0, 180.0, 270.0, 360.0, -90.0]))
    assert [list(map(float, part)) for part in turns] == [[1, 0, -1, 0, 1, 0], [0, 1, 0, -1, 0, -1]]
