"""What comes out of a training benchmark, cell by cell: one arm with one seed, kept in a file as soon as it is there.

Cells are judged by augsynth.quality.statistics: intervals over seeds and test samples, paired differences, Holm.
"""

from __future__ import annotations

import base64
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from protocol import save

from augsynth.quality.statistics import Contrast, Estimate, estimate


def by_class(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the share that was classified rightly, of each class."""
    return np.bincount(labels, weights=right) / np.bincount(labels)


@dataclass(frozen=True, eq=False)
class Cell:
    """One arm with one seed.

    chosen: the setting, such as its learning rate; validation: the accuracy of each that was tried. right: which test
    images were classified rightly. seconds: of all its runs; filling: of training the generators, which arms of one
    seed share.
    """

    arm: str
    seed: int
    chosen: str
    validation: dict[str, float]
    right: np.ndarray
    seconds: float
    filling: float
    images_per_second: float

    @property
    def score(self) -> float:
        """The accuracy on validation images with the chosen setting."""
        return self.validation[self.chosen]

    def to_json(self, labels: np.ndarray) -> dict[str, Any]:
        """Return what the file keeps: accuracies in percent, and every single outcome."""
        return {
            "arm": self.arm,
            "seed": self.seed,
            "rate": self.chosen,
            "validation": {name: round(100 * score, 4) for name, score in self.validation.items()},
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
        validation = {name: score / 100 for name, score in row["validation"].items()}
        seconds = (row["seconds"], row["filling_seconds"], row["images_per_second"])
        return cls(row["arm"], row["seed"], str(row["rate"]), validation, right, *seconds)


@dataclass
class Results:
    """All that has finished. arms: their names, in order. labels: of the test images."""

    arms: Sequence[str]
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

    def right(self) -> dict[str, dict[int, np.ndarray]]:
        """Return which test images were classified rightly, by arm and seed."""
        return {arm: {seed: cell.right for seed, cell in self.of(arm).items()} for arm in self.arms}

    def accuracy(self, arm: str) -> Estimate:
        """Estimate the accuracy on the test set."""
        return estimate(np.stack([cell.right for cell in self.of(arm).values()]))

    def validation(self, arm: str) -> float:
        """Return the mean accuracy on validation images."""
        return float(np.mean([cell.score for cell in self.of(arm).values()]))

    def by_class(self, arm: str) -> np.ndarray:
        """Return the mean accuracy on each class."""
        return np.asarray(np.mean([by_class(cell.right, self.labels) for cell in self.of(arm).values()], axis=0))

    def rows(self) -> list[dict[str, Any]]:
        """Return the cells for the file, seed by seed."""
        ordered = sorted(self.cells, key=lambda cell: (cell.seed, list(self.arms).index(cell.arm)))
        return [cell.to_json(self.labels) for cell in ordered]


class Log:
    """Takes each cell as it finishes: keeps it, and says how long the rest will take."""

    def __init__(self, results: Results, keep: Callable[[], None], left: int) -> None:
        self.results, self.keep, self.left = results, keep, left
        self.done, self.started = 0, time.perf_counter()

    def __call__(self, cell: Cell) -> None:
        self.results.cells.append(cell)
        self.keep()
        self.done, self.left = self.done + 1, self.left - 1
        minutes = (time.perf_counter() - self.started) / self.done * self.left / 60
        said = f"{100 * cell.right.mean():.2f} %, validation {100 * cell.score:.2f}, rate {cell.chosen}"
        timed = f"{cell.seconds:.0f} s, {cell.images_per_second:.0f} images/s; {minutes:.0f} min left"
        print(f"seed {cell.seed} {cell.arm}: {said}, {timed}", flush=True)


def load(path: Path | None) -> dict[str, Any]:
    """Return the file of an earlier run that was stopped; empty without one."""
    return json.loads(path.read_text()) if path is not None and path.exists() else {}


def check(path: Path | None, content: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Raise a ValueError where a file that is not empty is of another run than `about` says."""
    expected = json.loads(json.dumps(about))
    if content and (other := [key for key, value in expected.items() if content.get(key) != value]):
        raise ValueError(f"{path} is of another run ({', '.join(other)} differ): name another file")


def write(path: Path | None, content: Mapping[str, Any]) -> None:
    """Write a file; a run that is stopped while writing leaves it as it was."""
    if path is not None:
        partial = path.with_suffix(".partial")
        save(partial, content)
        partial.replace(path)


def percent(value: Estimate) -> list[float | None]:
    """Return mean and interval in percent; None where one seed gives no interval."""
    return [round(100 * x, 2) if math.isfinite(x) else None for x in (value.mean, value.low, value.high)]


def judged(contrast: Contrast) -> dict[str, Any]:
    """Return a contrast for the file."""
    named = {"arm": contrast.arm, "base": contrast.base, "difference": percent(contrast.difference)}
    return {**named, "confidence": contrast.confidence, "p": round(contrast.p, 5), "verdict": contrast.verdict}


def spoken(row: Mapping[str, Any]) -> str:
    """Return difference, interval and verdict of a contrast."""
    return f"{interval(row['difference'], '+')}, {row['verdict']}"


def interval(values: Sequence[float | None], sign: str = "") -> str:
    """Return "mean (low to high)"."""
    mean, low, high = values
    return f"{mean:{sign}.2f}" + ("" if low is None or high is None else f" ({low:{sign}.2f} to {high:{sign}.2f})")
