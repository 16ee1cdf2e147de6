"""The tables of all transforms in README.md: generated from the registry, and put between two markers."""

from __future__ import annotations

from augsynth import transforms as T
from augsynth.errors import AugsynthError
from augsynth.gallery import migration
from augsynth.gallery.catalogue import STAY, Facts, catalogue, families, summary

COMMAND = "python -m augsynth.gallery README.md"
BEGIN = f"<!-- transforms: begin; written by `{COMMAND}` -->"
END = "<!-- transforms: end -->"
WHOSE = {"torchvision": "tv", "albumentations": "A", "": ""}


def block() -> str:
    """Return what stands between the markers: a row per family, and folded away a row per transform."""
    count = len(catalogue())
    return f"""{count} transforms, drawn per sample, on batches too; torchvision v2's names and arguments where it has
them, albumentations' otherwise:

{_by_family()}

<details><summary>Each of them in a sentence</summary>

Names and arguments are torchvision v2's (tv), albumentations' (A) or our own. The pass is what `pipeline.explain()`
calls it: neighbouring warps become one resample, neighbouring colours one pass. Where nothing moves, targets stay.

{_by_transform()}

</details>

{_of_text()}

Coming from another library:

<details><summary>What a transform of torchvision, albumentations, kornia or nlpaug is called here</summary>

{migration.block()}

</details>"""


def _by_family() -> str:
    rows = [f"| **{title}** | {', '.join(f'`{name}`' for name in names)} |" for title, names in families().items()]
    return "\n".join(["| family | transforms |", "|---|---|", *rows])


def _of_text() -> str:
    """Return the tables of what edits strings and token ids."""
    kinds = {
        "Strings": T.TEXTS,
        "With a language model of yours": T.MODELLED,
        "Mixed with the batch": {"TextCutMix": T.TextCutMix, "EmbeddingMixUp": T.EmbeddingMixUp},
        "Token ids": T.TOKENS,
    }
    families = [f"| **{title}** | {', '.join(f'`{name}`' for name in found)} |" for title, found in kinds.items()]
    each = [f"| `{name}` | {summary(kind)} |" for found in kinds.values() for name, kind in found.items()]
    return "\n".join(
        [
            f"{sum(map(len, kinds.values()))} for text, `augsynth preview data=banking77` shows what they do:",
            "",
            *["| family | transforms |", "|---|---|", *families],
            "",
            "<details><summary>Each of these in a sentence</summary>",
            "",
            *["| transform | what it does |", "|---|---|", *each],
            "",
            "</details>",
        ]
    )


def _by_transform() -> str:
    rows = ["| transform | as in | what it does | pass | targets |", "|---|---|---|---|---|"]
    return "\n".join([*rows, *map(_row, catalogue())])


def _row(known: Facts) -> str:
    cells = (
        f"`{known.name}`",
        WHOSE[known.origin],
        known.summary,
        ", ".join(known.runs),
        "" if known.targets == STAY else known.targets,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def replaced(text: str) -> str:
    """Return a document with what stands between its markers brought up to date.

    Raises: AugsynthError where a marker is missing, stands there twice, or the second stands before the first.
    """
    start, end = text.find(BEGIN), text.find(END)
    if text.count(BEGIN) != 1 or text.count(END) != 1 or end < start:
        raise AugsynthError(f"there must be one line {BEGIN!r} and after it one line {END!r}")
    return f"{text[: start + len(BEGIN)]}\n\n{block()}\n\n{text[end:]}"
