"""Networks with fewer channels compute what the first channels of the whole network compute."""

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from targets.loihi.mapper.narrowing import narrowed, widest_that_fits
from targets.loihi.neuron import LoihiLIF

RNG = np.random.default_rng(3)


def net(*extra, into=None, out_of=None):
    conv = Conv2d(RNG.integers(-3, 4, (6, 2, 3, 3)).astype(np.int8))
    dense = Dense(RNG.integers(-3, 4, (5, 24)).astype(np.int8))
    populations = (
        Population("in", (2, 6, 6)),
        Population("maps", (6, 4, 4), LoihiLIF(np.arange(6).reshape(6, 1, 1))),
        Population("out", (5,), LoihiLIF(9)),
    )
    projections = (
        Projection("in", "maps", into or (conv,), delay=1),
        Projection("maps", "out", out_of or (SumPool2d(2), Reshape((24,)), dense), delay=1),
        *extra,
    )
    return Network("net", populations, projections)


def test_the_first_channels_stay_as_they_were():
    whole = net()
    smaller = narrowed(whole, "maps", 4)
    assert smaller["maps"].shape == (4, 4, 4)
    np.testing.assert_array_equal(smaller["maps"].neuron.vth.ravel(), [0, 1, 2, 3])
    image = RNG.integers(0, 2, (1, 2, 6, 6))
    into = [n.projections[0].apply(image) for n in (whole, smaller)]
    np.testing.assert_array_equal(into[1], into[0][:, :4])
    spikes = RNG.integers(0, 2, (1, 6, 4, 4))
    spikes[:, 4:] = 0
    np.testing.assert_array_equal(whole.projections[1].apply(spikes), smaller.projections[1].apply(spikes[:, :4]))


def test_flat_populations_and_inputs_can_be_cut():
    assert narrowed(net(), "out", 2).projections[1].synapses[-1].weight.shape == (2, 24)
    assert narrowed(net(), "in", 1).projections[0].synapses[0].weight.shape == (6, 1, 3, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"into": (Conv2d(np.ones((6, 1, 3, 3), dtype=np.int8), groups=2),)},
        {"out_of": (OneToOne(np.ones(1, dtype=np.int8)), Reshape((96,)), Dense(np.ones((5, 96), dtype=np.int8)))},
    ],
)
def test_other_synapses_are_left_alone(change):
    assert narrowed(net(**change), "maps", 4) is None
    assert widest_that_fits(net(**change), "maps", lambda candidate: True) is None


def test_loops_and_plain_connections_are_left_alone():
    loop = Projection("maps", "maps", (OneToOne(np.ones(1, dtype=np.int8)),), delay=1)
    assert narrowed(net(loop), "maps", 4) is None
    plain = Network(
        "plain", (Population("in", (4,)), Population("a", (4,), LoihiLIF(9))), (Projection("in", "a", delay=1),)
    )
    assert narrowed(plain, "a", 2) is None
    assert narrowed(plain, "in", 2) is None


def test_the_widest_that_fits_is_tried():
    tried = []

    def fits(candidate):
        tried.append(candidate["maps"].shape[0])
        return tried[-1] <= 3

    assert widest_that_fits(net(), "maps", fits) == 3
    assert 3 in tried
    assert widest_that_fits(net(), "maps", lambda candidate: False) is None
