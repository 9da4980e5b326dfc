"""Random float spiking networks for exact mode, and runs of what they become."""

from dataclasses import dataclass

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import mismatches, quantize_activations, to_exact
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d


class Draw:
    """Draws layers and weights from a seed; every width is even, as SpiNNaker wants it."""

    def __init__(self, seed):
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def one_of(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def weight(self, *shape):
        fan_in = max(1, int(np.prod(shape[1:])))
        shift = self.one_of(-0.5, 0.0, 0.0, 0.3, 2.0)  # layers that stay silent, and layers that saturate
        return (self.rng.normal(size=shape) + shift) * self.one_of(0.5, 1.5) / np.sqrt(fan_in)

    def bias(self, shape):
        channels = (shape[0], *[1] * (len(shape) - 1))
        spread = self.one_of(0.0, 0.2, 1.0)
        return self.rng.normal(size=self.one_of(channels, shape)) * spread if spread else 0.0

    def chain(self, shape, flatten):
        """A chain from `shape` on, and the shape behind it."""
        if len(shape) == 1:
            return (Dense(self.weight(2 * self.number(1, 6), shape[0])),)
        channels, height, width = shape
        if flatten or min(height, width) < 3:
            pools = (SumPool2d(2),) if min(height, width) > 1 and self.one_of(True, False) else ()
            size = int(np.prod(Projection("", "", pools).shapes(shape)[-1]))
            return (*pools, Reshape((size,)), Dense(self.weight(2 * self.number(1, 6), size)))
        pools = (SumPool2d(2),) if min(height, width) > 5 and self.one_of(True, False) else ()
        kernel = self.weight(2 * self.number(1, 2), channels, self.number(1, 3), self.number(1, 3))
        return (*pools, Conv2d(kernel, stride=self.number(1, 2), padding=1))

    def network(self):
        """1 to 5 layers: dense, convolutions, pools, residual additions, concatenations."""
        populations = [Population("in", self.one_of((9,), (1, 6, 6), (2, 5, 4)))]
        projections = []
        depth = self.number(1, 5)
        for index in range(depth - 1):
            source, name = populations[-1], f"p{index}"
            chain = self.chain(source.shape, self.one_of(True, False))
            shape = Projection("", "", chain).shapes(source.shape)[-1]
            neuron = IF(float(self.one_of(1.0, 0.7)), bias=self.bias(shape))
            populations.append(Population(name, shape, neuron))
            projections.append(Projection(source.name, name, chain))
            projections += self.shortcuts(populations)
        source = populations[-1]
        size = int(np.prod(source.shape))
        populations.append(Population("out", (4,), Integrator(bias=self.bias((4,)))))
        projections.append(Projection(source.name, "out", (Reshape((size,)), Dense(self.weight(4, size)))))
        projections += self.shortcuts(populations)
        return Network("random", tuple(populations), tuple(projections))

    def shortcuts(self, populations):
        """Sometimes a second way into the last population: an identity, or the weights of one more source."""
        *before, last = populations
        other = self.one_of(*before)
        if other.shape == last.shape and other is not before[-1] and self.one_of(True, False):
            return [Projection(other.name, last.name, self.one_of((), (OneToOne(self.weight(1)),)))]
        if len(before) < 2 or self.one_of(True, True, False):
            return []
        other, size = self.one_of(*before[:-1]), last.size
        flat = int(np.prod(other.shape))
        return [
            Projection(other.name, last.name, (Reshape((flat,)), Dense(self.weight(size, flat)), Reshape(last.shape)))
        ]

    def samples(self, network, count=3):
        """Noise, an empty and a full sample."""
        x = self.rng.random((count, *network["in"].shape))
        x[0], x[-1] = 0, 1
        return x


@dataclass
class Case:
    """A network in exact mode, and deployed."""

    ann: object
    exact: object
    deployment: object

    def wrong(self, samples):
        """Counts and logits that differ from the quantized network's, ideal and on the chip."""
        inputs = self.exact.inputs(samples)
        given = inputs["in"].sum(axis=0, dtype=np.int64)
        total = 0
        for network in (self.exact.network, self.deployment.network):
            run = nm.emulate(network, inputs, record=Recording(counts=(ALL,)))
            total += sum(mismatches(self.ann, network, given, run).values())
        return total


@pytest.fixture(scope="session")
def draw():
    return Draw


@pytest.fixture(scope="session")
def rules_of():
    """What exact mode can count on, by the name of a chip."""

    def find(name):
        choice = nm.chip(name)
        return choice.target.exact_rules(choice.chip, choice.profile)

    return find


@pytest.fixture(scope="session")
def in_exact_mode(rules_of):
    """Brings a float network to exact mode and to a chip."""

    def make(network, chip, levels=8, steps=16, samples=None):
        rules = rules_of(chip)
        ann = quantize_activations(network, rules, levels=levels, input_steps=steps, samples=samples)
        exact = to_exact(ann, rules, DeterministicRate())
        deployment = nm.deploy(exact.network, chip, encoder=exact.encoder, steps=exact.steps)
        return Case(ann, exact, deployment)

    return make
