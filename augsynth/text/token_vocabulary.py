"""What token transforms know of a tokenizer: its special tokens, which tokens start a word, and their synonyms."""

from __future__ import annotations

import base64
import bz2
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch

SPECIAL, START, KNOWN = 1, 2, 4  # bits of `flags`; KNOWN has synonyms
_TABLES = ("flags", "ordinary", "indptr", "indices")
_CONTINUES, _MARKERS = "##", ("Ġ", "▁")


@dataclass(frozen=True, eq=False, repr=False)
class TokenVocabulary:
    """A tokenizer as tables over its ids; a value: compared by content, pickled, a field of transforms.

    flags: `(size,)` uint8 of the bits above. ordinary: the ids that may be written at random, neither special nor
    unknown. indptr `(size + 1,)`, indices: the synonyms of id i are indices[indptr[i]:indptr[i + 1]], all int64.
    pad, mask: ids, mask None where there is none. left: padding stands on the left.
    """

    flags: torch.Tensor
    ordinary: torch.Tensor
    indptr: torch.Tensor
    indices: torch.Tensor
    pad: int
    mask: int | None = None
    unk: int | None = None
    left: bool = False

    @classmethod
    def of(cls, tokenizer: Any, lexicon: Any = None, max_senses: int = 1) -> TokenVocabulary:
        """Read a Hugging Face tokenizer, fast or slow: BERT's "##", RoBERTa's "Ġ" and sentencepiece's "▁".

        lexicon: an `augsynth.text.lexicon.Lexicon`, for synonyms; a word of several tokens has none. Without a padding
        token the end of the text is padding, as usual. Pieces of any other kind all count as words, unless the batch
        has `word_ids`.
        """
        if not hasattr(tokenizer, "get_vocab"):
            raise TypeError(f"TokenVocabulary.of takes a tokenizer with get_vocab(), got {type(tokenizer).__name__}")
        words: dict[str, int] = tokenizer.get_vocab()
        unk, ends = tokenizer.unk_token_id, tokenizer.eos_token_id
        roles = [getattr(tokenizer, f"{role}_token_id", None) for role in ("bos", "eos", "sep", "cls", "pad", "mask")]
        # An unknown word is a word, but for tokenizers such as GPT-2's, where one token plays all parts.
        special = set(tokenizer.all_special_ids) - ({unk} - set(roles))
        pad = next((i for i in (tokenizer.pad_token_id, ends) if i is not None), 0)
        left = getattr(tokenizer, "padding_side", "right") == "left"
        mask = getattr(tokenizer, "mask_token_id", None)
        return cls._made(words, special, pad, mask, unk, left, lexicon, max_senses)

    @classmethod
    def from_mapping(
        cls,
        words: Mapping[str, int],
        *,
        pad: str,
        mask: str | None = None,
        unk: str | None = None,
        special: Iterable[str] = (),
        left: bool = False,
        lexicon: Any = None,
        max_senses: int = 1,
    ) -> TokenVocabulary:
        """Read a mapping of tokens to ids. pad, mask, unk, special: tokens in it; pad and mask are special anyway."""
        named = [pad, *special, *([mask] if mask is not None else [])]
        missing = [token for token in (*named, *([unk] if unk is not None else [])) if token not in words]
        if missing:
            raise ValueError(f"TokenVocabulary: {missing[0]!r} is not among the {len(words)} tokens")
        ids = {name: None if token is None else words[token] for name, token in (("mask", mask), ("unk", unk))}
        special_ids = {words[token] for token in named}
        return cls._made(words, special_ids, words[pad], ids["mask"], ids["unk"], left, lexicon, max_senses)

    @classmethod
    def _made(
        cls,
        words: Mapping[str, int],
        special: set[int],
        pad: int,
        mask: int | None,
        unk: int | None,
        left: bool,
        lexicon: Any,
        max_senses: int,
    ) -> TokenVocabulary:
        size = max([*words.values(), pad], default=0) + 1
        ordered = sorted(words.items(), key=lambda item: item[1])  # tokenizers give them in any order
        ids = {token: i for token, i in ordered if i not in special and i != unk}
        surfaces = word_starts(ids)
        flags = np.zeros(size, np.uint8)
        flags[sorted(special)] |= SPECIAL
        flags[[*surfaces.values(), *([unk] if unk is not None else [])]] |= START
        indptr, indices = _synonyms(surfaces, size, lexicon, max_senses)
        flags[np.diff(indptr) > 0] |= KNOWN
        ordinary = np.array(sorted(ids.values()), np.int64)
        one, two, three, four = (torch.from_numpy(table) for table in (flags, ordinary, indptr, indices))
        return cls(one, two, three, four, pad, mask, unk, left)

    def config_node(self) -> dict[str, Any]:
        """Return what stands for it in a configuration: its tables, packed."""
        tables = {name: _packed(getattr(self, name)) for name in _TABLES}
        ids = {"pad": self.pad, "mask": self.mask, "unk": self.unk, "left": self.left}
        return {"_target_": "augsynth.text.token_vocabulary.TokenVocabulary.from_config", **ids, **tables}

    @classmethod
    def from_config(
        cls,
        pad: int,
        mask: int | None,
        unk: int | None,
        left: bool,
        flags: str,
        ordinary: str,
        indptr: str,
        indices: str,
    ) -> TokenVocabulary:
        """Build one from what `config_node` wrote."""
        packed = zip(_TABLES, (flags, ordinary, indptr, indices), strict=True)
        one, two, three, four = (_unpacked(text, name) for name, text in packed)
        return cls(one, two, three, four, pad, mask, unk, left)

    @property
    def size(self) -> int:
        """How many ids there are."""
        return len(self.flags)

    @property
    def special(self) -> torch.Tensor:
        """Tell for each id `(size,)` whether it is left alone."""
        return (self.flags & SPECIAL) > 0

    @property
    def starts(self) -> torch.Tensor:
        """Tell for each id `(size,)` whether it starts a word."""
        return (self.flags & START) > 0

    def synonyms(self, token: int) -> list[int]:
        """Return the ids that may take the place of one."""
        return self.indices[int(self.indptr[token]) : int(self.indptr[token + 1])].tolist()

    def tables(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return flags, ordinary, indptr, indices on a device, where they stay."""
        found: dict[torch.device, Any] = self._placed
        if device not in found:
            own = (self.flags, self.ordinary, self.indptr, self.indices)
            found[device] = tuple(table.to(device, non_blocking=True) for table in own)
        tables: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor] = found[device]
        return tables

    @cached_property
    def _placed(self) -> dict[torch.device, Any]:
        return {}

    @cached_property
    def digest(self) -> str:
        """Name the content."""
        made = hashlib.blake2b(repr((self.pad, self.mask, self.unk, self.left)).encode(), digest_size=8)
        for table in (self.flags, self.ordinary, self.indptr, self.indices):
            made.update(len(table).to_bytes(8, "little") + table.numpy().tobytes())
        return made.hexdigest()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, TokenVocabulary) and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"TokenVocabulary({self.size} ids, {len(self.indices)} synonyms, {self.digest})"

    def __getstate__(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


def _packed(table: torch.Tensor) -> str:
    # Packed by bz2, because any build of it makes the same bytes; those of zlib differ.
    return base64.b85encode(
        bz2.compress(table.numpy().astype(table.numpy().dtype.newbyteorder("<")).tobytes())
    ).decode()


def _unpacked(text: str, name: str) -> torch.Tensor:
    dtype = np.uint8 if name == "flags" else np.int64
    try:
        data = bz2.decompress(base64.b85decode(text))
    except (ValueError, OSError) as error:
        raise ValueError(f"TokenVocabulary: {name} is no packed table ({error})") from None
    return torch.from_numpy(np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype))


def word_starts(words: Mapping[str, int]) -> dict[str, int]:
    """Return the words without their markers, and their ids, of the tokens that start a word."""
    counts = {
        mark: sum(token.startswith(mark) and token != mark for token in words) for mark in (_CONTINUES, *_MARKERS)
    }
    mark = max(counts, key=lambda m: counts[m])
    if not counts[mark]:
        return dict(words)
    if mark == _CONTINUES:
        return {token: i for token, i in words.items() if not token.startswith(mark) or token == mark}
    # "Ġ" and "▁" stand before what follows a space; a mark of punctuation does not belong to the word before it.
    bare = {token: i for token, i in words.items() if not any(map(str.isalnum, token)) and token[:1] != mark}
    return bare | {token[1:]: i for token, i in words.items() if token.startswith(mark) and token[1:]}


def _synonyms(words: Mapping[str, int], size: int, lexicon: Any, max_senses: int) -> tuple[np.ndarray, np.ndarray]:
    """Return indptr `(size + 1,)` and indices, int64, for whole words and their ids."""
    if lexicon is None:
        return np.zeros(size + 1, np.int64), np.zeros(0, np.int64)
    # Without signs of where a word starts, and numbered without a gap, a lexicon need not know tokenizers.
    ids = np.array(list(words.values()), np.int64)
    numbered = {word: number for number, word in enumerate(words)}
    found, columns = (np.asarray(part).astype(np.int64) for part in lexicon.to_csr(numbered, max_senses))
    lengths = np.zeros(size, np.int64)
    lengths[ids] = np.diff(found)
    order = np.argsort(ids, kind="stable")
    rows = [ids[columns[found[number] : found[number + 1]]] for number in order.tolist()]
    return np.concatenate([[0], np.cumsum(lengths)]), np.concatenate([np.zeros(0, np.int64), *rows])
