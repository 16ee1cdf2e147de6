"""The main job: from a configuration to a comparison, its files, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from augsynth import report
from augsynth.comparing_texts import run_texts
from augsynth.config import ConfiguredGenerator, build, image_pipeline, model_factory, targets, to_yaml, with_normalize
from augsynth.console import Monitor, show
from augsynth.pipeline import Pipeline
from augsynth.quality.protocol import ARMS, Protocol
from augsynth.quality.results import Comparison
from augsynth.quality.runs import tasks, work
from augsynth.quality.samples import Source
from augsynth.quality.utility import compare
from augsynth.quality.workers import check_workers, count
from augsynth.transforms import Normalize


def run(values: Mapping[str, Any], folder: Path) -> Comparison:
    """Compare as the configuration says; print the outcome and write results.json, predictions.npz and report.html.

    values: the resolved configuration `compare`. folder: exists and can be written to. The last line printed is its
    path. Raises: ValueError, TypeError or AugsynthError before any training where the configuration does not fit.
    """
    comparison = run_texts(values) if "presets" in values else run_images(values)
    write(comparison, values, folder)
    show(comparison)
    print(folder)
    return comparison


def run_images(values: Mapping[str, Any]) -> Comparison:
    """Compare as the configuration `compare` says."""
    protocol = Protocol.of(values)
    protocol.check_arms(list(ARMS))
    workers = values["workers"]
    check_workers(workers)
    data = values["data"]
    model = model_factory(values["model"])
    mean, std = data["mean"], data["std"]
    augment = image_pipeline(with_normalize(values["augment"], mean, std))
    evaluation = Pipeline({"normalize": Normalize(tuple(mean), tuple(std))})
    sources = [source(data, split) for split in ("train", "test")]
    generator = ConfiguredGenerator(values["generator"])
    if any(ARMS[arm].synthetic for arm in protocol.arms):
        # Once for nothing, so that a wrong argument shows now and not after minutes.
        generator.make(sources[0].image_shape, len(sources[0].classes))
    planned = len(tasks(protocol, ARMS))
    with Monitor(work(protocol, ARMS), len(protocol.arms) * protocol.seeds, count(planned, workers)) as monitor:
        return compare(
            *sources,
            augment=augment,
            evaluation=evaluation,
            generator=generator,
            model=model,
            protocol=protocol,
            device=values["device"],
            workers=workers,
            listen=monitor,
        )


def source(data: Mapping[str, Any], split: str) -> Source:
    """Return the training or test samples that the data group describes, brought to one size."""
    import torch

    if "prepare" not in data:
        raise ValueError(f"generators make images, and {data.get('name', 'this data')} are texts; choose other data")
    dataset = build(data[split], allow=targets(data[split]))
    prepare = Pipeline(build(data["prepare"] or {}, allow=targets(data["prepare"])), dtype=torch.uint8)
    return Source.of_dataset(dataset, prepare)


def write(comparison: Comparison, values: Mapping[str, Any], folder: Path) -> None:
    """Write results.json, predictions.npz and report.html into `folder`."""
    results = {**comparison.results(), "config": values}
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    comparison.save_predictions(folder / "predictions.npz")
    page = report.page(comparison, to_yaml(values), data_name=str(values["data"].get("name", "the data")))
    (folder / "report.html").write_text(page, encoding="utf-8")


def objective(comparison: Comparison) -> float:
    """Return the primary arm's mean accuracy on its validation samples, for a sweep to maximise.

    Never the test accuracy: the best of many tries on a test set says little about the next sample.
    """
    arm = comparison.protocol.primary[0]
    chosen = [run.scores[run.learning_rate].accuracy for run in comparison.runs if run.arm == arm]
    return float(np.mean(chosen)) if chosen else 0.0
