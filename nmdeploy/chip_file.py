"""Chips of a family from its `chips.toml`: every figure with unit, source and status."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from nmdeploy.target import Chip, Figure, Status

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_chips(path: Path) -> Mapping[str, Chip]:
    """The chips of a file that ships with its target, by name, in the file's order.

    A chip is a table of `title`, `soma` and `figures`; a figure a table of `value`, `unit`,
    `source` and `status` (see `Status`).
    """
    found = {}
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        figures = {
            key: Figure(float(row["value"]), row["unit"], row["source"], Status(row["status"]))
            for key, row in entry["figures"].items()
        }
        found[name] = Chip(name, entry["title"], MappingProxyType(figures), entry["soma"])
    return MappingProxyType(found)
