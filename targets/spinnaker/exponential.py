"""The chip's exponential: a table for the whole part, a table for sixteenths, a parabola for the rest.

Stated after `spinn_common`'s `stdfix-exp.c` (D. Lester, University of Manchester), which the neuron
binaries of sPyNNaker contain. It is not correctly rounded, so `math.exp` cannot stand in: it is off
by up to 1 LSB of an accum and some 5,300 LSB of a 32-bit fraction. Here it is for arguments of 0
and below, the only ones that time constants give.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.spinnaker.fixed_point import FRACTION_BITS, ONE, Integers, Operand

CUT_OFF = -340_695
"""Raw accum below which the result is 0: e**-10.397 < 2**-15."""

_WHOLE = 14
"""Entries for e**0 to e**-13."""
_SIXTEENTHS = 16
_CONSTANT, _LINEAR, _QUADRATIC = 5_294, 4_293_434_720, 2_081_624_032
"""Coefficients fitted to 1 - e**-x over 0 <= x < 1/16, in 2**-32 (`__exp_series` of stdfix-exp.c)."""
_ACCUM_SHIFT = 32 - FRACTION_BITS


def _in_u032(exponents: list[Decimal], *, complement: bool) -> NDArray[np.uint64]:
    """e**x, or 1 - e**x, in units of 2**-32, rounded to nearest."""
    exact = Context(prec=60, rounding=ROUND_HALF_EVEN)
    powers = [exact.exp(exponent) for exponent in exponents]
    chosen = [1 - power for power in powers] if complement else powers
    return np.array([int((value * 2**32).to_integral_value(ROUND_HALF_EVEN)) for value in chosen], dtype=np.uint64)


_EXP_WHOLE = _in_u032([Decimal(-k) for k in range(_WHOLE)], complement=False)
_LOSS_SIXTEENTH = _in_u032([Decimal(-k) / _SIXTEENTHS for k in range(_SIXTEENTHS)], complement=True)


def exp_accum(argument: Operand) -> Integers:
    """`expk`: e**argument as a raw accum, for raw accums of at most 0."""
    return _exp(argument, _ACCUM_SHIFT)


def exp_fraction(argument: Operand) -> Integers:
    """`expulr`: e**argument in units of 2**-32, for raw accums of at most 0; e**0 overflows to 0."""
    return _exp(argument, 0) & np.int64((1 << 32) - 1)


def _exp(argument: Operand, shift: int) -> Integers:
    given = np.asarray(argument, dtype=np.int64)
    if np.any(given > 0):
        raise ValueError(f"the exponential is stated for arguments of at most 0, found {given.max()}")
    # At least one axis: numpy before 2.0 turns uint64 scalars into reals when they meet an int.
    flat = np.maximum(given, CUT_OFF).reshape(-1)
    whole, rest = np.divmod(-flat, ONE)
    value = _EXP_WHOLE[whole]
    value -= _share(value, _LOSS_SIXTEENTH[rest >> 11])
    low = (rest & 0x7FF).astype(np.uint64) << np.uint64(17)
    # A whole argument is read from the table alone: the parabola is not 0 at 0.
    value -= np.where(rest > 0, _share(value, _loss(low)), np.uint64(0))
    found = (value >> np.uint64(shift)).astype(np.int64).reshape(given.shape)
    return np.where(given < CUT_OFF, 0, found)


def _share(value: NDArray[Any], fraction: NDArray[Any]) -> NDArray[np.uint64]:
    """value * fraction / 2**32, rounded up from 0x7FFFFFFF / 2**32 on (`scale64` of spinn_common's `utils.h`)."""
    product = value * fraction
    rounds_up = (product & np.uint64(0xFFFFFFFF)) >= np.uint64(0x7FFFFFFF)
    rounded: NDArray[np.uint64] = (product >> np.uint64(32)) + rounds_up.astype(np.uint64)
    return rounded


def _loss(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """1 - e**-x in 2**-32, by the parabola; each product is cut off below 2**-32."""
    linear = np.uint64(_LINEAR) - (np.uint64(_QUADRATIC) * x >> np.uint64(32))
    return (linear * x >> np.uint64(32)) + np.uint64(_CONSTANT)
