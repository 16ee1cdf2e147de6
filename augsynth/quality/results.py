"""What a comparison found: runs, accuracies, contrasts, and the files they are kept in."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsynth.quality.protocol import Protocol
from augsynth.quality.statistics import Contrast, Estimate, contrasts, estimate
from augsynth.quality.training import Score
from augsynth.text.edits import Edit


@dataclass(frozen=True, eq=False)
class Run:
    """One finished training: its arm and seed, the learning rate chosen, and what it said of each test sample.

    scores: learning rate -> how it did on the validation samples. probabilities: `(N, K)` float32.
    """

    arm: str
    seed: int
    learning_rate: float
    scores: dict[float, Score]
    probabilities: np.ndarray
    samples_per_second: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Example:
    """Pictures of what one arm was trained on. kind says what; image `(M, C, H, W)` uint8; label: the class of each."""

    arm: str
    kind: str
    image: np.ndarray
    label: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TextExample:
    """Texts that one arm was trained on: as they are, with the edits of the first epoch, and the class of each."""

    arm: str
    text: tuple[str, ...]
    edits: tuple[tuple[Edit, ...], ...]
    label: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The outcome of `compare`. labels `(N,)` and positions `(N,)` of the test samples in the test data.

    few: seed -> positions of its training samples. pipelines: arm -> fingerprint of the pipeline its training samples
    pass through, None where that is none. interrupted: Ctrl-C came before all runs had finished.
    """

    protocol: Protocol
    classes: tuple[str, ...]
    labels: np.ndarray
    positions: np.ndarray
    few: dict[int, np.ndarray]
    runs: tuple[Run, ...]
    examples: tuple[Example | TextExample, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0
    device: str = "cpu"
    notes: Mapping[str, Any] = field(default_factory=dict)
    subject: str = "images"
    pipelines: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        """How many runs there would have been."""
        return len(self.protocol.arms) * self.protocol.seeds

    def correct(self) -> dict[str, dict[int, np.ndarray]]:
        """Return for each arm and seed, `(N,)` bool, which test samples were classified rightly."""
        found: dict[str, dict[int, np.ndarray]] = {arm: {} for arm in self.protocol.arms}
        for run in sorted(self.runs, key=lambda run: run.seed):
            found[run.arm][run.seed] = run.probabilities.argmax(1) == self.labels
        return {arm: seeds for arm, seeds in found.items() if seeds}

    def accuracy(self) -> dict[str, Estimate]:
        """Return the mean accuracy of each arm that has a finished run, with its interval."""
        confidence = self.protocol.confidence
        return {arm: estimate(np.stack(list(seeds.values())), confidence) for arm, seeds in self.correct().items()}

    def contrasts(self) -> list[Contrast]:
        """Return the primary contrast and the others, as far as there are runs for them."""
        return contrasts(self.correct(), self.protocol.primary, self.protocol.contrasts(), self.protocol.confidence)

    def contrast(self, arm: str, base: str) -> Contrast | None:
        """Return one contrast, or None where there is no pair of runs for it."""
        return next((c for c in self.contrasts() if (c.arm, c.base) == (arm, base)), None)

    def samples_per_second(self) -> dict[str, float]:
        """Return the mean training throughput of each arm, augmentation and generation included, on one core or GPU."""
        speeds: dict[str, list[float]] = {}
        for run in self.runs:
            speeds.setdefault(run.arm, []).append(run.samples_per_second)
        return {arm: float(np.mean(values)) for arm, values in speeds.items()}

    def question(self) -> str:
        """Return the question in plain words."""
        if self.subject == "texts":
            others = ", ".join(arm for arm in self.protocol.arms if arm != self.protocol.base)
            return f"With {self.protocol.labelled} texts a class: does it help to train with {others}?"
        return (
            f"With {self.protocol.labelled} samples a class: does augmentation help, "
            "do synthetic samples help, do both?"
        )

    def answer(self) -> str:
        """Return what the primary contrast says, in one sentence."""
        arm, base = self.protocol.primary
        contrast = self.contrast(arm, base)
        against = f"{_phrase(arm)} against {_phrase(base)}"
        if contrast is None or not contrast.difference.known:
            return f"Not enough finished runs to say anything about {against}: two pairs are needed."
        points = 100 * contrast.difference.mean
        low, high = 100 * max(contrast.difference.low, -1.0), 100 * min(contrast.difference.high, 1.0)
        numbers = f"{points:+.1f} points of accuracy (95 % interval {low:+.1f} to {high:+.1f})"
        numbers = numbers.replace("95 %", f"{100 * self.protocol.confidence:g} %")
        words = {"helps": "Yes, it helps", "hurts": "No, it hurts", "no evidence": "No evidence either way"}
        return f"{words[contrast.verdict]}: {against} gives {numbers}."

    def results(self) -> dict[str, Any]:
        """Return everything but the pictures and predictions, ready for JSON; `timing` alone differs between reruns."""
        accuracies = {arm: {str(s): float(c.mean()) for s, c in seeds.items()} for arm, seeds in self.correct().items()}
        return {
            "question": self.question(),
            "answer": self.answer(),
            "complete": not self.interrupted,
            "runs_finished": len(self.runs),
            "runs_planned": self.planned,
            "test_samples": len(self.labels),
            "classes": list(self.classes),
            "protocol": asdict(self.protocol),
            "arms": {arm: {**_estimate(value), "by_seed": accuracies[arm]} for arm, value in self.accuracy().items()},
            "contrasts": [
                {
                    "arm": c.arm,
                    "base": c.base,
                    "primary": c.primary,
                    "difference": _estimate(c.difference),
                    "confidence": c.confidence,
                    "p": c.difference.p,
                    "p_adjusted": c.p,
                    "verdict": c.verdict,
                }
                for c in self.contrasts()
            ],
            "learning_rates": [
                {
                    "arm": run.arm,
                    "seed": run.seed,
                    "chosen": run.learning_rate,
                    "validation": {str(rate): asdict(score) for rate, score in run.scores.items()},
                }
                for run in sorted(self.runs, key=lambda run: (self.protocol.arms.index(run.arm), run.seed))
            ],
            "timing": {
                "seconds": round(self.seconds, 1),
                "device": self.device,
                "samples_per_second": {arm: round(v, 1) for arm, v in self.samples_per_second().items()},
            },
            "pipelines": dict(self.pipelines),
            "versions": versions(),
            **self.notes,
        }

    def save_predictions(self, path: Path) -> None:
        """Write predictions.npz; arrays are by arm and seed, -1 and NaN where a run did not finish.

        labels, positions `(N,)`; arms `(A,)`; seeds `(S,)`; classes `(K,)`; predicted `(A, S, N)` int16;
        probabilities `(A, S, N, K)` float16; finished `(A, S)` bool; train_positions `(S, n)`.
        """
        arms, seeds = self.protocol.arms, sorted(self.few)
        shape = (len(arms), len(seeds), len(self.labels))
        predicted = np.full(shape, -1, np.int16)
        probabilities = np.full((*shape, len(self.classes)), np.nan, np.float16)
        for run in self.runs:
            place = arms.index(run.arm), seeds.index(run.seed)
            predicted[place] = run.probabilities.argmax(1)
            probabilities[place] = run.probabilities
        np.savez_compressed(
            path,
            labels=self.labels,
            positions=self.positions,
            arms=np.array(arms),
            seeds=np.array(seeds),
            classes=np.array(self.classes),
            predicted=predicted,
            probabilities=probabilities,
            finished=(predicted >= 0).all(axis=2),
            train_positions=np.stack([self.few[seed] for seed in seeds]),
        )


def _phrase(arm: str) -> str:
    words = {
        "none": "plain training",
        "augment": "augmentation",
        "synthetic": "synthetic samples",
        "both": "augmentation with synthetic samples",
    }
    return words.get(arm, f"arm {arm!r}")


def _estimate(value: Estimate) -> dict[str, Any]:
    # JSON has no infinity: an interval that is not known is null.
    bounds = {"low": value.low, "high": value.high, "standard_error": value.standard_error}
    return {"mean": value.mean, **{k: v if value.known else None for k, v in bounds.items()}, "runs": value.runs}


def versions() -> dict[str, str]:
    """Return the versions that the numbers depend on."""
    import augsynth

    return {
        "augsynth": augsynth.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def table_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per arm, in order, for the printed table and the report: estimates, contrast, speed."""
    accuracies, speeds = comparison.accuracy(), comparison.samples_per_second()
    base = comparison.protocol.base
    return [
        {
            "arm": arm,
            "accuracy": accuracies.get(arm),
            "contrast": comparison.contrast(arm, base) if arm != base else None,
            "speed": speeds.get(arm),
        }
        for arm in comparison.protocol.arms
    ]
