"""Which transform of which library is which: for every class of the registry a `Pair`, or the reason why there is none.

The list is the registry's: a class without an entry is reported as "no peer", and a class whose name another library
has too but which is in neither table fails a test.
"""

from __future__ import annotations

import pairs_colors
import pairs_effects
import pairs_moves
from pair import Pair

from augsynth.transforms import REGISTRY

NO_PEER = "no peer: neither torchvision v2 nor albumentations nor kornia has it"
WHY_NONE = {
    "SolarizeAdd": "no peer: kornia has it inside its policies only",
    # These mix whole batches, with labels: not a change to an image.
    "MixUp": "no peer per image: a batch and its labels are mixed",
    "CutMix": "no peer per image: a batch and its labels are mixed",
    "Mosaic": "no peer per image: a batch and its labels are mixed",
}


def pairs(side: int) -> dict[str, Pair]:
    """Return all pairs for images of `side` pixels squared, by class name; ", part" follows where there are several."""
    return {**pairs_moves.pairs(side), **pairs_colors.pairs(), **pairs_effects.pairs(side)}


def listing(side: int) -> dict[str, Pair | str]:
    """Return for every class of the registry, in its order, its pairs, or in words why there is none."""
    table = pairs(side)
    found: dict[str, Pair | str] = {}
    for name in REGISTRY:
        own = {key: pair for key, pair in table.items() if key.split(",")[0] == name}
        found |= own or {name: WHY_NONE.get(name, NO_PEER)}
    return found
