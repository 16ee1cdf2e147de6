"""The comparison: what each run may see, that reruns agree, and that its files hold what it says."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from augsynth.batch import Batch
from augsynth.pipeline import Pipeline
from augsynth.quality import ARMS, Arm, Protocol, SmallCNN, Source, compare
from augsynth.quality.models import make_model
from augsynth.quality.runs import generated, make_batches, work
from augsynth.quality.samples import choose_test, derive, draw_labels, split_validation
from augsynth.quality.training import Batches, Score, schedule
from augsynth.quality.utility import prepare
from augsynth.rng import Rng
from augsynth.transforms import CutMix, MixUp, Normalize, OneOf, RandomHorizontalFlip, RandomResizedCrop

NORMALIZE = {"normalize": Normalize((0.5,), (0.25,))}
EVALUATION = Pipeline(NORMALIZE)
AUGMENT = Pipeline({"flip": RandomHorizontalFlip(), **NORMALIZE})
TINY = Protocol(labels_per_class=6, seeds=2, steps=4, batch_size=8, learning_rates=(0.01, 0.03), test_limit=30)


def stripes(amount, seed, classes=3):
    """Images (amount, 1, 12, 12) of three stripe patterns with noise, and their labels."""
    labels = torch.arange(amount) % classes
    row, column = torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    patterns = torch.stack([row % 4 < 2, column % 4 < 2, (row + column) % 4 < 2]).float()
    noise = torch.from_numpy(Rng.of(seed, np.arange(amount)).uniform("noise", 144)).reshape(-1, 12, 12)
    images = (0.5 * patterns[labels] + 0.5 * noise) * 255
    return images.to(torch.uint8)[:, None], labels


def source(amount=60, seed=0):
    return Source.of(*stripes(amount, seed))


@dataclass(frozen=True)
class Recorder:
    """A generator factory that writes down the samples it was given, and hands out grey images."""

    log: list

    def __call__(self, samples, num_classes, seed):
        self.log.append((sorted(samples.position.tolist()), seed))
        return self

    def generate(self, labels, seed=0, *, index=None, epoch=0):
        level = Rng.of(seed, np.asarray(index), epoch=epoch).uniform("grey")
        image = torch.from_numpy(level).float().reshape(-1, 1, 1, 1).expand(-1, 1, 12, 12)
        return Batch(image, labels, torch.ones(len(labels), dtype=torch.bool), (None,) * len(labels))


@dataclass(frozen=True)
class Grey(Recorder):
    """The same without a log, for worker processes."""

    log: tuple = ()

    def __call__(self, samples, num_classes, seed):
        return self


def run(protocol=TINY, train=None, test=None, **options):
    options = {"augment": AUGMENT, "evaluation": EVALUATION, "generator": Grey(), "device": "cpu", **options}
    return compare(train or source(), test or source(45, seed=1), protocol=protocol, **options)


def numbers(comparison):
    return {key: value for key, value in comparison.results().items() if key != "timing"}


def test_every_arm_runs_with_every_seed():
    found = run()
    assert [(r.seed, r.arm) for r in found.runs] == [(seed, arm) for seed in (0, 1) for arm in ARMS]
    assert all(r.probabilities.shape == (30, 3) for r in found.runs)
    assert not found.interrupted


def test_a_rerun_gives_the_same_numbers_and_another_seed_others():
    first = run()
    assert json.dumps(numbers(first)) == json.dumps(numbers(run()))
    assert numbers(first)["arms"] != numbers(run(replace(TINY, seed=50)))["arms"]


def mixing(classes=3):
    mix = OneOf([MixUp(num_classes=classes), CutMix(num_classes=classes)])
    return Pipeline({"flip": RandomHorizontalFlip(), "mix": mix, **NORMALIZE})


def test_an_augmentation_may_mix_samples_and_their_labels():
    found = run(augment=mixing())
    assert json.dumps(numbers(found)) == json.dumps(numbers(run(augment=mixing())))
    assert numbers(found)["arms"] != numbers(run())["arms"]
    batches = Batches(draw_labels(source(), 6, 0), mixing(), batch_size=6, steps=6, seed=3)
    for image, label in batches:
        assert image.shape == (6, 1, 12, 12)
        assert label.shape == (6, 3)
        torch.testing.assert_close(label.sum(1), torch.ones(6))
    assert any((label.max(1).values < 0.99).any() for _, label in batches)


def test_labels_are_mixed_for_as_many_classes_as_there_are():
    with pytest.raises(ValueError, match=r"mixes labels of 5 classes, and the data has 3; .* num_classes=3"):
        run(augment=mixing(5))
    with pytest.raises(ValueError, match=r"the evaluation .* mixes the images of a batch"):
        run(evaluation=mixing())


def test_worker_processes_give_the_same_numbers():
    assert json.dumps(numbers(run(workers=2))) == json.dumps(numbers(run(workers=1)))


def test_the_global_generators_are_left_alone():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  # the legacy state is what must not change
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    threads = torch.get_num_threads()
    run(replace(TINY, seeds=1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.get_num_threads() == threads


def test_the_generator_sees_its_own_seed_and_never_the_validation_samples_first():
    log = []
    found = run(generator=Recorder(log))
    train = source()
    for seed, (trial, whole) in zip((0, 1), (log[:2], log[2:]), strict=True):
        few = draw_labels(train, 6, derive(seed, "few labels"))
        fit, validation = split_validation(few, 0.25, derive(seed, "validation"))
        assert trial[0] == sorted(fit.position.tolist())
        assert whole[0] == sorted(few.position.tolist()) == sorted(found.few[seed].tolist())
        assert not set(trial[0]) & set(validation.position.tolist())
    assert log[0][1] != log[1][1]


def test_the_few_labels_are_balanced_and_differ_between_seeds():
    few = draw_labels(source(90), 6, seed=1)
    assert np.bincount(few.label.numpy()).tolist() == [6, 6, 6]
    assert len(set(few.position.tolist())) == 18
    assert set(draw_labels(source(90), 6, seed=2).position) != set(few.position)


def test_the_validation_share_holds_at_least_one_and_leaves_at_least_one():
    few = draw_labels(source(), 2, seed=0)
    fit, validation = split_validation(few, 0.01, seed=0)
    assert np.bincount(validation.label.numpy()).tolist() == [1, 1, 1]
    assert len(split_validation(few, 0.99, seed=0)[0]) == 3
    assert not set(fit.position) & set(validation.position)


def test_a_limited_test_set_is_balanced_and_whole_without_limit():
    test = source(90)
    chosen = choose_test(test, 30, seed=0)
    assert np.bincount(test.labels.numpy()[chosen]).tolist() == [10, 10, 10]
    assert choose_test(test, None, seed=0).tolist() == list(range(90))


def batches(arm, steps=9, generator=None):
    few = draw_labels(source(), 6, seed=0)
    protocol = replace(TINY, steps=steps, synthetic_share=0.25)
    setup = prepare(source(), source(45, 1), EVALUATION, EVALUATION, None, SmallCNN, protocol, ARMS, "cpu")
    return few, list(make_batches(setup, ARMS[arm], few, generator, seed=4))


def test_each_arm_takes_the_same_number_of_steps_and_samples():
    sizes = {arm: [len(label) for _, label in batches(arm, generator=Grey())[1]] for arm in ARMS}
    assert set(map(tuple, sizes.values())) == {(8,) * 9}


def test_an_epoch_shows_every_real_sample_once():
    few, found = batches("none")
    shown = torch.cat([image for image, _ in found])[:36]
    expected = EVALUATION.images(few.image, Rng.of(0, np.arange(18)))
    for start in (0, 18):
        epoch = shown[start : start + 18].flatten(1)
        distances = torch.cdist(epoch, expected.flatten(1))
        assert sorted(distances.argmin(1).tolist()) == list(range(18))
        assert distances.min(1).values.max() == 0


def test_the_synthetic_share_is_what_was_asked_for_and_fresh_every_epoch():
    _, found = batches("synthetic", generator=Grey())
    images = torch.cat([image for image, _ in found])
    grey = images.flatten(1).std(1) < 1e-6
    assert grey[:24].sum() == 6  # an epoch is 18 real and 6 synthetic samples
    assert grey[24:48].sum() == 6
    levels = images[grey][:12].flatten(1)[:, 0]
    assert len(set(levels.tolist())) == 12


def test_generated_samples_keep_their_labels_whatever_the_batch():
    image, label = generated(Grey(), 7, 3, seed=5, epoch=2)
    assert image.dtype == torch.uint8
    assert np.bincount(label.numpy()).max() - np.bincount(label.numpy()).min() <= 1
    assert not torch.equal(image, generated(Grey(), 7, 3, seed=5, epoch=3)[0])


def test_paired_arms_start_from_the_same_weights_and_salted_ones_do_not():
    arms = {"a": Arm(), "b": Arm(), "salted": Arm(salt=1)}
    protocol = replace(TINY, arms=("a", "b", "salted"), primary=("b", "a"), secondary=())
    found = run(protocol, arms=arms, generator=None)
    first = {r.arm: r.probabilities for r in found.runs if r.seed == 0}
    assert np.array_equal(first["a"], first["b"])
    assert not np.array_equal(first["a"], first["salted"])
    assert found.contrasts()[0].verdict == "no evidence"


def test_the_learning_rate_with_the_best_validation_accuracy_is_chosen():
    for r in run().runs:
        assert set(r.scores) == {0.01, 0.03}
        assert r.scores[r.learning_rate].rank == max(score.rank for score in r.scores.values())


def test_a_diverged_rate_ranks_below_every_other():
    assert Score(0.9, float("nan")).rank < Score(0.0, 50.0).rank
    assert Score(0.5, 1.0).rank < Score(0.5, 0.9).rank < Score(0.6, 3.0).rank


def test_the_schedule_warms_up_and_ends_near_zero():
    factors = [schedule(step, 200) for step in range(200)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == 1.0
    assert factors[-1] < 0.001


def test_a_real_difference_is_found_and_called_by_its_name():
    # Training images of the arm "augment" lose what the classes differ in.
    blind = Pipeline({"crop": RandomResizedCrop(12, scale=(0.01, 0.02)), **NORMALIZE})
    protocol = Protocol(
        labels_per_class=10,
        seeds=3,
        steps=60,
        batch_size=16,
        learning_rates=(0.01,),
        arms=("none", "augment"),
        primary=("augment", "none"),
    )
    found = run(protocol, train=source(90), test=source(300, 1), augment=blind, generator=None)
    assert found.accuracy()["none"].mean > 0.9
    assert found.contrasts()[0].verdict == "hurts"
    assert "hurts" in found.answer()


def test_predictions_give_every_number_of_the_table(tmp_path):
    found = run()
    found.save_predictions(tmp_path / "predictions.npz")
    results = json.loads(json.dumps(found.results()))
    with np.load(tmp_path / "predictions.npz") as kept:
        correct = kept["predicted"] == kept["labels"]
        assert kept["finished"].all()
        assert np.array_equal(kept["probabilities"].argmax(-1)[0], kept["predicted"][0])
        for arm, values in zip(kept["arms"], correct, strict=True):
            stated = results["arms"][str(arm)]
            assert stated["mean"] == pytest.approx(values.mean())
            assert list(stated["by_seed"].values()) == pytest.approx(values.mean(1).tolist())
        places = {str(arm): i for i, arm in enumerate(kept["arms"])}
        for contrast in results["contrasts"]:
            difference = 1.0 * correct[places[contrast["arm"]]] - correct[places[contrast["base"]]]
            error = np.sqrt(difference.mean(1).var(ddof=1) / 2 + max(difference.mean(0).var(ddof=1) / 30, 1 / 900))
            assert contrast["difference"]["mean"] == pytest.approx(difference.mean())
            assert contrast["difference"]["standard_error"] == pytest.approx(error)


def test_ctrl_c_keeps_the_finished_runs():
    def interrupt(event):
        if type(event).__name__ == "Run" and event.arm == "augment":
            raise KeyboardInterrupt

    found = run(replace(TINY, arms=("none", "augment"), primary=("augment", "none")), listen=interrupt)
    assert found.interrupted
    assert [(r.seed, r.arm) for r in found.runs] == [(0, "none"), (0, "augment")]
    assert found.results()["complete"] is False
    assert "two pairs are needed" in found.answer()


class WrongOutput(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(144, num_classes + 1)

    def forward(self, x):
        return self.layer(x.flatten(1))


def plain_network(num_classes, **options):
    return nn.Sequential(nn.Flatten(), nn.Linear(144, num_classes))


def test_a_network_is_given_what_its_signature_accepts():
    found = run(replace(TINY, seeds=1, arms=("none", "augment"), primary=("augment", "none")), model=plain_network)
    assert len(found.runs) == 2
    assert make_model(SmallCNN, 5, (3, 16, 16), seed=0)[0].in_channels == 3


def test_a_network_of_another_class_count_is_refused_before_training():
    events = []
    with pytest.raises(ValueError, match=r"WrongOutput gives shape \(2, 4\).*3 classes.*\(2, 3\)"):
        run(model=WrongOutput, listen=events.append)
    assert events == []


def test_a_network_that_cannot_take_the_images_says_so():
    with pytest.raises(ValueError, match=r"plain_network fails on a batch of shape \(2, 1, 20, 20\)"):
        make_model(plain_network, 3, (1, 20, 20), seed=0)
    with pytest.raises(TypeError, match=r"must be a torch.nn.Module, got int"):
        make_model(lambda: 3, 3, (1, 20, 20), seed=0)


def test_equal_seeds_give_equal_weights():
    first, second, other = (make_model(SmallCNN, 3, (1, 12, 12), seed=s)[0].weight for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("train", "test", "protocol", "message"),
    [
        (lambda: Source.of(*stripes(0, 0)), source, TINY, "empty"),
        (lambda: Source.of(stripes(9, 0)[0], torch.zeros(9, dtype=torch.int64), "abc"), source, TINY, "two classes"),
        (lambda: Source.of(*stripes(2, 0), "abc"), lambda: Source.of(*stripes(9, 1), "abc"), TINY, "at least two"),
        (source, source, replace(TINY, labels_per_class=99), "labels_per_class=99.*use labels_per_class=20"),
        (source, lambda: Source.of(*stripes(2, 0), "abc"), TINY, "test set has no sample of class"),
        (lambda: Source.of(stripes(9, 0)[0], torch.arange(9), "abc"), source, TINY, "labels run from 0 to 8"),
        (source, lambda: Source.of(stripes(9, 0)[0][..., :8, :8], torch.arange(9) % 3, "abc"), TINY, r"test.*8, 8\)"),
        (source, lambda: Source.of(*stripes(9, 0), "abd"), TINY, "classes differ: a, b, c and a, b, d"),
    ],
)
def test_data_that_cannot_be_compared_is_refused_with_the_reason(train, test, protocol, message):
    with pytest.raises(ValueError, match=message):
        compare(
            Source.of(*stripes(60, 0), "abc") if train is source else train(),
            Source.of(*stripes(60, 1), "abc") if test is source else test(),
            augment=AUGMENT,
            evaluation=EVALUATION,
            protocol=replace(protocol, arms=("none", "augment"), primary=("augment", "none")),
        )


def test_images_of_different_sizes_name_the_sizes():
    pictures = [(np.zeros((8 + i % 2, 8), np.uint8), i % 2) for i in range(8)]
    bag = Source.of_dataset(pictures, Pipeline({}, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"differ in size \(8x8, 9x8\)"):
        bag.read([0, 1])


def test_an_augmentation_of_another_size_is_refused_before_training():
    with pytest.raises(ValueError, match=r"\(1, 9, 9\).*\(1, 12, 12\)"):
        run(augment=Pipeline({"crop": RandomResizedCrop(9), **NORMALIZE}))


def test_arms_with_synthetic_samples_need_a_generator():
    with pytest.raises(ValueError, match="synthetic, both need a generator"):
        run(generator=None)


def test_work_counts_all_that_is_reported():
    seen = {}

    def add(event):
        if type(event).__name__ == "Progress":
            seen[event.kind] = seen.get(event.kind, 0) + event.units

    run(listen=add)
    assert seen == work(TINY, ARMS)


def test_examples_show_what_each_arm_saw():
    found = run(replace(TINY, seeds=1))
    assert [(e.arm, e.kind) for e in found.examples] == [
        ("none", "real"),
        ("augment", "augmented"),
        ("synthetic", "synthetic"),
        ("both", "synthetic, augmented"),
    ]
    real, augmented, synthetic, _ = (e.image for e in found.examples)
    # A flip and nothing else: each augmented picture is the real one or its mirror image, to the last bit or two.
    for a, b in zip(real.astype(int), augmented.astype(int), strict=True):
        assert min(abs(a - b).max(), abs(a[..., ::-1] - b).max()) <= 1
    assert all(image.std() == 0 for image in synthetic)
    assert all(e.label == tuple("000111222") for e in found.examples)


def test_batches_do_not_depend_on_how_many_steps_follow():
    few = draw_labels(source(), 6, seed=0)
    short, long = (list(Batches(few, AUGMENT, 8, steps, seed=1)) for steps in (3, 7))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(short, long, strict=False))


def test_the_results_say_by_fingerprint_what_each_arm_was_trained_through():
    pipelines = run().results()["pipelines"]
    assert pipelines["none"] == pipelines["synthetic"] == EVALUATION.fingerprint
    assert pipelines["augment"] == pipelines["both"] == AUGMENT.fingerprint
    assert json.loads(json.dumps(pipelines)) == pipelines
