"""One population under examination: what reached it, and what the emulator makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.event_network import is_event_driven
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.harness.first_difference import Recorded, mismatches
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import NeuronModel
from nmdeploy.subnetwork import behind_known

Array = NDArray[Any]


@dataclass(frozen=True)
class Scene:
    """A population with what feeds it, and what was recorded of it.

    Attributes:
        network: the population with everything upstream whose spikes are not recorded.
        name: of the population.
        inputs: spikes by the network's input populations, `[steps, N, *shape]`.
        found: what was recorded of the population.
        steps: of the run.
    """

    network: Network
    name: str
    inputs: Mapping[str, Array]
    found: Recorded
    steps: int

    @property
    def population(self) -> Population:
        """The population under examination."""
        return self.network[self.name]

    @property
    def neuron(self) -> NeuronModel:
        """Its neuron model."""
        neuron = self.population.neuron
        if neuron is None:
            raise TypeError(f"{self.name} is an input")
        return neuron

    @property
    def entering(self) -> tuple[Projection, ...]:
        """The projections that enter it."""
        return self.network.into(self.name)

    def run(self) -> Recorded:
        """The emulator's run, with the variables that were recorded."""
        spikes = (self.name,) if self.name in self.found.spikes else ()
        potentials = (self.name,) if self.name in self.found.potentials else ()
        record = Recording(spikes=spikes, potentials=potentials, counts=())
        result = emulate(self.network, dict(self.inputs), steps=self.steps, record=record)
        return Recorded(dict(result.spikes), dict(result.potentials))

    def mismatches(self, run: Recorded | None = None) -> int:
        """How many recorded values a run (default: this scene's own) does not explain."""
        return mismatches(self.run() if run is None else run, self.found, self.name)

    def with_neuron(self, neuron: NeuronModel) -> Scene:
        """The same with another neuron model."""
        populations = tuple(
            replace(each, neuron=neuron) if each.name == self.name else each for each in self.network.populations
        )
        return replace(self, network=replace(self.network, populations=populations))

    def with_neurons(self, cause: str, words: str) -> Scene:
        """The same with every neuron model read in one way, where it can be (`NeuronModel.misreadings`)."""

        def read(population: Population) -> Population:
            other = {} if population.neuron is None else population.neuron.misreadings().get(cause, {})
            return replace(population, neuron=other[words]) if words in other else population

        populations = tuple(read(each) for each in self.network.populations)
        return replace(self, network=replace(self.network, populations=populations))

    def with_entering(self, changed: Mapping[int, Projection]) -> Scene:
        """The same with some of the projections that enter the population replaced, by their place in `entering`."""
        replaced = {id(self.entering[place]): projection for place, projection in changed.items()}
        projections = tuple(replaced.get(id(each), each) for each in self.network.projections)
        return replace(self, network=replace(self.network, projections=projections))

    def with_inputs(self, changed: Mapping[str, Array]) -> Scene:
        """The same with the spikes of some inputs replaced."""
        return replace(self, inputs={**self.inputs, **changed})


def make_scene(network: Network, name: str, inputs: Mapping[str, Array], found: Recorded, steps: int) -> Scene:
    """Population `name` fed by what was recorded of its sources, where it was.

    Args:
        network: the whole network.
        name: the population.
        inputs: spikes of the network's inputs, `[T, N, *shape]`.
        found: everything that was recorded.
        steps: of the run.
    """
    # Events have an order that counts by step do not tell; sources that agree are emulated again.
    recorded = {} if is_event_driven(network) else found.spikes
    known = {**{key: spikes for key, spikes in recorded.items() if key != name}, **inputs}
    part = behind_known(network, name, known)
    fed = {population.name: _lasting(known[population.name], steps) for population in part.inputs}
    potentials = {key: values for key, values in found.potentials.items() if key == name}
    spikes = {key: values for key, values in found.spikes.items() if key == name}
    return Scene(part, name, fed, Recorded(spikes, potentials), steps)


def _lasting(spikes: Array, steps: int) -> Array:
    """Spikes of a whole run: silence after the last given step."""
    whole = np.zeros((steps, *spikes.shape[1:]), spikes.dtype)
    whole[: len(spikes)] = spikes[:steps]
    return whole
