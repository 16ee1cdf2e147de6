"""What came out of benchmarks/imbalance.py: kept in a file, judged by augsynth.quality.statistics, shown as a table."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from protocol import save

from augsynth.quality.statistics import Contrast, Estimate, contrasts, estimate

# DeepSMOTE's own, in Table II of arXiv:2105.02340: another network (ResNet-18), no interval.
PUBLISHED = 83.63
RAREST = 5


def by_class(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the share that was classified rightly, of each class."""
    return np.bincount(labels, weights=right) / np.bincount(labels)


@dataclass(frozen=True, eq=False)
class Cell:
    """One arm with one seed.

    rate: chosen; validation: the balanced accuracy of each rate. right: which test images were classified rightly.
    seconds: of all its runs; filling: of training the generators, which arms of one seed share.
    """

    arm: str
    seed: int
    rate: float
    validation: dict[float, float]
    right: np.ndarray
    seconds: float
    filling: float
    images_per_second: float

    @property
    def score(self) -> float:
        """The balanced accuracy on validation images at the chosen rate."""
        return self.validation[self.rate]

    def to_json(self, labels: np.ndarray) -> dict[str, Any]:
        """Return what the file keeps: accuracies in percent, and every single outcome."""
        return {
            "arm": self.arm,
            "seed": self.seed,
            "rate": self.rate,
            "validation": {str(rate): round(100 * score, 4) for rate, score in self.validation.items()},
            "accuracy": round(100 * float(self.right.mean()), 2),
            "per_class": [round(100 * share, 2) for share in by_class(self.right, labels).tolist()],
            "seconds": round(self.seconds, 1),
            "filling_seconds": round(self.filling, 1),
            "images_per_second": round(self.images_per_second),
            "right": base64.b64encode(zlib.compress(np.packbits(self.right).tobytes(), 9)).decode(),
        }

    @classmethod
    def of_json(cls, row: Mapping[str, Any], samples: int) -> Cell:
        """Return what `to_json` wrote."""
        bits = np.frombuffer(zlib.decompress(base64.b64decode(row["right"])), np.uint8)
        right = np.unpackbits(bits, count=samples).astype(bool)
        validation = {float(rate): score / 100 for rate, score in row["validation"].items()}
        seconds = (row["seconds"], row["filling_seconds"], row["images_per_second"])
        return cls(row["arm"], row["seed"], row["rate"], validation, right, *seconds)


@dataclass
class Results:
    """All that has finished. arms: name to whether it sees synthetic samples. labels: of the test images."""

    arms: Mapping[str, bool]
    labels: np.ndarray
    cells: list[Cell] = field(default_factory=list)

    @property
    def seeds(self) -> list[int]:
        """The seeds of which every arm has finished: only these are judged."""
        done = {(cell.arm, cell.seed) for cell in self.cells}
        return [seed for seed in sorted({s for _, s in done}) if all((arm, seed) in done for arm in self.arms)]

    def of(self, arm: str) -> dict[int, Cell]:
        """Return the cells of an arm by seed."""
        return {cell.seed: cell for seed in self.seeds for cell in self.cells if (cell.arm, cell.seed) == (arm, seed)}

    def accuracy(self, arm: str) -> Estimate:
        """Estimate the accuracy on the test set."""
        return estimate(np.stack([cell.right for cell in self.of(arm).values()]))

    def validation(self, arm: str) -> float:
        """Return the mean balanced accuracy on validation images."""
        return float(np.mean([cell.score for cell in self.of(arm).values()]))

    def best(self, synthetic: bool) -> str:
        """Return the arm with, or without, synthetic samples that did best on validation images."""
        return max((arm for arm, flag in self.arms.items() if flag is synthetic), key=self.validation)

    def contrasts(self) -> list[Contrast]:
        """Judge the best arm with synthetic samples against the best without; then the others, corrected for number.

        The others are each arm against the first, and each with synthetic samples against the best without.
        """
        right = {arm: {seed: cell.right for seed, cell in self.of(arm).items()} for arm in self.arms}
        (first, *others), best = self.arms, self.best(False)
        secondary = [(arm, first) for arm in others] + [(arm, best) for arm, flag in self.arms.items() if flag]
        return contrasts(right, (self.best(True), best), secondary)

    def by_class(self, arm: str) -> np.ndarray:
        """Return the mean accuracy on each class."""
        return np.asarray(np.mean([by_class(cell.right, self.labels) for cell in self.of(arm).values()], axis=0))


def percent(value: Estimate) -> list[float | None]:
    """Return mean and interval in percent; None where one seed gives no interval."""
    return [round(100 * x, 2) if math.isfinite(x) else None for x in (value.mean, value.low, value.high)]


def judged(contrast: Contrast) -> dict[str, Any]:
    """Return a contrast for the file."""
    named = {"arm": contrast.arm, "base": contrast.base, "difference": percent(contrast.difference)}
    return {**named, "confidence": contrast.confidence, "p": round(contrast.p, 5), "verdict": contrast.verdict}


def summary(results: Results) -> dict[str, Any] | None:
    """Return the headline and a row per arm, over the seeds that are whole; None without any."""
    if not results.seeds:
        return None
    headline, *others = map(judged, results.contrasts())
    rows = {
        arm: {
            "synthetic": synthetic,
            "accuracy": percent(results.accuracy(arm)),
            "validation": round(100 * results.validation(arm), 2),
            "per_class": [round(100 * share, 2) for share in results.by_class(arm).tolist()],
            "rates": [cell.rate for cell in results.of(arm).values()],
        }
        for arm, synthetic in results.arms.items()
    }
    found = {"seeds": results.seeds, "headline": headline, "contrasts": others, "arms": rows}
    return {**found, "published_deepsmote": PUBLISHED}


def load(path: Path | None, about: Mapping[str, Any], samples: int) -> list[Cell]:
    """Return the cells of an earlier run that was stopped. Raises: ValueError for a file of another run."""
    if path is None or not path.exists():
        return []
    content, expected = json.loads(path.read_text()), json.loads(json.dumps(about))
    if other := [key for key, value in expected.items() if content.get(key) != value]:
        raise ValueError(f"{path} is of another run ({', '.join(other)} differ): name another file")
    return [Cell.of_json(row, samples) for row in content["cells"]]


def keep(path: Path | None, about: Mapping[str, Any], results: Results) -> None:
    """Write everything; a run that is stopped while writing leaves the file as it was."""
    if path is not None:
        ordered = sorted(results.cells, key=lambda cell: (cell.seed, list(results.arms).index(cell.arm)))
        cells = [cell.to_json(results.labels) for cell in ordered]
        partial = path.with_suffix(".partial")
        save(partial, {**about, "summary": summary(results), "cells": cells})
        partial.replace(path)


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


def spoken(row: Mapping[str, Any]) -> str:
    """Return difference, interval and verdict of a contrast."""
    return f"{interval(row['difference'], '+')}, {row['verdict']}"


def interval(values: Sequence[float | None], sign: str = "") -> str:
    """Return "mean (low to high)"."""
    mean, low, high = values
    return f"{mean:{sign}.2f}" + ("" if low is None or high is None else f" ({low:{sign}.2f} to {high:{sign}.2f})")
