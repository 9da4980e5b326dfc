"""Activity is counted in whole numbers and says what a run really did."""

import json

import numpy as np
import pytest

from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import DataError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.report import Activity, Kind
from nmdeploy.report.activity import activity_in
from nmdeploy.synapses import Dense

SPIKES = np.array([[[1, 0], [1, 1]], [[1, 0], [0, 0]], [[1, 0], [0, 0]]], dtype=np.uint8)  # 3 steps, 2 samples


@pytest.fixture(scope="module")
def network():
    return Network(
        "net",
        (
            Population("in", (2,)),
            Population("mid", (3,), IF(1)),
            Population("dead", (2,), IF(99)),
            Population("out", (1,), Integrator()),
        ),
        (
            Projection("in", "mid", (Dense(np.array([[1, 0], [0, 1], [0, 0]])),)),
            Projection("mid", "dead", (Dense(np.ones((2, 3), dtype=int)),), delay=1),
            Projection("mid", "dead", (Dense(np.ones((2, 3), dtype=int)),), delay=1),
            Projection("dead", "out", (Dense(np.ones((1, 2), dtype=int)),)),
        ),
    )


@pytest.fixture(scope="module")
def activity(network):
    return Activity.of(emulate(network, {"in": SPIKES}, record=Recording(counts=("*",))), network)


def test_counts_by_hand(activity):
    assert (activity.steps, activity.samples, activity.kind) == (4, 2, Kind.EMULATED)
    assert activity.origin.startswith("emulated")
    # Sample 0: neuron 0 three times. Sample 1: each once. Both pass on to mid's first two neurons.
    assert [(p.name, p.neurons, p.spikes, p.silent) for p in activity.populations] == [
        ("in", 2, 5, 0),
        ("mid", 3, 5, 1),
        ("dead", 2, 0, 2),
        ("out", 1, 0, 1),
    ]
    assert [(p.name, p.operations) for p in activity.projections] == [
        ("in->mid", 5 * 3),
        ("mid->dead", 5 * 2 * 2),
        ("dead->out", 0),
    ]


def test_shares_are_per_inference_neuron_and_step(activity):
    mid = activity.populations[1]
    assert activity.spikes(mid) == 5 / 2
    assert activity.rate(mid) == 5 / (2 * 4 * 3)
    assert activity.operations(activity.projections[1]) == 10
    assert activity.total_spikes == 5
    assert activity.total_operations == 35 / 2


def test_only_populations_that_could_spike_are_called_silent(activity, network):
    assert activity.never_spiking(network) == ("dead",)


def test_an_input_without_a_single_spike_is_called_silent(network):
    quiet = Activity.of(emulate(network, {"in": np.zeros_like(SPIKES)}), network)
    assert quiet.never_spiking(network) == ("in", "mid", "dead")


def test_one_spike_of_one_sample_is_not_silence(network):
    spikes = np.zeros_like(SPIKES)
    spikes[0, 1, 0] = 1
    assert Activity.of(emulate(network, {"in": spikes}), network).never_spiking(network) == ("dead",)


def test_without_counts_nobody_is_called_silent(network):
    found = Activity.of(emulate(network, {"in": SPIKES}), network)
    assert [each.silent for each in found.populations] == [None, None, None, 1]


def test_the_figure_comes_back(activity):
    stored = json.loads(json.dumps({"activity": activity.figure()}, sort_keys=True))
    assert activity_in(stored) == activity
    assert activity_in({}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 0},
        {"steps": "many"},
        {"kind": "guessed"},
        {"populations": [["in"]]},
        {"projections": 5},
        {"populations": None},
    ],
)
def test_a_figure_that_is_no_activity_is_refused(activity, change):
    with pytest.raises(DataError, match="activity"):
        activity_in({"activity": {**activity.figure(), **change}})


def test_a_missing_entry_is_refused(activity):
    stored = activity.figure()
    del stored["origin"]
    with pytest.raises(DataError, match=r"activity: the figure is no activity .*origin"):
        activity_in({"activity": stored})
