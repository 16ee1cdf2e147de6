"""`Lexicon`: synonyms of single words, in order of sense, in the inflection of the word; nothing is downloaded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.errors import AugsynthError
from augsynth.text import wordnet
from augsynth.text.inflection import ADJECTIVE, ADVERB, BASE, INVARIANT, NOUN, PARTICIPLE, PAST, VERB, lemmas, regular

SHIPPED = "data/lexicon.bin"
POS = {"noun": NOUN, "verb": VERB, "adjective": ADJECTIVE, "adverb": ADVERB}
# A word that is two parts of speech is taken for the one that has more senses, if the other has at most this share.
DOUBTFUL = 0.7
# Words that hold a sentence together have no synonyms: English determiners, pronouns, prepositions, conjunctions,
# auxiliaries, question words, and adverbs of degree that mean little by themselves.
_FUNCTION_WORDS = """
an the this that these those some any each every either neither all both half several many much more most few less
least other another such same own me you he him she her it we us they them my your his hers its our their mine yours
ours theirs myself yourself himself herself itself ourselves themselves one ones who whom whose which what when
where why how whether if then else than as because since while although though unless until till so and but or nor
yet for of in on at by to from with without within into onto upon about above below over under between among through
during before after against across along around behind beside besides beyond near off out up down inside outside
toward towards per via except like unlike despite am is are was were be been being do does did done doing have has
had having will would shall should can could may might must ought need dare not no never here there now again once
ever just only even also too very quite rather almost still already hence thus however therefore moreover well oh
yes ok okay please mr mrs ms dr
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
_HOW = (
    "augsynth downloads nothing: leave lexicon=None for the English one that is shipped, or give "
    "Lexicon.from_wordnet_dir(folder with data.noun, index.noun and so on, such as the Debian package wordnet-base "
    "installs), Lexicon.from_tsv(file of word<TAB>synonym<TAB>synonym) or Lexicon.from_dict({word: [synonyms]})"
)


class LexiconNotFoundError(AugsynthError, FileNotFoundError):
    """A lexicon's file or folder is not there; the message says where it was looked for, and how to get one."""


class Lexicon:
    """Words and their synonyms.

    One from WordNet knows senses, parts of speech and inflection; one from a dict or a file of the user's gives what
    stands there. Equal lexicons compare equal and pickle small where they come from a file that is shipped.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], source: str, shipped: bool = False) -> None:
        self._arrays, self.source, self._shipped = dict(arrays), source, shipped
        # Views of memory give Python's own integers, five times as fast as numpy does.
        self._starts = _integers(np.flatnonzero(arrays["words"] == ord("\n")))
        self._blob = memoryview(np.ascontiguousarray(arrays["words"]).data).cast("B")
        self._rows = _integers(np.cumsum(np.r_[0, arrays["of_word"]]))
        self._pairs = _integers(np.cumsum(np.r_[0, arrays["count"]]))
        self._forms, self._made = _read_forms(arrays["irregular"])

    @classmethod
    def default(cls) -> Lexicon:
        """Return the English lexicon that ships with augsynth, made from Open English WordNet: one for the process."""
        return _default()

    @classmethod
    def from_wordnet_dir(cls, folder: str | Path) -> Lexicon:
        """Read a folder of WordNet's own files. Raises LexiconNotFoundError where they are not there."""
        path = Path(folder)
        if not any((path / f"data.{name}").is_file() for name in ("noun", "verb", "adj", "adv")):
            raise LexiconNotFoundError(f"there is no data.noun, data.verb, data.adj or data.adv in {path}; {_HOW}")
        return cls(
            _arrays(wordnet.table(wordnet.read_wndb(path), f"WordNet in {path.name}")), f"WordNet in {path.name}"
        )

    @classmethod
    def from_tsv(cls, file: str | Path) -> PlainLexicon:
        """Read a UTF-8 file with a word and its synonyms on each line, tabs between; a line of # is a comment.

        Raises LexiconNotFoundError, or ValueError naming the line that has no synonym.
        """
        path = Path(file)
        if not path.is_file():
            raise LexiconNotFoundError(f"there is no file {path}; {_HOW}")
        table: dict[str, list[str]] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            word, *others = [part.strip() for part in line.split("\t")]
            if not word or not any(others):
                raise ValueError(f"{path.name}, line {number}: needs a word and a synonym with a tab between them")
            table.setdefault(word, []).extend(other for other in others if other)
        return PlainLexicon(table)

    @classmethod
    def from_dict(cls, table: Mapping[str, Iterable[str]]) -> PlainLexicon:
        """Return a lexicon of these words; the order of synonyms is kept."""
        return PlainLexicon(table)

    def __len__(self) -> int:
        return len(self._starts)

    def synonyms(self, word: str, max_senses: int = 1, pos: str | None = None) -> tuple[str, ...]:
        """Return words for a lower-case word, those of its first senses first, in the inflection that it has.

        max_senses: how many of a word's senses count. pos: noun, verb, adjective or adverb; by default the part of
        speech in which the word has most senses. What is a form of several words, or of one whose synonyms cannot be
        inflected with certainty, has none; function words have none.
        """
        if pos is not None and pos not in POS:
            raise ValueError(f"pos={pos!r} is not one of {', '.join(POS)}")
        if word in FUNCTION_WORDS or not wordnet.is_word(word):
            return ()
        found = self._analysis(word, None if pos is None else POS[pos])
        if found is None:
            return ()
        lemma, part, kinds = found
        formed = (self._inflected(other, part, kinds) for other in self._others(lemma, part, max_senses))
        own = self._all_forms(lemma, part) | {word}
        return tuple(dict.fromkeys(other for other in formed if other is not None and other not in own))

    def to_csr(self, vocabulary: Mapping[str, int], max_senses: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return synonyms between the whole words of a tokenizer's vocabulary, as rows of a sparse matrix.

        vocabulary: token to id, 0 to V - 1. Returns indptr (V + 1,) int32 and indices int32: the synonyms of token i
        are `indices[indptr[i]:indptr[i + 1]]`. A token is a whole word by the vocabulary's own sign for it: "##" before
        what continues a word, or "\u0120" or "\u2581" before what begins one.
        """
        return csr(self.synonyms, vocabulary, max_senses)

    def _word(self, number: int) -> bytes:
        start = self._starts[number - 1] + 1 if number else 0
        return bytes(self._blob[start : self._starts[number]])

    def _number(self, word: str) -> int | None:
        wanted = word.encode()
        at = bisect_left(range(len(self._starts)), wanted, key=self._word)
        return at if at < len(self._starts) and self._word(at) == wanted else None

    def _parts(self, word: str) -> dict[int, tuple[int, int]]:
        """Return for each part of speech that a lemma has its row and how many senses it has there."""
        number = self._number(word)
        if number is None:
            return {}
        first = self._rows[number]
        entries = self._arrays["pos"][first : self._rows[number + 1]].tolist()
        return {entry & 3: (row, entry >> 2) for row, entry in enumerate(entries, first)}

    def _analysis(self, word: str, pos: int | None) -> tuple[str, int, frozenset[int]] | None:
        """Return the one lemma and part of speech that a word can be a form of, and the forms that it can be."""
        found: dict[tuple[str, int], tuple[int, set[int]]] = {}
        candidates = [(word, part, BASE) for part in self._parts(word)]
        candidates += [(lemma, part, kind) for lemma, part, kind in self._forms.get(word, ())]
        for lemma, part, kind in lemmas(word):
            # What has an irregular form has no regular one beside it.
            if (lemma, part, kind) not in self._made and part in self._parts(lemma):
                candidates.append((lemma, part, kind))
        for lemma, part, kind in candidates:
            if pos is None or part == pos:
                senses = self._parts(lemma).get(part, (0, 0))[1]
                found.setdefault((lemma, part), (senses, set()))[1].add(kind)
        if len({lemma for lemma, _ in found}) != 1:
            return None
        ranked = sorted(found.items(), key=lambda item: -item[1][0])
        if len(ranked) > 1 and ranked[1][1][0] > DOUBTFUL * ranked[0][1][0]:
            return None
        (lemma, part), (_, kinds) = ranked[0]
        doubtful = -1 in kinds or (part == VERB and BASE in kinds and lemma in INVARIANT)
        return None if doubtful else (lemma, part, frozenset(kinds))

    def _others(self, lemma: str, part: int, max_senses: int) -> list[str]:
        row = self._parts(lemma)[part][0]
        pairs = slice(self._pairs[row], self._pairs[row + 1])
        senses, numbers = self._arrays["sense"][pairs].tolist(), self._arrays["synonym"][pairs].tolist()
        return [self._word(n).decode() for n, sense in zip(numbers, senses, strict=True) if sense < max_senses]

    def _inflected(self, lemma: str, part: int, kinds: frozenset[int]) -> str | None:
        """Return the form of a lemma that is all of `kinds` at once, None where there is none or it is not sure."""
        forms = {self._form(lemma, part, kind) for kind in kinds}
        return forms.pop() if len(forms) == 1 else None

    def _form(self, lemma: str, part: int, kind: int) -> str | None:
        if kind == BASE:
            return lemma
        if (lemma, part, -1) in self._made or (part == VERB and kind in (PAST, PARTICIPLE) and lemma in INVARIANT):
            return None
        return self._made.get((lemma, part, kind)) or regular(lemma, kind)

    def _all_forms(self, lemma: str, part: int) -> set[str | None]:
        kinds = {NOUN: range(1, 2), VERB: range(2, 6), ADJECTIVE: range(6, 8), ADVERB: range(0)}[part]
        return {lemma, *(self._form(lemma, part, kind) for kind in kinds)}

    def __reduce__(self) -> tuple[Any, ...]:
        if self._shipped:
            return _default, ()
        return type(self), ({name: np.array(array) for name, array in self._arrays.items()}, self.source)

    def config_node(self) -> dict[str, Any] | None:
        """Return what stands for it in a configuration; None for what only the user's disk has."""
        return {"_target_": "augsynth.text.lexicon.Lexicon.default"} if self._shipped else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Lexicon):
            return NotImplemented
        same = self._arrays.keys() == other._arrays.keys()
        return same and all(np.array_equal(array, other._arrays[name]) for name, array in self._arrays.items())

    def __hash__(self) -> int:
        return hash((len(self), self.source))

    def __repr__(self) -> str:
        return "Lexicon.default()" if self._shipped else f"<Lexicon: {self.source}, {len(self)} words>"


class PlainLexicon:
    """A lexicon of the user's: words and their synonyms as they are given, without senses or inflection."""

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        self._table = {}
        for word, others in table.items():
            if isinstance(others, str) or not all(isinstance(other, str) and other for other in others):
                raise ValueError(f"the synonyms of {word!r} must be a list of words, got {others!r}")
            self._table[str(word).lower()] = tuple(dict.fromkeys(other for other in others if other != word))

    def __len__(self) -> int:
        return len(self._table)

    def synonyms(self, word: str, max_senses: int = 1, pos: str | None = None) -> tuple[str, ...]:
        """Return the synonyms of a lower-case word; there are no senses here, and no parts of speech."""
        return self._table.get(word, ())

    def to_csr(self, vocabulary: Mapping[str, int], max_senses: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return synonyms between whole words of a vocabulary, see `Lexicon.to_csr`."""
        return csr(self.synonyms, vocabulary, max_senses)

    def config_node(self) -> dict[str, Any]:
        """Return what stands for it in a configuration."""
        table = {word: list(others) for word, others in self._table.items()}
        return {"_target_": "augsynth.text.lexicon.Lexicon.from_dict", "table": table}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlainLexicon) and self._table == other._table

    def __hash__(self) -> int:
        return hash(frozenset(self._table))

    def __repr__(self) -> str:
        return f"<PlainLexicon: {len(self)} words>"


def csr(synonyms: Any, vocabulary: Mapping[str, int], max_senses: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `Lexicon.to_csr` for a function that gives a word's synonyms."""
    begins = next(
        (sign for sign in ("\u0120", "\u2581") if sum(token.startswith(sign) for token in vocabulary) > 1), ""
    )
    rows: list[Sequence[int]] = [()] * (max(vocabulary.values(), default=-1) + 1)
    for token, number in vocabulary.items():
        if begins and not token.startswith(begins):
            continue
        word = token.removeprefix(begins)
        if not word.isalpha():
            continue
        title = word[:1].isupper() and word[1:].islower()
        if word != word.lower() and not title:
            continue
        others = (other[:1].upper() + other[1:] if title else other for other in synonyms(word.lower(), max_senses))
        rows[number] = [vocabulary[begins + other] for other in others if begins + other in vocabulary]
    indptr = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    return indptr, np.array([number for row in rows for number in row], np.int32)


def _integers(array: np.ndarray) -> memoryview:
    return memoryview(np.ascontiguousarray(array, np.int64).data)


def _read_forms(
    lines: np.ndarray,
) -> tuple[dict[str, list[tuple[str, int, int]]], dict[tuple[str, int, int], str]]:
    """Return what each irregular form is of, and the irregular forms of each word."""
    forms: dict[str, list[tuple[str, int, int]]] = {}
    made: dict[tuple[str, int, int], str] = {}
    for line in lines.tobytes().decode().splitlines():
        form, lemma, pos, kind = line.split("\t")
        forms.setdefault(form, []).append((lemma, int(pos), int(kind)))
        made[lemma, int(pos), int(kind)] = form
    return forms, made


def _arrays(data: bytes) -> dict[str, np.ndarray]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lexicon.bin"
        path.write_bytes(data)
        return {name: np.array(array) for name, array in wordnet.unpack(path)[0].items()}


@lru_cache(1)
def _default() -> Lexicon:
    try:
        with as_file(files("augsynth.text").joinpath(SHIPPED)) as path:
            return Lexicon(*wordnet.unpack(path), shipped=True)
    except FileNotFoundError:
        raise LexiconNotFoundError(f"the file {SHIPPED} of augsynth.text is not installed; {_HOW}") from None
