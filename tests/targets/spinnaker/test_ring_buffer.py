import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.errors import QuantizationError, UsageError
from targets.spinnaker.ring_buffer import (
    LARGEST_SHIFT,
    delay_steps,
    into_accum,
    kernel_weights,
    largest_expected_sum,
    ring_shift,
    row_weights,
    weight_unit,
)

shifts = st.integers(0, 16)


@given(st.lists(st.integers(0, 65535), max_size=8), st.randoms())
def test_saturating_additions_give_the_same_in_any_order(weights, random):
    random.shuffle(weights)
    held = 0
    for weight in weights:
        held = min(held + weight, 65535)
    assert into_accum(sum(weights), 0) == held


@given(st.integers(0, 2**40), st.integers(0, LARGEST_SHIFT))
def test_what_is_read_is_shifted_into_32_bits(total, shift):
    word = (min(total, 65535) << shift) & 0xFFFFFFFF
    assert into_accum(total, shift) == word - ((word & 2**31) << 1)


def test_each_neuron_can_have_its_own_shift():
    assert into_accum(np.array([[1, 70_000]]), np.array([3, 1])).tolist() == [[8, 131070]]


@pytest.mark.parametrize(("largest", "shift"), [(0.0, 0), (0.99, 0), (1.0, 1), (1.5, 1), (2.0, 2), (4.0, 3), (4.1, 3)])
def test_the_shift_that_spynnaker_chooses(largest, shift):
    assert ring_shift(largest) == shift


@given(shifts)
def test_a_shift_can_be_asked_for(shift):
    assert ring_shift(largest_expected_sum(shift)) == shift


@given(st.integers(-65535, 65535), shifts)
def test_integer_weights_are_written_exactly(weight, shift):
    assert row_weights(np.array([weight * weight_unit(shift)]), shift).tolist() == [abs(weight)]


@given(st.integers(-32768, 32767), shifts, st.integers(1, 7))
def test_kernels_are_written_exactly_also_when_the_host_divides_by_a_pool(weight, shift, window):
    area = window * window
    through_host = np.array([weight * area * weight_unit(shift)]) / area
    assert kernel_weights(through_host, shift).tolist() == [weight]


def test_weights_round_half_to_even():
    halves = np.array([0.5, 1.5, -2.5]) * weight_unit(2)
    assert row_weights(halves, 2).tolist() == [0, 2, 2]
    assert kernel_weights(halves, 2).tolist() == [0, 2, -2]


@pytest.mark.parametrize(
    ("write", "weight", "limit"),
    [(row_weights, 65536, "0..65535"), (kernel_weights, 32768, "-32768..32767"), (kernel_weights, -32769, "-32768")],
)
def test_a_weight_that_spynnaker_would_wrap_is_refused(write, weight, limit):
    with pytest.raises(QuantizationError, match=f"weight does not fit .*{weight}.*{limit}"):
        write(np.array([1.0, weight]) * weight_unit(1), 1)


@pytest.mark.parametrize(("milliseconds", "time_step", "steps"), [(1, 1, 1), (2.5, 1, 2), (3.5, 1, 4), (1, 0.1, 10)])
def test_delays_become_steps(milliseconds, time_step, steps):
    assert delay_steps(milliseconds, time_step) == steps


@pytest.mark.parametrize("milliseconds", [0, 0.5, -3])
def test_there_is_no_delay_below_one_step(milliseconds):
    with pytest.raises(UsageError, match="at least one step"):
        delay_steps(milliseconds)
