"""Faults planted in a neuron are named by a comparison."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.emulator.result import Recording
from nmdeploy.harness.compare import compare
from nmdeploy.harness.first_difference import Recorded
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense

STEPS = 30


@pytest.mark.parametrize(
    ("cause", "changes"),
    [("threshold comparison", {"v_thresh": 32769}), ("reset", {"tau_refrac": 32768})],
)
def test_a_planted_fault_is_named(rng, cause, changes):
    weights = (1024 * rng.integers(-8, 17, (6, 12))).astype(np.int16)  # so that potentials meet the threshold exactly
    network = Network(
        "victim",
        (Population("in", (12,)), Population("out", (6,), IF(32768, reset="zero", v_min=0))),
        (Projection("in", "out", (Dense(weights),)),),
    )
    deployment = nm.deploy(network, "spin5")
    spikes = (rng.random((STEPS, 3, 12)) < 0.4).astype(np.uint8)
    neuron = deployment.network["out"].neuron
    wrong = tuple(
        replace(each, neuron=replace(neuron, **changes)) if each.name == "out" else each
        for each in deployment.network.populations
    )
    result = nm.emulate(replace(deployment.network, populations=wrong), spikes, record=Recording(spikes=("out",)))
    told = compare(deployment, spikes, Recorded(dict(result.spikes)))
    assert (told.explanations[0].cause, told.explanations[0].unexplained) == (cause, 0)
