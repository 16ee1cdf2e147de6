"""JPEG against the codecs of Pillow and torchvision, to the bit; and its gradient."""

from __future__ import annotations

import io
from importlib import resources

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from examples import noise, smooth
from PIL import Image

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.jpeg import tables

over_engines = pytest.mark.parametrize("engine", ["opencv", "torch"])
over_channels = pytest.mark.parametrize("channels", [1, 3])
QUALITIES = [1, 10, 25, 49, 50, 75, 90, 100]
SIZES = [(1, 1), (3, 4), (5, 6), (8, 8), (16, 16), (17, 33), (23, 34), (31, 47), (40, 31)]


def photograph(channels=3):
    data = resources.files("augsynth.data").joinpath("assets/astronaut.jpg").read_bytes()
    picture = Image.open(io.BytesIO(data)).convert("RGB" if channels == 3 else "L")
    array = np.asarray(picture)[60:190, 100:251].reshape(130, 151, channels)
    return torch.from_numpy(array.copy()).permute(2, 0, 1)


def coded(image, quality):
    file = io.BytesIO()
    array = image.permute(1, 2, 0).numpy()
    Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0]).save(file, "JPEG", quality=quality)
    done = np.asarray(Image.open(file)).copy()
    return torch.from_numpy(done.reshape(array.shape)).permute(2, 0, 1)


def render(transform, image, engine, index=0, **arguments):
    return Pipeline([transform], seed=3, engine=engine)(image, index=index, **arguments)


@over_engines
@over_channels
@pytest.mark.parametrize("quality", QUALITIES)
def test_jpeg_is_pillows_to_the_bit_at_any_size(engine, channels, quality):
    for seed, size in enumerate(SIZES):
        image = noise(size, channels, "uint8", seed)
        assert torch.equal(render(T.JPEG(quality), image, engine), coded(image, quality))


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")
@over_engines
@over_channels
@pytest.mark.parametrize("quality", QUALITIES)
def test_jpeg_of_a_photograph_is_torchvisions_to_the_bit(engine, channels, quality):
    image = photograph(channels)
    assert torch.equal(render(T.JPEG(quality), image, engine), F.jpeg(image, quality))


@over_engines
def test_jpeg_of_floats_is_that_of_their_levels(engine):
    image = photograph()
    got = render(T.JPEG(40), (image + 0.3).clamp(max=255) / 255, engine)
    torch.testing.assert_close(got, coded(image, 40).float() / 255, atol=1e-6, rtol=0)


def test_each_image_of_a_batch_has_a_quality_of_its_own():
    images = torch.stack([noise((24, 24), 3, "uint8", seed) for seed in range(8)])
    pipeline = Pipeline([T.JPEG((5, 95))], seed=3, engine="torch")
    drawn = pipeline.draw([(24, 24)] * 8, index=range(8)).params[:, 0, 0].astype(int).tolist()
    assert len(set(drawn)) > 5
    for image, got, quality in zip(images, pipeline(images, index=range(8)), drawn, strict=True):
        assert torch.equal(got, coded(image, quality))


def test_every_quality_of_the_range_is_drawn():
    pipeline = Pipeline([T.JPEG((60, 64))])
    drawn = pipeline.draw([(8, 8)] * 200, index=range(200)).params[:, 0, 0]
    assert sorted(set(drawn.tolist())) == [60, 61, 62, 63, 64]
    weaker = pipeline.draw([(8, 8)] * 200, index=range(200), strength=0.5).params[:, 0, 0]
    assert set(weaker.tolist()) == {80, 81, 82}
    assert (pipeline.draw([(8, 8)] * 9, index=range(9), strength=0.0).params[:, 0, 0] == 100).all()


@pytest.mark.parametrize("quality", [1, 30, 49, 50, 51, 77, 100])
def test_the_quantisation_tables_are_those_in_a_file(quality):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    written = Image.open(file).quantization
    ours = tables(np.array([float(quality)]))[0].reshape(2, 64)
    assert sorted(ours[0].tolist()) == sorted(written[0])
    assert sorted(ours[1].tolist()) == sorted(written[1])


def test_the_gradient_passes_the_rounding():
    # At quality 100 compression is close to nothing, so that the gradient is close to the identity's.
    image = smooth((24, 30), 1, "float64")[None].requires_grad_()
    weights = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1, 24, 30)))
    (Pipeline([T.JPEG(100)], engine="torch")(image, index=[0]) * weights).sum().backward()
    torch.testing.assert_close(image.grad, weights, atol=1e-3, rtol=0)


def test_the_gradient_of_color_is_that_of_halved_chroma():
    image = (0.25 + smooth((16, 16), 3, "float64") / 2)[None].requires_grad_()
    Pipeline([T.JPEG(90)], engine="torch")(image, index=[0])[0, :, 4:12, 4:12].sum().backward()
    # Away from the edges the sum over all pixels and channels is a sum of lumas alone.
    assert image.grad.sum().item() == pytest.approx(3 * 64, rel=1e-3)
    assert (image.grad[0, 1] > image.grad[0, 2]).double().mean() > 0.2
