"""benchmarks/accuracy.py: its arms train, its cells are kept, its verdicts follow from them."""

from __future__ import annotations

import argparse
import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import accuracy
import accuracy_images
import accuracy_text
import bench_data
import cells
from accuracy_images import ARMS, RUNS, Run, Setup, Task, plan
from cells import Cell, Results
from demo_files import write_fashion

from augsynth.data import demo
from augsynth.quality.samples import Labelled
from augsynth.rng import Rng

LABELS = np.arange(1000) % 10


@pytest.fixture
def data(tmp_path):
    write_fashion(tmp_path / "data" / "fashion-mnist")
    return tmp_path / "data"


def test_cells_are_kept_and_not_trained_twice(data, tmp_path, capsys):
    command = ["images", "--data", str(data), "--quick", "--json", str(tmp_path / "found.json")]
    accuracy.main(command)
    (run,) = json.loads((tmp_path / "found.json").read_text())["runs"].values()
    assert [row["arm"] for row in run["cells"]] == ["none", "cutmix", "both"]
    assert {"command", "commit", "settings", "model", "device"} <= set(run)
    for row in run["cells"]:
        assert row["accuracy"] == pytest.approx(100 * Cell.of_json(row, 2000).right.mean(), abs=0.01)
        assert set(row["validation"]) == {"0.006 0.005", "0.006 0.05"}
        assert row["rate"] in row["validation"]
    assert run["cells"][0]["accuracy"] > 30
    assert {(row["arm"], row["base"]) for row in run["summary"]["contrasts"]} == {("cutmix", "none"), ("both", "none")}
    printed = capsys.readouterr().out
    assert "3 cells, each 2 times 768 images" in printed
    accuracy.main(command)
    again = capsys.readouterr().out
    assert "seed 0" not in again
    assert printed.endswith(again)


def test_a_stopped_run_keeps_what_has_finished_and_goes_on(data, tmp_path, monkeypatch, capsys):
    command = ["images", "--data", str(data), "--quick", "--json", str(tmp_path / "found.json")]

    def stop(function, setup, tasks, workers, listen):
        function(setup, tasks[0], listen)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(accuracy_images, "run_tasks", stop)
        with pytest.raises(SystemExit, match="the same command goes on from here"):
            accuracy.main(command)
    (run,) = json.loads((tmp_path / "found.json").read_text())["runs"].values()
    assert [row["arm"] for row in run["cells"]] == ["both"]
    assert run["summary"] is None
    assert "no seed is whole yet" in capsys.readouterr().out
    accuracy.main(command)
    (later,) = json.loads((tmp_path / "found.json").read_text())["runs"].values()
    assert [row["arm"] for row in later["cells"]] == ["none", "cutmix", "both"]
    assert later["cells"][2] == run["cells"][0]


def test_the_file_of_another_run_is_refused(data, tmp_path):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"runs": {"quick": {"settings": {}, "model": "other"}}}))
    with pytest.raises(ValueError, match=r"found.json is of another run \(settings, model, device, data_crc32, arms"):
        accuracy.main(["images", "--data", str(data), "--quick", "--json", str(path)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fashion 7"], "there is no fashion 7; there are core, fashion 5"),
        (["--arms", "none", "mixdown"], "there is no arm mixdown; there are none, crop_flip"),
        (["--arms", "mixup"], "--arms needs none"),
    ],
)
def test_what_there_is_not_is_said(words, said):
    with pytest.raises(SystemExit, match=said):
        accuracy.main(["images", *words])


@pytest.mark.parametrize("data_name", ["fashion", "cifar"])
@pytest.mark.parametrize("arm", [*ARMS, *RUNS["equivalence"].shared])
def test_every_arm_gives_the_network_batches(arm, data_name):
    channels, side = {"fashion": (1, 28), "cifar": (3, 32)}[data_name]
    images = torch.tensor(np.random.default_rng(0).integers(0, 256, (20, channels, side, side), np.uint8))
    samples = Labelled(images, torch.arange(20) % 10, np.arange(20))
    setup = Setup(Run(data_name, 2, 3, batch_size=8, generator_images=32), {0: samples}, samples)
    generator = accuracy_images.maker(setup, arm, samples, 0)
    assert (generator is not None) is (arm in ("vae", "latent_smote", "gan", "both"))
    (model,), _ = accuracy_images.trained(setup, arm, 0, samples, generator, ["0.01 0.05"], 3)
    assert accuracy_images.probabilities(setup, model, samples).shape == (20, 10)
    rng = Rng.of(0, np.arange(20))
    targets = setup.pipeline(arm).find_targets([(images, samples.label)], [0], list(range(20)), count=20)
    outputs = [setup.pipeline(name).images(images, rng, targets=targets) for name in ("none", arm)]
    assert torch.equal(*outputs) is (arm in ("none", "vae", "latent_smote", "gan"))


def test_arms_that_share_a_generator_or_a_setting_are_one_task():
    tasks = list(plan(ARMS, RUNS["fashion 20"], 2, {("vae", 0), ("both", 1)}))
    assert tasks[0] == Task(0, ("latent_smote", "both"))
    assert [task.arms for task in tasks if task.seed == 1][:3] == [("vae",), ("latent_smote",), ("gan",)]
    assert sorted(arm for task in tasks for arm in task.arms if task.seed == 0) == sorted(set(ARMS) - {"vae"})
    shared = RUNS["equivalence"]
    assert [task.arms for task in plan(shared.shared, shared, 3, ())] == [shared.shared] * 3


def cell(arm: str, seed: int, share: float) -> Cell:
    """Return a cell with the same test images right for all arms of one share."""
    right = np.random.default_rng(seed).random(len(LABELS)) < share
    return Cell(arm, seed, "0.1 0", {"0.1 0": share}, right, 1.0, 0.0, 1.0)


def test_equivalence_is_said_only_where_the_interval_lies_within_the_margin():
    arms = ("exact", "same", "worse", "unsure")
    found = [cell(arm, seed, 0.8 - 0.02 * (arm == "worse")) for arm in arms[:3] for seed in range(20)]
    found += [replace(cell("unsure", seed + 1000, 0.8), seed=seed) for seed in range(20)]
    results = Results(arms, LABELS, found)
    said = {arm: accuracy_images.equivalence(results, arm, "exact") for arm in arms[1:]}
    assert said["same"]["verdict"] == "equivalent"
    assert said["same"]["difference"][0] == 0
    assert said["worse"]["verdict"] == "differs by more"
    assert said["worse"]["difference"][0] == pytest.approx(-2, abs=0.5)
    assert said["unsure"]["verdict"] == "not shown to be equivalent"


def test_a_table_says_what_was_found():
    results = Results(
        ("none", "standard", "both"),
        LABELS,
        [cell(arm, seed, 0.5 + 0.1 * at) for at, arm in enumerate(("none", "standard", "both")) for seed in range(5)],
    )
    found = accuracy_images.summary(results, RUNS["fashion 20"])
    first, *others = found["contrasts"]
    assert (first["arm"], first["base"], first["verdict"]) == ("both", "standard", "helps")
    assert [(row["arm"], row["verdict"]) for row in others] == [("standard", "helps"), ("both", "helps")]
    table = accuracy_images.table("fashion 20", found)
    assert table.startswith("| fashion 20, 5 seeds |")
    assert f"both against standard: {cells.spoken(first)}" in table
    half = Results(("none", "both"), LABELS, [cell("none", 0, 0.5)])
    assert accuracy_images.summary(half, RUNS["fashion 20"]) is None


# Data


def arguments(**values):
    return argparse.Namespace(**{"data": None, "download": False, **values})


def test_data_is_found_by_argument_or_variable_or_it_is_said_what_was_looked_for(data, tmp_path, monkeypatch):
    monkeypatch.delenv("AUGSYNTH_DATA", raising=False)
    assert bench_data.find(arguments(data=data), "fashion-mnist") == data / "fashion-mnist"
    assert bench_data.find(arguments(data=data / "fashion-mnist"), "fashion-mnist") == data / "fashion-mnist"
    with pytest.raises(SystemExit, match=r"where is cifar10\? Give --data DIR, or set AUGSYNTH_DATA"):
        bench_data.find(arguments(), "cifar10")
    monkeypatch.setenv("AUGSYNTH_DATA", str(data))
    assert bench_data.find(arguments(), "fashion-mnist") == data / "fashion-mnist"
    with pytest.raises(SystemExit, match=r"no cifar10 in .*data/cifar10 nor .*: there should be train_0.webp or cifar"):
        bench_data.find(arguments(), "cifar10")


def test_a_download_without_a_network_says_so(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", fail)
    with pytest.raises(SystemExit, match="cifar10 cannot be fetched: OSError: no route to host"):
        bench_data.find(arguments(data=tmp_path, download=True), "cifar10")


def test_cifars_own_files_are_read(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), np.uint8)
    for i, name in enumerate(["data_batch_1", "data_batch_2", "test_batch"]):
        part = {b"data": pixels[2 * i : 2 * i + 2], b"labels": [2 * i, 2 * i + 1]}
        (folder / name).write_bytes(pickle.dumps(part))
    images, labels = bench_data.read(bench_data.find(arguments(data=tmp_path), "cifar10"), "cifar10", "train")
    assert labels.tolist() == [0, 1, 2, 3]
    assert torch.equal(images, torch.tensor(pixels[:4]).reshape(4, 3, 32, 32))
    assert bench_data.cifar(tmp_path, "test")[1].tolist() == [4, 5]


# Texts


@pytest.fixture
def texts(tmp_path):
    """Write the demo's questions to a bank as TREC's file."""
    (tmp_path / "trec").mkdir()
    for split in ("train", "test"):
        found = demo.banking(split)
        kept = sorted({label for _, label in found})[:3]
        rows = [f"{label}\t{text}" for text, label in found if label in kept]
        (tmp_path / "trec" / f"eda_{split}.txt").write_text("\n".join(rows))
    return tmp_path


def test_runs_of_texts_are_kept_and_not_repeated(texts, capsys):
    path = texts / "found.json"
    command = ["text", "--data", str(texts), "--quick", "--workers", "1", "--json", str(path)]
    accuracy.main(command)
    found = json.loads(path.read_text())
    assert set(found["results"]["quick"]["arms"]) == set(accuracy_text.ARMS)
    assert found["quick"] is True
    assert "1 runs are left, 30 trainings each, 600 steps in all" in capsys.readouterr().out
    accuracy.main(command)
    assert "0 runs are left" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no trec 5; there are trec 480"):
        accuracy.main(["text", "trec 5", "--data", str(texts)])
