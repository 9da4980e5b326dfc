"""Faults planted in the event-driven neuron are named by a comparison."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.emulator.result import Recording
from nmdeploy.harness.compare import compare
from nmdeploy.harness.first_difference import Recorded
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, SumPool2d

STEPS = 20


@pytest.fixture
def case(rng):
    first, second = (rng.integers(-30, 50, shape).astype(np.int8) for shape in ((3, 2, 3, 3), (5, 3, 3, 3)))
    network = Network(
        "victim",
        (Population("in", (2, 8, 8)), Population("a", (3, 6, 6), IF(60)), Population("b", (5, 1, 1), IF(80))),
        (Projection("in", "a", (Conv2d(first),)), Projection("a", "b", (SumPool2d(2), Conv2d(second)))),
    )
    spikes = (rng.random((STEPS, 3, 2, 8, 8)) < 0.2).astype(np.uint8)
    return network, spikes


def run(network, spikes):
    record = Recording(spikes=("a", "b"), potentials=("a", "b"), counts=())
    result = nm.emulate(network, spikes, steps=STEPS, record=record)
    return Recorded(dict(result.spikes), dict(result.potentials))


def with_neuron(network, name, **changes):
    populations = tuple(
        replace(each, neuron=replace(each.neuron, **changes)) if each.name == name else each
        for each in network.populations
    )
    return replace(network, populations=populations)


@pytest.mark.parametrize(
    ("cause", "place", "population", "changes"),
    [
        ("reset", "a", "a", {"return_to_zero": True}),
        ("threshold comparison", "b", "b", {"threshold_high": 81}),
        ("saturation", "b", "b", {"clamps_events": False, "threshold_low": -50}),
        ("event order", "b", "a", {"order": "cyx"}),
    ],
)
@pytest.mark.parametrize("profile", ["chip", "step"])
def test_a_planted_fault_of_the_neuron_is_named(case, cause, place, population, changes, profile):
    network, spikes = case
    deployed = nm.deploy(network, f"speck2f/{profile}").network
    if profile == "step" and cause in ("saturation", "event order"):
        pytest.skip("sinabs' steps have neither")
    if cause == "saturation":
        deployed = with_neuron(deployed, population, threshold_low=-50)
    told = compare(deployed, spikes, run(with_neuron(deployed, population, **changes), spikes))
    assert told.place.population == place
    assert (told.explanations[0].cause, told.explanations[0].unexplained) == (cause, 0)


def test_faults_that_single_events_cannot_have_are_passed_over(case):
    network, spikes = case
    deployment = nm.deploy(network, "speck2f")
    kernel = network.projections[0].synapses[0]
    flipped = replace(network.projections[0], synapses=(Conv2d(np.ascontiguousarray(kernel.weight[..., ::-1, ::-1])),))
    wrong = replace(deployment.network, projections=(flipped, deployment.network.projections[1]))
    told = compare(deployment, spikes, run(wrong, spikes))
    assert told.explanations[0].cause == "flipped kernel"
    assert "one-step delay shift" not in {each.cause for each in told.explanations if "act" in each.words}
