"""The gathered runs of a sweep, in the terminal and as one self-contained HTML page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from augsynth.console import points
from augsynth.gathering import PAGE, PAGE_OF_ONE, RESULTS, Gathered, Row, gather, write
from augsynth.html import head
from augsynth.quality.statistics import Contrast
from augsynth.report import STYLE

PICKED = (
    "Picking the best of several runs by their test accuracy needs correction: among enough runs that do nothing, one "
    "looks as if it helped. Intervals and p are those of each run by itself; what is corrected holds for all runs "
    "together (Holm's procedure). A run that is picked by its validation accuracy needs none."
)
_OWN = """.runs td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 13rem; }
.runs small { display: block; font-weight: 400; }
.mini { width: 8rem; height: 1.4rem; margin: 0; display: inline-block; vertical-align: middle; }
.others { padding-left: 1.2rem; } .others li { overflow-wrap: anywhere; margin: .2rem 0; }
@media (max-width: 40rem) {
  .runs th, .runs td { padding: .45rem .3rem; white-space: normal; }
  .runs td:first-child { min-width: 7rem; } .plot { display: none; }
}
"""
_WIDTH = 144


def run(values: Mapping[str, Any]) -> Path:
    """Gather as the configuration `report` says, print the table, write the files and return the page's path."""
    folder = Path(str(values["folder"]))
    gathered = gather(folder)
    out = folder if values["out"] is None else Path(str(values["out"]))
    out.mkdir(parents=True, exist_ok=True)
    write(gathered, out)
    # The page of the comparison itself stays.
    path = out / (PAGE_OF_ONE if (out / RESULTS).exists() else PAGE)
    path.write_text(page(gathered, str(folder)), encoding="utf-8")
    show(gathered)
    return path


def headline(gathered: Gathered) -> str:
    """Say in one or two sentences what the runs together show."""
    judged = gathered.judged
    if not judged:
        return "Not enough finished trainings in any run to say anything: two seeds are needed."
    best = max(judged, key=lambda row: _contrast(row).difference.mean)
    against = f"{_contrast(best).arm} against {_contrast(best).base}"
    gain = f"{against} gives {points(_contrast(best).difference)} points"
    if len(judged) == 1:
        return f"One run, {best.label}: {gain}: {_contrast(best).verdict}."
    same = all(_contrast(row).verdict == row.verdict_holm for row in judged)
    after = f"after correction for {len(judged)} runs (p = {best.p_holm:.3f}): {best.verdict_holm}"
    rest = "" if same else " Some verdicts do not survive the correction."
    return f"Largest difference of {len(judged)} runs, with {best.label}: {gain}; {after}.{rest}"


def _contrast(row: Row) -> Contrast:
    assert row.contrast is not None
    return row.contrast


def left_out(row: Row) -> str:
    """Say why a run is not whole, or has no interval."""
    status, note = row.found.status, row.found.note
    if status == "complete":
        status, note = "complete", "too few seeds for an interval"
    return f"run {row.found.name}, {row.label}: {status}" + (f"; {note}" if note else "")


def show(gathered: Gathered, console: Console | None = None) -> None:
    """Print what the runs show, their table, and those that are not whole."""
    if console is None:
        console = Console()
        if not console.is_terminal:
            # A file or a pipe has no width; rich would take 80 columns and cut what does not fit.
            console = Console(width=max(console.width, 160))
    console.print(headline(gathered), markup=False, highlight=False, style="bold", soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("run")
    table.add_column("overrides", overflow="fold")
    for name in ("difference, points", "p", "verdict", "Holm p", "after correction", "validation, %"):
        table.add_column(name, justify="left" if name in ("verdict", "after correction") else "right", no_wrap=True)
    for row in gathered.rows:
        table.add_row(row.found.name, " ".join(row.differs).replace("[", r"\["), *_cells(row))
    console.print(table)
    for row in gathered.without:
        console.print(left_out(row), markup=False, highlight=False, soft_wrap=True)
    if len(gathered.judged) > 1:
        console.print(PICKED, markup=False, highlight=False)


def _cells(row: Row) -> list[str]:
    """Return difference, p, verdict, Holm's p and verdict, and validation accuracy; a status where there is none."""
    contrast = row.contrast
    if contrast is None:
        return ["", "", row.found.status, "", "", ""]
    known = contrast.difference.known
    said = contrast.verdict if row.found.status == "complete" else f"{contrast.verdict} ({row.found.status})"
    p, holm = (f"{contrast.difference.p:.3f}" if known else "", "" if row.p_holm is None else f"{row.p_holm:.3f}")
    validation = "" if row.validation is None else f"{100 * row.validation:.1f}"
    return [points(contrast.difference), p, said, holm, row.verdict_holm or "", validation]


def page(gathered: Gathered, name: str) -> str:
    """Return the page as text. name: what the reader knows the folder as."""
    amount = len(gathered.rows)
    common = escape(" ".join(gathered.common))
    parts = [
        head(f"report: {name}", STYLE + _OWN),
        f'<p class="kicker">augsynth report · {escape(name)}</p>',
        f"<h1>{amount} {'runs' if amount != 1 else 'run'} of augsynth compare</h1>",
        f'<div class="answer {_tone(gathered)}"><p><strong>{_minus(headline(gathered))}</strong></p></div>',
        _without(gathered),
        "<h2>Every run</h2>",
        _table(gathered),
        f'<p class="soft">{escape(PICKED)}</p>' if len(gathered.judged) > 1 else "",
        f'<p class="soft">All of them with: {common}</p>' if common else "",
        '<p class="soft">Beside this page: gathered.json and gathered.csv hold its numbers; each run has a page of its '
        "own, report.html in its folder.</p>",
        "</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _tone(gathered: Gathered) -> str:
    if not gathered.judged:
        return "none"
    best = max(gathered.judged, key=lambda row: _contrast(row).difference.mean)
    return {"helps": "helps", "hurts": "hurts"}.get(best.verdict_holm or "", "none")


def _without(gathered: Gathered) -> str:
    if not gathered.without:
        return ""
    items = "".join(f"<li>{escape(left_out(row))}</li>" for row in gathered.without)
    return f'<h2>Not whole</h2><ul class="others">{items}</ul>'


def _table(gathered: Gathered) -> str:
    reach = max([_reach(row) for row in gathered.judged], default=0.01)
    arms = {_arms(row) for row in gathered.rows if row.contrast}
    rows = "".join(_line(row, reach, len(arms) > 1) for row in gathered.rows)
    what = arms.pop() if len(arms) == 1 else "difference"
    top = (
        f"<tr><th>overrides</th><th>{escape(what)},<br>points (interval)</th>"
        '<th class="plot"></th>'
        '<th class="left">this run<br>alone</th>'
        '<th class="left">after correction<br>for all runs</th><th>validation<br>accuracy, %</th></tr>'
    )
    return f'<div class="scroll"><table class="runs"><thead>{top}</thead><tbody>{rows}</tbody></table></div>'


def _arms(row: Row) -> str:
    return f"{_contrast(row).arm} against {_contrast(row).base}"


def _reach(row: Row) -> float:
    difference = _contrast(row).difference
    return max(abs(max(difference.low, -1.0)), abs(min(difference.high, 1.0)), 0.01)


def _line(row: Row, reach: float, own_arms: bool) -> str:
    difference, p, said, holm, after, validation = _cells(row)
    number, _, interval = difference.partition(" ")
    arms = f"<small>{escape(_arms(row))}</small>" if own_arms and row.contrast else ""
    # Overrides may be broken where their keys and lists have joints, but not at a decimal point.
    label = re.sub(r"(?<=[,=@])(?=[^<])|(?<=\.)(?=[^<\d])", "<wbr>", escape(row.label))
    return (
        f"<tr><td>{label}<small>run {escape(row.found.name)}</small></td>"
        f"<td>{_minus(number)}<small>{_minus(interval)}</small>{arms}</td>"
        f'<td class="plot">{_mini(row, reach)}</td>'
        f'<td class="left">{_chip(said, p)}</td><td class="left">{_chip(after, holm)}</td><td>{validation}</td></tr>'
    )


def _chip(said: str, p: str) -> str:
    word, _, status = said.partition(" (")
    tone = {"helps": "helps", "hurts": "hurts"}.get(word, "none")
    more = "".join(f"<small>{part}</small>" for part in (f"p {p}" if p else "", status.rstrip(")")) if part)
    return f'<span class="chip {tone}">{escape(word)}</span>{more}'


def _minus(text: str) -> str:
    """Escape, with the minus sign of print before numbers, which is as wide as the plus."""
    signed = text.replace("(-", "(\N{MINUS SIGN}").replace(" -", " \N{MINUS SIGN}")
    return escape("\N{MINUS SIGN}" + signed[1:] if signed.startswith("-") else signed)


def _mini(row: Row, reach: float) -> str:
    """Draw the interval of a row on the scale that all rows share, zero in the middle."""
    if row.contrast is None or not row.contrast.difference.known:
        return ""
    difference = row.contrast.difference
    tone = row.contrast.verdict if row.contrast.verdict in ("helps", "hurts") else "none"

    def place(value: float) -> float:
        return _WIDTH / 2 + (_WIDTH / 2 - 8) * max(min(value / reach, 1.0), -1.0)

    low, mean, high = (f"{place(value):.1f}" for value in (difference.low, difference.mean, difference.high))
    return (
        f'<svg class="mini {tone}" viewBox="0 0 {_WIDTH} 22" role="img" aria-label="{escape(points(difference))}">'
        f'<line class="zero" x1="{_WIDTH / 2}" x2="{_WIDTH / 2}" y1="1" y2="21"/>'
        f'<line class="interval" x1="{low}" x2="{high}" y1="11" y2="11"/>'
        f'<circle class="mean" cx="{mean}" cy="11" r="5"/></svg>'
    )
