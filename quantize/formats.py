"""Integer and fixed-point number formats, and what happens at their edges.

A format is data: width, sign and an explicit decision about overflow. Nothing in
nmdeploy leaves that decision to numpy or C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import Choice, OutOfRange, QuantizeError
from quantize.rounding import Rounding, round_to_integer, to_int64

Integers = NDArray[np.integer[Any]]

_WIDEST = 63
_LARGEST_EXPONENT = 1022
_END_OF_INT64 = 2.0**63


class Overflow(Choice):
    """What a format does with a value beyond its range."""

    WRAP = "wrap"
    """Modulo 2**bits: two's complement, the carry is lost."""
    SATURATE = "saturate"
    """The nearest representable value."""
    RAISE = "raise"
    """An error: the value must never occur."""


@dataclass(frozen=True)
class IntegerFormat:
    """Integers of `bits` bits, two's complement when `signed`.

    Attributes:
        bits: width in bits, sign included; 1 to 63, and at least 2 when signed.
        signed: whether negative values exist.
        overflow: what happens to values beyond the range.

    Raises:
        QuantizeError: if the width is not one that int64 arithmetic can carry.
    """

    bits: int
    signed: bool = True
    overflow: Overflow = Overflow.RAISE

    def __post_init__(self) -> None:
        least = 2 if self.signed else 1
        if not least <= self.bits <= _WIDEST:
            raise QuantizeError(f"a {self.word} format has {least} to {_WIDEST} bits, found {self.bits}")
        object.__setattr__(self, "overflow", Overflow(self.overflow))

    @property
    def word(self) -> str:
        """`signed` or `unsigned`."""
        return "signed" if self.signed else "unsigned"

    @property
    def minimum(self) -> int:
        """The smallest value: -2**(bits-1), or 0."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """The largest value: 2**(bits-1) - 1, or 2**bits - 1."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def storage(self) -> np.dtype[Any]:
        """The smallest numpy integer type that holds every value of the format."""
        return smallest_dtype(self.minimum, self.maximum)

    def holds(self, values: Integers) -> bool:
        """Whether every one of `values` is in range (true for no values)."""
        return bool(values.size == 0 or (int(values.min()) >= self.minimum and int(values.max()) <= self.maximum))

    def nearest(self, values: NDArray[Any], rounding: Rounding = Rounding.HALF_EVEN) -> NDArray[np.int64]:
        """Real `values` rounded to integers of the format; those beyond it at its edge, whatever its overflow rule.

        Args:
            values: reals of any shape; exact for formats of up to 53 bits.
            rounding: the mode.

        Returns:
            int64 array of the same shape.

        Raises:
            QuantizeError: for NaN.
        """
        within = np.clip(np.asarray(values, dtype=np.float64), self.minimum - 1, self.maximum + 1)
        return np.asarray(np.clip(round_to_integer(within, rounding), self.minimum, self.maximum))

    def apply(self, values: Integers) -> Integers:
        """`values` brought into the format by its overflow rule.

        Args:
            values: integers of any shape and integer dtype, each of them in int64.

        Returns:
            int64 array of the same shape, every element in range.

        Raises:
            OutOfRange: if the rule is `raise` and a value is out of range; the
                message names the first offending index.
            QuantizeError: for real numbers and integers beyond int64.
        """
        wide = to_int64(values)
        if self.overflow is Overflow.SATURATE:
            return np.asarray(np.clip(wide, self.minimum, self.maximum))
        if self.overflow is Overflow.WRAP:
            return self._wrap(wide)
        if not self.holds(wide):
            raise OutOfRange(wide, self.minimum, self.maximum, f"{self.word} {self.bits}-bit integers")
        return wide

    def _wrap(self, wide: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keep the low bits, then extend the sign; never leaves int64, even at 63 bits."""
        kept = wide & np.int64((1 << self.bits) - 1)
        if not self.signed:
            return np.asarray(kept)
        sign = np.int64(1 << (self.bits - 1))
        return np.asarray((kept ^ sign) - sign)


@dataclass(frozen=True)
class FixedPointFormat:
    """Numbers `integer * 2**-fraction_bits`, the integer in `integer_format`.

    Example: SpiNNaker's accum is s16.15, `FixedPointFormat(IntegerFormat(32), 15)`.

    Attributes:
        integer_format: width, sign and overflow of the stored integer.
        fraction_bits: number of bits behind the binary point; may be negative
            (a step larger than one).

    Raises:
        QuantizeError: if the step is no normal float64 (beyond 2**-1022 to 2**1022).
    """

    integer_format: IntegerFormat
    fraction_bits: int

    def __post_init__(self) -> None:
        if abs(self.fraction_bits) > _LARGEST_EXPONENT:
            raise QuantizeError(f"fraction_bits is at most {_LARGEST_EXPONENT} either way, found {self.fraction_bits}")

    @property
    def step(self) -> float:
        """The value of one unit in the last place."""
        return float(2.0**-self.fraction_bits)

    def encode(self, values: NDArray[np.floating[Any]], rounding: Rounding = Rounding.HALF_EVEN) -> Integers:
        """The stored integers (int64) of real `values`.

        Raises:
            QuantizeError: for NaN or infinite values, and for values that leave int64
                in a format that does not saturate.
            OutOfRange: when the integer format raises on overflow.
        """
        real = np.asarray(values, dtype=np.float64)
        if not np.all(np.isfinite(real)):
            raise QuantizeError("cannot encode NaN or infinite values")
        with np.errstate(over="ignore"):
            scaled = np.ldexp(real, self.fraction_bits)
        if self.integer_format.overflow is not Overflow.SATURATE:
            return self.integer_format.apply(round_to_integer(scaled, rounding))
        within = np.clip(scaled, -_END_OF_INT64, np.nextafter(_END_OF_INT64, 0))
        integers = self.integer_format.apply(round_to_integer(within, rounding))
        return np.where(scaled >= _END_OF_INT64, self.integer_format.maximum, integers)

    def decode(self, integers: Integers) -> NDArray[np.float64]:
        """The real values of stored `integers` (exact up to 53 bits)."""
        return integers.astype(np.float64) * self.step


def smallest_dtype(minimum: int, maximum: int) -> np.dtype[Any]:
    """The smallest numpy integer dtype that holds `minimum` to `maximum`, unsigned only from 0 on.

    Raises:
        QuantizeError: if not even 64 bits suffice.
    """
    names = ("uint8", "uint16", "uint32", "uint64") if minimum >= 0 else ("int8", "int16", "int32", "int64")
    for name in names:
        info = np.iinfo(name)
        if info.min <= minimum and maximum <= info.max:
            return np.dtype(name)
    raise QuantizeError(f"no numpy integer holds {minimum} to {maximum}")
