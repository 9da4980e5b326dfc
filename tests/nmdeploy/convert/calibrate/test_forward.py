"""Gains and offsets of a layer become weights and biases of the layers behind it."""

import numpy as np
import pytest

from nmdeploy.convert.calibrate.fit import Fit
from nmdeploy.convert.calibrate.forward import passed_on, scaled_biases, with_neuron
from nmdeploy.convert.spiking import to_spiking


def drives(network, rates):
    """What arrives at every population, its bias included."""
    found = {}
    for population in network.populations:
        if population.neuron is not None:
            entering = network.into(population.name)
            total = sum(each.apply(rates[each.source]) for each in entering)
            found[population.name] = total + np.asarray(population.neuron.bias)
    return found


@pytest.mark.parametrize("graph", ["branched", "digits_like"])
def test_the_layers_behind_receive_what_the_fit_says(graph, request, rng):
    graph = request.getfixturevalue(graph)
    shape = graph.shapes[graph.sources[0].name]
    network = to_spiking(graph, rng.random((20, *shape)), readout="potential")
    rates = {each.name: rng.random((3, *each.shape)) for each in network.populations}
    for population in network.populations[1:-1]:
        channels = population.shape[0]
        gain, offset = rng.uniform(0.5, 2, channels), rng.normal(size=channels) / 10
        changed = passed_on(network, population.name, Fit(gain, offset, 1.5, 0.0, 0.0))
        mapped = rates[population.name] * gain[:, None, None] + offset[:, None, None]
        wanted = drives(network, {**rates, population.name: mapped})
        found = drives(changed, rates)
        for name in wanted:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-5)
        assert changed[population.name].rate_scale == 1.5 * population.rate_scale
        behind = {each.target for each in network.out_of(population.name)}
        assert all(changed[name] is network[name] for name in wanted if name not in behind | {population.name})


def test_without_offsets_no_bias_appears(spiking, without_biases):
    plain = without_biases(spiking)
    fit = Fit(np.full(4, 2.0), np.zeros(4), 2.0, 0.0, 0.0)
    changed = passed_on(plain, "conv", fit)
    assert [each.neuron.bias for each in changed.populations[1:]] == [0.0, 0.0]


def test_biases_are_scaled_and_nothing_else(spiking):
    changed = scaled_biases(spiking, 0.25)
    for before, after in zip(spiking.populations[1:], changed.populations[1:], strict=True):
        np.testing.assert_allclose(after.neuron.bias, np.asarray(before.neuron.bias) * 0.25, rtol=1e-6)
    assert changed["conv"].neuron.threshold == spiking["conv"].neuron.threshold
    assert changed.projections == spiking.projections


def test_one_neuron_changes(spiking):
    changed = with_neuron(spiking, "conv", threshold=3.0)
    assert changed["conv"].neuron.threshold == 3.0
    assert changed["fc"] is spiking["fc"]
