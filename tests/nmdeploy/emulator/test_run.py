"""The public entry point."""

import numpy as np
import pytest

import nmdeploy
from nmdeploy.deployment import Deployment, Placement
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense
from nmdeploy.target import Profile

NETWORK = Network(
    "net",
    (Population("in", (2,)), Population("out", (3,), IF(2))),
    (Projection("in", "out", (Dense(np.array([[1, 1], [2, 0], [-1, 3]])),)),),
)


def spikes(rng):
    return (rng.random((6, 4, 2)) < 0.5).astype(np.uint8)


def test_the_package_offers_the_emulator():
    assert nmdeploy.emulate is emulate


def test_engines_say_what_ran_and_agree(rng):
    inputs = spikes(rng)
    fast, slow = emulate(NETWORK, inputs, engine="numpy"), emulate(NETWORK, inputs, engine="reference")
    assert (fast.origin, slow.origin) == ("emulated (numpy engine)", "emulated (reference)")
    assert fast.counts["out"].sum() > 0
    np.testing.assert_array_equal(fast.counts["out"], slow.counts["out"])


def test_a_deployment_runs_its_lowered_network(rng):
    deployment = Deployment(NETWORK, "toy", "toy1", Profile("plain", ()), Placement("toy1", (), {}))
    inputs = spikes(rng)
    np.testing.assert_array_equal(emulate(deployment, inputs).spikes["out"], emulate(NETWORK, inputs).spikes["out"])


def test_the_reference_reports_progress_once(rng):
    calls = []
    emulate(NETWORK, spikes(rng), engine="reference", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(4, 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "warp"}, "found 'warp', limit 'fast', 'compiled', 'numpy', 'reference'"),
        ({"batch": 0}, "batch: .*found 0"),
    ],
)
def test_unknown_engines_and_empty_batches_are_refused(options, message, rng):
    with pytest.raises(UsageError, match=message):
        emulate(NETWORK, spikes(rng), **options)
