"""Networks of the chip's own layers, made from sizes alone."""

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, SumPool2d
from targets.dynapcnn.chips import chips
from targets.dynapcnn.neuron import SpeckIAF


@pytest.fixture(scope="session")
def speck2f():
    return chips()["speck2f"]


def chain(image, *layers):
    """A chain of convolutions of weight 1; a layer is (channels, kernel, padding, pooling before it)."""
    populations, projections = [Population("in", image)], []
    for index, (channels, kernel, padding, pooling) in enumerate(layers):
        source = populations[-1]
        pools = (SumPool2d(pooling),) if pooling > 1 else ()
        shape = pools[0].out_shape(source.shape) if pools else source.shape
        conv = Conv2d(np.ones((channels, shape[0], kernel, kernel), dtype=np.int8), padding=padding)
        populations.append(Population(f"l{index}", conv.out_shape(shape), SpeckIAF(100)))
        projections.append(Projection(source.name, f"l{index}", (*pools, conv)))
    return Network("chain", tuple(populations), tuple(projections))


@pytest.fixture(scope="session")
def chain_of():
    return chain


@pytest.fixture(scope="session")
def tutorial():
    """The sizes of sinabs' tutorial network on MNIST."""
    return chain((1, 28, 28), (20, 5, 0, 1), (32, 5, 0, 2), (128, 3, 0, 2), (500, 1, 0, 2), (10, 1, 0, 1))


@pytest.fixture(scope="session")
def residual():
    """A layer that feeds another and, past it, the sum of both."""
    one = np.ones((4, 4, 1, 1), dtype=np.int8)
    return Network(
        "residual",
        (
            Population("in", (1, 8, 8)),
            Population("stem", (4, 8, 8), SpeckIAF(9)),
            Population("left", (4, 8, 8), SpeckIAF(9)),
            Population("sum", (4, 8, 8), SpeckIAF(9)),
        ),
        (
            Projection("in", "stem", (Conv2d(np.ones((4, 1, 3, 3), dtype=np.int8), padding=1),)),
            Projection("stem", "left", (Conv2d(one),)),
            Projection("stem", "sum", (Conv2d(one),)),
            Projection("left", "sum", (Conv2d(2 * one),)),
        ),
    )
