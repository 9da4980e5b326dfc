"""At rest, more spikes, farther cores, pairs of compartments, chips without prices, and refusals."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.cost import Range
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import OneToOne
from targets.loihi import TARGET
from targets.loihi.cost import cost as cost_of
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract

CHIPS = TARGET.chips()
EVERY_SPIKE = Recording(spikes=("*",), counts=("*",))
COUNTS = Recording(counts=("*",))


def ends(range_):
    return (range_.least, range_.most)


def about(least, most=None, unit=1.0):
    return pytest.approx((least * unit, (least if most is None else most) * unit))


def test_at_rest_only_idle_updates_barriers_and_static_power_remain(deployed, chain, items):
    network = chain(LoihiLIF(vth=9), {("in", "a"): 10, ("a", "b"): 10})
    result = emulate(network, np.zeros((8, 3, 1), np.uint8), record=EVERY_SPIKE)
    cost = TARGET.cost(deployed(network, {"a": [(0, 0)], "b": [(0, 1)]}), result)
    busy = {event for event, item in items(cost).items() if item.count is not None and item.count.most}
    assert busy == {"neuron updates", "barriers"}
    assert ends(cost.dynamic_energy) == about(2 * 10 * 52e-12)
    # One tile, so the barrier is known exactly.
    assert ends(cost.time) == about(10 * 118.3e-9)


def test_a_neuron_with_a_bias_is_at_most_always_active(deployed, chain, items):
    network = chain(LoihiLIF(vth=9, bias_mant=1), {("in", "a"): 10, ("a", "b"): 10})
    result = emulate(network, np.zeros((8, 3, 1), np.uint8), record=EVERY_SPIKE)
    cost = TARGET.cost(deployed(network, {"a": [(0, 0)], "b": [(0, 1)]}), result)
    assert items(cost)["active among them"].count == Range(0, 20)


@given(spikes=st.lists(st.booleans(), min_size=12, max_size=12), step=st.integers(0, 11))
@settings(max_examples=30)
def test_one_more_input_spike_never_costs_less(spikes, step, deployed, chain):
    network = chain(LoihiLIF(vth=131071), {("in", "a"): 1, ("a", "b"): 1})  # nothing fires
    deployment = deployed(network, {"a": [(0, 0)], "b": [(0, 9)]})
    fewer = np.array(spikes, dtype=np.uint8).reshape(12, 1, 1)
    more = fewer.copy()
    more[step] = 1
    before, after = (TARGET.cost(deployment, emulate(network, each, record=EVERY_SPIKE)) for each in (fewer, more))
    for name in ("energy", "time"):
        assert getattr(before, name).least <= getattr(after, name).least
        assert getattr(before, name).most <= getattr(after, name).most
    assert (before.energy == after.energy) == bool(spikes[step])


def test_the_farther_the_core_the_dearer(deployed, chain):
    network = chain(LoihiLIF(vth=9), {("in", "a"): 10, ("a", "b"): 10})
    result = emulate(network, np.ones((8, 1, 1), np.uint8), record=EVERY_SPIKE)
    costs = [TARGET.cost(deployed(network, {"a": [(0, 0)], "b": [(0, core)]}), result) for core in (4, 5, 8, 16, 124)]
    energies = [cost.dynamic_energy.least for cost in costs]
    assert energies[0] == energies[1]  # cores 4 and 5 share a tile
    assert all(near < far for near, far in itertools.pairwise([*energies[1:3], energies[4]]))
    assert energies[3] < energies[1]  # one hop east costs less than one south
    assert costs[0].time.most < costs[-1].time.most
    assert costs[0].time.least == costs[-1].time.least


@pytest.fixture(scope="module")
def paired(chain, deployed):
    """The cost and the run of a chain of such neurons on two tiles of a chip."""

    def run(chip, neuron):
        network = chain(neuron, {("in", "a"): 10, ("a", "b"): 10})
        result = emulate(network, np.ones((8, 2, 1), np.uint8), record=EVERY_SPIKE)
        return TARGET.cost(deployed(network, {"a": [(0, 0)], "b": [(0, 4)]}, chip), result), result

    return run


def test_two_compartments_double_updates_and_add_an_operation_for_each_spike(items, paired):
    plain, _ = paired("loihi1", LoihiLIF(vth=9))
    pair, result = paired("loihi1", LoihiLIFSubtract(vth=9, subtrahend=10))
    one, two = items(plain), items(pair)
    assert two["neuron updates"].count == one["neuron updates"].count.times(2)
    assert two["active among them"].count == one["active among them"].count.times(2)
    for name in ("a", "b"):
        fired = result.counts[name].sum() / 2
        assert fired > 0
        assert two[f"synaptic operations {name} (reset)"].count == Range(fired, fired)
        assert two[f"synaptic operations {name} (reset)"].energy.most == pytest.approx(fired * 23.6e-12)
    # Every spike goes to its own core too; those of b went nowhere before.
    fired = sum(result.counts[name].sum() for name in ("a", "b")) / 2
    assert two["spikes from core to core"].count.most == one["spikes from core to core"].count.most + fired
    assert two["spikes within a tile"].count.least == fired
    assert "Reset by subtraction takes 2 compartments" in " ".join(pair.assumptions)
    # The slowest core updates two compartments more, and walks the recurrent synapse.
    steps_with_a_spike = np.count_nonzero((result.spikes["a"] + result.spikes["b"])[:, 0])
    extra = plain.steps * 5.3 + steps_with_a_spike * (3.1 + 3.5)
    assert pair.time.least - plain.time.least == pytest.approx(extra * 1e-9)


def test_loihi_2_has_one_compartment_and_events_but_no_prices(items, paired):
    cost, result = paired("loihi2", LoihiLIFSubtract(vth=9, subtrahend=10))
    assert (cost.energy, cost.time, cost.dynamic_energy, cost.static_energy) == (None, None, None, None)
    found = items(cost)
    assert found["neuron updates"].count == Range(20, 20)
    assert found["spikes from core to core"].count.most == result.counts["a"].sum() / 2
    assert not any("hops" in event or "reset" in event for event in found)
    assert all(item.energy is item.time is item.status is None and not item.source for item in cost.items)
    assert any("No energy or time" in sentence for sentence in cost.assumptions)


def test_spikes_between_chips_are_counted_apart_and_have_no_price(deployed, chain, items):
    network = chain(LoihiLIF(vth=9), {("in", "a"): 10, ("a", "b"): 10})
    result = emulate(network, np.ones((8, 1, 1), np.uint8), record=EVERY_SPIKE)
    cost = TARGET.cost(deployed(network, {"a": [(0, 0)], "b": [(1, 9)]}), result)
    found = items(cost)
    sent = result.counts["a"].sum()
    assert found["of them between chips"].count == found["spikes from core to core"].count == Range(sent, sent)
    assert found["of them between chips"].energy is None
    assert found["spikes within a tile"].count == found["tile hops east-west"].count == Range(0, 0)
    assert found["static power"].energy.most == pytest.approx(2 * 0.104 * cost.time.most)
    assert any("2 chips" in sentence for sentence in cost.assumptions)


GRADED = Network(
    "graded",
    (Population("in", (2,), minimum=-3, maximum=9), Population("a", (2,), LoihiLIF(vth=9))),
    (Projection("in", "a", (OneToOne(np.array([1, 1])),), delay=1),),
)


def test_a_graded_spike_is_one_event_whatever_its_value(deployed, items):
    deployment = deployed(GRADED, {"a": [(0, 0), (0, 0)]}, "loihi2")
    inputs = np.array([[9, -3], [0, 1]]).reshape(2, 1, 2)
    cost = TARGET.cost(deployment, emulate(GRADED, inputs, record=EVERY_SPIKE))
    assert items(cost)["synaptic operations in->a"].count == Range(3, 3)
    with pytest.raises(UsageError, match=r"in: .*graded spikes.*Recording\(spikes"):
        TARGET.cost(deployment, emulate(GRADED, inputs, record=COUNTS))


def test_a_run_that_recorded_too_little_is_refused(deployed, chain):
    network = chain(LoihiLIF(vth=9), {("in", "a"): 10, ("a", "b"): 10})
    deployment = deployed(network, {"a": [(0, 0)], "b": [(0, 1)]})
    with pytest.raises(UsageError, match=r"in: .*nothing recorded"):
        TARGET.cost(deployment, emulate(network, np.ones((8, 1, 1), np.uint8)))


def test_a_foreign_neuron_may_always_be_busy(deployed, chain, items):
    network = chain(IF(threshold=1000), {("in", "a"): 1, ("a", "b"): 1})
    result = emulate(network, np.zeros((8, 1, 1), np.uint8), record=EVERY_SPIKE)
    cost = TARGET.cost(deployed(network, {"a": [(0, 0)], "b": [(0, 1)]}), result)
    assert items(cost)["active among them"].count == Range(0, 20)


def test_prices_are_those_of_the_chip_s_figures(deployed, chain, items):
    chip = CHIPS["loihi1"]
    dearer = {
        **chip.figures,
        "synaptic_operation_energy": replace(chip.figures["synaptic_operation_energy"], value=47.2),
    }
    network = chain(LoihiLIF(vth=9), {("in", "a"): 10, ("a", "b"): 10})
    deployment = deployed(network, {"a": [(0, 0)], "b": [(0, 1)]})
    result = emulate(network, np.ones((8, 1, 1), np.uint8), record=EVERY_SPIKE)
    usual, double = (items(cost_of(deployment, result, each)) for each in (chip, replace(chip, figures=dearer)))
    before, after = (each["synaptic operations in->a"].energy.most for each in (usual, double))
    assert after == pytest.approx(2 * before)
