"""A network made ready to run: every population with the maps that feed it, in chosen types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.reference import deliver
from nmdeploy.emulator.widths import ideal_parameters, is_ideal
from nmdeploy.errors import EmulationOverflow
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import NeuronModel

Array = NDArray[Any]


@dataclass(frozen=True)
class Map:
    """A projection (or its excitatory or inhibitory half) ready to be applied.

    Attributes:
        projection: with weights in the type of the linear maps.
        compute: type of the linear maps, proven exact for integers.
        result: type of the currents.
        scaled: whether exponent or accumulator follow, in int64; False where they change nothing.
    """

    projection: Projection
    compute: np.dtype[Any]
    result: np.dtype[Any]
    scaled: bool = False

    def current(self, spikes: Array, start: int, first_sample: int) -> Array | None:
        """Currents `[T, N, *target shape]` from spikes `[T, N, *source shape]`; None when all are silent.

        Raises:
            EmulationOverflow: naming projection, step, sample and neuron as they are in
                a block of the one step `start` whose samples begin at `first_sample`.
        """
        if not spikes.any():
            return None
        leading = spikes.shape[:2]
        sums = self.projection.apply(spikes.reshape(-1, *spikes.shape[2:]).astype(self.compute))
        if self.scaled:
            try:
                sums = deliver(self.projection, sums.astype(np.int64, copy=False))
            except EmulationOverflow as overflow:
                raise overflow.at(self.projection.name, start, first_sample) from overflow
        return sums.astype(self.result, copy=False).reshape(*leading, *sums.shape[1:])


@dataclass(frozen=True)
class Stage:
    """A population ready to run.

    Attributes:
        population: name, shape and original neuron model.
        neuron: the model that steps, its parameters in the state's type; None for an input.
        state: type of the state and of currents.
        entering: the maps of each projection that enters, one or (by sign) two.
    """

    population: Population
    neuron: NeuronModel | None
    state: np.dtype[Any]
    entering: tuple[tuple[Map, ...], ...]


def in_order(network: Network) -> tuple[Population, ...]:
    """Populations with sources before targets over all delays, or, with cycles, over delay 0."""
    return network.order(instant_only=False) or network.order() or ()


def with_weights(projection: Projection, dtype: np.dtype[Any]) -> Projection:
    """The projection with all its weights in `dtype`."""
    synapses = (
        synapse if synapse.weight is None else synapse.with_weight(synapse.weight.astype(dtype))
        for synapse in projection.synapses
    )
    return replace(projection, synapses=tuple(synapses))


def with_parameters(neuron: NeuronModel, dtype: np.dtype[Any]) -> NeuronModel:
    """An ideal neuron with its numbers in `dtype`, so that numpy keeps its state in that type."""
    if not is_ideal(neuron):
        return neuron
    given = {name: getattr(neuron, name) for name in ideal_parameters(neuron)}
    changed: dict[str, Any] = {name: np.asarray(v, dtype) for name, v in given.items() if v is not None}
    return replace(neuron, **changed)
