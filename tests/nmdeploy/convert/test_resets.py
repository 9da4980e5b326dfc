"""The reset that the chip does best, chosen and told."""

import numpy as np
import pytest

from nmdeploy.convert.resets import chosen_reset, with_reset
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.registry import chip
from nmdeploy.synapses import Dense


def net(*neurons):
    names = [f"layer{index}" for index in range(len(neurons))]
    populations = [Population(name, (2,), neuron) for name, neuron in zip(names, neurons, strict=True)]
    projections = [Projection(a, b, (Dense(np.eye(2)),)) for a, b in zip(["in", *names], names, strict=False)]
    return Network("net", (Population("in", (2,)), *populations), tuple(projections), notes=("before",))


@pytest.mark.parametrize(
    ("wanted", "name", "found"),
    [
        ("auto", "loihi1", "zero"),
        ("auto", "loihi1/subtract", "subtract"),
        ("subtract", "loihi1", "subtract"),
        ("zero", "loihi2/subtract", "zero"),
    ],
)
def test_what_is_asked_for_wins_and_auto_is_the_chips_best(wanted, name, found):
    assert chosen_reset(wanted, chip(name)) == found


def test_another_reset_is_refused():
    with pytest.raises(UsageError, match=r"unknown reset .*'soft', limit auto, subtract, zero"):
        chosen_reset("soft", chip("loihi1"))


@pytest.mark.parametrize(
    ("name", "reset", "note"),
    [
        ("loihi1", "zero", "neurons have reset to zero: the only one of loihi1/chip"),
        ("loihi2/subtract", "subtract", "neurons have reset by subtraction: the best that loihi2/subtract can do"),
    ],
)
def test_all_neurons_get_it_and_a_note_says_why(name, reset, note):
    network = with_reset(net(IF(1.0), IF(2.0, bias=0.5, reset="zero"), Integrator()), "auto", chip(name))
    assert [population.neuron for population in network.populations] == [
        None,
        IF(1.0, reset=reset),
        IF(2.0, bias=0.5, reset=reset),
        Integrator(),
    ]
    assert network.notes == ("before", note)


def test_a_reset_that_was_asked_for_needs_no_note():
    network = with_reset(net(IF(1.0)), "zero", chip("loihi1/subtract"))
    assert network["layer0"].neuron == IF(1.0, reset="zero")
    assert network.notes == ("before",)


def test_a_network_that_never_resets_stays_as_it_is():
    network = net(Integrator())
    assert with_reset(network, "auto", chip("loihi1")) == network
