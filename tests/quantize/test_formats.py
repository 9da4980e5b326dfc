"""Formats: ranges, storage, and each overflow rule at the edge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize import FixedPointFormat, IntegerFormat, OutOfRange, Overflow, QuantizeError, Rounding, smallest_dtype

INT64 = np.iinfo(np.int64)
FORMATS = st.builds(IntegerFormat, st.integers(2, 63), st.booleans())


@pytest.mark.parametrize(
    ("form", "minimum", "maximum", "storage"),
    [
        (IntegerFormat(8), -128, 127, np.int8),
        (IntegerFormat(9), -256, 255, np.int16),
        (IntegerFormat(2), -2, 1, np.int8),
        (IntegerFormat(1, signed=False), 0, 1, np.uint8),
        (IntegerFormat(8, signed=False), 0, 255, np.uint8),
        (IntegerFormat(16, signed=False), 0, 65535, np.uint16),
        (IntegerFormat(24), -8388608, 8388607, np.int32),
        (IntegerFormat(63), -(2**62), 2**62 - 1, np.int64),
        (IntegerFormat(63, signed=False), 0, 2**63 - 1, np.uint64),
    ],
)
def test_range_and_storage(form, minimum, maximum, storage):
    assert (form.minimum, form.maximum, form.storage) == (minimum, maximum, np.dtype(storage))


@pytest.mark.parametrize(("bits", "signed"), [(1, True), (0, False), (64, True), (64, False)])
def test_widths_without_arithmetic_are_refused(bits, signed):
    with pytest.raises(QuantizeError, match=f"found {bits}"):
        IntegerFormat(bits, signed)


def test_overflow_is_given_by_name_and_checked():
    assert IntegerFormat(8, overflow="wrap").overflow is Overflow.WRAP
    with pytest.raises(QuantizeError, match="'clip' is no Overflow; it is one of wrap, saturate, raise"):
        IntegerFormat(8, overflow="clip")


@settings(max_examples=150)
@given(FORMATS, st.lists(st.integers(INT64.min, INT64.max), min_size=1))
def test_wrap_is_modulo_and_saturate_is_nearest(form, values):
    array, span = np.array(values, dtype=np.int64), 1 << form.bits
    wrap = IntegerFormat(form.bits, form.signed, Overflow.WRAP).apply(array)
    np.testing.assert_array_equal(wrap, [(v - form.minimum) % span + form.minimum for v in values])
    saturate = IntegerFormat(form.bits, form.signed, Overflow.SATURATE).apply(array)
    np.testing.assert_array_equal(saturate, [min(max(v, form.minimum), form.maximum) for v in values])
    assert wrap.dtype == saturate.dtype == np.int64


def test_raise_tells_the_first_offender():
    form = IntegerFormat(8)
    edges = np.array([[-128, 127]])
    np.testing.assert_array_equal(form.apply(edges), edges)
    with pytest.raises(OutOfRange, match=r"128 at \(0, 1\) is outside -128..127 \(signed 8-bit integers\)") as caught:
        form.apply(np.array([[0, 128], [-129, 0]]))
    assert (caught.value.index, caught.value.found) == ((0, 1), 128)
    assert (caught.value.minimum, caught.value.maximum) == (-128, 127)
    for beyond in (-129, 128):
        with pytest.raises(OutOfRange, match=str(beyond)):
            form.apply(np.array([0, beyond]))


def test_holds_compares_any_integer_type():
    assert IntegerFormat(8).holds(np.array([], dtype=np.int8))
    assert not IntegerFormat(62).holds(np.array([2**63 + 1], dtype=np.uint64))
    assert not IntegerFormat(8, signed=False).holds(np.array([-1], dtype=np.int8))


@pytest.mark.parametrize("overflow", list(Overflow))
def test_apply_takes_integers_only(overflow):
    with pytest.raises(QuantizeError, match="integers are needed"):
        IntegerFormat(8, overflow=overflow).apply(np.array([1.5]))
    assert IntegerFormat(8, overflow=overflow).apply(np.array(3, dtype=np.uint8)).shape == ()


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"),
    [(0, 255, "uint8"), (0, 256, "uint16"), (-1, 127, "int8"), (-1, 128, "int16"), (-129, 0, "int16"),
     (0, 2**63, "uint64"), (-1, 2**31, "int64")],
)  # fmt: skip
def test_smallest_dtype(minimum, maximum, expected):
    assert smallest_dtype(minimum, maximum) == np.dtype(expected)


def test_no_dtype_for_65_bits():
    with pytest.raises(QuantizeError, match="no numpy integer holds -1 to 9223372036854775808"):
        smallest_dtype(-1, 2**63)


def test_fixed_point_of_spinnaker():
    accum = FixedPointFormat(IntegerFormat(32, overflow=Overflow.SATURATE), 15)
    values = np.array([1.0, -0.5, 2.0**-16, 3 * 2.0**-16, 65536.0, -1e9])
    assert accum.step == 2.0**-15
    np.testing.assert_array_equal(accum.encode(values), [32768, -16384, 0, 2, 2**31 - 1, -(2**31)])
    np.testing.assert_array_equal(accum.encode(values[2:4], Rounding.HALF_AWAY), [1, 2])
    np.testing.assert_array_equal(accum.decode(np.array([32768, -1])), [1.0, -(2.0**-15)])


def test_fixed_point_with_a_step_above_one():
    coarse = FixedPointFormat(IntegerFormat(8), -3)
    assert coarse.step == 8.0
    np.testing.assert_array_equal(coarse.encode(np.array([16.0, -12.0, 12.0])), [2, -2, 2])
    with pytest.raises(OutOfRange):
        coarse.encode(np.array([1024.0]))


@pytest.mark.parametrize("bits", [8, 62, 63])
@pytest.mark.parametrize("signed", [True, False])
def test_fixed_point_saturates_however_large_the_value(bits, signed):
    form = IntegerFormat(bits, signed, Overflow.SATURATE)
    encoded = FixedPointFormat(form, 900).encode(np.array([1e300, -1e300]))
    np.testing.assert_array_equal(encoded, [form.maximum, form.minimum])


def test_fixed_point_refuses_what_it_cannot_carry():
    with pytest.raises(QuantizeError, match="NaN or infinite"):
        FixedPointFormat(IntegerFormat(8), 0).encode(np.array([1.0, np.inf]))
    with pytest.raises(QuantizeError):
        FixedPointFormat(IntegerFormat(8), 900).encode(np.array([1e300]))
    for bits in (1023, -1023):
        with pytest.raises(QuantizeError, match="fraction_bits"):
            FixedPointFormat(IntegerFormat(8), bits)
