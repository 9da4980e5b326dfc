"""SpiNNaker's neurons on the kernels: equal to their own `step` in every bit, and described wherever they can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import assert_equals_reference

from nmdeploy.emulator import compiled
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from targets.spinnaker.fixed_point import ACCUM, LARGEST, ONE, SMALLEST
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta
from targets.spinnaker.ring_buffer import RING

NEURONS, INPUTS = 5, 6
needs_kernels = pytest.mark.skipif(not compiled.sets(), reason="the kernels were not compiled")


@st.composite
def neurons(draw):
    """`IF_trunc_delta` up to the ends of its 32 bits, with any shift, power-of-two resistance and refractory time."""

    def parameter(low, high):
        one = st.integers(low, high)
        return draw(st.one_of(one, st.lists(one, min_size=NEURONS, max_size=NEURONS).map(np.array)))

    end = draw(st.sampled_from((ONE, 8 * ONE, LARGEST)))
    shift = draw(st.sampled_from((0, 0, 4, 16, 31)))
    return IFTruncDelta(
        v_thresh=draw(st.sampled_from((ONE, SMALLEST, LARGEST))) if draw(st.booleans()) else parameter(-end, end),
        v_reset=parameter(-end, end) if draw(st.booleans()) else SMALLEST,
        v_init=parameter(-end, end),
        i_offset=parameter(-end // 8, end // 8),
        tau_m=draw(st.sampled_from((ONE, ONE, 4 * ONE, 2**14 * ONE))),
        tau_refrac=draw(st.sampled_from((0, 0, 1, 3 * ONE))),
        shift_exc=shift,
        shift_inh=shift,
    )


def network_of(neuron, weight):
    """Two projections that share the ring buffers, of different delays."""
    populations = (Population("in", (INPUTS,)), Population("out", (NEURONS,), neuron))
    halves = np.array_split(np.arange(NEURONS), 2)
    parts = [np.where(np.isin(np.arange(NEURONS), half)[:, None], weight, -weight // 2) for half in halves]
    projections = (Projection("in", "out", (Dense(part),), delay=k) for k, part in enumerate(parts, 1))
    return Network("scan", populations, tuple(projections))


@needs_kernels
def test_every_neuron_equals_its_step():
    described = []

    @settings(max_examples=200)
    @given(neurons(), st.integers(0, 2**32 - 1), st.sampled_from((3, 5_000, 16_000, 65_535, 2**30)))
    def check(neuron, seed, largest):
        rng = np.random.Generator(np.random.PCG64(seed))
        network = network_of(neuron, rng.integers(-largest, largest + 1, (NEURONS, INPUTS)))
        assert_equals_reference(network, (rng.random((12, 2, INPUTS)) < 0.5).astype(np.uint8))
        scan = neuron.scan(largest * INPUTS)
        described.append((scan is not None, scan is not None and scan.ceiling is not None))

    check()
    can, saturates = np.mean(described, axis=0)
    assert 0.5 < can < 1.0
    assert 0.1 < saturates < can


@needs_kernels
@pytest.mark.parametrize("weight", [RING.maximum, RING.maximum + 1, 2**40])
def test_each_sign_saturates_before_they_meet(weight):
    network = network_of(IFTruncDelta(v_thresh=LARGEST, v_reset=SMALLEST), np.full((NEURONS, INPUTS), weight))
    assert_equals_reference(network, np.ones((4, 1, INPUTS), np.uint8))


def test_what_is_proven_is_left_out():
    neuron = IFTruncDelta(v_reset=-1000)
    scan = neuron.scan(RING.maximum)
    assert scan.ceiling is None
    assert scan.wrap is None
    assert neuron.scan(RING.maximum + 1).ceiling == RING.maximum
    assert IFTruncDelta(v_thresh=LARGEST).scan(1).wrap is None
    assert IFTruncDelta(v_thresh=LARGEST).scan(2).wrap == ACCUM
    assert IFTruncDelta(v_reset=SMALLEST + 1).scan(1).wrap is None
    assert IFTruncDelta(v_reset=SMALLEST).scan(1).wrap == ACCUM


def test_shifts_in_front_of_one_another_are_one():
    scan = IFTruncDelta(shift_exc=3, shift_inh=3, cm=ONE, tau_m=4 * ONE, i_offset=-7).scan(1)
    assert (scan.shift, int(scan.bias)) == (5, -28)


@pytest.mark.parametrize(
    "neuron",
    [
        IFCurrExp(),
        IFCurrDelta(),
        IFTruncDelta(isyn_exc=1),
        IFTruncDelta(isyn_inh=1),
        IFTruncDelta(shift_exc=1),
        IFTruncDelta(shift_exc=np.array([1, 2]), shift_inh=np.array([1, 2])),
        IFTruncDelta(tau_m=ONE // 2),
        IFTruncDelta(tau_m=3 * ONE),
        IFTruncDelta(tau_refrac=np.array([0, ONE])),
        IFTruncDelta(tau_refrac=ONE, v_reset=ONE),
        type("Other", (IFTruncDelta,), {"kind": "test.Other"})(),
    ],
)
def test_others_keep_their_own_step(neuron):
    assert neuron.scan(1) is None
