"""Exact mode on `IF_trunc_delta`: every bit of reference and fast engine, and how far weights and thresholds go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nmdeploy as nm
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import QuantizedAnn, mismatches, to_exact
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense
from nmdeploy.target import Severity
from targets.spinnaker.fixed_point import ONE
from targets.spinnaker.neuron import IFTruncDelta
from targets.spinnaker.precision import EXACT


def quantized(rng, levels, steps, largest=127, bias=2000):
    populations = (
        Population("in", (12,)),
        Population("a", (8,), IF(int(rng.integers(1, 400)), bias=rng.integers(-bias, bias + 1, 8))),
        Population("b", (6,), IF(int(rng.integers(1, 400)))),
        Population("out", (4,), Integrator(bias=rng.integers(-bias, bias + 1, 4))),
    )

    def dense(rows, columns):
        return (Dense(rng.integers(-largest, largest + 1, (rows, columns))),)

    projections = (
        Projection("in", "a", dense(8, 12)),
        Projection("a", "b", dense(6, 8)),
        Projection("b", "out", dense(4, 6)),
    )
    return QuantizedAnn.proven(Network("q", populations, projections), levels, steps)


def deployed(ann):
    exact = to_exact(ann, EXACT, DeterministicRate())
    return exact, nm.deploy(exact.network, "spinnaker", encoder=exact.encoder, steps=exact.steps)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.integers(1, 16),
    steps=st.integers(1, 32),
    bias=st.sampled_from([0, 60, 9000]),
)
def test_no_count_and_no_logit_differs(seed, levels, steps, bias):
    rng = np.random.default_rng(seed)
    ann = quantized(rng, levels, steps, bias=bias)
    exact, deployment = deployed(ann)
    samples = rng.random((3, 12)).round(int(rng.integers(0, 3)))
    inputs = exact.inputs(samples)
    for engine in ("reference", "fast"):
        run = nm.emulate(deployment.network, inputs, record=Recording(counts=(ALL,)), engine=engine)
        found = mismatches(ann, deployment.network, inputs["in"].sum(axis=0, dtype=np.int64), run)
        assert found == {"a": 0, "b": 0, "out": 0}


def test_the_neuron_gives_itself_back_what_the_drive_does_not_bring():
    ann = quantized(np.random.default_rng(0), 8, 16)
    exact, deployment = deployed(ann)
    for name in "ab":
        neuron, step = deployment.network[name].neuron, ann.layer(name).step
        assert isinstance(neuron, IFTruncDelta)
        assert np.all(np.equal(neuron.v_thresh, ONE))
        assert neuron.tau_refrac == 0
        threshold = ONE - neuron.v_reset
        assert threshold == exact.network[name].neuron.threshold
        back = next(each for each in deployment.network.projections if each.source == each.target == name)
        assert back.delay == 1
        assert back.synapses[0].weight.tolist() == [threshold - step]
    assert not any(remark.severity is Severity.ERROR for remark in deployment.remarks)


@pytest.mark.parametrize(("fan_in", "fits"), [(32, True), (33, False)])
def test_sums_go_up_to_what_a_ring_buffer_holds(fan_in, fits):
    """32 inputs of weight 127 for 16 steps reach 65,024; the threshold is at most 65,535."""
    populations = (Population("in", (fan_in,)), Population("a", (4,), IF(100)), Population("out", (2,), Integrator()))
    projections = (
        Projection("in", "a", (Dense(np.full((4, fan_in), 127)),)),
        Projection("a", "out", (Dense(np.ones((2, 4), dtype=int)),)),
    )
    ann = QuantizedAnn.proven(Network("wide", populations, projections), 8, 16)
    assert (EXACT.excess(ann.layer("a"), 8, ann.reach["a"]) <= 1) == fits


def test_a_saturated_layer_is_exact_at_the_edge():
    populations = (Population("in", (32,)), Population("a", (4,), IF(100)), Population("out", (2,), Integrator()))
    weight = np.full((4, 32), 127)
    weight[1] *= -1
    weight[2, ::2] *= -1
    projections = (
        Projection("in", "a", (Dense(weight),)),
        Projection("a", "out", (Dense(np.ones((2, 4), dtype=int)),)),
    )
    ann = QuantizedAnn.proven(Network("wide", populations, projections), 8, 16)
    exact, deployment = deployed(ann)
    inputs = exact.inputs(np.stack([np.ones(32), np.zeros(32), np.arange(32) % 2.0]))
    run = nm.emulate(deployment.network, inputs, record=Recording(counts=(ALL,)))
    assert run.counts["a"].tolist() == [[8, 0, 0, 8], [0, 0, 0, 0], [8, 0, 8, 8]]
