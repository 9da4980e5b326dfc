"""The read-out layer's weights, refitted to what arrives."""

import numpy as np
import pytest

from nmdeploy.convert.calibrate.refit import LEAST_SAMPLES, refitted
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d

STEPS = 8


def small(rng, *, delay=0):
    """Two layers that end in one output."""
    populations = (
        Population("in", (2, 4, 4)),
        Population("a", (5,), IF(1.0)),
        Population("out", (3,), Integrator(np.array([0.1, -0.2, 0.3], np.float32))),
    )
    projections = (
        Projection("in", "a", (Reshape((32,)), Dense(rng.normal(size=(5, 32))))),
        Projection("in", "out", (SumPool2d(2), Reshape((8,)), Dense(rng.normal(size=(3, 8)))), delay),
        Projection("a", "out", (Dense(rng.normal(size=(3, 5))),), delay),
    )
    return Network("small", populations, projections)


def random_spikes(rng, samples=200):
    return {
        "in": rng.integers(0, 2, (STEPS, samples, 2, 4, 4)).astype(np.uint8),
        "a": rng.integers(0, 2, (STEPS, samples, 5)).astype(np.uint8),
    }


def output(network, spikes):
    """The output's potential per input step."""
    sums = [each.apply(spikes[each.source][: STEPS - each.delay].sum(0) / STEPS) for each in network.into("out")]
    return sum(sums) + network["out"].neuron.bias


@pytest.mark.parametrize("delay", [0, 2])
def test_a_linear_map_is_found_again(rng, delay):
    network, spikes = small(rng, delay=delay), random_spikes(rng)
    other = small(np.random.default_rng(9), delay=delay)
    goal = output(other, spikes) + np.array([1.0, 2.0, 3.0])
    changed = refitted(network, "out", goal, spikes, STEPS, offsets=True)
    before = np.mean((output(network, spikes) - goal) ** 2)
    assert np.mean((output(changed, spikes) - goal) ** 2) < before / 1000
    assert changed["a"] is network["a"]
    assert changed.projections[0] is network.projections[0]


def test_without_offsets_the_bias_stays(rng):
    network, spikes = small(rng), random_spikes(rng)
    goal = output(small(np.random.default_rng(9)), spikes)
    changed = refitted(network, "out", goal, spikes, STEPS, offsets=False)
    np.testing.assert_array_equal(changed["out"].neuron.bias, network["out"].neuron.bias)
    assert np.mean((output(changed, spikes) - goal) ** 2) < np.mean((output(network, spikes) - goal) ** 2) / 50


def test_noise_that_cannot_be_fitted_changes_nothing_much(rng):
    """Cross-validation sees that no change helps on other samples."""
    network, spikes = small(rng), random_spikes(rng, 30)
    goal = output(network, spikes)
    noise = rng.normal(size=goal.shape)
    noise -= noise.mean(axis=0)
    changed = refitted(network, "out", goal + noise, spikes, STEPS, offsets=True)
    other = random_spikes(rng)
    kept = changed is network
    assert kept or np.mean((output(changed, other) - output(network, other)) ** 2) < np.mean(noise**2) / 10


def test_a_perfect_network_stays_as_it_is(rng):
    network, spikes = small(rng), random_spikes(rng)
    changed = refitted(network, "out", output(network, spikes), spikes, STEPS, offsets=True)
    for before, after in zip(network.into("out"), changed.into("out"), strict=True):
        np.testing.assert_allclose(after.synapses[-1].weight, before.synapses[-1].weight, rtol=1e-5)


def test_too_few_samples_change_nothing(rng):
    network, spikes = small(rng), random_spikes(rng, LEAST_SAMPLES - 1)
    goal = output(small(np.random.default_rng(9)), spikes)
    assert refitted(network, "out", goal, spikes, STEPS, offsets=True) is network


def test_silence_changes_the_bias_alone(rng):
    network = small(rng)
    spikes = {name: np.zeros_like(values) for name, values in random_spikes(rng).items()}
    goal = np.tile(np.array([1.0, 2.0, 3.0]), (200, 1))
    changed = refitted(network, "out", goal, spikes, STEPS, offsets=True)
    np.testing.assert_allclose(changed["out"].neuron.bias, goal[0], rtol=1e-6)
    for before, after in zip(network.into("out"), changed.into("out"), strict=True):
        np.testing.assert_array_equal(after.synapses[-1].weight, before.synapses[-1].weight.astype(np.float32))


def test_an_output_that_is_no_dense_layer_stays_as_it_is(rng):
    populations = (Population("in", (2, 1, 1)), Population("out", (3, 1, 1), Integrator()))
    network = Network("conv", populations, (Projection("in", "out", (Conv2d(np.ones((3, 2, 1, 1))),)),))
    spikes = {"in": np.ones((STEPS, 50, 2, 1, 1), np.uint8)}
    assert refitted(network, "out", np.zeros((50, 3, 1, 1)), spikes, STEPS, offsets=True) is network
    populations = (populations[0], Population("out", (2, 1, 1), Integrator()))
    bare = Network("bare", populations, (Projection("in", "out"),))
    assert refitted(bare, "out", np.zeros((50, 2, 1, 1)), spikes, STEPS, offsets=True) is bare
