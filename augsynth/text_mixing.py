"""Batches of texts that are mixed, and their labels with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from augsynth.program import Plan, draw
from augsynth.rng import Rng
from augsynth.soft_labels import SoftLabels
from augsynth.text.document import Document
from augsynth.text.stream import Stream
from augsynth.transforms.textmix import TextCutMix, next_in_order


def mix_texts(
    transform: TextCutMix, texts: Sequence[str], rng: Rng, strength: float = 1.0, name: str = "text_cut_mix"
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return mixed texts, the weights `(B,)` of their own labels and their partners `(B,)`, positions in the batch.

    name: of the transform in its pipeline, on which its numbers depend. A batch of one stays as it is.
    """
    plan = Plan.of({name: transform})
    program = draw(plan, rng, np.zeros((len(rng), 2)), strength)
    partners, weights = next_in_order(rng, name), np.ones(len(rng))
    rows = np.flatnonzero((program.ops[:, 0] > 0) & (partners != np.arange(len(rng)))).tolist()
    finished = [Document(text) for text in texts]
    documents, others = [Document(texts[row]) for row in rows], [finished[row] for row in partners[rows].tolist()]
    streams = [Stream((int(first), int(second))) for first, second in program.params[rows, 0].tolist()]
    weights[rows] = transform.mix(documents, others, streams, strength)
    result = list(texts)
    for row, document in zip(rows, documents, strict=True):
        result[row] = document.finish()
    return result, weights, partners


def mix_labels(
    labels: Any, weights: np.ndarray, partners: np.ndarray, rng: Rng, num_classes: int | None, name: str
) -> torch.Tensor:
    """Return soft labels `(B, K)` of labels, ints `(B,)` or floats, on their device. Raises as `SoftLabels.of`."""
    soft = SoftLabels.of([{"label": labels}], [("label",)], rng.index.tolist(), len(rng), num_classes, name)
    shares = np.stack([weights, 1.0 - weights], 1)
    sources = np.stack([np.arange(len(partners)), partners], 1)
    device = soft.values.device
    soft.mix(torch.from_numpy(shares).to(device), torch.from_numpy(sources).to(device))
    return soft.values


def cut_mix_texts(
    transform: TextCutMix,
    texts: Sequence[str],
    labels: Any,
    rng: Rng,
    strength: float = 1.0,
    name: str = "text_cut_mix",
) -> tuple[list[str], torch.Tensor]:
    """Mix a batch of texts and its labels."""
    mixed, weights, partners = mix_texts(transform, texts, rng, strength, name)
    return mixed, mix_labels(labels, weights, partners, rng, transform.num_classes, name)
