"""Shared lists of fully connected projections: sources behind one pool share a column."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Dense, Shape
from nmdeploy.target import Chip
from targets.loihi.mapper.resources import Counts, ListCoding
from targets.loihi.mapper.sharing import ListUse, SynapseLists
from targets.loihi.mapper.tiling import Box, Tiling


def columns_of(projection: Projection, source: Shape) -> tuple[Dense, Counts] | None:
    """The `Dense` that ends the chain, and its column that each source neuron feeds, -1 for none.

    None where what comes before does more than sort neurons into columns.
    """
    last = projection.synapses[-1] if projection.synapses else None
    before = Projection("", "", projection.synapses[:-1])
    if not isinstance(last, Dense) or any(synapse.weight is not None for synapse in before.synapses):
        return None
    sorting: Any = before.matrix(source).tocsc()
    entries = np.diff(sorting.indptr)
    if np.any(entries > 1) or np.any(sorting.data != 1):
        return None
    cells = np.full(math.prod(source), -1, dtype=np.int64)
    cells[entries == 1] = sorting.indices
    return last, cells


class DenseLists(SynapseLists):
    """The lists of a `Dense`, possibly behind disjoint pools and reshapes.

    Args:
        network, projection, chip: as in `SynapseLists`.
        dense: the last synapse of the chain.
        cells: from `columns_of`.
    """

    def __init__(self, network: Network, projection: Projection, chip: Chip, dense: Dense, cells: Counts) -> None:
        super().__init__(network, projection, chip)
        self._cells = cells
        columns = dense.weight.shape[1]
        self._sources = np.bincount(cells[cells >= 0], minlength=columns)
        self._present = (dense.weight != 0) & (self._sources > 0)
        self._before = np.zeros((len(self._present) + 1, columns), dtype=np.int32)
        np.cumsum(self._present, axis=0, out=self._before[1:])
        self._use = lru_cache(maxsize=None)(self._count)

    def use(self, box: Box) -> ListUse:
        return self._use(box)

    def _count(self, box: Box) -> ListUse:
        synapses = self._synapses(*box.ranges[0])
        listed = synapses[synapses > 0].astype(np.int64)
        coding = ListCoding(self._chip, box.size, self.delay > 0)
        dense = np.broadcast_to(coding.dense(box.size), listed.shape)
        return ListUse.of(int(self._sources[synapses > 0].sum()), coding.sparse(listed), dense)

    def _synapses(self, low: int, high: int) -> Any:
        return self._before[high] - self._before[low]

    def _by_source(self, by_column: Any) -> Counts:
        values: Counts = np.append(by_column, 0)[self._cells].astype(np.int64)
        return values

    def _count_reached(self, tiling: Tiling) -> Counts:
        return self._by_source(sum((self._synapses(*limits) > 0).astype(np.int64) for limits in tiling.ranges(0)))

    @property
    def weights(self) -> int:
        return int(self._before[-1].sum())

    @property
    def own_weights(self) -> int:
        return int(self._present.sum(axis=1).min())

    @property
    def fan_out(self) -> Counts:
        return self._by_source(self._before[-1])

    @property
    def fan_in(self) -> Counts:
        counts: Counts = self._present.astype(np.int64) @ self._sources
        return counts
