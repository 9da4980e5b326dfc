"""What exact mode counts on is what Loihi's design rules allow."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import QuantizedAnn, to_exact
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense
from targets.loihi.neuron import LoihiLIF


@pytest.fixture
def rules():
    choice = nm.chip("loihi1")
    return choice.target.exact_rules(choice.chip, choice.profile)


def of_excitation(weight):
    """A layer whose sums are all excitation: it needs the largest gate."""
    populations = (Population("in", (24,)), Population("hidden", (4,), IF(8)), Population("out", (2,), Integrator()))
    projections = (
        Projection("in", "hidden", (Dense(np.full((4, 24), weight)),)),
        Projection("hidden", "out", (Dense(np.ones((2, 4), dtype=int)),)),
    )
    return Network("excited", populations, projections)


def widest(rules):
    """The largest weight that fits."""
    for weight in range(127, 0, -1):
        ann = QuantizedAnn.proven(of_excitation(weight), 4, 16)
        if rules.excess(ann.layer("hidden"), 4, ann.reach["hidden"]) <= 1:
            return weight, ann
    raise AssertionError("nothing fits")


def test_what_just_fits_meets_the_design_rules_and_what_does_not_breaks_them(rules):
    weight, ann = widest(rules)
    assert weight < 127
    exact = to_exact(ann, rules, DeterministicRate())
    assert exact.network["hidden.gate"].size == 3  # one synapse adds 127 * 2**7 at most
    deployment = nm.deploy(exact.network, "loihi1")
    assert isinstance(deployment.network["hidden"].neuron, LoihiLIF)
    wider = QuantizedAnn.proven(of_excitation(weight + 1), 4, 16)
    unchecked = replace(rules, step_sum=1 << 20, lowest=-(1 << 20))
    with pytest.raises(FitError, match="LOI007"):
        nm.deploy(to_exact(wider, unchecked, DeterministicRate()).network, "loihi1")


def test_gates_are_stored_without_loss(rules):
    _, ann = widest(rules)
    network = nm.deploy(to_exact(ann, rules, DeterministicRate()).network, "loihi1").network
    for source in ("hidden.gate", "hidden.drive"):
        projection = next(each for each in network.projections if each.source == source)
        assert projection.synapses[0].weight.max() <= 254
        assert projection.exponent <= 6
