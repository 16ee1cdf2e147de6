"""The pictures of `report.py`: recipes, single transforms, and cost curves, small PNG files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator
from PIL import Image

Results = Mapping[str, Any]
LIBRARIES = {"augsynth": "C0", "albumentations": "C1", "torchvision": "C2", "kornia": "C3", "fuse": "C4"}
MARKERS = {"linear": "D", "PIL": "s", "area": "^", "compiled": "P"}
DPI, COLORS = 90, 64


def color_of(name: str) -> str:
    """Return one colour per library."""
    return next((color for library, color in LIBRARIES.items() if name.startswith(library)), "C7")


def recipes(result: Results, path: Path) -> None:
    """Draw each recipe's candidates on one logarithmic axis of speed; what draws once for a batch is hollow."""
    rows = list(result["recipes"].items())
    figure, axes = plt.subplots(figsize=(9, 1 + 0.34 * len(rows)), layout="constrained")
    for place, (_, candidates) in enumerate(rows):
        for row in candidates:
            if "failed" not in row:
                _dot(axes, row, row["times_albumentations"], -place)
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set(xscale="log", xlabel="speed, times albumentations (one core); hollow: one draw for the whole batch")
    axes.set_yticks([-place for place in range(len(rows))], [name for name, _ in rows])
    _legend(axes)
    _save(figure, path)


def transforms(result: Results, path: Path) -> None:
    """Draw for each transform how many times as fast ours is as each peer, sorted by the best of them."""
    table = {name: entry for name, entry in result["transforms"].items() if entry["times_best_peer"] is not None}
    names = sorted(table, key=lambda name: table[name]["times_best_peer"])
    figure, axes = plt.subplots(figsize=(9, 1 + 0.16 * len(names)), layout="constrained")
    for place, name in enumerate(names):
        for row in table[name]["rows"]:
            if "failed" not in row and row["name"] != "augsynth":
                _dot(axes, row, row["times"], place)
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set(xscale="log", xlabel=f"augsynth is so many times as fast ({result['size']} px, exact colour, one core)")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(-1, len(names))
    _legend(axes)
    _save(figure, path)


def curves(result: Results, path: Path) -> None:
    """Draw microseconds per image over what is varied, one panel per curve, quartiles as a band."""
    table = result["curves"]
    figure, panels = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for axes, (name, curve) in zip(panels.flat, table.items(), strict=False):
        for candidate in dict.fromkeys(key for point in curve["points"] for key in point["rows"]):
            _line(axes, curve["points"], candidate)
        axes.set(xlabel=curve["varied"], ylabel="us per image", yscale="log", title=name)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter("{x:,.0f}")
        axes.tick_params(axis="y", which="minor", labelsize=7)
        if not name.startswith("number"):
            axes.set_xscale("log", base=2)
    for axes in panels.flat[len(table) :]:
        axes.axis("off")
    handles = {label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels())}  # noqa: B905
    panels.flat[-1].legend(handles.values(), handles.keys(), loc="center")
    _save(figure, path)


def _line(axes: Any, points: list[dict[str, Any]], candidate: str) -> None:
    rows = [(point["value"], point["rows"].get(candidate, {})) for point in points]
    rows = [(value, row) for value, row in rows if "microseconds_per_image" in row]
    style = {"linestyle": "--" if candidate == "augsynth linear" else "-", "color": color_of(candidate)}
    x = [value for value, _ in rows]
    axes.plot(x, [row["microseconds_per_image"] for _, row in rows], marker=".", label=candidate, **style)
    low, high = ([row["microseconds_quartiles"][i] for _, row in rows] for i in (0, 1))
    axes.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)


def _dot(axes: Any, row: Mapping[str, Any], x: float, y: float) -> None:
    color = color_of(row["name"])
    marker = next((shape for word, shape in MARKERS.items() if word in row["name"]), "o")
    face = color if row["per_sample"] else "none"
    axes.scatter(x, y, s=22, marker=marker, edgecolors=color, facecolors=face, label=row["name"])


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def _save(figure: Any, path: Path) -> None:
    """Write the figure in few colours: a third of the bytes."""
    memory = io.BytesIO()
    figure.savefig(memory, dpi=DPI)
    plt.close(figure)
    Image.open(memory).convert("RGB").quantize(COLORS).save(path, optimize=True)
