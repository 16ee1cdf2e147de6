"""Filters: blur, sharpness, compression and what else looks at a pixel's neighbours."""

from __future__ import annotations

__all__: list[str] = []
