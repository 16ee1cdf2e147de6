from __future__ import annotations

import numpy as np
import pytest
import torch

from augsynth.generators import CheckpointError, ConditionalGAN, ConditionalVAE, DivergenceError, fit, load
from augsynth.generators.adversarial import GanTraining, cosine
from augsynth.generators.losses import finite_slope, squared_slopes
from augsynth.generators.variety import Health

SHAPE = (1, 12, 12)
SMALL = {"latent_dim": 8, "width": 8, "max_width": 8, "batch_size": 16}


def data(count=64, shape=SHAPE, classes=2):
    labels = torch.arange(count) % classes
    noise = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    return (0.3 * noise + 0.7 * labels.view(-1, 1, 1, 1) / max(classes - 1, 1)).clamp(0, 1), labels


def small(**options):
    return ConditionalGAN(SHAPE, 2, **{**SMALL, **options})


def same(one, two):
    a, b = one.state_dict(), two.state_dict()
    assert a.keys() == b.keys()
    return all(torch.equal(a[key], b[key]) for key in a if isinstance(a[key], torch.Tensor))


class Stop(Exception):
    pass


@pytest.mark.parametrize("make", [small, lambda: small(augment_strength="adaptive", adapt_images=200), "vae"])
def test_a_training_that_was_stopped_goes_on_to_the_bit(make, tmp_path, monkeypatch):
    build = (lambda: ConditionalVAE(SHAPE, 2, latent_dim=4, width=8, batch_size=16)) if make == "vae" else make
    whole = fit(build(), data(), max_images=200, seed=3)
    stopped, steps = build(), []
    begin = type(stopped).begin

    def stopping(self, *args):
        training = begin(self, *args)
        step = training.step

        def counted(*inner):
            if len(steps) == 5:
                raise KeyboardInterrupt
            steps.append(1)
            return step(*inner)

        training.step = counted
        return training

    monkeypatch.setattr(type(stopped), "begin", stopping)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data(), max_images=200, seed=3, checkpoint=tmp_path / "g.ckpt")
    monkeypatch.undo()
    resumed = fit(build(), data(), max_images=200, seed=3, checkpoint=tmp_path / "g.ckpt")
    assert same(whole, resumed)
    assert same(whole, load(tmp_path / "g.ckpt"))


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    path = tmp_path / "g.ckpt"
    fit(small(), data(), max_images=32, checkpoint=path)
    with pytest.raises(CheckpointError, match="another seed"):
        fit(small(), data(), max_images=32, checkpoint=path, seed=1)
    with pytest.raises(CheckpointError, match="other data"):
        fit(small(), data(66), max_images=32, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"width=8 \(now 16\)"):
        fit(small(width=16), data(), max_images=32, checkpoint=path)
    small_one = load(path)
    small_one.save(path)
    with pytest.raises(CheckpointError, match="without the state of its training"):
        fit(small(), data(), max_images=32, checkpoint=path)


def test_it_learns_which_class_is_bright_and_varies():
    images, labels = data(256)
    images = images * torch.linspace(0.4, 1, 256).view(-1, 1, 1, 1)
    gan = fit(small(lr=5e-3), (images, labels), max_images=6000)
    made = gan.generate([0] * 50 + [1] * 50).image.mean((1, 2, 3))
    assert made[50:].mean() - made[:50].mean() > 0.3
    real = images[labels == 1].mean((1, 2, 3)).std()
    assert 0.5 * real < made[50:].std() < 2 * real


def test_each_step_has_noise_of_its_own():
    gan, seen = small(), []
    gan.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    training = GanTraining(gan, _samples(), 0)
    for first in (0, 16):
        training.step(first, 16, 0.0)
    assert len({tuple(noise.flatten().tolist()) for noise in seen}) == 4


def test_the_critic_hears_the_label():
    gan = fit(small(), data(), max_images=64)
    image = torch.rand(1, *SHAPE).expand(2, -1, -1, -1)
    first, second = gan.critic(image, torch.tensor([0, 1]))
    assert first != second


@pytest.mark.parametrize(("name", "side", "channels"), [("tiny", 28, 1), ("32", 32, 3), ("64", 64, 3), ("128", 128, 3)])
def test_a_preset_trains_at_its_size(name, side, channels):
    from hydra import compose, initialize_config_module

    from augsynth.config import build, version_base

    with initialize_config_module("augsynth.conf", **version_base()):
        node = compose("compare", [f"generator=cgan_{name}"]).generator.model
    gan = build(node, image_shape=(channels, side, side), num_classes=2, batch_size=2)
    weights = sum(weight.numel() for weight in gan.net.parameters())
    assert 40_000 < weights < 80_000 if name == "tiny" else 500_000 < weights < 3_000_000
    fit(gan, data(8, (channels, side, side)), max_images=4)
    assert gan.generate([1]).image.shape == (1, channels, side, side)


def test_samples_are_made_by_the_averaged_weights():
    gan = fit(small(), data(), max_images=640)
    before = gan.generate([0, 1]).image
    with torch.no_grad():
        gan.net.basis.add_(1.0)
    assert torch.equal(gan.generate([0, 1]).image, before)
    with torch.no_grad():
        gan.average.basis.add_(1.0)
    assert not torch.equal(gan.generate([0, 1]).image, before)


def test_a_sample_is_a_function_of_its_key_and_is_marked():
    gan = fit(small(), data(), max_images=64)
    together = gan.generate([0, 1, 1], seed=5)
    alone = gan.generate([1], seed=5, index=[2])
    torch.testing.assert_close(together.image[2], alone.image[0], rtol=0, atol=1e-6)
    assert together.synthetic.all()
    assert together.image.min() >= 0
    assert together.image.max() <= 1
    assert together.provenance[2].generator == "ConditionalGAN"
    assert together.provenance[2].checkpoint == gan.checkpoint_hash()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (5, 20, 13), (4, 9, 33)])
@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("block", ["plain", "inverted"])
def test_any_channel_count_and_size(shape, patch, block):
    gan = ConditionalGAN(shape, 3, width=8, max_width=16, patch=patch, block=block, batch_size=6)
    fit(gan, data(12, shape, 3), max_images=12)
    assert gan.generate([2, 0]).image.shape == (2, *shape)
    assert gan.critic(torch.rand(4, *shape), torch.tensor([0, 1, 2, 0])).shape == (4,)


@pytest.mark.parametrize("options", [{"loss": "hinge", "gamma": 0.0}, {"loss": "plain"}, {"penalty": "fd"}])
def test_the_other_losses_and_penalties_train(options):
    before, after = small(**options), fit(small(**options), data(), max_images=160)
    assert not torch.equal(before.net.basis, after.net.basis)
    assert torch.isfinite(after.generate([0, 1]).image).all()


def test_one_class_is_no_condition():
    gan = fit(ConditionalGAN(SHAPE, 1, **SMALL), data(classes=1), max_images=64)
    assert gan.generate([0, 0]).image.shape == (2, *SHAPE)


def with_attributes(count=60):
    images, labels = data(count)
    colours, angles = np.arange(count) % 3, np.linspace(0, 90, count)
    return [
        {"image": images[i], "label": int(labels[i]), "colour": int(colours[i]), "angle": float(angles[i])}
        for i in range(count)
    ]


def test_attributes_condition_beside_the_class():
    gan = fit(small(attributes={"colour": 3, "angle": (0, 90)}), with_attributes(), max_images=120)
    free, red = gan.generate([0, 1, 1]), gan.generate([0, 1, 1], attributes={"colour": 2, "angle": [0, 45, 90]})
    assert [p.attributes["colour"] for p in red.provenance] == [2, 2, 2]
    assert [p.attributes["angle"] for p in red.provenance] == [0, 45, 90]
    again = gan.generate(
        [0, 1, 1], attributes={k: [p.attributes[k] for p in free.provenance] for k in ("colour", "angle")}
    )
    assert torch.equal(again.image, free.image)
    assert not torch.equal(red.image, free.image)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 1}, "size: this ConditionalGAN has the attributes colour, angle"),
        ({"colour": 3}, "sample 0: attribute colour=3 must be a category, 0 to 2"),
        ({"angle": [0, 100]}, "sample 1: attribute angle=100 must lie in 0 to 90"),
        ({"angle": [0, 1, 2]}, "attribute angle has 3 values for 2 labels"),
    ],
)
def test_a_wrong_attribute_is_named(given, message):
    gan = fit(small(attributes={"colour": 3, "angle": (0, 90)}), with_attributes(), max_images=32)
    with pytest.raises(ValueError, match=message):
        gan.generate([0, 1], attributes=given)


def test_samples_without_the_attributes_are_named():
    with pytest.raises(TypeError, match="sample 1: attributes colour need a dict"):
        fit(small(attributes={"colour": 3}), data(), max_images=32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "wgan"}, "loss='wgan' must be 'relativistic' or"),
        ({"lr": -1.0}, "lr=-1.0 must be"),
        ({"gamma": (1, 2, 3)}, "gamma="),
        ({"augment": ("turn",)}, "augment="),
        ({"augment_strength": 2.0}, "augment_strength=2.0"),
        ({"width": 0}, "width=0"),
        ({"attributes": {"colour": 1}}, r"attributes\['colour'\]=1"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_squared_slopes_are_those_of_a_known_function():
    a, b = (torch.rand(4, 1, 3, 3, requires_grad=True) for _ in range(2))
    weight = torch.rand(1, 3, 3)
    scores = torch.cat([(a * weight).sum((1, 2, 3)), 2 * (b * weight).sum((1, 2, 3))])
    expected = weight.square().sum()
    found = squared_slopes(scores, a, b)
    torch.testing.assert_close(found, torch.stack([expected.expand(4), 4 * expected.expand(4)]))


def test_the_finite_difference_is_the_slope_on_average():
    weight = torch.rand(1, 4, 4)
    images = torch.rand(20_000, 1, 4, 4)

    def critic(x):
        return (x * weight).sum((1, 2, 3))

    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    found = finite_slope(critic, critic(images), images, noise, 0.01).mean()
    torch.testing.assert_close(found, weight.square().sum(), rtol=0.05, atol=0)


def test_the_penalty_reaches_through_the_augmentation():
    gan = small(augment=("flip", "translation", "cutout", "color"), augment_strength=1.0, burn_in=0.0)
    x = torch.rand(4, *SHAPE, dtype=torch.float64, requires_grad=True)
    from augsynth.rng import Rng

    def through(pixels):
        return gan.pipeline.images(pixels, Rng.of(0, range(4)), 1.0)

    assert not torch.equal(through(x), x)
    assert torch.autograd.gradgradcheck(
        lambda p: through(p).square().sum(), x[:, :, :, :].detach().requires_grad_(True)
    )


def test_schedules_go_by_half_a_cosine_and_stay():
    assert cosine((1.0, 0.1), 0.0, 0.2) == 1.0
    assert cosine((1.0, 0.1), 0.1, 0.2) == pytest.approx(0.55)
    assert cosine((1.0, 0.1), 0.7, 0.2) == pytest.approx(0.1)


def test_adaptive_strength_follows_the_sign():
    gan = small(augment_strength="adaptive", adapt_images=1000)
    training = GanTraining(gan, _samples(), 0)
    for _ in range(8):
        training.round._adapt(torch.tensor(1.0), 16)
    assert training.round.strength == pytest.approx(0.128)
    for _ in range(4):
        training.round._adapt(torch.tensor(0.0), 16)
    assert training.round.strength == pytest.approx(0.064)


def _samples():
    from augsynth.generators.samples import Samples

    images, labels = data()
    return Samples(images, labels, torch.zeros(len(labels), 0), 0)


def test_every_pass_shows_each_sample_once_from_any_place():
    samples = _samples()
    whole = samples.rows(0, 128)
    assert sorted(whole[:64].tolist()) == sorted(whole[64:].tolist()) == list(range(64))
    assert whole[:64].tolist() != whole[64:].tolist()
    assert torch.equal(_samples().rows(50, 40), whole[50:90])


@pytest.mark.parametrize(
    ("figures", "found", "message"),
    [
        ({"loss": float("nan"), "r1": 1.0, "r2": 1.0}, 1.0, "loss became not a number"),
        ({"loss": 1.0, "r1": 1.0, "r2": 1.0}, 0.01, "collapsed to 1%"),
        ({"loss": 1.0, "r1": 1.0, "r2": 900.0}, 1.0, "far apart"),
    ],
)
def test_an_ill_training_is_named(figures, found, message):
    health, said = Health(), None
    for _ in range(3):
        said = health.verdict(figures, found, 0.5)
    assert message in said
    assert Health().verdict({"loss": 1.0, "r1": 1.0, "r2": 2.0}, 0.9, 0.5) is None


def test_divergence_stops_and_brings_back_what_was_well():
    gan = small(lr=1e4, beta2=(0.5, 0.5))
    with pytest.raises(DivergenceError, match=r"diverged at .* images: .*back at"):
        fit(gan, data(), max_images=3200)
    assert torch.isfinite(gan.generate([0, 1]).image).all()


def test_out_of_memory_lowers_the_batch(monkeypatch):
    step, counts = GanTraining.step, []

    def failing(self, seen, count, share):
        if count > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        counts.append(count)
        return step(self, seen, count, share)

    monkeypatch.setattr(GanTraining, "step", failing)
    with pytest.warns(UserWarning, match="out of memory; going on with batches of 4"):
        fit(small(batch_size=8), data(), max_images=20)
    assert counts == [4] * 5


def test_previews_are_written(tmp_path):
    fit(small(), data(), max_images=64, preview=tmp_path, every=32)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000032.png", "000000064.png"]


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    fit(small(), data(), max_images=64)
    assert torch.equal(torch.get_rng_state(), before)


def trained_by_lightning():
    import pytorch_lightning as pl

    gan = small(augment_strength=0.5)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), 32)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    pl.Trainer(max_epochs=2, accelerator="cpu", enable_model_summary=False, **options).fit(gan, loader)
    return gan


def test_a_trainer_with_attributes_is_refused():
    with pytest.raises(ValueError, match="have no attributes"):
        small(attributes={"colour": 3}).on_fit_start()


def test_a_lightning_trainer_trains_it():
    gan = trained_by_lightning()
    assert int(gan.images_seen) == 4 * 16  # half of each batch is shown to the critic
    assert not torch.equal(gan.net.basis, small().net.basis)
    assert not torch.equal(gan.critic_net.head.weight, small().critic_net.head.weight)
    assert torch.isfinite(gan.generate([0, 1]).image).all()
    assert same(gan, trained_by_lightning())
