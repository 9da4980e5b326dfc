"""Faults planted in a sound placement must each be found."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn import TARGET
from targets.dynapcnn.layer import layers
from targets.dynapcnn.memory import memory
from targets.dynapcnn.neuron import SpeckIAF

CHIP = TARGET.chips()["speck2f"]


@pytest.fixture(scope="module")
def net():
    """A dense layer, biases, and two sources of one layer: one with channels of its own."""
    rng = np.random.default_rng(7)

    def weight(*shape):
        return rng.integers(1, 90, shape).astype(np.int8)

    leak = rng.integers(-3, 3, (8, 1, 1)).astype(np.int8)
    return Network(
        "net",
        (
            Population("in", (2, 10, 10)),
            Population("a", (8, 8, 8), SpeckIAF(900, leak=leak)),
            Population("b", (3, 4, 4), SpeckIAF(900)),
            Population("sum", (5, 4, 4), SpeckIAF(900)),
            Population("out", (10,), SpeckIAF(900)),
        ),
        (
            Projection("in", "a", (Conv2d(weight(8, 2, 3, 3)),)),
            Projection("a", "b", (SumPool2d(2), Conv2d(weight(3, 8, 1, 1)))),
            Projection("a", "sum", (SumPool2d(2), Conv2d(weight(5, 8, 1, 1)))),
            Projection("b", "sum", (Conv2d(weight(5, 3, 1, 1)),)),
            Projection("sum", "out", (Reshape((80,)), Dense(weight(10, 80)))),
        ),
    )


@pytest.fixture(scope="module")
def placement(net):
    return TARGET.map(net, CHIP)


def changed(placement, index, **fields):
    cores = list(placement.cores)
    cores[index] = replace(cores[index], **fields)
    return replace(placement, cores=tuple(cores))


def found(net, placement):
    return [(violation.code, violation.where) for violation in TARGET.check(net, placement, CHIP)]


def free_core(placement):
    return max({*range(9)} - {load.core for load in placement.cores})


def place_of(placement, index):
    return f"chip 0, core {placement.cores[index].core}"


def test_the_mapper_is_confirmed(net, placement):
    assert found(net, placement) == []


def test_missing_neurons_and_cores_that_do_not_exist(net, placement):
    less = changed(placement, 0, neurons=placement.cores[0].neurons[1:])
    assert found(net, less) == [("DYN031", "a")]
    assert found(net, changed(placement, 1, core=9)) == [("DYN034", "chip 0, core 9")]


def test_a_second_chip(net, placement):
    assert found(net, changed(placement, 1, chip=1))[0] == ("DYN035", f"chip 1, core {placement.cores[1].core}")


def test_two_layers_on_a_core(net, placement):
    shared = changed(placement, 1, core=placement.cores[0].core)
    assert found(net, shared) == [("DYN035", place_of(placement, 0))]


@pytest.mark.parametrize(
    "parts",
    [
        lambda n: (n[:100], n[100:]),
        lambda n: (np.r_[n[:64], n[128:]], n[64:128][::-1]),
        lambda n: (n[:32], n[32:96], n[96:]),
    ],
)
def test_torn_channels(net, placement, parts):
    load, free = placement.cores[0], sorted({*range(9)} - {load.core for load in placement.cores})
    torn = [replace(load, neurons=each, core=core) for each, core in zip(parts(load.neurons), free, strict=False)]
    cores = (*torn, *placement.cores[1:])
    assert found(net, replace(placement, cores=cores)) == [("DYN038", f"chip 0, core {each.core}") for each in torn]


def test_sources_that_share_channels_take_memory_once():
    weight = np.ones((4, 2, 1, 1), dtype=np.int8)
    for second, words in ((weight, 2 << 2), (-weight, 4 << 2)):
        net = Network(
            "merge",
            (Population("a", (2, 4, 4)), Population("b", (2, 4, 4)), Population("x", (4, 4, 4), SpeckIAF(9))),
            (Projection("a", "x", (Conv2d(weight),)), Projection("b", "x", (Conv2d(second),))),
        )
        placement = TARGET.map(net, CHIP)
        assert placement.cores[0].used["kernel_words"] == words
        assert found(net, placement) == []


@pytest.mark.parametrize("name", ["kernel_words", "neuron_words", "bias_words"])
def test_a_wrong_declaration(net, placement, name):
    load = placement.cores[0]
    wrong = changed(placement, 0, used={**load.used, name: load.used[name] + 1})
    assert found(net, wrong) == [("DYN037", place_of(placement, 0))]
    wrong = changed(placement, 0, limits={**load.limits, name: load.limits[name] + 1})
    assert found(net, wrong) == [("DYN037", place_of(placement, 0))]
    missing = changed(placement, 0, used={key: value for key, value in load.used.items() if key != name})
    assert found(net, missing) == [("DYN037", place_of(placement, 0))]


def test_a_core_that_is_too_small():
    net = Network(
        "big",
        (Population("in", (1, 64, 64)), Population("x", (5, 64, 64), SpeckIAF(9))),
        (Projection("in", "x", (Conv2d(np.ones((5, 1, 1, 1), dtype=np.int8)),)),),
    )
    placement = TARGET.map(net, CHIP)
    assert found(net, placement) == []
    limits = {name: CHIP.limit(f"{name}_8") for name in placement.cores[0].limits}
    small = changed(placement, 0, core=8, limits=limits)
    assert found(net, small) == [("DYN036", "chip 0, core 8")]


def halved(net, placement, index, core):
    """The placement with the second half of a load's channels on another core, declared rightly."""
    load = placement.cores[index]
    layer = next(each for each in layers(net) if each.name == load.population)
    half = layer.output_shape[0] // 2
    pixels = layer.output_shape[1] * layer.output_shape[2]
    parts = []
    for channels, neurons, place in (
        (half, load.neurons[: half * pixels], load.core),
        (layer.output_shape[0] - half, load.neurons[half * pixels :], core),
    ):
        words = replace(
            layer,
            output_shape=(channels, *layer.output_shape[1:]),
            biases=None if layer.biases is None else layer.biases[:channels],
        )
        limits = {name: CHIP.limit(f"{name}_{place}") for name in load.limits}
        parts.append(replace(load, core=place, neurons=neurons, used=memory(words), limits=limits))
    return replace(placement, cores=(*placement.cores[:index], *parts, *placement.cores[index + 1 :]))


def test_a_layer_on_two_cores_is_a_remark(net, placement):
    free = free_core(placement)
    cut = halved(net, placement, 0, free)
    (remark,) = TARGET.check(net, cut, CHIP)
    assert (remark.code, remark.where, remark.severity.value) == ("DYN048", "a", "warning")


def test_too_many_destinations(net, placement):
    """`sum` has two sources, of which `a` feeds `b` too: it would have three destinations."""
    free = free_core(placement)
    cut = halved(net, placement, 2, free)
    assert found(net, cut) == [("DYN039", place_of(placement, 0)), ("DYN048", "sum")]


@given(st.integers(1, 16), st.integers(1, 6), st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_the_recount_agrees_with_the_mapper(channels, kernel, filters, side, biased):
    weight = np.ones((filters, channels, kernel, kernel), dtype=np.int8)
    leak = np.ones((filters, 1, 1), dtype=np.int8) if biased else 0
    image = (channels, side + kernel - 1, side + kernel - 1)
    net = Network(
        "one",
        (Population("in", image), Population("x", (filters, side, side), SpeckIAF(99, leak=leak))),
        (Projection("in", "x", (Conv2d(weight),)),),
    )
    assert found(net, TARGET.map(net, CHIP)) == []
