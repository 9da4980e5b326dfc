"""A written file read again is the same network, and written again the same bytes."""

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.emulator.result import ALL, Recording
from targets.loihi.netx import Arguments, read_net, write_net

STEPS = 24


def everything(network, inputs):
    layers = [population.name for population in network.populations if not population.is_input]
    record = Recording(spikes=(ALL,), potentials=(*layers, *(f"{name}.u" for name in layers)))
    result = nm.emulate(network, inputs, steps=STEPS, record=record)
    arrays = [result.spikes[population.name] for population in network.populations]
    arrays += [result.potentials[key] for name in layers for key in (name, f"{name}.u")]
    return [array.reshape(STEPS, 2, -1) for array in arrays]


@pytest.mark.parametrize("seed", range(30))
def test_the_same_network(chain, tmp_path, seed):
    generator = np.random.Generator(np.random.PCG64(seed))
    network = chain(generator)
    arguments = write_net(network, tmp_path / "a.net")
    again = read_net(tmp_path / "a.net")
    spikes = (generator.random((STEPS, 2, *network.inputs[0].shape)) < 0.4).astype(np.uint8)
    for written, read in zip(everything(network, spikes), everything(again, spikes), strict=True):
        np.testing.assert_array_equal(written, read)
    assert write_net(again, tmp_path / "b.net") == arguments
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()
    neurons = [population.neuron for population in network.populations[1:]]
    for written, read in zip(neurons, (population.neuron for population in again.populations[1:]), strict=True):
        assert type(written) is type(read)
        assert (written.vth, written.du, written.dv) == (read.vth, read.du, read.dv)
        assert np.unique(written.bias_mant).tolist() == np.unique(read.bias_mant).tolist()


def test_an_input_that_drives_biases(driven, tmp_path):
    assert write_net(driven, tmp_path / "a.net") == Arguments()
    again = read_net(tmp_path / "a.net")
    assert again.inputs[0].spike_range == driven.inputs[0].spike_range
    values = np.random.Generator(np.random.PCG64(0)).integers(0, 71, (STEPS, 2, 1, 3, 2))
    for written, read in zip(everything(driven, values), everything(again, values), strict=True):
        np.testing.assert_array_equal(written, read)


def test_the_order_of_flattened_maps(tmp_path):
    """One synapse from each place of a (2, 2, 3) map: columns are those of a row-major flatten."""
    from nmdeploy.network import Network, Population, Projection
    from nmdeploy.synapses import Conv2d, Dense, Reshape
    from targets.loihi.neuron import LoihiLIF

    ones = np.full((2, 1, 1, 1), 4)
    populations = (
        Population("in", (1, 2, 3)),
        Population("map", (2, 2, 3), LoihiLIF(1)),
        Population("out", (12,), LoihiLIF(10_000)),
    )
    weight = np.diag(np.arange(1, 13) * 10)
    projections = (
        Projection("in", "map", (Conv2d(ones),), 1),
        Projection("map", "out", (Reshape((12,)), Dense(weight)), 1),
    )
    write_net(Network("order", populations, projections), tmp_path / "a.net")
    dense = read_net(tmp_path / "a.net").projections[-1]
    np.testing.assert_array_equal(dense.synapses[-1].weight >> -dense.exponent, weight)
