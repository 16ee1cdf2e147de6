"""What the result files of generators say: the README's tables of rare classes and of learning from a GAN alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import imbalance_results
import numpy as np
from report_text import table

IMBALANCE, CGAN = "imbalance", "cgan"
MARKS = {name: (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in (IMBALANCE, CGAN)}


def rare_classes(result: Mapping[str, Any]) -> str:
    """Return the README's table of all arms, and the difference that was asked for."""
    return f"{imbalance_results.table(result['summary'])}\n\n{_made(result, len(result['summary']['seeds']))}"


def learned_alone(result: Mapping[str, Any]) -> str:
    """Return the README's table: a row for each reading, the mean and the range over the seeds."""
    rows = []
    for readings in zip(*result["runs"], strict=True):
        values = {name: [reading[name] for reading in readings] for name in readings[0]}
        cells = [f"{np.mean(values['seconds']) / 60:.1f}", f"{np.mean(values['images']):,.0f}"]
        cells += [_range([100 * value for value in values[name]]) for name in ("accuracy", "agreement")]
        rows.append([*cells, f"{np.mean(values['coverage']):.2f}"])
    real, judge = f"{100 * np.mean(result['real']):.1f}", f"{100 * result['judge']:.1f}"
    rows.append(["", f"the {result['few']:,} real images", real, judge, f"{result['real_coverage']:.2f}"])
    head = [
        "minutes",
        "images seen",
        "accuracy of a network that saw samples alone, %",
        "label agreement, %",
        "coverage",
    ]
    threads = "one thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return f"{table(head, rows)}\n\n{threads.capitalize()}; {_made(result, len(result['runs']))}"


def _range(values: list[float]) -> str:
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def _made(result: Mapping[str, Any], seeds: int) -> str:
    cpu = result["machine"]["cpu"]
    return f"{seeds} seeds, {cpu}, commit {result['commit']}, `{result['command']}`."


def blocks(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the README's parts by the name of their markers, as far as there are results."""
    made = {IMBALANCE: rare_classes, CGAN: learned_alone}
    return {name: made[name](results[name]) for name in made if name in results}
