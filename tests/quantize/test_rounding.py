"""Rounding against the exact arithmetic of `fractions`."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize import QuantizeError, Rounding, round_to_integer, shift_right, to_int64

MODES = list(Rounding)


def exact_rounding(value: Fraction, mode: Rounding) -> int:
    """The definition, in rational numbers."""
    floor = math.floor(value)
    if mode is Rounding.FLOOR:
        return floor
    if mode is Rounding.TOWARD_ZERO:
        return math.trunc(value)
    if value - floor == Fraction(1, 2):
        even = floor + floor % 2
        away = floor + 1 if value > 0 else floor
        return even if mode is Rounding.HALF_EVEN else away
    return math.floor(value + Fraction(1, 2))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Rounding.HALF_EVEN, [-2, -2, -1, 0, 0, 0, 0, 1, 2, 2]),
        (Rounding.HALF_AWAY, [-3, -2, -1, -1, 0, 0, 1, 1, 2, 3]),
        (Rounding.FLOOR, [-3, -2, -2, -1, -1, 0, 0, 0, 1, 2]),
        (Rounding.TOWARD_ZERO, [-2, -1, -1, 0, 0, 0, 0, 0, 1, 2]),
    ],
)
def test_modes_at_and_around_ties(mode, expected):
    values = np.array([-2.5, -1.5, -1.2, -0.5, -0.4, 0.4, 0.5, 0.6, 1.5, 2.5])
    rounded = round_to_integer(values, mode)
    assert rounded.dtype == np.int64
    np.testing.assert_array_equal(rounded, expected)


@pytest.mark.parametrize("mode", [Rounding.HALF_EVEN, Rounding.HALF_AWAY])
def test_largest_value_below_a_half_rounds_down(mode):
    np.testing.assert_array_equal(round_to_integer(np.array([0.49999999999999994, -0.49999999999999994]), mode), [0, 0])


@settings(max_examples=200)
@given(st.floats(-1e15, 1e15), st.sampled_from(MODES))
def test_rounding_is_exact(value, mode):
    assert round_to_integer(np.array(value), mode) == exact_rounding(Fraction(value), mode)


def test_a_zero_dimensional_array_stays_an_array():
    rounded = round_to_integer(np.array(2.5))
    assert isinstance(rounded, np.ndarray)
    assert rounded.shape == ()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused_with_its_place(bad):
    with pytest.raises(QuantizeError, match=r"at \(1, 0\)"):
        round_to_integer(np.array([[0.0], [bad]]))


@pytest.mark.parametrize("mode", MODES)
def test_no_shift_changes_nothing(mode):
    np.testing.assert_array_equal(shift_right(np.arange(-3, 4), 0, mode), np.arange(-3, 4))


def test_edges_of_int64():
    with pytest.raises(QuantizeError, match=r"9\.22337e"):
        round_to_integer(np.array([0.0, 2.0**63]))
    assert round_to_integer(np.array(-(2.0**63))) == -(1 << 63)
    with pytest.raises(QuantizeError, match="does not fit int64"):
        round_to_integer(np.array(2.0**63))
    with pytest.raises(QuantizeError, match="does not fit int64"):
        round_to_integer(np.array(np.nextafter(-(2.0**63), -np.inf)))


def test_unknown_mode_names_the_known_ones():
    with pytest.raises(QuantizeError, match="half-even, half-away, floor, toward-zero"):
        round_to_integer(np.zeros(1), "nearest")


@settings(max_examples=200)
@given(st.lists(st.integers(-(2**62), 2**62), min_size=1), st.integers(1, 62), st.sampled_from(MODES))
def test_right_shift_is_division_with_rounding(values, bits, mode):
    shifted = shift_right(np.array(values, dtype=np.int64), bits, mode)
    assert shifted.dtype == np.int64
    np.testing.assert_array_equal(shifted, [exact_rounding(Fraction(v, 1 << bits), mode) for v in values])


@pytest.mark.parametrize("mode", MODES)
def test_small_right_shifts_exhaustively(mode):
    values = np.arange(-20, 21)
    for bits in (1, 2, 3):
        expected = [exact_rounding(Fraction(int(v), 1 << bits), mode) for v in values]
        np.testing.assert_array_equal(shift_right(values, bits, mode), expected)


def test_left_shift_is_exact_up_to_the_edge():
    np.testing.assert_array_equal(shift_right(np.array([-3, 5], dtype=np.int8), -4), [-48, 80])
    np.testing.assert_array_equal(shift_right(np.array([7]), 0), [7])
    np.testing.assert_array_equal(shift_right(np.array([-2, 1]), -62), [-(1 << 63), 1 << 62])
    for value in (2, -3):
        with pytest.raises(QuantizeError, match="left shift by 62 bits leaves int64"):
            shift_right(np.array([value]), -62)


@pytest.mark.parametrize("bits", [63, -63])
def test_a_shift_has_a_limit(bits):
    with pytest.raises(QuantizeError, match="at most 62 bits"):
        shift_right(np.array([1]), bits)


def test_to_int64_keeps_values_or_refuses():
    np.testing.assert_array_equal(to_int64(np.array([2**63 - 1], dtype=np.uint64)), [2**63 - 1])
    np.testing.assert_array_equal(to_int64(np.array([True, False])), [1, 0])
    with pytest.raises(QuantizeError, match="does not fit int64"):
        to_int64(np.array([0, 2**63], dtype=np.uint64))
    with pytest.raises(QuantizeError, match="found float64"):
        to_int64(np.array([1.0]))
