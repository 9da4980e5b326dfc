"""A deployment on Speck: on a board where there is one, else on the emulator; `--nm-on` says which.

What is published of the chip fixes its first layer, and later layers up to the order in which neurons that
one event reaches fire. So the first layer is held against the emulator's every count, the second against
the spread over candidate orders.
"""

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.spread import candidate_orders
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d

RECORD = Recording(spikes=(ALL,), counts=(ALL,))


@pytest.fixture
def deployment():
    generator = np.random.Generator(np.random.PCG64(21))
    network = Network(
        "small",
        (
            Population("input", (2, 8, 8)),
            Population("conv", (4, 8, 8), IF(130, v_min=-130)),
            Population("out", (5,), IF(200, v_min=-200)),
        ),
        (
            Projection("input", "conv", (Conv2d(generator.integers(-60, 128, (4, 2, 3, 3)), padding=1),)),
            Projection("conv", "out", (SumPool2d(2), Reshape((64,)), Dense(generator.integers(-60, 128, (5, 64))))),
        ),
    )
    return nm.deploy(network, "speck2f")


@pytest.fixture
def spikes():
    return (np.random.Generator(np.random.PCG64(22)).random((20, 3, 2, 8, 8)) < 0.1).astype(np.uint8)


def test_the_first_layer_is_as_emulated_and_the_second_within_the_spread(deployment, spikes, nm_run):
    emulated = [nm.emulate(each, spikes, record=RECORD) for each in candidate_orders(deployment).values()]
    result = nm_run(deployment, spikes, record=RECORD)
    assert emulated[0].counts["conv"].any()
    np.testing.assert_array_equal(result.counts["conv"], emulated[0].counts["conv"])
    counts = np.stack([each.counts["out"] for each in emulated])
    assert counts.any()
    assert np.all((result.counts["out"] >= counts.min(axis=0)) & (result.counts["out"] <= counts.max(axis=0)))


def test_every_sample_starts_from_fresh_potentials(deployment, spikes, nm_run):
    twice = np.concatenate([spikes[:, :1], spikes[:, :1]], axis=1)
    result = nm_run(deployment, twice, record=RECORD)
    assert result.counts["conv"].any()
    np.testing.assert_array_equal(result.counts["conv"][0], result.counts["conv"][1])


def test_both_event_engines_agree_on_the_deployment(deployment, spikes):
    record = Recording(spikes=(ALL,), potentials=("conv", "out"))
    runs = [nm.emulate(deployment, spikes, record=record, engine=engine) for engine in ("fast", "reference")]
    for name in ("input", "conv", "out"):
        assert runs[0].spikes[name].any()
        np.testing.assert_array_equal(runs[0].spikes[name], runs[1].spikes[name])
    for name in ("conv", "out"):
        np.testing.assert_array_equal(runs[0].potentials[name], runs[1].potentials[name])
