"""Augmenters of nlpaug as transforms: seeded for each text, one string out, everything else left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from augsynth.adapters.foreign import opened, sealed, seeded
from augsynth.errors import AugsynthError
from augsynth.pipeline import Pipeline
from augsynth.text.document import Document
from augsynth.text.edits import Edit, splice
from augsynth.text.rewriting import difference, keeps_held
from augsynth.text.stream import Stream
from augsynth.transforms.text import Text

__all__ = ["FromNlpaug", "from_nlpaug"]

_METHODS = ("char", "word", "sentence", "flow")
# They write a text as a whole: either all of it is taken or nothing.
_WHOLE = ("BackTranslationAug", "AbstSummAug", "LambadaAug")


def from_nlpaug(augmenter: Any, seed: int = 0, **arguments: Any) -> Pipeline:
    """Make a pipeline of an augmenter of nlpaug, a flow of them, or a list. arguments: of `Pipeline`."""
    augmenters = augmenter if type(augmenter) in (list, tuple) else [augmenter]
    return Pipeline([FromNlpaug(one) for one in augmenters], seed=seed, **arguments)


@dataclass(frozen=True, eq=False)
class FromNlpaug(Text):
    """Edit texts as an augmenter of nlpaug 1.1.11 does: of characters, words or sentences, or a flow of them.

    What it draws from random, numpy or torch is the text's own. Only words and signs that it changed are edited: white
    space around them stays. Changes of what `protect` holds, or what an earlier transform has edited, are left out;
    where an augmenter writes whole texts anew, one that loses a protected word is. How much is changed is the
    augmenter's business: there is no rate, and strength scales p alone.
    """

    augmenter: Any

    def __post_init__(self) -> None:
        # A flow is a list, of which the base class would make a tuple.
        augmenter = self.augmenter
        object.__setattr__(self, "augmenter", None)
        super().__post_init__()
        object.__setattr__(self, "augmenter", augmenter)
        for one in _all_in(augmenter):
            if not any(base.__module__.partition(".")[0] == "nlpaug" for base in type(one).__mro__):
                raise TypeError(f"FromNlpaug takes an augmenter of nlpaug, got one of type {type(one).__name__}")
            if getattr(one, "method", None) not in _METHODS:
                raise TypeError(f"FromNlpaug: {type(one).__name__} does not augment text, but {one.method}")

    def validate(self) -> None:
        for name, default in (("rate", 0.1), ("min_edits", 0), ("max_edits", None)):
            if getattr(self, name) != default:
                self.fail(name, f"{default}: give the augmenter its own aug_p, aug_min and aug_max")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (sealed(self.augmenter, self.label), self.p, self.protect)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FromNlpaug) or (self.p, self.protect) != (other.p, other.protect):
            return False
        return _alike(self.augmenter, other.augmenter)

    def __hash__(self) -> int:
        return hash((self.label, self.p))

    @property
    def label(self) -> str:
        """The augmenter's class, with those of a flow's parts."""
        return "nlpaug's " + "/".join(type(one).__name__ for one in _all_in(self.augmenter))

    @cached_property
    def whole(self) -> bool:
        """Tell whether it writes texts as a whole."""
        return any(one.method == "sentence" or type(one).__name__ in _WHOLE for one in _all_in(self.augmenter))

    @property
    def rewrites(self) -> bool:  # type: ignore[override]
        """Tell whether no span can be followed."""
        return self.whole

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        seed = stream.word() >> 8, stream.word() >> 8
        text = splice(document.text, document.edits) if self.whole else document.text
        if not text.strip():
            return
        try:
            with seeded(seed):
                result = self.augmenter.augment(text)
        except Exception as error:
            raise AugsynthError(f"{self.label} raised {type(error).__name__}: {error}") from error
        changes = difference(text, self._string(result, text))
        if self.whole:
            _rewrite(document, text, [edit for edits in changes for edit in edits])
            return
        for edits in changes:
            if all(_is_free(document, edit) for edit in edits):
                for edit in edits:
                    document.insert(edit.start, edit.text) if edit.start == edit.end else document.replace(*edit)

    def _string(self, result: Any, text: str) -> str:
        """Return the one string in what was returned: a string, lists of such, nothing, or one with details."""
        while isinstance(result, (list, tuple)):
            if not result:
                return text
            result = result[0]
        if not isinstance(result, str):
            raise AugsynthError(f"{self.label} returned {type(result).__name__}, not a string")
        return result


def _restored(payload: bytes, p: float, protect: Any) -> FromNlpaug:
    return FromNlpaug(opened(payload), p=p, protect=protect)


def _rewrite(document: Document, text: str, edits: list[Edit]) -> None:
    """Let all edits of a text be one, if nothing that is held is lost; text: the document's with its edits so far."""
    new = splice(text, edits)
    if not edits or not keeps_held(document, new):
        return
    start, rest = edits[0].start, len(text) - edits[-1].end
    if document.edits:
        document.edits.clear()
        start = rest = 0
    document.replace(start, len(document.text) - rest, new[start : len(new) - rest])


def _is_free(document: Document, edit: Edit) -> bool:
    """Tell whether an edit touches nothing that is held or edited; an insertion may stand at its edge."""
    at = edit.start
    if at < edit.end:
        return document.free(at, edit.end)
    if not document.unheld(at, at + 1):
        return document.unheld(max(at - 1, 0), at) and document.open(at)
    return document.free(at, at + 1) and document.open(at)


def _all_in(augmenter: Any) -> Iterator[Any]:
    """Yield an augmenter and, of a flow, all those in it."""
    yield augmenter
    if isinstance(augmenter, list):
        for part in augmenter:
            yield from _all_in(part)


def _alike(one: Any, other: Any) -> bool:
    """Compare settings, for augmenters themselves are only equal to themselves."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and (
        len(one) != len(other) or not all(_alike(*pair) for pair in zip(one, other, strict=True))
    ):
        return False
    if hasattr(one, "__dict__") and not isinstance(one, type):
        return _alike(vars(one), vars(other))
    return isinstance(one, (list, tuple)) or bool(one == other)
