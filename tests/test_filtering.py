"""`Filtered`: a generator in front of a judge; and the judge."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy import CLASSES, SHAPE, Items, toy, trained

import augsynth as ag
from augsynth.batch import Batch
from augsynth.data.synthetic import _is_on_cpu
from augsynth.errors import AugsynthError
from augsynth.generators import ConditionalGAN, ConditionalVAE, Filtered, Generator, load
from augsynth.provenance import Provenance
from augsynth.quality import Judge, judge
from augsynth.rng import Rng


class Loose:
    """Makes an even image whose value is uniform by the sample's key."""

    num_classes, image_shape = 2, (1, 8, 8)

    def generate(self, labels: Any, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        target, rows = torch.as_tensor(labels), range(len(labels)) if index is None else index
        value = torch.from_numpy(Rng.of(seed, list(rows), epoch).uniform("value")[:, 0]).float()
        made = tuple(Provenance("Loose", "", seed, i, epoch, int(c)) for i, c in zip(rows, target, strict=True))
        images = value[:, None, None, None].expand(-1, 1, 8, 8)
        return Batch(images, target, torch.ones(len(target), dtype=torch.bool), made)

    def save(self, path: Any) -> None:
        Path(path).write_text("loose")


def bright(images: torch.Tensor) -> torch.Tensor:
    """Finds images above 0.6 to be of class 1, others of class 0."""
    above = images.mean((1, 2, 3)) - 0.6
    return torch.stack([-100 * above, 100 * above], 1)


def test_every_sample_is_of_its_label_and_those_that_pass_at_once_stay() -> None:
    labels = [0, 1] * 200
    plain, batch = Loose().generate(labels, seed=3), Filtered(Loose(), bright).generate(labels, seed=3)
    found = batch.image.mean((1, 2, 3)) > 0.6
    assert found.int().tolist() == labels
    same = (plain.image == batch.image).flatten(1).all(1)
    right = (plain.image.mean((1, 2, 3)) > 0.6).int() == torch.tensor(labels)
    assert torch.equal(same, right)
    assert 0.4 < right.float().mean() < 0.6


def test_a_sample_does_not_depend_on_the_others_and_its_provenance_makes_it_again() -> None:
    source = Filtered(Loose(), bright)
    whole = source.generate([1] * 50, seed=7, epoch=2)
    alone = source.generate([1, 1], seed=7, index=[30, 4], epoch=2)
    assert torch.equal(alone.image, whole.image[[30, 4]])
    for image, made in zip(whole.image, whole.provenance, strict=True):
        assert made is not None
        again = Loose().generate([made.label], made.seed or 0, index=[made.index], epoch=made.epoch or 0)
        assert torch.equal(again.image[0], image)


def test_draws_are_counted() -> None:
    batch, draws = Filtered(Loose(), bright).drawn([1] * 2000, seed=1)
    assert len(batch) == len(draws) == 2000
    # Geometric with a chance of 0.4.
    assert draws.mean() == pytest.approx(2.5, abs=0.2)
    assert (draws == 1).mean() == pytest.approx(0.4, abs=0.04)


def test_a_class_for_which_nothing_passes_is_named() -> None:
    with pytest.raises(
        AugsynthError, match=r"after 5 draws each, 3 of 3 samples of class 1 do not pass; 0 of 15 draws"
    ):
        Filtered(Loose(), lambda images: torch.tensor([[9.0, 0.0]]).expand(len(images), 2), tries=5).generate(
            [0, 1, 1, 1, 0]
        )


def test_what_cannot_be_is_refused() -> None:
    for keep in (0, 1, True, "much"):
        with pytest.raises(ValueError, match="must be a probability above 0 and below 1"):
            Filtered(Loose(), bright, keep=keep)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tries=0 must be an integer of at least 1"):
        Filtered(Loose(), bright, tries=0)
    with pytest.raises(ValueError, match=r"the judge gave \(2, 5\); logits \(2, 2\) were expected"):
        Filtered(Loose(), lambda images: torch.zeros(len(images), 5)).generate([0, 1])
    assert len(Filtered(Loose(), bright).generate([])) == 0


def test_attributes_of_the_samples_that_are_drawn_anew_are_their_own() -> None:
    gan = ConditionalGAN(SHAPE, CLASSES, attributes={"size": (0.0, 1.0)}, width=8, max_width=8, latent_dim=4)
    gan.remember(torch.arange(6) % 3, torch.linspace(0, 1, 6)[:, None])
    sizes = [0.1, 0.9, 0.4]
    # Of the three the second is wrong at first, and right when it is asked for alone.
    truth = {3: [0, 0, 2], 1: [1]}
    passing = Filtered(gan, lambda images: 9 * torch.eye(3)[truth[len(images)]], keep=0.9)
    made = passing.generate([0, 1, 2], attributes={"size": sizes}).provenance
    assert [one.attributes["size"] for one in made] == pytest.approx(sizes)  # type: ignore[union-attr, index]
    assert [one.seed == 0 for one in made] == [True, False, True]  # type: ignore[union-attr]


def test_a_judge_with_dropout_is_asked_in_eval_mode_and_keeps_its_own() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.9), torch.nn.Linear(64, 2)).train()
    with torch.no_grad():
        network[2].weight.copy_(torch.stack([-torch.ones(64), torch.ones(64)]) / 64)
        network[2].bias.copy_(torch.tensor([0.6, -0.6]))
    source = Filtered(Loose(), network, keep=0.5)
    first, again = (source.generate([0, 1] * 20, seed=2).image for _ in range(2))
    assert torch.equal(first, again)
    assert network.training
    assert network[1].training


def test_what_has_no_hash_gives_none() -> None:
    assert Filtered(Loose(), bright).checkpoint_hash() == ""
    assert Filtered(trained(), bright).checkpoint_hash() == ""
    with pytest.raises(ValueError, match=r"this Filtered has no checkpoint_hash\(\)"):
        ag.SyntheticDataset(Filtered(Loose(), bright), 2, cache="somewhere")


def test_workers_see_through_it_to_the_device() -> None:
    far = torch.nn.Linear(1, 1, device="meta")
    for hidden in (Filtered(Loose(), far), Filtered(Filtered(Loose(), bright), Judge(far, ag.Pipeline([])))):  # type: ignore[arg-type]
        assert not _is_on_cpu(hidden)
    assert _is_on_cpu(Filtered(Loose(), bright))


def test_the_judge_is_not_the_network_that_evaluates() -> None:
    from augsynth.quality.features import classifier, normalization
    from augsynth.quality.samples import Labelled

    images, labels = toy(60)
    real = Labelled(images, labels, np.arange(60))
    grading = classifier(real, 3, normalization(images), steps=5, seed=0, device=torch.device("cpu"))
    assert judge(trained(), (images, labels), steps=5).network is not grading


def test_a_judge_of_other_classes_is_refused() -> None:
    class Named(Items):
        classes = ("right", "middle", "left")

    generator = trained()
    generator.classes = ("left", "middle", "right")
    with pytest.raises(ValueError, match="the generator's classes are left, middle, right, those of the data right, m"):
        judge(generator, Named(lambda image, label: (image, label)), steps=2)


def test_it_is_a_generator_for_data_sets_and_pickles() -> None:
    source = Filtered(Loose(), bright)
    assert isinstance(source, Generator)
    data = ag.SyntheticDataset(pickle.loads(pickle.dumps(source)), 5, fresh=False)
    values = [image.mean() > 0.6 for image, _ in (data[i] for i in range(10))]
    assert values == [False] * 5 + [True] * 5


def test_its_hash_is_of_generator_judge_and_threshold(tmp_path: Path) -> None:
    smote, teacher = trained(), judge(trained(), toy(), steps=2)
    other = judge(trained(), toy(), steps=3)
    first = Filtered(smote, teacher, 0.5).checkpoint_hash()
    assert first == Filtered(smote, teacher, 0.5).checkpoint_hash()
    changed = [Filtered(smote, teacher, 0.6), Filtered(smote, other, 0.5), Filtered(trained(seed=1), teacher, 0.5)]
    assert first not in [source.checkpoint_hash() for source in changed]
    Filtered(smote, teacher).save(tmp_path / "smote.ckpt")
    assert load(tmp_path / "smote.ckpt").checkpoint_hash() == smote.checkpoint_hash()


def test_the_judge_knows_real_samples_and_leaves_global_state_alone() -> None:
    images, labels = toy(60)
    before = torch.get_rng_state()
    teacher = judge(trained(), (images, labels), steps=60)
    assert torch.equal(torch.get_rng_state(), before)
    assert (teacher(images.float() / 255).argmax(1) == labels).all()
    assert torch.equal(teacher(images.float() / 255), judge(trained(), (images, labels), steps=60)(images / 255))


@pytest.mark.parametrize("kind", [ConditionalVAE, None])
def test_truncation_brings_samples_closer_together(kind: type[ConditionalVAE] | None) -> None:
    generator = trained(kind) if kind else trained()
    labels = [1] * 64
    spread = [
        float(generator.sample_latents(torch.tensor(labels), Rng.of(0, np.arange(64)), t).std(0).mean())
        for t in (0.0, 0.5, 1.0)
    ]
    assert torch.equal(generator.generate(labels).image, generator.generate(labels, truncation=1.0).image)
    made = generator.generate([1, 1], truncation=0.0)
    if kind:
        assert spread[0] < 1e-6
        assert spread[1] == pytest.approx(spread[2] / 2, rel=1e-5)
        assert torch.allclose(made.image[0], made.image[1], atol=1e-5)
    else:
        bank = generator._bank["latents"][generator._bank["labels"] == 1]  # type: ignore[attr-defined]
        drawn = generator.sample_latents(torch.tensor(labels), Rng.of(0, np.arange(64)), 0.0)
        assert all(any(torch.equal(one, row) for row in bank) for one in drawn)
    assert made.provenance[0] is not None
    assert made.provenance[0].truncation == 0.0
    for wrong in (-0.1, 1.01, float("nan")):
        with pytest.raises(ValueError, match="must be a number from 0 to 1"):
            generator.generate(labels, truncation=wrong)


def test_names_of_classes_come_from_the_data_and_stay_in_the_file(tmp_path: Path) -> None:
    from augsynth.generators import LatentSMOTE, fit

    class Named:
        classes = ("left", "middle", "right")
        images, labels = toy()

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, row: int) -> Any:
            return self.images[row], int(self.labels[row])

    generator = fit(LatentSMOTE(SHAPE, CLASSES, latent_dim=4, width=4), Named(), max_images=24)
    generator.save(tmp_path / "named.ckpt")
    assert load(tmp_path / "named.ckpt").classes == Named.classes
    assert fit(generator, toy(), max_images=24).classes is None
