"""A placed network as its cores see it: who lies where, what a spike reaches, and what it sets off there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.deployment import Placement
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Reshape
from nmdeploy.target import Chip
from targets.loihi.cost.mesh import Place
from targets.loihi.cost.row_blocks import row_blocks
from targets.loihi.mapper.resources import compartments_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Fan:
    """The synapses of one projection.

    Attributes:
        name, source, target: of the projection.
        delay: steps from a spike to its arrival.
        needed: `[cores, source neurons]`, the synapses that a spike drives on each core: the
            weights other than zero of the whole chain of maps as one matrix.
        every: `[cores, source neurons]`, the same when zero weights and every path through
            the chain count too, as in `Projection.fan_out`.
    """

    name: str
    source: str
    target: str
    delay: int
    needed: csr_matrix
    every: csr_matrix


@dataclass(frozen=True)
class Wiring:
    """A network on its cores. Cores are indices into `places`.

    Attributes:
        places: the used cores, by chip and core.
        homes: by placed population, `[cores, neurons]`: 1 where a neuron lies on the core.
        compartments: by placed population, how many each of its neurons takes.
        fans: one for each projection.
        reached: by sending population, `[cores, neurons]`: 1 where a spike goes to the core.
    """

    places: tuple[Place, ...]
    homes: Mapping[str, csr_matrix]
    compartments: Mapping[str, int]
    fans: tuple[Fan, ...]
    reached: Mapping[str, csr_matrix]

    @classmethod
    def of(cls, network: Network, placement: Placement, chip: Chip) -> Wiring:
        """The wiring of a lowered and placed network."""
        places = tuple(sorted({(int(load.chip), int(load.core)) for load in placement.cores}))
        index = {place: core for core, place in enumerate(places)}
        placed = [population for population in network.populations if not population.is_input]
        homes = {population.name: _home(population, placement, index) for population in placed}
        taken = {population.name: compartments_of(population, chip) for population in placed}
        fans = tuple(_fan(network, projection, homes[projection.target]) for projection in network.projections)
        reached = {}
        for population in network.populations:
            ways = [fan.needed for fan in fans if fan.source == population.name]
            if taken.get(population.name, 1) > 1:
                ways.append(homes[population.name])  # the soma's spike comes back to its dendrite
            if ways:
                reached[population.name] = _pattern(sum(ways[1:], start=ways[0]))
        return cls(places, homes, taken, fans, reached)

    def core_of(self, name: str) -> Counts:
        """The core of each neuron of a placed population, `[neurons]`."""
        cores: Counts = self.homes[name].tocsc().indices.astype(np.int64)
        return cores


def drive(matrix: Any, spikes: NDArray[Any]) -> NDArray[Any]:
    """What spikes `[rows, neurons]` set off: `matrix` `[targets, neurons]` applied to each row, `[rows, targets]`."""
    return np.asarray((matrix @ spikes.T).T)


def _home(population: Population, placement: Placement, index: Mapping[Place, int]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    loads = placement.of(population.name)
    cores = [np.full(len(load.neurons), index[load.chip, load.core]) for load in loads]
    neurons = [np.asarray(load.neurons) for load in loads]
    ones = np.ones(population.size, dtype=np.int64)
    return csr_matrix((ones, (np.concatenate(cores), np.concatenate(neurons))), shape=(len(index), population.size))


def _fan(network: Network, projection: Projection, home: csr_matrix) -> Fan:
    source = network[projection.source]
    shapes = projection.shapes(source.shape)
    *first, last = projection.synapses or (Reshape(source.shape),)
    *entering, shape = shapes[:-1] or shapes
    rest: Any = replace(projection, synapses=tuple(first)).matrix(source.shape)
    columns: Any = home.tocsc()
    needed: list[Any] = []
    every: list[Any] = []
    for rows, block in row_blocks(last, shape):
        unrolled: Any = block @ rest
        unrolled.eliminate_zeros()
        needed.append(columns[:, rows] @ _pattern(unrolled))
        every.append(columns[:, rows] @ _pattern(block))
    paths = sum(every[1:], start=every[0])
    for synapse, entered in zip(reversed(first), reversed(entering), strict=True):
        paths = paths @ _pattern(synapse.matrix(entered))
    merged = sum(needed[1:], start=needed[0])
    return Fan(projection.name, projection.source, projection.target, projection.delay, merged.tocsr(), paths.tocsr())


def _pattern(matrix: Any) -> csr_matrix:
    """Ones wherever the matrix has an entry, zeros among them."""
    pattern: csr_matrix = matrix.copy()
    pattern.data = np.ones(pattern.data.shape, dtype=np.int64)
    return pattern
