"""benchmarks/generator.py: its subcommands run, keep what they found, and measure what they say."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import bench_data
import budgets
import cgan
import cifar
import generator
import imbalance
import imbalance_training
import report_generator
from demo_files import write_fashion
from torch.nn import functional as F

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def idx_folder(tmp_path):
    return write_fashion(tmp_path)


def test_rare_classes_are_trained_kept_and_not_trained_twice(idx_folder, capsys):
    command = ["imbalance", str(idx_folder), "--quick", "--workers", "1", "--json", str(idx_folder / "found.json")]
    generator.main(command)
    found = json.loads((idx_folder / "found.json").read_text())
    assert {row["arm"]: len(row["per_class"]) for row in found["cells"]} == {"none": 10, "latent_smote": 10}
    assert all(row["accuracy"] == pytest.approx(sum(row["per_class"]) / 10, abs=0.01) for row in found["cells"])
    assert found["cells"][0]["accuracy"] > 30
    headline = found["summary"]["headline"]
    assert (headline["arm"], headline["base"]) == ("latent_smote", "none")
    assert headline["difference"][0] == pytest.approx(found["cells"][1]["accuracy"] - found["cells"][0]["accuracy"])
    printed = capsys.readouterr().out.split("| arm")[1]
    generator.main(command)
    again = capsys.readouterr().out
    assert "seed 0" not in again
    assert again.endswith(printed)


def test_the_losses_for_rare_classes_are_what_they_are_called():
    label, weights, logits = torch.tensor([0, 1, 1]), torch.tensor([0.5, 3.0]), torch.randn(3, 2)
    ((_, soft),) = imbalance_training.Weighted([(logits, label)], weights)
    expected = F.cross_entropy(logits, label, weights, reduction="none").mean()
    torch.testing.assert_close(F.cross_entropy(logits, soft), expected)
    adjusted = imbalance_training.Adjusted(torch.nn.Identity(), torch.tensor([0.9, 0.1]))
    torch.testing.assert_close(adjusted(logits), logits + torch.tensor([0.9, 0.1]).log())
    assert torch.equal(adjusted.eval()(logits), logits)


def test_every_fill_brings_each_class_up_to_the_largest(idx_folder):
    samples = imbalance.prepare(idx_folder, imbalance.QUICK, 1).train[0]
    assert np.bincount(samples.label).tolist() == list(imbalance.QUICK.counts)
    for name, fill in imbalance_training.FILLS.items():
        if name != "pixels" or importlib.util.find_spec("imblearn"):
            image, label = fill(samples, imbalance.QUICK, 0)(0)
            assert np.bincount(torch.cat([samples.label, label])).tolist() == [400] * 10, name
            assert image.dtype == torch.uint8
            assert image.shape == (len(label), 1, 28, 28)


def test_a_gan_is_judged_in_slices_of_its_training(idx_folder, capsys):
    command = ["cgan", str(idx_folder), "--quick", "--minutes", "0.05", "--threads", "1"]
    generator.main([*command, "--json", str(idx_folder / "cgan.json")])
    found = json.loads((idx_folder / "cgan.json").read_text())
    (readings,) = found["runs"]
    images = [reading["images"] for reading in readings]
    assert images == sorted(images)
    assert 0 < images[-1] <= 400
    assert all(0 <= reading[name] <= 1 for reading in readings for name in ("accuracy", "agreement", "coverage"))
    assert found["real_coverage"] > 0.5
    assert f"{images[-1]:>8,} images" in capsys.readouterr().out
    table = report_generator.learned_alone(found)
    assert table.count("\n|") == len(readings) + 2
    assert "the 400 real images" in table


def test_every_generator_is_judged_by_budget(idx_folder, capsys):
    command = ["budgets", str(idx_folder), "--quick", "--json", str(idx_folder / "budgets.json")]
    generator.main(command)
    found = json.loads((idx_folder / "budgets.json").read_text())
    assert [(row["generator"], row["budget"]) for row in found["cells"]] == [(name, 200) for name in budgets.GENERATORS]
    for row in found["cells"]:
        assert all(0 <= row[name] <= 1 for name in ("accuracy", "agreement", "coverage"))
        assert row["fd"] > found["real"]["fd"] > 0
        assert (row["watt_hours"] is None) is bool(found["not_measurable"])
    printed = capsys.readouterr().out
    assert printed.startswith("3 cells are left, 600 images of training in all")
    assert ("not measurable here" in printed) is bool(found["not_measurable"])
    generator.main(command)
    assert capsys.readouterr().out == "0 cells are left, 0 images of training in all\n"
    assert json.loads((idx_folder / "budgets.json").read_text()) == found


def test_energy_is_that_of_training_and_of_sampling(idx_folder, monkeypatch):
    class Steady:
        name, read = "clockwork", 0.0

        def joules(self):
            self.read += 3600.0
            return self.read

    monkeypatch.setattr(budgets.meters, "find", lambda makers: ([Steady()], []))
    task = cgan.Task.of(idx_folder, 100, 100, 2)
    one = budgets.worth(task, "vae", 50, 0, torch.device("cpu"))
    assert one.watt_hours == (10.0, 10.0)  # 1 Wh each, for 100 samples
    assert "20.000 Wh per 1,000" in budgets.show(one)


def test_the_gan_of_the_device_can_be_checked_without_one(tmp_path, capsys):
    labels = np.arange(10_000) % 10
    tiles = np.repeat(labels.astype(np.uint8).reshape(100, 100) * 20, 32, 0).repeat(32, 1)
    for name in ("train_0", "test"):
        Image.fromarray(np.stack([tiles] * 3, 2)).save(tmp_path / f"{name}.webp", lossless=True, quality=0, method=0)
        np.save(tmp_path / f"{name}_labels.npy", labels.astype(np.uint8))
    images, read = bench_data.cifar(tmp_path, "test")
    assert (images.shape, read.tolist()) == ((10_000, 3, 32, 32), labels.tolist())
    assert torch.equal(images[1234].flatten().unique(), torch.tensor([80], dtype=torch.uint8))
    command = ["cifar", str(tmp_path), "--dry-run", "--checkpoint", str(tmp_path / "gan.ckpt")]
    generator.main([*command, "--json", str(tmp_path / "cifar.json")])
    found = json.loads((tmp_path / "cifar.json").read_text())
    assert found["device"] == "CPU, a dry run: no measurement"
    assert found["training"]["operations_per_image"] > 1e6
    assert len(found["accuracies"]) == 1
    with pytest.raises(SystemExit, match="needs a CUDA device"):
        generator.main(command[:2])


def test_the_network_of_the_device_learns_what_is_easy():
    labels = torch.arange(300) % 3
    images = torch.full((300, 3, 32, 32), 60, dtype=torch.uint8)
    images[torch.arange(300), labels] = 200
    device = torch.device("cpu")
    network = cifar.learned((images, labels), 14, 0, 8, device)
    assert cifar.accuracy(network, (images, labels), device) > 0.9
