"""What the result files of training say: images by arm and data set, equivalence, generators by budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from cells import interval, spoken
from report_text import table

IMAGES, BUDGETS = "accuracy-images", "budgets"
MARKS = {name: (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in (IMAGES, BUDGETS)}
TITLES = {"fashion": "Fashion-MNIST", "cifar": "CIFAR-10"}
WHAT = {
    "linear": "Colour steps folded into one matrix, against exact ones",
    "sequential": "geometry step by step, which cuts pixels off between the steps, against fused",
}


def images(result: Mapping[str, Any]) -> str:
    """Return the README's table: a column for each run, plain training in percent, other arms as differences to it."""
    runs = {name: run for name, run in result["runs"].items() if _is_compared(run)}
    arms = list(dict.fromkeys(arm for run in runs.values() for arm in run["arms"]))
    rows = [[arm, *(_cell(run["summary"], arm) for run in runs.values())] for arm in arms]
    parts = [table(["accuracy, %; differences in points", *map(_title, runs)], rows)] if runs else []
    for run in runs.values():
        parts += [_primary(run["summary"])] if len(runs) == 1 else []
    parts += [equivalence(run) for run in result["runs"].values() if run["summary"] and not _is_compared(run)]
    return "\n\n".join([*parts, _made(result)])


def _is_compared(run: Mapping[str, Any]) -> bool:
    return bool(run["summary"]) and "contrasts" in run["summary"]


def _title(name: str) -> str:
    data, amount = name.split(" ")
    return f"{TITLES[data]}, {amount}{'' if amount == 'all' else ' a class'}"


def _cell(summary: Mapping[str, Any], arm: str) -> str:
    if arm not in summary["arms"]:
        return ""
    said = {(row["arm"], row["base"]): spoken(row) for row in summary["contrasts"]}
    return said.get((arm, next(iter(summary["arms"]))), interval(summary["arms"][arm]["accuracy"]))


def _primary(summary: Mapping[str, Any]) -> str:
    first = summary["contrasts"][0]
    return f"{first['arm']} against {first['base']}: {spoken(first)}."


def equivalence(run: Mapping[str, Any]) -> str:
    """Say of each fast way whether it is equivalent to the exact one."""
    found, settings = run["summary"], run["settings"]
    said = "; ".join(f"{WHAT[row['arm']]}: {spoken(row)}" for row in found["equivalence"])
    data = f"{settings['per_class']} images a class of {TITLES[settings['data']]}"
    return (
        f"Are these ways equivalent? {said}. ({len(found['seeds'])} seeds of {data}; differences in points, intervals "
        f"of 90 %, margin {found['margin']:g} points.)"
    )


def _made(result: Mapping[str, Any]) -> str:
    seeds = sorted({len(run["summary"]["seeds"]) for run in result["runs"].values() if run["summary"]})
    models = ", ".join(dict.fromkeys(f"{run['model']} on {run['device']}" for run in result["runs"].values()))
    calls = [_call(run) for run in result["runs"].values() if run["summary"]]
    made = "; ".join(dict.fromkeys(calls))
    return f"{' to '.join(map(str, seeds))} seeds; {models}; {made}."


def _call(run: Mapping[str, Any]) -> str:
    return f"commit {run['commit']}, `{run['command']}`"


def details_of_images(result: Mapping[str, Any]) -> str:
    """Return each run with accuracies, validation and the settings that were chosen."""
    parts = ["## Accuracy on images"]
    for name, run in result["runs"].items():
        if not run["summary"]:
            continue
        base = next(iter(run["summary"]["arms"]))
        rows = [*run["summary"].get("contrasts", ()), *run["summary"].get("equivalence", ())]
        said = {row["arm"]: spoken(row) for row in rows if row["base"] == base}
        lines = [
            [arm, interval(row["accuracy"]), f"{row['validation']:.1f}", said.get(arm, ""), _settings(row["settings"])]
            for arm, row in run["summary"]["arms"].items()
        ]
        head = ["", "test accuracy, %", "validation, %", f"against {base}, points", "rate and decay, by seed"]
        others = [f"{row['arm']} against {row['base']}: {spoken(row)}." for row in rows if row["base"] != base]
        budget = run["settings"]
        about = f"{budget['steps']:,} steps of {budget['batch_size']}, {run['model']}; {_call(run)}."
        parts.append("\n\n".join([f"### {name}", about, table(head, lines), *others]))
    return "\n\n".join(parts)


def _settings(chosen: Sequence[str]) -> str:
    counts = {setting: list(chosen).count(setting) for setting in sorted(set(chosen))}
    return ", ".join(
        f"{setting.replace(' ', '/')}{f' x{count}' if count > 1 else ''}" for setting, count in counts.items()
    )


def budgets(result: Mapping[str, Any]) -> str:
    """Return the README's table: a row for each generator and budget, means over seeds, and the real images last."""
    rows = []
    cells = sorted(result["cells"], key=lambda cell: result["budgets"].index(cell["budget"]))
    order = list(dict.fromkeys(cell["generator"] for cell in result["cells"]))
    cells.sort(key=lambda cell: order.index(cell["generator"]))
    for (name, budget), group in groupby(cells, lambda cell: (cell["generator"], cell["budget"])):
        found = list(group)
        rows.append([name, f"{budget:,}", *_row(found)])
    real = result["real"]
    accuracy, agreement = f"{100 * real['accuracy']:.1f}", f"{100 * real['agreement']:.1f}"
    rows.append(["real images", "", accuracy, f"{real['fd']:.1f}", f"{real['coverage']:.2f}", agreement, "", "", ""])
    head = ["", "images of training", "accuracy, samples alone, %", "FD", "coverage", "label agreement, %"]
    head += ["training images/s", "samples/s", "Wh per 1,000 samples"]
    seeds = len({cell["seed"] for cell in cells})
    made = f"{seeds} seeds, one thread, commit {result['commit']}, `{result['command']}`."
    return f"{table(head, rows)}\n\n{made}"


def _row(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    values = {name: [cell[name] for cell in cells] for name in cells[0]}
    accuracy = [100 * value for value in values["accuracy"]]
    spread = f"{np.mean(accuracy):.1f} ({min(accuracy):.1f} to {max(accuracy):.1f})"
    hours = [sum(value) for value in values["watt_hours"] if value is not None]
    return [
        spread,
        f"{np.mean(values['fd']):.1f}",
        f"{np.mean(values['coverage']):.2f}",
        f"{100 * np.mean(values['agreement']):.1f}",
        f"{np.mean(values['training_images_per_second']):,.0f}",
        f"{np.mean(values['samples_per_second']):,.0f}",
        f"{np.mean(hours):.3f}" if hours else "not measurable here",
    ]


def blocks(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the README's parts by the name of their markers, as far as there are results."""
    made = {IMAGES: images, BUDGETS: budgets}
    return {name: made[name](results[name]) for name in made if name in results}
