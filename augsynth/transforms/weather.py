"""Weather and light: fog, rain, snow, shadows, uneven illumination."""

from __future__ import annotations

__all__: list[str] = []
