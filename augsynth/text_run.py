"""Draw and render runs of text transforms: by the compiled engine where it knows them all, else by Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from augsynth.compiled import kernel
from augsynth.errors import SampleError
from augsynth.program import Plan, draw
from augsynth.rng import Rng, slot_id
from augsynth.text.characters import classes
from augsynth.text.document import Document
from augsynth.text.edits import Edit
from augsynth.text.protection import NEGATIONS
from augsynth.text.stream import Stream
from augsynth.transforms.base import Composite
from augsynth.transforms.text import Letters, Text

# The kernel reads this table where it stands, so that it is held here.
_CLASSES: np.ndarray | None = None


def edit_texts(
    plan: Plan, texts: list[str], rng: Rng, strength: float = 1.0, *, entry: int = 0, compiled: bool = True
) -> list[str]:
    """Return the texts, edited; the same objects where nothing was.

    entry: tells the texts of one sample apart. compiled=False: by Python, to the same characters.
    Raises SampleError naming the text that is no string or holds a lone surrogate.
    """
    return _run(plan, texts, rng, strength, entry, compiled, False)[0]


def edit_and_list(
    plan: Plan, texts: list[str], rng: Rng, strength: float = 1.0, *, entry: int = 0, compiled: bool = True
) -> tuple[list[str], list[list[Edit]]]:
    """Return the edited texts and, for each, its edits in order."""
    done, edits = _run(plan, texts, rng, strength, entry, compiled, True)
    return done, [[Edit(*edit) for edit in row] for row in edits or ()]


def text_engine(plan: Plan) -> str:
    """Name what runs a plan: native, the compiled engine, or python where it does not know all transforms."""
    return "python" if kernel is None or _instructions(plan) is None else "native"


def _run(
    plan: Plan, texts: list[str], rng: Rng, strength: float, entry: int, compiled: bool, listed: bool
) -> tuple[list[str], list[list[Any]] | None]:
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength={strength} must lie in 0 to 1")
    ops = _instructions(plan) if compiled and kernel is not None else None
    if ops is None:
        return _by_python(plan, texts, rng, strength, entry)
    codes = params = None
    if any(isinstance(node.transform, Composite) for node in plan.nodes):
        program = draw(plan, rng, np.zeros((len(rng), 2)), strength)
        codes, params = np.ascontiguousarray(program.ops, np.int64), np.ascontiguousarray(program.params)
    keys = rng.index, rng.occurrence, rng.epoch
    try:
        result = kernel.text(
            texts, ops, strength, entry, *keys, rng.seed, codes, params, plan.width, plan.params, listed
        )
    except (TypeError, ValueError):
        _check(texts, rng)
        raise
    return result if listed else (result, None)


def _instructions(plan: Plan) -> tuple[Any, ...] | None:
    """Return what the kernel needs of each leaf; None where it does not know one of them."""
    if "text" not in plan.kept:
        global _CLASSES
        if _CLASSES is None:
            _CLASSES = classes()
            kernel.text_setup(_CLASSES.ctypes.data, tuple(sorted(NEGATIONS)))
        ops = [_instruction(leaf.name, leaf.transform) for leaf in plan.leaves]
        plan.kept["text"] = None if None in ops else tuple(ops)
    found: tuple[Any, ...] | None = plan.kept["text"]
    return found


def _instruction(name: str, transform: Any) -> tuple[Any, ...] | None:
    own = transform.instruction()
    if own is None:
        return None
    guard = transform.protection
    spans = guard.spans if guard.pattern or guard.function else None
    most = -1 if transform.max_edits is None else transform.max_edits
    gate = slot_id(name), int(transform.gated), float(transform.p)
    counts = *map(float, transform.shares), transform.min_edits, most
    length = transform.min_length if isinstance(transform, Letters) else 0
    return *gate, *counts, int(guard.default), length, guard.words or None, spans, *own


def _by_python(
    plan: Plan, texts: list[str], rng: Rng, strength: float, entry: int
) -> tuple[list[str], list[list[Edit]]]:
    program = draw(plan, rng, np.zeros((len(rng), 2)), strength)
    documents, anew = [_document(text, i, rng) for i, text in enumerate(texts)], set[int]()
    for slot in range(plan.width):
        codes, params = program.ops[:, slot], program.params[:, slot]
        for code in sorted(set(codes.tolist()) - {0}):
            transform = plan.leaves[code - 1].transform
            rows = np.flatnonzero(codes == code).tolist()
            streams = [Stream((int(params[row, 0]), int(params[row, 1])), entry) for row in rows]
            _edit(transform, [documents[row] for row in rows], streams, strength, plan.leaves[code - 1].name, rng, rows)
            if getattr(transform, "rewrites", False):
                # What comes behind edits the new text.
                anew |= {row for row in rows if documents[row].edits}
                documents = [Document(d.finish()) if row in anew else d for row, d in enumerate(documents)]
    done = [document.finish() for document in documents]
    edits = [document.edits for document in documents]
    for row in anew:
        edits[row] = [Edit(0, len(texts[row]), done[row])] if done[row] != texts[row] else []
    return done, edits


def _edit(
    transform: Any,
    documents: Sequence[Document],
    streams: Sequence[Stream],
    strength: float,
    name: str,
    rng: Rng,
    rows: Sequence[int],
) -> None:
    assert isinstance(transform, Text)
    for document in documents:
        document.protect(transform.protection, transform.negations)
    together = getattr(transform, "edit_batch", None)
    if together is not None:
        together(documents, streams, strength)
        return
    for document, stream, row in zip(documents, streams, rows, strict=True):
        try:
            transform.edit(document, stream, strength)
        except Exception as error:
            where = f"sample {row} (index {rng.index[row]}): {name}"
            raise SampleError(f"{where}: {type(error).__name__}: {error}") from error


def _document(text: Any, row: int, rng: Rng) -> Document:
    where = f"sample {row} (index {rng.index[row]})"
    if not isinstance(text, str):
        raise SampleError(f"{where} is no string but of type {type(text).__name__}")
    try:
        return Document(text)
    except ValueError as error:
        raise SampleError(f"{where}: {error}") from None


def _check(texts: list[Any], rng: Rng) -> None:
    for row, text in enumerate(texts):
        if not isinstance(text, str) or not text.isascii():
            _document(text, row, rng)
