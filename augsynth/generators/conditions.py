"""What a sample is asked to be: its class, and named attributes beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

# Of a continuous attribute: the value itself, and sines and cosines of so many half turns, for what is not linear.
_WAVES = (1, 2, 4)
Range = tuple[float, float]


class Conditions:
    """A class label, and attributes that are categories or numbers.

    attributes: name -> how many categories, an int of at least 2; or the (low, high) of a number.
    width: of the encoded conditions.
    """

    def __init__(self, num_classes: int, attributes: Mapping[str, Any] | None, who: str) -> None:
        self.num_classes, self.who = num_classes, who
        self.attributes = {str(name): self._checked(name, kind) for name, kind in (attributes or {}).items()}
        self.width = num_classes + sum(
            kind if isinstance(kind, int) else 1 + 2 * len(_WAVES) for kind in self.attributes.values()
        )

    def encode(self, labels: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Map labels `(B,)` and attributes `(B, A)`, categories as whole numbers, to `(B, width)` floats."""
        parts = [F.one_hot(labels, self.num_classes).float()]
        for column, kind in enumerate(self.attributes.values()):
            value = values[:, column]
            if isinstance(kind, int):
                parts.append(F.one_hot(value.long(), kind).float())
            else:
                unit = (value - kind[0]) / (kind[1] - kind[0])
                turns = [math.pi * wave * unit for wave in _WAVES]
                waves = [function(turn) for turn in turns for function in (torch.sin, torch.cos)]
                parts.append(torch.stack([2 * unit - 1, *waves], 1).float())
        return torch.cat(parts, 1)

    def value(self, name: str, given: Any, where: str) -> float:
        """Return one value as a float. Raises: ValueError or TypeError that name the sample and what is allowed."""
        kind = self.attributes[name]
        if isinstance(given, torch.Tensor) and given.numel() == 1:
            given = given.item()
        try:
            found = float(given)
        except (TypeError, ValueError):
            raise TypeError(f"{where}: attribute {name}={given!r} must be a number") from None
        if isinstance(kind, int):
            if found != int(found) or not 0 <= found < kind:
                raise ValueError(f"{where}: attribute {name}={given!r} must be a category, 0 to {kind - 1}")
        elif not kind[0] <= found <= kind[1]:
            raise ValueError(f"{where}: attribute {name}={given!r} must lie in {kind[0]:g} to {kind[1]:g}")
        return found

    def check_names(self, given: Mapping[str, Any]) -> None:
        """Raise ValueError for an attribute that was not declared."""
        unknown = [name for name in given if name not in self.attributes]
        if unknown:
            known = ", ".join(self.attributes) or "none"
            raise ValueError(f"generate: {', '.join(unknown)}: this {self.who} has the attributes {known}")

    def _checked(self, name: Any, kind: Any) -> int | Range:
        if isinstance(kind, int) and not isinstance(kind, bool) and kind >= 2:
            return kind
        if not isinstance(kind, str) and hasattr(kind, "__len__") and len(kind) == 2:
            low, high = float(kind[0]), float(kind[1])
            if math.isfinite(low) and math.isfinite(high) and low < high:
                return low, high
        raise ValueError(
            f"{self.who}: attributes[{name!r}]={kind!r} must be a number of categories, 2 or more, or (low, high)"
        )
