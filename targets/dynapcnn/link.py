"""A projection in the chip's terms: pooling at the source's output, then one convolution of the target's core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmdeploy.linear_maps import Pair
from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Conv2d, Dense, Reshape, Shape, SumPool2d, Synapse

Map = tuple[int, int, int]
"""Channels, height and width."""


@dataclass(frozen=True, eq=False)
class Link:
    """A projection as the chip carries it out.

    Attributes:
        projection: what it was read from.
        pools: the sum pools of the source's events, in order.
        sent: the source's map, before pooling.
        received: the map that the convolution sees.
        conv: the convolution; a dense layer is one over the whole map.
        made: the map it makes.
    """

    projection: Projection
    pools: tuple[SumPool2d, ...]
    sent: Map
    received: Map
    conv: Conv2d
    made: Map

    @property
    def pooling(self) -> Pair:
        """The factor by which events are pooled, (vertical, horizontal)."""
        factors = [pool.kernel for pool in self.pools]
        return (int(np.prod([y for y, _ in factors])), int(np.prod([x for _, x in factors])))

    def has_weights_of(self, other: Link) -> bool:
        """Whether both can share input channels of one core."""
        return np.array_equal(self.conv.weight, other.conv.weight)

    @property
    def covered(self) -> Pair:
        """Height and width of the part of the source's map that pooling does not cut off."""
        return (self.received[1] * self.pooling[0], self.received[2] * self.pooling[1])


def as_map(shape: Shape) -> Map:
    """A population's shape as channels, height and width; `(N,)` are N channels of one pixel."""
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    return (channels, height, width)


def link(network: Network, projection: Projection) -> Link | None:
    """How the chip reads a projection; None when no core can do it.

    Legal are sum pools, then one convolution or dense layer. Reshapes may stand where they
    move no neuron: a dense layer flattens what it reads, and `(N,)` is `(N, 1, 1)`; at an
    input they tell how the host addresses its events.
    """
    sent = as_map(network[projection.source].shape)
    made = as_map(network[projection.target].shape)
    pools: list[SumPool2d] = []
    received, conv, shape = sent, None, network[projection.source].shape
    for synapse in projection.synapses:
        if isinstance(synapse, Reshape) and network[projection.source].is_input and not pools and conv is None:
            sent = received = as_map(synapse.shape)  # the host addresses an input as it likes
        elif isinstance(synapse, SumPool2d) and conv is None and as_map(shape) == received:
            pools.append(synapse)
            received = as_map(synapse.out_shape(shape))
        elif conv is None and (weighted := _convolution(synapse, received, shape)) is not None:
            conv = weighted
        elif not isinstance(synapse, Reshape):
            return None
        shape = synapse.out_shape(shape)
    if conv is None or as_map(conv.out_shape(received)) != made:
        return None
    return Link(projection, tuple(pools), sent, received, conv, made)


def _convolution(synapse: Synapse, received: Map, shape: Shape) -> Conv2d | None:
    """A synapse with weights as a convolution of the map `received`; None when it is none.

    Args:
        synapse: what to read.
        received: the map at this place of the chain, before any reshape.
        shape: the shape that the synapse itself sees.
    """
    if isinstance(synapse, Dense):
        return Conv2d(synapse.weight.reshape(-1, *received))
    if isinstance(synapse, Conv2d) and as_map(shape) == received:
        return synapse
    return None


def links(network: Network, name: str) -> list[Link] | None:
    """The projections into a population as links; None when one of them is no link."""
    found = [link(network, projection) for projection in network.into(name)]
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else None


def same_geometry(entering: Sequence[Link]) -> bool:
    """Whether the links have what a core has one of: kernel size, stride, padding and the map it sees."""
    geometries = {
        (each.received[1:], each.conv.weight.shape[2:], each.conv.stride, each.conv.padding) for each in entering
    }
    return len(geometries) == 1


def channel_blocks(entering: Sequence[Link]) -> tuple[list[int], list[Link]]:
    """Where each link's channels start among a core's input channels, and the links that have channels of their own.

    A link with the same weights as an earlier one shares its channels: the chip then adds
    the events of both. Any other gets channels of its own behind them (`feature_shift`).
    """
    own: list[Link] = []
    shifts: list[int] = []
    for each in entering:
        place = next((i for i, other in enumerate(own) if each.has_weights_of(other)), len(own))
        if place == len(own):
            own.append(each)
        shifts.append(sum(other.received[0] for other in own[:place]))
    return shifts, own
