"""Weights and biases in torch, and back."""

import numpy as np
import pytest

from nmdeploy.convert.spiking import to_spiking

torch = pytest.importorskip("torch")

from nmdeploy.convert.surrogate.parameters import Parameters  # noqa: E402


def test_a_network_that_was_not_trained_comes_back_as_it_was(branched, rng):
    network = to_spiking(branched, rng.random((20, 2, 6, 6)))
    found = Parameters(network, biases=True).network()
    for before, after in zip(network.projections, found.projections, strict=True):
        for old, new in zip(before.synapses, after.synapses, strict=True):
            assert type(old) is type(new)
            if old.weight is not None:
                np.testing.assert_array_equal(new.weight, old.weight, strict=True)
    for population in network.populations[1:]:
        bias = found[population.name].neuron.bias
        np.testing.assert_array_equal(*np.broadcast_arrays(bias, population.neuron.bias))
        assert bias.dtype == np.float32
        assert found[population.name].neuron.threshold == population.neuron.threshold


def test_a_single_bias_becomes_one_a_channel(spiking, without_biases):
    network = without_biases(spiking)
    parameters = Parameters(network, biases=True)
    assert {name: tuple(bias.shape) for name, bias in parameters.biases.items()} == {"conv": (4, 1, 1), "fc": (5,)}
    kept = Parameters(network, biases=False)
    assert not kept.biases
    assert kept.network()["conv"].neuron.bias == 0.0
    assert float(kept.bias("conv")) == 0


def test_what_is_trained_is_in_the_network_and_not_in_the_one_given(spiking):
    before = spiking.projections[0].synapses[0].weight.copy()
    parameters = Parameters(spiking, biases=True)
    with torch.no_grad():
        parameters.weights[0, 0] += 1
        parameters.biases["fc"] -= 2
    trained = parameters.network()
    np.testing.assert_allclose(trained.projections[0].synapses[0].weight, before + 1, rtol=1e-6)
    np.testing.assert_allclose(trained["fc"].neuron.bias, spiking["fc"].neuron.bias - 2, rtol=1e-6)
    np.testing.assert_array_equal(spiking.projections[0].synapses[0].weight, before)
    with torch.no_grad():
        parameters.weights[0, 0] += 1
    np.testing.assert_allclose(trained.projections[0].synapses[0].weight, before + 1, rtol=1e-6)


def test_steps_are_shares_of_the_weights_that_enter(spiking):
    parameters = Parameters(spiking, biases=True)
    sizes = [np.sqrt(np.mean(np.square(each.synapses[-1].weight))) for each in spiking.projections[:1]]
    groups = parameters.groups(0.5)
    assert len(groups) == 4
    assert groups[0]["params"] == [parameters.weights[0, 0]]
    assert groups[0]["lr"] == pytest.approx(0.5 * sizes[0])
    of_bias = next(each for each in groups if each["params"][0] is parameters.biases["conv"])
    assert of_bias["lr"] == groups[0]["lr"]
