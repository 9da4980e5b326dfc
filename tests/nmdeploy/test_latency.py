"""Delays on chips where every synapse layer takes a step."""

from dataclasses import replace

import numpy as np

from nmdeploy.latency import lateness, relative_delays, with_layer_latency
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.schedule import Schedule
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


def scheduled(network):
    populations = tuple(
        replace(each, schedule=Schedule(((2, 1),), 7)) for each in network.populations if each.name != "b"
    )
    return replace(network, populations=(*populations, network["b"]))


def test_schedules_are_as_late_as_their_populations():
    delayed, in_time = with_layer_latency(
        scheduled(wired(("in", "a", 0), ("a", "b", 0), ("b", "c", 0), outputs=("c",)))
    )
    assert in_time
    assert [each.delay for each in delayed.projections] == [1, 1, 1]
    starts = {"in": 2, "a": 3, "b": None, "c": 5}
    assert {name: delayed[name].schedule for name in starts} == {
        name: None if start is None else Schedule(((start, 1),), 7) for name, start in starts.items()
    }


def test_where_timing_is_not_kept_nothing_is_promised():
    delayed, in_time = with_layer_latency(
        scheduled(wired(("in", "a", 0), ("a", "b", 0), ("b", "a", 1), outputs=("b",)))
    )
    assert not in_time
    assert [each.delay for each in delayed.projections] == [1, 1, 2]
    assert all(each.schedule is None for each in delayed.populations)
