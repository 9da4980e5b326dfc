import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from nmdeploy.coding import ENCODERS, Bernoulli, ConstantCurrent, DeterministicRate, Encoder, Passthrough
from nmdeploy.coding.encoders import RATE_LEVELS
from nmdeploy.errors import DataError, UsageError
from nmdeploy.structure import field_names

REAL_ENCODERS = [DeterministicRate(), Bernoulli(), ConstantCurrent()]


@given(
    rates=st.lists(st.integers(0, RATE_LEVELS), min_size=1, max_size=6),
    phase=st.integers(0, RATE_LEVELS - 1),
    steps=st.integers(1, 40),
)
@settings(max_examples=60)
def test_deterministic_counts_are_exact_for_every_prefix(rates, phase, steps):
    samples = np.array(rates, dtype=np.float64)[np.newaxis] / RATE_LEVELS
    spikes = DeterministicRate(phase=phase / RATE_LEVELS).encode(samples, steps)
    counts = np.cumsum(spikes, axis=0, dtype=np.int64)[:, 0]
    expected = [[((t + 1) * rate + phase) // RATE_LEVELS for rate in rates] for t in range(steps)]
    assert_array_equal(counts, expected)


@given(st.integers(0, 255), st.integers(1, 300))
def test_grey_values_spike_exactly_as_often_as_the_fraction_says(grey, steps):
    spikes = DeterministicRate().encode(np.array([[grey]], dtype=np.float32) / np.float32(255), steps)
    assert spikes.sum() == steps * grey // 255


@pytest.mark.parametrize(
    ("value", "steps", "count"), [(0.1, 10, 1), (0.3, 10, 3), (1 / 3, 3, 1), (0.5, 7, 3), (1, 9, 9)]
)
def test_common_fractions_lose_no_spike_to_rounding(value, steps, count):
    assert DeterministicRate().encode(np.array([[value]]), steps).sum() == count


def test_rates_are_rounded_to_the_documented_resolution():
    level = 1 / (255 * 65536)
    encoder = DeterministicRate(phase=1 - level)  # one level is missing to the first spike
    assert_array_equal(encoder.encode(np.array([[0.4 * level, 0.6 * level]]), 1), [[[0, 1]]])


def test_a_phase_that_rounds_to_one_makes_no_spike_of_nothing():
    assert DeterministicRate(phase=1 - 1e-12).encode(np.zeros((1, 1)), 5).sum() == 0


def test_rate_codes_are_binary():
    assert DeterministicRate().largest == Bernoulli().largest == Passthrough().largest == 1


def test_phase_moves_the_first_spike_to_the_middle_of_the_interval():
    spikes = DeterministicRate(phase=0.5).encode(np.array([[0.25]]), 8)
    assert_array_equal(np.flatnonzero(spikes), [1, 5])


def test_the_range_is_mapped_to_rates_and_shape_is_steps_first():
    samples = np.array([[[[-1.0, 1.0, 3.0]]], [[[3.0, 3.0, -1.0]]]])
    spikes = DeterministicRate(low=-1, high=3).encode(samples, 4)
    assert spikes.shape == (4, 2, 1, 1, 3)
    assert spikes.dtype == np.uint8
    assert_array_equal(spikes.sum(axis=0)[:, 0, 0], [[0, 2, 4], [4, 4, 0]])


def test_values_just_outside_the_range_are_clipped():
    spikes = DeterministicRate().encode(np.array([[-5e-7, 1 + 5e-7]]), 6)
    assert_array_equal(spikes.sum(axis=0), [[0, 6]])
    with pytest.raises(DataError):
        DeterministicRate().encode(np.array([[1 + 2e-6]]), 6)


def test_bernoulli_spikes_known_values():
    # Fixed once; a change means that old bundles no longer reproduce their inputs.
    spikes = Bernoulli(seed=7).encode(np.array([[0.5, 0.25]]), 12)[:, 0].T
    assert_array_equal(spikes, [[0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]])


@given(st.integers(0, 2**40), st.floats(0, 1))
@settings(max_examples=30)
def test_bernoulli_mean_is_the_rate(seed, rate):
    spikes = Bernoulli(seed=seed).encode(np.array([[rate]]), 20_000)
    # Six standard deviations: 1e-9 for one draw.
    assert abs(spikes.mean() - rate) <= 6 * np.sqrt(rate * (1 - rate) / 20_000) + 1e-12


def test_bernoulli_never_spikes_at_zero_and_always_at_one():
    assert_array_equal(Bernoulli().encode(np.array([[0.0, 1.0]]), 500).sum(axis=0), [[0, 500]])


def test_bernoulli_does_not_depend_on_batch_or_order(rng):
    samples = rng.random((6, 1, 3, 3))
    encoder = Bernoulli(seed=3)
    whole = encoder.encode(samples, 20)
    parts = np.concatenate([encoder.encode(samples[:1], 20), encoder.encode(samples[1:], 20)], axis=1)
    assert_array_equal(whole, parts)
    assert_array_equal(whole[:, ::-1], encoder.encode(samples[::-1], 20))
    assert_array_equal(whole[:11], encoder.encode(samples, 11))


def test_bernoulli_streams_differ_by_seed_and_sample(rng):
    samples = np.full((2, 200), 0.5)
    samples[1, 0] = 0.25
    first, second = (Bernoulli(seed=seed).encode(samples, 10) for seed in (1, 2))
    assert (first != second).any()
    assert (first[:, 0, 1:] != first[:, 1, 1:]).any()


@given(st.integers(1, 255), st.floats(0, 1))
def test_constant_current_repeats_the_rounded_value(levels, value):
    encoder = ConstantCurrent(levels=levels)
    spikes = encoder.encode(np.array([[value]]), 3)
    assert_array_equal(spikes, np.full((3, 1, 1), round(value * levels)))
    assert encoder.largest == levels


def test_constant_current_of_bytes_is_the_bytes():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert_array_equal(ConstantCurrent(high=255).encode(images, 1)[0], images)


def test_passthrough_puts_steps_first(rng):
    frames = rng.integers(0, 2, (3, 5, 2, 4, 4))
    spikes = Passthrough().encode(frames, 5)
    assert spikes.dtype == np.uint8
    assert_array_equal(spikes, frames.transpose(1, 0, 2, 3, 4))


def test_passthrough_of_graded_spikes():
    assert_array_equal(Passthrough(maximum=3).encode(np.array([[[3.0], [0.0]]]), 2), [[[3]], [[0]]])


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.full((1, 2, 1), 0.5), "whole numbers"),
        (np.full((1, 2, 1), 2), "found 2..2, limit 0..1"),
        (np.full((1, 2, 1), -1), "out of range"),
        (np.zeros((1, 3, 1)), "2 steps"),
        (np.zeros((1, 2)), "steps"),
        (np.full((1, 2, 1), np.nan), "NaN"),
    ],
)
def test_passthrough_refuses_what_is_no_spike_train(frames, words):
    with pytest.raises(DataError, match=words):
        Passthrough().encode(frames, 2)


@pytest.mark.parametrize("encoder", REAL_ENCODERS, ids=lambda encoder: encoder.kind)
@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.array([[0.0, np.nan]]), "NaN or infinite values .found 1 of 2"),
        (np.zeros((0, 4)), "no samples"),
        (np.zeros(4), "no samples"),
        (np.array([[-0.5, 2.0]]), r"found -0.5..2, limit 0..1.*input_range"),
        (np.array([["a"]]), "numbers"),
    ],
)
def test_bad_samples_are_refused_with_one_clear_line(encoder, samples, words):
    with pytest.raises(DataError, match=words) as caught:
        encoder.encode(samples, 4)
    assert encoder.kind in str(caught.value)


@pytest.mark.parametrize("encoder", [*REAL_ENCODERS, Passthrough()], ids=lambda encoder: encoder.kind)
def test_a_run_without_steps_is_refused(encoder):
    with pytest.raises(UsageError, match="at least one step"):
        encoder.encode(np.zeros((1, 1)), 0)


@pytest.mark.parametrize(
    "build",
    [
        lambda: DeterministicRate(low=1, high=1),
        lambda: Bernoulli(high=float("nan")),
        lambda: ConstantCurrent(low=2.0),
        lambda: DeterministicRate(phase=1.0),
        lambda: Bernoulli(seed=-1),
        lambda: ConstantCurrent(levels=256),
        lambda: ConstantCurrent(levels=0),
        lambda: Passthrough(maximum=0),
        lambda: Passthrough(maximum=256),
    ],
)
def test_senseless_parameters_are_refused(build):
    with pytest.raises(UsageError):
        build()


def test_encoders_are_found_by_kind_and_hold_plain_values_only():
    assert set(ENCODERS) == {"DeterministicRate", "Bernoulli", "ConstantCurrent", "Passthrough", "Clocked", "Streamed"}
    for kind, cls in ENCODERS.items():
        if kind in ("Clocked", "Streamed"):
            continue  # hold another encoder, and spikes of clocks: tests of their own
        encoder = cls()
        assert isinstance(encoder, Encoder)
        values = {name: getattr(encoder, name) for name in field_names(encoder)}
        assert all(isinstance(value, (int, float, str, bool)) for value in values.values())
        assert ENCODERS[kind](**values) == encoder
