"""How a network's populations become PyNN populations, and those become slices, one a core.

A population is one PyNN population, its neurons in row-major order; or one for each channel, two-dimensional
(`Grid2D`, neuron y * width + x), where weights are shared kernels or pooled (see `connection`). Slices are cut
as sPyNNaker cuts them when told `set_max_atoms_per_core(max_atoms)`: lines of neurons, or tiles of a grid.

Cores of `IF_trunc_delta` hold an even number of neurons: sPyNNaker 7.4.1 lays its parameters out so that the
neuron in the middle of an odd number gets an input of 1.0 once (see `layout_defect`). A population of an
odd size is therefore padded with one silent neuron, which has no synapses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network
from targets.spinnaker.connection import in_channels
from targets.spinnaker.neuron import IFTruncDelta

RING_BITS = 14
"""Bits of a ring buffer's index: neuron, sign (1) and delay (sPyNNaker 7.4.1, MAX_RING_BUFFER_BITS)."""
MOST_NEURONS = 256
"""Neurons of a core (sPyNNaker 7.4.1, POP_TABLE_MAX_ROW_LENGTH), also of sources and of cores with shared kernels."""


@dataclass(frozen=True)
class PynnPopulation:
    """One PyNN population.

    Attributes:
        label: the population's name, with `.c` and the channel where there is one for each.
        population: name of the network's population.
        channel: which of its channels; None for all of them.
        size: neurons, the padding included.
        padding: silent neurons at the end: 0 or 1.
        first: flat index of its first neuron in the network's population; the others follow.
        grid: (width, height) of a two-dimensional one; None for a line.
        max_atoms: for `set_max_atoms_per_core`: neurons of a core, or (width, height) of a tile.
    """

    label: str
    population: str
    channel: int | None
    size: int
    padding: int
    first: int
    grid: tuple[int, int] | None
    max_atoms: int | tuple[int, int]

    @property
    def atoms_per_core(self) -> int:
        """Neurons of the largest slice, as sPyNNaker counts when it reserves memory."""
        limit = self.max_atoms if isinstance(self.max_atoms, int) else math.prod(self.max_atoms)
        return min(limit, self.size)

    @property
    def cores(self) -> int:
        """Number of slices."""
        return -(-self.size // self.atoms_per_core)

    def slices(self) -> list[NDArray[np.int64]]:
        """Flat indices of the network's neurons on each core, in the order of the slices; padding left out."""
        index = np.arange(self.first, self.first + self.size - self.padding, dtype=np.int64)
        if self.grid is None or isinstance(self.max_atoms, int):
            return [index[low : low + self.atoms_per_core] for low in range(0, self.size, self.atoms_per_core)]
        (width, height), (across, down) = self.grid, self.max_atoms
        image = index.reshape(height, width)
        return [
            image[y : y + down, x : x + across].ravel() for y in range(0, height, down) for x in range(0, width, across)
        ]


def layout(network: Network, name: str) -> tuple[PynnPopulation, ...]:
    """The PyNN populations of population `name` of a lowered network, by channel."""
    population = network[name]
    if name not in in_channels(network):
        padding = population.size % 2 if isinstance(population.neuron, IFTruncDelta) else 0
        size = population.size + padding
        most = _most_atoms(network, name)
        return (PynnPopulation(name, name, None, size, padding, 0, None, min(most, size)),)
    channels, height, width = population.shape
    tile = _tile(width, height, _most_atoms(network, name), even=isinstance(population.neuron, IFTruncDelta))
    return tuple(
        PynnPopulation(f"{name}.c{c}", name, c, width * height, 0, c * width * height, (width, height), tile)
        for c in range(channels)
    )


def delay_slots(atoms: int) -> int:
    """Steps of delay that a core of so many neurons has ring buffers for."""
    return 1 << (RING_BITS - 1 - index_bits(atoms))


@lru_cache(maxsize=1024)
def index_bits(values: int) -> int:
    """Bits that number so many values, at least 1 (sPyNNaker `get_n_bits`)."""
    return max(1, (values - 1).bit_length())


def _most_atoms(network: Network, name: str) -> int:
    """The most neurons of a core: fewer where long delays need ring buffers."""
    delay = max((projection.delay for projection in network.into(name)), default=1)
    most = MOST_NEURONS
    while most > 2 and delay_slots(most) < delay:
        most //= 2
    return most


def _tile(width: int, height: int, most: int, *, even: bool) -> tuple[int, int]:
    """The largest tile of at most `most` neurons whose sides divide the grid's; of equals the widest.

    An odd tile, where even ones are asked for, only when there is no other.
    """
    tiles = [
        (w, h)
        for w in range(1, width + 1)
        for h in range(1, height + 1)
        if not (width % w or height % h or w * h > most)
    ]
    return max(tiles, key=lambda tile: (not even or math.prod(tile) % 2 == 0, math.prod(tile), tile[0]))
