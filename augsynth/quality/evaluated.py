"""What an evaluation of a generator found, as numbers, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from augsynth.quality.copying import Copying
from augsynth.quality.gate import Gate, Metric

SCREEN = "The copy check is a screen for near copies of training samples, and no guarantee of privacy."


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images to look at, uint8. samples: label -> `(N, C, H, W)`. pairs: space -> generated and nearest training ones.

    The pairs are those of `Copying.pairs`, in its order.
    """

    samples: dict[int, torch.Tensor]
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The outcome of `evaluate`; `print` shows it as a table.

    metrics: name -> value, and what real samples reach in place of generated ones. classes: label -> the same for that
    class. copies: "pixels" or features -> how near to the training data samples come. counts: samples on each side.
    reasons: why the gate is not passed. The copy check is a screen, and no guarantee of privacy.
    """

    generator: str
    checkpoint: str
    counts: Mapping[str, int]
    metrics: Mapping[str, Metric]
    classes: Mapping[int, Mapping[str, Metric]]
    copies: Mapping[str, Copying]
    gate: Gate
    reasons: tuple[str, ...]
    pictures: Pictures = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether the gate's thresholds are all met."""
        return not self.reasons

    def metric(self, quantity: str, kind: str = "") -> Metric:
        """Return a metric by its quantity, such as "coverage", and the kind of its features, "cnn" or "random".

        Raises: KeyError naming what there is.
        """
        for metric in self.metrics.values():
            if metric.quantity == quantity and metric.features.split("@")[0] == kind:
                return metric
        raise KeyError(f"there is no {quantity!r} on {kind!r} features; there is {', '.join(self.metrics)}")

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures as plain values, fit for JSON."""
        return {
            "generator": self.generator,
            "checkpoint": self.checkpoint,
            "passed": self.passed,
            "reasons": list(self.reasons),
            "gate": asdict(self.gate),
            "counts": dict(self.counts),
            "metrics": _plain(self.metrics),
            "classes": {str(label): _plain(metrics) for label, metrics in self.classes.items()},
            "copies": {space: {**asdict(c), "pairs": [asdict(p) for p in c.pairs]} for space, c in self.copies.items()},
            "note": SCREEN,
        }

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the table: what, of generated samples, of real ones in their place."""
        found = [(name, number(m.value), number(m.real)) for name, m in self.metrics.items()]
        for space, c in self.copies.items():
            found.append((f"near copies({space})", f"{c.suspicious:.1%}", f"{c.expected:.1%}"))
        return found

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        width = max(len(name) for name, _, _ in self.rows())
        lines = [
            f"{self.generator} {self.checkpoint[:8]} {verdict}: {self.counts['generated']} generated samples, "
            f"{self.counts['real']} held-out real ones",
            f"{'':{width}}  generated       real",
            *(f"{name:{width}}  {value:>9}  {real:>9}" for name, value, real in self.rows()),
            *(f"- {reason}" for reason in self.reasons),
            SCREEN,
        ]
        return "\n".join(lines)


def number(value: float | None) -> str:
    """Return a number to three decimals, and nothing for None."""
    return "" if value is None else f"{value:.3f}"


def _plain(metrics: Mapping[str, Metric]) -> dict[str, dict[str, float | None]]:
    return {name: {"value": _finite(m.value), "real": _finite(m.real)} for name, m in metrics.items()}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
