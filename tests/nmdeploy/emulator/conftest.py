"""Random integer networks with their inputs, and neuron models that chips could have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import strategies as st

from nmdeploy.errors import ShapeError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, EventRule, Integrator, NeuronModel, fill
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from quantize import IntegerFormat, Overflow

LARGEST_POPULATION = 150
QUIET = (Overflow.WRAP, Overflow.SATURATE)


@dataclass(frozen=True, eq=False, repr=False)
class TwoSided(NeuronModel):
    """Excitation and inhibition weigh differently: v := v + e - 2*i; spike and v := 0 where v > threshold."""

    kind: ClassVar[str] = "test.TwoSided"
    separate_signs: ClassVar[bool] = True
    threshold: int

    def initial_state(self, shape, dtype):
        return {"v": fill(0, shape, dtype)}

    def step(self, state, current):
        v = state["v"] + current[0] - 2 * current[1]
        fired = v > self.threshold
        state["v"] = np.where(fired, 0, v)
        return fired.astype(np.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class Burst(NeuronModel):
    """Several spikes a step: s := clip(v // threshold, 0, 3), v := v - s*threshold."""

    kind: ClassVar[str] = "test.Burst"
    threshold: int

    @property
    def largest_spike(self) -> int:
        return 3

    def initial_state(self, shape, dtype):
        return {"v": fill(0, shape, dtype)}

    def step(self, state, current):
        v = state["v"] + current
        spikes = np.clip(v // self.threshold, 0, 3)
        state["v"] = v - spikes * self.threshold
        return spikes.astype(np.uint8)


@dataclass(frozen=True)
class Case:
    """A network with inputs `[T, N, *shape]` and the `steps` argument of a run."""

    network: Network
    inputs: dict[str, np.ndarray[Any, Any]]
    steps: int | None

    def __repr__(self) -> str:
        parts = "\n  ".join(map(repr, [*self.network.populations, *self.network.projections]))
        leading = next(iter(self.inputs.values())).shape[:2]
        return f"(T, N) = {leading}, steps={self.steps}\n  {parts}"


@dataclass
class Builder:
    """Draws the parts of a network; weights come from a seeded generator, structure from hypothesis."""

    draw: Any
    overflows: tuple[Overflow, ...]
    ideal: bool

    def __post_init__(self) -> None:
        self.rng = np.random.Generator(np.random.PCG64(self.pick(st.integers(0, 2**32 - 1))))
        self.largest = self.one_of(1, 3, 9, 9, 127, 3_000, 70_000, 10**10)

    def pick(self, strategy):
        return self.draw(strategy)

    def one_of(self, *options):
        return self.draw(st.sampled_from(options))

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def weight(self, *shape):
        values = self.rng.integers(-self.largest, self.largest + 1, shape)
        return values.astype(np.int8) if self.largest <= 127 else values

    def format(self):
        bits = self.number(3, 12) + int(self.largest).bit_length() // 2
        return IntegerFormat(bits, signed=self.one_of(True, True, False), overflow=self.one_of(*self.overflows))

    def synapse(self, shape, weighted: bool):
        kinds = ["reshape"] + ["pool", "upsample"] * (len(shape) == 3)
        if weighted:
            kinds += ["scale", "dense"] if len(shape) == 1 else ["scale", "conv", "conv", "grouped", "transposed"]
        return getattr(self, self.one_of(*kinds))(shape)

    def reshape(self, shape):
        return Reshape((int(np.prod(shape)),)) if len(shape) == 3 else Reshape((1, 1, *shape))

    def pool(self, shape):
        return SumPool2d(self.number(1, 3), stride=self.one_of(None, 1, 2), padding=self.number(0, 1))

    def upsample(self, shape):
        return Upsample2d((self.number(1, 2), self.number(1, 2)))

    def scale(self, shape):
        return OneToOne(self.weight(*self.broadcast_shape(shape)))

    def broadcast_shape(self, shape):
        return self.one_of((1,), shape, (shape[0],) + (1,) * (len(shape) - 1))

    def dense(self, shape):
        return Dense(self.weight(self.number(1, 6), shape[0]))

    def windows(self):
        return {"stride": self.number(1, 2), "padding": self.number(0, 2), "dilation": self.number(1, 2)}

    def conv(self, shape):
        return Conv2d(self.weight(self.number(1, 4), shape[0], self.number(1, 3), self.number(1, 3)), **self.windows())

    def grouped(self, shape):
        groups = self.one_of(*(g for g in range(1, shape[0] + 1) if shape[0] % g == 0))
        filters = groups * self.number(1, 2)
        return Conv2d(self.weight(filters, shape[0] // groups, 2, 3), **self.windows(), groups=groups)

    def transposed(self, shape):
        groups = self.one_of(1, shape[0])
        weight = self.weight(shape[0], self.number(1, 2), 2, self.number(1, 3))
        return ConvTranspose2d(weight, groups=groups, output_padding=(0, self.number(0, 1)), **self.windows())

    def chain(self, shape, length: int, weights: int):
        """Up to `length` synapses from `shape` on, at most `weights` of them with weights."""
        synapses = []
        for _ in range(length):
            synapse = self.synapse(shape, weights > 0)
            try:
                after = synapse.out_shape(shape)
            except ShapeError:
                continue
            if np.prod(after) <= LARGEST_POPULATION:
                synapses, shape = [*synapses, synapse], after
                weights -= synapse.weight is not None
        return tuple(synapses), shape

    def bridge(self, shape, target):
        """A chain from any shape to any other."""
        if shape == target and self.one_of(True, False):
            return self.one_of((), (self.scale(shape),))
        size, wanted = int(np.prod(shape)), int(np.prod(target))
        return (Reshape((size,)), Dense(self.weight(wanted, size)), Reshape(target))

    def projection(self, source, target, synapses, least_delay=0):
        return Projection(
            source,
            target,
            synapses,
            delay=self.number(least_delay, 5),
            exponent=self.one_of(0, 0, -1, -3, 2, 3),
            accumulator=self.one_of(None, None, self.format()),
        )

    def parameter(self, shape, low, high):
        """A number, one for each channel, or one for each neuron."""
        if self.one_of(True, False):
            return self.number(low, high)
        return self.rng.integers(low, high + 1, self.broadcast_shape(shape))

    def neuron(self, shape) -> NeuronModel:
        if not self.ideal and self.one_of(True, False, False):
            return Burst(self.number(1, 5 * self.largest))
        bias = self.parameter(shape, -self.largest, self.largest)
        v_init = self.parameter(shape, -self.largest, self.largest)
        potential = self.one_of(None, None, self.format())
        if self.one_of(True, False, False, False):
            return Integrator(bias, v_init, potential)
        return IF(
            threshold=self.parameter(shape, 1, 6 * self.largest),
            bias=bias,
            v_init=v_init,
            v_min=self.one_of(None, 0, -self.largest),
            reset=self.one_of("subtract", "zero"),
            fire=self.one_of(">=", ">"),
            refractory=self.one_of(0, 0, 1, 3),
            potential=potential,
        )

    def input(self, name):
        shape = self.one_of((1, 4, 5), (2, 6, 4), (3, 3, 3), (4,), (7,))
        low, high = self.one_of((0, 1), (0, 1), (0, 2), (0, 255), (-2, 5), (-1, 1), (2, 9), (-300, 300))
        return Population(name, shape, minimum=low, maximum=high)


@st.composite
def networks(draw, overflows=QUIET, ideal=False, cycles=True):
    """A random integer network: several inputs, chains, residual branches, delays, loops."""
    builder = Builder(draw, overflows, ideal)
    populations = [builder.input(f"in{index}") for index in range(builder.one_of(1, 1, 2))]
    projections = []
    for index in range(builder.number(1, 4)):
        name = f"p{index}"
        unsigned = [population for population in populations if population.spike_range[0] >= 0]
        two_sided = not ideal and bool(unsigned) and builder.one_of(True, False, False, False)
        sources = unsigned if two_sided else populations
        # The latest population is the likeliest source, so that networks grow deep.
        source = builder.one_of(*sources, sources[-1])
        # Two large weights in a chain would leave int64.
        weights = 1 if two_sided or builder.largest > 3_000 else 2
        chain, shape = builder.chain(source.shape, builder.number(1, 3), weights)
        neuron = TwoSided(builder.number(1, 5 * builder.largest)) if two_sided else builder.neuron(shape)
        populations.append(Population(name, shape, neuron))
        projections.append(builder.projection(source.name, name, chain))
        for _ in range(builder.one_of(0, 0, 1, 2)):
            other = builder.one_of(*sources, populations[-1]) if cycles else builder.one_of(*sources)
            bridge = builder.bridge(other.shape, shape)
            projections.append(builder.projection(other.name, name, bridge, least_delay=int(other.name == name)))
    neurons = [population for population in populations if not population.is_input]
    if cycles and builder.one_of(True, False):
        source, target = builder.one_of(*neurons), builder.one_of(*neurons)
        bridge = builder.bridge(source.shape, target.shape)
        projections.append(builder.projection(source.name, target.name, bridge, least_delay=1))
    outputs = (neurons[-1].name, neurons[0].name) if len(neurons) > 1 else (neurons[-1].name,)
    return Network("random", tuple(populations), tuple(projections), outputs)


@st.composite
def cases(draw, **options):
    """A random network with inputs of random density."""
    network = draw(networks(**options))
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32 - 1))))
    leading = (draw(st.integers(1, 8)), draw(st.integers(1, 4)))
    density = draw(st.sampled_from((0.05, 0.4, 1.0)))
    inputs = {}
    for population in network.inputs:
        values = rng.integers(population.minimum, population.maximum + 1, (*leading, *population.shape))
        if population.minimum <= 0:
            values *= rng.random(values.shape) < density
        inputs[population.name] = values
    return Case(network, inputs, draw(st.sampled_from((None, None, 1, 5, 13))))


@pytest.fixture(scope="session")
def random_cases():
    """The strategy `cases`; options: overflows, ideal (no chip-like neurons), cycles."""
    return cases


@pytest.fixture(scope="session")
def two_sided():
    """A neuron model that wants excitation and inhibition apart."""
    return TwoSided


@pytest.fixture(scope="session")
def burst():
    """A neuron model that sends up to three spikes a step."""
    return Burst


@dataclass(frozen=True, eq=False, repr=False)
class ByEvent(NeuronModel):
    """Takes single events by any rule."""

    kind: ClassVar[str] = "test.ByEvent"
    rule: EventRule
    v_init: Any = 0
    most: int = 65535

    @property
    def largest_spike(self) -> int:
        return self.most

    def initial_state(self, shape, dtype):
        return {"v": fill(self.v_init, shape, dtype)}

    def step(self, state, current):
        raise AssertionError("a neuron that takes events is never stepped")

    def event_rule(self):
        return self.rule

    def __repr__(self) -> str:
        return f"{self.rule}, v_init={self.v_init}"


@dataclass
class EventBuilder(Builder):
    """Draws networks that run event by event."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.largest = self.one_of(1, 9, 127, 127, 30_000, 10**9)

    def pool(self, shape):
        kernel = (self.number(1, 3), self.number(1, 3))
        stride = tuple(size + self.one_of(0, 0, 1) for size in kernel)
        return SumPool2d(kernel, stride=stride, padding=self.one_of(0, 0, 1))

    def spreading(self, shape):
        kinds = ["scale", "dense", "dense"] if len(shape) == 1 else ["conv"] * 4 + ["grouped", "transposed", "upsample"]
        return getattr(self, self.one_of(*kinds))(shape)

    def event_chain(self, shape):
        """Pools and reshapes, one map that spreads, reshapes; each of them or none."""
        parts = [self.pool] * self.one_of(0, 0, 1, 2) if len(shape) == 3 else []
        parts += [self.reshape] * self.one_of(0, 0, 0, 1) + [self.spreading] * self.one_of(1, 1, 1, 1, 0)
        parts += [self.reshape] * self.one_of(0, 0, 0, 1)
        synapses = []
        for part in parts:
            if part == self.pool and len(shape) == 1:
                continue
            synapse = part(shape)
            try:
                after = synapse.out_shape(shape)
            except ShapeError:
                continue
            if np.prod(after) <= LARGEST_POPULATION:
                synapses, shape = [*synapses, synapse], after
        return tuple(synapses), shape

    def speck_like(self):
        """One threshold and floor for all neurons, 16 bits that saturate: the case that has a kernel of its own."""
        threshold = self.number(1, self.one_of(1, 2, 5) * min(self.largest, 5_000))
        return EventRule(
            threshold=threshold,
            subtract=self.one_of(threshold, None),
            low=self.one_of(-32768, -threshold, 0),
            potential=IntegerFormat(16, overflow=Overflow.SATURATE),
            clamps_events=self.one_of(True, False),
            fires_on_any=self.one_of(True, False),
            order=self.one_of("yxc", "cyx", "xcy"),
        )

    def rule(self, shape):
        if self.one_of(True, False):
            return self.speck_like()
        scale = self.one_of(1, 2, 5) * self.largest
        threshold = self.one_of(None, *[self.parameter(shape, 1, scale)] * 6, self.parameter(shape, -3, scale))
        return EventRule(
            threshold=threshold,
            subtract=self.one_of(None, threshold, threshold, self.parameter(shape, 0, scale)),
            low=self.one_of(None, 0, -self.largest, self.parameter(shape, -scale, 0)),
            potential=self.one_of(None, *[IntegerFormat(16, overflow=self.one_of(*self.overflows))] * 2, self.format()),
            leak=self.one_of(0, 0, 0, self.parameter(shape, -self.largest, self.largest)),
            clamps_events=self.one_of(True, True, False),
            fires_on_any=self.one_of(True, True, False),
            fires_on_tick=self.one_of(True, False),
            order=self.one_of("yxc", "yxc", "cyx", "cxy", "ycx", "xyc", "xcy"),
        )

    def event_neuron(self, shape):
        return ByEvent(self.rule(shape), self.parameter(shape, -2 * self.largest, 2 * self.largest))


@st.composite
def event_cases(draw, overflows=QUIET, inputs=(1, 1, 2)):
    """A random event-driven network with inputs: chains, branches, merges, parallel projections."""
    builder = EventBuilder(draw, overflows, ideal=False)
    shapes = ((1, 4, 5), (2, 6, 4), (3, 3, 3), (5,))
    populations = [
        Population(f"in{index}", builder.one_of(*shapes), maximum=builder.one_of(1, 1, 3))
        for index in range(builder.one_of(*inputs))
    ]
    projections = []
    for index in range(builder.number(1, 4)):
        source, name = builder.one_of(*populations, populations[-1]), f"p{index}"
        chain, shape = builder.event_chain(source.shape)
        projections.append(Projection(source.name, name, chain))
        others = builder.one_of((), (), *[(each,) for each in populations], (source, populations[0]))
        projections += [Projection(other.name, name, builder.bridge(other.shape, shape)) for other in others]
        populations.append(Population(name, shape, builder.event_neuron(shape)))
    builder.rng.shuffle(projections)
    outputs = tuple(dict.fromkeys((populations[-1].name, f"p{0}")))
    network = Network("random", tuple(populations), tuple(projections), outputs)
    leading = (builder.number(1, 4), builder.number(1, 3))
    given = {}
    for population in network.inputs:
        values = builder.rng.integers(0, population.maximum + 1, (*leading, *population.shape))
        given[population.name] = values * (builder.rng.random(values.shape) < builder.one_of(0.1, 0.5))
    return Case(network, given, builder.one_of(None, None, 1, leading[0] + 2))


@pytest.fixture(scope="session")
def random_event_cases():
    """The strategy `event_cases`; options: overflows, inputs."""
    return event_cases


@pytest.fixture(scope="session")
def by_event():
    """The neuron model `ByEvent`."""
    return ByEvent
