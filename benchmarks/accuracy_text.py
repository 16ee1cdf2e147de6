"""Does it help? Text classification with EDA, AEDA, masking and the token path, on the data sets of the EDA paper.

One small network (`augsynth.quality.WordCNN`, trainable embeddings, no pretrained vectors), equal optimiser steps in
all arms, five seeds with their own draw of training texts, weights and batches; learning rate chosen for each arm and
seed on clean validation texts; texts of the training files that stand in the test file, or twice, are left out.
Intervals and verdicts are those of `augsynth compare`: each arm against none, Holm-corrected.

    python benchmarks/accuracy.py text [RUN ...] [--data DIR] [--seeds N] [--json FILE] [--quick]

DIR holds trec/, sst2/ and pc/, each with eda_train.txt and eda_test.txt (a label, a tab and a text on each line), and
banking77/ with train.csv and test.csv.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_data import add_data, find
from cells import load, write
from protocol import head

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.config import pipeline
from augsynth.console import Monitor, show
from augsynth.quality import Protocol, TextSource, compare_texts
from augsynth.quality.results import Comparison
from augsynth.quality.text_models import BUCKETS, Words
from augsynth.text.lexicon import Lexicon
from augsynth.text.token_vocabulary import TokenVocabulary

ARMS = ("none", "eda", "aeda", "masking", "tokens")
RATES = (0.008, 0.016)


@dataclass(frozen=True)
class Run:
    """One data set at one size: texts of each class that are labelled, None for all, and optimiser steps."""

    data: str
    per_class: int | None
    steps: int


RUNS = {
    "trec 480": Run("trec", 80, 600),
    "sst2 500": Run("sst2", 250, 600),
    "pc 500": Run("pc", 250, 600),
    "banking77 500": Run("banking77", 7, 600),
    "banking77 2000": Run("banking77", 26, 1000),
    "banking77 full": Run("banking77", None, 1500),
    "trec full": Run("trec", None, 1000),
    "sst2 full": Run("sst2", None, 1000),
    "pc 2000": Run("pc", 1000, 1000),
}
QUICK = Run("trec", 40, 20)


def vocabulary(words: Words) -> TokenVocabulary:
    """Return the ids of a network's words as a vocabulary with synonyms."""
    tokens = ["[PAD]", *(f"[{i}]" for i in range(BUCKETS)), *words.known]
    table = {token: i for i, token in enumerate(tokens)}
    # No id is kept for masks: a hidden word is one of those that all rare words share.
    return TokenVocabulary.from_mapping(table, pad="[PAD]", mask="[0]", lexicon=Lexicon.default(), max_senses=2)


def masking(words: Words) -> Pipeline:
    """Hide a tenth of the words."""
    return Pipeline([T.TokenMask(vocabulary=vocabulary(words), rate=0.1)])


def tokens(words: Words) -> Pipeline:
    """Put one of the operations of EDA on ids: synonyms, exchange, deletion, insertion."""
    known = vocabulary(words)
    kinds = (T.TokenSynonym, T.TokenSwap, T.TokenDelete, T.TokenInsert)
    return Pipeline([T.OneOf([kind(vocabulary=known, rate=0.1) for kind in kinds])])


def arms() -> dict[str, Any]:
    """Return what the arms train with."""
    return {"none": None, "eda": pipeline("eda"), "aeda": pipeline("aeda"), "masking": masking, "tokens": tokens}


def source(folder: Path, name: str, split: str) -> TextSource:
    """Read a split of a data set; training texts that are in the test set, or stand twice, are left out."""
    form = "{}.csv" if name == "banking77" else "eda_{}.txt"
    rows = {part: _rows(folder / name / form.format(part)) for part in ("train", "test")}
    seen: set[str] = set()
    kept = []
    for part in ("test", "train"):
        for label, text in rows[part]:
            key = " ".join(text.lower().split())
            if key and key not in seen:
                seen.add(key)
                kept.append((part, label, text))
    names = sorted({label for _, label, _ in kept})
    chosen = [(label, text) for part, label, text in kept if part == split]
    labels = torch.tensor([names.index(label) for label, _ in chosen])
    return TextSource([text for _, text in chosen], labels, tuple(names))


def _rows(path: Path) -> list[tuple[str, str]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [(row["category"], row["text"].strip()) for row in csv.DictReader(file)]
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("\t")[::2] for line in lines)
    return [(label.strip(), text.strip()) for label, text in pairs if text.strip() not in ("", "None")]


def compare(folder: Path, run: Run, seeds: int, workers: int | None = None) -> Comparison:
    """Train all arms on one data set at one size."""
    protocol = Protocol(
        labels_per_class=run.per_class,
        seeds=seeds,
        arms=ARMS,
        primary=("eda", "none"),
        secondary=(),
        steps=run.steps,
        learning_rates=RATES,
        test_limit=None,
    )
    steps = dict.fromkeys(ARMS, seeds * run.steps * (len(RATES) + 1))
    with Monitor(steps, len(ARMS) * seeds, 2) as monitor:
        return compare_texts(
            source(folder, run.data, "train"),
            source(folder, run.data, "test"),
            arms=arms(),
            protocol=protocol,
            workers=workers,
            listen=monitor,
        )


def summary(run: Run, comparison: Comparison) -> dict[str, Any]:
    """Return what a table needs: accuracies and differences to none, in percent, with their intervals."""
    result: dict[str, Any] = {
        "training": len(next(iter(comparison.few.values()))),
        "test": len(comparison.labels),
        "steps": run.steps,
        "arms": {},
    }
    for arm, estimate in comparison.accuracy().items():
        row: dict[str, Any] = {"accuracy": _percent(estimate)}
        if (contrast := comparison.contrast(arm, "none")) is not None:
            row |= {"difference": _percent(contrast.difference), "verdict": contrast.verdict, "p": round(contrast.p, 4)}
        result["arms"][arm] = row
    return result


def _percent(value: Any) -> list[float]:
    return [round(100 * number, 2) for number in (value.mean, value.low, value.high)]


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| data | training texts | " + " | ".join(ARMS) + " |", "|---|--:|" + "--:|" * len(ARMS)]
    for name, result in results.items():
        cells = []
        for arm in ARMS:
            row = result["arms"][arm]
            mean, low, high = row["accuracy"]
            cell = f"{mean:.1f} ({low:.1f} to {high:.1f})"
            if "difference" in row:
                difference, below, above = row["difference"]
                cell = f"{difference:+.1f} ({below:+.1f} to {above:+.1f}), {row['verdict']}"
            cells.append(cell)
        lines.append(f"| {name.split()[0]} | {result['training']:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def command(args: argparse.Namespace) -> None:
    """Do what is left of what the command line asks for; each result is saved as soon as it is there."""
    known = {**RUNS, "quick": QUICK}
    names = ["quick"] if args.quick else args.names or list(RUNS)
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"there is no {', '.join(unknown)}; there are {', '.join(RUNS)}")
    folder, seeds = find(args, "text"), 2 if args.quick else args.seeds
    about = {**head(seeds), "quick": args.quick, "model": "WordCNN, 64 wide, trainable embeddings"}
    results: dict[str, Any] = load(args.json).get("results", {})
    left = [name for name in names if name not in results]
    trainings = seeds * len(ARMS) * (len(RATES) + 1)
    steps = sum(trainings * known[name].steps for name in left)
    print(f"{len(left)} runs are left, {trainings} trainings each, {steps:,} steps in all", flush=True)
    for name in left:
        try:
            comparison = compare(folder, known[name], seeds, args.workers)
        except KeyboardInterrupt:
            sys.exit("stopped: the same command goes on behind the last run that is whole" if args.json else "stopped")
        show(comparison)
        results[name] = summary(known[name], comparison)
        write(args.json, {**about, "results": results})
        print(table(results), flush=True)


def add_command(commands: Any) -> None:
    """Add the subcommand `text` to a parser's subparsers."""
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("text", help="TREC, SST-2, PC, BANKING77", description=__doc__, formatter_class=form)
    parser.add_argument("names", nargs="*", metavar="RUN", help=f"of {', '.join(RUNS)}; all by default")
    add_data(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, help="processes of one thread each; by default one for each core")
    parser.add_argument("--json", type=Path, help="result file; runs in it are not repeated")
    parser.add_argument("--quick", action="store_true", help="a trial: two seeds, few texts and steps")
    parser.set_defaults(run=command)
