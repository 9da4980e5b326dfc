"""Which networks run event by event, and what is refused."""

import numpy as np
import pytest

from nmdeploy.emulator.event_network import (
    check_event_network,
    firing_order,
    initial_potential,
    is_event_driven,
    rule_of,
)
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import NetworkError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, EventRule
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from quantize import IntegerFormat

PLAIN = EventRule(5, 5, None, None)
ONES = (OneToOne(np.ones(1, int)),)
KERNEL = np.ones((1, 1, 2, 2), int)


def chain(neuron, synapses=ONES, shape=(1, 4, 4), **options):
    source = Population("in", shape, minimum=options.pop("minimum", 0))
    target = source.shape
    for synapse in synapses:
        target = synapse.out_shape(target)
    return Network("net", (source, Population("out", target, neuron)), (Projection("in", "out", synapses, **options),))


def test_neurons_of_one_kind_run_together(by_event):
    assert is_event_driven(chain(by_event(PLAIN)))
    assert not is_event_driven(chain(IF(5)))
    mixed = Network(
        "mixed",
        (Population("in", (1,)), Population("a", (1,), by_event(PLAIN)), Population("b", (1,), IF(1))),
        (Projection("in", "a"), Projection("a", "b")),
    )
    with pytest.raises(UsageError) as caught:
        emulate(mixed, np.ones((1, 1, 1), int))
    assert "single events and neurons with time steps are in one network (found a and b); give all" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delay": 1}, "in->out: a delay of 1 steps, and single events know no steps"),
        ({"exponent": 1}, "in->out: an exponent or accumulator format"),
        ({"accumulator": IntegerFormat(8)}, "in->out: an exponent or accumulator format"),
        ({"minimum": -1}, "in: an input counts events, its minimum is -1"),
        ({"synapses": (OneToOne(np.array([1 << 60])),)}, "in->out: weights beyond 2**60"),
        ({"synapses": (OneToOne(np.array([-(1 << 63)])),)}, "in->out: weights beyond 2**60"),
        ({"synapses": (Conv2d(KERNEL), OneToOne(np.ones(1, int)))}, "two maps of the chain spread an event"),
        ({"synapses": (SumPool2d(2, stride=1), Conv2d(KERNEL))}, "two maps of the chain spread an event"),
        ({"synapses": (Upsample2d(2), Conv2d(KERNEL))}, "two maps of the chain spread an event"),
        ({"synapses": (Conv2d(KERNEL), SumPool2d(2))}, "two maps of the chain spread an event"),
    ],
)
def test_what_has_no_meaning_for_single_events_is_refused(by_event, options, message):
    with pytest.raises(NetworkError) as caught:
        check_event_network(chain(by_event(PLAIN), **options))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (EventRule(5, 5, None, None, order="yx"), "out: order 'yx' is no order of the axes 'cyx'"),
        (EventRule(1 << 60, 5, None, None), "out: threshold is no integer within 2**60"),
        (EventRule(5, 0.5, None, None), "out: subtract is no integer within 2**60"),
        (EventRule(5, 5, -(1 << 60), None), "out: low is no integer within 2**60"),
        (
            EventRule(5, 5, None, None, leak=np.ones((2, 1, 1, 1), int)),
            "out: leak of shape (2, 1, 1, 1) does not broadcast",
        ),
        (EventRule(np.ones((2, 3), int), 5, None, None), "out: threshold of shape (2, 3) does not broadcast"),
    ],
)
def test_rules_that_cannot_be_carried_out_are_refused(by_event, rule, message):
    with pytest.raises(NetworkError) as caught:
        check_event_network(chain(by_event(rule)))
    assert message in str(caught.value)


def test_all_faults_come_at_once(by_event):
    with pytest.raises(NetworkError) as caught:
        check_event_network(chain(by_event(EventRule(5, 5, None, None, order="")), delay=2, exponent=1))
    assert len(caught.value.faults) == 3


def test_real_numbers_are_refused(by_event):
    with pytest.raises(UsageError, match="cannot be emulated in integers"):
        emulate(chain(by_event(PLAIN), (OneToOne(np.ones(1)),)), np.ones((1, 1, 1, 4, 4), int))


def test_an_input_takes_no_events():
    with pytest.raises(UsageError, match="in: the population takes no events"):
        rule_of(Population("in", (1,)))
    with pytest.raises(UsageError, match="in: an input has no potential"):
        initial_potential(Population("in", (1,)))


def test_the_firing_order_is_slowest_axis_first():
    # (c, y, x) of a 2 x 1 x 2 map: numbers 0 (0,0,0), 1 (0,0,1), 2 (1,0,0), 3 (1,0,1)
    assert firing_order((2, 1, 2), "cyx").tolist() == [0, 1, 2, 3]
    assert firing_order((2, 1, 2), "yxc").tolist() == [0, 2, 1, 3]
    assert firing_order((3,), "xyc").tolist() == [0, 1, 2]


def test_reshapes_and_pools_only_move_events(by_event):
    # 4x4 pooled by 3 keeps one window; the other pixels are lost.
    network = chain(by_event(PLAIN), (SumPool2d(3), Reshape((1,)), Dense(np.array([[2]]))))
    assert network.projections[0].fan_out((1, 4, 4)).sum() == 9
    found = emulate(network, np.ones((1, 1, 1, 4, 4), int), engine="reference")
    assert found.final_potentials["out"].tolist() == [[18 - 3 * 5]]
    assert found.synaptic_operations["in->out"].tolist() == [9]
