"""The best map from spike rates to activations: a gain and an offset for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_OBSERVATIONS = 20
"""A channel seen at fewer places and samples than this shares the layer's gain, with no offset."""

GAIN_RANGE = (0.3, 3.0)
"""A channel's gain lies within this range of the layer's; rarely active channels would otherwise run away."""


@dataclass(frozen=True, eq=False)
class Fit:
    """activation = gain * rate + offset, by least squares.

    Attributes:
        gain, offset: float64 `[C]`; all alike where one gain serves the layer.
        layer_gain: the gain that is best for the layer as a whole, without offsets.
        error: mean square of what the map leaves of the activations.
        relative_error: root of `error` over the root mean square of the activations; 0 where those are all 0.
    """

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    layer_gain: float
    error: float
    relative_error: float


def fit_rates(
    rates: NDArray[Any],
    activations: NDArray[Any],
    *,
    per_channel: bool = True,
    offsets: bool = True,
    gains: bool = True,
) -> Fit:
    """Fit rates to activations.

    Args:
        rates: spikes per input step, `[N, C, places]`.
        activations: what they stand for, of the same shape.
        per_channel: whether each channel has its own gain and offset.
        offsets: whether channels may have offsets (a chip without biases cannot add them).
        gains: whether there may be gains; else all are 1.
    """
    x, y = rates.astype(np.float64), activations.astype(np.float64)
    squares = float(np.sum(x * x))
    layer_gain = float(np.sum(x * y)) / squares if squares and gains else 1.0
    gain, offset = np.full(x.shape[1], layer_gain), np.zeros(x.shape[1])
    if per_channel and not gains:
        offset = np.mean(y - x, axis=(0, 2)) if offsets else offset
    elif per_channel:
        gain, offset = _by_channel(x, y, layer_gain, offsets)
    error = float(np.mean(np.square(gain[:, None] * x + offset[:, None] - y)))
    scale = float(np.mean(y * y))
    return Fit(gain, offset, layer_gain, error, (error / scale) ** 0.5 if scale else 0.0)


def _by_channel(
    x: NDArray[np.float64], y: NDArray[np.float64], layer_gain: float, offsets: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gain and offset of each channel: the regression line, through the origin without offsets."""
    none = np.zeros(x.shape[1])
    x_rest, y_rest = (x.mean(axis=(0, 2)), y.mean(axis=(0, 2))) if offsets else (none, none)
    centred = x - x_rest[:, None]
    variance = np.mean(np.square(centred), axis=(0, 2))
    slope = np.full_like(variance, layer_gain)
    np.divide(np.mean(centred * (y - y_rest[:, None]), axis=(0, 2)), variance, out=slope, where=variance > 0)
    gain = np.clip(slope, GAIN_RANGE[0] * layer_gain, GAIN_RANGE[1] * layer_gain)
    return gain, y_rest - gain * x_rest
