"""Hints name only what was seen to fit."""

import numpy as np
import pytest

from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense, OneToOne
from targets.loihi.mapper import advice
from targets.loihi.neuron import LoihiLIF


@pytest.fixture
def net():
    populations = [Population("in", (6,)), *(Population(name, (6,), LoihiLIF(9)) for name in "abc")]
    same = Projection("in", "a", (OneToOne(np.array([2])),), delay=1)
    dense = [Projection(*pair, (Dense(np.full((6, 6), 2)),), delay=1) for pair in ("ab", "bc")]
    return Network("net", tuple(populations), (same, *dense))


def mapper(fits):
    """A mapper of networks that `fits` likes; one chip more than asked is always enough."""

    def place(network, chip, chips, *, advise):
        assert not advise
        if chips is not None and not fits(network):
            raise FitError("toy", [])
        return Placement("toy", tuple(CoreLoad(c, 0, "a", np.arange(1), {}) for c in range(2)), {})

    return place


def test_the_first_suspect_that_can_be_cut_is_named(net, loihi1):
    fits = mapper(lambda network: network["b"].size <= 4)
    # Connections of `a` are one to one, so it stays; outputs are never cut.
    hint = advice.hint_for(net, loihi1, 1, ["c", "a", "b"], fits)
    assert hint == "2 chips would do; 4 instead of 6 neurons in 'b' would fit"
    assert advice.hint_for(net, loihi1, 1, ["c", "a"], fits) == "2 chips would do"


def test_nothing_is_told_where_nothing_fits(net, loihi1):
    def never(network, chip, chips, *, advise):
        raise FitError("toy", [])

    assert advice.hint_for(net, loihi1, 1, ["b"], never) is None
    assert advice.hint_for(net, loihi1, None, ["b"], never) is None


def test_large_networks_are_not_mapped_again_and_again(net, loihi1, monkeypatch):
    monkeypatch.setattr(advice, "MOST_NEURONS", 23)
    assert advice.hint_for(net, loihi1, 1, ["b"], mapper(lambda network: network["b"].size < 6)) == "2 chips would do"
