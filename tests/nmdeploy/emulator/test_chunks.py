"""Several steps scanned at once, and the scan of plain neurons: the same integers as step by step."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import assert_equal_results

from nmdeploy.emulator import compiled, compiled_run, dense, workspace
from nmdeploy.emulator.memo import Memo
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.scans import plan_scan
from nmdeploy.emulator.timings import Timings
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense
from quantize import IntegerFormat, Overflow

SETS = compiled.sets()
SPIKES = Recording(spikes=("*",), counts=("*",))  # recording potentials needs single steps
PER_CHANNEL = np.arange(20, 320, 60).reshape(5, 1, 1)
NEURONS = [
    IF(90),
    IF(PER_CHANNEL),
    IF(90, bias=3),
    IF(90, bias=-PER_CHANNEL // 20),
    IF(90, v_min=-40),
    IF(90, reset="zero"),
    IF(90, fire=">"),
    IF(90, refractory=2),
    IF(90, potential=IntegerFormat(16, overflow=Overflow.WRAP)),
    IF(90, v_init=70),
    IF(90, v_min=-PER_CHANNEL),
]


@pytest.mark.skipif(not SETS, reason="the kernels were not compiled")
@pytest.mark.parametrize("largest", [9, 3000])  # currents of 16 and of 32 bits
@pytest.mark.parametrize("neuron", NEURONS, ids=repr)
def test_steps_that_are_scanned_at_once_equal_the_reference(neuron, largest):
    @settings(max_examples=5)
    @given(
        st.integers(0, 2**32 - 1),
        st.integers(1, 11),
        st.integers(1, 9),
        st.sampled_from([0.02, 0.5]),
        st.sampled_from(SETS),
    )
    def check(seed, steps, block, rate, kernels):
        rng = np.random.Generator(np.random.PCG64(seed))
        weight = rng.integers(-largest, largest + 1, (5, 2, 3, 3))
        shape = (2, 9, 7)
        scaled = neuron if largest < 100 else replace(neuron, threshold=np.multiply(neuron.threshold, 300))
        network = Network(
            "large",
            (Population("in", shape), Population("out", (5, 7, 5), scaled)),
            (Projection("in", "out", (Conv2d(weight),), delay=seed % 2),),
        )
        spikes = (rng.random((steps, 3, *shape)) < rate).astype(np.uint8)
        with (
            patch.object(workspace, "LARGE", 1),
            patch.object(compiled_run, "LONGEST_BLOCK", block),
            patch.object(compiled_run, "_PLANS", Memo()),
            patch.object(compiled, "sets", lambda: (kernels,)),
        ):
            found = emulate(network, spikes, record=SPIKES, engine="compiled")
        assert_equal_results(found, emulate_reference(network, spikes, record=SPIKES))

    check()


@pytest.mark.skipif(not SETS, reason="the kernels were not compiled")
@pytest.mark.parametrize("large", [1, 1 << 12], ids=["several steps at once", "step by step"])
@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
def test_neurons_without_any_current_still_fire_off_what_is_above_the_threshold(kernels, large):
    # One spike charges some neurons with 20 thresholds, others with less than one; then all is silent.
    weight = np.where(np.arange(5) % 2, 1800, 80).reshape(5, 1, 1, 1)
    network = Network(
        "charged",
        (Population("in", (1, 9, 7)), Population("out", (5, 9, 7), IF(90))),
        (Projection("in", "out", (Conv2d(weight),)),),
    )
    spikes = np.zeros((30, 2, 1, 9, 7), np.uint8)
    spikes[3, 0, 0, 4, 5] = 1
    with (
        patch.object(workspace, "LARGE", large),
        patch.object(compiled_run, "_PLANS", Memo()),
        patch.object(compiled, "sets", lambda: (kernels,)),
    ):
        found = emulate(network, spikes, record=SPIKES, engine="compiled")
    assert found.spikes["out"].sum(axis=0)[0, :, 4, 5].tolist() == [0, 20, 0, 20, 0]
    assert_equal_results(found, emulate_reference(network, spikes, record=SPIKES))


@st.composite
def dense_networks(draw):
    """Dense layers of any size, one beside another into the same population, with weights of the edges of int8."""
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32 - 1))))
    sizes = [draw(st.sampled_from([1, 3, 4, 16, 33, 63, 64, 100])) for _ in range(2)]
    outputs = draw(st.sampled_from([1, 7, 8, 9, 16, 17, 64, 70, 130]))
    largest = draw(st.sampled_from([1, 127]))
    populations = [Population(f"in{index}", (size,)) for index, size in enumerate(sizes)]
    populations.append(
        Population("out", (outputs,), draw(st.sampled_from([IF(5 * largest), IF(90, bias=2, v_min=-70)])))
    )
    projections = tuple(
        Projection(f"in{index}", "out", (Dense(rng.integers(-largest, largest + 1, (outputs, size))),), delay=index)
        for index, size in enumerate(sizes)
    )
    rate = draw(st.sampled_from([0.05, 0.5, 1.0]))
    shape = (draw(st.integers(1, 11)), draw(st.integers(1, 3)))
    spikes = {f"in{i}": (rng.random((*shape, size)) < rate).astype(np.uint8) for i, size in enumerate(sizes)}
    return Network("dense", tuple(populations), projections), spikes


@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
def test_steps_of_dense_layers_that_are_multiplied_at_once_equal_the_reference(kernels):
    dense_steps = []

    @settings(max_examples=60)
    @given(dense_networks(), st.integers(1, 9), st.sampled_from([0, 3, 1 << 40]))
    def check(case, block, dense_above):
        network, spikes = case
        timings = Timings()
        with (
            patch.object(compiled_run, "LONGEST_BLOCK", block),
            patch.object(compiled_run, "_PLANS", Memo()),
            patch.object(dense, "_break_even", lambda *_: dense_above),
            patch.object(compiled, "sets", lambda: (kernels,)),
        ):
            found = emulate(network, spikes, record=SPIKES, engine="compiled", timings=timings)
        assert_equal_results(found, emulate_reference(network, spikes, record=SPIKES))
        dense_steps.append(timings.kernels["out"]["dense"])

    check()
    assert any(dense_steps) == (kernels.name != "portable C")
    assert not all(dense_steps)


def test_only_neurons_with_one_threshold_and_nothing_else_are_plain():
    population = Population("out", (5, 7, 5), IF(1))
    plain = [bool(plan_scan(population, neuron, 1000, 10**6, 10).record.plain) for neuron in NEURONS]
    assert [neuron for neuron, found in zip(NEURONS, plain, strict=True) if found] == [
        NEURONS[0],
        NEURONS[6],
        NEURONS[9],
    ]


@pytest.mark.parametrize("shape", [(), 3, (4, 5)])
def test_buffers_begin_at_a_cache_line(shape):
    buffers = [compiled.zeros(shape, dtype) for dtype in (np.uint8, np.int16, np.int64) for _ in range(5)]
    assert [compiled.address(each) % 64 for each in buffers] == [0] * len(buffers)
    assert all(each.shape == np.zeros(shape).shape and not each.any() and each.flags.writeable for each in buffers)
