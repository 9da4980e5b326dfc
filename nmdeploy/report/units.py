"""Amounts with the unit prefix that reads best."""

from __future__ import annotations

from nmdeploy.cost import Range

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))


def amount(range_: Range, unit: str) -> str:
    """An amount in SI units to three digits, `12.3 uJ` or `9.87 to 12.3 uJ`; both ends share a prefix."""
    scale, prefix = next((each for each in _PREFIXES if range_.most >= each[0]), _PREFIXES[-1])
    if not range_.most:
        scale, prefix = _PREFIXES[0]
    least, most = (_three_digits(end / scale) for end in (range_.least, range_.most))
    return f"{most} {prefix}{unit}" if least == most else f"{least} to {most} {prefix}{unit}"


def count(range_: Range) -> str:
    """A number of events, `1,234.5` or `1,000.0 to 1,234.5`; whole numbers without a fraction."""
    whole = all(end == int(end) for end in (range_.least, range_.most))
    least, most = (f"{end:,.0f}" if whole else f"{end:,.1f}" for end in (range_.least, range_.most))
    return most if least == most else f"{least} to {most}"


def _three_digits(value: float) -> str:
    """Three significant digits without an exponent, thousands in groups."""
    if value >= 100 or value == 0:
        return f"{float(f'{value:.3g}'):,.0f}"
    digits = f"{value:.3g}"
    return f"{float(digits):.12f}".rstrip("0").rstrip(".") if "e" in digits else digits
