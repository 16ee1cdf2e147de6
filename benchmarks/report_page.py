"""One page of all results, `benchmarks/results/index.html`: what is won and what is lost, plots, tables, commands.

Made from the result files alone. It fetches nothing, is light or dark as the reader's system, and shows each section's
command, so that any line can be tried again. A result file without a section of its own is listed with its command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from report_plots import STYLE as PLOT_STYLE
from report_plots import Mark, forest, logarithmic

from augsynth.html import head

Results = Mapping[str, Any]
STYLE = (
    """:root { color-scheme: light dark; --text: #1c1e21; --quiet: #5c636e; --line: #d5d9df; --page: #fff;
  --card: #f5f6f8; --win: #0a6b3d; --loss: #a3261b; --other: #6b7280; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --quiet: #a3abb6; --line: #3a4048; --page: #16181c;
  --card: #1f2329; --win: #5fd39a; --loss: #ff9a8d; --other: #9aa3ae; --link: #7cb8ff; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 1100px;
  margin: 0 auto; padding: 16px; }
h1, h2, h3 { line-height: 1.25; } h2 { border-top: 1px solid var(--line); padding-top: 20px; margin-top: 36px; }
a { color: var(--link); } nav ul { padding-left: 20px; } code { font-size: 0.9em; overflow-wrap: anywhere; }
.verdict { background: var(--card); border-radius: 8px; padding: 12px 20px; } .verdict li { margin: 6px 0; }
.won b { color: var(--win); } .lost b { color: var(--loss); } .open b { color: var(--other); }
.wide { overflow-x: auto; margin: 12px 0; } table { border-collapse: collapse; font-size: 14px; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; } thead th { vertical-align: bottom; } td { min-width: 70px; }
.made { color: var(--quiet); font-size: 14px; } svg { max-width: 100%; height: auto; }
"""
    + PLOT_STYLE
)


def page(results: Results, sections: Sequence[Any]) -> str:
    """Return the page. sections: (file, title, Markdown of its tables, made by), in order, as `report.py` has them."""
    plots: dict[str, Callable[[Any], str]] = {
        "throughput": recipes,
        "transforms": transforms,
        "accuracy": texts,
        "accuracy-images": images,
        "imbalance": rare,
    }
    shown = {name for name, *_ in sections}
    parts = [head("benchmarks", STYLE), "<main>\n<h1>Benchmarks of augsynth</h1>"]
    parts.append(f"<p>{inline(INTRODUCTION)}</p>\n{verdicts(results)}")
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, *_ in sections)
    parts.append(f"<nav><h2>Contents</h2><ul>{links}</ul></nav>")
    for name, title, text, made in sections:
        plot = plots[name](results[name]) if name in plots else ""
        parts.append(
            f'<section id="{name}">\n<h2>{escape(title)}</h2>\n{plot}\n{to_html(text)}\n{_made(made)}</section>'
        )
    if rest := [name for name in results if name not in shown]:
        rows = "".join(f"<li>{escape(name)}: <code>{escape(results[name]['command'])}</code></li>" for name in rest)
        parts.append(f"<section><h2>Other files</h2><ul>{rows}</ul></section>")
    return "\n".join([*parts, "</main>\n</body>\n</html>\n"])


INTRODUCTION = (
    "Each figure comes from a JSON file beside this page. To doubt one, run the command under its table, with another "
    "file behind `--json`, and compare ratios; candidates alternate in one process, and ratios are medians of those "
    "within a round. Losses stand here like wins."
)


def _made(text: str) -> str:
    return f'<p class="made">To try again: {inline(text)}</p>\n'


# What is won and lost


def verdicts(results: Results) -> str:
    """Return the list of what was found, each with whether it is won, lost or open."""
    found: list[tuple[str, str]] = []
    for name, say in (("throughput", _recipes_said), ("transforms", _transforms_said), ("loader", _loader_said)):
        found += say(results[name]) if name in results else []
    if "accuracy-images" in results:
        for name, run in results["accuracy-images"]["runs"].items():
            if run["summary"]:
                rows = [*run["summary"].get("contrasts", ()), *run["summary"].get("equivalence", ())]
                found += _judged(f"images, {name}", rows)
    if "accuracy" in results:
        for name, run in results["accuracy"]["results"].items():
            rows = [{"arm": arm, "base": "none", **row} for arm, row in run["arms"].items() if "verdict" in row]
            found += _judged(f"texts, {name}", rows)
    if "imbalance" in results:
        found += _judged("rare classes", [results["imbalance"]["summary"]["headline"]])
    if "gpu" not in results:
        found.append(("open", "GPU: no measurement is on file."))
    words = {"won": "Won", "lost": "Lost", "open": "Open"}
    rows = "".join(f'<li class="{kind}"><b>{words[kind]}.</b> {inline(text)}</li>' for kind, text in found)
    return f'<div class="verdict"><ul>{rows}</ul></div>'


def _recipes_said(result: Results) -> list[tuple[str, str]]:
    ratios, shared = {}, []
    for name, rows in result["recipes"].items():
        measured = {row["name"]: row for row in rows if "failed" not in row}
        ours = {key: row["times_albumentations"] for key, row in measured.items() if key.startswith("augsynth")}
        exact = max(speed for key, speed in ours.items() if "linear" not in key)
        peers = {key: row for key, row in measured.items() if key not in ours}
        ratios[name] = exact / max(row["times_albumentations"] for row in peers.values() if row["per_sample"])
        for key, row in peers.items():
            if not row["per_sample"] and row["times_albumentations"] > max(ours.values()):
                shared.append(f"{name} ({key}: {row['times_albumentations'] / max(ours.values()):.2f} times as fast)")
    slower = [f"{name} {ratio:.2f}" for name, ratio in ratios.items() if ratio < 1]
    span = f"{min(ratios.values()):.2f} to {max(ratios.values()):.2f} times"
    first = (
        f"{len(ratios) - len(slower)} of {len(ratios)} recipes are at least as fast, in exact colour, as the best peer"
    )
    said = [("won", f"{first} that draws per sample ({span}).")]
    said += [("lost", f"Recipes that are slower: {', '.join(slower)}.")] if slower else []
    return said + ([("lost", f"What draws once for a whole batch is faster: {'; '.join(shared)}.")] if shared else [])


def _transforms_said(result: Results) -> list[tuple[str, str]]:
    ratios = {name: entry["times_best_peer"] for name, entry in result["transforms"].items() if entry["best_peer"]}
    slower = sorted((name for name in ratios if ratios[name] < 1), key=lambda name: ratios[name])
    first = f"{len(ratios) - len(slower)} of {len(ratios)} single transforms"
    said = [("won", f"{first} are at least as fast as the best peer that draws per sample.")]
    named = ", ".join(f"`{name}` {ratios[name]:.2f}" for name in slower)
    return said + ([("lost", f"{len(slower)} are slower, times the best peer's speed: {named}.")] if slower else [])


def _loader_said(result: Results) -> list[tuple[str, str]]:
    parts = []
    for workers, rows in result["workers"].items():
        speed = {row["name"]: row["times_albumentations"] for row in rows}
        parts.append(f"{speed['augsynth exact']:.2f} with {workers}")
    return [("won", f"Through a DataLoader, ImageNet recipe, times albumentations, by workers: {', '.join(parts)}.")]


def _judged(what: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    kinds = {"helps": "won", "equivalent": "won", "hurts": "lost"}
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        mean, low, high = row["difference"]
        kind = kinds.get(row["verdict"], "open")
        text = f"{row['arm']} against {row['base']} {mean:+.1f}"
        exact = text if row["verdict"] == "no evidence" else f"{text} ({low:+.1f} to {high:+.1f})"
        groups.setdefault((kind, row["verdict"]), []).append(exact)
    order = sorted(groups, key=lambda pair: ("won", "lost", "open").index(pair[0]))
    return [(pair[0], f"{what}, {pair[1]}: {', '.join(groups[pair])} points.") for pair in order]


# Plots


def recipes(result: Results) -> str:
    """Draw the speed of each candidate in each recipe."""
    rows = {}
    for name, candidates in result["recipes"].items():
        rows[name] = [
            Mark(row["times_albumentations"], *row["quartiles"], _library(row["name"]), row["name"], row["per_sample"])
            for row in candidates
            if "failed" not in row
        ]
    return logarithmic(rows, "times albumentations' speed, one core; hollow: one draw for the whole batch")


def _library(name: str) -> str:
    known = ("augsynth", "albumentations", "torchvision", "kornia", "fuse")
    return next((library for library in known if name.startswith(library)), "other")


def transforms(result: Results) -> str:
    """Draw how many times as fast each transform is as the best peer, slowest first."""
    entries = {name: entry for name, entry in result["transforms"].items() if entry["best_peer"]}
    rows = {}
    for name in sorted(entries, key=lambda name: entries[name]["times_best_peer"]):
        times = entries[name]["times_best_peer"]
        rows[name] = [Mark(times, times, times, "augsynth" if times >= 1 else "loss", f"{name}: {times:.2f}", True)]
    return logarithmic(rows, "times the best peer's speed; left of 1 the peer is faster", height=15)


def images(result: Results) -> str:
    """Draw the differences of each run."""
    parts = []
    for name, run in result["runs"].items():
        if run["summary"]:
            rows = [*run["summary"].get("contrasts", ()), *run["summary"].get("equivalence", ())]
            parts.append(f"<h3>{escape(name)}</h3>{differences(rows)}")
    return "\n".join(parts)


def texts(result: Results) -> str:
    """Draw the differences of each run."""
    parts = []
    for name, run in result["results"].items():
        rows = [{"arm": arm, "base": "none", **row} for arm, row in run["arms"].items() if "verdict" in row]
        parts.append(f"<h3>{escape(name)}</h3>{differences(rows)}")
    return "\n".join(parts)


def rare(result: Results) -> str:
    """Draw all differences that were judged."""
    return differences([result["summary"]["headline"], *result["summary"]["contrasts"]])


def differences(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw paired differences with their intervals around zero."""
    return forest([(f"{row['arm']} - {row['base']}", row["difference"], row["verdict"]) for row in rows])


# Markdown that `report.py` writes: headings, tables, lists, pictures (which are left out), paragraphs


def to_html(text: str) -> str:
    """Return our own Markdown as HTML; its first heading, which is the section's, and pictures are left out."""
    parts = []
    for block in re.split(r"\n{2,}", text.strip()):
        if block.startswith("## ") or block.startswith("!["):
            continue
        if block.startswith("### "):
            parts.append(f"<h3>{inline(block[4:])}</h3>")
        elif block.startswith("| "):
            parts.append(_table(block.splitlines()))
        elif block.startswith("* "):
            items = "".join(f"<li>{inline(line[2:])}</li>" for line in block.splitlines())
            parts.append(f"<ul>{items}</ul>")
        else:
            parts.append(f"<p>{inline(block)}</p>")
    return "\n".join(parts)


def _table(lines: Sequence[str]) -> str:
    first, _, *rest = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines]
    columns = "".join(f'<th scope="col">{inline(cell)}</th>' for cell in first)
    rows = []
    for name, *cells in rest:
        cells = "".join(f"<td>{inline(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{inline(name)}</th>{cells}</tr>')
    table = f"<table><thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'


def inline(text: str) -> str:
    """Return a line with what stands in backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text.strip(), quote=False))
