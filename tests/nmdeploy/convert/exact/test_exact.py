"""Counts of every neuron and the logits equal the quantized network, on the ideal network and on chips."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nmdeploy as nm
from nmdeploy.coding import Bernoulli, ConstantCurrent, DeterministicRate
from nmdeploy.convert.exact import QuantizedAnn, early_spikes, mismatches, to_exact
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import QuantizationError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense

CHIPS = ("loihi1", "loihi1/subtract", "loihi2", "spinnaker")


@pytest.mark.parametrize("chip", CHIPS)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 16), steps=st.integers(1, 32))
def test_no_count_and_no_logit_differs(draw, in_exact_mode, chip, seed, levels, steps):
    drawn = draw(seed)
    network = drawn.network()
    case = in_exact_mode(network, chip, levels, steps)
    samples = drawn.samples(network)
    assert case.wrong(samples) == 0
    assert not any(early_spikes(case.deployment, samples).values())


def test_the_random_networks_are_worth_running(draw, in_exact_mode):
    """Silent and saturated neurons, counts in between, shortcuts, and depths of 1 to 5."""
    kinds, seen, depths = set(), set(), set()
    for seed in range(25):
        drawn = draw(seed)
        network = drawn.network()
        case = in_exact_mode(network, "loihi1", levels=4)
        counts = case.ann.counts(case.exact.inputs(drawn.samples(network))["in"].sum(axis=0, dtype=np.int64))
        hidden = [counts[p.name] for p in network.populations if isinstance(p.neuron, IF)]
        seen |= {int(count) for each in hidden for count in np.unique(each)}
        depths.add(len(network.populations) - 1)
        kinds |= {synapse.kind for projection in network.projections for synapse in projection.synapses}
        kinds.add("several ways" if len(network.projections) > len(network.populations) - 1 else "one way")
    assert seen == {0, 1, 2, 3, 4}
    assert depths == {1, 2, 3, 4, 5}
    assert kinds >= {"Dense", "Conv2d", "SumPool2d", "Reshape", "several ways", "one way"}


def two_layers(weight, bias=0, step=10, outputs=2):
    """An integer network of one hidden layer."""
    weight = np.asarray(weight)
    hidden = len(weight)
    populations = (
        Population("in", (weight.shape[1],)),
        Population("hidden", (hidden,), IF(step, bias=bias)),
        Population("out", (outputs,), Integrator()),
    )
    projections = (
        Projection("in", "hidden", (Dense(weight),)),
        Projection("hidden", "out", (Dense(np.ones((outputs, hidden), dtype=np.int64)),)),
    )
    return Network("two", populations, projections)


class Spikes(DeterministicRate):
    """Spikes as they are given, `[N, *shape, T]`."""

    def encode(self, samples, steps):
        return np.moveaxis(samples, -1, 0)[:steps].astype(np.uint8)


@pytest.mark.parametrize("chip", ["loihi1", "spinnaker"])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 8))
def test_no_order_of_spikes_opens_a_gate_early(rules_of, chip, seed, levels):
    """All excitation first, all inhibition first, and everything at once, for every neuron of the layer."""
    rng, steps = np.random.default_rng(seed), 6
    weight = rng.integers(-127, 128, (4, 10))
    network = two_layers(weight, bias=rng.integers(-300, 300, 4), step=int(rng.integers(1, 120)))
    rules = rules_of(chip)
    exact = to_exact(QuantizedAnn.proven(network, levels, steps), rules, Spikes())
    deployment = nm.deploy(exact.network, chip, encoder=exact.encoder, steps=exact.steps)
    excitation = [row > 0 for row in weight]
    alone = [np.repeat(each[:, None], steps, 1) for each in excitation]
    first = [np.where(each[:, None], np.arange(steps) < 3, np.arange(steps) >= 3) for each in excitation]
    patterns = [*alone, *first, *(~each for each in alone), *(~each for each in first), np.ones((10, steps), bool)]
    samples = np.array(patterns)
    assert not any(early_spikes(deployment, samples).values())
    inputs = exact.inputs(samples)
    run = nm.emulate(deployment.network, inputs, record=Recording(counts=(ALL,)))
    wrong = mismatches(exact.ann, deployment.network, inputs["in"].sum(axis=0, dtype=np.int64), run)
    assert wrong == {"hidden": 0, "out": 0}


def test_a_gate_of_one_unit_less_fires_early(rules_of):
    """The proven bound is tight: a neuron that gets all its excitation stands just below its threshold."""
    weight = np.array([[100, 50], [1, 1], [1, 1], [1, 1]])
    exact = to_exact(QuantizedAnn.proven(two_layers(weight, step=2), 2, 8), rules_of("loihi1"), DeterministicRate())
    everything = np.ones((1, 2))
    for lifted, early in ((0, False), (100, True)):
        neuron = exact.network["hidden"].neuron
        changed = tuple(
            replace(each, neuron=replace(neuron, v_init=neuron.v_init + lifted)) if each.name == "hidden" else each
            for each in exact.network.populations
        )
        network = replace(exact.network, populations=changed)
        deployment = nm.deploy(network, "loihi1", encoder=exact.encoder, steps=exact.steps)
        assert bool(early_spikes(deployment, everything)["hidden"]) == early


@pytest.mark.parametrize("chip", ["loihi1", "spinnaker"])
def test_sampled_bounds_tell_where_they_do_not_hold(draw, in_exact_mode, chip):
    """Bounds from weak inputs: a full one fires early, which is counted, and counts differ, which is counted too."""
    rng = np.random.default_rng(1)
    populations = (
        Population("in", (30,)),
        Population("hidden", (8,), IF(1.0)),
        Population("out", (4,), Integrator()),
    )
    projections = (
        Projection("in", "hidden", (Dense(rng.random((8, 30))),)),
        Projection("hidden", "out", (Dense(rng.normal(size=(4, 8))),)),
    )
    network = Network("weak", populations, projections)
    weak = rng.integers(0, 3, (20, 30))
    case = in_exact_mode(network, chip, samples=weak)
    assert "samples" in case.ann.bounds
    inside, beyond = weak / 16, np.ones((3, 30))
    assert case.wrong(inside) == 0
    assert early_spikes(case.deployment, inside) == {"hidden": 0}
    assert early_spikes(case.deployment, beyond)["hidden"] > 0
    assert case.wrong(beyond) > 0


def test_what_does_not_fit_is_refused_with_the_factor_that_would(rules_of):
    wide = two_layers(np.full((4, 60), 127), step=10)
    ann = QuantizedAnn.proven(wide, 8, 16)
    with pytest.raises(QuantizationError, match=r"hidden.*times the range.*divided by (\d+\.\d+) would fit") as caught:
        to_exact(ann, rules_of("loihi1"), DeterministicRate())
    factor = float(str(caught.value).split("divided by ")[1].split()[0])
    narrower = two_layers(np.full((4, 60), int(127 / factor)), step=10)
    to_exact(QuantizedAnn.proven(narrower, 8, 16), rules_of("loihi1"), DeterministicRate())


def test_encoders_with_values_are_refused(rules_of):
    ann = QuantizedAnn.proven(two_layers(np.ones((4, 3), dtype=int)), 4, 4)
    with pytest.raises(UsageError, match="binary input spikes"):
        to_exact(ann, rules_of("loihi1"), ConstantCurrent())
    assert to_exact(ann, rules_of("loihi1"), Bernoulli()).steps == 8


def test_another_deployment_has_no_gates(rules_of):
    deployment = nm.deploy(two_layers(np.ones((4, 3), dtype=int)), "loihi1", encoder=DeterministicRate(), steps=4)
    with pytest.raises(UsageError, match="only exact mode has gates"):
        early_spikes(deployment, np.ones((1, 3)))
