"""The range of real inputs that encoders map to rates 0..1, and its check."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import DataError, UsageError

TOLERANCE = 1e-6
"""Share of the range's width by which values may lie outside it and are clipped: float32
data that was normalised (mean and deviation) misses its exact limits by rounding."""


def check_limits(low: float, high: float, where: str) -> None:
    """Raise UsageError unless `low` and `high` are finite and in order."""
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError("an input range is two finite numbers, the lower first", where=where, found=(low, high))


def check_samples(samples: NDArray[Any], where: str) -> None:
    """Raise DataError unless `samples` is a set of real, finite values that is not empty."""
    if samples.dtype.kind not in "buif":
        raise DataError("samples are numbers", where=where, found=str(samples.dtype))
    if samples.ndim < 2 or samples.size == 0:
        raise DataError("there are no samples", where=where, found=f"shape {samples.shape}", limit="[N, *shape]")
    if not np.all(np.isfinite(samples)):
        count = int(samples.size - np.isfinite(samples).sum())
        raise DataError("samples hold NaN or infinite values", where=where, found=f"{count} of {samples.size}")


def check_range(samples: NDArray[Any], low: float, high: float, where: str) -> None:
    """Raise DataError unless `samples` is a set of finite values in `low..high`.

    Args:
        samples: `[N, *shape]`, numbers of any type.
        low, high: the input range; `TOLERANCE` of its width is allowed beyond it.
        where: who asks, for error messages.
    """
    check_samples(samples, where)
    smallest, largest = float(samples.min()), float(samples.max())
    slack = TOLERANCE * (high - low)
    if smallest < low - slack or largest > high + slack:
        raise DataError(
            "samples leave the input range",
            where=where,
            found=f"{smallest:g}..{largest:g}",
            limit=f"{low:g}..{high:g}",
            hint="scale the data, or give the same wider range to the conversion (input_range=) and "
            "to the encoder (low=, high=)",
        )


def unit_values(samples: NDArray[Any], low: float, high: float, where: str) -> NDArray[np.float64]:
    """(samples - low) / (high - low) in float64, clipped to 0..1; checked by `check_range`.

    Only subtraction, division and clipping in IEEE double precision are used, so the
    result is the same on every machine.
    """
    check_range(samples, low, high, where)
    unit = (samples.astype(np.float64) - low) / (high - low)
    return np.clip(unit, 0.0, 1.0)
