"""`augsynth evaluate`: from a configuration to a verdict on a generator, its files, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from augsynth import evaluation_page
from augsynth.comparing import source
from augsynth.config import to_yaml
from augsynth.generators import load
from augsynth.generators.checkpoint import save, training_of
from augsynth.quality.evaluated import Evaluation
from augsynth.quality.evaluation import evaluate
from augsynth.quality.gate import Gate
from augsynth.quality.samples import read

OPTIONS = ("per_class", "steps", "repeats", "seed", "device", "inception_weights")


def run(values: Mapping[str, Any], folder: Path) -> Evaluation:
    """Evaluate as the configuration says; print the table and write evaluation.json and evaluation.html.

    values: the resolved configuration `evaluate`. folder: exists and can be written to. The last line printed is its
    path. Raises: ValueError, TypeError or AugsynthError where checkpoint, data and configuration do not fit.
    """
    gate, data = Gate.of(values["gate"]), values["data"]
    sources = [source(data, split) for split in ("train", "test")]
    classes = sources[0].classes
    generator = load(values["checkpoint"], num_classes=len(classes))
    train, holdout = ((part.image, part.label) for part in (read(s, np.arange(len(s))) for s in sources))
    report = evaluate(generator, train, holdout, gate=gate, **{key: values[key] for key in OPTIONS})
    results = {**report.to_dict(), "class_names": list(classes), "config": values}
    (folder / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    page = evaluation_page.page(report, classes, to_yaml(values), data_name=str(data.get("name", "the data")))
    (folder / "evaluation.html").write_text(page, encoding="utf-8")
    if values["record"]:
        save(generator, values["checkpoint"], training_of(values["checkpoint"]))
    print(report)
    print(folder)
    return report
