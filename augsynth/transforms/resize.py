"""Resizing by rules, padding to shapes, and crops that follow from the image's size."""

from __future__ import annotations

__all__: list[str] = []
