import numpy as np
import pytest

from nmdeploy.deployment import deploy
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense
from nmdeploy.target import Status
from targets.spinnaker import TARGET
from targets.spinnaker.cost import time_scale_factor

EVERYTHING = Recording(spikes=("*",), counts=("*",))


def run(deployment, spikes, record=EVERYTHING):
    result = emulate(deployment.network, spikes, record=record)
    return TARGET.cost(deployment, result), result


@pytest.fixture
def dense():
    """Two sources into 300 neurons, which fire at every spike."""
    neuron = IF(5, reset="zero", v_min=0)
    populations = (Population("in", (2,)), Population("out", (300,), neuron))
    return Network("dense", populations, (Projection("in", "out", (Dense(np.full((300, 2), 5)),)),))


def items(cost):
    return {item.event: item for item in cost.items}


def test_the_sum_of_spynnaker_s_own_constants(dense):
    deployment = deploy(dense, "spin5")
    spikes = np.zeros((9, 2, 2), np.uint8)
    spikes[3, 0, 0] = 1
    cost, result = run(deployment, spikes)
    found = items(cost)
    seconds = 10e-3
    assert result.steps == 10
    assert (cost.time.least, cost.time.most) == (pytest.approx(seconds), pytest.approx(seconds))
    # One input spike, which makes all 300 neurons fire, in one of two samples.
    assert found["packets at routers"].count.least == 301 / 2
    assert found["packets at routers"].energy.least == pytest.approx(301 / 2 * 1e-9)
    assert found["active cores: 3"].energy.most == pytest.approx(3 * 0.034 * seconds)
    assert found["idle boards: 1"].energy.least == pytest.approx(26.84 * seconds)
    assert found["box and power supply of boards"].energy.least == 0
    assert found["box and power supply of boards"].energy.most == pytest.approx(5.04 * seconds)
    assert cost.energy.least == pytest.approx((26.84 + 3 * 0.034) * seconds + 301 / 2 * 1e-9)
    assert found["idle boards: 1"].status is Status.MEASURED
    assert all(item.source for item in cost.items if item.energy is not None)
    assert found["synaptic events (their energy is within that of active cores)"].energy is None
    assert cost.static_energy.least == pytest.approx((26.84 + 3 * 0.034) * seconds)
    assert cost.rate.least == pytest.approx(100)


def test_the_small_board(dense):
    cost, _ = run(deploy(dense, "spin3"), np.ones((4, 1, 2), np.uint8))
    found = items(cost)
    assert found["idle boards: 1"].energy.least == pytest.approx(3.56 * 5e-3)
    assert "box and power supply of boards" not in found


def test_steps_last_longer_at_most_where_a_core_cannot_keep_up(spin5, rng):
    neuron = IF(10**6, reset="zero", v_min=0)
    populations = (Population("in", (40,)), Population("out", (300,), neuron))
    synapses = (Dense(np.ones((300, 40), int)),)
    network = Network("busy", populations, (Projection("in", "out", synapses), Projection("in", "out", synapses, 2)))
    deployment = deploy(network, "spin5")
    spikes = np.zeros((6, 1, 40), np.uint8)
    spikes[0, 0, :9] = 1  # 2304 events on the fuller core, the published rate allows 2343
    cost, result = run(deployment, spikes)
    assert time_scale_factor(deployment, result.spikes, spin5) == 1
    assert "keeps to the published rate" in " ".join(cost.assumptions)
    spikes[2, 0, :11] = 1  # 2816 at the same step as the later copy of those 2304
    cost, result = run(deployment, spikes)
    assert time_scale_factor(deployment, result.spikes, spin5) == 3
    assert cost.time.most == pytest.approx(3 * cost.time.least)
    assert "time_scale_factor=3" in " ".join(cost.assumptions)


def test_without_every_step_the_load_is_not_known(dense):
    cost, _ = run(deploy(dense, "spin5"), np.ones((4, 1, 2), np.uint8), Recording(counts=("*",)))
    assert "not known" in " ".join(cost.assumptions)
    assert cost.time.most == cost.time.least


def test_ring_buffers_are_reported_by_run_and_by_bound(dense):
    cost, _ = run(deploy(dense, "spin5"), np.ones((4, 1, 2), np.uint8))
    assert "held 10 of 65535 units in this run (out)" in cost.assumptions[-1]
    assert "at most 10 arrive in a step, so they cannot saturate" in cost.assumptions[-1]
    heavy = Network("heavy", dense.populations, (Projection("in", "out", (Dense(np.full((300, 2), 40000)),)),))
    cost, _ = run(deploy(heavy, "spin5"), np.eye(2, dtype=np.uint8)[:, None])
    assert "held 40000" in cost.assumptions[-1]
    assert "at most 80000 arrive in a step, so they can saturate" in cost.assumptions[-1]


def test_the_fullest_of_several_populations_is_told(ideal_dense):
    cost, _ = run(deploy(ideal_dense([9, 8, 4]), "spin5"), np.ones((4, 1, 9), np.uint8))
    assert "(l0)" in cost.assumptions[-1]


def test_packets_pass_the_routers_of_all_chips_at_most(ideal_dense):
    deployment = deploy(ideal_dense([30, 5000, 5]), "spin5")
    cost, _ = run(deployment, np.ones((3, 1, 30), np.uint8))
    packets = items(cost)["packets at routers"].count
    assert packets.most == 2 * packets.least  # 22 cores on two chips
