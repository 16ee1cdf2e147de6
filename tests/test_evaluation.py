"""Evaluations of generators that are good or bad in a known way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from fakes import CLASSES, HOLDOUT, TRAIN, Collapsed, Copier, Ideal, LabelBlind, OneClassWrong, real
from PIL import Image

from augsynth import generators
from augsynth.batch import Batch
from augsynth.data import demo
from augsynth.errors import AugsynthError
from augsynth.quality import Evaluation, Gate, Metric, evaluate, features
from augsynth.quality.copying import Copying
from augsynth.quality.features import classifier, inception, normalization
from augsynth.quality.samples import Labelled
from augsynth.rng import Rng
from augsynth.threads import threads_for


def judge(generator: Any, train: Any = TRAIN, holdout: Any = HOLDOUT, **options: Any) -> Evaluation:
    return evaluate(generator, train, holdout, **{"steps": 60, "repeats": 0, "device": "cpu", **options})


@pytest.fixture(scope="module")
def ideal() -> Evaluation:
    return judge(Ideal(), repeats=1)


def test_a_generator_that_draws_from_the_real_distribution_passes(ideal: Evaluation) -> None:
    assert ideal.passed
    assert ideal.reasons == ()
    assert ideal.counts == {"generated": 120, "real": 120, "training": 150}


def test_its_numbers_are_those_of_real_samples(ideal: Evaluation) -> None:
    for name, metric in ideal.metrics.items():
        assert metric.real is not None
        margin = max(0.6 * metric.real, 0.1) if metric.quantity in ("FD", "KID") else 0.15
        assert metric.value == pytest.approx(metric.real, abs=margin), name
    assert ideal.metric("label agreement").value > 0.95
    assert ideal.metric("train synthetic, test real").value > 0.9


def test_distances_are_named_after_their_features_and_never_fid(ideal: Evaluation) -> None:
    names = list(ideal.metrics)
    assert sum(name.startswith(("FD(cnn@", "FD(random@", "KID(cnn@", "KID(random@")) for name in names) == 4
    assert not any("FID" in name for name in names)
    assert Metric("FD", 1.0, 2.0, "inception").name == "FID"


def test_each_class_has_its_own_numbers(ideal: Evaluation) -> None:
    assert list(ideal.classes) == [0, 1, 2]
    for metrics in ideal.classes.values():
        assert {metric.quantity for metric in metrics.values()} >= {"FD", "KID", "label agreement", "coverage"}
        assert metrics["label agreement"].value > 0.9


@pytest.mark.parametrize("copier", [Copier(), Copier(flip=True), Copier(share=0.3)])
def test_a_generator_that_copies_its_training_set_fails_the_copy_check(copier: Copier) -> None:
    report = judge(copier)
    assert not report.passed
    assert any(reason.startswith("near copies(pixels)") for reason in report.reasons)
    if not copier.flip:
        assert all(reason.startswith("near copies") for reason in report.reasons)
    made, train = report.pictures.pairs["pixels"]
    assert torch.equal(made[0].flip(2) if copier.flip else made[0], train[0])


def test_a_generator_that_ignores_labels_fails() -> None:
    report = judge(LabelBlind(), repeats=1)
    assert report.metric("label agreement").value == pytest.approx(1 / CLASSES, abs=0.12)
    assert any(reason.startswith("label agreement") for reason in report.reasons)
    assert any(reason.startswith("train synthetic, test real") for reason in report.reasons)
    assert report.metric("coverage", "cnn").value > 0.8


def test_a_generator_that_gets_one_class_wrong_fails_by_that_class() -> None:
    report = judge(OneClassWrong(), gate=Gate(label_agreement=0.5))
    assert any(reason.startswith("class 2: label agreement") for reason in report.reasons)
    assert not any(reason.startswith(("class 0", "class 1")) for reason in report.reasons)


def test_a_generator_that_collapses_fails_coverage() -> None:
    report = judge(Collapsed())
    (reason,) = report.reasons
    assert reason.startswith("coverage(cnn@")
    assert report.metric("label agreement").value > 0.9
    assert report.metric("FD", "random").value > 5 * (report.metric("FD", "random").real or 1)


def test_an_evaluation_is_a_function_of_its_seed(ideal: Evaluation) -> None:
    features._networks.clear()
    again, other = judge(Ideal(), repeats=1), judge(Ideal(), seed=1)
    assert again.to_dict() == ideal.to_dict()
    assert other.metric("FD", "cnn").value != ideal.metric("FD", "cnn").value


@pytest.fixture
def untouched_global_state() -> Iterator[None]:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    yield
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before[1:]  # noqa: NPY002


@pytest.mark.usefixtures("untouched_global_state")
def test_every_form_of_data_is_judged_alike_and_no_global_randomness_is_used(ideal: Evaluation) -> None:
    pictures = [(Image.fromarray(image[0].numpy()), int(label)) for image, label in zip(*HOLDOUT, strict=True)]
    features._networks.clear()
    report = judge(Ideal(), (TRAIN[0] / 255, TRAIN[1]), pictures)
    same = {name: metric for name, metric in ideal.metrics.items() if not name.startswith("train")}
    assert report.metrics == same


def test_a_report_is_plain_json_and_a_short_table(ideal: Evaluation) -> None:
    found = json.loads(json.dumps(ideal.to_dict(), allow_nan=False))
    assert found["passed"] is True
    assert found["metrics"]["label agreement"]["value"] == ideal.metric("label agreement").value
    assert "no guarantee of privacy" in found["note"]
    text = str(ideal)
    assert "Ideal" in text
    assert "passed" in text
    assert "no guarantee of privacy" in text
    assert len(text.splitlines()) < 25
    with pytest.raises(KeyError, match="there is no 'FD' on 'vgg' features; there is label agreement"):
        ideal.metric("FD", "vgg")


def test_samples_and_pairs_can_be_looked_at(ideal: Evaluation) -> None:
    assert {label: len(images) for label, images in ideal.pictures.samples.items()} == {0: 8, 1: 8, 2: 8}
    for space, found in ideal.copies.items():
        made, train = ideal.pictures.pairs[space]
        assert made.shape == train.shape == (8, *fakes.SHAPE)
        assert torch.equal(train[3], TRAIN[0][found.pairs[3].train])


def test_per_class_limits_both_halves() -> None:
    assert judge(Ideal(), per_class=10).counts == {"generated": 30, "real": 30, "training": 150}


def test_the_gap_of_a_critic_is_in_standard_deviations() -> None:
    known = {image.numpy().tobytes() for image in TRAIN[0]}

    class Critical(Ideal):
        def critic(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            levels = (images * 255).round().to(torch.uint8)
            seen = torch.tensor([image.numpy().tobytes() in known for image in levels])
            # Classes are scored differently, which is no overfitting; the noise has a standard deviation of 1.
            noise = Rng.of(5, levels.flatten(1).sum(1).numpy()).normal("noise", 1)[:, 0]
            return 3.0 * seen + 100 * labels + torch.from_numpy(noise)

    assert judge(Critical()).metric("critic gap").value == pytest.approx(3, abs=0.5)
    assert judge(Critical(), gate=Gate(critic_gap=1.0)).reasons[0].startswith("critic gap")


class Shapeless(Ideal):
    def images(self, labels: torch.Tensor, rng: Rng) -> torch.Tensor:
        return super().images(labels, rng)[:, :, :8]


class Negative(Ideal):
    def generate(self, labels: Any, seed: int = 0, *, index: Any = None, epoch: int = 0) -> Batch:
        batch = super().generate(labels, seed, index=index, epoch=epoch)
        return replace(batch, image=2 * batch.image - 1)


def only(*labels: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.isin(HOLDOUT[1], torch.tensor(labels))
    return HOLDOUT[0][rows], HOLDOUT[1][rows]


BAD = {
    "the training set": (Ideal(), TRAIN, {}, "150 of the 150 images of the holdout are in the training set too"),
    "a class missing": (Ideal(), only(0, 1), {}, "the holdout has 0 samples of class 2"),
    "few": (Ideal(), (HOLDOUT[0][:21], HOLDOUT[1][:21]), {}, "a holdout of 21 samples is too small; 24 are needed"),
    "shape": (Shapeless(), HOLDOUT, {}, r"gave images \(120, 1, 8, 10\); \(120, 1, 12, 10\) was expected"),
    "range": (Negative(), HOLDOUT, {}, r"values that are not in \[0, 1\]"),
    "empty": (Ideal(), [], {}, "evaluate: the dataset is empty"),
    "per class": (Ideal(), HOLDOUT, {"per_class": 1}, "per_class=1 must be an integer, 2 or more"),
    "steps": (Ideal(), HOLDOUT, {"steps": 0}, "steps=0 must be an integer, 1 or more"),
    "repeats": (Ideal(), HOLDOUT, {"repeats": -1}, "repeats=-1 must be an integer, 0 or more"),
    "seed": (Ideal(), HOLDOUT, {"seed": "x"}, "seed='x' must be an integer, 0 or more"),
    "device": (Ideal(), HOLDOUT, {"device": "tpu"}, "device='tpu'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_evaluated_is_named(case: str) -> None:
    generator, holdout, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        judge(generator, TRAIN, holdout, **options)
    assert not hasattr(generator, "verdict")


def labelled(data: tuple[torch.Tensor, torch.Tensor]) -> Labelled:
    return Labelled(*data, np.arange(len(data[1])))


def test_the_classifier_is_trained_once_per_data_set() -> None:
    prepare, data = normalization(TRAIN[0]), labelled(TRAIN)

    def train(data: Labelled, seed: int = 0) -> Any:
        with threads_for(fakes.SHAPE):
            return classifier(data, CLASSES, prepare, steps=2, seed=seed, device=torch.device("cpu"))

    first = train(data)
    assert train(labelled((TRAIN[0].clone(), TRAIN[1]))) is first
    other = replace(data, image=TRAIN[0].clone())
    other.image[0, 0, 0, 0] += 1
    assert train(other) is not first
    assert all(train(data, seed) is not first for seed in range(1, 6))
    assert len(features._networks) == 4


def test_a_true_fid_needs_its_file_and_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AugsynthError, match=r"there is no file .*none\.pth"):
        judge(Ideal(), inception_weights=tmp_path / "none.pth")
    (tmp_path / "weights.pth").touch()
    monkeypatch.setattr(features, "find_spec", lambda name: None)
    with pytest.raises(AugsynthError, match="pip install torch-fidelity"):
        inception(tmp_path / "weights.pth", torch.device("cpu"))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_inception_gets_bytes_of_three_channels(channels: int) -> None:
    images = torch.arange(channels * 4, dtype=torch.uint8).reshape(1, channels, 2, 2)
    seen = []
    network = features._Levels(lambda levels: seen.append(levels) or torch.zeros(1, 7))
    assert network(images / 255).shape == (1, 7)
    assert seen[0].dtype == torch.uint8
    assert torch.equal(seen[0], images.expand(1, 3, 2, 2) if channels == 1 else images[:, :3])


def reasons(gate: Gate, **values: float) -> tuple[str, ...]:
    """Judge metrics that are half of what real samples reach."""
    metrics = [
        Metric("label agreement", 0.4, 0.8),
        Metric("coverage", 0.4, 0.8, "cnn@1"),
        Metric("coverage", 0.0, 0.8, "random@1"),
        Metric("train synthetic, test real", 0.4, 0.8),
        Metric("FD", 2.0, 1.0, "cnn@1"),
        Metric("critic gap", 2.0),
    ]
    classes = {0: {"label agreement": Metric("label agreement", 0.4, 0.8)}}
    return gate.reasons({m.name: m for m in metrics}, classes, {"pixels": Copying(0.2, 0.01, 1.0, 1000, ())})


THRESHOLDS = {
    "label_agreement": (0.5, 0.51, "label agreement 0.400 is below 0.408 (51% of what real samples reach, 0.800)"),
    "worst_class": (0.5, 0.51, "class 0: label agreement 0.400 is below 0.408 (51% of what real samples reach, 0.800)"),
    "coverage": (0.5, 0.51, "coverage(cnn@1) 0.400 is below 0.408 (51% of what real samples reach, 0.800)"),
    "copies": (0.195, 0.185, "near copies(pixels): 20.0% of the generated samples are suspiciously near to training"),
    "usefulness": (0.5, 0.51, "train synthetic, test real 0.400 is below 0.408 (51% of what real samples reach"),
    "fd_ratio": (2.0, 1.9, "FD(cnn@1) 2.000 is above 1.900 (1.9 times the floor of real samples, 1.000)"),
    "critic_gap": (2.0, 1.9, "critic gap 2.000 is above 1.9"),
}
OFF = dict.fromkeys(THRESHOLDS, None)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_each_threshold_judges_its_own_metric(name: str) -> None:
    met, missed, message = THRESHOLDS[name]
    assert reasons(Gate(**{**OFF, name: met})) == ()
    (reason,) = reasons(Gate(**{**OFF, name: missed}))
    assert reason.startswith(message)


def test_what_is_not_a_number_passes_no_threshold() -> None:
    unknown = {"label agreement": Metric("label agreement", float("nan"), 0.9)}
    assert len(Gate().reasons(unknown, {}, {})) == 1


def test_the_worst_class_is_named_with_its_number_and_the_others_by_name() -> None:
    classes = {c: {"label agreement": Metric("label agreement", c / 10, 0.9)} for c in range(4)}
    (reason,) = Gate(**{**OFF, "worst_class": 0.3}).reasons({}, classes, {})
    assert reason.startswith("class 0: label agreement 0.000 is below 0.270")
    assert reason.endswith("; too low in classes 1, 2 too")


@pytest.mark.parametrize("value", [-0.1, "0.5", True, float("nan")])
def test_a_bad_threshold_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match="Gate: coverage="):
        Gate(coverage=value)


def test_a_gate_is_built_from_a_configuration() -> None:
    assert Gate.of({"coverage": None, "copies": 0.2}) == Gate(coverage=None, copies=0.2)
    with pytest.raises(ValueError, match="'coverge' is no threshold; valid: label_agreement"):
        Gate.of({"coverge": 0.2})


def test_another_seed_draws_other_real_samples() -> None:
    assert not torch.equal(real(6, 1)[0], real(6, 2)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConditionalVAE", "LatentSMOTE"])
def test_a_well_trained_generator_passes_on_the_demo_data(name: str) -> None:
    train, test = demo.fashion("train"), demo.fashion("test")
    generator = getattr(generators, name)((1, 28, 28), 10)
    report = evaluate(generators.fit(generator, train, max_images=20_000), train, test, repeats=1)
    assert report.passed, report
    assert report.metric("coverage", "cnn").value > 0.55
