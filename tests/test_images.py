"""Every form an image comes in, on every engine: tensors, arrays, PIL modes, layouts, dtypes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from examples import noise
from PIL import Image
from torchvision import tv_tensors

from augsynth import Pipeline
from augsynth import transforms as T

FLIP = T.RandomHorizontalFlip(1.0)
over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])


def flip(engine="auto", **arguments):
    return Pipeline({"flip": FLIP}, engine=engine, **arguments)


def hwc(image):
    return image.permute(1, 2, 0).numpy()


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tensors_keep_their_layout_and_dtype(engine, dtype, channels):
    image = noise((9, 14), channels, dtype)
    batch = torch.stack([image, image + 0])
    assert torch.equal(flip(engine)(image, index=0), image.flip(2))
    assert torch.equal(flip(engine)(batch, index=[0, 1]), batch.flip(3))


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 3), (2, 9, 14, 1), (2, 9, 14, 3)])
def test_arrays_keep_their_layout_and_dtype(engine, dtype, shape):
    array = np.random.default_rng(0).random(shape)
    array = (array * 255).astype(np.uint8) if dtype == "uint8" else array.astype(dtype)
    out = flip(engine)(array, index=range(2) if len(shape) == 4 else 0)
    assert isinstance(out, np.ndarray)
    assert np.array_equal(out, np.flip(array, 1 if len(shape) < 4 else 2))
    assert out.dtype == array.dtype


@over_engines
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pil_images_come_back_as_pil_images(engine, mode):
    image = Image.fromarray(hwc(noise((9, 14), 3, "uint8"))).convert(mode)
    out = flip(engine)(image, index=0)
    assert out.mode == mode
    assert np.array_equal(np.array(out), np.array(image)[:, ::-1])


def _premultiplied(colors, alpha):
    """Return colours `(H, W, C)` times alpha / 255, as PIL rounds it."""
    product = np.atleast_3d(colors).astype(np.int64) * alpha[:, :, None] + 128
    return (((product >> 8) + product) >> 8).astype(np.uint8)


def pil(mode):
    """Return a PIL image of a mode, and what it should be read as: (H, W, C) uint8, or floats in [0, 1]."""
    rgb = hwc(noise((9, 14), 3, "uint8"))
    gray, alpha = rgb[:, :, 0], rgb[:, :, 1]
    over_black = np.rint(np.array([[[1.0]]]) * rgb * (alpha[:, :, None] / np.float32(255))).astype(np.uint8)
    if mode == "RGBA":
        return Image.fromarray(np.dstack([rgb, alpha])), over_black
    if mode == "opaque RGBA":
        return Image.fromarray(np.dstack([rgb, np.full_like(alpha, 255)])), rgb
    if mode == "LA":
        expected = np.rint(gray * (alpha / np.float32(255))).astype(np.uint8)
        return Image.fromarray(np.dstack([gray, alpha])), np.repeat(expected[:, :, None], 3, 2)
    if mode == "La":
        return Image.fromarray(np.dstack([gray, alpha])).convert("La"), _premultiplied(gray, alpha)[:, :, [0, 0, 0]]
    if mode == "RGBa":
        return Image.fromarray(np.dstack([rgb, alpha])).convert("RGBa"), _premultiplied(rgb, alpha)
    if mode == "PA":
        image = Image.fromarray(rgb).convert("P").convert("PA")
        image.putalpha(Image.fromarray(np.where(alpha > 99, np.uint8(255), np.uint8(0))))
        return image, np.where(alpha[:, :, None] > 99, np.array(image.convert("RGB")), 0)
    if mode in ("P", "CMYK", "YCbCr", "HSV", "RGBX"):
        image = Image.fromarray(rgb).convert(mode)
        return image, np.array(image.convert("RGB"))
    if mode == "transparent P":
        image = Image.fromarray(rgb).convert("P")
        image.info["transparency"] = 3
        expected = np.array(image.convert("RGBA"))
        return image, np.where(expected[:, :, 3:] == 0, 0, expected[:, :, :3])
    if mode == "1":
        return Image.fromarray(gray > 100), np.where(gray > 100, 255, 0).astype(np.uint8)[:, :, None]
    if mode.startswith("I;16"):
        values = gray.astype(">u2" if mode == "I;16B" else "<u2" if mode == "I;16L" else "=u2") * 257
        return Image.frombytes(mode, (14, 9), values.tobytes()), (gray / 255)[:, :, None]
    if mode == "I":
        return Image.fromarray(gray.astype(np.int32) * 257), (gray / 255)[:, :, None]
    assert mode == "F"
    return Image.fromarray((gray / 255).astype(np.float32)), (gray / 255)[:, :, None]


PIL_MODES = ["RGBA", "opaque RGBA", "LA", "P", "transparent P", "CMYK", "YCbCr", "HSV", "1", "I;16", "I", "F"]
PIL_MODES += ["La", "RGBa", "RGBX", "PA", "I;16B", "I;16L", "I;16N"]


@over_engines
@pytest.mark.parametrize("mode", PIL_MODES)
def test_every_pil_mode_becomes_gray_or_rgb(engine, mode):
    image, expected = pil(mode)
    before = np.array(image)
    out = Pipeline([FLIP, T.Normalize((0.0,), (1.0,))], engine=engine)(image, index=0)
    unit = 255 if expected.dtype == np.uint8 else 1
    assert out.dtype == torch.float32
    assert np.abs(hwc(out) - expected[:, ::-1] / unit).max() < 1e-6
    assert np.array_equal(np.array(image), before)


@pytest.mark.parametrize("mode", PIL_MODES)
def test_every_pil_mode_comes_back_as_pil_without_normalize(mode):
    image, expected = pil(mode)
    out = flip()(image, index=0)
    assert isinstance(out, Image.Image)
    assert np.abs(np.array(out).reshape(expected.shape) - expected[:, ::-1]).max() < 1e-6


@over_engines
def test_tv_tensors_stay_tv_tensors(engine):
    image = tv_tensors.Image(noise((9, 14), 3, "uint8"))
    out = flip(engine)(image, index=0)
    assert type(out) is tv_tensors.Image
    assert torch.equal(out, image.flip(2))
    batch = tv_tensors.Image(torch.stack([image, image]))
    out = flip(engine)(batch, index=[0, 1])
    assert type(out) is tv_tensors.Image
    assert torch.equal(out, batch.flip(3))
    many = tv_tensors.Image(image.repeat(6, 1, 1, 1))
    turned = Pipeline([T.RandomRotation(60, expand=True)], engine=engine)(many, index=range(6))
    assert isinstance(turned, list)
    assert {type(image) for image in turned} == {tv_tensors.Image}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_keep_their_dtype(dtype):
    image = noise((9, 14)).to(dtype)
    out = Pipeline([FLIP, T.ColorJitter(0.3)])(image, index=1)
    plain = Pipeline([FLIP, T.ColorJitter(0.3)])(image.float(), index=1)
    assert out.dtype == dtype
    assert (out.float() - plain).abs().max() < {torch.bfloat16: 4e-3, torch.float16: 5e-4}.get(dtype, 1e-6)


@over_engines
def test_non_contiguous_images_and_channels_last_give_the_same(engine):
    wide = noise((18, 28), 3, "uint8")
    pipeline = Pipeline([T.RandomAffine(30, interpolation="bilinear"), T.ColorJitter(0.3)], engine=engine)
    cut = wide[:, ::2, ::2]
    last = cut.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    batch = torch.stack([cut, cut]).contiguous(memory_format=torch.channels_last)
    expected = pipeline(cut.contiguous(), index=3)
    for image in (cut, last):
        assert torch.equal(pipeline(image, index=3), expected)
    assert torch.equal(pipeline(batch, index=[3, 3])[1], expected)
    assert np.array_equal(pipeline(hwc(wide)[::2, ::2], index=3), hwc(expected))
    assert np.array_equal(pipeline(hwc(wide)[:, ::-1], index=3), pipeline(hwc(wide)[:, ::-1].copy(), index=3))


def test_a_read_only_array_is_fine():
    array = hwc(noise((9, 14), 3, "uint8")).copy()
    array.setflags(write=False)
    for engine in ("opencv", "torch"):
        assert np.array_equal(flip(engine)(array, index=0), array[:, ::-1])


def test_requires_grad_chooses_the_engine_that_is_differentiable():
    image = noise((9, 14)).requires_grad_()
    out = Pipeline([T.RandomRotation(20, "bilinear"), T.ColorJitter(0.3)])(image, index=1)
    out.sum().backward()
    assert image.grad.abs().sum() > 0


def test_a_batch_that_ends_in_one_size_is_contiguous_and_one_that_does_not_is_a_list():
    batch = noise((20, 20)).repeat(4, 1, 1, 1)
    out = Pipeline([FLIP])(batch, index=range(4))
    assert out.shape == (4, 3, 20, 20)
    assert out.is_contiguous()
    turned = Pipeline([T.RandomRotation(60, expand=True)])(batch, index=range(4))
    assert isinstance(turned, list)
    assert len({image.shape for image in turned}) > 1


@pytest.mark.parametrize(
    "shape", [(16, 4, 4), (8, 30, 5), (2, 40, 3), (3, 40, 1), (64, 28, 28), (13, 1, 9), (16, 8, 4)]
)
def test_a_tensor_may_have_any_number_of_channels(shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(flip()(image, index=0), image.flip(2))
    assert torch.equal(flip()(image[None], index=[0]), image[None].flip(3))


@pytest.mark.parametrize("shape", [(9, 14, 13), (11, 11, 200), (217, 51, 20), (217, 20, 51), (40, 40, 40), (5, 6, 6)])
def test_an_array_may_have_any_number_of_channels(shape):
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    assert np.array_equal(flip()(array, index=0), array[:, ::-1])
    assert np.array_equal(flip()(array[None], index=[0]), array[None, :, ::-1])
