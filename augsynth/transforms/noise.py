"""Noise of many kinds, keyed by the draw."""

from __future__ import annotations

__all__: list[str] = []
