from dataclasses import replace

import numpy as np
import pytest

from targets.spinnaker import TARGET
from targets.spinnaker.check import recheck
from targets.spinnaker.lower import lower
from targets.spinnaker.mapper import place
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta


@pytest.fixture
def sound(spin5, ideal_images):
    network = lower(ideal_images, spin5, "conv").network
    return network, place(network, spin5)


def with_load(placement, index, **changes):
    cores = list(placement.cores)
    cores[index] = replace(cores[index], **changes)
    return replace(placement, cores=tuple(cores))


def codes(network, placement, chip):
    return {violation.code for violation in recheck(network, placement, chip)}


def index_of(placement, population):
    return [load.population for load in placement.cores].index(population)


def test_what_the_mapper_makes_is_sound(spin5, sound):
    network, placement = sound
    assert TARGET.check(network, placement, spin5) == []


def test_neurons_missing_twice_or_of_no_population(spin5, sound):
    network, placement = sound
    load = placement.cores[0]
    assert codes(network, with_load(placement, 0, neurons=load.neurons[:-1]), spin5) == {"SPI031"}
    doubled = replace(placement, cores=(*placement.cores, replace(load, core=700)))
    assert codes(network, doubled, spin5) == {"SPI032"}
    assert "SPI030" in codes(network, with_load(placement, 0, population="nobody"), spin5)
    assert "SPI033" in codes(network, with_load(placement, 0, neurons=load.neurons + 500), spin5)
    assert codes(network, with_load(placement, 0, core=759), spin5) == {"SPI034"}


def test_two_slices_on_a_core(spin5, sound):
    network, placement = sound
    assert codes(network, with_load(placement, 1, core=placement.cores[0].core), spin5) == {"SPI035"}


def test_neurons_that_are_no_slice(spin5, sound):
    network, placement = sound
    first, second = index_of(placement, "same"), index_of(placement, "same") + 1
    mine, other = placement.cores[first].neurons.copy(), placement.cores[second].neurons.copy()
    mine[0], other[0] = other[0], mine[0]
    swapped = with_load(with_load(placement, first, neurons=mine), second, neurons=other)
    assert codes(network, swapped, spin5) == {"SPI038"}
    flat = index_of(placement, "out")
    turned = with_load(placement, flat, neurons=placement.cores[flat].neurons[::-1])
    assert codes(network, turned, spin5) == {"SPI038"}


def test_tiles_of_an_image_are_slices(spin5, sound):
    network, placement = sound
    where = index_of(placement, "same")
    load = placement.cores[where]
    image = load.neurons.reshape(12, 8)
    used = {**load.used, "neurons": 48, "tick_instructions": 48 * 126}
    halves = [
        replace(load, neurons=image[:, :4].ravel(), used=used),
        replace(load, neurons=image[:, 4:].ravel(), used=used, core=700),
    ]
    cores = (*placement.cores[:where], halves[0], *placement.cores[where + 1 :], halves[1])
    assert codes(network, replace(placement, cores=cores), spin5) == set()


def test_odd_cores_of_trunc_delta(spin5, sound):
    network, placement = sound
    where = index_of(placement, "out")
    used = {**placement.cores[where].used, "neurons": 5, "tick_instructions": 5 * 126}
    assert codes(network, with_load(placement, where, used=used), spin5) == {"SPI039"}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("neurons", 30, "SPI037"),
        ("sdram", 14000, "SPI037"),
        ("sdram", 80000, "SPI037"),
        ("tick_instructions", 1, "SPI037"),
        ("dtcm", 65537, "SPI036"),
    ],
)
def test_usage_declared_wrongly(spin5, sound, name, value, code):
    network, placement = sound
    where = index_of(placement, "strided")
    used = {**placement.cores[where].used, name: value}
    assert code in codes(network, with_load(placement, where, used=used), spin5)


def test_a_chip_s_memory_is_shared_by_its_cores(spin5, sound):
    network, placement = sound
    figures = {**spin5.figures, "sdram": replace(spin5.figures["sdram"], value=490000 + 2 * 51568)}
    small = replace(spin5, figures=figures)
    first, second, third = (index_of(placement, "same") + step for step in range(3))
    apart = with_load(placement, third, core=100)
    for index, load in enumerate(apart.cores):
        if index not in (first, second, third):
            apart = with_load(apart, index, core=load.core + 200)
    assert codes(network, apart, small) == set()
    assert codes(network, with_load(apart, third, core=14), small) == {"SPI036"}


@pytest.mark.parametrize("model", [IFTruncDelta, IFCurrDelta, IFCurrExp])
def test_neurons_of_every_kind_with_rows_pass(spin5, ideal_dense, model):
    network = ideal_dense([700, 600, 40], delay=1)
    neurons = [replace(each, neuron=model()) if each.neuron else each for each in network.populations]
    network = replace(network, populations=tuple(neurons))
    assert recheck(network, place(network, spin5), spin5) == []


def test_more_neurons_than_any_core_holds(spin5, ideal_dense):
    network = lower(ideal_dense([3, 2100, 2]), spin5).network
    placement = place(network, spin5)
    loads = placement.of("l0")
    used = {**loads[0].used, "neurons": 2100, "tick_instructions": 2100 * 126}
    one = replace(loads[0], neurons=np.arange(2100), used=used)
    cores = (placement.cores[0], one, placement.cores[-1])
    assert "SPI036" in codes(network, replace(placement, cores=cores), spin5)
