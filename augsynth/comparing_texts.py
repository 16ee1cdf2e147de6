"""The main job on texts: from a configuration to a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augsynth.config import build, model_factory, targets
from augsynth.console import Monitor
from augsynth.quality.protocol import Protocol
from augsynth.quality.results import Comparison
from augsynth.quality.text import Arms, compare_texts, text_tasks
from augsynth.quality.text_samples import TextSource
from augsynth.quality.workers import check_workers, count


def run_texts(values: Mapping[str, Any]) -> Comparison:
    """Compare as the configuration `compare_text` says.

    Raises: ValueError, TypeError or AugsynthError before any training where the configuration does not fit.
    """
    protocol = Protocol.of({**values, "primary": values["primary"] or primary(values["arms"])})
    arms = configured_arms(values)
    protocol.check_arms(list(arms))
    workers = values["workers"]
    check_workers(workers)
    model = model_factory(values["model"])
    sources = [text_source(values["data"], split) for split in ("train", "test")]
    planned = len(text_tasks(protocol))
    steps = protocol.seeds * protocol.steps * (len(protocol.learning_rates) + 1)
    with Monitor(dict.fromkeys(protocol.arms, steps), planned, count(planned, workers)) as monitor:
        return compare_texts(
            *sources,
            arms=arms,
            model=model,
            protocol=protocol,
            device=values["device"],
            workers=workers,
            listen=monitor,
        )


def configured_arms(values: Mapping[str, Any]) -> Arms:
    """Return the arms that a configuration has: none, and its presets. Raises ValueError for those of images."""
    presets = values["presets"] or {}
    for arm in values["arms"] or ():
        if arm in ("augment", "synthetic", "both") and arm not in presets:
            raise ValueError(
                f"arms: {arm!r} is for images; on texts an arm is none or a preset: {', '.join(('none', *presets))}"
            )
    return {"none": None, **{name: build(preset, allow=targets(preset)) for name, preset in presets.items()}}


def primary(arms: Any) -> tuple[str, str]:
    """Return the contrast that is judged where none is named: of the last arm against none, or the first."""
    names = [str(arm) for arm in arms] if isinstance(arms, Sequence) and not isinstance(arms, str) else []
    if len(set(names)) < 2:
        raise ValueError(f"arms={arms!r} must be at least two different arms, such as arms=[none,eda]")
    base = "none" if "none" in names else names[0]
    return [name for name in names if name != base][-1], base


def text_source(data: Mapping[str, Any], split: str) -> TextSource:
    """Return the training or test texts that the data group describes."""
    return TextSource.of_dataset(build(data[split], allow=targets(data[split])))


def preview_texts(values: Mapping[str, Any], folder: Path) -> Path:
    """Write the page that the configuration `preview_text` describes into `folder` and return its path."""
    from augsynth.pipeline import Pipeline
    from augsynth.preview import check_integer, check_name
    from augsynth.text_page import page

    columns, seed = check_integer(values, "columns", 1, 50), check_integer(values, "seed", 0, 2**32 - 1)
    amount, name = check_integer(values, "texts", 1, 1000), check_name(values, "output", (".html",))
    pipeline: Pipeline = build(values["augment"], allow=targets(values["augment"]))
    source = text_source(values["data"], "train")
    # Texts of as many classes as can be, from the first of each.
    rows = list(dict.fromkeys(int((source.labels == c).nonzero()[0]) for c in sorted(set(source.labels.tolist()))))
    chosen = [source.texts[row] for row in rows[:: max(len(rows) // amount, 1)][:amount]]
    pipeline = pipeline.learn(source.texts, source.labels.tolist())
    path = folder / name
    text = page(pipeline, chosen, columns=columns, seed=seed, name=str(values["data"]["name"]))
    path.write_text(text, encoding="utf-8")
    return path
