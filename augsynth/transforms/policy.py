"""Automatic policies, drawn per sample: RandAugment, TrivialAugmentWide, AutoAugment, AugMix."""

from __future__ import annotations

__all__: list[str] = []
