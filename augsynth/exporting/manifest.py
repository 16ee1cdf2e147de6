"""What an export says of itself: a data set in the Croissant format, JSON-LD (http://mlcommons.org/croissant/1.0)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import augsynth
from augsynth.exporting.png import SOURCE_TYPE
from augsynth.exporting.writers import TABLE, Writer
from augsynth.verdict import Verdict

MANIFEST = "manifest.json"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "wasGeneratedBy": {"@id": "http://www.w3.org/ns/prov#wasGeneratedBy", "@type": "@json"},
}
_ENCODINGS = {".csv": "text/csv", ".tar": "application/x-tar", ".npz": "application/zip"}
_INTEGERS = ("label", "seed", "index", "epoch")


@dataclass(frozen=True)
class Story:
    """How samples came about. asked: arguments of the export. names, counts, draws: of each class, `(K,)`."""

    generator: str
    checkpoint: str
    verdict: Verdict | None
    asked: Mapping[str, Any]
    kind: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    counts: np.ndarray
    draws: np.ndarray

    @classmethod
    def of(
        cls,
        generator: Any,
        checkpoint: str,
        asked: Mapping[str, Any],
        writer: Writer,
        counts: np.ndarray,
        draws: np.ndarray,
    ) -> Story:
        """Tell it of what a writer has written."""
        verdict = getattr(generator, "verdict", None)
        columns = tuple(dict.fromkeys(key for row in writer.rows for key in row))
        found = verdict if isinstance(verdict, Verdict) and verdict.checkpoint == checkpoint else None
        name = type(generator).__name__
        return cls(name, checkpoint, found, asked, writer.kind, columns, tuple(writer.classes), counts, draws)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        present = np.flatnonzero(self.counts).tolist()
        return {
            "software": "augsynth",
            "version": augsynth.__version__,
            "generator": self.generator,
            "checkpoint": self.checkpoint,
            **self.asked,
            "format": self.kind,
            "evaluation": None if self.verdict is None else self.verdict.to_dict(),
            "classes": [
                {
                    "label": label,
                    "name": self.names[label],
                    "samples": int(self.counts[label]),
                    "draws": int(self.draws[label]),
                }
                for label in present
            ],
        }


def write_manifest(folder: Path, story: Story) -> None:
    """Write manifest.json for what stands in `folder`."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"synthetic-{story.checkpoint or story.generator}",
        "description": _description(story),
        "version": "1.0.0",
        "isLiveDataset": False,
        "digitalSourceType": SOURCE_TYPE,
        "wasGeneratedBy": story.to_dict(),
        "distribution": [_file(path) for path in files] + _images(story.kind, files),
        "recordSet": [_records(story)],
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _description(story: Story) -> str:
    total, classes = int(story.counts.sum()), np.count_nonzero(story.counts)
    return (
        f"{total:,} synthetic images of {classes} classes, made by a {story.generator} (weights {story.checkpoint}) "
        f"with augsynth {augsynth.__version__}. None of them is real."
    )


def _file(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "encodingFormat": _ENCODINGS[path.suffix],
        "sha256": _sha256(path),
    }


def _images(kind: str, files: list[Path]) -> list[dict[str, Any]]:
    shards = [{"@id": path.name} for path in files if path.suffix == ".tar"]
    if kind == "npz":
        return []
    images = {"@type": "cr:FileSet", "@id": "images", "name": "images", "encodingFormat": "image/png"}
    if shards:
        return [{**images, "containedIn": shards, "includes": "*.png"}]
    return [{**images, "includes": "*/*.png"}]


def _records(story: Story) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": f"A row of {TABLE} for each sample: its file, its label, and what makes it again.",
        "field": [_column(name, story) for name in story.columns],
    }


def _column(name: str, story: Story) -> dict[str, Any]:
    kind = "sc:Integer" if name in _INTEGERS else "sc:Text"
    if name == "truncation" or name.startswith("attribute "):
        kind = "sc:Float"
    return {
        "@type": "cr:Field",
        "@id": f"samples/{name}",
        "name": name,
        "dataType": kind,
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
