"""Layers that every framework has, as operations of the graph."""

from __future__ import annotations

import numpy as np

from nmdeploy.ann.graph import Linear
from nmdeploy.linear_maps import Array, Padding
from nmdeploy.synapses import Conv2d, OneToOne


def batch_norm(gamma: Array | None, beta: Array | None, mean: Array, variance: Array, eps: float, rank: int) -> Linear:
    """Batch normalization at inference (Ioffe and Szegedy 2015): gamma (x - mean) / sqrt(variance + eps) + beta.

    The factors are computed in float64 and rounded to float32 once.

    Args:
        gamma, beta: `[C]`; None means 1 and 0.
        mean, variance: running statistics `[C]`.
        eps: added to the variance.
        rank: axes of the layer's input without samples: 1 for `(C,)`, 3 for `(C, H, W)`.
    """
    ones, zeros = np.ones(len(mean)), np.zeros(len(mean))
    scale = (ones if gamma is None else gamma) / np.sqrt(variance.astype(np.float64) + eps)
    shift = (zeros if beta is None else beta) - mean * scale
    shape = (-1, *[1] * (rank - 1))
    return Linear(OneToOne(scale.reshape(shape).astype(np.float32)), shift.reshape(shape).astype(np.float32))


def scale(factor: float) -> Linear:
    """One factor for all values; after a `SumPool2d`, 1/area makes it an average pool."""
    return Linear(OneToOne(np.array([factor], dtype=np.float32)))


def zero_padding(channels: int, padding: Padding) -> Linear:
    """Zeros around images, as a depthwise identity with padding (top, bottom, left, right)."""
    weight = np.ones((channels, 1, 1, 1), dtype=np.float32)
    return Linear(Conv2d(weight, padding=padding, groups=channels))
