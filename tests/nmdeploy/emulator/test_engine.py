"""The numpy engine against the definition: equal in every number, however a run is cut up."""

from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from runs import EVERYTHING, assert_equal_results, check_block_borders, check_overflows

from nmdeploy.emulator import engine
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate as run
from nmdeploy.errors import EmulationOverflow
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, SumPool2d
from quantize import IntegerFormat, Overflow

emulate = partial(run, engine="numpy")


def emulate_in_blocks(case, batch, block, record=EVERYTHING):
    with patch.object(engine, "LONGEST_BLOCK", block):
        return emulate(case.network, case.inputs, steps=case.steps, record=record, batch=batch)


def test_engine_equals_reference_on_random_networks(random_cases):
    spiking = []

    @settings(max_examples=300)
    @given(case=random_cases(), batch=st.integers(1, 4), block=st.integers(1, 6))
    def check(case, batch, block):
        expected = emulate_reference(case.network, case.inputs, steps=case.steps, record=EVERYTHING)
        assert_equal_results(emulate_in_blocks(case, batch, block), expected)
        neurons = [p.name for p in case.network.populations if not p.is_input]
        spiking.append(any(expected.total_spikes[name].any() for name in neurons))
        event(f"cycles: {case.network.has_cycle}")

    check()
    # Silent networks would prove little.
    assert np.mean(spiking) > 0.3


def test_engine_tells_the_same_overflow_as_the_reference(random_cases):
    cases = random_cases(overflows=(Overflow.RAISE,))
    check_overflows(lambda case, block: emulate_in_blocks(case, 4, block), cases, examples=150, fewest=5)


def test_recorded_steps_equal_the_reference_at_block_borders(random_cases):
    check_block_borders(lambda case, block, record: emulate_in_blocks(case, 2, block, record), random_cases())


def image_network(**projection):
    """8x8 images, a convolution, and a read-out behind a pool."""
    rng = np.random.Generator(np.random.PCG64(3))
    kernels = rng.integers(-5, 6, (4, 1, 3, 3)).astype(np.int8)
    populations = (
        Population("image", (1, 8, 8)),
        Population("features", (4, 6, 6), IF(threshold=9)),
        Population("pooled", (4, 3, 3), Integrator()),
    )
    projections = (
        Projection("image", "features", (Conv2d(kernels),)),
        Projection("features", "pooled", (SumPool2d(2),), **projection),
    )
    return Network("images", populations, projections)


def images(rng, steps=9, samples=5):
    return (rng.random((steps, samples, 1, 8, 8)) < 0.4).astype(np.uint8)


@pytest.mark.parametrize("total", [2**24 - 1, 2**24 + 1, 2**53 - 1, 2**53 + 1])
def test_sums_at_the_edges_of_float_types_are_exact(total):
    # Odd sums beyond 2**24 have no float32, odd ones beyond 2**53 no float64.
    weight = np.array([[total - 2, 1, 1]])
    network = Network(
        "edge",
        (Population("in", (3,)), Population("out", (1,), Integrator())),
        (Projection("in", "out", (Dense(weight),)),),
    )
    result = emulate(network, np.ones((1, 1, 3), np.uint8))
    assert result.final_potentials["out"].tolist() == [[total]]


def test_potentials_at_the_edge_of_int32_are_exact():
    # Two steps of 2**30 reach 2**31, one beyond the largest int32.
    network = Network(
        "edge",
        (Population("in", (1,)), Population("out", (1,), Integrator())),
        (Projection("in", "out", (Dense(np.array([[2**30]])),)),),
    )
    result = emulate(network, np.ones((2, 1, 1), np.uint8), record=Recording(potentials=("out",)))
    assert result.potentials["out"].ravel().tolist() == [2**30, 2**31]


def test_more_spikes_under_way_than_a_byte_counts():
    # 400 spikes, of which the last 300 do not arrive within 400 steps.
    network = Network(
        "slow",
        (Population("in", (1,)), Population("out", (1,), Integrator())),
        (Projection("in", "out", (Dense(np.array([[1]])),), delay=300),),
    )
    result = emulate(network, np.ones((400, 1, 1), np.uint8), steps=400)
    assert result.synaptic_operations["in->out"].tolist() == [100]
    assert result.final_potentials["out"].tolist() == [[100]]


def test_only_recorded_populations_keep_spikes(rng):
    result = emulate(image_network(), images(rng))
    assert set(result.spikes) == set(result.counts) == {"pooled"}
    assert not result.potentials
    assert set(result.total_spikes) == {"image", "features", "pooled"}


def test_progress_counts_samples_after_every_batch(rng):
    calls = []
    emulate(image_network(), images(rng, samples=5), batch=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_an_interrupt_in_the_progress_callback_passes_through(rng):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emulate(image_network(), images(rng), batch=1, progress=interrupt)


def test_a_late_batch_tells_the_sample_of_the_whole_run(rng):
    network = image_network(accumulator=IntegerFormat(2, overflow=Overflow.RAISE))
    inputs = images(rng, samples=5)
    inputs[:, :4] = 0
    with pytest.raises(EmulationOverflow, match=r"^features->pooled, step \d, sample 4, neuron") as raised:
        emulate(network, inputs, batch=2)
    assert raised.value.index is not None
    assert raised.value.index[0] == 4


@pytest.mark.parametrize("batch", [None, 2, 1000])
def test_tiles_follow_the_request_and_the_budget(batch):
    network = image_network()
    tiling = engine.tile(network, 100, batch)
    assert tiling.batch == min(batch or 100, 100)
    assert 1 <= tiling.block <= engine.LONGEST_BLOCK
    with patch.object(engine, "CACHE_BYTES", 1), patch.object(engine, "BLOCK_BYTES", 1):
        assert engine.tile(network, 100) == engine.Tiling(1, 1)


def test_blocks_of_networks_with_cycles_are_single_steps():
    network = image_network()
    loop = Projection("pooled", "pooled", (), delay=1)
    cyclic = Network("loop", network.populations, (*network.projections, loop))
    assert engine.tile(cyclic, 4).block == 1
