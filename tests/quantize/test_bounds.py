"""Bounds: exact, attained, and true of every order of summation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantize import Bound, IntegerFormat, Interval, Overflow, QuantizeError, exact, matrix_bound

ENDS = st.tuples(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70)).map(sorted)
SMALL = st.tuples(st.integers(-40, 40), st.integers(-40, 40)).map(sorted)


def test_an_interval_is_not_empty():
    assert Interval(3, 3).magnitude == 3
    with pytest.raises(QuantizeError, match="from 2 to 1 is empty"):
        Interval(2, 1)


@given(ENDS, ENDS)
def test_sum_and_union(a, b):
    total = Interval(*a) + Interval(*b)
    assert (total.minimum, total.maximum) == (a[0] + b[0], a[1] + b[1])
    both = Interval(*a) | Interval(*b)
    assert (both.minimum, both.maximum) == (min(a[0], b[0]), max(a[1], b[1]))
    assert Interval(*a).magnitude == max(abs(a[0]), abs(a[1]))


@given(SMALL, st.integers(-5, 5))
def test_weighting(ends, weight):
    members = [value * weight for value in range(ends[0], ends[1] + 1)]
    assert Interval(*ends) * weight == Interval(min(members), max(members))


@given(st.tuples(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40)).map(sorted))
def test_bits_is_the_narrowest_signed_width(ends):
    interval = Interval(*ends)
    assert interval.fits(IntegerFormat(interval.bits))
    assert interval.bits == 2 or not interval.fits(IntegerFormat(interval.bits - 1))


@pytest.mark.parametrize(
    ("minimum", "maximum", "bits"), [(0, 0, 2), (-2, 1, 2), (0, 127, 8), (0, 128, 9), (-128, 0, 8), (-129, 0, 9)]
)
def test_bits_at_the_edges(minimum, maximum, bits):
    assert Interval(minimum, maximum).bits == bits


def test_fits_includes_the_edges():
    byte = IntegerFormat(8)
    assert Interval(-128, 127).fits(byte)
    assert not Interval(-129, 0).fits(byte)
    assert not Interval(0, 128).fits(byte)
    assert str(Interval(-1, 2)) == "-1..2"


@st.composite
def problems(draw):
    outputs, inputs = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    matrix = draw(hnp.arrays(np.int8, (outputs, inputs), elements=st.integers(-128, 127)))
    ranges = draw(
        st.lists(st.tuples(st.integers(-2, 3), st.integers(-2, 3)).map(sorted), min_size=inputs, max_size=inputs)
    )
    lower, upper = np.array(ranges).T
    return matrix, lower, upper


@settings(max_examples=80)
@given(problems())
def test_matrix_bound_is_what_brute_force_finds(problem):
    matrix, lower, upper = problem
    bound = matrix_bound(matrix, lower, upper)
    corners = np.array(list(itertools.product(*zip(lower, upper, strict=True))))
    sums = corners @ matrix.astype(np.int64).T
    np.testing.assert_array_equal(bound.lower, sums.min(axis=0))
    np.testing.assert_array_equal(bound.upper, sums.max(axis=0))
    assert bound.lower.dtype == bound.upper.dtype == np.int64
    assert bound.interval == Interval(int(sums.min()), int(sums.max()))
    reach = np.maximum(np.abs(lower), np.abs(upper))
    assert bound.magnitude == (np.abs(matrix.astype(np.int64)) * reach).sum(axis=1).max()


@settings(max_examples=60)
@given(problems(), st.randoms(use_true_random=False))
def test_no_partial_sum_in_any_order_exceeds_the_magnitude(problem, random):
    matrix, lower, upper = problem
    bound = matrix_bound(matrix, lower, upper)
    x = np.array([random.randint(low, high) for low, high in zip(lower.tolist(), upper.tolist(), strict=True)])
    for row in matrix.astype(np.int64):
        terms = list(row * x)
        random.shuffle(terms)
        assert all(abs(partial) <= bound.magnitude for partial in itertools.accumulate(terms))


@pytest.mark.parametrize("scale", [1, 2**20, 2**44, 2**52, 2**55])
def test_exact_at_every_size(scale):
    """Through float64, int64 and Python integers: odd sums that any rounding would spoil."""
    matrix = np.array([[127, -128, 5], [3, 3, -3]])
    lower, upper = np.array([-scale, -1, 0]), np.array([scale + 1, 2 * scale + 1, scale - 1])
    bound = matrix_bound(matrix, lower, upper)
    for row, low, high in zip(matrix.tolist(), bound.lower, bound.upper, strict=True):
        terms = [sorted((w * a, w * b)) for w, a, b in zip(row, lower.tolist(), upper.tolist(), strict=True)]
        assert (int(low), int(high)) == (sum(t[0] for t in terms), sum(t[1] for t in terms))
    assert bound.magnitude == 127 * (scale + 1) + 128 * (2 * scale + 1) + 5 * (scale - 1)
    assert bound.lower.dtype == (np.int64 if scale < 2**54 else object)


@pytest.mark.parametrize("weight", [2**53 + 1, 2**61 + 1, 2**63 - 1, -(2**63)])
def test_one_large_weight(weight):
    bound = matrix_bound(np.array([[weight]]), 0, 1)
    assert (int(bound.lower[0]), int(bound.upper[0])) == (min(weight, 0), max(weight, 0))
    assert bound.magnitude == abs(weight)


def test_one_range_for_all_inputs():
    bound = matrix_bound(np.array([[1, -2], [3, 4]], dtype=np.int8), 0, 15)
    np.testing.assert_array_equal(bound.lower, [-30, 0])
    np.testing.assert_array_equal(bound.upper, [15, 105])


def test_refusals():
    ones = np.ones((2, 3), dtype=np.int8)
    with pytest.raises(QuantizeError, match=r"\[outputs, inputs\]"):
        matrix_bound(ones[0], 0, 1)
    with pytest.raises(QuantizeError, match="none of them empty"):
        matrix_bound(ones[:, :0], 0, 1)
    with pytest.raises(QuantizeError, match="do not match 3 inputs"):
        matrix_bound(ones, np.zeros(2, dtype=int), 1)
    with pytest.raises(QuantizeError, match="empty"):
        matrix_bound(ones, np.array([0, 0, 1]), np.array([1, 1, 0]))
    with pytest.raises(QuantizeError, match="integers only"):
        matrix_bound(ones.astype(float), 0, 1)
    with pytest.raises(QuantizeError, match="integers only"):
        matrix_bound(ones, 0, 0.5)


def bound_of(*ranges):
    lower, upper = np.array(ranges, dtype=np.int64).T
    return Bound(lower, upper, int(np.abs([lower, upper]).max()))


def test_bounds_add():
    total = bound_of((-1, 2), (0, 5)) + bound_of((-10, 0), (3, 4))
    np.testing.assert_array_equal(total.lower, [-11, 3])
    np.testing.assert_array_equal(total.upper, [2, 9])
    assert total.magnitude == 15


def test_bounds_add_beyond_int64():
    half = bound_of((-(2**62), 2**62))
    total = half + half
    assert (total.lower[0], total.upper[0]) == (-(2**63), 2**63)


@pytest.mark.parametrize(("exponent", "lower", "upper"), [(3, -40, 56), (0, -5, 7), (-1, -3, 3), (-10, -1, 0)])
def test_powers_of_two_floor(exponent, lower, upper):
    bound = bound_of((-5, 7)).times_power_of_two(exponent)
    assert (bound.lower[0], bound.upper[0]) == (lower, upper)
    assert bound.magnitude == max(-lower, upper)


def test_a_power_of_two_may_leave_int64():
    bound = bound_of((-5, 7)).times_power_of_two(61)
    assert (bound.lower[0], bound.upper[0]) == (-5 << 61, 7 << 61)
    back = bound.times_power_of_two(-61)
    assert (back.lower[0], back.upper[0]) == (-5, 7)


@pytest.mark.parametrize("overflow", list(Overflow))
@settings(max_examples=60)
@given(st.tuples(st.integers(-40, 40), st.integers(-40, 40)).map(sorted))
def test_within_a_format_covers_what_comes_out(overflow, ends):
    form = IntegerFormat(4, overflow=overflow)
    bound = bound_of(ends).within(form)
    values = np.arange(ends[0], ends[1] + 1)
    if overflow is Overflow.RAISE:
        out = values[(values >= form.minimum) & (values <= form.maximum)]
    else:
        out = form.apply(values)
    assert np.all((out >= bound.lower) & (out <= bound.upper))
    assert bound.interval.fits(form)
    if Interval(*ends).fits(form):
        assert bound.interval == Interval(*ends)
    if overflow is Overflow.SATURATE:
        assert bound.interval == Interval(int(out.min()), int(out.max()))


def test_wrapping_is_decided_neuron_by_neuron():
    bound = bound_of((-3, 7), (0, 8), (-9, 0), (-8, 1)).within(IntegerFormat(4, overflow=Overflow.WRAP))
    np.testing.assert_array_equal(bound.lower, [-3, -8, -8, -8])
    np.testing.assert_array_equal(bound.upper, [7, 7, 7, 1])
    assert bound.magnitude == 8


def test_exact_chooses_the_type():
    assert exact(np.array([1], dtype=np.int8), 2**63 - 1).dtype == np.int64
    assert exact(np.array([1], dtype=np.int8), 2**63).dtype == object
