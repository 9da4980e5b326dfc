"""Networks with one thing wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d
from targets.dynapcnn.chips import chips
from targets.dynapcnn.neuron import SpeckIAF
from targets.dynapcnn.rules import RULES

NEURON = SpeckIAF(100)


def layer(image, *synapses, neuron=NEURON, **projection):
    """An input and one layer."""
    entering = Projection("in", "x", synapses, **projection)
    return Network("net", (Population("in", image), Population("x", entering.shapes(image)[-1], neuron)), (entering,))


def pooled(image, *pools, neuron=NEURON):
    """An input, a layer of its shape, and behind the pools another."""
    weight = np.ones((image[0], image[0], 1, 1), dtype=np.int8)
    chain = Projection("x", "y", (*pools, Conv2d(weight)))
    return Network(
        "net",
        (Population("in", image), Population("x", image, neuron), Population("y", chain.shapes(image)[-1], neuron)),
        (Projection("in", "x", (Conv2d(weight),)), chain),
    )


def fan(count, neuron=NEURON):
    """A layer that feeds `count` others, all of them outputs."""
    weight = np.ones((2, 2, 1, 1), dtype=np.int8)
    names = [f"t{index}" for index in range(count)]
    return Network(
        "fan",
        (
            Population("in", (2, 4, 4)),
            Population("x", (2, 4, 4), neuron),
            *(Population(name, (2, 4, 4), neuron) for name in names),
        ),
        (Projection("in", "x", (Conv2d(weight),)), *(Projection("x", name, (Conv2d(weight),)) for name in names)),
    )


def join(first, second):
    """Two inputs into one layer, each by a chain."""
    chains = Projection("a", "x", first[1:]), Projection("b", "x", second[1:])
    return Network(
        "join",
        (
            Population("a", first[0]),
            Population("b", second[0]),
            Population("x", chains[0].shapes(first[0])[-1], NEURON),
        ),
        chains,
    )


def ones(*shape):
    return np.ones(shape, dtype=np.int8)


@pytest.fixture(scope="session")
def make():
    """Makers of networks."""

    return SimpleNamespace(layer=layer, pooled=pooled, fan=fan, join=join, ones=ones)


@pytest.fixture(scope="session")
def check():
    """What all rules find in a network: codes, or the violations of one code."""
    chip = chips()["speck2f"]

    def found(network, code=None):
        every = [violation for rule in RULES for violation in rule(network, chip)]
        return [each.code for each in every] if code is None else [each for each in every if each.code == code]

    return found
