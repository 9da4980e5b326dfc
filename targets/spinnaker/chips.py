"""The chips of the family, read from `chips.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from nmdeploy.chip_file import read_chips
from nmdeploy.target import Chip


@lru_cache(maxsize=1)
def chips() -> Mapping[str, Chip]:
    """The chips by name, the default first, every figure with its source and status."""
    return read_chips(Path(__file__).with_name("chips.toml"))
