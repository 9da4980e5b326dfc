"""Loihi 1 and 2: arithmetic, design rules, mapping, conformance with Lava 0.10.0."""

from targets.loihi.target import LoihiTarget

TARGET = LoihiTarget()

__all__ = ["TARGET"]
