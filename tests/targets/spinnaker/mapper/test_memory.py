"""Memory of a core, against what sPyNNaker 7.4.1 reserved on its virtual board."""

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from targets.spinnaker.lower import lower
from targets.spinnaker.mapper.memory import dtcm, ring_bytes, sdram, source_sdram
from targets.spinnaker.mapper.wiring import Rows, Wiring
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp


def reserved(network):
    """Bytes by PyNN population."""
    wiring = Wiring(network)
    return {
        part.label: sdram(part, population.neuron, wiring.incoming[part.label])
        for population in network.populations
        if population.neuron
        for part in wiring.populations[population.name]
    }


def test_dense_layers(spin5, ideal_dense):
    assert reserved(lower(ideal_dense([100, 301, 11]), spin5).network) == {"l0": 236460, "l1": 61748}
    assert reserved(lower(ideal_dense([20, 40, 6], delay=39), spin5).network) == {"l0": 22960, "l1": 6252}


def test_images_as_rows(spin5, ideal_images):
    found = reserved(lower(ideal_images, spin5).network)
    assert found == {"same": 140052, "pooled": 130400, "strided": 16356, "flat": 6924, "out": 5716}


def test_shared_weights(spin5, ideal_images):
    found = reserved(lower(ideal_images, spin5, "conv").network)
    assert found == {
        **{f"same.c{channel}": 51568 for channel in range(3)},
        **{f"pooled.c{channel}": 14032 for channel in range(2)},
        "strided": 16228,
        "flat": 4572,
        "out": 5716,
    }


@pytest.mark.parametrize(("model", "bytes_"), [(IFCurrDelta, 18928), (IFCurrExp, 20624)])
def test_leaky_neurons_with_rows(model, bytes_):
    # 20 sources; the longest rows, of 21 + 21 and of 20 + 19 synapses, are those of the recorded network.
    weight = np.zeros((30, 20), int)
    weight[:21, 0], weight[:21, 1] = 1, -1
    if model is IFCurrExp:
        weight[20, 0] = weight[19:21, 1] = 0
    populations = (Population("in", (20,)), Population("out", (30,), model()))
    network = Network("leaky", populations, (Projection("in", "out", (Dense(weight),), delay=1),))
    assert reserved(network) == {"out": bytes_}


def test_sources_hold_the_keys_of_a_step():
    assert [source_sdram(neurons) for neurons in (20, 100, 144)] == [512 + 86, 512 + 412, 512 + 594]


def test_ring_buffers_grow_with_neurons_and_delays(spin5, ideal_dense):
    def one(delay):
        return [Rows(Wiring(ideal_dense([2, 2])).populations["in"][0], 1, 1, delay)]

    assert ring_bytes(256, one(1)) == 2 * 256 * 2 * 2
    assert ring_bytes(255, one(2)) == 2 * 256 * 2 * 2
    assert ring_bytes(256, one(32)) == 2 << 14
    assert ring_bytes(1, []) == 2 * 2 * 2 * 2


def test_own_memory_holds_weights_rings_and_rows(spin5, ideal_images):
    shared, rows = (lower(ideal_images, spin5, profile).network for profile in ("conv", "chip"))
    sizes = []
    for network, label in ((shared, "flat"), (rows, "flat"), (shared, "in.c0")):
        wiring = Wiring(network)
        part = next(part for parts in wiring.populations.values() for part in parts if part.label == label)
        sizes.append(dtcm(part, network[part.population].neuron, wiring.incoming[label], spin5))
    # Program data and stack, then spike buffer, neurons, recordings, rings; two matrices of 6 x 6, or rows of six.
    common = 2668 + 4096 + 1024
    assert sizes[0] == common + 4 * 16 * 6 + 8 * 6 + 32 * 2 + (12 + 2 * (92 + 20 + 72))
    tables = 24 + 2 * 4 + 4 * (8 + 2)
    assert common + 4 * 13 * 6 + 8 * 6 + 32 * 2 + tables < sizes[1] <= common + 4 * 13 * 6 + 48 + 64 + tables + 72
    assert sizes[2] == 2668 + 4096 + 4 * 96
