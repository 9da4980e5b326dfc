import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.spinnaker.exponential import CUT_OFF, exp_accum, exp_fraction
from targets.spinnaker.fixed_point import ONE

EVERY = -np.arange(-CUT_OFF + 10)
EXACT = np.exp(EVERY / ONE)


@pytest.mark.shared
def test_every_entry_of_the_recorded_tables(shared_data):
    tables = np.load(shared_data / "golden" / "spinnaker" / "exp_tables.npz")
    arguments = -np.arange(len(tables["expk_neg"]))
    np.testing.assert_array_equal(exp_accum(arguments), tables["expk_neg"])
    np.testing.assert_array_equal(exp_fraction(arguments), tables["expulr_neg"])


def test_the_sums_of_all_entries_are_those_of_the_binary():
    assert exp_accum(EVERY).sum() == 1_073_557_809
    assert exp_fraction(EVERY).sum() == 140_731_045_619_767


def test_a_fraction_is_off_by_at_most_5300_units():
    beyond_one = slice(1, None)
    error = np.abs(exp_fraction(EVERY) - EXACT * 2.0**32)[beyond_one]
    # The largest errors are those just above the cut-off, where the result itself is lost.
    kept = error[:-CUT_OFF]
    assert 5_000 < kept.max() < 5_300


def test_an_accum_is_one_unit_beside_the_rounded_exponential_at_places():
    assert np.abs(exp_accum(EVERY) - np.rint(EXACT * ONE)).max() == 1


def test_ends():
    assert exp_accum(0) == ONE
    assert exp_fraction(0) == 0  # 2**32 does not fit 32 bits
    assert exp_accum(CUT_OFF) > 0
    assert exp_fraction(CUT_OFF) > 0
    assert exp_accum(CUT_OFF - 1) == exp_fraction(CUT_OFF - 1) == 0
    assert exp_accum(-(2**31)) == 0


@pytest.mark.parametrize("whole", range(11))
def test_whole_numbers_are_read_from_the_table(whole):
    assert exp_fraction(-whole * ONE) == round(math.exp(-whole) * 2**32) % 2**32


@given(st.lists(st.integers(-(2**31), 0), min_size=1, max_size=6))
def test_an_array_gives_what_its_elements_give(arguments):
    for function in (exp_accum, exp_fraction):
        together = function(np.array(arguments).reshape(-1, 1))
        assert together.shape == (len(arguments), 1)
        assert together.ravel().tolist() == [int(function(argument)) for argument in arguments]


def test_positive_arguments_are_not_stated():
    with pytest.raises(ValueError, match="at most 0, found 1"):
        exp_accum(1)
