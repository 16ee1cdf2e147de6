"""Whose name a transform has: torchvision's, albumentations', or one of our own."""

from __future__ import annotations

import os


def origin(name: str) -> str:
    """Return "torchvision" or "albumentations" where that library has a class of this name, else "".

    Where both have, the answer is torchvision, whose arguments ours then has.
    """
    from torchvision.transforms import v2

    if isinstance(getattr(v2, name, None), type):
        return "torchvision"
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return "albumentations" if isinstance(getattr(albumentations, name, None), type) else ""
