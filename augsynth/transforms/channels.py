"""More of colour: channel order and dropout, shifts, sepia, colour temperature."""

from __future__ import annotations

__all__: list[str] = []
