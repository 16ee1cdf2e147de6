"""What is written of the benchmarks: README, pages and pictures say what the result files say."""

from __future__ import annotations

import re
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import curves
import plots
import report
import report_page
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


def written_page(results):
    return report_page.page(results, report.sections(results))


def test_the_page_of_results_is_of_these_files():
    written = (report.RESULTS / "index.html").read_text()
    assert written_page(report.load()) == written, f"index.html is out of date: run {report.COMMAND}"


def test_the_page_fetches_nothing_and_every_tag_is_closed():
    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open_tags, self.sections = [], []

        def handle_starttag(self, tag, attrs):
            for name, value in attrs:
                assert name != "src"
                assert name != "href" or value.startswith("#")
            if tag == "section":
                self.sections.append(dict(attrs).get("id"))
            if tag not in ("meta", "br", "wbr"):
                self.open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            assert tag in ("line", "circle")

        def handle_endtag(self, tag):
            assert self.open_tags.pop() == tag

    results = report.load()
    reader = Reader()
    reader.feed(written_page(results))
    assert reader.open_tags == []
    assert reader.sections == [name for name, *_ in report.sections(results)] + [None]
    assert "url(" not in written_page(results)


def test_each_section_says_how_to_try_it_again():
    results = report.load()
    parts = dict(re.findall(r'<section id="([^"]+)">(.*?)</section>', written_page(results), re.DOTALL))
    for name, part in parts.items():
        assert escape(results[name]["command"], quote=False) in part, name


def test_another_number_in_a_file_is_another_page():
    results = report.load()
    before = written_page(results)
    row = results["throughput"]["recipes"]["imagenet 256"][0]
    row["times_albumentations"] = 0.123
    assert "0.12" in written_page(results)
    assert written_page(results) != before


def test_a_loss_stands_on_the_page_like_a_win():
    rows = [
        {"arm": "a", "base": "none", "difference": [1.0, 0.5, 1.5], "verdict": "helps"},
        {"arm": "b", "base": "none", "difference": [-1.0, -1.5, -0.5], "verdict": "hurts"},
        {"arm": "c", "base": "none", "difference": [0.1, -0.5, 0.7], "verdict": "no evidence"},
    ]
    assert report_page._judged("x", rows) == [
        ("won", "x, helps: a against none +1.0 (+0.5 to +1.5) points."),
        ("lost", "x, hurts: b against none -1.0 (-1.5 to -0.5) points."),
        ("open", "x, no evidence: c against none +0.1 points."),
    ]
    slow = {"name": "albumentations", "times_albumentations": 1.0, "per_sample": True}
    ours = {"name": "augsynth exact", "times_albumentations": 0.5, "per_sample": True}
    shared = {"name": "kornia, batch", "times_albumentations": 4.0, "per_sample": False}
    said = report_page._recipes_said({"recipes": {"one": [slow, ours, shared]}})
    assert [kind for kind, _ in said] == ["won", "lost", "lost"]
    assert said[0][1].startswith("0 of 1 recipes")
    assert said[1][1] == "Recipes that are slower: one 0.50."
    assert "one (kornia, batch: 8.00 times as fast)" in said[2][1]


def test_a_file_without_a_section_is_listed():
    results = {"new": {"command": "python benchmarks/new.py"}}
    assert "<code>python benchmarks/new.py</code>" in written_page(results)


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
