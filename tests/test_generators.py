from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from fakes import Own
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset
from toy import CLASSES, SHAPE, Items, toy, trained

from augsynth.data import demo
from augsynth.errors import AugsynthError
from augsynth.generators import ConditionalVAE, Generator, LatentSMOTE, fit
from augsynth.provenance import Provenance
from augsynth.rng import Rng


@pytest.fixture(scope="module")
def smote() -> ConditionalVAE:
    return trained()


@pytest.fixture(scope="module")
def vae() -> ConditionalVAE:
    return trained(ConditionalVAE)


@pytest.fixture(params=["smote", "vae"])
def generator(request: pytest.FixtureRequest) -> ConditionalVAE:
    found: ConditionalVAE = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def untouched_global_state() -> Iterator[None]:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    yield
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before[1:]  # noqa: NPY002


def test_a_batch_is_in_range_marked_and_says_what_made_it(generator: ConditionalVAE) -> None:
    batch = generator.generate([2, 0, 0], seed=5, index=[4, 9, 1], epoch=6)
    assert batch.image.shape == (3, *SHAPE)
    assert batch.image.dtype == torch.float32
    assert 0 <= batch.image.min() <= batch.image.max() <= 1
    assert batch.label.tolist() == [2, 0, 0]
    assert batch.synthetic.tolist() == [True] * 3
    assert batch.index is not None
    assert batch.index.tolist() == [4, 9, 1]
    name = type(generator).__name__
    assert batch.provenance[1] == Provenance(name, generator.checkpoint_hash(), 5, 9, 6, 0)


def test_samples_look_like_their_class(generator: ConditionalVAE) -> None:
    labels = torch.arange(60) % CLASSES
    columns = generator.generate(labels, seed=1).image.mean(dim=(1, 2))
    brightest = torch.stack([columns[:, third : third + 3].mean(1) for third in (0, 3, 6)], 1).argmax(1)
    assert (brightest == labels).float().mean() > 0.95


def test_a_sample_does_not_depend_on_its_batch(generator: ConditionalVAE) -> None:
    labels = torch.arange(9) % CLASSES
    batch = generator.generate(labels, seed=3, epoch=2)
    alone = [generator.generate(labels[i : i + 1], seed=3, index=[i], epoch=2).image[0] for i in range(9)]
    assert torch.allclose(batch.image, torch.stack(alone), atol=1e-5)
    order = torch.tensor([5, 2, 8, 0])
    assert torch.allclose(
        batch.image[order], generator.generate(labels[order], 3, index=order, epoch=2).image, atol=1e-5
    )


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"index": [1]}])
def test_each_part_of_the_key_matters(generator: ConditionalVAE, other: dict[str, Any]) -> None:
    image = generator.generate([1], seed=0, index=[0], epoch=0).image
    changed = generator.generate([1], **{"seed": 0, "index": [0], "epoch": 0, **other}).image
    assert (image - changed).abs().max() > 1e-3


def test_no_labels_make_an_empty_batch(generator: ConditionalVAE) -> None:
    batch = generator.generate([])
    assert batch.image.shape == (0, *SHAPE)
    assert len(batch) == 0


@pytest.mark.usefixtures("untouched_global_state")
def test_building_training_and_generating_leave_global_random_state_alone() -> None:
    trained(images=64).generate([0, 1])


@pytest.mark.parametrize("kind", [LatentSMOTE, ConditionalVAE])
def test_training_is_a_function_of_data_and_seed(kind: type[ConditionalVAE]) -> None:
    first = trained(kind, 100)
    torch.rand(3)
    again = trained(kind, 100)
    assert first.checkpoint_hash() == again.checkpoint_hash()
    assert torch.equal(first.generate([0, 1]).image, again.generate([0, 1]).image)
    assert trained(kind, 100, seed=1).checkpoint_hash() != first.checkpoint_hash()


def test_training_again_starts_over() -> None:
    generator = trained(images=100)
    once = generator.checkpoint_hash()
    fit(generator, toy(), max_images=150)
    assert fit(generator, toy(), max_images=100).checkpoint_hash() == once


FORMS = {
    "pil": lambda image, label: (Image.fromarray(image[0].numpy()), label),
    "array": lambda image, label: [image[0].numpy(), np.int64(label)],
    "dict": lambda image, label: {"label": torch.tensor(label), "image": image},
    "array with channel": lambda image, label: (image.numpy().transpose(1, 2, 0), label),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_trains_alike(form: str) -> None:
    generator = fit(LatentSMOTE(SHAPE, CLASSES, latent_dim=8, width=8), Items(FORMS[form]), max_images=100)
    assert generator.checkpoint_hash() == trained(images=100).checkpoint_hash()


def test_float_images_train_like_bytes() -> None:
    images, labels = toy()
    generator = fit(LatentSMOTE(SHAPE, CLASSES, latent_dim=8, width=8), (images / 255, labels), max_images=100)
    assert generator.checkpoint_hash() == trained(images=100).checkpoint_hash()


def test_each_pass_shows_every_image_once_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bytes] = []
    loss = ConditionalVAE.loss

    def listen(self: ConditionalVAE, images: torch.Tensor, labels: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        shown.extend(image.numpy().tobytes() for image in images)
        return loss(self, images, labels, noise)

    monkeypatch.setattr(ConditionalVAE, "loss", listen)
    trained(images=60)
    assert len(shown) == 60
    first, second = shown[:24], shown[24:48]
    assert len(set(first)) == len(set(second)) == len(set(shown)) == 24
    assert first != second


def test_a_small_budget_reads_no_more_than_it_shows() -> None:
    data = Items(FORMS["pil"])
    fit(ConditionalVAE(SHAPE, CLASSES), data, max_images=10)
    assert len(data.read) == 10


def test_a_time_limit_ends_the_training() -> None:
    generator = fit(ConditionalVAE(SHAPE, CLASSES), toy(), max_images=10**9, max_time=0.01)
    assert len(generator.generate([0])) == 1


def test_a_progress_bar_is_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    trained(images=64)
    assert capsys.readouterr().out == ""
    fit(ConditionalVAE(SHAPE, CLASSES), toy(), max_images=64, progress=True)
    assert "64 of 64 images, " in capsys.readouterr().err


def test_training_uses_one_thread_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        many = trained(images=200).checkpoint_hash()
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        assert trained(images=200).checkpoint_hash() == many
    finally:
        torch.set_num_threads(before)


def test_training_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained(images=64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 17), (2, 33, 8), (4, 16, 40), (3, 65, 64)])
@pytest.mark.parametrize("kind", [LatentSMOTE, ConditionalVAE])
def test_any_channel_count_and_size_works(kind: type[ConditionalVAE], shape: tuple[int, int, int]) -> None:
    generator = kind(shape, CLASSES)
    start = {name: value.clone() for name, value in generator.named_parameters()}
    fit(generator, toy(9, shape), max_images=64)
    assert generator.generate([0, 1, 2]).image.shape == (3, *shape)
    still = [name for name, value in generator.named_parameters() if torch.equal(value, start[name])]
    assert not still


def test_latent_smote_draws_between_two_neighbours_of_the_class(smote: ConditionalVAE) -> None:
    bank = smote.get_extra_state()
    labels = torch.arange(30) % CLASSES
    points = smote.sample_latents(labels, Rng.of(0, np.arange(30))).double()
    for point, label in zip(points, labels.tolist(), strict=True):
        known = bank["latents"][bank["labels"] == label].double()
        ends = torch.cdist(known, known)
        through = torch.cdist(point[None], known)[0]
        detour = through[:, None] + through[None] - ends
        detour.fill_diagonal_(torch.inf)
        assert detour.min() < 1e-5
        nearest = ends.sort(dim=1).values[:, 5]
        start = int(detour.min(dim=1).values.argmin())
        assert ends[start, int(detour[start].argmin())] <= max(nearest) + 1e-6


def test_the_neighbours_are_the_nearest_of_the_class(smote: ConditionalVAE) -> None:
    bank = smote.get_extra_state()
    distances = torch.cdist(bank["latents"].double(), bank["latents"].double())
    distances[bank["labels"][:, None] != bank["labels"]] = torch.inf
    expected = distances.fill_diagonal_(torch.inf).topk(5, largest=False).indices
    assert torch.equal(expected.sort().values, bank["neighbors"].sort().values)


def test_small_classes_are_interpolated_or_jittered() -> None:
    images, _ = toy(9)
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 2])
    generator = fit(LatentSMOTE(SHAPE, CLASSES, latent_dim=8), (images, labels), max_images=64)
    bank = generator.get_extra_state()
    single = bank["latents"][bank["labels"] == 2]
    jitter = generator.sample_latents(torch.full((400,), 2), Rng.of(0, np.arange(400))) - single
    assert jitter.mean().abs() < 0.05
    assert 0.45 < jitter.std() < 0.55
    two = bank["latents"][bank["labels"] == 1].double()
    points = generator.sample_latents(torch.full((50,), 1), Rng.of(0, np.arange(50))).double()
    assert torch.allclose(torch.cdist(points, two).sum(1), torch.dist(*two).expand(50), atol=1e-5)


def test_the_vae_draws_from_the_gaussian_of_the_class(vae: ConditionalVAE) -> None:
    points = vae.sample_latents(torch.ones(20_000, dtype=torch.int64), Rng.of(0, np.arange(20_000)))
    covariance = vae.latent_factor[1] @ vae.latent_factor[1].T
    assert torch.allclose(points.mean(0), vae.latent_mean[1], atol=0.05)
    assert torch.allclose(torch.cov(points.T), covariance, atol=0.1 * float(covariance.diagonal().max()))


def test_the_gaussian_has_the_moments_of_the_encoded_class(smote: ConditionalVAE) -> None:
    bank = smote.get_extra_state()
    known = bank["latents"][bank["labels"] == 1]
    assert torch.allclose(smote.latent_mean[1], known.mean(0), atol=1e-5)
    # What it has beyond the spread of the means is the mean posterior variance: diagonal, and positive.
    excess = smote.latent_factor[1] @ smote.latent_factor[1].T - torch.cov(known.T, correction=0)
    assert torch.allclose(excess, torch.diag(excess.diagonal()), atol=1e-5)
    assert (excess.diagonal() > 0).all()


def test_labels_that_cannot_be_made_are_named(generator: ConditionalVAE) -> None:
    with pytest.raises(ValueError, match="label 3 is outside the generator's classes, 0 to 2"):
        generator.generate([0, 3])
    with pytest.raises(ValueError, match="label -1 is outside"):
        generator.generate([-1])
    with pytest.raises(TypeError, match="labels must be integers"):
        generator.generate(torch.tensor([0.5]))
    with pytest.raises(ValueError, match="2 indices for 1 labels"):
        generator.generate([0], index=[1, 2])


def test_a_class_without_training_data_is_named() -> None:
    generator = fit(LatentSMOTE(SHAPE, 5), toy(), max_images=64)
    with pytest.raises(ValueError, match="had no sample of class 4"):
        generator.generate([0, 4])


def test_an_untrained_generator_says_so() -> None:
    with pytest.raises(AugsynthError, match=r"not trained: call augsynth\.generators\.fit"):
        ConditionalVAE(SHAPE, CLASSES).generate([0])


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_lightning_trainer_trains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images, labels = toy()
    generator = LatentSMOTE(SHAPE, CLASSES, latent_dim=8, width=8)
    loader = DataLoader(TensorDataset(images, labels), 8, shuffle=True)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", **quiet)
    trainer.fit(generator, loader)
    assert float(trainer.callback_metrics["loss"]) < 0
    assert len(generator.get_extra_state()["labels"]) == len(labels)
    trainer.save_checkpoint("lightning.ckpt")
    again = LatentSMOTE.load_from_checkpoint("lightning.ckpt")
    assert torch.equal(again.generate([0, 2]).image, generator.generate([0, 2]).image)


def test_the_trainer_s_batches_are_checked() -> None:
    generator = ConditionalVAE(SHAPE, CLASSES)
    with pytest.raises(ValueError, match=r"images are \(1, 9, 9\), the generator makes \(1, 12, 10\)"):
        generator.training_step((torch.zeros(2, 1, 9, 9), torch.zeros(2)))
    with pytest.raises(TypeError, match=r"a batch is \(images, labels\)"):
        generator.training_step({"image": torch.zeros(2, *SHAPE)})


def test_the_protocol_takes_ours_and_a_user_s_own(smote: ConditionalVAE) -> None:
    assert isinstance(smote, Generator)
    assert isinstance(Own(), Generator)
    assert not isinstance(object(), Generator)


def test_two_hundred_images_of_clothes_teach_it_the_classes() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    data = demo.fashion("train")
    few = torch.cat([(data.labels == label).nonzero()[:20, 0] for label in range(10)])
    generator = fit(LatentSMOTE((1, 28, 28), 10), (data.images[few], data.labels[few]), max_images=6000)
    labels = torch.arange(400) % 10
    made = (generator.generate(labels).image * 255).round().flatten(1)
    rest = torch.ones(len(data), dtype=torch.bool)
    rest[few] = False
    judge = KNeighborsClassifier(5).fit(data.images[rest].flatten(1).numpy(), data.labels[rest].numpy())
    assert judge.score(made.numpy(), labels.numpy()) > 0.7
    assert made.std() > 30
    spread = [made[labels == label].std(0).mean() for label in range(10)]
    assert min(spread) > 5
