"""What the populations are called that exact mode puts beside a hidden one."""

from __future__ import annotations


def gate_of(name: str) -> str:
    """The input population that opens the gate of a hidden one."""
    return f"{name}.gate"


def drive_of(name: str) -> str:
    """The input population that drives a hidden one."""
    return f"{name}.drive"


def sum_of(name: str) -> str:
    """The population that sums for a hidden one, on chips where that takes two."""
    return f"{name}.sum"
