"""The gradient of a run on the chip is that of the network of clipped ReLUs."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.neurons import IF

torch = pytest.importorskip("torch")

from nmdeploy.convert.surrogate.backward import scores_with_gradient  # noqa: E402
from nmdeploy.convert.surrogate.chip_run import ChipRun, OnChip, unit_of_scores  # noqa: E402
from nmdeploy.convert.surrogate.parameters import Parameters  # noqa: E402

FLOAT32 = 2e-5
"""Rounding of float32 in values and sums, as a share of the largest gradient."""


def rates_of_clipped_relus(network, inputs, bias_steps=1.0):
    """What the network of clipped ReLUs computes, in float64."""
    found = {network.inputs[0].name: inputs}
    for population in network.order(instant_only=False)[1:]:
        total = sum(each.apply(found[each.source]) for each in network.into(population.name))
        total = total + np.asarray(population.neuron.bias) * bias_steps
        if isinstance(population.neuron, IF):
            total = np.clip(total / population.neuron.threshold, 0, 1)
        found[population.name] = total
    return found


def ideal_run(network, inputs, bias_steps=1.0):
    """A run of neurons whose rates are exactly those of clipped ReLUs."""
    rates = rates_of_clipped_relus(network, inputs, bias_steps)
    output = network[network.outputs[0]]
    scores = rates[output.name].reshape(len(inputs), -1) * unit_of_scores(output)
    in_float32 = {name: np.asarray(values, np.float32) for name, values in rates.items()}
    return ChipRun(in_float32, scores.astype(np.float32), bias_steps)


def gradients(network, run, labels):
    """Of the cross entropy, for every weight and bias."""
    parameters = Parameters(network, biases=True)
    scores = scores_with_gradient(network, parameters, run)
    np.testing.assert_array_equal(scores.detach().numpy(), run.scores)
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels)).backward()
    named = {**parameters.weights, **parameters.biases}
    return {key: np.zeros(each.shape) if each.grad is None else each.grad.numpy() for key, each in named.items()}


class Clipped(torch.nn.Module):
    """`digits_like` after conversion, written down anew in torch."""

    def __init__(self, network):
        super().__init__()
        conv, dense = (each.synapses for each in network.projections)
        self.pool = dense[0].kernel
        values = [conv[0].weight, network["conv"].neuron.bias, dense[-1].weight, network["fc"].neuron.bias]
        self.kernel, self.bias, self.weight, self.offset = (
            torch.nn.Parameter(torch.tensor(np.array(each, np.float64))) for each in values
        )
        self.threshold = network["conv"].neuron.threshold

    def forward(self, x):
        current = torch.nn.functional.conv2d(x, self.kernel, padding=1) + self.bias
        rates = torch.clamp(current / self.threshold, 0, 1)
        pooled = torch.nn.functional.avg_pool2d(rates, self.pool) * self.pool[0] * self.pool[1]
        return pooled.flatten(1) @ self.weight.T + self.offset


@pytest.fixture
def clipping(spiking):
    """Thresholds so low that some neurons are clipped."""
    populations = tuple(
        replace(each, neuron=replace(each.neuron, threshold=0.6)) if each.name == "conv" else each
        for each in spiking.populations
    )
    return replace(spiking, populations=populations)


def autograd(network, x, y):
    """The gradients by torch's autograd of the module of clipped ReLUs, in float64."""
    module = Clipped(network)
    torch.nn.functional.cross_entropy(module(torch.from_numpy(np.array(x, np.float64))), torch.from_numpy(y)).backward()
    parts = {(0, 0): module.kernel, "conv": module.bias, (1, 2): module.weight, "fc": module.offset}
    return {name: each.grad.numpy() for name, each in parts.items()}


def far(found, wanted):
    """Length of the difference, as a share of the length."""
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def test_with_the_rates_of_clipped_relus_it_is_autograds(clipping, taught):
    x, y = taught.x[:60], taught.y[:60]
    found, wanted = gradients(clipping, ideal_run(clipping, x), y), autograd(clipping, x, y)
    rates = rates_of_clipped_relus(clipping, x)["conv"]
    assert 0.01 < np.mean(rates == 1) < 0.5  # clipping matters
    assert 0.01 < np.mean(rates == 0) < 0.9
    assert found.keys() == wanted.keys()
    for name, expected in wanted.items():
        assert far(found[name], expected) < FLOAT32, name


def test_an_ideal_chip_comes_to_it_in_long_runs(clipping, taught, wide):
    """Rates of neurons that reset by subtraction miss the analogue ones by about 1/T, gradients as well."""
    subtracting = replace(
        clipping,
        populations=tuple(
            replace(each, neuron=replace(each.neuron, reset="subtract")) if each.name == "conv" else each
            for each in clipping.populations
        ),
    )
    x, y = taught.x[:60], taught.y[:60]
    wanted = autograd(clipping, x, y)
    errors = []
    for steps in (32, 2048):
        chip = OnChip(wide, lambda network: to_integers(network, wide.precision), DeterministicRate(), steps)
        found = gradients(subtracting, chip.run(subtracting, x), y)
        errors.append([far(found[name], expected) for name, expected in wanted.items()])
    assert max(errors[1]) < 0.01
    assert max(errors[1]) < max(errors[0]) / 8


@pytest.mark.parametrize("readout", ["potential", "count"])
def test_residual_concatenated_and_depthwise_layers(branched, rng, readout):
    """Against differences of the loss along random directions."""
    inputs, bias_steps = rng.random((12, 2, 6, 6)), 1.5
    network = to_spiking(branched, inputs, readout=readout, normalization="fixed", factor=1.3)
    network = moved(network, "depthwise", 0.05)  # nothing is exactly at the corner of a rectifier
    outputs = network[network.outputs[0]]
    labels = rng.integers(0, outputs.size, 12)
    run = ideal_run(network, inputs, bias_steps)
    found = gradients(network, run, labels)
    for name, gradient in found.items():
        direction = rng.normal(size=gradient.shape)
        slope = along(network, name, direction, inputs, labels, bias_steps)
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=2e-3, abs=2e-5), name
    assert len(found) > 6


def along(network, name, direction, inputs, labels, bias_steps, step=1e-6):
    """The slope of the loss of the network of clipped ReLUs along a direction of one parameter."""
    ahead, behind = (
        loss(moved(network, name, sign * step * direction), inputs, labels, bias_steps) for sign in (1, -1)
    )
    return (ahead - behind) / (2 * step)


def moved(network, name, change):
    """The network in float64 with one parameter changed."""
    if isinstance(name, str):
        neuron = replace(network[name].neuron, bias=np.asarray(network[name].neuron.bias, np.float64) + change)
        parts = tuple(replace(each, neuron=neuron) if each.name == name else each for each in network.populations)
        return replace(network, populations=parts)
    place, index = name
    projections = list(network.projections)
    chain = list(projections[place].synapses)
    chain[index] = chain[index].with_weight(np.asarray(chain[index].weight, np.float64) + change)
    projections[place] = replace(projections[place], synapses=tuple(chain))
    return replace(network, projections=tuple(projections))


def loss(network, inputs, labels, bias_steps):
    output = network[network.outputs[0]]
    scores = rates_of_clipped_relus(network, inputs, bias_steps)[output.name].reshape(len(inputs), -1)
    scores = scores * unit_of_scores(output)
    shifted = scores - scores.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return np.mean(np.log(np.exp(shifted).sum(axis=1)) - chosen)


def test_a_neuron_without_input_gets_no_gradient(spiking, without_biases, taught):
    silent = without_biases(spiking)
    run = ideal_run(silent, np.zeros_like(taught.x[:20]))
    found = gradients(silent, run, taught.y[:20])
    assert not found["conv"].any()
    assert found["fc"].any()
