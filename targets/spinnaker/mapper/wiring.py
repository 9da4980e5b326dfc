"""The PyNN projections of a network, as memory is reserved for them: who sends, and how long rows get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Projection
from targets.spinnaker.connection import Form, form_of, kernels, pooled_dense
from targets.spinnaker.layout import PynnPopulation, layout


@dataclass(frozen=True)
class Rows:
    """One `FromListConnector`: the synapses of one sign between two PyNN populations.

    Attributes:
        source: who sends.
        longest: synapses of the longest row, a row being those of one source neuron on one core.
        events: synapses on the core that has most of them.
        delay: in steps.
    """

    source: PynnPopulation
    longest: int
    events: int
    delay: int


@dataclass(frozen=True)
class Kernel:
    """One `ConvolutionConnector`.

    Attributes:
        source: who sends.
        weights: of the kernel.
        events: synapses on a core, at most.
        delay: in steps.
    """

    source: PynnPopulation
    weights: int
    events: int
    delay: int


@dataclass(frozen=True)
class Matrix:
    """One `PoolDenseConnector`.

    Attributes:
        source: who sends.
        inputs: its neurons after pooling.
        events: synapses on a core, at most.
        delay: in steps.
    """

    source: PynnPopulation
    inputs: int
    events: int
    delay: int


Incoming = Rows | Kernel | Matrix


class Wiring:
    """A lowered network as PyNN populations and projections.

    Attributes:
        network: the network.
        populations: PyNN populations by the network's population.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.populations: Mapping[str, tuple[PynnPopulation, ...]] = {
            population.name: layout(network, population.name) for population in network.populations
        }

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Incoming, ...]]:
        """Projections into each PyNN population, by its label."""
        found: dict[str, list[Incoming]] = {part.label: [] for parts in self.populations.values() for part in parts}
        for projection in self.network.projections:
            for label, made in self._made(projection):
                found[label].append(made)
        return {label: tuple(made) for label, made in found.items()}

    def _made(self, projection: Projection) -> Iterator[tuple[str, Incoming]]:
        shape = self.network[projection.source].shape
        sources, targets = self.populations[projection.source], self.populations[projection.target]
        form = form_of(self.network, projection.target)
        if form is Form.CONVOLUTION and (shared := kernels(projection, shape)) is not None:
            outputs, depth = len(shared.weight) // shared.groups, shared.weight.shape[1]
            for index, target in enumerate(targets):
                first = index // outputs * depth
                weights = shared.weight[0, 0].size
                for source in sources[first : first + depth]:
                    events = min(source.size, target.atoms_per_core * shared.pool**2) * weights
                    yield target.label, Kernel(source, weights, events, projection.delay)
        elif form is Form.POOL_DENSE and (pooled := pooled_dense(projection, shape)) is not None:
            for source in sources:
                events = source.size * targets[0].atoms_per_core
                yield targets[0].label, Matrix(source, pooled.weight[0, 0].size, events, projection.delay)
        else:
            yield from self._rows(projection, sources, targets)

    def _rows(
        self, projection: Projection, sources: tuple[PynnPopulation, ...], targets: tuple[PynnPopulation, ...]
    ) -> Iterator[tuple[str, Rows]]:
        rows = RowLengths(projection.matrix(self.network[projection.source].shape))
        for source in sources:
            for target in targets:
                for longest, events in rows.lengths(source, target):
                    if longest:
                        yield target.label, Rows(source, longest, events, projection.delay)


class RowLengths:
    """Lengths of the rows of a projection's unrolled matrix `[target neurons, source neurons]`."""

    def __init__(self, matrix: Any) -> None:
        entries = matrix.tocoo()
        self._source, self._target, self._weight = (
            np.asarray(part, dtype=np.int64) for part in (entries.col, entries.row, entries.data)
        )

    def lengths(self, source: PynnPopulation, target: PynnPopulation) -> Iterator[tuple[int, int]]:
        """(longest row, synapses of the fullest core) of the excitatory and of the inhibitory synapses."""
        core = core_of(target, np.arange(int(self._target.max(initial=0)) + 1))[self._target]
        within = (core >= 0) & (self._source >= source.first) & (self._source < source.first + source.size)
        for of_sign in (self._weight > 0, self._weight < 0):
            chosen = within & of_sign
            cores, rows = core[chosen], self._source[chosen] - source.first
            yield _most(rows * target.cores + cores), _most(cores)


def _most(keys: Array) -> int:
    """How often the most frequent key occurs."""
    return int(np.bincount(keys).max(initial=0))


def core_of(part: PynnPopulation, neurons: Array) -> NDArray[np.int64]:
    """The slice of each of the network population's neurons; -1 for those of other channels."""
    local = np.asarray(neurons, dtype=np.int64) - part.first
    inside = (local >= 0) & (local < part.size - part.padding)
    if part.grid is None or isinstance(part.max_atoms, int):
        slices = local // part.atoms_per_core
    else:
        (width, _), (across, down) = part.grid, part.max_atoms
        slices = local // width // down * (width // across) + local % width // across
    found: NDArray[np.int64] = np.where(inside, slices, -1)
    return found
