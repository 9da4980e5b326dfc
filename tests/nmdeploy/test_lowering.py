"""What lowering tells on more than one chip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.lowering import slower_loop, steps_within
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import Integrator
from nmdeploy.synapses import Dense


def read_out(weights, bias):
    weights = np.array([weights])
    neuron = Integrator(bias=bias)
    populations = (Population("in", weights.shape[1:]), Population("out", (1,), neuron))
    return Network("net", populations, (Projection("in", "out", (Dense(weights),)),)), neuron


@given(weights=st.lists(st.integers(-9, 9), min_size=1, max_size=4), bias=st.integers(-9, 9), room=st.integers(0, 60))
def test_the_steps_are_all_that_the_worst_input_leaves(weights, bias, room):
    network, neuron = read_out(weights, bias)
    steps = steps_within(network, "out", neuron, room)
    if steps is None:
        assert not any(weights)
        assert bias == 0
        return
    farthest = 0
    for worst in (np.greater(weights, 0), np.less(weights, 0)):
        spikes = np.broadcast_to(worst, (steps + 1, 1, len(weights))).astype(np.uint8)
        v = emulate_reference(network, spikes, record=Recording(potentials=("out",))).potentials["out"].ravel()
        assert np.all(np.abs(v[:steps]) <= room)
        farthest = max(farthest, int(np.abs(v[-1])))
    assert farthest > room


def test_no_room_is_no_step():
    network, neuron = read_out([3], 0)
    assert steps_within(network, "out", neuron, -5) == 0


@pytest.mark.parametrize("code", ["LOI104", "SPI104"])
def test_a_slower_loop_is_a_warning_of_the_network(code):
    network, _ = read_out([1], 0)
    told = slower_loop(network, code)
    assert (told.code, told.where, told.severity.value) == (code, "net", "warning")
    assert "one step slower" in str(told)
