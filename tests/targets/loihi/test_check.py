"""Faults planted in a sound placement must each be found."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, Reshape
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract


@pytest.fixture(scope="module")
def net():
    rng = np.random.default_rng(5)
    populations = (
        Population("in", (1, 12, 12)),
        Population("maps", (12, 10, 10), LoihiLIF(9)),
        Population("out", (10,), LoihiLIF(9)),
    )
    kernel = (rng.integers(1, 60, (12, 1, 3, 3)) * 2).astype(np.int16)
    dense = (rng.integers(1, 60, (10, 1200)) * 2).astype(np.int16)
    projections = (
        Projection("in", "maps", (Conv2d(kernel),), delay=3),
        Projection("maps", "out", (Reshape((1200,)), Dense(dense)), delay=1),
    )
    return Network("net", populations, projections)


@pytest.fixture(scope="module")
def placement(net, loihi1):
    return TARGET.map(net, loihi1)


def changed(placement, index, **fields):
    cores = list(placement.cores)
    cores[index] = replace(cores[index], **fields)
    return replace(placement, cores=tuple(cores))


def found(net, placement, chip):
    return [(violation.code, violation.where) for violation in TARGET.check(net, placement, chip)]


def test_the_mapper_is_confirmed(net, placement, loihi1):
    assert len(placement.of("maps")) == 2
    assert found(net, placement, loihi1) == []


def test_a_missing_neuron(net, placement, loihi1):
    less = changed(placement, 0, neurons=placement.cores[0].neurons[1:])
    assert found(net, less, loihi1) == [("LOI031", "maps")]


def test_a_missing_core(net, placement, loihi1):
    less = replace(placement, cores=placement.cores[:-1])
    assert found(net, less, loihi1) == [("LOI031", "out")]


def test_a_neuron_on_two_cores(net, placement, loihi1):
    neurons = np.append(placement.cores[1].neurons, placement.cores[0].neurons[0])
    assert found(net, changed(placement, 1, neurons=neurons), loihi1) == [("LOI032", "maps")]


def test_a_neuron_that_does_not_exist(net, placement, loihi1):
    neurons = np.append(placement.cores[1].neurons, 1200)
    assert found(net, changed(placement, 1, neurons=neurons), loihi1) == [("LOI033", "maps")]


def test_an_input_on_a_core(net, placement, loihi1):
    load = replace(placement.cores[0], core=9, population="in", neurons=np.array([0]))
    more = replace(placement, cores=(*placement.cores, load))
    assert found(net, more, loihi1) == [("LOI030", "chip 0, core 9"), ("LOI033", "in")]


@pytest.mark.parametrize("place", [{"core": 128}, {"core": -1}, {"chip": 2}, {"chip": -1}])
def test_a_core_that_does_not_exist(net, placement, loihi1, place):
    assert [code for code, _ in found(net, changed(placement, 0, **place), loihi1)] == ["LOI034"]


def test_a_core_of_several_loads_keeps_its_limits_with_all_of_them(net, placement, loihi1):
    assert [load.core for load in placement.cores] == [0, 1, 2]
    twice = changed(placement, 0, core=1)
    violations = TARGET.check(net, twice, loihi1)
    assert [(each.code, each.where, each.found) for each in violations] == [("LOI036", "chip 0, core 1", 1200)]


@pytest.mark.parametrize(
    "name",
    ["compartments", "input_axons", "output_axons", "synaptic_words", "synapse_formats", "threshold_profiles"],
)
@pytest.mark.parametrize("error", [-1, 1])
def test_usage_declared_wrongly(net, placement, loihi1, name, error):
    used = {**placement.cores[0].used, name: placement.cores[0].used[name] + error}
    assert found(net, changed(placement, 0, used=used), loihi1) == [("LOI037", "chip 0, core 0")]


def test_usage_not_declared(net, placement, loihi1):
    assert [code for code, _ in found(net, changed(placement, 2, used={}), loihi1)] == ["LOI037"] * 6


def test_an_overfull_core(net, placement, loihi1):
    neurons = np.concatenate([load.neurons for load in placement.of("maps")])
    crowded = changed(placement, 0, neurons=neurons)
    crowded = replace(crowded, cores=(crowded.cores[0], *placement.cores[2:]))
    violations = TARGET.check(net, crowded, loihi1)
    full = [violation for violation in violations if violation.code == "LOI036"]
    assert [(each.message, each.found, each.limit) for each in full] == [("too many compartments", 1200, 1024)]


@pytest.mark.parametrize(
    ("figure", "value", "message"),
    [
        ("input_axons", 100, "too many input axons"),
        ("output_axons", 500, "too many output axons"),
        ("synaptic_words", 1100, "too many synaptic words"),
        ("delay_slots", 1024, "too many compartments"),  # a delay of 2 steps beyond the layer's own
    ],
)
def test_every_limit_is_recomputed(net, placement, loihi1, figure, value, message):
    def with_limit(limit):
        return replace(loihi1, figures={**loihi1.figures, figure: replace(loihi1.figures[figure], value=limit)})

    resource = "compartments" if figure == "delay_slots" else figure
    most = max(load.used[resource] for load in placement.cores) * (2 if figure == "delay_slots" else 1)
    assert TARGET.check(net, placement, with_limit(most)) == []
    violations = TARGET.check(net, placement, with_limit(value))
    assert message in {violation.message for violation in violations}
    assert {violation.code for violation in violations} == {"LOI036"}


def test_the_longest_list_is_recomputed(net, placement, loihi1):
    # 12 channels of 9 neighbours in runs of 36: 36 * 14 + 20 bits are 9 words, three times.
    figure = loihi1.figures["list_words"]
    for limit, codes in ((27, []), (26, ["LOI036"] * 2)):
        chip = replace(loihi1, figures={**loihi1.figures, "list_words": replace(figure, value=limit)})
        violations = TARGET.check(net, placement, chip)
        assert [each.code for each in violations] == codes
        assert {each.message for each in violations} <= {"too many words of a synapse list"}


def test_order_of_compartments_decides_what_is_shared(net, placement, loihi1):
    shuffled = np.random.default_rng(1).permutation(placement.cores[0].neurons)
    (violation,) = TARGET.check(net, changed(placement, 0, neurons=shuffled), loihi1)
    assert (violation.code, violation.where) == ("LOI037", "chip 0, core 0")
    assert "synaptic words" in violation.message
    assert violation.limit > violation.found


def test_pairs_of_compartments_are_recounted(loihi1, loihi2):
    neuron = LoihiLIFSubtract(9, subtrahend=np.array([10, 512, 20]))
    dense = Projection("in", "a", (Dense(np.full((3, 1), 2)),), delay=1)
    net = Network("net", (Population("in", (1,)), Population("a", (3,), neuron)), (dense,))
    placement = TARGET.map(net, loihi1)
    assert placement.cores[0].used["compartments"] == 6
    assert TARGET.check(net, placement, loihi1) == []
    for name, value in placement.cores[0].used.items():
        used = {**placement.cores[0].used, name: value - 1}
        assert found(net, changed(placement, 0, used=used), loihi1) == [("LOI037", "chip 0, core 0")]
    assert TARGET.check(net, TARGET.map(net, loihi2), loihi2) == []
