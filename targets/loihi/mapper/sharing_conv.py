"""Shared lists of convolutions, from their geometry alone.

A source position's synapses into a box are a set of rows times a set of columns times
the channels of the box: (output row, vertical tap) pairs and (output column, horizontal
tap) pairs. Two sources of one channel share a list when their rows agree up to a shift
and their columns do; the lists of a box are then counted by kinds of rows and columns,
not synapse by synapse.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Conv2d, Shape, SumPool2d
from nmdeploy.target import Chip
from targets.loihi.mapper.resources import Counts, ListCoding
from targets.loihi.mapper.sharing import ListUse, SynapseLists
from targets.loihi.mapper.tiling import Box, Tiling

Reach = tuple[tuple[int, int], ...]
"""(output relative to the first one reached, tap) pairs along one axis, outputs ascending."""
Reaches = tuple[tuple[Reach, int], ...]
"""Kinds of reach with the number of source rows (or columns) of each kind."""


Taps = tuple[Counts, Counts]
"""For rows and for columns, `[outputs, sources]`: 1 + the tap that joins them, or 0."""


def kernel_of(projection: Projection, source: Shape) -> tuple[Conv2d, Taps] | None:
    """The convolution that ends a chain of pools, and which of its taps join which rows and columns.

    None for other chains, and where a pair is joined more than once (overlapping pools).
    """
    *pools, last = projection.synapses or (None,)
    if not isinstance(last, Conv2d):
        return None
    disjoint = [
        pool
        for pool in pools
        if isinstance(pool, SumPool2d) and all(s >= k for s, k in zip(pool.steps, pool.kernel, strict=True))
    ]
    if len(disjoint) < len(pools):
        return None
    shapes = projection.shapes(source)
    return last, (_taps(disjoint, last, shapes, 0), _taps(disjoint, last, shapes, 1))


def _taps(pools: list[SumPool2d], conv: Conv2d, shapes: list[Shape], axis: int) -> Counts:
    cell = np.arange(shapes[0][1 + axis])
    for pool, shape in zip(pools, shapes[1:], strict=False):
        window, inside = np.divmod(cell + pool.padding[2 * axis], pool.steps[axis])
        lost = (cell < 0) | (inside >= pool.kernel[axis]) | (window >= shape[1 + axis])
        cell = np.where(lost, -1, window)
    outputs = np.arange(shapes[-1][1 + axis])[:, None]
    tap, between = np.divmod(cell + conv.padding[2 * axis] - outputs * conv.stride[axis], conv.dilation[axis])
    legal = (cell >= 0) & (between == 0) & (tap >= 0) & (tap < conv.weight.shape[2 + axis])
    return np.where(legal, tap + 1, 0)


def used_taps(conv: Conv2d, taps: Taps) -> NDArray[np.bool_]:
    """`[kernel rows, kernel columns]`: the taps that join anything."""
    rows, columns = (np.isin(np.arange(1, n + 1), t) for n, t in zip(conv.weight.shape[2:], taps, strict=True))
    used: NDArray[np.bool_] = rows[:, None] & columns
    return used


class ConvLists(SynapseLists):
    """The lists of a `Conv2d`, possibly behind disjoint pools.

    Args:
        network, projection, chip: as in `SynapseLists`.
        conv: the last synapse of the chain.
        taps: from `kernel_of`.
    """

    def __init__(self, network: Network, projection: Projection, chip: Chip, conv: Conv2d, taps: Taps) -> None:
        super().__init__(network, projection, chip)
        self._conv, self._taps, self._kernel = conv, taps, conv.weight.shape[2:]
        self._groups, self._filters = conv.groups, conv.weight.shape[0]
        self._present = conv.weight != 0
        self._before = np.zeros((self._filters + 1, *conv.weight.shape[1:]), dtype=np.int32)
        np.cumsum(self._present, axis=0, out=self._before[1:])
        self._reaches = lru_cache(maxsize=None)(self._find_reaches)
        self._use = lru_cache(maxsize=None)(self._count)
        self._dense_words = lru_cache(maxsize=None)(self._count_dense_words)

    def use(self, box: Box) -> ListUse:
        (low, high), rows, columns = box.ranges
        return self._use(low, high, self._reaches(0, *rows), self._reaches(1, *columns), box.sizes)

    def _find_reaches(self, axis: int, low: int, high: int) -> Reaches:
        """What the source rows (or columns) reach of outputs `low` to `high`."""
        kinds: dict[Reach, int] = {}
        for taps in self._taps[axis][low:high].T:
            outputs = np.flatnonzero(taps)
            if len(outputs):
                reach = tuple((int(output - outputs[0]), int(taps[output]) - 1) for output in outputs)
                kinds[reach] = kinds.get(reach, 0) + 1
        return tuple(sorted(kinds.items()))

    def _count(self, low: int, high: int, rows: Reaches, columns: Reaches, sizes: Shape) -> ListUse:
        """The use of filters `low` to `high`, of which a box of `sizes` reaches `rows` and `columns`."""
        counts, filters = self._by_channel(low, high)
        members = [_members([reach for reach, _ in kinds], self._kernel[axis]) for axis, kinds in _axes(rows, columns)]
        synapses = np.einsum("pa,cab,qb->cpq", members[0], counts, members[1], optimize=True).astype(np.int64)
        multiple = np.outer([n for _, n in rows], [n for _, n in columns])
        coding = ListCoding(self._chip, math.prod(sizes), self.delay > 0)
        dense = np.empty_like(synapses)
        for count in np.unique(filters):
            words = [[self._dense_words(row, column, sizes, int(count)) for column, _ in columns] for row, _ in rows]
            dense[filters == count] = np.array(words, dtype=np.int64).reshape(len(rows), len(columns))
        listed = synapses > 0
        axons = int((listed * multiple).sum())
        return ListUse.of(axons, coding.sparse(synapses[listed]), dense[listed])

    def _by_channel(self, low: int, high: int) -> tuple[Any, Counts]:
        """For each source channel: weights that are not 0 among the filters, by tap; and its filters."""
        each = self._filters // self._groups
        first = np.clip(low, np.arange(self._groups) * each, (np.arange(self._groups) + 1) * each)
        last = np.clip(high, np.arange(self._groups) * each, (np.arange(self._groups) + 1) * each)
        counts = self._before[last] - self._before[first]
        depth = counts.shape[1]
        return counts.reshape(-1, *self._kernel), np.repeat(last - first, depth)

    def _count_dense_words(self, row: Reach, column: Reach, sizes: Shape, filters: int) -> int:
        """Words of a list in dense blocks: its runs of consecutive compartments."""
        channels, _, width = sizes
        coding = ListCoding(self._chip, math.prod(sizes), self.delay > 0)
        places = [y * width + x for y, _ in row for x, _ in column]
        if filters < channels:
            return coding.run(filters) * len(places)
        words, begin = 0, 0
        for end in range(1, len(places) + 1):
            if end == len(places) or places[end] != places[end - 1] + 1:
                words += coding.run((end - begin) * channels)
                begin = end
        return words

    def _count_reached(self, tiling: Tiling) -> Counts:
        kinds = [self._tap_sets(axis, tuple(tiling.ranges(1 + axis))) for axis in (0, 1)]
        total = 0
        for limits in tiling.ranges(0):
            present = (self._by_channel(*limits)[0] > 0).astype(np.float64)
            joined = np.einsum("pa,cab,qb->cpq", kinds[0][0], present, kinds[1][0], optimize=True) > 0
            total = total + np.einsum(
                "yp,cpq,xq->cyx", kinds[0][1], joined.astype(np.float64), kinds[1][1], optimize=True
            )
        return np.asarray(total).round().astype(np.int64).ravel()

    def _tap_sets(self, axis: int, parts: tuple[tuple[int, int], ...]) -> tuple[Any, Any]:
        """Kinds of tap sets `[kinds, taps]`, and in how many parts a source row has each `[rows, kinds]`."""
        taps = np.arange(1, self._kernel[axis] + 1)
        sets = np.array([[np.isin(taps, row) for row in self._taps[axis][low:high].T] for low, high in parts])
        flat, kind = np.unique(sets.reshape(-1, len(taps)), axis=0, return_inverse=True)
        rows = sets.shape[1]
        times = np.zeros((rows, len(flat)))
        np.add.at(times, (np.tile(np.arange(rows), len(parts)), kind.ravel()), 1)
        times[:, ~flat.any(axis=1)] = 0
        return flat.astype(np.float64), times

    @property
    def weights(self) -> int:
        return int((self._present & used_taps(self._conv, self._taps)).sum())

    @property
    def fan_out(self) -> Counts:
        counts, _ = self._by_channel(0, self._filters)
        return self._spread(counts, 0)

    @property
    def fan_in(self) -> Counts:
        return self._spread(self._present.sum(axis=1), 1)

    def _spread(self, counts: Any, axis: int) -> Counts:
        """Sums of `counts[channel, tap, tap]` over the synapses of each source (0) or target (1) neuron."""
        times = [
            np.stack([(t == n + 1).sum(axis=axis) for n in range(k)])
            for t, k in zip(self._taps, self._kernel, strict=True)
        ]
        spread = np.einsum("cab,ay,bx->cyx", counts.astype(np.float64), times[0], times[1], optimize=True)
        sums: Counts = spread.round().astype(np.int64).ravel()
        return sums


def _axes(rows: Reaches, columns: Reaches) -> tuple[tuple[int, Reaches], tuple[int, Reaches]]:
    return (0, rows), (1, columns)


def _members(reaches: list[Reach], taps: int) -> Any:
    """`[reaches, taps]`: whether a reach has a tap; taps of one reach differ, since its outputs do."""
    members = np.zeros((len(reaches), taps))
    for index, reach in enumerate(reaches):
        members[index, [tap for _, tap in reach]] = 1
    return members
