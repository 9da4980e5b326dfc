"""A chain of two neurons on two tiles, its events and prices worked out on paper."""

import numpy as np
import pytest

from nmdeploy.cost import Range
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.target import Status
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF

EVERY_SPIKE = Recording(spikes=("*",), counts=("*",))


@pytest.fixture(scope="module")
def by_hand(deployed, chain):
    """Input spikes in steps 0 and 1 make `a` fire in steps 1 and 2, and `b` in steps 2 and 3."""
    network = chain(LoihiLIF(vth=9), {("in", "a"): 10, ("a", "b"): 10})
    # Core 0 lies in tile 0 at (0, 0), core 38 in tile 9: column 2, row 1.
    deployment = deployed(network, {"a": [(0, 0)], "b": [(0, 38)]})
    result = emulate(network, np.array([1, 1], np.uint8).reshape(2, 1, 1), record=EVERY_SPIKE)
    assert result.steps == 4
    return TARGET.cost(deployment, result)


def test_events_by_hand(by_hand, items):
    counts = {event: item.count for event, item in items(by_hand).items()}
    assert counts == {
        "synaptic operations in->a": Range(2, 2),
        "synaptic operations a->b": Range(2, 2),
        "neuron updates": Range(8, 8),
        "active among them": Range(4, 8),
        "input spikes to cores": Range(2, 2),
        "spikes from core to core": Range(2, 2),
        "spikes within a tile": Range(0, 2),
        "tile hops east-west": Range(4, 4),
        "tile hops north-south": Range(2, 2),
        "barriers": Range(4, 4),
        "static power": None,
    }


def test_energy_by_hand(by_hand, items):
    found = items(by_hand)
    assert found["synaptic operations a->b"].energy.most == pytest.approx(2 * 23.6e-12)
    assert found["neuron updates"].energy.most == pytest.approx(8 * 52e-12)
    assert found["active among them"].energy.least == pytest.approx(4 * 29e-12)
    assert found["tile hops east-west"].energy.most == pytest.approx(4 * 3.0e-12)
    assert found["tile hops north-south"].energy.most == pytest.approx(2 * 4.0e-12)
    least = 4 * 23.6 + 8 * 52 + 4 * 29 + 4 * 3.0 + 2 * 4.0
    most = 4 * 23.6 + 4 * 3.0 + 2 * 4.0 + 8 * 81 + 2 * 1.7
    assert by_hand.dynamic_energy.least == pytest.approx(least * 1e-12)
    assert by_hand.dynamic_energy.most == pytest.approx(most * 1e-12)
    assert by_hand.static_energy.least == pytest.approx(0.104 * by_hand.time.least)
    assert by_hand.energy.most == pytest.approx(most * 1e-12 + 0.104 * by_hand.time.most)


def test_time_by_hand(by_hand, items):
    # Steps 0 to 3, by their slowest core: nobody; a gets a spike and fires; so does a, and b; b alone.
    works = 3.5 + 5.3 + 3.1
    least = 5.3 + 3 * works
    delivery = 2.1 + 2 * 4.1 + 6.5
    most = 8.4 + (works + delivery) * 2 + works
    assert by_hand.time.least == pytest.approx((least + 4 * 113) * 1e-9)
    assert by_hand.time.most == pytest.approx((most + 4 * 465) * 1e-9)
    barriers = items(by_hand)["barriers"].time
    assert (barriers.least, barriers.most) == pytest.approx((4 * 113e-9, 4 * 465e-9))


def test_every_price_has_source_and_status(by_hand, items):
    for item in by_hand.items:
        assert bool(item.source) == (item.energy is not None or item.time is not None)
    assert items(by_hand)["static power"].status is Status.ESTIMATE
    assert items(by_hand)["neuron updates"].status is Status.PRE_SILICON
    assert items(by_hand)["active among them"].source.endswith("(active less inactive)")
    assert (by_hand.chip, by_hand.samples, by_hand.steps) == ("loihi1", 1, 4)
    assert by_hand.origin.startswith("emulated")
