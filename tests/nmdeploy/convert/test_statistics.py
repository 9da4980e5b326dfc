import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.convert.statistics import RESOLUTION, ActiveUnits, Distribution

SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
VALUES = st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=60)


def distribution_of(*parts):
    distribution = Distribution()
    for part in parts:
        distribution.add(np.asarray(part, dtype=np.float32))
    return distribution


@given(VALUES, st.floats(0.001, 100))
@settings(max_examples=80)
def test_a_percentile_is_the_order_statistic_rounded_up_a_little(values, percent):
    exact = np.percentile(np.maximum(np.float32(values), 0), percent, method="inverted_cdf")
    found = distribution_of(values).percentile(percent)
    assert found <= SMALLEST_NORMAL if exact < SMALLEST_NORMAL else exact <= found <= exact * (1 + RESOLUTION)


@given(VALUES)
@settings(max_examples=30)
def test_the_hundredth_percentile_is_the_largest_value_exactly(values):
    distribution = distribution_of(values)
    largest = max(0.0, *values, 0.0)
    assert distribution.largest == largest
    found = distribution.percentile(100)
    assert found == largest or (found == 0 and largest < SMALLEST_NORMAL)


def test_batches_do_not_matter(rng):
    values = rng.normal(size=1000).astype(np.float32)
    whole, parts = distribution_of(values), distribution_of(*np.split(values[::-1], 8))
    assert [whole.percentile(p) for p in (50, 90, 99.9)] == [parts.percentile(p) for p in (50, 90, 99.9)]


@pytest.mark.parametrize(("percent", "expected"), [(99.9, 999), (99.95, 1000), (50, 500), (0.05, 1)])
def test_the_rank_is_exact_at_the_borders(percent, expected):
    # 1..1000 are multiples of a bin's width below 2048, so each has its own bin.
    values = distribution_of(np.arange(1, 1001, dtype=np.float32))
    assert int(values.percentile(percent)) == expected


def test_a_percentile_is_the_last_float_of_its_bin():
    assert RESOLUTION == 2.0**-11
    assert distribution_of([1.0, 4.0]).percentile(50) == 1 + 2.0**-11 - 2.0**-23


def test_zeros_of_both_signs_and_negative_values_are_zero():
    assert distribution_of([-0.0, 0.0, -3.0]).percentile(100) == 0


@pytest.mark.parametrize("shape", [(7,), (7, 1, 1), (7, 3, 2)])
def test_units_that_are_never_active_are_counted_over_all_batches(shape):
    seen = ActiveUnits()
    assert seen.silence() == ""
    values = np.full((4, *shape), -1.0, np.float32)
    seen.add(values)
    assert seen.silence() == "never active on the calibration data"
    values[2, 5] = 0.0
    seen.add(values)
    assert seen.silence() == "never active on the calibration data"
    values[2, 5, ...] = np.float32(1e-30)
    seen.add(values)
    assert seen.silence() == "6 of 7 channels (86%) never active on the calibration data"
    seen.add(-values)
    assert seen.silence() == ""


def test_a_channel_is_active_where_one_of_its_places_is():
    seen = ActiveUnits()
    values = np.zeros((2, 2, 3, 3), np.float32)
    values[1, 0, 2, 1] = 1.0
    seen.add(values)
    assert seen.silence() == "1 of 2 channels (50%) never active on the calibration data"
