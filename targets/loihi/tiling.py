"""Cutting a population into boxes of neurons, one box a core."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nmdeploy.synapses import Shape

Parts = tuple[int, ...]
"""Into how many parts each axis is cut."""


def tilings(shape: Shape, least: int, most: int) -> list[Parts]:
    """All ways to cut `shape` into `least` to `most` boxes, the fewest boxes first.

    Among equal numbers, channels are cut last (their neurons share inputs), and space
    nearly square comes first (fewer inputs at the borders).
    """

    def order(parts: Parts) -> tuple[int, ...]:
        space = parts[1:] or parts
        return (math.prod(parts), parts[0], max(space) - min(space), *parts)

    return sorted((parts for parts in _cuts(shape, most) if math.prod(parts) >= least), key=order)


def _cuts(shape: Shape, most: int) -> Iterator[Parts]:
    ranges = [range(1, min(size, most) + 1) for size in shape]
    return (parts for parts in product(*ranges) if math.prod(parts) <= most)


def box_of(shape: Shape, parts: Parts) -> NDArray[np.int64]:
    """The box of each neuron, flat and row-major, from 0; boxes differ by at most one along each axis."""
    along = [np.arange(size) * count // size for size, count in zip(shape, parts, strict=True)]
    grid = np.meshgrid(*along, indexing="ij")
    boxes: NDArray[np.int64] = np.ravel_multi_index(tuple(grid), parts).ravel().astype(np.int64)
    return boxes
