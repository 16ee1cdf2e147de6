"""The plots of the page of results: SVG in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 960, 230, 20, 10, 44
COLORS = ("augsynth", "albumentations", "torchvision", "kornia", "fuse", "loss")
STYLE = """.plot { min-width: 680px; }
.plot text { font: 12px system-ui, sans-serif; fill: var(--text); } .plot .axis { fill: var(--quiet); }
.plot .grid { stroke: var(--line); } .plot .one { stroke: var(--quiet); stroke-width: 1.5; }
.augsynth { --mark: #1667c4; } .albumentations { --mark: #c26a00; } .torchvision { --mark: #0b7f45; }
.kornia { --mark: #b3261e; } .fuse { --mark: #7b3fb3; } .loss { --mark: var(--loss); } .other { --mark: var(--other); }
@media (prefers-color-scheme: dark) { .augsynth { --mark: #6db1ff; } .albumentations { --mark: #ffb25e; }
  .torchvision { --mark: #5fd39a; } .kornia { --mark: #ff9a8d; } .fuse { --mark: #c9a0f5; } }
.plot .mark { fill: var(--mark); stroke: var(--mark); } .plot .hollow { fill: var(--page); stroke: var(--mark); }
.plot .bar { stroke: var(--mark); stroke-width: 2; } .key span { margin-right: 14px; white-space: nowrap; }
.key i { display: inline-block; width: 11px; height: 11px; margin-right: 5px; background: var(--mark); }
"""


@dataclass(frozen=True)
class Mark:
    """A measurement with its quartiles. full: filled, or hollow."""

    value: float
    low: float
    high: float
    color: str
    title: str
    full: bool


def logarithmic(rows: Mapping[str, Sequence[Mark]], axis: str, height: int = 26) -> str:
    """Return a row of marks for each name, on a logarithmic axis with a line at 1."""
    values = [mark.value for marks in rows.values() for mark in marks]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)

    bottom = TOP + height * len(rows)
    parts = _frame(bottom, axis)
    for power in range(low, high + 1):
        for factor in (1, 2, 5) if power < high else (1,):
            value = factor * 10.0**power
            parts += _tick(x(value), bottom, f"{value:g}", "one" if value == 1 else "grid")
    for place, (name, marks) in enumerate(rows.items()):
        y = TOP + height * (place + 0.5)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        for mark in marks:
            title = f"<title>{escape(mark.title)}: {mark.value:.2f}</title>"
            kind = "mark" if mark.full else "hollow"
            parts.append(_marked(mark.color, title, (x(mark.low), x(mark.value), x(mark.high)), y, kind))
    used = [color for color in COLORS if any(mark.color == color for marks in rows.values() for mark in marks)]
    named = {"loss": "the peer is faster"}
    key = "".join(f'<span class="{color}"><i></i>{named.get(color, color)}</span>' for color in used)
    return "\n".join([*parts, "</svg></div>", f'<p class="key">{key}</p>'])


def forest(rows: Sequence[tuple[str, Sequence[float | None], str]]) -> str:
    """Return a row for each (name, (mean, low, high) in points, verdict), around a line at zero."""
    spans = [[value for value in numbers if value is not None] for _, numbers, _ in rows]
    reach = max(max(abs(value) for value in span) for span in spans) or 1.0
    step = 10 ** math.floor(math.log10(reach))
    step = next(factor * step for factor in (0.25, 0.5, 1, 2.5, 5) if reach / (factor * step) <= 4)
    reach = step * math.ceil(reach / step)

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT - 110) * (value + reach) / (2 * reach)

    height = 24
    bottom = TOP + height * len(rows)
    parts = _frame(bottom, "points of accuracy, with its interval")
    for number in range(-round(reach / step), round(reach / step) + 1):
        parts += _tick(x(number * step), bottom, f"{number * step:+g}" if number else "0", "grid" if number else "one")
    colors = {"helps": "torchvision", "equivalent": "torchvision", "hurts": "loss"}
    for place, ((name, numbers, verdict), span) in enumerate(zip(rows, spans, strict=True)):
        y = TOP + height * (place + 0.5)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        places = x(min(span)), x(float(numbers[0] or 0)), x(max(span))
        parts.append(_marked(colors.get(verdict, "other"), "", places, y, "mark"))
        parts.append(f'<text x="{WIDTH - RIGHT - 100}" y="{y + 4:.1f}">{escape(verdict)}</text>')
    return "\n".join([*parts, "</svg></div>"])


def _marked(color: str, title: str, places: tuple[float, float, float], y: float, kind: str) -> str:
    low, middle, high = places
    bar = f'<line class="bar" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'<g class="{color}">{title}{bar}<circle class="{kind}" cx="{middle:.1f}" cy="{y:.1f}" r="4.5"/></g>'


def _frame(bottom: float, axis: str) -> list[str]:
    box, middle = f"0 0 {WIDTH} {bottom + BOTTOM:.0f}", (LEFT + WIDTH - RIGHT) / 2
    return [
        f'<div class="wide" tabindex="0"><svg class="plot" viewBox="{box}" role="img" aria-label="{escape(axis)}">',
        f'<text class="axis" x="{middle}" y="{bottom + 36:.0f}" text-anchor="middle">{escape(axis)}</text>',
    ]


def _tick(x: float, bottom: float, label: str, kind: str) -> list[str]:
    return [
        f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom:.0f}"/>',
        f'<text class="axis" x="{x:.1f}" y="{bottom + 16:.0f}" text-anchor="middle">{label}</text>',
    ]
