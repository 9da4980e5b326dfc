"""Our emulator against Lava itself, run here: random networks, every current, potential and spike.

Needs lava-nc 0.10.0 (Python 3.10). The seed of a run comes from NMDEPLOY_SEED or the
clock and is part of every test's name, so that a failure can be replayed.
"""

import os
import time

import numpy as np
import pytest

pytest.importorskip("lava", reason="lava-nc 0.10.0 is installed on Python 3.10 only")

from dataclasses import replace
from functools import cache

import nmdeploy as nm
from nmdeploy.backend import RunSettings
from nmdeploy.deployment import Deployment, Placement
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import FitError, NetworkError, ShapeError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import (
    Conv2d,
    ConvTranspose2d,
    Dense,
    OneToOne,
    Reshape,
    SumPool2d,
    Upsample2d,
)
from nmdeploy.target import Profile
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract
from targets.loihi.script import make_script
from targets.loihi.vendor import LavaBackend

SEED = int(os.environ.get("NMDEPLOY_SEED", time.time_ns() % 2**32))
NETWORKS = 70
TOGETHER = 10
"""Networks in one Lava run."""
STEPS, SAMPLES = 18, 2
LARGEST_POPULATION = 60
KINDS = ("dense", "conv", "pool", "residual", "loop", "subtract", "reset", "leaky", "lowered", "lowered/subtract")
"""What a network surely contains, in turn; the rest of it is drawn."""


class Draw:
    """Draws a lowered network, and its inputs, from a seed."""

    def __init__(self, *seed):
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def one_of(self, *options):
        return options[self.number(0, len(options) - 1)]

    def chance(self, share):
        return self.rng.random() < share

    def weight(self, *shape):
        """Weights as Lava stores them: of one sign, or even ones of both."""
        form = self.one_of("mixed", "mixed", "mixed", "exc", "inh", "zero" if self.chance(0.1) else "mixed")
        largest = self.one_of(4, 20, 127)
        if form == "mixed":
            return 2 * self.rng.integers(-largest - 1, largest + 1, shape)
        return self.rng.integers(0, {"zero": 1}.get(form, 2 * largest + 2), shape) * (-1 if form == "inh" else 1)

    def parameter(self, shape, low, high):
        """A number, one for each channel, or one for each neuron."""
        per_channel = (shape[0],) + (1,) * (len(shape) - 1)
        each = self.one_of(None, None, per_channel, shape)
        return self.number(low, high) if each is None else self.rng.integers(low, high + 1, each)

    def neuron(self, shape, kind):
        leaky = kind == "leaky" or self.chance(0.3)
        parameters = {
            "vth": self.parameter(shape, 0, self.one_of(10, 50, 400, 2000)),
            "du": self.number(0, 4095) if leaky else 4095,
            "dv": self.number(0, 4095) if leaky else 0,
            "bias_mant": self.parameter(shape, *self.one_of((0, 0), (-20, 40), (-4096, 4095))),
            "bias_exp": self.parameter(shape, 0, self.one_of(0, 6, 7)),
            "u_init": self.parameter(shape, *self.one_of((0, 0), (0, 0), (-9000, 9000))),
            "v_init": self.parameter(shape, *self.one_of((0, 0), (-9000, 9000))),
        }
        if kind == "reset" or self.chance(0.1):
            return LoihiLIFReset(**parameters, interval=self.number(1, 9), offset=self.number(0, 20))
        if kind == "subtract" or self.chance(0.2):
            return LoihiLIFSubtract(**parameters, subtrahend=self.parameter(shape, 1, self.one_of(20, 400, 3000)))
        return LoihiLIF(**parameters)

    def window(self):
        stride, dilation = self.one_of(1, 1, 2, (2, 1)), self.one_of(1, 1, (1, 2))
        return {"stride": stride, "padding": self.one_of(0, 1, (1, 0), (0, 1, 1, 2)), "dilation": dilation}

    def synapse(self, shape, kind):
        if len(shape) == 1:
            return self.one_of(Dense(self.weight(self.number(1, 12), shape[0])), OneToOne(self.weight(*shape)))
        channels = shape[0]
        if kind == "pool" or self.chance(0.3):
            return SumPool2d(self.number(1, 3), self.one_of(None, 1, 2), self.one_of(0, 0, 1))
        groups = self.one_of(*(g for g in (1, 1, 2, 3) if channels % g == 0))
        filters = groups * self.number(1, 3)
        conv = Conv2d(
            self.weight(filters, channels // groups, self.number(1, 3), self.number(1, 3)),
            **self.window(),
            groups=groups,
        )
        rarely = (
            ConvTranspose2d(self.weight(channels, 2, 2, 3), stride=self.number(1, 2)),
            OneToOne(self.weight(channels, 1, 1)),
            Upsample2d((1, 2)),
        )
        return self.one_of(conv, conv, conv, *rarely)

    def chain(self, shape, kind):
        synapses = []
        if len(shape) == 3 and (kind == "dense" or self.chance(0.25)):
            synapses = [SumPool2d(2)] if min(shape[1:]) > 1 and self.chance(0.4) else []
            size = int(np.prod(synapses[-1].out_shape(shape) if synapses else shape))
            return (*synapses, Reshape((size,)), Dense(self.weight(self.number(1, 12), size)))
        for _ in range(2 if kind == "pool" else self.number(1, 2)):
            synapses.append(self.synapse(shape, kind if not synapses else "conv"))
            shape = synapses[-1].out_shape(shape)
        return tuple(synapses)

    def bridge(self, shape, target):
        """From any shape to any other."""
        if shape == target and self.chance(0.5):
            return () if self.chance(0.5) else (OneToOne(self.weight(1)),)
        size, wanted = int(np.prod(shape)), int(np.prod(target))
        weight = self.weight(wanted, size) * (self.rng.random((wanted, size)) < self.one_of(0.1, 1))
        return (Reshape((size,)), Dense(weight), Reshape(target))

    def projection(self, source, target, synapses, kind):
        if kind in ("conv", "pool"):  # what a Lava Conv can do
            return Projection(source, target, synapses, 1, self.one_of(-1, -1, 0))
        delay = self.one_of(1, 1, 1, 1, 2, 5, self.number(1, 63))
        return Projection(source, target, synapses, delay, self.one_of(-1, -1, 0, 0, 2, -3))

    def network(self, kind):
        input_shape = self.one_of((1, 6, 5), (2, 5, 4), (3, 4, 4), (9,), (4, 1, 8))
        if kind in ("conv", "pool") and len(input_shape) == 1:
            input_shape = (2, 5, 4)
        low, high = self.one_of((0, 1), (0, 1), (0, 1), (0, 255), (-3, 7))
        populations, projections = [Population("in", input_shape, minimum=low, maximum=high)], []
        for index in range(self.number(1, 3)):
            source, name = populations[-1], f"p{index}"
            chain = self.chain(source.shape, kind)
            shape = Projection("", "", chain).shapes(source.shape)[-1]
            if np.prod(shape) > LARGEST_POPULATION:
                continue
            populations.append(Population(name, shape, self.neuron(shape, kind)))
            projections.append(self.projection(source.name, name, chain, kind))
            if kind == "residual" or self.chance(0.2):
                other = self.one_of(*populations[:-1])
                projections.append(self.projection(other.name, name, self.bridge(other.shape, shape), kind))
        if len(populations) == 1:
            return None
        if kind == "loop" or self.chance(0.1):
            source, target = self.one_of(*populations[1:]), self.one_of(*populations[1:])
            projections.append(self.projection(source.name, target.name, self.bridge(source.shape, target.shape), kind))
        names = tuple(population.name for population in populations[1:])
        return Network(kind, tuple(populations), tuple(projections), outputs=names)

    def lowered(self, chip):
        """An ideal network of a convolution, a branch around it, pools and a dense layer, lowered to a chip."""
        reset = "subtract" if "subtract" in chip else "zero"

        def neuron(threshold):
            bias, v_init = self.number(-3, 6), self.number(0, threshold // 2)
            return IF(threshold, bias=bias, v_init=v_init, reset=reset, fire=self.one_of(">=", ">"))

        def weight(*shape):
            return self.rng.integers(-60, 80, shape)

        populations = (
            Population("in", (1, 6, 6)),
            Population("p0", (2, 6, 6), neuron(90)),
            Population("p1", (2, 6, 6), neuron(120)),
            Population("p2", (4,), neuron(200)),
        )
        projections = (
            Projection("in", "p0", (Conv2d(weight(2, 1, 3, 3), padding=1),)),
            Projection("p0", "p1", (Conv2d(weight(2, 2, 3, 3), padding=1),)),
            Projection("in", "p1", (Conv2d(weight(2, 1, 1, 1)),)),
            Projection("p1", "p2", (SumPool2d(2), Reshape((18,)), Dense(weight(4, 18)))),
        )
        network = Network("ideal", populations, projections, outputs=("p0", "p1", "p2"))
        return nm.deploy(network, chip).network

    def inputs(self, network):
        population = network.inputs[0]
        values = self.rng.integers(population.minimum, population.maximum + 1, (STEPS, SAMPLES, *population.shape))
        return values * (self.rng.random(values.shape) < self.one_of(0.1, 0.4, 0.9))


@cache
def case(index):
    """Network number `index` and its input; drawn again where it has no layer, or weights that Lava cannot store."""
    for attempt in range(200):
        draw = Draw(SEED, index, attempt)
        try:
            kind = KINDS[index % len(KINDS)]
            network = draw.lowered(kind.replace("lowered", "loihi1")) if "lowered" in kind else draw.network(kind)
            if network is not None:
                make_script(network)
                return network, draw.inputs(network)
        except (FitError, NetworkError, ShapeError):
            continue
    raise AssertionError("no legal network in 200 draws")


def renamed(network, prefix):
    """The network with a prefix before every name."""
    populations = tuple(replace(p, name=prefix + p.name) for p in network.populations)
    ends = [(prefix + p.source, prefix + p.target) for p in network.projections]
    projections = tuple(
        replace(p, source=source, target=target) for p, (source, target) in zip(network.projections, ends, strict=True)
    )
    return replace(
        network, populations=populations, projections=projections, outputs=tuple(map(prefix.__add__, network.outputs))
    )


def deployment_of(network):
    return Deployment(network, "loihi", "loihi1", Profile("loihi/chip", ()), Placement("loihi1", (), {}))


@cache
def lava_run(first):
    """Networks `first` to `first + TOGETHER - 1`, unconnected with each other, in one Lava run."""
    cases = {index: case(index) for index in range(first, min(first + TOGETHER, NETWORKS))}
    parts = [renamed(network, f"n{index}.") for index, (network, _) in cases.items()]
    together = Network(
        "together",
        tuple(p for part in parts for p in part.populations),
        tuple(p for part in parts for p in part.projections),
        tuple(name for part in parts for name in part.outputs),
    )
    variables = tuple(f"{name}.{variable}" for name in together.outputs for variable in "uv")
    inputs = {f"n{index}.in": spikes for index, (_, spikes) in cases.items()}
    steps = STEPS + 8
    record = Recording(spikes=(ALL,), potentials=variables)
    return LavaBackend(RunSettings(limit_s=300)).run(deployment_of(together), inputs, steps=steps, record=record)


@pytest.mark.slow
@pytest.mark.parametrize(
    "index", range(NETWORKS), ids=lambda index: f"NMDEPLOY_SEED={SEED}-{index}-{KINDS[index % len(KINDS)]}"
)
def test_lava_computes_the_same_integers(index):
    network, spikes = case(index)
    ran = lava_run(index - index % TOGETHER)
    assert ran.origin == "run by Lava 0.10.0 on CPU"
    variables = tuple(f"{name}.{variable}" for name in network.outputs for variable in "uv")
    record = Recording(spikes=(ALL,), potentials=variables)
    for engine in ("reference", "fast"):
        emulated = nm.emulate(network, {"in": spikes}, steps=ran.steps, record=record, engine=engine)
        for name in network.outputs:
            found = ran.spikes[f"n{index}.{name}"]
            np.testing.assert_array_equal(found, emulated.spikes[name], err_msg=f"{name}, {engine}")
        for name in variables:
            found = ran.potentials[f"n{index}.{name}"]
            np.testing.assert_array_equal(found, emulated.potentials[name], err_msg=f"{name}, {engine}")


def test_the_networks_are_worth_running():
    """Enough of them convolve, delay, loop, and enough neurons fire."""
    networks = [case(index) for index in range(NETWORKS)]
    scripts = "".join(make_script(network).text for network, _ in networks)
    for process in ("Conv(", "Dense(", "Sparse(", "DelayDense(", "DelaySparse(", "LIFReset(", "subtrahend="):
        assert scripts.count(process) >= 3, process
    assert sum(network.has_cycle for network, _ in networks) >= 3
    runs = [nm.emulate(network, spikes) for network, spikes in networks]
    fired = [any(spikes.any() for spikes in run.spikes.values()) for run in runs]
    assert np.mean(fired) > 0.5
