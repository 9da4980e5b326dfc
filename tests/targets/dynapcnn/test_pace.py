"""Steps on a board: a millisecond, and in exact mode as long as the chip may need."""

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import QuantizedAnn, to_exact
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense
from targets.dynapcnn.event_arrays import EVENT
from targets.dynapcnn.pace import Pace
from targets.dynapcnn.script import input_events


def deployed(chip="speck2f", inputs=8, weight=127):
    populations = (Population("in", (inputs,)), Population("a", (4,), IF(50)), Population("out", (2,), Integrator()))
    projections = (
        Projection("in", "a", (Dense(np.full((4, inputs), weight)),)),
        Projection("a", "out", (Dense(np.ones((2, 4), dtype=int)),)),
    )
    ann = QuantizedAnn.proven(Network("net", populations, projections), 4, 32)
    choice = nm.chip(chip)
    rules = choice.target.exact_rules(choice.chip, choice.profile)
    exact = to_exact(ann, rules, DeterministicRate())
    return nm.deploy(exact.network, choice, encoder=exact.encoder, steps=exact.steps)


def test_other_deployments_keep_a_millisecond_or_what_the_user_says(nets, rng):
    deployment = nm.deploy(nets.chain(rng), "speck2f")
    assert Pace.of(deployment) == Pace(1000, 0.0)
    assert Pace.of(deployment, 50) == Pace(50, 0.0)


@pytest.mark.parametrize("chip", ["speck2f", "dynapcnndevkit"])
def test_exact_mode_gets_the_published_time_of_an_event_twice(chip):
    """A gate of (8 * 127 * 32 - 4 * 50) / 127 + 1 events, 255 of them in a step, 1.58 us each."""
    deployment = deployed(chip)
    assert max(train.sum(axis=(1, 2, 3)).max() for train in deployment.encoder.clocks.values()) == 255
    pace = Pace.of(deployment)
    assert pace.step_us == 1000  # more than 2 * 255 * 1.58
    assert pace.apart_us == pytest.approx(500 / 255)
    slow = Pace.of(deployment, 10_000)
    assert slow.step_us == 10_000
    assert slow.apart_us == pytest.approx(5000 / 255)


def test_a_step_lasts_longer_than_a_millisecond_where_a_whole_layer_may_fire():
    deployment = deployed(inputs=900, weight=1)
    assert Pace.of(deployment).step_us == 2844  # ceil(900 * 1.58 / 0.5)


def test_events_of_a_step_are_sent_apart_and_in_its_first_half():
    deployment = deployed()
    inputs = deployment.encoder.inputs([p.name for p in deployment.network.inputs], np.ones((2, 8)), deployment.steps)
    pace = Pace.of(deployment)
    for name, samples in input_events(deployment.network, inputs, pace).items():
        for sample, events in enumerate(samples):
            steps, late = np.divmod(events["t"], pace.step_us)
            counts = inputs[name][:, sample].reshape(deployment.steps, -1).sum(axis=1)
            np.testing.assert_array_equal(np.bincount(steps, minlength=deployment.steps), counts)
            assert late.max(initial=0) < pace.step_us / 2
            assert np.all(np.diff(events["t"]) >= 0)


def test_times_are_spread_within_their_step_only():
    events = np.zeros(5, EVENT)
    events["t"] = [0, 0, 0, 2000, 2000]
    events["x"] = range(5)
    timed = Pace(1000, 2.5).timed(events)
    assert timed["t"].tolist() == [0, 2, 5, 2000, 2002]
    assert timed["x"].tolist() == list(range(5))
    assert events["t"].tolist() == [0, 0, 0, 2000, 2000]
