"""Neuron models that state their step as data: any of them runs on the kernels as it steps by itself."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import assert_equals_reference

from nmdeploy.emulator import compiled, compiled_run
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, NeuronModel, Scan, fill
from nmdeploy.synapses import Dense, Reshape
from quantize import IntegerFormat, Overflow

SETS = compiled.sets()
pytestmark = pytest.mark.skipif(not SETS, reason="the kernels were not compiled")
SHAPE = (3, 2, 3)


@dataclass(frozen=True, eq=False, repr=False)
class Described(NeuronModel):
    """A model of a third party that is what its `Scan` says: the equation of `Scan`'s docstring, in numpy."""

    kind: ClassVar[str] = "test.Described"
    what: Any
    v_init: Any = 0

    def initial_state(self, shape, dtype):
        return {"v": fill(self.v_init, shape, dtype), "silent": np.zeros(shape, np.int64)}

    def scan(self, largest_current):
        return self.what

    def summed(self, current):
        """What acts on the potential."""
        return current

    def step(self, state, current):
        what, free, current = self.what, state["silent"] == 0, self.summed(current)
        v = np.where(free, state["v"] + current * 2**what.shift + what.bias, state["v"])
        v = v if what.wrap is None else what.wrap.apply(v)
        v = v if what.low is None else np.maximum(v, what.low)
        v = v if what.high is None else np.minimum(v, what.high)
        fired = np.zeros(v.shape, bool) if what.above is None else (v > what.above) & free
        state["v"] = np.where(fired, what.reset, v) if what.subtract is None else v - fired * what.subtract
        state["silent"] = np.where(fired, what.refractory, np.maximum(state["silent"] - 1, 0))
        return fired.astype(np.uint8)


@dataclass(frozen=True, eq=False, repr=False)
class Apart(Described):
    """The same, taking excitation and inhibition apart."""

    kind: ClassVar[str] = "test.Apart"
    separate_signs: ClassVar[bool] = True

    def summed(self, current):
        excitation, inhibition = current if self.what.ceiling is None else np.minimum(current, self.what.ceiling)
        return excitation - inhibition


@st.composite
def scans(draw):
    largest = draw(st.sampled_from((9, 1000, 2**33)))

    def parameter(low, high):
        """One number, one for each channel, or one for each neuron."""
        rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32 - 1))))
        return rng.integers(low, high + 1, draw(st.sampled_from(((), (3, 1, 1), SHAPE))))

    def maybe(low, high):
        return draw(st.sampled_from((None, True))) and parameter(low, high)

    bits = largest.bit_length() + draw(st.integers(2, 5))
    wrap = IntegerFormat(bits, signed=draw(st.booleans()), overflow=Overflow.WRAP)
    scan = Scan(
        shift=draw(st.sampled_from((0, 0, 3, 31, 32))),
        bias=parameter(-largest, largest),
        wrap=draw(st.sampled_from((None, wrap))),
        low=maybe(-4 * largest, 0),
        high=maybe(0, 4 * largest),
        above=maybe(-largest, 3 * largest),
        subtract=maybe(-largest, 3 * largest),
        reset=parameter(-2 * largest, 2 * largest),
        refractory=draw(st.sampled_from((0, 0, 1, 3))),
        ceiling=draw(st.sampled_from((None, None, largest // 2, 3 * largest))),
    )
    return draw(st.sampled_from((Described, Apart)))(scan, parameter(-2 * largest, 2 * largest))


def network_of(neuron, largest=60, seed=0, exponents=(0,)):
    rng = np.random.Generator(np.random.PCG64(seed))
    populations = (Population("in", (7,)), Population("out", SHAPE, neuron))
    projections = []
    for number, exponent in enumerate(exponents):
        chain = (Dense(rng.integers(-largest, largest + 1, (18, 7))), Reshape(SHAPE))
        projections.append(Projection("in", "out", chain, delay=number, exponent=exponent))
    return Network("scan", populations, tuple(projections))


@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
def test_whatever_is_described_runs_as_described(kernels):
    @settings(max_examples=120)
    @given(
        scans(),
        st.sampled_from((1, 60, 9000, 40_000, 2**33)),
        st.integers(0, 2**32 - 1),
        st.sampled_from(((0,), (0,), (0, 0), (1, -1))),
    )
    def check(neuron, largest, seed, exponents):
        spikes = np.random.Generator(np.random.PCG64(seed)).random((9, 2, 7)) < 0.4
        assert_equals_reference(network_of(neuron, largest, seed, exponents), spikes.astype(np.uint8))

    with patch.object(compiled, "sets", lambda: (kernels,)):
        check()


def planned(network, spikes):
    """How the network's last population is computed, checked against the reference."""
    seen = []
    original = compiled_run.plan_stages
    with patch.object(compiled_run, "plan_stages", lambda *a: seen.append(original(*a)) or seen[-1]):
        assert_equals_reference(network, spikes)
    return seen[0][-1]


SPIKES = np.ones((5, 1, 7), np.uint8)


@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
@pytest.mark.parametrize("largest", [60, 40_000, 2**33])
def test_each_sign_is_cut_off_at_the_ceiling_by_itself(kernels, largest):
    """In currents of 16, 32 and 64 bits; most sums of seven synapses go beyond one synapse's worth."""
    neuron = Apart(Scan(above=largest // 3, low=-9 * largest, ceiling=largest))
    with patch.object(compiled, "sets", lambda: (kernels,)):
        assert planned(network_of(neuron, largest), SPIKES).fused


@pytest.mark.parametrize(
    ("scan", "expected"),
    [
        (Scan(above=5), True),
        (Scan(shift=32, low=-9, high=9, above=5), False),  # kernels shift by at most 31
        (None, False),
    ],
)
def test_only_what_kernels_can_compute_is_left_to_them(scan, expected):
    class Own(Described):
        def scan(self, largest_current):
            return scan

    assert planned(network_of(Own(scan or Scan(above=5))), SPIKES).fused is expected


def test_potentials_that_64_bits_may_not_hold_keep_their_own_step():
    class Modest(Described):
        """Says that its bias is huge, which no run here lasts long enough to show."""

        def scan(self, largest_current):
            return Scan(above=5, bias=self.what.bias, subtract=2**61)

    assert not planned(network_of(Modest(Scan(above=2**62, bias=2**58, subtract=2**61))), SPIKES).fused


def test_formats_wider_than_the_potentials_type_do_not_clip():
    # Potentials fit 32 bits; the format's upper end does not.
    form = IntegerFormat(40, signed=False, overflow=Overflow.SATURATE)
    assert planned(network_of(IF(100, potential=form)), SPIKES).fused


@pytest.mark.parametrize(("largest", "width"), [(32_767, 32), (32_768, 32), (65_534, 32), (65_535, 64)])
@pytest.mark.parametrize("sign", [1, -1])
def test_weights_of_seventeen_bits_do_not_widen_the_currents(largest, width, sign):
    network = network_of(IF(100))
    weight = np.full((18, 7), sign * largest)
    weight[:, ::2] = 3
    changed = replace(network.projections[0], synapses=(Dense(weight), Reshape(SHAPE)))
    network = replace(network, projections=(changed,))
    assert planned(network, SPIKES).width == width
