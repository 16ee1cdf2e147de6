"""The runs of a sweep in one table: none is dropped, and the best of many is corrected for."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from test_report import comparison, read

from augsynth.gathered_page import headline, page, show
from augsynth.gathering import GatherError, entries, gather, write
from augsynth.quality.statistics import holm

SHARED = ["steps=60", "seeds=4"]
SWEPT = ("augment=none", "augment=light", "augment=strong")


def begin(folder, overrides):
    """Leave what Hydra leaves when a job of `augsynth compare` begins."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- '{o}'\n" for o in overrides))
    (folder / ".hydra" / "config.yaml").write_text("learning_rates: [0.01]\n")
    return folder


def gain(points, seeds=4, samples=400, **changes):
    """A comparison in which the arm "both" is `points` better than "none", as far as seeds and samples tell."""
    found = comparison(seeds=seeds, samples=samples)
    rng = np.random.default_rng(1)
    runs = []
    for run in found.runs:
        right = rng.random(samples) < 0.6 + (points / 100 if run.arm == "both" else 0)
        chosen = np.where(right, found.labels, (found.labels + 1) % 3)
        runs.append(replace(run, probabilities=np.eye(3, dtype=np.float32)[chosen]))
    return replace(found, runs=tuple(runs), **changes)


@pytest.fixture
def sweep(tmp_path):
    """A sweep of which three runs are whole, one failed, one was stopped, one was killed and one never began."""
    options = [*SWEPT, "augment=eda", "augment=standard", "augment=typos", "augment=aeda"]
    task = "".join(f"    - {o}\n" for o in [*SHARED, "augment=" + ",".join(o.split("=")[1] for o in options)])
    sweeper = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
    (tmp_path / "multirun.yaml").write_text(
        f"hydra:\n  sweeper:\n    _target_: {sweeper}\n    params: null\n  overrides:\n    task:\n{task}"
    )
    for number, (option, points) in enumerate(zip(SWEPT, (0, 2, 12), strict=True)):
        folder = begin(tmp_path / str(number), [*SHARED, option])
        (folder / "results.json").write_text(json.dumps(gain(points).results()))
    (begin(tmp_path / "3", [*SHARED, options[3]]) / "error.txt").write_text("augment: this pipeline\nedits texts\n")
    stopped = comparison()
    stopped = replace(stopped, runs=stopped.runs[:6], interrupted=True)
    (begin(tmp_path / "4", [*SHARED, options[4]]) / "results.json").write_text(json.dumps(stopped.results()))
    begin(tmp_path / "5", [*SHARED, options[5]])
    return tmp_path


def test_every_run_has_a_row_in_the_order_of_the_sweep_with_what_differs(sweep):
    found = gather(sweep)
    assert [row.found.name for row in found.rows] == ["0", "1", "2", "3", "4", "5", "-"]
    assert [row.differs for row in found.rows][:4] == [(o,) for o in (*SWEPT, "augment=eda")]
    assert found.common == tuple(SHARED)
    statuses = ["complete"] * 3 + ["failed", "stopped", "unfinished", "never begun"]
    assert [row.found.status for row in found.rows] == statuses
    assert found.rows[6].differs == ("augment=aeda",)


def test_ten_runs_stand_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        folder = begin(tmp_path / str(number), [f"seed={number}"])
        (folder / "results.json").write_text(json.dumps(comparison().results()))
    assert [row.found.name for row in gather(tmp_path).rows] == ["2", "9", "10"]


def test_numbers_are_those_of_the_runs_and_p_is_corrected_for_their_number(sweep):
    found = gather(sweep)
    contrasts = [gain(points).contrasts()[0] for points in (0, 2, 12)]
    # The stopped run has one pair of trainings, hence no p.
    corrected = holm([c.p for c in contrasts])
    for row, contrast, p in zip(found.rows, contrasts, corrected, strict=False):
        assert row.contrast == contrast
        assert row.p_holm == pytest.approx(p)
        assert row.validation == pytest.approx(0.6)
    assert found.rows[2].p_holm > found.rows[2].contrast.p


def test_a_difference_that_one_run_alone_would_claim_is_not_claimed_of_the_best_of_many(tmp_path):
    lucky = gain(5, samples=1500)
    assert lucky.contrasts()[0].verdict == "helps"
    assert lucky.contrasts()[0].p > 0.05 / 12
    for number in range(12):
        folder = begin(tmp_path / str(number), [f"seed={number}"])
        (folder / "results.json").write_text(json.dumps((lucky if number == 7 else gain(0)).results()))
    found = gather(tmp_path)
    assert (found.rows[7].contrast.verdict, found.rows[7].verdict_holm) == ("helps", "no evidence")
    assert "Largest difference of 12 runs, with seed=7" in headline(found)
    assert "no evidence. Some verdicts do not survive the correction." in headline(found)


def test_the_page_names_every_run_warns_of_picking_and_fetches_nothing(sweep):
    text = page(gather(sweep), "multirun/<b>")
    reader = read(text)
    said = " ".join(reader.text)
    assert "run 3, augment=eda: failed; augment: this pipeline edits texts" in said
    assert "run 4, augment=standard: stopped; 6 of 16 trainings had finished" in said
    assert "run 5, augment=typos: unfinished; no results.json: it was killed, or it is still running" in said
    assert "run -, augment=aeda: never begun" in said
    assert "Picking the best of several runs" in said
    assert "multirun/&lt;b&gt;" in text
    assert reader.addresses == []
    assert not re.search(r"https?:|url\(|@import|<script|<link", text)
    assert text.count("<svg") == len(gather(sweep).judged)


def test_the_terminal_has_the_same_rows_and_names_those_that_are_not_whole(sweep):
    console = Console(record=True, width=150, file=io.StringIO())
    show(gather(sweep), console)
    text = console.export_text()
    for number, option in enumerate((*SWEPT, "augment=eda", "augment=standard", "augment=typos")):
        assert re.search(rf"^ *{number} +{option} ", text, re.MULTILINE)
    assert "run 3, augment=eda: failed" in text
    assert "Holm" in text


def test_lists_in_overrides_are_printed_as_they_are(tmp_path):
    for number, arms in enumerate(("[none,augment]", "[none,both]")):
        folder = begin(tmp_path / str(number), [f"arms={arms}"])
        (folder / "results.json").write_text(json.dumps(comparison().results()))
    console = Console(record=True, width=150, file=io.StringIO())
    show(gather(tmp_path), console)
    assert "arms=[none,augment]" in console.export_text()


def test_the_files_hold_the_table_with_a_column_for_each_override(sweep, tmp_path):
    found = gather(sweep)
    write(found, tmp_path)
    kept = json.loads((tmp_path / "gathered.json").read_text())
    assert kept["runs"] == entries(found)
    assert kept["common"] == SHARED
    with (tmp_path / "gathered.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["augment"] for row in rows] == ["none", "light", "strong", "eda", "standard", "typos", "aeda"]
    assert float(rows[2]["difference"]) == pytest.approx(found.rows[2].contrast.difference.mean)
    assert [row["status"] for row in rows][3:] == ["failed", "stopped", "unfinished", "never begun"]
    assert rows[3]["difference"] == ""


def test_what_is_no_result_of_a_comparison_is_named_and_a_preview_is_none(sweep):
    (sweep / "5" / "results.json").write_text('{"contrasts": 3}')
    preview = begin(sweep / "preview", [])
    (preview / ".hydra" / "config.yaml").write_text("columns: 6\n")
    row = gather(sweep).rows[5]
    assert row.found.status == "unreadable"
    assert "results.json is not one of augsynth compare: TypeError" in row.found.note
    assert len(gather(sweep).rows) == 7


def test_a_folder_without_results_says_what_was_found_and_how_to_make_some(tmp_path):
    with pytest.raises(GatherError, match=r"missing is not a folder; augsynth compare --multirun augment=light,strong"):
        gather(tmp_path / "missing")
    with pytest.raises(GatherError, match=r"it is empty; augsynth compare --multirun"):
        gather(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(GatherError, match=r"no results of augsynth compare: it has notes.txt; augsynth compare"):
        gather(tmp_path)
    begin(tmp_path / "0", ["seed=1"])
    with pytest.raises(GatherError, match=r"run 0 unfinished \(no results.json.*augsynth compare --multirun"):
        gather(tmp_path)


def test_one_seed_gives_a_row_without_interval_that_says_so(tmp_path):
    (begin(tmp_path / "0", []) / "results.json").write_text(json.dumps(comparison(seeds=1).results()))
    found = gather(tmp_path)
    assert "two seeds are needed" in headline(found)
    text = page(found, "one")
    assert "run 0, 0: complete; too few seeds for an interval" in text
    assert "inf" not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)
    read(text)


def test_results_of_an_earlier_run_are_not_those_of_a_rerun_that_failed_or_was_killed(tmp_path):
    for number in range(3):
        folder = begin(tmp_path / str(number), [f"seed={number}"])
        results = comparison().results() | {
            "config": {"learning_rates": [0.02 if number == 1 else 0.01], "n": {"1": 2}}
        }
        (folder / "results.json").write_text(json.dumps(results))
        (folder / ".hydra" / "config.yaml").write_text("learning_rates: [0.01]\nn: {1: '${hydra:job.num}'}\n")
    (tmp_path / "0" / "error.txt").write_text("the network broke\n")
    rows = gather(tmp_path).rows
    assert [row.found.status for row in rows] == ["failed", "unfinished", "complete"]
    assert rows[0].found.note == "the network broke; results.json is of an earlier run"
    assert "results.json is of an earlier run, with other settings; this one was killed" in rows[1].found.note
    assert rows[0].contrast is rows[1].contrast is None


def test_overrides_break_at_joints_and_never_inside_a_number(tmp_path):
    for number, gamma in enumerate(("0.5", "[0.5,2]")):
        folder = begin(tmp_path / str(number), [f"generator.gamma={gamma}"])
        (folder / "results.json").write_text(json.dumps(comparison().results()))
    text = page(gather(tmp_path), "sweep")
    assert "<td>generator.<wbr>gamma=<wbr>0.5<small>" in text
    assert "<td>generator.<wbr>gamma=<wbr>[0.5,<wbr>2]<small>" in text
