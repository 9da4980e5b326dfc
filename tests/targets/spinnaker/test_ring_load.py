import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import NetworkError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense, OneToOne
from targets.spinnaker.neuron import IFTruncDelta
from targets.spinnaker.ring_load import ring_bounds, ring_peaks


def net(first, second, delay):
    populations = (Population("in", (3,)), Population("out", (2,), IFTruncDelta()))
    projections = (
        Projection("in", "out", (Dense(first),), delay=1),
        Projection("in", "out", (Dense(second),), delay=delay),
    )
    return Network("net", populations, projections)


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_bounds_are_reached_when_all_sources_spike(seed, delay):
    rng = np.random.Generator(np.random.PCG64(seed))
    first, second = rng.integers(-9, 10, (2, 2, 3))
    network = net(first, second, delay)
    excitatory, inhibitory = ring_bounds(network, "out")
    both = np.concatenate([first, second], axis=1)
    np.testing.assert_array_equal(excitatory, np.maximum(both, 0).sum(axis=1))
    np.testing.assert_array_equal(inhibitory, np.maximum(-both, 0).sum(axis=1))
    ones = {"in": np.ones((delay + 1, 1, 3), np.uint8)}
    assert ring_peaks(network, "out", ones) == (excitatory.max(), inhibitory.max())


def test_peaks_are_what_a_run_brought_at_its_own_delays():
    network = net(np.array([[5, 0, 0], [0, 0, -2]]), np.array([[0, 7, 0], [0, 0, 0]]), 3)
    spikes = np.zeros((6, 2, 3), np.uint8)
    spikes[2, 0, 0] = spikes[0, 0, 1] = 1  # together at step 3
    spikes[5, 1, 2] = 1  # arrives after the end
    run = emulate(network, spikes, steps=6, record=Recording(spikes=("*",)))
    assert ring_peaks(network, "out", run.spikes) == (12, 0)
    spikes[4, 1, 2] = 1
    assert ring_peaks(network, "out", {"in": spikes}) == (12, 2)


def test_delays_beyond_the_run_bring_nothing():
    network = net(np.ones((2, 3), int), np.ones((2, 3), int), 9)
    assert ring_peaks(network, "out", {"in": np.ones((4, 1, 3), np.uint8)}) == (3, 0)


def test_signs_of_two_synapses_with_weights_cannot_be_told_apart():
    populations = (Population("in", (2,)), Population("out", (2,), IFTruncDelta()))
    chain = (OneToOne(np.array([2])), OneToOne(np.array([-1])))
    network = Network("twice", populations, (Projection("in", "out", chain, delay=1),))
    with pytest.raises(NetworkError, match="one synapse with weights"):
        ring_bounds(network, "out")
