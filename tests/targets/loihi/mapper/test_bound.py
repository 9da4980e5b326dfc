"""The lower bound on cores holds for every placement: tried out on tiny networks and tiny chips."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense
from targets.loihi import TARGET
from targets.loihi.mapper.bound import least_cores, least_totals
from targets.loihi.mapper.layer import layers
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract


def with_limits(chip, **limits):
    return replace(chip, figures={**chip.figures, **{n: replace(chip.figures[n], value=v) for n, v in limits.items()}})


def groupings(count):
    """Every way to put `count` neurons on cores, alike ones once: each neuron on a core in use or on the next."""
    if not count:
        yield ()
        return
    for earlier in groupings(count - 1):
        yield from ((*earlier, core) for core in range(max(earlier, default=-1) + 2))


def fewest_cores(network, chip):
    """The least number of cores by the independent checker, of every placement; None if none is sound."""
    neurons = [(p.name, n) for p in network.populations if not p.is_input for n in range(p.size)]
    for core_of in sorted(groupings(len(neurons)), key=max):
        if sound(network, chip, neurons, core_of):
            return max(core_of) + 1
    return None


def sound(network, chip, neurons, core_of):
    held = {}
    for (name, neuron), core in zip(neurons, core_of, strict=True):
        held.setdefault((core, name), []).append(neuron)
    loads = tuple(CoreLoad(0, core, name, np.array(own), {}) for (core, name), own in held.items())
    found = TARGET.check(network, Placement(chip.name, loads, {}), chip)
    return not [violation for violation in found if violation.code != "LOI037"]  # usage is not declared here


@st.composite
def cases(draw, chip):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = {True: lambda: LoihiLIFSubtract(9, subtrahend=10), False: lambda: LoihiLIF(rng.integers(1, 3, 3))}
    sources = draw(st.integers(1, 3))
    first = Population("a", (3,), kinds[draw(st.booleans())]())
    weight = rng.integers(-2, 3, (3, sources))
    back = Projection("a", "a", (Dense(np.ones((3, 3), dtype=int)),), delay=draw(st.integers(1, 3)))
    parts = [Projection("in", "a", (Dense(weight),), delay=draw(st.integers(1, 4)))]
    parts += [Projection("a", "b", (Dense(rng.integers(-2, 3, (2, 3))),), delay=1)]
    parts += [back] if draw(st.booleans()) else []
    net = Network(
        "net", (Population("in", (sources,)), first, Population("b", (2,), LoihiLIF(9))), tuple(parts), ("b",)
    )
    limits = {
        "compartments": draw(st.integers(2, 8)),
        "input_axons": draw(st.integers(2, 9)),
        "output_axons": draw(st.integers(2, 9)),
        "synaptic_words": draw(st.integers(2, 9)),
        "delay_slots": draw(st.integers(4, 12)),
    }
    return net, with_limits(chip, **limits)


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_no_placement_takes_fewer_cores(loihi1, data):
    net, chip = data.draw(cases(loihi1))
    fewest = fewest_cores(net, chip)
    if fewest is not None:
        assert least_cores(layers(net, chip), chip) <= fewest
        try:
            placement = TARGET.map(net, chip, None)
        except FitError:
            return
        assert placement.least_cores <= fewest <= placement.core_count


def test_delays_bound_the_neurons_of_a_core_even_where_their_weights_are_0(loihi1):
    net = Network(
        "net",
        (Population("in", (1,)), Population("a", (3,), LoihiLIFSubtract(9, subtrahend=10))),
        (Projection("in", "a", (Dense(np.array([[2], [0], [0]])),), delay=4),),
    )
    chip = with_limits(loihi1, compartments=8, delay_slots=6)  # delay 3: one pair of compartments a core
    assert fewest_cores(net, chip) == least_cores(layers(net, chip), chip) == 3


def test_each_resource_can_be_the_one_that_decides(loihi1):
    net = Network(
        "net",
        (Population("in", (60,)), Population("a", (40,), LoihiLIF(9)), Population("b", (10,), LoihiLIF(9))),
        (
            Projection("in", "a", (Dense(np.full((40, 60), 2)),), delay=1),
            Projection("a", "b", (Dense(np.full((10, 40), 2)),), delay=1),
        ),
    )
    found = layers(net, loihi1)
    # 2400 and 400 weights in blocks of 60 of 490 bits: 307 and 52 words.
    totals = {"compartments": 50, "input_axons": 100, "output_axons": 40, "synaptic_words": 307 + 52}
    assert least_totals(found, loihi1) == totals
    for name, total in totals.items():
        if name != "synaptic_words":
            tight = with_limits(loihi1, **{name: total - 1})
            assert least_cores(layers(net, tight), tight) == 2
    assert least_cores(found, loihi1) == 1
    # A neuron of `a` has 60 * 8 bits to itself: 100 words hold 13 of them, so 4 cores, each with 60 axons.
    tight = with_limits(loihi1, synaptic_words=100)
    assert least_totals(layers(net, tight), tight)["input_axons"] == 4 * 60 + 40
    assert least_cores(layers(net, tight), tight) == 4


def test_kernels_are_stored_once(loihi1):
    conv = Conv2d(np.full((4, 3, 3, 3), 2), padding=1)
    net = Network(
        "net",
        (Population("in", (3, 9, 9)), Population("a", (4, 9, 9), LoihiLIF(9))),
        (Projection("in", "a", (conv,), delay=1),),
    )
    assert least_totals(layers(net, loihi1), loihi1)["synaptic_words"] == -(-108 * 490 // (60 * 64))
