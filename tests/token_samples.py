"""Vocabularies, batches of token ids and runs of transforms for the tests of the token path."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from augsynth import transforms as T
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.token_run import augment_tokens
from augsynth.transforms.base import named

SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")
PAD, CLS, SEP, MASK, UNK = range(5)
SIZE = 60
# Every fourth token goes on with the word before it.
WORDS = {token: i for i, token in enumerate(SPECIALS)}
WORDS |= {("##" if i % 4 == 0 else "") + f"w{i}": i for i in range(len(SPECIALS), SIZE)}


class Neighbours:
    """A lexicon in which every other word has its two neighbours as synonyms."""

    def to_csr(self, words: dict[str, int], max_senses: int) -> tuple[np.ndarray, np.ndarray]:
        n = len(words)
        rows = [[(i - 1) % n, (i + 1) % n] if i % 2 else [] for i in range(n)]
        return np.cumsum([0, *map(len, rows)]), np.array([j for row in rows for j in row])


def vocabulary(left: bool = False) -> TokenVocabulary:
    names = {"pad": "[PAD]", "mask": "[MASK]", "unk": "[UNK]"}
    return TokenVocabulary.from_mapping(WORDS, **names, special=("[CLS]", "[SEP]"), left=left, lexicon=Neighbours())


RIGHT, LEFT = vocabulary(), vocabulary(left=True)


def batch_of(rows: list[list[int]], length: int | None = None, left: bool = False) -> dict[str, torch.Tensor]:
    """Pad rows of ids to a batch."""
    length = max(map(len, rows)) if length is None else length
    ids = torch.full((len(rows), length), PAD)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        start = length - len(row) if left else 0
        ids[i, start : start + len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[i, start : start + len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def sentence(*tokens: int) -> list[int]:
    return [CLS, *tokens, SEP]


def random_rows(count: int, words: int, seed: int = 0) -> list[list[int]]:
    numbers = torch.randint(UNK, SIZE, (count, words), generator=torch.Generator().manual_seed(seed)).tolist()
    return [sentence(*row) for row in numbers]


def run(
    transforms: Any, batch: dict[str, Any], index: Any = None, epoch: int = 0, strength: float = 1.0, **kwargs: Any
) -> dict[str, Any]:
    """Augment a batch, keyed by its rows' numbers."""
    parts = transforms if isinstance(transforms, (list, dict)) else [transforms]
    rng = Rng.of(7, range(len(batch["input_ids"])) if index is None else index, epoch)
    return augment_tokens(Plan.of(named(parts, "test")), batch, rng, strength, **kwargs)


def content(batch: dict[str, torch.Tensor], row: int) -> list[int]:
    """Return the ids of a row that its mask shows."""
    shown = batch["attention_mask"][row] != 0
    found: list[int] = batch["input_ids"][row][shown].tolist()
    return found


def each(v: TokenVocabulary, **kwargs: Any) -> dict[str, Any]:
    """Return every transform of tokens, in each of its styles."""
    return {
        "synonym": T.TokenSynonym(vocabulary=v, **kwargs),
        "swap": T.TokenSwap(vocabulary=v, **kwargs),
        "delete": T.TokenDelete(vocabulary=v, **kwargs),
        "insert": T.TokenInsert(vocabulary=v, **kwargs),
        "insert_mask": T.TokenInsert(vocabulary=v, source="mask", **kwargs),
        "insert_random": T.TokenInsert(vocabulary=v, source="random", **kwargs),
        "mask": T.TokenMask(vocabulary=v, return_labels=True, random_share=0.2, mask_share=0.6, **kwargs),
        "spans": T.TokenMask(vocabulary=v, style="span", random_share=0.4, mask_share=0.4, **kwargs),
        "cut": T.TokenCutoff(vocabulary=v, **kwargs),
        "cut_span": T.TokenCutoff(vocabulary=v, style="span", **kwargs),
    }


NAMES = tuple(each(RIGHT))
ids_of_words = st.lists(st.integers(UNK, SIZE - 1), max_size=12)
# Sentences and pairs of sentences, and rows with no special token.
row = st.one_of(
    ids_of_words.map(lambda words: sentence(*words)),
    st.tuples(ids_of_words, ids_of_words).map(lambda two: [CLS, *two[0], SEP, *two[1], SEP]),
    ids_of_words.filter(bool),
)
rows = st.lists(row, min_size=1, max_size=5)
rates = st.one_of(st.floats(0, 1), st.tuples(st.floats(0, 0.5), st.floats(0.5, 1)))
