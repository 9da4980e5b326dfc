"""The class of a deployment with its reasons, and the candidate orders."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.deployment import CoreLoad, Deployment, Placement
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, SumPool2d
from nmdeploy.target import Grade, Profile
from targets.dynapcnn import TARGET
from targets.dynapcnn.exactness import ORDERS, REVERSED, STEPS, exactness, orders
from targets.dynapcnn.neuron import SpeckIAF, SpeckStepIAF

EVERYTHING = Recording(("*",), ("*",), ("*",))
PLAIN = SpeckIAF(200)
SIGNED = np.array([[[[5, -4], [3, 2]]]])
UPWARDS = np.abs(SIGNED)


def chain(*layers):
    """Layers given as (neuron, kernel), each behind the one before."""
    populations, projections = [Population("in", (1, 9, 9), maximum=9)], []
    for index, (neuron, kernel) in enumerate(layers):
        conv = Conv2d(kernel)
        shape = conv.out_shape(populations[-1].shape)
        projections.append(Projection(populations[-1].name, f"p{index}", (conv,)))
        populations.append(Population(f"p{index}", shape, neuron))
    return Network("chain", tuple(populations), tuple(projections))


def diamond(last=PLAIN, kernel=SIGNED, behind=()):
    """Two layers that meet in a third."""
    one = Conv2d(kernel)
    populations = [
        Population("in", (1, 9, 9), maximum=9),
        Population("a", (1, 8, 8), PLAIN),
        Population("b", (1, 8, 8), PLAIN),
    ]
    projections = [Projection("in", "a", (Conv2d(SIGNED),)), Projection("in", "b", (Conv2d(SIGNED),))]
    populations.append(Population("sum", (1, 7, 7), last))
    projections += [Projection("a", "sum", (one,)), Projection("b", "sum", (one,))]
    for neuron, weight in behind:
        populations.append(Population("end", (1, 6, 6), neuron))
        projections.append(Projection("sum", "end", (Conv2d(weight),)))
    return Network("diamond", tuple(populations), tuple(projections))


def deployed(network, split=()):
    """On one core a layer, or on two."""
    cores, number = [], 0
    for population in network.populations:
        if not population.is_input:
            for part in np.array_split(np.arange(population.size), 2 if population.name in split else 1):
                cores.append(CoreLoad(0, number, population.name, part, {}))
                number += 1
    return Deployment(
        network, "dynapcnn", "speck2f", Profile("dynapcnn/chip", ()), Placement("speck2f", tuple(cores), {})
    )


def told(network, split=()):
    found = TARGET.exactness(deployed(network, split))
    return found.grade, " | ".join(found.reasons)


def test_one_core_is_exact():
    assert told(chain((PLAIN, SIGNED))) == (Grade.EXACT, "")


def test_layers_behind_the_first_hang_on_the_order():
    grade, reasons = told(chain((PLAIN, SIGNED), (PLAIN, SIGNED), (PLAIN, SIGNED)))
    assert grade is Grade.UP_TO_ORDER
    assert reasons.startswith("p1, p2: the order in which the neurons that one event reaches fire is not published")


def test_unless_no_order_can_change_their_counts():
    assert told(chain((PLAIN, SIGNED), (PLAIN, UPWARDS), (PLAIN, UPWARDS))) == (Grade.EXACT, "")


@pytest.mark.parametrize(
    "neuron",
    [
        SpeckIAF(200, return_to_zero=True),
        SpeckIAF(4),  # a weight of 5 is above it
        SpeckIAF(200, v_init=200),
        SpeckIAF(32764),  # a sum may leave 16 bits
    ],
)
def test_upward_weights_alone_do_not_make_it_so(neuron):
    assert told(chain((PLAIN, SIGNED), (neuron, UPWARDS)))[0] is Grade.UP_TO_ORDER


@pytest.mark.parametrize(
    ("neuron", "kernel", "reason"),
    [
        (SpeckIAF(4), SIGNED, "p0: a weight of 5 is above the threshold of 4"),
        (SpeckIAF(32641), SIGNED, "p0: potentials can leave 16 bits"),
        (SpeckIAF(200, -32641), SIGNED, "p0: potentials can fall below 16 bits"),
        (SpeckIAF(200, -100), SIGNED, "p0: the floor of -100 is taken to hold for events"),
        (SpeckIAF(200, v_init=200), UPWARDS, "p0: an initial potential at the threshold"),
        (SpeckIAF(200, -10, v_init=-11), UPWARDS, "p0: an initial potential at the threshold or below the floor"),
    ],
)
def test_policies_that_are_not_published_are_told(neuron, kernel, reason):
    grade, reasons = told(chain((neuron, kernel)))
    assert grade is Grade.UP_TO_ORDER
    assert reason in reasons
    assert "|" not in reasons


def test_inside_the_envelope_there_is_nothing_to_tell():
    assert told(chain((SpeckIAF(32640, -32640, v_init=32639), SIGNED))) == (Grade.EXACT, "")
    assert told(chain((SpeckIAF(5, -100), UPWARDS))) == (Grade.EXACT, "")


def test_a_reset_to_zero_takes_a_potential_below_the_threshold_whatever_the_weight():
    assert told(chain((SpeckIAF(4, return_to_zero=True), SIGNED))) == (Grade.EXACT, "")


@pytest.mark.parametrize(("size", "grade"), [(2, Grade.EXACT), (1, Grade.UP_TO_ORDER)])
def test_events_that_have_no_address_in_the_next_map_are_told(size, grade):
    """Of maps of 8 x 8, and of 9 x 9, pooled by 2."""
    first = chain((PLAIN, SIGNED[:, :, :size, :size]))
    behind = Projection("p0", "end", (SumPool2d(2), Conv2d(UPWARDS[:, :, :1, :1])))
    populations = (*first.populations, Population("end", (1, 4, 4), PLAIN))
    found, reasons = told(Network("pooled", populations, (*first.projections, behind)))
    assert found is grade
    assert reasons.startswith("p0->end: pooling leaves rows or columns over") == (size == 1)


def test_where_sources_meet_nothing_is_certain():
    grade, reasons = told(diamond())
    assert grade is Grade.NOT_REPRODUCIBLE
    assert reasons.startswith("sum: events of several cores meet in it, by an arbiter")


def test_what_meets_may_not_matter_there_but_further_on():
    assert told(diamond(kernel=UPWARDS)) == (Grade.EXACT, "")
    grade, reasons = told(diamond(kernel=UPWARDS, behind=[(PLAIN, SIGNED)]))
    assert grade is Grade.NOT_REPRODUCIBLE
    assert reasons.startswith("end: events of several cores met in a layer before it")


def test_the_host_and_a_core_are_two_sources():
    network = chain((PLAIN, SIGNED), (PLAIN, SIGNED))
    skip = Projection("in", "p1", (Conv2d(np.ones((1, 1, 3, 3), int)),))
    assert told(replace(network, projections=(*network.projections, skip)))[0] is Grade.NOT_REPRODUCIBLE


def test_inputs_alone_come_in_the_host_s_order():
    conv = (Conv2d(SIGNED),)
    populations = (
        Population("in", (1, 9, 9), maximum=9),
        Population("too", (1, 9, 9)),
        Population("p0", (1, 8, 8), PLAIN),
    )
    network = Network("two", populations, (Projection("in", "p0", conv), Projection("too", "p0", conv)))
    assert told(network)[0] is Grade.EXACT


def test_a_layer_split_over_cores_is_two_sources():
    network = chain((PLAIN, SIGNED), (PLAIN, SIGNED))
    assert told(network)[0] is Grade.UP_TO_ORDER
    assert told(network, split=("p0",))[0] is Grade.NOT_REPRODUCIBLE
    assert told(network, split=("p1",))[0] is Grade.UP_TO_ORDER  # nobody listens to the last one


def test_a_slow_clock_is_bound_to_nothing():
    grade, reasons = told(chain((SpeckIAF(200, leak=3), UPWARDS)))
    assert grade is Grade.NOT_REPRODUCIBLE
    assert "p0: the leak ticks with a slow clock" in reasons


def test_time_steps_are_not_the_chip():
    network = chain((SpeckStepIAF(200), SIGNED))
    assert exactness(deployed(network)).reasons == (STEPS,)
    assert exactness(deployed(network)).grade is Grade.NOT_REPRODUCIBLE
    assert TARGET.orders(network) == {}


def test_the_network_s_own_order_is_the_first_candidate():
    assert tuple(orders(chain((PLAIN, SIGNED)))) == ORDERS
    own = chain((SpeckIAF(200, order="cxy"), SIGNED), (SpeckIAF(200, order="cxy"), SIGNED))
    found = orders(own)
    assert next(iter(found)) == "cxy"
    assert set(found) == set(ORDERS)
    assert found["cxy"] is own
    assert {p.neuron.order for p in found["xyc"].populations if p.neuron} == {"xyc"}
    mixed = chain((SpeckIAF(200, order="cxy"), SIGNED), (PLAIN, SIGNED))
    assert next(iter(orders(mixed))) == "cxy or yxc"


def test_where_sources_meet_destinations_may_come_the_other_way_round():
    network = diamond()
    found = orders(network)
    assert tuple(found) == (*ORDERS, REVERSED)
    assert found[REVERSED].projections == network.projections[::-1]


def test_the_first_layer_is_the_same_under_all_orders(rng):
    kernels = [rng.integers(-60, 90, (3, depth, 3, 3)) for depth in (1, 3)]
    network = chain(*((SpeckIAF(80, -20), kernel) for kernel in kernels))
    raster = rng.integers(0, 3, (8, 4, 1, 9, 9))
    runs = [emulate(each, raster, record=EVERYTHING) for each in orders(network).values()]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.counts["p0"], runs[0].counts["p0"])
    assert any((run.potentials["p1"] != runs[0].potentials["p1"]).any() for run in runs[1:])


def test_what_is_called_idle_is_idle(rng):
    """Class A in spite of merges: counts and potentials are the same under every order."""
    network = diamond(kernel=UPWARDS, behind=[(PLAIN, UPWARDS)])
    assert told(network)[0] is Grade.EXACT
    raster = rng.integers(0, 4, (9, 3, 1, 9, 9))
    runs = [emulate(each, raster, record=EVERYTHING) for each in orders(network).values()]
    for run in runs[1:]:
        for name in ("a", "b", "sum", "end"):
            np.testing.assert_array_equal(run.spikes[name], runs[0].spikes[name])
            np.testing.assert_array_equal(run.potentials[name], runs[0].potentials[name])
