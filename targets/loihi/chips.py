"""The Loihi chips, read from `chips.toml`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from nmdeploy.target import Chip, Figure, Status
from quantize import MantissaExponentFormat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@lru_cache(maxsize=1)
def chips() -> Mapping[str, Chip]:
    """`loihi1` (the default) and `loihi2`, every figure with its source and status."""
    text = Path(__file__).with_name("chips.toml").read_text(encoding="utf-8")
    found = {}
    for name, entry in tomllib.loads(text).items():
        figures = {
            key: Figure(float(row["value"]), row["unit"], row["source"], Status(row["status"]))
            for key, row in entry["figures"].items()
        }
        found[name] = Chip(name, entry["title"], MappingProxyType(figures), entry["soma"])
    return MappingProxyType(found)


def subtrahend_format(chip: Chip) -> MantissaExponentFormat:
    """What the recurrent synapse of a neuron of two compartments can subtract, in weight units."""
    return MantissaExponentFormat(chip.limit("subtract_mantissa_bits"), chip.limit("subtract_exponent_bits"))
