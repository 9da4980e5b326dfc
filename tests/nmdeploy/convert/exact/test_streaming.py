"""Samples one behind the other, layers cleared, restored and pipelined: no count and no logit differs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nmdeploy as nm
from nmdeploy.convert.exact import stream
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense


def run(network, streamed, samples):
    record = Recording(spikes=(ALL,), potentials=network.outputs)
    return nm.emulate(network, streamed.inputs(samples), record=record)


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 8), steps=st.integers(1, 16))
def test_every_sample_of_a_stream_is_exact(draw, in_exact_mode, seed, levels, steps):
    drawn = draw(seed)
    network = drawn.network()
    case = in_exact_mode(network, "spinnaker", levels, steps)
    streamed = stream(case.exact)
    samples = drawn.rng.permutation(drawn.samples(network, 4))
    wanted = case.ann.counts(case.exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))
    for form in (streamed.network, nm.deploy(streamed.network, "spinnaker").network):
        result = run(form, streamed, samples)
        counts = streamed.counts(form, result, len(samples))
        assert {*counts} == {each.name for each in network.populations if isinstance(each.neuron, IF)}
        for name, found in counts.items():
            np.testing.assert_array_equal(found, wanted[name], err_msg=name)
            assert result.spikes[name].sum() == found.sum(), "spikes out of their window"
        np.testing.assert_array_equal(streamed.logits(form, result, len(samples))["out"], wanted["out"])


def deep(depth):
    rng = np.random.default_rng(3)
    names = [f"p{index}" for index in range(depth)]
    hidden = [Population(name, (6,), IF(1.0, bias=rng.normal(size=6) / 4)) for name in names]
    ends = list(zip(["in", *names], [*names, "out"], strict=True))
    projections = [Projection(*each, (Dense(rng.normal(size=(6, 6)) / 2),)) for each in ends]
    return Network("deep", (Population("in", (6,)), *hidden, Population("out", (6,), Integrator())), tuple(projections))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_period_does_not_grow_with_the_depth(in_exact_mode, depth):
    exact = in_exact_mode(deep(depth), "spinnaker", levels=8, steps=16).exact
    assert exact.steps == 16 + 8 * depth
    assert stream(exact).period == 16 + 8 + 1


def test_one_step_less_is_too_short(in_exact_mode):
    """The first spikes of the next sample are cleared away."""
    case = in_exact_mode(deep(1), "spinnaker", levels=8, steps=2)
    streamed = stream(case.exact)
    samples = np.eye(6)
    object.__setattr__(streamed, "period", streamed.period - 1)
    wanted = case.ann.counts(case.exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))
    counts = streamed.counts(streamed.network, run(streamed.network, streamed, samples), 6)
    assert any(not np.array_equal(counts[name], wanted[name]) for name in counts)


def test_without_a_floor_samples_are_not_streamed(in_exact_mode):
    with pytest.raises(UsageError, match="no floor to clear them at"):
        stream(in_exact_mode(deep(1), "loihi1").exact)
