"""English inflection by rules: the regular forms of a word, and what a form may be a form of.

Kinds: base; plural of a noun; third, past, participle and ing of a verb; comparative and superlative of an adjective.
Irregular forms, and those that double a consonant, are facts of the lexicon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BASE, PLURAL, THIRD, PAST, PARTICIPLE, ING, COMPARATIVE, SUPERLATIVE = range(8)
NOUN, VERB, ADJECTIVE, ADVERB = range(4)
KINDS = {NOUN: (PLURAL,), VERB: (THIRD, PAST, PARTICIPLE, ING), ADJECTIVE: (COMPARATIVE, SUPERLATIVE), ADVERB: ()}
# Verbs whose past is their base: nothing tells which of the two stands in a text.
INVARIANT = frozenset(
    [
        "put",
        "cut",
        "set",
        "hit",
        "let",
        "shut",
        "cost",
        "hurt",
        "burst",
        "cast",
        "split",
        "spread",
        "quit",
        "rid",
        "bet",
    ]
)
INVARIANT |= {"shed", "read", "thrust", "upset", "wet", "forecast", "broadcast", "offset", "reset", "sublet", "beset"}
_SIBILANT = re.compile(r"(s|x|z|ch|sh)$")
_CONSONANT_Y = re.compile(r"[^aeiou]y$")
_VOWELS = re.compile(r"[aeiouy]+")
# One vowel and one consonant at the end of one syllable: the consonant is doubled (stop, stopped).
_DOUBLES = re.compile(r"^[^aeiou]*[aeiou][bdfgklmnprtvz]$|^qu[aeiou][bdfgklmnprtvz]$")


def regular(word: str, kind: int) -> str | None:
    """Return a regular form; None where a word has none by rule, as the comparative of a long adjective."""
    if kind in (PLURAL, THIRD):
        if _CONSONANT_Y.search(word):
            return word[:-1] + "ies"
        return word + ("es" if _SIBILANT.search(word) or (kind == THIRD and word.endswith("o")) else "s")
    if kind == BASE:
        return word
    if kind in (COMPARATIVE, SUPERLATIVE) and len(_VOWELS.findall(word.removesuffix("e"))) != 1 and word[-1:] != "y":
        return None
    ending = {PAST: "ed", PARTICIPLE: "ed", ING: "ing", COMPARATIVE: "er", SUPERLATIVE: "est"}[kind]
    if kind == ING:
        if word.endswith("ie"):
            return word[:-2] + "ying"
        stem = word[:-1] if word.endswith("e") and not word.endswith(("ee", "oe", "ye")) else word
    elif _CONSONANT_Y.search(word):
        stem = word[:-1] + "i"
    else:
        stem = word.removesuffix("e")
    return (stem + stem[-1] if stem == word and _DOUBLES.search(word) else stem) + ending


def lemmas(form: str) -> Iterator[tuple[str, int, int]]:
    """Yield (lemma, part of speech, kind) of which `form` is the regular form, whether or not there is such a lemma."""
    for pos, kinds in KINDS.items():
        for kind in kinds:
            yield from ((stem, pos, kind) for stem in dict.fromkeys(_stems(form, kind)) if regular(stem, kind) == form)


def _stems(form: str, kind: int) -> Iterator[str]:
    endings = {PLURAL: ("s", "es"), THIRD: ("s", "es"), PAST: ("ed",), PARTICIPLE: ("ed",), ING: ("ing",)}
    for ending in endings.get(kind, ("er",) if kind == COMPARATIVE else ("est",)):
        if not form.endswith(ending) or len(form) <= len(ending) + 1:
            continue
        stem = form.removesuffix(ending)
        yield stem
        yield stem + "e"
        if stem[-1:] == "i":
            yield stem[:-1] + "y"
        if stem[-1:] == "y":
            yield stem[:-1] + "ie"
        if len(stem) > 2 and stem[-1] == stem[-2]:
            yield stem[:-1]


def irregular_kinds(lemma: str, pos: int, forms: list[str]) -> dict[int, str] | None:
    """Tell which irregular form of a lemma is which, {kind: form}; None where it is not sure.

    Lexicons list them without saying: went and gone, stopped and stopping, best and better, antennae and antennas.
    """
    if pos == NOUN:
        return {PLURAL: forms[0]} if len(forms) == 1 else None
    if pos == ADVERB:
        return {}
    if pos == ADJECTIVE:
        more = [f for f in forms if f.endswith(("er", "worse", "more", "less"))]
        most = [f for f in forms if f.endswith("st")]
        if len(more) > 1 or len(most) > 1 or len(more) + len(most) != len(forms):
            return None
        return {**({COMPARATIVE: more[0]} if more else {}), **({SUPERLATIVE: most[0]} if most else {})}
    found: dict[int, str] = {}
    ing = [f for f in forms if f.endswith("ing")]
    third = [f for f in forms if f.endswith("s") and not f.endswith("ss")]
    rest = [f for f in forms if f not in ing and f not in third]
    if len(ing) > 1 or len(third) > 1 or len(rest) > 2:
        return None
    found |= {ING: ing[0]} if ing else {}
    found |= {THIRD: third[0]} if third else {}
    if len(rest) == 1:
        # came and come, ran and run: the participle is the base, and is not listed.
        same = lemma.endswith(("come", "run"))
        found |= {PAST: rest[0], PARTICIPLE: lemma if same else rest[0]}
    elif len(rest) == 2:
        passive = [f for f in rest if re.search(r"u(ng|nk|m|n)$", f)] or [f for f in rest if f.endswith(("n", "ne"))]
        if len(passive) != 1:
            return None
        found |= {PARTICIPLE: passive[0], PAST: next(f for f in rest if f != passive[0])}
    return found
