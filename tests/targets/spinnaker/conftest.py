"""The boards, and networks to put on them."""

import numpy as np
import pytest

from nmdeploy.deployment import deploy
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.spinnaker import TARGET
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta


@pytest.fixture(scope="session")
def spin5():
    return TARGET.chips()["spin5"]


@pytest.fixture(scope="session")
def spin3():
    return TARGET.chips()["spin3"]


def _firing(rng, threshold=300, **parameters):
    return IF(threshold, reset="zero", **parameters)


@pytest.fixture(scope="session")
def ideal_dense():
    """Makes a chain of dense layers of ideal neurons, the last one an integrator."""

    def make(sizes, seed=0, *, floor=0, delay=0, largest=120):
        rng = np.random.Generator(np.random.PCG64(seed))
        populations, projections = [Population("in", (sizes[0],))], []
        for index, size in enumerate(sizes[1:]):
            last = index == len(sizes) - 2
            bias = rng.integers(-9, 9, size)
            threshold = rng.integers(1, 400, size)
            neuron = Integrator(bias) if last else _firing(rng, threshold, bias=bias, v_min=floor)
            name = f"l{index}"
            weight = rng.integers(-largest, largest + 1, (size, sizes[index]))
            projections.append(Projection(populations[-1].name, name, (Dense(weight),), delay))
            populations.append(Population(name, (size,), neuron))
        return Network("dense", tuple(populations), tuple(projections))

    return make


@pytest.fixture(scope="session")
def ideal_images():
    """A convolution, one behind a pool, a strided one, a pooled dense map, and an integrator."""
    rng = np.random.Generator(np.random.PCG64(7))

    def weights(*shape):
        return rng.integers(-100, 101, shape)

    populations = (
        Population("in", (2, 12, 8)),
        Population("same", (3, 12, 8), _firing(rng, bias=rng.integers(-4, 9, (3, 1, 1)))),
        Population("pooled", (2, 6, 4), _firing(rng, 100)),
        Population("strided", (4, 3, 2), _firing(rng, 100)),
        Population("flat", (6,), _firing(rng, 90, refractory=2)),
        Population("out", (5,), Integrator()),
    )
    projections = (
        Projection("in", "same", (Conv2d(weights(3, 2, 3, 3), padding=(1, 1, 1, 1)),)),
        Projection("same", "pooled", (SumPool2d((2, 2)), Conv2d(weights(2, 3, 5, 5), padding=(2, 2, 2, 2)))),
        Projection("pooled", "strided", (Conv2d(weights(4, 2, 3, 3), stride=(2, 2), padding=(1, 1, 1, 1)),)),
        Projection("pooled", "flat", (SumPool2d((2, 2)), Reshape((12,)), Dense(weights(6, 12)))),
        Projection("strided", "out", (Reshape((24,)), Dense(weights(5, 24)))),
        Projection("flat", "out", (Dense(weights(5, 6)),)),
    )
    return Network("images", populations, projections)


@pytest.fixture(scope="session")
def tiny_deployment():
    """Every kind of neuron and of synapses, delays, shifts, an odd population, a population on two cores.

    Its map on sPyNNaker 7.4.1's virtual board is in `recorded/virtual_board.json`.
    """
    rng = np.random.Generator(np.random.PCG64(5))

    def weights(*shape):
        return rng.integers(-90, 100, shape)

    network = Network(
        "tiny",
        (
            Population("a", (1, 4, 4)),
            Population("conv", (2, 4, 4), IFCurrExp(v_init=3, i_offset=rng.integers(0, 9, (2, 1, 1)), shift_exc=4)),
            Population("pool", (3,), IFCurrExp(tau_syn_exc=2048, tau_syn_inh=2048, shift_inh=2)),
            Population("rows", (5,), IFTruncDelta(i_offset=np.arange(5), v_reset=-400, shift_exc=1)),
            Population("many", (260,), IFCurrDelta(tau_m=20 * 32768, v_rest=-7)),
            Population("last", (2,), IFTruncDelta(tau_refrac=2 * 32768)),
        ),
        (
            Projection("a", "conv", (Conv2d(weights(2, 1, 3, 3), padding=1),), 2),
            Projection("conv", "pool", (SumPool2d(2), Reshape((8,)), Dense(weights(3, 8))), 1),
            Projection("conv", "rows", (Reshape((32,)), Dense(weights(5, 32))), 3),
            Projection("a", "rows", (Reshape((16,)), Dense(weights(5, 16))), 1),
            Projection("pool", "many", (Dense(weights(260, 3) * (rng.random((260, 3)) < 0.2)),), 1),
            Projection("many", "last", (Dense(weights(2, 260) * (rng.random((2, 260)) < 0.2)),), 1),
            Projection("rows", "last", (Dense(weights(2, 5)),), 1),
            Projection("last", "last", (Dense(weights(2, 2)),), 4),
        ),
        outputs=("last",),
    )
    return deploy(network, "spin5", steps=10)
