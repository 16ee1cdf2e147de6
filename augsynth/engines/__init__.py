"""Engines render fused runs: `opencv` on the CPU, `torch` anywhere."""
