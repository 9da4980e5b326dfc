"""Amounts that people can read, to three digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.cost import Range, exactly
from nmdeploy.report.units import amount, count


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0, 0), "0 J"),
        ((1.5, 1.5), "1.5 J"),
        ((999e-3, 1), "0.999 to 1 J"),
        ((1234, 5678), "1,230 to 5,680 J"),
        ((9.87e-6, 12.34e-6), "9.87 to 12.3 uJ"),
        ((1e-9, 1e-3), "0.000001 to 1 mJ"),
        ((0, 4.5e-9), "0 to 4.5 nJ"),
        ((23.6e-12, 23.6e-12), "23.6 pJ"),
        ((1e-15, 2e-15), "0.001 to 0.002 pJ"),
        ((1e-6, 1.0001e-6), "1 uJ"),
        ((99.96e-6, 100.4e-6), "100 uJ"),
    ],
)
def test_amounts(ends, text):
    assert amount(Range(*ends), "J") == text


@pytest.mark.parametrize(
    ("ends", "text"),
    [((7, 7), "7"), ((1234.5, 1234.5), "1,234.5"), ((0, 1e6), "0 to 1,000,000"), ((1, 2.25), "1.0 to 2.2")],
)
def test_counts(ends, text):
    assert count(Range(*ends)) == text


@given(st.floats(1e-12, 1e12))
def test_what_is_read_is_what_was_written(value):
    digits, unit = amount(exactly(value), "J").split(" ")
    scale = {"J": 1, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12}[unit]
    assert float(digits.replace(",", "")) * scale == pytest.approx(value, rel=6e-3)
    assert "e" not in digits
