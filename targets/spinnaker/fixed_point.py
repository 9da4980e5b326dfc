"""The chip's `accum` arithmetic: signed 32-bit integers that count 1/32768 (s16.15), in which everything wraps.

Every function takes and returns raw integers. They are computed in int64, wide enough for each
intermediate result, and brought back to 32 bits explicitly. The operations are those of
sPyNNaker 7.4.1's neuron binaries (`common/maths-util.h`, ISO/IEC TR 18037 fixed point of the ARM
compiler): products round toward minus infinity, quotients toward zero, nothing saturates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize import FixedPointFormat, IntegerFormat, Overflow

Integers = NDArray[np.int64]
Operand = int | NDArray[Any]

FRACTION_BITS = 15
ONE = 1 << FRACTION_BITS
"""1.0 as a raw accum."""
ACCUM = IntegerFormat(32, overflow=Overflow.WRAP)
"""What every sum and product is brought back to."""
LARGEST, SMALLEST = ACCUM.maximum, ACCUM.minimum

_ENCODED = FixedPointFormat(IntegerFormat(32), FRACTION_BITS)


def raw(values: float | NDArray[np.floating[Any]]) -> Any:
    """Real values as the host writes them: value * 32768, rounded half to even.

    Args:
        values: a number or an array.

    Returns:
        An int for a number, an int64 array for an array.

    Raises:
        OutOfRange: for values that 32 bits do not hold.
        QuantizeError: for NaN and infinities.
    """
    encoded = _ENCODED.encode(np.asarray(values, dtype=np.float64))
    return encoded if isinstance(values, np.ndarray) else int(encoded)


def real(integers: Operand) -> Any:
    """The real values of raw accums, exact: `raw(real(x)) == x`."""
    return integers / ONE


def wrap(values: Operand) -> Integers:
    """The low 32 bits of int64 values, as signed numbers; the values themselves where all of them fit."""
    wide = np.asarray(values, dtype=np.int64)
    return wide if ACCUM.holds(wide) else np.asarray(ACCUM.apply(wide), dtype=np.int64)


def multiply(left: Operand, right: Operand) -> Integers:
    """left * right: the product's bits from 15 on (floor), wrapped."""
    if np.ndim(right) == 0 and right == ONE:  # R = 1 is common; same values, less work
        return wrap(left)
    product = np.multiply(left, right, dtype=np.int64)
    return wrap(np.right_shift(product, FRACTION_BITS))


def divide(dividend: Operand, divisor: Operand) -> Integers:
    """`kdivk`: dividend / divisor, rounded toward zero, wrapped; the divisor is not 0."""
    scaled = np.left_shift(dividend, FRACTION_BITS, dtype=np.int64)
    quotient = np.abs(scaled) // np.abs(np.asarray(divisor, dtype=np.int64))
    return wrap(np.sign(scaled) * np.sign(divisor) * quotient)


def scale(values: Operand, fraction: Operand) -> Integers:
    """values * fraction / 2**32 (floor): an accum times an unsigned 32-bit fraction (u0.32), as when a synapse decays.

    The magnitude does not grow, so nothing wraps.
    """
    return np.asarray(np.multiply(values, fraction, dtype=np.int64) >> 32)
