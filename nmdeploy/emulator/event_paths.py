"""The way of an event through a projection's chain of maps.

Reshapes and sum pools whose windows do not overlap only give the event another address
(or lose it, where no window reads it). At most one map of the chain spreads it over
several neurons, with a weight for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Reshape, Shape, SumPool2d, Synapse

Indices = NDArray[np.int64]
LOST = -1
"""The address of an event that no window reads."""


def _keeps_events_whole(synapse: Synapse) -> bool:
    """Whether the map gives every event one other address, or loses it."""
    if isinstance(synapse, SumPool2d):
        return all(kernel <= stride for kernel, stride in zip(synapse.kernel, synapse.steps, strict=True))
    return isinstance(synapse, Reshape)


def spreading(projection: Projection, source: Shape) -> tuple[int, ...] | None:
    """Place of the map that spreads events in the chain, if any, as a tuple of at most one; None for several.

    A pool behind that map would add up what one event did, so that only reshapes may follow it.
    """
    places = [i for i, synapse in enumerate(projection.synapses) if not _keeps_events_whole(synapse)]
    if len(places) > 1:
        return None
    if places and not all(isinstance(synapse, Reshape) for synapse in projection.synapses[places[0] + 1 :]):
        return None
    return tuple(places)


@dataclass(frozen=True, eq=False)
class Path:
    """A projection as events see it. Neurons are counted row-major.

    Attributes:
        addresses: of each neuron of the source, its address in front of the map that spreads events; or `LOST`.
        shape: of what has these addresses.
        spread: that map; None where an event goes to the neuron of its address, with weight 1.
    """

    addresses: Indices
    shape: Shape
    spread: Synapse | None

    @classmethod
    def of(cls, network: Network, projection: Projection) -> Path:
        """The path of a projection of a checked network."""
        source = network[projection.source].shape
        place = spreading(projection, source) or ()
        before = projection.synapses[: place[0]] if place else projection.synapses
        addresses, shape = np.arange(math.prod(source)), source
        for synapse in before:
            addresses = _moved(addresses, synapse, shape)
            shape = synapse.out_shape(shape)
        return cls(addresses, shape, projection.synapses[place[0]] if place else None)

    def rows(self, ranks: Indices) -> Rows:
        """The neurons that each address reaches, by rank.

        Args:
            ranks: of the target's neurons, in the order in which they take an event.
        """
        if self.spread is None:
            everyone = np.arange(math.prod(self.shape))
            return Rows(np.arange(len(everyone) + 1), everyone, np.ones(len(everyone), np.int64))
        targets, addresses, weights = self.spread.entries(self.shape)
        order = np.lexsort((ranks[targets], addresses))
        first = np.searchsorted(addresses[order], np.arange(math.prod(self.shape) + 1))
        return Rows(first, targets[order], weights[order].astype(np.int64))


@dataclass(frozen=True, eq=False)
class Rows:
    """What an event meets at each address: `targets[first[a] : first[a + 1]]`, with these weights.

    Synapses of weight 0 are met like all others.
    """

    first: Indices
    targets: Indices
    weights: Indices

    def of(self, address: int) -> tuple[Indices, Indices]:
        """Targets and weights of one address."""
        piece = slice(self.first[address], self.first[address + 1])
        return self.targets[piece], self.weights[piece]


def _moved(addresses: Indices, synapse: Synapse, shape: Shape) -> Indices:
    """The addresses behind a map that keeps events whole."""
    after, before, _ = synapse.entries(shape)
    table: Any = np.full(math.prod(shape) + 1, LOST, np.int64)  # the last one is for what is lost already
    table[before] = after
    moved: Indices = table[addresses]
    return moved
