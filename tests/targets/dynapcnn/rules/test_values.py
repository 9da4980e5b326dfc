"""Rules of what registers hold, of room, and warnings outside the safe envelope."""

import dataclasses

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, SumPool2d
from targets.dynapcnn.neuron import SpeckIAF, SpeckStepIAF
from targets.dynapcnn.rules.values import worst_outside


def one_weight(make, weight, neuron):
    return make.layer((1, 2, 2), Conv2d(np.full((1, 1, 1, 1), weight)), neuron=neuron)


@pytest.mark.parametrize(("weight", "found"), [(127, []), (-128, []), (128, [128]), (-129, [-129])])
def test_weights(make, check, weight, found):
    violations = check(one_weight(make, weight, SpeckIAF(200)), "DYN016")
    assert [each.found for each in violations] == found
    assert all(each.limit == "-128..127" for each in violations)


@pytest.mark.parametrize(("threshold", "found"), [(1, []), (0, [0]), (32767, []), (32768, [32768])])
def test_thresholds(make, check, threshold, found):
    assert [each.found for each in check(one_weight(make, 1, SpeckIAF(threshold)), "DYN017")] == found


@pytest.mark.parametrize("kind", [SpeckIAF, SpeckStepIAF])
def test_one_threshold_for_a_core(make, check, kind):
    each = np.array([[[5, 6], [5, 5]]])
    (found,) = check(one_weight(make, 1, kind(each)), "DYN018")
    assert (found.message, found.found) == ("threshold_high differs between the neurons of a core", "2 values")
    (found,) = check(one_weight(make, 1, kind(9, threshold_low=-each)), "DYN018")
    assert found.message.startswith("threshold_low")
    assert check(one_weight(make, 1, kind(np.full((1, 2, 2), 9)))) == []


def test_one_bias_for_a_feature(make, check):
    weight = make.ones(2, 1, 1, 1)
    leak = np.array([[[1, 1]], [[2, 2]]])
    assert check(make.layer((1, 1, 2), Conv2d(weight), neuron=SpeckIAF(9, leak=leak)), "DYN018") == []
    (found,) = check(
        make.layer((1, 1, 2), Conv2d(weight), neuron=SpeckIAF(9, leak=leak[:, :, ::-1] * [1, 3])), "DYN018"
    )
    assert found.message == "the bias differs within a feature"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold_low": -32769}, "threshold_low is out of range"),
        ({"v_init": 32768}, "v_init is out of range"),
        ({"v_init": np.array([0, -32769]).reshape(1, 1, 2)}, "v_init is out of range"),
    ],
)
def test_states(make, check, parameters, message):
    assert [each.message for each in check(one_weight(make, 1, SpeckIAF(9, **parameters)), "DYN019")] == [message]


def test_biases(make, check):
    assert check(one_weight(make, 1, SpeckIAF(9, leak=-128)), "DYN024") == []
    assert [each.found for each in check(one_weight(make, 1, SpeckIAF(9, leak=128)), "DYN024")] == [128]


def test_events_have_no_sign(make, check):
    net = one_weight(make, 1, SpeckIAF(9))
    signed = dataclasses.replace(net, populations=(Population("in", (1, 2, 2), minimum=-1), net["x"]))
    assert [each.where for each in check(signed, "DYN025")] == ["in"]


def test_a_layer_of_zeros(make, check):
    assert [each.where for each in check(one_weight(make, 0, SpeckIAF(9)), "DYN026")] == ["x"]


@pytest.mark.parametrize(
    ("values", "worst"), [([1, 5], None), ([0, 5], 0), ([1, 6], 6), ([-4, 7], -4), ([0, 99], 99), (3, None)]
)
def test_the_worst_value(values, worst):
    assert worst_outside(values, 1, 5) == worst


def test_memory_of_a_layer(make, check):
    (found,) = check(make.layer((64, 8, 8), Conv2d(make.ones(512, 64, 5, 5), padding=2)), "DYN020")
    assert found.where == "x"
    halves = make.layer((1, 64, 64), Conv2d(make.ones(32, 1, 1, 1)))
    assert check(halves) == []


def test_biases_take_memory(make, check):
    weight = make.ones(1025, 1, 1, 1)
    leak = np.ones((1025, 1, 1), dtype=np.int8)
    codes = check(make.layer((1, 1, 1), Conv2d(weight), neuron=SpeckIAF(9, leak=leak)))
    assert codes == ["DYN013", "DYN046"]  # 1025 biases go over two cores, channels do not
    leak, weight = np.ones((2049, 1, 1), dtype=np.int8), make.ones(2049, 1, 1, 1)
    found = check(make.layer((1, 1, 1), Conv2d(weight), neuron=SpeckIAF(9, leak=leak)), "DYN020")
    assert "1,025 biases too few" in found[0].message


def test_more_layers_than_cores(check):
    weight = np.ones((1, 1, 1, 1), dtype=np.int8)
    names = [f"l{index}" for index in range(11)]
    net = Network(
        "deep",
        (Population("in", (1, 2, 2)), *(Population(name, (1, 2, 2), SpeckIAF(9)) for name in names)),
        tuple(Projection(a, b, (Conv2d(weight),)) for a, b in zip(["in", *names[:-1]], names, strict=True)),
    )
    (found,) = check(net, "DYN021")
    assert (found.found, found.limit, found.hint) == (11, 9, "leave out 2 of the layers")


def test_windows_that_leave_a_border(make, check):
    (found,) = check(make.pooled((1, 17, 16), SumPool2d(2)), "DYN040")
    assert (found.where, found.found, found.limit) == ("x->y", "17 x 16 by 2", "16 x 16")
    assert found.severity.value == "warning"
    assert check(make.pooled((1, 16, 17), SumPool2d(2))) == ["DYN040"]
    assert check(make.pooled((1, 7, 7), SumPool2d(2, padding=1)), "DYN040") == []


def test_weights_above_the_threshold(make, check):
    assert check(one_weight(make, 9, SpeckIAF(9))) == []
    net = one_weight(make, 10, SpeckIAF(9))
    assert check(net) == ["DYN041", "DYN042"]
    assert check(net, "DYN042")[0].found == "1 more with every event"
    assert check(one_weight(make, 10, SpeckIAF(9, return_to_zero=True))) == []


def test_room_in_16_bits(make, check):
    assert check(one_weight(make, 127, SpeckIAF(32641))) == []
    (found,) = check(one_weight(make, 127, SpeckIAF(32642)), "DYN042")
    assert (found.found, found.hint) == (32768, "a threshold of 32641 or less")
    assert check(one_weight(make, 127, SpeckIAF(32641, return_to_zero=True))) == []
    assert check(one_weight(make, -128, SpeckIAF(32767, -32640))) == []
    (found,) = check(one_weight(make, -128, SpeckIAF(32767, -32641)), "DYN043")
    assert (found.found, found.hint) == (-32769, "a floor of -32640 or above")
    assert check(one_weight(make, 1, SpeckIAF(9, -32768))) == []


@pytest.mark.parametrize(("start", "found"), [(0, []), (8, []), (-7, []), (9, [9]), (-8, [-8])])
def test_initial_potentials(make, check, start, found):
    net = one_weight(make, 1, SpeckIAF(9, -7, v_init=start))
    assert [each.found for each in check(net, "DYN044")] == found


def test_two_sources(make, check):
    chain = ((1, 2, 2), Conv2d(make.ones(1, 1, 1, 1)))
    assert check(make.join(chain, chain)) == ["DYN045"]


def test_leak(make, check):
    assert check(one_weight(make, 1, SpeckIAF(9, leak=-1))) == []
    assert check(one_weight(make, 1, SpeckIAF(9, leak=1))) == ["DYN046"]
