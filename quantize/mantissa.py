"""Integers kept as a short mantissa and an exponent, as chips keep thresholds and coupling weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import QuantizeError
from quantize.formats import Integers, smallest_dtype
from quantize.rounding import Rounding, round_to_integer, to_int64

_WIDEST = 53


@dataclass(frozen=True)
class MantissaExponentFormat:
    """The integers `mantissa * 2**exponent`, neither of them negative.

    Up to 2**mantissa_bits every integer is one of them; beyond, neighbours are at most
    2**-(mantissa_bits - 1) of their value apart, so that rounding to the nearest changes
    a value by at most 2**-mantissa_bits of it.

    Attributes:
        mantissa_bits: width of the mantissa, at least 1.
        exponent_bits: width of the exponent, at least 1.

    Raises:
        QuantizeError: if a width is below 1, or the largest value needs more than the 53
            bits that float64 holds.
    """

    mantissa_bits: int
    exponent_bits: int

    def __post_init__(self) -> None:
        if self.mantissa_bits < 1 or self.exponent_bits < 1:
            found = f"{self.mantissa_bits} and {self.exponent_bits}"
            raise QuantizeError(f"mantissa and exponent have at least 1 bit each, found {found}")
        if self.exponent_bits >= _WIDEST.bit_length() or self.bits > _WIDEST:
            found = f"{self.mantissa_bits} bits times 2**(2**{self.exponent_bits} - 1)"
            raise QuantizeError(f"the largest value has at most {_WIDEST} bits, found {found}")

    @property
    def signed(self) -> bool:
        """Whether negative values exist: they do not."""
        return False

    @property
    def minimum(self) -> int:
        """The smallest value: 0."""
        return 0

    @property
    def maximum(self) -> int:
        """The largest value: (2**mantissa_bits - 1) * 2**(2**exponent_bits - 1)."""
        return ((1 << self.mantissa_bits) - 1) << ((1 << self.exponent_bits) - 1)

    @property
    def bits(self) -> int:
        """Width of the largest value."""
        return self.maximum.bit_length()

    @property
    def storage(self) -> np.dtype[Any]:
        """The smallest numpy integer type that holds every value of the format."""
        return smallest_dtype(0, self.maximum)

    def holds(self, values: Integers) -> bool:
        """Whether every one of `values` is a mantissa times a power of two (true for no values)."""
        whole = to_int64(values)
        return bool(np.array_equal(self.nearest(np.clip(whole, -1, self.maximum + 1)), whole))

    def nearest(self, values: NDArray[Any], rounding: Rounding = Rounding.HALF_EVEN) -> NDArray[np.int64]:
        """Real `values` rounded to values of the format; those beyond it at its edge.

        Args:
            values: reals of any shape.
            rounding: how mantissas are rounded.

        Returns:
            int64 array of the same shape.

        Raises:
            QuantizeError: for NaN.
        """
        within = np.clip(np.asarray(values, dtype=np.float64), self.minimum, self.maximum)
        _, width = np.frexp(within)
        exponent = np.maximum(width.astype(np.int64) - self.mantissa_bits, 0)
        # A mantissa rounded up to 2**mantissa_bits is 2**(mantissa_bits - 1) with the next exponent.
        nearest: NDArray[np.int64] = round_to_integer(np.ldexp(within, -exponent), rounding) << exponent
        return nearest
