"""The weights of a projection, and which channel of the target each of them feeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nmdeploy.errors import QuantizationError
from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Array, Conv2d, ConvTranspose2d, Dense, OneToOne, Shape


@dataclass(frozen=True)
class ChainWeights:
    """The one synapse with weights in the chain of a projection.

    Attributes:
        projection: whose chain it is; never without weights.
        position: its place in the chain.
        channels: output channel (neuron, of a population `(N,)`) of each weight; int64
            that broadcasts with `weight`, to more axes where one weight serves several channels.
        keep_channels: whether the synapses behind it leave channels what they are.
        implied: whether the projection came without weights, that is, with weights of 1.
    """

    projection: Projection
    position: int
    channels: Array
    keep_channels: bool
    implied: bool

    @property
    def weight(self) -> Array:
        """The weights themselves."""
        weight = self.projection.synapses[self.position].weight
        return np.ones(1) if weight is None else weight

    def rows(self, count: int) -> Array:
        """The weights as `[count, weights of a channel]`, for all channels or as a single row."""
        if count == 1:
            return self.weight.reshape(1, -1)
        weights, channels = np.broadcast_arrays(self.weight, self.channels)
        order = np.argsort(channels, axis=None, kind="stable")
        return weights.ravel()[order].reshape(count, -1)

    def with_weight(self, weight: Array) -> Projection:
        """The projection with other weights, of this shape or one that serves more channels."""
        synapses = list(self.projection.synapses)
        changed: Any = synapses[self.position]
        synapses[self.position] = replace(changed, weight=weight)
        return replace(self.projection, synapses=tuple(synapses))


def chain_weights(network: Network, projection: Projection) -> ChainWeights:
    """Find the weights of a projection; a chain without any gets `OneToOne` of weight 1 at its end.

    Raises:
        QuantizationError: if several synapses of the chain have weights, or it has an exponent already.
    """
    if projection.exponent:
        raise QuantizationError(
            "the sum already has an exponent",
            where=projection.name,
            found=projection.exponent,
            hint="quantize before lowering to a chip",
        )
    places = [index for index, synapse in enumerate(projection.synapses) if synapse.weight is not None]
    if len(places) > 1:
        kinds = ", ".join(projection.synapses[index].kind for index in places)
        raise QuantizationError(
            "several synapses of the chain have weights",
            where=projection.name,
            found=kinds,
            limit=1,
            hint="multiply them into one before quantizing; rounded twice, they lose bits twice",
        )
    implied = not places
    if implied:
        places = [len(projection.synapses)]
        projection = replace(projection, synapses=(*projection.synapses, OneToOne(np.ones(1))))
    position = places[0]
    shapes = projection.shapes(network[projection.source].shape)[position + 1 :]
    synapse = projection.synapses[position]
    channels = _LAYOUTS[synapse.kind](synapse, shapes[0])
    # Pooling and enlarging work channel by channel, and so does a row-major reshape that keeps their number.
    keep = all(shape[0] == shapes[0][0] for shape in shapes)
    return ChainWeights(projection, position, channels, keep, implied)


def _along_first(size: int, rank: int) -> Array:
    return np.arange(size).reshape(-1, *[1] * (rank - 1))


def _first_axis(synapse: Any, _out_shape: Shape) -> Array:
    return _along_first(len(synapse.weight), synapse.weight.ndim)


def _second_axis_in_groups(synapse: Any, _out_shape: Shape) -> Array:
    inputs, depth = synapse.weight.shape[:2]
    group = np.arange(inputs) // (inputs // synapse.groups)
    channels: Array = group[:, None] * depth + np.arange(depth)
    return channels[:, :, None, None]


def _first_output_axis(_synapse: Any, out_shape: Shape) -> Array:
    return _along_first(out_shape[0], len(out_shape))


_LAYOUTS: dict[str, Callable[[Any, Shape], Array]] = {
    Dense.kind: _first_axis,
    Conv2d.kind: _first_axis,
    ConvTranspose2d.kind: _second_axis_in_groups,
    OneToOne.kind: _first_output_axis,
}
"""Channel of each weight, by synapse kind."""
