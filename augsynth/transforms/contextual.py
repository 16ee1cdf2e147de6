"""Words that a masked language model proposes: in the place of others, or between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from augsynth.text.characters import IDEOGRAPH, KIND, classes_of
from augsynth.text.document import MIXED, Document, case_of, in_case
from augsynth.text.edits import in_order, splice
from augsynth.text.models import Language, ModelError
from augsynth.text.protection import is_negation
from augsynth.text.stream import Stream
from augsynth.transforms.modelled import Modelled

__all__ = ["ContextualInsertion", "ContextualSubstitution"]

Word = tuple[int, int]
_SPARE = 16  # candidates beyond top_k, for those that a place rules out


@dataclass(frozen=True, eq=False)
class View:
    """A document as the model reads it now. ids: with special tokens. tail: special tokens at the end.

    tokens: where the tokens of each free word, by its place in the original, start and end among the ids.
    """

    document: Document
    ids: list[int]
    tail: int
    tokens: dict[Word, Word]
    cut: bool

    @property
    def reach(self) -> int:
        """How many of the document's words the model can read."""
        words = self.document.words
        if not self.cut:
            return len(words)
        return bisect_right(words, max(self.tokens, default=(-1, -1)))


@dataclass(frozen=True, kw_only=True)
class Contextual(Modelled):
    """A transform with a masked language model.

    model, tokenizer: see `Modelled`; the tokenizer has to be a fast one. top_k: how many whole words a place may get,
    drawn by their probabilities at a temperature. No special token, piece of a word, negation or protected word is
    among them. sequential: one place of a text after the other, each seeing what the others have got; else all at once.
    Words beyond the model's window are left alone, and a warning counts the texts.
    """

    model: Any
    tokenizer: Any = None
    top_k: int = 20
    temperature: float = 1.0
    sequential: bool = False

    slots: ClassVar[Mapping[str, tuple[str, str]]] = {"model": ("tokenizer", "masked")}

    def validate(self) -> None:
        self.check_sampling()

    def edit_batch(self, documents: Sequence[Document], streams: Sequence[Stream], strength: float) -> None:
        language = self._language()
        rows = [i for i, document in enumerate(documents) if document.words]
        views = dict(zip(rows, looked_at([documents[i] for i in rows], language), strict=True))
        self.warn(sum(view.cut for view in views.values()), len(documents), _CUT.format(language.window))
        chosen = {
            i: self.chosen(view.reach, list(self.places(view)), streams[i], strength) for i, view in views.items()
        }
        number = max(map(len, chosen.values()), default=0) if self.sequential else 1
        for turn in range(number):
            sites = {i: some[turn : turn + 1] if self.sequential else some for i, some in chosen.items()}
            sites = {i: some for i, some in sites.items() if some}
            if turn:
                views = dict(zip(sites, looked_at([documents[i] for i in sites], language), strict=True))
            self._fill(language, [views[i] for i in sites], list(sites.values()), [streams[i] for i in sites])

    def _language(self) -> Language:
        language = self.language("model")
        if not getattr(language.tokenizer, "is_fast", False):
            raise ModelError(
                f"{type(self).__name__}: the tokenizer of {language.name} does not tell which characters its tokens "
                "are of; give a fast one (transformers.PreTrainedTokenizerFast, AutoTokenizer's default)"
            )
        if language.tokenizer.mask_token_id is None:
            raise ModelError(f"{type(self).__name__}: the tokenizer of {language.name} has no mask token")
        return language

    def places(self, view: View) -> Iterator[Word]:
        """Yield the words where something may be done, in order."""
        raise TypeError(f"{type(self).__name__} has no places")

    def masked(self, view: View, word: Word, mask: int) -> tuple[int, int, list[int]]:
        """Return which ids, first and one past the last, make way for which others, the first of which is a mask."""
        raise TypeError(f"{type(self).__name__} masks nothing")

    def put(self, document: Document, word: Word, text: str) -> None:
        """Edit the document at a word that was chosen."""
        raise TypeError(f"{type(self).__name__} does not edit")

    def suits(self, view: View, word: Word, i: int, text: str) -> bool:
        """Tell whether the vocabulary's word number i may stand there."""
        lower = text.lower()
        if is_ideograph(classes_of(text[0])[0]) != is_ideograph(view.document.classes[word[0]]):
            return False
        return lower not in self.protection.words and not (self.protection.default and is_negation(lower))

    def _fill(
        self, language: Language, views: Sequence[View], sites: Sequence[list[Word]], streams: Sequence[Stream]
    ) -> None:
        rows, marks = [], []
        for view, words in zip(views, sites, strict=True):
            ids, at = self._with_masks(view, words, language)
            rows.append(ids)
            marks.append(at)
        found = language.predict(rows, marks, self.top_k + _SPARE, self.batch_tokens)
        for view, words, stream, proposed in zip(views, sites, streams, found, strict=True):
            # What was pushed out of the window has no proposals and is left alone.
            for word, (entries, logits) in zip(words, proposed, strict=False):
                self._draw(view, word, entries, logits, stream, language)

    def _with_masks(self, view: View, words: Sequence[Word], language: Language) -> tuple[list[int], list[int]]:
        ids, marks, at = [], [], 0
        for word in words:
            if word not in view.tokens:  # earlier edits have pushed it out of the window, and all behind it
                break
            first, last, instead = self.masked(view, word, language.tokenizer.mask_token_id)
            ids += view.ids[at:first]
            marks.append(len(ids))
            ids += instead
            at = last
        ids += view.ids[at:]
        return _fitted(ids, marks, view.tail, language.window)

    def _draw(
        self, view: View, word: Word, ids: np.ndarray, logits: np.ndarray, stream: Stream, language: Language
    ) -> None:
        number, words = stream.uniform(), language.vocabulary.words
        fit = [k for k, i in enumerate(ids.tolist()) if np.isfinite(logits[k]) and self.suits(view, word, i, words[i])]
        # In the order of their ids: that of nearly equal logits depends on the padding.
        fit = sorted(fit[: self.top_k], key=lambda k: int(ids[k]))
        if fit:
            weights = np.exp((logits[fit] - logits[fit].max()) / self.temperature)
            edges = np.cumsum(weights)
            drawn = fit[min(int(np.searchsorted(edges, number * edges[-1], side="right")), len(fit) - 1)]
            self.put(view.document, word, words[int(ids[drawn])])


_CUT = "are longer than the model's window of {} tokens; words beyond it are left alone"


@dataclass(frozen=True, kw_only=True)
class ContextualSubstitution(Contextual):
    """Replace words by others that a masked language model proposes, in their case. Source: arXiv:1805.06201."""

    def places(self, view: View) -> Iterator[Word]:
        classes = view.document.classes
        return (word for word in view.tokens if case_of(classes[slice(*word)]) != MIXED)

    def masked(self, view: View, word: Word, mask: int) -> tuple[int, int, list[int]]:
        return *view.tokens[word], [mask]

    def suits(self, view: View, word: Word, i: int, text: str) -> bool:
        lower, case = text.lower(), case_of(view.document.classes[slice(*word)])
        if lower == view.document.lower(*word) or view.ids[slice(*view.tokens[word])] == [i]:
            return False
        # A name, or a noun of German, in the place of a word in lower case would lose its capital.
        return text in (lower, in_case(lower, case)) and super().suits(view, word, i, text)

    def put(self, document: Document, word: Word, text: str) -> None:
        case = case_of(document.classes[slice(*word)])
        document.replace(*word, in_case(text.lower(), case))


@dataclass(frozen=True, kw_only=True)
class ContextualInsertion(Contextual):
    """Insert words that a masked language model proposes, with a space, before others. Source: arXiv:1805.06201."""

    def places(self, view: View) -> Iterator[Word]:
        document = view.document
        for start, end in view.tokens:
            spaced = document.is_space(start - 1) or is_ideograph(document.classes[start])
            if spaced and document.open(start):
                yield start, end

    def masked(self, view: View, word: Word, mask: int) -> tuple[int, int, list[int]]:
        first = view.tokens[word][0]
        return first, first, [mask]

    def put(self, document: Document, word: Word, text: str) -> None:
        document.insert(word[0], text if is_ideograph(document.classes[word[0]]) else text + " ")


def is_ideograph(entry: int) -> bool:
    """Tell whether an entry of the table of characters is that of an ideograph, which is a word without spaces."""
    return entry & KIND == IDEOGRAPH


def looked_at(documents: Sequence[Document], language: Language) -> list[View]:
    """Tokenize the texts with their edits so far, as many tokens as the model can read."""
    texts = [splice(document.text, document.edits) for document in documents]
    if not texts:
        return []
    window = language.window
    found = language.tokenizer(texts, truncation=window is not None, max_length=window).encodings
    return [_view(document, text, entry) for document, text, entry in zip(documents, texts, found, strict=True)]


def _view(document: Document, text: str, encoding: Any) -> View:
    special, ids = encoding.special_tokens_mask, list(encoding.ids)
    tail = next((k for k, flag in enumerate(reversed(special)) if not flag), len(special))
    spans = [(-1, -1) if flag else span for flag, span in zip(special, encoding.offsets, strict=True)]
    words = document.free_words()
    tokens = _matched(list(zip(words, _moved(words, document), strict=True)), spans, text)
    return View(document, ids, tail, tokens, bool(encoding.overflowing))


def _moved(words: Sequence[Word], document: Document) -> Iterator[Word]:
    """Yield where words that no edit touches stand in the edited text."""
    edits, k, shift = in_order(document.edits), 0, 0
    for start, end in words:
        while k < len(edits) and edits[k].end <= start:
            shift += len(edits[k].text) - (edits[k].end - edits[k].start)
            k += 1
        yield start + shift, end + shift


def _matched(words: Sequence[tuple[Word, Word]], spans: Sequence[Word], text: str) -> dict[Word, Word]:
    """Return the words, (in the original, in the text), that are made of whole tokens, and of which ones.

    spans: of the tokens in the text, in order; (-1, -1) for special ones. SentencePiece counts the space before a word.
    """
    found, at = {}, 0
    for word, (start, end) in words:
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        last = at
        while last < len(spans) and spans[last][0] < end and spans[last] != (-1, -1):
            last += 1
        whole = at < last and spans[at][0] <= start and spans[last - 1][1] == end
        if whole and not text[spans[at][0] : start].strip():
            found[word] = at, last
    return found


def _fitted(ids: list[int], marks: list[int], tail: int, window: int | None) -> tuple[list[int], list[int]]:
    """Take ids before the special ones at the end out until a row fits the window, and the marks among them."""
    over = len(ids) - window if window is not None else 0
    if over <= 0:
        return ids, marks
    keep = len(ids) - tail - over
    return ids[:keep] + ids[len(ids) - tail :], [mark for mark in marks if mark < keep]
