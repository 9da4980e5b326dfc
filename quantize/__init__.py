"""Integers: formats, rounding, scales and accumulator bounds. Needs numpy only."""

from quantize.bounds import Bound, Interval, exact, linear_bound, matrix_bound
from quantize.errors import OutOfRange, QuantizeError
from quantize.formats import FixedPointFormat, IntegerFormat, Overflow, smallest_dtype
from quantize.mantissa import MantissaExponentFormat
from quantize.rounding import Rounding, round_to_integer, shift_right, to_int64
from quantize.scales import MSE_FRACTIONS, Format, ScaleMethod, count_clipped, find_scale, quantize_values

__all__ = [
    "MSE_FRACTIONS",
    "Bound",
    "FixedPointFormat",
    "Format",
    "IntegerFormat",
    "Interval",
    "MantissaExponentFormat",
    "OutOfRange",
    "Overflow",
    "QuantizeError",
    "Rounding",
    "ScaleMethod",
    "count_clipped",
    "exact",
    "find_scale",
    "linear_bound",
    "matrix_bound",
    "quantize_values",
    "round_to_integer",
    "shift_right",
    "smallest_dtype",
    "to_int64",
]
