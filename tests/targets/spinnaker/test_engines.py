"""SpiNNaker's neurons in networks: reference, numpy and compiled engine give the same bits; exact mode can be told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from targets.spinnaker.conformance.replay import engines_here
from targets.spinnaker.fixed_point import LARGEST, ONE, SMALLEST
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta

MODELS = (IFTruncDelta, IFCurrDelta, IFCurrExp)


class Draw:
    """Random parts of a network: structure from hypothesis, numbers from a seeded generator."""

    def __init__(self, data):
        self.data = data
        self.rng = np.random.Generator(np.random.PCG64(data.draw(st.integers(0, 2**32 - 1))))
        self.largest = self.one_of(300, 20_000, 65_535)

    def one_of(self, *options):
        return self.data.draw(st.sampled_from(options))

    def numbers(self, low, high, shape):
        """A number, one for each channel, or one for each neuron."""
        sizes = ((), (shape[0],) + (1,) * (len(shape) - 1), shape)
        values = self.rng.integers(low, high + 1, self.one_of(*sizes))
        return int(values) if values.ndim == 0 else values

    def neuron(self, shape):
        model = self.one_of(*MODELS)
        wide = self.one_of(True, False, False)
        low, high = (SMALLEST, LARGEST) if wide else (-ONE, ONE)
        parameters = {
            "v_thresh": self.one_of(ONE, self.numbers(1, 4 * ONE, shape)),
            "v_reset": self.numbers(low, high, shape),
            "v_init": self.numbers(low, high, shape),
            "i_offset": self.numbers(-ONE // 8, ONE // 8, shape),
            "cm": self.one_of(ONE, self.numbers(1, 2 * ONE, shape)),
            "tau_m": self.one_of(ONE, self.numbers(ONE, 40 * ONE, shape)),
            "tau_refrac": self.one_of(0, 0, ONE, self.numbers(0, 3 * ONE, shape)),
            "shift_exc": self.numbers(0, 6, shape),
            "shift_inh": self.numbers(0, 6, shape),
            "isyn_exc": self.one_of(0, 0, self.numbers(low, high, shape)),
        }
        if model is IFCurrExp:
            parameters |= {"tau_syn_exc": self.one_of(2048, self.numbers(ONE // 2, 9 * ONE, shape))}
        return model(**parameters)

    def weight(self, *shape):
        return self.rng.integers(-self.largest, self.largest + 1, shape)

    def layer(self, shape):
        """A chain with one weighted synapse, and the shape behind it."""
        if len(shape) == 1:
            chain = self.one_of((Dense(self.weight(7, shape[0])),), (OneToOne(self.weight(*shape)),))
        else:
            flat = int(np.prod(shape))
            conv = (Conv2d(self.weight(3, shape[0], 3, 3), padding=1),)
            chain = self.one_of(conv, (SumPool2d(2), *conv), (Reshape((flat,)), Dense(self.weight(6, flat))))
        return chain, Projection("a", "b", chain).shapes(shape)[-1]

    def network(self):
        source = Population("in", self.one_of((2, 6, 5), (9,)), maximum=self.one_of(1, 1, 3))
        populations, projections = [source], []
        for index in range(self.one_of(1, 2, 3)):
            last = populations[-1]
            if len(last.shape) == 3 and min(last.shape[1:]) < 2:
                break
            chain, shape = self.layer(last.shape)
            population = Population(f"p{index}", shape, self.neuron(shape))
            populations.append(population)
            projections.append(Projection(last.name, population.name, chain, delay=self.one_of(1, 1, 2, 4)))
            if self.one_of(True, False):
                back = (OneToOne(self.weight(1)),)
                projections.append(Projection(population.name, population.name, back, delay=self.one_of(1, 2)))
        return Network("random", tuple(populations), tuple(projections))


@settings(max_examples=60)
@given(st.data())
def test_all_engines_agree_in_every_bit(data):
    draw = Draw(data)
    network = draw.network()
    shape = (draw.one_of(1, 5, 9), draw.one_of(1, 3), *network["in"].shape)
    inputs = draw.rng.integers(0, network["in"].maximum + 1, shape)
    names = [population.name for population in network.populations if not population.is_input]
    record = Recording((ALL,), tuple(names))
    first, *others = (emulate(network, inputs, record=record, engine=engine) for engine in engines_here())
    for other in others:
        for name in names:
            np.testing.assert_array_equal(first.spikes[name], other.spikes[name])
            np.testing.assert_array_equal(first.potentials[name], other.potentials[name])
        for name in network.outputs:
            np.testing.assert_array_equal(first.final_potentials[name], other.final_potentials[name])
    assert all(first.potentials[name].min() >= SMALLEST and first.potentials[name].max() <= LARGEST for name in names)


@pytest.mark.parametrize("engine", engines_here())
@pytest.mark.parametrize("large", [40_000, 2**33])
def test_a_ring_buffer_is_shared_by_all_projections_of_its_sign(engine, large):
    """Sums reach the neuron unsaturated; one sign saturates whatever the other brings."""
    populations = (
        Population("a", (1,)),
        Population("b", (1,)),
        Population("out", (1,), IFTruncDelta(v_thresh=LARGEST, v_reset=SMALLEST)),
    )
    projections = (
        Projection("a", "out", (Dense(np.array([[large]])),), delay=1),
        Projection("b", "out", (Dense(np.array([[40_000]])),), delay=1),
        Projection("b", "out", (Dense(np.array([[-10_000]])),), delay=1),
    )
    network = Network("two", populations, projections)
    ones = np.ones((1, 1, 1), dtype=np.uint8)
    result = emulate(network, {"a": ones, "b": ones}, engine=engine, record=Recording(potentials=("out",)))
    assert result.potentials["out"].ravel().tolist() == [0, 65_535 - 10_000]


@pytest.mark.parametrize("engine", engines_here())
@pytest.mark.parametrize(("levels", "d"), [(4, 100), (8, 3_000)])
def test_exact_mode_counts_what_was_summed(engine, levels, d):
    """Reset to a value, a floor, and counts that are clip(floor(S / d), 0, L): the neuron gives itself Th - d back.

    The potential starts at v_reset + M + B, M above all that inhibition takes. After the last input one gate step
    brings it to v_reset + Th - (L + 1) d + S and L drive steps of d follow, the first with the gate.
    """
    th, margin, bias = 65_535, 3_000, d // 2
    neuron = IFTruncDelta(v_reset=ONE - th, v_init=ONE - th + margin + bias, tau_refrac=0)
    count = 40
    rng = np.random.Generator(np.random.PCG64(3))
    sums = rng.integers(-margin, (th - 1 - margin) // 2, (1, count))
    gate = th - (levels + 1) * d - margin
    populations = (Population("in", (count,)), Population("clock", (1,), maximum=1), Population("gate", (1,)))
    ones = np.ones((count, 1), dtype=np.int64)
    network = Network(
        "exact",
        (*populations, Population("out", (count,), neuron)),
        (
            Projection("in", "out", (OneToOne(sums[0]),), delay=1),
            Projection("clock", "out", (Dense(d * ones),), delay=1),
            Projection("gate", "out", (Dense(gate * ones),), delay=1),
            Projection("out", "out", (OneToOne(np.array([th - d])),), delay=1),
        ),
    )
    steps = levels + 2
    inputs = {
        "in": np.zeros((steps, 1, count), dtype=np.uint8),
        "clock": np.zeros((steps, 1, 1), dtype=np.uint8),
        "gate": np.zeros((steps, 1, 1), dtype=np.uint8),
    }
    inputs["in"][0] = inputs["gate"][1] = 1
    inputs["clock"][1 : 1 + levels] = 1
    result = emulate(network, inputs, engine=engine)
    expected = np.clip((sums + bias) // d, 0, levels)
    np.testing.assert_array_equal(result.counts["out"], expected)
    assert set(np.unique(expected)) >= {0, levels}
