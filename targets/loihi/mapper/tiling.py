"""Cutting a population into boxes of neurons of nearly equal size.

Equal boxes are enough: what a box uses grows with it, so the largest box decides
whether a cut is legal, and equal parts make the largest box smallest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from nmdeploy.synapses import Shape

Ranges = tuple[tuple[int, int], ...]
"""First and last-plus-one index along each axis."""
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Box:
    """A box of neurons of a population.

    Attributes:
        shape: the population's, `(C, H, W)` or `(N,)`.
        ranges: along each axis.
    """

    shape: Shape
    ranges: Ranges

    @property
    def sizes(self) -> Shape:
        """Neurons along each axis."""
        return tuple(high - low for low, high in self.ranges)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.sizes)

    @property
    def neurons(self) -> Indices:
        """Flat (row-major) indices in the order of their compartments: by row, column, then channel.

        A position's channels lie side by side, so that the synapses of a spike are runs
        of compartments, and neighbouring positions differ by a constant shift.
        """
        grid = np.arange(math.prod(self.shape), dtype=np.int64).reshape(self.shape)
        cut = grid[tuple(slice(*limits) for limits in self.ranges)]
        return (cut.transpose(1, 2, 0) if cut.ndim == 3 else cut).ravel()


@dataclass(frozen=True)
class Tiling:
    """A cut of a population into boxes, one a core.

    Attributes:
        shape: the population's.
        parts: into how many parts each axis is cut; their sizes differ by at most one.
    """

    shape: Shape
    parts: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of boxes."""
        return math.prod(self.parts)

    @property
    def largest(self) -> int:
        """Neurons of the largest box."""
        return math.prod(-(-size // count) for size, count in zip(self.shape, self.parts, strict=True))

    def ranges(self, axis: int) -> list[tuple[int, int]]:
        """The parts of one axis."""
        size, count = self.shape[axis], self.parts[axis]
        edges = [-(-size * part // count) for part in range(count + 1)]
        return list(pairwise(edges))

    @property
    def boxes(self) -> Iterator[Box]:
        """All boxes, row-major."""
        along = [self.ranges(axis) for axis in range(len(self.shape))]
        return (Box(self.shape, ranges) for ranges in product(*along))

    @cached_property
    def box_of(self) -> Indices:
        """The box of each neuron, by flat index."""
        along = [np.repeat(np.arange(n), [b - a for a, b in self.ranges(axis)]) for axis, n in enumerate(self.parts)]
        grid = np.meshgrid(*along, indexing="ij")
        return np.ravel_multi_index(tuple(grid), self.parts).ravel().astype(np.int64)


def tilings(shape: Shape, count: int) -> list[Tiling]:
    """All ways to cut `shape` into exactly `count` boxes."""
    if len(shape) == 1:
        return [Tiling(shape, (count,))] if count <= shape[0] else []
    first = [part for part in range(1, min(shape[0], count) + 1) if count % part == 0]
    return [Tiling(shape, (part, *rest.parts)) for part in first for rest in tilings(shape[1:], count // part)]
