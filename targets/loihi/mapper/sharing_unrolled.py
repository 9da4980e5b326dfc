"""Shared lists of any projection, found in its unrolled synapses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from nmdeploy.network import Network, Projection
from nmdeploy.target import Chip
from targets.loihi.mapper.resources import Counts, ListCoding
from targets.loihi.mapper.sharing import ListUse, SynapseLists, labelled
from targets.loihi.mapper.tiling import Box, Tiling


class UnrolledLists(SynapseLists):
    """The lists of a projection of no special structure."""

    def __init__(self, network: Network, projection: Projection, chip: Chip) -> None:
        super().__init__(network, projection, chip)
        shape = network[projection.source].shape
        labels: Any = labelled(projection).matrix(shape).tocsr()
        labels.sort_indices()
        values: Any = projection.matrix(shape).tocsr()
        values.eliminate_zeros()
        sources = labels.shape[1]
        self._labels = labels
        self._targets = np.repeat(np.arange(labels.shape[0]), np.diff(labels.indptr))
        keys = self._targets * sources + labels.indices
        present = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr)) * sources + values.indices
        self._present = np.isin(keys, present, assume_unique=True)
        self._use = lru_cache(maxsize=None)(self._count)

    def use(self, box: Box) -> ListUse:
        return self._use(box)

    def _count(self, box: Box) -> ListUse:
        axon, index, label, present = self._on_core(box.neurons)
        starts = np.flatnonzero(np.diff(axon, prepend=-1))
        if not len(starts):
            return ListUse(0, 0, 0, frozenset())
        lengths = np.diff(starts, append=len(axon))
        shifted = index - np.repeat(index[starts], lengths)
        synapses = np.add.reduceat(present.astype(np.int64), starts)
        _, first = np.unique(self._contents(shifted, label, starts), return_index=True)
        first = first[synapses[first] > 0]
        coding = ListCoding(self._chip, box.size, self.delay > 0)
        run_starts = np.flatnonzero((np.diff(axon, prepend=-1) != 0) | (np.diff(index, prepend=-2) != 1))
        runs = coding.dense(np.diff(run_starts, append=len(axon)))
        dense = np.add.reduceat(runs, np.searchsorted(run_starts, starts))
        return ListUse.of(int(np.count_nonzero(synapses)), coding.sparse(synapses[first]), dense[first])

    def _on_core(self, neurons: Counts) -> tuple[Any, Any, Any, Any]:
        """Source, compartment index, label and presence of each synapse, sorted by source and index."""
        counts = np.diff(self._labels.indptr)[neurons]
        begins = self._labels.indptr[neurons]
        entries = np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        index = np.repeat(np.arange(len(neurons)), counts)
        source = self._labels.indices[entries].astype(np.int64)
        order = np.argsort(source, kind="stable")
        entries = entries[order]
        return source[order], index[order], self._labels.data[entries], self._present[entries]

    @staticmethod
    def _contents(shifted: Any, label: Any, starts: Any) -> Any:
        """A 64-bit hash of each list's shifted indices and labels."""
        with np.errstate(over="ignore"):
            mixed = label.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= (shifted.astype(np.uint64) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(29)
            return np.add.reduceat(mixed, starts)

    def _count_reached(self, tiling: Tiling) -> Counts:
        sources = self._labels.shape[1]
        pairs = np.unique(tiling.box_of[self._targets[self._present]] * sources + self._labels.indices[self._present])
        return np.bincount(pairs % sources, minlength=sources)

    @property
    def weights(self) -> int:
        return len(np.unique(self._labels.data[self._present]))

    @property
    def fan_out(self) -> Counts:
        return np.bincount(self._labels.indices[self._present], minlength=self._labels.shape[1])

    @property
    def fan_in(self) -> Counts:
        return np.bincount(self._targets[self._present], minlength=self._labels.shape[0])
