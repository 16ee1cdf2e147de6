"""What is written of the benchmarks: README, pages and pictures say what the result files say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import curves
import plots
import report
import throughput
from protocol import ROOT

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_readme_says_what_the_result_files_say():
    readme = (ROOT / "README.md").read_text()
    found = report.with_blocks(readme, report.load())
    assert found == readme, f"README.md is not of these results: run {report.COMMAND}"


def test_the_performance_page_says_what_the_result_files_say():
    page = (ROOT / "benchmarks" / "README.md").read_text()
    found = report.with_floors(page, report.load())
    assert found == page, f"benchmarks/README.md is not of these results: run {report.COMMAND}"
    scripts = set(re.findall(r"`(\w+\.py)", page))
    assert scripts <= {path.name for path in (ROOT / "benchmarks").glob("*.py")}


def test_a_page_without_its_markers_is_refused():
    with pytest.raises(ValueError, match=r"benchmarks/README\.md needs <!-- tried: begin -->"):
        report.with_floors(
            "nothing", {"tried": {"tried": [], "command": "x", "machine": {"cpu": "y"}, "rounds": 1, "commit": "z"}}
        )


def test_the_details_say_what_the_result_files_say():
    written = (report.RESULTS / "README.md").read_text()
    assert report.details(report.load()) == written, f"benchmarks/results is out of date: run {report.COMMAND}"


def test_the_result_files_are_whole_and_measured():
    results = report.load()
    assert set(results) >= {"throughput", "transforms", "curves", "loader", "parity", "text", "accuracy"}
    assert set(results["throughput"]["recipes"]) == set(throughput.RECIPES)
    assert set(results["curves"]["curves"]) == set(curves.CURVES)
    for name, result in results.items():
        assert not result.get("quick", False), f"{name}.json is of a quick run"
        assert {"schema", "command", "commit", "versions", "machine", "seed", "rounds"} <= set(result)


def test_pictures_are_small_and_there():
    for name in ("throughput", "transforms", "curves"):
        assert 5_000 < (report.RESULTS / f"{name}.png").stat().st_size < 150_000


def test_pictures_are_drawn_from_results(tmp_path):
    results = report.load()
    for name, draw in (("throughput", plots.recipes), ("transforms", plots.transforms), ("curves", plots.curves)):
        draw(results[name], tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000


def test_a_loss_is_named_in_the_readme():
    filtered = [{"name": "albumentations, area", "times": 2}]
    entries = {
        "Slow": {"times_best_peer": 0.25, "best_peer": "it", "rows": filtered},
        "Fast": {"times_best_peer": 3.0, "best_peer": "it", "rows": []},
    }
    text = report.verdict({"size": 224, "batch": 64, "transforms": entries, "no_peer": {"Alone": "no peer"}})
    assert "1 of 2 are at least as fast" in text
    assert "`Slow` 0.25 (2.00 beside a peer that filters too)" in text
    assert "1 have no peer" in text


def test_a_readme_without_its_markers_is_not_written():
    with pytest.raises(ValueError, match="once each"):
        report.with_block("no markers", "block")
