"""Placed networks, and a cost's items by event."""

import numpy as np
import pytest

from nmdeploy.deployment import CoreLoad, Deployment, Placement
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from nmdeploy.target import Profile


@pytest.fixture(scope="session")
def deployed():
    """Makes a deployment in which neuron i of each population lies on core `homes[name][i]` (chip, core)."""

    def make(network, homes, chip="loihi1"):
        loads = []
        for name, cores in homes.items():
            for place in sorted(set(cores)):
                neurons = np.array([neuron for neuron, core in enumerate(cores) if core == place])
                loads.append(CoreLoad(*place, name, neurons, {}))
        placement = Placement(chip, tuple(loads), {}, tuple(population.name for population in network.inputs))
        return Deployment(network, "loihi", chip, Profile("loihi/chip", ()), placement)

    return make


@pytest.fixture(scope="session")
def chain():
    """Makes in -> a -> b, one neuron each."""

    def make(neuron, weights):
        ways = [Projection(*ends, (Dense(np.array([[w]])),), delay=1) for ends, w in weights.items()]
        populations = (Population("in", (1,)), Population("a", (1,), neuron), Population("b", (1,), neuron))
        return Network("chain", populations, ways)

    return make


@pytest.fixture(scope="session")
def items():
    """A cost's items by event."""
    return lambda cost: {item.event: item for item in cost.items}
