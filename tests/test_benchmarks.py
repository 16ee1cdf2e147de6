"""The benchmarks stay alive: the smallest case of each script, their arithmetic, and what is written of them.

Nothing here looks at a speed. kornia and fuse-augmentations are tried where they are installed.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import augsynth as ag
from augsynth.transforms import REGISTRY

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import albumentations as A
import curves
import cv2
import decoding
import floor
import gpu
import gpu_kernels
import loader
import overhead
import pairs
import parity
import peers
import per_transform
import protocol
import report
import report_text
import targets
import text
import throughput
import tried
from protocol import ROOT, Candidate, Failed
from torchvision.transforms import v2

# What libraries say of their own future is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore")
SIDE = 64
OPTIONAL = ("kornia", "fuse-augmentations")
LISTING = pairs.listing(SIDE)
PAIRS = {name: pair for name, pair in LISTING.items() if not isinstance(pair, str)}
# torchvision says so itself.
REFUSED = {("GaussianNoise", "torchvision, PIL")}


@pytest.fixture(scope="module", autouse=True)
def one_core():
    """Run as the benchmarks do: threads that wait for a busy core are slower than none."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    protocol.one_core()
    yield
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        math.sqrt(2.0)


def failures(table, name=""):
    """Return what failed, but for what is refused on purpose or not installed."""
    found = {key: c.why for key, c in table.items() if isinstance(c, Failed) and (name, key) not in REFUSED}
    return {key: why for key, why in found.items() if "ModuleNotFoundError" not in why or not key.startswith(OPTIONAL)}


@pytest.fixture(scope="module")
def images():
    return protocol.photos(2, (SIDE, SIDE))


# Protocol


def test_the_clock_counts_what_other_threads_do():
    def elsewhere():
        thread = threading.Thread(target=spin, args=(0.03,))
        thread.start()
        thread.join()

    timings = protocol.measure({"here": Candidate(lambda: spin(0.03), 1), "there": Candidate(elsewhere, 1)}, 2)
    assert timings["here"].elsewhere < 0.2
    assert timings["there"].elsewhere > 0.8
    assert timings["there"].microseconds()["microseconds_per_image"] > 20_000


def test_seconds_are_per_image_and_ratios_within_a_round():
    fast, slow = protocol.Timing([1.0, 2.0, 1.0], 0.0), protocol.Timing([3.0, 6.0, 4.0], 0.0)
    assert fast.times(slow) == (3.0, [3.0, 3.5])
    assert slow.microseconds()["microseconds_quartiles"] == [3.5e6, 5e6]
    eight = protocol.measure({"it": Candidate(lambda: spin(0.01), 8)}, 1)["it"]
    assert 1000 < eight.microseconds()["microseconds_per_image"] < 5000


def test_every_round_times_every_candidate_after_an_untimed_call():
    calls = []
    table = {name: Candidate(lambda name=name: (calls.append(name), spin(0.005)), 1) for name in "abc"}
    protocol.measure(table, 3)
    assert [calls.count(name) for name in "abc"] == [7, 7, 7]  # one call more finds out how long it takes
    assert calls[3::2] == calls[4::2]


def test_what_fails_becomes_a_row_that_says_why():
    def broken():
        raise ValueError(f"no\nsecond line {ROOT}")

    assert protocol.attempt(lambda: Candidate(broken, 1)) == Failed("ValueError: no")


def test_a_compiler_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda call: lambda: spin(60))
    with pytest.raises(TimeoutError, match=r"not through after 0 s"):
        peers.compiled(Candidate(lambda: None, 1), 0.2)


def test_a_result_file_says_where_it_comes_from_and_holds_no_place_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(ROOT / "benchmarks" / "throughput.py"), "--images", str(tmp_path)])
    head = protocol.head(3)
    assert head["command"].startswith("python benchmarks/throughput.py --images ")
    assert str(ROOT) not in json.dumps(head)
    assert {"torch", "albumentations", "augsynth", "python"} <= set(head["versions"])
    assert head["machine"]["cpu"]
    assert head["machine"]["cores"] >= 1


def test_an_empty_folder_of_photographs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no \.jpg"):
        protocol.photos(1, (8, 8), str(tmp_path))


# Recipes


@pytest.mark.parametrize("name", throughput.RECIPES)
def test_a_recipe_runs_in_every_library(name):
    recipe = replace(throughput.RECIPES[name], batch=2)
    table = throughput.table_of(recipe)
    assert not failures(table)
    shapes = {tuple(protocol.pixels_of(c.call()).shape) for c in table.values() if isinstance(c, Candidate)}
    assert shapes == {(2, 3, recipe.out, recipe.out)}
    found = {row["name"]: row for row in throughput.rows_of(recipe, table, rounds=1, draws=1)}
    assert found["albumentations"]["times_albumentations"] == 1
    assert found["torchvision, tensor"]["mean_difference"] == 0
    assert any(key.startswith("augsynth") for key in found)


def test_boxes_and_classes_are_counted_as_they_are():
    boxes = torch.tensor([[0.0, 0, 320, 320], [5, 5, 5.5, 5.5], [600, 600, 700, 640]])
    recipe = targets.RECIPES["detection 640"]
    found = targets.followed(recipe, Candidate(lambda: {"boxes": [boxes, boxes[:0]]}, 2), draws=1)
    assert found == {"boxes_per_image": 1.0, "box_area": round((0.25 + 1600 / 640**2) / 2, 4)}
    masks = [torch.zeros(2, 2), torch.full((2, 2), 3)]
    shares = targets.followed(targets.RECIPES["segmentation 512"], Candidate(lambda: {"mask": masks}, 2), draws=1)
    assert [shares["classes"][i] for i in (0, 1, 3)] == [0.5, 0, 0.5]


# Single transforms


def test_every_class_of_the_registry_is_paired_or_said_to_be_alone():
    assert {name.split(",")[0] for name in LISTING} == set(REGISTRY)
    assert not set(pairs.pairs(SIDE)) - set(LISTING)


def test_a_class_whose_name_another_library_has_is_paired_with_it():
    for name in REGISTRY:
        own = [pair for key, pair in PAIRS.items() if key.split(",")[0] == name]
        if name in pairs.WHY_NONE:
            continue
        for module, part in ((v2, "torchvision"), (A, "albumentations")):
            if hasattr(module, name):
                assert own, f"add {name} to benchmarks/pairs_*.py, or say in pairs.WHY_NONE why there is no peer"
                assert all(getattr(pair, part) for pair in own), f"{name} is in {module.__name__} too"


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_works_in_every_library(name, images):
    table = per_transform.candidates(PAIRS[name], PAIRS[name].timed, images)
    assert not failures(table, name)
    if not PAIRS[name].varies:
        shapes = {
            tuple(i.shape for i in per_transform.planes_of(c.call()))
            for c in table.values()
            if isinstance(c, Candidate)
        }
        assert len(shapes) == 1


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.pinned is not None and not pair.note])
def test_a_pinned_pair_without_a_note_does_the_same_everywhere(name, images):
    gaps = per_transform._pinned(PAIRS[name], images)
    for candidate, gap in gaps.items():
        assert isinstance(gap, list), f"{candidate}: {gap}"
        assert gap[1] < 2, candidate


def test_a_transform_is_compared_with_the_best_peer_that_draws_per_sample(images):
    result = per_transform.compare(PAIRS["RandomHorizontalFlip"], images, rounds=2)
    rows = {row["name"]: row for row in result["rows"]}
    rivals = {name: row for name, row in rows.items() if name in per_transform.PER_SAMPLE and "failed" not in row}
    speeds = {name: row["microseconds_per_image"] for name, row in rivals.items()}
    assert speeds[result["best_peer"]] == min(speeds.values())
    assert result["times_best_peer"] == rows[result["best_peer"]]["times"]
    assert rows["augsynth"]["difference"] == [0.0, 0.0]


def test_a_policy_that_is_chosen_for_the_whole_batch_is_no_rival(images, monkeypatch):
    monkeypatch.setattr(per_transform, "_kornia", lambda make, images, alike: Candidate(lambda: None, 1, alike))
    table = per_transform.candidates(PAIRS["RandAugment"], (), images)
    assert not table["kornia, batch"].per_sample


# Curves, loader, parity


@pytest.mark.parametrize("name", curves.CURVES)
def test_a_curve_has_points_in_every_library(name):
    point = next(curves.CURVES[name][1](True))
    measured = curves._measured(replace(point, images=1), 1, None)
    assert not [row for row in measured["rows"].values() if "failed" in row]
    assert measured["value"] == point.value
    assert any(key.startswith("augsynth") for key in measured["rows"])


@pytest.mark.parametrize("kind", ["geometric", "colour", "mixed"])
def test_a_curve_over_transforms_goes_to_ten_of_the_kind(kind):
    ten = curves._joined(curves._ten(kind))
    colors = sum(isinstance(step, (ag.transforms.ColorJitter, ag.transforms.RandomGrayscale)) for step in ten.ours)
    assert [len(ten.ours), len(ten.torchvision), len(ten.albumentations)] == [10, 10, 10]
    assert colors == {"geometric": 0, "colour": 10, "mixed": 5}[kind]


def test_the_overhead_is_measured_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(overhead, "PROGRAMS", dict.fromkeys(overhead.PROGRAMS, "pass"))
    loader.main(["--overhead", "--quick", "--json", str(tmp_path / "overhead.json")])
    result = json.loads((tmp_path / "overhead.json").read_text())
    assert result["wrapped"]["32"]["bare"]["median"] == 1
    assert all(row["median"] > 0 for rows in result["wrapped"].values() for row in rows.values())
    assert set(result["seconds"]) == set(overhead.PROGRAMS)
    assert "augsynth adds" in report.overhead_sentence(result)
    assert "empty pipeline" in capsys.readouterr().out


def test_what_a_recipe_takes_is_shared_out_among_its_steps(tmp_path, capsys):
    throughput.main(["--floor", "cifar 32", "imagenet 256", "--quick", "--json", str(tmp_path / "floor.json")])
    result = json.loads((tmp_path / "floor.json").read_text())["floor"]
    assert list(result["imagenet 256"]["steps"]) == ["RandomResizedCrop", "RandomHorizontalFlip", "ColorJitter"]
    for row in result.values():
        whole = row["microseconds"]["microseconds_per_image"]
        assert sum(row["steps"].values()) + row["shared"] == pytest.approx(whole, abs=0.1)
        assert row["floors"]["convert"] > 0
        assert row["percent_of_copy"] == pytest.approx(100 * row["floors"]["copy"] / whole, rel=0.2)
    read, written = result["imagenet 256"]["bytes_read"], result["imagenet 256"]["bytes_written"]
    assert (read, written) == (round(0.54 * 256 * 256 * 3), 224 * 224 * 3 * 4)
    assert "us = RandomCrop" in capsys.readouterr().out


def test_a_run_that_was_stopped_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    path = tmp_path / "found.json"
    command = ["--floor", "cifar 32", "randaugment 32", "--quick", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", ["benchmarks/throughput.py", *command])

    def stop(recipe, rounds, folder, real=floor.of_recipe):
        if recipe.ours()[0].__class__.__name__ == "RandAugment":
            raise KeyboardInterrupt
        return real(recipe, rounds, folder)

    with monkeypatch.context() as patch:
        patch.setattr(floor, "of_recipe", stop)
        with pytest.raises(SystemExit, match="the same command goes on from here"):
            throughput.main(command)
    first = json.loads((tmp_path / "found.partial").read_text())["kept"]["cifar 32"]
    assert not path.exists()
    assert "to be measured: 2 (floor)" in capsys.readouterr().out
    throughput.main(command)
    assert "goes on behind cifar 32\nto be measured: 1 (floor)" in capsys.readouterr().out
    assert json.loads(path.read_text())["floor"]["cifar 32"] == first
    assert not (tmp_path / "found.partial").exists()


def test_what_another_command_kept_is_not_taken(tmp_path):
    kept = protocol.Kept(tmp_path / "found.json", {"command": "a", "names": ("x",)})
    kept["one"] = {"value": 1}
    assert protocol.Kept(tmp_path / "found.json", {"command": "a", "names": ("x",)}) == {"one": {"value": 1}}
    assert protocol.Kept(tmp_path / "found.json", {"command": "b", "names": ("x",)}) == {}
    assert protocol.Kept(None, {}) == {}


def test_other_ways_are_timed_beside_ours(tmp_path, capsys):
    tried.main(["--quick", "--json", str(tmp_path / "tried.json")])
    rows = json.loads((tmp_path / "tried.json").read_text())["tried"]
    assert len(rows) == len({row["what"] for row in rows}) == 12
    assert all(row["times"] == pytest.approx(row["other"] / row["ours"], rel=0.2) for row in rows if row["ours"] > 5)
    assert capsys.readouterr().out.count("times as long") == 12


def test_loading_from_files_is_measured_with_the_wait_of_a_step(tmp_path, capsys):
    loader.main(["--decode", "--quick", "--workers", "0", "--step", "5", "--json", str(tmp_path / "decode.json")])
    result = json.loads((tmp_path / "decode.json").read_text())
    rows = {row["name"]: row for row in result["workers"]["0"]}
    assert {"augsynth exact, Pillow", "torchvision, Pillow", "decoding alone, OpenCV"} <= set(rows)
    assert all(row["images_per_second"] > 0 and 0 < row["waiting"] < 1 for row in rows.values())
    assert rows[decoding.BASE]["times_albumentations"] == 1
    assert "a step of 5 ms" in capsys.readouterr().out


def test_the_share_of_waiting_is_that_of_the_time_without_a_batch():
    def slow():
        for _ in range(loader.WARM_BATCHES + 5):
            time.sleep(0.03)
            yield torch.zeros(2, 3, 4, 4), 0

    speed, share = decoding.timed(slow(), torch.zeros(2, 3, 4, 4), 0.01)
    assert 0.5 < share < 0.95
    assert 0 < speed < 2 / 0.04


def test_the_speed_of_texts_is_measured_and_told(tmp_path, capsys):
    text.main(["--quick", "--json", str(tmp_path / "text.json")])
    result = json.loads((tmp_path / "text.json").read_text())
    assert (result["quick"], result["texts"]) == (True, text.QUICK_COUNT)
    failed = {row["task"] for row in result["rows"] if "failed" in row}
    assert failed == {"synonyms"}  # for want of WordNet
    assert all(row["times_nlpaug"] > 0 for row in result["rows"] if "times_nlpaug" in row and "batch" in row["name"])
    table = report_text.speed_of_text(result)
    assert "| keyboard |" in table
    assert "needs --wordnet DIR" in table
    assert "times nlpaug (floor 10)" in capsys.readouterr().out


def test_every_loader_yields_the_batches_that_are_timed():
    pictures = protocol.photos(2, (loader.SIZE, loader.SIZE))
    table = loader.candidates(pictures, length=2 * (loader.WARM_BATCHES + 1), batch=2, workers=0)
    staging = torch.empty(2, 3, loader.OUT, loader.OUT)
    assert all(loader.timed(one, staging) > 0 for one in table.values())
    rows = loader.summary({"albumentations": [10.0, 20.0], "it": [30.0, 40.0]})
    assert rows[1] == {"name": "it", "images_per_second": 35, "times_albumentations": 2.5, "quartiles": [2.25, 2.75]}


def test_parity_compares_the_same_parameters():
    row = parity.row_of("RandomCrop", [torch.arange(3 * 256**2, dtype=torch.int64).reshape(3, 256, 256).byte()])
    assert row == {"name": "RandomCrop", "largest": 0.0, "mean": 0.0}


# GPU


def test_the_roofline_is_the_share_of_the_time_that_the_bytes_need():
    case = gpu.CASES[0]
    assert case.bytes == 256 * 3 * (256 * 256 + 224 * 224 * 2)
    assert case.bytes_of_crops == round(256 * 3 * (0.54 * 256 * 256 + 224 * 224 * 2))
    assert gpu.roofline_percent(1000, 1e6, 0.002) == 50.0
    assert {(c.batch, c.size, c.out) for c in gpu.CASES if c.recipe == "affine"} == {
        (32, 256, 224),
        (64, 256, 224),
        (32, 600, 512),
        (32, 1280, 1024),
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure")
def test_without_a_device_the_gpu_benchmark_says_what_it_needs():
    for script in (gpu, gpu_kernels):
        with pytest.raises(SystemExit, match="needs a CUDA device"):
            script.main([])


@pytest.mark.skipif(torch.cuda.is_available(), reason="the interpreter is for machines without a device")
def test_the_gpu_benchmark_runs_dry():
    for result in gpu.dry_run():
        failed = {row["name"]: row["failed"] for row in result["rows"] if "failed" in row}
        assert all("ModuleNotFoundError" in why for why in failed.values()), failed
        assert {gpu.OURS, gpu.GRAPH, gpu.REPLAY, "torchvision, tensor"} <= {row["name"] for row in result["rows"]}
        assert {tuple(row["shape"]) for row in result["rows"] if row.get("shape")} == {(2, 3, 16, 16)}
        assert result["difference_to_torch_engine"] < 0.05


def test_the_launch_bound_row_is_the_batch_of_32():
    rows = [{"name": gpu.OURS, "wall_us": 9.0}, {"name": gpu.GRAPH, "failed": "x"}]
    results = [{"case": str(case), "rows": rows if case.batch == 32 else []} for case in gpu.CASES]
    assert gpu.launch_bound(results) == {gpu.OURS: 9.0}


def test_an_absent_peer_is_told_from_a_broken_one():
    assert importlib.util.find_spec("albumentations")
    broken = {"kornia, batch": Failed("TypeError: x"), "fuse-augmentations": Failed("ModuleNotFoundError: y")}
    assert failures(broken) == {"kornia, batch": "TypeError: x"}
