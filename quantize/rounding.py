"""Rounding of real numbers and of right shifts, by name."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import QuantizeError

_LARGEST = 2.0**63


class Rounding(str, Enum):
    """How a real number becomes an integer."""

    HALF_EVEN = "half-even"
    """To nearest, ties to the even neighbour (IEEE 754 default, numpy's `rint`)."""
    HALF_AWAY = "half-away"
    """To nearest, ties away from zero."""
    FLOOR = "floor"
    """Toward minus infinity (an arithmetic right shift)."""
    TOWARD_ZERO = "toward-zero"
    """Toward zero (C's cast)."""


def round_to_integer(values: NDArray[np.floating[Any]], rounding: Rounding = Rounding.HALF_EVEN) -> NDArray[np.int64]:
    """Round real `values` to int64.

    Args:
        values: real array of any shape.
        rounding: the mode.

    Returns:
        int64 array of the same shape.

    Raises:
        QuantizeError: if a value is NaN, infinite or beyond int64.
    """
    real = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(real)):
        bad = np.argwhere(~np.isfinite(real))[0]
        raise QuantizeError(f"cannot round {real[tuple(bad)]} at {tuple(int(i) for i in bad)}")
    rounded: NDArray[np.float64] = _ROUND[Rounding(rounding)](real)
    if np.any((rounded >= _LARGEST) | (rounded < -_LARGEST)):
        raise QuantizeError(f"magnitude {np.abs(rounded).max():g} does not fit int64")
    return rounded.astype(np.int64)


def _half_away(real: NDArray[np.float64]) -> NDArray[np.float64]:
    # trunc(x + 0.5) would round 0.49999999999999994 up: the sum is already inexact.
    whole = np.trunc(real)
    return whole + np.where(np.abs(real - whole) >= 0.5, np.sign(real), 0.0)


_ROUND: dict[Rounding, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    Rounding.HALF_EVEN: np.rint,
    Rounding.HALF_AWAY: _half_away,
    Rounding.FLOOR: np.floor,
    Rounding.TOWARD_ZERO: np.trunc,
}


def shift_right(values: NDArray[np.integer[Any]], bits: int, rounding: Rounding = Rounding.FLOOR) -> NDArray[np.int64]:
    """`values / 2**bits` in integers, rounded by `rounding`; a negative `bits` shifts left.

    Args:
        values: integers with magnitude below 2**62.
        bits: shift, at most 62.
        rounding: mode for the bits that fall off.

    Returns:
        int64 array of the same shape.
    """
    wide = values.astype(np.int64)
    if bits <= 0:
        return wide << np.int64(-bits)
    floor: NDArray[np.int64] = wide >> np.int64(bits)
    rest = wide - (floor << np.int64(bits))
    half = np.int64(1) << np.int64(bits - 1)
    mode = Rounding(rounding)
    if mode is Rounding.FLOOR:
        return floor
    if mode is Rounding.TOWARD_ZERO:
        up = (wide < 0) & (rest != 0)
    elif mode is Rounding.HALF_EVEN:
        up = (rest > half) | ((rest == half) & (floor & 1 == 1))
    else:
        up = (rest > half) | ((rest == half) & (wide >= 0))
    raised: NDArray[np.int64] = floor + up
    return raised
