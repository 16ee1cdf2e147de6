"""Texts mixed with others of their batch: words pasted from one into the other, embeddings averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.rng import Rng, slot_id
from augsynth.text.characters import IDEOGRAPH, KIND, SPACE
from augsynth.text.document import Document
from augsynth.text.stream import Stream
from augsynth.transforms.base import Array, Leaf, is_number
from augsynth.transforms.fields import key_words
from augsynth.transforms.text import Text

__all__ = ["EmbeddingMixUp", "TextCutMix"]


@dataclass(frozen=True, kw_only=True)
class TextCutMix(Leaf):
    """Paste words of another text of the batch over words of each, and mix labels by their share.

    CutMix (arXiv:1905.04899) on one axis. alpha: above 0, of the Beta(alpha, alpha) distribution of the share of words
    that stay, before it is rounded to whole words; labels take the rounded share. num_classes: needed where labels are
    integers. What is written together, such as an address, is one word here; a text without words stays as it is.
    """

    alpha: float = 1.0
    num_classes: int | None = None
    p: float = 1.0

    word: ClassVar[str] = "text mix"
    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        _check(self.alpha, self.num_classes, type(self).__name__)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two key words, from which the numbers of a text come."""
        return key_words(u)

    def mix(
        self, documents: Sequence[Document], partners: Sequence[Document], streams: Sequence[Stream], strength: float
    ) -> Array:
        """Edit each document by its partner; return the weights `(B,)` of its own label."""
        u = np.array([stream.uniform() for stream in streams])
        rows = zip(documents, partners, streams, (strength * _beta(u, self.alpha)).tolist(), strict=True)
        return np.array([_paste(*row) for row in rows], np.float64)


def _paste(document: Document, partner: Document, stream: Stream, share: float) -> float:
    own, other = chunks(document), chunks(partner)
    number = min(int(share * len(own) + 0.5), len(other))
    first, source = stream.integer(len(own) - number + 1), stream.integer(len(other) - number + 1)
    if not number:
        return 1.0
    text = partner.text[other[source][0] : other[source + number - 1][1]]
    document.replace(own[first][0], own[first + number - 1][1], text)
    return 1.0 - number / len(own)


def chunks(document: Document) -> list[tuple[int, int]]:
    """Return the words, those that no space parts as one; each ideograph is one."""
    found: list[tuple[int, int]] = []
    kinds = [entry & KIND for entry in document.classes]
    for start, end in document.words:
        between = kinds[found[-1][1] : start] if found else [SPACE]
        alone = SPACE in between or kinds[start] == IDEOGRAPH or kinds[found[-1][0]] == IDEOGRAPH
        found.append((start, end) if alone else (found.pop()[0], end))
    return found


@dataclass(frozen=True, kw_only=True)
class EmbeddingMixUp:
    """Average embeddings of words, or of sentences, with those of another sample. Source: arXiv:1905.08941.

    For the forward pass of a model: `mixup(embeddings, labels, mask)`; on any device, differentiable. alpha: above 0,
    of the Beta(alpha, alpha) distribution of the weight. num_classes: needed where labels are integers.
    """

    alpha: float = 1.0
    num_classes: int | None = None

    def __post_init__(self) -> None:
        _check(self.alpha, self.num_classes, type(self).__name__)

    def __call__(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        mask: torch.Tensor | None = None,
        *,
        index: Any = None,
        epoch: Any = 0,
        seed: int = 0,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return mixed embeddings `(B, L, D)` or `(B, D)`, soft labels `(B, K)` and the union of the masks `(B, L)`.

        mask: of its dtype, 0 for padding, whose embeddings count as zeros. index: the samples', whose numbers are then
        a function of (seed, epoch, index), as in a pipeline; else fresh ones are drawn from torch's generator.
        """
        size = len(embeddings)
        rng = Rng.fresh(size) if index is None else Rng.of(seed, index, epoch)
        if not len(rng) == len(labels) == size:
            raise ValueError(f"{size} embeddings, {len(labels)} labels and {len(rng)} indices are of different batches")
        weight = _beta(rng.uniform("embedding_mix_up"), self.alpha)[:, 0]
        partner = _to(next_in_order(rng, "embedding_mix_up.order"), embeddings.device)
        own = _to(weight, embeddings.device)
        soft = _soft(labels, self.num_classes)
        if mask is not None:
            if mask.shape != embeddings.shape[:2]:
                raise ValueError(f"mask is {tuple(mask.shape)} for embeddings of {tuple(embeddings.shape)}")
            embeddings = embeddings * (mask != 0)[..., None]
            mask = torch.maximum(mask, mask[partner]) if mask.dtype != torch.bool else mask | mask[partner]
        return _averaged(embeddings, partner, own), _averaged(soft, partner, own), mask


def next_in_order(rng: Rng, name: str) -> Array:
    """Return each sample's partner `(B,)`: the next in an order by keyed numbers, whatever the batch's order is."""
    words = rng.words([slot_id(name)], [0])
    order = np.argsort(words[:, 0] << np.uint64(32) | words[:, 1], kind="stable")
    partner = np.empty(len(order), np.int64)
    partner[order] = np.roll(order, -1)
    return partner


def _averaged(values: torch.Tensor, partner: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    weight = own.to(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))
    return weight * values + (1 - weight) * values[partner]


def _to(array: Array, device: torch.device) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _soft(labels: torch.Tensor, num_classes: int | None) -> torch.Tensor:
    """Return labels as `(B, K)` floats. On a device nothing waits to look: what is no class gives a row of NaN."""
    if labels.is_floating_point():
        return labels
    if labels.ndim != 1 or num_classes is None:
        raise ValueError(
            f"EmbeddingMixUp: labels are {tuple(labels.shape)} of {labels.dtype}; give class numbers (B,) with "
            "num_classes=, or floats (B, K)"
        )
    known = (labels >= 0) & (labels < num_classes)
    if labels.device.type == "cpu" and not bool(known.all()):
        row = int((~known).int().argmax())
        raise ValueError(
            f"EmbeddingMixUp: sample {row} has the label {int(labels[row])}; with num_classes={num_classes}, classes "
            f"go from 0 to {num_classes - 1}"
        )
    vectors = (labels[:, None] == torch.arange(num_classes, device=labels.device)).to(torch.float32)
    return torch.where(known[:, None], vectors, torch.nan)


def _check(alpha: Any, num_classes: Any, name: str) -> None:
    if not (is_number(alpha) and alpha > 0):
        raise ValueError(f"{name}: alpha={alpha!r} is not valid; expected a number above 0")
    if num_classes is None:
        return
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 1:
        raise ValueError(f"{name}: num_classes={num_classes!r} is not valid; expected None or an int above 0")


def _beta(u: Array, alpha: float) -> Array:
    """Turn uniforms into draws of Beta(alpha, alpha) by the inverse of its distribution."""
    if alpha == 1:
        return u
    from scipy.special import betaincinv

    return np.asarray(betaincinv(alpha, alpha, u))


def text_mix_of(transforms: Mapping[str, Any]) -> str | None:
    """Return the name of the transform that mixes texts, None without one.

    Raises ValueError where there are two, or where it stands inside a combination or before another transform of text.
    """
    names = [name for name, transform in transforms.items() if isinstance(transform, TextCutMix)]
    if len(names) > 1:
        raise ValueError(f"{names[1]}: a pipeline mixes texts once, this is the second time")
    for name, transform in transforms.items():
        if any(isinstance(part, TextCutMix) for part in transform.parts().values()):
            raise ValueError(f"{name}: TextCutMix stands by itself, behind the other transforms of text; give it a p")
    behind = list(transforms)[list(transforms).index(names[0]) + 1 :] if names else []
    if late := [name for name in behind if isinstance(transforms[name], Text)]:
        raise ValueError(f"{late[0]} stands behind {names[0]}, which mixes finished texts; put it before")
    return names[0] if names else None
