"""The barrier: what is not ours runs as it is, under the sample's own draw, and leaves everything as it was."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
import torch

from augsynth import AugsynthError, Pipeline
from augsynth import transforms as T
from augsynth.adapters.foreign import Foreign

ENGINES = pytest.mark.parametrize("engine", ["opencv", "torch"])
IMAGE = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(IMAGE).permute(2, 0, 1).contiguous()


def add_three_numbers(image):
    """Add a number of each of the three generators that foreign code may draw from."""
    return (image // 4) + int(torch.randint(40, ())) + int(np.random.randint(40)) + random.randrange(40)  # noqa: NPY002


def double(image):
    return image * 2 if image.is_floating_point() else image.clamp(max=127) * 2


def turn(image):
    return image.transpose(1, 2)


def shift(image):
    return torch.roll(image, 3, 2)


class Add(torch.nn.Module):
    def __init__(self, amount):
        super().__init__()
        self.amount = torch.tensor(amount)

    def forward(self, image):
        return image // 2 + self.amount


def barrier(transform, **arguments):
    return Pipeline([Foreign(transform, getattr(transform, "__name__", "module"), **arguments)])


def states():
    legacy = np.random.get_state()  # noqa: NPY002
    return torch.random.get_rng_state().tolist(), legacy[1].tolist(), legacy[2:], random.getstate()


@ENGINES
def test_a_sample_is_a_function_of_its_key_alone_or_in_a_batch(engine):
    pipeline = Pipeline([Foreign(add_three_numbers, "add")], engine=engine)
    together = pipeline(torch.stack([TENSOR] * 6), index=range(6))
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    assert all(torch.equal(pipeline(TENSOR, index=i), together[i]) for i in range(6))
    assert len({int(image[0, 0, 0]) for image in together}) > 3
    assert not torch.equal(pipeline(TENSOR, index=0, epoch=1), together[0])


def test_each_of_the_three_generators_follows_the_key():
    for draw in (lambda: int(torch.randint(200, ())), lambda: np.random.randint(200), lambda: random.randrange(200)):  # noqa: NPY002
        pipeline = barrier(lambda image, draw=draw: image * 0 + int(draw()))
        drawn = [int(pipeline(TENSOR, index=i)[0, 0, 0]) for i in range(12)]
        assert drawn == [int(pipeline(TENSOR, index=i)[0, 0, 0]) for i in range(12)]
        assert len(set(drawn)) > 6


@ENGINES
def test_global_random_states_are_put_back(engine):
    before = states()
    Pipeline([Foreign(add_three_numbers, "add")], engine=engine)(TENSOR, index=3)
    assert states() == before


def test_global_random_states_are_put_back_after_an_error():
    before = states()
    with pytest.raises(AugsynthError):
        barrier(lambda image: add_three_numbers(image) + "no")(TENSOR, index=3)
    assert states() == before


def test_both_engines_run_the_same():
    transforms = [
        Foreign(add_three_numbers, "add"),
        T.RandomHorizontalFlip(),
        Foreign(double, "double", dtype="float32"),
    ]
    one, other = (Pipeline(transforms, engine=engine)(TENSOR, index=4) for engine in ("opencv", "torch"))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("takes", "dtype", "kind"), [("pil", None, "Image"), ("tensor", "float32", "Tensor")])
def test_it_is_given_what_it_takes(takes, dtype, kind):
    seen = []
    barrier(lambda image: seen.append(image) or image, takes=takes, dtype=dtype)(TENSOR, index=0)
    assert type(seen[0]).__name__ == kind
    if takes == "tensor":
        assert torch.equal(seen[0], TENSOR / 255)
    else:
        assert np.array_equal(np.asarray(seen[0]), IMAGE)


def test_it_is_given_a_tv_tensor_that_v2_takes_for_an_image():
    seen = []
    barrier(lambda image: seen.append(type(image).__name__) or image, takes="image")(TENSOR, index=0)
    assert seen == ["Image"]


@pytest.mark.parametrize("takes", ["pil", "tensor", "image"])
def test_gray_images_stay_gray(takes):
    gray = TENSOR[:1]
    assert torch.equal(barrier(lambda image: image, takes=takes)(gray, index=0), gray)


def test_float_images_stay_float_and_are_given_as_such():
    seen = []
    image = TENSOR / 255
    out = barrier(lambda image: seen.append(image.dtype) or image)(image, index=0)
    assert seen == [torch.float32]
    assert torch.equal(out, image)
    levels = barrier(lambda image: seen.append(image.dtype) or image, dtype="uint8")(image, index=0)
    assert seen[1] == torch.uint8
    assert (levels - image).abs().max() < 1e-6


def test_it_may_write_into_what_it_is_given():
    for image in (IMAGE, IMAGE[:, :, 0].copy()):
        before = image.copy()
        out = barrier(torch.Tensor.zero_)(image, index=0)
        assert np.array_equal(image, before)
        assert not out.any()


def test_values_outside_the_range_are_cut_off():
    out = barrier(lambda image: image * 1.5 - 0.2, dtype="float32")(TENSOR / 255, index=0)
    assert torch.allclose(out, (TENSOR / 255 * 1.5 - 0.2).clamp(0, 1))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda image: image[:, :20], r"module made 20 x 30 pixels of 24 x 30; a barrier must keep the image's size"),
        (lambda image: image[:1], "module made 1 channels of 3; a barrier must keep their number"),
        (lambda image: image * 5 - 2.5, r"module returned values from -2.5 to 2.5; a float image lies in \[0, 1\]"),
        (lambda image: image * float("nan"), "module returned values from nan to nan"),
        (lambda image: image.long(), "module returned int64; give uint8"),
        (lambda image: (image, image), "module returned a tuple of .*not one image"),
    ],
)
def test_a_result_that_is_no_image_of_the_same_shape_is_named(transform, message):
    image = torch.tensor([0, 128, 255], dtype=torch.uint8)[:, None, None].expand(3, 24, 30)
    with pytest.raises((ValueError, TypeError), match=f"barrier {message}"):
        Pipeline([Foreign(transform, "module", dtype="float32")])(image, index=0)


def test_an_error_inside_is_named_with_what_it_was_given():
    with pytest.raises(
        AugsynthError, match=r'barrier mine raised ZeroDivisionError for a tensor of uint8.*images="pil"'
    ):
        Pipeline([Foreign(lambda image: 1 / 0, "mine")])(TENSOR, index=0)


def test_a_gradient_is_refused_and_not_cut_silently():
    image = (TENSOR / 255).requires_grad_()
    with pytest.raises(ValueError, match="double is a barrier and cannot be differentiated"):
        barrier(double, dtype="float32")(image, index=0)
    with torch.no_grad():
        assert barrier(double, dtype="float32")(image, index=0).shape == image.shape


@pytest.mark.parametrize("target", [{"mask": np.zeros((24, 30), np.uint8)}, {"boxes": [[1.0, 2.0, 9.0, 9.0]]}])
def test_targets_beside_what_may_move_pixels_are_an_error(target):
    with pytest.raises(TypeError, match="cannot follow foreign"):
        barrier(shift)({"image": IMAGE, **target}, index=0)


def test_targets_beside_what_moves_none_stay():
    sample = {"image": IMAGE, "boxes": [[1.0, 2.0, 9.0, 9.0]]}
    out = Pipeline([T.RandomHorizontalFlip(1.0), Foreign(double, "double", may_move=False)])(sample, index=0)
    assert out["boxes"] == [[21.0, 2.0, 29.0, 9.0]]


def test_its_probability_is_ours_and_strength_multiplies_it():
    pipeline = barrier(double, p=0.4)
    images = torch.stack([TENSOR] * 400)

    def share(strength):
        out = pipeline(images, index=range(400), strength=strength)
        return (out != images).flatten(1).any(1).float().mean()

    assert share(1.0) == pytest.approx(0.4, abs=0.08)
    assert share(0.5) == pytest.approx(0.2, abs=0.07)
    assert share(0.0) == 0


def test_it_pickles_with_what_it_holds():
    pipeline = Pipeline([Foreign(Add(7), "add"), Foreign(add_three_numbers, "numbers")])
    twin = pickle.loads(pickle.dumps(pipeline))
    assert torch.equal(twin(TENSOR, index=2), pipeline(TENSOR, index=2))


def test_what_cannot_be_pickled_is_named_with_what_to_do():
    with pytest.raises(TypeError, match=r"mine cannot be pickled.*at the top level of a module"):
        pickle.dumps(Foreign(lambda image: image, "mine"))


def test_two_modules_that_print_alike_are_not_rendered_together():
    one, other = Add(1), Add(100)
    assert repr(one) == repr(other)
    assert Foreign(one, "add") != Foreign(other, "add")
    out = Pipeline([Foreign(one, "add"), Foreign(other, "add")])(TENSOR, index=0)
    assert torch.equal(out, (TENSOR // 2 + 1) // 2 + 100)
    assert Foreign(one, "add") == Foreign(one, "add")
    assert hash(Foreign(one, "add")) == hash(Foreign(one, "add"))


@pytest.mark.parametrize(("field", "value"), [("takes", "array"), ("dtype", "int8"), ("p", 1.5)])
def test_a_bad_argument_is_named(field, value):
    with pytest.raises(ValueError, match=f"Foreign: {field}={value!r} is not valid; expected"):
        Foreign(double, "double", **{field: value})


@pytest.mark.cuda
def test_an_image_on_a_device_goes_through_the_cpu_and_back():
    for engine in ("auto", "torch"):
        pipeline = Pipeline([Foreign(add_three_numbers, "add")], engine=engine)
        out = pipeline(TENSOR.cuda(), index=3)
        assert out.device.type == "cuda"
        assert torch.equal(out.cpu(), pipeline(TENSOR, index=3))
