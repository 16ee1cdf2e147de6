"""What came out of benchmarks/imbalance.py: the best arm with synthetic samples against the best without, a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cells import Results, interval, judged, percent, spoken

from augsynth.quality.statistics import Contrast, contrasts

# DeepSMOTE's own, in Table II of arXiv:2105.02340: another network (ResNet-18), no interval.
PUBLISHED = 83.63
RAREST = 5


@dataclass
class Rare(Results):
    """synthetic: the arms that see samples which are no real image."""

    synthetic: frozenset[str] = field(kw_only=True)

    def best(self, synthetic: bool) -> str:
        """Return the arm with, or without, synthetic samples that did best on validation images."""
        return max((arm for arm in self.arms if (arm in self.synthetic) is synthetic), key=self.validation)

    def contrasts(self) -> list[Contrast]:
        """Judge the best arm with synthetic samples against the best without; then the others, corrected for number.

        The others are each arm against the first, and each with synthetic samples against the best without.
        """
        (first, *others), best = self.arms, self.best(False)
        secondary = [(arm, first) for arm in others] + [(arm, best) for arm in self.arms if arm in self.synthetic]
        return contrasts(self.right(), (self.best(True), best), secondary)


def summary(results: Rare) -> dict[str, Any] | None:
    """Return the headline and a row per arm, over the seeds that are whole; None without any."""
    if not results.seeds:
        return None
    headline, *others = map(judged, results.contrasts())
    rows = {
        arm: {
            "synthetic": arm in results.synthetic,
            "accuracy": percent(results.accuracy(arm)),
            "validation": round(100 * results.validation(arm), 2),
            "per_class": [round(100 * share, 2) for share in results.by_class(arm).tolist()],
            "rates": [cell.chosen for cell in results.of(arm).values()],
        }
        for arm in results.arms
    }
    found = {"seeds": results.seeds, "headline": headline, "contrasts": others, "arms": rows}
    return {**found, "published_deepsmote": PUBLISHED}


def table(found: Mapping[str, Any] | None) -> str:
    """Return a summary as Markdown."""
    if found is None:
        return "no seed is whole yet"
    first, head = next(iter(found["arms"])), found["headline"]
    judged = {(row["arm"], row["base"]): spoken(row) for row in (*found["contrasts"], head)}
    title = f"| arm | test accuracy | {RAREST} rarest classes | validation | against {first} | against {head['base']} |"
    lines = [title, "|---|--:|--:|--:|---|---|"]
    for arm, row in found["arms"].items():
        rare = sum(row["per_class"][-RAREST:]) / RAREST
        beside = [judged.get((arm, base), "") for base in (first, head["base"])]
        cells = [arm, interval(row["accuracy"]), f"{rare:.1f}", f"{row['validation']:.1f}", *beside]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Best with synthetic samples, by validation: {head['arm']}; best without: {head['base']}."]
    lines += [f"Their difference in points of test accuracy: {spoken(head)}; all others are corrected by Holm."]
    lines += [f"Published for DeepSMOTE, with another network: {PUBLISHED} %."]
    return "\n".join(lines)
