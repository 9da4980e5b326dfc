"""Scale search: which step between integers suits an array of reals.

A scale s maps reals to integers and back: `integer = round(value / s)`,
`value ~ integer * s`. Zero is always the integer 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.errors import Choice, QuantizeError
from quantize.formats import IntegerFormat
from quantize.mantissa import MantissaExponentFormat
from quantize.rounding import Rounding, round_to_integer

Array = NDArray[Any]
Reals = NDArray[np.float64]
Format = IntegerFormat | MantissaExponentFormat
"""What reals can be brought to."""

MSE_FRACTIONS = np.arange(100, 0, -1) / 100
"""The grid of the MSE search, as shares of the scale that clips nothing."""

_WIDEST = 53
_LARGEST_EXPONENT = 1023
_SMALLEST = float(np.finfo(np.float64).tiny)


class ScaleMethod(Choice):
    """How a scale is found."""

    MAX = "max"
    """The smallest scale that clips nothing, whatever the rounding."""
    PERCENTILE = "percentile"
    """As `max`, of the values cut to a percentile of their magnitudes.

    Zeros have no say: they are exact under every scale.
    """
    MSE = "mse"
    """Least squared error of rounding and clipping, over the grid `MSE_FRACTIONS`; of equals the largest."""
    POWER_OF_TWO = "power-of-two"
    """The scale of `max` rounded up to a power of two: nothing clips, at most one bit is lost."""


def find_scale(
    values: Array,
    form: Format,
    method: ScaleMethod = ScaleMethod.MAX,
    *,
    percentile: float = 99.9,
    axis: int | None = None,
) -> float | Reals:
    """The step between integers of `form` for real `values`.

    Values that are all zero have scale 1. The scale is never below the smallest normal
    float64 (2**-1022), so subnormal values may round to 0.

    Args:
        values: reals (or integers) of any shape, at least one.
        form: the integers to reach; at most 53 bits. Its overflow rule plays no part.
        method: how to search.
        percentile: for `percentile`, above 0 and at most 100 (which is `max`).
        axis: the axis of output channels, for one scale per channel; None for one scale.

    Returns:
        A float; or, with `axis`, float64 of as many axes as `values`, all of size 1
        but `axis`, so that it broadcasts against `values`.

    Raises:
        QuantizeError: for no values, NaN or infinity, negative values and an unsigned
            format, a percentile out of range, or a format too wide.
    """
    method = ScaleMethod(method)
    real = np.asarray(values, dtype=np.float64)
    if axis is None:
        _check(real, form, percentile)
        return float(_search(real.reshape(1, -1), form, method, percentile)[0])
    if not -real.ndim <= axis < real.ndim:
        raise QuantizeError(f"axis {axis} is none of the {real.ndim} of the values")
    _check(real, form, percentile)
    channels = real.shape[axis]
    shape = [1] * real.ndim
    shape[axis] = channels
    rows = np.moveaxis(real, axis, 0).reshape(channels, -1)
    return _search(rows, form, method, percentile).reshape(shape)


def _check(real: Reals, form: Format, percentile: float) -> None:
    _check_width(form)
    if not 0 < percentile <= 100:
        raise QuantizeError(f"percentile is above 0 and at most 100, found {percentile}")
    if real.size == 0:
        raise QuantizeError("no values to find a scale for")
    _check_finite(real)
    if not form.signed and real.min() < 0:
        raise QuantizeError(f"{real.min():g} in an unsigned format")


def _check_width(form: Format) -> None:
    if form.bits > _WIDEST:
        raise QuantizeError(f"reals become integers of up to {_WIDEST} bits (what float64 holds), found {form.bits}")


def _check_finite(real: Reals) -> None:
    if not np.all(np.isfinite(real)):
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(real))[0])
        raise QuantizeError(f"cannot scale {real[index]} at {index}")


def _search(rows: Reals, form: Format, method: ScaleMethod, percentile: float) -> Reals:
    """One scale for each row of `[channels, values]`."""
    if method is ScaleMethod.PERCENTILE:
        cut = np.array([_percentile_magnitude(row, percentile) for row in rows])[:, None]
        rows = np.clip(rows, -cut, cut)
    widest = _widest_scale(rows, form)
    if method is ScaleMethod.MSE:
        found = _least_squares(rows, widest, form)
    elif method is ScaleMethod.POWER_OF_TWO:
        found = _next_power_of_two(widest)
    else:
        found = widest
    return np.where(rows.any(axis=1), np.maximum(found, _SMALLEST), 1.0)


def _percentile_magnitude(row: Reals, percentile: float) -> float:
    magnitudes = np.abs(row[row != 0])
    return float(np.percentile(magnitudes, percentile)) if magnitudes.size else 0.0


def _widest_scale(rows: Reals, form: Format) -> Reals:
    """The smallest scale of each row for which every quotient lies within the format."""
    scale = _at_most(rows.max(axis=1), form.maximum)
    if form.signed:
        scale = np.maximum(scale, _at_most(-rows.min(axis=1), -form.minimum))
    return scale


def _at_most(largest: Reals, limit: int) -> Reals:
    """The smallest s above 0 with `largest / s <= limit` in float64 (the quotient of floats may err by one ulp)."""
    reach = np.maximum(largest, 0.0)
    scale = np.maximum(reach / limit, _SMALLEST)
    np.nextafter(scale, np.inf, out=scale, where=reach / scale > limit)
    return scale


def _next_power_of_two(scale: Reals) -> Reals:
    mantissa, exponent = np.frexp(scale)
    power: Reals = np.ldexp(1.0, np.minimum(exponent - (mantissa == 0.5), _LARGEST_EXPONENT))
    return power


def _least_squares(rows: Reals, widest: Reals, form: Format) -> Reals:
    best, fraction = np.full(len(rows), np.inf), np.ones(len(rows))
    # In units of the widest scale neither squares of tiny values nor those of huge ones leave float64.
    units = rows / widest[:, None]
    for candidate in MSE_FRACTIONS:
        nearest = form.nearest(units / candidate) * candidate
        error = np.square(units - nearest).sum(axis=1)
        better = error < best
        best, fraction = np.where(better, error, best), np.where(better, candidate, fraction)
    return fraction * widest


def quantize_values(
    values: Array, scale: float | Reals, form: Format, rounding: Rounding = Rounding.HALF_EVEN
) -> Array:
    """The values of the format nearest to `values / scale`, those beyond it at its edge.

    Clipping is intended here, whatever the format's overflow rule; `count_clipped`
    tells how often it happens.

    Args:
        values: reals of any shape.
        scale: above 0; a number or an array that broadcasts against `values`.
        form: the integers to reach; at most 53 bits.
        rounding: the mode.

    Returns:
        Integers in `form.storage`, of the broadcast shape.

    Raises:
        QuantizeError: for NaN or infinite values, a scale that is not finite and above 0,
            or a format too wide.
    """
    return form.nearest(_quotient(values, scale, form), rounding).astype(form.storage)


def count_clipped(
    values: Array, scale: float | Reals, form: IntegerFormat, rounding: Rounding = Rounding.HALF_EVEN
) -> int:
    """How many of `values` round to an integer beyond `form`; arguments and errors as in `quantize_values`."""
    within = np.clip(_quotient(values, scale, form), form.minimum - 1, form.maximum + 1)
    integers = round_to_integer(within, rounding)
    return int(np.count_nonzero((integers < form.minimum) | (integers > form.maximum)))


def _quotient(values: Array, scale: float | Reals, form: Format) -> Reals:
    """`values / scale`, both checked; infinite where it is beyond float64."""
    real, step = np.asarray(values, dtype=np.float64), np.asarray(scale, dtype=np.float64)
    _check_width(form)
    if not np.all((step > 0) & np.isfinite(step)):
        raise QuantizeError("a scale is finite and above 0")
    _check_finite(real)
    with np.errstate(over="ignore"):
        quotient: Reals = real / step
    return quotient
