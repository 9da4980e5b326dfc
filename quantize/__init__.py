"""Integers: formats, rounding, scales and accumulator bounds. Needs numpy only."""

from quantize.errors import OutOfRange, QuantizeError
from quantize.formats import FixedPointFormat, IntegerFormat, Overflow, smallest_dtype
from quantize.rounding import Rounding, round_to_integer, shift_right

__all__ = [
    "FixedPointFormat",
    "IntegerFormat",
    "OutOfRange",
    "Overflow",
    "QuantizeError",
    "Rounding",
    "round_to_integer",
    "shift_right",
    "smallest_dtype",
]
