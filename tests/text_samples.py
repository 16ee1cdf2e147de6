"""Strings for the tests of text, ordinary ones and such as break what splits and joins; arguments of the transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from augsynth import transforms as T
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.text.document import Document
from augsynth.text.edits import Edit
from augsynth.text_run import edit_and_list
from augsynth.transforms.text import Text

SYNONYMS = {
    "film": ("movie", "picture"),
    "good": ("fine",),
    "long": ("lengthy", "drawn out"),
    "king": ("monarch",),
    "today": ("nowadays",),
    "fox": ("vixen",),
}


class Words:
    """A lexicon of six words."""

    def synonyms(self, word: str, max_senses: int = 1) -> tuple[str, ...]:
        return SYNONYMS.get(word, ())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Words)

    def __hash__(self) -> int:
        return 1


ORDINARY = (
    "It doesn't work (yet).",
    "The quick brown fox jumps over the lazy dog, and he isn't happy about it today.",
    "A good film, though LONG; the King of films!",
    "So: this is a self-made, well-known, long film — with the good king.",
    "I do not know. You are late! They don't care? He said it is all right, because I believe him. I have it.",
    "It cost 17 dollars, or 1,024 euros. That was in 1999. Nobody knows.",
)
HELD = (
    "It costs $3.50 today",
    "Mail me@example.org or see https://example.org/a?b=1&c=2",
    "I was born in the U.S.A. in 1969",
    "Dear {first name of you}, your <order id> is ready [SEP] C++",
    "tabs\tand\nnew lines  stay",
)
NASTY = (
    "",
    " ",
    "\n\t  \u3000",
    "a",
    "e\u0301le\u0301phant n\u0303 \u0301alone",
    "👩‍👩‍👧 family 👍🏽 thumbs",
    "日本語のテキスト。これは長い文です。",
    "ภาษาไทยไม่มีช่องว่าง good film",
    "שלום עולם good מלך",
    "العربية لغة جميلة film",
    "naïve CAFÉ Straße İstanbul ǅ",
    "it’s the king’s good film",
    "\x00\x7f\ufeff good\u200bfilm\u2028long",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 good 𝟙𝟚",
    "( ) -- ... !!! ''' \"quoted\" 'tis rock'n'roll",
)
ALL = (*ORDINARY, *HELD, *NASTY)

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "SynonymReplacement": [{"rate": 0.5, "lexicon": Words()}, {"rate": 1.0, "lexicon": Words(), "protect": False}],
    "RandomInsertion": [{"rate": 0.5, "lexicon": Words()}],
    "RandomSwap": [{}, {"rate": 1.0}, {"rate": 0.5, "protect": False}],
    "RandomDeletion": [{"rate": 0.3}, {"rate": 1.0, "protect": False}, {"rate": 0.3, "protect": ("fox", "lazy dog")}],
    "PunctuationInsertion": [{"rate": (0.0, 0.33), "min_edits": 1}, {"rate": 1.0, "marks": ["…", "¿"]}],
    "CharSwap": [{"rate": 0.3}, {"rate": 1.0, "protect": False}],
    "CharDelete": [{"rate": 0.2}, {"rate": 0.6, "protect": False}],
    "CharInsert": [{"rate": 0.2}, {"rate": 0.5, "alphabet": "äß", "min_length": 4}],
    "KeyboardNoise": [{"rate": 0.2}, {"rate": 0.5, "layout": "qwertz", "letters_only": False, "protect": False}],
    "OcrNoise": [{"rate": 0.3}, {"rate": 0.8, "protect": False}],
    "UnicodeConfusables": [{"rate": 0.3}],
    "SpellingNoise": [{"rate": 0.6}, {"rate": 0.5, "table": {"good": ["goood"], "FILM": ["flim", "fillm"]}}],
    "CaseNoise": [{"rate": 0.2}, {"rate": 0.4, "mode": "word"}],
    "ContractionToggle": [{}],
    "NumberNoise": [{"rate": 0.6}, {"rate": 0.6, "mode": "swap"}],
    "WhitespaceNoise": [{"rate": 0.3}, {"rate": 0.8, "to": ["\n"], "protect": False}],
    "SentenceShuffle": [{"rate": 0.9}],
}
BAD: dict[str, list[dict[str, Any]]] = {
    "SynonymReplacement": [{"max_senses": 0}, {"lexicon": "wordnet"}],
    "RandomInsertion": [{"max_senses": 1.5}],
    "RandomSwap": [{"rate": (0.5, 0.2)}],
    "RandomDeletion": [{"max_edits": 1, "min_edits": 2}],
    "PunctuationInsertion": [{"marks": ".,"}, {"marks": ()}],
    "CharSwap": [{"min_length": 0}],
    "CharDelete": [{"min_length": "2"}],
    "CharInsert": [{"alphabet": ""}, {"alphabet": (1,)}],
    "KeyboardNoise": [{"layout": "qwerti"}, {"layout": 3}, {"letters_only": "no"}],
    "OcrNoise": [{"min_length": 0}],
    "UnicodeConfusables": [{"min_length": 0}],
    "SpellingNoise": [{"table": "nowhere.tsv"}, {"table": {"a": "b"}}, {"table": [1]}, {"table": {1: ["x"]}}],
    "CaseNoise": [{"mode": "title"}],
    "ContractionToggle": [{"rate": (0.1, 2)}],
    "NumberNoise": [{"mode": "spell"}],
    "WhitespaceNoise": [{"to": "  "}, {"to": ("x",)}],
    "SentenceShuffle": [{"min_edits": 1.5}],
}
BAD_EVERYWHERE: list[dict[str, Any]] = [
    {"p": 1.5},
    {"rate": -0.1},
    {"rate": 2},
    {"rate": "much"},
    {"min_edits": -1},
    {"max_edits": 0.5},
    {"protect": 3},
    {"protect": ("re:(",)},
]
CASES: list[tuple[str, dict[str, Any]]] = [
    (name, arguments) for name, examples in EXAMPLES.items() for arguments in examples
]


def make(name: str, arguments: dict[str, Any]) -> Text:
    made = T.TEXTS[name](**arguments)
    assert isinstance(made, Text)
    return made


def words_of(text: str) -> list[str]:
    return [text[start:end] for start, end in Document(text).words]


# What holds numbers and the like: all but those that are asked not to, and the one that is about numbers.
HOLDING = [case for case in CASES if case[1].get("protect") is not False and case[0] != "NumberNoise"]


def edited(
    transform: Text, texts: Sequence[str], seed: int = 0, index: Sequence[int] | None = None, epoch: int = 0
) -> tuple[list[str], list[list[Edit]]]:
    """Return what one transform makes of texts, and its edits."""
    rng = Rng.of(seed, range(len(texts)) if index is None else index, epoch)
    return edit_and_list(Plan.of({"it": transform}), list(texts), rng)
