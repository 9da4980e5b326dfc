"""The compiled engine against the definition: every kernel, every width, however a run is cut up."""

from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import EVERYTHING, assert_equal_results, check_block_borders, check_overflows

from nmdeploy.emulator import bands, compiled, compiled_run, dense, plan
from nmdeploy.emulator.memo import Memo
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.timings import Timings
from nmdeploy.errors import EmulationOverflow, ShapeError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d
from quantize import IntegerFormat, Overflow

SETS = compiled.sets()
KERNELS = st.sampled_from(SETS) if SETS else st.nothing()
ALWAYS_DENSE, NEVER_DENSE = 0, 1 << 40

pytestmark = pytest.mark.skipif(not SETS, reason="the kernels were not compiled")


def run(
    network,
    inputs,
    steps=None,
    record=EVERYTHING,
    *,
    kernels=None,
    block=32,
    dense_above=None,
    band_events=bands.BAND_EVENTS,
    **options,
):
    """The compiled engine with chosen kernels, blocks and bands, its dense kernel always, never or as it likes."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(bands, "BAND_EVENTS", band_events))
        patches.enter_context(patch.object(compiled_run, "LONGEST_BLOCK", block))
        patches.enter_context(patch.object(compiled_run, "_PLANS", Memo()))  # nothing made under other patches
        if kernels is not None:
            patches.enter_context(patch.object(compiled, "sets", lambda: (kernels,)))
        if dense_above is not None:
            patches.enter_context(patch.object(dense, "_break_even", lambda *_: dense_above))
        return emulate(network, inputs, steps=steps, record=record, engine="compiled", **options)


def test_every_kernel_equals_the_reference_on_random_networks(random_cases):
    spiking = []

    @settings(max_examples=80)
    @given(case=random_cases(), kernels=KERNELS, batch=st.integers(1, 4), block=st.integers(1, 6), always=st.booleans())
    def check(case, kernels, batch, block, always):
        expected = emulate_reference(case.network, case.inputs, steps=case.steps, record=EVERYTHING)
        options = {"kernels": kernels, "batch": batch, "block": block, "dense_above": ALWAYS_DENSE if always else None}
        assert_equal_results(run(case.network, case.inputs, case.steps, **options), expected)
        neurons = [p.name for p in case.network.populations if not p.is_input]
        spiking.append(any(expected.total_spikes[name].any() for name in neurons))

    check()
    assert np.mean(spiking) > 0.3  # silent networks would prove little


@st.composite
def image_networks(draw):
    """A pool or none, a convolution of any geometry, then a pool or none and a dense layer; with binary inputs."""
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32 - 1))))

    def one_of(*options):
        return draw(st.sampled_from(options))

    shape = (one_of(1, 2, 3, 5, 16, 33, 64), draw(st.integers(3, 12)), draw(st.integers(3, 12)))
    filters, groups = one_of(1, 3, 8, 16, 20, 40), one_of(1, 1, 1, shape[0])
    largest = one_of(1, 9, 127, 127, 2000)
    kernel = (groups * filters, shape[0] // groups, draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    weight = rng.integers(-largest, largest + 1, kernel)
    padding = tuple(draw(st.integers(0, 2)) for _ in range(4))
    conv = Conv2d(weight, (one_of(1, 1, 2, 3), one_of(1, 1, 2, 3)), padding, (one_of(1, 2), one_of(1, 1, 2)), groups)
    pool = SumPool2d(draw(st.integers(1, 3)), one_of(None, 1, 2), draw(st.integers(0, 1)))
    first, second = (pool,) * one_of(0, 1) + (conv,), (SumPool2d(2),) * one_of(0, 1)
    try:
        middle = shape
        for synapse in first:
            middle = synapse.out_shape(middle)
        flat = middle
        for synapse in second:
            flat = synapse.out_shape(flat)
    except ShapeError:
        return draw(image_networks())
    size = int(np.prod(flat))
    last = Dense(rng.integers(-127, 128, (draw(st.integers(1, 40)), size)).astype(np.int8))
    per_channel = rng.integers(1, largest * 20, (middle[0], 1, 1))
    neuron = IF(per_channel, v_min=one_of(None, -500), reset=one_of("subtract", "zero"))
    bias = rng.integers(-9, 9, last.weight.shape[0])
    populations = (
        Population("in", shape),
        Population("conv", middle, neuron),
        Population("out", last.weight.shape[:1], IF(draw(st.integers(1, 3000)), bias=bias)),
    )
    projections = (
        Projection("in", "conv", first, draw(st.integers(0, 1))),
        Projection("conv", "out", (*second, Reshape((size,)), last), draw(st.integers(0, 2))),
    )
    spikes = rng.random((7, 3, *shape)) < one_of(0.02, 0.2, 0.5, 1.0)
    return Network("images", populations, projections), spikes.astype(np.uint8)


@pytest.mark.parametrize("dense_above", [ALWAYS_DENSE, NEVER_DENSE])
@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
def test_convolutions_of_any_geometry_equal_the_reference(kernels, dense_above):
    @settings(max_examples=40)
    @given(image_networks(), st.sampled_from([1, 100, bands.BAND_EVENTS]))
    def check(case, band_events):
        network, spikes = case
        options = {"kernels": kernels, "block": 4, "dense_above": dense_above, "batch": 2, "band_events": band_events}
        found = run(network, spikes, **options)
        assert_equal_results(found, emulate_reference(network, spikes, record=EVERYTHING))

    check()


def test_recorded_steps_equal_the_reference_at_block_borders(random_cases):
    check_block_borders(
        lambda case, block, record: run(case.network, case.inputs, case.steps, record, block=block), random_cases()
    )


def test_the_same_overflow_is_told_as_by_the_reference(random_cases):
    cases = random_cases(overflows=(Overflow.RAISE,))
    check_overflows(
        lambda case, block: run(case.network, case.inputs, case.steps, block=block), cases, examples=100, fewest=3
    )


def test_threads_change_nothing(random_cases):
    @settings(max_examples=25)
    @given(case=random_cases(), threads=st.integers(2, 4))
    def check(case, threads):
        expected = run(case.network, case.inputs, case.steps, batch=1)
        assert_equal_results(run(case.network, case.inputs, case.steps, batch=1, threads=threads), expected)

    check()


def dense_network(weight, neuron=None, maximum=1):
    weight = np.asarray(weight)
    populations = (Population("in", weight.shape[1:], maximum=maximum), Population("out", weight.shape[:1], neuron))
    return Network("dense", populations, (Projection("in", "out", (Dense(weight),)),))


EDGES = [2**15 - 1, 2**15, -(2**15), -(2**15) - 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**60]


@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
@pytest.mark.parametrize("total", EDGES)
def test_sums_at_the_edges_of_widths_are_exact(total, kernels):
    sign = np.sign(total)
    network = dense_network([[total - 2 * sign, sign, sign]], Integrator(potential=IntegerFormat(63)))
    spikes = np.ones((1, 1, 3), np.uint8)
    assert run(network, spikes, kernels=kernels).final_potentials["out"].tolist() == [[total]]


@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
def test_potentials_at_the_edge_of_32_bits_are_exact(kernels):
    network = dense_network([[2**30]], Integrator())
    found = run(network, np.ones((2, 1, 1), np.uint8), kernels=kernels, block=2)
    assert found.potentials["out"].ravel().tolist() == [2**30, 2**31]


@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
@pytest.mark.parametrize("spikes", [257, 258, 259, 300])
def test_narrow_currents_hold_up_to_the_proven_number_of_spikes(spikes, kernels):
    # 258 * 127 = 32766 is the last sum in 16 bits; the whole layer could send 300.
    network = dense_network(np.full((17, 300), 127), Integrator())
    given = np.zeros((1, 1, 300), np.uint8)
    given[..., :spikes] = 1
    assert run(network, given, kernels=kernels).final_potentials["out"].tolist() == [[127 * spikes] * 17]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_the_number_of_spikes_within_16_bits_is_the_largest(seed, area):
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = rng.integers(-20_000, 20_001, (int(rng.integers(1, 30)), int(rng.integers(1, 5))))
    found = dense._spikes_within(weights, area)

    def largest(count):
        parts = [
            np.sort(np.repeat(np.maximum(signed, 0), area, axis=0), axis=0)[::-1] for signed in (weights, -weights)
        ]
        return max(part[:count].sum(axis=0).max() for part in parts)

    assert largest(found) <= 2**15 - 1
    assert found == len(weights) * area or largest(found + 1) > 2**15 - 1


def kernels_of(network, spikes, **options):
    timings = Timings()
    run(network, spikes, timings=timings, **options)
    return {name: +counts for name, counts in timings.kernels.items()}


def test_timings_tell_how_often_each_kernel_ran():
    spikes = np.zeros((10, 2, 1, 8, 8), np.uint8)
    spikes[:4, :, 0, 3, 3] = 1  # 4 steps with one spike
    spikes[4:7] = 1  # 3 steps with 64
    network = Network(
        "conv",
        (Population("in", (1, 8, 8)), Population("out", (8, 6, 6), IF(10))),
        (Projection("in", "out", (Conv2d(np.ones((8, 1, 3, 3), np.int8)),)),),
    )
    found = kernels_of(network, spikes, dense_above=1, kernels=SETS[0])["out"]
    most = {"dense": 6} if SETS[0].name in ("AVX2", "NEON") else {"event": 14}
    assert found == {"silent": 6, "event": 8} | most
    assert kernels_of(network, spikes, kernels=SETS[-1])["out"] == {"silent": 6, "event": 14}


def test_what_is_too_large_to_unroll_runs_on_numpy():
    rng = np.random.Generator(np.random.PCG64(1))
    up = ConvTranspose2d(rng.integers(-5, 6, (2, 3, 2, 2)), stride=2)
    network = Network(
        "up",
        (Population("in", (2, 3, 3)), Population("out", (3, 6, 6), IF(9))),
        (Projection("in", "out", (up,)),),
    )
    spikes = (rng.random((5, 2, 2, 3, 3)) < 0.5).astype(np.uint8)
    expected = emulate_reference(network, spikes, record=EVERYTHING)
    assert set(kernels_of(network, spikes)["out"]) <= {"event", "silent"}
    with patch.object(plan, "LARGEST_UNROLLED", 1):
        assert_equal_results(run(network, spikes), expected)
        assert set(kernels_of(network, spikes)["out"]) <= {"numpy float32", "silent"}
    with patch.object(plan, "LARGEST_OFFSET", 1):
        assert_equal_results(run(network, spikes), expected)


@pytest.mark.parametrize("exponent", [-70, -1, 3, 40])
def test_exponents_are_folded_or_shifted_to_the_same_sum(exponent):
    for weight in ([[6, -4, 8]], [[7, -3, 1]]):
        network = dense_network(weight, IF(5, potential=IntegerFormat(63)))
        projection = Projection("in", "out", network.projections[0].synapses, exponent=exponent)
        shifted = Network("shifted", network.populations, (projection,))
        spikes = np.eye(3, dtype=np.uint8)[:, None]
        assert_equal_results(run(shifted, spikes), emulate_reference(shifted, spikes, record=EVERYTHING))


def test_a_state_variable_beside_v_is_recorded_from_the_models_own_step(rng):
    network = dense_network(rng.integers(-3, 9, (4, 5)), IF(6, refractory=2))
    spikes = (rng.random((9, 2, 5)) < 0.6).astype(np.uint8)
    record = Recording(potentials=("out", "out.silent_steps"))
    assert_equal_results(run(network, spikes, record=record), emulate_reference(network, spikes, record=record))


def test_spikes_beyond_32_bits_run_on_numpy():
    network = dense_network([[1, -2]], Integrator(), maximum=2**40)
    spikes = np.array([[[2**40, 7]]])
    assert run(network, spikes).final_potentials["out"].tolist() == [[2**40 - 14]]


def test_progress_counts_samples_in_order_with_threads(rng):
    calls = []
    network = dense_network([[1, 2]], IF(2))
    spikes = (rng.random((3, 7, 2)) < 0.5).astype(np.uint8)
    run(network, spikes, batch=2, threads=3, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 7), (4, 7), (6, 7), (7, 7)]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_in_the_progress_callback_passes_through(rng, threads):
    def interrupt(done, total):
        raise KeyboardInterrupt

    spikes = np.ones((3, 7, 2), np.uint8)
    with pytest.raises(KeyboardInterrupt):
        run(dense_network([[1, 2]], IF(2)), spikes, batch=1, threads=threads, progress=interrupt)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_batch_that_overflows_is_told(threads):
    network = dense_network([[1]], Integrator(potential=IntegerFormat(3, overflow=Overflow.RAISE)))
    spikes = np.zeros((6, 6, 1), np.uint8)
    spikes[:, 2:] = 1
    with pytest.raises(EmulationOverflow, match="out, step 3, sample 2, neuron"):
        run(network, spikes, batch=1, threads=threads)


def test_batches_are_bounded_in_memory_and_leave_no_thread_idle():
    network = dense_network(np.ones((10, 1000), np.int8), IF(5))

    def tiling(samples, **options):
        seen = []
        original = compiled_run.tile
        with patch.object(compiled_run, "tile", lambda *a: seen.append(original(*a)) or seen[-1]):
            run(network, np.zeros((2, samples, 1000), np.uint8), record=Recording(), **options)
        return seen[0]

    assert tiling(100).batch == compiled_run.BATCH
    assert tiling(8, threads=4).batch == 2
    assert tiling(3, batch=50).batch == 3
    with patch.object(compiled_run, "BATCH_BYTES", 1):
        assert tiling(5).batch == 1


@pytest.mark.parametrize(("options", "message"), [({"threads": 0}, "threads: .*found 0"), ({"batch": 0}, "batch: ")])
def test_no_threads_and_empty_batches_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        run(dense_network([[1]], IF(2)), np.ones((1, 1, 1), np.uint8), **options)


def test_the_origin_tells_the_engine():
    network, spikes = dense_network([[1]], IF(2)), np.ones((1, 1, 1), np.uint8)
    assert emulate(network, spikes).origin == "emulated (compiled engine)"


def test_per_channel_scales_and_one_to_one_maps_are_compiled(rng):
    scale = OneToOne(rng.integers(-4, 5, (3, 1, 1)))
    network = Network(
        "scaled",
        (Population("in", (3, 2, 2)), Population("out", (3, 2, 2), IF(3))),
        (Projection("in", "out", (scale,)), Projection("in", "out", (), delay=1)),
    )
    spikes = (rng.random((6, 2, 3, 2, 2)) < 0.5).astype(np.uint8)
    assert_equal_results(run(network, spikes), emulate_reference(network, spikes, record=EVERYTHING))
    assert set(kernels_of(network, spikes)["out"]) <= {"event", "silent"}


@pytest.mark.parametrize("kernels", SETS, ids=lambda kernels: kernels.name)
def test_spikes_that_no_window_of_a_pool_sees_do_nothing(kernels):
    network = Network(
        "gaps",
        (Population("in", (1, 3, 9)), Population("out", (1, 2, 3), Integrator())),
        (Projection("in", "out", (SumPool2d(1, (2, 4)), Conv2d(np.ones((1, 1, 1, 1), int)))),),
    )
    spikes = np.ones((2, 1, 1, 3, 9), np.uint8)
    found = run(network, spikes, kernels=kernels, dense_above=NEVER_DENSE)
    assert found.final_potentials["out"].tolist() == [[[[2, 2, 2], [2, 2, 2]]]]
