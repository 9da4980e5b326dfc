"""The Loihi chips, read from `chips.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from nmdeploy.chip_file import read_chips
from nmdeploy.target import Chip
from quantize import MantissaExponentFormat


@lru_cache(maxsize=1)
def chips() -> Mapping[str, Chip]:
    """`loihi1` (the default) and `loihi2`, every figure with its source and status."""
    return read_chips(Path(__file__).with_name("chips.toml"))


def subtrahend_format(chip: Chip) -> MantissaExponentFormat:
    """What the recurrent synapse of a neuron of two compartments can subtract, in weight units."""
    return MantissaExponentFormat(chip.limit("subtract_mantissa_bits"), chip.limit("subtract_exponent_bits"))
