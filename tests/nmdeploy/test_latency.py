"""Delays on chips where every synapse layer takes a step."""

import numpy as np

from nmdeploy.latency import lateness, relative_delays
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense


def wired(*arrows, outputs):
    """A network of one-neuron populations; an arrow is (source, target, delay)."""
    names = dict.fromkeys(name for source, target, _ in arrows for name in (source, target))
    one = Dense(np.ones((1, 1), np.int8))
    return Network(
        "wired",
        tuple(Population(name, (1,), None if name == "in" else IF(1)) for name in names),
        tuple(Projection(source, target, (one,), delay) for source, target, delay in arrows),
        outputs=outputs,
    )


def test_a_chain_is_late_by_its_layers():
    network = wired(("in", "a", 0), ("a", "b", 0), outputs=("b",))
    assert lateness(network) == {"in": 0, "a": 1, "b": 2}
    assert relative_delays(network) == ([1, 1], True)


def test_existing_delays_pay_for_latency_and_short_branches_wait():
    network = wired(("in", "a", 3), ("a", "b", 0), ("b", "c", 0), ("a", "c", 0), ("in", "c", 0), outputs=("c",))
    assert lateness(network) == {"in": 0, "a": 0, "b": 1, "c": 2}
    assert relative_delays(network) == ([3, 1, 1, 2, 2], True)


def test_a_loop_with_a_step_a_layer_keeps_its_time():
    network = wired(("in", "a", 0), ("a", "b", 1), ("b", "a", 1), outputs=("b",))
    assert lateness(network) == {"in": 0, "a": 1, "b": 1}
    assert relative_delays(network) == ([1, 1, 1], True)


def test_a_loop_without_time_for_its_layers_becomes_slower():
    network = wired(("in", "a", 0), ("a", "b", 0), ("b", "a", 1), outputs=("b",))
    assert lateness(network) is None
    assert relative_delays(network) == ([1, 1, 2], False)
