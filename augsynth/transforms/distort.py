"""Distortions that are no homography: elastic, grid and optical."""

from __future__ import annotations

__all__: list[str] = []
