"""Loihi's neurons on the compiled engine: equal to their own `step` in every bit, described or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.emulator import compiled
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from targets.loihi.neuron import ALIGNMENT, EDGE, LoihiLIF, LoihiLIFReset, LoihiLIFSubtract

pytestmark = pytest.mark.skipif(not compiled.sets(), reason="the kernels were not compiled")
NEURONS, INPUTS = 5, 6
EVERYTHING = Recording(spikes=("*",), potentials=("*",), counts=("*",))


@st.composite
def neurons(draw):
    """Neurons of every kind: with and without leak and lasting current, biases up to saturation, any threshold."""

    def parameter(low, high):
        one = st.integers(low, high)
        return draw(st.one_of(one, st.lists(one, min_size=NEURONS, max_size=NEURONS).map(np.array)))

    given_ = {
        "vth": parameter(-3, 200),
        "du": draw(st.sampled_from((4095, 4095, 4095, 0, 1000, -1))),
        "dv": draw(st.sampled_from((0, 0, 0, 5, 4096))),
        "bias_mant": parameter(-4096, 4095),
        "bias_exp": draw(st.sampled_from((0, 3, 7, -2, 10))),
        "u_init": parameter(-EDGE, EDGE),
        "v_init": parameter(-2 * EDGE, 2 * EDGE),
    }
    kind = draw(st.sampled_from(("lif", "subtract", "reset")))
    if kind == "subtract":
        return LoihiLIFSubtract(**given_, subtrahend=parameter(1, 300))
    if kind == "reset":
        return LoihiLIFReset(**given_, interval=draw(st.integers(1, 4)), offset=draw(st.integers(0, 5)))
    return LoihiLIF(**given_)


def network_of(neuron, weight, exponent=0):
    populations = (Population("in", (INPUTS,)), Population("lif", (NEURONS,), neuron))
    projection = Projection("in", "lif", (Dense(weight),), delay=1, exponent=exponent)
    return Network("lif", populations, (projection,))


def test_every_neuron_equals_its_step():
    described = []

    @settings(max_examples=150)
    @given(neurons(), st.integers(0, 2**32 - 1), st.sampled_from((3, 255, 30_000, 2**27)), st.sampled_from((0, -1, 2)))
    def check(neuron, seed, largest, exponent):
        rng = np.random.Generator(np.random.PCG64(seed))
        network = network_of(neuron, 2 * rng.integers(-largest, largest + 1, (NEURONS, INPUTS)), exponent)
        spikes = (rng.random((12, 2, INPUTS)) < 0.5).astype(np.uint8)
        found = emulate(network, spikes, record=EVERYTHING, engine="compiled")
        expected = emulate_reference(network, spikes, record=EVERYTHING)
        for field in ("spikes", "potentials", "counts", "final_potentials"):
            for name, values in getattr(expected, field).items():
                np.testing.assert_array_equal(getattr(found, field)[name], values, err_msg=f"{field} of {name}")
        described.append(neuron.scan(1) is not None)

    check()
    assert 0.05 < np.mean(described) < 0.9


@pytest.mark.parametrize("neuron", [LoihiLIF(5), LoihiLIFSubtract(5, subtrahend=6)])
def test_only_currents_that_cannot_wrap_are_described(neuron):
    largest = (EDGE - 1) >> ALIGNMENT
    assert neuron.scan(largest) is not None
    assert neuron.scan(largest + 1) is None


@pytest.mark.parametrize(
    "neuron", [LoihiLIF(5, du=0), LoihiLIF(5, dv=1), LoihiLIFReset(5), LoihiLIF(5, du=np.array([4095, 4094]))]
)
def test_leaks_and_clearing_keep_their_own_step(neuron):
    assert neuron.scan(1) is None


@pytest.mark.parametrize("neuron", [LoihiLIF(5), LoihiLIFSubtract(5, subtrahend=6)])
def test_subclasses_do_not_inherit_the_description(neuron):
    other = type("Other", (type(neuron),), {"kind": "test.Other"})
    extra = {"subtrahend": 6} if isinstance(neuron, LoihiLIFSubtract) else {}
    assert other(5, **extra).scan(1) is None


def test_the_current_can_still_be_recorded():
    network = network_of(LoihiLIF(5), np.arange(NEURONS * INPUTS).reshape(NEURONS, INPUTS))
    spikes = np.ones((4, 1, INPUTS), np.uint8)
    record = Recording(potentials=("lif.u",))
    found = emulate(network, spikes, record=record, engine="compiled")
    expected = emulate_reference(network, spikes, record=record)
    np.testing.assert_array_equal(found.potentials["lif.u"], expected.potentials["lif.u"])
