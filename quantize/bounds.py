"""Static accumulator bounds: what a sum of weighted spikes can reach, proven before anything runs.

For integer weights w and inputs x_i in l_i..u_i, the sum `w . x` lies in::

    lower = sum_{w>0} w*l + sum_{w<0} w*u        upper = sum_{w>0} w*u + sum_{w<0} w*l

and both ends are attained. No partial sum, in any order of summation, is larger in
magnitude than `sum |w| * max(|l|, |u|)`. (Interval arithmetic: R. E. Moore, Interval
Analysis, Prentice-Hall 1966.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import QuantizeError
from quantize.formats import IntegerFormat, Overflow

Array = NDArray[Any]
LinearMap = Callable[[Array, Array], Array]
"""`(weights, values [N, *inputs]) -> [N, *outputs]`: linear in both, computed in their common type.

Called with float64, int64 or Python integers (object arrays).
"""

_END_OF_INT64 = 1 << 63


@dataclass(frozen=True)
class Interval:
    """The integers from `minimum` to `maximum`, both included; exact, of any size.

    Raises:
        QuantizeError: if `minimum` is above `maximum`.
    """

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise QuantizeError(f"an interval from {self.minimum} to {self.maximum} is empty")

    def __str__(self) -> str:
        return f"{self.minimum}..{self.maximum}"

    def __add__(self, other: Interval) -> Interval:
        """All sums of a member of each."""
        return Interval(self.minimum + other.minimum, self.maximum + other.maximum)

    def __mul__(self, weight: int) -> Interval:
        """All members times one integer weight."""
        ends = (self.minimum * weight, self.maximum * weight)
        return Interval(min(ends), max(ends))

    def __or__(self, other: Interval) -> Interval:
        """The smallest interval around both."""
        return Interval(min(self.minimum, other.minimum), max(self.maximum, other.maximum))

    @property
    def magnitude(self) -> int:
        """The largest absolute value."""
        return max(abs(self.minimum), abs(self.maximum))

    @property
    def bits(self) -> int:
        """Width of the narrowest signed format that holds the interval, sign included; at least 2."""
        return max(2, 1 + max((value if value >= 0 else ~value).bit_length() for value in (self.minimum, self.maximum)))

    def fits(self, form: IntegerFormat) -> bool:
        """Whether `form` holds every member."""
        return form.minimum <= self.minimum and self.maximum <= form.maximum


@dataclass(frozen=True, eq=False)
class Bound:
    """Proven ranges of an array of integers.

    Attributes:
        lower, upper: smallest and largest value of each element, of the same shape;
            int64, or Python integers in an object array where int64 may be too small.
        magnitude: nothing met on the way, partial sums in any order included, is larger in magnitude.
    """

    lower: Array
    upper: Array
    magnitude: int

    @property
    def interval(self) -> Interval:
        """The range over all elements."""
        return Interval(int(self.lower.min()), int(self.upper.max()))

    def __add__(self, other: Bound) -> Bound:
        """The ranges of element-wise sums."""
        magnitude = self.magnitude + other.magnitude
        lower, upper = (exact(end, magnitude) for end in (self.lower, self.upper))
        return Bound(lower + other.lower, upper + other.upper, magnitude)

    def times_power_of_two(self, exponent: int) -> Bound:
        """The ranges after `2**exponent`, and their magnitude alone; a negative exponent shifts right and floors."""
        if exponent < 0:
            return _ends(self.lower >> -exponent, self.upper >> -exponent)
        lower, upper = (exact(end, self.magnitude << exponent) for end in (self.lower, self.upper))
        return _ends(lower << exponent, upper << exponent)

    def within(self, form: IntegerFormat) -> Bound:
        """The ranges after `form.apply`, by its overflow rule, and their magnitude alone.

        Saturation cuts both ends. Wrapping keeps a range that fits, and makes the whole
        format of one that does not. Where the rule is `raise`, what is beyond never comes out.
        """
        if form.overflow is Overflow.WRAP:
            fits = (self.lower >= form.minimum) & (self.upper <= form.maximum)
            ends = (np.where(fits, self.lower, form.minimum), np.where(fits, self.upper, form.maximum))
        else:
            ends = (np.clip(self.lower, form.minimum, form.maximum), np.clip(self.upper, form.minimum, form.maximum))
        return _ends(*(end.astype(np.int64) for end in ends))


def _ends(lower: Array, upper: Array) -> Bound:
    return Bound(lower, upper, Interval(int(lower.min()), int(upper.max())).magnitude)


def exact(integers: Array, magnitude: int) -> Array:
    """`integers` in a type in which numbers up to `magnitude` are exact: int64, else Python's own."""
    return integers.astype(np.int64 if magnitude < _END_OF_INT64 else object)


def matrix_bound(matrix: Array, lower: int | Array, upper: int | Array) -> Bound:
    """The proven range of each element of `matrix @ x`.

    Args:
        matrix: integer weights `[outputs, inputs]`.
        lower, upper: smallest and largest value of each input, `[inputs]` or one number for all.

    Returns:
        `lower` and `upper` are `[outputs]`, exact, and attained.

    Raises:
        QuantizeError: for weights or ranges that are not integers, an empty matrix or an empty range.
    """
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise QuantizeError(f"a matrix is [outputs, inputs], none of them empty; found shape {matrix.shape}")
    try:
        ends = [np.broadcast_to(end, matrix.shape[1:]) for end in (lower, upper)]
    except ValueError:
        raise QuantizeError(f"input ranges do not match {matrix.shape[1]} inputs") from None
    return linear_bound(lambda weight, values: values @ weight.T, matrix, ends[0], ends[1])


def linear_bound(apply: LinearMap, weight: Array, lower: Array, upper: Array) -> Bound:
    """The proven range of each output of any map that is linear in weights and values.

    Args:
        apply: the map, for example `lambda w, x: x @ w.T`; each output adds products
            of one weight and one value.
        weight: its integer weights.
        lower, upper: smallest and largest value of each input, integers `[*inputs]`.

    Returns:
        Ranges `[*outputs]`, exact.

    Raises:
        QuantizeError: for weights or ranges that are not integers, or an empty range.
    """
    if any(array.dtype.kind not in "iuO" for array in (weight, lower, upper)):
        raise QuantizeError("bounds are proven for integers only")
    if np.any(lower > upper):
        raise QuantizeError("the range of an input is empty: its lower end is above its upper end")

    def largest_sum(kind: type[Any]) -> Any:
        reach = np.maximum(np.abs(lower.astype(kind)), np.abs(upper.astype(kind)))
        return apply(np.abs(weight.astype(kind)), reach[None]).max()

    kind = _exact_kind(float(largest_sum(np.float64)))
    ends, wide = np.stack([lower, upper]).astype(kind), weight.astype(kind)
    sums = apply(np.maximum(wide, 0), ends) + apply(np.minimum(wide, 0), ends[::-1])
    low, high = sums if kind is object else sums.astype(np.int64)
    return Bound(low, high, int(largest_sum(kind)))


def _exact_kind(magnitude: float) -> type[Any]:
    """The type in which sums are exact, given their largest magnitude as summed in float64.

    Sums of n non-negative terms err by a share of about n * 2**-53, so below half of
    2**53 and of 2**63 it is certain that every integer on the way fits.
    """
    if magnitude < 2.0**52:
        return np.float64
    return np.int64 if magnitude < 2.0**62 else object
