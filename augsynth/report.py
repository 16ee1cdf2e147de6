"""One self-contained HTML page about a comparison: the answer first, then everything it rests on."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html import escape

import numpy as np

from augsynth.console import duration, footnote, percent, points
from augsynth.figure import difference_plot
from augsynth.html import head
from augsynth.quality.results import Comparison, Example, TextExample, table_rows, versions
from augsynth.quality.statistics import Contrast
from augsynth.text_page import KEY, MARKS, marked

STYLE = """:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1d2125; --soft: #5c656e; --line: #dfe2e0; --panel: #f4f5f2;
  --helps: #1a7f52; --hurts: #b3402e; --neutral: #6b7280; --accent: #2f5d9b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16191c; --ink: #e6e8ea; --soft: #9aa4ad; --line: #31373d; --panel: #1f2428;
    --helps: #4cc38a; --hurts: #ef7d68; --neutral: #9aa4ad; --accent: #7fb0ee;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
}
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 1rem; font-weight: 650; }
h2 { font-size: 1.1rem; margin: 2.6rem 0 .6rem; font-weight: 650; }
p { margin: .5rem 0; max-width: 46rem; }
.kicker { color: var(--soft); font-size: .85rem; margin: 0 0 .4rem; }
.soft { color: var(--soft); font-size: .88rem; }
.answer {
  border-left: 5px solid var(--tone); background: var(--panel); padding: .9rem 1.1rem; border-radius: 0 6px 6px 0;
}
.answer p { margin: 0; font-size: 1.08rem; }
.answer ul { margin: .6rem 0 0; padding-left: 1.2rem; }
.helps { --tone: var(--helps); } .hurts { --tone: var(--hurts); } .none { --tone: var(--neutral); }
.stopped { border: 1px solid var(--hurts); border-radius: 6px; padding: .6rem .9rem; margin: 0 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; font-size: .86rem; color: var(--soft); vertical-align: bottom; }
th:first-child, td:first-child, td.left, th.left { text-align: left; }
td:first-child { font-weight: 600; }
td small { color: var(--soft); font-size: .86em; }
.chip { color: var(--tone); font-weight: 650; }
svg { width: 100%; height: auto; display: block; margin: .5rem 0; }
.figure svg { min-width: 40rem; }
svg text { font: 13px system-ui, "Liberation Sans", sans-serif; fill: var(--ink); }
svg .axis { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .zero { stroke: var(--soft); stroke-width: 1.5; }
svg .seed { fill: var(--accent); opacity: .45; }
svg .mean { fill: var(--tone); }
svg .interval { stroke: var(--tone); stroke-width: 3; stroke-linecap: round; }
.samples td, .samples th { padding: .22rem; border: 0; text-align: center; white-space: normal; font-size: .78rem; }
.samples th { overflow-wrap: anywhere; }
.samples { table-layout: fixed; min-width: 50rem; } .samples th:first-child { width: 8.5rem; }
.samples td:first-child { text-align: left; padding-right: .7rem; font-size: .88rem; white-space: nowrap; }
.samples td:first-child small { display: block; font-weight: 400; white-space: normal; }
.samples img {
  width: 100%; max-width: 72px; min-width: 40px; image-rendering: pixelated; border-radius: 3px; display: block;
  margin: 0 auto;
}
.texts { margin: 1rem 0; } .texts caption { text-align: left; color: var(--soft); font-size: .86rem; }
.texts td { white-space: normal; text-align: left; overflow-wrap: anywhere; } .texts td:first-child { width: 8rem; }
details { margin: .5rem 0; } summary { cursor: pointer; font-weight: 600; }
pre {
  background: var(--panel); padding: .9rem 1.1rem; border-radius: 6px; overflow-x: auto;
  font-size: .82rem; line-height: 1.45;
}
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --panel: #fff; --helps: #0a5c38; --hurts: #8e2616; }
  body { max-width: none; padding: 0; font-size: 11pt; } h2 { break-after: avoid; }
  svg, table, .answer { break-inside: avoid; }
}
"""


def page(comparison: Comparison, config: str, data_name: str = "the data") -> str:
    """Return the page as text. config: the configuration as YAML. data_name: how the reader knows the data."""
    parts = [
        head(f"compare: {data_name}", STYLE + MARKS),
        _opening(comparison, data_name),
        _stopped(comparison),
        _answer(comparison),
        "<h2>Accuracy on the test set</h2>",
        _table(comparison),
        f'<p class="soft">{escape(footnote(comparison))}</p>',
        _figure(comparison),
        _samples(comparison.examples, comparison.protocol.seed),
        _method(comparison),
        _details(comparison, config),
        "</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _opening(comparison: Comparison, data_name: str) -> str:
    return f'<p class="kicker">augsynth compare · {escape(data_name)}</p>\n<h1>{escape(comparison.question())}</h1>'


def _stopped(comparison: Comparison) -> str:
    if not comparison.interrupted:
        return ""
    return (
        f'<p class="stopped"><strong>Interrupted.</strong> {len(comparison.runs)} of {comparison.planned} runs had '
        "finished; this page is about those.</p>"
    )


def _tone(contrast: Contrast | None) -> str:
    known = {"helps": "helps", "hurts": "hurts"}
    return known.get(contrast.verdict, "none") if contrast else "none"


def _answer(comparison: Comparison) -> str:
    primary = comparison.contrast(*comparison.protocol.primary)
    others = [
        f'<li>{escape(c.arm)} against {escape(c.base)}: <span class="chip {_tone(c)}">{c.verdict}</span> '
        f"{_signed(points(c.difference))} points</li>"
        for c in comparison.contrasts()
        if not c.primary
    ]
    rest = f'<ul class="soft">{"".join(others)}</ul>' if others else ""
    return f'<div class="answer {_tone(primary)}"><p><strong>{escape(comparison.answer())}</strong></p>{rest}</div>'


def _table(comparison: Comparison) -> str:
    confidence = f"{100 * comparison.protocol.confidence:g} % interval"
    base = escape(comparison.protocol.base)
    rows = []
    for row in table_rows(comparison):
        contrast: Contrast | None = row["contrast"]
        chip = f'<span class="chip {_tone(contrast)}">{contrast.verdict}</span>' if contrast else ""
        star = " *" if contrast and contrast.primary else ""
        speed = f"{row['speed']:,.0f}" if row["speed"] else ""
        p = f"{contrast.p:.3f}" if contrast and contrast.difference.known else ""
        rows.append(
            f"<tr><td>{escape(row['arm'])}</td><td>{_split(percent(row['accuracy']))}</td>"
            f"<td>{_split(points(contrast.difference if contrast else None))}</td><td>{p}</td>"
            f'<td class="left">{chip}{star}</td><td>{speed}</td></tr>'
        )
    head = (
        f"<tr><th>arm</th><th>accuracy, %<br>({confidence})</th>"
        f"<th>paired difference to {base},<br>points ({confidence})</th>"
        '<th>p</th><th class="left">verdict</th><th>training<br>samples/s</th></tr>'
    )
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _split(text: str) -> str:
    number, _, interval = text.partition(" ")
    return f"{_signed(number)} <small>{_signed(interval)}</small>" if interval.startswith("(") else escape(text)


def _signed(text: str) -> str:
    """Escape, with the minus sign of print, which is as wide as the plus."""
    return escape(text).replace("-", "\N{MINUS SIGN}")


def _figure(comparison: Comparison) -> str:
    if not comparison.runs:
        return ""
    caption = (
        "Left: accuracy of each run (pale dots, one per seed), their mean and its interval. Right: the paired "
        f"difference to {escape(comparison.protocol.base)}, with its interval; one that crosses zero is no evidence."
    )
    return f'<div class="scroll figure">{difference_plot(comparison)}</div>\n<p class="soft">{caption}</p>'


def _samples(examples: Sequence[Example | TextExample], seed: int) -> str:
    pictures = [example for example in examples if isinstance(example, Example)]
    return _pictures(pictures, seed) if pictures else _texts(examples, seed)


def _texts(examples: Sequence[Example | TextExample], seed: int) -> str:
    texts = [example for example in examples if isinstance(example, TextExample)]
    if not texts:
        return ""
    parts = ["<h2>What the networks were trained on</h2>", f'<p class="soft">From seed {seed}, first epoch: {KEY}</p>']
    for place, (text, label) in enumerate(zip(texts[0].text, texts[0].label, strict=True)):
        rows = "".join(
            f"<tr><td>{escape(example.arm)}</td><td>{marked(text, example.edits[place])}</td></tr>" for example in texts
        )
        parts.append(f'<table class="texts"><caption>{escape(label)}</caption>{rows}</table>')
    return "\n".join(parts)


def _pictures(examples: Sequence[Example], seed: int) -> str:
    # A long name is broken where it has joints, and only then inside of a word.
    names = [re.sub(r"(?<=[/_.,:-])(?=\w)", "<wbr>", escape(word)) for word in examples[0].label]
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = []
    for example in examples:
        cells = "".join(
            f'<td><img src="{data_uri(image)}" alt="{escape(example.kind)} {escape(word)}"></td>'
            for image, word in zip(example.image, example.label, strict=True)
        )
        rows.append(f"<tr><td>{escape(example.arm)}<small>{escape(example.kind)}</small></td>{cells}</tr>")
    return (
        "<h2>What the networks were trained on</h2>\n"
        f'<p class="soft">From seed {seed}, first epoch, as many of each class. The rows “none” and “augment” show '
        "the same samples; those of “synthetic” and “both” were generated for the class above them by a "
        "generator that saw only this seed's training samples.</p>\n"
        f'<div class="scroll"><table class="samples"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def data_uri(image: np.ndarray) -> str:
    """Return a uint8 image `(C, H, W)`, C 1 or 3, as a PNG inside a data: address."""
    from PIL import Image

    array = image[0] if len(image) == 1 else np.ascontiguousarray(image[:3].transpose(1, 2, 0))
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _method(comparison: Comparison) -> str:
    p = comparison.protocol
    rates = ", ".join(f"{rate:g}" for rate in p.learning_rates)
    if comparison.subject == "texts":
        own = """The network knows the words of its own training samples; validation and test texts are never edited,
and what becomes of a training text in an epoch is the same whatever else runs."""
    else:
        own = f"""The generator is trained on the training samples of its own seed
alone, and for the choice of the learning rate without the validation samples; {100 * p.synthetic_share:g} % of what the
arms with synthetic samples see is generated, fresh in every epoch."""
    drawn = f"its own {p.labels_per_class} training samples a class" if p.labels_per_class else "all in its own order"
    return f"""<h2>How it was done</h2>
<p>Each of the {p.seeds} seeds draws {drawn} and repeats everything with
them. In each arm the same network starts from the same weights and takes {p.steps} optimiser steps of {p.batch_size}
samples. The learning rate ({rates}) is chosen for each arm and seed on {100 * p.validation_share:g} % of the training
samples, then the network trains again on all of them. {own} The {len(comparison.labels)} test samples decide
nothing but the numbers above.</p>
<p>The intervals count both the spread between seeds and the spread between test samples, with Student's t of
{max(p.seeds - 1, 1)} degrees of freedom. Arms are compared in pairs, seed by seed and sample by sample. “No evidence”
means that the data do not tell, not that there is no difference.</p>"""


def _details(comparison: Comparison, config: str) -> str:
    numbers = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in versions().items())
    return f"""<h2>Details</h2>
<details open><summary>Every run</summary>{_runs(comparison)}</details>
<details><summary>Configuration</summary><pre>{escape(config)}</pre></details>
{_pipelines(comparison)}<details><summary>Versions</summary><table>{numbers}</table></details>
<p class="soft">{len(comparison.runs)} runs in {duration(comparison.seconds)} on {escape(comparison.device)}.
Beside this page: results.json holds its numbers, predictions.npz what every run said of every test sample.</p>"""


def _pipelines(comparison: Comparison) -> str:
    rows = "".join(
        f"<tr><td>{escape(arm)}</td><td><code>{escape(fingerprint or 'no pipeline')}</code></td></tr>"
        for arm, fingerprint in comparison.pipelines.items()
    )
    table = f'<div class="scroll"><table>{rows}</table></div>'
    return f"<details><summary>Fingerprints of the pipelines</summary>{table}</details>\n" if rows else ""


def _runs(comparison: Comparison) -> str:
    correct = comparison.correct()
    rows = [
        f"<tr><td>{escape(run.arm)}</td><td>{run.seed}</td><td>{100 * correct[run.arm][run.seed].mean():.1f}</td>"
        f"<td>{run.learning_rate:g}</td><td>{100 * run.scores[run.learning_rate].accuracy:.1f}</td>"
        f"<td>{run.samples_per_second:,.0f}</td></tr>"
        for arm in comparison.protocol.arms
        for run in comparison.runs
        if run.arm == arm
    ]
    head = (
        "<tr><th>arm</th><th>seed</th><th>test %</th><th>learning rate</th><th>validation %</th><th>samples/s</th></tr>"
    )
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
