"""Scale search against brute force, and its behaviour at the edges of float64."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantize import (
    MSE_FRACTIONS,
    IntegerFormat,
    Overflow,
    QuantizeError,
    Rounding,
    ScaleMethod,
    count_clipped,
    find_scale,
    quantize_values,
)

BYTE = IntegerFormat(8)
FORMATS = st.builds(IntegerFormat, st.integers(2, 24), st.just(True))
VALUES = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e3, 1e3, allow_subnormal=False))


def squared_error(values, scale, form):
    nearest = np.clip(np.rint(values / scale), form.minimum, form.maximum) * scale
    return float(np.square(values - nearest).sum())


@settings(max_examples=150)
@given(VALUES, FORMATS, st.sampled_from([ScaleMethod.MAX, ScaleMethod.POWER_OF_TWO]), st.sampled_from(list(Rounding)))
def test_max_and_power_of_two_clip_nothing(values, form, method, rounding):
    scale = find_scale(values, form, method)
    assert count_clipped(values, scale, form, rounding) == 0


@settings(max_examples=150)
@given(VALUES, FORMATS)
def test_max_is_the_smallest_scale_that_clips_nothing(values, form):
    scale = find_scale(values, form)
    if values.any():
        ends = (Fraction(values.max()) / form.maximum, Fraction(values.min()) / form.minimum)
        exact = max(*ends, Fraction(float(np.finfo(float).tiny)))
        assert abs(Fraction(scale) - exact) <= Fraction(float(np.spacing(scale))) * 2
    else:
        assert scale == 1.0


@pytest.mark.parametrize(
    ("values", "form", "scale"),
    [
        ([1.27, 0.5], BYTE, 0.01),
        ([1.28, -1.28], BYTE, 1.28 / 127),
        ([0.5, -1.28], BYTE, 0.01),
        ([-1.28], BYTE, 0.01),
        ([2.55, 0.0], IntegerFormat(8, signed=False), 0.01),
        ([3, -6], IntegerFormat(2), 3.0),
    ],
)
def test_max_uses_both_ends_of_the_format(values, form, scale):
    assert find_scale(np.array(values), form) == pytest.approx(scale, rel=1e-15)


@settings(max_examples=100)
@given(VALUES, FORMATS)
def test_power_of_two_is_the_next_one_up(values, form):
    widest, scale = find_scale(values, form), find_scale(values, form, ScaleMethod.POWER_OF_TWO)
    assert math.frexp(scale)[0] == 0.5
    assert scale >= widest > scale / 2


def test_power_of_two_keeps_one_that_fits():
    assert find_scale(np.array([127 * 2.0**-7]), BYTE, ScaleMethod.POWER_OF_TWO) == 2.0**-7
    assert find_scale(np.array([127.5 * 2.0**-7]), BYTE, ScaleMethod.POWER_OF_TWO) == 2.0**-6


@settings(max_examples=60)
@given(VALUES, st.builds(IntegerFormat, st.integers(2, 8), st.just(True)))
def test_mse_is_the_best_of_its_grid(values, form):
    widest = find_scale(values, form)
    scale = find_scale(values, form, ScaleMethod.MSE)
    errors = [squared_error(values / widest, fraction, form) for fraction in MSE_FRACTIONS]
    best = int(np.argmin(errors))  # the first: of equals the largest scale
    # No scale is below the smallest normal number, also where a part of the widest would be.
    assert scale == max(MSE_FRACTIONS[best] * widest, float(np.finfo(np.float64).tiny))


def test_mse_keeps_to_normal_numbers():
    tiny = float(np.finfo(np.float64).tiny)
    assert find_scale(np.array([-3.50190923e-308]), IntegerFormat(2), ScaleMethod.MSE) == tiny


def test_the_documented_grid():
    np.testing.assert_array_equal(MSE_FRACTIONS, [k / 100 for k in range(100, 0, -1)])


def test_mse_clips_an_outlier_at_few_bits(rng):
    values = np.append(rng.normal(size=2000), 30.0)
    form = IntegerFormat(4)
    scale = find_scale(values, form, ScaleMethod.MSE)
    assert squared_error(values, scale, form) < 0.5 * squared_error(values, find_scale(values, form), form)
    assert count_clipped(values, scale, form) >= 1


def test_percentile_cuts_magnitudes(rng):
    values = rng.normal(size=1001)
    values[500] = -50.0
    magnitude = np.sort(np.abs(values))[990]
    scale = find_scale(values, BYTE, ScaleMethod.PERCENTILE, percentile=99.0)
    cut = np.clip(values, -magnitude, magnitude)
    assert scale == pytest.approx(max(cut.max() / 127, -cut.min() / 128), rel=1e-15)
    assert count_clipped(values, scale, BYTE) > 0


def test_percentile_100_is_max_and_zeros_have_no_say(rng):
    values = rng.normal(size=50)
    assert find_scale(values, BYTE, ScaleMethod.PERCENTILE, percentile=100) == find_scale(values, BYTE)
    sparse = np.append(np.zeros(10_000), values)
    assert find_scale(sparse, BYTE, ScaleMethod.PERCENTILE, percentile=90) == find_scale(
        values, BYTE, ScaleMethod.PERCENTILE, percentile=90
    )


@pytest.mark.parametrize("percentile", [0, -1, 100.1, np.nan])
def test_percentile_out_of_range(percentile):
    with pytest.raises(QuantizeError, match="percentile"):
        find_scale(np.ones(3), BYTE, ScaleMethod.PERCENTILE, percentile=percentile)


@pytest.mark.parametrize("method", list(ScaleMethod))
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_a_scale_per_channel_is_the_scale_of_each_channel(rng, method, axis):
    values = rng.normal(size=(3, 4, 5))
    scales = find_scale(values, BYTE, method, percentile=95, axis=axis)
    expected = [find_scale(np.take(values, i, axis), BYTE, method, percentile=95) for i in range(values.shape[axis])]
    assert scales.shape == tuple(n if i == axis % 3 else 1 for i, n in enumerate(values.shape))
    np.testing.assert_array_equal(scales.ravel(), expected)
    assert quantize_values(values, scales, BYTE).shape == values.shape


@pytest.mark.parametrize("method", list(ScaleMethod))
def test_zeros_have_scale_one(method):
    assert find_scale(np.zeros((2, 2)), BYTE, method) == 1.0
    values = np.array([[0.0, 0.0], [0.0, 12.7]])
    assert find_scale(values, BYTE, method, axis=0)[0, 0] == 1.0


@pytest.mark.parametrize("method", [ScaleMethod.MAX, ScaleMethod.PERCENTILE, ScaleMethod.MSE])
def test_equal_values_are_exact(method):
    values = np.full(4, 0.3)
    scale = find_scale(values, BYTE, method)
    np.testing.assert_array_equal(quantize_values(values, scale, BYTE), [127] * 4)


@pytest.mark.parametrize("method", list(ScaleMethod))
@pytest.mark.parametrize("magnitude", [5e-324, 1e-310, 1e-300, 1e300, np.finfo(float).max])
def test_extreme_magnitudes_neither_warn_nor_divide_by_zero(method, magnitude):
    values = np.array([magnitude, -magnitude / 2, 0.0])
    scale = find_scale(values, IntegerFormat(2), method)
    assert np.isfinite(scale)
    assert scale >= np.finfo(float).tiny
    assert abs(int(quantize_values(values, scale, IntegerFormat(2))[0])) <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_is_refused_with_its_place(bad):
    values = np.array([[1.0, 2.0], [bad, 0.0]])
    for attempt in (lambda: find_scale(values, BYTE), lambda: quantize_values(values, 1.0, BYTE)):
        with pytest.raises(QuantizeError, match=r"at \(1, 0\)"):
            attempt()


def test_other_refusals():
    with pytest.raises(QuantizeError, match="no values"):
        find_scale(np.zeros((0, 3)), BYTE)
    with pytest.raises(QuantizeError, match="no values"):
        find_scale(np.zeros((3, 0)), BYTE, axis=0)
    with pytest.raises(QuantizeError, match="unsigned"):
        find_scale(np.array([-0.1, 1.0]), IntegerFormat(8, signed=False))
    with pytest.raises(QuantizeError, match="axis 2"):
        find_scale(np.ones((2, 2)), BYTE, axis=2)
    with pytest.raises(QuantizeError, match="axis -3"):
        find_scale(np.ones((2, 2)), BYTE, axis=-3)
    with pytest.raises(QuantizeError, match="max, percentile, mse, power-of-two"):
        find_scale(np.ones(2), BYTE, "minmax")
    for wide in (
        lambda: find_scale(np.ones(2), IntegerFormat(54)),
        lambda: count_clipped(np.ones(2), 1, IntegerFormat(54)),
    ):
        with pytest.raises(QuantizeError, match="up to 53 bits"):
            wide()


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, np.array([1.0, 0.0])])
def test_scales_that_are_none(scale):
    with pytest.raises(QuantizeError, match="finite and above 0"):
        quantize_values(np.ones(2), scale, BYTE)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_quantizing_saturates_by_intent(overflow):
    form = IntegerFormat(8, overflow=overflow)
    values = np.array([127.4, 127.6, -128.4, -128.6, 1e308, -1e308, 0.5, 1.5])
    integers = quantize_values(values, 1.0, form)
    assert integers.dtype == np.int8
    np.testing.assert_array_equal(integers, [127, 127, -128, -128, 127, -128, 0, 2])
    assert count_clipped(values, 1.0, form) == 4
    assert count_clipped(values, 1e-300, form) == 8


def test_the_widest_format_and_the_smallest_percentile():
    assert find_scale(np.array([2.0**52 - 1]), IntegerFormat(53)) == 1.0
    np.testing.assert_array_equal(quantize_values(np.array([2.0**53]), 1, IntegerFormat(53)), [2**52 - 1])
    values = np.array([1.0, 2.0, 127.0])
    assert find_scale(values, BYTE, ScaleMethod.PERCENTILE, percentile=0.5) == pytest.approx(1.01 / 127)


def test_rounding_mode_and_storage():
    values = np.array([0.6, 1.4, -0.6], dtype=np.float32)
    np.testing.assert_array_equal(quantize_values(values, 0.2, BYTE, Rounding.TOWARD_ZERO), [3, 6, -3])
    np.testing.assert_array_equal(quantize_values(values, 1, BYTE, Rounding.FLOOR), [0, 1, -1])
    assert quantize_values(values, 1.0, IntegerFormat(9)).dtype == np.int16
    assert quantize_values(values, 1.0, IntegerFormat(9, signed=False)).dtype == np.uint16


@settings(max_examples=100)
@given(VALUES, FORMATS)
def test_rounding_errs_by_half_a_step_at_most(values, form):
    scale = find_scale(values, form)
    back = quantize_values(values, scale, form) * scale
    assert np.all(np.abs(back - values) <= scale / 2 * (1 + 1e-9))
