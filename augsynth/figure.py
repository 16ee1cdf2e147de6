"""The report's figure, drawn as SVG whose colours are the page's: it turns dark with the page and prints in black."""

from __future__ import annotations

import math
from html import escape

from augsynth.quality.results import Comparison, table_rows
from augsynth.quality.statistics import Contrast, Estimate

WIDTH, ROW, TOP, BOTTOM = 880, 46, 30, 34
LEFT, GAP = 90, 60
PANEL = (WIDTH - LEFT - GAP - 20) / 2


class Scale:
    """Maps values to horizontal positions in one panel, with round ticks."""

    def __init__(self, low: float, high: float, start: float) -> None:
        span = max(high - low, 1.0)
        self.step = tick_step(span)
        self.low = math.floor(low / self.step) * self.step
        self.high = max(math.ceil(high / self.step) * self.step, self.low + self.step)
        self.start = start

    def __call__(self, value: float) -> float:
        return self.start + PANEL * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return the round values at which grid lines stand."""
        return [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]


def tick_step(span: float) -> float:
    """Return a round step, 1, 2 or 5 times a power of ten, that divides `span` into about five."""
    power = 10 ** math.floor(math.log10(span / 5))
    return float(min((factor * power for factor in (1, 2, 5, 10)), key=lambda step: abs(span / step - 5)))


def difference_plot(comparison: Comparison) -> str:
    """Return an SVG with a row per arm: on the left accuracies in percent, on the right differences in points."""
    rows = [row for row in table_rows(comparison) if row["accuracy"] is not None]
    correct = comparison.correct()
    dots = {row["arm"]: [100 * float(c.mean()) for c in correct[row["arm"]].values()] for row in rows}
    accuracy = [_bounds(row["accuracy"], 0.0) for row in rows] + [(min(d), max(d)) for d in dots.values()]
    difference = [_bounds(row["contrast"].difference) for row in rows if row["contrast"]] + [(0.0, 0.0)]
    left = Scale(min(low for low, _ in accuracy), max(high for _, high in accuracy), LEFT)
    right = Scale(min(low for low, _ in difference), max(high for _, high in difference), LEFT + PANEL + GAP)
    height = TOP + ROW * len(rows) + BOTTOM
    base = escape(comparison.protocol.base)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="accuracies and paired differences of each arm">',
        f'<text x="{LEFT}" y="14" class="axis">accuracy, %</text>',
        f'<text x="{right.start}" y="14" class="axis">points to {base}, paired</text>',
        *_grid(left, height),
        *_grid(right, height),
        f'<line class="zero" x1="{right(0):.1f}" x2="{right(0):.1f}" y1="{TOP - 6}" y2="{height - BOTTOM}"/>',
    ]
    for number, row in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        contrast: Contrast | None = row["contrast"]
        parts.append(f'<text x="0" y="{y + 4:.1f}" font-weight="600">{escape(row["arm"])}</text>')
        parts += [f'<circle class="seed" cx="{left(dot):.1f}" cy="{y + 9:.1f}" r="4"/>' for dot in dots[row["arm"]]]
        parts += _mark(left, row["accuracy"], y - 5, "none", 0.0)
        if contrast:
            parts += _mark(right, contrast.difference, y, contrast.verdict)
    return "\n".join([*parts, "</svg>"])


def _bounds(value: Estimate, least: float = -100.0) -> tuple[float, float]:
    """Return the interval in percent, cut where no accuracy (least=0) or difference can be."""
    if not value.known:
        return 100 * value.mean, 100 * value.mean
    return max(100 * value.low, least), min(100 * value.high, 100.0)


def _grid(scale: Scale, height: float) -> list[str]:
    bottom = height - BOTTOM
    lines = [
        f'<line class="grid" x1="{scale(t):.1f}" x2="{scale(t):.1f}" y1="{TOP - 6}" y2="{bottom}"/>'
        for t in scale.ticks()
    ]
    return lines + [
        f'<text class="axis" x="{scale(t):.1f}" y="{bottom + 18}" text-anchor="middle">{t:g}</text>'
        for t in scale.ticks()
    ]


def _mark(scale: Scale, value: Estimate, y: float, verdict: str, least: float = -100.0) -> list[str]:
    tone = verdict if verdict in ("helps", "hurts") else "none"
    low, high = _bounds(value, least)
    return [
        f'<g class="{tone}"><line class="interval" x1="{scale(low):.1f}" x2="{scale(high):.1f}" y1="{y}" y2="{y}"/>'
        f'<circle class="mean" cx="{scale(100 * value.mean):.1f}" cy="{y}" r="6"/></g>'
    ]
