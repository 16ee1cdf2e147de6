"""What made a synthetic sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

import augsynth


@dataclass(frozen=True)
class Provenance:
    """Enough to make the sample again: `load(checkpoint).generate([label], seed, index=[index], epoch=epoch)`.

    truncation, where it is not 1, and attributes are to be given too.

    generator: class name. checkpoint: `weights_hash` of its weights. version: of augsynth.
    attributes: what it was asked to be besides its label, if anything.
    seed and epoch are None for a sample that was drawn with a fresh key, which nobody can repeat.
    """

    generator: str
    checkpoint: str
    seed: int | None
    index: int
    epoch: int | None
    label: int
    version: str = augsynth.__version__
    attributes: Mapping[str, float] | None = None
    truncation: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict of plain values, without attributes and truncation where there are none."""
        fields = asdict(self)
        if self.attributes is None:
            del fields["attributes"]
        if self.truncation == 1:
            del fields["truncation"]
        return fields

    def to_json(self) -> str:
        """Return the fields as one line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Provenance:
        """Build from what `to_dict` gave."""
        return cls(**fields)


def weights_hash(state: Mapping[str, Any]) -> str:
    """Return 16 hex digits of the SHA-256 over the names, types, shapes and bytes of a state dict's tensors."""
    digest = hashlib.sha256()
    _update(digest, state)
    return digest.hexdigest()[:16]


def _update(digest: Any, state: Mapping[str, Any]) -> None:
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        if isinstance(value, Mapping):
            _update(digest, value)
        elif isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(value).encode())
