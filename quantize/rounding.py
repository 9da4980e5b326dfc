"""Rounding of real numbers and of right shifts, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import Choice, QuantizeError

_LARGEST = 2.0**63
_WIDEST_SHIFT = 62


class Rounding(Choice):
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
    rounded: NDArray[np.float64] = np.asarray(_ROUND[Rounding(rounding)](real))
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


def to_int64(values: NDArray[Any]) -> NDArray[np.int64]:
    """Integers of any type as int64, value for value.

    Raises:
        QuantizeError: for real numbers, and for unsigned values of 2**63 and above.
    """
    if values.dtype.kind not in "iub":
        raise QuantizeError(f"integers are needed, found {values.dtype}")
    if values.dtype == np.uint64 and values.size and int(values.max()) >= 1 << 63:
        raise QuantizeError(f"{int(values.max())} does not fit int64")
    return values.astype(np.int64)


def shift_right(values: NDArray[np.integer[Any]], bits: int, rounding: Rounding = Rounding.FLOOR) -> NDArray[np.int64]:
    """`values / 2**bits` in integers, rounded by `rounding`; a negative `bits` shifts left.

    Args:
        values: integers.
        bits: the shift, -62 to 62.
        rounding: mode for the bits that fall off.

    Returns:
        int64 array of the same shape.

    Raises:
        QuantizeError: for a longer shift, or if a left shift leaves int64.
    """
    if abs(bits) > _WIDEST_SHIFT:
        raise QuantizeError(f"a shift is at most {_WIDEST_SHIFT} bits, found {bits}")
    wide = to_int64(values)
    if bits <= 0:
        return _shift_left(wide, -bits)
    floor = np.asarray(wide >> np.int64(bits))
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
    return np.asarray(floor + up)


def _shift_left(wide: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    limit = np.iinfo(np.int64)
    if wide.size and not limit.min >> bits <= int(wide.min()) <= int(wide.max()) <= limit.max >> bits:
        raise QuantizeError(f"a left shift by {bits} bits leaves int64 (values {wide.min()} to {wide.max()})")
    return np.asarray(wide << np.int64(bits))
