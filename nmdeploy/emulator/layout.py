"""Neurons in a row: kernels count them channels last, everybody else as the population's shape says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.synapses import Shape

Array = NDArray[Any]


def to_channels_last(values: Array, shape: Shape) -> Array:
    """`[..., *shape]` as `[..., neurons]`, channels last."""
    moved = values if len(shape) == 1 else np.moveaxis(values, -3, -1)
    return moved.reshape(*values.shape[: values.ndim - len(shape)], -1)


def to_channels_first(values: Array, shape: Shape) -> Array:
    """`[..., neurons or more]`, channels last, as `[..., *shape]` (a view)."""
    kept = values[..., : int(np.prod(shape))]
    if len(shape) == 1:
        return kept
    return np.moveaxis(kept.reshape(*values.shape[:-1], *shape[1:], shape[0]), -1, -3)
