"""Random chains in Loihi's terms, such as a `.net` file can say."""

import math

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset


def random_weights(generator, shape):
    """Stored weights and their exponent, as `lower` and as quantized training make them; never all zero."""
    form = generator.choice(["doubled", "even", "excitatory", "small"])
    if form == "doubled":
        weight, exponent = 2 * generator.integers(-128, 128, shape), -1
    elif form == "even":
        weight, exponent = 2 * generator.integers(-127, 128, shape), 0
    elif form == "excitatory":
        weight, exponent = generator.integers(0, 128, shape), int(generator.integers(0, 2))
    else:
        weight, exponent = 4 * generator.integers(-7, 8, shape), -2
    weight.flat[0] = 4  # one weight above 0, which NetX never spoils
    return weight, exponent


def random_neuron(generator, shape, index, clearing):
    """A LIF, leaky or not, cleared or not, with biases by channel, by neuron or none."""
    form = generator.choice(["none", "channel", "neuron"])
    sizes = {"none": (), "channel": (shape[0], *(1 for _ in shape[1:])), "neuron": shape}[form]
    bias = generator.integers(-40, 60, sizes) if sizes else 0
    leaky = generator.random() < 0.4
    parameters = {
        "vth": int(generator.integers(1, 600)),
        "du": int(generator.choice([4095, 2047, 500, -1])) if leaky else 4095,
        "dv": int(generator.choice([0, 128, 1024, 4096])) if leaky else 0,
        "bias_mant": bias,
        "bias_exp": 6,
    }
    if clearing is None:
        return LoihiLIF(**parameters)
    interval, offset = clearing
    return LoihiLIFReset(**parameters, interval=interval, offset=(offset + index) % interval)


def random_convolution(generator, shape):
    """A convolution of any geometry over (C, H, W) with its projection's exponent, sometimes after a pool."""
    channels, height, width = shape
    groups = int(generator.choice([each for each in (1, 2, 3) if channels % each == 0]))
    chain = ()
    if generator.random() < 0.3 and height >= 4 and width >= 4:
        chain = (SumPool2d((2, 2)),)
        height, width = height // 2, width // 2
    kernel = (int(generator.integers(1, min(4, height + 1))), int(generator.integers(1, min(4, width + 1))))
    padding = (int(generator.integers(0, kernel[0])), int(generator.integers(0, kernel[1])))
    room = [height + 2 * padding[0] - 1, width + 2 * padding[1] - 1]
    dilation = tuple(
        int(generator.integers(1, 3)) if size > 1 and room[axis] >= 2 * (size - 1) else 1
        for axis, size in enumerate(kernel)
    )
    stride = tuple(int(each) for each in generator.integers(1, 3, 2))
    filters = groups * int(generator.integers(1, 4))
    weight, exponent = random_weights(generator, (filters, channels // groups, *kernel))
    return (*chain, Conv2d(weight, stride, padding, dilation, groups)), exponent


def random_chain(generator):
    """An input and one to four layers: convolutions, then dense ones, some of them with delays or a loop."""
    shape = tuple(int(each) for each in generator.integers((1, 3, 3), (4, 9, 9)))
    if generator.random() < 0.3:
        shape = (int(generator.integers(2, 20)),)
    clearing = (int(generator.integers(3, 15)), int(generator.integers(0, 5))) if generator.random() < 0.3 else None
    populations, projections = [Population("input", shape)], []
    layers = int(generator.integers(1, 5))
    for index in range(layers):
        source, name = populations[-1], f"layer{index}"
        if len(source.shape) == 3 and generator.random() < 0.7:
            chain, exponent = random_convolution(generator, source.shape)
            joins = [Projection(source.name, name, chain, 1, exponent)]
        else:
            joins = random_dense(generator, source, name)
        shape = joins[0].shapes(source.shape)[-1]
        populations.append(Population(name, shape, random_neuron(generator, shape, index, clearing)))
        projections += joins
    return Network("chain", tuple(populations), tuple(projections))


def random_dense(generator, source, name):
    """Projections of one dense layer: plain, with two delays, or with a loop."""
    weight, exponent = random_weights(generator, (int(generator.integers(1, 12)), math.prod(source.shape)))
    flatten = (Reshape((source.size,)),) if len(source.shape) == 3 else ()
    form = generator.choice(["plain", "delays", "loop"], p=[0.6, 0.25, 0.15])
    if form == "delays":
        late = generator.random(weight.shape) < 0.5
        steps = int(generator.integers(1, 6))
        parts = [(np.where(late, 0, weight), 1), (np.where(late, weight, 0), 1 + steps)]
        return [Projection(source.name, name, (*flatten, Dense(part)), delay, exponent) for part, delay in parts]
    joins = [Projection(source.name, name, (*flatten, Dense(weight)), 1, exponent)]
    if form == "loop":
        again = 2 * generator.integers(-60, 60, (len(weight), len(weight))) << max(0, -exponent)
        again.flat[:2] = 8, -8
        joins.append(Projection(name, name, (Dense(np.clip(again, -256, 252)),), 1, exponent))
    return joins


@pytest.fixture
def chain():
    """Makes a random chain from a generator."""
    return random_chain


@pytest.fixture
def driven():
    """A network whose input is the biases of its first neurons."""
    populations = (
        Population("input", (1, 3, 2), maximum=70),
        Population("layer0", (1, 3, 2), LoihiLIF(30, dv=100, bias_mant=90, bias_exp=6)),
        Population("layer1", (2, 2, 1), LoihiLIF(9)),
    )
    projections = (
        Projection("input", "layer0", (OneToOne(np.array([-1])),), 1),
        Projection("layer0", "layer1", (Conv2d(np.arange(8).reshape(2, 1, 2, 2)),), 1),
    )
    return Network("driven", populations, projections)
