"""Mantissa and exponent: nearest values, checked against a list of all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize import MantissaExponentFormat, QuantizeError, Rounding, find_scale, quantize_values

NXTF = MantissaExponentFormat(8, 3)
FORMS = st.builds(MantissaExponentFormat, st.integers(1, 8), st.integers(1, 3))


def everything(form):
    """All values of a format, sorted."""
    mantissas = np.arange(1 << form.mantissa_bits)
    return np.unique([mantissas << exponent for exponent in range(1 << form.exponent_bits)])


def test_the_format_of_nxtf():
    assert (NXTF.minimum, NXTF.maximum, NXTF.bits, NXTF.signed) == (0, 255 * 128, 15, False)
    assert NXTF.storage == np.uint16
    everyone = np.arange(1, NXTF.maximum + 1)
    error = np.abs(NXTF.nearest(everyone) - everyone)
    assert (everyone[error > 0][0], error.max(), np.count_nonzero(error == 0)) == (257, 64, 1151)
    # NxTF's own formula (dnn_layers.py) never takes a smaller mantissa with the next exponent:
    # it misses 256 * 2**k, and nothing else that the format holds.
    exponent = np.clip(np.ceil(np.log2(everyone / 256)), 0, 7).astype(int)
    by_nxtf = np.minimum(255, np.round(everyone / 2.0**exponent)).astype(int) << exponent
    missed = everyone[(by_nxtf != everyone) & (error == 0)]
    np.testing.assert_array_equal(missed, 256 << np.arange(7))


@given(FORMS, st.floats(-10, 40_000), st.sampled_from(list(Rounding)))
def test_nearest_is_the_nearest_of_all_values(form, value, rounding):
    values = everything(form)
    found = int(form.nearest(np.array(value), rounding))
    within = min(max(value, 0.0), float(form.maximum))
    below, above = values[values <= within].max(), values[values >= within].min()
    assert found in (below, above)
    if rounding in (Rounding.FLOOR, Rounding.TOWARD_ZERO):
        assert found == below
    else:
        assert abs(found - within) == min(within - below, above - within)


@given(FORMS, st.floats(0.5, 1.0))
def test_the_relative_error_is_at_most_two_to_the_minus_mantissa_bits(form, share):
    value = max(share * form.maximum, float(1 << (form.mantissa_bits - 1)))
    if value <= form.maximum:
        found = int(form.nearest(np.array(value)))
        assert abs(found - value) <= value * 2.0**-form.mantissa_bits


@given(FORMS, st.lists(st.integers(-5, 40_000), max_size=20))
def test_a_format_holds_its_own_values_only(form, values):
    own = set(everything(form).tolist())
    assert form.holds(np.array(values, dtype=np.int64)) == all(value in own for value in values)


def test_arrays_keep_their_shape_and_ties_go_to_the_even_mantissa():
    found = NXTF.nearest(np.array([[257.0, 259.0], [511.0, 1e9]]))
    np.testing.assert_array_equal(found, [[256, 260], [512, NXTF.maximum]])
    assert found.dtype == np.int64


def test_scales_and_quantization_know_the_format():
    reals = np.array([1.0, 2.0, 3.01])
    scale = find_scale(reals, NXTF)
    assert scale == pytest.approx(3.01 / NXTF.maximum)
    integers = quantize_values(reals, scale, NXTF)
    assert integers.dtype == np.uint16
    assert NXTF.holds(integers)
    assert integers[2] == NXTF.maximum
    with pytest.raises(QuantizeError, match="unsigned"):
        find_scale(-reals, NXTF)


@pytest.mark.parametrize("value", [np.nan])
def test_no_number_has_no_nearest(value):
    with pytest.raises(QuantizeError, match="cannot round nan"):
        NXTF.nearest(np.array([value]))


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ((0, 3), "at least 1 bit each, found 0 and 3"),
        ((8, 0), "at least 1 bit each, found 8 and 0"),
        ((8, 6), r"at most 53 bits, found 8 bits times 2\*\*\(2\*\*6 - 1\)"),
        ((40, 5), "at most 53 bits"),
        ((8, 60), "at most 53 bits"),
    ],
)
def test_widths_that_cannot_be(bits, message):
    with pytest.raises(QuantizeError, match=message):
        MantissaExponentFormat(*bits)


def test_the_widest_format_is_exact():
    widest = MantissaExponentFormat(22, 5)
    assert widest.bits == 53
    np.testing.assert_array_equal(widest.nearest(np.array([widest.maximum, 2.0**80])), widest.maximum)
