"""The report: complete in itself, the answer first, nothing unescaped, numbers as in the results."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from augsynth.console import Forecast, Monitor, duration, show
from augsynth.figure import Scale, tick_step
from augsynth.quality import Comparison, Example, Protocol, Run
from augsynth.quality.runs import Done, Phase
from augsynth.quality.runs import Progress as Step
from augsynth.quality.training import Score
from augsynth.report import data_uri, page

ARMS = {"none": 0.6, "augment": 0.75, "synthetic": 0.4, "both": 0.72}


def comparison(seeds=4, samples=600, **changes):
    """A comparison with made-up predictions: augment is better than none, synthetic worse."""
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % 3
    runs = []
    for seed in range(seeds):
        for arm, accuracy in ARMS.items():
            right = rng.random(samples) < accuracy
            probabilities = np.eye(3, dtype=np.float32)[np.where(right, labels, (labels + 1) % 3)]
            scores = {0.01: Score(0.5, 1.0), 0.03: Score(0.6, 0.9)}
            runs.append(Run(arm, seed, 0.03, scores, probabilities, 1000.0, 1.0))
    picture = rng.integers(0, 256, (3, 1, 5, 7)).astype(np.uint8)
    found = Comparison(
        protocol=Protocol(seeds=seeds),
        classes=("cat", "<dog>", "eel & co"),
        labels=labels,
        positions=np.arange(samples),
        few={seed: np.arange(9) for seed in range(seeds)},
        runs=tuple(runs),
        examples=(Example("none", "real", picture, ("cat", "<dog>", "eel & co")),),
        seconds=75.0,
    )
    return replace(found, **changes)


class Reader(HTMLParser):
    """Collects tags, addresses and text, and fails on a tag that is closed in the wrong order."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img", "br", "wbr"):
            self.open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_the_page_is_well_formed_and_fetches_nothing():
    text = page(comparison(), "seeds: 4\n")
    reader = read(text)
    assert reader.addresses
    assert all(address.startswith("data:image/png;base64,") for address in reader.addresses)
    assert not re.search(r"https?:|url\(|@import|<script|<link", text)
    assert "default-src 'none'" in text


def test_question_and_answer_stand_before_everything_else():
    found = comparison()
    text = page(found, "")
    assert 0 < text.index(found.question()) < text.index("<table")
    assert "Yes, it helps" in text[: text.index("<table")]


def test_the_page_states_the_numbers_of_the_results():
    found = comparison()
    text = "".join(read(page(found, "")).text)
    for value in found.accuracy().values():
        assert f"{100 * value.mean:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})" in text
    for contrast in found.contrasts():
        assert f"{100 * contrast.difference.mean:+.1f}".replace("-", "\N{MINUS SIGN}") in text
    assert {"helps", "hurts"} <= {c.verdict for c in found.contrasts()}


def test_names_from_outside_are_escaped():
    text = page(comparison(), "key: <b>&</b>\n", data_name="<script>alert(1)</script>")
    assert "<script" not in text
    assert "&lt;dog&gt;" in text
    assert "&lt;b&gt;&amp;&lt;/b&gt;" in text
    read(text)


def test_configuration_and_versions_are_on_the_page():
    found = comparison()
    text = page(found, "learning_rates:\n- 0.01\n")
    assert "learning_rates:\n- 0.01" in text
    assert all(f"<td>{version}</td>" in text for version in found.results()["versions"].values())


def test_a_data_address_holds_the_very_pixels():
    pixels = np.random.default_rng(1).integers(0, 256, (3, 6, 4)).astype(np.uint8)
    for image in (pixels, pixels[:1]):
        decoded = Image.open(io.BytesIO(base64.b64decode(data_uri(image).split(",")[1])))
        expected = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        assert np.array_equal(np.asarray(decoded), expected)


def test_names_of_classes_break_at_their_joints():
    found = comparison()
    example = replace(found.examples[0], label=("T-shirt/top", "a_<b>&", "cat"))
    text = page(replace(found, examples=(example,)), "")
    assert "<th>T-<wbr>shirt/<wbr>top</th><th>a_&lt;b&gt;&amp;</th><th>cat</th>" in text


def test_an_interrupted_comparison_says_so_on_the_page():
    found = comparison()
    partial = replace(found, runs=found.runs[:6], interrupted=True)
    text = page(partial, "")
    assert "Interrupted." in text
    assert "6 of 16 runs" in text
    read(text)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_page_can_be_made_of_hardly_any_runs(kept):
    found = comparison()
    text = page(replace(found, runs=found.runs[:kept], interrupted=True, examples=()), "")
    assert "Not enough finished runs" in text
    assert "nan" not in text
    assert "inf" not in text.replace("information", "")
    read(text)


def test_every_arm_has_a_row_in_the_figure():
    text = page(comparison(), "")
    figure = text[text.index("<svg") : text.index("</svg>")]
    assert all(f">{arm}</text>" in figure for arm in ARMS)
    assert figure.count('class="seed"') == 16
    assert figure.count('class="mean"') == 4 + 3


def test_the_figure_stays_where_accuracies_can_be():
    found = comparison(seeds=2, samples=20)
    text = page(found, "")
    figure = text[text.index("<svg") : text.index("</svg>")]
    ticks = [float(tick) for tick in re.findall(r'text-anchor="middle">(-?[\d.]+)<', figure)]
    assert min(ticks) >= -100
    assert max(ticks) <= 100
    assert found.contrasts()[0].difference.high > 1


def test_the_figure_puts_values_where_they_belong():
    scale = Scale(61.0, 78.0, start=100.0)
    assert scale.ticks()[0] <= 61.0 < 78.0 <= scale.ticks()[-1]
    left, right = scale(scale.low), scale(scale.high)
    assert left == 100.0
    assert scale((scale.low + scale.high) / 2) == pytest.approx((left + right) / 2)
    assert tick_step(10.0) == 2.0


def test_the_printed_table_fits_eighty_columns_and_ends_with_the_footnote():
    console = Console(record=True, width=80, file=io.StringIO())
    show(comparison(), console)
    text = console.export_text()
    rows = [line for line in text.splitlines() if line.strip().split(" ")[0] in ARMS and "(" in line]
    assert len(rows) == 4
    assert "helps *" in rows[3]
    assert "hurts" in rows[2]
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "Holm" in text


def test_the_forecast_is_the_work_left_times_the_measured_rate():
    forecast = Forecast({"none": 100, "generator": 2}, workers=2)
    assert forecast.seconds_left() is None
    forecast.add("none", 50, 5.0)
    forecast.add("generator", 1, 30.0)
    assert forecast.seconds_left() == pytest.approx((50 * 0.1 + 30.0) / 2)
    assert forecast.share_done() == pytest.approx(0.5)
    forecast.add("none", 50, 5.0)
    forecast.add("generator", 1, 30.0)
    assert (forecast.seconds_left(), forecast.share_done()) == (0.0, 1.0)


def test_without_a_terminal_every_run_is_one_line():
    console = Console(file=io.StringIO(), width=100)
    found = comparison()
    with Monitor({"none": 10}, runs=2, workers=1, console=console) as monitor:
        monitor(Phase(0, "seed 0, none: training"))
        monitor(Step(0, "none", 5, 1.0))
        monitor(found.runs[0])
        monitor(Step(0, "none", 5, 1.0))
        monitor(found.runs[1])
        monitor(Done(0))
    lines = console.file.getvalue().splitlines()
    assert [line.split(";")[0] for line in lines] == ["run 1/2: seed 0, none", "run 2/2: seed 0, augment"]
    assert "about 1 s left" in lines[0]


def test_in_a_terminal_the_bar_says_what_runs_and_how_long_is_left():
    console = Console(file=io.StringIO(), width=120, force_terminal=True, force_interactive=True)
    with Monitor({"none": 100}, runs=4, workers=1, console=console) as monitor:
        monitor(Phase(0, "seed 0, none: training"))
        monitor(Step(0, "none", 50, 100.0))
        monitor.progress.refresh()
    text = console.file.getvalue()
    assert "seed 0, none: training" in text
    assert "0/4 runs, 1 min 40 s left" in text


def test_durations_are_written_for_people():
    assert [duration(s) for s in (4.4, 60, 200)] == ["4 s", "1 min 00 s", "3 min 20 s"]


def test_the_page_names_the_pipeline_of_each_arm():
    text = page(comparison(pipelines={"none": None, "augment": "0a1b2c"}), "")
    assert "<td>none</td><td><code>no pipeline</code></td>" in text
    assert "<td>augment</td><td><code>0a1b2c</code></td>" in text
    assert "Fingerprints" not in page(comparison(), "")
    read(text)
