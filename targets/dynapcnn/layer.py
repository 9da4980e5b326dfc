"""A lowered network as the chip sees it: one layer for each core, with integers in the chip's own order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array, Pair
from nmdeploy.network import Network, Population
from nmdeploy.neurons import Number
from targets.dynapcnn.link import Link, Map, channel_blocks, links, same_geometry
from targets.dynapcnn.neuron import SpeckIAF, SpeckStepIAF

SpeckNeuron = SpeckIAF | SpeckStepIAF


@dataclass(frozen=True)
class Destination:
    """One way between two populations, seen from either end.

    Attributes:
        population: the other end.
        pooling: factor by which the events are sum-pooled on the way, (vertical, horizontal).
        feature_shift: added to the channel of each event.
    """

    population: str
    pooling: Pair
    feature_shift: int


@dataclass(frozen=True, eq=False)
class ChipLayer:
    """What a core is configured with; all integers.

    Attributes:
        name: the population.
        input_shape: channels, height and width of what it receives, after pooling, channels of
            all sources together.
        output_shape: channels, height and width of its neurons, before any pooling.
        kernel, stride, padding: (vertical, horizontal).
        weights: `[f][c][ky][kx]`.
        biases: `[f]`, added at every tick of the slow clock; None when it has none.
        threshold_high, threshold_low: of all its neurons.
        return_to_zero: whether a spike sets the potential to 0.
        initial_values: `[f][y][x]`, potentials at the start.
        sources: what feeds it, in the order of the network's projections.
        destinations: what it feeds, in the same order.
        is_output: whether its spikes are read out.
    """

    name: str
    input_shape: Map
    output_shape: Map
    kernel: Pair
    stride: Pair
    padding: Pair
    weights: Array
    biases: Array | None
    threshold_high: int
    threshold_low: int
    return_to_zero: bool
    initial_values: Array
    sources: tuple[Destination, ...]
    destinations: tuple[Destination, ...]
    is_output: bool


@dataclass(frozen=True, eq=False)
class _Core:
    """A population with what enters it, in one geometry."""

    population: Population
    neuron: SpeckNeuron
    entering: list[Link]

    @property
    def ways(self) -> list[tuple[Link, int]]:
        """Each link with its feature shift."""
        return list(zip(self.entering, channel_blocks(self.entering)[0], strict=True))

    def by_neuron(self, values: Number) -> Array:
        """A parameter for every neuron, `[f][y][x]`."""
        spread: Array = np.broadcast_to(values, self.population.shape).reshape(self.entering[0].made)
        return spread.astype(np.int64)


def layers(network: Network) -> tuple[ChipLayer, ...]:
    """The populations that take a core, in the network's order.

    Args:
        network: lowered, and meeting the design rules (`targets.dynapcnn.rules`).

    Raises:
        UsageError: naming the population that is no layer of the chip.
    """
    cores = [_core(network, population) for population in network.populations if not population.is_input]
    return tuple(_layer(network, core, cores) for core in cores)


def has_one_threshold(neuron: SpeckNeuron) -> bool:
    """Whether the thresholds are the same for all neurons: a core has one of each."""
    return all(np.unique(value).size == 1 for value in (neuron.threshold_high, neuron.threshold_low))


def has_bias(neuron: SpeckNeuron) -> bool:
    """Whether the neuron takes bias memory: one number for each feature, or a number other than 0 for all."""
    return np.ndim(neuron.leak) > 0 or bool(neuron.leak)


def _core(network: Network, population: Population) -> _Core:
    found = links(network, population.name)
    neuron = population.neuron
    if (
        found is None
        or not same_geometry(found)
        or not isinstance(neuron, SpeckNeuron)
        or not has_one_threshold(neuron)
    ):
        hint = "lower it first, and see what the design rules say (nmdeploy.deploy)"
        raise UsageError("the population is no layer of the chip", where=population.name, hint=hint)
    return _Core(population, neuron, found)


def _layer(network: Network, core: _Core, cores: Sequence[_Core]) -> ChipLayer:
    name, neuron, first = core.population.name, core.neuron, core.entering[0]
    weights = np.concatenate([own.conv.weight for own in channel_blocks(core.entering)[1]], axis=1)
    return ChipLayer(
        name=name,
        input_shape=(weights.shape[1], *first.received[1:]),
        output_shape=first.made,
        kernel=(weights.shape[2], weights.shape[3]),
        stride=first.conv.stride,
        padding=(first.conv.padding[0], first.conv.padding[2]),
        weights=weights.astype(np.int64),
        biases=core.by_neuron(neuron.leak)[:, 0, 0] if has_bias(neuron) else None,
        threshold_high=int(np.max(neuron.threshold_high)),
        threshold_low=int(np.max(neuron.threshold_low)),
        return_to_zero=neuron.return_to_zero,
        initial_values=core.by_neuron(neuron.v_init),
        sources=tuple(Destination(way.projection.source, way.pooling, shift) for way, shift in core.ways),
        destinations=tuple(
            Destination(fed.population.name, way.pooling, shift)
            for projection in network.out_of(name)
            for fed in cores
            for way, shift in fed.ways
            if way.projection is projection
        ),
        is_output=name in network.outputs,
    )
