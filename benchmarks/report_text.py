"""What the result files of text say: the README's tables of speed and accuracy, and the details of the speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT, ACCURACY = "text", "accuracy"
MARKS = {name: (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in (TEXT, ACCURACY)}
PLAIN = "none"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, the first column to the left."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def speed_of_text(result: Mapping[str, Any]) -> str:
    """Return the README's table: texts a second and times nlpaug, as a list and one by one; then ids."""
    by_task: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in result["rows"]:
        by_task.setdefault(row["task"], {})[row["name"]] = row
    rows = []
    for task, found in by_task.items():
        cells = [task]
        for name in ("augsynth, batch", "augsynth, one by one"):
            row = found[name]
            times = f" ({row['times_nlpaug']:.0f}x)" if "times_nlpaug" in row else ""
            cells.append(f"{row['texts_per_second']:,}{times}")
        peer = found["nlpaug, list"]
        cells.append(f"{peer['texts_per_second']:,}" if "failed" not in peer else peer["failed"])
        rows.append(cells)
    head = ["texts a second on one core", "as a list (times nlpaug)", "one by one (times nlpaug)", "nlpaug, list"]
    ids = [row for row in result["tokens"] if row["shape"] == [256, 128] and row["name"].endswith(", native")]
    said = ", ".join(f"{row['name'].removesuffix(', native')} {row['rows_per_second'] / 1000:,.0f},000" for row in ids)
    made = (
        f"{result['texts']:,} sentences of {result['words']} words, {result['machine']['cpu']}, one thread, "
        f"nlpaug {result['nlpaug']}, commit {result['commit']}, `{result['command']}`."
    )
    return f"{table(head, rows)}\n\nRows of 128 token ids a second, keyed draws included: {said}.\n\n{made}"


def accuracy_table(result: Mapping[str, Any]) -> str:
    """Return the README's table of accuracies: of plain training in percent, of the other arms as differences to it."""
    names = list(next(iter(result["results"].values()))["arms"])
    rows = []
    for name, run in result["results"].items():
        cells = [name.split()[0], f"{run['training']:,}"]
        for arm in names:
            row = run["arms"][arm]
            if arm == PLAIN:
                mean, low, high = row["accuracy"]
                cells.append(f"{mean:.1f} ({low:.1f} to {high:.1f})")
            else:
                mean, low, high = row["difference"]
                cells.append(f"{mean:+.1f} ({low:+.1f} to {high:+.1f}), {row['verdict']}")
        rows.append(cells)
    made = f"{result['model']}, {result['rounds']} seeds, commit {result['commit']}, `{result['command']}`."
    return f"{table(['data', 'training texts', *names], rows)}\n\n{made}"


def blocks(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the README's parts by the name of their markers, as far as there are results."""
    made = {TEXT: speed_of_text, ACCURACY: accuracy_table}
    return {name: made[name](results[name]) for name in made if name in results}


def details_of_text(result: Mapping[str, Any]) -> str:
    """Return all rows of the speed of text."""
    rows = []
    for row in result["rows"]:
        if "failed" in row:
            rows.append([row["task"], row["name"], row["failed"], "", "", ""])
            continue
        ratio = "{:.1f} ({:.1f} to {:.1f})".format(row["times_nlpaug"], *row["quartiles"]) if "quartiles" in row else ""
        speed = [f"{row['microseconds']:,}", f"{row['texts_per_second']:,}"]
        rows.append([row["task"], row["name"], *speed, f"{100 * row['words_edited']:.0f}", ratio])
    ids = [
        [
            f"{row['name']}",
            " x ".join(map(str, row["shape"])),
            f"{row['microseconds_per_batch']:,}",
            f"{row['rows_per_second']:,}",
        ]
        for row in result["tokens"]
    ]
    head = ["task", "", "us a text", "texts a second", "words edited, %", "times nlpaug"]
    return f"## Text\n\n{table(head, rows)}\n\n### Token ids\n\n" + table(
        ["", "shape", "us a batch", "rows a second"], ids
    )
