"""Draw and render runs of token transforms: by the compiled engine on the CPU, else as tensors, to the same ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from augsynth.compiled import kernel
from augsynth.errors import SampleError
from augsynth.program import Plan, Program, draw
from augsynth.rng import Rng
from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.transforms.token_base import Tokens
from augsynth.transforms.token_masks import TokenMask
from augsynth.transforms.token_rows import NO_LABEL, Rows

Tensor = torch.Tensor
# What an entry beside the ids has where no token of the input stands. These follow their tokens, but for the types,
# which tell the place: a word that moves into the second sentence belongs to the second sentence.
FILLS = {"labels": NO_LABEL, "word_ids": -1, "special_tokens_mask": 1, "token_type_ids": 0}
_OF_PLACES = ("token_type_ids",)


def augment_tokens(
    plan: Plan,
    batch: Mapping[str, Any],
    rng: Rng,
    strength: float = 1.0,
    *,
    follow: Mapping[str, int] | None = None,
    compiled: bool = True,
) -> dict[str, Any]:
    """Return the batch with its "input_ids" `(B, L)` edited under the keys of `rng`, and what belongs to them.

    "attention_mask" is brought up to date; without one, what is not the padding token counts. "word_ids" `(B, L)`, -1
    for none, keep the tokens of a word together. follow: entries that go with their tokens, and their values where none
    of the input's tokens stands, by default `FILLS`; `labels` only where they are whole numbers `(B, L)`.
    compiled=False: as tensors, to the same ids. Only the insertion depends on L: what does not fit is left out.
    Raises TypeError or ValueError for what is not such a batch, SampleError naming the row with an unknown id.
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength={strength} must lie in 0 to 1")
    vocabulary = vocabulary_of(plan)
    ids = _ids(batch, rng)
    followers = _followers(batch, ids, FILLS if follow is None else follow)
    returned = _check_labels(plan, batch)
    program = draw(plan, rng, np.zeros((len(rng), 2)), strength)
    if not program.ops.any() and not returned:
        return dict(batch)
    mask = batch.get("attention_mask")
    shown = ids != vocabulary.pad if mask is None else mask
    words, fixed = batch.get("word_ids"), batch.get("special_tokens_mask")
    run = _native if compiled and kernel is not None and ids.device.type == "cpu" else _by_tensors
    new, seen, source, place, labels = run(
        program, vocabulary, ids, shown, words, fixed, strength, bool(followers), rng
    )
    result = {**batch, "input_ids": new.to(ids.dtype)}
    if mask is not None:
        result["attention_mask"] = seen.to(mask.dtype)
    for name, fill in followers.items():
        result[name] = _followed(batch[name], place if name in _OF_PLACES else source, fill)
    if returned:
        result["labels"] = labels
    return result


def token_engine() -> str:
    """Name what runs on the CPU and elsewhere."""
    return "torch" if kernel is None else "native on CPU, torch elsewhere"


def rows_of(batch: Any) -> int:
    """Return how many rows of "input_ids" a batch has. Raises TypeError where it has none."""
    if not isinstance(batch, Mapping) or "input_ids" not in batch:
        names = f"the keys {', '.join(map(str, batch))}" if isinstance(batch, Mapping) else type(batch).__name__
        raise TypeError(f'a batch of tokens is a mapping with "input_ids", got {names}')
    return len(batch["input_ids"])


def vocabulary_of(plan: Plan) -> TokenVocabulary:
    """Return the vocabulary of a plan's transforms. Raises ValueError where one has none, or another."""
    if "vocabulary" not in plan.kept:
        found: dict[TokenVocabulary, str] = {}
        for leaf in plan.leaves:
            if not isinstance(leaf.transform, Tokens):
                raise TypeError(f"{leaf.name}: {type(leaf.transform).__name__} is no transform of tokens")
            if leaf.transform.vocabulary is None:
                raise ValueError(f"{leaf.name}: give vocabulary=TokenVocabulary.of(tokenizer), or use TokenCollator")
            found.setdefault(leaf.transform.vocabulary, leaf.name)
        if len(found) != 1:
            raise ValueError(f"{' and '.join(found.values()) or 'no transform'}: one vocabulary is needed for all")
        plan.kept["vocabulary"] = next(iter(found))
    kept: TokenVocabulary = plan.kept["vocabulary"]
    return kept


def _ids(batch: Mapping[str, Any], rng: Rng) -> Tensor:
    rows_of(batch)
    ids = batch["input_ids"]
    if not isinstance(ids, Tensor) or ids.dtype.is_floating_point or ids.dtype in (torch.bool, torch.complex64):
        what = str(ids.dtype) if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"input_ids must be a tensor of whole numbers (B, L), got {what}")
    if ids.ndim != 2 or not ids.numel():
        raise ValueError(f"input_ids must be (B, L) with at least one token, got {tuple(ids.shape)}")
    if len(ids) != len(rng):
        raise ValueError(f"{len(rng)} keys for {len(ids)} rows of input_ids")
    for name in ("attention_mask", "word_ids", "special_tokens_mask"):
        value = batch.get(name)
        if value is None:
            continue
        if not isinstance(value, Tensor) or value.shape != ids.shape:
            what = str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"{name} must be a tensor {tuple(ids.shape)} as input_ids, got {what}")
        if value.device != ids.device:
            raise ValueError(f"{name} is on {value.device}, input_ids on {ids.device}")
    return ids.detach()


def _followers(batch: Mapping[str, Any], ids: Tensor, follow: Mapping[str, int]) -> dict[str, int]:
    found = {}
    for name, fill in follow.items():
        value = batch.get(name)
        if not isinstance(value, Tensor):
            continue
        if name == "labels" and (value.ndim != 2 or value.dtype.is_floating_point):
            continue  # of sequences
        if value.shape[:2] != ids.shape:
            raise ValueError(
                f"{name} {tuple(value.shape)} does not belong to the tokens {tuple(ids.shape)}; if it is not meant to, "
                "leave it out of follow="
            )
        found[name] = fill
    return found


def _check_labels(plan: Plan, batch: Mapping[str, Any]) -> bool:
    makers = [n.name for n in plan.leaves if isinstance(n.transform, TokenMask) and n.transform.return_labels]
    if makers and "labels" in batch:
        raise ValueError(f"{makers[0]}: return_labels=True, and the batch has labels already; leave one of them out")
    return bool(makers)


def _followed(values: Tensor, source: Tensor, fill: int) -> Tensor:
    shape = (*source.shape, *[1] * (values.ndim - 2))
    index = source.clamp(0).view(shape).expand(values.shape)
    return torch.where(source.view(shape) < 0, fill, values.gather(1, index)).to(values.dtype)


def _by_tensors(
    program: Program,
    vocabulary: TokenVocabulary,
    ids: Tensor,
    mask: Tensor,
    words: Tensor | None,
    fixed: Tensor | None,
    strength: float,
    followed: bool,
    rng: Rng,
) -> tuple[Tensor, ...]:
    ids, device = ids.to(torch.int64), ids.device
    if device.type == "cpu":
        strange = ((ids < 0) | (ids >= vocabulary.size)).any(1)
        if strange.any():
            _refuse(ids, int(strange.nonzero()[0]), vocabulary, rng)
    rows = Rows.of(vocabulary, ids, mask.to(torch.int64), words, fixed)
    for slot in range(program.plan.width):
        codes, key = program.ops[:, slot], program.params[:, slot, :2]
        for code in sorted(set(codes.tolist()) - {0}):
            leaf = program.plan.leaves[code - 1].transform
            active = torch.from_numpy(codes == code)[:, None]
            if device.type == "cuda":
                active = active.pin_memory().to(device, non_blocking=True)
            assert isinstance(leaf, Tokens)
            rows = leaf.render(rows, key, active, strength)
    return rows.ids, rows.mask, rows.source, rows.place, rows.labels


def _native(
    program: Program,
    vocabulary: TokenVocabulary,
    ids: Tensor,
    mask: Tensor,
    words: Tensor | None,
    fixed: Tensor | None,
    strength: float,
    followed: bool,
    rng: Rng,
) -> tuple[Tensor, ...]:
    # The kernel writes into these.
    new, seen = (_copied(values) for values in (ids, mask))
    given = [None if values is None else values.to(torch.int64).contiguous() for values in (words, fixed)]
    places = torch.arange(ids.shape[1]).expand(ids.shape).contiguous() if followed else None
    source = None if places is None else places.clone()
    labels = torch.full(ids.shape, NO_LABEL) if _labelled(program.plan) else None
    tensors = (new, seen, *given, source, places, labels)
    arrays = np.array([0 if values is None else values.data_ptr() for values in tensors], np.int64)
    (ops, lengths), book = _instructions(program.plan, strength), _book(vocabulary)
    codes, params = np.ascontiguousarray(program.ops, np.int64), np.ascontiguousarray(program.params)
    size = params.shape[-1]
    row = kernel.tokens(arrays, *ids.shape, ops, lengths, codes, params, program.plan.width, size, book)
    if row >= 0:
        _refuse(ids, row, vocabulary, rng)
    return new, seen, source, places, labels  # type: ignore[return-value]


def _copied(values: Tensor) -> Tensor:
    return torch.empty(values.shape, dtype=torch.int64).copy_(values)


def _labelled(plan: Plan) -> bool:
    return any(isinstance(n.transform, TokenMask) and n.transform.return_labels for n in plan.leaves)


def _instructions(plan: Plan, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a row of whole numbers for each leaf, as TokenOp in native/tokens.h, and the lengths they refer to."""
    last, found = plan.kept.get("tokens", (None, None))  # of the last strength: a schedule has thousands
    if last != strength:
        rows, lengths = [], np.zeros(0, np.int64)
        for leaf in plan.leaves:
            assert isinstance(leaf.transform, Tokens)
            own = *leaf.transform.scaled(strength), *leaf.transform.instruction()
            rows.append((leaf.transform.code, *own, len(lengths), len(leaf.transform.lengths)))
            lengths = np.append(lengths, leaf.transform.lengths)
        found = np.array(rows, np.int64), lengths
        plan.kept["tokens"] = strength, found  # in one piece, so that threads may share a pipeline
    return found  # type: ignore[no-any-return]


def _book(vocabulary: TokenVocabulary) -> np.ndarray:
    """Return addresses and numbers, as TokenBook in native/tokens.h; the vocabulary holds the tables."""
    tables = (vocabulary.flags, vocabulary.ordinary, vocabulary.indptr, vocabulary.indices)
    numbers = vocabulary.size, len(vocabulary.ordinary), vocabulary.pad, vocabulary.mask or 0, vocabulary.left
    return np.array([*(table.data_ptr() for table in tables), *numbers], np.int64)


def _refuse(ids: Tensor, row: int, vocabulary: TokenVocabulary, rng: Rng) -> None:
    strange = ids[row][(ids[row] < 0) | (ids[row] >= vocabulary.size)][0]
    raise SampleError(
        f"sample {row} (index {rng.index[row]}): the id {int(strange)} is not in the vocabulary of {vocabulary.size}"
    )
