"""Excitation and inhibition as one signed sum, and where they have to stay apart."""

import numpy as np
import pytest

from nmdeploy.emulator.signed import largest_sum, together
from nmdeploy.emulator.widths import prove_widths
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense
from quantize import IntegerFormat, Overflow

WEIGHT = np.array([[5, -7, 2], [-1, -1, 4]])


class Apart(IF):
    """Any neuron that takes signs apart."""

    separate_signs = True


def network_of(**how):
    populations = (Population("in", (3,)), Population("out", (2,), Apart(9)))
    projections = (Projection("in", "out", (Dense(WEIGHT),), **how), Projection("in", "out", (Dense(3 * WEIGHT),)))
    return Network("signed", populations, projections)


def test_the_range_is_excitation_less_inhibition():
    network = network_of()
    entering = prove_widths(network, 1)["out"].entering
    (first,), (second,) = together(entering, network.projections)
    assert first.projection is network.projections[0]
    assert (first.scaled.lower.tolist(), first.scaled.upper.tolist()) == ([-7, -2], [7, 4])
    assert (first.magnitude, second.magnitude) == (7, 21)
    assert second.delivered.magnitude == 21


def test_the_largest_sum_is_of_one_sign_over_all_projections():
    assert largest_sum(prove_widths(network_of(), 1)["out"].entering) == 7 + 21
    assert largest_sum(()) == 0


@pytest.mark.parametrize(
    ("how", "linear"),
    [
        ({"exponent": 2}, True),
        ({"exponent": -1}, False),
        ({"accumulator": IntegerFormat(4)}, True),
        ({"accumulator": IntegerFormat(3, overflow=Overflow.SATURATE)}, False),
    ],
)
def test_what_is_rounded_or_cut_off_stays_apart(how, linear):
    network = network_of(**how)
    assert (together(prove_widths(network, 1)["out"].entering, network.projections) is not None) is linear
