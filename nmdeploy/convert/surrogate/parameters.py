"""The weights and biases of a float network as parameters that torch trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.ann.torch_library import import_torch
from nmdeploy.convert.calibrate.forward import with_neuron
from nmdeploy.convert.surrogate.torch_maps import PURPOSE, Tensor, applied
from nmdeploy.network import Network, Population, Projection


class Parameters:
    """All weights of a network's projections, and all biases of its neurons where the chip has them.

    Args:
        network: float network.
        biases: whether biases are trained; one for each channel where there was a single number.

    Attributes:
        weights: by (place of the projection, place of the synapse in its chain).
        biases: by population.
    """

    def __init__(self, network: Network, biases: bool) -> None:
        self._network = network
        self.weights: dict[tuple[int, int], Tensor] = {
            (place, index): _parameter(synapse.weight)
            for place, projection in enumerate(network.projections)
            for index, synapse in enumerate(projection.synapses)
            if synapse.weight is not None
        }
        self.biases: dict[str, Tensor] = {
            each.name: _parameter(_bias(each)) for each in network.populations if biases and not each.is_input
        }

    def groups(self, lr: float) -> list[dict[str, Any]]:
        """Parameter groups for a torch optimizer whose step is a share of what it changes.

        A step of the learning rate is `lr` times the root mean square of the weights that
        enter the population: layers differ in their scale by what they were normalized to.
        """
        sizes = {name: self._size(name) for name in {each.target for each in self._network.projections}}
        found = [
            {"params": [weight], "lr": lr * sizes[self._network.projections[place].target]}
            for (place, _), weight in self.weights.items()
        ]
        return [*found, *({"params": [bias], "lr": lr * sizes[name]} for name, bias in self.biases.items())]

    def _size(self, name: str) -> float:
        entering = [
            weight.detach().numpy().ravel()
            for (place, _), weight in self.weights.items()
            if self._network.projections[place].target == name
        ]
        return float(np.sqrt(np.mean(np.square(np.concatenate(entering))))) if entering else 0.0

    def delivered(self, place: int, rates: Tensor) -> Tensor:
        """What the projection at a place delivers per step for rates `[N, *shape]` of its source."""
        for index, synapse in enumerate(self._network.projections[place].synapses):
            rates = applied(synapse, rates, self.weights.get((place, index)))
        return rates

    def bias(self, name: str) -> Tensor | float | NDArray[np.float32]:
        """The bias of a population, in the form that it is trained in, or as it stays."""
        if name in self.biases:
            return self.biases[name]
        neuron: Any = self._network[name].neuron
        return import_torch(PURPOSE).from_numpy(np.array(neuron.bias, np.float32))

    def network(self) -> Network:
        """The network with the present values, in float32."""
        projections = tuple(self._trained(place, each) for place, each in enumerate(self._network.projections))
        network = replace(self._network, projections=projections)
        for name, bias in self.biases.items():
            network = with_neuron(network, name, bias=_values(bias))
        return network

    def _trained(self, place: int, projection: Projection) -> Projection:
        chain = list(projection.synapses)
        for index, synapse in enumerate(chain):
            if (place, index) in self.weights:
                chain[index] = synapse.with_weight(_values(self.weights[place, index]))
        return replace(projection, synapses=tuple(chain))


def _parameter(values: NDArray[Any]) -> Tensor:
    torch = import_torch(PURPOSE)
    return torch.nn.Parameter(torch.from_numpy(np.array(values, np.float32)))


def _values(parameter: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = parameter.detach().numpy().copy()
    return values


def _bias(population: Population) -> NDArray[Any]:
    """The bias, one for each channel where it is a single number."""
    neuron: Any = population.neuron
    per_channel = (population.shape[0], *[1] * (len(population.shape) - 1))
    return np.broadcast_to(neuron.bias, per_channel) if np.ndim(neuron.bias) == 0 else neuron.bias
