"""Samples one behind the other, layers cleared, restored and pipelined: no count and no logit differs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nmdeploy as nm
from nmdeploy.convert.exact import stream
from nmdeploy.convert.exact.capability import CountRules
from nmdeploy.convert.exact.renewal import lifting
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.schedule import off_schedule
from nmdeploy.synapses import Dense
from quantize import MantissaExponentFormat


def run(network, streamed, samples):
    record = Recording(spikes=(ALL,), potentials=network.outputs)
    return nm.emulate(network, streamed.inputs(samples), record=record)


CHIPS = ("loihi1", "loihi1/subtract", "loihi2", "spinnaker")


@pytest.mark.parametrize("chip", CHIPS)
@settings(max_examples=7)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 8), steps=st.integers(1, 16))
def test_every_sample_of_a_stream_is_exact(draw, in_exact_mode, chip, seed, levels, steps):
    drawn = draw(seed)
    network = drawn.network()
    case = in_exact_mode(network, chip, levels, steps)
    streamed = stream(case.exact)
    samples = drawn.rng.permutation(drawn.samples(network, 4))
    wanted = case.ann.counts(case.exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))
    for form in (streamed.network, nm.deploy(streamed.network, chip).network):
        result = run(form, streamed, samples)
        counts = streamed.counts(form, result, len(samples))
        assert {*counts} == {each.name for each in network.populations if isinstance(each.neuron, IF)}
        for name, found in counts.items():
            np.testing.assert_array_equal(found, wanted[name], err_msg=name)
        np.testing.assert_array_equal(streamed.logits(form, result, len(samples))["out"], wanted["out"])
        assert not any(off_schedule(form, result).values())


def deep(depth):
    rng = np.random.default_rng(3)
    names = [f"p{index}" for index in range(depth)]
    hidden = [Population(name, (6,), IF(1.0, bias=rng.normal(size=6) / 4)) for name in names]
    ends = list(zip(["in", *names], [*names, "out"], strict=True))
    projections = [Projection(*each, (Dense(rng.normal(size=(6, 6)) / 2),)) for each in ends]
    return Network("deep", (Population("in", (6,)), *hidden, Population("out", (6,), Integrator())), tuple(projections))


@pytest.mark.parametrize(("chip", "more"), [("spinnaker", 1), ("loihi1", 9)])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_period_does_not_grow_with_the_depth(in_exact_mode, chip, more, depth):
    exact = in_exact_mode(deep(depth), chip, levels=8, steps=16).exact
    assert exact.steps == 16 + 8 * depth
    assert stream(exact).period == 16 + 8 + more


@pytest.mark.parametrize(("chip", "too_few"), [("spinnaker", 1), ("loihi1", 5)])
def test_spikes_that_come_while_a_layer_is_cleared_are_lost(in_exact_mode, chip, too_few):
    """Of the next sample; on Loihi those that came while it is restored would break the limit of a step's sum only."""
    case = in_exact_mode(deep(1), chip, levels=8, steps=8)
    streamed = stream(case.exact)
    samples = np.tile(np.eye(6), (2, 1))
    wanted = case.ann.counts(case.exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))
    for less in (0, too_few):
        hurried = shortened(streamed, less)
        result = run(hurried.network, hurried, samples)
        counts = hurried.counts(hurried.network, result, len(samples))
        assert any(not np.array_equal(counts[name], wanted[name]) for name in counts) == bool(less)


def shortened(streamed, steps):
    """The stream with a period of so many steps less."""
    encoder = replace(streamed.encoder, period=streamed.period - steps)
    populations = tuple(
        replace(each, schedule=replace(each.schedule, period=encoder.period)) for each in streamed.network.populations
    )
    return replace(streamed, network=replace(streamed.network, populations=populations), encoder=encoder)


def test_a_clear_too_weak_leaves_something_behind(in_exact_mode):
    """Five steps of clearing are needed on Loihi: with one less, saturated neurons do not reach the lower end."""
    case = in_exact_mode(deep(1), "loihi1", levels=8, steps=16)
    streamed = stream(case.exact)
    lazy = streamed.encoder.clocks["p0.clear"].copy(), streamed.encoder.tail["p0.clear"].copy()
    assert sum(part.any(axis=1).sum() for part in lazy) == 5
    lazy[1][np.flatnonzero(lazy[1].any(axis=1))[-1]] = 0
    encoder = replace(
        streamed.encoder,
        clocks={**streamed.encoder.clocks, "p0.clear": lazy[0]},
        tail={**streamed.encoder.tail, "p0.clear": lazy[1]},
    )
    weak = replace(streamed, encoder=encoder)
    samples = np.ones((3, 6))
    wanted = case.ann.counts(case.exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))
    counts = weak.counts(weak.network, run(weak.network, weak, samples), 3)
    assert not np.array_equal(counts["p0"], wanted["p0"])


@pytest.mark.parametrize("chip", ["spinnaker", "loihi1"])
def test_many_samples_do_not_drift(in_exact_mode, chip):
    case = in_exact_mode(deep(2), chip, levels=4, steps=6)
    streamed = stream(case.exact)
    samples = np.random.default_rng(0).random((150, 6))
    network = nm.deploy(streamed.network, chip).network
    wanted = case.ann.counts(case.exact.inputs(samples)["in"].sum(axis=0, dtype=np.int64))
    result = run(network, streamed, samples)
    np.testing.assert_array_equal(streamed.logits(network, result, 150)["out"], wanted["out"])


@given(
    seed=st.integers(0, 2**32 - 1),
    mantissa=st.integers(7, 9),
    exponent=st.integers(1, 3),
    clocks=st.integers(1, 3),
    share=st.floats(0, 40),
)
def test_clocks_lift_every_neuron_by_its_own_amount(seed, mantissa, exponent, clocks, share):
    rng = np.random.default_rng(seed)
    control = MantissaExponentFormat(mantissa, exponent)
    step_sum = clocks * control.maximum + control.maximum - 1
    largest = int(share * step_sum)
    amount = np.append(rng.integers(0, largest + 1, 5), largest)
    steps = 0
    lifted = np.zeros(6, np.int64)
    pulses = lifting(amount, control, step_sum)
    for each in pulses:
        assert control.holds(each.weights)
        assert each.weights.any(axis=0).all()
        lifted += each.weights @ each.train.sum(axis=0, dtype=np.int64)
        steps = max(steps, len(each.train))
    np.testing.assert_array_equal(lifted, amount)
    sums = sum((each.weights @ each.train.T for each in pulses), np.zeros((6, 1), np.int64))
    assert sums.max() <= clocks * control.maximum + (1 << mantissa) + steps


class EventChip(CountRules):
    """A chip of which nothing is known but that it counts."""

    def step(self, wanted):
        return int(wanted)

    def excess(self, layer, levels, reach):
        return 0.0


def test_a_chip_that_cannot_clear_is_refused(in_exact_mode):
    exact = in_exact_mode(deep(1), "loihi1").exact
    with pytest.raises(UsageError, match="cannot follow each other"):
        stream(replace(exact, rules=EventChip(exact.rules.weights)))


def test_what_is_no_stream_is_refused(in_exact_mode):
    case = in_exact_mode(deep(1), "loihi1")
    streamed = stream(case.exact)
    result = run(streamed.network, streamed, np.ones((1, 6)))
    bare = replace(
        streamed.network, populations=tuple(replace(each, schedule=None) for each in streamed.network.populations)
    )
    for network, words in ((case.exact.network, "one sample in a run"), (bare, "not a population of a streamed")):
        with pytest.raises(UsageError, match=words):
            streamed.counts(network, result, 1)
