"""Write a generator's samples to disk, with where they come from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import torch

from augsynth.data.reading import floats
from augsynth.errors import AugsynthError, suggest
from augsynth.exporting.manifest import MANIFEST, Story, write_manifest
from augsynth.exporting.writers import WRITERS, Sample, Writer, check_channels
from augsynth.generators.filtering import Filtered, Judge
from augsynth.generators.keyed import CHUNK, attributes_of
from augsynth.verdict import checkpoint_of

if TYPE_CHECKING:
    from augsynth.batch import Batch
    from augsynth.generators.protocol import Generator


@dataclass(frozen=True)
class Exported:
    """What `export` has written: the folder, samples `(K,)` of each class, draws `(K,)` that they took."""

    path: Path
    counts: np.ndarray
    draws: np.ndarray

    def __str__(self) -> str:
        total, draws = int(self.counts.sum()), int(self.draws.sum())
        rest = f", which took {draws:,} draws" if draws > total else ""
        return f"{total:,} samples of {np.count_nonzero(self.counts)} classes{rest}"


def export(
    generator: Generator,
    out: str | Path,
    *,
    per_class: int | None = None,
    labels: Sequence[int] | torch.Tensor | None = None,
    format: str = "folder",
    seed: int = 0,
    epoch: int = 0,
    classes: Sequence[str] | None = None,
    truncation: float = 1.0,
    keep: float | None = None,
    judge: Judge | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Exported:
    """Generate samples and write them below `out`: images, samples.csv, and manifest.json (Croissant).

    per_class: samples of each class that the generator knows; or labels: one per sample, `(N,)`; sample j has index j.
    format: "folder" (PNG files, a folder per class), "webdataset" (tar shards) or "npz". classes: their names, default
    those of the training data. truncation, attributes, seed, epoch: of `generate`. keep, judge: of
    `augsynth.generators.Filtered`. The same call writes the same bytes. out: new or empty; after an error or Ctrl-C it
    is as it was. Raises: AugsynthError or ValueError for what does not fit, OSError where nothing can be written.
    """
    target = _checked_target(Path(out))
    if format not in WRITERS:
        raise ValueError(f"export: format={format!r} is not known{suggest(format, list(WRITERS))}")
    check_channels(format, generator.image_shape[0])
    source = _filtered(generator, keep, judge)
    wanted = _labels(generator, per_class, labels)
    names = _names(generator, classes)
    # A generator of the user's own need not know of it.
    options = {"truncation": truncation} if truncation != 1 else {}
    partial = _partial(target)
    try:
        writer = WRITERS[format](partial, names, len(wanted))
        counts, draws = _write(source, writer, wanted, seed, epoch, attributes, options)
        writer.close()
        asked: dict[str, Any] = {"seed": seed, "epoch": epoch, "truncation": truncation, "keep": keep}
        asked |= {"attributes": {name: _plain(value) for name, value in attributes.items()}} if attributes else {}
        if isinstance(source, Filtered):
            asked |= {"keep": source.keep, "judge": source.judge_hash()}
        write_manifest(partial, Story.of(generator, checkpoint_of(generator), asked, writer, counts, draws))
        _move(partial, target)
    except BaseException:
        # Also on Ctrl-C: half an export looks like a whole one.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Exported(target, counts, draws)


def _write(
    source: Generator,
    writer: Writer,
    labels: torch.Tensor,
    seed: int,
    epoch: int,
    attributes: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    counts, draws = (np.zeros(source.num_classes, np.int64) for _ in range(2))
    for start in range(0, len(labels), CHUNK):
        rows = range(start, min(start + CHUNK, len(labels)))
        some = labels[rows.start : rows.stop]
        given = {"attributes": attributes_of(attributes, rows, len(labels))} if attributes else {}
        batch, tries = _drawn(source, some, seed, rows, epoch, {**options, **given})
        np.add.at(counts, some.numpy(), 1)
        np.add.at(draws, some.numpy(), tries)
        for number, image, label, made in zip(rows, _levels(batch), some.tolist(), batch.provenance, strict=True):
            writer.add(Sample(number, image, label, writer.classes[label], made))
    return counts, draws


def _drawn(
    source: Generator, labels: torch.Tensor, seed: int, rows: range, epoch: int, options: Mapping[str, Any]
) -> tuple[Batch, np.ndarray]:
    if isinstance(source, Filtered):
        return source.drawn(labels, seed, index=rows, epoch=epoch, **options)
    return source.generate(labels, seed, index=rows, epoch=epoch, **options), np.ones(len(labels), np.int64)


def _levels(batch: Batch) -> np.ndarray:
    return (floats(batch.image).detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _plain(value: Any) -> Any:
    """Return a number as it is; of many, one per sample, the table tells."""
    return value if isinstance(value, (int, float, str)) else "see the table"


def _filtered(generator: Generator, keep: float | None, judge: Judge | None) -> Generator:
    if (keep is None) != (judge is None):
        raise ValueError("export: keep and judge belong together: augsynth.quality.judge(generator, train) makes one")
    return generator if keep is None or judge is None else Filtered(generator, judge, keep)


def _labels(generator: Generator, per_class: int | None, labels: Sequence[int] | torch.Tensor | None) -> torch.Tensor:
    if (per_class is None) == (labels is None):
        raise ValueError("export: give per_class or labels, one of the two")
    if labels is None:
        return labels_of_each(generator, per_class)
    wanted = torch.as_tensor(labels)
    if wanted.ndim != 1 or not len(wanted):
        raise ValueError(f"export: labels must be (N,), of at least one sample, got {tuple(wanted.shape)}")
    return wanted.cpu()


def labels_of_each(generator: Generator, per_class: Any, classes: Sequence[int] | None = None) -> torch.Tensor:
    """Return `per_class` labels of each class; default those that the generator was trained on."""
    if isinstance(per_class, bool) or not isinstance(per_class, int) or per_class < 1:
        raise ValueError(f"export: per_class={per_class!r} must be an integer of at least 1")
    counts = getattr(generator, "class_counts", torch.ones(generator.num_classes))
    known = torch.where(counts.cpu() > 0)[0] if classes is None else torch.tensor(classes, dtype=torch.int64)
    if not len(known):
        raise AugsynthError(f"this {type(generator).__name__} is not trained: call augsynth.generators.fit first")
    return known.repeat_interleave(per_class)


def _names(generator: Generator, classes: Sequence[str] | None) -> list[str]:
    known = classes if classes is not None else getattr(generator, "classes", None)
    names = list(map(str, range(generator.num_classes) if known is None else known))
    if len(names) != generator.num_classes:
        raise ValueError(f"export: {len(names)} names for the generator's {generator.num_classes} classes")
    return names


def _checked_target(target: Path) -> Path:
    if target.exists() and not target.is_dir():
        raise AugsynthError(f"export: {target} is a file; out is a folder")
    if target.is_dir() and any(target.iterdir()):
        raise AugsynthError(f"export: {target} is not empty; name another folder, or remove what is there")
    return target


def _partial(target: Path) -> Path:
    """Make a folder to write in, on the disk of the target: inside of it, where there is one already."""
    parent = target if target.is_dir() else target.parent
    partial = parent / f".{target.name}.{uuid4().hex[:8]}"
    partial.mkdir(parents=True)
    return partial


def _move(partial: Path, target: Path) -> None:
    if partial.parent != target:
        partial.replace(target)
        return
    # The manifest last: where it is, all of it is.
    for path in sorted(partial.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(target / path.name)
    partial.rmdir()
