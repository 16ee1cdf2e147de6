"""`augsynth generate`: from a configuration to synthetic samples on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from augsynth.errors import AugsynthError
from augsynth.exporting import Exported, export
from augsynth.fitting import Training
from augsynth.generators import load
from augsynth.generators.base import ImageGenerator
from augsynth.quality.judge import judge
from augsynth.quality.protocol import suggest
from augsynth.quality.utility import choose_device

OPTIONS = ("format", "seed", "epoch", "truncation", "attributes")


def run(values: Mapping[str, Any], folder: Path) -> Exported:
    """Generate as the configuration says; the last line printed is the path of the samples.

    values: the resolved configuration `generate`. folder: exists and can be written to, for samples without `out`.
    Raises: ValueError, TypeError or AugsynthError where checkpoint and configuration do not fit.
    """
    device = choose_device(values["device"])
    generator = load(values["checkpoint"]).to(device)
    labels = chosen(generator, values["classes"], values["per_class"])
    out = folder / "samples" if values["out"] is None else Path(values["out"])
    options = {key: values[key] for key in OPTIONS}
    if values["keep"] is not None:
        options |= {"keep": values["keep"], "judge": _judge(generator, values, device)}
    done = export(generator, out, labels=labels, **options)
    print(done)
    print(done.path)
    return done


def chosen(generator: ImageGenerator, wanted: Any, per_class: int) -> torch.Tensor:
    """Return `per_class` labels of each class of `wanted`, names or numbers; of all that were trained on where None."""
    if isinstance(per_class, bool) or not isinstance(per_class, int) or per_class < 1:
        raise ValueError(f"per_class={per_class!r} must be an integer of at least 1")
    known = torch.where(generator.class_counts.cpu() > 0)[0]
    if wanted is None:
        return known.repeat_interleave(per_class)
    each = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
    return torch.tensor([_label(generator, one) for one in each]).repeat_interleave(per_class)


def _label(generator: ImageGenerator, wanted: Any) -> int:
    names = generator.classes or tuple(map(str, range(generator.num_classes)))
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < generator.num_classes:
        return wanted
    if str(wanted) not in names:
        raise ValueError(f"classes: the generator has no class {wanted!r}{suggest(str(wanted), list(names))}")
    return names.index(str(wanted))


def _judge(generator: ImageGenerator, values: Mapping[str, Any], device: str) -> Any:
    if not values.get("data"):
        raise AugsynthError(
            "keep: a judge has to be trained on real samples; say which: data=demo, or data=folder data.root=DIR"
        )
    return judge(generator, Training.of(values["data"]), seed=values["seed"], device=device)
