"""Class labels of a batch as vectors that can be mixed: where they stand in a sample, how they are read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from augsynth.batch import Path, describe, entries_of, is_pil, target_class
from augsynth.finding import Rules, get_entry, put_entries
from augsynth.transforms.base import Array

# The names under which a sample has its class.
CLASS_KEYS = ("label", "labels", "target", "targets", "y", "class")
Place = tuple[Any, ...]
_NUMBERS = (int, float, np.number, torch.Tensor, np.ndarray)


def find_label(sample: Any, image: Path, rules: Rules) -> Place | None:
    """Return where a sample, or a batch as one sample, has its class label; None where it has none.

    `keys` says so; else a dict or named tuple has it under one of `CLASS_KEYS`, and a pair beside the image. `labels`
    beside boxes are theirs. Raises TypeError where several entries could be it.
    """
    if image is None:
        return None
    if rules.keys is not None:
        named = rules.keys.items() if isinstance(rules.keys, Mapping) else enumerate(rules.keys)
        found = [(path,) for path, name in named if name == "label"]
    else:
        found = list(_named(sample, (), image, rules))
        if not found and not isinstance(sample, Mapping) and len(sample) == 2:
            other = next((name, value) for i, (name, value) in enumerate(entries_of(sample)) if image not in (name, i))
            found = [(other[0],)] if _is_label(other[1]) else []
    if len(found) > 1:
        names = " and ".join(repr(".".join(map(str, place))) for place in found)
        raise TypeError(f"{names} may be the label in {describe(sample)}; say which with keys=")
    return found[0] if found else None


def _named(container: Any, path: Place, image: Path, rules: Rules) -> Iterator[Place]:
    entries = entries_of(container)
    roles = [rules.role(name, i, value, not path) for i, (name, value) in enumerate(entries)]
    for position, ((name, value), role) in enumerate(zip(entries, roles, strict=True)):
        if (not path and image in (name, position)) or role in ("mask", "boxes", "keypoints"):
            continue
        at = (*path, name)
        if isinstance(value, Mapping):
            yield from _named(value, at, image, rules)
        elif isinstance(value, (list, tuple)) and value and all(isinstance(part, Mapping) for part in value):
            for row, part in enumerate(value):
                if next(_named(part, (row,), image, rules), None):
                    raise TypeError(
                        f"entry {at[0]!r} holds a class label per image in dicts of their own; give the labels of a "
                        "batch as one entry of the batch"
                    )
        elif name in CLASS_KEYS and not ("boxes" in roles and name in rules.label_keys) and _is_label(value):
            yield at


def _is_label(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and all(_is_label(part) for part in value)
    return isinstance(value, _NUMBERS) and not target_class(value) and not is_pil(value)


@dataclass(eq=False)
class SoftLabels:
    """The labels of B samples: places, in each of the user's samples; values `(B, K)` or `(B,)` floats.

    batched: one entry has them all. arrays: they came as numpy arrays and go so.
    """

    places: Sequence[Place]
    values: torch.Tensor
    batched: bool
    arrays: bool

    @classmethod
    def of(
        cls,
        samples: Sequence[Any],
        places: Sequence[Place],
        index: Sequence[int],
        count: int | None,
        num_classes: int | None,
        name: str,
    ) -> SoftLabels:
        """Read the labels. name: of the transform that needs them, for errors. count: as in `find_targets`.

        Raises TypeError or ValueError naming sample and key for what is no label, and where num_classes is missing.
        """
        found = [get_entry(sample, place) for sample, place in zip(samples, places, strict=True)]
        key = repr(".".join(map(str, places[0])))
        if count is None:
            parts = [_tensor(value, f"sample {i} (index {int(index[i])}): {key}") for i, value in enumerate(found)]
            if len({(part.shape, part.is_floating_point()) for part in parts}) > 1:
                raise ValueError(f"{key} is not alike in all samples: {describe(found[0])} in the first; {_WANTED}")
            values = torch.stack(parts)
        else:
            values = _tensor(found[0], key)
            if values.ndim == 0 or len(values) != count:
                raise ValueError(
                    f"{key} is {describe(found[0])} in a batch of {count} images; give one entry per image"
                )
        if not values.is_floating_point():
            values = _one_hot(values, index, key, num_classes, name)
        return cls(places, values, count is not None, isinstance(found[0], np.ndarray))

    def mix(self, shares: torch.Tensor, sources: torch.Tensor) -> None:
        """Replace the label of each sample by a mean of the labels `sources (B, n)`, weighted by `shares (B, n)`."""
        values = self.values.to(torch.promote_types(self.values.dtype, torch.float32))
        shares = shares.to(values.dtype).reshape(*shares.shape, *(1,) * (values.ndim - 1))
        mixed = shares[:, 0] * values[sources[:, 0]]
        for k in range(1, shares.shape[1]):
            mixed = mixed + shares[:, k] * values[sources[:, k]]
        self.values = mixed.to(self.values.dtype)

    def put(self, holder: int, sample: Any) -> Any:
        """Return the user's sample number `holder` with its soft label, or with all of them where it is the batch."""
        value: Any = self.values if self.batched else self.values[holder]
        return put_entries(sample, {self.places[holder]: value.numpy() if self.arrays else value})


_WANTED = "a label is a class number, or numbers for all classes (soft, float)"


def _tensor(value: Any, where: str) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(value).detach() if _is_label(value) else None
    except (ValueError, TypeError, RuntimeError):
        tensor = None
    if tensor is None or tensor.dtype == torch.bool or tensor.is_complex():
        raise TypeError(f"{where} is {describe(value)}; {_WANTED}")
    return tensor.as_subclass(torch.Tensor)


def _one_hot(labels: torch.Tensor, index: Sequence[int], key: str, num_classes: int | None, name: str) -> torch.Tensor:
    """Return `(B, num_classes)` float32. On a device nothing waits to look: what is no class gives a row of NaN."""
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1:
        shape = " x ".join(map(str, labels.shape))
        raise TypeError(f"{key} has integers of shape {shape}; {_WANTED}")
    if num_classes is None:
        raise ValueError(f"{name}: num_classes is needed, for {key} holds class numbers; give {name}(num_classes=...)")
    known = (labels >= 0) & (labels < num_classes)
    if labels.device.type == "cpu" and not bool(known.all()):
        row = int((~known).int().argmax())
        raise ValueError(
            f"sample {row} (index {int(index[row])}): {key} is {int(labels[row])}; with num_classes={num_classes} of "
            f"{name}, classes go from 0 to {num_classes - 1}"
        )
    vectors = (labels[:, None] == torch.arange(num_classes, device=labels.device)).to(torch.float32)
    return vectors if labels.device.type == "cpu" else torch.where(known[:, None], vectors, torch.nan)


def upload(array: Array, device: torch.device) -> torch.Tensor:
    """Return an array on a device; the host does not wait for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
