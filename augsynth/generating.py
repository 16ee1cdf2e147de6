"""`augsynth generate`: from a configuration to synthetic samples on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augsynth.errors import AugsynthError, suggest
from augsynth.exporting.export import Exported, export, labels_of_each
from augsynth.fitting import Training
from augsynth.generators import load
from augsynth.generators.base import ImageGenerator
from augsynth.quality.judge import judge
from augsynth.quality.utility import choose_device

OPTIONS = ("format", "seed", "epoch", "truncation", "attributes")


def run(values: Mapping[str, Any], folder: Path) -> Exported:
    """Generate as the configuration says; the last line printed is the path of the samples.

    values: the resolved configuration `generate`. folder: exists and can be written to, for samples without `out`.
    Raises: ValueError, TypeError or AugsynthError where checkpoint and configuration do not fit.
    """
    device = choose_device(values["device"])
    generator = load(values["checkpoint"]).to(device)
    labels = labels_of_each(generator, values["per_class"], chosen(generator, values["classes"]))
    out = folder / "samples" if values["out"] is None else Path(values["out"])
    options = {key: values[key] for key in OPTIONS}
    if values["keep"] is not None:
        options |= {"keep": values["keep"], "judge": _judge(generator, values, device)}
    done = export(generator, out, labels=labels, **options)
    print(done)
    print(done.path)
    return done


def chosen(generator: ImageGenerator, wanted: Any) -> list[int] | None:
    """Return the labels of classes given by name or number; None for all."""
    if wanted is None:
        return None
    each = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
    return [_label(generator, one) for one in each]


def _label(generator: ImageGenerator, wanted: Any) -> int:
    names = generator.classes or tuple(map(str, range(generator.num_classes)))
    # A name first: folders may be called by numbers that are not their labels.
    if str(wanted) in names:
        return names.index(str(wanted))
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < generator.num_classes:
        return wanted
    raise ValueError(f"classes: the generator has no class {wanted!r}{suggest(str(wanted), list(names))}")


def _judge(generator: ImageGenerator, values: Mapping[str, Any], device: str) -> Any:
    if not values.get("data"):
        raise AugsynthError(
            "keep: a judge has to be trained on real samples; say which: data=demo, or data=folder data.root=DIR"
        )
    return judge(generator, Training.of(values["data"]), seed=values["seed"], device=device)
