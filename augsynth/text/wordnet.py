"""Read WordNet into the compact table of a `Lexicon`: single words, their senses in order, their irregular forms."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.text.inflection import ADJECTIVE, ADVERB, ING, NOUN, PAST, PLURAL, VERB, irregular_kinds, lemmas, regular

MAGIC = b"augsynth lexicon 1\n"
SENSES = 3  # of a word and part of speech that the table keeps
# How often a word stands in WordNet's own definitions and examples, 1.5 million words of plain English, if it is to
# take the place of another: so payment becomes no defrayment.
LEAST = 8
POS = {"n": NOUN, "v": VERB, "a": ADJECTIVE, "s": ADJECTIVE, "r": ADVERB}
_FILES = {"noun": NOUN, "verb": VERB, "adj": ADJECTIVE, "adv": ADVERB}
_LETTERS = re.compile(r"[a-z]+")
_WORD = re.compile(r"[a-z]{2,}")


@dataclass
class Entry:
    """A lemma in one part of speech: the synsets of its senses, in order, and its irregular forms."""

    senses: list[str] = field(default_factory=list)
    irregular: list[str] = field(default_factory=list)


@dataclass
class WordNet:
    """Lemmas by word and part of speech, the words of each synset, and how often words are used in the definitions."""

    entries: dict[tuple[str, int], Entry] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def read(self, text: str) -> None:
        """Count the words of a definition or an example."""
        self.counts.update(_LETTERS.findall(text.lower()))

    def common(self, word: str) -> bool:
        """Tell whether a word, in any regular form, is one that people use."""
        forms = {word, *(regular(word, kind) for kind in (PLURAL, PAST, ING))}
        return sum(self.counts[form] for form in forms if form is not None) >= LEAST

    def pairs(self, word: str, pos: int) -> list[tuple[str, int]]:
        """Return synonyms and ranks: the sense of the word or of the synonym, whichever is rarer, from 0.

        So rank 0 is a pair of words that both mean this first of all: a child is a kid, but no fry.
        """
        found: dict[str, int] = {}
        for sense, synset in enumerate(self.entries[word, pos].senses[:SENSES]):
            for other in self.members[synset]:
                own = self.entries.get((other, pos))
                rank = max(sense, own.senses.index(synset) if own and synset in own.senses else SENSES)
                if is_word(other) and other != word and rank < SENSES and self.common(other):
                    found[other] = min(rank, found.get(other, rank))
        return sorted(found.items(), key=lambda pair: pair[1])[:255]


def is_word(text: str) -> bool:
    """Tell whether the table can hold it: lower-case letters a to z, two or more."""
    return bool(_WORD.fullmatch(text))


def table(net: WordNet, source: str) -> bytes:
    """Return the file of a lexicon: a header in JSON, then its arrays as they lie in memory.

    words: sorted, a newline after each. of_word (W,) uint8: how many parts of speech follow. pos (R,) uint8: part of
    speech, and 4 times the number of senses. count (R,) uint8: synonyms. synonym (N,) uint16: their words. sense (N,)
    uint8: ranks from 0. irregular: lines of form, lemma, part of speech, kind; kind -1 where it is not sure.
    """
    entries = net.entries
    rows = {key: net.pairs(*key) for key in entries if is_word(key[0])}
    needed = {word for (word, _), pairs in rows.items() if pairs}
    needed |= {word for pairs in rows.values() for word, _ in pairs}
    # What has no synonyms may still be what a form is, and make it doubtful.
    needed |= {word for word, _ in rows if any(stem in needed for stem, _, _ in lemmas(word))}
    irregular = _irregular(entries, needed)
    formed = {line.split("\t")[0] for line in irregular}
    needed |= {word for word, _ in rows if word in formed}
    words = sorted(needed)
    if len(words) > 1 << 16:
        raise ValueError(f"{len(words)} words are more than two bytes can number")
    number = {word: i for i, word in enumerate(words)}
    by_word: dict[str, list[int]] = {}
    for word, pos in sorted(rows):
        if word in number:
            by_word.setdefault(word, []).append(pos)
    keys = [(word, pos) for word in words for pos in by_word.get(word, ())]
    pairs = [(number[other], sense) for key in keys for other, sense in rows[key]]
    arrays: dict[str, np.ndarray] = {
        "words": np.frombuffer("".join(f"{word}\n" for word in words).encode(), np.uint8),
        "of_word": np.array([len(by_word.get(word, ())) for word in words], np.uint8),
        "pos": np.array([pos + 4 * min(len(entries[word, pos].senses), 63) for word, pos in keys], np.uint8),
        "count": np.array([len(rows[key]) for key in keys], np.uint8),
        "synonym": np.array([pair[0] for pair in pairs], np.uint16),
        "sense": np.array([pair[1] for pair in pairs], np.uint8),
        "irregular": np.frombuffer("\n".join(irregular).encode(), np.uint8),
    }
    return pack(arrays, source)


def _irregular(entries: dict[tuple[str, int], Entry], words: set[str]) -> list[str]:
    lines = []
    for (lemma, pos), entry in sorted(entries.items()):
        forms = [form for form in entry.irregular if is_word(form)]
        if lemma not in words or not forms:
            continue
        kinds = irregular_kinds(lemma, pos, forms)
        if kinds is None:
            lines += [f"{form}\t{lemma}\t{pos}\t-1" for form in forms]
        else:
            lines += [f"{form}\t{lemma}\t{pos}\t{kind}" for kind, form in sorted(kinds.items())]
    return sorted(lines)


def pack(arrays: dict[str, np.ndarray], source: str) -> bytes:
    """Return arrays as one file: each begins at a multiple of eight bytes."""
    places, at = {}, 0
    for name, array in arrays.items():
        places[name] = [at, len(array), array.dtype.str]
        at += -(-array.nbytes // 8) * 8
    header = json.dumps({"source": source, "arrays": places}).encode()
    header += b" " * (-(len(MAGIC) + len(header) + 1) % 8) + b"\n"
    parts = [array.tobytes().ljust(-(-array.nbytes // 8) * 8, b"\0") for array in arrays.values()]
    return MAGIC + header + b"".join(parts)


def unpack(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays of a file, mapped and not read, and where its facts are from. Raises ValueError for another."""
    data = np.memmap(path, np.uint8, "r")
    start = bytes(data[: 1 << 12])
    if not start.startswith(MAGIC):
        raise ValueError(f"{path.name} is no table of a lexicon")
    end = start.index(b"\n", len(MAGIC)) + 1
    header: dict[str, Any] = json.loads(start[len(MAGIC) : end])
    arrays = {}
    for name, (at, count, kind) in header["arrays"].items():
        dtype = np.dtype(kind)
        arrays[name] = data[end + at : end + at + count * dtype.itemsize].view(dtype)
    return arrays, header["source"]


def read_tables(lemma_lines: Iterable[str], synset_lines: Iterable[str]) -> WordNet:
    """Read Open English WordNet as two tables with a head line: lemmas (lemma, part of speech, synsets in order of
    sense, irregular forms) and synsets (id, part of speech, lexicographer file, members and more)."""
    net = WordNet()
    for line in list(synset_lines)[1:]:
        parts = line.rstrip("\n").split("\t")
        net.members[parts[0]] = parts[3].split("|")
        net.read(" ".join(parts[6:]))
    for line in list(lemma_lines)[1:]:
        lemma, pos, synsets, irregular = line.rstrip("\n").split("\t")[:4]
        # Homographs (n-1, n-2) are senses one after the other.
        entry = net.entries.setdefault((lemma, POS[pos[0]]), Entry())
        entry.senses += synsets.split("|")
        entry.irregular += [form for form in irregular.split("|") if form and form not in entry.irregular]
    return net


def read_wndb(folder: Path) -> WordNet:
    """Read WordNet's own files: data.* and index.* of the parts of speech that are there, *.exc beside them."""
    net = WordNet()
    for name, pos in _FILES.items():
        if not (folder / f"data.{name}").is_file():
            continue
        for line in _lines(folder / f"data.{name}"):
            parts = line.split(" ")
            # Adjectives may say where they stand: galore(ip).
            names = (re.sub(r"\(\w+\)$", "", parts[4 + 2 * i]) for i in range(int(parts[3], 16)))
            net.members[f"{name} {parts[0]}"] = [word.replace("_", " ") for word in names]
            net.read(line.partition("|")[2])
        for line in _lines(folder / f"index.{name}"):
            parts = line.split()
            senses = [f"{name} {offset}" for offset in parts[-int(parts[2]) :]]
            net.entries[parts[0].replace("_", " "), pos] = Entry(senses)
        if (folder / f"{name}.exc").is_file():
            for line in _lines(folder / f"{name}.exc"):
                form, *stems = line.split()
                for stem in stems:
                    if (stem, pos) in net.entries and form not in net.entries[stem, pos].irregular:
                        net.entries[stem, pos].irregular.append(form)
    return net


def _lines(path: Path) -> list[str]:
    # The licence stands at the top, in lines that begin with a space.
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith(" ")]
