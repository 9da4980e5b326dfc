"""Rules of what a core can compute: each breaks at its limit, and not before."""

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, SumPool2d
from quantize import IntegerFormat
from targets.dynapcnn.neuron import SpeckIAF
from targets.dynapcnn.rules import RULES
from targets.dynapcnn.rules.structure import powers_of_two


def told(violations):
    return [(each.where, each.found, each.limit) for each in violations]


def test_a_legal_network_has_nothing_to_tell(make, check):
    assert check(make.layer((2, 8, 8), Conv2d(make.ones(4, 2, 3, 3), padding=1))) == []
    assert check(make.pooled((2, 8, 8), SumPool2d(2))) == []
    assert check(make.fan(2)) == []


def test_every_rule_says_what_it_asks():
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
    assert all(rule.__doc__ for rule in RULES)


def test_known_layers(make, check):
    (found,) = check(make.layer((2, 4, 4), SumPool2d(2)), "DYN001")
    assert told([found]) == [("in->x", "SumPool2d", "sum pools, then one convolution")]
    found = check(make.layer((2, 4, 4)), "DYN001")
    assert found[0].found == "no weights"


def test_known_neurons(make, check):
    (found,) = check(make.layer((2, 4, 4), Conv2d(make.ones(1, 2, 1, 1)), neuron=IF(9)), "DYN002")
    assert told([found]) == [("x", "IF", "dynapcnn.IAF")]


def test_plain_projections(make, check):
    net = make.layer((2, 4, 4), Conv2d(make.ones(1, 2, 1, 1)), delay=1, exponent=2, accumulator=IntegerFormat(20))
    (found,) = check(net, "DYN003")
    assert told([found]) == [("in->x", "delay 1, exponent 2, accumulator of 20 bits", "none")]


def test_square_kernels(make, check):
    (found,) = check(make.layer((2, 8, 8), Conv2d(make.ones(1, 2, 3, 5))), "DYN004")
    assert (found.found, "5 x 5" in found.hint) == ("3 x 5", True)


def test_kernel_sizes(make, check):
    assert check(make.layer((1, 20, 20), Conv2d(make.ones(1, 1, 16, 16)))) == []
    (found,) = check(make.layer((1, 20, 20), Conv2d(make.ones(1, 1, 17, 17))), "DYN005")
    assert told([found]) == [("in->x", 17, 16)]


@pytest.mark.parametrize(("stride", "wrong"), [((1, 2), []), ((4, 8), []), ((3, 5), [3, 5]), ((16, 1), [16])])
def test_strides(make, check, stride, wrong):
    found = check(make.layer((1, 20, 20), Conv2d(make.ones(1, 1, 3, 3), stride=stride)), "DYN006")
    assert [each.found for each in found] == wrong
    assert all(each.limit == "1, 2, 4, 8" for each in found)


def test_the_nearest_stride_is_told(make, check):
    found = check(make.layer((1, 20, 20), Conv2d(make.ones(1, 1, 3, 3), stride=7)), "DYN006")
    assert found[0].hint == "8 is the nearest"


def test_paddings(make, check):
    assert check(make.layer((1, 9, 9), Conv2d(make.ones(1, 1, 15, 15), padding=7))) == []
    assert check(make.layer((1, 9, 9), Conv2d(make.ones(1, 1, 5, 5), padding=(1, 2)))) == []
    (found,) = check(make.layer((1, 9, 9), Conv2d(make.ones(1, 1, 9, 9), padding=8)), "DYN007")
    assert (found.found, found.limit) == (8, 7)
    (found,) = check(make.layer((1, 9, 9), Conv2d(make.ones(1, 1, 4, 4), padding=(1, 2, 1, 2))), "DYN007")
    assert found.found == "top 1, bottom 2, left 1, right 2"
    assert check(make.layer((1, 9, 9), Conv2d(make.ones(1, 1, 4, 4), padding=(1, 1, 1, 2)))) == ["DYN007"]


def test_groups_and_dilation(make, check):
    (found,) = check(make.layer((4, 8, 8), Conv2d(make.ones(4, 2, 3, 3), groups=2)), "DYN008")
    assert (found.found, found.limit) == (2, 1)
    (found,) = check(make.layer((2, 9, 9), Conv2d(make.ones(2, 2, 3, 3), dilation=(1, 2))), "DYN009")
    assert (found.found, found.hint) == ("(1, 2)", "write the gaps as zeros, in a kernel of 5")


@pytest.mark.parametrize(
    ("pools", "messages"),
    [
        ((SumPool2d(4),), []),
        ((SumPool2d(2), SumPool2d(2)), []),
        ((SumPool2d(1),), []),
        ((SumPool2d(3),), ["no such pooling"]),
        ((SumPool2d(2), SumPool2d(4)), ["no such pooling"]),
        ((SumPool2d((1, 2)),), ["pooling is not square"]),
        ((SumPool2d(2, stride=1),), ["pooling windows overlap or leave gaps"]),
        (
            (SumPool2d(2, stride=4, padding=1),),
            ["pooling windows overlap or leave gaps", "pooling reaches beyond the map"],
        ),
    ],
)
def test_pools(make, check, pools, messages):
    assert [each.message for each in check(make.pooled((1, 8, 8), *pools), "DYN010")] == messages


def test_maps(make, check):
    assert check(make.layer((1, 128, 128), Conv2d(make.ones(1, 1, 2, 2), stride=2))) == []
    (found,) = check(make.layer((1, 128, 129), Conv2d(make.ones(1, 1, 2, 2), stride=4)), "DYN011")
    assert told([found]) == [("in->x", "128 x 129", "128 x 128")]
    (found,) = check(make.layer((1, 65, 64), Conv2d(make.ones(1, 1, 1, 1))), "DYN012")
    assert told([found]) == [("x", "65 x 64", "64 x 64")]


def test_a_map_too_large_is_told_once(make, check):
    image = (1, 65, 65)
    found = check(make.join((image, Conv2d(make.ones(1, 1, 1, 1))), (image, Conv2d(-make.ones(1, 1, 1, 1)))), "DYN012")
    assert len(found) == 1


def test_channels(make, check):
    assert check(make.layer((1024, 1, 1), Conv2d(make.ones(64, 1024, 1, 1)))) == []
    (found,) = check(make.layer((1025, 1, 1), Conv2d(make.ones(2, 1025, 1, 1))), "DYN013")
    assert told([found]) == [("x", 1025, 1024)]
    (found,) = check(make.layer((1, 1, 1), Conv2d(make.ones(1025, 1, 1, 1))), "DYN013")
    assert found.message == "too many channels"


def test_channels_of_several_sources_add_up_unless_their_weights_are_the_same(make, check):
    image, weight = (600, 1, 1), make.ones(2, 600, 1, 1)
    (found,) = check(make.join((image, Conv2d(weight)), (image, Conv2d(-weight))), "DYN013")
    assert found.found == 1200
    assert check(make.join((image, Conv2d(weight)), (image, Conv2d(weight))), "DYN013") == []


def test_destinations(make, check):
    (found,) = check(make.fan(3), "DYN014")
    assert told([found]) == [("x", 3, 2)]


def test_an_input_may_feed_three_cores_but_not_from_the_sensor(check):
    weight = np.ones((1, 1, 1, 1), dtype=np.int8)
    names = ("a", "b", "c")
    net = Network(
        "net",
        (Population("in", (1, 2, 2)), *(Population(name, (1, 2, 2), SpeckIAF(9)) for name in names)),
        tuple(Projection("in", name, (Conv2d(weight),)) for name in names),
    )
    assert check(net) == ["DYN047"]
    assert check(Network("two", net.populations[:3], net.projections[:2])) == []


def test_agreeing_sources(make, check):
    plain = ((1, 4, 4), Conv2d(make.ones(1, 1, 3, 3), padding=1))
    assert check(make.join(plain, plain), "DYN015") == []
    (found,) = check(make.join(plain, ((1, 4, 4), Conv2d(make.ones(1, 1, 1, 1)))), "DYN015")
    assert found.where == "x"
    assert found.found == (
        "a: map 4 x 4, kernel 3 x 3, stride (1, 1), padding (1, 1, 1, 1); "
        "b: map 4 x 4, kernel 1 x 1, stride (1, 1), padding (0, 0, 0, 0)"
    )


def test_powers_of_two():
    assert powers_of_two(8) == [1, 2, 4, 8]
