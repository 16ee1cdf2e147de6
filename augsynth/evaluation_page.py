"""One self-contained HTML page about an evaluation: the verdict first, then numbers and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import torch

from augsynth.html import head
from augsynth.quality.copying import TAIL
from augsynth.quality.evaluated import SCREEN, Evaluation, number
from augsynth.quality.gate import Metric
from augsynth.report import STYLE, data_uri

_OWN = """.pairs td, .pairs th { border: 0; text-align: center; font-size: .8rem; padding: .22rem; }
.pairs td:first-child { text-align: left; font-size: .88rem; } .pairs img { width: 56px; image-rendering: pixelated; }
"""
_METHOD = """<h2>How it was done</h2>
<p>The held-out samples, on which nothing was trained, are split into two halves. Generated samples are compared with
one; the other takes their place to show, in the column “real”, what real samples reach. Distances are named after their
features: “cnn” is a small classifier trained on the real training samples, “random” the same network before any
training; features have mean 0 and mean variance 1 on the training samples. FD and KID are better when lower, all shares
when higher.</p>
<p>A sample is suspiciously near when its distance to the nearest training sample, divided by that to the nearest unseen
real one, is as small as in the smallest {tail:.0%} of held-out real samples. {screen}</p>"""


def page(report: Evaluation, classes: Sequence[str], config: str, data_name: str = "the data") -> str:
    """Return the page as text. classes: their names. config: as YAML. data_name: how the reader knows the data."""
    verdict = "passes" if report.passed else "does not pass"
    parts = [
        head(f"evaluate: {data_name}", STYLE + _OWN),
        f'<p class="kicker">augsynth evaluate · {escape(data_name)}</p>',
        f"<h1>{escape(report.generator)} <small>{escape(report.checkpoint[:8])}</small> {verdict}</h1>",
        _answer(report),
        "<h2>Generated and real samples, against other real ones</h2>",
        _table(["", "generated", "real"], report.rows()),
        "<h2>Class by class</h2>",
        _classes(report, classes),
        "<h2>Generated samples</h2>",
        _samples(report, classes),
        "<h2>Nearest to training samples</h2>",
        *(_pairs(report, space) for space in report.copies),
        _METHOD.format(tail=TAIL, screen=SCREEN),
        f"<details><summary>Configuration</summary><pre>{escape(config)}</pre></details>",
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _answer(report: Evaluation) -> str:
    counts = report.counts
    text = (
        f"{counts['generated']} generated samples against {counts['real']} held-out real ones; {counts['training']} "
        f"training samples. {SCREEN}"
    )
    if report.passed:
        return f'<div class="answer helps"><p><strong>All thresholds are met.</strong> {escape(text)}</p></div>'
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in report.reasons)
    return f'<div class="answer hurts"><p><strong>Not good enough.</strong> {escape(text)}</p><ul>{reasons}</ul></div>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(word)}</th>" for word in header)
    body = "".join("<tr>" + "".join(f"<td>{_signed(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _signed(text: str) -> str:
    return escape(text).replace("-0", "\N{MINUS SIGN}0") if text.startswith("-") else escape(text)


def _classes(report: Evaluation, classes: Sequence[str]) -> str:
    shown = [("label agreement", ""), ("FD", "cnn"), ("FD", "random"), ("coverage", "cnn")]
    rows = []
    for label, metrics in report.classes.items():
        cells = [_both(metrics, quantity, kind) for quantity, kind in shown]
        rows.append([classes[label], *cells])
    header = [f"{quantity} {kind}".strip() for quantity, kind in shown]
    note = '<p class="soft">In brackets: real samples. Few samples make a class\'s distances larger.</p>'
    return _table(["class", *header], rows) + note


def _both(metrics: Mapping[str, Metric], quantity: str, kind: str) -> str:
    for metric in metrics.values():
        if metric.quantity == quantity and metric.features.split("@")[0] == kind:
            return f"{number(metric.value)} ({number(metric.real)})"
    return ""


def _samples(report: Evaluation, classes: Sequence[str]) -> str:
    rows = []
    for label, images in report.pictures.samples.items():
        cells = "".join(f"<td>{_picture(image, f'generated {classes[label]}')}</td>" for image in images)
        rows.append(f"<tr><td>{escape(classes[label])}</td>{cells}</tr>")
    return f'<div class="scroll"><table class="samples"><tbody>{"".join(rows)}</tbody></table></div>'


def _pairs(report: Evaluation, space: str) -> str:
    made, train = report.pictures.pairs[space]
    found = report.copies[space]
    ratios = "".join(f"<th>{pair.ratio:.2f}</th>" for pair in found.pairs)
    generated = "".join(f"<td>{_picture(image, 'generated')}</td>" for image in made)
    nearest = "".join(f"<td>{_picture(image, 'training sample')}</td>" for image in train)
    note = (
        f"In {space}: {found.suspicious:.1%} suspiciously near, of held-out real samples {found.expected:.1%}; the "
        f"median distance is {found.distance_ratio:.2f} times theirs."
    )
    return (
        f'<p class="soft">{escape(note)}</p><div class="scroll"><table class="pairs"><tbody>'
        f"<tr><td>distance ratio</td>{ratios}</tr><tr><td>generated</td>{generated}</tr>"
        f"<tr><td>nearest training sample</td>{nearest}</tr></tbody></table></div>"
    )


def _picture(image: torch.Tensor, what: str) -> str:
    # Of two channels, which no picture has, the first.
    array = image.numpy()[: 1 if len(image) < 3 else 3]
    return f'<img src="{data_uri(array)}" alt="{escape(what)}">'
