"""Language models that transforms run: found in a folder, never downloaded; run on whole batches."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsynth.errors import AugsynthError
from augsynth.text.vocabulary import Vocabulary

# What stands in the folder -> the class of transformers that reads it.
KINDS = {"masked": "AutoModelForMaskedLM", "translation": "AutoModelForSeq2SeqLM"}
KEPT = 4  # models that stay in memory, the last that were used
_ENDLESS = 10**6  # tokenizers without a limit have one of 1e30


class ModelError(AugsynthError):
    """A language model cannot be used."""


class ModelNotFoundError(ModelError):
    """There is no language model where it was looked for."""


class TransformersMissingError(ModelError, ImportError):
    """The library that runs language models is not installed."""


def check_process(name: str) -> None:
    """Raise ModelError in a DataLoader's worker: each would load the model, and CUDA cannot be used after a fork."""
    if torch.utils.data.get_worker_info() is not None:
        raise ModelError(
            f"{name} runs a language model on whole batches, and this is a worker of a DataLoader; use num_workers=0, "
            "or augment in the main process: pipeline(texts) on what the loader gives, or ag.callbacks.AugmentOnDevice"
        )


@dataclass(frozen=True, eq=False)
class Language:
    """A model of transformers with its tokenizer. name: says in errors which one it is."""

    model: Any
    tokenizer: Any
    name: str

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = next(iter(self.model.parameters())).device
        return found

    @cached_property
    def window(self) -> int | None:
        """Return how many tokens it can read, with special ones; None if any number."""
        config, found = self.model.config, []
        if 0 < (limit := getattr(self.tokenizer, "model_max_length", _ENDLESS)) < _ENDLESS:
            found.append(int(limit))
        if places := getattr(config, "max_position_embeddings", None):
            found.append(int(places) - self._unused(int(places)))
        return min(found, default=None)

    def _unused(self, places: int) -> int:
        """Return how many position embeddings come before the first token's: RoBERTa counts from its padding."""
        for name, module in self.model.named_modules():
            if name.endswith("position_embeddings") and getattr(module, "num_embeddings", None) == places:
                return 0 if module.padding_idx is None else int(module.padding_idx) + 1
        return 0

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Which entries of the vocabulary are whole words. Raises ModelError where none is."""
        found = Vocabulary.of(self.tokenizer)
        if not found.allowed.any():
            raise ModelError(
                f"{self.name}: no entry of its vocabulary is a whole word; WordPiece, byte-level BPE and SentencePiece "
                "vocabularies are known"
            )
        return found

    def predict(
        self, rows: Sequence[Sequence[int]], marks: Sequence[Sequence[int]], number: int, batch_tokens: int
    ) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """Return for each mark, a position in its row of ids, the most likely whole words: their ids and logits.

        number: how many at most. batch_tokens: as in `groups`.
        """
        found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in rows]
        number = min(number, int(self.vocabulary.allowed.sum()))
        for group in groups([len(row) for row in rows], batch_tokens):
            at = [(k, mark) for k, i in enumerate(group) for mark in marks[i]]
            if not at:
                continue
            ids, mask = padded([rows[i] for i in group], self.tokenizer.pad_token_id, self.device)
            with evaluating(self.model), torch.inference_mode():
                logits = self.model(input_ids=ids, attention_mask=mask).logits
                places = torch.tensor(at, device=logits.device)
                picked = logits[places[:, 0], places[:, 1]].float()
                allowed = self.vocabulary.tensor(picked.shape[1], picked.device)
                values, which = picked.masked_fill(~allowed, -torch.inf).topk(number)
            both = zip(which.cpu().numpy(), values.double().cpu().numpy(), strict=True)
            for (k, _), pair in zip(at, both, strict=True):
                found[group[k]].append(pair)
        return found


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch dropout off, and what was training back to training."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def groups(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Put rows of like length together: at most `batch_tokens` tokens with the padding, or a single row."""
    result: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if result and (len(result[-1]) + 1) * lengths[i] <= batch_tokens:
            result[-1].append(i)
        else:
            result.append([i])
    return result


def padded(rows: Sequence[Sequence[int]], pad: int | None, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of ids as `(B, L)` int64, padded on the right, and the attention mask."""
    width = max(map(len, rows))
    # The mask hides it, so that any id will do for a tokenizer without padding.
    ids = torch.full((len(rows), width), pad or 0)
    mask = torch.zeros((len(rows), width), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[i, : len(row)] = 1
    return ids.to(device), mask.to(device)


def load(kind: str, path: str | Path, device: str | None = None) -> Language:
    """Return the model in a folder, on a device ("cpu" by default); the last few stay in memory.

    kind: one of `KINDS`. Raises TransformersMissingError, ModelNotFoundError, or ModelError for a folder that holds
    something else.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ModelNotFoundError(
            f"no language model at {str(path)!r}: give a folder that transformers' save_pretrained has written. "
            f"Nothing is downloaded here; to get one, once: transformers.{KINDS[kind]}.from_pretrained(NAME)"
            ".save_pretrained(FOLDER), and the same with transformers.AutoTokenizer"
        )
    folder = folder.resolve()
    # A model that was trained further and saved to the same folder is another model.
    stamp = max((entry.stat().st_mtime_ns for entry in folder.iterdir()), default=0)
    return _load(kind, str(folder), str(torch.device(device or "cpu")), stamp)


@lru_cache(KEPT)
def _load(kind: str, folder: str, device: str, stamp: int) -> Language:
    library = transformers()
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, found = getattr(library, KINDS[kind]).from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"{folder} holds no model that {KINDS[kind]} can load: {error}") from error
    if found["missing_keys"]:
        names = ", ".join(sorted(found["missing_keys"])[:3])
        raise ModelError(
            f"{folder} has no weights for {names}, which would be random; it was saved from a model of another kind "
            f"than {KINDS[kind]}"
        )
    return Language(model.to(device).eval(), tokenizer, folder)


def forget() -> None:
    """Let go of all models that were loaded from folders."""
    _load.cache_clear()


def transformers() -> Any:
    """Import transformers. Raises TransformersMissingError saying how to install it."""
    try:
        return import_module("transformers")
    except ImportError as error:
        # A broken installation has a reason of its own, which must not be hidden.
        reason = "" if "transformers" not in sys.modules and error.name == "transformers" else f" ({error})"
        raise TransformersMissingError(
            f'language models need transformers{reason}: pip install "augsynth[models]"'
        ) from error
