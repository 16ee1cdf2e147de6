"""Rows of token ids a second on one core: each transform of tokens, keyed draws included.

Batches of random ids over a vocabulary of BERT's size (30,522 tokens; a fifth of them go on with a word, half of the
words have synonyms), full rows with a special token at both ends, so that no position is padding, but for insertion,
which finds an eighth of them empty; rate 0.1, for masks 0.15. "native" is the compiled engine, "tensors" what runs
where there is none, and on devices. "a copy" makes new tensors of ids and mask, which is what any path costs at least.
Clock and rounds are those of `protocol.py`.

    python benchmarks/text_tokens.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from protocol import Candidate, attempt, head, measure, one_core, save

from augsynth import transforms as T
from augsynth.program import Plan, draw
from augsynth.rng import Rng
from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.token_run import augment_tokens
from augsynth.transforms.base import named

SIZE, FIRST, ROUNDS = 30_522, 4, 7
SHAPES = ((256, 128), (64, 64))
FLOOR = {"synonym": 200_000, "swap": 200_000, "delete": 200_000}  # rows a second on [256, 128]
Batch = dict[str, torch.Tensor]


class Pairs:
    """A lexicon in which every other word has two synonyms."""

    def to_csr(self, words: Mapping[str, int], max_senses: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indptr and indices."""
        n = len(words)
        rows = [[(i + 1) % n, (i + 2) % n] if i % 2 else [] for i in range(n)]
        return np.cumsum([0, *map(len, rows)]), np.array([j for row in rows for j in row])


def vocabulary() -> TokenVocabulary:
    """Return a vocabulary of BERT's size."""
    words = {token: i for i, token in enumerate(("[PAD]", "[CLS]", "[SEP]", "[MASK]"))}
    words |= {("##" if i % 5 == 0 else "") + f"w{i}": i for i in range(FIRST, SIZE)}
    return TokenVocabulary.from_mapping(words, pad="[PAD]", mask="[MASK]", special=("[CLS]", "[SEP]"), lexicon=Pairs())


def transforms(v: TokenVocabulary) -> dict[str, Any]:
    """Return what is measured."""
    return {
        "synonym": T.TokenSynonym(vocabulary=v),
        "swap": T.TokenSwap(vocabulary=v),
        "delete": T.TokenDelete(vocabulary=v),
        "insert": T.TokenInsert(vocabulary=v),
        "mask": T.TokenMask(vocabulary=v),
        "mask spans": T.TokenMask(vocabulary=v, style="span"),
        "cutoff": T.TokenCutoff(vocabulary=v),
        "cutoff span": T.TokenCutoff(vocabulary=v, style="span"),
    }


def batch_of(shape: tuple[int, int], room: float = 0.0) -> Batch:
    """Return random rows between special tokens, and room for a share of more of them."""
    ids = torch.randint(FIRST, SIZE, shape, generator=torch.Generator().manual_seed(0))
    end = round(shape[1] * (1 - room))
    ids[:, 0], ids[:, end - 1], ids[:, end:] = 1, 2, 0
    return {"input_ids": ids, "attention_mask": (torch.arange(shape[1]) < end).long().repeat(shape[0], 1)}


def token_rows(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Measure all transforms on both shapes."""
    v, rows = vocabulary(), []
    for shape in SHAPES:
        full, roomy, index = batch_of(shape), batch_of(shape, 1 / 8), np.arange(shape[0])
        calls: dict[str, Callable[[], Any]] = {
            "a copy": lambda batch=full: [value.clone() for value in batch.values()],
            "the draw": partial(_drawn, Plan.of(named([T.TokenSwap(vocabulary=v)], "benchmark")), index),
        }
        for name, transform in transforms(v).items():
            plan, batch = Plan.of(named([transform], "benchmark")), roomy if name == "insert" else full
            calls |= {
                f"{name}, {way}": partial(_call, plan, batch, index, way == "native") for way in ("native", "tensors")
            }
        timings = measure({name: attempt(partial(Candidate, call, 1)) for name, call in calls.items()}, rounds)
        for name, timing in timings.items():
            row = {"task": "tokens", "shape": list(shape), "name": name, **timing.microseconds()}
            row["microseconds_per_batch"] = row.pop("microseconds_per_image")
            row["rows_per_second"] = round(shape[0] * 1e6 / row["microseconds_per_batch"])
            if shape == SHAPES[0] and (floor := FLOOR.get(name.removesuffix(", native"))):
                row["floor"] = floor
            rows.append(row)
    return rows


def _call(plan: Plan, batch: Batch, index: np.ndarray, compiled: bool) -> Any:
    return augment_tokens(plan, batch, Rng.of(0, index), compiled=compiled)


def _drawn(plan: Plan, index: np.ndarray) -> Any:
    return draw(plan, Rng.of(0, index), np.zeros((len(index), 2)))


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows."""
    for row in rows:
        floor = f"  (floor {row['floor']:,})" if "floor" in row else ""
        low, high = row["microseconds_quartiles"]
        speed = f"{row['microseconds_per_batch']:>8} us [{low} to {high}] {row['rows_per_second']:>10,} rows a second"
        print(f"{row['shape']!s:11} {row['name']:22} {speed}{floor}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and save where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    one_core()
    about = head(args.rounds)
    print(f"{about['machine']}; one thread, {args.rounds} rounds")
    rows = token_rows(args.rounds)
    show(rows)
    save(args.json, {**about, "rows": rows})


if __name__ == "__main__":
    main()
