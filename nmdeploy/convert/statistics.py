"""What is kept of a layer's activations, in bounded memory however many there are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_DROPPED_BITS = 12
_BINS = 1 << (31 - _DROPPED_BITS)
RESOLUTION = 2.0 ** (_DROPPED_BITS - 23)
"""Relative width of a bin (0.05 %): a percentile is exact or too large by at most this."""


class Distribution:
    """A histogram of rectified values over the leading 20 bits of float32 (4 MB).

    Floats of one sign sort like their bit patterns, so cutting bits off makes bins of
    equal relative width. The counts do not depend on the order of the values.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self.largest = 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count finite values; those below 0 count as 0."""
        # abs also turns -0.0 into 0.0, whose bit pattern is 0.
        rectified = np.abs(np.maximum(values, np.float32(0))).ravel()
        bins = rectified.view(np.uint32) >> np.uint32(_DROPPED_BITS)
        self._counts += np.bincount(bins, minlength=_BINS)
        self.largest = max(self.largest, float(rectified.max(initial=0.0)))

    def percentile(self, percent: float) -> float:
        """The smallest value that at least `percent` % of the counted values do not exceed.

        Rounded up within `RESOLUTION`, never above the largest value; 100 gives the
        largest value exactly. Values below the smallest normal float32 (1.2e-38) may count as 0.
        """
        total = int(self._counts.sum())
        rank = max(1, math.ceil(percent * total / 100 - 1e-9))
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        if index == 0:
            return 0.0
        upper = np.array([((index + 1) << _DROPPED_BITS) - 1], dtype=np.uint32).view(np.float32)[0]
        return min(float(upper), self.largest)


class ActiveUnits:
    """Which units of a layer are ever above 0: channels of a convolution, neurons of a dense layer."""

    def __init__(self) -> None:
        self._active: NDArray[np.bool_] | None = None

    def add(self, values: NDArray[np.float32]) -> None:
        """Look at activations `[N, *shape]`."""
        active: NDArray[np.bool_] = np.logical_or.reduce(values > 0, axis=(0, *range(2, values.ndim)))
        if self._active is not None:
            active |= self._active
        self._active = active

    def silence(self) -> str:
        """Half a sentence on those that never are; empty when all are, or nothing was seen."""
        if self._active is None or self._active.all():
            return ""
        silent, units = int(np.count_nonzero(~self._active)), self._active.size
        if silent == units:
            return "never active on the calibration data"
        return f"{silent} of {units} channels ({silent / units:.0%}) never active on the calibration data"
