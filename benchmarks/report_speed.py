"""What the result files of floors and of loading from files say: tables for the performance page and the README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from report_text import table

FLOOR, DECODE, TRIED = "floor", "decode", "tried"
MARKS = {name: (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in (FLOOR, TRIED)}
BASE = "albumentations, OpenCV"


def floors(result: Mapping[str, Any]) -> str:
    """Return the performance page's table: what each recipe takes, what its steps add, and its floors."""
    rows = []
    for name, row in result["floor"].items():
        whole = row["microseconds"]["microseconds_per_image"]
        steps = ", ".join(f"{step} {value:,.1f}" for step, value in row["steps"].items())
        linear = "" if row["linear_microseconds"] is None else f"{row['linear_microseconds']:,.1f}"
        floor = row["floors"]
        cells = [f"{whole:,.1f}", linear, steps, f"{row['shared']:,.1f}", f"{floor['convert']:,.1f}"]
        rows.append([name, *cells, f"{floor['copy']:,.1f}", f"{row['percent_of_copy']:.0f}", f"{row['call']:,.0f}"])
    head = ["us per image", "exact", "linear", "what a step adds", "shared", "convert", "copy", "copy, %", "a call"]
    return f"{table(head, rows)}\n\n{_made(result)}"


def decoding(result: Mapping[str, Any]) -> str:
    """Return the details: images a second and the share of waiting, by workers."""
    parts = [f"## From files\n\n{result['recipe']}; batches of {result['batch']}, a step of {result['step_ms']:g} ms."]
    for workers, rows in result["workers"].items():
        cells = [
            [
                row["name"],
                f"{row['images_per_second']:,}",
                "{:.2f} ({:.2f} to {:.2f})".format(row["times_albumentations"], *row["quartiles"]),
                f"{100 * row['waiting']:.0f}",
            ]
            for row in rows
        ]
        head = ["", "images per second", "times albumentations", "a step waits, %"]
        parts.append(f"### {workers} workers\n\n{table(head, cells)}")
    return "\n\n".join(parts)


def decoding_sentence(result: Mapping[str, Any]) -> str:
    """Say in the README what is left of the speed where files are decoded, and what bounds it."""
    parts = []
    for workers, rows in result["workers"].items():
        speed = {row["name"]: row for row in rows}
        best = max((row for row in rows if row["name"].startswith("augsynth")), key=lambda r: r["images_per_second"])
        bound = speed[f"decoding alone, {best['name'].split(', ')[1]}"]["images_per_second"]
        share = 100 * best["images_per_second"] / bound
        parts.append(
            f"{best['times_albumentations']:.2f} times with {workers} ({share:.0f} % of decoding alone; a step of "
            f"{result['step_ms']:g} ms waits {100 * best['waiting']:.0f} % of the time, with albumentations "
            f"{100 * speed[BASE]['waiting']:.0f} %)"
        )
    return f"From JPEG files, exact colour, by workers, times albumentations: {'; '.join(parts)}."


def other_ways(result: Mapping[str, Any]) -> str:
    """Return the performance page's table of what was tried."""
    rows = [
        [
            row["what"],
            f"{row['other']:,.1f}",
            f"{row['ours']:,.1f}",
            "{:.2f} ({:.2f} to {:.2f})".format(row["times"], *row["quartiles"]),
        ]
        for row in result["tried"]
    ]
    head = ["another way", "us per image", "ours, us", "times as long as ours"]
    return f"{table(head, rows)}\n\n{_made(result)}"


def blocks(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the performance page's parts by the name of their markers, as far as there are results."""
    made = {FLOOR: floors, TRIED: other_ways}
    return {name: made[name](results[name]) for name in made if name in results}


def _made(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    about = f"{machine['cpu']}, one thread, {result['rounds']} rounds, commit {result['commit']}"
    return f"`{result['command']}` on {about}."
