"""Tones, functions of one channel value: posterize, solarize, equalize, gamma and their kin."""

from __future__ import annotations

__all__: list[str] = []
