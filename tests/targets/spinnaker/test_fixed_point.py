from fractions import Fraction
from math import floor, trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize import OutOfRange, QuantizeError
from targets.spinnaker.fixed_point import LARGEST, ONE, SMALLEST, divide, multiply, raw, real, scale, wrap

words = st.integers(SMALLEST, LARGEST)
fractions = st.integers(0, 2**32 - 1)


def low_32_bits(value):
    return int.from_bytes((value % 2**32).to_bytes(4, "little"), "little", signed=True)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_sum_keeps_its_low_32_bits(value):
    assert wrap(value) == low_32_bits(value)


@given(words, words)
def test_a_product_is_rounded_down_and_wraps(left, right):
    assert multiply(left, right) == low_32_bits(floor(Fraction(left * right, ONE)))


@given(words)
def test_a_product_with_one_is_the_other_factor(left):
    assert multiply(left, ONE) == multiply(ONE, left) == left


@given(words, words.filter(bool))
def test_a_quotient_is_rounded_toward_zero_and_wraps(dividend, divisor):
    assert divide(dividend, divisor) == low_32_bits(trunc(Fraction(dividend * ONE, divisor)))


@given(words, fractions)
def test_a_fraction_of_an_accum_is_rounded_down(value, fraction):
    assert scale(value, fraction) == floor(Fraction(value * fraction, 2**32))


def test_operations_take_arrays():
    left, right = np.array([3 * ONE, -ONE, 1]), np.array([ONE // 2, 3, -1])
    assert multiply(left, right).tolist() == [3 * ONE // 2, -3, -1]
    assert divide(left, right).tolist() == [6 * ONE, -357913941, -ONE]
    assert wrap(np.array([LARGEST + 1, 0], dtype=object).astype(np.int64)).tolist() == [SMALLEST, 0]


@given(words)
def test_raw_accums_and_their_real_values_are_one_to_one(value):
    assert raw(real(value)) == value


def test_the_host_rounds_half_to_even():
    halves = np.array([0.5, 1.5, -2.5]) / ONE
    assert raw(halves).tolist() == [0, 2, -2]
    assert raw(1.0) == ONE
    assert isinstance(raw(1.0), int)


@pytest.mark.parametrize("value", [65536.0, -65537.0])
def test_what_32_bits_do_not_hold_is_refused(value):
    with pytest.raises(OutOfRange):
        raw(value)


def test_nothing_that_is_no_number_is_written():
    with pytest.raises(QuantizeError):
        raw(float("nan"))
